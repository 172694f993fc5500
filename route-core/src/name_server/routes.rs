//! Which brokers there are and which topics they hold: the tables, and what leaves them.
//!
//! What brings brokers in is in [`register`], what clients read out in [`pick_up`] and [`lists`]. Everything is ordered, so that
//! answers do not depend on a hasher, and limited by [`RouteLimits`].

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use proto_core::{
    bodies::{DataVersion, QueueData, Table, TopicConfig, TopicQueueMappingInfo},
    perm,
};

pub mod lists;
pub mod pick_up;
pub mod register;
#[cfg(test)]
mod tests;

/// The id of a master; slaves have larger ones.
pub const MASTER_ID: i64 = 0;

/// One broker process as the name server knows it. The same address may stand in two clusters (networks that do not see each other).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BrokerAddrInfo {
    /// The cluster that it named.
    pub cluster_name: Arc<str>,
    /// Where it serves, `host:port`.
    pub broker_addr: Arc<str>,
}

/// How much the tables may hold.
#[derive(Clone, Copy, Debug)]
pub struct RouteLimits {
    /// Broker processes.
    pub brokers: usize,
    /// Pairs of topic and broker.
    pub topic_entries: usize,
}

/// A topic's queues on one broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicQueues {
    /// Queues that consumers read.
    pub read_queue_nums: i32,
    /// Queues that producers write.
    pub write_queue_nums: i32,
    /// Permission bits.
    pub perm: i32,
    /// Unit flags.
    pub topic_sys_flag: i32,
}

impl TopicQueues {
    fn wipe_write(&mut self) {
        self.perm &= !perm::WRITE;
    }

    fn to_queue_data(self, broker_name: &str) -> QueueData {
        QueueData {
            broker_name: broker_name.to_owned(),
            read_queue_nums: self.read_queue_nums,
            write_queue_nums: self.write_queue_nums,
            perm: self.perm,
            topic_sys_flag: self.topic_sys_flag,
        }
    }
}

impl From<&QueueData> for TopicQueues {
    fn from(data: &QueueData) -> Self {
        Self {
            read_queue_nums: data.read_queue_nums,
            write_queue_nums: data.write_queue_nums,
            perm: data.perm,
            topic_sys_flag: data.topic_sys_flag,
        }
    }
}

impl From<&TopicConfig> for TopicQueues {
    fn from(config: &TopicConfig) -> Self {
        Self {
            read_queue_nums: config.read_queue_nums,
            write_queue_nums: config.write_queue_nums,
            perm: config.perm,
            topic_sys_flag: config.topic_sys_flag,
        }
    }
}

/// All processes that go by one broker name: a master and its slaves.
#[derive(Clone, Debug)]
struct Broker {
    /// The cluster of the first registration.
    cluster: Arc<str>,
    /// Addresses by broker id; never empty.
    addrs: BTreeMap<i64, Arc<str>>,
    enable_acting_master: bool,
    zone_name: Option<String>,
}

impl Broker {
    fn min_id(&self) -> Option<i64> {
        self.addrs.keys().next().copied()
    }
}

/// What one process said of itself when it registered.
#[derive(Clone, Debug)]
struct Member {
    broker_name: Arc<str>,
    data_version: DataVersion,
    ha_server_addr: Arc<str>,
}

/// The lowest id among the members of a broker has changed; `notify` wants to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MinBrokerIdChange {
    /// The broker.
    pub broker_name: Arc<str>,
    /// The lowest id now.
    pub min_broker_id: i64,
    /// Its address.
    pub min_broker_addr: Arc<str>,
    /// Who has left, if somebody has.
    pub offline_broker_addr: Option<Arc<str>>,
    /// Where the new lowest member replicates from, if it has just come.
    pub ha_broker_addr: Option<Arc<str>>,
    /// Addresses to tell.
    pub notify: Vec<Arc<str>>,
}

/// The tables.
#[derive(Debug)]
pub struct RouteTable {
    limits: RouteLimits,
    brokers: BTreeMap<Arc<str>, Broker>,
    clusters: BTreeMap<Arc<str>, BTreeSet<Arc<str>>>,
    members: BTreeMap<BrokerAddrInfo, Member>,
    topics: BTreeMap<Arc<str>, BTreeMap<Arc<str>, TopicQueues>>,
    /// Number of [`TopicQueues`] in `topics`.
    topic_entries: usize,
    mappings: BTreeMap<Arc<str>, Table<String, TopicQueueMappingInfo>>,
    filter_servers: BTreeMap<BrokerAddrInfo, Vec<String>>,
}

impl RouteTable {
    /// Empty tables.
    #[must_use]
    pub const fn new(limits: RouteLimits) -> Self {
        Self {
            limits,
            brokers: BTreeMap::new(),
            clusters: BTreeMap::new(),
            members: BTreeMap::new(),
            topics: BTreeMap::new(),
            topic_entries: 0,
            mappings: BTreeMap::new(),
            filter_servers: BTreeMap::new(),
        }
    }

    /// The version of the topic table with which a process last registered.
    #[must_use]
    pub fn data_version(&self, info: &BrokerAddrInfo) -> Option<&DataVersion> {
        self.members.get(info).map(|member| &member.data_version)
    }

    /// Processes that are gone, together: a broker without members leaves the routes, one without a master whose slaves may act
    /// for it is no longer written to. Tells who has to hear of a new lowest id.
    pub fn unregister(&mut self, gone: &[BrokerAddrInfo]) -> Vec<MinBrokerIdChange> {
        let mut removed = BTreeSet::new();
        let mut reduced = BTreeSet::new();
        let mut changes = Vec::new();
        for info in gone {
            self.filter_servers.remove(info);
            let Some(member) = self.members.remove(info) else { continue };
            let name = member.broker_name;
            changes.extend(self.remove_address(&name, info));
            if self.brokers.contains_key(&name) {
                reduced.insert(name);
            } else {
                reduced.remove(&name);
                removed.insert(name);
            }
        }
        for name in &removed {
            self.remove_topics_of(name);
        }
        for name in &reduced {
            let acting = self.brokers.get(name).is_some_and(|broker| broker.enable_acting_master && !broker.addrs.contains_key(&MASTER_ID));
            if acting {
                self.change_perm(name, TopicQueues::wipe_write);
            }
        }
        changes
    }

    /// Takes the address of a process that is no longer a member out of its broker, and the broker out when it was the last.
    fn remove_address(&mut self, name: &Arc<str>, info: &BrokerAddrInfo) -> Option<MinBrokerIdChange> {
        let elsewhere = self.clusters.iter().any(|(cluster, names)| {
            let same = BrokerAddrInfo { cluster_name: cluster.clone(), broker_addr: info.broker_addr.clone() };
            names.contains(name) && self.members.get(&same).is_some_and(|member| member.broker_name == *name)
        });
        let broker = self.brokers.get_mut(name)?;
        if elsewhere {
            self.leave_cluster(name, &info.cluster_name);
            return None;
        }
        let min_before = broker.min_id();
        broker.addrs.retain(|_, addr| *addr != info.broker_addr);
        let Some((&min_broker_id, min_broker_addr)) = broker.addrs.first_key_value() else {
            self.brokers.remove(name);
            let clusters: Vec<_> = self.clusters.keys().cloned().collect();
            for cluster in clusters {
                self.leave_cluster(name, &cluster);
            }
            return None;
        };
        (broker.enable_acting_master && min_before != Some(min_broker_id)).then(|| MinBrokerIdChange {
            broker_name: name.clone(),
            min_broker_id,
            min_broker_addr: min_broker_addr.clone(),
            offline_broker_addr: Some(info.broker_addr.clone()),
            ha_broker_addr: None,
            notify: broker.addrs.values().cloned().collect(),
        })
    }

    fn leave_cluster(&mut self, name: &str, cluster: &str) {
        if let Some(names) = self.clusters.get_mut(cluster) {
            names.remove(name);
            if names.is_empty() {
                self.clusters.remove(cluster);
            }
        }
    }

    fn remove_topics_of(&mut self, broker_name: &str) {
        let topic_entries = &mut self.topic_entries;
        self.topics.retain(|_, brokers| {
            if brokers.remove(broker_name).is_some() {
                *topic_entries -= 1;
            }
            !brokers.is_empty()
        });
        self.mappings.retain(|_, brokers| {
            brokers.shift_remove(broker_name);
            !brokers.is_empty()
        });
    }

    fn change_perm(&mut self, broker_name: &str, change: impl Fn(&mut TopicQueues)) -> usize {
        self.topics.values_mut().filter_map(|brokers| brokers.get_mut(broker_name)).map(change).count()
    }

    /// Forbids writing to all topics of a broker, until it registers a changed table. How many topics there are.
    pub fn wipe_write_perm(&mut self, broker_name: &str) -> usize {
        self.change_perm(broker_name, TopicQueues::wipe_write)
    }

    /// Allows reading and writing (and nothing else, as Java does) on all topics of a broker. How many topics there are.
    pub fn add_write_perm(&mut self, broker_name: &str) -> usize {
        self.change_perm(broker_name, |queues| queues.perm = perm::READ | perm::WRITE)
    }

    /// Takes a topic away, everywhere or from the brokers of one cluster.
    pub fn delete_topic(&mut self, topic: &str, cluster: Option<&str>) {
        let names = cluster.map(|cluster| self.clusters.get(cluster).cloned().unwrap_or_default());
        let goes = |name: &str| names.as_ref().is_none_or(|names| names.contains(name));
        if let Some(brokers) = self.topics.get_mut(topic) {
            let before = brokers.len();
            brokers.retain(|name, _| !goes(name));
            self.topic_entries -= before - brokers.len();
            if brokers.is_empty() {
                self.topics.remove(topic);
            }
        }
        if let Some(brokers) = self.mappings.get_mut(topic) {
            brokers.retain(|name, _| !goes(name));
            if brokers.is_empty() {
                self.mappings.remove(topic);
            }
        }
    }

    /// Adds queues of one topic on brokers that are known. From the first unknown broker on the rest is ignored, as Java ignores it;
    /// so is what does not fit. Whether all was taken.
    pub fn register_topic(&mut self, topic: &str, queues: &[QueueData]) -> bool {
        // A topic that is new is taken whole or not at all.
        if !self.topics.contains_key(topic) && queues.iter().any(|queue| !self.brokers.contains_key(queue.broker_name.as_str())) {
            return false;
        }
        let topic: Arc<str> = topic.into();
        for queue in queues {
            let Some((name, _)) = self.brokers.get_key_value(queue.broker_name.as_str()) else {
                return false;
            };
            let name = name.clone();
            if self.topic_entries >= self.limits.topic_entries && !self.holds(&topic, &name) {
                return false;
            }
            self.upsert(&topic, &name, queue.into());
        }
        true
    }

    fn holds(&self, topic: &str, broker_name: &str) -> bool {
        self.topics.get(topic).is_some_and(|brokers| brokers.contains_key(broker_name))
    }

    fn upsert(&mut self, topic: &str, broker_name: &Arc<str>, queues: TopicQueues) {
        let brokers = match self.topics.get_mut(topic) {
            Some(brokers) => brokers,
            None => self.topics.entry(topic.into()).or_default(),
        };
        if brokers.insert(broker_name.clone(), queues).is_none() {
            self.topic_entries += 1;
        }
    }
}
