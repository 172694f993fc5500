//! What an operator has bound to groups and topics: filters on top of what subscriptions want, and allocations in the place of what clients name.
//!
//! Kept in `config/plugins.json`, of which a Java broker knows nothing and which it leaves alone. A binding outlives its plugin: while that is
//! missing, pulls that it concerns are refused with its name, since nobody knows what it would have kept back.

use std::{collections::BTreeMap, ops::Bound, sync::Arc};

use proto_core::json::{self, Dialect, JsonError};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::refusal::Refusal;
use crate::{
    allocate,
    filter::{MessageFilter, for_group},
    plugins::{PluginRefusal, Plugins, name},
};

/// What a filter is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<'a> {
    /// All that a group reads, but for what comes to it again through its retry topic.
    Group(&'a str),
    /// All that is read of a topic.
    Topic(&'a str),
}

/// A filter that is bound, and what it is given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct BoundFilter {
    /// What the plugin is given.
    pub argument: String,
    /// Name of the plugin.
    pub plugin: String,
}

/// All bindings as they are saved.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct BindingsFile {
    /// Built-in strategies, and plugins as `name` or `name:argument`, that share out queues, by group.
    pub group_allocators: BTreeMap<String, String>,
    /// Filters by group.
    pub group_filters: BTreeMap<String, BoundFilter>,
    /// Filters by topic.
    pub topic_filters: BTreeMap<String, BoundFilter>,
}

impl BindingsFile {
    fn len(&self) -> usize {
        self.group_allocators.len() + self.group_filters.len() + self.topic_filters.len()
    }
}

/// A filter that was looked up, or why there is none.
type Found = Result<Arc<dyn MessageFilter>, PluginRefusal>;

/// All bindings with what they lead to.
#[derive(Debug)]
pub struct Bindings {
    file: BindingsFile,
    groups: BTreeMap<String, Found>,
    topics: BTreeMap<String, Found>,
    plugins: Arc<dyn Plugins>,
    /// Where the look at what was bound before other plugins came goes on.
    recheck: Option<Next>,
    limit: usize,
    dirty: bool,
}

/// The next filter to look up: the one behind this name, which no filter has that is empty.
#[derive(Debug)]
enum Next {
    Group(String),
    Topic(String),
}

impl Bindings {
    /// A table for at most `limit` bindings.
    #[must_use]
    pub fn new(limit: usize, plugins: Arc<dyn Plugins>) -> Self {
        Self {
            file: BindingsFile::default(),
            groups: BTreeMap::new(),
            topics: BTreeMap::new(),
            plugins,
            recheck: None,
            limit,
            dirty: false,
        }
    }

    /// Binds a filter, in the place of one that is bound there already.
    ///
    /// # Errors
    /// The plugin is not there, is no filter or refuses the argument; or the table is full.
    pub fn bind_filter(&mut self, target: Target<'_>, filter: BoundFilter) -> Result<(), Refusal> {
        let found = self.plugins.filter(&filter.plugin, &filter.argument).map_err(|refusal| Refusal::invalid(refusal.to_string()))?;
        let (bound, found_by, name) = match target {
            Target::Group(group) => (&mut self.file.group_filters, &mut self.groups, group),
            Target::Topic(topic) => (&mut self.file.topic_filters, &mut self.topics, topic),
        };
        let is_new = !bound.contains_key(name);
        let before = bound.insert(name.to_owned(), filter);
        if is_new && self.file.len() > self.limit {
            self.forget_filter(target);
            return Err(self.full());
        }
        let found = if matches!(target, Target::Group(_)) { for_group(found, name) } else { found };
        found_by.insert(name.to_owned(), Ok(found));
        self.dirty |= before != self.bound_to(target).cloned();
        Ok(())
    }

    /// Unbinds the filter of a group or topic. Tells whether there was one.
    pub fn unbind_filter(&mut self, target: Target<'_>) -> bool {
        let was_bound = self.forget_filter(target);
        self.dirty |= was_bound;
        was_bound
    }

    fn forget_filter(&mut self, target: Target<'_>) -> bool {
        match target {
            Target::Group(group) => self.file.group_filters.remove(group).is_some() | self.groups.remove(group).is_some(),
            Target::Topic(topic) => self.file.topic_filters.remove(topic).is_some() | self.topics.remove(topic).is_some(),
        }
    }

    fn bound_to(&self, target: Target<'_>) -> Option<&BoundFilter> {
        match target {
            Target::Group(group) => self.file.group_filters.get(group),
            Target::Topic(topic) => self.file.topic_filters.get(topic),
        }
    }

    /// Lets a group's queues be shared out by a built-in strategy or by a plugin, `name` or `name:argument`, whatever its members name.
    ///
    /// # Errors
    /// Nothing of that name shares out queues, it refuses the argument, or the table is full.
    pub fn bind_allocator(&mut self, group: &str, strategy: &str) -> Result<(), Refusal> {
        if allocate::by_name(strategy).is_none() {
            let (name, argument) = name::split_argument(strategy);
            self.plugins.allocator(name, argument).map_err(|refusal| Refusal::invalid(refusal.to_string()))?;
        }
        if !self.file.group_allocators.contains_key(group) && self.file.len() >= self.limit {
            return Err(self.full());
        }
        let before = self.file.group_allocators.insert(group.to_owned(), strategy.to_owned());
        self.dirty |= before.as_deref() != Some(strategy);
        Ok(())
    }

    /// Lets the members of a group name their strategy again. Tells whether one was bound.
    pub fn unbind_allocator(&mut self, group: &str) -> bool {
        let was_bound = self.file.group_allocators.remove(group).is_some();
        self.dirty |= was_bound;
        was_bound
    }

    /// The filters that are bound to a group and to a topic, the group's first.
    ///
    /// # Errors
    /// One of them is not to be had at present.
    pub fn filters(&self, group: &str, topic: &str) -> Result<SmallVec<[Arc<dyn MessageFilter>; 2]>, PluginRefusal> {
        let of_topic = self.topics.get(topic).map(|found| found.clone().map(|found| for_group(found, group)));
        self.groups.get(group).cloned().into_iter().chain(of_topic).collect()
    }

    /// Whether no filter is bound to anything.
    #[must_use]
    pub fn has_no_filters(&self) -> bool {
        self.groups.is_empty() && self.topics.is_empty()
    }

    /// The strategy that is bound to a group.
    #[must_use]
    pub fn allocator(&self, group: &str) -> Option<&str> {
        self.file.group_allocators.get(group).map(String::as_str)
    }

    /// Other plugins are installed than before: [`Self::recheck`] has all to do.
    pub fn handle_plugins_changed(&mut self) {
        self.recheck = Some(Next::Group(String::new()));
    }

    /// Whether [`Self::recheck`] has nothing to do.
    #[must_use]
    pub const fn are_rechecked(&self) -> bool {
        self.recheck.is_none()
    }

    /// Looks filters up anew, as long as there are `lookups` left. Returns what is wrong with some that were right before.
    pub fn recheck(&mut self, lookups: &mut usize) -> Vec<PluginRefusal> {
        let mut lost = Vec::new();
        while *lookups > 0
            && let Some(next) = self.recheck.take()
        {
            let (bound, found, after) = match &next {
                Next::Group(after) => (&self.file.group_filters, &mut self.groups, after),
                Next::Topic(after) => (&self.file.topic_filters, &mut self.topics, after),
            };
            let Some((name, filter)) = bound.range::<str, _>((Bound::Excluded(after.as_str()), Bound::Unbounded)).next() else {
                self.recheck = matches!(next, Next::Group(_)).then(|| Next::Topic(String::new()));
                continue;
            };
            *lookups -= 1;
            let mut now = self.plugins.filter(&filter.plugin, &filter.argument);
            if matches!(next, Next::Group(_)) {
                now = now.map(|found| for_group(found, name));
            }
            if let (Err(refusal), false) = (&now, found.get(name).is_some_and(Result::is_err)) {
                lost.push(refusal.clone());
            }
            found.insert(name.clone(), now);
            self.recheck = Some(if matches!(next, Next::Group(_)) { Next::Group(name.clone()) } else { Next::Topic(name.clone()) });
        }
        lost
    }

    /// All bindings.
    #[must_use]
    pub const fn file(&self) -> &BindingsFile {
        &self.file
    }

    /// Takes in a saved table. Returns what is wrong with its filters; they stay bound.
    ///
    /// # Errors
    /// The content is no such table; nothing was taken in.
    pub fn load(&mut self, content: &[u8]) -> Result<Vec<PluginRefusal>, JsonError> {
        self.file = json::from_table(content)?;
        self.groups.clear();
        self.topics.clear();
        self.handle_plugins_changed();
        let mut all = usize::MAX;
        Ok(self.recheck(&mut all))
    }

    /// The table as it is saved.
    #[must_use]
    pub fn to_file(&self) -> Vec<u8> {
        json::to_vec(&self.file, Dialect::Pretty)
    }

    /// Whether something has changed since the last call.
    #[must_use]
    pub const fn take_dirty(&mut self) -> bool {
        std::mem::replace(&mut self.dirty, false)
    }

    fn full(&self) -> Refusal {
        Refusal::system(format!("the broker has its limit of {} bindings of plugins", self.limit))
    }
}

#[cfg(test)]
mod tests;
