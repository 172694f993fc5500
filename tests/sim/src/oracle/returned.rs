//! A message that a consumer sends back is stored once: behind the right delay level, or dead if it has failed often enough.

use std::collections::{BTreeMap, BTreeSet};

use proto_core::{
    delay::{self, DelayLevels},
    names,
};
use route_core::Now;

use super::{Book, Oracle};
use crate::{
    fact::{Fact, Record},
    names::Name,
    scenario::Scenario,
};

/// The level of a first retry.
const FIRST_LEVEL: i32 = 3;

/// A return that is being handled: what is expected of it, and what was stored for it.
#[derive(Debug)]
struct Return {
    group: Name,
    place: i64,
    expected: Option<Expected>,
    stored: Vec<Record>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Expected {
    topic: Name,
    queue: Option<i32>,
    real: Option<Name>,
    times: i32,
}

/// Returns that are being handled, and what their brokers have to keep.
#[derive(Debug)]
pub(super) struct Returned {
    levels: i32,
    current: BTreeMap<Name, Return>,
    /// Where the copy lies of each message that was sent back and not answered for.
    unanswered: BTreeMap<(Name, Name, i64), Vec<i64>>,
    answered: BTreeSet<(Name, i64)>,
}

impl Returned {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let levels = scenario.brokers.first().and_then(|broker| DelayLevels::parse(broker.delay_levels).ok());
        let levels = levels.map_or(0, |levels| i32::try_from(levels.iter().count()).unwrap_or(0));
        Self { levels, current: BTreeMap::new(), unanswered: BTreeMap::new(), answered: BTreeSet::new() }
    }

    fn expect(&self, record: &Record, group: &Name, level: i32, limit: i32) -> Expected {
        let times = record.times + 1;
        if level < 0 || record.times >= limit {
            return Expected { topic: names::dlq_topic(group).into(), queue: Some(0), real: None, times };
        }
        let level = if level == 0 { FIRST_LEVEL + record.times } else { level };
        let queue = delay::queue_id(level.min(self.levels));
        let real = Some(names::retry_topic(group).into());
        Expected { topic: names::SCHEDULE_TOPIC.into(), queue: Some(queue), real, times }
    }
}

impl Oracle for Returned {
    fn name(&self) -> &'static str {
        "failed messages come again by their policy"
    }

    fn see(&mut self, _now: Now, fact: &Fact, book: &Book) -> Result<(), String> {
        match fact {
            Fact::ReturnAsked { broker, group, place, level, limit } => {
                let expected = book.record(broker, *place).map(|record| self.expect(record, group, *level, *limit));
                let current = Return { group: group.clone(), place: *place, expected, stored: Vec::new() };
                self.current.insert(broker.clone(), current);
            }
            Fact::Stored { broker, record } => {
                if let Some(current) = self.current.get_mut(broker) {
                    current.stored.push(record.clone());
                }
            }
            Fact::ReturnDone { broker } => {
                let Some(current) = self.current.remove(broker) else { return Ok(()) };
                let Some(stored) = current.stored.first() else { return Ok(()) };
                let expected = current.expected.clone();
                let got = Expected {
                    topic: stored.spot.queue.topic.clone(),
                    queue: Some(stored.spot.queue.id),
                    real: stored
                        .real
                        .as_ref()
                        .filter(|_| *stored.spot.queue.topic == *names::SCHEDULE_TOPIC)
                        .map(|(topic, _)| topic.clone()),
                    times: stored.times,
                };
                if expected.as_ref() != Some(&got) || current.stored.len() != 1 {
                    return Err(format!("{current:?} came of a message that was sent back"));
                }
                let copies = self.unanswered.entry((broker.clone(), current.group, current.place)).or_default();
                copies.push(stored.place);
            }
            Fact::ReturnAnswered { broker, group, place, ok: true } => {
                let copies = self.unanswered.get_mut(&(broker.clone(), group.clone(), *place)).filter(|copies| !copies.is_empty());
                let Some(copies) = copies else {
                    return Err(format!("{broker} says that it has taken {place} back from {group}, but it has stored nothing"));
                };
                self.answered.insert((broker.clone(), copies.remove(0)));
            }
            Fact::Ended { broker, .. } => {
                self.current.remove(broker);
                self.unanswered.retain(|(of, ..), _| of != broker);
                for record in book.lost_now() {
                    if self.answered.remove(&(broker.clone(), record.place)) && book.is_durable(broker) {
                        return Err(format!("{broker} has lost {record:?}, which it had taken back for good"));
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}
