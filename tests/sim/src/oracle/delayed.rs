//! A delayed message comes once, never early, and late by no more than a moment.

use std::collections::{BTreeMap, BTreeSet};

use proto_core::{delay::DelayLevels, names::SCHEDULE_TOPIC};
use route_core::{Millis, Now};

use super::{Book, Oracle};
use crate::{
    fact::{Fact, Record},
    names::{Key, Name},
    scenario::Scenario,
};

/// How late a message may be if nothing is wrong: a level looks at the clock each second.
const LATE: Millis = Millis(1_500);

/// After a fault this long passes before lateness counts again.
const RECOVERY: Millis = Millis::from_secs(30);

#[derive(Debug)]
struct Waiting {
    due: Millis,
    /// Somebody has set the clock since: it may come earlier or later than it was meant to.
    clock_set: bool,
    /// The records it came in.
    record: Record,
    /// Where it was delivered to, once it was.
    delivered: Option<i64>,
}

/// What identifies a waiting message: broker, topic and queue it is for, whose it is, and its attempt.
type Id = (Name, Name, i32, Option<Key>, i32);

/// All that wait, and those that waited.
#[derive(Debug)]
pub(super) struct Delayed {
    /// How long each level waits.
    levels: Vec<Millis>,
    waiting: BTreeMap<Id, Vec<Waiting>>,
    count: usize,
    /// Brokers that have lost power: their cursors may be behind.
    set_back: BTreeSet<Name>,
    /// Brokers whose clocks were set.
    on_another_clock: BTreeSet<Name>,
}

impl Delayed {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let levels = scenario.brokers.first().and_then(|broker| DelayLevels::parse(broker.delay_levels).ok());
        let levels = levels.iter().flat_map(|levels| levels.iter().map(|(_, millis)| Millis(millis.unsigned_abs())).collect::<Vec<_>>());
        Self { levels: levels.collect(), waiting: BTreeMap::new(), count: 0, set_back: BTreeSet::new(), on_another_clock: BTreeSet::new() }
    }
}

fn id(broker: &Name, record: &Record) -> Option<Id> {
    let (topic, queue) = record.real.clone()?;
    Some((broker.clone(), topic, queue, record.key, record.times))
}

impl Oracle for Delayed {
    fn name(&self) -> &'static str {
        "delayed messages come in time, once"
    }

    fn see(&mut self, now: Now, fact: &Fact, book: &Book) -> Result<(), String> {
        match fact {
            Fact::Stored { broker, record } if *record.spot.queue.topic == *SCHEDULE_TOPIC => {
                let Some(id) = id(broker, record) else { return Ok(()) };
                let level = usize::try_from(record.spot.queue.id).unwrap_or(0);
                let wait = self.levels.get(level).copied().unwrap_or_default();
                let waiting = Waiting { due: now.mono + wait, clock_set: false, record: record.clone(), delivered: None };
                self.waiting.entry(id).or_default().push(waiting);
                self.count += 1;
            }
            Fact::Stored { broker, record } if record.real.as_ref().is_some_and(|(topic, _)| *topic == record.spot.queue.topic) => {
                return self.see_delivered(now, broker, record, book);
            }
            Fact::Ended { broker, dark, .. } => {
                if *dark {
                    self.set_back.insert(broker.clone());
                }
                if self.on_another_clock.contains(broker) {
                    // The next process waits for what was stored by the other clock as long as for all, and with it for what is behind.
                    self.excuse(broker);
                }
                self.see_lost(broker, book)?;
            }
            Fact::ClockSet { broker, .. } => {
                self.on_another_clock.insert(broker.clone());
                self.excuse(broker);
            }
            _ => {}
        }
        Ok(())
    }

    fn see_rest(&mut self, _book: &Book) -> Result<(), String> {
        let left = self.waiting.values().flatten().find(|waiting| waiting.delivered.is_none());
        left.map_or(Ok(()), |waiting| Err(format!("{:?} was due at {:?} and never came", waiting.record, waiting.due)))
    }

    fn is_at_rest(&self) -> bool {
        self.count == 0
    }
}

impl Delayed {
    /// What waits at a broker may come at other times than it was meant to.
    fn excuse(&mut self, broker: &Name) {
        let of_broker = self.waiting.iter_mut().filter(|((of, ..), _)| of == broker);
        of_broker.flat_map(|(_, waiting)| waiting).for_each(|waiting| waiting.clock_set = true);
    }

    fn see_delivered(&mut self, now: Now, broker: &Name, record: &Record, book: &Book) -> Result<(), String> {
        let Some(id) = id(broker, record) else { return Ok(()) };
        if id.2 != record.spot.queue.id {
            return Err(format!("{record:?} was to come in queue {}", id.2));
        }
        let all = self.waiting.entry(id).or_default();
        let comes_again = self.set_back.contains(broker) && all.iter().any(|waiting| waiting.delivered.is_some());
        let first = all.iter_mut().filter(|waiting| waiting.delivered.is_none()).min_by_key(|waiting| waiting.due);
        let first = first.filter(|waiting| waiting.due <= now.mono || waiting.clock_set || !comes_again);
        let Some(waiting) = first else {
            // A cursor that was not on disk goes back: then messages come again.
            if comes_again {
                return Ok(());
            }
            return Err(format!("{record:?} came, but nothing waits to come there: {all:?}"));
        };
        waiting.delivered = Some(record.place);
        self.count -= 1;
        if now.mono < waiting.due && !waiting.clock_set {
            return Err(format!("{record:?} came at {:?}, but was due at {:?}", now.mono, waiting.due));
        }
        if now.mono > waiting.due + LATE && !waiting.clock_set && book.is_calm(now, RECOVERY) {
            return Err(format!("{record:?} came at {:?}, but was due at {:?}", now.mono, waiting.due));
        }
        Ok(())
    }

    /// What a log has lost waits no longer, or waits again.
    fn see_lost(&mut self, broker: &Name, book: &Book) -> Result<(), String> {
        for record in book.lost_now() {
            let Some(all) = id(broker, record).and_then(|id| self.waiting.get_mut(&id)) else { continue };
            if let Some(index) = all.iter().position(|waiting| waiting.record.place == record.place) {
                if all.remove(index).delivered.is_none() {
                    self.count -= 1;
                }
            } else if let Some(waiting) = all.iter_mut().find(|waiting| waiting.delivered == Some(record.place)) {
                waiting.delivered = None;
                self.count += 1;
            }
        }
        Ok(())
    }
}
