//! How far a group has come is what it has said last, never ahead of the log, and no restart takes it back.

use std::collections::{BTreeMap, VecDeque};

use route_core::Now;

use super::{Book, Oracle};
use crate::{
    fact::Fact,
    names::{Name, Queue},
};

/// What a broker should know of a group in a queue.
#[derive(Clone, Debug)]
struct Known {
    /// What was noted since the last save, oldest first, behind what the table on disk says. `None` is nothing.
    noted: VecDeque<Option<i64>>,
    /// What a loss of power may have left on disk before the first of `noted`, when nobody had asked before that was noted: the next loss of
    /// power may bring it back, as long as nothing was saved.
    before: Vec<Option<i64>>,
    /// Entries that a save under way will hold.
    saving: VecDeque<usize>,
    /// Power was lost since: any of `noted` may be what was kept.
    unsure: bool,
}

impl Default for Known {
    fn default() -> Self {
        Self::at(None)
    }
}

impl Known {
    fn at(offset: Option<i64>) -> Self {
        Self { noted: VecDeque::from([offset]), before: Vec::new(), saving: VecDeque::new(), unsure: false }
    }

    fn last(&self) -> Option<i64> {
        self.noted.back().copied().flatten()
    }
}

/// What brokers should know of all groups.
#[derive(Debug, Default)]
pub(super) struct Offsets {
    known: BTreeMap<(Name, Queue), Known>,
    /// A commit that a broker has yet to note.
    asked: Option<(Name, Queue, i64)>,
}

impl Offsets {
    fn of_broker(&mut self, broker: &Name) -> impl Iterator<Item = &mut Known> {
        self.known.iter_mut().filter(move |((_, queue), _)| queue.broker == *broker).map(|(_, known)| known)
    }
}

impl Oracle for Offsets {
    fn name(&self) -> &'static str {
        "offsets neither run ahead nor back"
    }

    fn see(&mut self, _now: Now, fact: &Fact, book: &Book) -> Result<(), String> {
        match fact {
            Fact::CommitAsked { group, queue, offset } => self.asked = Some((group.clone(), queue.clone(), *offset)),
            Fact::OffsetNoted { group, queue, offset } => {
                // A commit that changed nothing was not noted.
                let asked = self.asked.take().filter(|(_, of, _)| of.broker == queue.broker);
                let end = book.next_offset(queue);
                if *offset > end {
                    return Err(format!("{group} is said to be at {offset} of {queue}, which ends at {end}"));
                }
                let known = self.known.entry((group.clone(), queue.clone())).or_default();
                // A broker that starts after a crash takes back what lies behind the end of the log.
                let taken_back = asked.is_none() && known.unsure && *offset == end;
                let right =
                    taken_back || asked.as_ref().is_some_and(|(by, of, asked)| by == group && of == queue && (*asked).min(end) == *offset);
                if !right {
                    return Err(format!("{offset} was noted for {group} in {queue}, but what it has said is {asked:?}"));
                }
                if known.unsure {
                    let before = known.before.drain(..).chain(known.noted.drain(..)).collect();
                    *known = Known { before, ..Known::at(Some(*offset)) };
                } else {
                    known.noted.push_back(Some(*offset));
                }
            }
            Fact::OffsetTold { group, queue, offset } => {
                let known = self.known.entry((group.clone(), queue.clone())).or_default();
                let end = book.next_offset(queue);
                if offset.is_some_and(|offset| offset > end) {
                    return Err(format!("{group} is told to be at {offset:?} of {queue}, which ends at {end}"));
                }
                let matches = |noted: &Option<i64>| noted.map(|noted| noted.min(end)) == *offset || (noted.is_none() && *offset == Some(0));
                let right = if known.unsure { known.noted.iter().chain(&known.before).any(matches) } else { matches(&known.last()) };
                if !right {
                    return Err(format!("{group} is told to be at {offset:?} of {queue}, but it was noted at {known:?}"));
                }
                if known.unsure {
                    // A group that nothing is known of begins at 0 as long as the queue's first message is there.
                    let unknown = *offset == Some(0) && known.noted.iter().chain(&known.before).any(Option::is_none);
                    *known = Known::at(offset.filter(|_| !unknown));
                }
            }
            Fact::SaveBegan { broker } => self.of_broker(broker).for_each(|known| known.saving.push_back(known.noted.len())),
            Fact::Saved { broker } => self.of_broker(broker).for_each(|known| {
                let held = known.saving.pop_front();
                if held.is_some() {
                    known.before.clear();
                }
                let held = held.unwrap_or(1);
                for _ in 1..held {
                    known.noted.pop_front();
                }
                known.saving.iter_mut().for_each(|later| *later -= held - 1);
            }),
            Fact::Ended { broker, dark, .. } => {
                self.asked = None;
                self.of_broker(broker).for_each(|known| {
                    known.saving.clear();
                    known.unsure |= dark;
                });
            }
            _ => {}
        }
        Ok(())
    }
}
