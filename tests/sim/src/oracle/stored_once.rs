//! A message lies in the logs no oftener than its producer has sent it.

use std::collections::BTreeMap;

use proto_core::names;
use route_core::Now;

use super::{Book, Oracle};
use crate::{
    fact::{Fact, Record},
    names::Key,
};

/// How often each message was sent and stored.
#[derive(Debug, Default)]
pub(super) struct StoredOnce {
    sent: BTreeMap<Key, usize>,
    stored: BTreeMap<Key, usize>,
}

/// Whether a record is what a producer sent, and not what a broker made of it later.
fn is_original(record: &Record) -> bool {
    let topic = &record.spot.queue.topic;
    let for_topic = if **topic == *names::SCHEDULE_TOPIC { record.real.as_ref().map(|(topic, _)| topic) } else { Some(topic) };
    let comes_later = record.real.as_ref().is_some_and(|(real, _)| real == topic);
    !comes_later && for_topic.is_some_and(|topic| !names::is_retry(topic) && !names::is_dlq(topic))
}

impl Oracle for StoredOnce {
    fn name(&self) -> &'static str {
        "a message is stored as often as it was sent"
    }

    fn see(&mut self, _now: Now, fact: &Fact, _book: &Book) -> Result<(), String> {
        match fact {
            Fact::Sent { key } => *self.sent.entry(*key).or_default() += 1,
            Fact::Stored { record, .. } if is_original(record) => {
                let Some(key) = record.key else { return Ok(()) };
                let (sent, stored) = (self.sent.get(&key).copied().unwrap_or(0), self.stored.entry(key).or_default());
                *stored += 1;
                if *stored > sent {
                    return Err(format!("{key} was sent {sent} times and stored {stored} times, now as {record:?}"));
                }
            }
            _ => {}
        }
        Ok(())
    }
}
