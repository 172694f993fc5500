//! A delayed record on its way to its real topic.

use proto_core::{hash::java_string_hash, properties::names as property, record::RecordView};

use crate::{
    broker::address::{Address, BadAddress},
    storage::{NewMessage, TagsCode},
};

/// A delayed record and where it belongs, borrowed from the record's bytes.
#[derive(Clone, Copy, Debug)]
pub struct Redelivery<'a> {
    record: RecordView<'a>,
    address: Address<'a>,
}

impl<'a> Redelivery<'a> {
    /// A record of the schedule topic, or of the timer's.
    ///
    /// # Errors
    /// It can go nowhere. One that would become a half message is among those, as in Java.
    pub fn of(record: RecordView<'a>) -> Result<Self, BadAddress> {
        let address = Address::of(&record)?;
        Ok(Self { record, address })
    }

    /// The topic it was sent to.
    #[must_use]
    pub const fn topic(&self) -> &'a str {
        self.address.topic
    }

    /// Its queue there.
    #[must_use]
    pub const fn queue_id(&self) -> i32 {
        self.address.queue_id
    }

    /// The message to append: all as it was stored but topic and queue. It keeps `DELAY`, `REAL_TOPIC` and `REAL_QID`, as Java's does,
    /// and is appended as it is: it waits no second time.
    #[must_use]
    pub fn message(&self) -> NewMessage<'a> {
        message_for(&self.record, self.address.topic, self.address.queue_id)
    }
}

/// What a record becomes in another queue.
#[must_use]
pub fn message_for<'a>(record: &RecordView<'a>, topic: &'a str, queue_id: i32) -> NewMessage<'a> {
    NewMessage {
        topic,
        queue_id,
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
