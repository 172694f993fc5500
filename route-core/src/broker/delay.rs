//! Delayed messages: they wait in `SCHEDULE_TOPIC_XXXX`, one queue for each level, and go to their real topic when their time comes.
//!
//! Inside a level all messages wait equally long, so a queue is in the order of delivery and one cursor for each level is enough.
//! The tags code of a unit is the delivery time.
//!
//! That time is told by the wall clock, the only one that goes on across restarts. So the rule for a clock that is set: forward, messages
//! come as early as it says; back, they wait at most their level's length again, and never come at once.

use std::ops::RangeInclusive;

use proto_core::{
    bodies::DataVersion,
    delay::{self, DelayLevels},
    names::SCHEDULE_TOPIC,
};

use crate::{
    storage::{Arrival, QueueId, QueueUnit, Readability, Storage},
    time::{Millis, Now, Timestamp},
};

mod file;
mod redelivery;
mod set_back;

pub use redelivery::{Redelivery, message_for};

use set_back::SetBacks;

/// A level that waits looks at the clock this often: so a clock that is set forward is noticed, as deadlines do not move with it.
const CLOCK_CHECK: Millis = Millis::from_secs(1);

/// Pause after a delivery that storage refused, and before a second look at a hole in a queue.
const PAUSE: Millis = Millis(100);

/// A message whose time has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// Its level, from 1.
    pub level: i32,
    /// Its offset in the level's queue.
    pub offset: i64,
    /// Where its record lies.
    pub unit: QueueUnit,
}

#[derive(Debug)]
struct Cursor {
    delay: Millis,
    queue: QueueId,
    /// The first message that has not been delivered.
    offset: i64,
    /// When to look next; `None` while the queue holds nothing more.
    look_at: Option<Millis>,
    set_backs: SetBacks,
}

/// The cursors of all levels.
#[derive(Debug)]
pub struct DelaySchedule {
    cursors: Vec<Cursor>,
    /// The lowest and the highest of the levels' queues: most arrivals are told apart by them alone.
    queues: RangeInclusive<QueueId>,
    version: DataVersion,
    dirty: bool,
}

impl DelaySchedule {
    /// A schedule for these levels. All cursors start at the beginning of their queues; what a saved table or a journal says of them
    /// comes in with [`Self::load`] and [`Self::restore`].
    #[must_use]
    pub fn new(now: Now, levels: &DelayLevels, storage: &mut impl Storage) -> Self {
        let cursor = |(level, millis)| Cursor {
            delay: Millis(u64::try_from(millis).unwrap_or(0)),
            queue: storage.open_queue(SCHEDULE_TOPIC, delay::queue_id(level)),
            offset: 0,
            look_at: Some(now.mono),
            set_backs: SetBacks::default(),
        };
        let cursors: Vec<_> = levels.iter().map(cursor).collect();
        let queues = || cursors.iter().map(|cursor| cursor.queue);
        let queues = queues().min().unwrap_or(QueueId(1))..=queues().max().unwrap_or(QueueId(0));
        Self { cursors, queues, version: DataVersion::new(now.wall.0), dirty: false }
    }

    /// Sets the cursor of a level, as a journal noted it; a level that does not exist is ignored. What lies outside of the queue is
    /// brought back into it at the next look.
    pub fn restore(&mut self, level: i32, offset: i64) {
        if let Some(cursor) = self.cursor(level) {
            cursor.offset = offset;
            self.dirty = true;
        }
    }

    /// Brings cursors back that lie behind the end of their queue. Answers their levels, each with its offset before and now; note the
    /// latter with [`Storage::note_offset`].
    pub fn clamp(&mut self, storage: &impl Storage) -> Vec<(i32, i64, i64)> {
        let mut clamped = Vec::new();
        for (level, cursor) in (1..).zip(&mut self.cursors) {
            let end = storage.bounds(cursor.queue).max;
            if cursor.offset > end {
                clamped.push((level, cursor.offset, end));
                cursor.offset = end;
            }
        }
        self.dirty |= !clamped.is_empty();
        clamped
    }

    /// Something became readable. A level that had nothing to wait for now waits for it; other queues are none of ours.
    pub fn handle_arrival(&mut self, now: Now, arrival: Arrival) {
        if !self.queues.contains(&arrival.queue) {
            return;
        }
        let idle = |cursor: &&mut Cursor| cursor.queue == arrival.queue && cursor.look_at.is_none();
        if let Some(cursor) = self.cursors.iter_mut().find(idle) {
            let deliver_at = Timestamp(arrival.tags_code).min(now.wall.plus(cursor.delay));
            cursor.look_at = Some(now.deadline(deliver_at).min(now.mono + CLOCK_CHECK));
        }
    }

    /// The next message whose time has come. The caller puts it where it belongs and says [`delivered`](Self::delivered), or
    /// [`refused`](Self::refused) to see it again; a caller that stops in between asks again later. Levels take turns.
    pub fn next_due(&mut self, now: Now, storage: &impl Storage) -> Option<Due> {
        while let Some((look_at, index)) = self.earliest() {
            if look_at > now.mono {
                break;
            }
            let cursor = &mut self.cursors[index];
            match cursor.look(now, storage) {
                Look::Due(unit) => {
                    return Some(Due { level: i32::try_from(index + 1).unwrap_or(i32::MAX), offset: cursor.offset, unit });
                }
                Look::Wait(until) => cursor.look_at = until,
            }
        }
        None
    }

    /// A due message now lies in its real topic, or never will: the level goes on behind it.
    /// Note the level's new offset with [`Storage::note_offset`]: it is `due.offset + 1`.
    pub fn delivered(&mut self, now: Now, due: &Due) {
        if let Some(cursor) = self.cursor(due.level) {
            cursor.offset = due.offset + 1;
            cursor.look_at = Some(now.mono);
            self.dirty = true;
        }
    }

    /// Storage did not take a due message: the level pauses a moment and then shows it again.
    pub fn refused(&mut self, now: Now, due: &Due) {
        if let Some(cursor) = self.cursor(due.level) {
            cursor.look_at = Some(now.mono + PAUSE);
        }
    }

    /// When [`Self::next_due`] may have something.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Millis> {
        self.earliest().map(|(at, _)| at)
    }

    /// The first message of a level that has not been delivered; for statistics. `None` if there is no such level.
    #[must_use]
    pub fn offset(&self, level: i32) -> Option<i64> {
        let index = usize::try_from(level).ok()?.checked_sub(1)?;
        self.cursors.get(index).map(|cursor| cursor.offset)
    }

    /// The table's data version.
    #[must_use]
    pub const fn version(&self) -> &DataVersion {
        &self.version
    }

    /// Whether a cursor has moved since the last call: then the table is to be saved.
    #[must_use]
    pub fn take_dirty(&mut self) -> bool {
        std::mem::take(&mut self.dirty)
    }

    fn cursor(&mut self, level: i32) -> Option<&mut Cursor> {
        let index = usize::try_from(level).ok()?.checked_sub(1)?;
        self.cursors.get_mut(index)
    }

    fn earliest(&self) -> Option<(Millis, usize)> {
        self.cursors.iter().enumerate().filter_map(|(index, cursor)| Some((cursor.look_at?, index))).min()
    }
}

enum Look {
    Due(QueueUnit),
    Wait(Option<Millis>),
}

impl Cursor {
    fn look(&mut self, now: Now, storage: &impl Storage) -> Look {
        let bounds = storage.bounds(self.queue);
        self.offset = self.offset.clamp(bounds.min, bounds.max.max(bounds.min));
        if self.offset >= bounds.max {
            return Look::Wait(None);
        }
        let Some(unit) = storage.unit(self.queue, self.offset) else {
            // A hole: nothing can be read up to the queue's next file.
            self.offset = storage.next_file_offset(self.offset);
            return Look::Wait(Some(now.mono + PAUSE));
        };
        if storage.readability(self.queue, self.offset, &unit) == Readability::InDoubt {
            return Look::Wait(Some(now.mono + PAUSE));
        }
        let due_at = |offset| storage.unit(self.queue, offset).map(|unit| Timestamp(unit.tags_code));
        let mut deliver_at = self.set_backs.corrected(self.offset, Timestamp(unit.tags_code));
        if deliver_at > now.wall && self.set_backs.look(self.offset, bounds.max, now.wall.plus(self.delay), due_at) {
            deliver_at = self.set_backs.corrected(self.offset, Timestamp(unit.tags_code));
        }
        if deliver_at <= now.wall {
            return Look::Due(unit);
        }
        Look::Wait(Some(now.deadline(deliver_at).min(now.mono + CLOCK_CHECK)))
    }
}

#[cfg(test)]
mod tests;
