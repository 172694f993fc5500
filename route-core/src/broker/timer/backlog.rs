//! How many units of the timer's queue are not done, by their place: so the first place that still counts is known.

use std::collections::VecDeque;

/// Units that are counted together.
const TOGETHER: i64 = 1024;

/// Counts of units that are not done, 4 bytes for each 1024 units between the first of them and the end of the queue.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    /// Number of the first count.
    first: i64,
    counts: VecDeque<u32>,
    total: u64,
}

impl Backlog {
    /// A unit has to be done.
    pub(super) fn add(&mut self, offset: i64) {
        let number = offset.div_euclid(TOGETHER);
        if self.counts.is_empty() {
            self.first = number;
        }
        while number < self.first {
            self.first -= 1;
            self.counts.push_front(0);
        }
        let index = usize::try_from(number - self.first).unwrap_or(usize::MAX);
        if index >= self.counts.len() {
            self.counts.resize(index.saturating_add(1), 0);
        }
        self.counts[index] += 1;
        self.total += 1;
    }

    /// A unit that was added is done.
    pub(super) fn remove(&mut self, offset: i64) {
        let index = usize::try_from(offset.div_euclid(TOGETHER) - self.first).ok();
        if let Some(count) = index.and_then(|index| self.counts.get_mut(index))
            && *count > 0
        {
            *count -= 1;
            self.total -= 1;
        }
        self.shorten();
    }

    /// Units before this offset are not there any more.
    pub(super) fn forget_before(&mut self, offset: i64) {
        let number = offset.div_euclid(TOGETHER);
        while self.first < number
            && let Some(count) = self.counts.pop_front()
        {
            self.total -= u64::from(count);
            self.first += 1;
        }
        self.shorten();
    }

    /// No unit before this offset has to be done; `None` if there is none at all.
    pub(super) fn first(&self) -> Option<i64> {
        (!self.counts.is_empty()).then_some(self.first * TOGETHER)
    }

    /// How many have to be done.
    pub(super) const fn total(&self) -> u64 {
        self.total
    }

    fn shorten(&mut self) {
        while self.counts.front() == Some(&0) {
            self.counts.pop_front();
            self.first += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_place_that_counts_follows_what_is_done() {
        let mut backlog = Backlog::default();
        assert_eq!(backlog.first(), None);
        for offset in [5000, 1030, 1031, 9000] {
            backlog.add(offset);
        }
        assert_eq!((backlog.first(), backlog.total()), (Some(1024), 4));
        backlog.remove(1031);
        backlog.remove(5000);
        assert_eq!(backlog.first(), Some(1024));
        backlog.remove(1030);
        assert_eq!((backlog.first(), backlog.total()), (Some(8192), 1));
        backlog.remove(9000);
        assert_eq!((backlog.first(), backlog.total()), (None, 0));
    }

    #[test]
    fn what_has_expired_is_not_waited_for() {
        let mut backlog = Backlog::default();
        for offset in [10, 5000] {
            backlog.add(offset);
        }
        backlog.forget_before(2048);
        assert_eq!((backlog.first(), backlog.total()), (Some(4096), 1));
        backlog.remove(10);
        assert_eq!(backlog.total(), 1);
    }
}
