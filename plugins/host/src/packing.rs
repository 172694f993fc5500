//! Batches as the contract packs them; `wit/filter.wit` says what lies where.

use proto_core::record::peek::{self, Parts};
use route_core::filter::Candidate;

use crate::{
    body::{Bodies, flag_of_decompressed},
    contract::{MAX_BATCH, wants},
    limits::Limits,
};

/// Bytes of a batch's head.
const HEAD: usize = 40;
/// Bytes of a message's entry.
const ENTRY: usize = 64;

/// A batch; packed anew again and again in the same room.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    bytes: Vec<u8>,
    len: usize,
    /// Bit `n` is set if candidate `n` is in it: all are but those without a whole record.
    packed: u64,
    bodies: Bodies,
}

impl Batch {
    /// Packs what there is room for, and says how many of the candidates it went through. Those without a whole record are passed over.
    pub(crate) fn pack(&mut self, argument: &str, wanted: u32, candidates: &[Candidate<'_>], limits: &Limits) -> usize {
        let candidates = &candidates[..candidates.len().min(MAX_BATCH)];
        let entries_end = HEAD + candidates.len() * ENTRY;
        (self.len, self.packed) = (0, 0);
        if self.bytes.capacity() > 4 * limits.batch_bytes {
            // One large message is no reason to keep its room for ever.
            self.bytes = Vec::new();
        }
        // What lies there from the batch before is written over, each byte up to the last entry; the rest is cleared below.
        self.bytes.truncate(entries_end);
        self.bytes.resize(entries_end, 0);
        let mut passed = 0;
        for candidate in candidates {
            if self.len > 0 && self.bytes.len() >= limits.batch_bytes {
                break;
            }
            passed += 1;
            let Some(record) = candidate.record else { continue };
            let Some(parts) = peek::parts(record) else { continue };
            if self.len == 0 {
                self.put_head(record, &parts, argument, wanted);
            }
            self.put_entry(record, &parts, candidate.tags_code, wanted, limits.body);
            self.len += 1;
            self.packed |= 1 << (passed - 1);
        }
        put(&mut self.bytes, 8, number(self.len).to_le_bytes());
        if let Some(unused) = self.bytes.get_mut(HEAD + self.len * ENTRY..entries_end) {
            unused.fill(0);
        }
        passed
    }

    /// Messages in it.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// An answer about its messages as one about the candidates that were gone through.
    pub(crate) fn by_candidate(&self, answer: u64) -> u64 {
        if self.packed.trailing_ones() as usize == self.len {
            return answer & self.packed;
        }
        let (mut bits, mut left) = (0, self.packed);
        for nth in 0..self.len {
            bits |= (answer >> nth & 1) << left.trailing_zeros();
            left &= left - 1;
        }
        bits
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn put_head(&mut self, record: &[u8], parts: &Parts<'_>, argument: &str, wanted: u32) {
        let (topic_at, topic_size) = self.append(parts.topic);
        let (argument_at, argument_size) = self.append(argument.as_bytes());
        let mut head = [0; HEAD];
        put(&mut head, 0, number(HEAD).to_le_bytes());
        put(&mut head, 4, number(ENTRY).to_le_bytes());
        put(&mut head, 12, wanted.to_le_bytes());
        put(&mut head, 16, peek::queue_id(record).to_le_bytes());
        put(&mut head, 20, topic_at.to_le_bytes());
        put(&mut head, 24, topic_size.to_le_bytes());
        put(&mut head, 28, argument_at.to_le_bytes());
        put(&mut head, 32, argument_size.to_le_bytes());
        put(&mut self.bytes, 0, head);
    }

    fn put_entry(&mut self, record: &[u8], parts: &Parts<'_>, tags_code: i64, wanted: u32, longest_body: usize) {
        let mut sys_flag = peek::sys_flag(record);
        let (mut body_at, mut body_size) = (0, number(parts.body.len()));
        if wanted & wants::BODY != 0 {
            let at = self.bytes.len();
            if self.bodies.append(parts.body, sys_flag, longest_body, &mut self.bytes).is_some() {
                sys_flag = flag_of_decompressed(sys_flag);
                (body_at, body_size) = (number(at), number(self.bytes.len() - at));
            } else {
                body_at = self.append(parts.body).0;
            }
        }
        let (properties_at, properties_size) = if wanted & wants::PROPERTIES != 0 { self.append(parts.properties) } else { (0, 0) };
        let mut entry = [0; ENTRY];
        put(&mut entry, 0, peek::queue_offset(record).to_le_bytes());
        put(&mut entry, 8, peek::born_timestamp(record).to_le_bytes());
        put(&mut entry, 16, peek::store_timestamp(record).to_le_bytes());
        put(&mut entry, 24, tags_code.to_le_bytes());
        put(&mut entry, 32, peek::flag(record).to_le_bytes());
        put(&mut entry, 36, sys_flag.to_le_bytes());
        put(&mut entry, 40, peek::reconsume_times(record).to_le_bytes());
        put(&mut entry, 44, body_size.to_le_bytes());
        put(&mut entry, 48, body_at.to_le_bytes());
        put(&mut entry, 52, properties_at.to_le_bytes());
        put(&mut entry, 56, properties_size.to_le_bytes());
        put(&mut self.bytes, HEAD + self.len * ENTRY, entry);
    }

    /// Appends a part, and says where it lies and how long it is.
    fn append(&mut self, part: &[u8]) -> (u32, u32) {
        let at = self.bytes.len();
        self.bytes.extend_from_slice(part);
        (number(at), number(part.len()))
    }
}

#[inline]
fn put<const N: usize>(bytes: &mut [u8], at: usize, value: [u8; N]) {
    if let Some(place) = bytes.get_mut(at..).and_then(<[u8]>::first_chunk_mut) {
        *place = value;
    }
}

/// Sizes in a batch fit: it holds little more than one record, whose size is an `i32`, or than its limit.
fn number(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_spread_over_the_candidates_that_were_packed() {
        let batch = |len, packed| Batch { len, packed, ..Batch::default() };
        assert_eq!(batch(3, 0b111).by_candidate(0b1101), 0b101);
        assert_eq!(batch(3, 0b110_1000).by_candidate(0b101), 0b100_1000);
        assert_eq!(batch(2, 0b110_0000).by_candidate(0b10), 0b100_0000);
        assert_eq!(batch(64, u64::MAX).by_candidate(7), 7);
        assert_eq!(batch(0, 0).by_candidate(u64::MAX), 0);
    }
}
