//! What operators are told when they look into a running broker.

use serde::{Deserialize, Serialize};

use super::{ConsumeStats, MessageQueue, SubscriptionData, Table};
use crate::code::LanguageCode;

/// The answer to 303 `QUERY_CONSUME_TIME_SPAN`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct QueryConsumeTimeSpanBody {
    /// One for each queue.
    pub consume_time_span_set: Vec<QueueTimeSpan>,
}

/// The ages of what lies in a queue and of what a group has read of it. Times are ms since 1970, -1 if there is no such message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct QueueTimeSpan {
    /// Store time of the last message that the group has read.
    pub consume_time_stamp: i64,
    /// The same as a date.
    pub consume_time_stamp_str: String,
    /// Age of the first message that the group has not read, in ms; 0 if it has read all.
    pub delay_time: i64,
    /// Store time of the last message.
    pub max_time_stamp: i64,
    /// The same as a date.
    pub max_time_stamp_str: String,
    /// The queue.
    pub message_queue: MessageQueue,
    /// Store time of the first message.
    pub min_time_stamp: i64,
    /// The same as a date.
    pub min_time_stamp_str: String,
}

/// The answer to 317 `GET_BROKER_CONSUME_STATS`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ConsumeStatsList {
    /// Where clients reach the broker.
    pub broker_addr: Option<String>,
    /// For each group a table of it alone, with its progress in each of its topics.
    pub consume_stats_list: Vec<Table<String, Vec<ConsumeStats>>>,
    /// Messages that the groups have not read, in all.
    pub total_diff: i64,
    /// Messages that were pulled and not committed, in all.
    pub total_inflight_diff: i64,
}

/// The answer to 315 `VIEW_BROKER_STATS_DATA`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct BrokerStatsData {
    /// The last day.
    pub stats_day: BrokerStatsItem,
    /// The last hour.
    pub stats_hour: BrokerStatsItem,
    /// The last minute.
    pub stats_minute: BrokerStatsItem,
}

/// How much of something happened in a span of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct BrokerStatsItem {
    /// How much each time.
    pub avgpt: f64,
    /// How much in all.
    pub sum: i64,
    /// How much in a second.
    pub tps: f64,
}

/// The answer to 321 `QUERY_CONSUME_QUEUE`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct QueryConsumeQueueResponseBody {
    /// The group's filter as JSON, or why there is none.
    pub filter_data: Option<String>,
    /// One more than the last offset of the queue.
    pub max_queue_index: i64,
    /// The first offset of the queue.
    pub min_queue_index: i64,
    /// The units.
    pub queue_data: Option<Vec<ConsumeQueueData>>,
    /// What the group wants of the topic.
    pub subscription_data: Option<SubscriptionData>,
}

/// A unit of a consume queue.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ConsumeQueueData {
    /// Whether the group's filter lets it through, by what an extension of the unit says; false without one.
    pub eval: bool,
    /// Where the message lies in the log.
    pub physic_offset: i64,
    /// Bytes of its record.
    pub physic_size: i32,
    /// Hash of its tag.
    pub tags_code: i64,
}

/// The answer to 328 `GET_ALL_PRODUCER_INFO`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ProducerTableInfo {
    /// Producers by group.
    pub data: Table<String, Vec<ProducerInfo>>,
}

/// A producer that is connected.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ProducerInfo {
    /// Its id.
    pub client_id: String,
    /// Its language.
    pub language: Option<LanguageCode>,
    /// Its last heartbeat, ms since 1970.
    pub last_update_timestamp: i64,
    /// Its address, after a slash.
    #[serde(rename = "remoteIP")]
    pub remote_ip: String,
    /// Its version, an ordinal in Java's list of releases.
    pub version: i32,
}
