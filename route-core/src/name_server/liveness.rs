//! Who has been silent for too long.
//!
//! Silence is measured on a clock that stands still while this machine is not run: after a long pause of the process the
//! heartbeats of the pause still wait in the sockets, and nobody may be taken for dead before they could be read.

use std::collections::{BTreeMap, BTreeSet};

use crate::{output::PeerId, time::Millis};

/// One who is expected to be heard again.
#[derive(Clone, Copy, Debug)]
struct Member {
    /// The connection it was heard on.
    peer: PeerId,
    /// When it was heard, on the machine's own clock.
    heard: Millis,
    /// How long it may be silent.
    timeout: Millis,
}

/// Keeps watch over members that are known by a key `K`. Its tables are as large as its caller lets them grow.
#[derive(Debug)]
pub struct Liveness<K> {
    members: BTreeMap<K, Member>,
    by_peer: BTreeMap<PeerId, BTreeSet<K>>,
    interval: Millis,
    /// The moment of the last call.
    turn: Millis,
    /// Time that has passed while the machine was running.
    clock: Millis,
    next_scan: Option<Millis>,
}

impl<K: Ord + Clone> Liveness<K> {
    /// Nobody to watch yet; scans follow each other after `interval`.
    #[must_use]
    pub fn new(interval: Millis) -> Self {
        Self {
            members: BTreeMap::new(),
            by_peer: BTreeMap::new(),
            interval: interval.max(Millis(1)),
            turn: Millis::ZERO,
            clock: Millis::ZERO,
            next_scan: None,
        }
    }

    /// From now on scans follow each other after `interval`.
    pub fn set_interval(&mut self, now: Millis, interval: Millis) {
        self.interval = interval.max(Millis(1));
        self.next_scan = self.next_scan.map(|next| next.min(now + self.interval));
    }

    /// A member was heard on `peer` and may now be silent for `timeout`. What was known of it is replaced.
    pub fn handle_heard(&mut self, now: Millis, key: K, peer: PeerId, timeout: Millis) {
        self.pass_time(now);
        self.forget(&key);
        self.by_peer.entry(peer).or_default().insert(key.clone());
        self.members.insert(key, Member { peer, heard: self.clock, timeout });
        self.next_scan.get_or_insert(now + self.interval);
    }

    /// A sign of life of a member that is known; of one that is not, nothing.
    pub fn handle_sign_of_life(&mut self, now: Millis, key: &K) {
        self.pass_time(now);
        if let Some(member) = self.members.get_mut(key) {
            member.heard = self.clock;
        }
    }

    /// A connection is gone: those who were last heard on it, now forgotten here.
    #[must_use]
    pub fn handle_disconnected(&mut self, now: Millis, peer: PeerId) -> Vec<K> {
        self.pass_time(now);
        let gone = self.by_peer.remove(&peer).unwrap_or_default();
        for key in &gone {
            self.members.remove(key);
        }
        gone.into_iter().collect()
    }

    /// Looks who has been silent for too long; they are forgotten here. Nothing happens before the time is due.
    #[must_use]
    pub fn handle_timeout(&mut self, now: Millis) -> Vec<(K, PeerId)> {
        self.pass_time(now);
        if self.next_scan.is_none_or(|due| now < due) {
            return Vec::new();
        }
        let clock = self.clock;
        let expired = |member: &Member| member.heard + member.timeout < clock;
        let gone: Vec<_> =
            self.members.iter().filter(|(_, member)| expired(member)).map(|(key, member)| (key.clone(), member.peer)).collect();
        for (key, _) in &gone {
            self.forget(key);
        }
        self.next_scan = if self.members.is_empty() { None } else { Some(now + self.interval) };
        gone
    }

    /// When the next scan is due, if there is anybody to look after.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Millis> {
        self.next_scan
    }

    /// Stops watching a member. Whether it was known.
    pub fn forget(&mut self, key: &K) -> bool {
        let Some(member) = self.members.remove(key) else {
            return false;
        };
        if let Some(keys) = self.by_peer.get_mut(&member.peer) {
            keys.remove(key);
            if keys.is_empty() {
                self.by_peer.remove(&member.peer);
            }
        }
        true
    }

    /// Lets the own clock follow, by one interval at most: with members to watch the machine is run at least that often,
    /// so a longer gap is a pause of the process.
    fn pass_time(&mut self, now: Millis) {
        self.clock = self.clock + now.saturating_sub(self.turn).min(self.interval);
        self.turn = self.turn.max(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCAN: Millis = Millis::from_secs(5);
    const TIMEOUT: Millis = Millis::from_secs(120);
    const PEER: PeerId = PeerId(7);

    fn run_until(liveness: &mut Liveness<&'static str>, end: Millis) -> Vec<(&'static str, PeerId)> {
        let mut gone = Vec::new();
        while let Some(due) = liveness.poll_timeout().filter(|due| *due <= end) {
            gone.extend(liveness.handle_timeout(due));
        }
        gone
    }

    #[test]
    fn a_silent_member_expires_at_the_first_scan_after_its_timeout() {
        let mut liveness = Liveness::new(SCAN);
        liveness.handle_heard(Millis::ZERO, "a", PEER, TIMEOUT);
        assert_eq!(run_until(&mut liveness, Millis::from_secs(120)), []);
        assert_eq!(run_until(&mut liveness, Millis::from_secs(125)), [("a", PEER)]);
        assert_eq!(liveness.poll_timeout(), None);
    }

    #[test]
    fn a_sign_of_life_prolongs_a_member() {
        let mut liveness = Liveness::new(SCAN);
        liveness.handle_heard(Millis::ZERO, "a", PEER, TIMEOUT);
        assert_eq!(run_until(&mut liveness, Millis::from_secs(100)), []);
        liveness.handle_sign_of_life(Millis::from_secs(100), &"a");
        assert_eq!(run_until(&mut liveness, Millis::from_secs(220)), []);
        assert_eq!(run_until(&mut liveness, Millis::from_secs(225)), [("a", PEER)]);
    }

    #[test]
    fn each_member_has_its_own_timeout() {
        let mut liveness = Liveness::new(SCAN);
        liveness.handle_heard(Millis::ZERO, "patient", PEER, TIMEOUT);
        liveness.handle_heard(Millis::ZERO, "hasty", PEER, Millis::from_secs(10));
        assert_eq!(run_until(&mut liveness, Millis::from_secs(15)), [("hasty", PEER)]);
    }

    #[test]
    fn a_long_pause_of_the_process_expires_nobody() {
        let mut liveness = Liveness::new(SCAN);
        liveness.handle_heard(Millis::ZERO, "a", PEER, TIMEOUT);
        let resumed = Millis::from_secs(600);
        assert_eq!(liveness.handle_timeout(resumed), []);
        liveness.handle_sign_of_life(resumed, &"a");
        assert_eq!(run_until(&mut liveness, Millis::from_secs(700)), []);
    }

    #[test]
    fn who_died_during_a_pause_expires_after_it() {
        let mut liveness = Liveness::new(SCAN);
        liveness.handle_heard(Millis::ZERO, "a", PEER, TIMEOUT);
        assert_eq!(liveness.handle_timeout(Millis::from_secs(600)), []);
        assert_eq!(run_until(&mut liveness, Millis::from_secs(600 + 125)), [("a", PEER)]);
    }

    #[test]
    fn a_lost_connection_gives_up_all_who_were_last_heard_on_it() {
        let mut liveness = Liveness::new(SCAN);
        liveness.handle_heard(Millis::ZERO, "a", PEER, TIMEOUT);
        liveness.handle_heard(Millis::ZERO, "b", PEER, TIMEOUT);
        liveness.handle_heard(Millis::ZERO, "moved", PEER, TIMEOUT);
        liveness.handle_heard(Millis(1), "moved", PeerId(8), TIMEOUT);
        assert_eq!(liveness.handle_disconnected(Millis(2), PEER), ["a", "b"]);
        assert_eq!(liveness.handle_disconnected(Millis(3), PeerId(8)), ["moved"]);
    }

    #[test]
    fn a_scan_that_comes_early_does_nothing() {
        let mut liveness = Liveness::new(SCAN);
        liveness.handle_heard(Millis::ZERO, "a", PEER, Millis(1));
        assert_eq!(liveness.handle_timeout(Millis(4_999)), []);
        assert_eq!(liveness.handle_timeout(SCAN), [("a", PEER)]);
    }
}
