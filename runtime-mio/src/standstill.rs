//! Time in which the process did not run: it was stopped, its machine was paused or moved, or it waited long for a processor.
//!
//! Nobody is late by it who could not be heard meanwhile. What peers sent lies in the sockets, but the deadlines have passed before it is
//! read: without this a pause of two minutes looks like the silence of every peer at once.

use route_core::time::Millis;

/// A gap between two turns of the loop, beyond the sleep that was planned, counts as no more than this. Much longer than a turn
/// takes, much shorter than any time after which a peer counts as gone; and time goes on even where every turn is a slow one.
const LONGEST: Millis = Millis::from_secs(1);

/// How much of the steady clock's time the process has not lived through.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Standstill {
    /// The clock at the last turn; before the first one whatever takes its time is part of the start.
    last: Option<Millis>,
    /// All standstills so far.
    total: Millis,
}

impl Standstill {
    /// The loop goes on at `clock` after a turn and a sleep, of which the sleep was to take no longer than `planned`. Returns how long the process
    /// has stood still, if it has.
    pub(crate) fn handle_turn(&mut self, clock: Millis, planned: Millis) -> Option<Millis> {
        let gap = clock.saturating_sub(self.last.replace(clock).unwrap_or(clock));
        let still = gap.saturating_sub(planned + LONGEST);
        self.total = self.total + still;
        (still > Millis::ZERO).then_some(still)
    }

    /// The time on `clock` without what was lost.
    pub(crate) const fn lived(&self, clock: Millis) -> Millis {
        clock.saturating_sub(self.total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Millis = Millis(120_000);

    /// A clock after a turn at 10 s.
    fn after_a_turn() -> Standstill {
        let mut standstill = Standstill::default();
        standstill.handle_turn(Millis(10_000), Millis(10_000));
        standstill
    }

    #[test]
    fn a_sleep_as_long_as_planned_is_time_that_was_lived() {
        let mut standstill = after_a_turn();
        assert_eq!(standstill.handle_turn(Millis(40_000), Millis(30_000)), None);
        assert_eq!(standstill.handle_turn(Millis(40_900), Millis(0)), None);
        assert_eq!(standstill.lived(Millis(40_900)), Millis(40_900));
    }

    #[test]
    fn of_a_pause_no_more_than_a_second_counts() {
        let mut standstill = after_a_turn();
        assert_eq!(standstill.handle_turn(Millis(10_500) + PAUSE, Millis(500)), Some(Millis(119_000)));
        assert_eq!(standstill.lived(Millis(10_500) + PAUSE), Millis(11_500));
    }

    #[test]
    fn a_long_start_is_time_like_any_other() {
        let mut standstill = Standstill::default();
        assert_eq!(standstill.handle_turn(Millis(10_000), Millis(0)), None);
        assert_eq!(standstill.lived(Millis(10_000)), Millis(10_000));
    }

    #[test]
    fn time_that_is_shown_never_goes_back() {
        let mut standstill = after_a_turn();
        let mut shown = standstill.lived(Millis(10_000));
        for (clock, planned) in [(10_001, 0), (15_000, 1_000), (15_000, 1_000), (200_000, 3), (200_001, 50_000)] {
            standstill.handle_turn(Millis(clock), Millis(planned));
            let next = standstill.lived(Millis(clock));
            assert!(next >= shown, "{next:?} after {shown:?}");
            shown = next;
        }
    }

    #[test]
    fn time_goes_on_where_every_turn_is_slow() {
        let mut standstill = after_a_turn();
        for turn in 1..=10 {
            standstill.handle_turn(Millis(10_000 + turn * 3_000), Millis(0));
        }
        assert_eq!(standstill.lived(Millis(40_000)), Millis(20_000));
    }
}
