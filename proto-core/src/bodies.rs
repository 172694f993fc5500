//! The JSON bodies of requests and responses and the tables on disk, as plain structs with Java's member names.
//!
//! Members stand in alphabetical order of their Java names, because that is the order in which Java writes them. What a peer
//! leaves out, or sends as null, has Java's default. Tables keep the order in which they were filled, so that what is read is
//! written back the same.

use foldhash::fast::FixedState;
use indexmap::IndexMap;

mod assignment;
mod broker;
mod client;
mod compressed;
mod consume_type;
mod filter;
mod group;
mod inspection;
mod offset;
mod queue;
mod route;
mod topic;
mod topic_line;
mod topic_mapping;
mod transaction;
mod version;
mod wire_enum;

pub use assignment::{
    MessageQueueAssignment, MessageRequestMode, MessageRequestModeSerializeWrapper, QueryAssignmentRequestBody,
    QueryAssignmentResponseBody, SetMessageRequestModeRequestBody,
};
pub use broker::{BrokerMemberGroup, GetBrokerMemberGroupResponseBody, KvConfigSerializeWrapper, KvTable, RegisterBrokerBody, TopicList};
pub use client::{
    CheckClientRequestBody, Connection, ConsumerConnection, ConsumerData, GetConsumerListByGroupResponseBody, HeartbeatData,
    ProducerConnection, ProducerData, SubscriptionData,
};
pub use compressed::{CompressedBodyError, decode_compressed_register_body};
pub use consume_type::{ConsumeFromWhere, ConsumeType, MessageModel};
pub use filter::{BloomFilterData, ConsumerFilterData, ConsumerFilterWrapper, FilterDataMapByTopic};
pub use group::{
    CustomizedRetryPolicy, ExponentialRetryPolicy, GroupList, GroupRetryPolicy, GroupRetryPolicyType, SimpleSubscriptionData,
    SubscriptionGroupConfig, SubscriptionGroupList, SubscriptionGroupWrapper,
};
pub use inspection::{
    BrokerStatsData, BrokerStatsItem, ConsumeQueueData, ConsumeStatsList, ProducerInfo, ProducerTableInfo, QueryConsumeQueueResponseBody,
    QueryConsumeTimeSpanBody, QueueTimeSpan,
};
pub use offset::{
    ConsumeStats, ConsumerOffsetSerializeWrapper, DelayOffsetSerializeWrapper, GetConsumerStatusBody, OffsetWrapper,
    QueryCorrectionOffsetBody, ResetOffsetBody, TopicOffset, TopicStatsTable,
};
pub use queue::{LockBatchRequestBody, LockBatchResponseBody, MessageQueue, UnlockBatchRequestBody};
pub use route::{BrokerData, ClusterInfo, QueueData, TopicRouteData};
pub use topic::{
    CreateTopicListRequestBody, TopicConfig, TopicConfigAndMappingSerializeWrapper, TopicConfigAndQueueMapping,
    TopicConfigSerializeWrapper, TopicFilterType,
};
pub use topic_line::TopicLineError;
pub use topic_mapping::{LogicQueueMappingItem, TopicQueueMappingDetail, TopicQueueMappingInfo};
pub use transaction::{TransactionMetric, TransactionMetricsSerializeWrapper};
pub use version::DataVersion;

/// A table with text or object keys; iterates in the order in which it was filled.
pub type Table<K, V> = IndexMap<K, V, FixedState>;
