//! Consumer groups as brokers keep them.

use serde::{Deserialize, Serialize};

use super::{
    DataVersion, Table,
    wire_enum::{known_or_default, wire_enum},
};

/// What a broker knows about a consumer group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SubscriptionGroupConfig {
    /// Attributes, without the `+` of the update command.
    pub attributes: Table<String, String>,
    /// Broker id to read from first.
    pub broker_id: i64,
    /// Whether its members may broadcast.
    pub consume_broadcast_enable: bool,
    /// Whether it may consume at all.
    pub consume_enable: bool,
    /// Whether a new group may begin with the oldest message.
    pub consume_from_min_enable: bool,
    /// Whether messages of a queue are handed out one after the other.
    pub consume_message_orderly: bool,
    /// Minutes after which an unacknowledged message is given up.
    pub consume_timeout_minute: i32,
    /// Its name.
    pub group_name: String,
    /// When failed messages come back.
    pub group_retry_policy: GroupRetryPolicy,
    /// Bits of [`crate::sys_flag::topic`].
    pub group_sys_flag: i32,
    /// Whether members are told when others come and go.
    pub notify_consumer_ids_changed_enable: bool,
    /// Attempts before a message goes to the dead-letter topic.
    pub retry_max_times: i32,
    /// Queues of its retry topic.
    pub retry_queue_nums: i32,
    /// Subscriptions that were agreed beforehand.
    pub subscription_data_set: Option<Vec<SimpleSubscriptionData>>,
    /// Broker id to read from when the master is behind.
    pub which_broker_when_consume_slowly: i64,
}

impl SubscriptionGroupConfig {
    /// A group with all defaults.
    #[must_use]
    pub fn new(group_name: impl Into<String>) -> Self {
        Self { group_name: group_name.into(), ..Self::default() }
    }
}

impl Default for SubscriptionGroupConfig {
    fn default() -> Self {
        Self {
            attributes: Table::default(),
            broker_id: 0,
            consume_broadcast_enable: true,
            consume_enable: true,
            consume_from_min_enable: true,
            consume_message_orderly: false,
            consume_timeout_minute: 15,
            group_name: String::new(),
            group_retry_policy: GroupRetryPolicy::default(),
            group_sys_flag: 0,
            notify_consumer_ids_changed_enable: true,
            retry_max_times: 16,
            retry_queue_nums: 1,
            subscription_data_set: None,
            which_broker_when_consume_slowly: 1,
        }
    }
}

/// A subscription in short.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SimpleSubscriptionData {
    /// The expression.
    pub expression: Option<String>,
    /// `TAG` or `SQL92`.
    pub expression_type: Option<String>,
    /// Name of the topic.
    pub topic: String,
    /// When it was made, ms since 1970.
    pub version: i64,
}

wire_enum! {
    /// Which of the two retry policies counts.
    #[derive(Default)]
    GroupRetryPolicyType {
        /// The delay grows by a factor.
        Exponential = "EXPONENTIAL",
        /// A list of delays.
        #[default]
        Customized = "CUSTOMIZED",
    }
}

/// When failed messages come back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct GroupRetryPolicy {
    /// The list; `None` means the broker's.
    pub customized_retry_policy: Option<CustomizedRetryPolicy>,
    /// The factor; `None` means Java's.
    pub exponential_retry_policy: Option<ExponentialRetryPolicy>,
    /// Which one counts.
    #[serde(rename = "type", deserialize_with = "known_or_default")]
    pub kind: GroupRetryPolicyType,
}

/// Delays of the successive attempts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct CustomizedRetryPolicy {
    /// Delays in ms.
    pub next: Vec<i64>,
}

impl Default for CustomizedRetryPolicy {
    fn default() -> Self {
        Self { next: crate::delay::DEFAULT_MILLIS.to_vec() }
    }
}

/// A delay that grows by a factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ExponentialRetryPolicy {
    /// First delay, ms.
    pub initial: i64,
    /// Longest delay, ms.
    pub max: i64,
    /// The factor.
    pub multiplier: i64,
}

impl Default for ExponentialRetryPolicy {
    fn default() -> Self {
        Self { initial: 5_000, max: 7_200_000, multiplier: 2 }
    }
}

/// `subscriptionGroup.json` and the answer to GET_ALL_SUBSCRIPTIONGROUP_CONFIG.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SubscriptionGroupWrapper {
    /// Version of the table.
    pub data_version: DataVersion,
    /// What groups may not do, as bits by group and topic.
    pub forbidden_table: Table<String, Table<String, i32>>,
    /// Group by name.
    pub subscription_group_table: Table<String, SubscriptionGroupConfig>,
}

/// The body of UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SubscriptionGroupList {
    /// The groups to make or change.
    pub group_config_list: Vec<SubscriptionGroupConfig>,
}

/// A list of groups.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct GroupList {
    /// Names.
    pub group_list: Vec<String>,
}
