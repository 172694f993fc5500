//! What passes a place, such as a topic or a group in one: over the last minute, hour and day, as RocketMQ's statistics tell it.

use proto_core::bodies::{BrokerStatsData, BrokerStatsItem};

use crate::{
    meter::{Count, Meter},
    time::Millis,
};

/// Some messages that pass at once. In the slots of a meter these are sums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Passed {
    /// How often something passed.
    pub times: u32,
    /// Messages.
    pub messages: u32,
    /// Bytes of their records.
    pub bytes: u64,
}

impl Passed {
    /// Messages that pass together.
    #[must_use]
    pub const fn once(messages: u32, bytes: u64) -> Self {
        Self { times: 1, messages, bytes }
    }
}

impl Count for Passed {
    fn plus(self, more: Self) -> Self {
        Self {
            times: self.times.saturating_add(more.times),
            messages: self.messages.saturating_add(more.messages),
            bytes: self.bytes.saturating_add(more.bytes),
        }
    }
}

type LastMinute = Meter<7, 10_000, Passed>;
type LastHour = Meter<7, 600_000, Passed>;
type LastDay = Meter<25, 3_600_000, Passed>;

/// The flow through one place. Nothing is kept of one through which nothing has passed, and less than a kilobyte of any other.
#[derive(Clone, Debug, Default)]
pub struct Flow(Option<Box<Windows>>);

#[derive(Clone, Debug, Default)]
struct Windows {
    minute: LastMinute,
    hour: LastHour,
    day: LastDay,
}

/// What of a flow is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    /// Messages.
    Messages,
    /// Bytes of their records.
    Bytes,
}

impl Flow {
    /// Something passes.
    pub fn add(&mut self, now: Millis, passed: Passed) {
        let Windows { minute, hour, day } = &mut **self.0.get_or_insert_default();
        minute.add(now, passed);
        hour.add(now, passed);
        day.add(now, passed);
    }

    /// Messages per second in the last minute.
    #[must_use]
    pub fn messages_per_second(&self, now: Millis) -> f64 {
        let Some(windows) = &self.0 else { return 0.0 };
        let (passed, lasted) = windows.minute.recent(now, LastMinute::REACH);
        f64::from(passed.messages) * 1_000.0 / lasted.0 as f64
    }

    /// The last minute, hour and day; `None` if nothing has ever passed.
    #[must_use]
    pub fn stats(&self, now: Millis, figure: Figure) -> Option<BrokerStatsData> {
        let item = |(passed, lasted): (Passed, Millis)| {
            let sum = match figure {
                Figure::Messages => u64::from(passed.messages),
                Figure::Bytes => passed.bytes,
            };
            BrokerStatsItem {
                avgpt: if passed.times == 0 { 0.0 } else { sum as f64 / f64::from(passed.times) },
                sum: i64::try_from(sum).unwrap_or(i64::MAX),
                tps: sum as f64 * 1_000.0 / lasted.0 as f64,
            }
        };
        let Windows { minute, hour, day } = &**self.0.as_ref()?;
        Some(BrokerStatsData {
            stats_day: item(day.recent(now, LastDay::REACH)),
            stats_hour: item(hour.recent(now, LastHour::REACH)),
            stats_minute: item(minute.recent(now, LastMinute::REACH)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000;
    const HOUR: u64 = 3_600 * SECOND;

    #[test]
    fn minute_hour_and_day_each_tell_what_passed_in_them() {
        let mut flow = Flow::default();
        for at in [0, 10 * HOUR, 23 * HOUR + 30 * 60 * SECOND, 24 * HOUR - 5 * SECOND] {
            flow.add(Millis(at), Passed::once(4, 1_000));
        }
        let stats = flow.stats(Millis(24 * HOUR - SECOND), Figure::Messages).expect("something has passed");
        assert_eq!([stats.stats_minute.sum, stats.stats_hour.sum, stats.stats_day.sum], [4, 8, 16]);
        assert_eq!(stats.stats_day.avgpt, 4.0);
        let bytes = flow.stats(Millis(24 * HOUR - SECOND), Figure::Bytes).expect("something has passed");
        assert_eq!((bytes.stats_hour.sum, bytes.stats_hour.avgpt), (2_000, 1_000.0));
    }

    #[test]
    fn what_nothing_has_passed_has_no_statistics_and_later_none_that_count() {
        let mut flow = Flow::default();
        assert_eq!(flow.stats(Millis(5), Figure::Messages), None);
        flow.add(Millis(5), Passed::once(1, 1));
        assert_eq!(flow.stats(Millis(50 * HOUR), Figure::Messages), Some(BrokerStatsData::default()));
    }

    #[test]
    fn a_rate_is_that_of_the_last_minute() {
        let mut flow = Flow::default();
        (0..120).for_each(|second| flow.add(Millis(second * SECOND), Passed::once(3, 30)));
        let rate = flow.messages_per_second(Millis(120 * SECOND));
        assert!((2.7..=3.1).contains(&rate), "{rate}");
        assert_eq!(Flow::default().messages_per_second(Millis(0)), 0.0);
    }
}
