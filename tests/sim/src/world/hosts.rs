//! Processes: how each is started, how it ends, and what it finds when it comes back.

use std::{collections::BTreeMap, net::SocketAddr, rc::Rc, sync::Arc};

use bytes::Bytes;
use petrel_tests::NodeId;
use route_core::{
    Millis, Now,
    broker::config::BrokerConfig,
    name_server::{NameServer, config::NameServerConfig},
    output::Table,
};

use super::World;
use crate::{
    client::{
        Client,
        consumer::{Consumer, GroupPlan, Model},
        producer::Producer,
    },
    fact::Fact,
    names::{Name, Queue},
    process::{BrokerProcess, End, clock::OwnClock, disk::Disk, log::WatchedLog},
    scenario::Host,
};

/// Independent streams of chance: another broker does not change what producers draw.
mod stream {
    pub(super) const BROKER: u64 = 1 << 40;
    pub(super) const PRODUCER: u64 = 2 << 40;
    pub(super) const CONSUMER: u64 = 3 << 40;
}

pub(super) struct NamesSlot {
    pub(super) node: NodeId,
    pub(super) up: bool,
    keys: Option<Bytes>,
}

pub(super) struct BrokerSlot {
    pub(super) node: NodeId,
    pub(super) config: BrokerConfig,
    pub(super) up: bool,
    /// What lies on the disk of a broker that is down.
    disk: Disk,
    shift: i64,
    /// How often it was started.
    lives: u64,
    /// Its disk has refused a flush; only a new process can write again.
    pub(super) bad_disk: bool,
}

pub(super) struct ConsumerSlot {
    pub(super) node: NodeId,
    pub(super) plan: Rc<GroupPlan>,
    pub(super) member: usize,
    pub(super) up: bool,
    /// It was told to stop: its process is about to end.
    pub(super) stopping: bool,
    lives: u64,
    local_offsets: LocalOffsets,
}

type NamesProcess = OwnClock<NameServer>;
type BrokerOnClock = OwnClock<BrokerProcess>;
type ProducerProcess = OwnClock<Client<Producer>>;
type LocalOffsets = BTreeMap<Queue, i64>;
type ConsumerProcess = OwnClock<Client<Consumer>>;

pub(super) fn name_server_addresses(count: usize) -> Rc<[Name]> {
    (0..count).map(|number| Name::from(address(1, number, 9876).to_string())).collect()
}

impl World {
    pub(super) fn start_everybody(&mut self) {
        for number in 0..self.scenario.name_servers {
            let machine = self.name_process(number);
            let node = self.cluster.start(address(1, number, 9876), Box::new(machine));
            self.names.push(NamesSlot { node, up: true, keys: None });
        }
        for (number, plan) in self.scenario.brokers.clone().into_iter().enumerate() {
            let config = BrokerConfig {
                name: broker_name(number).as_ref().into(),
                address: address(2, number, 10911),
                name_servers: self.servers.iter().map(|server| server.as_ref().into()).collect(),
                seed: self.scenario.seed ^ number as u64,
                flush_mode: plan.flush,
                delay_levels: plan.delay_levels.into(),
                default_topic_queue_nums: plan.queues,
                ..BrokerConfig::default()
            };
            let disk = plan.on_disk.then_some((self.scenario.seed ^ number as u64, plan.delay_levels));
            let log = WatchedLog::new(broker_name(number), plan.flush, disk, self.journal.clone(), self.scenario.mutation);
            let disk = Disk { log, ..Disk::default() };
            let machine = self.broker_process(number, &config, disk, 0, 0);
            let node = self.cluster.start(config.address, Box::new(machine));
            self.brokers.push(BrokerSlot { node, config, up: true, disk: Disk::default(), shift: 0, lives: 1, bad_disk: false });
        }
        let now = self.cluster.now();
        for plan in self.scenario.producers.clone() {
            let number = usize::from(plan.number);
            let seed = self.scenario.seed ^ stream::PRODUCER ^ number as u64;
            let machine = OwnClock::start(now, 0, format!("producer-{number}"), self.journal.clone(), |now| {
                Client::start(now, Producer::new(now, plan, self.servers.clone(), self.journal.clone(), seed))
            });
            self.producers.push(self.cluster.start(address(3, number, 50_000), Box::new(machine)));
        }
        for (plan, members) in self.scenario.groups.clone() {
            for member in 0..members {
                let number = self.consumers.len();
                let machine = self.consumer_process(number, &plan, member, 0, LocalOffsets::new());
                let node = self.cluster.start(address(4, number, 50_000), Box::new(machine));
                let plan = plan.clone();
                self.consumers.push(ConsumerSlot {
                    node,
                    plan,
                    member,
                    up: true,
                    stopping: false,
                    lives: 1,
                    local_offsets: LocalOffsets::new(),
                });
            }
        }
    }

    /// Where a host is in the cluster.
    pub(super) fn node(&self, host: Host) -> NodeId {
        match host {
            Host::Names(number) => self.names[number].node,
            Host::Broker(number) => self.brokers[number].node,
            Host::Producer(number) => self.producers[number],
            Host::Consumer(number) => self.consumers[number].node,
        }
    }

    pub(super) fn is_up(&self, host: Host) -> bool {
        match host {
            Host::Names(number) => self.names[number].up,
            Host::Broker(number) => self.brokers[number].up,
            Host::Producer(_) => true,
            Host::Consumer(number) => self.consumers[number].up,
        }
    }

    /// Everybody.
    pub(super) fn hosts(&self) -> Vec<Host> {
        let names = (0..self.names.len()).map(Host::Names);
        let brokers = (0..self.brokers.len()).map(Host::Broker);
        let producers = (0..self.producers.len()).map(Host::Producer);
        let consumers = (0..self.consumers.len()).map(Host::Consumer);
        names.chain(brokers).chain(producers).chain(consumers).collect()
    }

    /// Ends a process. Nothing happens if it is down; producers go on for ever.
    pub(super) fn end(&mut self, host: Host, end: End) {
        if !self.is_up(host) {
            return;
        }
        let (node, now) = (self.node(host), self.cluster.now());
        match host {
            Host::Producer(_) => return,
            Host::Names(number) => self.names[number].up = false,
            Host::Broker(number) => {
                let slot = &mut self.brokers[number];
                let process = self.cluster.machine::<BrokerOnClock>(node);
                slot.up = false;
                slot.shift = process.shift();
                slot.disk = process.act(now, |process, _| process.end(end));
            }
            Host::Consumer(number) => {
                let slot = &mut self.consumers[number];
                let role = self.cluster.machine::<ConsumerProcess>(node).machine().role();
                (slot.up, slot.stopping) = (false, false);
                slot.local_offsets = role.local_offsets().clone();
                self.journal.note(Fact::Left { group: slot.plan.group.clone(), client: role.client().clone() });
            }
        }
        let tables = match end {
            End::Killed => self.cluster.kill(node),
            End::Dark => self.cluster.power_off(node),
        };
        if let Host::Names(number) = host {
            self.names[number].keys = tables.get(&Table::KvConfig).cloned();
        }
    }

    /// Starts a process again on what the last one has left. Nothing happens if it is up.
    pub(super) fn begin(&mut self, host: Host) {
        if self.is_up(host) {
            return;
        }
        let node = self.node(host);
        match host {
            Host::Producer(_) => {}
            Host::Names(number) => {
                let machine = self.name_process(number);
                self.names[number].up = true;
                self.cluster.restart(node, Box::new(machine));
            }
            Host::Broker(number) => {
                let slot = &mut self.brokers[number];
                let (disk, config, shift, life) = (std::mem::take(&mut slot.disk), slot.config.clone(), slot.shift, slot.lives);
                (slot.up, slot.bad_disk) = (true, false);
                slot.lives += 1;
                let machine = self.broker_process(number, &config, disk, shift, life);
                self.cluster.restart(node, Box::new(machine));
                self.act_on_broker(number, BrokerProcess::audit);
            }
            Host::Consumer(number) => {
                let slot = &mut self.consumers[number];
                slot.up = true;
                slot.lives += 1;
                let (plan, member, life) = (slot.plan.clone(), slot.member, slot.lives);
                let local_offsets = std::mem::take(&mut slot.local_offsets);
                let machine = self.consumer_process(number, &plan, member, life, local_offsets);
                self.cluster.restart(node, Box::new(machine));
            }
        }
    }

    /// Does something with a broker that is up.
    pub(super) fn act_on_broker(&mut self, number: usize, act: impl FnOnce(&mut BrokerProcess, Now)) {
        if self.brokers[number].up {
            let node = self.brokers[number].node;
            self.cluster.poke::<BrokerOnClock>(node, |process, now| process.act(now, act));
        }
    }

    /// A host does nothing until then.
    pub(super) fn pause_clock(&mut self, host: Host, until: Millis) {
        let node = self.node(host);
        match host {
            Host::Names(_) => self.cluster.machine::<NamesProcess>(node).pause(until),
            Host::Broker(_) => self.cluster.machine::<BrokerOnClock>(node).pause(until),
            Host::Producer(_) => self.cluster.machine::<ProducerProcess>(node).pause(until),
            Host::Consumer(_) => self.cluster.machine::<ConsumerProcess>(node).pause(until),
        }
    }

    /// Somebody sets a host's wall clock.
    pub(super) fn set_clock(&mut self, host: Host, by: i64) {
        if !self.is_up(host) {
            return;
        }
        let node = self.node(host);
        match host {
            Host::Names(_) => self.cluster.machine::<NamesProcess>(node).step(by),
            Host::Producer(_) => self.cluster.machine::<ProducerProcess>(node).step(by),
            Host::Consumer(_) => self.cluster.machine::<ConsumerProcess>(node).step(by),
            Host::Broker(number) => {
                self.cluster.machine::<BrokerOnClock>(node).step(by);
                self.journal.note(Fact::ClockSet { broker: self.brokers[number].config.name.as_ref().into(), by });
            }
        }
    }

    /// Producers begin no further message.
    pub(super) fn stop_producers(&mut self) {
        for node in self.producers.clone() {
            let stop = |client: &mut Client<Producer>, _| client.act(|role, _| role.stop());
            self.cluster.poke::<ProducerProcess>(node, |process, now| process.act(now, stop));
        }
    }

    /// Tells a consumer to stop.
    pub(super) fn stop_consumer(&mut self, number: usize) {
        if self.consumers[number].up {
            let node = self.consumers[number].node;
            let stop = |client: &mut Client<Consumer>, now| client.act(|role, net| role.stop(now, net));
            self.cluster.poke::<ConsumerProcess>(node, |process, now| process.act(now, stop));
            self.consumers[number].stopping = true;
        }
    }

    fn name_process(&self, number: usize) -> NamesProcess {
        let keys = self.names.get(number).and_then(|slot| slot.keys.clone());
        OwnClock::start(self.cluster.now(), 0, format!("names-{number}"), self.journal.clone(), |now| {
            NameServer::new(now, NameServerConfig::default(), keys.as_deref()).expect("what it has saved can be read")
        })
    }

    fn broker_process(&self, number: usize, config: &BrokerConfig, disk: Disk, shift: i64, life: u64) -> BrokerOnClock {
        let seed = self.scenario.seed ^ stream::BROKER ^ (number as u64) << 32 ^ life;
        OwnClock::start(self.cluster.now(), shift, config.name.to_string(), self.journal.clone(), |now| {
            BrokerProcess::start(now, config.clone(), disk, Arc::clone(&self.plugins), self.journal.clone(), self.scenario.mutation, seed)
        })
    }

    /// A member of a group. One that shares queues out has a new id with each process; one that gets everything keeps it, as its
    /// offsets lie in a file of that name.
    fn consumer_process(&self, number: usize, plan: &Rc<GroupPlan>, member: usize, life: u64, local: LocalOffsets) -> ConsumerProcess {
        let client = match plan.model {
            Model::Clustering => Name::from(format!("{}-{member}.{life}", plan.group)),
            Model::Broadcasting => Name::from(format!("{}-{member}", plan.group)),
        };
        let seed = self.scenario.seed ^ stream::CONSUMER ^ (number as u64) << 32 ^ life;
        self.journal.note(Fact::Joined { group: plan.group.clone(), client: client.clone() });
        OwnClock::start(self.cluster.now(), 0, client.to_string(), self.journal.clone(), |now| {
            let role = Consumer::new(plan.clone(), client, self.servers.clone(), self.journal.clone(), seed);
            Client::start(now, role.with_past(life, local))
        })
    }

    /// Writes down who reads what.
    pub(super) fn note_rest(&mut self) {
        for number in 0..self.brokers.len() {
            self.act_on_broker(number, BrokerProcess::audit);
        }
        for slot in self.consumers.iter().filter(|slot| slot.up) {
            let role = self.cluster.machine::<ConsumerProcess>(slot.node).machine().role();
            self.journal.note(Fact::AtRest {
                group: slot.plan.group.clone(),
                client: role.client().clone(),
                reads: role.queues().cloned().collect(),
                sees: role.readable_queues(),
                shared: slot.plan.model == Model::Clustering,
            });
        }
    }
}

fn broker_name(number: usize) -> Name {
    Name::from(format!("broker-{}", char::from(b'a' + u8::try_from(number % 26).unwrap_or(0))))
}

fn address(net: u8, number: usize, port: u16) -> SocketAddr {
    let host = u8::try_from(number + 1).expect("a few hundred hosts of a kind at most");
    SocketAddr::from(([10, 0, net, host], port))
}
