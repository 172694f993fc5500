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

use super::{API_TIMEOUT, Consumer, ProcessQueue, Tag, Todo, orderly::LockFor, pulling::AFTER_FAILURE};
use crate::{
    client::remoting::{Answer, Ask, Patience, Remoting},
    fact::Fact,
    names::{Name, Queue},
};

/// Time between two rebalances if nothing asks for one (`rocketmq.client.rebalance.waitInterval`).
const WAIT_INTERVAL: Millis = Millis::from_secs(20);

/// The shortest time between two of them (`rocketmq.client.rebalance.minInterval`).
const MIN_INTERVAL: Millis = Millis::from_secs(1);

/// A lock that was refused is asked for again after this.
const AFTER_LOCK_FAILED: Millis = Millis(500);

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
            self.drop_queue(now, net, queue);
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

    /// Stops reading a queue. An orderly one stays with this client as long as its application works on it.
    fn drop_queue(&mut self, now: Now, net: &mut Remoting<Tag>, queue: &Queue) {
        if let Some(reading) = self.queues.get_mut(queue) {
            reading.dropped = true;
        }
        if self.is_locking() {
            if !self.give_back(now, net, queue) {
                return;
            }
        } else {
            self.persist(net, queue);
        }
        self.queues.remove(queue);
        self.offsets.forget(queue);
        self.journal.line(|| format!("{} drops {queue}", self.client));
    }

    fn join(&mut self, now: Now, net: &mut Remoting<Tag>, queue: Queue) {
        let id = self.next_reading;
        self.next_reading += 1;
        self.joining.insert(queue.clone(), id);
        if self.is_locking() {
            if !self.ask_lock(now, net, std::slice::from_ref(&queue), LockFor::Join(queue.clone(), id)) {
                self.joining.remove(&queue);
            }
        } else {
            self.begin_reading(now, net, queue, id);
        }
    }

    pub(super) fn handle_join_locked(&mut self, now: Now, net: &mut Remoting<Tag>, queue: Queue, id: u64, locked: bool) {
        if self.joining.get(&queue) != Some(&id) {
            if locked && !self.queues.contains_key(&queue) && !self.joining.contains_key(&queue) {
                self.unlock(net, &queue);
            }
        } else if locked {
            self.begin_reading(now, net, queue, id);
        } else {
            self.joining.remove(&queue);
            self.rebalance_by(now.mono + AFTER_LOCK_FAILED);
        }
    }

    fn begin_reading(&mut self, now: Now, net: &mut Remoting<Tag>, queue: Queue, id: u64) {
        self.offsets.forget(&queue);
        if self.is_clustering() {
            if !self.ask_offset(now, net, &queue, Tag::Offset(queue.clone(), id)) {
                self.joining.remove(&queue);
            }
        } else {
            let from = self.local_offsets.get(&queue).copied().unwrap_or(0);
            self.joining.remove(&queue);
            self.read_from(now, queue, id, from);
        }
    }

    /// Asks the broker of a queue how far the group has come in it; `false` if it is not known where that is.
    pub(super) fn ask_offset(&self, now: Now, net: &mut Remoting<Tag>, queue: &Queue, tag: Tag) -> bool {
        let Some(address) = self.routes.master(&queue.broker) else { return false };
        let fields = vec![
            ("topic", queue.topic.to_string().into()),
            ("consumerGroup", self.plan.group.to_string().into()),
            ("queueId", queue.id.to_string().into()),
        ];
        net.call(now, address, Ask::new(RequestCode::QueryConsumerOffset, fields), Patience::Sync(API_TIMEOUT), tag);
        true
    }

    pub(super) fn handle_offset(&mut self, now: Now, queue: &Queue, id: u64, answer: &Answer) {
        if self.joining.get(queue) != Some(&id) {
            return;
        }
        self.joining.remove(queue);
        match told(answer) {
            Some(from) => self.read_from(now, queue.clone(), id, from),
            None => self.rebalance_by(now.mono + MIN_INTERVAL),
        }
    }

    fn read_from(&mut self, now: Now, queue: Queue, id: u64, from: i64) {
        let locked = self.is_locking();
        self.queues.insert(queue.clone(), ProcessQueue::new(id, now.mono, from, locked));
        if !locked {
            self.note_began(&queue, from);
        }
        self.agenda.after(now, FIRST_PULL, Todo::Pull(queue, id));
    }

    fn note_began(&self, queue: &Queue, from: i64) {
        let (group, client, local) = (self.plan.group.clone(), self.client.clone(), !self.is_clustering());
        self.journal.note(Fact::Began { group, client, queue: queue.clone(), from, local });
        self.journal.line(|| format!("{} reads {queue} from {from}", self.client));
    }

    /// An orderly reading begins where the group is now that the queue is locked, not where it was before.
    pub(super) fn handle_start_offset(&mut self, now: Now, net: &mut Remoting<Tag>, queue: &Queue, id: u64, answer: &Answer) {
        let Some(reading) = self.reading(queue, id).filter(|reading| !reading.dropped) else { return };
        let Some(from) = told(answer) else {
            return self.agenda.after(now, AFTER_FAILURE, Todo::Pull(queue.clone(), id));
        };
        reading.next_offset = from;
        reading.previously_locked = true;
        self.note_began(queue, from);
        self.pull(now, net, queue, id);
    }

    /// The broker says that an offset is none: the queue is given back, with the offset that the broker names, and taken anew.
    pub(super) fn begin_anew(&mut self, now: Now, net: &mut Remoting<Tag>, queue: &Queue, offset: i64) {
        self.offsets.freeze(queue, offset);
        self.persist(net, queue);
        self.drop_queue(now, net, queue);
        self.rebalance_soon(now);
    }
}

/// Where an answer says that the group is. A group that is new here begins with the first message.
fn told(answer: &Answer) -> Option<i64> {
    match answer {
        Ok(packet) if packet.code == ResponseCode::Success.code() => Some(packet.number("offset")),
        Ok(packet) if packet.code == ResponseCode::QueryNotFound.code() => Some(0),
        _ => None,
    }
}
