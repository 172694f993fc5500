//! Every group gets every acknowledged message: handled well, or dead after as many attempts as it has; one that is filtered, no others than
//! its filter lets pass. A message comes twice only to a
//! consumer that has begun to read its queue anew; that it had to is the business of other oracles.

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use proto_core::names;
use route_core::Now;

use super::{Book, Oracle};
use crate::{
    client::consumer::{GroupPlan, Model},
    fact::Fact,
    names::{Key, Name, Queue, Spot},
};

/// Who gets a message: a group, or with broadcasting each of its members.
type Receiver = (Name, Option<Name>);

/// What each group has still to get.
#[derive(Debug)]
pub(super) struct Delivered {
    groups: Vec<Rc<GroupPlan>>,
    members: BTreeMap<Name, BTreeSet<Name>>,
    acked: BTreeMap<Key, Spot>,
    outstanding: BTreeMap<Receiver, BTreeSet<Key>>,
    done: BTreeSet<(Receiver, Key)>,
    /// The last attempt with each message of each reading, and whether it went well.
    attempts: BTreeMap<(Name, u64, Spot), (i32, bool)>,
    /// How far each group has read in each queue.
    read: BTreeMap<(Name, Queue), i64>,
    /// Groups that have read what was lost: offsets below this they may take for what they know.
    ghosts: BTreeMap<(Name, Queue), i64>,
    skipped: BTreeSet<(Name, Key)>,
}

impl Delivered {
    pub(super) fn new(groups: Vec<Rc<GroupPlan>>) -> Self {
        Self {
            groups,
            members: BTreeMap::new(),
            acked: BTreeMap::new(),
            outstanding: BTreeMap::new(),
            done: BTreeSet::new(),
            attempts: BTreeMap::new(),
            read: BTreeMap::new(),
            ghosts: BTreeMap::new(),
            skipped: BTreeSet::new(),
        }
    }

    fn plan(&self, group: &Name) -> Option<&Rc<GroupPlan>> {
        self.groups.iter().find(|plan| plan.group == *group)
    }

    fn receiver(&self, group: &Name, client: &Name) -> Receiver {
        let broadcasting = self.plan(group).is_some_and(|plan| plan.model == Model::Broadcasting);
        (group.clone(), broadcasting.then(|| client.clone()))
    }

    fn expect(&mut self, key: Key, spot: &Spot) {
        self.acked.insert(key, spot.clone());
        for plan in self.groups.iter().filter(|plan| plan.topics.contains(&spot.queue.topic) && plan.wants(key)) {
            let receivers: Vec<Receiver> = match plan.model {
                Model::Clustering => vec![(plan.group.clone(), None)],
                Model::Broadcasting => {
                    let members = self.members.get(&plan.group).into_iter().flatten();
                    members.map(|member| (plan.group.clone(), Some(member.clone()))).collect()
                }
            };
            for receiver in receivers {
                if !self.done.contains(&(receiver.clone(), key)) {
                    self.outstanding.entry(receiver).or_default().insert(key);
                }
            }
        }
    }

    fn settle(&mut self, receiver: Receiver, key: Key) {
        if let Some(outstanding) = self.outstanding.get_mut(&receiver) {
            outstanding.remove(&key);
        }
        self.done.insert((receiver, key));
    }

    /// A log has lost what some groups had read.
    fn see_lost(&mut self, book: &Book) {
        for record in book.lost_now() {
            for ((group, queue), read) in &self.read {
                if *queue == record.spot.queue && *read > record.spot.offset {
                    let ghost = self.ghosts.entry((group.clone(), queue.clone())).or_default();
                    *ghost = (*ghost).max(*read);
                }
            }
            // Nobody can be asked to deliver what is gone.
            if let Some(key) = record.key {
                self.outstanding.values_mut().for_each(|outstanding| {
                    outstanding.remove(&key);
                });
            }
        }
    }
}

impl Oracle for Delivered {
    fn name(&self) -> &'static str {
        "every group gets every message"
    }

    fn see(&mut self, _now: Now, fact: &Fact, book: &Book) -> Result<(), String> {
        match fact {
            Fact::Joined { group, client } => {
                self.members.entry(group.clone()).or_default().insert(client.clone());
            }
            Fact::Acked { key, spot, .. } if !book.has_lost(*key) => self.expect(*key, spot),
            Fact::Pulled { group, queue, next, .. } => {
                let read = self.read.entry((group.clone(), queue.clone())).or_default();
                *read = (*read).max(*next);
                if *next > book.next_offset(queue) {
                    // The answer was on its way when the log lost what it held.
                    let ghost = self.ghosts.entry((group.clone(), queue.clone())).or_default();
                    *ghost = (*ghost).max(*next);
                }
            }
            Fact::Handled { group, client, reading, spot, key, times, well, damage } => {
                if let Some(damage) = damage {
                    return Err(format!("{key} came to {client} from {spot} with {damage}"));
                }
                if self.plan(group).is_some_and(|plan| !plan.wants(*key)) {
                    return Err(format!("{key} came to {client} from {spot}, and {group} has a filter that withholds it"));
                }
                let receiver = self.receiver(group, client);
                let before = self.attempts.insert((client.clone(), *reading, spot.clone()), (*times, *well));
                if let Some((before, went_well)) = before.filter(|(before, went_well)| *went_well || *times != before + 1) {
                    return Err(format!("{client} gets {key} from {spot} in try {times} after try {before}, which went well: {went_well}"));
                }
                if *well || receiver.1.is_some() {
                    self.settle(receiver, *key);
                }
            }
            Fact::Stored { record, .. } => {
                let Some(key) = record.key else { return Ok(()) };
                let topic = &record.spot.queue.topic;
                for plan in self.groups.clone() {
                    if **topic == *names::dlq_topic(&plan.group) {
                        if !plan.dies(key) {
                            return Err(format!("{key} is dead for {}, but it would have been handled: {record:?}", plan.group));
                        }
                        self.settle((plan.group.clone(), None), key);
                    }
                    let ghost = self.ghosts.get(&(plan.group.clone(), record.spot.queue.clone()));
                    if ghost.is_some_and(|ghost| record.spot.offset < *ghost) {
                        self.skipped.insert((plan.group.clone(), key));
                    }
                }
            }
            Fact::Ended { .. } => self.see_lost(book),
            _ => {}
        }
        Ok(())
    }

    fn see_rest(&mut self, _book: &Book) -> Result<(), String> {
        for ((group, client), keys) in &self.outstanding {
            let missed: Vec<&Key> = keys.iter().filter(|key| !self.skipped.contains(&(group.clone(), **key))).collect();
            if let Some(key) = missed.first() {
                let (spot, more) = (&self.acked[key], missed.len() - 1);
                return Err(format!("{group} {client:?} never got {key}, acknowledged at {spot} (and {more} more)"));
            }
        }
        Ok(())
    }

    fn is_at_rest(&self) -> bool {
        let missed =
            |(receiver, keys): (&Receiver, &BTreeSet<Key>)| keys.iter().any(|key| !self.skipped.contains(&(receiver.0.clone(), *key)));
        !self.outstanding.iter().any(missed)
    }
}
