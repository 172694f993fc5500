//! The timers that come next, in memory: as many as may be, ordered by time.

use std::{collections::BTreeSet, ops::RangeInclusive};

use crate::time::Timestamp;

/// The order in which timers come: by their time, and then as they were stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimerKey {
    /// The time, rounded; it comes one precision later.
    pub at: Timestamp,
    /// The offset in the timer's queue.
    pub offset: i64,
}

impl TimerKey {
    /// Before all others.
    pub const FIRST: Self = Self { at: Timestamp(i64::MIN), offset: i64::MIN };

    /// The first that may have this time.
    #[must_use]
    pub const fn begin_of(at: Timestamp) -> Self {
        Self { at, offset: i64::MIN }
    }

    /// The first that may come after all of this time.
    #[must_use]
    pub const fn end_of(at: Timestamp) -> Self {
        Self::begin_of(Timestamp(at.0.saturating_add(1)))
    }

    /// The first that may come after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self { at: self.at, offset: self.offset.saturating_add(1) }
    }
}

/// Timers in order, some 30 bytes each whatever their times. Holds the first so many: what would be too much is left out from the end.
#[derive(Debug)]
pub struct TimerWindow {
    keys: BTreeSet<TimerKey>,
    limit: usize,
}

impl TimerWindow {
    /// An empty window for at most `limit` timers.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { keys: BTreeSet::new(), limit: limit.max(1) }
    }

    /// How many are in it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Whether there is room for as many again, or more.
    #[must_use]
    pub fn is_half_empty(&self) -> bool {
        self.keys.len() <= self.limit / 2
    }

    /// How many have one of these times; none is counted beyond `most`.
    #[must_use]
    pub fn count(&self, times: RangeInclusive<Timestamp>, most: usize) -> usize {
        self.keys.range(TimerKey::begin_of(*times.start())..TimerKey::end_of(*times.end())).take(most).count()
    }

    /// The timer that comes first.
    #[must_use]
    pub fn first(&self) -> Option<TimerKey> {
        self.keys.first().copied()
    }

    /// Takes one in. If that is one too many, those at the end are left out: the answer is the first of these.
    #[must_use]
    pub fn insert(&mut self, key: TimerKey) -> Option<TimerKey> {
        self.keys.insert(key);
        if self.keys.len() > self.limit { self.leave_out_last() } else { None }
    }

    /// Takes the first one out.
    pub fn pop_first(&mut self) {
        self.keys.pop_first();
    }

    /// Leaves out the last quarter, so that this is rare. What stays is more than half: whoever reads again when half is gone gets on.
    fn leave_out_last(&mut self) -> Option<TimerKey> {
        let kept = self.limit - self.limit / 4;
        let first = *self.keys.iter().rev().nth(self.keys.len().checked_sub(kept + 1)?)?;
        drop(self.keys.split_off(&first));
        Some(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(at: i64, offset: i64) -> TimerKey {
        TimerKey { at: Timestamp(at), offset }
    }

    fn drain(window: &mut TimerWindow) -> Vec<TimerKey> {
        std::iter::from_fn(|| window.first().inspect(|_| window.pop_first())).collect()
    }

    #[test]
    fn timers_come_by_time_and_then_as_they_were_stored() {
        let mut window = TimerWindow::new(10);
        for (at, offset) in [(5, 0), (3, 1), (5, 2), (3, 3), (5, 1), (5, 2)] {
            assert_eq!(window.insert(key(at, offset)), None);
        }
        assert_eq!(window.len(), 5);
        assert_eq!(drain(&mut window), [key(3, 1), key(3, 3), key(5, 0), key(5, 1), key(5, 2)]);
        assert!(window.is_empty());
    }

    #[test]
    fn what_is_too_much_is_left_out_from_the_end() {
        let mut window = TimerWindow::new(4);
        for (at, offset) in [(9, 0), (3, 1), (9, 2), (9, 3)] {
            assert_eq!(window.insert(key(at, offset)), None);
        }
        assert_eq!(window.insert(key(4, 4)), Some(key(9, 2)));
        assert_eq!(drain(&mut window), [key(3, 1), key(4, 4), key(9, 0)]);
    }

    #[test]
    fn more_than_half_stays_however_many_have_the_same_time() {
        let mut window = TimerWindow::new(100);
        assert_eq!(window.insert(key(1, 0)), None);
        for offset in 1..100 {
            assert_eq!(window.insert(key(7, offset)), None);
        }
        assert_eq!(window.insert(key(7, 100)), Some(key(7, 75)));
        assert!(!window.is_half_empty());
        assert_eq!(drain(&mut window).last(), Some(&key(7, 74)));
    }

    #[test]
    fn those_of_some_times_are_counted_as_far_as_that_matters() {
        let mut window = TimerWindow::new(10);
        for (at, offset) in [(5, 0), (3, 1), (5, 2), (6, 3), (8, 4)] {
            assert_eq!(window.insert(key(at, offset)), None);
        }
        let count = |from, to, most| window.count(Timestamp(from)..=Timestamp(to), most);
        assert_eq!([count(5, 5, 9), count(4, 6, 9), count(0, 9, 9), count(0, 9, 2), count(7, 7, 9)], [2, 3, 5, 2, 0]);
    }

    #[test]
    fn a_window_for_one_holds_the_first() {
        let mut window = TimerWindow::new(1);
        assert_eq!(window.insert(key(2, 0)), None);
        assert_eq!(window.insert(key(1, 1)), Some(key(2, 0)));
        assert_eq!(drain(&mut window), [key(1, 1)]);
    }
}
