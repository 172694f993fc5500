//! Whether the loop looks again for a moment before it sleeps.
//!
//! A processor that falls asleep takes longer to wake than a request takes to answer, on virtual machines many times longer. A client that
//! sends its next request when it has the answer pays that with every message. So while waits have lately been short, the loop
//! looks again and again for a moment; a broker with nothing to do sleeps at once. So does one that has a single processor: the client
//! that it waits for may need it.

use std::time::Duration;

/// How long the loop looks before it sleeps.
pub(crate) const SPAN: Duration = Duration::from_micros(100);

/// A sleep no longer than this would have been spared by looking.
const SHORT: Duration = Duration::from_micros(250);

/// How many looks in vain end it.
const CREDIT: u8 = 8;

/// What the last waits were like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    credit: u8,
    most: u8,
}

impl Patience {
    /// For a process that may use so many processors.
    pub(crate) const fn new(processors: usize) -> Self {
        Self { credit: 0, most: if processors > 1 { CREDIT } else { 0 } }
    }

    /// Whether looking is likely to find something.
    pub(crate) const fn pays(self) -> bool {
        self.credit > 0
    }

    /// Something came while the loop was looking.
    pub(crate) fn handle_found(&mut self) {
        self.credit = self.most;
    }

    /// Nothing came.
    pub(crate) fn handle_missed(&mut self) {
        self.credit = self.credit.saturating_sub(1);
    }

    /// The loop has slept for so long before something came.
    pub(crate) fn handle_slept(&mut self, span: Duration) {
        if span <= SHORT {
            self.credit = self.most;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_with_nothing_to_do_sleeps_at_once() {
        let mut patience = Patience::new(2);
        patience.handle_slept(Duration::from_millis(5));
        assert!(!patience.pays());
    }

    #[test]
    fn a_short_sleep_makes_it_look_until_it_has_looked_in_vain_often_enough() {
        let mut patience = Patience::new(2);
        patience.handle_slept(Duration::from_micros(60));
        for _ in 0..CREDIT {
            assert!(patience.pays());
            patience.handle_missed();
        }
        assert!(!patience.pays());
    }

    #[test]
    fn a_loop_with_a_single_processor_leaves_it_to_others() {
        let mut patience = Patience::new(1);
        patience.handle_slept(Duration::from_micros(60));
        assert!(!patience.pays());
    }

    #[test]
    fn what_is_found_keeps_it_looking() {
        let mut patience = Patience::new(2);
        patience.handle_slept(Duration::ZERO);
        for _ in 0..100 {
            patience.handle_missed();
            patience.handle_found();
        }
        assert!(patience.pays());
    }
}
