//! Settings with types, made from the values of keys: what machines, store and sockets are started with.

use std::{net::SocketAddr, path::PathBuf, process, time::Duration};

use proto_core::{bloom::BloomFilter, delay::DelayLevels};
use route_core::{
    broker::{
        broadcast_offsets::BroadcastConfig,
        config::{BrokerConfig, FlushMode},
        read::ReadLimits,
        timer::{TimerConfig, TimerRules},
    },
    name_server::NameServerConfig,
    registration::RegistrationConfig,
    time::Millis,
};
use store::{DeleteWhen, ExpiryPolicy, FlushDiskType, StoreConfig};

use super::{Config, ConfigError, LiveConfig, Place};
use crate::limits::NetLimits;

/// Room that a frame needs beside the longest message: headers and properties.
const FRAME_EXTRA: usize = 256 * 1024;

/// How far below `listenPort` a broker listens for clients that are set to its VIP channel.
const VIP_DISTANCE: u16 = 2;

/// A broker to be started.
#[derive(Clone, Debug)]
pub struct BrokerSettings {
    /// What the machine is started with.
    pub machine: BrokerConfig,
    /// What its store is opened with.
    pub store: StoreConfig,
    /// Where it listens: `bindAddress:listenPort`.
    pub listen: SocketAddr,
    /// Where it listens too, for clients with `vipChannelEnabled`; `None` if there is no such port.
    pub vip_listen: Option<SocketAddr>,
    /// What requests show and change of all that.
    pub live: LiveConfig,
}

impl BrokerSettings {
    /// Makes a broker's settings.
    ///
    /// # Errors
    /// A value that cannot be worked with.
    pub fn new(config: &Config) -> Result<Self, ConfigError> {
        let port: u16 = config.number("listenPort");
        let bind = config.address("bindAddress")?;
        let address = SocketAddr::new(config.host("brokerIP1")?, port);
        if address.ip().is_unspecified() {
            return Err(config.wrong("brokerIP1", "an address that clients can reach"));
        }
        let machine = BrokerConfig { address, ..machine_config(config) };
        let live = LiveConfig::new(config, Place::Broker);
        let machine = BrokerConfig { settings: live.text(), ..machine };
        let vip_port = port.checked_sub(VIP_DISTANCE).filter(|port| *port > 0);
        Ok(Self {
            machine,
            store: store_config(config)?,
            listen: SocketAddr::new(bind, port),
            vip_listen: vip_port.map(|port| SocketAddr::new(bind, port)),
            live,
        })
    }
}

/// All that a machine is told of a broker's configuration, but for its own address, which may have to be looked up.
fn machine_config(config: &Config) -> BrokerConfig {
    let millis = |name| Millis(config.number(name));
    BrokerConfig {
        name: config.text("brokerName").into(),
        cluster: config.text("brokerClusterName").into(),
        id: config.number("brokerId"),
        ha_address: host_and_port(config.text("brokerIP2"), config.number("haListenPort")).into(),
        name_servers: RegistrationConfig::addresses(config.text("namesrvAddr")),
        register_period: millis("registerNameServerPeriod"),
        register_timeout: millis("registerBrokerTimeoutMills"),
        permission: config.number("brokerPermission"),
        auto_create_topic: config.switch("autoCreateTopicEnable"),
        default_topic_queue_nums: config.number("defaultTopicQueueNums"),
        cluster_topic: config.switch("clusterTopicEnable"),
        broker_topic: config.switch("brokerTopicEnable"),
        auto_create_group: config.switch("autoCreateSubscriptionGroup"),
        region: config.text("regionId").into(),
        trace_on: config.switch("traceOn"),
        trace_topic: Some(config.text("msgTraceTopicName").into()).filter(|_| config.switch("traceTopicEnable")),
        mixed_message_type: config.switch("enableMixedMessageType"),
        flush_mode: if config.text("flushDiskType") == "SYNC_FLUSH" { FlushMode::Sync } else { FlushMode::Async },
        sync_flush_timeout: millis("syncFlushTimeout"),
        max_message_size: config.number("maxMessageSize"),
        long_polling: config.switch("longPollingEnable"),
        short_polling_time: millis("shortPollingTimeMills"),
        lite_pull: config.switch("litePullMessageEnable"),
        delay_levels: config.text("messageDelayLevel").into(),
        flush_consumer_offset_interval: millis("flushConsumerOffsetInterval"),
        flush_delay_offset_interval: millis("flushDelayOffsetInterval"),
        timer: timer_config(config),
        recall: config.switch("recallMessageEnable"),
        recall_when_not_writable: config.switch("allowRecallWhenBrokerNotWriteable"),
        store_replies: config.switch("storeReplyMessageEnable"),
        channel_expired_timeout: millis("channelExpiredTimeout"),
        notify_consumer_ids_changed: config.switch("notifyConsumerIdsChangedEnable"),
        reject_transactions: config.switch("rejectTransactionMessage"),
        transaction_timeout: millis("transactionTimeOut"),
        transaction_check_interval: millis("transactionCheckInterval"),
        transaction_metric_flush_interval: millis("transactionMetricFlushInterval"),
        transaction_check_max: config.number("transactionCheckMax"),
        transaction_max_age: Millis(config.number::<u64>("fileReservedTime").saturating_mul(3_600_000)),
        property_filter: config.switch("enablePropertyFilter"),
        remote_plugin_admin: config.switch("pluginAdminRemoteEnable"),
        server_load_balancer: config.switch("serverLoadBalancerEnable"),
        load_balance_poll_interval: millis("loadBalancePollNameServerInterval"),
        filter_support_retry: config.switch("filterSupportRetry"),
        filter_clean_span: millis("filterDataCleanTimeSpan"),
        filter_bloom: BloomFilter::new(config.number("maxErrorRateOfBloomFilter"), config.number("expectConsumerNumUseFilter")),
        default_query_max_num: config.number("defaultQueryMaxNum"),
        max_msgs_num_batch: config.number("maxMsgsNumBatch"),
        use_server_side_reset_offset: config.switch("useServerSideResetOffset"),
        broadcast: BroadcastConfig {
            enabled: config.switch("enableBroadcastOffsetStore"),
            expire: Millis::from_secs(config.number("broadcastOffsetExpireSecond")),
            expire_max: Millis::from_secs(config.number("broadcastOffsetExpireMaxSecond")),
        },
        slave_read: config.switch("slaveReadEnable"),
        read_limits: read_limits(config),
        // Which queue a careless sender gets need not be foretold, but should differ from start to start.
        seed: u64::from(process::id()),
        process: process::id(),
        ..BrokerConfig::default()
    }
}

/// The configuration of a broker that runs, of which counts what may change.
#[must_use]
pub fn changed_machine(live: &LiveConfig) -> BrokerConfig {
    BrokerConfig { settings: live.text(), ..machine_config(live.config()) }
}

/// The configuration of a store that is open, of which counts what may change.
///
/// # Errors
/// A value that cannot be worked with.
pub fn changed_store(live: &LiveConfig) -> Result<StoreConfig, ConfigError> {
    store_config(live.config())
}

/// The configuration of a name server that runs, of which counts what may change.
#[must_use]
pub fn changed_name_server(live: &LiveConfig) -> NameServerConfig {
    NameServerConfig { settings: live.text(), ..name_server_config(live.config()) }
}

/// A name server to be started.
#[derive(Clone, Debug)]
pub struct NameServerSettings {
    /// What the machine is started with.
    pub machine: NameServerConfig,
    /// Where it listens.
    pub listen: SocketAddr,
    /// `kvConfigPath`: the file of its KV configuration.
    pub kv_config_path: PathBuf,
    /// What requests show and change of all that.
    pub live: LiveConfig,
}

impl NameServerSettings {
    /// Makes a name server's settings. Beside a broker it does not listen on `listenPort`, so the port is told.
    ///
    /// # Errors
    /// A value that cannot be worked with.
    pub fn new(config: &Config, port: u16) -> Result<Self, ConfigError> {
        let live = LiveConfig::new(config, Place::NameServer);
        let machine = NameServerConfig { settings: live.text(), ..name_server_config(config) };
        let listen = SocketAddr::new(config.address("bindAddress")?, port);
        Ok(Self { machine, listen, kv_config_path: config.path("kvConfigPath"), live })
    }
}

fn name_server_config(config: &Config) -> NameServerConfig {
    NameServerConfig {
        order_message_enable: config.switch("orderMessageEnable"),
        return_order_topic_config_to_broker: config.switch("returnOrderTopicConfigToBroker"),
        scan_not_active_broker_interval: Millis(config.number("scanNotActiveBrokerInterval")),
        support_acting_master: config.switch("supportActingMaster"),
        enable_all_topic_list: config.switch("enableAllTopicList"),
        enable_topic_list: config.switch("enableTopicList"),
        notify_min_broker_id_changed: config.switch("notifyMinBrokerIdChanged"),
        need_wait_for_service: config.switch("needWaitForService"),
        wait_seconds_for_service: Millis::from_secs(config.number("waitSecondsForService")),
        delete_topic_with_broker_registration: config.switch("deleteTopicWithBrokerRegistration"),
        ..NameServerConfig::default()
    }
}

/// The limits of a loop that serves a broker: a frame holds the longest message with its header.
#[must_use]
pub fn broker_limits(config: &Config) -> NetLimits {
    let limits = net_limits(config);
    let longest = config.number::<usize>("maxMessageSize").saturating_add(FRAME_EXTRA);
    NetLimits { frame: limits.frame.max(longest), ..limits }
}

/// The limits of a loop that serves no messages.
#[must_use]
pub fn net_limits(config: &Config) -> NetLimits {
    let standard = NetLimits::default();
    // Zero means the default, as for Netty.
    let water = |name, default| match config.number(name) {
        0 => default,
        set => set,
    };
    let high_water: usize = water("writeBufferHighWaterMark", standard.high_water);
    NetLimits {
        high_water,
        low_water: water("writeBufferLowWaterMark", standard.low_water).min(high_water),
        outbound: standard.outbound.max(high_water.saturating_mul(2)),
        backlog: config.number("serverSocketBacklog"),
        idle: Millis::from_secs(config.number("serverChannelMaxIdleTimeSeconds")),
        dial: Millis(config.number("connectTimeoutMillis")),
        ..standard
    }
}

fn store_config(config: &Config) -> Result<StoreConfig, ConfigError> {
    let span = |name| Duration::from_millis(config.number(name));
    let levels = config.text("messageDelayLevel");
    let standard = StoreConfig::new(config.path("storePathRootDir"));
    Ok(StoreConfig {
        store_path_commit_log: Some(config.path("storePathCommitLog")),
        mapped_file_size_commit_log: config.number("mappedFileSizeCommitLog"),
        mapped_file_size_consume_queue: config.number("mappedFileSizeConsumeQueue"),
        max_message_size: config.number("maxMessageSize"),
        enabled_append_prop_crc: config.switch("enabledAppendPropCRC"),
        force_verify_prop_crc: config.switch("forceVerifyPropCRC"),
        flush_disk_type: if config.text("flushDiskType") == "SYNC_FLUSH" { FlushDiskType::SyncFlush } else { FlushDiskType::AsyncFlush },
        flush_interval_commit_log: span("flushIntervalCommitLog"),
        flush_commit_log_least_pages: config.number("flushCommitLogLeastPages"),
        flush_commit_log_thorough_interval: span("flushCommitLogThoroughInterval"),
        flush_interval_consume_queue: span("flushIntervalConsumeQueue"),
        message_index_enable: ["messageIndexEnable", "indexFileReadEnable", "indexFileWriteEnable"].iter().all(|name| config.switch(name)),
        max_hash_slot_num: config.number("maxHashSlotNum"),
        max_index_num: config.number("maxIndexNum"),
        // Zero means the default, which the system's own limit gives.
        max_mapped_files: match config.number("maxMappedFiles") {
            0 => standard.max_mapped_files,
            set => set,
        },
        close_timeout: span("storeCloseTimeout"),
        cached_log: config.surroundings().memory / 3,
        expiry: expiry_policy(config)?,
        message_delay_level: DelayLevels::parse(levels).map_err(|why| config.wrong("messageDelayLevel", why.to_string()))?,
        ..standard
    })
}

fn expiry_policy(config: &Config) -> Result<ExpiryPolicy, ConfigError> {
    let millis = |name| Millis(config.number(name));
    Ok(ExpiryPolicy {
        file_reserved_time: Millis::from_secs(config.number::<u64>("fileReservedTime").saturating_mul(3600)),
        delete_when: DeleteWhen::parse(config.text("deleteWhen")).map_err(|why| config.wrong("deleteWhen", why))?,
        disk_max_used_space_ratio: config.number("diskMaxUsedSpaceRatio"),
        disk_space_clean_forcibly_ratio: config.number("diskSpaceCleanForciblyRatio"),
        disk_space_warning_level_ratio: config.number("diskSpaceWarningLevelRatio"),
        clean_file_forcibly_enable: config.switch("cleanFileForciblyEnable"),
        clean_resource_interval: millis("cleanResourceInterval"),
        delete_commit_log_files_interval: millis("deleteCommitLogFilesInterval"),
        delete_consume_queue_files_interval: millis("deleteConsumeQueueFilesInterval"),
        delete_file_batch_max: config.number("deleteFileBatchMax"),
        redelete_hanged_file_interval: millis("redeleteHangedFileInterval"),
    })
}

fn timer_config(config: &Config) -> TimerConfig {
    let rules = TimerRules::new(
        Millis(config.number("timerPrecisionMs")),
        Millis::from_secs(config.number("timerMaxDelaySec")),
        config.number("timerRollWindowSlot"),
        Millis::from_secs(config.number::<u64>("fileReservedTime").saturating_mul(3600)),
    );
    TimerConfig {
        enabled: config.switch("timerWheelEnable"),
        rules,
        congest_num: config.number("timerCongestNumEachSlot"),
        topic_in_delete_key: config.switch("appendTopicForTimerDeleteKey"),
        stop_enqueue: config.switch("timerStopEnqueue"),
        stop_dequeue: config.switch("timerStopDequeue"),
        flush_interval: Millis(config.number("timerFlushIntervalMs")),
        ..TimerConfig::default()
    }
}

fn read_limits(config: &Config) -> ReadLimits {
    let ratio: u64 = config.number("accessMessageInMemoryMaxRatio");
    ReadLimits {
        memory_bytes: config.number("maxTransferBytesOnMessageInMemory"),
        memory_count: config.number("maxTransferCountOnMessageInMemory"),
        disk_bytes: config.number("maxTransferBytesOnMessageInDisk"),
        disk_count: config.number("maxTransferCountOnMessageInDisk"),
        scan_bytes: config.number("maxFilterMessageSize"),
        memory_window: i64::try_from(config.surroundings().memory / 100 * ratio).unwrap_or(i64::MAX),
    }
}

fn host_and_port(host: &str, port: u16) -> String {
    // An IPv6 address needs its brackets before a port.
    if host.contains(':') && !host.starts_with('[') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

#[cfg(test)]
mod tests;
