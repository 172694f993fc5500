//! Matching a batch of messages and sharing out queues: two narrow doors, behind which are the built-in ways and [plugins](crate::plugins).

use std::{fmt::Debug, sync::Arc};

use smallvec::SmallVec;

mod all_of;
pub mod sql;
pub mod tags;

pub use all_of::AllOf;

/// A stored message as a filter may look at it.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// The tags code of its consume-queue unit.
    pub tags_code: i64,
    /// Its whole record; only there if the filter [needs](MessageFilter::needs_record) it.
    pub record: Option<&'a [u8]>,
}

/// One bit for each message of a batch: set means deliver.
#[derive(Clone, Debug, Default)]
pub struct Verdicts {
    bits: SmallVec<[u64; 2]>,
}

impl Verdicts {
    /// Clears all and makes room for `len` messages, all withheld.
    pub fn reset(&mut self, len: usize) {
        self.bits.clear();
        self.bits.resize(len.div_ceil(64), 0);
    }

    /// Decides to deliver message `index`.
    pub fn deliver(&mut self, index: usize) {
        self.bits[index / 64] |= 1 << (index % 64);
    }

    /// Decides to deliver message `first + n` for each bit `n` that is set; there is room for all of them.
    pub fn deliver_all(&mut self, first: usize, bits: u64) {
        let (word, shift) = (first / 64, first % 64);
        for (word, bits) in [(word, bits << shift), (word + 1, bits.unbounded_shr(64 - shift as u32))] {
            if bits != 0 {
                self.bits[word] |= bits;
            }
        }
    }

    /// Whether message `index` is to be delivered.
    #[must_use]
    pub fn delivers(&self, index: usize) -> bool {
        self.bits.get(index / 64).is_some_and(|word| word & (1 << (index % 64)) != 0)
    }
}

/// Decides for a batch of messages of one queue which of them a consumer gets.
pub trait MessageFilter: Debug + Send + Sync {
    /// Whether consume-queue units do not suffice and records must be read.
    fn needs_record(&self) -> bool;

    /// How much work one message is, in steps of an expression of some tens of nanoseconds; for limits, never for a decision. What says
    /// nothing of itself counts as an expression of a few terms.
    fn steps(&self) -> usize {
        16
    }

    /// Sets a bit for each message to deliver; `verdicts` comes [reset](Verdicts::reset) to the length of `batch`.
    fn matches(&self, batch: &[Candidate<'_>], verdicts: &mut Verdicts);

    /// The same filter for one group, which it names where it tells of failures; `None` if it never tells of any.
    fn for_group(&self, _group: &str) -> Option<Arc<dyn MessageFilter>> {
        None
    }

    /// Whether one message is to be delivered.
    fn matches_one(&self, candidate: Candidate<'_>) -> bool {
        let mut verdicts = Verdicts::default();
        verdicts.reset(1);
        self.matches(&[candidate], &mut verdicts);
        verdicts.delivers(0)
    }
}

/// A filter as one group uses it: see [`MessageFilter::for_group`].
#[must_use]
pub fn for_group(filter: Arc<dyn MessageFilter>, group: &str) -> Arc<dyn MessageFilter> {
    filter.for_group(group).unwrap_or(filter)
}

/// A queue as its name on the wire says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueueName<'a> {
    /// Its topic.
    pub topic: &'a str,
    /// The broker that holds it.
    pub broker_name: &'a str,
    /// Its number inside the topic on that broker.
    pub queue_id: i32,
}

/// Shares the queues of a topic among the clients of a group.
pub trait QueueAllocator {
    /// The name under which clients ask for it, for example `AVG`.
    fn name(&self) -> &str;

    /// For each queue the index of the client that owns it, or `None` if nobody does: a queue never has two owners.
    /// The answer is as long as `queues`. Both lists come sorted: queues by topic, broker and number, clients by their id;
    /// only then do all members of a group come to the same answer. Without clients nobody owns anything.
    fn allocate(&self, queues: &[QueueName<'_>], clients: &[&str]) -> Vec<Option<usize>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_delivered_from_any_message_on() {
        for first in [0, 1, 63, 64, 70] {
            let mut verdicts = Verdicts::default();
            verdicts.reset(first + 64);
            verdicts.deliver_all(first, 1 << 63 | 0b101);
            let delivered: Vec<_> = (0..first + 64).filter(|&index| verdicts.delivers(index)).collect();
            assert_eq!(delivered, [first, first + 2, first + 63]);
        }
    }

    #[test]
    fn bits_that_are_not_set_need_no_room() {
        let mut verdicts = Verdicts::default();
        verdicts.reset(3);
        verdicts.deliver_all(1, 0b11);
        verdicts.deliver_all(60, 0);
        assert!(!verdicts.delivers(0) && verdicts.delivers(1) && verdicts.delivers(2));
    }
}
