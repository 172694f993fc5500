//! Values to records, written where they are to stay.

use std::{
    net::{IpAddr, SocketAddr},
    sync::atomic::{Ordering, compiler_fence},
};

use thiserror::Error;

use super::{MAGIC_V1, MAGIC_V2, V1_TOPIC_MAX, at, host_len, trailer};
use crate::{
    properties::PROPERTY_SEPARATOR,
    sys_flag::message::{BORN_HOST_V6, STORE_HOST_V6},
};

/// All that a record holds. Magic and IPv6 bits follow from the rest, whatever `sys_flag` says about the latter.
#[derive(Clone, Copy, Debug)]
pub struct RecordFields<'a> {
    /// The topic it is stored under.
    pub topic: &'a str,
    /// Queue inside the topic.
    pub queue_id: i32,
    /// The application's flag.
    pub flag: i32,
    /// Offset in the queue.
    pub queue_offset: i64,
    /// Where the record begins in the log.
    pub physical_offset: i64,
    /// Bits of [`crate::sys_flag::message`].
    pub sys_flag: i32,
    /// When the producer made it, ms since 1970.
    pub born_timestamp: i64,
    /// The producer.
    pub born_host: SocketAddr,
    /// When the broker stored it, ms since 1970.
    pub store_timestamp: i64,
    /// The broker.
    pub store_host: SocketAddr,
    /// How often it has been consumed in vain.
    pub reconsume_times: i32,
    /// Offset of the half message that it commits; 0 otherwise.
    pub prepared_transaction_offset: i64,
    /// The body.
    pub body: &'a [u8],
    /// Properties in their stored form.
    pub properties: &'a [u8],
}

/// Why values make no record; nothing was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum EncodeError {
    /// The topic is longer than a V2 record can say.
    #[error("a topic of {0} bytes does not fit a record")]
    TopicTooLong(usize),
    /// The properties are longer than a record can say.
    #[error("properties of {0} bytes do not fit a record")]
    PropertiesTooLong(usize),
    /// The record is longer than its total size can say.
    #[error("a record of {0} bytes is longer than any can be")]
    TooLong(usize),
    /// The caller's space is shorter than the record.
    #[error("a record of {needed} bytes does not fit in {available}")]
    NoRoom {
        /// Bytes of the record.
        needed: usize,
        /// Bytes that the caller gave.
        available: usize,
    },
}

/// Bytes up to the body's length for two IPv6 hosts.
const LONGEST_HEAD: usize = at::BORN_HOST + 20 + 8 + 20 + 4 + 8 + 4;

/// Length of a record with these parts.
#[must_use]
pub fn encoded_len(born_host: &SocketAddr, store_host: &SocketAddr, topic: usize, body: usize, properties: usize) -> usize {
    let hosts = host_len(born_host.is_ipv6()) + host_len(store_host.is_ipv6());
    let topic_len = if topic > V1_TOPIC_MAX { 2 } else { 1 };
    at::BORN_HOST + hosts + 8 + 4 + 8 + 4 + body + topic_len + topic + 2 + properties
}

/// The checksum that a record carries for its body.
#[must_use]
pub fn body_crc(body: &[u8]) -> u32 {
    crc32fast::hash(body) & 0x7FFF_FFFF
}

impl RecordFields<'_> {
    /// Length of the record in bytes.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        encoded_len(&self.born_host, &self.store_host, self.topic.len(), self.body.len(), self.properties.len())
    }

    /// Length of its properties if it ends with a [trailer](super::encode_trailer).
    #[must_use]
    pub fn properties_len_with_trailer(&self) -> usize {
        self.properties.len() + trailer::room_behind(self.properties)
    }

    /// Length of the record in bytes if it ends with a [trailer](super::encode_trailer).
    #[must_use]
    pub fn encoded_len_with_trailer(&self) -> usize {
        self.encoded_len() + trailer::room_behind(self.properties)
    }

    /// Writes the record to the start of `out`, the body with one copy, and returns its length.
    ///
    /// # Errors
    /// [`EncodeError`]; then `out` is as it was.
    pub fn encode_into(&self, out: &mut [u8]) -> Result<usize, EncodeError> {
        self.encode::<false>(out)
    }

    /// The same with a [trailer](super::encode_trailer): a checksum over the whole record as its last property.
    ///
    /// # Errors
    /// [`EncodeError`]; then `out` is as it was.
    pub fn encode_with_trailer_into(&self, out: &mut [u8]) -> Result<usize, EncodeError> {
        self.encode::<true>(out)
    }

    #[inline]
    fn encode<const TRAILER: bool>(&self, out: &mut [u8]) -> Result<usize, EncodeError> {
        let (len, properties_len) = if TRAILER {
            (self.encoded_len_with_trailer(), self.properties_len_with_trailer())
        } else {
            (self.encoded_len(), self.properties.len())
        };
        let total = i32::try_from(len).map_err(|_| EncodeError::TooLong(len))?;
        let topic_len = i16::try_from(self.topic.len()).map_err(|_| EncodeError::TopicTooLong(self.topic.len()))?;
        let properties_len = i16::try_from(properties_len).map_err(|_| EncodeError::PropertiesTooLong(properties_len))?;
        let available = out.len();
        let out = out.get_mut(..len).ok_or(EncodeError::NoRoom { needed: len, available })?;

        let mut head = Head::default();
        let long_topic = self.topic.len() > V1_TOPIC_MAX;
        head.put(&total.to_be_bytes());
        head.put(&(if long_topic { MAGIC_V2 } else { MAGIC_V1 }).to_be_bytes());
        head.put(&body_crc(self.body).to_be_bytes());
        head.put(&self.queue_id.to_be_bytes());
        head.put(&self.flag.to_be_bytes());
        head.put(&self.queue_offset.to_be_bytes());
        head.put(&self.physical_offset.to_be_bytes());
        head.put(&self.sys_flag_of_hosts().to_be_bytes());
        head.put(&self.born_timestamp.to_be_bytes());
        head.put_host(&self.born_host);
        head.put(&self.store_timestamp.to_be_bytes());
        head.put_host(&self.store_host);
        head.put(&self.reconsume_times.to_be_bytes());
        head.put(&self.prepared_transaction_offset.to_be_bytes());
        // The body is shorter than the record, whose length was just found to fit.
        head.put(&i32::try_from(self.body.len()).unwrap_or(i32::MAX).to_be_bytes());

        let (front, behind) = out.split_at_mut(head.len);
        let out = put(behind, self.body);
        let [high, low] = topic_len.to_be_bytes();
        let out = if long_topic { put(out, &[high, low]) } else { put(out, &[low]) };
        let out = put(out, self.topic.as_bytes());
        let out = put(out, &properties_len.to_be_bytes());
        let out = put(out, self.properties);
        if TRAILER {
            if trailer::lacks_separator(self.properties) {
                put(out, &[PROPERTY_SEPARATOR]);
            }
            let (covered, out) = behind.split_at_mut(len - head.len - trailer::TRAILER_LEN);
            let mut crc = crc32fast::Hasher::new();
            crc.update(&head.bytes[..head.len]);
            crc.update(covered);
            out.copy_from_slice(&trailer::encode_trailer(crc.finalize() & 0x7FFF_FFFF));
        }
        // The head comes last: whoever is killed while writing into memory that outlives it leaves zeros there, and no record
        // whose topic or properties are half written, which the body's checksum would not tell.
        compiler_fence(Ordering::Release);
        front.copy_from_slice(&head.bytes[..head.len]);
        Ok(len)
    }

    const fn sys_flag_of_hosts(&self) -> i32 {
        let mut flag = self.sys_flag & !(BORN_HOST_V6 | STORE_HOST_V6);
        if self.born_host.is_ipv6() {
            flag |= BORN_HOST_V6;
        }
        if self.store_host.is_ipv6() {
            flag |= STORE_HOST_V6;
        }
        flag
    }
}

/// Copies `bytes` to the start of `out` and returns the rest. `out` has been cut to the sum of all parts.
#[inline]
fn put<'a>(out: &'a mut [u8], bytes: &[u8]) -> &'a mut [u8] {
    let (here, rest) = out.split_at_mut(bytes.len());
    here.copy_from_slice(bytes);
    rest
}

/// The part in front of the body, put together on the stack so that it is written at once.
struct Head {
    bytes: [u8; LONGEST_HEAD],
    len: usize,
}

impl Default for Head {
    fn default() -> Self {
        Self { bytes: [0; LONGEST_HEAD], len: 0 }
    }
}

impl Head {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.bytes[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    #[inline]
    fn put_host(&mut self, host: &SocketAddr) {
        match host.ip() {
            IpAddr::V4(ip) => self.put(&ip.octets()),
            IpAddr::V6(ip) => self.put(&ip.octets()),
        }
        self.put(&i32::from(host.port()).to_be_bytes());
    }
}
