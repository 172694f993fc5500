//! The smallest cluster: a name server and a broker.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use bytes::Bytes;
use proto_core::code::RequestCode;
use route_core::{
    Millis, Storage,
    broker::{
        Broker,
        config::{BrokerConfig, FlushMode},
    },
    name_server::{NameServer, config::NameServerConfig},
    output::Table,
    storage::{
        LogOffset,
        memory::{MemoryStorage, Visibility},
    },
};

use crate::{
    client::TestClient,
    cluster::{Cluster, NodeId},
    packet::Packet,
    plugins::TestPlugins,
};

/// The broker as tests run it: with its log in memory.
pub type TestBroker = Broker<MemoryStorage>;

const NAMES: &str = "10.0.1.1:9876";
const BROKER: &str = "10.1.0.1:10911";

/// A name server and a broker that is registered with it.
pub struct Pair {
    /// Both, with their network and clock.
    pub cluster: Cluster,
    /// The name server.
    pub names: NodeId,
    /// The broker.
    pub broker: NodeId,
    config: BrokerConfig,
    plugins: TestPlugins,
}

impl Default for Pair {
    fn default() -> Self {
        Self::new()
    }
}

impl Pair {
    /// With RocketMQ's defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    /// With some settings of the broker changed.
    #[must_use]
    pub fn with(change: impl FnOnce(&mut BrokerConfig)) -> Self {
        let mut cluster = Cluster::default();
        let names = cluster.start(address(NAMES), Box::new(name_server(&cluster, None)));
        let mut config = BrokerConfig { address: address(BROKER), name_servers: vec![NAMES.into()], ..BrokerConfig::default() };
        change(&mut config);
        let plugins = TestPlugins::default();
        let machine = broker(&cluster, &config, &plugins, empty_log(&config), &BTreeMap::new());
        let broker = cluster.start(config.address, Box::new(machine));
        let mut pair = Self { cluster, names, broker, config, plugins };
        pair.register();
        pair
    }

    /// A client of the cluster.
    pub fn client(&mut self) -> TestClient {
        TestClient::new(&mut self.cluster)
    }

    /// One more master, registered too.
    pub fn add_broker(&mut self, name: &str, at: &str) -> NodeId {
        let config = BrokerConfig { name: name.into(), address: address(at), ..self.config.clone() };
        let machine = broker(&self.cluster, &config, &self.plugins, empty_log(&config), &BTreeMap::new());
        let node = self.cluster.start(config.address, Box::new(machine));
        self.register();
        node
    }

    /// Kills the broker's process and starts it again on what was on its disk: the log, and the tables that were saved.
    pub fn restart_broker(&mut self) {
        let log = std::mem::take(self.cluster.machine::<TestBroker>(self.broker).storage_mut());
        let tables = self.cluster.kill(self.broker);
        self.cluster.drive();
        let machine = broker(&self.cluster, &self.config, &self.plugins, log, &tables);
        self.cluster.restart(self.broker, Box::new(machine));
        self.register();
    }

    /// Kills the broker's process before any of its tables was saved, and starts it again on its log.
    pub fn restart_broker_without_tables(&mut self) {
        let log = std::mem::take(self.cluster.machine::<TestBroker>(self.broker).storage_mut());
        self.cluster.kill(self.broker);
        self.cluster.drive();
        let machine = broker(&self.cluster, &self.config, &self.plugins, log, &BTreeMap::new());
        self.cluster.restart(self.broker, Box::new(machine));
        self.register();
    }

    /// The broker's machine dies and takes the log from `end` on with it; the broker starts again on the rest.
    pub fn crash_broker_at(&mut self, end: LogOffset) {
        let log = std::mem::take(self.cluster.machine::<TestBroker>(self.broker).storage_mut());
        let tables = self.cluster.kill(self.broker);
        self.cluster.drive();
        let machine = broker(&self.cluster, &self.config, &self.plugins, log.after_a_crash_at(end), &tables);
        self.cluster.restart(self.broker, Box::new(machine));
        self.register();
    }

    /// Kills the name server's process and starts it again.
    pub fn restart_names(&mut self) {
        let tables = self.cluster.kill(self.names);
        self.cluster.drive();
        let saved = tables.get(&Table::KvConfig);
        let machine = name_server(&self.cluster, saved.map(|content| content.as_ref()));
        self.cluster.restart(self.names, Box::new(machine));
        self.cluster.drive();
    }

    /// What the name server tells about a topic to a client of version 5.
    #[track_caller]
    pub fn route(&mut self, client: TestClient, topic: &str) -> Packet {
        client.ask(&mut self.cluster, self.names, RequestCode::GetRouteinfoByTopic, &[("topic", topic)])
    }

    /// How far a group has come in a queue, if the broker says so.
    #[track_caller]
    pub fn stored_offset(&mut self, client: TestClient, group: &str, topic: &str, queue: i32) -> Option<i64> {
        let queue = queue.to_string();
        let fields = [("consumerGroup", group), ("topic", topic), ("queueId", &queue)];
        let answer = client.ask(&mut self.cluster, self.broker, RequestCode::QueryConsumerOffset, &fields);
        match answer.code {
            0 => Some(answer.number("offset")),
            22 => None,
            _ => panic!("{answer:?}"),
        }
    }

    /// Where the broker's log ends.
    pub fn log_end(&mut self) -> LogOffset {
        self.cluster.machine::<TestBroker>(self.broker).storage().log_bounds().1
    }

    /// The disk has everything now.
    pub fn flush(&mut self) {
        let end = self.log_end();
        self.flush_up_to(end);
    }

    /// The disk has the log up to here.
    pub fn flush_up_to(&mut self, end: LogOffset) {
        self.cluster.poke::<TestBroker>(self.broker, |broker, now| broker.handle_durable(now, end));
        self.cluster.drive();
    }

    /// What the brokers have installed.
    #[must_use]
    pub const fn plugins(&self) -> &TestPlugins {
        &self.plugins
    }

    /// Changes what is installed, and tells the broker.
    pub fn change_plugins(&mut self, change: impl FnOnce(&TestPlugins)) {
        change(&self.plugins);
        self.cluster.poke::<TestBroker>(self.broker, |broker, now| broker.handle_plugins_changed(now));
        self.cluster.drive();
    }

    /// Gives brokers the time to register.
    fn register(&mut self) {
        self.cluster.advance(Millis(100));
    }
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn empty_log(config: &BrokerConfig) -> MemoryStorage {
    MemoryStorage::new(match config.flush_mode {
        FlushMode::Async => Visibility::OnAppend,
        FlushMode::Sync => Visibility::OnDurable,
    })
}

fn name_server(cluster: &Cluster, keys: Option<&[u8]>) -> NameServer {
    NameServer::new(cluster.now(), NameServerConfig::default(), keys).expect("what it saved can be read")
}

/// A broker on what a process before it has left: its log and its tables.
fn broker(
    cluster: &Cluster,
    config: &BrokerConfig,
    plugins: &TestPlugins,
    log: MemoryStorage,
    tables: &BTreeMap<Table, Bytes>,
) -> TestBroker {
    let noted = log.noted().to_vec();
    let mut broker =
        Broker::with_plugins(cluster.now(), config.clone(), log, Arc::new(plugins.clone())).expect("the configuration is good");
    for (table, content) in tables {
        broker.load(*table, content).expect("what it saved can be read");
    }
    for (table, key, queue, offset) in noted {
        broker.restore_offset(table, &key, queue, offset);
    }
    broker.handle_start(cluster.now());
    broker
}
