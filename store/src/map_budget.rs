//! How many files may be mapped, and which mappings are given up.
//!
//! Files are mapped when they are first used, and stay so while they are used. A system limits the mappings of a process
//! (`vm.max_map_count`), and a broker may have more queues than that: those that are not used are unmapped in turn, slowly as long as there
//! are few, at once when there are many. What is unmapped is mapped again when it is used.

use std::fs;

use route_core::time::{Millis, Now};

/// What a Linux allows unless it is told otherwise.
const USUAL_LIMIT: usize = 65_530;

/// Who is not used for one to two of these is unmapped.
const PERIOD: Millis = Millis::from_secs(300);
/// How often a part of all queues is looked at.
const TICK: Millis = Millis::from_secs(10);
/// Queues that are looked at in one turn of the loop, and mappings that are given up in it: to give up one takes some microseconds.
const STEPS: usize = 4096;
const GIVEN_UP: usize = 128;

/// How many files may be mapped on this machine: half of what the system allows, so that threads, memory and what is on its way out have
/// the other half.
pub(crate) fn of_this_machine() -> usize {
    allowed() / 2
}

/// How many files of queues may be mapped in any case: more than [usual](of_this_machine), since idle ones are unmapped between two turns of the
/// loop only, and a turn may use very many.
pub(crate) fn most_of_this_machine() -> usize {
    allowed() / 8 * 7
}

fn allowed() -> usize {
    let limit = fs::read_to_string("/proc/sys/vm/max_map_count").ok().and_then(|limit| limit.trim().parse().ok());
    limit.unwrap_or(USUAL_LIMIT)
}

/// A look at some queues, in turn: those that were not used since the last look are unmapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sweep {
    /// How many queues are looked at.
    pub(crate) queues: usize,
    /// Whether the log's files are looked at, too.
    pub(crate) log: bool,
    /// So many mappings are given up at most.
    pub(crate) limit: usize,
}

/// Decides when which mappings are looked at.
#[derive(Debug)]
pub(crate) struct MapBudget {
    limit: usize,
    next_tick: Millis,
    ticks: u64,
    /// So many queues are still to be looked at before the next tick.
    due: usize,
    log_due: bool,
    /// There are too many: some are given up until there are clearly fewer.
    pressing: bool,
    /// Somebody was told so since the last tick.
    told: bool,
}

impl MapBudget {
    /// So many files may be mapped.
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit: limit.max(1), next_tick: Millis::ZERO, ticks: 0, due: 0, log_due: false, pressing: false, told: false }
    }

    /// `now` has reached what [`MapBudget::poll_timeout`] announced, or a part of it. There are so many queues.
    pub(crate) fn handle_timeout(&mut self, now: Now, queues: usize) {
        if now.mono < self.next_tick {
            return;
        }
        // Nothing is idle at the start.
        if self.next_tick > Millis::ZERO {
            self.ticks += 1;
            let parts = PERIOD.0 / TICK.0;
            self.due = queues.div_ceil(usize::try_from(parts).unwrap_or(1));
            // The log has few files: once in a period is enough.
            self.log_due = self.ticks.is_multiple_of(parts);
        }
        self.told = false;
        self.next_tick = now.mono + TICK;
    }

    /// The next moment at which the machine wants to be woken; never, as long as nothing is mapped.
    pub(crate) fn poll_timeout(&self, mapped: usize) -> Option<Millis> {
        let next = if self.due > 0 { Millis::ZERO } else { self.next_tick };
        (mapped > 0).then_some(next)
    }

    /// What is looked at in this turn of the loop, if so many files are mapped and there are so many queues.
    pub(crate) fn poll_sweep(&mut self, mapped: usize, queues: usize) -> Option<Sweep> {
        if mapped > self.limit {
            self.log_due |= !self.pressing;
            self.pressing = true;
            if !std::mem::replace(&mut self.told, true) {
                tracing::warn!(mapped, limit = self.limit, "as many files are mapped as may be (maxMappedFiles): idle ones are unmapped");
            }
        }
        // An eighth below the limit, so that this is not needed again at once.
        let excess = mapped.saturating_sub(self.limit - self.limit / 8);
        self.pressing &= excess > 0;
        let log = std::mem::take(&mut self.log_due);
        if self.pressing {
            // There must never be so many that nothing more can be mapped, whatever time it takes.
            let now = mapped > self.limit + self.limit / 4;
            return Some(if now {
                Sweep { queues, log, limit: excess }
            } else {
                Sweep { queues: STEPS.min(queues), log, limit: GIVEN_UP }
            });
        }
        let share = self.due.min(GIVEN_UP);
        self.due -= share;
        (share > 0 || log).then_some(Sweep { queues: share, log, limit: usize::MAX })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(mono: u64) -> Now {
        Now { mono: Millis(mono), ..Now::default() }
    }

    #[test]
    fn nothing_is_looked_at_as_long_as_nothing_is_mapped() {
        assert_eq!(MapBudget::new(100).poll_timeout(0), None);
    }

    #[test]
    fn all_queues_are_looked_at_once_in_a_period() {
        let mut budget = MapBudget::new(1000);
        let (mut looked, mut log) = (0, 0);
        for tick in 0..=30 {
            budget.handle_timeout(at(tick * 10_000), 90);
            if let Some(sweep) = budget.poll_sweep(10, 90) {
                looked += sweep.queues;
                log += usize::from(sweep.log);
            }
            assert_eq!(budget.poll_sweep(10, 90), None, "once for each tick");
        }
        assert_eq!((looked, log), (90, 1));
    }

    #[test]
    fn many_queues_are_looked_at_in_several_turns_one_after_the_other() {
        let mut budget = MapBudget::new(100_000);
        budget.handle_timeout(at(0), 9000);
        budget.handle_timeout(at(10_000), 9000);
        assert_eq!(budget.poll_timeout(10), Some(Millis(0)));
        let turns: Vec<_> = std::iter::from_fn(|| budget.poll_sweep(10, 9000)).map(|sweep| sweep.queues).collect();
        assert_eq!(turns, [128, 128, 44]);
        assert_eq!(budget.poll_timeout(10), Some(Millis(20_000)));
    }

    #[test]
    fn above_the_limit_mappings_are_given_up_until_there_are_clearly_fewer() {
        let mut budget = MapBudget::new(80);
        assert_eq!(budget.poll_sweep(80, 200), None);
        assert_eq!(budget.poll_sweep(81, 200), Some(Sweep { queues: 200, log: true, limit: GIVEN_UP }));
        assert_eq!(budget.poll_sweep(75, 200), Some(Sweep { queues: 200, log: false, limit: GIVEN_UP }));
        assert_eq!(budget.poll_sweep(70, 200), None);
        assert_eq!(budget.poll_sweep(80, 200), None);
    }

    #[test]
    fn far_above_the_limit_all_that_is_too_much_goes_at_once() {
        let mut budget = MapBudget::new(8000);
        assert_eq!(budget.poll_sweep(10_001, 20_000), Some(Sweep { queues: 20_000, log: true, limit: 3001 }));
    }

    #[test]
    fn one_turn_looks_at_no_more_queues_than_it_has_time_for() {
        let mut budget = MapBudget::new(1000);
        assert_eq!(budget.poll_sweep(1001, 1_000_000).map(|sweep| (sweep.queues, sweep.limit)), Some((STEPS, GIVEN_UP)));
    }
}
