//! How much of something happens: in all, and per second lately.

use crate::time::Millis;

/// Counts events in slots of `SPAN` milliseconds, the last `SLOTS` of which are kept. To count costs a comparison and two additions,
/// and what is kept never grows.
#[derive(Clone, Debug)]
pub struct Meter<const SLOTS: usize, const SPAN: u64> {
    total: u64,
    /// When the first event came.
    since: Option<Millis>,
    /// Number of the slot that is being filled, from 1; 0 before the first event.
    slot: u64,
    counts: [u32; SLOTS],
}

/// The last minute, to ten seconds: small enough for each topic and each group.
pub type MinuteMeter = Meter<7, 10_000>;

/// The last ten minutes, to the second.
pub type TenMinuteMeter = Meter<601, 1_000>;

impl<const SLOTS: usize, const SPAN: u64> Meter<SLOTS, SPAN> {
    /// The longest time that [`Self::per_second`] looks back.
    pub const REACH: Millis = Millis((SLOTS as u64 - 1) * SPAN);

    /// A meter that has counted nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self { total: 0, since: None, slot: 0, counts: [0; SLOTS] }
    }

    /// Counts events that happen now.
    pub fn add(&mut self, now: Millis, events: u32) {
        let slot = Self::slot_at(now);
        if slot != self.slot {
            self.begin_slot(now, slot);
        }
        let count = &mut self.counts[Self::index(slot)];
        *count = count.saturating_add(events);
        self.total += u64::from(events);
    }

    /// All events that were counted.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.total
    }

    /// Events per second over the last `span`, or since the first event if that is not so long ago. `span` is cut to [`Self::REACH`].
    #[must_use]
    pub fn per_second(&self, now: Millis, span: Millis) -> f64 {
        let Some(since) = self.since else { return 0.0 };
        let slots = span.0.min(Self::REACH.0) / SPAN;
        let newest = Self::slot_at(now);
        // What lies before the slot that is being filled is kept for a while; since then nothing has happened.
        let first = newest.saturating_sub(slots).max((self.slot + 1).saturating_sub(SLOTS as u64));
        let events: u64 = (first..=newest.min(self.slot)).map(|slot| u64::from(self.counts[Self::index(slot)])).sum();
        let lasted = (slots * SPAN + now.0 % SPAN).min(now.saturating_sub(since).0).max(1_000);
        events as f64 * 1_000.0 / lasted as f64
    }

    const fn slot_at(now: Millis) -> u64 {
        now.0 / SPAN + 1
    }

    const fn index(slot: u64) -> usize {
        (slot % SLOTS as u64) as usize
    }

    #[cold]
    fn begin_slot(&mut self, now: Millis, slot: u64) {
        self.since.get_or_insert(now);
        let unused = (self.slot + 1..=slot).rev().take(SLOTS);
        unused.for_each(|slot| self.counts[Self::index(slot)] = 0);
        self.slot = slot;
    }
}

impl<const SLOTS: usize, const SPAN: u64> Default for Meter<SLOTS, SPAN> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Millis = Millis::from_secs(60);

    /// `events` at each full second of `seconds`.
    fn steady(seconds: std::ops::Range<u64>, events: u32) -> MinuteMeter {
        let mut meter = MinuteMeter::new();
        seconds.for_each(|second| meter.add(Millis::from_secs(second), events));
        meter
    }

    #[test]
    fn a_steady_stream_has_its_rate_at_every_moment() {
        let meter = steady(0..200, 50);
        assert_eq!(meter.total(), 10_000);
        for now in [200_000, 199_500, 205_000] {
            let rate = meter.per_second(Millis(now), MINUTE);
            assert!((44.0..=51.0).contains(&rate), "{rate} at {now} ms");
        }
    }

    #[test]
    fn a_young_stream_is_measured_over_its_age_but_at_least_a_second() {
        let meter = steady(7..9, 50);
        assert_eq!(meter.per_second(Millis(7_010), MINUTE), 100.0);
        assert_eq!(meter.per_second(Millis(9_000), MINUTE), 50.0);
    }

    #[test]
    fn a_stream_that_has_ended_runs_dry_within_its_window() {
        let meter = steady(0..60, 50);
        assert_eq!(meter.per_second(Millis::from_secs(90), MINUTE), 50.0 * 30.0 / 60.0);
        assert_eq!(meter.per_second(Millis::from_secs(130), MINUTE), 0.0);
        assert_eq!(meter.per_second(Millis::from_secs(1_000_000), MINUTE), 0.0);
    }

    #[test]
    fn a_slot_that_is_used_again_begins_empty() {
        let mut meter = steady(0..60, 50);
        meter.add(Millis::from_secs(100_000), 6);
        assert_eq!(meter.per_second(Millis::from_secs(100_000), MINUTE), 6.0 / 60.0);
    }

    #[test]
    fn shorter_windows_forget_sooner() {
        let mut meter = TenMinuteMeter::new();
        (0..600).for_each(|second| meter.add(Millis::from_secs(second), if second < 300 { 0 } else { 10 }));
        let rate = |seconds| meter.per_second(Millis::from_secs(600), Millis::from_secs(seconds));
        assert_eq!([rate(10), rate(60), rate(600), rate(9_999)], [10.0, 10.0, 5.0, 5.0]);
    }

    #[test]
    fn nothing_has_no_rate() {
        assert_eq!(MinuteMeter::new().per_second(Millis(5), MINUTE), 0.0);
    }
}
