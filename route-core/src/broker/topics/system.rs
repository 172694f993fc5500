//! The topics that a broker makes for itself at its start, those of Java's `TopicConfigManager`.

use proto_core::{bodies::TopicConfig, names, perm};

use super::{NewTopic, plain_config};

const READ_WRITE: i32 = perm::READ | perm::WRITE;

/// What the list depends on.
#[derive(Clone, Copy, Debug)]
pub struct SystemTopics<'a> {
    /// `brokerClusterName`
    pub cluster: &'a str,
    /// `brokerName`
    pub broker: &'a str,
    /// `autoCreateTopicEnable`: whether `TBW102` is there to make topics from.
    pub auto_create: bool,
    /// `defaultTopicQueueNums`: queues of `TBW102`.
    pub default_queue_nums: i32,
    /// `clusterTopicEnable`: whether the topic with the cluster's name may be read and written.
    pub cluster_topic: bool,
    /// `brokerTopicEnable`: the same for the broker's name.
    pub broker_topic: bool,
    /// `msgTraceTopicName`, if there is to be such a topic.
    pub trace_topic: Option<&'a str>,
}

impl SystemTopics<'_> {
    pub(super) fn configs(&self) -> Vec<TopicConfig> {
        let read_write_if = |enabled: bool| perm::INHERIT | if enabled { READ_WRITE } else { 0 };
        let config = |name: &str, queue_nums, perm| plain_config(name, NewTopic { perm, ..NewTopic::plain(queue_nums, 0) });
        let mut configs = vec![config(names::SELF_TEST_TOPIC, 1, READ_WRITE)];
        if self.auto_create {
            configs.push(auto_create_topic(self.default_queue_nums));
        }
        configs.extend([
            config(names::BENCHMARK_TOPIC, 1024, READ_WRITE),
            config(self.cluster, 16, read_write_if(self.cluster_topic)),
            config(self.broker, 1, read_write_if(self.broker_topic)),
            config(names::OFFSET_MOVED_EVENT_TOPIC, 1, READ_WRITE),
            config(names::SCHEDULE_TOPIC, 18, READ_WRITE),
            config(&names::reply_topic(self.cluster), 1, READ_WRITE),
            config(&format!("rmq_sys_REVIVE_LOG_{}", self.cluster), 8, READ_WRITE),
            config(&format!("rmq_sys_SYNC_BROKER_MEMBER_{}", self.broker), 1, perm::INHERIT),
            config(names::TRANS_HALF_TOPIC, 1, READ_WRITE),
            config(names::TRANS_OP_HALF_TOPIC, 1, READ_WRITE),
            config(names::TIMER_TOPIC, 1, READ_WRITE),
        ]);
        configs.extend(self.trace_topic.map(|name| config(name, 1, READ_WRITE)));
        configs
    }
}

/// The topic after which others are made.
pub(super) fn auto_create_topic(queue_nums: i32) -> TopicConfig {
    plain_config(names::AUTO_CREATE_TOPIC, NewTopic { perm: READ_WRITE | perm::INHERIT, ..NewTopic::plain(queue_nums, 0) })
}
