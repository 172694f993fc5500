//! The expressions by which groups filter topics: what heartbeats bring, compiled, with the times at which they came and went.
//!
//! An expression is one of SQL92, or names a [plugin](crate::plugins). Subscriptions by tags are not here; of them the [consumers](super::consumers)
//! know all that is needed. The table is Java's `consumerFilter.json`: a filter outlives its group by a day, so that the file tells an operator who
//! wanted what.

use std::sync::Arc;

use foldhash::fast::FixedState;
use indexmap::IndexMap;
use proto_core::{
    bloom::BloomFilter,
    bodies::SubscriptionData,
    sql::{self, SqlError},
    subscription::{SQL92, WASM},
};
use thiserror::Error;

use crate::{
    filter::{MessageFilter, for_group, sql::SqlFilter},
    plugins::{PluginRefusal, Plugins, name},
    time::{Millis, Timestamp},
};

mod cache;
mod file;
mod recheck;
mod refused;

use cache::ExpressionCache;
use recheck::Recheck;
use refused::Refused;

/// Why a group's expression is not used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FilterError {
    /// It cannot be read. The text is Java's.
    #[error(transparent)]
    Sql(#[from] SqlError),
    /// A plugin that it names does not serve it.
    #[error(transparent)]
    Plugin(#[from] PluginRefusal),
    /// A language that nobody here speaks.
    #[error("expressions of type {0} are not known here; use {SQL92}, {WASM} or TAG")]
    UnknownType(String),
    /// It is longer than any that a person writes, and each message would be held against it.
    #[error("an expression of {0} bytes is beyond the limit of {MAX_EXPRESSION_LEN}")]
    TooLong(usize),
    /// The table is full.
    #[error("the broker keeps {0} filters and can take no more")]
    Full(usize),
}

/// Longest expression in any language, in bytes.
pub const MAX_EXPRESSION_LEN: usize = sql::MAX_LEN;

/// How large the table may grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FilterLimits {
    /// Pairs of group and topic.
    pub filters: usize,
    /// Bytes of all expressions together.
    pub bytes: usize,
}

/// What became of an expression.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// The filter. Cloning the `Arc` keeps it for a pull that waits.
    pub filter: Arc<dyn MessageFilter>,
    /// Whether it depends on what is installed.
    calls_plugins: bool,
}

impl Compiled {
    /// The same for one group, which failures are told of with.
    #[must_use]
    pub fn for_group(self, group: &str) -> Self {
        Self { filter: for_group(self.filter, group), ..self }
    }
}

/// The languages of expressions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Language {
    Sql,
    Plugin,
}

impl Language {
    fn of_type(kind: &str) -> Option<Self> {
        match kind {
            SQL92 => Some(Self::Sql),
            WASM => Some(Self::Plugin),
            _ => None,
        }
    }

    /// The expression type.
    const fn name(self) -> &'static str {
        match self {
            Self::Sql => SQL92,
            Self::Plugin => WASM,
        }
    }
}

/// What a group wants of a topic.
#[derive(Clone, Debug)]
pub struct GroupFilter {
    expression: Box<str>,
    language: Language,
    compiled: Compiled,
    born: Timestamp,
    /// Since when nobody wants it any more.
    dead: Option<Timestamp>,
    version: i64,
}

impl GroupFilter {
    /// The compiled expression. Cloning the `Arc` keeps it for a pull that waits.
    #[must_use]
    pub const fn filter(&self) -> &Arc<dyn MessageFilter> {
        &self.compiled.filter
    }

    /// The version of the subscription that it belongs to, as the client numbers it.
    #[must_use]
    pub const fn version(&self) -> i64 {
        self.version
    }

    /// Since when its group has left or wants the topic no more.
    #[must_use]
    pub const fn dead(&self) -> Option<Timestamp> {
        self.dead
    }
}

/// All filters, by group and topic.
#[derive(Debug)]
pub struct FilterTable {
    groups: IndexMap<Box<str>, IndexMap<Box<str>, GroupFilter, FixedState>, FixedState>,
    len: usize,
    bytes: usize,
    limits: FilterLimits,
    /// The bits by which Java marks messages for a filter; here they are only kept in the file.
    bloom: BloomFilter,
    /// How long a filter outlives its group.
    keep_dead: Millis,
    plugins: Arc<dyn Plugins>,
    sql: ExpressionCache,
    plugged: ExpressionCache,
    /// What is left to look up since other plugins came.
    recheck: Recheck,
    refused: Refused,
    dirty: bool,
}

impl FilterTable {
    /// A table whose entries are forgotten when they have been dead for `keep_dead` (`filterDataCleanTimeSpan`).
    #[must_use]
    pub fn new(limits: FilterLimits, bloom: BloomFilter, keep_dead: Millis, plugins: Arc<dyn Plugins>) -> Self {
        Self {
            groups: IndexMap::default(),
            len: 0,
            bytes: 0,
            limits,
            bloom,
            keep_dead,
            plugins,
            sql: ExpressionCache::default(),
            plugged: ExpressionCache::default(),
            recheck: Recheck::default(),
            refused: Refused::default(),
            dirty: false,
        }
    }

    /// From now on dead entries are kept for so long.
    pub const fn set_keep_dead(&mut self, keep_dead: Millis) {
        self.keep_dead = keep_dead;
    }

    /// Compiles an expression, or finds it among those that were compiled lately. The flag tells whether the answer is new.
    ///
    /// # Errors
    /// [`FilterError`]
    pub fn compile(&mut self, kind: &str, expression: &str) -> (Result<Compiled, FilterError>, bool) {
        match Language::of_type(kind) {
            Some(language) => self.compile_in(language, expression),
            None => (Err(FilterError::UnknownType(kind.chars().take(64).collect())), true),
        }
    }

    fn compile_in(&mut self, language: Language, expression: &str) -> (Result<Compiled, FilterError>, bool) {
        if expression.len() > MAX_EXPRESSION_LEN {
            // It is not worth being remembered, nor a line for each time that it comes.
            return (Err(FilterError::TooLong(expression.len())), false);
        }
        let plugins = &*self.plugins;
        match language {
            Language::Sql => self.sql.find_or(expression, |expression| compile_sql(expression, plugins)),
            Language::Plugin => self.plugged.find_or(expression, |expression| find_plugin(expression, plugins)),
        }
    }

    /// A group's subscriptions in full, as a heartbeat brings them. A newer expression replaces an older one; one that cannot be used
    /// takes the older one away too, so that the client hears of it. What the group does not name any more is dead from now on.
    /// Returns the topics whose expressions cannot be used; it keeps silent about what the same group was refused before.
    pub fn register(&mut self, now: Timestamp, group: &str, subscriptions: &[SubscriptionData]) -> Vec<(String, FilterError)> {
        let (mut refused, mut lacks_plugin) = (Vec::new(), false);
        for data in subscriptions.iter().filter(|data| !data.is_tag_type()) {
            let (outcome, fresh) = self.register_one(now, group, data);
            lacks_plugin |= matches!(outcome, Err(FilterError::Plugin(_)));
            let Err(error) = outcome else {
                self.refused.forget(group, &data.topic);
                continue;
            };
            let expression = data.sub_string.as_deref().unwrap_or_default();
            if self.refused.is_news(group, &data.topic, expression, self.limits.filters) || fresh {
                refused.push((data.topic.clone(), error));
            }
        }
        self.recheck.note(group, lacks_plugin, self.limits.filters);
        if let Some(topics) = self.groups.get_mut(group) {
            for (topic, filter) in topics {
                let wanted = subscriptions.iter().any(|data| *data.topic == **topic && !data.is_tag_type());
                if !wanted && filter.dead.is_none() {
                    filter.dead = Some(now);
                    self.dirty = true;
                }
            }
        }
        refused
    }

    fn register_one(&mut self, now: Timestamp, group: &str, data: &SubscriptionData) -> (Result<(), FilterError>, bool) {
        let expression = data.sub_string.as_deref().unwrap_or_default();
        let known = self.groups.get_mut(group).and_then(|topics| topics.get_mut(data.topic.as_str()));
        if let Some(known) = known {
            if data.sub_version < known.version {
                return (Ok(()), false);
            }
            let same_language = data.expression_type.as_deref() == Some(known.language.name());
            if data.sub_version == known.version || (same_language && *known.expression == *expression) {
                self.dirty |= known.dead.is_some() || known.version != data.sub_version;
                known.version = data.sub_version;
                known.dead = None;
                return (Ok(()), false);
            }
        }
        let kind = data.expression_type.as_deref().unwrap_or_default();
        let (compiled, fresh) = self.compile(kind, expression);
        self.remove(group, &data.topic);
        let (compiled, language) = match compiled {
            Ok(compiled) => (compiled.for_group(group), Language::of_type(kind).unwrap_or(Language::Sql)),
            Err(error) => return (Err(error), fresh),
        };
        if self.len >= self.limits.filters || self.bytes + expression.len() > self.limits.bytes {
            return (Err(FilterError::Full(self.len)), true);
        }
        let version = data.sub_version;
        let filter = GroupFilter { expression: expression.into(), language, compiled, born: now, dead: None, version };
        self.insert(group, &data.topic, filter);
        self.dirty = true;
        (Ok(()), true)
    }

    /// The last consumer of a group is gone.
    pub fn unregister(&mut self, now: Timestamp, group: &str) {
        self.refused.forget_group(group);
        self.recheck.note(group, false, 0);
        for filter in self.groups.get_mut(group).into_iter().flat_map(IndexMap::values_mut) {
            if filter.dead.is_none() {
                filter.dead = Some(now);
                self.dirty = true;
            }
        }
    }

    /// What a group wants of a topic.
    #[must_use]
    pub fn get(&self, group: &str, topic: &str) -> Option<&GroupFilter> {
        self.groups.get(group)?.get(topic)
    }

    /// All that a group filters by expressions, with the topics.
    pub fn of_group(&self, group: &str) -> impl Iterator<Item = (&str, &GroupFilter)> {
        self.groups.get(group).into_iter().flatten().map(|(topic, filter)| (&**topic, filter))
    }

    /// Forgets what has been dead for long enough.
    pub fn clean(&mut self, now: Timestamp) {
        let (keep, mut freed, mut bytes) = (self.keep_dead, 0, 0);
        let is_over = |dead: Timestamp| now - dead >= keep;
        self.groups.retain(|_, topics| {
            topics.retain(|_, filter| {
                let stays = !filter.dead.is_some_and(is_over);
                if !stays {
                    freed += 1;
                    bytes += filter.expression.len();
                }
                stays
            });
            !topics.is_empty()
        });
        self.len -= freed;
        self.bytes -= bytes;
        if freed > 0 {
            self.recheck.begin_anew();
            self.dirty = true;
        }
    }

    /// Whether something has changed since the last call.
    #[must_use]
    pub const fn take_dirty(&mut self) -> bool {
        std::mem::replace(&mut self.dirty, false)
    }

    fn insert(&mut self, group: &str, topic: &str, filter: GroupFilter) {
        self.len += 1;
        self.bytes += filter.expression.len();
        if !self.groups.contains_key(group) {
            self.groups.insert(group.into(), IndexMap::default());
        }
        let replaced = self.groups.get_mut(group).and_then(|topics| topics.insert(topic.into(), filter));
        self.forget(replaced);
    }

    fn remove(&mut self, group: &str, topic: &str) {
        let Some((nth_group, _, topics)) = self.groups.get_full_mut(group) else { return };
        let Some((nth_topic, _, removed)) = topics.shift_remove_full(topic) else { return };
        self.recheck.handle_removed(nth_group, nth_topic);
        self.dirty = true;
        self.forget(Some(removed));
    }

    fn forget(&mut self, filter: Option<GroupFilter>) {
        if let Some(filter) = filter {
            self.len -= 1;
            self.bytes -= filter.expression.len();
        }
    }
}

/// The filter of an SQL92 expression.
fn compile_sql(expression: &str, plugins: &dyn Plugins) -> Result<Compiled, FilterError> {
    let filter = SqlFilter::new(&sql::parse(expression)?, plugins)?;
    Ok(Compiled { calls_plugins: filter.calls_plugins(), filter: Arc::new(filter) })
}

/// The filter that `name` or `name:argument` asks for.
fn find_plugin(expression: &str, plugins: &dyn Plugins) -> Result<Compiled, FilterError> {
    let (name, argument) = name::split_argument(expression);
    Ok(Compiled { filter: plugins.filter(name, argument)?, calls_plugins: true })
}

#[cfg(test)]
mod tests;
