//! Looking messages up by what their producers named them with: unique key, business keys, tag.

use std::borrow::Cow;

use proto_core::{
    properties::{self, KEY_SEPARATOR, names},
    record::RecordView,
    sys_flag::message::{TRANSACTION_ROLLBACK, transaction},
};

use super::{LogOffset, LogRange};
use crate::time::Timestamp;

/// Most bytes that one look-up answers: with the longest messages, 64 of them would make a frame that no client takes.
/// The newest messages count; at least one is answered, whatever its length.
pub const MAX_FOUND_BYTES: u64 = 12 << 20;

/// By what a message is looked up (`indexType`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyKind {
    /// By its unique key or one of its business keys.
    #[default]
    Key,
    /// By its tag.
    Tag,
}

/// A look-up of messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyQuery {
    /// The topic that they are stored under.
    pub topic: Box<str>,
    /// The key or the tag.
    pub key: Box<str>,
    /// What `key` is.
    pub kind: KeyKind,
    /// How many messages at most; the newest ones count.
    pub max: usize,
    /// Stored not before.
    pub begin: Timestamp,
    /// Stored not after.
    pub end: Timestamp,
}

impl KeyQuery {
    /// Whether a stored message is one of those looked for. Messages of rolled back transactions never are.
    #[must_use]
    pub fn matches(&self, record: &RecordView<'_>) -> bool {
        let stored = Timestamp(record.store_timestamp());
        if !(self.begin..=self.end).contains(&stored) || record.topic() != &*self.topic || !is_indexed(record) {
            return false;
        }
        let names = MessageNames::of(record.properties());
        let is_key = |name: &[u8]| text_of(name) == *self.key;
        match self.kind {
            KeyKind::Key => names.unique_key.is_some_and(is_key) || names.keys().any(is_key),
            KeyKind::Tag => names.tags.is_some_and(is_key),
        }
    }
}

/// Whether a message can be looked up if it has names.
#[must_use]
pub fn is_indexed(record: &RecordView<'_>) -> bool {
    transaction(record.sys_flag()) != TRANSACTION_ROLLBACK
}

/// Whether there is anything that a message can be looked up by.
#[must_use]
pub fn has_names(record: &RecordView<'_>) -> bool {
    let names = MessageNames::of(record.properties());
    is_indexed(record) && (names.unique_key.is_some() || names.tags.is_some() || names.keys().next().is_some())
}

/// What a message can be looked up by. Of equal properties the last one counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MessageNames<'a> {
    /// `UNIQ_KEY`
    pub unique_key: Option<&'a [u8]>,
    keys: &'a [u8],
    /// `TAGS`
    pub tags: Option<&'a [u8]>,
}

impl<'a> MessageNames<'a> {
    /// Looks through a message's properties.
    #[must_use]
    pub fn of(properties: &'a [u8]) -> Self {
        let mut found = Self::default();
        for (name, value) in properties::iter(properties) {
            match name {
                name if name == names::UNIQ_KEY.as_bytes() => found.unique_key = Some(value),
                name if name == names::KEYS.as_bytes() => found.keys = value,
                name if name == names::TAGS.as_bytes() => found.tags = Some(value),
                _ => {}
            }
        }
        found
    }

    /// The business keys.
    pub fn keys(&self) -> impl Iterator<Item = &'a [u8]> {
        self.keys.split(|byte| *byte == KEY_SEPARATOR).filter(|key| !key.is_empty())
    }
}

/// What a look-up has found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The messages' places in the order of the log.
    pub ranges: Vec<LogRange>,
    /// Store time of the newest message that can be found by its names; 0 if there is none.
    pub last_timestamp: Timestamp,
    /// Where that message lies.
    pub last_offset: LogOffset,
    /// It took more work than one look-up may make: there may be more messages, older than those that were found.
    pub given_up: bool,
}

impl Found {
    /// Puts the messages, which were found newest first, in the order of the log, without those that would make the answer too long.
    pub fn finish(&mut self) {
        let mut bytes = 0;
        let fitting = self.ranges.iter().take_while(|range| {
            bytes += u64::from(range.len);
            bytes <= MAX_FOUND_BYTES
        });
        let count = fitting.count().max(1);
        self.ranges.truncate(count);
        self.ranges.sort_unstable_by_key(|range| range.offset);
    }
}

/// The number of a look-up that is answered later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueryTicket(pub u64);

/// How a look-up goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Search {
    /// This is what was found.
    Done(Found),
    /// The disk has to be asked: [`Broker::handle_found`](crate::broker::Broker::handle_found) brings the ticket back.
    Later(QueryTicket),
    /// Too many look-ups are under way.
    Busy,
}

/// A property's value as text, the way Java reads it.
#[must_use]
pub fn text_of(value: &[u8]) -> Cow<'_, str> {
    // `from_utf8` steps over ASCII by the word, which the lossy reading does not.
    str::from_utf8(value).map_or_else(|_| String::from_utf8_lossy(value), Cow::Borrowed)
}
