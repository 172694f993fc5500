//! At rest every member of a group reads its share of the queues, and each queue has one reader.

use std::collections::{BTreeMap, BTreeSet};

use route_core::{
    Now,
    allocate::Average,
    filter::{QueueAllocator, QueueName},
};

use super::{Book, Oracle};
use crate::{
    fact::Fact,
    names::{Name, Queue},
};

/// Who reads what at the end.
#[derive(Debug, Default)]
pub(super) struct SharedOut {
    groups: BTreeMap<Name, Group>,
}

#[derive(Debug, Default)]
struct Group {
    reads: BTreeMap<Name, BTreeSet<Queue>>,
    seen: BTreeSet<Queue>,
    shared: bool,
}

impl Group {
    /// The member that is to read each queue, by the rule that all members follow.
    fn owners(&self) -> Vec<(&Queue, &Name)> {
        let members: Vec<&Name> = self.reads.keys().collect();
        let topics: BTreeSet<&Name> = self.seen.iter().map(|queue| &queue.topic).collect();
        let mut owners = Vec::new();
        for topic in topics {
            let queues: Vec<&Queue> = self.seen.iter().filter(|queue| queue.topic == *topic).collect();
            let names: Vec<QueueName<'_>> =
                queues.iter().map(|queue| QueueName { topic: &queue.topic, broker_name: &queue.broker, queue_id: queue.id }).collect();
            let clients: Vec<&str> = members.iter().map(|member| &***member).collect();
            let shares = Average.allocate(&names, &clients);
            owners.extend(queues.into_iter().zip(shares).filter_map(|(queue, owner)| Some((queue, members[owner?]))));
        }
        owners
    }
}

impl Oracle for SharedOut {
    fn name(&self) -> &'static str {
        "queues are shared out"
    }

    fn see(&mut self, _now: Now, fact: &Fact, _book: &Book) -> Result<(), String> {
        if let Fact::AtRest { group, client, reads, sees, shared } = fact {
            let group = self.groups.entry(group.clone()).or_default();
            group.shared = *shared;
            group.seen.extend(sees.iter().cloned());
            group.reads.insert(client.clone(), reads.iter().cloned().collect());
        }
        Ok(())
    }

    fn see_rest(&mut self, _book: &Book) -> Result<(), String> {
        for (name, group) in &self.groups {
            for (queue, owner) in group.owners() {
                let readers: Vec<&Name> = group.reads.iter().filter(|(_, reads)| reads.contains(queue)).map(|(member, _)| member).collect();
                let right = if group.shared { readers == [owner] } else { readers.len() == group.reads.len() };
                if !right {
                    let members: Vec<&Name> = group.reads.keys().collect();
                    return Err(format!("{queue} is read by {readers:?} of {name}, whose members are {members:?}"));
                }
            }
        }
        Ok(())
    }
}
