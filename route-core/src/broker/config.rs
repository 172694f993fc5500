//! What an operator decides about a broker; each field names the `broker.conf` key it comes from.

use std::{net::SocketAddr, sync::Arc};

use proto_core::bloom::BloomFilter;

use super::{
    broadcast_offsets::BroadcastConfig, consumers::SubscriptionLimits, filters::FilterLimits, hold::HoldLimits, members::MemberLimits,
    read::ReadLimits, timer::TimerConfig,
};
use crate::{registration::RegistrationConfig, settings::SettingsText, time::Millis};

/// What an acknowledgement waits for (`flushDiskType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlushMode {
    /// `ASYNC_FLUSH`: the page cache has it.
    Async,
    /// `SYNC_FLUSH`: the disk has it.
    Sync,
}

/// The broker machine's configuration. `Default` is Java's, for a broker on the loopback address.
#[derive(Clone, Debug)]
pub struct BrokerConfig {
    /// `brokerName`
    pub name: Arc<str>,
    /// `brokerClusterName`
    pub cluster: Arc<str>,
    /// `brokerId`: 0 is the master.
    pub id: i64,
    /// `brokerIP1` and `listenPort`: where clients reach this broker; part of every message id.
    pub address: SocketAddr,
    /// `brokerIP2` and `haListenPort`, as registered.
    pub ha_address: Arc<str>,
    /// `namesrvAddr`, split at `;`.
    pub name_servers: Vec<Arc<str>>,
    /// `registerNameServerPeriod`
    pub register_period: Millis,
    /// `registerBrokerTimeoutMills`
    pub register_timeout: Millis,
    /// `brokerPermission`: bits of [`proto_core::perm`].
    pub permission: i32,
    /// `autoCreateTopicEnable`
    pub auto_create_topic: bool,
    /// `defaultTopicQueueNums`
    pub default_topic_queue_nums: i32,
    /// `clusterTopicEnable`: whether the topic with the cluster's name may be read and written.
    pub cluster_topic: bool,
    /// `brokerTopicEnable`: the same for the broker's name.
    pub broker_topic: bool,
    /// `autoCreateSubscriptionGroup`
    pub auto_create_group: bool,
    /// `regionId`
    pub region: Arc<str>,
    /// `traceOn`
    pub trace_on: bool,
    /// `traceTopicEnable` and `msgTraceTopicName`: the topic for traces of clients that is there from the start, if one is.
    pub trace_topic: Option<Arc<str>>,
    /// `enableMixedMessageType`: whether topics may be said to hold messages of all types.
    pub mixed_message_type: bool,
    /// `flushDiskType`
    pub flush_mode: FlushMode,
    /// `syncFlushTimeout`
    pub sync_flush_timeout: Millis,
    /// `maxMessageSize`, for the text of refusals; storage enforces it.
    pub max_message_size: usize,
    /// `longPollingEnable`
    pub long_polling: bool,
    /// `shortPollingTimeMills`
    pub short_polling_time: Millis,
    /// `litePullMessageEnable`
    pub lite_pull: bool,
    /// `messageDelayLevel`
    pub delay_levels: Arc<str>,
    /// `flushConsumerOffsetInterval`
    pub flush_consumer_offset_interval: Millis,
    /// `flushDelayOffsetInterval`
    pub flush_delay_offset_interval: Millis,
    /// What concerns messages with a time of their own.
    pub timer: TimerConfig,
    /// `recallMessageEnable`: whether producers may take timed messages back.
    pub recall: bool,
    /// `allowRecallWhenBrokerNotWriteable`
    pub recall_when_not_writable: bool,
    /// `channelExpiredTimeout`
    pub channel_expired_timeout: Millis,
    /// `notifyConsumerIdsChangedEnable`
    pub notify_consumer_ids_changed: bool,
    /// `enablePropertyFilter`: whether consumers may filter by SQL92.
    pub property_filter: bool,
    /// `serverLoadBalancerEnable`: whether queues are shared out for clients that ask; else each is told of all.
    pub server_load_balancer: bool,
    /// `pluginAdminRemoteEnable`, Petrel's own: whether plugins may be changed from other machines.
    pub remote_plugin_admin: bool,
    /// `loadBalancePollNameServerInterval`: how long a route from a name server counts as new.
    pub load_balance_poll_interval: Millis,
    /// `filterSupportRetry`: whether retried messages are judged by the expression for the topic that they come from.
    pub filter_support_retry: bool,
    /// `filterDataCleanTimeSpan`: how long the filter of a group that has left is kept.
    pub filter_clean_span: Millis,
    /// `maxErrorRateOfBloomFilter` and `expectConsumerNumUseFilter`: the bits that stand for a filter in its file.
    pub filter_bloom: BloomFilter,
    /// `defaultQueryMaxNum`: messages that a look-up by unique key returns at most.
    pub default_query_max_num: usize,
    /// `maxMsgsNumBatch`: messages that any look-up by key returns at most.
    pub max_msgs_num_batch: usize,
    /// `useServerSideResetOffset`: whether a group is set back by its next pulls, not by a request to each member.
    pub use_server_side_reset_offset: bool,
    /// What is remembered of clients of broadcasting groups.
    pub broadcast: BroadcastConfig,
    /// `slaveReadEnable`: whether groups are told to read what is no longer in memory from the broker that their configuration names.
    pub slave_read: bool,
    /// `storeReplyMessageEnable`: whether replies are also kept in the cluster's topic for them.
    pub store_replies: bool,
    /// `rejectTransactionMessage`
    pub reject_transactions: bool,
    /// `transactionTimeOut`: how long a producer may think about its half message before it is asked.
    pub transaction_timeout: Millis,
    /// `transactionCheckInterval`: how long until it is asked again.
    pub transaction_check_interval: Millis,
    /// `transactionMetricFlushInterval`: how often the counts of undecided half messages are saved, if they have changed.
    pub transaction_metric_flush_interval: Millis,
    /// `transactionCheckMax`: after so many questions a half message is put aside.
    pub transaction_check_max: u32,
    /// `fileReservedTime`: an undecided half message that is older is put aside too.
    pub transaction_max_age: Millis,
    /// How much one pull may return.
    pub read_limits: ReadLimits,
    /// How large the tables may grow.
    pub limits: TableLimits,
    /// Seed of the only random choice a broker makes: a queue for who names none.
    pub seed: u64,
    /// All settings as text, those included that a broker machine does not need to know.
    pub settings: SettingsText,
    /// Number of the process, part of the unique keys that are made for clients that send none.
    pub process: u32,
}

/// How large a broker's tables may grow. Java sets no limits here; a broker that a client can fill is one that a client can stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableLimits {
    /// Topics.
    pub topics: usize,
    /// Subscription groups.
    pub groups: usize,
    /// Groups that one heartbeat may name, of consumers and of producers together: it is answered in one go, while others wait.
    pub heartbeat_groups: usize,
    /// Members of all groups, consumers and producers each.
    pub members: MemberLimits,
    /// Pairs of topic and group with offsets. Each is two tables in `consumerOffset.json`, which must stay readable
    /// ([`proto_core::json::MAX_CONTAINERS`]).
    pub offsets: usize,
    /// Bytes of what is remembered of clients of broadcasting groups; who finds no room keeps its offsets alone.
    pub broadcast_bytes: usize,
    /// Queue locks.
    pub locks: usize,
    /// Pulls that wait; a further one is answered "nothing new" at once.
    pub holds: HoldLimits,
    /// What groups subscribe to; a heartbeat that brings more is refused.
    pub subscriptions: SubscriptionLimits,
    /// Filters by expressions.
    pub filters: FilterLimits,
    /// Undecided transactions; a further half message is refused.
    pub transactions: usize,
    /// Questions to clients that wait for their answers; a further one is refused.
    pub questions: usize,
}

impl Default for TableLimits {
    fn default() -> Self {
        Self {
            topics: 200_000,
            groups: 200_000,
            heartbeat_groups: 2_000,
            members: MemberLimits { members: 1_000_000, bytes: 128 << 20 },
            offsets: 400_000,
            broadcast_bytes: 64 << 20,
            locks: 1_000_000,
            holds: HoldLimits { pulls: 250_000, pulls_of_peer: 50_000, steps: 10_000_000, steps_of_queue: 100_000 },
            subscriptions: SubscriptionLimits { bytes: 256 << 20, bytes_of_peer: 16 << 20 },
            filters: FilterLimits { filters: 100_000, bytes: 64 << 20 },
            transactions: 1_000_000,
            questions: 100_000,
        }
    }
}

impl BrokerConfig {
    /// Takes over from `changed` what may change while a broker runs. What is not here is told to others at the start, decides how the log
    /// is laid out, or is the size of something that was made then.
    pub fn take_changeable(&mut self, changed: Self) {
        let timer = TimerConfig {
            rules: changed.timer.rules,
            congest_num: changed.timer.congest_num,
            topic_in_delete_key: changed.timer.topic_in_delete_key,
            stop_enqueue: changed.timer.stop_enqueue,
            stop_dequeue: changed.timer.stop_dequeue,
            flush_interval: changed.timer.flush_interval,
            ..self.timer
        };
        *self = Self {
            permission: changed.permission,
            auto_create_topic: changed.auto_create_topic,
            auto_create_group: changed.auto_create_group,
            trace_on: changed.trace_on,
            mixed_message_type: changed.mixed_message_type,
            sync_flush_timeout: changed.sync_flush_timeout,
            long_polling: changed.long_polling,
            short_polling_time: changed.short_polling_time,
            lite_pull: changed.lite_pull,
            flush_consumer_offset_interval: changed.flush_consumer_offset_interval,
            flush_delay_offset_interval: changed.flush_delay_offset_interval,
            timer,
            recall: changed.recall,
            recall_when_not_writable: changed.recall_when_not_writable,
            channel_expired_timeout: changed.channel_expired_timeout,
            notify_consumer_ids_changed: changed.notify_consumer_ids_changed,
            property_filter: changed.property_filter,
            filter_support_retry: changed.filter_support_retry,
            filter_clean_span: changed.filter_clean_span,
            default_query_max_num: changed.default_query_max_num,
            max_msgs_num_batch: changed.max_msgs_num_batch,
            use_server_side_reset_offset: changed.use_server_side_reset_offset,
            broadcast: changed.broadcast,
            slave_read: changed.slave_read,
            server_load_balancer: changed.server_load_balancer,
            store_replies: changed.store_replies,
            reject_transactions: changed.reject_transactions,
            transaction_timeout: changed.transaction_timeout,
            transaction_check_interval: changed.transaction_check_interval,
            transaction_metric_flush_interval: changed.transaction_metric_flush_interval,
            transaction_check_max: changed.transaction_check_max,
            transaction_max_age: changed.transaction_max_age,
            read_limits: changed.read_limits,
            settings: changed.settings,
            ..std::mem::take(self)
        };
    }

    /// What the links with name servers need of it.
    #[must_use]
    pub fn registration(&self) -> RegistrationConfig {
        RegistrationConfig {
            name_servers: self.name_servers.clone(),
            cluster_name: self.cluster.to_string(),
            broker_name: self.name.to_string(),
            broker_id: self.id,
            broker_addr: self.address.to_string(),
            ha_server_addr: self.ha_address.to_string(),
            period: self.register_period,
            timeout: self.register_timeout,
            ..RegistrationConfig::default()
        }
    }
}

impl Default for BrokerConfig {
    fn default() -> Self {
        Self {
            name: "broker-a".into(),
            cluster: "DefaultCluster".into(),
            id: 0,
            address: SocketAddr::from(([127, 0, 0, 1], 10911)),
            ha_address: "127.0.0.1:10912".into(),
            name_servers: Vec::new(),
            register_period: Millis::from_secs(30),
            register_timeout: Millis::from_secs(24),
            permission: 6,
            auto_create_topic: true,
            default_topic_queue_nums: 8,
            cluster_topic: true,
            broker_topic: true,
            auto_create_group: true,
            region: "DefaultRegion".into(),
            trace_on: true,
            trace_topic: None,
            mixed_message_type: false,
            flush_mode: FlushMode::Async,
            sync_flush_timeout: Millis::from_secs(5),
            max_message_size: 4 * 1024 * 1024,
            long_polling: true,
            short_polling_time: Millis::from_secs(1),
            lite_pull: true,
            delay_levels: "1s 5s 10s 30s 1m 2m 3m 4m 5m 6m 7m 8m 9m 10m 20m 30m 1h 2h".into(),
            flush_consumer_offset_interval: Millis::from_secs(5),
            flush_delay_offset_interval: Millis::from_secs(10),
            timer: TimerConfig::default(),
            recall: false,
            recall_when_not_writable: true,
            channel_expired_timeout: Millis::from_secs(120),
            notify_consumer_ids_changed: true,
            store_replies: true,
            reject_transactions: false,
            transaction_timeout: Millis::from_secs(6),
            transaction_check_interval: Millis::from_secs(30),
            transaction_metric_flush_interval: Millis::from_secs(10),
            transaction_check_max: 15,
            transaction_max_age: Millis::from_secs(72 * 3600),
            property_filter: false,
            server_load_balancer: true,
            remote_plugin_admin: false,
            load_balance_poll_interval: Millis::from_secs(30),
            filter_support_retry: false,
            filter_clean_span: Millis::from_secs(24 * 3600),
            filter_bloom: BloomFilter::new(20, 32),
            default_query_max_num: 32,
            max_msgs_num_batch: 64,
            use_server_side_reset_offset: true,
            broadcast: BroadcastConfig::default(),
            slave_read: false,
            read_limits: ReadLimits::default(),
            limits: TableLimits::default(),
            seed: 0,
            settings: SettingsText::default(),
            process: 0,
        }
    }
}
