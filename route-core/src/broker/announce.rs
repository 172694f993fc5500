//! What name servers are told of the topics.

use std::{collections::BTreeSet, sync::Arc};

use proto_core::{
    bodies::{TopicConfig, TopicConfigAndMappingSerializeWrapper},
    perm,
};

use super::topics::TopicTable;
use crate::registration::TopicSource;

/// The topic table as it is announced: no topic may do more than its broker.
pub(super) struct Announced<'a> {
    pub(super) topics: &'a TopicTable,
    /// `brokerPermission`
    pub(super) permission: i32,
}

impl Announced<'_> {
    fn wrap<'t>(&self, configs: impl Iterator<Item = &'t TopicConfig>) -> TopicConfigAndMappingSerializeWrapper {
        // The right to hand a topic's settings on is none that a broker's permission takes away.
        let permitted = |config: &TopicConfig| TopicConfig { perm: config.perm & (self.permission | perm::INHERIT), ..config.clone() };
        TopicConfigAndMappingSerializeWrapper {
            data_version: *self.topics.version(),
            topic_config_table: configs.map(|config| (config.topic_name.clone(), permitted(config))).collect(),
            ..TopicConfigAndMappingSerializeWrapper::default()
        }
    }
}

impl TopicSource for Announced<'_> {
    fn all_topics(&self) -> TopicConfigAndMappingSerializeWrapper {
        self.wrap(self.topics.configs())
    }

    fn some_topics(&self, names: &BTreeSet<Arc<str>>) -> TopicConfigAndMappingSerializeWrapper {
        self.wrap(names.iter().filter_map(|name| self.topics.get(name)).map(super::topics::TopicEntry::config))
    }
}
