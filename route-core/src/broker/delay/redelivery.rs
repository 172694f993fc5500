//! A delayed record on its way to its real topic.

use proto_core::{
    hash::java_string_hash,
    names,
    properties::{self, names as property},
    record::{RecordError, RecordView},
};
use thiserror::Error;

use crate::storage::{NewMessage, TagsCode};

/// Why a delayed record goes nowhere. The schedule goes on behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Undeliverable {
    /// It is no record.
    #[error("no record: {0}")]
    Record(#[from] RecordError),
    /// It does not say where it belongs.
    #[error("REAL_TOPIC or REAL_QID is missing")]
    NoAddress,
    /// It would become a half message, which Java drops as well.
    #[error("half messages are not delayed")]
    HalfMessage,
}

/// A delayed record and where it belongs, borrowed from the record's bytes.
#[derive(Clone, Copy, Debug)]
pub struct Redelivery<'a> {
    record: RecordView<'a>,
    topic: &'a str,
    queue_id: i32,
}

impl<'a> Redelivery<'a> {
    /// Reads a record of the schedule topic.
    ///
    /// # Errors
    /// [`Undeliverable`].
    pub fn read(record: &'a [u8]) -> Result<Self, Undeliverable> {
        Self::of(RecordView::parse(record)?)
    }

    /// A record of the schedule topic, or of the timer's.
    ///
    /// # Errors
    /// [`Undeliverable`].
    pub fn of(record: RecordView<'a>) -> Result<Self, Undeliverable> {
        let topic = record.property(property::REAL_TOPIC).ok_or(Undeliverable::NoAddress)?;
        let queue_id = properties::find_number(record.properties(), property::REAL_QID);
        let queue_id = queue_id.and_then(|id| i32::try_from(id).ok()).filter(|&id| id >= 0).ok_or(Undeliverable::NoAddress)?;
        if topic == names::TRANS_HALF_TOPIC {
            return Err(Undeliverable::HalfMessage);
        }
        Ok(Self { record, topic, queue_id })
    }

    /// The topic it was sent to.
    #[must_use]
    pub const fn topic(&self) -> &'a str {
        self.topic
    }

    /// Its queue there.
    #[must_use]
    pub const fn queue_id(&self) -> i32 {
        self.queue_id
    }

    /// The message to append: all as it was stored but topic and queue. It keeps `DELAY`, `REAL_TOPIC` and `REAL_QID`, as Java's does,
    /// and is appended as it is: it waits no second time.
    #[must_use]
    pub fn message(&self) -> NewMessage<'a> {
        let record = &self.record;
        NewMessage {
            topic: self.topic,
            queue_id: self.queue_id,
            flag: record.flag(),
            sys_flag: record.sys_flag(),
            born_timestamp: record.born_timestamp(),
            born_host: record.born_host(),
            store_host: record.store_host(),
            reconsume_times: record.reconsume_times(),
            prepared_transaction_offset: record.prepared_transaction_offset(),
            body: record.body(),
            properties: record.properties(),
            tags_code: TagsCode::Hash(record.property(property::TAGS).map_or(0, |tags| i64::from(java_string_hash(tags)))),
        }
    }
}
