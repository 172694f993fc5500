//! Something that is to be done every so often.

use crate::time::{Millis, Now};

/// A period and the next moment of it. A moment that was missed is made up for once, not as often as it was missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    period: Millis,
    next: Millis,
}

impl Interval {
    /// First `delay` from now, then every `period`.
    #[must_use]
    pub fn new(now: Now, delay: Millis, period: Millis) -> Self {
        Self { period: period.max(Millis(1)), next: now.mono + delay }
    }

    /// Whether the moment has come; sets the next one if so.
    pub fn is_due(&mut self, now: Now) -> bool {
        let due = self.next <= now.mono;
        if due {
            self.next = now.mono + self.period;
        }
        due
    }

    /// From now on every `period`: the next moment comes no later than that.
    pub fn set_period(&mut self, now: Now, period: Millis) {
        self.period = period.max(Millis(1));
        self.next = self.next.min(now.mono + self.period);
    }

    /// The next moment.
    #[must_use]
    pub const fn next(&self) -> Millis {
        self.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(mono: u64) -> Now {
        Now { mono: Millis(mono), ..Now::default() }
    }

    #[test]
    fn a_shorter_period_counts_at_once_and_a_longer_one_from_the_next_moment_on() {
        let mut interval = Interval::new(at(0), Millis(100), Millis(100));
        interval.set_period(at(10), Millis(20));
        assert_eq!(interval.next(), Millis(30));
        interval.set_period(at(20), Millis(500));
        assert!(interval.is_due(at(30)));
        assert_eq!(interval.next(), Millis(530));
    }

    #[test]
    fn a_missed_moment_is_made_up_for_once() {
        let mut interval = Interval::new(at(0), Millis(100), Millis(50));
        assert!(!interval.is_due(at(99)));
        assert!(interval.is_due(at(400)));
        assert!(!interval.is_due(at(400)));
        assert_eq!(interval.next(), Millis(450));
    }
}
