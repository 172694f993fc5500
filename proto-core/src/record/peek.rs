//! Single fields of a record that is known to be whole, without looking at the rest. For hot paths.

use super::{at, host_len, i32_at, i64_at};
use crate::sys_flag::message::{BORN_HOST_V6, STORE_HOST_V6};

/// The total size that the first four bytes announce, if they are there.
#[must_use]
pub fn total_size(bytes: &[u8]) -> Option<i32> {
    bytes.first_chunk().map(|chunk| i32::from_be_bytes(*chunk))
}

/// The magic, if it is there.
#[must_use]
pub fn magic(bytes: &[u8]) -> Option<i32> {
    bytes.get(at::MAGIC..)?.first_chunk().map(|chunk| i32::from_be_bytes(*chunk))
}

/// Offset in the queue.
#[must_use]
pub fn queue_offset(record: &[u8]) -> i64 {
    i64_at(record, at::QUEUE_OFFSET)
}

/// Queue inside the topic.
#[must_use]
pub fn queue_id(record: &[u8]) -> i32 {
    i32_at(record, at::QUEUE_ID)
}

/// The application's flag.
#[must_use]
pub fn flag(record: &[u8]) -> i32 {
    i32_at(record, at::FLAG)
}

/// When the producer made it, ms since 1970.
#[must_use]
pub fn born_timestamp(record: &[u8]) -> i64 {
    i64_at(record, at::BORN_TIMESTAMP)
}

/// How often it has been consumed in vain.
#[must_use]
pub fn reconsume_times(record: &[u8]) -> i32 {
    i32_at(record, body_len_at(sys_flag(record)) - 12)
}

/// Where the record begins in the log.
#[must_use]
pub fn physical_offset(record: &[u8]) -> i64 {
    i64_at(record, at::PHYSICAL_OFFSET)
}

/// Bits of [`crate::sys_flag::message`].
#[must_use]
pub fn sys_flag(record: &[u8]) -> i32 {
    i32_at(record, at::SYS_FLAG)
}

/// When the broker stored it, ms since 1970.
#[must_use]
pub fn store_timestamp(record: &[u8]) -> i64 {
    i64_at(record, store_timestamp_at(sys_flag(record)))
}

/// The place of the store time, which the producer's kind of address moves.
#[must_use]
pub const fn store_timestamp_at(sys_flag: i32) -> usize {
    at::BORN_HOST + host_len(sys_flag & BORN_HOST_V6 != 0)
}

/// The place of the body's length.
#[must_use]
pub const fn body_len_at(sys_flag: i32) -> usize {
    store_timestamp_at(sys_flag) + 8 + host_len(sys_flag & STORE_HOST_V6 != 0) + 4 + 8
}

/// The parts behind the head, found by their lengths alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts<'a> {
    /// The body as stored.
    pub body: &'a [u8],
    /// The topic, which nobody has held against UTF-8.
    pub topic: &'a [u8],
    /// Properties in their stored form.
    pub properties: &'a [u8],
}

/// The parts of a record; `None` if their lengths lead out of it.
#[must_use]
pub fn parts(record: &[u8]) -> Option<Parts<'_>> {
    let (len, rest) = record.get(body_len_at(sys_flag(record))..)?.split_first_chunk()?;
    let (body, rest) = rest.split_at_checked(usize::try_from(i32::from_be_bytes(*len)).ok()?)?;
    let (topic_len, rest) = if magic(record)? == super::MAGIC_V2 {
        let (len, rest) = rest.split_first_chunk()?;
        (usize::try_from(i16::from_be_bytes(*len)).ok()?, rest)
    } else {
        let (len, rest) = rest.split_first()?;
        (usize::from(*len), rest)
    };
    let (topic, rest) = rest.split_at_checked(topic_len)?;
    let (len, rest) = rest.split_first_chunk()?;
    let properties = rest.get(..usize::try_from(i16::from_be_bytes(*len)).ok()?)?;
    Some(Parts { body, topic, properties })
}

/// The properties; `None` if the lengths in front of them lead out of the record.
#[must_use]
pub fn properties(record: &[u8]) -> Option<&[u8]> {
    parts(record).map(|parts| parts.properties)
}
