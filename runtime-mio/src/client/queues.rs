//! Which queues a route offers.

use std::fmt;

use proto_core::{
    bodies::{QueueData, TopicRouteData},
    perm,
};

use super::name_servers::Route;

/// Queues that a producer asks for in a new topic, as Java's does.
pub(super) const NEW_TOPIC_QUEUES: i32 = 4;

/// More queues of one broker than this are not believed.
const MAX_QUEUES: i32 = 65_536;

/// A queue of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queue {
    /// Name of the broker.
    pub broker: String,
    /// The broker's address, `HOST:PORT`.
    pub address: String,
    /// The queue's number there.
    pub id: i32,
}

impl fmt::Display for Queue {
    /// `broker/number`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.broker, self.id)
    }
}

/// The queues to which messages may go: those of brokers whose master is there.
#[must_use]
pub fn writable_queues(route: &Route) -> Vec<Queue> {
    let count = |data: &QueueData| if route.is_new { data.read_queue_nums.min(NEW_TOPIC_QUEUES) } else { data.write_queue_nums };
    queues(&route.data, perm::is_writeable, count, |ids| ids.get(&0).cloned())
}

/// The queues that may be read, from the master or, where there is none, from the replica with the least id.
#[must_use]
pub fn readable_queues(route: &TopicRouteData) -> Vec<Queue> {
    queues(route, perm::is_readable, |data| data.read_queue_nums, |ids| ids.values().next().cloned())
}

fn queues(
    route: &TopicRouteData,
    allowed: impl Fn(i32) -> bool,
    count: impl Fn(&QueueData) -> i32,
    address: impl Fn(&std::collections::BTreeMap<i64, String>) -> Option<String>,
) -> Vec<Queue> {
    let mut datas: Vec<&QueueData> = route.queue_datas.iter().filter(|data| allowed(data.perm)).collect();
    datas.sort();
    let mut queues = Vec::new();
    for data in datas {
        let broker = route.broker_datas.iter().find(|broker| broker.broker_name == data.broker_name);
        let Some(address) = broker.and_then(|broker| address(&broker.broker_addrs)) else { continue };
        let ids = 0..count(data).min(MAX_QUEUES);
        queues.extend(ids.map(|id| Queue { broker: data.broker_name.clone(), address: address.clone(), id }));
    }
    queues
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto_core::bodies::BrokerData;

    fn route(brokers: &[(&str, &[(i64, &str)])], queues: &[(&str, i32, i32, i32)]) -> TopicRouteData {
        let broker = |&(name, addresses): &(&str, &[(i64, &str)])| BrokerData {
            broker_name: name.to_owned(),
            broker_addrs: addresses.iter().map(|&(id, address)| (id, address.to_owned())).collect(),
            ..BrokerData::default()
        };
        let queue = |&(name, perm, read, write): &(&str, i32, i32, i32)| QueueData {
            broker_name: name.to_owned(),
            perm,
            read_queue_nums: read,
            write_queue_nums: write,
            ..QueueData::default()
        };
        TopicRouteData {
            broker_datas: brokers.iter().map(broker).collect(),
            queue_datas: queues.iter().map(queue).collect(),
            ..TopicRouteData::default()
        }
    }

    fn texts(queues: &[Queue]) -> Vec<String> {
        queues.iter().map(|queue| format!("{queue}@{}", queue.address)).collect()
    }

    #[test]
    fn messages_go_to_masters_and_are_read_from_any_replica() {
        let data = route(&[("b", &[(0, "b0")]), ("a", &[(1, "a1"), (2, "a2")])], &[("b", 6, 2, 1), ("a", 6, 1, 1)]);
        assert_eq!(texts(&readable_queues(&data)), ["a/0@a1", "b/0@b0", "b/1@b0"]);
        assert_eq!(texts(&writable_queues(&Route { data, is_new: false })), ["b/0@b0"]);
    }

    #[test]
    fn permissions_take_queues_away() {
        let data = route(&[("a", &[(0, "a0")]), ("b", &[(0, "b0")])], &[("a", perm::READ, 1, 1), ("b", perm::WRITE, 1, 1)]);
        assert_eq!(texts(&readable_queues(&data)), ["a/0@a0"]);
        assert_eq!(texts(&writable_queues(&Route { data, is_new: false })), ["b/0@b0"]);
    }

    #[test]
    fn a_new_topic_gets_no_more_queues_than_it_will_have() {
        let data = route(&[("a", &[(0, "a0")])], &[("a", 7, 8, 8)]);
        assert_eq!(writable_queues(&Route { data, is_new: true }).len(), 4);
    }

    #[test]
    fn absurd_numbers_of_queues_are_cut() {
        let data = route(&[("a", &[(0, "a0")]), ("b", &[(0, "b0")])], &[("a", 6, i32::MAX, 0), ("b", 6, -1, 0)]);
        assert_eq!(readable_queues(&data).len(), 65_536);
    }
}
