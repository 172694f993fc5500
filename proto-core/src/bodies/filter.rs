//! The filters of consumers as a broker keeps them.

use serde::{Deserialize, Serialize};

use super::Table;

/// `consumerFilter.json`: who filters what by an expression other than one of tags.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ConsumerFilterWrapper {
    /// By topic.
    pub filter_data_by_topic: Table<String, FilterDataMapByTopic>,
}

/// The filters of a topic.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct FilterDataMapByTopic {
    /// By group.
    pub group_filter_data: Table<String, ConsumerFilterData>,
    /// Name of the topic.
    pub topic: String,
}

/// What a group wants of a topic.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ConsumerFilterData {
    /// The bits that stand for it in the bit map of a message.
    pub bloom_filter_data: Option<BloomFilterData>,
    /// When the broker first heard of the expression, ms since 1970.
    pub born_time: i64,
    /// Version of the subscription, as the client numbers it.
    pub client_version: i64,
    /// Name of the group.
    pub consumer_group: String,
    /// Whether the group has left, or wants the topic no more.
    pub dead: bool,
    /// Since when, ms since 1970; 0 if it is there.
    pub dead_time: i64,
    /// The expression.
    pub expression: String,
    /// Its language, `SQL92`.
    pub expression_type: String,
    /// Name of the topic.
    pub topic: String,
}

/// Bits of a [`crate::bloom::BloomFilter`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct BloomFilterData {
    /// Bits of the map.
    pub bit_num: i32,
    /// Those that are set.
    pub bit_pos: Vec<i32>,
}
