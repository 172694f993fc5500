//! How much a broker takes in and hands out, as operators are shown it (`BROKER_RUNTIME_INFO`).

use crate::{
    flow::{Flow, Passed},
    meter::TenMinuteMeter,
    time::{Millis, Now, Timestamp},
};

/// Milliseconds of a day.
const DAY: i64 = 86_400_000;

/// A count that grows, and what it was at the last two midnights (UTC).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Daily {
    /// At midnight of the day before.
    pub yesterday_morning: u64,
    /// At the last midnight.
    pub today_morning: u64,
    /// Now.
    pub now: u64,
}

impl Daily {
    const fn begin_day(&mut self) {
        self.yesterday_morning = self.today_morning;
        self.today_morning = self.now;
    }
}

/// What has come and gone since the start.
#[derive(Debug)]
pub struct Traffic {
    /// Messages put into the log.
    pub put: TenMinuteMeter,
    /// Bytes of their records.
    pub put_bytes: u64,
    /// Messages that storage refused.
    pub put_failed: u64,
    /// Looks into queues that found something.
    pub found: TenMinuteMeter,
    /// Looks that found nothing.
    pub missed: TenMinuteMeter,
    /// Messages handed out.
    pub transferred: TenMinuteMeter,
    /// All that was put into the log.
    pub put_flow: Flow,
    /// All that was handed out.
    pub given_flow: Flow,
    /// Messages put into topics that are not the broker's own.
    pub received: Daily,
    /// Messages handed out of such topics.
    pub delivered: Daily,
    /// The present day, counted from 1970.
    day: i64,
}

impl Traffic {
    /// Counters at zero.
    #[must_use]
    pub fn new(now: Now) -> Self {
        Self {
            put: TenMinuteMeter::new(),
            put_bytes: 0,
            put_failed: 0,
            found: TenMinuteMeter::new(),
            missed: TenMinuteMeter::new(),
            transferred: TenMinuteMeter::new(),
            put_flow: Flow::default(),
            given_flow: Flow::default(),
            received: Daily::default(),
            delivered: Daily::default(),
            day: day(now.wall),
        }
    }

    /// Messages lie in the log.
    pub fn note_put(&mut self, now: Millis, put: Passed) {
        self.put.add(now, put.messages.into());
        self.put_bytes += put.bytes;
        self.put_flow.add(now, put);
    }

    /// Messages were put into a topic that clients write.
    pub fn note_received(&mut self, messages: u32) {
        self.received.now += u64::from(messages);
    }

    /// A pull has looked into a queue. `own`: of a topic that belongs to the broker itself.
    pub fn note_look(&mut self, now: Millis, given: Option<Passed>, own: bool) {
        let Some(given) = given else { return self.missed.add(now, 1) };
        self.found.add(now, 1);
        self.transferred.add(now, given.messages.into());
        self.given_flow.add(now, given);
        if !own {
            self.delivered.now += u64::from(given.messages);
        }
    }

    /// Time has passed: a new day may have begun. A wall clock that is set back begins none.
    pub fn handle_timeout(&mut self, now: Now) {
        let today = day(now.wall);
        if today > self.day {
            self.received.begin_day();
            self.delivered.begin_day();
        }
        self.day = today;
    }
}

const fn day(now: Timestamp) -> i64 {
    now.0.div_euclid(DAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(days: i64) -> Now {
        Now { wall: Timestamp(days * DAY + 5), ..Now::default() }
    }

    #[test]
    fn the_counts_of_two_midnights_are_kept() {
        let mut traffic = Traffic::new(at(10));
        traffic.note_received(7);
        traffic.handle_timeout(at(10));
        traffic.handle_timeout(at(11));
        traffic.note_received(2);
        traffic.handle_timeout(at(12));
        traffic.note_received(1);
        assert_eq!(traffic.received, Daily { yesterday_morning: 7, today_morning: 9, now: 10 });
    }

    #[test]
    fn a_clock_that_is_set_back_begins_no_day() {
        let mut traffic = Traffic::new(at(10));
        traffic.note_received(7);
        traffic.handle_timeout(at(3));
        assert_eq!(traffic.received.today_morning, 0);
        traffic.handle_timeout(at(4));
        assert_eq!(traffic.received.today_morning, 7);
    }

    #[test]
    fn a_look_counts_as_one_and_its_messages_each() {
        let mut traffic = Traffic::new(at(0));
        traffic.note_look(Millis(5), Some(Passed::once(32, 100)), false);
        traffic.note_look(Millis(5), None, false);
        traffic.note_look(Millis(5), Some(Passed::once(3, 100)), true);
        assert_eq!((traffic.found.total(), traffic.missed.total(), traffic.transferred.total()), (2, 1, 35));
        assert_eq!(traffic.delivered.now, 32);
    }
}
