//! What brokers and name servers tell each other, and lists that tools ask for.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Table, topic::TopicConfigAndMappingSerializeWrapper};

/// The body of REGISTER_BROKER.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct RegisterBrokerBody {
    /// Addresses of filter servers; `None` leaves the known ones as they are.
    pub filter_server_list: Option<Vec<String>>,
    /// The broker's topics.
    pub topic_config_serialize_wrapper: TopicConfigAndMappingSerializeWrapper,
}

/// A broker's replicas.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct BrokerMemberGroup {
    /// Address by id; 0 is the master.
    pub broker_addrs: BTreeMap<i64, String>,
    /// Name of the broker.
    pub broker_name: String,
    /// Its cluster.
    pub cluster: String,
}

/// The answer to GET_BROKER_MEMBER_GROUP.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct GetBrokerMemberGroupResponseBody {
    /// The replicas.
    pub broker_member_group: BrokerMemberGroup,
}

/// Keys and values: a namespace of the name server's configuration, a broker's figures.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct KvTable {
    /// Value by key.
    pub table: Table<String, String>,
}

/// `kvConfig.json` of the name server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct KvConfigSerializeWrapper {
    /// Value by namespace and key.
    pub config_table: Table<String, Table<String, String>>,
}

/// A list of topics; GET_SYSTEM_TOPIC_LIST_FROM_NS puts clusters and brokers in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TopicList {
    /// Address of a broker.
    pub broker_addr: Option<String>,
    /// Names.
    pub topic_list: Vec<String>,
}
