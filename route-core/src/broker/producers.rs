//! Producers by group, as their heartbeats tell.

use std::sync::Arc;

use foldhash::fast::FixedState;
use indexmap::IndexMap;

use super::members::{Client, Group, JoinError, MemberLimits, Members};
use crate::{
    output::{Peer, PeerId},
    time::{Millis, Now},
};

/// Groups of producers. Membership decides nothing about sends; operators ask for it, and who keeps silent about
/// a half message is asked through it.
#[derive(Debug)]
pub struct ProducerTable {
    members: Members,
    /// The connection on which a client was heard of last, and the id that each connection gave last.
    peers: IndexMap<Arc<str>, PeerId, FixedState>,
    ids: IndexMap<PeerId, Arc<str>, FixedState>,
    /// How many questions have gone out; producers of a group take turns by it.
    turn: usize,
}

impl ProducerTable {
    /// A table of limited size, whose members are forgotten after `expiry` without a heartbeat (`channelExpiredTimeout`).
    #[must_use]
    pub fn new(limits: MemberLimits, expiry: Millis) -> Self {
        Self { members: Members::new(limits, expiry), peers: IndexMap::default(), ids: IndexMap::default(), turn: 0 }
    }

    /// From now on members may be silent for so long.
    pub const fn set_expiry(&mut self, expiry: Millis) {
        self.members.set_expiry(expiry);
    }

    /// One group of a heartbeat.
    ///
    /// # Errors
    /// [`JoinError`].
    pub fn register(&mut self, now: Now, group: &str, peer: Peer, client: Client<'_>) -> Result<(), JoinError> {
        self.members.join(now, group, peer, client)?;
        if self.ids.get(&peer.id).is_none_or(|id| **id != *client.id) {
            self.forget(peer.id);
            let id: Arc<str> = client.id.into();
            self.ids.insert(peer.id, Arc::clone(&id));
            self.peers.insert(id, peer.id);
        }
        Ok(())
    }

    /// Who cannot be reached any more by its id.
    fn forget(&mut self, peer: PeerId) {
        if let Some(id) = self.ids.swap_remove(&peer)
            && self.peers.get(&id) == Some(&peer)
        {
            self.peers.swap_remove(&id);
        }
    }

    /// A producer says that it leaves.
    pub fn unregister(&mut self, group: &str, peer: PeerId) {
        self.members.leave(group, peer);
        if !self.members.knows(peer) {
            self.forget(peer);
        }
    }

    /// A connection is gone.
    pub fn handle_disconnected(&mut self, peer: PeerId) {
        self.members.leave_all(peer);
        self.forget(peer);
    }

    /// Drops producers that have fallen silent; returns the connections on which no producer is left, to be closed.
    #[must_use]
    pub fn handle_timeout(&mut self, now: Now) -> Vec<PeerId> {
        let mut silent: Vec<_> = self.members.handle_timeout(now).into_iter().map(|(_, peer)| peer).collect();
        silent.retain(|&peer| !self.members.knows(peer));
        silent.sort_unstable();
        silent.dedup();
        for &peer in &silent {
            self.forget(peer);
        }
        silent
    }

    /// The connection of a client, the latest if it has several; `None` if no producer of this id is connected.
    #[must_use]
    pub fn client(&self, id: &str) -> Option<PeerId> {
        self.peers.get(id).copied()
    }

    /// Whether a connection is a producer of any group.
    #[must_use]
    pub fn knows(&self, peer: PeerId) -> bool {
        self.members.knows(peer)
    }

    /// When [`Self::handle_timeout`] has something to look at.
    #[must_use]
    pub const fn poll_timeout(&self) -> Option<Millis> {
        self.members.poll_timeout()
    }

    /// The producers of a group; `None` if none is connected.
    #[must_use]
    pub fn group(&self, group: &str) -> Option<&Group> {
        self.members.group(group)
    }

    /// The producer of a group that is asked next; `None` if none is connected. They take turns.
    pub fn next_of(&mut self, group: &str) -> Option<PeerId> {
        let members = self.members.group(group)?;
        self.turn = self.turn.wrapping_add(1);
        members.get_index(self.turn % members.len().max(1)).map(|(&peer, _)| peer)
    }

    /// All groups.
    pub fn groups(&self) -> impl Iterator<Item = (&Arc<str>, &Group)> {
        self.members.groups()
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    const LIMITS: MemberLimits = MemberLimits { members: 10, bytes: 10_000 };
    const CLIENT: Client<'static> = Client { id: "c", language: None, version: 0 };

    fn at(secs: u64) -> Now {
        Now { mono: Millis::from_secs(secs), ..Now::default() }
    }

    fn peer(id: u64) -> Peer {
        Peer { id: PeerId(id), addr: SocketAddr::from(([127, 0, 0, 1], 40_000)), from_here: false }
    }

    #[test]
    fn a_connection_is_closed_when_its_last_producer_falls_silent() {
        let mut producers = ProducerTable::new(LIMITS, Millis::from_secs(120));
        producers.register(at(0), "G", peer(1), CLIENT).unwrap();
        producers.register(at(50), "H", peer(1), CLIENT).unwrap();
        assert!(producers.handle_timeout(at(130)).is_empty(), "H is still heard of");
        assert!(producers.group("G").is_none());
        assert_eq!(producers.handle_timeout(at(180)), [PeerId(1)]);
    }

    #[test]
    fn the_producers_of_a_group_are_asked_in_turn() {
        let mut producers = ProducerTable::new(LIMITS, Millis::from_secs(120));
        assert_eq!(producers.next_of("G"), None);
        producers.register(at(0), "G", peer(1), CLIENT).unwrap();
        producers.register(at(0), "G", peer(2), CLIENT).unwrap();
        let mut asked: Vec<_> = (0..4).filter_map(|_| producers.next_of("G")).collect();
        assert_ne!(asked[0], asked[1]);
        asked.sort_unstable();
        assert_eq!(asked, [PeerId(1), PeerId(1), PeerId(2), PeerId(2)]);
    }

    #[test]
    fn a_client_is_found_by_its_id_on_its_latest_connection_until_that_is_gone() {
        let mut producers = ProducerTable::new(LIMITS, Millis::from_secs(120));
        let named = |id| Client { id, ..CLIENT };
        producers.register(at(0), "G", peer(1), named("a")).unwrap();
        producers.register(at(0), "G", peer(2), named("a")).unwrap();
        assert_eq!(producers.client("a"), Some(PeerId(2)));
        producers.handle_disconnected(PeerId(1));
        assert_eq!(producers.client("a"), Some(PeerId(2)), "the old connection takes nothing with it");
        producers.register(at(100), "G", peer(2), named("b")).unwrap();
        assert_eq!((producers.client("a"), producers.client("b")), (None, Some(PeerId(2))), "it has another id now");
        producers.register(at(100), "H", peer(2), named("b")).unwrap();
        producers.unregister("G", PeerId(2));
        assert_eq!(producers.client("b"), Some(PeerId(2)), "it is still a producer of H");
        assert_eq!(producers.handle_timeout(at(221)), [PeerId(2)]);
        assert_eq!(producers.client("b"), None);
    }

    #[test]
    fn a_producer_that_leaves_is_no_longer_listed() {
        let mut producers = ProducerTable::new(LIMITS, Millis::from_secs(120));
        producers.register(at(0), "G", peer(1), CLIENT).unwrap();
        producers.register(at(0), "G", peer(2), CLIENT).unwrap();
        producers.unregister("G", PeerId(1));
        assert_eq!(producers.group("G").unwrap().len(), 1);
        producers.handle_disconnected(PeerId(2));
        assert!(producers.group("G").is_none());
    }
}
