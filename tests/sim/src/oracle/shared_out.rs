//! At rest the members of each group read each queue once.

use std::collections::{BTreeMap, BTreeSet};

use route_core::Now;

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
    readers: BTreeMap<Queue, Vec<Name>>,
    seen: BTreeSet<Queue>,
    everybody_reads_all: bool,
    members: usize,
}

impl Oracle for SharedOut {
    fn name(&self) -> &'static str {
        "queues are shared out"
    }

    fn see(&mut self, _now: Now, fact: &Fact, _book: &Book) -> Result<(), String> {
        if let Fact::AtRest { group, client, reads, sees, shared } = fact {
            let group = self.groups.entry(group.clone()).or_default();
            group.everybody_reads_all = !shared;
            group.members += 1;
            group.seen.extend(sees.iter().cloned());
            for queue in reads {
                group.readers.entry(queue.clone()).or_default().push(client.clone());
            }
        }
        Ok(())
    }

    fn see_rest(&mut self, _book: &Book) -> Result<(), String> {
        for (name, group) in &self.groups {
            for queue in &group.seen {
                let readers = group.readers.get(queue).map_or(&[][..], Vec::as_slice);
                let expected = if group.everybody_reads_all { group.members } else { 1 };
                if readers.len() != expected {
                    return Err(format!("{queue} is read by {readers:?} of {name}, which has {} members", group.members));
                }
            }
        }
        Ok(())
    }
}
