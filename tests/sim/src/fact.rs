//! What happened, as oracles read it.

use crate::names::{Key, Name, Queue, Spot};

/// A record that a broker's storage has taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Where it lies in its queue.
    pub spot: Spot,
    /// Where it begins in the log.
    pub place: i64,
    /// Where it ends in the log.
    pub end: i64,
    /// Whose message it is; `None` if it is not one of a simulated producer.
    pub key: Option<Key>,
    /// How often it has failed.
    pub times: i32,
    /// The topic and queue that a delayed message waits for.
    pub real: Option<(Name, i32)>,
    /// The tags code of its unit: for delayed messages the moment of delivery.
    pub tags_code: i64,
    /// When it was stored, by the broker's wall clock.
    pub stored_at: i64,
}

/// Something that happened in a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// A broker's storage took a record.
    Stored {
        /// The broker.
        broker: Name,
        /// The record.
        record: Record,
    },
    /// A producer heard that its message is stored.
    Acked {
        /// The message.
        key: Key,
        /// Where it is said to lie.
        spot: Spot,
        /// Its place in the log, as its id says.
        place: i64,
    },
    /// A producer gave up: whether the message is stored is not known.
    GaveUp {
        /// The message.
        key: Key,
    },
    /// A consumer begins to read a queue.
    Began {
        /// Its group.
        group: Name,
        /// The client.
        client: Name,
        /// The queue.
        queue: Queue,
        /// The first offset it reads.
        from: i64,
    },
    /// An application has taken a message, well or not.
    Handled {
        /// The group.
        group: Name,
        /// The client.
        client: Name,
        /// Where the message came from.
        spot: Spot,
        /// The message.
        key: Key,
        /// How often it has failed before.
        times: i32,
        /// Whether the application could handle it.
        well: bool,
    },
}
