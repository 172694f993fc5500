//! Old units of queues that lead to no message: is the message damaged, or the unit wrong? Which it is shows only a look at the log, beside
//! the loop. Until then readers wait in front of such a unit, or they would pass over a message that is there.

use std::{cell::RefCell, collections::BTreeSet, ops::Range, path::PathBuf, sync::Arc};

use proto_core::delay::DelayLevels;
use route_core::storage::{QueueId, QueueUnit};

use crate::{
    disk::Disk,
    dispatch::unit_of,
    log_walk::{FoundFile, LogWalk, Step},
    store::is_shown,
    whole_record::Trailers,
};

/// So many units may be in doubt at a time, and so many answers are kept.
const MOST: usize = 1000;
/// So much of the log is read at a time: other errands have their turn in between.
const STEP: i64 = 64 << 20;
/// Units that one search finds at most.
const FOUND: usize = 10_000;

/// A unit: its queue, and its offset there.
type Place = (QueueId, i64);

/// The units in doubt.
#[derive(Debug, Default)]
pub(crate) struct Doubts {
    waiting: RefCell<BTreeSet<Place>>,
    /// Those of which it is known that there is no message for them.
    settled: RefCell<BTreeSet<Place>>,
    /// A search is under way.
    searching: bool,
}

/// What is looked for in the log, and where.
#[derive(Clone, Debug)]
pub(crate) struct Search {
    pub(crate) queue: QueueId,
    pub(crate) topic: Arc<str>,
    pub(crate) queue_id: i32,
    /// The units that may be wrong.
    pub(crate) offsets: Range<i64>,
    /// The part of the log in which their messages would lie. It begins with a record.
    pub(crate) log: Range<i64>,
    pub(crate) dir: PathBuf,
    pub(crate) file_size: u32,
    /// Where the log's files begin.
    pub(crate) bases: Vec<i64>,
    /// What the checksums at the end of its records are worth.
    pub(crate) trailers: Trailers,
    pub(crate) delay_levels: DelayLevels,
    /// What was found so far.
    pub(crate) found: Vec<(i64, QueueUnit)>,
}

impl Doubts {
    /// Readers have come to a unit that leads to no message. Answers whether they are to wait for what is found out about it.
    pub(crate) fn raise(&self, queue: QueueId, offset: i64) -> bool {
        if self.settled.borrow().contains(&(queue, offset)) {
            return false;
        }
        let mut waiting = self.waiting.borrow_mut();
        if waiting.len() < MOST {
            waiting.insert((queue, offset));
        }
        // If there is no room now, there will be when the reader asks again.
        true
    }

    /// The next unit to be looked after, if no search is under way.
    pub(crate) fn poll(&self) -> Option<Place> {
        if self.searching { None } else { self.waiting.borrow().first().copied() }
    }

    /// A search begins …
    pub(crate) fn begin(&mut self) {
        self.searching = true;
    }

    /// … and ends.
    pub(crate) fn end(&mut self) {
        self.searching = false;
    }

    /// What could be found out about these units is known. Answers those that readers wait in front of.
    pub(crate) fn settle(&mut self, queue: QueueId, offsets: Range<i64>, is_right: impl Fn(i64) -> bool) -> Vec<i64> {
        let waiting = self.waiting.get_mut();
        let asked: Vec<_> = waiting.range((queue, offsets.start)..(queue, offsets.end)).map(|(_, offset)| *offset).collect();
        for &offset in &asked {
            waiting.remove(&(queue, offset));
            let settled = self.settled.get_mut();
            if !is_right(offset) {
                if settled.len() >= MOST {
                    settled.pop_first();
                }
                settled.insert((queue, offset));
            }
        }
        asked
    }
}

impl Search {
    /// Reads a part of the log. Answers how far it came; it is done when that is the end of [`Search::log`].
    ///
    /// # Errors
    /// Why the log cannot be read.
    pub(crate) fn step(&mut self, disk: &Disk) -> Result<(), String> {
        let len = u64::from(self.file_size);
        let files: Vec<_> = self.bases.iter().map(|&base| FoundFile { base, len }).collect();
        let mut walk = LogWalk::new(disk, &self.dir, len, &files, self.log.start, self.trailers.clone());
        let stop = self.log.end.min(self.log.start.saturating_add(STEP));
        while walk.position() < stop && self.found.len() < FOUND {
            match walk.step().map_err(|error| error.to_string())? {
                Step::Record(view) if is_shown(view.sys_flag()) => {
                    let offset = view.queue_offset();
                    if self.offsets.contains(&offset) && view.queue_id() == self.queue_id && view.topic() == &*self.topic {
                        self.found.push((offset, unit_of(&view, &self.delay_levels)));
                    }
                }
                Step::Record(_) | Step::Damage { .. } => {}
                Step::End(_) => {
                    self.log.start = self.log.end;
                    return Ok(());
                }
            }
        }
        self.log.start = if self.found.len() < FOUND { walk.position().min(self.log.end) } else { self.log.end };
        Ok(())
    }

    /// Whether the log was read to the end of the part in question.
    pub(crate) fn is_done(&self) -> bool {
        self.log.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUEUE: QueueId = QueueId(3);

    #[test]
    fn a_unit_is_in_doubt_until_it_is_settled_and_then_it_is_right_or_passed_over() {
        let mut doubts = Doubts::default();
        assert!(doubts.raise(QUEUE, 7) && doubts.raise(QUEUE, 8) && doubts.raise(QUEUE, 7));
        assert_eq!(doubts.poll(), Some((QUEUE, 7)));
        assert_eq!(doubts.settle(QUEUE, 0..10, |offset| offset == 8), [7, 8]);
        assert_eq!(doubts.poll(), None);
        assert!(!doubts.raise(QUEUE, 7), "nothing was found for it");
        assert!(doubts.raise(QUEUE, 8), "it was mended, and is wrong again");
    }

    #[test]
    fn readers_wait_until_there_is_room_for_their_doubt() {
        let mut doubts = Doubts::default();
        assert!((0..=MOST as i64).all(|offset| doubts.raise(QUEUE, offset)));
        let last = MOST as i64;
        assert_eq!(doubts.settle(QUEUE, 0..last + 1, |_| true).len(), MOST);
        assert_eq!(doubts.poll(), None);
        assert!(doubts.raise(QUEUE, last));
        assert_eq!(doubts.poll(), Some((QUEUE, last)));
    }
}
