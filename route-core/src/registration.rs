//! The broker's side of the name service: a link with each name server, so that clients find this broker and its topics.
//!
//! Each name server is told everything when the link stands and every [period](RegistrationConfig::period), and what is new as soon
//! as it is new. Nothing here waits: a name server that is away is dialled again with growing pauses, the others do not notice.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use bytes::Bytes;
use proto_core::{
    Command,
    bodies::{KvTable, RegisterBrokerBody, TopicConfigAndMappingSerializeWrapper},
    code::{RequestCode, ResponseCode},
    json,
};

use crate::{
    output::{NoticeLevel, Output, PeerId, Request},
    time::{Millis, Now},
};
use link::{Link, Pace, Step, Untold};

pub mod link;
#[cfg(test)]
mod tests;

/// Who this broker is and whom it tells. Fields carry RocketMQ's keys of `broker.conf`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistrationConfig {
    /// `namesrvAddr`, split: see [`Self::addresses`].
    pub name_servers: Vec<Arc<str>>,
    /// `brokerClusterName`.
    pub cluster_name: String,
    /// `brokerName`.
    pub broker_name: String,
    /// `brokerId`: 0 for the master.
    pub broker_id: i64,
    /// `brokerIP1:listenPort`, where clients reach this broker.
    pub broker_addr: String,
    /// `brokerIP2:haListenPort`, where slaves do.
    pub ha_server_addr: String,
    /// The zone this broker stands in (environment `ROCKETMQ_ZONE`).
    pub zone_name: Option<String>,
    /// `registerNameServerPeriod`; kept between 10 and 60 seconds as in Java.
    pub period: Millis,
    /// `registerBrokerTimeoutMills`: a name server that takes longer is dialled anew.
    pub timeout: Millis,
    /// `enableSlaveActingMaster`.
    pub enable_slave_acting_master: bool,
    /// `brokerNotActiveTimeoutMillis`: sent along only with [`Self::enable_slave_acting_master`], else a name server waits 120 s.
    pub broker_not_active_timeout: Millis,
}

impl RegistrationConfig {
    /// Name servers that are registered with at most; a longer list is a mistake.
    pub const MAX_NAME_SERVERS: usize = 32;

    /// Splits a list of `host:port` at its semicolons; empty and repeated entries are left out.
    #[must_use]
    pub fn addresses(list: &str) -> Vec<Arc<str>> {
        let mut addresses: Vec<Arc<str>> = Vec::new();
        for address in list.split(';').map(str::trim).filter(|address| !address.is_empty()) {
            if !addresses.iter().any(|known| **known == *address) {
                addresses.push(address.into());
            }
        }
        addresses.truncate(Self::MAX_NAME_SERVERS);
        addresses
    }
}

impl Default for RegistrationConfig {
    /// Java's defaults; names and addresses have none.
    fn default() -> Self {
        Self {
            name_servers: Vec::new(),
            cluster_name: "DefaultCluster".to_owned(),
            broker_name: String::new(),
            broker_id: 0,
            broker_addr: String::new(),
            ha_server_addr: String::new(),
            zone_name: None,
            period: Millis::from_secs(30),
            timeout: Millis::from_secs(24),
            enable_slave_acting_master: false,
            broker_not_active_timeout: Millis::from_secs(10),
        }
    }
}

/// Who knows the topics that are to be told.
pub trait TopicSource {
    /// The whole table.
    fn all_topics(&self) -> TopicConfigAndMappingSerializeWrapper;

    /// Those of `names` that still exist, with the version of the whole table.
    fn some_topics(&self, names: &BTreeSet<Arc<str>>) -> TopicConfigAndMappingSerializeWrapper;
}

/// What a name server told in return.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RegisterBrokerResult {
    /// Topics that keep their order, with the queues of each broker (`brokerA:4;brokerB:4`); `None` if no such list is kept.
    pub order_topics: Option<BTreeMap<String, String>>,
}

/// The links with all name servers.
#[derive(Debug)]
pub struct Registration {
    config: RegistrationConfig,
    links: Vec<(Arc<str>, Link)>,
    /// Our number for the request that each link waits for.
    awaited: BTreeMap<PeerId, i32>,
    opaque: i32,
    outputs: VecDeque<Output>,
}

impl Registration {
    /// Links that do nothing before [`Self::handle_start`].
    #[must_use]
    pub const fn new(config: RegistrationConfig) -> Self {
        Self { config, links: Vec::new(), awaited: BTreeMap::new(), opaque: 0, outputs: VecDeque::new() }
    }

    /// Starts dialling.
    pub fn handle_start(&mut self, now: Now, topics: &dyn TopicSource) {
        let period = self.config.period.clamp(Millis::from_secs(10), Millis::from_secs(60));
        let pace = Pace { period, timeout: self.config.timeout.max(Millis(1)) };
        let servers = self.config.name_servers.iter().take(RegistrationConfig::MAX_NAME_SERVERS);
        self.links = servers.map(|address| (address.clone(), Link::new(now.mono, pace))).collect();
        self.take_steps(now, topics);
    }

    /// A dial has come to its end. Whether a link waits for it: one that has ended meanwhile does not.
    pub fn handle_dialed(&mut self, now: Now, address: &str, outcome: Result<PeerId, &str>, topics: &dyn TopicSource) -> bool {
        let Some((_, link)) = self.links.iter_mut().find(|(known, link)| **known == *address && link.is_dialing()) else {
            return false;
        };
        match outcome {
            Ok(peer) => link.handle_connected(now.mono, peer),
            Err(reason) => {
                // Said once: the pauses between attempts are short.
                if link.failures() == 0 {
                    self.outputs.push_back(notice(NoticeLevel::Warn, format!("name server {address} cannot be reached: {reason}")));
                }
                link.handle_lost(now.mono);
            }
        }
        self.take_steps(now, topics);
        true
    }

    /// A connection to a name server that knows this broker, to ask it something.
    #[must_use]
    pub fn known_peer(&self) -> Option<PeerId> {
        self.links.iter().find(|(_, link)| link.is_known()).and_then(|(_, link)| link.peer())
    }

    /// A connection is gone. Whether it was one of ours.
    pub fn handle_disconnected(&mut self, now: Now, peer: PeerId) -> bool {
        self.awaited.remove(&peer);
        let Some((address, link)) = self.links.iter_mut().find(|(_, link)| link.peer() == Some(peer)) else {
            return false;
        };
        link.handle_lost(now.mono);
        if !link.has_ended() {
            self.outputs.push_back(notice(NoticeLevel::Warn, format!("name server {address} has closed the connection")));
        }
        true
    }

    /// A response came over one of our links. What it tells, if it accepts a registration.
    pub fn handle_response(
        &mut self,
        now: Now,
        peer: PeerId,
        response: &Command<'_>,
        topics: &dyn TopicSource,
    ) -> Option<RegisterBrokerResult> {
        let (address, link) = self.links.iter_mut().find(|(_, link)| link.peer() == Some(peer))?;
        if self.awaited.get(&peer) != Some(&response.opaque) {
            return None;
        }
        self.awaited.remove(&peer);
        let accepted = response.code == ResponseCode::Success.code();
        let was_known = link.is_known();
        link.handle_answered(now.mono, accepted);
        if !accepted {
            let remark = response.remark.map_or(Cow::Borrowed("no reason given"), |remark| remark.to_cow());
            let text = format!("name server {address} refuses this broker with code {}: {remark}", response.code);
            self.outputs.push_back(notice(NoticeLevel::Error, text));
        } else if link.is_known() && !was_known {
            self.outputs.push_back(notice(NoticeLevel::Info, format!("registered with name server {address}")));
        }
        // The answer to a farewell tells nothing.
        let told = accepted && link.is_known();
        self.take_steps(now, topics);
        told.then(|| read_result(response))
    }

    /// Topics are new or have changed: name servers are to know at once, and not at the end of the period.
    pub fn handle_topics_changed(&mut self, now: Now, names: &[Arc<str>], topics: &dyn TopicSource) {
        for (_, link) in &mut self.links {
            link.handle_topics_changed(names);
        }
        self.take_steps(now, topics);
    }

    /// All that is told has changed: name servers are to know at once.
    pub fn handle_all_changed(&mut self, now: Now, topics: &dyn TopicSource) {
        for (_, link) in &mut self.links {
            link.handle_told_too_little();
        }
        self.take_steps(now, topics);
    }

    /// Takes the registration back everywhere. [`Self::has_ended`] says when everybody has answered or has had the time to.
    pub fn handle_shutdown(&mut self, now: Now, topics: &dyn TopicSource) {
        for (_, link) in &mut self.links {
            link.handle_shutdown();
        }
        self.take_steps(now, topics);
    }

    /// `now` has reached what [`Self::poll_timeout`] announced.
    pub fn handle_timeout(&mut self, now: Now, topics: &dyn TopicSource) {
        self.take_steps(now, topics);
    }

    /// When something is due next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Millis> {
        self.links.iter().filter_map(|(_, link)| link.poll_timeout()).min()
    }

    /// What the world should do, until it is empty. At most a few for each name server.
    #[must_use]
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Whether nothing will happen any more; true before the start as well.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.links.iter().all(|(_, link)| link.has_ended())
    }

    fn take_steps(&mut self, now: Now, topics: &dyn TopicSource) {
        let mut bodies = Bodies { topics, all: None };
        for (address, link) in &mut self.links {
            while let Some(step) = link.poll_step(now.mono) {
                let (peer, request) = match step {
                    Step::Dial => {
                        self.outputs.push_back(Output::Dial { address: address.clone() });
                        continue;
                    }
                    Step::GiveUp { peer } => {
                        self.awaited.remove(&peer);
                        let reason = if link.has_ended() { "this broker goes away" } else { "the name server does not answer" };
                        self.outputs.push_back(Output::Close { peer, reason: reason.into() });
                        continue;
                    }
                    Step::Register { peer, known, what } => {
                        let (body, whole) = bodies.body(&what, known);
                        if !whole {
                            link.handle_told_too_little();
                        }
                        (peer, register(&self.config, body))
                    }
                    Step::Unregister { peer } => (peer, unregister(&self.config)),
                };
                self.opaque = self.opaque.wrapping_add(1);
                self.awaited.insert(peer, self.opaque);
                self.outputs.push_back(Output::Request { to: peer, opaque: self.opaque, request });
            }
        }
    }
}

/// Bodies of one turn; that with all topics is made once for all name servers.
struct Bodies<'a> {
    topics: &'a dyn TopicSource,
    all: Option<(Bytes, usize)>,
}

impl Bodies<'_> {
    /// The body that tells `what`, and whether it tells all of it.
    fn body(&mut self, what: &Untold, known: bool) -> (Bytes, bool) {
        if let Untold::Some(names) = what {
            return (encode(self.topics.some_topics(names)), true);
        }
        let (all, count) = self.all.get_or_insert_with(|| {
            let wrapper = self.topics.all_topics();
            let count = wrapper.topic_config_table.len();
            (encode(wrapper), count)
        });
        // A name server takes a first registration with exactly one topic for an incremental one that came too early, and refuses it.
        if *count == 1 && !known {
            return (encode(self.topics.some_topics(&BTreeSet::new())), false);
        }
        (all.clone(), true)
    }
}

fn encode(wrapper: TopicConfigAndMappingSerializeWrapper) -> Bytes {
    let body = RegisterBrokerBody { filter_server_list: Some(Vec::new()), topic_config_serialize_wrapper: wrapper };
    json::to_vec(&body, json::Dialect::Default).into()
}

fn register(config: &RegistrationConfig, body: Bytes) -> Request {
    let text = |value: &str| Cow::Owned(value.to_owned());
    let mut fields = vec![
        ("bodyCrc32", Cow::Owned(proto_core::record::body_crc(&body).to_string())),
        ("brokerAddr", text(&config.broker_addr)),
        ("brokerId", Cow::Owned(config.broker_id.to_string())),
        ("brokerName", text(&config.broker_name)),
        ("clusterName", text(&config.cluster_name)),
        ("compressed", Cow::Borrowed("false")),
        ("enableActingMaster", Cow::Borrowed(if config.enable_slave_acting_master { "true" } else { "false" })),
        ("haServerAddr", text(&config.ha_server_addr)),
    ];
    if config.enable_slave_acting_master {
        fields.push(("heartbeatTimeoutMillis", Cow::Owned(config.broker_not_active_timeout.0.to_string())));
    }
    if let Some(zone) = &config.zone_name {
        fields.push(("__ZONE_NAME", text(zone)));
    }
    Request { code: RequestCode::RegisterBroker, oneway: false, fields: Some(fields), body }
}

fn unregister(config: &RegistrationConfig) -> Request {
    let fields = vec![
        ("brokerAddr", Cow::Owned(config.broker_addr.clone())),
        ("brokerId", Cow::Owned(config.broker_id.to_string())),
        ("brokerName", Cow::Owned(config.broker_name.clone())),
        ("clusterName", Cow::Owned(config.cluster_name.clone())),
    ];
    Request { code: RequestCode::UnregisterBroker, oneway: false, fields: Some(fields), body: Bytes::new() }
}

/// What a success carries. A body that cannot be read tells of no ordered topics, as one that is not there.
fn read_result(response: &Command<'_>) -> RegisterBrokerResult {
    let table = if response.body.is_empty() { None } else { json::from_slice::<KvTable>(response.body).ok() };
    RegisterBrokerResult { order_topics: table.map(|table| table.table.into_iter().collect()) }
}

fn notice(level: NoticeLevel, text: String) -> Output {
    Output::Notice { level, text }
}
