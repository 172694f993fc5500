//! Records to values, field by field and only on demand.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{BLANK_LEN, MAGIC_BLANK, MAGIC_V1, MAGIC_V2, MIN_LEN, RecordError, at, body_crc, i32_at, i64_at, peek, trailer};
use crate::{
    ids::OffsetMessageId,
    sys_flag::message::{BORN_HOST_V6, STORE_HOST_V6},
};

/// A record whose sizes and magic have been checked, borrowed from where it lies. Its body's checksum has not: see
/// [`RecordView::verify_crc`] and [`RecordView::verify_trailer`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordView<'a> {
    bytes: &'a [u8],
    body: &'a [u8],
    topic: &'a str,
    properties: &'a [u8],
    sys_flag: i32,
}

/// What begins at a place of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored<'a> {
    /// A message.
    Message(RecordView<'a>),
    /// The file ends here; the next record is in the next one.
    Blank {
        /// Bytes up to the end of the file, as the blank says.
        size: usize,
    },
}

/// Looks at the start of `bytes`, which may go on after it.
///
/// # Errors
/// [`RecordError`] if neither a whole record nor a blank begins here.
pub fn read(bytes: &[u8]) -> Result<Stored<'_>, RecordError> {
    if bytes.len() < BLANK_LEN {
        return Err(RecordError::Truncated { needed: BLANK_LEN, available: bytes.len() });
    }
    if i32_at(bytes, at::MAGIC) != MAGIC_BLANK {
        return RecordView::parse(bytes).map(Stored::Message);
    }
    let size = i32_at(bytes, 0);
    match usize::try_from(size) {
        Ok(size) if size >= BLANK_LEN => Ok(Stored::Blank { size }),
        _ => Err(RecordError::BadSize(size)),
    }
}

impl<'a> RecordView<'a> {
    /// Checks the record at the start of `bytes`, which may go on after it: total size, magic, and that the lengths inside add up.
    ///
    /// # Errors
    /// [`RecordError`], [`RecordError::BadCrc`] and [`RecordError::BadTrailer`] excepted.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, RecordError> {
        let available = bytes.len();
        if available < BLANK_LEN {
            return Err(RecordError::Truncated { needed: BLANK_LEN, available });
        }
        let magic = i32_at(bytes, at::MAGIC);
        if magic != MAGIC_V1 && magic != MAGIC_V2 {
            return Err(RecordError::BadMagic(magic));
        }
        let size = i32_at(bytes, 0);
        let total = match usize::try_from(size) {
            Ok(total) if total >= MIN_LEN => total,
            _ => return Err(RecordError::BadSize(size)),
        };
        let bytes = bytes.get(..total).ok_or(RecordError::Truncated { needed: total, available })?;

        let sys_flag = i32_at(bytes, at::SYS_FLAG);
        let body_len_at = peek::body_len_at(sys_flag);
        let broken = |rest: &[u8]| RecordError::BadParts { total, at: total - rest.len() };
        let rest = bytes.get(body_len_at..).ok_or(RecordError::BadParts { total, at: body_len_at })?;
        let (body, rest) =
            take_part(rest, |it| it.split_first_chunk().map(|(len, rest)| (i32::from_be_bytes(*len), rest))).ok_or_else(|| broken(rest))?;
        let topic_and_rest = if magic == MAGIC_V2 {
            take_part(rest, |it| it.split_first_chunk().map(|(len, rest)| (i16::from_be_bytes(*len).into(), rest)))
        } else {
            take_part(rest, |it| it.split_first().map(|(&len, rest)| (len.into(), rest)))
        };
        let (topic, rest) = topic_and_rest.ok_or_else(|| broken(rest))?;
        let (properties, rest) = take_part(rest, |it| it.split_first_chunk().map(|(len, rest)| (i16::from_be_bytes(*len).into(), rest)))
            .ok_or_else(|| broken(rest))?;
        if !rest.is_empty() {
            return Err(broken(rest));
        }
        let topic = std::str::from_utf8(topic).map_err(|_| RecordError::BadTopic)?;
        Ok(Self { bytes, body, topic, properties, sys_flag })
    }

    /// Compares the body with its checksum.
    ///
    /// # Errors
    /// [`RecordError::BadCrc`].
    pub fn verify_crc(&self) -> Result<(), RecordError> {
        let (computed, stored) = (body_crc(self.body), self.body_crc());
        if computed == stored { Ok(()) } else { Err(RecordError::BadCrc { computed, stored }) }
    }

    /// Compares the record with the checksum over all of it, if it ends with one, and answers whether it does. A property of that name in
    /// another form or another place is none.
    ///
    /// # Errors
    /// [`RecordError::BadTrailer`].
    pub fn verify_trailer(&self) -> Result<bool, RecordError> {
        trailer::verify(self.bytes, self.properties)
    }

    /// The whole record.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Length of the whole record in bytes.
    #[must_use]
    pub const fn total_size(&self) -> usize {
        self.bytes.len()
    }

    /// One of the two magics.
    #[must_use]
    pub fn magic(&self) -> i32 {
        i32_at(self.bytes, at::MAGIC)
    }

    /// The checksum that the record carries for its body.
    #[must_use]
    pub fn body_crc(&self) -> u32 {
        i32_at(self.bytes, at::BODY_CRC).cast_unsigned()
    }

    /// Queue inside the topic.
    #[must_use]
    pub fn queue_id(&self) -> i32 {
        i32_at(self.bytes, at::QUEUE_ID)
    }

    /// The application's flag.
    #[must_use]
    pub fn flag(&self) -> i32 {
        i32_at(self.bytes, at::FLAG)
    }

    /// Offset in the queue.
    #[must_use]
    pub fn queue_offset(&self) -> i64 {
        peek::queue_offset(self.bytes)
    }

    /// Where the record begins in the log.
    #[must_use]
    pub fn physical_offset(&self) -> i64 {
        peek::physical_offset(self.bytes)
    }

    /// Bits of [`crate::sys_flag::message`].
    #[must_use]
    pub const fn sys_flag(&self) -> i32 {
        self.sys_flag
    }

    /// When the producer made it, ms since 1970.
    #[must_use]
    pub fn born_timestamp(&self) -> i64 {
        i64_at(self.bytes, at::BORN_TIMESTAMP)
    }

    /// The producer; its port is 0 if the record's is none.
    #[must_use]
    pub fn born_host(&self) -> SocketAddr {
        host_at(self.bytes, at::BORN_HOST, self.sys_flag & BORN_HOST_V6 != 0)
    }

    /// When the broker stored it, ms since 1970.
    #[must_use]
    pub fn store_timestamp(&self) -> i64 {
        i64_at(self.bytes, peek::store_timestamp_at(self.sys_flag))
    }

    /// The broker; its port is 0 if the record's is none.
    #[must_use]
    pub fn store_host(&self) -> SocketAddr {
        host_at(self.bytes, peek::store_timestamp_at(self.sys_flag) + 8, self.sys_flag & STORE_HOST_V6 != 0)
    }

    /// How often it has been consumed in vain.
    #[must_use]
    pub fn reconsume_times(&self) -> i32 {
        i32_at(self.bytes, peek::body_len_at(self.sys_flag) - 12)
    }

    /// Offset of the half message that it commits; 0 otherwise.
    #[must_use]
    pub fn prepared_transaction_offset(&self) -> i64 {
        i64_at(self.bytes, peek::body_len_at(self.sys_flag) - 8)
    }

    /// The body as stored, compressed or not.
    #[must_use]
    pub const fn body(&self) -> &'a [u8] {
        self.body
    }

    /// The topic it is stored under.
    #[must_use]
    pub const fn topic(&self) -> &'a str {
        self.topic
    }

    /// Properties in their stored form, see [`crate::properties`].
    #[must_use]
    pub const fn properties(&self) -> &'a [u8] {
        self.properties
    }

    /// A property that is text.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<&'a str> {
        crate::properties::find_text(self.properties, name)
    }

    /// The broker's id of the message.
    #[must_use]
    pub fn offset_message_id(&self) -> OffsetMessageId {
        OffsetMessageId { host: self.store_host(), offset: self.physical_offset() }
    }
}

/// Cuts off a length and as many bytes.
fn take_part(bytes: &[u8], len: impl FnOnce(&[u8]) -> Option<(i32, &[u8])>) -> Option<(&[u8], &[u8])> {
    let (len, rest) = len(bytes)?;
    rest.split_at_checked(usize::try_from(len).ok()?)
}

fn host_at(bytes: &[u8], at: usize, v6: bool) -> SocketAddr {
    let rest = bytes.get(at..).unwrap_or_default();
    let (ip, port_at) = if v6 {
        (IpAddr::V6(rest.first_chunk::<16>().map_or(Ipv6Addr::UNSPECIFIED, |ip| Ipv6Addr::from(*ip))), at + 16)
    } else {
        (IpAddr::V4(rest.first_chunk::<4>().map_or(Ipv4Addr::UNSPECIFIED, |ip| Ipv4Addr::from(*ip))), at + 4)
    };
    SocketAddr::new(ip, u16::try_from(i32_at(bytes, port_at)).unwrap_or(0))
}
