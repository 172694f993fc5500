//! The only place where the time is read.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use route_core::time::{Millis, Now, Timestamp};

/// Both kinds of time. The steady one counts from the moment at which the clock was made.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Instant,
}

impl Clock {
    /// A clock whose steady time is zero now.
    #[must_use]
    pub fn new() -> Self {
        Self { started: Instant::now() }
    }

    /// The present.
    #[must_use]
    pub fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX));
        let mono = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        Now { mono: Millis(mono), wall: Timestamp(wall) }
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}
