//! How long to wait before a broker that is away is looked for again.

use std::time::Duration;

/// Each wait is twice the one before, from [`FIRST`](Self::FIRST) to [`LONGEST`](Self::LONGEST); the first try comes at once.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Backoff {
    next: Duration,
}

impl Backoff {
    /// The wait before the second try.
    const FIRST: Duration = Duration::from_millis(200);
    /// No wait is longer.
    const LONGEST: Duration = Duration::from_secs(10);

    /// How long to wait before the next try.
    pub(super) fn next_wait(&mut self) -> Duration {
        let wait = self.next;
        self.next = (wait * 2).clamp(Self::FIRST, Self::LONGEST);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_limit_and_begin_at_nothing() {
        let mut backoff = Backoff::default();
        let waits: Vec<u128> = (0..10).map(|_| backoff.next_wait().as_millis()).collect();
        assert_eq!(waits, [0, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000, 10_000]);
    }
}
