//! How far a consumer has come, as it knows it itself (`OffsetStore`).

use std::collections::{BTreeMap, BTreeSet};

use crate::names::Queue;

/// Offsets by queue.
#[derive(Debug, Default)]
pub(super) struct Offsets {
    by_queue: BTreeMap<Queue, i64>,
    /// Queues whose offset somebody else has set: work that ends late does not move it.
    frozen: BTreeSet<Queue>,
}

impl Offsets {
    /// The offset of a queue.
    #[must_use]
    pub(super) fn get(&self, queue: &Queue) -> Option<i64> {
        self.by_queue.get(queue).copied()
    }

    /// A queue has come so far; with `increase_only` it does not go back.
    pub(super) fn update(&mut self, queue: &Queue, offset: i64, increase_only: bool) {
        if self.frozen.contains(queue) {
            return;
        }
        let known = self.by_queue.entry(queue.clone()).or_insert(offset);
        *known = if increase_only { (*known).max(offset) } else { offset };
    }

    /// Sets an offset and lets nothing move it until the queue is forgotten.
    pub(super) fn freeze(&mut self, queue: &Queue, offset: i64) {
        self.by_queue.insert(queue.clone(), offset);
        self.frozen.insert(queue.clone());
    }

    /// Forgets a queue.
    pub(super) fn forget(&mut self, queue: &Queue) {
        self.by_queue.remove(queue);
        self.frozen.remove(queue);
    }

    /// Forgets the queues that are read no longer.
    pub(super) fn retain(&mut self, keep: impl Fn(&Queue) -> bool) {
        self.by_queue.retain(|queue, _| keep(queue));
        self.frozen.retain(|queue| keep(queue));
    }
}
