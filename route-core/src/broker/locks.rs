//! Queue locks of ordered consumers: a queue is handed to one client of a group at a time (`LOCK_BATCH_MQ`, `UNLOCK_BATCH_MQ`).
//!
//! Locks live in memory only: after a restart the clients, which renew every 20 s, take them again.

use foldhash::fast::FixedState;
use indexmap::{Equivalent, IndexMap};

use crate::time::{Millis, Now};

/// How long a lock holds without being renewed (`rocketmq.broker.rebalance.lockMaxLiveTime`).
pub const LOCK_MAX_LIVE_TIME: Millis = Millis::from_secs(60);

/// Time between two sweeps for locks that nobody renews any more.
const SWEEP_INTERVAL: Millis = Millis::from_secs(60);

/// A queue as clients name it, borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct QueueName<'a> {
    /// Topic.
    pub topic: &'a str,
    /// Broker name; part of the key, as a client may lock queues that it believes to be here.
    pub broker_name: &'a str,
    /// Number of the queue in the topic.
    pub queue_id: i32,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct QueueKey {
    topic: Box<str>,
    broker_name: Box<str>,
    queue_id: i32,
}

impl Equivalent<QueueKey> for QueueName<'_> {
    fn equivalent(&self, key: &QueueKey) -> bool {
        *self.topic == *key.topic && *self.broker_name == *key.broker_name && self.queue_id == key.queue_id
    }
}

#[derive(Debug)]
struct Lock {
    client: Box<str>,
    renewed: Millis,
}

impl Lock {
    fn expired(&self, now: Now) -> bool {
        now.mono.saturating_sub(self.renewed) > LOCK_MAX_LIVE_TIME
    }
}

/// All locks, by group and queue.
#[derive(Debug)]
pub struct QueueLocks {
    groups: IndexMap<Box<str>, IndexMap<QueueKey, Lock, FixedState>, FixedState>,
    len: usize,
    limit: usize,
    next_sweep: Option<Millis>,
}

impl QueueLocks {
    /// A table for at most `limit` locks.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { groups: IndexMap::default(), len: 0, limit, next_sweep: None }
    }

    /// Locks a queue for a client of a group: succeeds if it is free, its own (which renews it) or expired.
    /// A full table refuses new locks.
    pub fn lock(&mut self, now: Now, group: &str, queue: QueueName<'_>, client: &str) -> bool {
        if let Some(lock) = self.groups.get_mut(group).and_then(|locks| locks.get_mut(&queue)) {
            if *lock.client != *client {
                if !lock.expired(now) {
                    return false;
                }
                lock.client = client.into();
            }
            lock.renewed = now.mono;
            return true;
        }
        if self.len >= self.limit {
            return false;
        }
        if !self.groups.contains_key(group) {
            self.groups.insert(group.into(), IndexMap::default());
        }
        let Some(locks) = self.groups.get_mut(group) else { return false };
        let key = QueueKey { topic: queue.topic.into(), broker_name: queue.broker_name.into(), queue_id: queue.queue_id };
        locks.insert(key, Lock { client: client.into(), renewed: now.mono });
        self.len += 1;
        self.next_sweep.get_or_insert(now.mono + SWEEP_INTERVAL);
        true
    }

    /// Frees a queue if this client holds it.
    pub fn unlock(&mut self, group: &str, queue: QueueName<'_>, client: &str) {
        let Some(locks) = self.groups.get_mut(group) else { return };
        if locks.get(&queue).is_some_and(|lock| *lock.client == *client) {
            locks.swap_remove(&queue);
            self.len -= 1;
            if locks.is_empty() {
                self.groups.swap_remove(group);
            }
        }
    }

    /// Whether a group holds any lock that has not expired: then it consumes in order, and what it sends to its retry topic is
    /// dead, as for Java.
    #[must_use]
    pub fn holds_any(&self, now: Now, group: &str) -> bool {
        self.groups.get(group).is_some_and(|locks| locks.values().any(|lock| !lock.expired(now)))
    }

    /// Forgets a group's locks: it was deleted, or its offsets were reset.
    pub fn remove_group(&mut self, group: &str) {
        if let Some(locks) = self.groups.swap_remove(group) {
            self.len -= locks.len();
        }
    }

    /// Sweeps locks that nobody has renewed, so that groups that are gone leave nothing behind.
    pub fn handle_timeout(&mut self, now: Now) {
        if self.next_sweep.is_none_or(|at| now.mono < at) {
            return;
        }
        self.groups.retain(|_, locks| {
            locks.retain(|_, lock| !lock.expired(now));
            !locks.is_empty()
        });
        self.len = self.groups.values().map(IndexMap::len).sum();
        self.next_sweep = (self.len > 0).then(|| now.mono + SWEEP_INTERVAL);
    }

    /// When the next sweep is due; `None` while there is no lock.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Millis> {
        self.next_sweep
    }

    /// Number of locks, expired ones included until they are swept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no lock.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const Q0: QueueName<'static> = QueueName { topic: "T", broker_name: "broker-a", queue_id: 0 };
    const Q1: QueueName<'static> = QueueName { queue_id: 1, ..Q0 };

    fn at(secs: u64) -> Now {
        Now { mono: Millis::from_secs(secs), ..Now::default() }
    }

    #[test]
    fn a_locked_queue_is_refused_to_another_client_and_renewed_by_its_own() {
        let mut locks = QueueLocks::new(10);
        assert!(locks.lock(at(0), "G", Q0, "a"));
        assert!(!locks.lock(at(1), "G", Q0, "b"));
        assert!(locks.lock(at(59), "G", Q0, "a"));
        assert!(!locks.lock(at(119), "G", Q0, "b"), "60 s after the renewal it still holds");
    }

    #[test]
    fn an_expired_lock_can_be_taken_over() {
        let mut locks = QueueLocks::new(10);
        assert!(locks.lock(at(0), "G", Q0, "a"));
        assert!(locks.lock(Now { mono: Millis(60_001), ..Now::default() }, "G", Q0, "b"));
        assert!(!locks.lock(at(61), "G", Q0, "a"));
    }

    #[test]
    fn groups_lock_the_same_queue_apart_from_each_other() {
        let mut locks = QueueLocks::new(10);
        assert!(locks.lock(at(0), "G", Q0, "a"));
        assert!(locks.lock(at(0), "H", Q0, "b"));
    }

    #[test]
    fn only_the_owner_unlocks() {
        let mut locks = QueueLocks::new(10);
        locks.lock(at(0), "G", Q0, "a");
        locks.unlock("G", Q0, "b");
        assert!(!locks.lock(at(0), "G", Q0, "b"));
        locks.unlock("G", Q0, "a");
        assert!(locks.lock(at(0), "G", Q0, "b"));
    }

    #[test]
    fn a_group_consumes_in_order_until_its_last_lock_expires() {
        let mut locks = QueueLocks::new(10);
        assert!(!locks.holds_any(at(0), "G"));
        locks.lock(at(0), "G", Q0, "a");
        locks.lock(at(30), "G", Q1, "a");
        assert!(locks.holds_any(at(90), "G"));
        assert!(!locks.holds_any(at(91), "G"));
    }

    #[test]
    fn a_full_table_refuses_new_locks_and_still_renews_old_ones() {
        let mut locks = QueueLocks::new(1);
        assert!(locks.lock(at(0), "G", Q0, "a"));
        assert!(!locks.lock(at(0), "G", Q1, "a"));
        assert!(locks.lock(at(0), "G", Q0, "a"));
        locks.unlock("G", Q0, "a");
        assert!(locks.lock(at(0), "G", Q1, "a"));
    }

    #[test]
    fn a_sweep_drops_what_nobody_renews_and_no_sweep_is_due_for_an_empty_table() {
        let mut locks = QueueLocks::new(10);
        assert_eq!(locks.poll_timeout(), None);
        locks.lock(at(0), "G", Q0, "a");
        locks.lock(at(50), "G", Q1, "a");
        assert_eq!(locks.poll_timeout(), Some(Millis::from_secs(60)));
        locks.handle_timeout(at(61));
        assert_eq!(locks.len(), 1);
        assert_eq!(locks.poll_timeout(), Some(Millis::from_secs(121)));
        locks.handle_timeout(at(121));
        assert!(locks.is_empty());
        assert_eq!(locks.poll_timeout(), None);
    }
}
