//! What a name server has told lately of where queues are: whoever shares out a topic has to know its queues on all brokers.

use std::sync::Arc;

use foldhash::fast::FixedState;
use indexmap::IndexMap;
use proto_core::{
    bodies::{MessageQueue, QueueData},
    perm,
};

use super::topics::QUEUES_LIMIT;
use crate::time::Millis;

/// Routes that are kept at most; the one that was told first goes first.
const LIMIT: usize = 4_096;

/// Readable queues of topics on all brokers.
#[derive(Debug)]
pub struct KnownRoutes {
    topics: IndexMap<Box<str>, Known, FixedState>,
    /// How long a route counts as new (`loadBalancePollNameServerInterval`).
    fresh_for: Millis,
}

#[derive(Debug)]
struct Known {
    told: Millis,
    brokers: Arc<[(Box<str>, i32)]>,
}

impl KnownRoutes {
    /// No routes yet.
    #[must_use]
    pub fn new(fresh_for: Millis) -> Self {
        Self { topics: IndexMap::default(), fresh_for }
    }

    /// A name server has told this of a topic.
    pub fn handle_told(&mut self, now: Millis, topic: &str, queues: &[QueueData]) {
        // A route that tells of more queues than a topic can have is believed that far.
        let readable = queues.iter().filter(|queues| perm::is_readable(queues.perm));
        let brokers = readable.map(|queues| (queues.broker_name.as_str().into(), queues.read_queue_nums.clamp(0, QUEUES_LIMIT))).collect();
        if self.topics.shift_remove(topic).is_none() && self.topics.len() == LIMIT {
            self.topics.shift_remove_index(0);
        }
        self.topics.insert(topic.into(), Known { told: now, brokers });
    }

    /// A topic's queues on all brokers, however old that is.
    #[must_use]
    pub fn get(&self, topic: &str) -> Option<&[(Box<str>, i32)]> {
        self.topics.get(topic).map(|known| &*known.brokers)
    }

    /// Whether a topic's route is new enough not to be asked for again.
    #[must_use]
    pub fn is_fresh(&self, now: Millis, topic: &str) -> bool {
        self.topics.get(topic).is_some_and(|known| now < known.told + self.fresh_for)
    }
}

/// The queues of brokers, sorted as clients sort them.
#[must_use]
pub fn queues_of(topic: &str, brokers: &[(Box<str>, i32)]) -> Vec<MessageQueue> {
    let of_broker = |(broker, count): &(Box<str>, i32)| {
        let broker = broker.to_string();
        (0..*count).map(move |queue_id| MessageQueue { broker_name: broker.clone(), queue_id, topic: topic.to_owned() })
    };
    let mut queues: Vec<_> = brokers.iter().flat_map(of_broker).collect();
    queues.sort_unstable();
    queues
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queues(broker: &str, perm: i32, read_queue_nums: i32) -> QueueData {
        QueueData { broker_name: broker.to_owned(), perm, read_queue_nums, ..QueueData::default() }
    }

    #[test]
    fn a_route_is_fresh_for_a_while_and_known_for_longer() {
        let mut routes = KnownRoutes::new(Millis(30));
        routes.handle_told(Millis(5), "T", &[queues("b", 6, 2)]);
        assert!(routes.is_fresh(Millis(34), "T") && !routes.is_fresh(Millis(35), "T"));
        assert_eq!(routes.get("T"), Some(&[("b".into(), 2)][..]));
        assert_eq!(routes.get("U"), None);
    }

    #[test]
    fn queues_that_nobody_may_read_are_nobodys_and_the_others_come_sorted() {
        let mut routes = KnownRoutes::new(Millis(30));
        routes.handle_told(Millis(0), "T", &[queues("b", 6, 2), queues("c", 2, 4), queues("a", 4, 1)]);
        let named = queues_of("T", routes.get("T").unwrap());
        let named: Vec<_> = named.iter().map(|queue| (queue.broker_name.as_str(), queue.queue_id)).collect();
        assert_eq!(named, [("a", 0), ("b", 0), ("b", 1)]);
    }

    #[test]
    fn the_oldest_route_makes_room() {
        let mut routes = KnownRoutes::new(Millis(30));
        for number in 0..=LIMIT {
            routes.handle_told(Millis(0), &number.to_string(), &[]);
        }
        assert!(routes.get("0").is_none() && routes.get("1").is_some() && routes.topics.len() == LIMIT);
    }
}
