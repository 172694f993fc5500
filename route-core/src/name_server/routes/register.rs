//! How a broker's word changes the tables.

use std::{cmp::Ordering, collections::BTreeSet, sync::Arc};

use proto_core::bodies::{DataVersion, TopicQueueMappingInfo};
use thiserror::Error;

use super::{Broker, BrokerAddrInfo, MASTER_ID, Member, MinBrokerIdChange, RouteTable, TopicQueues};

/// What a broker says when it registers.
#[derive(Clone, Debug)]
pub struct Registration<'a> {
    /// The process.
    pub info: BrokerAddrInfo,
    /// The name that a master shares with its slaves.
    pub broker_name: &'a str,
    /// 0 for the master.
    pub broker_id: i64,
    /// Where slaves replicate from.
    pub ha_server_addr: &'a str,
    /// The zone it stands in.
    pub zone_name: Option<&'a str>,
    /// Whether a slave may act for a missing master; brokers before 5.0 do not say.
    pub enable_acting_master: Option<bool>,
    /// The version of its topic table.
    pub data_version: DataVersion,
    /// Its topics; only some of them in an incremental registration.
    pub topics: Vec<(&'a str, TopicQueues)>,
    /// Its shares of static topics.
    pub mappings: Vec<(&'a str, &'a TopicQueueMappingInfo)>,
    /// `None` leaves its filter servers as they are.
    pub filter_servers: Option<Vec<String>>,
}

/// A master that a slave is told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Master {
    /// Where it serves.
    pub master_addr: Arc<str>,
    /// Where slaves replicate from.
    pub ha_server_addr: Arc<str>,
}

/// What a registration led to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registered {
    /// The broker's master, for slaves.
    pub master: Option<Master>,
    /// A new lowest id.
    pub min_broker_id: Option<MinBrokerIdChange>,
    /// The process that had this id until now and that may still be running.
    pub displaced: Option<Arc<str>>,
    /// What the process was known as before, if it has changed its broker name.
    pub renamed: bool,
}

/// Why a registration was refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refused {
    /// The id belongs to another address with a newer state: the process is behind a change of roles. It is not known any more.
    #[error("its broker id is held by {holder} with state version {held}, it comes with {offered}")]
    Superseded {
        /// Who holds the id.
        holder: Arc<str>,
        /// State version of the holder.
        held: i64,
        /// State version of the registration.
        offered: i64,
    },
    /// An unknown process came with exactly one topic: that is an incremental registration before the full one.
    #[error("it is not known yet and names exactly one topic")]
    Incremental,
    /// A name or address is longer than any real one.
    #[error("a name or address of {len} bytes is too long")]
    NameTooLong {
        /// Its length.
        len: usize,
    },
    /// There are too many brokers.
    #[error("{limit} brokers are known, no more are taken")]
    BrokersFull {
        /// The limit.
        limit: usize,
    },
    /// There are too many topics.
    #[error("it would bring the pairs of topic and broker to {entries}, the limit is {limit}")]
    TopicsFull {
        /// How many pairs there would be.
        entries: usize,
        /// The limit.
        limit: usize,
    },
}

/// The longest name or address that is taken, in bytes.
const MAX_NAME: usize = 255;

/// Filter servers that one broker may name; Java brokers stopped having any.
const MAX_FILTER_SERVERS: usize = 64;

impl RouteTable {
    /// Takes a broker in, or up to date. Nothing changes if it is refused, but for [`Refused::Superseded`].
    ///
    /// Topics are never taken away, unless `delete_missing_topics` says so; even then not by a registration of a single topic,
    /// which is how brokers announce one that is new.
    ///
    /// # Errors
    /// [`Refused`] says why; of Java's reasons two are answered as a success without content and as `register broker failed`.
    pub fn register(&mut self, registration: Registration<'_>, delete_missing_topics: bool) -> Result<Registered, Refused> {
        self.admit(&registration)?;
        self.refuse_superseded(&registration)?;
        let Registration { info, broker_name, broker_id, ha_server_addr, zone_name, enable_acting_master, data_version, .. } = registration;

        let renamed = self.members.get(&info).is_some_and(|member| &*member.broker_name != broker_name);
        if renamed {
            self.unregister(std::slice::from_ref(&info));
        }
        let name = self.brokers.get_key_value(broker_name).map_or_else(|| Arc::from(broker_name), |(name, _)| name.clone());
        self.clusters.entry(info.cluster_name.clone()).or_default().insert(name.clone());
        let broker = self.brokers.entry(name.clone()).or_insert_with(|| Broker {
            cluster: info.cluster_name.clone(),
            addrs: Default::default(),
            enable_acting_master: false,
            zone_name: None,
        });
        broker.enable_acting_master = enable_acting_master.unwrap_or(false);
        broker.zone_name = zone_name.map(str::to_owned);
        let min_before = broker.min_id();
        // One process has one id: a slave that became master at the same address is no slave any more.
        broker.addrs.retain(|id, addr| *id == broker_id || *addr != info.broker_addr);
        let previous = broker.addrs.insert(broker_id, info.broker_addr.clone());
        let first = previous.is_none();
        let is_master = broker_id == MASTER_ID;
        let is_prime_slave = enable_acting_master.is_some() && !is_master && broker.min_id() == Some(broker_id);
        let wipes_write = is_prime_slave && broker.enable_acting_master;

        let changed = first || self.data_version(&info) != Some(&data_version);
        if is_master || is_prime_slave {
            if delete_missing_topics && registration.mappings.is_empty() && registration.topics.len() != 1 {
                let named: BTreeSet<&str> = registration.topics.iter().map(|(topic, _)| *topic).collect();
                self.keep_topics_of(&name, &named);
            }
            for (topic, mut queues) in registration.topics {
                if changed || !self.holds(topic, &name) {
                    if wipes_write {
                        queues.wipe_write();
                    }
                    self.upsert(topic, &name, queues);
                }
            }
            if changed {
                for (topic, mapping) in registration.mappings {
                    if self.holds(topic, &name) {
                        self.mappings.entry(topic.into()).or_default().insert(name.to_string(), mapping.clone());
                    }
                }
            }
        }

        let ha_server_addr: Arc<str> = ha_server_addr.into();
        let member = Member { broker_name: name.clone(), data_version, ha_server_addr: ha_server_addr.clone() };
        self.members.insert(info.clone(), member);
        match registration.filter_servers {
            None => {}
            Some(servers) if servers.is_empty() => drop(self.filter_servers.remove(&info)),
            Some(mut servers) => {
                servers.truncate(MAX_FILTER_SERVERS);
                self.filter_servers.insert(info.clone(), servers);
            }
        }
        Ok(Registered {
            master: if is_master { None } else { self.master_of(&name, &info.cluster_name) },
            min_broker_id: if min_before.is_some_and(|min| broker_id < min) { self.new_min(&name, ha_server_addr) } else { None },
            displaced: previous.filter(|addr| *addr != info.broker_addr),
            renamed,
        })
    }

    fn admit(&self, registration: &Registration<'_>) -> Result<(), Refused> {
        let Registration { info, broker_name, broker_id, ha_server_addr, .. } = registration;
        let names = [&*info.cluster_name, &*info.broker_addr, broker_name, ha_server_addr, registration.zone_name.unwrap_or("")];
        if let Some(len) = names.map(str::len).into_iter().find(|len| *len > MAX_NAME) {
            return Err(Refused::NameTooLong { len });
        }
        let has_id = self.brokers.get(*broker_name).is_some_and(|broker| broker.addrs.contains_key(broker_id));
        if !has_id && registration.topics.len() == 1 {
            return Err(Refused::Incremental);
        }
        if !self.members.contains_key(info) && self.members.len() >= self.limits.brokers {
            return Err(Refused::BrokersFull { limit: self.limits.brokers });
        }
        let new = registration.topics.iter().filter(|(topic, _)| !self.holds(topic, broker_name)).count();
        let entries = self.topic_entries + new;
        if new > 0 && entries > self.limits.topic_entries {
            return Err(Refused::TopicsFull { entries, limit: self.limits.topic_entries });
        }
        Ok(())
    }

    /// A process whose id is held by another one with a newer state version is behind: it is forgotten, so that neither its id nor
    /// another one of its own leads clients to it.
    fn refuse_superseded(&mut self, registration: &Registration<'_>) -> Result<(), Refused> {
        let info = &registration.info;
        let Some(holder) = self.brokers.get(registration.broker_name).and_then(|broker| broker.addrs.get(&registration.broker_id)) else {
            return Ok(());
        };
        let holder_info = BrokerAddrInfo { cluster_name: info.cluster_name.clone(), broker_addr: holder.clone() };
        let held = self.data_version(&holder_info).map(|version| version.state_version);
        let offered = registration.data_version.state_version;
        match held {
            Some(held) if *holder != info.broker_addr && held.cmp(&offered) == Ordering::Greater => {
                let holder = holder.clone();
                self.unregister(std::slice::from_ref(info));
                Err(Refused::Superseded { holder, held, offered })
            }
            _ => Ok(()),
        }
    }

    fn keep_topics_of(&mut self, broker_name: &str, named: &BTreeSet<&str>) {
        let topic_entries = &mut self.topic_entries;
        self.topics.retain(|topic, brokers| {
            if !named.contains(&**topic) && brokers.remove(broker_name).is_some() {
                *topic_entries -= 1;
            }
            !brokers.is_empty()
        });
    }

    fn master_of(&self, broker_name: &str, cluster: &Arc<str>) -> Option<Master> {
        let master_addr = self.brokers.get(broker_name)?.addrs.get(&MASTER_ID)?.clone();
        let info = BrokerAddrInfo { cluster_name: cluster.clone(), broker_addr: master_addr.clone() };
        let ha_server_addr = self.members.get(&info)?.ha_server_addr.clone();
        Some(Master { master_addr, ha_server_addr })
    }

    /// Everybody but the new lowest one is told of it; it alone if there is nobody else.
    fn new_min(&self, name: &Arc<str>, ha_server_addr: Arc<str>) -> Option<MinBrokerIdChange> {
        let addrs = &self.brokers.get(name)?.addrs;
        let (&min_broker_id, min_broker_addr) = addrs.first_key_value()?;
        let others = usize::from(addrs.len() > 1);
        Some(MinBrokerIdChange {
            broker_name: name.clone(),
            min_broker_id,
            min_broker_addr: min_broker_addr.clone(),
            offline_broker_addr: None,
            ha_broker_addr: Some(ha_server_addr),
            notify: addrs.values().skip(others).cloned().collect(),
        })
    }
}
