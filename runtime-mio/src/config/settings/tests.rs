use std::collections::BTreeSet;

use super::*;
use crate::{
    config::{Origin, Place, Surroundings, key::Status, keys},
    server::Plan,
};

fn config(place: Place, set: &[(&str, &str)]) -> Config {
    let mut config = Config::new(place, Surroundings::made_up());
    for (key, value) in set {
        config.set(key, *value, Origin::Flag("test")).expect("a value that the key takes");
    }
    config
}

#[test]
fn a_broker_listens_twice_and_tells_where_it_is_reached() {
    let settings = BrokerSettings::new(&config(Place::Broker, &[("bindAddress", "127.0.0.1"), ("listenPort", "20911")])).expect("settings");
    assert_eq!(settings.listen, "127.0.0.1:20911".parse().expect("an address"));
    assert_eq!(settings.vip_listen, "127.0.0.1:20909".parse().ok());
    assert_eq!(settings.machine.address, "10.0.0.7:20911".parse().expect("an address"));
    assert_eq!(&*settings.machine.ha_address, "10.0.0.7:20912");
}

#[test]
fn a_port_with_nothing_two_below_it_has_no_vip_channel() {
    let settings = BrokerSettings::new(&config(Place::Broker, &[("listenPort", "2")])).expect("settings");
    assert_eq!(settings.vip_listen, None);
}

#[test]
fn the_keys_that_are_said_to_be_used_are_exactly_those_that_are_read() {
    for (place, plan) in [
        (Place::Broker, Plan::broker as fn(&Config) -> Result<Plan, ConfigError>),
        (Place::NameServer, Plan::name_server),
        (Place::Standalone, Plan::standalone),
    ] {
        let config = config(place, &[]);
        config.take_asked();
        plan(&config).expect("the defaults can be used");
        let with = |wanted: fn(&Status) -> bool| -> BTreeSet<_> {
            keys::of(place).filter(|key| wanted(&key.status)).map(|key| key.name.to_owned()).collect()
        };
        let used = with(|status| *status == Status::Used);
        // What can only have its default is read by some: it says the same as a constant would.
        let constant = with(|status| matches!(status, Status::OnlyDefault(_)));
        assert_eq!(&config.take_asked() - &constant, used, "{place:?}");
    }
}

#[test]
fn each_used_key_reaches_the_machine() {
    let set = [
        ("brokerName", "b1"),
        ("brokerClusterName", "c1"),
        ("namesrvAddr", "n1:9876;n2:9876"),
        ("registerNameServerPeriod", "20000"),
        ("registerBrokerTimeoutMills", "1000"),
        ("brokerPermission", "4"),
        ("autoCreateTopicEnable", "false"),
        ("defaultTopicQueueNums", "3"),
        ("clusterTopicEnable", "false"),
        ("brokerTopicEnable", "false"),
        ("autoCreateSubscriptionGroup", "false"),
        ("regionId", "r1"),
        ("traceOn", "false"),
        ("flushDiskType", "SYNC_FLUSH"),
        ("syncFlushTimeout", "77"),
        ("maxMessageSize", "1000"),
        ("longPollingEnable", "false"),
        ("shortPollingTimeMills", "78"),
        ("litePullMessageEnable", "false"),
        ("messageDelayLevel", "1s 2s"),
        ("flushConsumerOffsetInterval", "79"),
        ("flushDelayOffsetInterval", "80"),
        ("channelExpiredTimeout", "81"),
        ("notifyConsumerIdsChangedEnable", "false"),
        ("rejectTransactionMessage", "true"),
        ("transactionTimeOut", "83"),
        ("transactionCheckInterval", "84"),
        ("transactionMetricFlushInterval", "85"),
        ("transactionCheckMax", "5"),
        ("enablePropertyFilter", "true"),
        ("filterSupportRetry", "true"),
        ("filterDataCleanTimeSpan", "82"),
        ("maxErrorRateOfBloomFilter", "10"),
        ("expectConsumerNumUseFilter", "20"),
    ];
    let machine = BrokerSettings::new(&config(Place::Broker, &set)).expect("settings").machine;
    assert_eq!((&*machine.name, &*machine.cluster, &*machine.region, &*machine.delay_levels), ("b1", "c1", "r1", "1s 2s"));
    assert_eq!(machine.name_servers, ["n1:9876".into(), "n2:9876".into()]);
    assert_eq!((machine.register_period, machine.register_timeout), (Millis(20_000), Millis(1000)));
    assert_eq!((machine.permission, machine.default_topic_queue_nums, machine.max_message_size), (4, 3, 1000));
    assert_eq!(machine.flush_mode, FlushMode::Sync);
    let times = (machine.sync_flush_timeout, machine.short_polling_time, machine.flush_consumer_offset_interval);
    assert_eq!(times, (Millis(77), Millis(78), Millis(79)));
    assert_eq!((machine.flush_delay_offset_interval, machine.channel_expired_timeout), (Millis(80), Millis(81)));
    let switches = [
        machine.auto_create_topic,
        machine.cluster_topic,
        machine.broker_topic,
        machine.auto_create_group,
        machine.trace_on,
        machine.long_polling,
        machine.lite_pull,
        machine.notify_consumer_ids_changed,
    ];
    assert_eq!(switches, [false; 8]);
    assert_eq!((machine.reject_transactions, machine.transaction_check_max), (true, 5));
    assert_eq!((machine.transaction_timeout, machine.transaction_check_interval), (Millis(83), Millis(84)));
    assert_eq!(machine.transaction_metric_flush_interval, Millis(85));
    assert_eq!((machine.property_filter, machine.filter_support_retry), (true, true));
    assert_eq!((machine.filter_clean_span, machine.filter_bloom.bits()), (Millis(82), 96));
}

#[test]
fn reads_from_memory_reach_as_far_back_as_the_ratio_says() {
    let set = [
        ("accessMessageInMemoryMaxRatio", "40"),
        ("maxTransferBytesOnMessageInMemory", "1"),
        ("maxTransferCountOnMessageInMemory", "2"),
        ("maxTransferBytesOnMessageInDisk", "3"),
        ("maxTransferCountOnMessageInDisk", "4"),
        ("maxFilterMessageSize", "5"),
    ];
    let limits = BrokerSettings::new(&config(Place::Broker, &set)).expect("settings").machine.read_limits;
    let expected =
        ReadLimits { memory_bytes: 1, memory_count: 2, disk_bytes: 3, disk_count: 4, scan_bytes: 5, memory_window: 4_000_000_000 };
    assert_eq!(limits, expected);
}

#[test]
fn an_address_that_no_client_can_reach_is_refused() {
    let error = BrokerSettings::new(&config(Place::Broker, &[("brokerIP1", "0.0.0.0")])).unwrap_err();
    assert!(error.to_string().contains("brokerIP1=0.0.0.0"), "{error}");
}

#[test]
fn an_ipv6_address_has_brackets_before_its_port() {
    let settings = BrokerSettings::new(&config(Place::Broker, &[("brokerIP1", "::1"), ("brokerIP2", "::1")])).expect("settings");
    assert_eq!((settings.machine.address.to_string().as_str(), &*settings.machine.ha_address), ("[::1]:10911", "[::1]:10912"));
}

#[test]
fn each_used_key_reaches_the_name_server() {
    let set = [
        ("kvConfigPath", "/kv.json"),
        ("orderMessageEnable", "true"),
        ("returnOrderTopicConfigToBroker", "false"),
        ("scanNotActiveBrokerInterval", "7"),
        ("supportActingMaster", "true"),
        ("enableAllTopicList", "false"),
        ("enableTopicList", "false"),
        ("notifyMinBrokerIdChanged", "true"),
        ("needWaitForService", "true"),
        ("waitSecondsForService", "9"),
        ("deleteTopicWithBrokerRegistration", "true"),
    ];
    let settings = NameServerSettings::new(&config(Place::NameServer, &set), 9876).expect("settings");
    let expected = NameServerConfig {
        order_message_enable: true,
        return_order_topic_config_to_broker: false,
        scan_not_active_broker_interval: Millis(7),
        support_acting_master: true,
        enable_all_topic_list: false,
        enable_topic_list: false,
        notify_min_broker_id_changed: true,
        need_wait_for_service: true,
        wait_seconds_for_service: Millis(9000),
        delete_topic_with_broker_registration: true,
        settings: settings.live.text(),
        ..NameServerConfig::default()
    };
    assert_eq!((settings.machine, settings.kv_config_path), (expected, PathBuf::from("/kv.json")));
}

#[test]
fn the_longest_message_fits_a_frame() {
    let limits = broker_limits(&config(Place::Broker, &[("maxMessageSize", "67108864"), ("serverChannelMaxIdleTimeSeconds", "5")]));
    assert!(limits.frame > 67_108_864);
    assert_eq!(limits.idle, Millis(5000));
    assert_eq!(net_limits(&config(Place::NameServer, &[])).frame, NetLimits::default().frame);
}

#[test]
fn water_marks_of_zero_are_the_defaults() {
    let standard = NetLimits::default();
    let limits = broker_limits(&config(Place::Broker, &[]));
    assert_eq!((limits.high_water, limits.low_water), (standard.high_water, standard.low_water));
    let limits = broker_limits(&config(Place::Broker, &[("writeBufferHighWaterMark", "1000"), ("writeBufferLowWaterMark", "2000")]));
    assert_eq!((limits.high_water, limits.low_water), (1000, 1000));
}

#[test]
fn each_used_key_reaches_the_store() {
    let set = [
        ("storePathRootDir", "/s"),
        ("mappedFileSizeCommitLog", "8192"),
        ("mappedFileSizeConsumeQueue", "200"),
        ("maxMessageSize", "1000"),
        ("flushDiskType", "SYNC_FLUSH"),
        ("flushIntervalCommitLog", "1"),
        ("flushCommitLogLeastPages", "2"),
        ("flushCommitLogThoroughInterval", "3"),
        ("flushIntervalConsumeQueue", "5"),
        ("messageDelayLevel", "1s 2s"),
    ];
    let store = BrokerSettings::new(&config(Place::Broker, &set)).expect("settings").store;
    assert_eq!((store.store_path_root_dir.as_path(), store.commit_log_dir()), ("/s".as_ref(), "/s/commitlog".into()));
    assert_eq!((store.mapped_file_size_commit_log, store.mapped_file_size_consume_queue, store.max_message_size), (8192, 200, 1000));
    assert_eq!((store.flush_disk_type, store.flush_commit_log_least_pages), (FlushDiskType::SyncFlush, 2));
    let spans = [store.flush_interval_commit_log, store.flush_commit_log_thorough_interval, store.flush_interval_consume_queue];
    assert_eq!(spans, [1, 3, 5].map(Duration::from_millis));
    assert_eq!(store.message_delay_level.max_level(), 2);
}
