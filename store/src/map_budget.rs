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
/// Queues that are looked at in one turn of the loop at most.
const STEPS: usize = 4096;
/// Whoever has yet to bring a mapping to disk keeps it for about so long after it was given up.
const AFTERGLOW: Millis = Millis::from_secs(2);

/// How many files may be mapped on this machine: half of what the system allows, so that threads, memory and what is on its way out have
/// the other half.
pub(crate) fn of_this_machine() -> usize {
    let limit = fs::read_to_string("/proc/sys/vm/max_map_count").ok().and_then(|limit| limit.trim().parse().ok());
    limit.unwrap_or(USUAL_LIMIT) / 2
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
    due: bool,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// There are few enough.
    Calm,
    /// So many are still to be given up.
    Pressing(usize),
    /// As many were given up as it took; they are on their way out.
    Waiting,
    /// The same, until then.
    WaitingUntil(Millis),
}

impl MapBudget {
    /// So many files may be mapped.
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit: limit.max(1), next_tick: Millis::ZERO, ticks: 0, due: false, state: State::Calm }
    }

    /// `now` has reached what [`MapBudget::poll_timeout`] announced, or a part of it.
    pub(crate) fn handle_timeout(&mut self, now: Now) {
        if now.mono >= self.next_tick {
            // Nothing is idle at the start.
            self.due = self.next_tick > Millis::ZERO;
            self.next_tick = now.mono + TICK;
        }
        match self.state {
            State::Waiting => self.state = State::WaitingUntil(now.mono + AFTERGLOW),
            State::WaitingUntil(until) if now.mono >= until => self.state = State::Calm,
            State::Calm | State::Pressing(_) | State::WaitingUntil(_) => {}
        }
    }

    /// The next moment at which the machine wants to be woken; never, as long as nothing is mapped.
    pub(crate) fn poll_timeout(&self, mapped: usize) -> Option<Millis> {
        let wait = match self.state {
            State::Waiting => Some(Millis::ZERO),
            State::WaitingUntil(until) => Some(until),
            State::Calm | State::Pressing(_) => None,
        };
        (mapped > 0).then_some(self.next_tick).into_iter().chain(wait).min()
    }

    /// What is looked at now, if so many files are mapped and there are so many queues.
    pub(crate) fn poll_sweep(&mut self, mapped: usize, queues: usize) -> Option<Sweep> {
        if mapped > self.limit && self.state == State::Calm {
            // An eighth below the limit, so that this is not needed again at once.
            self.state = State::Pressing(mapped - (self.limit - self.limit / 8));
            tracing::warn!(mapped, limit = self.limit, "as many files are mapped as may be (vm.max_map_count): idle ones are unmapped");
        }
        if let State::Pressing(left) = self.state {
            return Some(Sweep { queues: STEPS.min(queues), log: true, limit: left });
        }
        if !std::mem::take(&mut self.due) {
            return None;
        }
        self.ticks += 1;
        let parts = PERIOD.0 / TICK.0;
        // The log has few files: once in a period is enough.
        let log = self.ticks.is_multiple_of(parts);
        let share = queues.div_ceil(usize::try_from(parts).unwrap_or(1));
        Some(Sweep { queues: share, log, limit: usize::MAX })
    }

    /// A sweep is done: so many mappings were given up.
    pub(crate) fn handle_swept(&mut self, given_up: usize) {
        if let State::Pressing(left) = self.state {
            self.state = if given_up >= left { State::Waiting } else { State::Pressing(left - given_up) };
        }
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
            budget.handle_timeout(at(tick * 10_000));
            if let Some(sweep) = budget.poll_sweep(10, 90) {
                looked += sweep.queues;
                log += usize::from(sweep.log);
            }
            assert_eq!(budget.poll_sweep(10, 90), None, "once for each tick");
        }
        assert_eq!((looked, log), (90, 1));
    }

    #[test]
    fn above_the_limit_mappings_are_given_up_until_there_are_clearly_fewer() {
        let mut budget = MapBudget::new(80);
        assert_eq!(budget.poll_sweep(80, 200), None);
        assert_eq!(budget.poll_sweep(81, 200), Some(Sweep { queues: 200, log: true, limit: 11 }));
        budget.handle_swept(4);
        assert_eq!(budget.poll_sweep(77, 200), Some(Sweep { queues: 200, log: true, limit: 7 }));
        budget.handle_swept(7);
        assert_eq!(budget.poll_sweep(70, 200), None);
    }

    #[test]
    fn what_was_given_up_is_given_time_to_go() {
        let mut budget = MapBudget::new(80);
        let _ = budget.poll_sweep(90, 200);
        budget.handle_swept(20);
        assert_eq!(budget.poll_sweep(90, 200), None, "it is still being brought to disk");
        assert_eq!(budget.poll_timeout(90), Some(Millis(0)));
        budget.handle_timeout(at(500));
        assert_eq!(budget.poll_timeout(90), Some(Millis(2500)));
        budget.handle_timeout(at(2500));
        assert!(budget.poll_sweep(90, 200).is_some(), "others have come");
    }

    #[test]
    fn one_turn_looks_at_no_more_queues_than_it_has_time_for() {
        let mut budget = MapBudget::new(10);
        assert_eq!(budget.poll_sweep(100_000, 1_000_000).map(|sweep| sweep.queues), Some(STEPS));
    }
}
