//! An orderly group takes no message before it is done with those before it in the queue.

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use proto_core::names;
use route_core::Now;

use super::{Book, Oracle};
use crate::{
    client::consumer::{GroupPlan, Style},
    fact::Fact,
    names::{Key, Name, Queue},
};

/// How far each orderly group has come in each queue.
#[derive(Debug)]
pub(super) struct InOrder {
    groups: BTreeSet<Name>,
    /// The first offset that is not done.
    done: BTreeMap<(Name, Queue), i64>,
    /// The message that has failed last in each queue.
    failed: BTreeMap<(Name, Queue), (i64, Key)>,
    /// Queues that have lost what may have been read: a consumer that has read it goes on behind it.
    cut: BTreeSet<Queue>,
}

impl InOrder {
    pub(super) fn new(groups: &[Rc<GroupPlan>]) -> Self {
        let orderly = groups.iter().filter(|group| group.style == Style::Orderly).map(|group| group.group.clone());
        Self { groups: orderly.collect(), done: BTreeMap::new(), failed: BTreeMap::new(), cut: BTreeSet::new() }
    }
}

impl Oracle for InOrder {
    fn name(&self) -> &'static str {
        "orderly groups keep the order"
    }

    fn see(&mut self, _now: Now, fact: &Fact, book: &Book) -> Result<(), String> {
        match fact {
            Fact::Handled { group, spot, key, well, client, .. } if self.groups.contains(group) => {
                let done = self.done.entry((group.clone(), spot.queue.clone())).or_default();
                if spot.offset > *done && self.cut.contains(&spot.queue) {
                    *done = spot.offset;
                }
                if spot.offset > *done {
                    return Err(format!("{client} has taken {key} from {spot}, but {group} is not done with {done}"));
                }
                if spot.offset == *done && *well {
                    *done += 1;
                } else if !well {
                    self.failed.insert((group.clone(), spot.queue.clone()), (spot.offset, *key));
                }
            }
            Fact::Stored { record, .. } => {
                let Some(key) = record.key else { return Ok(()) };
                // It has failed for the last time: the queue goes on behind it.
                for ((group, queue), failed) in &self.failed {
                    if *record.spot.queue.topic == *names::dlq_topic(group) && failed.1 == key {
                        let done = self.done.entry((group.clone(), queue.clone())).or_default();
                        *done = (*done).max(failed.0 + 1);
                    }
                }
            }
            Fact::Began { group, queue, from, .. } if self.groups.contains(group) => {
                let done = self.done.entry((group.clone(), queue.clone())).or_default();
                *done = (*done).max(*from);
            }
            Fact::Ended { .. } => {
                for record in book.lost_now() {
                    if !book.is_durable(&record.spot.queue.broker) {
                        self.cut.insert(record.spot.queue.clone());
                    }
                    for ((_, queue), done) in &mut self.done {
                        if *queue == record.spot.queue {
                            *done = (*done).min(record.spot.offset);
                        }
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}
