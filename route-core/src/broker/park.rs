//! Replies that promise durability and wait for it.

use std::collections::VecDeque;

use crate::{
    output::ParkedReply,
    storage::LogOffset,
    time::{Millis, Now},
};

/// Replies in the order of their appends, each with the end of its record and the moment at which waiting ends.
///
/// Appends come in log order and all wait equally long, so both keys only grow and the front is always the next to go.
/// What is parked is bounded by what the peers' connections may have in flight.
#[derive(Debug, Default)]
pub struct ParkingLot {
    queue: VecDeque<(LogOffset, Millis, ParkedReply)>,
}

impl ParkingLot {
    /// Holds a reply back until the log is durable up to `until`, at most until `deadline`.
    pub fn park(&mut self, until: LogOffset, deadline: Millis, parked: ParkedReply) {
        debug_assert!(self.queue.back().is_none_or(|(last, _, _)| *last <= until), "appends are parked in log order");
        self.queue.push_back((until, deadline, parked));
    }

    /// The next reply whose record is durable.
    pub fn pop_durable(&mut self, durable: LogOffset) -> Option<ParkedReply> {
        self.pop_if(|until, _| until <= durable)
    }

    /// The next reply whose time is over before its record was durable.
    pub fn pop_overdue(&mut self, now: Now) -> Option<ParkedReply> {
        self.pop_if(|_, deadline| deadline <= now.mono)
    }

    /// The next reply, durable or not: the store will never be.
    pub fn pop_any(&mut self) -> Option<ParkedReply> {
        self.pop_if(|_, _| true)
    }

    /// When the first one runs out of time.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Millis> {
        self.queue.front().map(|(_, deadline, _)| *deadline)
    }

    /// How many replies wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    fn pop_if(&mut self, may_go: impl FnOnce(LogOffset, Millis) -> bool) -> Option<ParkedReply> {
        let (until, deadline, _) = self.queue.front()?;
        if may_go(*until, *deadline) { self.queue.pop_front().map(|(_, _, parked)| parked) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::{PeerId, Reply};

    fn parked(opaque: i32) -> ParkedReply {
        ParkedReply { to: PeerId(1), opaque, reply: Reply::ok() }
    }

    #[test]
    fn a_reply_leaves_when_the_watermark_reaches_the_end_of_its_record_and_not_before() {
        let mut lot = ParkingLot::default();
        lot.park(LogOffset(100), Millis(5000), parked(1));
        lot.park(LogOffset(200), Millis(5000), parked(2));
        assert!(lot.pop_durable(LogOffset(99)).is_none());
        assert_eq!(lot.pop_durable(LogOffset(199)).map(|p| p.opaque), Some(1));
        assert!(lot.pop_durable(LogOffset(199)).is_none());
    }

    #[test]
    fn a_reply_that_waited_too_long_is_taken_out_at_its_deadline() {
        let mut lot = ParkingLot::default();
        lot.park(LogOffset(100), Millis(5000), parked(1));
        assert_eq!(lot.poll_timeout(), Some(Millis(5000)));
        assert!(lot.pop_overdue(Now { mono: Millis(4999), ..Now::default() }).is_none());
        assert_eq!(lot.pop_overdue(Now { mono: Millis(5000), ..Now::default() }).map(|p| p.opaque), Some(1));
        assert_eq!(lot.poll_timeout(), None);
    }
}
