//! Where a message belongs that waits in one of the broker's own topics: for its delay, its time, or its producer's word.
//!
//! Its properties say so, and they are only as good as whoever wrote them. What leads nowhere is known here, before anything is made of it.

use proto_core::{
    names,
    properties::{self, names as property},
    record::RecordView,
};
use thiserror::Error;

use super::topics::QUEUES_LIMIT;

/// Characters of a bad name that are shown.
const SHOWN: usize = 80;

/// Why a message can go nowhere.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BadAddress {
    /// It does not say where it belongs.
    #[error("REAL_TOPIC or REAL_QID is missing")]
    Missing,
    /// No topic has such a name; its beginning.
    #[error("no topic can have the name {0:?} that its REAL_TOPIC says")]
    BadName(String),
    /// The topic is one that the broker reads back: nothing may come into it from outside.
    #[error("its REAL_TOPIC is {0}, into which the broker alone puts messages")]
    BrokersOwn(String),
    /// No topic has a queue of this number.
    #[error("no topic can have the queue {0} that its REAL_QID says")]
    BadQueue(i64),
}

/// Topic and queue that a message belongs to, borrowed from its properties.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address<'a> {
    /// A topic that may be.
    pub topic: &'a str,
    /// A queue that it may have.
    pub queue_id: i32,
}

impl<'a> Address<'a> {
    /// Reads `REAL_TOPIC` and `REAL_QID` of a record. Whether the topic is there is not asked.
    ///
    /// # Errors
    /// [`BadAddress`]
    pub fn of(record: &RecordView<'a>) -> Result<Self, BadAddress> {
        let topic = record.property(property::REAL_TOPIC).ok_or(BadAddress::Missing)?;
        let queue = properties::find_number(record.properties(), property::REAL_QID).ok_or(BadAddress::Missing)?;
        if names::validate_target(topic).is_err() {
            return Err(BadAddress::BadName(topic.chars().take(SHOWN).collect()));
        }
        if names::is_forbidden_to_send(topic) || names::is_read_by_broker(topic) {
            return Err(BadAddress::BrokersOwn(topic.to_owned()));
        }
        let queue_id = i32::try_from(queue).ok().filter(|id| (0..QUEUES_LIMIT).contains(id)).ok_or(BadAddress::BadQueue(queue))?;
        Ok(Self { topic, queue_id })
    }
}
