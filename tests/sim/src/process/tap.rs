//! Between the network and a broker's machine: what is asked and what is answered, as facts.

use std::collections::{BTreeMap, BTreeSet};

use proto_core::{
    Command,
    bodies::{HeartbeatData, LockBatchRequestBody, LockBatchResponseBody, MessageModel},
    code::{RequestCode, ResponseCode},
    json,
    sys_flag::pull as pull_flag,
};
use route_core::{
    Millis, Now, Output, Peer, PeerId, Reply, Storage,
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
    Pull { group: Name, queue: Queue, from: i64, until: Option<Millis> },
    Offset { group: Name, queue: Queue },
    Lock { group: Name, client: Name },
    Return { group: Name, place: i64 },
    Send,
}

/// Watches one broker.
#[derive(Debug)]
pub(super) struct Tap {
    broker: Name,
    journal: Journal,
    asked: BTreeMap<(PeerId, i32), Asked>,
    /// How much the log held when the waiting pulls were last looked at.
    looked_at: i64,
    /// When it looks for pulls that were not answered in time.
    next_look: Option<Millis>,
    /// Who is in which group that shares out its queues, and since when it is silent, by what heartbeats say.
    members: BTreeMap<Name, BTreeMap<PeerId, Millis>>,
    /// Who is to be told that a group has changed.
    to_tell: BTreeSet<(PeerId, Name)>,
}

/// Whoever is silent for longer may have been forgotten, which the others were told then (`channelExpiredTimeout`).
const FORGOTTEN: Millis = Millis::from_secs(120);

/// A pull that has waited its time is answered this much later at most.
const ANSWERED_WITHIN: Millis = Millis::from_secs(1);

impl Tap {
    pub(super) const fn new(broker: Name, journal: Journal) -> Self {
        Self { broker, journal, asked: BTreeMap::new(), looked_at: 0, next_look: None, members: BTreeMap::new(), to_tell: BTreeSet::new() }
    }

    pub(super) fn see_command(&mut self, now: Now, peer: Peer, command: &Command<'_>) {
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
                let span = u64::try_from(number("suspendTimeoutMillis")).unwrap_or(0);
                let until = pull_flag::has_suspend(flags).then_some(now.mono + Millis(span));
                if let Some(until) = until {
                    self.next_look.get_or_insert(until + ANSWERED_WITHIN);
                }
                Asked::Pull { group: text("consumerGroup"), queue: queue(), from: number("queueOffset"), until }
            }
            Some(RequestCode::SendMessageV2) => Asked::Send,
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
            Some(RequestCode::HeartBeat) => return self.see_heartbeat(now, peer.id, command.body),
            Some(RequestCode::UnregisterClient) => return self.see_departure(now, peer.id, &text("consumerGroup")),
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
        if let Output::Request { to, request, .. } = output
            && request.code == RequestCode::NotifyConsumerIdsChanged
        {
            let group = request.fields.iter().flatten().find(|(name, _)| *name == "consumerGroup");
            self.to_tell.remove(&(*to, group.map(|(_, group)| Name::from(group.as_ref())).unwrap_or_default()));
        }
        let Output::Reply { to, opaque, reply } = output else { return };
        let Some(asked) = self.asked.remove(&(*to, *opaque)) else { return };
        let ok = reply.code == ResponseCode::Success;
        match asked {
            Asked::Pull { .. } => {}
            Asked::Send => {
                if ok {
                    self.journal.note(Fact::SendAnswered { broker: self.broker.clone() });
                }
            }
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

    pub(super) fn see_disconnected(&mut self, now: Now, peer: PeerId) {
        self.asked.retain(|(waits, _), _| *waits != peer);
        self.to_tell.retain(|(to, _)| *to != peer);
        let groups: Vec<Name> =
            self.members.iter().filter(|(_, peers)| peers.contains_key(&peer)).map(|(group, _)| group.clone()).collect();
        groups.iter().for_each(|group| self.see_departure(now, peer, group));
    }

    fn see_heartbeat(&mut self, now: Now, peer: PeerId, body: &[u8]) {
        let Ok(heartbeat) = json::from_slice::<HeartbeatData>(body) else { return };
        for consumer in heartbeat.consumer_data_set {
            let group = Name::from(consumer.group_name);
            if consumer.message_model == Some(MessageModel::Clustering) {
                let before = self.members.entry(group.clone()).or_default().insert(peer, now.mono);
                // Who was silent for too long may have been forgotten by now, or may not.
                if before.is_none() {
                    self.expect_telling(now, &group);
                }
            }
        }
    }

    fn see_departure(&mut self, now: Now, peer: PeerId, group: &Name) {
        let heard = self.members.get_mut(group).and_then(|peers| peers.remove(&peer));
        self.to_tell.remove(&(peer, group.clone()));
        if heard.is_some_and(|heard| now.mono <= heard + FORGOTTEN) {
            self.expect_telling(now, group);
        }
    }

    fn expect_telling(&mut self, now: Now, group: &Name) {
        let peers = self.members.get(group).into_iter().flatten().filter(|(_, heard)| now.mono <= **heard + FORGOTTEN);
        self.to_tell.extend(peers.map(|(peer, _)| (*peer, group.clone())));
    }

    /// When it wants to look at the pulls that wait.
    pub(super) const fn poll_timeout(&self) -> Option<Millis> {
        self.next_look
    }

    /// The machine has done all that it wants to do: no pull may wait for what is there, and nobody for news of its group. Answers may be late
    /// as long as the machine has yet to be told that time has passed.
    pub(super) fn look(&mut self, now: Now, broker: &Broker<WatchedLog>, may_be_late: bool) {
        if let Some((_, group)) = self.to_tell.pop_first() {
            self.to_tell.clear();
            self.journal.note(Fact::NotTold { broker: self.broker.clone(), group });
        }
        if !may_be_late {
            self.look_for_overdue(now);
        }
        let readable = broker.storage().readable();
        if readable == std::mem::replace(&mut self.looked_at, readable) {
            return;
        }
        for asked in self.asked.values() {
            let Asked::Pull { group, queue, from, until: Some(_) } = asked else { continue };
            let bounds = broker.storage().find_queue(&queue.topic, queue.id).map(|id| broker.storage().bounds(id));
            if let Some(end) = bounds.map(|bounds| bounds.max).filter(|end| end > from) {
                self.journal.note(Fact::Overlooked { group: group.clone(), queue: queue.clone(), from: *from, end });
            }
        }
    }

    fn look_for_overdue(&mut self, now: Now) {
        if self.next_look.is_none_or(|at| at > now.mono) {
            return;
        }
        self.next_look = None;
        for asked in self.asked.values() {
            let Asked::Pull { group, queue, from, until: Some(until) } = asked else { continue };
            let latest = *until + ANSWERED_WITHIN;
            if latest <= now.mono {
                self.journal.note(Fact::Overdue { group: group.clone(), queue: queue.clone(), from: *from });
            }
            self.next_look = Some(self.next_look.map_or(latest, |next| next.min(latest)));
        }
    }
}

fn locked(reply: &Reply) -> Option<Vec<Queue>> {
    let ReplyBody::Bytes(bytes) = &reply.body else { return None };
    let body: LockBatchResponseBody = json::from_slice(bytes).ok()?;
    Some(body.lock_ok_mq_set.iter().map(Queue::from).collect())
}
