//! The topic table as `topics.json`.

use proto_core::{
    bodies::TopicConfigSerializeWrapper,
    json::{self, Dialect},
    names, perm,
};

use super::{TopicEntry, TopicTable};
use crate::storage::LogOffset;

impl TopicTable {
    /// Takes in a saved table: what it says of a topic counts before what the broker makes at its start. Topics beyond the limit are
    /// taken too, as their messages are there. Answers where the log ended when it was saved, if it says so.
    ///
    /// # Errors
    /// The content is no such table; nothing was taken in.
    pub fn load(&mut self, content: &[u8]) -> Result<Option<LogOffset>, json::JsonError> {
        let saved: TopicConfigSerializeWrapper = json::from_table(content)?;
        // Whether topics are made by sending is decided anew by each start, whatever an earlier run has saved of their template.
        let auto_create = self.entries.contains_key(names::AUTO_CREATE_TOPIC);
        self.version = saved.data_version;
        for (name, mut config) in saved.topic_config_table {
            if name == names::AUTO_CREATE_TOPIC {
                config.perm = perm::READ | perm::WRITE | if auto_create { perm::INHERIT } else { 0 };
            }
            config.topic_name.clone_from(&name);
            let own = self.is_system(&name);
            self.entries.insert(name.into(), TopicEntry::new(config, own));
        }
        Ok(saved.log_end.map(LogOffset))
    }

    /// The table as it is saved; Java's broker and its tools read it. It knows of all messages in front of `log_end`.
    #[must_use]
    pub fn to_file(&self, log_end: Option<LogOffset>) -> Vec<u8> {
        let table = self.configs().map(|config| (config.topic_name.clone(), config.clone())).collect();
        let log_end = log_end.map(|LogOffset(end)| end);
        json::to_vec(&TopicConfigSerializeWrapper { data_version: self.version, log_end, topic_config_table: table }, Dialect::Pretty)
    }
}
