//! The log as the machines see it: it appends and reads at once, is committed before anybody hears of what was appended, and says later how far
//! it is durable. What is read includes what is not committed yet, unless committing it has failed.
//!
//! `store` implements this trait on files, [`memory`] in plain memory for tests and simulation.

use std::net::SocketAddr;

use proto_core::{
    names::RETRY_OR_DLQ_TOPIC_MAX_LEN,
    record::{EncodeError, RecordFields, without_trailer},
};
use thiserror::Error;

use self::keys::{KeyQuery, Search};
use crate::time::Timestamp;

pub mod keys;
pub mod memory;

/// A byte position in the commit log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogOffset(pub i64);

/// Some bytes of the commit log: one record, or several that touch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogRange {
    /// Where the first byte lies.
    pub offset: LogOffset,
    /// How many bytes.
    pub len: u32,
}

/// Whether a message can be handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readability {
    /// It can.
    Whole,
    /// It is damaged. Storage tells its operator; readers pass over it.
    Damaged,
    /// Nothing lies where its unit says, and storage is finding out where it is: readers wait in front of it.
    InDoubt,
}

/// A queue of one topic, named by a number that storage hands out. It is never given to another queue while the process lives;
/// after its topic is removed the queue reads as empty and refuses appends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueueId(pub u32);

/// The logical offsets that a queue holds: `min` is the first readable message, `max` the offset that the next one becomes
/// readable at (with durable acknowledgements only what is durable is readable).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueBounds {
    /// Offset of the first message that is still there.
    pub min: i64,
    /// One more than the offset of the last readable message.
    pub max: i64,
}

/// One entry of a consume queue: where a message lies, and the hash of its tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueUnit {
    /// Where the record lies in the commit log.
    pub offset: LogOffset,
    /// Length of the record in bytes.
    pub size: u32,
    /// Java hash of the tag, sign-extended; the delivery time in ms for delayed messages; 0 without a tag.
    pub tags_code: i64,
}

impl QueueUnit {
    /// Length of an encoded unit: `i64 offset | i32 size | i64 tags code`.
    pub const LEN: usize = 20;

    /// Reads a unit from its bytes.
    #[must_use]
    pub fn decode(bytes: &[u8; Self::LEN]) -> Self {
        let [o0, o1, o2, o3, o4, o5, o6, o7, s0, s1, s2, s3, tags @ ..] = *bytes;
        Self {
            offset: LogOffset(i64::from_be_bytes([o0, o1, o2, o3, o4, o5, o6, o7])),
            size: u32::from_be_bytes([s0, s1, s2, s3]),
            tags_code: i64::from_be_bytes(tags),
        }
    }

    /// The unit's bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[..8].copy_from_slice(&self.offset.0.to_be_bytes());
        bytes[8..12].copy_from_slice(&self.size.to_be_bytes());
        bytes[12..].copy_from_slice(&self.tags_code.to_be_bytes());
        bytes
    }
}

/// Consecutive units of one queue, borrowed from where they lie.
#[derive(Clone, Copy, Debug, Default)]
pub struct Units<'a> {
    bytes: &'a [u8],
}

impl<'a> Units<'a> {
    /// Units that lie encoded in `bytes`; a remainder shorter than a unit is ignored.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// Takes the first `count` of them off, or all if there are fewer.
    #[must_use]
    pub fn take_first(&mut self, count: usize) -> Self {
        let (first, rest) = self.bytes.split_at(count.saturating_mul(QueueUnit::LEN).min(self.bytes.len()));
        self.bytes = rest;
        Self { bytes: first }
    }
}

impl ExactSizeIterator for Units<'_> {}

impl Iterator for Units<'_> {
    type Item = QueueUnit;

    fn size_hint(&self) -> (usize, Option<usize>) {
        let len = self.bytes.len() / QueueUnit::LEN;
        (len, Some(len))
    }

    #[inline]
    fn next(&mut self) -> Option<QueueUnit> {
        let (unit, rest) = self.bytes.split_first_chunk::<{ QueueUnit::LEN }>()?;
        self.bytes = rest;
        Some(QueueUnit::decode(unit))
    }
}

/// A message on its way into the log: everything a record holds but what the log itself decides (places, store time, checksum).
#[derive(Clone, Copy, Debug)]
pub struct NewMessage<'a> {
    /// The topic it is stored under, which may not be the one it was sent to.
    pub topic: &'a str,
    /// The queue's number inside the topic.
    pub queue_id: i32,
    /// The application's flag.
    pub flag: i32,
    /// System flag; storage sets the IPv6 bits by the two hosts.
    pub sys_flag: i32,
    /// When the producer made it.
    pub born_timestamp: i64,
    /// The producer's address as the broker sees it.
    pub born_host: SocketAddr,
    /// The broker's own address; part of the message id.
    pub store_host: SocketAddr,
    /// How often it has been consumed in vain.
    pub reconsume_times: i32,
    /// Offset of the half message that it commits; 0 otherwise.
    pub prepared_transaction_offset: i64,
    /// The body as it came.
    pub body: &'a [u8],
    /// Properties in their stored form, `name 0x01 value 0x02 …`.
    pub properties: &'a [u8],
    /// What the consume-queue unit carries: the tag's hash, or the delivery time.
    pub tags_code: TagsCode,
}

impl<'a> NewMessage<'a> {
    /// The record that it becomes when it is stored at `now`, at a place of the log and of its queue. What looks like the checksum of a record
    /// at the end of its properties is not that of this one and is left out, wherever the message comes from: readers would take this
    /// record for damaged.
    #[must_use]
    #[inline]
    pub fn record(&self, now: Timestamp, queue_offset: i64, physical_offset: LogOffset) -> RecordFields<'a> {
        RecordFields {
            topic: self.topic,
            queue_id: self.queue_id,
            flag: self.flag,
            queue_offset,
            physical_offset: physical_offset.0,
            sys_flag: self.sys_flag,
            born_timestamp: self.born_timestamp,
            born_host: self.born_host,
            store_timestamp: now.0,
            store_host: self.store_host,
            reconsume_times: self.reconsume_times,
            prepared_transaction_offset: self.prepared_transaction_offset,
            body: self.body,
            properties: without_trailer(self.properties),
        }
    }
}

/// What goes into the last field of a consume-queue unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TagsCode {
    /// A value known before the append: the hash of the tag, or what the timer is to do with a timed message.
    Hash(i64),
    /// Store time plus this many milliseconds: the delivery time of a delayed message.
    StoreTimePlus(i64),
}

/// Where a message was put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Start of its record.
    pub offset: LogOffset,
    /// End of its record: durable as soon as the durable watermark is here.
    pub end: LogOffset,
    /// Its offset in the queue.
    pub queue_offset: i64,
    /// The time the log gave it.
    pub store_timestamp: Timestamp,
}

/// Why nothing was appended. Nothing of the message is in the log then.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AppendError {
    /// The record or a part of it is above a limit of the format or of the configuration.
    #[error("a message of {size} bytes is above the limit of {limit}")]
    TooLarge {
        /// Bytes of the body, or of the whole record.
        size: usize,
        /// The limit that it broke.
        limit: usize,
    },
    /// Properties of more than 32767 bytes.
    #[error("properties of {0} bytes are above the limit of 32767")]
    PropertiesTooLarge(usize),
    /// No space could be allocated for the next file.
    #[error("no space for the next file of the log: {0}")]
    NoSpace(String),
    /// The disk is above the mark from which on nothing is taken.
    #[error("the broker's disk is full ({0} % are in use)")]
    DiskFull(u8),
    /// The disk is so many bytes behind that no more are taken for now: each append is to be durable before it is answered.
    #[error("the disk is {0} bytes behind")]
    FlushBehind(i64),
    /// No queue can belong to a topic of this name.
    #[error("no topic can have the name {0:?}")]
    BadTopic(String),
    /// This queue takes no messages, others do: its files cannot be used, or its topic was removed.
    #[error("the queue takes no messages: {0}")]
    QueueUnusable(String),
    /// The store takes no writes any more: a flush failed, or it is closing.
    #[error("the store takes no writes: {0}")]
    ReadOnly(String),
}

impl AppendError {
    /// Whether the message can never be stored, however often that is tried.
    #[must_use]
    pub const fn is_lasting(&self) -> bool {
        match self {
            Self::TooLarge { .. } | Self::PropertiesTooLarge(_) | Self::BadTopic(_) => true,
            Self::NoSpace(_) | Self::DiskFull(_) | Self::FlushBehind(_) | Self::QueueUnusable(_) | Self::ReadOnly(_) => false,
        }
    }
}

impl From<EncodeError> for AppendError {
    fn from(error: EncodeError) -> Self {
        let (size, limit) = match error {
            EncodeError::PropertiesTooLong(size) => return Self::PropertiesTooLarge(size),
            EncodeError::TopicTooLong(size) => (size, RETRY_OR_DLQ_TOPIC_MAX_LEN),
            EncodeError::TooLong(size) => (size, i32::MAX.unsigned_abs() as usize),
            EncodeError::NoRoom { needed, available } => (needed, available),
        };
        Self::TooLarge { size, limit }
    }
}

/// The system did not take what was appended: it may be gone with the process.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the log could not be written: {0}")]
pub struct CommitError(pub String);

/// A queue has something new to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// The queue.
    pub queue: QueueId,
    /// Offset of the new message.
    pub queue_offset: i64,
    /// Its tags code.
    pub tags_code: i64,
}

/// How full a disk is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskSpace {
    /// Bytes in use, by whomever.
    pub used: u64,
    /// Bytes that the store may still take.
    pub available: u64,
}

/// Which message a search by time wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Boundary {
    /// The first one stored at the time or later.
    #[default]
    Lower,
    /// The last one stored at the time or earlier.
    Upper,
}

/// The log and its queues. All calls return at once; only durability takes time, and [`Storage::set_durable`] brings it back.
pub trait Storage {
    /// Bytes of the log that stay readable for as long as the value lives, even if their file is deleted meanwhile.
    type Slice: AsRef<[u8]>;

    /// The queue of a topic, made in memory if it is new (files come with its first message).
    fn open_queue(&mut self, topic: &str, queue_id: i32) -> QueueId;

    /// The queue of a topic if it has ever been opened.
    fn find_queue(&self, topic: &str, queue_id: i32) -> Option<QueueId>;

    /// Every topic with its queue numbers, as found on disk or opened since; ordered by name.
    fn topics(&self) -> Vec<(String, Vec<i32>)>;

    /// Puts one message at the end of the log and of its queue.
    ///
    /// # Errors
    /// [`AppendError`]; nothing was stored.
    fn append(&mut self, now: Timestamp, queue: QueueId, message: &NewMessage<'_>) -> Result<Appended, AppendError>;

    /// The same for a message that the log has taken before, under another topic or as another copy: what a client may send, be it less by
    /// now, says nothing about it. Only what the format and the log's files can hold counts.
    ///
    /// # Errors
    /// [`AppendError`]; nothing was stored.
    fn append_again(&mut self, now: Timestamp, queue: QueueId, message: &NewMessage<'_>) -> Result<Appended, AppendError> {
        self.append(now, queue, message)
    }

    /// Puts several messages of one queue one after the other, all or none; `placed` gets a place for each.
    ///
    /// # Errors
    /// [`AppendError`]; nothing was stored and `placed` is as it was.
    fn append_batch(
        &mut self,
        now: Timestamp,
        queue: QueueId,
        messages: &[NewMessage<'_>],
        placed: &mut Vec<Appended>,
    ) -> Result<(), AppendError>;

    /// Makes what was appended outlive the process, and lets it be [sent](Self::slice): called before anybody is told of it.
    ///
    /// # Errors
    /// [`CommitError`], once; nothing can be appended from then on.
    fn commit(&mut self) -> Result<(), CommitError>;

    /// What is readable of a queue.
    fn bounds(&self, queue: QueueId) -> QueueBounds;

    /// Looks at the files of all these queues, which a store may have put off: at once, which is faster than one after the other.
    fn look_at_queues(&mut self, queues: &[QueueId]) {
        let _ = queues;
    }

    /// Whether a queue surely goes up to an offset, as far as that can be said without a look at its files.
    fn is_known_to_reach(&self, queue: QueueId, offset: i64) -> bool {
        self.bounds(queue).max >= offset
    }

    /// The offset that the next message of this queue will get, readable yet or not.
    fn next_offset(&self, queue: QueueId) -> i64;

    /// Units from `from` on that lie together; empty if there is none. One call never crosses a file of the queue.
    fn units(&self, queue: QueueId, from: i64) -> Units<'_>;

    /// One unit; [`Self::units`] is for those who read on from there. Very many queues may be asked for one each.
    fn unit(&self, queue: QueueId, offset: i64) -> Option<QueueUnit> {
        self.units(queue, offset).next()
    }

    /// The offset at which the queue's next file begins, for a reader that found a hole at `from`.
    fn next_file_offset(&self, from: i64) -> i64;

    /// The whole record that begins at `offset`, if one does and is still there and undamaged.
    fn record(&self, offset: LogOffset) -> Option<&[u8]>;

    /// Whether the record of the unit at an offset of a queue can be handed out: a whole one lies where the unit says.
    fn readability(&self, queue: QueueId, offset: i64, unit: &QueueUnit) -> Readability {
        let _ = (queue, offset, unit);
        Readability::Whole
    }

    /// Whether these bytes of the log are known to be in memory, so that nobody waits for a disk who reads them. Asked only of what lies far
    /// behind the end of the log, once per look.
    fn is_in_memory(&self, range: LogRange) -> bool {
        let _ = range;
        false
    }

    /// Finds out about all units from `from` on that are [in doubt](Readability::InDoubt), and puts right what can be, before it returns:
    /// for readers at the start, whom nobody waits for yet.
    fn settle_units(&mut self, queue: QueueId, from: i64) {
        let _ = (queue, from);
    }

    /// Bytes of the log for sending, without a copy. What was appended is there once it is [committed](Self::commit).
    fn slice(&self, range: LogRange) -> Option<Self::Slice>;

    /// Logical offset for a store time; clamped to the queue's bounds, 0 for an empty queue.
    fn search_by_time(&self, queue: QueueId, time: Timestamp, boundary: Boundary) -> i64;

    /// Looks messages up by their keys, among all that is readable now.
    fn search_by_key(&mut self, query: KeyQuery) -> Search;

    /// First and one-past-last byte of the log.
    fn log_bounds(&self) -> (LogOffset, LogOffset);

    /// Whether the end of the log may be missing: the last process did not close it, so a crash may have taken away what was not on
    /// disk, and offsets that were saved elsewhere may lie behind its end.
    fn may_lack_its_end(&self) -> bool {
        false
    }

    /// How full the disk is that the log lies on; `None` if storage has none or cannot tell.
    fn disk_space(&self) -> Option<DiskSpace> {
        None
    }

    /// Everything before this offset is on disk.
    fn durable(&self) -> LogOffset;

    /// Takes in how far the log is on disk; never goes back.
    fn set_durable(&mut self, up_to: LogOffset);

    /// The next queue that has something new to read.
    fn poll_arrival(&mut self) -> Option<Arrival>;

    /// Forgets a topic's queues and their files. What lies in the log stays until its file expires.
    fn remove_topic(&mut self, topic: &str);

    /// Files of the log whose time is over may go at any hour for a while, not only at theirs.
    fn delete_expired_log(&mut self) {}

    /// Looks anew for files of queues that lie wholly in front of the log; they go.
    fn delete_expired_queues(&mut self) {}

    /// Keeps a new offset where a killed process finds it again, ahead of the next full save of its table: of a group in a queue, or of a
    /// delay level. `key` is the table's own: `topic@group`, or the delay topic alone for levels.
    ///
    /// The cursor of a delay level says that the messages before it lie in their real topics by now. It must not outlive them: if a crash
    /// takes the end of the log away, a cursor counts only if the log is still there up to where it ended when the cursor was noted.
    fn note_offset(&mut self, table: OffsetTableKind, key: &str, queue_id: i32, offset: i64);
}

/// Which table a noted offset belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffsetTableKind {
    /// `consumerOffset.json`.
    Consumer,
    /// `delayOffset.json`; the queue number is the level.
    Delay,
}
