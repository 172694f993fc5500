//! Settings with types, made from the values of keys: what machines, store and sockets are started with.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::Arc,
};

use proto_core::delay::DelayLevels;
use route_core::{
    broker::{
        config::{BrokerConfig, FlushMode},
        read::ReadLimits,
    },
    name_server::NameServerConfig,
    registration::RegistrationConfig,
    time::Millis,
};

use super::{ConfigError, values::Values};
use crate::limits::NetLimits;

/// Longest time span that a key may set, in milliseconds: a year.
const YEAR_MS: i64 = 365 * 24 * 3600 * 1000;

/// A broker to be started.
#[derive(Debug)]
pub struct BrokerSettings {
    /// What the machine is started with.
    pub machine: BrokerConfig,
    /// Where it listens: `bindAddress:listenPort`.
    pub listen: SocketAddr,
    /// Where it listens as well, for clients with `vipChannelEnabled`; `None` if the port would not exist.
    pub vip_listen: Option<SocketAddr>,
}

/// A name server to be started.
#[derive(Debug)]
pub struct NameServerSettings {
    /// What the machine is started with.
    pub machine: NameServerConfig,
    /// `kvConfigPath`
    pub kv_config_path: PathBuf,
    /// Where it listens.
    pub listen: SocketAddr,
}

impl BrokerSettings {
    /// Makes the settings of a broker.
    ///
    /// # Errors
    /// The first value that cannot be used.
    pub fn new(values: &Values) -> Result<Self, ConfigError> {
        let port: u16 = values.number("listenPort", 1..=65535)?;
        let bind = bind_address(values)?;
        let address = SocketAddr::new(reachable_address(values, "brokerIP1")?, port);
        let role = values.text("brokerRole")?;
        if role == "SLAVE" {
            return Err(values.refused("brokerRole", role, "replication is not here yet, so this broker cannot follow a master"));
        }
        let machine = BrokerConfig {
            name: identity(values, "brokerName")?,
            cluster: identity(values, "brokerClusterName")?,
            id: master_id(values)?,
            address,
            ha_address: ha_address(values, port)?,
            name_servers: RegistrationConfig::addresses(&values.text("namesrvAddr")?),
            register_period: millis(values, "registerNameServerPeriod")?,
            register_timeout: millis(values, "registerBrokerTimeoutMills")?,
            permission: values.number("brokerPermission", 0..=7)?,
            auto_create_topic: values.switch("autoCreateTopicEnable")?,
            default_topic_queue_nums: values.number("defaultTopicQueueNums", 1..=65535)?,
            cluster_topic: values.switch("clusterTopicEnable")?,
            broker_topic: values.switch("brokerTopicEnable")?,
            auto_create_group: values.switch("autoCreateSubscriptionGroup")?,
            region: values.text("regionId")?.into(),
            trace_on: values.switch("traceOn")?,
            flush_mode: if values.text("flushDiskType")? == "SYNC_FLUSH" { FlushMode::Sync } else { FlushMode::Async },
            sync_flush_timeout: millis(values, "syncFlushTimeout")?,
            max_message_size: values.number("maxMessageSize", 1..=16 << 20)?,
            long_polling: values.switch("longPollingEnable")?,
            short_polling_time: millis(values, "shortPollingTimeMills")?,
            lite_pull: values.switch("litePullMessageEnable")?,
            delay_levels: delay_levels(values)?,
            flush_consumer_offset_interval: millis(values, "flushConsumerOffsetInterval")?,
            flush_delay_offset_interval: millis(values, "flushDelayOffsetInterval")?,
            channel_expired_timeout: millis(values, "channelExpiredTimeout")?,
            notify_consumer_ids_changed: values.switch("notifyConsumerIdsChangedEnable")?,
            read_limits: read_limits(values)?,
            process: std::process::id(),
            ..BrokerConfig::default()
        };
        let vip_listen = port.checked_sub(2).filter(|port| *port > 0).map(|port| SocketAddr::new(bind, port));
        Ok(Self { machine, listen: SocketAddr::new(bind, port), vip_listen })
    }
}

impl NameServerSettings {
    /// Makes the settings of a name server that listens on `port`.
    ///
    /// # Errors
    /// The first value that cannot be used.
    pub fn new(values: &Values, port: u16) -> Result<Self, ConfigError> {
        let machine = NameServerConfig {
            order_message_enable: values.switch("orderMessageEnable")?,
            return_order_topic_config_to_broker: values.switch("returnOrderTopicConfigToBroker")?,
            scan_not_active_broker_interval: millis(values, "scanNotActiveBrokerInterval")?,
            support_acting_master: values.switch("supportActingMaster")?,
            enable_all_topic_list: values.switch("enableAllTopicList")?,
            enable_topic_list: values.switch("enableTopicList")?,
            notify_min_broker_id_changed: values.switch("notifyMinBrokerIdChanged")?,
            need_wait_for_service: values.switch("needWaitForService")?,
            wait_seconds_for_service: Millis::from_secs(values.number("waitSecondsForService", 0..=86_400)?),
            delete_topic_with_broker_registration: values.switch("deleteTopicWithBrokerRegistration")?,
            ..NameServerConfig::default()
        };
        let listen = SocketAddr::new(bind_address(values)?, port);
        Ok(Self { machine, kv_config_path: values.text("kvConfigPath")?.into(), listen })
    }
}

/// Limits of the loop.
///
/// # Errors
/// The first value that cannot be used.
pub fn net_limits(values: &Values) -> Result<NetLimits, ConfigError> {
    let limits = NetLimits::default();
    // Zero means the default, as for Netty.
    let water = |name, default: usize| -> Result<usize, ConfigError> {
        let set: usize = values.number(name, 0..=1 << 30)?;
        Ok(if set == 0 { default } else { set })
    };
    let high_water = water("writeBufferHighWaterMark", limits.high_water)?;
    Ok(NetLimits {
        high_water,
        low_water: water("writeBufferLowWaterMark", limits.low_water)?.min(high_water),
        outbound: limits.outbound.max(high_water.saturating_mul(2)),
        idle: Millis::from_secs(values.number("serverChannelMaxIdleTimeSeconds", 0..=YEAR_MS / 1000)?),
        dial: Millis(values.number("connectTimeoutMillis", 1..=600_000)?),
        ..limits
    })
}

/// The port of a name server that stands alone: 9876 unless `listenPort` is set.
///
/// # Errors
/// The value is no port.
pub fn name_server_port(values: &Values) -> Result<u16, ConfigError> {
    if values.is_set("listenPort") { values.number("listenPort", 1..=65535) } else { Ok(DEFAULT_NAME_SERVER_PORT) }
}

/// RocketMQ's port of name servers.
pub const DEFAULT_NAME_SERVER_PORT: u16 = 9876;

fn millis(values: &Values, name: &'static str) -> Result<Millis, ConfigError> {
    values.number(name, 0..=YEAR_MS).map(Millis)
}

fn bind_address(values: &Values) -> Result<IpAddr, ConfigError> {
    ip(values, "bindAddress")
}

fn ip(values: &Values, name: &'static str) -> Result<IpAddr, ConfigError> {
    let text = values.text(name)?;
    text.parse().map_err(|_| values.malformed(name, text, "an IP address".to_owned()))
}

/// An address that clients are told. A name is looked up now: it becomes part of message ids.
fn reachable_address(values: &Values, name: &'static str) -> Result<IpAddr, ConfigError> {
    let text = values.text(name)?;
    if let Ok(ip) = text.parse() {
        return Ok(ip);
    }
    let found = std::net::ToSocketAddrs::to_socket_addrs(&(text.as_str(), 0)).ok().and_then(|mut addrs| addrs.next());
    found.map(|addr| addr.ip()).ok_or_else(|| values.malformed(name, text, "an IP address or a name that has one".to_owned()))
}

/// `brokerIP2:haListenPort`; the port is the one after the broker's unless it is set.
fn ha_address(values: &Values, port: u16) -> Result<Arc<str>, ConfigError> {
    let ip = reachable_address(values, "brokerIP2")?;
    let set: u16 = values.number("haListenPort", 1..=65535)?;
    let ha_port = if values.is_set("haListenPort") { set } else { port.saturating_add(1) };
    Ok(format!("{ip}:{ha_port}").into())
}

/// A name that becomes part of routes.
fn identity(values: &Values, name: &'static str) -> Result<Arc<str>, ConfigError> {
    let text = values.text(name)?;
    let plain = !text.is_empty() && text.len() <= 255 && !text.contains(|c: char| c.is_control() || c.is_whitespace());
    if plain { Ok(text.into()) } else { Err(values.malformed(name, text, "a name without spaces".to_owned())) }
}

/// A master has the number 0, whatever is set, as in RocketMQ; a number above it is meant for a slave and refused.
fn master_id(values: &Values) -> Result<i64, ConfigError> {
    let id: i64 = values.number("brokerId", 0..=i64::MAX)?;
    if id == 0 {
        return Ok(0);
    }
    Err(values.refused("brokerId", id.to_string(), "only slaves have a number above 0, and replication is not here yet"))
}

fn delay_levels(values: &Values) -> Result<Arc<str>, ConfigError> {
    let text = values.text("messageDelayLevel")?;
    match DelayLevels::parse(&text) {
        Ok(_) => Ok(text.into()),
        Err(error) => Err(values.malformed("messageDelayLevel", text, format!("delays like 1s 5m 2h: {error}"))),
    }
}

fn read_limits(values: &Values) -> Result<ReadLimits, ConfigError> {
    let ratio: i64 = values.number("accessMessageInMemoryMaxRatio", 0..=100)?;
    let memory = i64::try_from(values.host().memory).unwrap_or(i64::MAX);
    Ok(ReadLimits {
        memory_bytes: values.number("maxTransferBytesOnMessageInMemory", 1..=1 << 24)?,
        memory_count: values.number("maxTransferCountOnMessageInMemory", 1..=1 << 20)?,
        disk_bytes: values.number("maxTransferBytesOnMessageInDisk", 1..=1 << 24)?,
        disk_count: values.number("maxTransferCountOnMessageInDisk", 1..=1 << 20)?,
        scan_bytes: values.number("maxFilterMessageSize", 20..=1 << 24)?,
        memory_window: memory / 100 * ratio,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{file::parse, host::Host, keys::Program};

    fn broker(text: &str) -> Result<BrokerSettings, ConfigError> {
        let mut values = Values::new(Program::Broker, Host::example());
        values.set_all(parse("broker.conf", text.as_bytes())?)?;
        BrokerSettings::new(&values)
    }

    #[test]
    fn an_empty_file_gives_javas_broker_on_this_machine() {
        let settings = broker("").unwrap();
        assert_eq!(settings.listen, "0.0.0.0:10911".parse().unwrap());
        assert_eq!(settings.vip_listen, "0.0.0.0:10909".parse().ok());
        assert_eq!(settings.machine.address, "10.0.0.7:10911".parse().unwrap());
        assert_eq!(&*settings.machine.ha_address, "10.0.0.7:10912");
        assert_eq!((&*settings.machine.name, &*settings.machine.cluster), ("box", "DefaultCluster"));
    }

    #[test]
    fn keys_reach_the_settings() {
        let text = "brokerName=broker-a\nlistenPort=20911\nbrokerIP1=127.0.0.1\nnamesrvAddr=a:9876;b:9876\nflushDiskType=SYNC_FLUSH\n\
                    maxMessageSize=65536\nmessageDelayLevel=1s 2s\n";
        let BrokerSettings { machine, listen, .. } = broker(text).unwrap();
        assert_eq!((listen.port(), machine.address), (20911, "127.0.0.1:20911".parse().unwrap()));
        assert_eq!(machine.name_servers, ["a:9876".into(), "b:9876".into()] as [Arc<str>; 2]);
        assert_eq!((machine.flush_mode, machine.max_message_size, &*machine.delay_levels), (FlushMode::Sync, 65536, "1s 2s"));
    }

    #[test]
    fn a_slave_is_refused_rather_than_started_as_a_second_master() {
        assert!(broker("brokerRole=SLAVE\nbrokerId=1\n").unwrap_err().to_string().contains("brokerRole=SLAVE is refused"));
        assert!(broker("brokerId=1\n").unwrap_err().to_string().starts_with("broker.conf:1: brokerId=1 is refused"));
    }

    #[test]
    fn values_out_of_range_are_named() {
        for (text, start) in [
            ("messageDelayLevel=1x\n", "broker.conf:1: messageDelayLevel=1x: expected delays like"),
            ("bindAddress=here\n", "broker.conf:1: bindAddress=here: expected an IP address"),
            ("brokerName=\n", "broker.conf:1: brokerName=: expected a name"),
            ("syncFlushTimeout=-1\n", "broker.conf:1: syncFlushTimeout=-1: expected a number from 0"),
        ] {
            let error = broker(text).unwrap_err().to_string();
            assert!(error.starts_with(start), "{error}");
        }
    }

    #[test]
    fn a_name_server_has_its_own_port() {
        let mut values = Values::new(Program::NameServer, Host::example());
        assert_eq!(name_server_port(&values).unwrap(), 9876);
        values.set_all(parse("namesrv.conf", b"listenPort=19876\nkvConfigPath=/tmp/kv.json\n").unwrap()).unwrap();
        let settings = NameServerSettings::new(&values, name_server_port(&values).unwrap()).unwrap();
        assert_eq!(settings.listen, "0.0.0.0:19876".parse().unwrap());
        assert_eq!(settings.kv_config_path, PathBuf::from("/tmp/kv.json"));
    }
}
