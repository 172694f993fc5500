//! Topics as brokers keep and announce them.

use serde::{Deserialize, Serialize};

use super::{
    DataVersion, Table,
    topic_mapping::{TopicQueueMappingDetail, TopicQueueMappingInfo},
    wire_enum::{known_or_default, wire_enum},
};
use crate::perm;

wire_enum! {
    /// Whether the tags of a topic's messages may hold several tags.
    #[derive(Default)]
    TopicFilterType {
        /// One tag.
        #[default]
        SingleTag = "SINGLE_TAG",
        /// Several; set as a bit in each message's system flag.
        MultiTag = "MULTI_TAG",
    }
}

/// One topic on one broker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TopicConfig {
    /// Attributes such as `message.type`, without the `+` of the update command.
    pub attributes: Table<String, String>,
    /// Whether the topic keeps a global order.
    pub order: bool,
    /// Bits of [`perm`].
    pub perm: i32,
    /// Queues that consumers read.
    pub read_queue_nums: i32,
    /// One tag or several.
    #[serde(deserialize_with = "known_or_default")]
    pub topic_filter_type: TopicFilterType,
    /// Its name.
    pub topic_name: String,
    /// Bits of [`crate::sys_flag::topic`].
    pub topic_sys_flag: i32,
    /// Queues that producers write.
    pub write_queue_nums: i32,
}

impl TopicConfig {
    /// Queues of a topic that says nothing about them.
    pub const DEFAULT_QUEUE_NUMS: i32 = 16;

    /// A topic with as many queues to read as to write.
    #[must_use]
    pub fn new(topic_name: impl Into<String>, queue_nums: i32, perm: i32) -> Self {
        Self { topic_name: topic_name.into(), read_queue_nums: queue_nums, write_queue_nums: queue_nums, perm, ..Self::default() }
    }
}

impl Default for TopicConfig {
    fn default() -> Self {
        Self {
            attributes: Table::default(),
            order: false,
            perm: perm::READ | perm::WRITE,
            read_queue_nums: Self::DEFAULT_QUEUE_NUMS,
            topic_filter_type: TopicFilterType::default(),
            topic_name: String::new(),
            topic_sys_flag: 0,
            write_queue_nums: Self::DEFAULT_QUEUE_NUMS,
        }
    }
}

/// `topics.json`: all topics of a broker.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TopicConfigSerializeWrapper {
    /// Version of the table.
    pub data_version: DataVersion,
    /// Where the log ended when the table was saved: Petrel's own, in its `topics.json` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_end: Option<i64>,
    /// Topic by name.
    pub topic_config_table: Table<String, TopicConfig>,
}

/// All topics of a broker with its static ones: the answer to GET_ALL_TOPIC_CONFIG and the main part of a registration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TopicConfigAndMappingSerializeWrapper {
    /// Version of the topic table.
    pub data_version: DataVersion,
    /// Version of the static topics.
    pub mapping_data_version: DataVersion,
    /// Topic by name.
    pub topic_config_table: Table<String, TopicConfig>,
    /// Static topics in full.
    pub topic_queue_mapping_detail_map: Table<String, TopicQueueMappingDetail>,
    /// Static topics in short.
    pub topic_queue_mapping_info_map: Table<String, TopicQueueMappingInfo>,
}

/// The answer to GET_TOPIC_CONFIG: a topic and, for a static one, its queues.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TopicConfigAndQueueMapping {
    /// As in [`TopicConfig`].
    pub attributes: Table<String, String>,
    /// Queues of a static topic.
    pub mapping_detail: Option<TopicQueueMappingDetail>,
    /// As in [`TopicConfig`].
    pub order: bool,
    /// As in [`TopicConfig`].
    pub perm: i32,
    /// As in [`TopicConfig`].
    pub read_queue_nums: i32,
    /// As in [`TopicConfig`].
    #[serde(deserialize_with = "known_or_default")]
    pub topic_filter_type: TopicFilterType,
    /// As in [`TopicConfig`].
    pub topic_name: String,
    /// As in [`TopicConfig`].
    pub topic_sys_flag: i32,
    /// As in [`TopicConfig`].
    pub write_queue_nums: i32,
}

impl From<TopicConfig> for TopicConfigAndQueueMapping {
    fn from(topic: TopicConfig) -> Self {
        Self {
            attributes: topic.attributes,
            mapping_detail: None,
            order: topic.order,
            perm: topic.perm,
            read_queue_nums: topic.read_queue_nums,
            topic_filter_type: topic.topic_filter_type,
            topic_name: topic.topic_name,
            topic_sys_flag: topic.topic_sys_flag,
            write_queue_nums: topic.write_queue_nums,
        }
    }
}

impl Default for TopicConfigAndQueueMapping {
    fn default() -> Self {
        TopicConfig::default().into()
    }
}

/// The body of UPDATE_AND_CREATE_TOPIC_LIST.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct CreateTopicListRequestBody {
    /// The topics to make or change.
    pub topic_config_list: Vec<TopicConfig>,
}
