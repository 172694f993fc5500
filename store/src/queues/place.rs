//! Where in its queue the unit of a record goes that is read again.

use std::io;

use route_core::storage::{LogOffset, QueueUnit};

use crate::consume_queue::{ConsumeQueue, PRE_BLANK};

/// What damage of the log has taken so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lost {
    /// Where the last damage begins.
    pub(crate) at: Option<i64>,
    /// How many messages it can have been at most.
    pub(crate) units: i64,
}

/// How units are placed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placing {
    /// First byte of the log.
    pub(super) log_start: i64,
    /// The queues are built anew from the whole log.
    pub(super) whole: bool,
    pub(super) lost: Lost,
}

impl Placing {
    /// Puts the unit of a record that says of itself to have `offset` in its queue. Answers whether it could: not if the queue lacks units
    /// in front of it, unless the queues are built anew from the whole log: then units stand in for what was lost, which no reader takes
    /// for a message.
    pub(super) fn put(&self, target: &mut ConsumeQueue, name: (&str, i32), offset: i64, unit: &QueueUnit) -> io::Result<bool> {
        let Self { log_start, whole, lost } = *self;
        let expected = target.max();
        let fresh = !target.has_units() || target.unit(expected - 1).is_some_and(|unit| unit.offset.0 < log_start);
        if offset != expected {
            if fresh && (whole || !target.has_files()) {
                target.reset()?;
                target.begin_at(offset)?;
            } else if offset == 0 {
                // Its topic was removed and made again.
                target.reset()?;
            } else if offset > expected && !whole {
                return Ok(false);
            } else if offset > expected && offset - expected <= target.units_per_file().max(lost.units) {
                target.reserve(offset)?;
                let blank = QueueUnit { offset: LogOffset(lost.at.unwrap_or(unit.offset.0)), ..PRE_BLANK };
                while target.max() < offset {
                    target.append(&blank);
                }
            } else {
                // As Java does: the order of the log counts.
                let (topic, queue_id) = name;
                tracing::warn!(at = unit.offset.0, topic, queue_id, offset, expected, "a record's queue offset is not the next one");
            }
        }
        target.reserve(target.max() + 1)?;
        target.append(unit);
        target.assign_all();
        Ok(true)
    }
}
