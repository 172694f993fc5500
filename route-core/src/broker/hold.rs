//! Long polls: pulls that found nothing and wait for a message or for their time.

use std::collections::BTreeMap;

use foldhash::fast::FixedState;
use indexmap::IndexMap;

use crate::{
    output::PeerId,
    storage::{Arrival, QueueId},
    time::{Millis, Now},
};

/// A waiting pull as the hold table sees it.
pub trait Held {
    /// Who waits; a disconnect drops all of a peer's pulls.
    fn peer(&self) -> PeerId;
    /// The first queue offset that it has not seen.
    fn unseen_offset(&self) -> i64;
    /// Whether a message with this tags code may be for it. A wrong yes costs a look, a wrong no loses a wake-up.
    fn may_match(&self, tags_code: i64) -> bool;
}

/// Number of a waiting pull; grows with each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct HoldId(u64);

/// Waiting pulls by queue and by deadline.
#[derive(Debug)]
pub struct HoldTable<H> {
    held: IndexMap<QueueId, Vec<(HoldId, Millis, H)>, FixedState>,
    deadlines: BTreeMap<(Millis, HoldId), QueueId>,
    next: u64,
    limit: usize,
}

impl<H: Held> HoldTable<H> {
    /// A table for at most `limit` waiting pulls.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { held: IndexMap::default(), deadlines: BTreeMap::new(), next: 0, limit }
    }

    /// Lets a pull wait until `deadline`.
    ///
    /// # Errors
    /// Gives the pull back if the table is full; it is to be answered at once.
    pub fn hold(&mut self, queue: QueueId, deadline: Millis, pull: H) -> Result<(), H> {
        if self.deadlines.len() >= self.limit {
            return Err(pull);
        }
        let id = HoldId(self.next);
        self.next += 1;
        self.deadlines.insert((deadline, id), queue);
        self.held.entry(queue).or_default().push((id, deadline, pull));
        Ok(())
    }

    /// A message became readable: moves the pulls that it may be for to `woken`, in the order in which they came.
    pub fn handle_arrival(&mut self, arrival: Arrival, woken: &mut Vec<H>) {
        let Some(waiting) = self.held.get_mut(&arrival.queue) else { return };
        let deadlines = &mut self.deadlines;
        let wakes = |(id, deadline, pull): &mut (HoldId, Millis, H)| {
            let wakes = arrival.queue_offset >= pull.unseen_offset() && pull.may_match(arrival.tags_code);
            if wakes {
                deadlines.remove(&(*deadline, *id));
            }
            wakes
        };
        woken.extend(waiting.extract_if(.., wakes).map(|(_, _, pull)| pull));
        if waiting.is_empty() {
            self.held.swap_remove(&arrival.queue);
        }
    }

    /// The next pull whose time is over.
    pub fn pop_overdue(&mut self, now: Now) -> Option<H> {
        let (&(deadline, id), &queue) = self.deadlines.first_key_value()?;
        if deadline > now.mono {
            return None;
        }
        self.deadlines.pop_first();
        self.take(queue, id)
    }

    /// Drops every pull of a connection that is gone.
    pub fn handle_disconnected(&mut self, peer: PeerId) {
        let deadlines = &mut self.deadlines;
        self.held.retain(|_, waiting| {
            waiting.retain(|(id, deadline, pull)| {
                let stays = pull.peer() != peer;
                if !stays {
                    deadlines.remove(&(*deadline, *id));
                }
                stays
            });
            !waiting.is_empty()
        });
    }

    /// When the first pull runs out of time.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Millis> {
        self.deadlines.first_key_value().map(|((deadline, _), _)| *deadline)
    }

    /// How many pulls wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.deadlines.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.deadlines.is_empty()
    }

    fn take(&mut self, queue: QueueId, id: HoldId) -> Option<H> {
        let waiting = self.held.get_mut(&queue)?;
        let at = waiting.iter().position(|(held, _, _)| *held == id)?;
        let (_, _, pull) = waiting.remove(at);
        if waiting.is_empty() {
            self.held.swap_remove(&queue);
        }
        Some(pull)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    struct Pull {
        peer: u64,
        from: i64,
        tag: Option<i64>,
    }

    impl Held for Pull {
        fn peer(&self) -> PeerId {
            PeerId(self.peer)
        }
        fn unseen_offset(&self) -> i64 {
            self.from
        }
        fn may_match(&self, tags_code: i64) -> bool {
            self.tag.is_none_or(|tag| tag == tags_code)
        }
    }

    const QUEUE: QueueId = QueueId(7);

    fn pull(peer: u64, tag: Option<i64>) -> Pull {
        Pull { peer, from: 10, tag }
    }

    fn at(mono: u64) -> Now {
        Now { mono: Millis(mono), ..Now::default() }
    }

    fn woken_by(table: &mut HoldTable<Pull>, queue_offset: i64, tags_code: i64) -> Vec<u64> {
        let mut woken = Vec::new();
        table.handle_arrival(Arrival { queue: QUEUE, queue_offset, tags_code }, &mut woken);
        woken.iter().map(|pull| pull.peer).collect()
    }

    #[test]
    fn an_arrival_wakes_the_pulls_whose_tag_it_has_and_leaves_the_others() {
        let mut table = HoldTable::new(10);
        table.hold(QUEUE, Millis(100), pull(1, Some(5))).unwrap();
        table.hold(QUEUE, Millis(100), pull(2, None)).unwrap();
        table.hold(QUEUE, Millis(100), pull(3, Some(6))).unwrap();
        assert_eq!(woken_by(&mut table, 10, 5), [1, 2]);
        assert_eq!(table.len(), 1);
    }

    #[test]
    fn a_message_that_the_pull_has_seen_does_not_wake_it() {
        let mut table = HoldTable::new(10);
        table.hold(QUEUE, Millis(100), pull(1, None)).unwrap();
        assert!(woken_by(&mut table, 9, 0).is_empty());
        assert_eq!(woken_by(&mut table, 10, 0), [1]);
    }

    #[test]
    fn pulls_end_in_the_order_of_their_deadlines() {
        let mut table = HoldTable::new(10);
        table.hold(QUEUE, Millis(200), pull(1, None)).unwrap();
        table.hold(QueueId(8), Millis(100), pull(2, None)).unwrap();
        assert_eq!(table.poll_timeout(), Some(Millis(100)));
        assert!(table.pop_overdue(at(99)).is_none());
        assert_eq!(table.pop_overdue(at(250)).map(|pull| pull.peer), Some(2));
        assert_eq!(table.pop_overdue(at(250)).map(|pull| pull.peer), Some(1));
        assert_eq!(table.poll_timeout(), None);
    }

    #[test]
    fn a_lost_connection_takes_its_pulls_along() {
        let mut table = HoldTable::new(10);
        table.hold(QUEUE, Millis(200), pull(1, None)).unwrap();
        table.hold(QUEUE, Millis(100), pull(2, None)).unwrap();
        table.handle_disconnected(PeerId(2));
        assert_eq!((table.len(), table.poll_timeout()), (1, Some(Millis(200))));
    }

    #[test]
    fn a_full_table_gives_the_next_pull_back() {
        let mut table = HoldTable::new(1);
        table.hold(QUEUE, Millis(200), pull(1, None)).unwrap();
        assert_eq!(table.hold(QUEUE, Millis(200), pull(2, None)), Err(pull(2, None)));
    }
}
