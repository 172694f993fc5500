//! Between the network and a broker's machine: what is asked and what is answered, as facts.

use std::collections::BTreeMap;

use proto_core::{
    Command,
    bodies::{LockBatchRequestBody, LockBatchResponseBody},
    code::{RequestCode, ResponseCode},
    json,
    sys_flag::pull as pull_flag,
};
use route_core::{
    Output, Peer, PeerId, Reply, Storage,
    broker::Broker,
    output::{ReplyBody, ReplyHeader},
};

use super::log::WatchedLog;
use crate::{
    fact::Fact,
    journal::Journal,
    names::{Name, Queue},
};

/// A request whose answer is of interest.
#[derive(Debug)]
enum Asked {
    Pull { group: Name, queue: Queue, from: i64, held: bool },
    Offset { group: Name, queue: Queue },
    Lock { group: Name, client: Name },
    Return { group: Name, place: i64 },
}

/// Watches one broker.
#[derive(Debug)]
pub(super) struct Tap {
    broker: Name,
    journal: Journal,
    asked: BTreeMap<(PeerId, i32), Asked>,
    /// How much the log held when the waiting pulls were last looked at.
    looked_at: i64,
}

impl Tap {
    pub(super) const fn new(broker: Name, journal: Journal) -> Self {
        Self { broker, journal, asked: BTreeMap::new(), looked_at: 0 }
    }

    pub(super) fn see_command(&mut self, peer: Peer, command: &Command<'_>) {
        if command.flag.is_response() {
            return;
        }
        let text = |name: &str| command.ext.get(name).map(|text| Name::from(&*text.to_cow())).unwrap_or_default();
        let number = |name: &str| text(name).parse::<i64>().unwrap_or(-1);
        let queue = || Queue { topic: text("topic"), broker: self.broker.clone(), id: i32::try_from(number("queueId")).unwrap_or(-1) };
        let asked = match RequestCode::from_code(command.code) {
            Some(RequestCode::PullMessage) => {
                let flags = i32::try_from(number("sysFlag")).unwrap_or(0);
                if pull_flag::has_commit_offset(flags) {
                    let (group, offset) = (text("consumerGroup"), number("commitOffset"));
                    self.journal.note(Fact::CommitAsked { group, queue: queue(), offset });
                }
                let suspends = pull_flag::has_suspend(flags);
                let held = suspends && number("suspendTimeoutMillis") > 0;
                Asked::Pull { group: text("consumerGroup"), queue: queue(), from: number("queueOffset"), held }
            }
            Some(RequestCode::QueryConsumerOffset) => Asked::Offset { group: text("consumerGroup"), queue: queue() },
            Some(RequestCode::ConsumerSendMsgBack) => {
                let place = number("offset");
                let limit = i32::try_from(number("maxReconsumeTimes")).unwrap_or(-1);
                let level = i32::try_from(number("delayLevel")).unwrap_or(0);
                self.journal.note(Fact::ReturnAsked { broker: self.broker.clone(), group: text("group"), place, level, limit });
                Asked::Return { group: text("group"), place }
            }
            Some(RequestCode::LockBatchMq) => {
                let Ok(body) = json::from_slice::<LockBatchRequestBody>(command.body) else { return };
                Asked::Lock { group: body.consumer_group.as_str().into(), client: body.client_id.as_str().into() }
            }
            Some(RequestCode::UpdateConsumerOffset) => {
                let (group, offset) = (text("consumerGroup"), number("commitOffset"));
                self.journal.note(Fact::CommitAsked { group, queue: queue(), offset });
                return;
            }
            Some(RequestCode::UnlockBatchMq) => {
                let Ok(body) = json::from_slice::<LockBatchRequestBody>(command.body) else { return };
                self.journal.note(Fact::Unlocked {
                    broker: self.broker.clone(),
                    group: body.consumer_group.as_str().into(),
                    client: body.client_id.as_str().into(),
                    queues: body.mq_set.iter().map(Queue::from).collect(),
                });
                return;
            }
            _ => return,
        };
        if !command.flag.is_oneway() {
            self.asked.insert((peer.id, command.opaque), asked);
        }
    }

    /// The machine has handled a command.
    pub(super) fn see_handled(&self, command: &Command<'_>) {
        if !command.flag.is_response() && command.code == RequestCode::ConsumerSendMsgBack.code() {
            self.journal.note(Fact::ReturnDone { broker: self.broker.clone() });
        }
    }

    pub(super) fn see_output(&mut self, output: &Output) {
        let Output::Reply { to, opaque, reply } = output else { return };
        let Some(asked) = self.asked.remove(&(*to, *opaque)) else { return };
        let ok = reply.code == ResponseCode::Success;
        match asked {
            Asked::Pull { .. } => {}
            Asked::Offset { group, queue } => {
                let offset = if let ReplyHeader::Offset(offset) = reply.header { Some(offset) } else { None };
                if ok || reply.code == ResponseCode::QueryNotFound {
                    self.journal.note(Fact::OffsetTold { group, queue, offset });
                }
            }
            Asked::Lock { group, client } => {
                if let Some(queues) = locked(reply) {
                    self.journal.note(Fact::Locked { broker: self.broker.clone(), group, client, queues });
                }
            }
            Asked::Return { group, place } => {
                self.journal.note(Fact::ReturnAnswered { broker: self.broker.clone(), group, place, ok });
            }
        }
    }

    pub(super) fn see_disconnected(&mut self, peer: PeerId) {
        self.asked.retain(|(waits, _), _| *waits != peer);
    }

    /// The machine has done all that it wants to do: no pull may wait for what is there.
    pub(super) fn look(&mut self, broker: &Broker<WatchedLog>) {
        let readable = broker.storage().readable();
        if readable == std::mem::replace(&mut self.looked_at, readable) {
            return;
        }
        for asked in self.asked.values() {
            let Asked::Pull { group, queue, from, held: true } = asked else { continue };
            let bounds = broker.storage().find_queue(&queue.topic, queue.id).map(|id| broker.storage().bounds(id));
            if bounds.is_some_and(|bounds| bounds.max > *from) {
                self.journal.note(Fact::Overlooked { group: group.clone(), queue: queue.clone(), from: *from });
            }
        }
    }
}

fn locked(reply: &Reply) -> Option<Vec<Queue>> {
    let ReplyBody::Bytes(bytes) = &reply.body else { return None };
    let body: LockBatchResponseBody = json::from_slice(bytes).ok()?;
    Some(body.lock_ok_mq_set.iter().map(Queue::from).collect())
}
