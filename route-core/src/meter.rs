//! How much of something happens: in all, and lately.

use crate::time::Millis;

/// What a meter adds up.
pub trait Count: Copy + Default {
    /// This and so much more.
    #[must_use]
    fn plus(self, more: Self) -> Self;
}

impl Count for u64 {
    fn plus(self, more: Self) -> Self {
        self.saturating_add(more)
    }
}

/// Counts events in slots of `SPAN` milliseconds, the last `SLOTS` of which are kept. To count costs a comparison and two additions,
/// and what is kept never grows.
#[derive(Clone, Debug)]
pub struct Meter<const SLOTS: usize, const SPAN: u64, C = u64> {
    total: C,
    /// When the first event came.
    since: Option<Millis>,
    /// Number of the slot that is being filled, from 1; 0 before the first event.
    slot: u64,
    counts: [C; SLOTS],
}

/// The last ten minutes, to the second.
pub type TenMinuteMeter = Meter<601, 1_000>;

impl<const SLOTS: usize, const SPAN: u64, C: Count> Meter<SLOTS, SPAN, C> {
    /// The longest time that [`Self::recent`] looks back.
    pub const REACH: Millis = Millis((SLOTS as u64 - 1) * SPAN);

    /// A meter that has counted nothing.
    #[must_use]
    pub fn new() -> Self {
        Self { total: C::default(), since: None, slot: 0, counts: [C::default(); SLOTS] }
    }

    /// Counts events that happen now.
    pub fn add(&mut self, now: Millis, events: C) {
        let slot = Self::slot_at(now);
        if slot != self.slot {
            self.begin_slot(now, slot);
        }
        let count = &mut self.counts[Self::index(slot)];
        *count = count.plus(events);
        self.total = self.total.plus(events);
    }

    /// All events that were counted.
    #[must_use]
    pub const fn total(&self) -> C {
        self.total
    }

    /// Events of the last `span`, and how long that was: less if the first event is not so long ago, but a second at least. `span` is cut to
    /// [`Self::REACH`].
    #[must_use]
    pub fn recent(&self, now: Millis, span: Millis) -> (C, Millis) {
        let Some(since) = self.since else { return (C::default(), Millis(1_000)) };
        let slots = span.0.min(Self::REACH.0) / SPAN;
        let newest = Self::slot_at(now);
        // What lies before the slot that is being filled is kept for a while; since then nothing has happened.
        let first = newest.saturating_sub(slots).max((self.slot + 1).saturating_sub(SLOTS as u64));
        let events = (first..=newest.min(self.slot)).fold(C::default(), |sum, slot| sum.plus(self.counts[Self::index(slot)]));
        let lasted = (slots * SPAN + now.0 % SPAN).min(now.saturating_sub(since).0).max(1_000);
        (events, Millis(lasted))
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
        unused.for_each(|slot| self.counts[Self::index(slot)] = C::default());
        self.slot = slot;
    }
}

impl<const SLOTS: usize, const SPAN: u64> Meter<SLOTS, SPAN> {
    /// Events per second over the last `span`.
    #[must_use]
    pub fn per_second(&self, now: Millis, span: Millis) -> f64 {
        let (events, lasted) = self.recent(now, span);
        events as f64 * 1_000.0 / lasted.0 as f64
    }
}

impl<const SLOTS: usize, const SPAN: u64, C: Count> Default for Meter<SLOTS, SPAN, C> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The last minute, to ten seconds.
    type MinuteMeter = Meter<7, 10_000>;

    const MINUTE: Millis = Millis::from_secs(60);

    /// `events` at each full second of `seconds`.
    fn steady(seconds: std::ops::Range<u64>, events: u64) -> MinuteMeter {
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
