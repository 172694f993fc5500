//! The message record: the same bytes in the commit log, in replication and in the bodies of pulls.
//!
//! ```text
//! i32 total size | i32 magic | i32 body CRC | i32 queue | i32 flag | i64 queue offset | i64 physical offset | i32 system flag
//! i64 born time | born host | i64 store time | store host | i32 attempts | i64 prepared transaction offset
//! i32 + body | u8 (V1) or i16 (V2) + topic | i16 + properties          hosts: 4 or 16 bytes of address, i32 port
//! ```

use thiserror::Error;

mod blank;
mod fields;
pub mod peek;
mod trailer;
mod view;

pub use blank::{BLANK_LEN, encode_blank};
pub use fields::{EncodeError, RecordFields, body_crc, encoded_len};
pub use trailer::{TRAILER_LEN, encode_trailer, without_trailer};
pub use view::{RecordView, Stored, read};

/// Magic of a record whose topic has a length of one byte.
pub const MAGIC_V1: i32 = 0xDAA3_20A7_u32 as i32;
/// Magic of a record whose topic has a length of two bytes.
pub const MAGIC_V2: i32 = 0xDAA3_20AB_u32 as i32;
/// Magic of what fills the end of a file.
pub const MAGIC_BLANK: i32 = 0xCBD4_3194_u32 as i32;

/// Longest topic of a V1 record.
pub const V1_TOPIC_MAX: usize = i8::MAX as usize;
/// Bytes of a V1 record with IPv4 hosts but for body, topic and properties.
pub const MIN_LEN: usize = 91;

/// Places of what lies in front of the first host.
mod at {
    pub(super) const MAGIC: usize = 4;
    pub(super) const BODY_CRC: usize = 8;
    pub(super) const QUEUE_ID: usize = 12;
    pub(super) const FLAG: usize = 16;
    pub(super) const QUEUE_OFFSET: usize = 20;
    pub(super) const PHYSICAL_OFFSET: usize = 28;
    pub(super) const SYS_FLAG: usize = 36;
    pub(super) const BORN_TIMESTAMP: usize = 40;
    pub(super) const BORN_HOST: usize = 48;
}

/// Why bytes are no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RecordError {
    /// The bytes end before the record does.
    #[error("a record of {needed} bytes, of which {available} are there")]
    Truncated {
        /// Bytes that the record says it has, or that its fixed part needs.
        needed: usize,
        /// Bytes at hand.
        available: usize,
    },
    /// The total size is none.
    #[error("a record cannot have {0} bytes")]
    BadSize(i32),
    /// The magic is none.
    #[error("magic {0:#010x} is not that of a record")]
    BadMagic(i32),
    /// The lengths inside do not add up to the total size.
    #[error("the parts of a record of {total} bytes do not add up, from byte {at} on")]
    BadParts {
        /// Total size.
        total: usize,
        /// Where the part begins that does not fit, or the end of the last one.
        at: usize,
    },
    /// The topic is not UTF-8.
    #[error("the topic is not UTF-8")]
    BadTopic,
    /// The body is not what was stored.
    #[error("the body's checksum is {computed:#010x}, the record says {stored:#010x}")]
    BadCrc {
        /// What the body gives.
        computed: u32,
        /// What the record says.
        stored: u32,
    },
    /// The record is not what was stored, or the checksum at its end is not.
    #[error("the checksum over the whole record is {computed:#010x}, its property __CRC32# says something else")]
    BadTrailer {
        /// What the record gives.
        computed: u32,
    },
}

/// A number at a place; 0 beyond the end, which checked callers never see.
#[inline]
fn i32_at(bytes: &[u8], at: usize) -> i32 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |chunk| i32::from_be_bytes(*chunk))
}

/// A number at a place; 0 beyond the end, which checked callers never see.
#[inline]
fn i64_at(bytes: &[u8], at: usize) -> i64 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |chunk| i64::from_be_bytes(*chunk))
}

/// Length of a host: an address and a port.
#[inline]
const fn host_len(v6: bool) -> usize {
    if v6 { 20 } else { 8 }
}
