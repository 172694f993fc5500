//! Half messages and the notes of their end, as they are stored.

use std::sync::Arc;

use proto_core::{
    names,
    properties::{self, PropertiesWriter, names as property},
    record::{RecordError, RecordView},
};
use thiserror::Error;

use crate::{
    broker::address::{Address, BadAddress},
    storage::LogOffset,
    time::{Millis, Timestamp},
};

/// The tag of a note: its half messages are done with.
pub const DONE: &str = "d";

/// Why a record is no half message.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NotHalf {
    /// It is no record.
    #[error("no record: {0}")]
    Record(#[from] RecordError),
    /// It is one of another topic, or lies elsewhere.
    #[error("no half message")]
    Elsewhere,
    /// It belongs nowhere.
    #[error(transparent)]
    Address(#[from] BadAddress),
}

/// A half message, borrowed from its record.
#[derive(Clone, Copy, Debug)]
pub struct Half<'a> {
    record: RecordView<'a>,
    address: Address<'a>,
}

impl<'a> Half<'a> {
    /// Reads the record at `place`.
    ///
    /// # Errors
    /// [`NotHalf`].
    pub fn read(record: &'a [u8], place: LogOffset) -> Result<Self, NotHalf> {
        let half = Self::read_aside(record, place)?;
        if half.record.topic() == names::TRANS_HALF_TOPIC { Ok(half) } else { Err(NotHalf::Elsewhere) }
    }

    /// The same for a copy in another topic, where it was put after too many questions.
    ///
    /// # Errors
    /// [`NotHalf`].
    pub fn read_aside(record: &'a [u8], place: LogOffset) -> Result<Self, NotHalf> {
        let record = RecordView::parse(record)?;
        // A place inside of another message's body may look like a record, but it does not know where it lies.
        if record.physical_offset() != place.0 {
            return Err(NotHalf::Elsewhere);
        }
        let address = Address::of(&record)?;
        Ok(Self { record, address })
    }

    /// The record.
    #[must_use]
    pub const fn record(&self) -> &RecordView<'a> {
        &self.record
    }

    /// The topic that it was sent to.
    #[must_use]
    pub const fn topic(&self) -> &'a str {
        self.address.topic
    }

    /// Its queue there.
    #[must_use]
    pub const fn queue_id(&self) -> i32 {
        self.address.queue_id
    }

    /// The group of its producer.
    #[must_use]
    pub fn group(&self) -> Option<&'a str> {
        self.record.property(property::PGROUP)
    }

    /// What tells the transaction from others: group and key. `None` if either is missing.
    #[must_use]
    pub fn identity(&self) -> Option<Arc<str>> {
        Some([self.group()?, " ", self.unique_key()?].concat().into())
    }

    /// The producer's key of the message.
    #[must_use]
    pub fn unique_key(&self) -> Option<&'a str> {
        self.record.property(property::UNIQ_KEY)
    }

    /// How often its producers have been asked.
    #[must_use]
    pub fn checks(&self) -> u32 {
        let times = properties::find_number(self.record.properties(), property::TRANSACTION_CHECK_TIMES);
        times.and_then(|times| u32::try_from(times).ok()).unwrap_or(0)
    }

    /// How long its producer wants not to be asked, from the moment at which it made the message.
    #[must_use]
    pub fn immunity(&self) -> Option<Millis> {
        let seconds = properties::find_number(self.record.properties(), property::CHECK_IMMUNITY_TIME_IN_SECONDS)?;
        u64::try_from(seconds).ok().map(|seconds| Millis(seconds.saturating_mul(1000)))
    }

    /// When its producers are to be asked first if they keep silent: after the time that they wanted, or `timeout` after it was stored.
    #[must_use]
    pub fn first_check(&self, timeout: Millis) -> Timestamp {
        match self.immunity() {
            Some(immunity) => Timestamp(self.record.born_timestamp()).plus(immunity),
            None => Timestamp(self.record.store_timestamp()).plus(timeout),
        }
    }
}

/// Makes the properties of a message those of its half message.
pub fn prepare(properties: &mut PropertiesWriter, topic: &str, queue_id: i32, unique_key: &[u8]) {
    properties.put(property::TRANSACTION_ID, unique_key);
    properties.put(property::REAL_TOPIC, topic.as_bytes());
    properties.put_number(property::REAL_QID, queue_id.into());
}

/// The body of a note about these half messages.
pub fn write_op(halves: &[i64], body: &mut Vec<u8>) {
    body.clear();
    for half in halves {
        body.extend_from_slice(itoa::Buffer::new().format(*half).as_bytes());
        body.push(b',');
    }
}

/// The half messages that a note is about.
pub fn read_op(body: &[u8]) -> impl Iterator<Item = i64> {
    body.split(|&byte| byte == b',').filter_map(|number| std::str::from_utf8(number).ok()?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_tells_what_was_written_into_it() {
        let mut body = Vec::new();
        write_op(&[12, 7], &mut body);
        assert_eq!(body, b"12,7,");
        assert_eq!(read_op(&body).collect::<Vec<_>>(), [12, 7]);
        // Older brokers wrote one number without a comma.
        assert_eq!(read_op(b"13").collect::<Vec<_>>(), [13]);
        assert_eq!(read_op(b"x, 14,,-").collect::<Vec<_>>(), [14]);
    }

    #[test]
    fn a_half_message_says_where_it_belongs() {
        let mut properties = PropertiesWriter::new();
        properties.start(b"TRAN_MSG\x01true\x02UNIQ_KEY\x01K\x02REAL_TOPIC\x01forged\x02");
        prepare(&mut properties, "Orders", 3, b"K");
        assert_eq!(
            properties.as_bytes(),
            b"TRAN_MSG\x01true\x02UNIQ_KEY\x01K\x02__transactionId__\x01K\x02REAL_TOPIC\x01Orders\x02REAL_QID\x013\x02"
        );
    }
}
