//! The offsets of a queue have no gap, and messages that one producer sends into one queue lie there in the order in which it sent them.

use std::collections::BTreeMap;

use route_core::Now;

use super::{Book, Oracle};
use crate::{
    fact::Fact,
    names::{Key, Queue},
};

/// The ends of all queues.
#[derive(Debug, Default)]
pub(super) struct LogOrder {
    next: BTreeMap<Queue, i64>,
    last_acked: BTreeMap<(u16, Queue), (Key, i64)>,
}

impl Oracle for LogOrder {
    fn name(&self) -> &'static str {
        "queues keep the order"
    }

    fn see(&mut self, _now: Now, fact: &Fact, book: &Book) -> Result<(), String> {
        match fact {
            Fact::Stored { record, .. } => {
                let next = self.next.entry(record.spot.queue.clone()).or_default();
                if record.spot.offset != *next {
                    return Err(format!("{} was stored, but the next offset of its queue is {next}", record.spot));
                }
                *next += 1;
            }
            Fact::Ended { .. } => {
                for record in book.lost_now() {
                    let queue = &record.spot.queue;
                    self.next.insert(queue.clone(), book.next_offset(queue));
                    // What is stored from now on gets the same offsets again.
                    self.last_acked.retain(|(_, acked), _| acked != queue);
                }
            }
            Fact::Acked { key, spot, place } => {
                // What was lost meanwhile is not there, and a delayed message lies elsewhere until its time comes.
                let stored = book.record(&spot.queue.broker, *place).filter(|record| record.key == Some(*key)).map(|record| &record.spot);
                let Some(stored) = stored.filter(|stored| stored.queue.topic == spot.queue.topic) else { return Ok(()) };
                if stored != spot {
                    return Err(format!("{key} was acknowledged at {spot} and lies at {stored:?}"));
                }
                let last = self.last_acked.insert((key.producer, spot.queue.clone()), (*key, spot.offset));
                if let Some((before, offset)) = last.filter(|(_, offset)| *offset >= spot.offset) {
                    return Err(format!("{key} was sent after {before}, but {spot} lies before {offset}"));
                }
            }
            _ => {}
        }
        Ok(())
    }
}
