//! The timers that come next, in memory: as many as may be, ordered by time.

use std::collections::{BTreeMap, VecDeque};

use crate::time::Timestamp;

/// The order in which timers come: by their time, and then as they were stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimerKey {
    /// The rounded time.
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

/// Timers in order, 8 bytes for each and some 100 bytes for each time that has any. Holds the first so many: what would be too much is left
/// out from the end.
#[derive(Debug)]
pub struct TimerWindow {
    /// Offsets in the queue by time.
    times: BTreeMap<Timestamp, VecDeque<i64>>,
    len: usize,
    limit: usize,
}

impl TimerWindow {
    /// An empty window for at most `limit` timers.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { times: BTreeMap::new(), len: 0, limit: limit.max(1) }
    }

    /// How many are in it.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether there is room for as many again, or more.
    #[must_use]
    pub const fn is_half_empty(&self) -> bool {
        self.len <= self.limit / 2
    }

    /// How many have this time.
    #[must_use]
    pub fn count(&self, at: Timestamp) -> usize {
        self.times.get(&at).map_or(0, VecDeque::len)
    }

    /// The timer that comes first.
    #[must_use]
    pub fn first(&self) -> Option<TimerKey> {
        let (at, offsets) = self.times.first_key_value()?;
        Some(TimerKey { at: *at, offset: *offsets.front()? })
    }

    /// Takes one in. If that is one too many, those at the end are left out: the answer is the first of these.
    #[must_use]
    pub fn insert(&mut self, key: TimerKey) -> Option<TimerKey> {
        let offsets = self.times.entry(key.at).or_default();
        match offsets.back() {
            // It is read in the order of the queue nearly always.
            Some(last) if *last >= key.offset => {
                let Err(place) = offsets.binary_search(&key.offset) else { return None };
                offsets.insert(place, key.offset);
            }
            _ => offsets.push_back(key.offset),
        }
        self.len += 1;
        if self.len > self.limit { self.leave_out_last() } else { None }
    }

    /// Takes the first one out.
    pub fn pop_first(&mut self) {
        let Some(mut first) = self.times.first_entry() else { return };
        if first.get_mut().pop_front().is_some() {
            self.len -= 1;
        }
        if first.get().is_empty() {
            first.remove();
        }
    }

    /// Leaves out the last quarter, so that this is rare. What stays is more than half: whoever reads again when half is gone gets on.
    fn leave_out_last(&mut self) -> Option<TimerKey> {
        let target = self.limit - self.limit / 4;
        let mut first = None;
        while self.len > target {
            let mut last = self.times.last_entry()?;
            let kept = last.get().len().saturating_sub(self.len - target);
            let rest = last.get_mut().split_off(kept);
            self.len -= rest.len();
            first = rest.front().map(|offset| TimerKey { at: *last.key(), offset: *offset });
            if last.get().is_empty() {
                last.remove();
            }
        }
        first
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
    fn a_window_for_one_holds_the_first() {
        let mut window = TimerWindow::new(1);
        assert_eq!(window.insert(key(2, 0)), None);
        assert_eq!(window.insert(key(1, 1)), Some(key(2, 0)));
        assert_eq!(drain(&mut window), [key(1, 1)]);
    }
}
