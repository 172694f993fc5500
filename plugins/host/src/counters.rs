//! What a plugin has done since it was installed, and what that took.

use crate::failure::{Cause, Failure};

/// A steady clock, in nanoseconds since any moment. Plugins are told no time: only the counters read it.
pub type Clock = fn() -> u64;

/// One call of this many is timed: the clock costs a tenth of a small call.
const TIMED: u64 = 16;

/// What a plugin has done since it was installed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counters {
    /// Batches that were judged, or shares of queues that were made.
    pub(crate) calls: u64,
    /// Messages in the batches.
    pub(crate) messages: u64,
    /// Calls that failed, those about arguments among them.
    pub(crate) failures: u64,
    /// Of them, those that trapped.
    pub(crate) traps: u64,
    /// Of them, those that ran into a limit.
    pub(crate) limits: u64,
    /// All fuel that was used.
    pub(crate) fuel: u64,
    /// Messages that went as the policy says, since there was no answer for them.
    pub(crate) by_policy: u64,
    timed_calls: u64,
    timed_messages: u64,
    nanos: u64,
}

impl Counters {
    /// A call begins. Answers when, if it is one of those that are timed.
    pub(crate) fn begin(&mut self, messages: usize, clock: Option<Clock>) -> Option<u64> {
        let begun = clock.filter(|_| self.calls.is_multiple_of(TIMED)).map(|clock| clock());
        self.calls += 1;
        self.messages += messages as u64;
        begun
    }

    /// A call that was timed has ended.
    pub(crate) fn end(&mut self, messages: usize, nanos: u64) {
        self.timed_calls += 1;
        self.timed_messages += messages as u64;
        self.nanos = self.nanos.saturating_add(nanos);
    }

    /// Fuel was used.
    pub(crate) const fn note_fuel(&mut self, fuel: u64) {
        self.fuel = self.fuel.saturating_add(fuel);
    }

    /// A call has failed.
    pub(crate) const fn note(&mut self, failure: &Failure) {
        self.failures += 1;
        match failure.cause() {
            Cause::Trap => self.traps += 1,
            Cause::Limit => self.limits += 1,
            Cause::Other => {}
        }
    }

    /// Nanoseconds that a call takes, and for each message of it, as far as they were timed; 0 if nothing was.
    pub(crate) fn nanos(&self) -> (u64, u64) {
        let each = |count| self.nanos.checked_div(count).unwrap_or(0);
        (each(self.timed_calls), each(self.timed_messages))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_calls_are_timed_and_stand_for_all() {
        let mut counters = Counters::default();
        let mut timed = 0;
        for _ in 0..40 {
            if let Some(begun) = counters.begin(10, Some(|| 7)) {
                counters.end(10, 507 - begun);
                timed += 1;
            }
        }
        assert_eq!((timed, counters.calls, counters.messages, counters.nanos()), (3, 40, 400, (500, 50)));
    }

    #[test]
    fn without_a_clock_nothing_is_timed() {
        let mut counters = Counters::default();
        assert_eq!(counters.begin(10, None), None);
        assert_eq!((counters.calls, counters.nanos()), (1, (0, 0)));
    }
}
