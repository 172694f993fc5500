//! What all oracles know: what lies in which log, what was lost, and whether anything is wrong at the moment.

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use route_core::{Millis, Now, broker::config::FlushMode};

use crate::{
    client::consumer::GroupPlan,
    fact::{Fact, Record},
    names::{Key, Name, Queue},
    scenario::Scenario,
};

/// The book.
#[derive(Debug)]
pub(super) struct Book {
    logs: BTreeMap<Name, BTreeMap<i64, Record>>,
    /// The offset that the next record of a queue gets.
    next: BTreeMap<Queue, i64>,
    /// What the fact that was seen last has taken from a log.
    lost_now: Vec<Record>,
    /// Every message of which a log has lost a record.
    lost: BTreeSet<Key>,
    /// Whose messages have lain at a place of a queue.
    keys: BTreeMap<Queue, BTreeMap<i64, Vec<Key>>>,
    /// Groups that are filtered.
    filtered: BTreeMap<Name, Rc<GroupPlan>>,
    /// Brokers that acknowledge what is on disk.
    durable: BTreeSet<Name>,
    wrong: i32,
    /// When something went wrong or was over last.
    disturbed: Option<Millis>,
}

impl Book {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let names = ('a'..='z').map(|letter| Name::from(format!("broker-{letter}")));
        let durable = scenario.brokers.iter().zip(names).filter(|(plan, _)| plan.flush == FlushMode::Sync).map(|(_, name)| name);
        Self {
            logs: BTreeMap::new(),
            next: BTreeMap::new(),
            lost_now: Vec::new(),
            lost: BTreeSet::new(),
            keys: BTreeMap::new(),
            filtered: scenario
                .groups
                .iter()
                .filter(|(plan, _)| plan.filtered)
                .map(|(plan, _)| (plan.group.clone(), Rc::clone(plan)))
                .collect(),
            durable: durable.collect(),
            wrong: 0,
            disturbed: None,
        }
    }

    pub(super) fn see(&mut self, now: Now, fact: &Fact) {
        self.lost_now.clear();
        match fact {
            Fact::Stored { broker, record } => {
                self.next.insert(record.spot.queue.clone(), record.spot.offset + 1);
                if let (Some(key), false) = (record.key, self.filtered.is_empty()) {
                    let of_queue = self.keys.entry(record.spot.queue.clone()).or_default();
                    of_queue.entry(record.spot.offset).or_default().push(key);
                }
                self.logs.entry(broker.clone()).or_default().insert(record.place, record.clone());
            }
            Fact::Ended { broker, kept, .. } => {
                let log = self.logs.entry(broker.clone()).or_default();
                self.lost_now = log.split_off(kept).into_values().collect();
                for record in &self.lost_now {
                    let next = self.next.entry(record.spot.queue.clone()).or_default();
                    *next = record.spot.offset.min(*next);
                    self.lost.extend(record.key);
                }
            }
            Fact::Disturbed { more } => {
                self.wrong += more;
                self.disturbed = Some(now.mono);
            }
            Fact::Calm => {
                self.wrong = 0;
                self.disturbed = Some(now.mono);
            }
            _ => {}
        }
    }

    /// The record that begins at a place of a broker's log.
    pub(super) fn record(&self, broker: &Name, place: i64) -> Option<&Record> {
        self.logs.get(broker)?.get(&place)
    }

    /// The offset that the next record of a queue gets.
    pub(super) fn next_offset(&self, queue: &Queue) -> i64 {
        self.next.get(queue).copied().unwrap_or(0)
    }

    /// Whether the filter of a group withholds what lies at this place, or has lain there before a log lost it.
    pub(super) fn is_withheld(&self, group: &Name, queue: &Queue, offset: i64) -> bool {
        let Some(plan) = self.filtered.get(group).filter(|plan| plan.topics.contains(&queue.topic)) else { return false };
        let keys = self.keys.get(queue).and_then(|of_queue| of_queue.get(&offset));
        keys.into_iter().flatten().any(|key| !plan.wants(*key))
    }

    /// What the fact that was seen last has taken from a log.
    pub(super) fn lost_now(&self) -> &[Record] {
        &self.lost_now
    }

    /// Whether a log has lost a record of this message.
    pub(super) fn has_lost(&self, key: Key) -> bool {
        self.lost.contains(&key)
    }

    /// Whether a broker acknowledges what is on disk, and only that.
    pub(super) fn is_durable(&self, broker: &Name) -> bool {
        self.durable.contains(broker)
    }

    /// Whether nothing is wrong now and nothing was in the last `span`.
    pub(super) fn is_calm(&self, now: Now, span: Millis) -> bool {
        self.wrong <= 0 && self.disturbed.is_none_or(|at| now.mono.saturating_sub(at) > span)
    }
}
