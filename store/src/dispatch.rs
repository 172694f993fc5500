//! Units on their way from the log to their queues: where durability is promised they wait until their records are on disk.

use std::collections::VecDeque;

use proto_core::{
    delay::DelayLevels,
    hash::tags_code,
    names::{SCHEDULE_TOPIC, TIMER_TOPIC},
    properties::{self, names},
    record::RecordView,
};
use route_core::{
    broker::timer::TimerEntry,
    storage::{LogOffset, QueueId, QueueUnit},
};

/// A tags code at or below this is a place in the files of `consumequeue_ext`.
const EXT_ADDRESS: i64 = i32::MIN as i64 - 1;

/// The unit of a record that lies in the log.
pub(crate) fn unit_of(view: &RecordView<'_>, delay_levels: &DelayLevels) -> QueueUnit {
    // A record fits a file, whose length is a u32.
    QueueUnit { offset: LogOffset(view.physical_offset()), size: view.total_size() as u32, tags_code: unit_tags_code(view, delay_levels) }
}

/// What a unit carries for a stored message.
fn unit_tags_code(view: &RecordView<'_>, delay_levels: &DelayLevels) -> i64 {
    if view.topic() == SCHEDULE_TOPIC
        && let Some(level) = properties::find_number(view.properties(), names::DELAY)
    {
        let level = delay_levels.clamp(i32::try_from(level).unwrap_or(i32::MAX));
        if let Some(delay) = delay_levels.millis(level) {
            return view.store_timestamp().saturating_add(delay);
        }
    }
    tags_code(view.property(names::TAGS))
}

/// Whether a tags code can be that of the unit of a stored message. The levels of delay may have been others when it was stored.
pub(crate) fn is_tags_code_of(code: i64, view: &RecordView<'_>) -> bool {
    if view.topic() == SCHEDULE_TOPIC && view.property(names::DELAY).is_some() {
        return code >= view.store_timestamp();
    }
    let is_time = || view.topic() == TIMER_TOPIC && TimerEntry::of_tags_code(code).is_some_and(|entry| entry.may_be_of(view));
    code == tags_code(view.property(names::TAGS)) || code <= EXT_ADDRESS || is_time()
}

/// A record whose unit is not in its queue yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Waiting {
    /// The queue; `None` for records that no queue shows.
    pub(crate) queue: Option<QueueId>,
    /// Its unit.
    pub(crate) unit: QueueUnit,
    /// Its store time.
    pub(crate) store_timestamp: i64,
}

impl Waiting {
    /// One past the record's last byte.
    pub(crate) fn end(&self) -> i64 {
        self.unit.offset.0 + i64::from(self.unit.size)
    }
}

/// Units that wait, in the order of the log. It is as long as the log is not on disk, which is limited.
#[derive(Debug, Default)]
pub(crate) struct PendingUnits {
    waiting: VecDeque<Waiting>,
}

impl PendingUnits {
    /// Takes in the unit of the next record.
    pub(crate) fn push(&mut self, waiting: Waiting) {
        self.waiting.push_back(waiting);
    }

    /// The next unit whose record ends at `durable` or before.
    pub(crate) fn pop_durable(&mut self, durable: i64) -> Option<Waiting> {
        self.waiting.pop_front_if(|waiting| waiting.end() <= durable)
    }
}
