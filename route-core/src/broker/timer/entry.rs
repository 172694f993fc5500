//! What a unit of the timer's queue says about its message.

use proto_core::{
    properties::{self, names as property},
    record::RecordView,
};

use super::rules::TimerRules;
use crate::{storage::QueueUnit, time::Timestamp};

/// What an entry is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A message that waits for its time.
    Message,
    /// It takes another message of the same time back.
    Recall,
}

/// When the timer is to look at a message, and why.
///
/// It is the tags code of the message's unit, so that a queue of millions is read again without a look at the log:
/// `at * 4 + rolls * 2 + recall`. Java writes the hash of the tag there and never reads it; a hash is smaller than any time of these years.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimerEntry {
    /// The moment, as rounded; it comes out one precision later.
    pub at: Timestamp,
    /// What for.
    pub kind: EntryKind,
    /// Its own time is later: then it is only stored anew, so that its file does not expire before.
    pub rolls: bool,
}

impl TimerEntry {
    /// Whether it takes messages of its time back. One that rolls is only on its way there.
    #[must_use]
    pub fn is_recall(self) -> bool {
        self.kind == EntryKind::Recall && !self.rolls
    }

    /// The tags code of the unit.
    #[must_use]
    pub const fn tags_code(self) -> i64 {
        let flags = (self.rolls as i64) << 1 | matches!(self.kind, EntryKind::Recall) as i64;
        self.at.0.saturating_mul(4).saturating_add(flags)
    }

    /// The entry of a tags code; `None` for a hash.
    #[must_use]
    pub const fn of_tags_code(code: i64) -> Option<Self> {
        if code <= i32::MAX as i64 {
            return None;
        }
        let kind = if code & 1 == 1 { EntryKind::Recall } else { EntryKind::Message };
        Some(Self { at: Timestamp(code >> 2), kind, rolls: code & 2 == 2 })
    }

    /// The entry of a unit; `record` is looked at only if the unit does not say it: Java has written it, or a recovery. `None` for
    /// a message without a time.
    #[must_use]
    pub fn of_unit<'r>(unit: &QueueUnit, rules: &TimerRules, record: impl FnOnce() -> Option<&'r [u8]>) -> Option<Self> {
        Self::of_tags_code(unit.tags_code).or_else(|| Self::of_record(record()?, rules))
    }

    /// The entry of a stored message, if it has a time.
    #[must_use]
    pub fn of_record(record: &[u8], rules: &TimerRules) -> Option<Self> {
        let record = RecordView::parse(record).ok()?;
        let out = properties::find_number(record.properties(), property::TIMER_OUT_MS).filter(|out| *out >= 0)?;
        let recalls = properties::find(record.properties(), property::TIMER_DEL_UNIQKEY).is_some();
        Some(rules.entry(Timestamp(record.store_timestamp()), Timestamp(out), recalls))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_read_from_the_code_that_it_makes() {
        for kind in [EntryKind::Message, EntryKind::Recall] {
            for rolls in [false, true] {
                let entry = TimerEntry { at: Timestamp(1_700_000_000_000), kind, rolls };
                assert_eq!(TimerEntry::of_tags_code(entry.tags_code()), Some(entry));
            }
        }
    }

    #[test]
    fn the_hash_of_a_tag_is_no_entry() {
        for hash in [0, -1, i64::from(i32::MIN), i64::from(i32::MAX)] {
            assert_eq!(TimerEntry::of_tags_code(hash), None);
        }
    }
}
