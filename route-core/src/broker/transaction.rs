//! Transactions that nobody has decided yet.
//!
//! A producer's half message lies in `RMQ_SYS_TRANS_HALF_TOPIC` until its word comes: commit puts the message where it belongs, roll back
//! drops it. If no word comes, the producer's group is asked, again and again: each time the half message is appended anew with the count
//! of questions in it, as Java does. What is over is noted in `RMQ_SYS_TRANS_OP_HALF_TOPIC`, so that the table can be read back
//! from the two queues.
//!
//! A transaction is one entry here, however many copies of its half message there are, those among them that a client has sent again because
//! it heard no answer: a word on an older copy decides it too, and a second word finds nothing to decide. So nothing is committed twice
//! (RocketMQ #8158, #9500), and what is in the table has a deadline, so that nothing waits for ever (#544).

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use foldhash::fast::FixedState;
use indexmap::IndexMap;
use smallvec::SmallVec;

use crate::{
    storage::LogOffset,
    time::{Millis, Now},
};

mod half;
mod metrics;

pub use metrics::TransactionMetrics;

pub use half::{DONE, Half, NotHalf, prepare, read_op, write_op};

/// Pause before notes are written that storage has refused.
const PAUSE: Millis = Millis(100);

/// Entries of the list that tells how far the notes are needed; beyond it they are told less exactly.
const NOTES_LIMIT: usize = 1 << 20;

/// Half messages that may follow an undecided one before it is copied behind them, so that a start does not have to read them all; more if
/// more are undecided, or copies would chase copies.
const FAR: i64 = 1 << 16;

/// An undecided transaction.
#[derive(Debug)]
struct Undecided {
    /// Where the newest copy of its half message lies.
    place: LogOffset,
    due: Millis,
    /// Offsets of the older copies.
    older: SmallVec<[i64; 2]>,
    identity: Option<Arc<str>>,
    topic: Option<Arc<str>>,
}

/// A half message whose producers are to be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// Its offset in the queue of half messages.
    pub half: i64,
    /// Where it lies.
    pub place: LogOffset,
}

/// How far the two queues have to be read no more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Before this offset all half messages are decided, or copied further on and so old that no word on them is waited for.
    pub half: i64,
    /// Before this offset all notes are about such half messages.
    pub op: i64,
}

/// What has become of transactions since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TransactionCounts {
    /// Half messages taken in.
    pub begun: u64,
    /// Committed.
    pub committed: u64,
    /// Rolled back.
    pub rolled_back: u64,
    /// Questions to producers.
    pub asked: u64,
    /// Put aside after too many questions.
    pub given_up: u64,
}

/// How a transaction has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The message lies where it belongs.
    Committed,
    /// It goes nowhere.
    RolledBack,
    /// Its producers were asked often enough.
    GivenUp,
    /// It was over before, or its half message is gone.
    Dropped,
}

/// All undecided transactions.
#[derive(Debug)]
pub struct TransactionTable {
    /// By the offset of the newest copy of the half message.
    undecided: BTreeMap<i64, Undecided>,
    deadlines: BTreeSet<(Millis, i64)>,
    /// Older copies and the newest one.
    newest: BTreeMap<i64, i64>,
    /// The newest copy by what tells a transaction from others.
    identities: IndexMap<Arc<str>, i64, FixedState>,
    /// Half messages that are over and not noted yet.
    owed: Vec<i64>,
    /// When notes are tried again that were refused.
    retry_at: Option<Millis>,
    /// Notes that are still needed: their offset, and the highest half message that they are about.
    notes: VecDeque<(i64, i64)>,
    /// One more than the last offsets seen in the two queues.
    end: Progress,
    limit: usize,
    counts: TransactionCounts,
}

impl TransactionTable {
    /// A table for at most `limit` undecided transactions.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            undecided: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            newest: BTreeMap::new(),
            identities: IndexMap::default(),
            owed: Vec::new(),
            retry_at: None,
            notes: VecDeque::new(),
            end: Progress::default(),
            limit,
            counts: TransactionCounts::default(),
        }
    }

    /// Whether one more transaction may begin.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.undecided.len() < self.limit
    }

    /// A half message was stored, or found at the start; its producers are asked at `due`. Two with one `identity` are copies of one
    /// transaction, of which the later one counts; then the older one is [owed](Self::owed) a note. `topic` is what [`Self::end`] answers.
    /// Tells whether a transaction has begun with it.
    pub fn begin(&mut self, half: i64, place: LogOffset, due: Millis, identity: Option<Arc<str>>, topic: Option<Arc<str>>) -> bool {
        if let Some(&older) = identity.as_ref().and_then(|identity| self.identities.get(identity)) {
            self.renewed(older, half, place, due);
            return false;
        }
        self.counts.begun += 1;
        self.insert(half, Undecided { place, due, older: SmallVec::new(), identity, topic });
        true
    }

    /// The two queues end here.
    pub fn set_end(&mut self, end: Progress) {
        self.end = Progress { half: self.end.half.max(end.half), op: self.end.op.max(end.op) };
    }

    /// The newest copy of the transaction that a half message belongs to, and where it lies; `None` if that is decided.
    #[must_use]
    pub fn newest(&self, half: i64) -> Option<Due> {
        let half = self.newest.get(&half).copied().unwrap_or(half);
        self.undecided.get(&half).map(|entry| Due { half, place: entry.place })
    }

    /// The next transaction whose producers are to be asked. The caller says what came of it: [`renewed`](Self::renewed),
    /// [`postpone`](Self::postpone) or [`end`](Self::end).
    #[must_use]
    pub fn next_due(&self, now: Now) -> Option<Due> {
        let &(due, half) = self.deadlines.first()?;
        (due <= now.mono).then(|| self.newest(half)).flatten()
    }

    /// Nothing could be done about a transaction: it is due again later.
    pub fn postpone(&mut self, half: i64, due: Millis) {
        if let Some(entry) = self.undecided.get_mut(&half) {
            self.deadlines.remove(&(entry.due, half));
            entry.due = due;
            self.deadlines.insert((due, half));
        }
    }

    /// The half message `old` was appended once more as `half`; the older copy is [owed](Self::owed) a note.
    pub fn renewed(&mut self, old: i64, half: i64, place: LogOffset, due: Millis) {
        let Some(mut entry) = self.take(old) else { return };
        entry.older.push(old);
        (entry.place, entry.due) = (place, due);
        for &older in &entry.older {
            self.newest.insert(older, half);
        }
        self.insert(half, entry);
        self.owed.push(old);
    }

    /// Whether so many half messages have come since this one that a copy of it at the end of the queue spares the next start some reading.
    #[must_use]
    pub fn is_far_behind(&self, half: i64) -> bool {
        half < self.near_from()
    }

    /// Copies from this offset on are kept in what a start reads.
    fn near_from(&self) -> i64 {
        let undecided = i64::try_from(self.undecided.len()).unwrap_or(i64::MAX);
        self.end.half.saturating_sub(FAR.max(undecided.saturating_mul(2)))
    }

    /// The newest copy of an undecided transaction, and where it lies.
    #[must_use]
    pub fn find(&self, identity: &str) -> Option<Due> {
        self.newest(*self.identities.get(identity)?)
    }

    /// An older copy of an undecided transaction was found at the start: a word on it counts.
    pub fn restore_older(&mut self, older: i64, newest: i64) {
        if let Some(entry) = self.undecided.get_mut(&newest) {
            entry.older.push(older);
            self.newest.insert(older, newest);
        }
    }

    /// A question has left for a producer.
    pub const fn note_question(&mut self) {
        self.counts.asked += 1;
    }

    /// A transaction is over; its half message is [owed](Self::owed) a note. Answers the topic that it [began](Self::begin) with.
    pub fn end(&mut self, half: i64, end: End) -> Option<Arc<str>> {
        let entry = self.take(half)?;
        for older in entry.older {
            self.newest.remove(&older);
        }
        if let Some(identity) = entry.identity {
            self.identities.swap_remove(&identity);
        }
        self.owed.push(half);
        match end {
            End::Committed => self.counts.committed += 1,
            End::RolledBack => self.counts.rolled_back += 1,
            End::GivenUp => self.counts.given_up += 1,
            End::Dropped => {}
        }
        entry.topic
    }

    /// Half messages that are over and of which no note tells so.
    #[must_use]
    pub fn owed(&self) -> &[i64] {
        &self.owed
    }

    /// A note at this offset tells of all that were owed one.
    pub fn noted(&mut self, op: i64) {
        if let Some(&highest) = self.owed.iter().max() {
            self.restore_note(op, highest);
        }
        self.owed.clear();
        self.retry_at = None;
    }

    /// Storage has refused a note: it is tried again.
    pub fn note_refused(&mut self, now: Now) {
        self.retry_at = Some(now.mono + PAUSE);
    }

    /// Whether a note is to be written now: one is owed, and none was refused just before.
    #[must_use]
    pub fn owes_now(&self, now: Now) -> bool {
        !self.owed.is_empty() && self.retry_at.is_none_or(|at| at <= now.mono)
    }

    /// A note at this offset is about half messages up to `highest`.
    pub fn restore_note(&mut self, op: i64, highest: i64) {
        self.set_end(Progress { half: 0, op: op + 1 });
        let full = self.notes.len() >= NOTES_LIMIT;
        match self.notes.back_mut() {
            // The older offset is the safe one: more is read again, nothing is missed.
            Some(last) if full => last.1 = last.1.max(highest),
            _ => self.notes.push_back((op, highest)),
        }
    }

    /// How far the queues need not be read again; to be kept as the offsets of `CID_RMQ_SYS_TRANS`.
    pub fn progress(&mut self) -> Progress {
        let undecided = self.undecided.first_key_value().map_or(self.end.half, |(half, _)| *half);
        let older = self.newest.range(self.near_from()..).next().map_or(undecided, |(older, _)| *older);
        let half = undecided.min(older);
        while self.notes.front().is_some_and(|(_, highest)| *highest < half) {
            self.notes.pop_front();
        }
        Progress { half, op: self.notes.front().map_or(self.end.op, |(op, _)| *op) }
    }

    /// When [`Self::next_due`] or [`Self::owes_now`] has something.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Millis> {
        let due = self.deadlines.first().map(|(due, _)| *due);
        due.into_iter().chain(self.retry_at).min()
    }

    /// How many transactions are undecided.
    #[must_use]
    pub fn len(&self) -> usize {
        self.undecided.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.undecided.is_empty()
    }

    /// What has become of the others.
    #[must_use]
    pub const fn counts(&self) -> TransactionCounts {
        self.counts
    }

    fn insert(&mut self, half: i64, entry: Undecided) {
        self.set_end(Progress { half: half + 1, op: 0 });
        self.deadlines.insert((entry.due, half));
        if let Some(identity) = &entry.identity {
            self.identities.insert(Arc::clone(identity), half);
        }
        self.undecided.insert(half, entry);
    }

    fn take(&mut self, half: i64) -> Option<Undecided> {
        let entry = self.undecided.remove(&half)?;
        self.deadlines.remove(&(entry.due, half));
        Some(entry)
    }
}

#[cfg(test)]
mod tests;
