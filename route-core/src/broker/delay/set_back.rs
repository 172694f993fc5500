//! What the queue of a level shows of a wall clock that was set back while messages waited in it.
//!
//! A message's delivery time is its store time plus its level's length, so one that is due later than that from now was stored by a
//! clock that has been set back since. How far it was set back cannot be known after a restart, but the newest message that the old clock stored
//! bounds it: that one waits the level's length anew and those before it come as long before it as they were stored. None waits
//! longer than its level from the moment at which the jump was noticed, none comes at once, and what the new clock stores is not touched.

use crate::time::{Millis, Timestamp};

/// Set-backs that are remembered of one level; of more, the oldest is forgotten and its messages wait longer.
const LIMIT: usize = 8;

/// Messages before `until` were stored by a clock that was ahead of today's by at least `by`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct SetBack {
    until: i64,
    by: Millis,
}

/// The set-backs that concern messages which still wait in one level, oldest first.
#[derive(Debug, Default)]
pub(super) struct SetBacks(Vec<SetBack>);

impl SetBacks {
    /// When the message at `offset` is due by today's clock.
    pub(super) fn corrected(&self, offset: i64, deliver_at: Timestamp) -> Timestamp {
        let ahead = self.0.iter().filter(|set_back| offset < set_back.until).fold(Millis::ZERO, |sum, set_back| sum + set_back.by);
        Timestamp(deliver_at.0.saturating_sub_unsigned(ahead.0))
    }

    /// Looks for a set-back that is not known yet among the messages from `first` up to `end`; whether there was one. `latest` is when a message is due
    /// that is stored now, `due_at` tells of each message when it is due as stored.
    pub(super) fn look(&mut self, first: i64, end: i64, latest: Timestamp, due_at: impl Fn(i64) -> Option<Timestamp>) -> bool {
        let ahead = |offset: i64| due_at(offset).map_or(Millis::ZERO, |at| self.corrected(offset, at) - latest);
        let is_ahead = |offset: i64| ahead(offset) > Millis::ZERO;
        let until = if is_ahead(end - 1) {
            end
        } else if is_ahead(first) {
            // The oldest of the old clock's messages is ahead, so all of them are; the new clock's follow, and none of them is.
            first_without(first, end, is_ahead)
        } else {
            return false;
        };
        let by = ahead(until - 1);
        self.0.retain(|known| known.until > first);
        if self.0.len() >= LIMIT {
            self.0.remove(0);
        }
        self.0.push(SetBack { until, by });
        true
    }
}

/// The first offset in `from..to` for which `holds` does not hold, if it holds for all before and for none behind; `to` if it holds for all.
fn first_without(mut from: i64, mut to: i64, holds: impl Fn(i64) -> bool) -> i64 {
    while from < to {
        let middle = from + (to - from) / 2;
        if holds(middle) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    from
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A level of 5 s and the store times of its messages. When they are due after a look at `wall`.
    fn due(set_backs: &mut SetBacks, wall: i64, stored: &[i64]) -> Vec<i64> {
        let at = |offset: i64| stored.get(usize::try_from(offset).unwrap()).map(|stored| Timestamp(stored + 5_000));
        let end = i64::try_from(stored.len()).unwrap();
        set_backs.look(0, end, Timestamp(wall + 5_000), at);
        (0..end).map(|offset| set_backs.corrected(offset, at(offset).unwrap()).0).collect()
    }

    #[test]
    fn a_clock_that_goes_on_moves_nothing() {
        let mut set_backs = SetBacks::default();
        assert_eq!(due(&mut set_backs, 100_900, &[100_000, 100_300]), [105_000, 105_300]);
        assert!(set_backs.0.is_empty());
    }

    #[test]
    fn the_newest_message_waits_its_level_anew_and_the_others_keep_their_distance() {
        assert_eq!(due(&mut SetBacks::default(), 1_000, &[100_000, 100_300]), [5_700, 6_000]);
        assert_eq!(due(&mut SetBacks::default(), 99_000, &[98_000, 100_300]), [101_700, 104_000]);
    }

    #[test]
    fn what_the_new_clock_stores_is_not_touched() {
        let stored = [100_000, 100_300, 1_200, 1_400];
        assert_eq!(due(&mut SetBacks::default(), 1_500, &stored), [6_200, 6_500, 6_200, 6_400]);
    }

    #[test]
    fn a_second_set_back_moves_all_that_the_first_left() {
        let mut set_backs = SetBacks::default();
        due(&mut set_backs, 50_000, &[100_000, 100_300]);
        assert_eq!(due(&mut set_backs, 1_000, &[100_000, 100_300, 50_200]), [5_500, 5_800, 6_000]);
        assert_eq!(set_backs.0.len(), 2);
    }

    #[test]
    fn no_more_than_a_few_are_remembered() {
        let mut set_backs = SetBacks::default();
        for times in 1..100 {
            due(&mut set_backs, 1_000_000 - 10_000 * times, &[1_000_000]);
        }
        assert_eq!(set_backs.0.len(), LIMIT);
    }
}
