//! Who of a group reads which queue: each member works it out for itself, from the same lists with the same rule.

use std::collections::BTreeSet;

use proto_core::{
    bodies::GetConsumerListByGroupResponseBody,
    code::{RequestCode, ResponseCode},
    json,
};
use route_core::{
    Millis, Now,
    allocate::Average,
    filter::{QueueAllocator, QueueName},
};

use super::{API_TIMEOUT, Consumer, ProcessQueue, Tag, Todo};
use crate::{
    client::remoting::{Answer, Ask, Patience, Remoting},
    fact::Fact,
    names::{Name, Queue},
};

/// Time between two rebalances if nothing asks for one (`rocketmq.client.rebalance.waitInterval`).
const WAIT_INTERVAL: Millis = Millis::from_secs(20);

/// The shortest time between two of them (`rocketmq.client.rebalance.minInterval`).
const MIN_INTERVAL: Millis = Millis::from_secs(1);

/// A queue that was taken is first read after this time.
const FIRST_PULL: Millis = Millis(500);

impl Consumer {
    /// Something has changed: queues are shared out again as soon as that may be.
    pub(super) fn rebalance_soon(&mut self, now: Now) {
        let earliest = if self.last_rebalance == Millis::ZERO { now.mono } else { self.last_rebalance + MIN_INTERVAL };
        self.rebalance_by(now.mono.max(earliest));
    }

    fn rebalance_by(&mut self, at: Millis) {
        if self.rebalance_at.is_none_or(|planned| planned > at) {
            self.rebalance_at = Some(at);
            self.agenda.at(at, Todo::Rebalance);
        }
    }

    pub(super) fn rebalance(&mut self, now: Now, net: &mut Remoting<Tag>) {
        // Another one was done or planned since this was put down.
        if self.rebalance_at.is_none_or(|at| at > now.mono) {
            return;
        }
        self.rebalance_at = None;
        self.last_rebalance = now.mono;
        self.rebalance_by(now.mono + WAIT_INTERVAL);
        for topic in self.topics() {
            if self.is_clustering() {
                self.ask_members(now, net, &topic);
            } else {
                let all = self.routes.readable(&topic);
                self.take(now, net, &topic, all.into_iter().collect());
            }
        }
    }

    fn ask_members(&mut self, now: Now, net: &mut Remoting<Tag>, topic: &Name) {
        let masters = self.routes.masters_of(topic);
        let Some(address) = masters.get(self.random.below(u32::try_from(masters.len()).unwrap_or(0)) as usize) else { return };
        let fields = vec![("consumerGroup", self.plan.group.to_string().into())];
        let ask = Ask::new(RequestCode::GetConsumerListByGroup, fields);
        net.call(now, address, ask, Patience::Sync(API_TIMEOUT), Tag::Members(topic.clone()));
    }

    pub(super) fn handle_members(&mut self, now: Now, net: &mut Remoting<Tag>, topic: &Name, answer: &Answer) {
        let Ok(packet) = answer else { return };
        if packet.code != ResponseCode::Success.code() {
            return;
        }
        let Ok(body) = json::from_slice::<GetConsumerListByGroupResponseBody>(&packet.body) else { return };
        let mut members = body.consumer_id_list;
        members.sort();
        members.dedup();
        let queues = self.routes.readable(topic);
        let names: Vec<QueueName<'_>> =
            queues.iter().map(|queue| QueueName { topic: &queue.topic, broker_name: &queue.broker, queue_id: queue.id }).collect();
        let clients: Vec<&str> = members.iter().map(String::as_str).collect();
        let own = clients.iter().position(|client| **client == *self.client);
        let owners = Average.allocate(&names, &clients);
        let mine = queues.iter().zip(owners).filter(|(_, owner)| own.is_some() && *owner == own).map(|(queue, _)| queue.clone());
        let mine = mine.collect();
        self.take(now, net, topic, mine);
    }

    /// From now on these queues of a topic are this consumer's, and no others.
    fn take(&mut self, now: Now, net: &mut Remoting<Tag>, topic: &Name, mine: BTreeSet<Queue>) {
        let before = self.queues.len();
        let lost: Vec<Queue> = self
            .queues
            .iter()
            .filter(|(queue, reading)| queue.topic == *topic && (!mine.contains(queue) || reading.has_stalled(now.mono)))
            .map(|(queue, _)| queue.clone())
            .collect();
        for queue in &lost {
            self.drop_queue(net, queue);
        }
        self.joining.retain(|queue, _| queue.topic != *topic || mine.contains(queue));
        let mut changed = self.queues.len() != before;
        for queue in mine {
            if !self.queues.contains_key(&queue) && !self.joining.contains_key(&queue) {
                changed = true;
                self.join(now, net, queue);
            }
        }
        if changed {
            // The broker is to take this version of the subscription for the newest.
            self.sub_version = now.wall.0;
            self.send_heartbeats(now, net);
        }
    }

    fn drop_queue(&mut self, net: &mut Remoting<Tag>, queue: &Queue) {
        self.persist(net, queue);
        self.queues.remove(queue);
        self.offsets.forget(queue);
        self.journal.line(|| format!("{} drops {queue}", self.client));
    }

    fn join(&mut self, now: Now, net: &mut Remoting<Tag>, queue: Queue) {
        let Some(address) = self.routes.master(&queue.broker) else { return };
        let id = self.next_reading;
        self.next_reading += 1;
        self.offsets.forget(&queue);
        let fields = vec![
            ("topic", queue.topic.to_string().into()),
            ("consumerGroup", self.plan.group.to_string().into()),
            ("queueId", queue.id.to_string().into()),
        ];
        let ask = Ask::new(RequestCode::QueryConsumerOffset, fields);
        net.call(now, address, ask, Patience::Sync(API_TIMEOUT), Tag::Offset(queue.clone(), id));
        self.joining.insert(queue, id);
    }

    pub(super) fn handle_offset(&mut self, now: Now, queue: &Queue, id: u64, answer: &Answer) {
        if self.joining.get(queue) != Some(&id) {
            return;
        }
        self.joining.remove(queue);
        let from = match answer {
            Ok(packet) if packet.code == ResponseCode::Success.code() => packet.number("offset"),
            // A group that is new here begins with the first message.
            Ok(packet) if packet.code == ResponseCode::QueryNotFound.code() => 0,
            _ => return self.rebalance_by(now.mono + MIN_INTERVAL),
        };
        self.queues.insert(queue.clone(), ProcessQueue::new(id, now.mono, from));
        self.journal.note(Fact::Began { group: self.plan.group.clone(), client: self.client.clone(), queue: queue.clone(), from });
        self.journal.line(|| format!("{} reads {queue} from {from}", self.client));
        self.agenda.after(now, FIRST_PULL, Todo::Pull(queue.clone(), id));
    }

    /// The broker says that an offset is none: the queue is given back, with the offset that the broker names, and taken anew.
    pub(super) fn begin_anew(&mut self, now: Now, net: &mut Remoting<Tag>, queue: &Queue, offset: i64) {
        self.offsets.freeze(queue, offset);
        self.persist(net, queue);
        self.drop_queue(net, queue);
        self.rebalance_soon(now);
    }
}
