//! The messages of one queue that a consumer has pulled and not done with (`ProcessQueue`).

use std::collections::BTreeMap;

use petrel_tests::requests::Stored;
use proto_core::properties::names as property;
use route_core::Millis;

use crate::{
    client::producer,
    names::{Key, Name},
};

/// A pulled message.
#[derive(Clone, Debug)]
pub(super) struct Pulled {
    /// Whose message it is.
    pub(super) key: Key,
    /// The topic that the application sees.
    pub(super) topic: Name,
    /// How often it has failed.
    pub(super) times: i32,
    /// What is not as its producer made it, if anything.
    pub(super) damage: Option<String>,
    /// The record it came in.
    pub(super) record: Stored,
}

impl Pulled {
    /// Takes a record; `None` if it is none of a simulated producer's.
    #[must_use]
    pub(super) fn new(record: Stored) -> Option<Self> {
        let key = record.body.parse().ok()?;
        let topic = record.properties.get(property::RETRY_TOPIC).unwrap_or(&record.topic);
        let damage = damage(key, &record);
        Some(Self { key, topic: topic.as_str().into(), times: record.times, damage, record })
    }
}

/// What a message has lost on its way: keys never change, and one that comes again says where it comes from.
fn damage(key: Key, record: &Stored) -> Option<String> {
    let has = |name: &str, value: &str| record.properties.get(name).is_some_and(|found| found == value);
    let intact = has(property::KEYS, &record.body) && has(property::UNIQ_KEY, &producer::unique_key(key));
    let traced =
        record.times == 0 || [property::RETRY_TOPIC, property::ORIGIN_MESSAGE_ID].iter().all(|name| record.properties.contains_key(*name));
    (!intact || !traced).then(|| format!("{:?}", record.properties))
}

/// The state of one queue that a consumer reads.
#[derive(Debug)]
pub(super) struct ProcessQueue {
    /// Tells this time of reading the queue from others.
    pub(super) id: u64,
    /// Messages by their offset.
    pub(super) messages: BTreeMap<i64, Pulled>,
    /// The offset of the last message that was ever put in.
    pub(super) last_offset: i64,
    /// Whether the queue was taken away; what is still being done with it counts no more.
    pub(super) dropped: bool,
    /// When the last pull was sent.
    pub(super) last_pull: Millis,
    /// The offset of the next pull.
    pub(super) next_offset: i64,
    /// Orderly: whether the broker has locked the queue for this client, and when it last said so.
    pub(super) locked: bool,
    /// See [`Self::locked`].
    pub(super) last_lock: Millis,
    /// Orderly: whether somebody works through the queue.
    pub(super) running: bool,
    /// Orderly: the message that is with the application.
    pub(super) working_on: Option<i64>,
    /// Orderly: whether the start of the reading has been set under the lock.
    pub(super) previously_locked: bool,
}

/// How long a client trusts a lock (`rocketmq.client.rebalance.lockMaxLiveTime`).
const LOCK_VALIDITY: Millis = Millis::from_secs(30);

/// Silence after which a queue is dropped and begun anew (`rocketmq.client.pull.pullMaxIdleTime`).
const PULL_MAX_IDLE: Millis = Millis::from_secs(120);

impl ProcessQueue {
    /// An empty queue that is read from an offset on.
    #[must_use]
    pub(super) const fn new(id: u64, now: Millis, next_offset: i64, locked: bool) -> Self {
        Self {
            id,
            messages: BTreeMap::new(),
            last_offset: -1,
            dropped: false,
            last_pull: now,
            next_offset,
            locked,
            last_lock: now,
            running: false,
            working_on: None,
            previously_locked: false,
        }
    }

    /// Takes what a pull has brought.
    pub(super) fn put(&mut self, pulled: impl Iterator<Item = Pulled>) {
        for message in pulled {
            self.last_offset = self.last_offset.max(message.record.offset);
            self.messages.insert(message.record.offset, message);
        }
    }

    /// Takes a message out that is done with; the offset to commit now, if the message was there.
    pub(super) fn remove(&mut self, offset: i64) -> Option<i64> {
        self.messages.remove(&offset)?;
        Some(self.messages.first_key_value().map_or(self.last_offset + 1, |(first, _)| *first))
    }

    /// How far the messages lie apart.
    #[must_use]
    pub(super) fn span(&self) -> i64 {
        let ends = self.messages.first_key_value().zip(self.messages.last_key_value());
        ends.map_or(0, |((first, _), (last, _))| last - first)
    }

    /// Whether the lock is one to trust.
    #[must_use]
    pub(super) fn holds_lock(&self, now: Millis) -> bool {
        self.locked && now.saturating_sub(self.last_lock) <= LOCK_VALIDITY
    }

    /// Whether no pull has been sent for too long.
    #[must_use]
    pub(super) fn has_stalled(&self, now: Millis) -> bool {
        now.saturating_sub(self.last_pull) > PULL_MAX_IDLE
    }
}
