//! Offsets of queues and of groups in them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{DataVersion, MessageQueue, Table};

/// `consumerOffset.json`: offsets by `topic@group` and queue. Java writes its whole table object, so readers find more in it than
/// they need.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ConsumerOffsetSerializeWrapper {
    /// Version of the table.
    pub data_version: DataVersion,
    /// Topics by group, derived from the offsets.
    pub group_topic_map: Option<Table<String, Vec<String>>>,
    /// Committed offset by `topic@group` and queue.
    pub offset_table: Table<String, BTreeMap<i32, i64>>,
    /// Last pulled offset by `topic@group` and queue.
    pub pull_offset_table: Option<Table<String, BTreeMap<i32, i64>>>,
}

/// `delayOffset.json`: how far each delay level has been delivered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct DelayOffsetSerializeWrapper {
    /// Version of the table.
    pub data_version: DataVersion,
    /// Offset by level, from 1.
    pub offset_table: BTreeMap<i32, i64>,
}

/// The answer to QUERY_CORRECTION_OFFSET.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct QueryCorrectionOffsetBody {
    /// Offset by queue.
    pub correction_offsets: BTreeMap<i32, i64>,
}

/// The answer to GET_TOPIC_STATS_INFO.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TopicStatsTable {
    /// Bounds by queue.
    pub offset_table: Table<MessageQueue, TopicOffset>,
    /// Messages per second put into the topic.
    pub topic_put_tps: f64,
}

/// The bounds of a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TopicOffset {
    /// Store time of the last message, ms since 1970; 0 if there is none.
    pub last_update_timestamp: i64,
    /// One more than the last offset.
    pub max_offset: i64,
    /// The first offset.
    pub min_offset: i64,
}

/// The answer to GET_CONSUME_STATS.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ConsumeStats {
    /// Messages per second that the group gets.
    pub consume_tps: f64,
    /// Progress by queue.
    pub offset_table: Table<MessageQueue, OffsetWrapper>,
}

/// How far a group is in a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct OffsetWrapper {
    /// One more than the last offset of the queue.
    pub broker_offset: i64,
    /// The committed offset.
    pub consumer_offset: i64,
    /// Store time of the last consumed message, ms since 1970.
    pub last_timestamp: i64,
    /// The last pulled offset.
    pub pull_offset: i64,
}

impl OffsetWrapper {
    /// Messages that the group has not read.
    #[must_use]
    pub const fn unread(&self) -> i64 {
        self.broker_offset.saturating_sub(self.consumer_offset)
    }

    /// Messages that the group has pulled and not committed.
    #[must_use]
    pub const fn under_way(&self) -> i64 {
        self.pull_offset.saturating_sub(self.consumer_offset)
    }
}

/// Offsets that a group is set back to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ResetOffsetBody {
    /// Offset by queue.
    pub offset_table: Table<MessageQueue, i64>,
}

/// The answers to 221 GET_CONSUMER_STATUS_FROM_CLIENT, with `message_queue_table`, and to 223 INVOKE_BROKER_TO_GET_CONSUMER_STATUS, with
/// `consumer_table`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct GetConsumerStatusBody {
    /// What each client answered.
    pub consumer_table: Table<String, Table<MessageQueue, i64>>,
    /// Offset by queue, as one client has it.
    pub message_queue_table: Table<MessageQueue, i64>,
}
