//! How much memory the subscriptions of groups may take: in all, and of those that came over one connection.
//!
//! A frame may hold megabytes of tags, and a connection may send one for each group that it can think of.

use foldhash::fast::FixedState;
use indexmap::IndexMap;
use thiserror::Error;

use crate::output::PeerId;

/// How many bytes subscriptions may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubscriptionLimits {
    /// Those of all groups.
    pub bytes: usize,
    /// Those that one connection was the last to send.
    pub bytes_of_peer: usize,
}

/// Subscriptions that would take more than they may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NoRoom {
    /// Together with those of the other groups.
    #[error(
        "the subscriptions take {bytes} bytes, those of other groups {taken}, and the broker keeps no more than {limit}; subscribe by fewer tags"
    )]
    InAll {
        /// What was to be kept.
        bytes: usize,
        /// What is kept already.
        taken: usize,
        /// What may be kept.
        limit: usize,
    },
    /// Together with those that the same connection has sent for other groups.
    #[error(
        "the subscriptions take {bytes} bytes, those of this connection's other groups {taken}, and a connection may have {limit}; \
         subscribe by fewer tags"
    )]
    OfPeer {
        /// What was to be kept.
        bytes: usize,
        /// What is kept already.
        taken: usize,
        /// What may be kept.
        limit: usize,
    },
}

/// Counts what subscriptions take. A group's are put down to the connection that was the last to send them.
#[derive(Debug)]
pub(super) struct Room {
    limits: SubscriptionLimits,
    taken: usize,
    groups: IndexMap<Box<str>, (PeerId, usize), FixedState>,
    peers: IndexMap<PeerId, usize, FixedState>,
}

impl Room {
    pub(super) fn new(limits: SubscriptionLimits) -> Self {
        Self { limits, taken: 0, groups: IndexMap::default(), peers: IndexMap::default() }
    }

    /// Whether a connection may bring a group's subscriptions of so many bytes, instead of what the group has.
    pub(super) fn check(&self, group: &str, peer: PeerId, bytes: usize) -> Result<(), NoRoom> {
        let (owner, had) = self.groups.get(group).copied().unwrap_or((peer, 0));
        let others = self.taken - had;
        if others + bytes > self.limits.bytes {
            return Err(NoRoom::InAll { bytes, taken: others, limit: self.limits.bytes });
        }
        let own = self.peers.get(&peer).map_or(0, |of_peer| of_peer - if owner == peer { had } else { 0 });
        if own + bytes > self.limits.bytes_of_peer {
            return Err(NoRoom::OfPeer { bytes, taken: own, limit: self.limits.bytes_of_peer });
        }
        Ok(())
    }

    /// The group's subscriptions take so much from now on.
    pub(super) fn take(&mut self, group: &str, peer: PeerId, bytes: usize) {
        if self.groups.get(group) == Some(&(peer, bytes)) {
            return;
        }
        self.free(group);
        self.groups.insert(group.into(), (peer, bytes));
        *self.peers.entry(peer).or_default() += bytes;
        self.taken += bytes;
    }

    /// The group is gone.
    pub(super) fn free(&mut self, group: &str) {
        let Some((peer, bytes)) = self.groups.swap_remove(group) else { return };
        self.taken -= bytes;
        if let Some(of_peer) = self.peers.get_mut(&peer) {
            *of_peer -= bytes;
            if *of_peer == 0 {
                self.peers.swap_remove(&peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: PeerId = PeerId(1);
    const TWO: PeerId = PeerId(2);

    fn room() -> Room {
        Room::new(SubscriptionLimits { bytes: 150, bytes_of_peer: 100 })
    }

    #[test]
    fn what_a_connection_sends_for_all_its_groups_is_limited() {
        let mut room = room();
        room.take("a", ONE, 60);
        assert_eq!(room.check("b", ONE, 41), Err(NoRoom::OfPeer { bytes: 41, taken: 60, limit: 100 }));
        assert_eq!(room.check("b", ONE, 40), Ok(()));
        assert_eq!(room.check("b", TWO, 90), Ok(()));
    }

    #[test]
    fn what_all_groups_have_is_limited() {
        let mut room = room();
        room.take("a", ONE, 100);
        assert_eq!(room.check("b", TWO, 51), Err(NoRoom::InAll { bytes: 51, taken: 100, limit: 150 }));
        assert_eq!(room.check("b", TWO, 50), Ok(()));
    }

    #[test]
    fn a_groups_new_subscriptions_take_the_place_of_its_old_ones() {
        let mut room = room();
        room.take("a", ONE, 100);
        assert_eq!(room.check("a", ONE, 100), Ok(()));
        assert_eq!(room.check("a", TWO, 100), Ok(()));
        room.take("a", TWO, 90);
        assert_eq!(room.check("b", ONE, 60), Ok(()));
        assert_eq!(room.check("b", TWO, 11), Err(NoRoom::OfPeer { bytes: 11, taken: 90, limit: 100 }));
    }

    #[test]
    fn a_group_that_is_gone_takes_nothing() {
        let mut room = room();
        room.take("a", ONE, 100);
        room.free("a");
        assert!(room.taken == 0 && room.groups.is_empty() && room.peers.is_empty());
    }
}
