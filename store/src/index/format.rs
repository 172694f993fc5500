//! The bytes of an index file: a header, a table of slots, and entries that are chained by slot.
//!
//! ```text
//! header, 40 bytes: i64 begin time | i64 end time | i64 begin offset | i64 end offset | i32 used slots | i32 next entry
//! slots:            i32 number of the newest entry, 0 for none
//! entries, 20 bytes: i32 key hash | i64 log offset | i32 seconds since the begin time | i32 number of the entry before it
//! ```
//!
//! All numbers are big-endian. Entries count from 1; place 0 is never used.

use crate::disk::PAGE;

/// Bytes of a header.
pub(super) const HEADER_LEN: u64 = 40;
/// Bytes of a slot.
pub(super) const SLOT_LEN: u64 = 4;
/// Bytes of an entry.
pub(super) const ENTRY_LEN: usize = 20;

/// The two numbers that give all files of an index their shape (`maxHashSlotNum`, `maxIndexNum`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Geometry {
    /// Slots of a file; at least 1.
    pub(crate) slots: i32,
    /// Entries of a file, the unused one at its front included; at least 2.
    pub(crate) entries: i32,
}

impl Geometry {
    /// RocketMQ's.
    pub(crate) const STANDARD: Self = Self { slots: 5_000_000, entries: 20_000_000 };

    /// Bytes of a file.
    pub(crate) fn file_len(self) -> u64 {
        self.entry_at(self.entries)
    }

    /// The slot of a key.
    pub(super) fn slot_of(self, key_hash: i32) -> usize {
        // Both are positive.
        (key_hash % self.slots) as usize
    }

    /// Where a slot lies in the file.
    pub(super) fn slot_at(self, slot: usize) -> u64 {
        HEADER_LEN + SLOT_LEN * slot as u64
    }

    /// Where an entry lies in the file.
    pub(super) fn entry_at(self, number: i32) -> u64 {
        self.slot_at(self.slots as usize) + ENTRY_LEN as u64 * u64::from(number.unsigned_abs())
    }

    /// Pages of the file in which slots lie.
    pub(super) fn slot_pages(self) -> usize {
        self.slot_at(self.slots as usize).div_ceil(PAGE) as usize
    }
}

/// The head of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Header {
    /// Store time of the first message.
    pub(crate) begin_timestamp: i64,
    /// Store time of the last message.
    pub(crate) end_timestamp: i64,
    /// Log offset of the first message.
    pub(crate) begin_offset: i64,
    /// Log offset of the last message.
    pub(crate) end_offset: i64,
    /// Slots that have entries.
    pub(crate) hash_slot_count: i32,
    /// Number of the next entry.
    pub(crate) index_count: i32,
}

impl Header {
    /// The head of a new file behind another, whose end it begins with until its first entry comes.
    pub(super) fn behind(previous: Option<&Self>) -> Self {
        let (timestamp, offset) = previous.map_or((0, 0), |header| (header.end_timestamp, header.end_offset));
        Self {
            begin_timestamp: timestamp,
            end_timestamp: timestamp,
            begin_offset: offset,
            end_offset: offset,
            hash_slot_count: 0,
            index_count: 1,
        }
    }

    /// Whether it has no entry.
    pub(crate) const fn is_empty(&self) -> bool {
        self.index_count <= 1
    }

    pub(super) fn decode(bytes: &[u8; HEADER_LEN as usize]) -> Self {
        Self {
            begin_timestamp: i64_at(bytes, 0),
            end_timestamp: i64_at(bytes, 8),
            begin_offset: i64_at(bytes, 16),
            end_offset: i64_at(bytes, 24),
            hash_slot_count: i32_at(bytes, 32),
            // A file that was just made says 0.
            index_count: i32_at(bytes, 36).max(1),
        }
    }

    pub(super) fn encode(&self) -> [u8; HEADER_LEN as usize] {
        let mut bytes = [0; HEADER_LEN as usize];
        let times_and_offsets = [self.begin_timestamp, self.end_timestamp, self.begin_offset, self.end_offset];
        for (place, field) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(times_and_offsets) {
            *place = field.to_be_bytes();
        }
        bytes[32..36].copy_from_slice(&self.hash_slot_count.to_be_bytes());
        bytes[36..40].copy_from_slice(&self.index_count.to_be_bytes());
        bytes
    }

    /// What no file of this shape can say about itself.
    pub(super) fn flaw(&self, geometry: Geometry) -> Option<String> {
        let Self { begin_timestamp, end_timestamp, begin_offset, end_offset, hash_slot_count, index_count } = *self;
        if index_count > geometry.entries {
            return Some(format!("it says that its next entry is {index_count} of {}", geometry.entries));
        }
        if !(0..=geometry.slots).contains(&hash_slot_count) {
            return Some(format!("it says that {hash_slot_count} of its {} slots are used", geometry.slots));
        }
        if begin_offset < 0 || end_offset < begin_offset {
            return Some(format!("it says that it goes from {begin_offset} to {end_offset}"));
        }
        if !self.is_empty() && (begin_timestamp <= 0 || end_timestamp <= 0) {
            return Some(format!("it says that its messages were stored from {begin_timestamp} to {end_timestamp}"));
        }
        None
    }
}

/// One key of one message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) key_hash: i32,
    /// Log offset of the message.
    pub(super) offset: i64,
    /// Seconds from the file's begin time to the message's store time, cut down to what fits.
    pub(super) seconds: i32,
    /// Number of the next older entry of the slot, 0 for none.
    pub(super) previous: i32,
}

impl Entry {
    pub(super) fn decode(bytes: &[u8; ENTRY_LEN]) -> Self {
        Self { key_hash: i32_at(bytes, 0), offset: i64_at(bytes, 4), seconds: i32_at(bytes, 12), previous: i32_at(bytes, 16) }
    }

    pub(super) fn encode(&self) -> [u8; ENTRY_LEN] {
        let mut bytes = [0; ENTRY_LEN];
        bytes[..4].copy_from_slice(&self.key_hash.to_be_bytes());
        bytes[4..12].copy_from_slice(&self.offset.to_be_bytes());
        bytes[12..16].copy_from_slice(&self.seconds.to_be_bytes());
        bytes[16..].copy_from_slice(&self.previous.to_be_bytes());
        bytes
    }
}

/// Seconds between two moments as an entry holds them.
pub(super) fn seconds_between(begin: i64, store_timestamp: i64) -> i32 {
    if begin <= 0 {
        return 0;
    }
    // It is not below 0, so only too much can be wrong with it.
    i32::try_from((store_timestamp.saturating_sub(begin) / 1000).max(0)).unwrap_or(i32::MAX)
}

fn i32_at(bytes: &[u8], at: usize) -> i32 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |chunk| i32::from_be_bytes(*chunk))
}

fn i64_at(bytes: &[u8], at: usize) -> i64 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |chunk| i64::from_be_bytes(*chunk))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_the_standard_shape_has_javas_length() {
        let geometry = Geometry::STANDARD;
        assert_eq!(geometry.file_len(), 420_000_040);
        assert_eq!((geometry.slot_at(2_598_919), geometry.entry_at(1)), (40 + 4 * 2_598_919, 40 + 20_000_000 + 20));
    }

    #[test]
    fn heads_and_entries_come_back_as_they_were() {
        let header =
            Header { begin_timestamp: 1, end_timestamp: 2, begin_offset: 3, end_offset: i64::MAX, hash_slot_count: 5, index_count: 6 };
        assert_eq!(Header::decode(&header.encode()), header);
        let entry = Entry { key_hash: i32::MAX, offset: 1 << 40, seconds: 7, previous: 8 };
        assert_eq!(Entry::decode(&entry.encode()), entry);
    }

    #[test]
    fn seconds_are_cut_down_to_what_fits() {
        assert_eq!(seconds_between(0, 1_700_000_000_000), 0);
        assert_eq!(seconds_between(1_700_000_000_000, 1_700_000_001_999), 1);
        assert_eq!(seconds_between(1_700_000_000_000, 1_699_999_990_000), 0);
        assert_eq!(seconds_between(1, i64::MAX), i32::MAX);
    }

    #[test]
    fn what_a_head_cannot_say_is_named() {
        let geometry = Geometry { slots: 10, entries: 20 };
        let sound = Header { begin_timestamp: 1, end_timestamp: 1, begin_offset: 0, end_offset: 5, hash_slot_count: 10, index_count: 20 };
        assert_eq!(sound.flaw(geometry), None);
        assert_eq!(Header::default().flaw(geometry), None);
        for flawed in [
            Header { index_count: 21, ..sound },
            Header { hash_slot_count: 11, ..sound },
            Header { hash_slot_count: -1, ..sound },
            Header { begin_offset: 6, ..sound },
            Header { begin_offset: -1, ..sound },
            Header { begin_timestamp: 0, ..sound },
        ] {
            assert!(flawed.flaw(geometry).is_some(), "{flawed:?}");
        }
    }
}
