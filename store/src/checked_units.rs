//! Which old units of a queue are known to lead to whole messages: what has been looked at once is not looked at again.

use std::cell::Cell;

/// So many readers can be at different places of a queue without work that is done twice.
const READERS: usize = 4;

/// Some ranges of offsets, each as a reader has gone through it.
#[derive(Debug, Default)]
pub(crate) struct CheckedUnits {
    /// From the first offset to one past the last.
    ranges: [Cell<(i64, i64)>; READERS],
    /// The range that makes room for the next one.
    hand: Cell<usize>,
}

impl CheckedUnits {
    /// Whether a unit is known to be right.
    #[inline]
    pub(crate) fn has(&self, offset: i64) -> bool {
        self.ranges.iter().any(|range| (range.get().0..range.get().1).contains(&offset))
    }

    /// A unit was looked at and is right.
    pub(crate) fn note(&self, offset: i64) {
        let ends_here = self.ranges.iter().find(|range| range.get().1 == offset && range.get().0 < offset);
        let begins_behind = self.ranges.iter().find(|range| range.get().0 == offset + 1);
        match (ends_here, begins_behind) {
            (Some(before), Some(behind)) => {
                before.set((before.get().0, behind.get().1));
                behind.set((0, 0));
            }
            (Some(before), None) => before.set((before.get().0, offset + 1)),
            (None, Some(behind)) => behind.set((offset, behind.get().1)),
            (None, None) => {
                let hand = self.hand.get();
                self.hand.set((hand + 1) % READERS);
                if let Some(range) = self.ranges.get(hand) {
                    range.set((offset, offset + 1));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_reader_has_gone_through_is_one_range() {
        let checked = CheckedUnits::default();
        for offset in (10..20).chain([5]) {
            assert!(!checked.has(offset));
            checked.note(offset);
        }
        assert_eq!((0..30).filter(|offset| checked.has(*offset)).collect::<Vec<_>>(), [vec![5], (10..20).collect()].concat());
        for offset in (6..10).rev() {
            checked.note(offset);
        }
        // The two ranges have become one: there is room for three more.
        for offset in [100, 200, 300] {
            checked.note(offset);
        }
        assert!((5..20).chain([100, 200, 300]).all(|offset| checked.has(offset)));
    }

    #[test]
    fn one_reader_too_many_costs_the_oldest_range_only() {
        let checked = CheckedUnits::default();
        for offset in [0, 100, 200, 300, 400] {
            checked.note(offset);
        }
        assert_eq!([0, 100, 200, 300, 400].map(|offset| checked.has(offset)), [false, true, true, true, true]);
    }
}
