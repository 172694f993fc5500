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
    /// What a loss of power left on disk and the next start took back, as it lay behind the end of the log; `noted` begins with where it was taken
    /// back to. Another loss of power may undo that as long as nothing was saved.
    taken_back: Vec<Option<i64>>,
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
        Self { noted: VecDeque::from([offset]), taken_back: Vec::new(), saving: VecDeque::new(), unsure: false }
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
                if taken_back {
                    // Only what lies behind the end is taken back.
                    let left = known.taken_back.drain(..).chain(known.noted.drain(..));
                    let behind = left.filter(|left| left.is_some_and(|left| left > end)).collect();
                    *known = Known { taken_back: behind, ..Known::at(Some(*offset)) };
                } else if known.unsure {
                    *known = Known::at(Some(*offset));
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
                let right = if known.unsure { known.noted.iter().chain(&known.taken_back).any(matches) } else { matches(&known.last()) };
                if !right {
                    return Err(format!("{group} is told to be at {offset:?} of {queue}, but it was noted at {known:?}"));
                }
                if known.unsure {
                    // A group that nothing is known of begins at 0 as long as the queue's first message is there.
                    let unknown = *offset == Some(0) && known.noted.contains(&None);
                    *known = Known::at(offset.filter(|_| !unknown));
                }
            }
            Fact::SaveBegan { broker } => self.of_broker(broker).for_each(|known| known.saving.push_back(known.noted.len())),
            Fact::Saved { broker } => self.of_broker(broker).for_each(|known| {
                let held = known.saving.pop_front();
                if held.is_some() {
                    known.taken_back.clear();
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
                    // Where nothing was noted there is nothing to lose.
                    known.unsure |= *dark && known.noted.iter().any(Option::is_some);
                });
            }
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{fact::Record, names::Spot, scenario::Scenario};

    /// The oracle and what all oracles know.
    struct Court {
        book: Book,
        offsets: Offsets,
    }

    impl Court {
        /// A queue with ten messages, of which a group has said that it had three, and then seven.
        fn new() -> Self {
            let mut court = Self { book: Book::new(&Scenario::draw(1)), offsets: Offsets::default() };
            for offset in 0..10 {
                court.store(offset);
            }
            for offset in [3, 7] {
                court.commit(offset).unwrap();
            }
            court
        }

        fn see(&mut self, fact: &Fact) -> Result<(), String> {
            self.book.see(Now::default(), fact);
            self.offsets.see(Now::default(), fact, &self.book)
        }

        fn store(&mut self, offset: i64) {
            let spot = Spot { queue: queue(), offset };
            let (place, end) = (offset * 100, offset * 100 + 100);
            let record = Record { spot, place, end, key: None, times: 0, real: None, tags_code: 0, stored_at: 0 };
            self.see(&Fact::Stored { broker: broker(), record }).unwrap();
        }

        fn note(&mut self, offset: i64) -> Result<(), String> {
            self.see(&Fact::OffsetNoted { group: "G".into(), queue: queue(), offset })
        }

        fn commit(&mut self, offset: i64) -> Result<(), String> {
            self.see(&Fact::CommitAsked { group: "G".into(), queue: queue(), offset }).unwrap();
            self.note(offset)
        }

        fn is_told(&mut self, offset: i64) -> bool {
            self.see(&Fact::OffsetTold { group: "G".into(), queue: queue(), offset: Some(offset) }).is_ok()
        }

        /// The process ends; the log keeps so many messages.
        fn end(&mut self, dark: bool, kept: i64) {
            self.see(&Fact::Ended { broker: broker(), kept: kept * 100, lost: 0, dark }).unwrap();
        }
    }

    fn broker() -> Name {
        "broker-a".into()
    }

    fn queue() -> Queue {
        Queue { topic: "T".into(), broker: broker(), id: 0 }
    }

    #[test]
    fn a_kill_takes_no_offset_back_and_a_loss_of_power_may() {
        let mut court = Court::new();
        court.end(false, 10);
        assert!(!court.is_told(3));
        court.end(true, 10);
        assert!(court.is_told(3));
    }

    #[test]
    fn what_was_told_after_a_loss_of_power_is_not_undone_by_the_next() {
        let mut court = Court::new();
        court.end(true, 10);
        assert!(court.is_told(7));
        court.end(true, 10);
        assert!(!court.is_told(3));
    }

    #[test]
    fn the_first_commit_of_all_may_be_lost_also_after_an_earlier_loss_of_power() {
        let mut court = Court::new();
        court.offsets = Offsets::default();
        assert!(court.is_told(0));
        court.end(true, 10);
        court.commit(6).unwrap();
        assert!(!court.is_told(0));
        court.end(true, 10);
        assert!(court.is_told(0));
    }

    #[test]
    fn what_was_taken_back_at_a_start_may_come_back_with_the_next_loss_of_power_and_nothing_else() {
        let mut court = Court::new();
        court.end(true, 5);
        court.note(5).unwrap();
        assert!(court.is_told(5));
        (5..10).for_each(|offset| court.store(offset));
        court.end(true, 10);
        // Three was not behind the end: had it been what was left, nothing had been taken back.
        assert!(!court.is_told(3));
        assert!(court.is_told(7));
    }

    #[test]
    fn what_was_taken_back_stays_so_after_a_kill_and_once_the_table_is_saved() {
        for saved in [false, true] {
            let mut court = Court::new();
            court.end(true, 5);
            court.note(5).unwrap();
            (5..10).for_each(|offset| court.store(offset));
            if saved {
                court.see(&Fact::SaveBegan { broker: broker() }).unwrap();
                court.see(&Fact::Saved { broker: broker() }).unwrap();
            }
            court.end(saved, 10);
            assert!(!court.is_told(7));
            assert!(court.is_told(5));
        }
    }
}
