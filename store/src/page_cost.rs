//! What memory costs that the log's pages are made of.
//!
//! Most machines hand it out at once. A virtual machine that has given its free memory back has to ask its host for each page of it, which can
//! take ten times as long as all else that a message costs.

use std::time::{Duration, Instant};

/// Commits of fewer bytes say little: the call itself takes as long.
const LEAST: usize = 4 << 10;
/// It is judged by so many bytes at a time …
const SPAN: usize = 16 << 20;
/// … and memory is dear if a KiB has taken longer than this: four times of what copying into pages that are at hand takes.
const DEAR: Duration = Duration::from_nanos(1000);
/// A log that takes longer for a span does not suffer from it.
const SLOW: Duration = Duration::from_millis(250);

/// Judges by how long commits take.
#[derive(Debug)]
pub(crate) struct PageCost {
    bytes: usize,
    spent: Duration,
    begun: Option<Instant>,
    dear: bool,
}

impl PageCost {
    pub(crate) const fn new() -> Self {
        Self { bytes: 0, spent: Duration::ZERO, begun: None, dear: false }
    }

    /// Whether a commit of so many bytes is to be [noted](Self::note).
    #[inline]
    pub(crate) const fn counts(len: usize) -> bool {
        len >= LEAST
    }

    /// A commit of `len` bytes took from `begun` to `ended`.
    pub(crate) fn note(&mut self, len: usize, begun: Instant, ended: Instant) {
        let first = *self.begun.get_or_insert(begun);
        self.bytes += len;
        self.spent += ended.saturating_duration_since(begun);
        if self.bytes < SPAN {
            return;
        }
        let of_a_kib = self.spent.div_f64(self.bytes as f64 / 1024.0);
        // Once it is known, what is done about it makes it cheaper: only the end of the load ends it.
        self.dear = ended.saturating_duration_since(first) < SLOW && (self.dear || of_a_kib > DEAR);
        *self = Self { dear: self.dear, ..Self::new() };
    }

    /// Whether fresh memory is dear, and the log is written so fast that it matters.
    #[inline]
    pub(crate) const fn is_dear(&self) -> bool {
        self.dear
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Commits that take so long each, one after so long, for `bytes` in all.
    fn load(cost: &mut PageCost, clock: &mut Instant, bytes: usize, took: Duration, every: Duration) {
        for _ in 0..bytes / LEAST {
            cost.note(LEAST, *clock, *clock + took);
            *clock += every;
        }
    }

    #[test]
    fn it_is_dear_from_the_first_slow_span_to_the_end_of_the_load() {
        let (mut cost, mut clock) = (PageCost::new(), Instant::now());
        let (cheap, dear) = (Duration::from_micros(2), Duration::from_micros(10));
        let (fast, slow) = (Duration::from_micros(20), Duration::from_micros(100));
        load(&mut cost, &mut clock, 2 * SPAN, cheap, fast);
        assert!(!cost.is_dear());
        load(&mut cost, &mut clock, SPAN, dear, fast);
        assert!(cost.is_dear());
        load(&mut cost, &mut clock, 4 * SPAN, cheap, fast);
        assert!(cost.is_dear(), "what makes it cheap goes on");
        load(&mut cost, &mut clock, SPAN, cheap, slow);
        assert!(!cost.is_dear());
    }

    #[test]
    fn a_slow_load_does_not_suffer_from_dear_memory() {
        let (mut cost, mut clock) = (PageCost::new(), Instant::now());
        load(&mut cost, &mut clock, 2 * SPAN, Duration::from_micros(10), Duration::from_micros(100));
        assert!(!cost.is_dear());
    }
}
