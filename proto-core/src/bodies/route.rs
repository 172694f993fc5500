//! Where a topic's queues are, and which brokers there are.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Table, topic_mapping::TopicQueueMappingInfo};

/// The queues of a topic on one broker.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct QueueData {
    /// Name of the broker.
    pub broker_name: String,
    /// Bits of [`crate::perm`].
    pub perm: i32,
    /// Queues that consumers read.
    pub read_queue_nums: i32,
    /// Bits of [`crate::sys_flag::topic`].
    pub topic_sys_flag: i32,
    /// Queues that producers write.
    pub write_queue_nums: i32,
}

/// A broker with its replicas.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct BrokerData {
    /// Address by id; 0 is the master.
    pub broker_addrs: BTreeMap<i64, String>,
    /// Its name.
    pub broker_name: String,
    /// The cluster it belongs to.
    pub cluster: String,
    /// Whether a slave may stand in for a lost master.
    pub enable_acting_master: bool,
    /// Its zone.
    pub zone_name: Option<String>,
}

/// The answer to GET_ROUTEINFO_BY_TOPIC.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TopicRouteData {
    /// The brokers that hold queues of the topic.
    pub broker_datas: Vec<BrokerData>,
    /// Filter servers by broker address; always written, empty nowadays.
    pub filter_server_table: Table<String, Vec<String>>,
    /// Order configuration, `broker-a:4;broker-b:4`.
    pub order_topic_conf: Option<String>,
    /// The topic's queues, broker by broker.
    pub queue_datas: Vec<QueueData>,
    /// Static topics: mapping by broker name.
    pub topic_queue_mapping_by_broker: Option<Table<String, TopicQueueMappingInfo>>,
}

/// The answer to GET_BROKER_CLUSTER_INFO.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ClusterInfo {
    /// Broker by name.
    pub broker_addr_table: Table<String, BrokerData>,
    /// Names of brokers by cluster.
    pub cluster_addr_table: Table<String, BTreeSet<String>>,
}
