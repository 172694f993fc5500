//! Queues that a start after a crash does not look at, so that it takes as long as what was not on disk is large, not as there are queues.
//!
//! The checkpoint's mark says that the units of all records in front of a place of the log are on disk. Behind them a queue's files can hold
//! anything: units of records that were lost, half a page of them, units that are still right. A start reads the log from the mark on and
//! keeps the units of those records in memory. A queue is put right when it is first used, or when the loop comes to it: all that does not
//! point in front of the mark is erased, the units from memory are put behind.
//!
//! # Why a crash on the way changes nothing
//!
//! - Until each queue has been put right **and** all that this changed is on disk, the mark on disk stays where it is
//!   ([`FlushShared`](crate::flusher::FlushShared) holds it). The next start reads the log again from the same place and treats each queue
//!   in the same way, be it untouched, put right, put right in part, or longer by new messages: all of that lies behind the mark.
//! - What is in front of the mark was on disk before the first crash, and nothing here writes to it: units are only erased and put from the
//!   first one on that does not point in front of the mark.
//! - New records are appended where the log ends, behind the mark. A queue gets no unit of one before it was put right, since whoever
//!   appends uses the queue. A stale unit that points to where a new record has come to lie is therefore never behind a mark that has moved:
//!   the mark moves when none is left.
//! - A queue that cannot be put right (its files have gone, or the disk is full) takes nothing and reads as empty; the mark is taken back to
//!   the start of the log, and the next start builds all queues anew.
//! - A topic that was removed, and made again, shortly before the crash can leave a folder with less in it than the units from memory need
//!   in front of them. Where a removal is possible (`queueEnds` is gone), and where units do not follow one another, queues with units in
//!   memory are put right by the start itself, which then builds all queues anew.
//!
//! A stop in order on the way is a crash after which nothing is missing: log and queues are brought to disk as they are, mark and abort file
//! stay. Looking at all that is left would take as long as the start was to save.
//!
//! A Java broker finds the abort file, too, and a checkpoint whose time of the queues has stayed where it was: it puts all units anew of records
//! stored since. One that is started in the seconds after a second crash reads the queues as they lie there, up to the end of the log; so would
//! it have done after the first one.

use std::{
    cell::{OnceCell, RefCell},
    mem,
    path::{Path, PathBuf},
};

use foldhash::fast::FixedState;
use indexmap::IndexMap;
use route_core::storage::{AppendError, QueueId, QueueUnit};

use super::{
    Loaded, QueueTable, Slot, is_folder_name,
    place::{Lost, Placing},
    shares::in_shares,
};
use crate::{
    consume_queue::{ConsumeQueue, LogStart},
    disk::Disk,
};

/// So many units at most wait in memory, which is 32 MB: a start that has more of them looks at all queues.
pub(crate) const MAX_WAITING: usize = 1 << 20;

/// What has been put off.
#[derive(Debug, Default)]
pub(super) struct PutOff {
    /// Units that point in front of this place of the log are right, all others are not. `None` if nothing is put off.
    limit: Option<i64>,
    /// Units of records that were read again, by queue.
    waiting: RefCell<IndexMap<u32, Run, FixedState>>,
    units: usize,
    /// Files and folders that were changed and that nobody was told of.
    changed: RefCell<Vec<PathBuf>>,
    /// The queue that is looked at next.
    hand: usize,
}

/// Units of one queue in the order of the log, with the offsets that their records say they have.
#[derive(Debug)]
struct Run {
    units: Vec<(i64, QueueUnit)>,
    /// Each offset follows the one before it.
    regular: bool,
}

/// Opens queues that were put off.
#[derive(Clone, Copy)]
struct Opener<'a> {
    disk: &'a Disk,
    dir: &'a Path,
    file_size: u32,
    log_start: &'a LogStart,
    limit: i64,
}

impl PutOff {
    /// A unit waits for its queue to be looked at.
    fn keep(&mut self, queue: u32, offset: i64, unit: &QueueUnit) {
        let run = self.waiting.get_mut().entry(queue).or_insert_with(|| Run { units: Vec::new(), regular: true });
        run.regular &= run.units.last().is_none_or(|(last, _)| last + 1 == offset);
        run.units.push((offset, *unit));
        self.units += 1;
    }
}

impl QueueTable {
    /// Looks at no queue for now: each is cut to the units that point in front of `limit` when it is used, and gets those that wait for it.
    pub(crate) fn put_off(&mut self, limit: i64) {
        self.put_off = PutOff { limit: Some(limit), ..PutOff::default() };
        self.lacking.set(false);
        self.slots.iter_mut().for_each(|slot| slot.queue = OnceCell::new());
    }

    /// Nothing is put off any more, for queues that are all cut and built by other means.
    pub(super) fn forget_put_off(&mut self) {
        self.put_off = PutOff::default();
    }

    /// Whether there are queues that nobody has looked at since the crash.
    pub(crate) const fn is_put_off(&self) -> bool {
        self.put_off.limit.is_some()
    }

    /// How many units wait.
    pub(crate) const fn waiting_units(&self) -> usize {
        self.put_off.units
    }

    /// Whether a queue that had units when the store was closed has lost its folder.
    pub(crate) fn lacks_folders(&self) -> bool {
        self.slots.iter().any(|slot| !slot.found && slot.was.is_some_and(|was| was.end > was.first))
    }

    /// Keeps a unit for a queue that is put off. Answers whether it is.
    pub(super) fn keep(&mut self, QueueId(queue): QueueId, offset: i64, unit: &QueueUnit) -> bool {
        let is_put_off = self.is_put_off() && self.slots.get(queue as usize).is_some_and(|slot| slot.queue.get().is_none());
        if is_put_off {
            self.put_off.keep(queue, offset, unit);
        }
        is_put_off
    }

    /// What a queue is when it is first used, if it was put off.
    pub(super) fn load_put_off(&self, QueueId(number): QueueId, slot: &Slot) -> Option<Loaded> {
        let limit = self.put_off.limit.filter(|_| is_folder_name(&slot.topic))?;
        let run = self.put_off.waiting.borrow_mut().swap_remove(&number);
        let opener = Opener { disk: &self.disk, dir: &self.dir, file_size: self.file_size, log_start: &self.log_start, limit };
        let loaded = opener.load(slot, run, &mut self.put_off.changed.borrow_mut());
        self.lacking.set(self.lacking.get() || matches!(loaded, Loaded::Broken(_)));
        Some(loaded)
    }

    /// Whether a queue that nobody has looked at is known to go up to an offset.
    pub(crate) fn is_known_to_reach(&self, queue: QueueId, offset: i64) -> bool {
        let Some(slot) = self.slots.get(queue.0 as usize) else { return false };
        match slot.queue.get() {
            Some(Loaded::Open(queue)) => queue.max() >= offset,
            Some(_) => false,
            None => {
                let waiting = self.put_off.waiting.borrow();
                let last = waiting.get(&queue.0).and_then(|run| run.units.last()).map(|(last, _)| last + 1);
                last.max(slot.was.map(|was| was.end)).is_some_and(|end| end >= offset)
            }
        }
    }

    /// Looks at these queues, on several threads if they are many.
    pub(crate) fn look_at(&mut self, mut queues: Vec<QueueId>) {
        let Some(limit) = self.put_off.limit else { return };
        queues.sort_unstable();
        queues.dedup();
        let Self { disk, dir, file_size, log_start, slots, background, put_off, lacking, .. } = self;
        let opener = Opener { disk, dir, file_size: *file_size, log_start, limit };
        let waiting = put_off.waiting.get_mut();
        let mut wanted = queues.into_iter().peekable();
        let mut items = Vec::new();
        for (number, slot) in (0..).zip(slots.iter_mut()) {
            if wanted.next_if(|QueueId(queue)| *queue == number).is_some() && slot.queue.get().is_none() && is_folder_name(&slot.topic) {
                items.push((slot, waiting.swap_remove(&number)));
            }
        }
        let look = |items: &mut [(&mut Slot, Option<Run>)]| {
            let (mut changed, mut lacking) = (Vec::new(), false);
            for (slot, run) in items {
                let loaded = opener.load(slot, run.take(), &mut changed);
                lacking |= matches!(loaded, Loaded::Broken(_));
                slot.queue = OnceCell::from(loaded);
            }
            (changed, lacking)
        };
        for (changed, lacks) in in_shares(&mut items, *background, look) {
            put_off.changed.get_mut().extend(changed);
            lacking.set(lacking.get() || lacks);
        }
    }

    /// Looks at queues for which units wait: at all of them, or at those of which a unit does not follow the one before it.
    pub(crate) fn look_at_waiting(&mut self, all: bool) {
        let waiting = self.put_off.waiting.get_mut();
        let wanted = waiting.iter().filter(|(_, run)| all || !run.regular).map(|(number, _)| QueueId(*number)).collect();
        self.look_at(wanted);
    }

    /// Looks at all queues; nothing is put off any more. What this changed is to be [asked for](QueueTable::take_changed).
    pub(crate) fn look_at_all(&mut self) {
        let all = (0..u32::try_from(self.slots.len()).unwrap_or(u32::MAX)).map(QueueId).collect();
        self.look_at(all);
        self.put_off.limit = None;
    }

    /// Looks at up to `count` queues, in turn, but at none behind the first `until`. Answers whether nothing is put off any more.
    pub(crate) fn look_at_next(&mut self, count: usize, until: usize) -> bool {
        let mut looked = 0;
        while self.put_off.hand < until.min(self.slots.len()) {
            let queue = QueueId(u32::try_from(self.put_off.hand).unwrap_or(u32::MAX));
            if self.slots.get(self.put_off.hand).is_some_and(|slot| slot.queue.get().is_none()) {
                if looked == count {
                    break;
                }
                let _ = self.get(queue);
                looked += 1;
            }
            self.put_off.hand += 1;
        }
        if self.put_off.hand >= self.slots.len() {
            self.put_off.limit = None;
        }
        !self.is_put_off()
    }

    /// The topic of queues goes. If it is back after a loss of power, it must not have less in it than the mark says then.
    pub(super) fn forget_waiting(&mut self, QueueId(queue): QueueId) {
        if self.put_off.limit.is_some() {
            self.put_off.waiting.get_mut().swap_remove(&queue);
            self.put_off.changed.get_mut().push(self.dir.clone());
        }
    }

    /// Files and folders that were changed when queues were looked at, since the last call.
    pub(crate) fn take_changed(&mut self) -> Vec<PathBuf> {
        mem::take(self.put_off.changed.get_mut())
    }

    /// The folders of all queues that are put off, in the order in which they are looked at, and what they will be cut to.
    pub(crate) fn put_off_folders(&self) -> Option<(Vec<PathBuf>, i64)> {
        let limit = self.put_off.limit?;
        Some((self.slots.iter().map(|slot| self.dir.join(&*slot.topic).join(slot.queue_id.to_string())).collect(), limit))
    }
}

impl Opener<'_> {
    fn load(&self, slot: &Slot, run: Option<Run>, changed: &mut Vec<PathBuf>) -> Loaded {
        match self.open(slot, run, changed) {
            Ok(queue) => Loaded::Open(queue),
            Err(why) => {
                let (topic, queue) = (&*slot.topic, slot.queue_id);
                tracing::error!(topic, queue, why, "a consume queue cannot be used; all queues are built anew at the next start");
                Loaded::Broken(AppendError::QueueUnusable(why))
            }
        }
    }

    /// The queue, cut and with the units that wait for it. Nothing of it is mapped; what was changed is to be synced by its path.
    fn open(&self, slot: &Slot, run: Option<Run>, changed: &mut Vec<PathBuf>) -> Result<ConsumeQueue, String> {
        let (topic, queue_id) = (&*slot.topic, slot.queue_id);
        let dir = self.dir.join(topic).join(queue_id.to_string());
        let opened = ConsumeQueue::open_cut(self.disk.clone(), dir, self.file_size, self.log_start.clone(), self.limit, changed);
        let mut queue = opened.map_err(|error| error.to_string())?;
        if let Some(was) = slot.was.filter(|was| queue.max() < was.end) {
            return Err(format!("it ends at {}, and units up to {} were there when the store was closed last", queue.max(), was.end));
        }
        let placing = Placing { log_start: self.log_start.get(), whole: false, lost: Lost::default() };
        for (offset, unit) in run.into_iter().flat_map(|run| run.units) {
            let put = placing.put(&mut queue, (topic, queue_id), offset, &unit);
            if !put.map_err(|error| error.to_string())? {
                return Err(format!(
                    "it ends at {}, and the message at {} of the log is to have offset {offset}",
                    queue.max(),
                    unit.offset.0
                ));
            }
        }
        queue.unmap_unsynced(changed);
        Ok(queue)
    }
}
