//! Heartbeats, and what tools see of the clients behind them.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{ConsumeFromWhere, ConsumeType, MessageModel, Table, wire_enum::known};
use crate::code::LanguageCode;

/// The body of HEART_BEAT: all groups of one client.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct HeartbeatData {
    /// The client's id, opaque to the broker.
    #[serde(rename = "clientID")]
    pub client_id: String,
    /// Groups in which it consumes.
    pub consumer_data_set: Vec<ConsumerData>,
    /// Hash of the subscriptions; 0 from clients that do not use it.
    pub heartbeat_fingerprint: i32,
    /// Groups in which it produces.
    pub producer_data_set: Vec<ProducerData>,
    /// Whether subscriptions were left out because they did not change.
    pub without_sub: bool,
}

/// A group in which a client produces.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ProducerData {
    /// Name of the group.
    pub group_name: String,
}

/// A group in which a client consumes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ConsumerData {
    /// Where a new group begins.
    #[serde(deserialize_with = "known")]
    pub consume_from_where: Option<ConsumeFromWhere>,
    /// Who moves the messages.
    #[serde(deserialize_with = "known")]
    pub consume_type: Option<ConsumeType>,
    /// Name of the group.
    pub group_name: String,
    /// Shared or broadcast.
    #[serde(deserialize_with = "known")]
    pub message_model: Option<MessageModel>,
    /// What it wants, topic by topic.
    pub subscription_data_set: Vec<SubscriptionData>,
    /// Whether the client belongs to a unit.
    pub unit_mode: bool,
}

/// What a group wants of a topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SubscriptionData {
    /// Whether a filter class decides; gone since 5.0.
    pub class_filter_mode: bool,
    /// Java hashes of the tags.
    pub code_set: BTreeSet<i32>,
    /// `TAG` or `SQL92`; missing or empty means `TAG`.
    pub expression_type: Option<String>,
    /// The expression as the application wrote it.
    pub sub_string: Option<String>,
    /// When the client made it, ms since 1970; a newer one replaces an older one.
    pub sub_version: i64,
    /// The tags.
    pub tags_set: BTreeSet<String>,
    /// Name of the topic.
    pub topic: String,
}

impl SubscriptionData {
    /// Expression of a subscription to everything.
    pub const SUB_ALL: &str = "*";

    /// Whether the expression is one of tags, as one without a type is.
    #[must_use]
    pub fn is_tag_type(&self) -> bool {
        self.expression_type.as_deref().is_none_or(|kind| kind.is_empty() || kind == crate::subscription::TAG)
    }

    /// About how many bytes of memory it takes to keep it, rather too many than too few.
    #[must_use]
    pub fn kept_bytes(&self) -> usize {
        const FOR_ITSELF: usize = 256;
        const FOR_A_TAG: usize = 48;
        const FOR_A_CODE: usize = 8;
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let tags: usize = self.tags_set.iter().map(|tag| FOR_A_TAG + tag.len()).sum();
        // What the expression is compiled to takes up to two bytes for each of its own.
        let expression = 3 * text(&self.sub_string);
        FOR_ITSELF + 2 * self.topic.len() + text(&self.expression_type) + expression + tags + FOR_A_CODE * self.code_set.len()
    }
}

impl Default for SubscriptionData {
    fn default() -> Self {
        Self {
            class_filter_mode: false,
            code_set: BTreeSet::new(),
            expression_type: Some(crate::subscription::TAG.to_owned()),
            sub_string: None,
            sub_version: 0,
            tags_set: BTreeSet::new(),
            topic: String::new(),
        }
    }
}

/// The body of CHECK_CLIENT_CONFIG: may this subscription work here?
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct CheckClientRequestBody {
    /// Who asks.
    pub client_id: String,
    /// For which group.
    pub group: String,
    /// Namespace of the client.
    pub namespace: Option<String>,
    /// The subscription.
    pub subscription_data: Option<SubscriptionData>,
}

/// The answer to GET_CONSUMER_LIST_BY_GROUP.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct GetConsumerListByGroupResponseBody {
    /// Ids of the group's clients.
    pub consumer_id_list: Vec<String>,
}

/// A client as tools see it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Connection {
    /// Its address, `ip:port`.
    pub client_addr: String,
    /// Its id.
    pub client_id: String,
    /// What it is written in.
    #[serde(deserialize_with = "known")]
    pub language: Option<LanguageCode>,
    /// Its version, the ordinal in Java's list of releases.
    pub version: i32,
}

/// The answer to GET_CONSUMER_CONNECTION_LIST.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ConsumerConnection {
    /// The clients.
    pub connection_set: Vec<Connection>,
    /// Where a new group begins.
    #[serde(deserialize_with = "known")]
    pub consume_from_where: Option<ConsumeFromWhere>,
    /// Who moves the messages.
    #[serde(deserialize_with = "known")]
    pub consume_type: Option<ConsumeType>,
    /// Shared or broadcast.
    #[serde(deserialize_with = "known")]
    pub message_model: Option<MessageModel>,
    /// Subscription by topic.
    pub subscription_table: Table<String, SubscriptionData>,
}

/// The answer to GET_PRODUCER_CONNECTION_LIST.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ProducerConnection {
    /// The clients.
    pub connection_set: Vec<Connection>,
}
