//! Static topics, whose logical queues wander between brokers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Name of the scope that static topics have if nobody says otherwise.
const GLOBAL_SCOPE: &str = "__global__";

fn global_scope() -> Option<String> {
    Some(GLOBAL_SCOPE.to_owned())
}

/// Which logical queues of a static topic a broker holds now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TopicQueueMappingInfo {
    /// Name of the broker.
    pub bname: Option<String>,
    /// Physical queue by logical queue.
    pub curr_id_map: BTreeMap<i32, i32>,
    /// Whether the entry is being taken away.
    pub dirty: bool,
    /// Version of the mapping.
    pub epoch: i64,
    /// Who shares the mapping.
    pub scope: Option<String>,
    /// Name of the topic.
    pub topic: Option<String>,
    /// Logical queues in all.
    pub total_queues: i32,
}

impl Default for TopicQueueMappingInfo {
    fn default() -> Self {
        Self { bname: None, curr_id_map: BTreeMap::new(), dirty: false, epoch: 0, scope: global_scope(), topic: None, total_queues: 0 }
    }
}

/// [`TopicQueueMappingInfo`] with the history of every queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TopicQueueMappingDetail {
    /// As in [`TopicQueueMappingInfo`].
    pub bname: Option<String>,
    /// As in [`TopicQueueMappingInfo`].
    pub curr_id_map: BTreeMap<i32, i32>,
    /// As in [`TopicQueueMappingInfo`].
    pub dirty: bool,
    /// As in [`TopicQueueMappingInfo`].
    pub epoch: i64,
    /// Where each logical queue has lain, oldest first.
    pub hosted_queues: BTreeMap<i32, Vec<LogicQueueMappingItem>>,
    /// As in [`TopicQueueMappingInfo`].
    pub scope: Option<String>,
    /// As in [`TopicQueueMappingInfo`].
    pub topic: Option<String>,
    /// As in [`TopicQueueMappingInfo`].
    pub total_queues: i32,
}

impl Default for TopicQueueMappingDetail {
    fn default() -> Self {
        Self {
            bname: None,
            curr_id_map: BTreeMap::new(),
            dirty: false,
            epoch: 0,
            hosted_queues: BTreeMap::new(),
            scope: global_scope(),
            topic: None,
            total_queues: 0,
        }
    }
}

/// A stretch of a logical queue on one broker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct LogicQueueMappingItem {
    /// Name of the broker.
    pub bname: Option<String>,
    /// End of the stretch in the physical queue; -1 while it grows.
    pub end_offset: i64,
    /// Number of the stretch.
    #[serde(rename = "gen")]
    pub generation: i32,
    /// Logical offset of its first message.
    pub logic_offset: i64,
    /// Physical queue.
    pub queue_id: i32,
    /// Start of the stretch in the physical queue.
    pub start_offset: i64,
    /// When it ended; -1 if unknown.
    pub time_of_end: i64,
    /// When it began; -1 if unknown.
    pub time_of_start: i64,
}

impl Default for LogicQueueMappingItem {
    fn default() -> Self {
        Self {
            bname: None,
            end_offset: -1,
            generation: 0,
            logic_offset: 0,
            queue_id: 0,
            start_offset: 0,
            time_of_end: -1,
            time_of_start: -1,
        }
    }
}
