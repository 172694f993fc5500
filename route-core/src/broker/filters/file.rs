//! The table as `consumerFilter.json`.

use proto_core::{
    bodies::{BloomFilterData, ConsumerFilterData, ConsumerFilterWrapper},
    json::{self, Dialect},
};

use super::{FilterTable, GroupFilter, Language};
use crate::time::{Millis, Timestamp};

/// Whoever is in a table that was just read has not been heard of for at least this long.
const SILENT: Millis = Millis::from_secs(30);

impl FilterTable {
    /// Takes in a saved table. All groups count as gone until their next heartbeat. What cannot be used is left out: its group hears of
    /// it when it comes back.
    ///
    /// # Errors
    /// The content is no such table; nothing was taken in.
    pub fn load(&mut self, now: Timestamp, content: &[u8]) -> Result<(), json::JsonError> {
        let saved: ConsumerFilterWrapper = json::from_table(content)?;
        let silent_since = Timestamp(now.0.saturating_sub_unsigned(SILENT.0));
        for (topic, of_topic) in saved.filter_data_by_topic {
            for (group, data) in of_topic.group_filter_data {
                let Some(language) = Language::of_type(&data.expression_type) else { continue };
                let (Ok(compiled), _) = self.compile_in(language, &data.expression) else { continue };
                let compiled = compiled.for_group(&group);
                if self.len >= self.limits.filters || self.bytes + data.expression.len() > self.limits.bytes {
                    continue;
                }
                let born = Timestamp(data.born_time);
                let dead = if data.dead_time == 0 { silent_since.max(born) } else { Timestamp(data.dead_time) };
                let version = data.client_version;
                let filter = GroupFilter { expression: data.expression.into(), language, compiled, born, dead: Some(dead), version };
                self.insert(&group, &topic, filter);
            }
        }
        Ok(())
    }

    /// The table as it is saved; Java's broker reads it.
    #[must_use]
    pub fn to_file(&self) -> Vec<u8> {
        let mut file = ConsumerFilterWrapper::default();
        for (group, topics) in &self.groups {
            for (topic, filter) in topics {
                let of_topic = file.filter_data_by_topic.entry(topic.to_string()).or_default();
                of_topic.topic = topic.to_string();
                of_topic.group_filter_data.insert(group.to_string(), self.data(group, topic, filter));
            }
        }
        json::to_vec(&file, Dialect::Pretty)
    }

    pub(in crate::broker) fn data(&self, group: &str, topic: &str, filter: &GroupFilter) -> ConsumerFilterData {
        let bit_pos = self.bloom.positions(&format!("{group}#{topic}"));
        ConsumerFilterData {
            bloom_filter_data: Some(BloomFilterData { bit_num: self.bloom.bits(), bit_pos }),
            born_time: filter.born.0,
            client_version: filter.version,
            consumer_group: group.to_owned(),
            dead: filter.dead.is_some(),
            dead_time: filter.dead.map_or(0, |dead| dead.0),
            expression: filter.expression.to_string(),
            expression_type: filter.language.name().to_owned(),
            topic: topic.to_owned(),
        }
    }
}
