//! What a unit of the timer's queue says about its message.

use proto_core::{
    properties::{self, Special, names as property},
    record::RecordView,
};

use super::rules::{self, TimerRules, asked_for};
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
    /// The moment, as [rounded](TimerRules::exact); it comes out one precision later.
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
        Some(rules.entry(Timestamp(record.store_timestamp()), Timestamp(out), &Special::scan(record.properties())))
    }

    /// Whether this can be the entry of a stored message, whatever the precision was when that was stored.
    #[must_use]
    pub fn may_be_of(self, record: &RecordView<'_>) -> bool {
        let Some(out) = properties::find_number(record.properties(), property::TIMER_OUT_MS) else { return false };
        // An entry that rolls comes when the file of the log gets old, which other settings decide.
        if self.rolls || self.at.0 == out {
            return true;
        }
        let (stored, asked) = (Timestamp(record.store_timestamp()), Special::scan(record.properties()));
        let Some(deliver) = asked_for(stored, &asked) else { return false };
        let due = [deliver, rules::round_up(deliver)];
        due.into_iter().any(|due| TimerRules::of_precision(due.saturating_sub(self.at.0)).exact(stored, Timestamp(out), &asked) == self.at)
    }
}

#[cfg(test)]
mod tests {
    use proto_core::record::RecordFields;

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
    fn an_entry_is_told_from_one_of_another_time_whatever_the_precision_was() {
        let stored = 1_700_000_000_123;
        for precision in [1, 7, 10, 100, 1000] {
            let rules = TimerRules::of_precision(precision);
            for wait in [1, 2, 9, 10, 11, 876, 877, 878, 1000, 30_500] {
                let text = format!("TIMER_DELAY_MS\x01{wait}\x02");
                let asked = Special::scan(text.as_bytes());
                let out = rules.out_time(Timestamp(stored), &asked).unwrap().unwrap();
                let entry = rules.entry(Timestamp(stored), out, &asked);
                let properties = format!("{text}TIMER_OUT_MS\x01{}\x02", out.0);
                let record = record(stored, &properties);
                let record = RecordView::parse(&record).unwrap();
                assert!(entry.may_be_of(&record), "{wait} of {precision}");
                assert!(TimerEntry { at: out, ..entry }.may_be_of(&record), "as it was rounded once: {wait} of {precision}");
                let early = Timestamp(entry.at.0 - 3_000_000);
                assert!(!TimerEntry { at: early, ..entry }.may_be_of(&record), "{wait} of {precision}");
            }
        }
    }

    /// A record that was stored at this time with these properties.
    fn record(stored: i64, properties: &str) -> Vec<u8> {
        let host = std::net::SocketAddr::from(([127, 0, 0, 1], 10911));
        let fields = RecordFields {
            topic: "T",
            queue_id: 0,
            flag: 0,
            queue_offset: 0,
            physical_offset: 0,
            sys_flag: 0,
            born_timestamp: stored,
            born_host: host,
            store_timestamp: stored,
            store_host: host,
            reconsume_times: 0,
            prepared_transaction_offset: 0,
            body: b"body",
            properties: properties.as_bytes(),
        };
        let mut record = vec![0; fields.encoded_len()];
        fields.encode_into(&mut record).unwrap();
        record
    }

    #[test]
    fn the_hash_of_a_tag_is_no_entry() {
        for hash in [0, -1, i64::from(i32::MIN), i64::from(i32::MAX)] {
            assert_eq!(TimerEntry::of_tags_code(hash), None);
        }
    }
}
