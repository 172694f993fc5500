//! Filters are looked up anew when other plugins are installed than before: some at a time, since there may be many and a plugin is asked about each.

use std::mem;

use foldhash::fast::FixedState;
use indexmap::IndexSet;

use super::{FilterError, FilterTable};

/// Filters that one step passes by, whether they call plugins or not.
const PASSED: usize = 4096;

/// What is left to look up.
#[derive(Debug, Default)]
pub(super) struct Recheck {
    /// The next filter: its group and its topic there, by their places.
    next: Option<(usize, usize)>,
    /// Groups that want a filter and lack a plugin for it.
    lacking: IndexSet<Box<str>, FixedState>,
    /// Those of them that lacked it when other plugins came, and have not been told yet.
    told: IndexSet<Box<str>, FixedState>,
}

impl Recheck {
    /// A group has said what it wants, and lacks a plugin for it or does not.
    pub(super) fn note(&mut self, group: &str, lacks_plugin: bool, limit: usize) {
        if lacks_plugin && self.lacking.len() < limit {
            self.lacking.insert(group.into());
        } else if !lacks_plugin && !self.lacking.is_empty() {
            self.lacking.swap_remove(group);
        }
    }

    /// A filter has gone from its place, and those behind it have moved up.
    pub(super) const fn handle_removed(&mut self, group: usize, topic: usize) {
        if let Some((at, next)) = &mut self.next
            && *at == group
            && *next > topic
        {
            *next -= 1;
        }
    }

    /// Many filters may have moved.
    pub(super) const fn begin_anew(&mut self) {
        if self.next.is_some() {
            self.next = Some((0, 0));
        }
    }
}

impl FilterTable {
    /// Other plugins are installed than before: [`Self::recheck`] has all to do.
    pub fn handle_plugins_changed(&mut self) {
        self.sql.clear();
        self.plugged.clear();
        self.recheck.next = Some((0, 0));
        let lacking = mem::take(&mut self.recheck.lacking);
        self.recheck.told.extend(lacking);
    }

    /// Whether [`Self::recheck`] and [`Self::next_lacking`] have nothing to do.
    #[must_use]
    pub fn is_rechecked(&self) -> bool {
        self.recheck.next.is_none() && self.recheck.told.is_empty()
    }

    /// Looks up filters that call plugins, as long as there are `lookups` left. Returns the groups and topics that lose their filter, since a
    /// plugin is gone or does not take the argument any more.
    pub fn recheck(&mut self, lookups: &mut usize) -> Vec<(String, String, FilterError)> {
        let mut lost = Vec::new();
        for _ in 0..PASSED {
            let Some((nth_group, nth_topic)) = self.recheck.next.filter(|_| *lookups > 0) else { break };
            let Some((group, topics)) = self.groups.get_index(nth_group) else {
                self.recheck.next = None;
                break;
            };
            let Some((topic, filter)) = topics.get_index(nth_topic) else {
                self.recheck.next = Some((nth_group + 1, 0));
                continue;
            };
            self.recheck.next = Some((nth_group, nth_topic + 1));
            if !filter.compiled.calls_plugins {
                continue;
            }
            *lookups -= 1;
            let (group, topic) = (group.to_string(), topic.to_string());
            let (language, expression) = (filter.language, filter.expression.clone());
            match self.compile_in(language, &expression).0 {
                Ok(compiled) => {
                    if let Some((_, filter)) = self.groups.get_index_mut(nth_group).and_then(|(_, topics)| topics.get_index_mut(nth_topic))
                    {
                        filter.compiled = compiled.for_group(&group);
                    }
                }
                Err(error) => {
                    self.remove(&group, &topic);
                    self.recheck.note(&group, true, self.limits.filters);
                    lost.push((group, topic, error));
                }
            }
        }
        lost
    }

    /// A group that lacked a plugin when other plugins came: it is to be [registered](Self::register) anew.
    pub fn next_lacking(&mut self) -> Option<Box<str>> {
        self.recheck.told.pop()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    };

    use proto_core::{bloom::BloomFilter, bodies::SubscriptionData, subscription::WASM};

    use super::*;
    use crate::{
        broker::filters::FilterLimits,
        filter::{MessageFilter, tags::TagFilter},
        plugins::{PluginAllocator, PluginRefusal, Plugins},
        time::{Millis, Timestamp},
    };

    /// A filter `it` that takes every argument, or none that begins with `odd`; and that is there or not.
    #[derive(Debug, Default)]
    struct Installed {
        missing: AtomicBool,
        refuses_odd: AtomicBool,
    }

    impl Plugins for Installed {
        fn filter(&self, name: &str, argument: &str) -> Result<Arc<dyn MessageFilter>, PluginRefusal> {
            if self.missing.load(Ordering::Relaxed) || self.refuses_odd.load(Ordering::Relaxed) && argument.starts_with("odd") {
                return Err(PluginRefusal::NotInstalled(name.to_owned()));
            }
            Ok(Arc::new(TagFilter::nothing()))
        }

        fn allocator(&self, name: &str, _argument: &str) -> Result<Arc<dyn PluginAllocator>, PluginRefusal> {
            Err(PluginRefusal::NotInstalled(name.to_owned()))
        }
    }

    fn wants(topic: &str, argument: &str) -> SubscriptionData {
        SubscriptionData {
            topic: topic.into(),
            sub_string: Some(format!("it:{argument}")),
            sub_version: 1,
            expression_type: Some(WASM.into()),
            ..SubscriptionData::default()
        }
    }

    fn table() -> (FilterTable, Arc<Installed>) {
        let installed = Arc::new(Installed::default());
        let limits = FilterLimits { filters: 1000, bytes: 100_000 };
        let plugins = Arc::<Installed>::clone(&installed);
        (FilterTable::new(limits, BloomFilter::new(20, 32), Millis::from_secs(1), plugins), installed)
    }

    /// Groups `0` to `9` with ten topics each, of which every second argument is odd.
    fn full() -> (FilterTable, Arc<Installed>) {
        let (mut table, installed) = table();
        for group in 0..10 {
            let topics: Vec<_> = (0..10).map(|topic| wants(&topic.to_string(), &["even", "odd"][topic % 2].repeat(group + 1))).collect();
            assert!(table.register(Timestamp(0), &group.to_string(), &topics).is_empty());
        }
        (table, installed)
    }

    #[test]
    fn no_step_looks_up_more_than_it_may_and_all_steps_together_look_up_all() {
        let (mut table, installed) = full();
        installed.refuses_odd.store(true, Ordering::Relaxed);
        table.handle_plugins_changed();
        let (mut steps, mut lost) = (0, Vec::new());
        while !table.is_rechecked() {
            let mut lookups = 7;
            lost.extend(table.recheck(&mut lookups).into_iter().map(|(group, topic, _)| (group, topic)));
            assert!(lookups > 0 || !table.is_rechecked());
            steps += 1;
        }
        assert_eq!(steps, 100_usize.div_ceil(7));
        let all: Vec<_> = (0..100).map(|n| ((n / 10).to_string(), (n % 10).to_string())).collect();
        assert_eq!(lost, all.iter().filter(|(_, topic)| topic.parse::<i32>().unwrap() % 2 == 1).cloned().collect::<Vec<_>>());
        assert!(all.iter().all(|(group, topic)| table.get(group, topic).is_none() == lost.contains(&(group.clone(), topic.clone()))));
    }

    #[test]
    fn what_goes_in_between_hides_nothing_that_is_left_to_look_up() {
        let (mut table, installed) = full();
        installed.refuses_odd.store(true, Ordering::Relaxed);
        table.handle_plugins_changed();
        let mut lost = table.recheck(&mut 5).len();
        // The first group has been looked at up to its fifth topic: two go in front of it.
        table.remove("0", "0");
        table.remove("0", "2");
        while !table.is_rechecked() {
            lost += table.recheck(&mut 1).len();
            table.clean(Timestamp(1));
        }
        assert_eq!(lost, 50);
    }

    #[test]
    fn groups_that_lack_a_plugin_are_named_once_when_others_come() {
        let (mut table, installed) = table();
        installed.missing.store(true, Ordering::Relaxed);
        for group in ["a", "b", "c"] {
            assert_eq!(table.register(Timestamp(0), group, &[wants("T", group)]).len(), 1);
        }
        table.unregister(Timestamp(1), "b");
        assert!(table.is_rechecked());
        table.handle_plugins_changed();
        table.recheck(&mut 9);
        let named: Vec<_> = std::iter::from_fn(|| table.next_lacking()).collect();
        assert_eq!(named, ["a".into(), "c".into()].into_iter().rev().collect::<Vec<Box<str>>>());
        assert!(table.is_rechecked());
        table.handle_plugins_changed();
        table.recheck(&mut 9);
        assert_eq!(table.next_lacking(), None, "they have to register first");
    }
}
