//! Matching a batch of messages and sharing out queues: two narrow doors, behind which are the built-in ways and [plugins](crate::plugins).

use std::fmt::Debug;

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

    /// Whether one message is to be delivered.
    fn matches_one(&self, candidate: Candidate<'_>) -> bool {
        let mut verdicts = Verdicts::default();
        verdicts.reset(1);
        self.matches(&[candidate], &mut verdicts);
        verdicts.delivers(0)
    }
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
