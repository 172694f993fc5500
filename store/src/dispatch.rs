//! Units on their way from the log to their queues: where durability is promised they wait until their records are on disk.

use std::collections::VecDeque;

use route_core::storage::{QueueId, QueueUnit};

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
