//! The arithmetic of times: what a producer may ask for, and how it is rounded. The rules are those of Java's `TimerMessageStore` and its hook
//! before a message is stored (`HookUtils.handleScheduleMessage`).

use std::ops::RangeInclusive;

use proto_core::properties::{self, Special};
use thiserror::Error;

use super::entry::{EntryKind, TimerEntry};
use crate::time::{Millis, Timestamp};

/// Slots of Java's wheel, less those that it leaves empty: the longest window that it can work with.
const MOST_SLOTS: u64 = 7 * 24 * 3600 - 60;

/// A time that cannot be served: no number, too far away, or a recall of what is due already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "timer message illegal, the delay time should not be bigger than the max delay {0}ms; or if set del msg, the delay time should be bigger than the current time"
)]
pub struct IllegalTime(u64);

/// Times that are known exactly are rounded up to a multiple of so many ms, where the precision is one of these too: as often as that the timer
/// may wake, and so late messages may come.
const GRAIN: i64 = 10;

/// How times are rounded, and how far ahead they may be. All values are ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimerRules {
    precision: i64,
    max_delay: u64,
    /// A message that waits this long or longer is stored anew meanwhile.
    window: i64,
    half_window: i64,
    third_of_window: i64,
}

impl TimerRules {
    /// Rules for `timerPrecisionMs`, `timerMaxDelaySec` and `timerRollWindowSlot`. A window that would outlast the log's files is shortened to
    /// two thirds of `kept`, the time for which they are kept: a message is stored anew before its file goes.
    #[must_use]
    pub fn new(precision: Millis, max_delay: Millis, window_slots: u64, kept: Millis) -> Self {
        let precision = precision.0.max(1);
        let slots = if (2..=MOST_SLOTS).contains(&window_slots) { window_slots } else { MOST_SLOTS };
        let slots = slots.min(kept.0 / 3 * 2 / precision).max(2);
        let span = |slots: u64| i64::try_from(slots.saturating_mul(precision)).unwrap_or(i64::MAX);
        Self {
            precision: i64::try_from(precision).unwrap_or(i64::MAX),
            max_delay: max_delay.0,
            window: span(slots),
            half_window: span(slots / 2),
            third_of_window: span(slots / 3),
        }
    }

    /// Java's rules with another precision, in ms.
    #[must_use]
    pub fn of_precision(precision: i64) -> Self {
        Self { precision: precision.max(1), ..Self::default() }
    }

    /// When a message is to be delivered whose properties ask for a time, rounded as it is stored (`TIMER_OUT_MS`): the message comes one
    /// precision after that, so never early. `None` if the time has come already.
    ///
    /// # Errors
    /// [`IllegalTime`]
    pub fn out_time(&self, now: Timestamp, asked: &Special<'_>) -> Result<Option<Timestamp>, IllegalTime> {
        let illegal = IllegalTime(self.max_delay);
        if !asked.wants_time() {
            return Ok(None);
        }
        // What overflows is far away and must not come at once.
        let deliver = asked_for(now, asked).ok_or(illegal)?;
        if deliver <= now.0 {
            return if asked.timer_del_uniq_key.is_some() { Err(illegal) } else { Ok(None) };
        }
        if (Timestamp(deliver) - now).0 > self.max_delay {
            return Err(illegal);
        }
        // A whole multiple is one less, so that it comes exactly at its time.
        Ok(Some(Timestamp(self.floor(deliver - 1))))
    }

    /// What the timer does with a message that was stored at `stored` for `out` and has asked for this.
    #[must_use]
    pub fn entry(&self, stored: Timestamp, out: Timestamp, asked: &Special<'_>) -> TimerEntry {
        let kind = if asked.timer_del_uniq_key.is_some() { EntryKind::Recall } else { EntryKind::Message };
        let written = self.floor(stored.0);
        let beyond = out.0.saturating_sub(written).saturating_sub(self.window);
        if beyond < 0 {
            return TimerEntry { at: self.exact(stored, out, asked), kind, rolls: false };
        }
        // Java leaves enough for the next round.
        let wait = if beyond < self.third_of_window { self.half_window } else { self.window };
        TimerEntry { at: Timestamp(written.saturating_add(wait)), kind, rolls: true }
    }

    /// The time of the entry of a message that does not roll. A message comes when it asked to, which is finer than what is stored of that
    /// (Java waits until all of one precision are due); a recall counts for all messages that have its `out`. Where the message does not
    /// tell (it was stored once more since), it is `out`.
    #[must_use]
    pub fn exact(&self, stored: Timestamp, out: Timestamp, asked: &Special<'_>) -> Timestamp {
        let deliver = if asked.timer_del_uniq_key.is_none() { asked_for(stored, asked) } else { None };
        let Some(deliver) = deliver.filter(|deliver| self.floor(deliver.saturating_sub(1)) == out.0) else { return out };
        let due = if self.precision % GRAIN == 0 { round_up(deliver) } else { deliver };
        Timestamp(due.saturating_sub(self.precision))
    }

    /// The `out` of messages whose entries have this time: the last such time.
    #[must_use]
    pub const fn out_of(&self, at: Timestamp) -> Timestamp {
        Timestamp(self.floor(at.0.saturating_add(self.precision - 1)))
    }

    /// The first and the last time that entries of an `out` can have.
    #[must_use]
    pub const fn times_of(&self, out: Timestamp) -> RangeInclusive<Timestamp> {
        Timestamp(out.0.saturating_sub(self.precision - 1))..=out
    }

    /// When the entries of a time come out.
    #[must_use]
    pub const fn due(&self, at: Timestamp) -> Timestamp {
        Timestamp(at.0.saturating_add(self.precision))
    }

    /// A moment without what is finer than the precision.
    #[must_use]
    pub const fn floor(&self, moment: i64) -> i64 {
        moment.saturating_sub(moment.rem_euclid(self.precision))
    }

    /// The longest delay that may be asked for.
    #[must_use]
    pub const fn max_delay(&self) -> Millis {
        Millis(self.max_delay)
    }
}

/// A moment, rounded up to the grain.
pub(super) const fn round_up(moment: i64) -> i64 {
    moment.saturating_add(moment.saturating_neg().rem_euclid(GRAIN))
}

/// The moment that a message asks for which is stored at `stored`; `None` if it asks for none, or for one that there is not.
pub(super) fn asked_for(stored: Timestamp, asked: &Special<'_>) -> Option<i64> {
    match (asked.timer_delay_sec, asked.timer_delay_ms, asked.timer_deliver_ms) {
        (Some(seconds), ..) => properties::number(seconds)?.checked_mul(1000).and_then(|delay| stored.0.checked_add(delay)),
        (None, Some(millis), _) => stored.0.checked_add(properties::number(millis)?),
        (None, None, Some(moment)) => properties::number(moment),
        (None, None, None) => None,
    }
}

impl Default for TimerRules {
    /// Java's defaults: a second, three days, two days, three days.
    fn default() -> Self {
        Self::new(Millis(1000), Millis::from_secs(259_200), 172_800, Millis::from_secs(72 * 3600))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_700_000_000_000);

    fn out(properties: &[u8]) -> Result<Option<i64>, String> {
        let out = TimerRules::default().out_time(NOW, &Special::scan(properties));
        out.map(|at| at.map(|at| at.0)).map_err(|error| error.to_string())
    }

    #[test]
    fn times_are_rounded_as_java_rounds_them() {
        assert_eq!(out(b"TIMER_DELIVER_MS\x011700000010500\x02"), Ok(Some(1_700_000_010_000)));
        assert_eq!(out(b"TIMER_DELIVER_MS\x011700000010000\x02"), Ok(Some(1_700_000_009_000)));
        assert_eq!(out(b"TIMER_DELIVER_MS\x011699999999000\x02"), Ok(None));
        assert_eq!(out(b"TIMER_DELIVER_MS\x011700000000000\x02"), Ok(None));
        assert_eq!(out(b"TAGS\x01a\x02"), Ok(None));
    }

    #[test]
    fn a_message_comes_when_it_asked_to_up_to_ten_ms_later_and_never_with_those_of_another_second() {
        let rules = TimerRules::default();
        for wait in 1..3_000 {
            for text in [format!("TIMER_DELIVER_MS\x01{}\x02", NOW.0 + wait), format!("TIMER_DELAY_MS\x01{wait}\x02")] {
                let asked = Special::scan(text.as_bytes());
                let out = rules.out_time(NOW, &asked).unwrap().unwrap();
                let at = rules.entry(NOW, out, &asked).at;
                let late = rules.due(at).0 - (NOW.0 + wait);
                assert!((0..GRAIN).contains(&late), "{text}: {late}");
                assert!(rules.out_of(at) == out && rules.times_of(out).contains(&at), "{text}");
            }
        }
    }

    #[test]
    fn a_recall_and_what_was_stored_once_more_have_the_time_that_is_stored() {
        let rules = TimerRules::default();
        let at = |stored: i64, text: &str| {
            let asked = Special::scan(text.as_bytes());
            rules.entry(Timestamp(stored), Timestamp(NOW.0 + 60_000), &asked).at.0 - NOW.0
        };
        assert_eq!(at(NOW.0, "TIMER_DELAY_MS\x0160500\x02"), 59_500);
        assert_eq!(at(NOW.0, "TIMER_DELAY_MS\x0160500\x02TIMER_DEL_UNIQKEY\x01k\x02"), 60_000);
        assert_eq!(at(NOW.0 + 30_000, "TIMER_DELAY_MS\x0160500\x02"), 60_000);
        assert_eq!(at(NOW.0, ""), 60_000);
    }

    #[test]
    fn seconds_count_before_ms_and_ms_before_a_moment() {
        let all = b"TIMER_DELIVER_MS\x011700000050500\x02TIMER_DELAY_MS\x0130500\x02TIMER_DELAY_SEC\x0110\x02";
        assert_eq!(out(all), Ok(Some(1_700_000_009_000)));
        assert_eq!(out(b"TIMER_DELIVER_MS\x011700000050500\x02TIMER_DELAY_MS\x0130500\x02"), Ok(Some(1_700_000_030_000)));
    }

    #[test]
    fn the_longest_delay_is_allowed_and_what_is_longer_or_overflows_is_not() {
        let refusal = Err("timer message illegal, the delay time should not be bigger than the max delay 259200000ms; or if set del msg, \
             the delay time should be bigger than the current time"
            .to_owned());
        assert_eq!(out(b"TIMER_DELAY_SEC\x01259200\x02"), Ok(Some(1_700_259_199_000)));
        for wrong in [
            &b"TIMER_DELAY_MS\x01259200001\x02"[..],
            b"TIMER_DELAY_SEC\x019223372036854775807\x02",
            b"TIMER_DELAY_SEC\x0118446744073709552\x02",
            b"TIMER_DELAY_MS\x019223372036854775807\x02",
            b"TIMER_DELIVER_MS\x019223372036854775807\x02",
            b"TIMER_DELIVER_MS\x0199999999999999999999\x02",
            b"TIMER_DELAY_SEC\x01soon\x02",
            b"TIMER_DELAY_MS\x010\x02TIMER_DEL_UNIQKEY\x01T+k\x02",
        ] {
            assert_eq!(out(wrong), refusal, "{:?}", String::from_utf8_lossy(wrong));
        }
    }

    #[test]
    fn a_long_wait_is_cut_as_java_cuts_it() {
        let rules = TimerRules::default();
        let wait = |secs: i64| {
            let entry = rules.entry(NOW, Timestamp(NOW.0 + secs * 1000), &Special::default());
            ((entry.at - NOW).0 / 1000, entry.rolls)
        };
        assert_eq!(wait(172_799), (172_799, false));
        assert_eq!(wait(172_800), (86_400, true));
        assert_eq!(wait(200_000), (86_400, true));
        assert_eq!(wait(240_000), (172_800, true));
    }

    #[test]
    fn no_message_waits_longer_than_its_file_is_kept() {
        let day = Millis::from_secs(24 * 3600);
        let rules = TimerRules::new(Millis(1000), Millis::from_secs(259_200), 172_800, day);
        for hours in 1..72 {
            let entry = rules.entry(NOW, Timestamp(NOW.0 + hours * 3_600_000), &Special::default());
            assert!((entry.at - NOW).0 < day.0, "{hours} h");
        }
    }
}
