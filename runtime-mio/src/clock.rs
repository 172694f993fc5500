//! The only place where the time is read.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use route_core::time::{Millis, Now, Timestamp};

use crate::standstill::Standstill;

/// Both kinds of time. The steady one counts from the moment at which the clock was made, without the time in which the loop that
/// owns the clock stood still.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Instant,
    standstill: Standstill,
}

impl Clock {
    /// A clock whose steady time is zero now.
    #[must_use]
    pub fn new() -> Self {
        Self { started: Instant::now(), standstill: Standstill::default() }
    }

    /// The present. What is read between two turns of the loop may lie ahead of what the next one reads.
    #[must_use]
    pub fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX));
        Now { mono: self.standstill.lived(self.elapsed()), wall: Timestamp(wall) }
    }

    /// The loop goes on after a sleep that was to take no longer than `planned`. Returns how long the process has stood still, if it
    /// has: that much does not count as time.
    pub(crate) fn handle_turn(&mut self, planned: Duration) -> Option<Millis> {
        self.standstill.handle_turn(self.elapsed(), millis(planned))
    }

    fn elapsed(&self) -> Millis {
        millis(self.started.elapsed())
    }

    /// As if the process had been stopped for `span` before this moment.
    #[cfg(test)]
    pub(crate) fn pause(&mut self, span: Duration) {
        self.started = self.started.checked_sub(span).expect("an earlier moment can be told");
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

fn millis(span: Duration) -> Millis {
    Millis(u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
}
