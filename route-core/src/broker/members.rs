//! Who is connected under which group: the part that consumers and producers have in common.

use std::{net::SocketAddr, sync::Arc};

use foldhash::fast::FixedState;
use indexmap::{IndexMap, IndexSet};
use proto_core::code::LanguageCode;
use thiserror::Error;

use crate::{
    output::{Peer, PeerId},
    time::{Millis, Now},
};

/// Time between two scans for members that have fallen silent.
const SCAN_INTERVAL: Millis = Millis::from_secs(10);

/// What a client says of itself in a heartbeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client<'a> {
    /// Its id; opaque to a broker.
    pub id: &'a str,
    /// Its language; `None` if the name is not known.
    pub language: Option<LanguageCode>,
    /// Its version, an ordinal in Java's list of releases.
    pub version: i32,
}

/// A connection that is a member of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Client id; a client with two connections is two members.
    pub client_id: Arc<str>,
    /// Remote address.
    pub addr: SocketAddr,
    /// The client's language.
    pub language: Option<LanguageCode>,
    /// The client's version.
    pub version: i32,
    /// Its last heartbeat.
    pub last_update: Millis,
}

/// Longest name of a group or a client, in bytes. Java sets no limit.
pub const NAME_MAX_LEN: usize = 1_024;

/// How large a table of members may grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemberLimits {
    /// Members of all groups.
    pub members: usize,
    /// Bytes of the ids of all members and of the names of their groups.
    pub bytes: usize,
}

/// Why a client cannot join a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum JoinError {
    /// The table holds as many members as it may.
    #[error("the table of clients is full: {limit} members")]
    Full {
        /// How many it holds.
        limit: usize,
    },
    /// The names in the table are as long together as they may be.
    #[error("the table of clients is full: {limit} bytes of names")]
    NamesFull {
        /// How many bytes it holds.
        limit: usize,
    },
    /// The name of the group or of the client is too long to be kept.
    #[error("a name of {0} bytes is longer than {NAME_MAX_LEN}")]
    NameTooLong(usize),
}

/// Members of one group; their order is that of joining until one leaves.
pub type Group = IndexMap<PeerId, Member, FixedState>;

/// Groups and their members; a group exists as long as it has one.
#[derive(Debug)]
pub struct Members {
    groups: IndexMap<Arc<str>, Group, FixedState>,
    peers: IndexMap<PeerId, IndexSet<Arc<str>, FixedState>, FixedState>,
    len: usize,
    /// Bytes of names.
    bytes: usize,
    limits: MemberLimits,
    expiry: Millis,
    next_scan: Option<Millis>,
}

impl Members {
    /// A table of limited size, that forgets members after `expiry` without a heartbeat.
    #[must_use]
    pub fn new(limits: MemberLimits, expiry: Millis) -> Self {
        Self { groups: IndexMap::default(), peers: IndexMap::default(), len: 0, bytes: 0, limits, expiry, next_scan: None }
    }

    /// From now on members may be silent for so long.
    pub const fn set_expiry(&mut self, expiry: Millis) {
        self.expiry = expiry;
    }

    /// Whether [`Self::join`] would take a member in.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, group: &str, peer: PeerId, client: Client<'_>) -> Result<(), JoinError> {
        if let Some(len) = [group.len(), client.id.len()].into_iter().find(|&len| len > NAME_MAX_LEN) {
            return Err(JoinError::NameTooLong(len));
        }
        let members = self.groups.get(group);
        let known = members.and_then(|members| members.get(&peer));
        if known.is_none() && self.len >= self.limits.members {
            return Err(JoinError::Full { limit: self.limits.members });
        }
        let group_bytes = if members.is_none() { group.len() } else { 0 };
        let bytes = self.bytes - known.map_or(0, |known| known.client_id.len()) + client.id.len() + group_bytes;
        if bytes > self.limits.bytes {
            return Err(JoinError::NamesFull { limit: self.limits.bytes });
        }
        Ok(())
    }

    /// A heartbeat: adds the member or refreshes it. Tells whether it is new.
    ///
    /// # Errors
    /// [`JoinError`]; a member that is in the table is refreshed even if it is full.
    pub fn join(&mut self, now: Now, group: &str, peer: Peer, client: Client<'_>) -> Result<bool, JoinError> {
        self.check(group, peer.id, client)?;
        if let Some(member) = self.groups.get_mut(group).and_then(|members| members.get_mut(&peer.id)) {
            if *member.client_id != *client.id {
                self.bytes = self.bytes - member.client_id.len() + client.id.len();
                member.client_id = client.id.into();
            }
            member.language = client.language;
            member.version = client.version;
            member.last_update = now.mono;
            return Ok(false);
        }
        let name = self.groups.get_key_value(group).map_or_else(|| Arc::from(group), |(name, _)| Arc::clone(name));
        let member = Member {
            client_id: client.id.into(),
            addr: peer.addr,
            language: client.language,
            version: client.version,
            last_update: now.mono,
        };
        let members = self.groups.entry(Arc::clone(&name)).or_default();
        self.bytes += client.id.len() + if members.is_empty() { name.len() } else { 0 };
        members.insert(peer.id, member);
        self.peers.entry(peer.id).or_default().insert(name);
        self.len += 1;
        self.next_scan.get_or_insert(now.mono + SCAN_INTERVAL);
        Ok(true)
    }

    /// A member leaves a group; `false` if it was not in it.
    pub fn leave(&mut self, group: &str, peer: PeerId) -> bool {
        let left = self.remove(group, peer);
        if left && let Some(groups) = self.peers.get_mut(&peer) {
            groups.swap_remove(group);
            if groups.is_empty() {
                self.peers.swap_remove(&peer);
            }
        }
        left
    }

    /// A connection is gone: returns the groups that lost a member.
    pub fn leave_all(&mut self, peer: PeerId) -> Vec<Arc<str>> {
        let groups: Vec<_> = self.peers.swap_remove(&peer).unwrap_or_default().into_iter().collect();
        for group in &groups {
            self.remove(group, peer);
        }
        groups
    }

    /// If a scan is due, drops the members that have been silent for longer than the expiry.
    pub fn handle_timeout(&mut self, now: Now) -> Vec<(Arc<str>, PeerId)> {
        if self.next_scan.is_none_or(|at| now.mono < at) {
            return Vec::new();
        }
        let silent = |member: &Member| now.mono.saturating_sub(member.last_update) > self.expiry;
        let expired: Vec<_> = self
            .groups
            .iter()
            .flat_map(|(group, members)| members.iter().map(move |(&peer, member)| (group, peer, member)))
            .filter(|(_, _, member)| silent(member))
            .map(|(group, peer, _)| (Arc::clone(group), peer))
            .collect();
        for (group, peer) in &expired {
            self.leave(group, *peer);
        }
        self.next_scan = (self.len > 0).then(|| now.mono + SCAN_INTERVAL);
        expired
    }

    /// When the next scan is due; `None` while there is no member.
    #[must_use]
    pub const fn poll_timeout(&self) -> Option<Millis> {
        self.next_scan
    }

    /// The members of a group; `None` if it has none.
    #[must_use]
    pub fn group(&self, group: &str) -> Option<&Group> {
        self.groups.get(group)
    }

    /// The groups that have members.
    pub fn groups(&self) -> impl Iterator<Item = (&Arc<str>, &Group)> {
        self.groups.iter()
    }

    /// Whether a connection is a member of any group.
    #[must_use]
    pub fn knows(&self, peer: PeerId) -> bool {
        self.peers.contains_key(&peer)
    }

    fn remove(&mut self, group: &str, peer: PeerId) -> bool {
        let Some(members) = self.groups.get_mut(group) else { return false };
        let removed = members.swap_remove(&peer);
        if let Some(member) = &removed {
            self.len -= 1;
            self.bytes -= member.client_id.len();
        }
        if members.is_empty() {
            self.groups.swap_remove(group);
            self.bytes -= group.len();
        }
        removed.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Now {
        Now { mono: Millis::from_secs(secs), ..Now::default() }
    }

    fn peer(id: u64) -> Peer {
        Peer { id: PeerId(id), addr: SocketAddr::from(([127, 0, 0, 1], 40_000)), from_here: false }
    }

    fn client(id: &str) -> Client<'_> {
        Client { id, language: Some(LanguageCode::Java), version: 513 }
    }

    const LIMITS: MemberLimits = MemberLimits { members: 10, bytes: 10_000 };

    fn table() -> Members {
        Members::new(LIMITS, Millis::from_secs(120))
    }

    #[test]
    fn the_first_heartbeat_of_a_connection_joins_and_later_ones_refresh() {
        let mut members = table();
        assert_eq!(members.join(at(0), "G", peer(1), client("c")), Ok(true));
        assert_eq!(members.join(at(30), "G", peer(1), client("d")), Ok(false));
        let member = &members.group("G").unwrap()[&PeerId(1)];
        assert_eq!((&*member.client_id, member.last_update), ("d", Millis::from_secs(30)));
    }

    #[test]
    fn a_closed_connection_leaves_all_its_groups_and_empty_groups_vanish() {
        let mut members = table();
        members.join(at(0), "G", peer(1), client("c")).unwrap();
        members.join(at(0), "H", peer(1), client("c")).unwrap();
        members.join(at(0), "H", peer(2), client("d")).unwrap();
        let groups: Vec<String> = members.leave_all(PeerId(1)).iter().map(ToString::to_string).collect();
        assert_eq!(groups, ["G", "H"]);
        assert!(members.group("G").is_none());
        assert_eq!(members.group("H").unwrap().len(), 1);
        assert!(!members.knows(PeerId(1)));
    }

    #[test]
    fn who_leaves_one_group_stays_in_the_others() {
        let mut members = table();
        members.join(at(0), "G", peer(1), client("c")).unwrap();
        members.join(at(0), "H", peer(1), client("c")).unwrap();
        assert!(members.leave("G", PeerId(1)));
        assert!(!members.leave("G", PeerId(1)));
        assert!(members.knows(PeerId(1)));
        assert!(members.group("H").is_some());
    }

    #[test]
    fn silence_of_more_than_the_expiry_drops_a_member_at_the_next_scan() {
        let mut members = table();
        members.join(at(0), "G", peer(1), client("c")).unwrap();
        members.join(at(20), "G", peer(2), client("d")).unwrap();
        assert_eq!(members.poll_timeout(), Some(Millis::from_secs(10)));
        assert!(members.handle_timeout(at(120)).is_empty());
        assert_eq!(members.poll_timeout(), Some(Millis::from_secs(130)));
        assert_eq!(members.handle_timeout(at(130)), [("G".into(), PeerId(1))]);
        assert_eq!(members.handle_timeout(at(141)), [("G".into(), PeerId(2))]);
        assert_eq!(members.poll_timeout(), None);
    }

    #[test]
    fn a_name_that_is_too_long_is_not_kept() {
        let mut members = table();
        let long = "x".repeat(NAME_MAX_LEN + 1);
        assert_eq!(members.join(at(0), &long, peer(1), client("c")), Err(JoinError::NameTooLong(1_025)));
        assert_eq!(members.join(at(0), "G", peer(1), client(&long)), Err(JoinError::NameTooLong(1_025)));
        assert!(!members.knows(PeerId(1)));
    }

    #[test]
    fn names_are_counted_by_their_bytes_and_those_that_leave_make_room() {
        let mut members = Members::new(MemberLimits { bytes: 10, ..LIMITS }, Millis::from_secs(120));
        members.join(at(0), "G", peer(1), client("1234")).unwrap();
        assert_eq!(members.join(at(0), "H", peer(1), client("12345")), Err(JoinError::NamesFull { limit: 10 }));
        assert_eq!(members.join(at(0), "G", peer(2), client("12345")), Ok(true));
        assert_eq!(members.join(at(0), "G", peer(1), client("12345")), Err(JoinError::NamesFull { limit: 10 }));
        assert_eq!(members.join(at(0), "G", peer(1), client("123")), Ok(false));
        members.leave_all(PeerId(1));
        members.leave_all(PeerId(2));
        assert_eq!(members.bytes, 0);
    }

    #[test]
    fn a_full_table_refuses_new_members_and_refreshes_old_ones() {
        let mut members = Members::new(MemberLimits { members: 1, ..LIMITS }, Millis::from_secs(120));
        members.join(at(0), "G", peer(1), client("c")).unwrap();
        assert_eq!(members.join(at(0), "G", peer(2), client("d")), Err(JoinError::Full { limit: 1 }));
        assert_eq!(members.join(at(1), "G", peer(1), client("c")), Ok(false));
        members.leave_all(PeerId(1));
        assert_eq!(members.join(at(2), "G", peer(2), client("d")), Ok(true));
    }
}
