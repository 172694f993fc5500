//! The topic table as `topics.json`.

use std::sync::Arc;

use proto_core::{
    bodies::{DataVersion, TopicConfig, TopicConfigSerializeWrapper},
    json::{self, Dialect},
    names, perm,
};

use super::{TopicEntry, TopicTable};
use crate::{storage::LogOffset, time::Timestamp};

impl TopicTable {
    /// Takes in a saved table: what it says of a topic counts before what the broker makes at its start. Topics beyond the limit are
    /// taken too, as their messages are there. Answers when it was changed last, and where the log ended when it was saved, if it says so;
    /// `None` if it names no topic at all: no broker saves that, and nothing may be removed for not being in it.
    ///
    /// # Errors
    /// The content is no such table; nothing was taken in.
    pub fn load(&mut self, content: &[u8]) -> Result<Option<(Timestamp, Option<LogOffset>)>, json::JsonError> {
        let saved: TopicConfigSerializeWrapper = json::from_table(content)?;
        // Whether topics are made by sending is decided anew by each start, whatever an earlier run has saved of their template.
        let auto_create = self.entries.contains_key(names::AUTO_CREATE_TOPIC);
        self.version = saved.data_version;
        let names_any = !saved.topic_config_table.is_empty();
        for (name, mut config) in saved.topic_config_table {
            if name == names::AUTO_CREATE_TOPIC {
                config.perm = perm::READ | perm::WRITE | if auto_create { perm::INHERIT } else { 0 };
            }
            config.topic_name.clone_from(&name);
            let own = self.is_system(&name);
            self.entries.insert(name.into(), TopicEntry::new(config, own));
        }
        Ok(names_any.then_some((Timestamp(self.version.timestamp), saved.log_end.map(LogOffset))))
    }

    /// The table as it is now, to be saved. It knows of all messages in front of `log_end`.
    #[must_use]
    pub fn snapshot(&self, log_end: Option<LogOffset>) -> TopicsSnapshot {
        TopicsSnapshot { version: self.version, log_end, configs: self.entries.values().map(|entry| Arc::clone(&entry.config)).collect() }
    }
}

/// All topics as they were at one moment.
#[derive(Clone, Debug)]
pub struct TopicsSnapshot {
    version: DataVersion,
    log_end: Option<LogOffset>,
    configs: Vec<Arc<TopicConfig>>,
}

impl TopicsSnapshot {
    /// The file; Java's broker and its tools read it.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let topic_config_table = self.configs.iter().map(|config| (config.topic_name.clone(), TopicConfig::clone(config))).collect();
        let log_end = self.log_end.map(|LogOffset(end)| end);
        json::to_vec(&TopicConfigSerializeWrapper { data_version: self.version, log_end, topic_config_table }, Dialect::Pretty)
    }
}
