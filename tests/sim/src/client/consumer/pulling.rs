//! Pulling: one request for each queue, always under way or about to be.

use petrel_tests::{Packet, requests::Pull};
use proto_core::code::{RequestCode, ResponseCode};
use route_core::{Millis, Now};

use super::{Consumer, Style, Tag, Todo, process_queue::Pulled};
use crate::{
    client::remoting::{Answer, Ask, Patience, Remoting},
    fact::Fact,
    names::Queue,
};

/// `brokerSuspendMaxTimeMillis`
const SUSPEND: i64 = 15_000;

/// `consumerTimeoutMillisWhenSuspend`
const PULL_TIMEOUT: Millis = Millis::from_secs(30);

/// `pullTimeDelayMillsWhenException`
pub(super) const AFTER_FAILURE: Millis = Millis::from_secs(3);

/// The pause while too much is in the cache, and how much that is (`pullThresholdForQueue`, `consumeConcurrentlyMaxSpan`).
const WHILE_FULL: Millis = Millis(50);
const FULL: usize = 1_000;
const WIDE: i64 = 2_000;

impl Consumer {
    pub(super) fn pull(&mut self, now: Now, net: &mut Remoting<Tag>, queue: &Queue, id: u64) {
        let (plan, locking) = (self.plan.clone(), self.is_locking());
        let Some(reading) = self.reading(queue, id).filter(|reading| !reading.dropped) else { return };
        reading.last_pull = now.mono;
        let full = reading.messages.len() > FULL || (plan.style == Style::Concurrent && reading.span() > WIDE);
        if full {
            return self.agenda.after(now, WHILE_FULL, Todo::Pull(queue.clone(), id));
        }
        if locking && !reading.locked {
            return self.agenda.after(now, AFTER_FAILURE, Todo::Pull(queue.clone(), id));
        }
        if locking && !reading.previously_locked {
            if !self.ask_offset(now, net, queue, Tag::StartOffset(queue.clone(), id)) {
                self.agenda.after(now, AFTER_FAILURE, Todo::Pull(queue.clone(), id));
            }
            return;
        }
        let from = reading.next_offset;
        let Some(address) = self.routes.master(&queue.broker).map(str::to_owned) else {
            return self.agenda.after(now, AFTER_FAILURE, Todo::Pull(queue.clone(), id));
        };
        let commit = self.offsets.get(queue).filter(|offset| *offset > 0 && self.is_clustering());
        let pull = Pull {
            tags: None,
            commit,
            sub_version: self.sub_version,
            ..Pull::new(&plan.group, &queue.topic, from).in_queue(queue.id).held_for(SUSPEND)
        };
        let ask = Ask::new(RequestCode::PullMessage, pull.fields());
        net.call(now, &address, ask, Patience::Async(PULL_TIMEOUT), Tag::Pull(queue.clone(), id));
    }

    pub(super) fn handle_pulled(&mut self, now: Now, net: &mut Remoting<Tag>, queue: &Queue, id: u64, answer: Answer) {
        if self.reading(queue, id).is_none_or(|reading| reading.dropped) {
            return;
        }
        let code = answer.as_ref().map_or(-1, |packet| packet.code);
        let Some(known) = ResponseCode::from_code(code) else {
            return self.agenda.after(now, AFTER_FAILURE, Todo::Pull(queue.clone(), id));
        };
        match (known, answer) {
            (ResponseCode::Success, Ok(packet)) => self.handle_found(now, net, queue, id, &packet),
            (ResponseCode::PullNotFound | ResponseCode::PullRetryImmediately, Ok(packet)) => {
                self.go_on(now, net, queue, id, packet.number("nextBeginOffset"));
            }
            (ResponseCode::PullOffsetMoved, Ok(packet)) => {
                self.begin_anew(now, net, queue, packet.number("nextBeginOffset"));
            }
            _ => self.agenda.after(now, AFTER_FAILURE, Todo::Pull(queue.clone(), id)),
        }
    }

    fn handle_found(&mut self, now: Now, net: &mut Remoting<Tag>, queue: &Queue, id: u64, packet: &Packet) {
        let next = packet.number("nextBeginOffset");
        let pulled: Vec<Pulled> = packet.records().into_iter().filter_map(Pulled::new).collect();
        let offsets: Vec<i64> = pulled.iter().map(|message| message.record.offset).collect();
        let Some(reading) = self.reading(queue, id) else { return };
        let from = std::mem::replace(&mut reading.next_offset, next);
        reading.put(pulled.into_iter());
        let (group, client) = (self.plan.group.clone(), self.client.clone());
        self.journal.note(Fact::Pulled { group, client, queue: queue.clone(), from, offsets: offsets.clone(), next });
        match self.plan.style {
            Style::Concurrent => offsets.into_iter().for_each(|offset| self.submit(now, queue, id, offset)),
            Style::Orderly => self.work_soon(now, queue, id),
        }
        self.pull(now, net, queue, id);
    }

    /// There was nothing: what has been looked at need not be looked at again.
    fn go_on(&mut self, now: Now, net: &mut Remoting<Tag>, queue: &Queue, id: u64, next: i64) {
        let Some(reading) = self.reading(queue, id) else { return };
        let from = std::mem::replace(&mut reading.next_offset, next);
        if reading.messages.is_empty() {
            self.offsets.update(queue, next, true);
        }
        if from != next {
            let (group, client) = (self.plan.group.clone(), self.client.clone());
            self.journal.note(Fact::Pulled { group, client, queue: queue.clone(), from, offsets: Vec::new(), next });
        }
        self.pull(now, net, queue, id);
    }
}
