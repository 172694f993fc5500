//! Where the queues of topics are, as a client knows it: asked for when it is new, and again every 30 seconds.

use std::{collections::BTreeMap, rc::Rc};

use proto_core::{
    bodies::TopicRouteData,
    code::{RequestCode, ResponseCode},
    json, perm,
};
use route_core::{Millis, Now};

use super::remoting::{Ask, Patience, Remoting};
use crate::names::{Name, Queue};

/// `pollNameServerInterval`
pub const POLL_INTERVAL: Millis = Millis::from_secs(30);

/// Time that a name server has for an answer (`mqClientApiTimeout`).
const TIMEOUT: Millis = Millis::from_secs(3);

/// Queues that a producer assumes a topic to have that nobody has made yet (`defaultTopicQueueNums`).
const DEFAULT_QUEUES: i32 = 4;

/// The name servers, and what they have said.
#[derive(Debug)]
pub struct Routes {
    servers: Rc<[Name]>,
    /// The server that is asked next.
    turn: usize,
    topics: BTreeMap<Name, TopicRouteData>,
}

impl Routes {
    /// Nothing is known yet.
    #[must_use]
    pub const fn new(servers: Rc<[Name]>, turn: usize) -> Self {
        Self { servers, turn, topics: BTreeMap::new() }
    }

    /// Asks for the route of a topic.
    pub fn ask<T>(&self, now: Now, net: &mut Remoting<T>, topic: &str, tag: T) {
        let server = &self.servers[self.turn % self.servers.len()];
        let fields = vec![("topic", topic.to_owned().into()), ("acceptStandardJsonOnly", "true".into())];
        net.call(now, server, Ask::new(RequestCode::GetRouteinfoByTopic, fields), Patience::Sync(TIMEOUT), tag);
    }

    /// Takes in an answer for a topic; whether it has changed anything. A route that cannot be had leaves the old one in place.
    pub fn handle_answer(&mut self, topic: &Name, answer: &super::remoting::Answer) -> bool {
        let Ok(packet) = answer else {
            self.turn += 1;
            return false;
        };
        if packet.code != ResponseCode::Success.code() {
            return false;
        }
        let Ok(route) = json::from_slice::<TopicRouteData>(&packet.body) else { return false };
        let changed = self.topics.get(topic) != Some(&route);
        self.topics.insert(topic.clone(), route);
        changed
    }

    /// Whether anything is known of a topic.
    #[must_use]
    pub fn knows(&self, topic: &str) -> bool {
        self.topics.contains_key(topic)
    }

    /// The queues to write to, sorted.
    #[must_use]
    pub fn writable(&self, topic: &str) -> Vec<Queue> {
        self.queues(topic, perm::WRITE, |data| data.write_queue_nums)
    }

    /// The queues that a producer may write to of a topic that nobody has made yet: those of the topic that stands for all.
    #[must_use]
    pub fn writable_by_default(&self, topic: &Name, template: &str) -> Vec<Queue> {
        let queues = self.queues(template, perm::WRITE, |data| data.read_queue_nums.min(DEFAULT_QUEUES));
        queues.into_iter().map(|queue| Queue { topic: topic.clone(), ..queue }).collect()
    }

    /// The queues to read from, sorted.
    #[must_use]
    pub fn readable(&self, topic: &str) -> Vec<Queue> {
        self.queues(topic, perm::READ, |data| data.read_queue_nums)
    }

    /// The address of a broker's master.
    #[must_use]
    pub fn master(&self, broker: &str) -> Option<&str> {
        let all = self.topics.values().flat_map(|route| &route.broker_datas);
        all.filter(|data| data.broker_name == broker).find_map(|data| data.broker_addrs.get(&0)).map(String::as_str)
    }

    /// The addresses of all masters that any route names.
    #[must_use]
    pub fn masters(&self) -> Vec<Name> {
        let all = self.topics.values().flat_map(|route| &route.broker_datas);
        let mut masters: Vec<Name> = all.filter_map(|data| data.broker_addrs.get(&0)).map(|address| address.as_str().into()).collect();
        masters.sort();
        masters.dedup();
        masters
    }

    /// The addresses of the masters that hold a topic.
    #[must_use]
    pub fn masters_of(&self, topic: &str) -> Vec<Name> {
        let route = self.topics.get(topic);
        let all = route.into_iter().flat_map(|route| &route.broker_datas);
        all.filter_map(|data| data.broker_addrs.get(&0)).map(|address| address.as_str().into()).collect()
    }

    fn queues(&self, topic: &str, needed: i32, count: impl Fn(&proto_core::bodies::QueueData) -> i32) -> Vec<Queue> {
        let Some(route) = self.topics.get(topic) else { return Vec::new() };
        let mut queues = Vec::new();
        let name: Name = topic.into();
        for data in route.queue_datas.iter().filter(|data| data.perm & needed != 0) {
            let broker = route.broker_datas.iter().find(|broker| broker.broker_name == data.broker_name);
            if broker.is_some_and(|broker| broker.broker_addrs.contains_key(&0)) {
                let broker: Name = data.broker_name.as_str().into();
                queues.extend((0..count(data)).map(|id| Queue { topic: name.clone(), broker: broker.clone(), id }));
            }
        }
        queues.sort();
        queues
    }
}
