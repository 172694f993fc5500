//! Every group gets every acknowledged message at least once.

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use route_core::Now;

use super::Oracle;
use crate::{
    client::consumer::GroupPlan,
    fact::Fact,
    names::{Key, Name, Spot},
};

/// What each group has still to get.
#[derive(Debug)]
pub struct Delivered {
    groups: Vec<Rc<GroupPlan>>,
    acked: BTreeMap<Key, Spot>,
    outstanding: BTreeMap<Name, BTreeSet<Key>>,
    handled: BTreeSet<(Name, Key)>,
}

impl Delivered {
    /// For these groups.
    #[must_use]
    pub const fn new(groups: Vec<Rc<GroupPlan>>) -> Self {
        Self { groups, acked: BTreeMap::new(), outstanding: BTreeMap::new(), handled: BTreeSet::new() }
    }
}

impl Oracle for Delivered {
    fn name(&self) -> &'static str {
        "every group gets every message"
    }

    fn see(&mut self, _now: Now, fact: &Fact) -> Result<(), String> {
        match fact {
            Fact::Acked { key, spot, .. } => {
                self.acked.insert(*key, spot.clone());
                for group in self.groups.iter().filter(|group| group.topics.contains(&spot.queue.topic)) {
                    if !self.handled.contains(&(group.group.clone(), *key)) {
                        self.outstanding.entry(group.group.clone()).or_default().insert(*key);
                    }
                }
            }
            Fact::Handled { group, key, .. } => {
                self.handled.insert((group.clone(), *key));
                if let Some(outstanding) = self.outstanding.get_mut(group) {
                    outstanding.remove(key);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn see_rest(&mut self) -> Result<(), String> {
        for (group, keys) in &self.outstanding {
            if let Some(key) = keys.first() {
                let spot = &self.acked[key];
                return Err(format!("{group} never got {key}, acknowledged at {spot} (and {} more)", keys.len() - 1));
            }
        }
        Ok(())
    }

    fn is_at_rest(&self) -> bool {
        self.outstanding.values().all(BTreeSet::is_empty)
    }
}
