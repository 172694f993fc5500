//! Batches as the contract packs them; `wit/filter.wit` says what lies where.

use std::sync::Arc;

use proto_core::record::RecordView;
use route_core::filter::Candidate;

use crate::{contract::wants, limits::Limits};

/// Bytes of a batch's head.
const HEAD: usize = 40;
/// Bytes of a message's entry.
const ENTRY: usize = 64;

/// A batch; packed anew again and again in the same room.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    bytes: Arc<Vec<u8>>,
    /// Which candidate each message is.
    candidates: Vec<usize>,
    first_offset: i64,
}

impl Batch {
    /// Packs what there is room for, and says how many of the candidates it went through. Those without a whole record are passed over.
    pub(crate) fn pack(&mut self, argument: &str, wanted: u32, candidates: &[Candidate<'_>], limits: &Limits) -> usize {
        self.candidates.clear();
        let most = candidates.len().min(limits.batch_messages.max(1));
        let bytes = Arc::make_mut(&mut self.bytes);
        bytes.clear();
        bytes.resize(HEAD + most * ENTRY, 0);
        let mut passed = 0;
        for candidate in candidates {
            let count = self.candidates.len();
            if count == most || (count > 0 && bytes.len() >= limits.batch_bytes) {
                break;
            }
            passed += 1;
            let Some(record) = candidate.record.and_then(|record| RecordView::parse(record).ok()) else { continue };
            if count == 0 {
                self.first_offset = record.queue_offset();
                head(bytes, &record, argument, wanted);
            }
            entry(bytes, HEAD + count * ENTRY, &record, candidate.tags_code, wanted);
            self.candidates.push(passed - 1);
        }
        put(bytes, 8, number(self.candidates.len()).to_le_bytes());
        passed
    }

    /// Messages in it.
    pub(crate) const fn len(&self) -> usize {
        self.candidates.len()
    }

    /// Which candidate each message is, by its place among those that were packed.
    pub(crate) fn candidates(&self) -> &[usize] {
        &self.candidates
    }

    /// Where its first message stands in the queue.
    pub(crate) const fn first_offset(&self) -> i64 {
        self.first_offset
    }

    pub(crate) fn bytes(&self) -> Arc<Vec<u8>> {
        Arc::clone(&self.bytes)
    }
}

fn head(bytes: &mut Vec<u8>, record: &RecordView<'_>, argument: &str, wanted: u32) {
    let topic = append(bytes, record.topic().as_bytes());
    let argument = append(bytes, argument.as_bytes());
    put(bytes, 0, number(HEAD).to_le_bytes());
    put(bytes, 4, number(ENTRY).to_le_bytes());
    put(bytes, 12, wanted.to_le_bytes());
    put(bytes, 16, record.queue_id().to_le_bytes());
    put_span(bytes, 20, topic);
    put_span(bytes, 28, argument);
}

fn entry(bytes: &mut Vec<u8>, at: usize, record: &RecordView<'_>, tags_code: i64, wanted: u32) {
    let body_at = if wanted & wants::BODY != 0 { append(bytes, record.body()).0 } else { 0 };
    let properties = if wanted & wants::PROPERTIES != 0 { append(bytes, record.properties()) } else { (0, 0) };
    let Some(entry) = bytes.get_mut(at..at + ENTRY) else { return };
    put(entry, 0, record.queue_offset().to_le_bytes());
    put(entry, 8, record.born_timestamp().to_le_bytes());
    put(entry, 16, record.store_timestamp().to_le_bytes());
    put(entry, 24, tags_code.to_le_bytes());
    put(entry, 32, record.flag().to_le_bytes());
    put(entry, 36, record.sys_flag().to_le_bytes());
    put(entry, 40, record.reconsume_times().to_le_bytes());
    put(entry, 44, number(record.body().len()).to_le_bytes());
    put(entry, 48, body_at.to_le_bytes());
    put_span(entry, 52, properties);
}

/// Appends a part, and says where it lies and how long it is.
fn append(bytes: &mut Vec<u8>, part: &[u8]) -> (u32, u32) {
    let at = bytes.len();
    bytes.extend_from_slice(part);
    (number(at), number(part.len()))
}

fn put_span(bytes: &mut [u8], at: usize, (start, len): (u32, u32)) {
    put(bytes, at, start.to_le_bytes());
    put(bytes, at + 4, len.to_le_bytes());
}

fn put<const N: usize>(bytes: &mut [u8], at: usize, value: [u8; N]) {
    if let Some(place) = bytes.get_mut(at..).and_then(|rest| rest.first_chunk_mut()) {
        *place = value;
    }
}

/// Sizes in a batch fit: it holds little more than one record, whose size is an `i32`, or than its limit.
fn number(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}
