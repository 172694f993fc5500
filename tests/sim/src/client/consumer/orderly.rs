//! Messages to an application that takes them one after the other (`ConsumeMessageOrderlyService`): queues are locked at their brokers,
//! and a message that fails is tried again on the spot.

use std::collections::{BTreeMap, BTreeSet};

use proto_core::{
    bodies::{LockBatchRequestBody, LockBatchResponseBody},
    code::RequestCode,
    json::{self, Dialect},
};
use route_core::{Millis, Now};

use super::{Consumer, Style, Tag, Todo, concurrent::Job, process_queue::ProcessQueue};
use crate::{
    client::remoting::{Answer, Ask, Patience, Remoting},
    fact::Fact,
    names::{Name, Queue, Spot},
};

/// Time between two renewals of all locks (`rocketmq.client.rebalance.lockInterval`), and before the first one.
pub(super) const LOCK_INTERVAL: Millis = Millis::from_secs(20);
pub(super) const FIRST_LOCK: Millis = Millis::from_secs(1);

/// Time that a broker has to lock queues.
const LOCK_TIMEOUT: Millis = Millis::from_secs(1);

/// A lock that has expired is asked for after the first of these, and again after the second.
const LOCK_SOON: Millis = Millis(10);
const LOCK_LATER: Millis = Millis::from_secs(3);

/// Pause before a message is tried again (`suspendCurrentQueueTimeMillis`).
const SUSPEND: Millis = Millis::from_secs(1);

/// A queue that was taken away while its application works is given back after this at the latest.
const UNLOCK_DELAY: Millis = Millis::from_secs(20);

/// What a lock was asked for.
#[derive(Clone, Debug)]
pub enum LockFor {
    /// A queue is being taken.
    Join(Queue, u64),
    /// Work stands still without it.
    Work(Queue, u64),
    /// All locks at a broker are renewed.
    Renewal(Name),
}

impl Consumer {
    pub(super) fn is_locking(&self) -> bool {
        self.plan.style == Style::Orderly && self.is_clustering()
    }

    /// Asks the broker of some queues to lock them; `false` if it is not known where that is.
    pub(super) fn ask_lock(&self, now: Now, net: &mut Remoting<Tag>, queues: &[Queue], what_for: LockFor) -> bool {
        let Some(address) = queues.first().and_then(|queue| self.routes.master(&queue.broker)) else { return false };
        let ask = Ask::new(RequestCode::LockBatchMq, Vec::new()).with_body(self.lock_body(queues));
        net.call(now, address, ask, Patience::Sync(LOCK_TIMEOUT), Tag::Lock(what_for));
        true
    }

    pub(super) fn lock_for_work(&mut self, now: Now, net: &mut Remoting<Tag>, queue: &Queue, id: u64) {
        if !self.ask_lock(now, net, std::slice::from_ref(queue), LockFor::Work(queue.clone(), id)) {
            self.agenda.after(now, LOCK_LATER, Todo::Work(queue.clone(), id));
        }
    }

    pub(super) fn unlock(&self, net: &mut Remoting<Tag>, queue: &Queue) {
        let Some(address) = self.routes.master(&queue.broker) else { return };
        net.tell(address, Ask::new(RequestCode::UnlockBatchMq, Vec::new()).with_body(self.lock_body(std::slice::from_ref(queue))));
        self.journal.line(|| format!("{} unlocks {queue}", self.client));
    }

    fn lock_body(&self, queues: &[Queue]) -> Vec<u8> {
        let body = LockBatchRequestBody {
            client_id: self.client.to_string(),
            consumer_group: self.plan.group.to_string(),
            mq_set: queues.iter().map(Queue::to_body).collect(),
            only_this_broker: false,
        };
        json::to_vec(&body, Dialect::Default)
    }

    pub(super) fn renew_locks(&self, now: Now, net: &mut Remoting<Tag>) {
        let mut by_broker = BTreeMap::<Name, Vec<Queue>>::new();
        for queue in self.queues() {
            by_broker.entry(queue.broker.clone()).or_default().push(queue.clone());
        }
        for (broker, queues) in by_broker {
            self.ask_lock(now, net, &queues, LockFor::Renewal(broker));
        }
    }

    pub(super) fn handle_locked(&mut self, now: Now, net: &mut Remoting<Tag>, what_for: LockFor, answer: &Answer) {
        let body = answer.as_ref().ok().filter(|packet| packet.code == 0);
        let body = body.and_then(|packet| json::from_slice::<LockBatchResponseBody>(&packet.body).ok());
        let locked = body.map(|body| body.lock_ok_mq_set.iter().map(Queue::from).collect::<BTreeSet<_>>());
        match (what_for, locked) {
            (LockFor::Join(queue, id), locked) => {
                let ok = locked.is_some_and(|locked| locked.contains(&queue));
                self.handle_join_locked(now, net, queue, id, ok);
            }
            (LockFor::Work(queue, id), locked) => {
                let ok = locked.is_some_and(|locked| locked.contains(&queue));
                let Some(reading) = self.reading(&queue, id) else { return };
                if ok {
                    (reading.locked, reading.last_lock) = (true, now.mono);
                }
                self.agenda.after(now, if ok { LOCK_SOON } else { LOCK_LATER }, Todo::Work(queue, id));
            }
            (LockFor::Renewal(broker), Some(locked)) => {
                for (queue, reading) in self.queues.iter_mut().filter(|(queue, _)| queue.broker == broker) {
                    reading.locked = locked.contains(queue);
                    if reading.locked {
                        reading.last_lock = now.mono;
                    }
                }
            }
            (LockFor::Renewal(_), None) => {}
        }
    }

    /// Somebody is to work through a queue, unless somebody does.
    pub(super) fn work_soon(&mut self, now: Now, queue: &Queue, id: u64) {
        let Some(reading) = self.reading(queue, id) else { return };
        if !std::mem::replace(&mut reading.running, true) {
            self.agenda.at(now.mono, Todo::Work(queue.clone(), id));
        }
    }

    /// Takes the next message of a queue, if the queue is still locked.
    pub(super) fn work(&mut self, now: Now, queue: &Queue, id: u64) {
        let locking = self.is_locking();
        let Some(reading) = self.reading(queue, id) else { return };
        if reading.dropped {
            reading.running = false;
            return;
        }
        if locking && !reading.holds_lock(now.mono) {
            return self.agenda.after(now, LOCK_SOON, Todo::LockForWork(queue.clone(), id));
        }
        let Some((&offset, message)) = reading.messages.first_key_value() else {
            reading.running = false;
            return;
        };
        let (key, times, damage) = (message.key, message.times, message.damage.clone());
        reading.working_on = Some(offset);
        let spot = Spot { queue: queue.clone(), offset };
        let (group, client) = (self.plan.group.clone(), self.client.clone());
        self.journal.note(Fact::Taken { group, client, spot, key });
        let job = Job { queue: queue.clone(), id, offset, key, times, damage };
        let work = self.draw_work();
        self.agenda.after(now, work, Todo::FinishInOrder(job));
    }

    /// The application is done with a message.
    pub(super) fn finish_in_order(&mut self, now: Now, net: &mut Remoting<Tag>, job: Job) {
        let well = self.note_handled(&job);
        let limit = self.plan.limit();
        let Job { queue, id, offset, times, .. } = job;
        let Some(reading) = self.reading(&queue, id) else { return };
        reading.working_on = None;
        if well {
            return self.pass(now, &queue, id, offset);
        }
        if times >= limit {
            return self.send_to_retry(now, net, &queue, id, offset, times);
        }
        self.suspend(now, &queue, id, offset);
    }

    pub(super) fn handle_dead(&mut self, now: Now, queue: &Queue, id: u64, offset: i64, ok: bool) {
        if ok { self.pass(now, queue, id, offset) } else { self.suspend(now, queue, id, offset) }
    }

    /// The message needs nothing more; on to the next.
    fn pass(&mut self, now: Now, queue: &Queue, id: u64, offset: i64) {
        let Some(reading) = self.reading(queue, id) else { return };
        reading.messages.remove(&offset);
        if !reading.dropped {
            self.offsets.update(queue, offset + 1, false);
        }
        self.agenda.at(now.mono, Todo::Work(queue.clone(), id));
    }

    /// The message is tried again after a while; the queue waits for it.
    fn suspend(&mut self, now: Now, queue: &Queue, id: u64, offset: i64) {
        let Some(reading) = self.reading(queue, id) else { return };
        if let Some(message) = reading.messages.get_mut(&offset) {
            message.times = message.times.saturating_add(1);
        }
        self.agenda.after(now, SUSPEND, Todo::Work(queue.clone(), id));
    }

    /// Gives a queue back that was taken away; `false` if its application still works on it and may a little longer.
    pub(super) fn give_back(&mut self, now: Now, net: &mut Remoting<Tag>, queue: &Queue) -> bool {
        self.persist(net, queue);
        let at_work = |reading: &ProcessQueue| reading.working_on.is_some() && now.mono.saturating_sub(reading.last_lock) <= UNLOCK_DELAY;
        if self.queues.get(queue).is_some_and(at_work) {
            return false;
        }
        self.unlock(net, queue);
        true
    }
}
