//! Long polls: pulls that found nothing and wait for a message, for their time, or for the end of their topic or connection.
//!
//! The broker lets a pull wait here when its look into the queue brought nothing (`broker/pull.rs`), and tells the table of every message
//! that becomes readable, of the time, and of topics and connections that end. Each of the four finds its pulls by a look-up of its own, so
//! that none of them costs more the more pulls of others wait. Pulls that are to be looked at again come out; what they are answered is
//! not decided here.

use std::collections::{BTreeMap, BTreeSet};

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
    /// Whether a message with this tags code, and with this record if it takes that to decide, may be for it. A wrong yes costs a look,
    /// a wrong no loses a wake-up.
    fn may_match<'r>(&self, tags_code: i64, record: &dyn Fn() -> Option<&'r [u8]>) -> bool;
}

/// Number of a waiting pull; grows with each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct HoldId(u64);

/// A pull in the list of its queue.
#[derive(Debug)]
struct Waiting<H> {
    id: HoldId,
    deadline: Millis,
    pull: H,
}

/// Waiting pulls by queue, by deadline and by connection.
#[derive(Debug)]
pub struct HoldTable<H> {
    /// The pulls of each queue, in the order in which they came and so by [`HoldId`].
    queues: IndexMap<QueueId, Vec<Waiting<H>>, FixedState>,
    deadlines: BTreeMap<(Millis, HoldId), QueueId>,
    peers: BTreeSet<(PeerId, HoldId, QueueId)>,
    next: u64,
    limit: usize,
}

impl<H: Held> HoldTable<H> {
    /// A table for at most `limit` waiting pulls.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { queues: IndexMap::default(), deadlines: BTreeMap::new(), peers: BTreeSet::new(), next: 0, limit }
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
        self.peers.insert((pull.peer(), id, queue));
        self.queues.entry(queue).or_default().push(Waiting { id, deadline, pull });
        Ok(())
    }

    /// A message became readable, whose record can be asked for: moves the pulls that it may be for to `woken`, in the order in which
    /// they came.
    pub fn handle_arrival<'r>(&mut self, arrival: Arrival, record: &dyn Fn() -> Option<&'r [u8]>, woken: &mut Vec<H>) {
        self.release(arrival.queue, woken, |pull| {
            arrival.queue_offset >= pull.unseen_offset() && pull.may_match(arrival.tags_code, record)
        });
    }

    /// A queue is gone with its topic: moves all pulls that wait for it to `woken`.
    pub fn handle_queue_removed(&mut self, queue: QueueId, woken: &mut Vec<H>) {
        self.release(queue, woken, |_| true);
    }

    /// A group was set to another place of a queue: moves those of its pulls that wait for the queue, which `concerned` names, to
    /// `woken`.
    pub fn handle_reset(&mut self, queue: QueueId, concerned: impl Fn(&H) -> bool, woken: &mut Vec<H>) {
        self.release(queue, woken, concerned);
    }

    /// The next pull whose time is over.
    pub fn pop_overdue(&mut self, now: Now) -> Option<H> {
        let (&(deadline, id), &queue) = self.deadlines.first_key_value()?;
        if deadline > now.mono {
            return None;
        }
        self.take(queue, id)
    }

    /// Drops every pull of a connection that is gone.
    pub fn handle_disconnected(&mut self, peer: PeerId) {
        let first = (peer, HoldId(0), QueueId(0));
        while let Some(&(owner, id, queue)) = self.peers.range(first..).next() {
            if owner != peer || self.take(queue, id).is_none() {
                break;
            }
        }
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

    /// Moves the pulls of a queue that `leaves` names to `woken`.
    fn release(&mut self, queue: QueueId, woken: &mut Vec<H>, leaves: impl Fn(&H) -> bool) {
        let Some(waiting) = self.queues.get_mut(&queue) else { return };
        let left = waiting.extract_if(.., |waiting| leaves(&waiting.pull));
        woken.extend(left.map(|Waiting { id, deadline, pull }| {
            self.deadlines.remove(&(deadline, id));
            self.peers.remove(&(pull.peer(), id, queue));
            pull
        }));
        if waiting.is_empty() {
            self.queues.swap_remove(&queue);
        }
    }

    /// Takes one pull out of all lists.
    fn take(&mut self, queue: QueueId, id: HoldId) -> Option<H> {
        let waiting = self.queues.get_mut(&queue)?;
        let at = waiting.binary_search_by_key(&id, |waiting| waiting.id).ok()?;
        let Waiting { deadline, pull, .. } = waiting.remove(at);
        if waiting.is_empty() {
            self.queues.swap_remove(&queue);
        }
        self.deadlines.remove(&(deadline, id));
        self.peers.remove(&(pull.peer(), id, queue));
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
        fn may_match<'r>(&self, tags_code: i64, _: &dyn Fn() -> Option<&'r [u8]>) -> bool {
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
        table.handle_arrival(Arrival { queue: QUEUE, queue_offset, tags_code }, &|| None, &mut woken);
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
    fn a_lost_connection_takes_its_pulls_of_all_queues_and_no_others() {
        let mut table = HoldTable::new(10);
        for (peer, queue) in [(2, 7), (1, 7), (2, 8), (3, 8), (2, 7)] {
            table.hold(QueueId(queue), Millis(100), pull(peer, None)).unwrap();
        }
        table.handle_disconnected(PeerId(2));
        let mut left = Vec::new();
        while let Some(pull) = table.pop_overdue(at(100)) {
            left.push(pull.peer);
        }
        assert_eq!(left, [1, 3]);
        assert!(table.peers.is_empty() && table.queues.is_empty());
    }

    #[test]
    fn a_removed_queue_gives_back_all_its_pulls() {
        let mut table = HoldTable::new(10);
        table.hold(QUEUE, Millis(200), pull(1, Some(5))).unwrap();
        table.hold(QueueId(8), Millis(100), pull(2, None)).unwrap();
        table.hold(QUEUE, Millis(100), pull(3, None)).unwrap();
        let mut woken = Vec::new();
        table.handle_queue_removed(QUEUE, &mut woken);
        assert_eq!(woken.iter().map(|pull| pull.peer).collect::<Vec<_>>(), [1, 3]);
        assert_eq!((table.len(), table.peers.len()), (1, 1));
    }

    #[test]
    fn a_full_table_gives_the_next_pull_back() {
        let mut table = HoldTable::new(1);
        table.hold(QUEUE, Millis(200), pull(1, None)).unwrap();
        assert_eq!(table.hold(QUEUE, Millis(200), pull(2, None)), Err(pull(2, None)));
    }
}
