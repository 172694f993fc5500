//! Long polls: pulls that found nothing and wait for a message, for their time, or for the end of their topic or connection.
//!
//! The broker lets a pull wait here when its look into the queue brought nothing (`broker/pull.rs`), and tells the table of every message
//! that becomes readable, of the time, and of topics and connections that end. Each of the four finds its pulls by a look-up of its own, so
//! that none of them costs more the more pulls of others wait. Pulls that are to be looked at again come out; what they are answered is
//! not decided here.

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
    /// How much work an arriving message is for it.
    fn steps(&self) -> usize;
    /// The first queue offset that it has not seen.
    fn unseen_offset(&self) -> i64;
    /// Whether a message with this tags code, and with this record if it takes that to decide, may be for it. A wrong yes costs a look,
    /// a wrong no loses a wake-up.
    fn may_match<'r>(&self, tags_code: i64, record: &dyn Fn() -> Option<&'r [u8]>) -> bool;
}

/// How many pulls may wait, and how much work they may make of an arriving message. Steps are those of a filter
/// ([`crate::filter::MessageFilter::steps`]); they stand for its memory, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HoldLimits {
    /// Pulls in all.
    pub pulls: usize,
    /// Pulls of one connection; a client needs one for each queue that it reads.
    pub pulls_of_peer: usize,
    /// Steps of all pulls.
    pub steps: usize,
    /// Steps of the pulls of one queue: a sender waits for them.
    pub steps_of_queue: usize,
}

/// A pull that cannot wait.
#[derive(Debug, PartialEq, Eq)]
pub struct NoRoom<H> {
    /// The pull; it is to be answered at once.
    pub pull: H,
    /// Which limit it is, as the beginning of a sentence.
    pub limit: String,
}

/// Number of a waiting pull; grows with each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct HoldId(u64);

/// A pull in the list of its queue.
#[derive(Debug)]
struct Waiting<H> {
    id: HoldId,
    deadline: Millis,
    steps: usize,
    pull: H,
}

/// The pulls of a queue.
#[derive(Debug)]
struct Line<H> {
    /// In the order in which they came and so by [`HoldId`].
    waiting: Vec<Waiting<H>>,
    steps: usize,
}

/// Waiting pulls by queue, by deadline and by connection.
#[derive(Debug)]
pub struct HoldTable<H> {
    queues: IndexMap<QueueId, Line<H>, FixedState>,
    deadlines: BTreeMap<(Millis, HoldId), QueueId>,
    peers: IndexMap<PeerId, BTreeMap<HoldId, QueueId>, FixedState>,
    next: u64,
    steps: usize,
    limits: HoldLimits,
}

impl<H: Held> HoldTable<H> {
    /// An empty table.
    #[must_use]
    pub fn new(limits: HoldLimits) -> Self {
        Self { queues: IndexMap::default(), deadlines: BTreeMap::new(), peers: IndexMap::default(), next: 0, steps: 0, limits }
    }

    /// Lets a pull wait until `deadline`.
    ///
    /// # Errors
    /// Gives the pull back if there is no room for it.
    pub fn hold(&mut self, queue: QueueId, deadline: Millis, pull: H) -> Result<(), NoRoom<H>> {
        let steps = pull.steps();
        let peer = pull.peer();
        if let Some(limit) = self.limit_in_the_way(queue, peer, steps) {
            return Err(NoRoom { pull, limit });
        }
        let id = HoldId(self.next);
        self.next += 1;
        self.deadlines.insert((deadline, id), queue);
        self.peers.entry(peer).or_default().insert(id, queue);
        let line = self.queues.entry(queue).or_insert_with(|| Line { waiting: Vec::new(), steps: 0 });
        line.steps += steps;
        self.steps += steps;
        line.waiting.push(Waiting { id, deadline, steps, pull });
        Ok(())
    }

    fn limit_in_the_way(&self, queue: QueueId, peer: PeerId, steps: usize) -> Option<String> {
        let HoldLimits { pulls, pulls_of_peer, steps: most, steps_of_queue } = self.limits;
        if self.deadlines.len() >= pulls {
            return Some(format!("{pulls} pulls wait for messages"));
        }
        if self.peers.get(&peer).is_some_and(|own| own.len() >= pulls_of_peer) {
            return Some(format!("{pulls_of_peer} pulls of one connection wait for messages"));
        }
        if self.steps + steps > most {
            return Some(format!("pulls with filters of {} steps wait for messages", self.steps));
        }
        let in_line = self.queues.get(&queue).map_or(0, |line| line.steps);
        (in_line + steps > steps_of_queue).then(|| format!("pulls with filters of {in_line} steps wait for messages of one queue"))
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
        for (id, queue) in self.peers.swap_remove(&peer).unwrap_or_default() {
            self.take(queue, id);
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
        let Some(line) = self.queues.get_mut(&queue) else { return };
        let left = line.waiting.extract_if(.., |waiting| leaves(&waiting.pull));
        woken.extend(left.map(|Waiting { id, deadline, steps, pull }| {
            self.deadlines.remove(&(deadline, id));
            forget(&mut self.peers, pull.peer(), id);
            line.steps -= steps;
            self.steps -= steps;
            pull
        }));
        if line.waiting.is_empty() {
            self.queues.swap_remove(&queue);
        }
    }

    /// Takes one pull out of all lists.
    fn take(&mut self, queue: QueueId, id: HoldId) -> Option<H> {
        let line = self.queues.get_mut(&queue)?;
        let at = line.waiting.binary_search_by_key(&id, |waiting| waiting.id).ok()?;
        let Waiting { deadline, steps, pull, .. } = line.waiting.remove(at);
        line.steps -= steps;
        self.steps -= steps;
        if line.waiting.is_empty() {
            self.queues.swap_remove(&queue);
        }
        self.deadlines.remove(&(deadline, id));
        forget(&mut self.peers, pull.peer(), id);
        Some(pull)
    }
}

/// A pull of a connection waits no more.
fn forget(peers: &mut IndexMap<PeerId, BTreeMap<HoldId, QueueId>, FixedState>, peer: PeerId, id: HoldId) {
    if let Some(own) = peers.get_mut(&peer) {
        own.remove(&id);
        if own.is_empty() {
            peers.swap_remove(&peer);
        }
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
        fn steps(&self) -> usize {
            self.tag.map_or(1, |_| 4)
        }
        fn unseen_offset(&self) -> i64 {
            self.from
        }
        fn may_match<'r>(&self, tags_code: i64, _: &dyn Fn() -> Option<&'r [u8]>) -> bool {
            self.tag.is_none_or(|tag| tag == tags_code)
        }
    }

    const QUEUE: QueueId = QueueId(7);
    const LIMITS: HoldLimits = HoldLimits { pulls: 10, pulls_of_peer: 10, steps: 100, steps_of_queue: 50 };

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
        let mut table = HoldTable::new(LIMITS);
        table.hold(QUEUE, Millis(100), pull(1, Some(5))).unwrap();
        table.hold(QUEUE, Millis(100), pull(2, None)).unwrap();
        table.hold(QUEUE, Millis(100), pull(3, Some(6))).unwrap();
        assert_eq!(woken_by(&mut table, 10, 5), [1, 2]);
        assert_eq!(table.len(), 1);
    }

    #[test]
    fn a_message_that_the_pull_has_seen_does_not_wake_it() {
        let mut table = HoldTable::new(LIMITS);
        table.hold(QUEUE, Millis(100), pull(1, None)).unwrap();
        assert!(woken_by(&mut table, 9, 0).is_empty());
        assert_eq!(woken_by(&mut table, 10, 0), [1]);
    }

    #[test]
    fn pulls_end_in_the_order_of_their_deadlines() {
        let mut table = HoldTable::new(LIMITS);
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
        let mut table = HoldTable::new(LIMITS);
        table.hold(QUEUE, Millis(200), pull(1, None)).unwrap();
        table.hold(QUEUE, Millis(100), pull(2, None)).unwrap();
        table.handle_disconnected(PeerId(2));
        assert_eq!((table.len(), table.poll_timeout()), (1, Some(Millis(200))));
    }

    #[test]
    fn a_lost_connection_takes_its_pulls_of_all_queues_and_no_others() {
        let mut table = HoldTable::new(LIMITS);
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
        let mut table = HoldTable::new(LIMITS);
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
        let mut table = HoldTable::new(HoldLimits { pulls: 1, ..LIMITS });
        table.hold(QUEUE, Millis(200), pull(1, None)).unwrap();
        let refused = table.hold(QUEUE, Millis(200), pull(2, None)).unwrap_err();
        assert_eq!(refused, NoRoom { pull: pull(2, None), limit: "1 pulls wait for messages".into() });
    }

    #[test]
    fn a_connection_with_too_many_pulls_gets_the_next_one_back_and_harms_no_other() {
        let mut table = HoldTable::new(HoldLimits { pulls_of_peer: 2, ..LIMITS });
        for queue in [7, 8] {
            table.hold(QueueId(queue), Millis(200), pull(1, None)).unwrap();
        }
        let refused = table.hold(QUEUE, Millis(200), pull(1, None)).unwrap_err();
        assert_eq!(refused.limit, "2 pulls of one connection wait for messages");
        table.hold(QUEUE, Millis(200), pull(2, None)).unwrap();
        assert_eq!(woken_by(&mut table, 10, 0), [1, 2]);
        table.hold(QUEUE, Millis(200), pull(1, None)).unwrap();
    }

    #[test]
    fn the_work_that_an_arrival_makes_is_bounded_and_each_pull_that_leaves_makes_room() {
        let mut table = HoldTable::new(HoldLimits { steps_of_queue: 5, ..LIMITS });
        table.hold(QUEUE, Millis(200), pull(1, Some(5))).unwrap();
        let refused = table.hold(QUEUE, Millis(200), pull(2, Some(6))).unwrap_err();
        assert_eq!(refused.limit, "pulls with filters of 4 steps wait for messages of one queue");
        table.hold(QueueId(8), Millis(200), pull(2, Some(6))).unwrap();
        table.hold(QUEUE, Millis(200), pull(3, None)).unwrap();
        assert_eq!(woken_by(&mut table, 10, 5), [1, 3]);
        table.hold(QUEUE, Millis(200), pull(2, Some(6))).unwrap();
        table.handle_disconnected(PeerId(2));
        assert_eq!((table.steps, table.len()), (0, 0));
    }

    #[test]
    fn the_filters_of_all_waiting_pulls_are_bounded_too() {
        let mut table = HoldTable::new(HoldLimits { steps: 7, ..LIMITS });
        table.hold(QUEUE, Millis(200), pull(1, Some(5))).unwrap();
        assert!(table.hold(QueueId(8), Millis(200), pull(2, Some(6))).is_err());
        assert!(table.pop_overdue(at(200)).is_some());
        table.hold(QueueId(8), Millis(200), pull(2, Some(6))).unwrap();
    }
}
