//! Messages that are delivered at a time of their own. They wait in `rmq_sys_wheel_timer`, whose one queue holds them as they came.
//!
//! The log is all there is: no second file says which messages wait. The machine reads the timer's queue, keeps the times that come next in
//! memory ([`TimerWindow`]), and reads the queue again for later ones when the window has half run empty. After a start it reads
//! the queue from the first message that may still wait. What it remembers across restarts is how far it is: a few numbers
//! ([`TimerSchedule::to_file`]), saved when the log is on disk with all that they call delivered. So none is lost, and after a crash those that were
//! delivered since the last save may come twice.
//!
//! A time is a moment of the wall clock, stored as Java rounds it, to `timerPrecisionMs`. A message comes when it asked to, to ten ms; one that was
//! stored once more, or by a Java broker a moment after it had asked, comes one precision after what is stored: never early and late by less than one. If somebody sets the clock, messages come when it shows their time, in either direction.

use std::collections::BTreeMap;

use foldhash::fast::FixedState;
use indexmap::IndexSet;
use proto_core::{
    names::TIMER_TOPIC,
    properties::{self, names as property},
    record::RecordView,
};

use crate::{
    random::Random,
    storage::{Arrival, QueueId, QueueUnit, Readability, Storage},
    time::{Millis, Now, Timestamp},
};

mod backlog;
mod entry;
mod file;
mod progress;
mod rules;
mod window;

pub use entry::{EntryKind, TimerEntry};
pub use file::TimerFileError;
pub use rules::{IllegalTime, TimerRules};
pub use window::{TimerKey, TimerWindow};

use backlog::Backlog;
use progress::Progress;

/// While messages wait the machine looks at the clock this often: so a clock that is set forward is noticed, as deadlines do not move with it.
const CLOCK_CHECK: Millis = Millis::from_secs(1);

/// Pause after a delivery that storage refused.
const PAUSE: Millis = Millis(100);

/// Units that are read in one turn, new ones and known ones each.
const READ_PER_TURN: usize = 2048;

/// Recalls whose records are looked at in one turn.
const RECALLS_PER_TURN: usize = 256;

/// What an operator decides about timed messages; the keys are RocketMQ's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimerConfig {
    /// `timerWheelEnable`: whether messages may ask for a time.
    pub enabled: bool,
    /// `timerPrecisionMs`, `timerMaxDelaySec`, `timerRollWindowSlot` and `fileReservedTime`
    pub rules: TimerRules,
    /// `timerCongestNumEachSlot`: from so many messages of one time on some are refused, from twice as many on all.
    pub congest_num: usize,
    /// `appendTopicForTimerDeleteKey`: whether a recall names `topic+key` of its message, as versions before 5.4 do, or the key alone.
    pub topic_in_delete_key: bool,
    /// `timerStopEnqueue`: new messages wait until this is off again, whatever their time.
    pub stop_enqueue: bool,
    /// `timerStopDequeue`: nothing is delivered until this is off again.
    pub stop_dequeue: bool,
    /// `timerFlushIntervalMs`: how often the progress is saved if there was any.
    pub flush_interval: Millis,
    /// Timers that are held in memory; more than these are read again from the log when they are near.
    pub in_memory: usize,
    /// Recalls that may wait for the times of their messages.
    pub recalls: usize,
}

impl Default for TimerConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            rules: TimerRules::default(),
            congest_num: i32::MAX as usize,
            topic_in_delete_key: false,
            stop_enqueue: false,
            stop_dequeue: false,
            flush_interval: Millis(1000),
            in_memory: 1 << 20,
            recalls: 1 << 20,
        }
    }
}

/// A message whose time has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DueTimer {
    /// Its time and its offset in the timer's queue.
    pub key: TimerKey,
    /// Where its record lies.
    pub unit: QueueUnit,
}

/// The queue is being read again for timers that were left out of the window.
#[derive(Clone, Copy, Debug)]
struct Scan {
    /// The next unit.
    at: i64,
    /// Timers before this key are in the window already.
    from: TimerKey,
    /// Timers from this key on are left out again.
    to: Option<TimerKey>,
    /// Units before this offset were not read before in this process: they are counted, and their recalls are kept.
    unknown_before: i64,
}

/// The recalls of the time that comes out now.
#[derive(Debug)]
struct Recalled {
    at: Timestamp,
    /// How many of them were looked at.
    looked_at: usize,
    /// What the recalls name.
    keys: IndexSet<Box<[u8]>, FixedState>,
}

/// All timed messages and how far their delivery is.
#[derive(Debug)]
pub struct TimerSchedule {
    config: TimerConfig,
    queue: QueueId,
    progress: Progress,
    backlog: Backlog,
    window: TimerWindow,
    /// Timers from this key on are not in the window; `None` if all are.
    horizon: Option<TimerKey>,
    scan: Option<Scan>,
    /// Offsets of recalls by the time of their messages.
    recalls: BTreeMap<Timestamp, Vec<i64>>,
    recalls_len: usize,
    recalled: Option<Recalled>,
    /// The queue has been looked at since the start.
    started: bool,
    /// Nothing is delivered before this moment.
    paused_until: Millis,
    /// A unit was met of which storage is finding out what it should be.
    in_doubt: bool,
    look_at: Option<Millis>,
    dirty: bool,
    /// Units of which nothing can be made: without a time, or expired.
    unusable: u64,
}

impl TimerSchedule {
    /// A schedule that takes all in the timer's queue for waiting; what a saved file knows of it comes in with [`Self::load`].
    #[must_use]
    pub fn new(now: Now, config: TimerConfig, storage: &mut impl Storage) -> Self {
        let mut schedule = Self {
            queue: storage.open_queue(TIMER_TOPIC, 0),
            progress: Progress::new(0, TimerKey::FIRST),
            backlog: Backlog::default(),
            window: TimerWindow::new(config.in_memory),
            horizon: None,
            scan: None,
            recalls: BTreeMap::new(),
            recalls_len: 0,
            recalled: None,
            started: false,
            paused_until: now.mono,
            in_doubt: false,
            look_at: Some(now.mono),
            dirty: false,
            unusable: 0,
            config,
        };
        schedule.begin_at(0);
        schedule
    }

    /// The units before `progress.read` are read once more, from `low` on.
    fn begin_at(&mut self, low: i64) {
        self.horizon = Some(TimerKey::FIRST);
        self.scan = Some(Scan { at: low, from: TimerKey::FIRST, to: None, unknown_before: self.progress.read });
    }

    /// Settings have changed. Messages that wait keep the times that they were stored with; how many may wait in memory stays as it is.
    pub fn handle_configured(&mut self, now: Now, config: TimerConfig) {
        self.config =
            TimerConfig { enabled: self.config.enabled, in_memory: self.config.in_memory, recalls: self.config.recalls, ..config };
        self.look_at = Some(now.mono);
    }

    /// The rules for times.
    #[must_use]
    pub const fn rules(&self) -> &TimerRules {
        &self.config.rules
    }

    /// The timer's queue.
    #[must_use]
    pub const fn queue(&self) -> QueueId {
        self.queue
    }

    /// How many messages wait, as far as their units have been read.
    #[must_use]
    pub const fn waiting(&self) -> u64 {
        self.backlog.total()
    }

    /// Whether so many messages have this time that a further one is to be refused. Between the limit and twice the limit more and more are.
    #[must_use]
    pub fn is_congested(&self, at: Timestamp, random: &mut Random) -> bool {
        let limit = self.config.congest_num;
        if limit >= self.config.in_memory {
            return false;
        }
        let count = self.window.count(self.config.rules.times_of(at), limit.saturating_mul(2));
        let above = u32::try_from(count.saturating_sub(limit)).unwrap_or(u32::MAX);
        above > 0 && random.below(u32::try_from(limit).unwrap_or(u32::MAX).max(1)) < above
    }

    /// `timerCongestNumEachSlot`
    #[must_use]
    pub const fn congest_num(&self) -> usize {
        self.config.congest_num
    }

    /// Whether one more recall has a place.
    #[must_use]
    pub const fn has_room_for_recall(&self) -> bool {
        self.recalls_len < self.config.recalls
    }

    /// Something became readable. Other queues are none of ours.
    pub fn handle_arrival(&mut self, now: Now, arrival: Arrival) {
        if arrival.queue == self.queue && !self.config.stop_enqueue {
            self.look_at = Some(now.mono);
        }
    }

    /// Whether [`Self::poll_timeout`]'s moment has come.
    #[must_use]
    pub fn is_time(&self, now: Now) -> bool {
        self.look_at.is_some_and(|at| at <= now.mono)
    }

    /// When to look again: with [`Self::read`], [`Self::next_due`] until there is none or enough is done for this turn, and [`Self::rest`].
    #[must_use]
    pub const fn poll_timeout(&self) -> Option<Millis> {
        self.look_at
    }

    /// Reads some of what is new in the queue, and some of what is known if the window has room for it.
    pub fn read(&mut self, storage: &impl Storage) {
        let bounds = storage.bounds(self.queue);
        if !std::mem::replace(&mut self.started, true) {
            // What lay behind the end has not survived; what comes in its place is new.
            self.progress.cut(bounds.max);
            if let Some(scan) = &mut self.scan {
                scan.unknown_before = self.progress.read;
            }
        }
        self.backlog.forget_before(bounds.min);
        if !self.config.stop_enqueue {
            self.progress.skip_to(bounds.min);
            self.read_new(storage, bounds.max);
        }
        if self.scan.is_none()
            && let Some(from) = self.horizon
            && self.window.is_half_empty()
        {
            let at = self.backlog.first().unwrap_or(self.progress.read);
            self.scan = Some(Scan { at, from, to: None, unknown_before: 0 });
        }
        self.read_again(storage, bounds.min);
    }

    fn read_new(&mut self, storage: &impl Storage, end: i64) {
        let stop = end.min(self.progress.read.saturating_add(READ_PER_TURN as i64));
        while self.progress.read < stop {
            let from = self.progress.read;
            for (offset, unit) in (from..stop).zip(storage.units(self.queue, from)) {
                if self.is_in_doubt(storage, offset, &unit) {
                    return;
                }
                let Some(entry) = TimerEntry::of_unit(&unit, &self.config.rules, || storage.record(unit.offset)) else {
                    self.unusable += 1;
                    self.progress.skip_to(offset + 1);
                    continue;
                };
                let key = TimerKey { at: entry.at, offset };
                self.progress.read_next(key);
                self.backlog.add(offset);
                self.admit(entry, key);
            }
            if self.progress.read == from {
                // A hole: nothing can be read up to the queue's next file.
                self.progress.skip_to(storage.next_file_offset(from).max(from + 1).min(end));
            }
            self.dirty = true;
        }
    }

    /// Whether storage is finding out what a unit should be. One that holds a time is looked at when that has come: a million of
    /// records are not read for it.
    fn is_in_doubt(&mut self, storage: &impl Storage, offset: i64, unit: &QueueUnit) -> bool {
        let in_doubt =
            TimerEntry::of_tags_code(unit.tags_code).is_none() && storage.readability(self.queue, offset, unit) == Readability::InDoubt;
        self.in_doubt |= in_doubt;
        in_doubt
    }

    fn read_again(&mut self, storage: &impl Storage, min: i64) {
        let Some(mut scan) = self.scan else { return };
        scan.at = scan.at.max(min);
        let stop = self.progress.read.min(scan.at.saturating_add(READ_PER_TURN as i64));
        while scan.at < stop {
            let from = scan.at;
            for (offset, unit) in (from..stop).zip(storage.units(self.queue, from)) {
                if self.is_in_doubt(storage, offset, &unit) {
                    self.scan = Some(scan);
                    return;
                }
                scan.at = offset + 1;
                let Some(entry) = TimerEntry::of_unit(&unit, &self.config.rules, || storage.record(unit.offset)) else { continue };
                let key = TimerKey { at: entry.at, offset };
                let is_recall = entry.is_recall();
                let is_done = if is_recall { self.progress.is_time_done(key) } else { self.progress.is_done(key) };
                let is_unknown = offset < scan.unknown_before;
                if is_done || is_recall && !is_unknown {
                    continue;
                }
                if is_unknown {
                    self.backlog.add(offset);
                }
                if is_recall {
                    self.keep_recall(key);
                } else if key >= scan.from && scan.to.is_none_or(|to| key < to) {
                    let left_out = self.window.insert(key);
                    if left_out.is_some_and(|left_out| left_out < scan.from) {
                        // Nothing of what is read here has room any more.
                        self.horizon = left_out;
                        self.scan = None;
                        return;
                    }
                    scan.to = left_out.or(scan.to);
                }
            }
            if scan.at == from {
                scan.at = storage.next_file_offset(from).max(from + 1).min(stop);
            }
        }
        if scan.at >= self.progress.read {
            self.horizon = scan.to;
            self.scan = None;
        } else {
            self.scan = Some(scan);
        }
    }

    /// Takes in what was read for the first time.
    fn admit(&mut self, entry: TimerEntry, key: TimerKey) {
        if entry.is_recall() {
            return self.keep_recall(key);
        }
        if self.horizon.is_some_and(|horizon| key >= horizon) {
            // It comes when the queue is read again; a scan that is under way meets it.
            return;
        }
        if let Some(left_out) = self.window.insert(key) {
            match &mut self.scan {
                Some(scan) if left_out >= scan.from => scan.to = Some(left_out),
                _ => {
                    self.scan = None;
                    self.horizon = Some(left_out);
                }
            }
        }
    }

    fn keep_recall(&mut self, key: TimerKey) {
        if !self.has_room_for_recall() {
            self.unusable += 1;
            self.backlog.remove(key.offset);
            return;
        }
        self.recalls.entry(key.at).or_default().push(key.offset);
        self.recalls_len += 1;
    }

    /// The next message whose time has come. The caller puts it where it belongs and says [`done`](Self::done), or
    /// [`refused`](Self::refused) to see it again after a moment; a caller that stops in between asks again later.
    pub fn next_due(&mut self, now: Now, storage: &impl Storage) -> Option<DueTimer> {
        if self.config.stop_dequeue || now.mono < self.paused_until {
            return None;
        }
        loop {
            let at = self.first_time()?;
            let out = self.config.rules.out_of(at);
            // Recalls come before the first of the messages that they may take back, but have to be read before it, too.
            let may_be_recalled = self.is_behind(storage) && self.config.rules.due(out) > now.wall;
            if self.config.rules.due(at) > now.wall
                || may_be_recalled
                || !self.is_known_up_to(TimerKey::begin_of(at))
                || !self.look_at_recalls(out, storage)
            {
                return None;
            }
            match self.window.first().filter(|key| key.at == at) {
                Some(key) => {
                    if !self.is_known_up_to(key.next()) {
                        return None;
                    }
                    match storage.unit(self.queue, key.offset) {
                        Some(unit) if storage.readability(self.queue, key.offset, &unit) == Readability::InDoubt => {
                            self.in_doubt = true;
                            return None;
                        }
                        Some(unit) => return Some(DueTimer { key, unit }),
                        None => {
                            self.unusable += 1;
                            self.finish(key);
                        }
                    }
                }
                None => {
                    if !self.is_known_up_to(TimerKey::end_of(at)) {
                        return None;
                    }
                    self.finish_time(at);
                }
            }
        }
    }

    /// The first time at which there is something to do.
    fn first_time(&self) -> Option<Timestamp> {
        let recall = self.recalls.first_key_value().map(|(at, _)| *at);
        self.window.first().map(|key| key.at).into_iter().chain(recall).min()
    }

    /// Whether the queue has units that are to be read and have not been.
    fn is_behind(&self, storage: &impl Storage) -> bool {
        !self.config.stop_enqueue && self.progress.read < storage.bounds(self.queue).max
    }

    /// Whether the window holds all timers before `key`.
    fn is_known_up_to(&self, key: TimerKey) -> bool {
        let known = self.scan.map(|scan| scan.from).or(self.horizon);
        known.is_none_or(|known| key <= known)
    }

    /// Looks at the recalls of a time, so many in a turn. Answers whether all are known.
    fn look_at_recalls(&mut self, at: Timestamp, storage: &impl Storage) -> bool {
        let mut recalled = match self.recalled.take().filter(|recalled| recalled.at == at) {
            Some(recalled) => recalled,
            None => Recalled { at, looked_at: 0, keys: IndexSet::default() },
        };
        let offsets = self.recalls.get(&at).map_or(&[][..], Vec::as_slice);
        let open = offsets.get(recalled.looked_at..).unwrap_or_default();
        for offset in open.iter().take(RECALLS_PER_TURN) {
            let unit = storage.unit(self.queue, *offset);
            if unit.is_some_and(|unit| storage.readability(self.queue, *offset, &unit) == Readability::InDoubt) {
                self.in_doubt = true;
                break;
            }
            recalled.looked_at += 1;
            let record = unit.and_then(|unit| storage.record(unit.offset));
            let key = record.and_then(|record| properties::find(RecordView::parse(record).ok()?.properties(), property::TIMER_DEL_UNIQKEY));
            recalled.keys.extend(key.map(Box::from));
        }
        let all = recalled.looked_at >= offsets.len();
        self.recalled = Some(recalled);
        all
    }

    /// Whether the due message of this topic and key was taken back, by a recall of either form.
    #[must_use]
    pub fn is_recalled(&self, topic: &str, unique_key: &[u8]) -> bool {
        let keys = self.recalled.as_ref().map(|recalled| &recalled.keys).filter(|keys| !keys.is_empty());
        keys.is_some_and(|keys| keys.contains(unique_key) || keys.contains(&*[topic.as_bytes(), b"+", unique_key].concat()))
    }

    /// A due entry is a recall that was only on its way, and its message may be next: it counts for the messages of this time.
    pub fn recall_at(&mut self, at: Timestamp, due: &DueTimer) {
        self.backlog.add(due.key.offset);
        self.keep_recall(TimerKey { at, offset: due.key.offset });
    }

    /// A due message now lies where it belongs, or never will.
    pub fn done(&mut self, due: &DueTimer) {
        self.finish(due.key);
    }

    fn finish(&mut self, key: TimerKey) {
        if self.window.first() == Some(key) {
            self.window.pop_first();
            self.progress.done_before(key.next());
            self.backlog.remove(key.offset);
            self.dirty = true;
        }
    }

    /// All messages of a time are done, and with them their recalls.
    fn finish_time(&mut self, at: Timestamp) {
        for offset in self.recalls.remove(&at).unwrap_or_default() {
            self.recalls_len -= 1;
            self.backlog.remove(offset);
        }
        self.recalled = None;
        self.progress.done_before(TimerKey::end_of(at));
        self.dirty = true;
    }

    /// Storage did not take a due message: nothing is delivered for a moment.
    pub fn refused(&mut self, now: Now) {
        self.paused_until = now.mono + PAUSE;
    }

    /// Sets the moment of the next look, after all that this turn has done.
    pub fn rest(&mut self, now: Now, storage: &impl Storage) {
        let unread = self.is_behind(storage);
        let wants_scan = self.scan.is_some() || self.horizon.is_some() && self.window.is_half_empty();
        let due = self.first_time().filter(|_| !self.config.stop_dequeue).map(|at| {
            let at = now.deadline(self.config.rules.due(at)).min(now.mono + CLOCK_CHECK);
            at.max(self.paused_until)
        });
        self.look_at = if std::mem::take(&mut self.in_doubt) {
            Some(now.mono + PAUSE)
        } else if unread || wants_scan {
            Some(now.mono)
        } else {
            due
        };
    }

    /// Whether there was progress since the last call: then it is to be saved.
    #[must_use]
    pub fn take_dirty(&mut self) -> bool {
        std::mem::take(&mut self.dirty)
    }

    /// Whether there is progress to be saved.
    #[must_use]
    pub const fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// How many units nothing could be made of since the last call.
    #[must_use]
    pub fn take_unusable(&mut self) -> u64 {
        std::mem::take(&mut self.unusable)
    }
}

#[cfg(test)]
mod tests;
