//! Messages to an application that takes several at a time (`ConsumeMessageConcurrentlyService`).

use std::collections::BTreeMap;

use petrel_tests::requests::Message;
use proto_core::{
    code::{RequestCode, ResponseCode},
    names,
    properties::names as property,
};
use route_core::{Millis, Now};

use super::{Consumer, Model, Style, Tag, Todo};
use crate::{
    client::remoting::{Answer, Ask, CallError, Patience, Remoting},
    fact::Fact,
    names::{Key, Queue, Spot},
};

/// Threads of the application (`consumeThreadMin`).
const THREADS: usize = 20;

/// Time that a broker has to take a failed message back.
const SEND_BACK_TIMEOUT: Millis = Millis::from_secs(5);

/// Time that the client's own producer has for a message (`sendMsgTimeout`).
const RETRY_SEND_TIMEOUT: Millis = Millis::from_secs(3);

/// After this a message that could not be sent back is handed to the application again.
const RESUBMIT: Millis = Millis::from_secs(5);

/// A message on its way through the application.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) queue: Queue,
    /// The reading that brought it.
    pub(super) id: u64,
    pub(super) offset: i64,
    pub(super) key: Key,
    pub(super) times: i32,
    pub(super) damage: Option<String>,
}

impl Consumer {
    /// A message is to be handed to the application when one of its threads is free.
    pub(super) fn submit(&mut self, now: Now, queue: &Queue, id: u64, offset: i64) {
        let Some(message) = self.reading(queue, id).and_then(|reading| reading.messages.get(&offset)) else { return };
        let job = Job { queue: queue.clone(), id, offset, key: message.key, times: message.times, damage: message.damage.clone() };
        if self.busy < THREADS {
            self.hand_over(now, job);
        } else {
            self.backlog.push_back(job);
        }
    }

    fn hand_over(&mut self, now: Now, job: Job) {
        self.busy += 1;
        let work = self.draw_work();
        self.agenda.after(now, work, Todo::Finish(job));
    }

    /// How long the application takes this time.
    pub(super) fn draw_work(&mut self) -> Millis {
        let most = u32::try_from(self.plan.work.0 + 1).unwrap_or(u32::MAX);
        Millis(u64::from(self.random.below(most)))
    }

    /// Notes that the application is done with a message; whether it could handle it.
    pub(super) fn note_handled(&self, job: &Job) -> bool {
        let Job { queue, id, offset, key, times, damage } = job;
        let well = self.plan.failures(*key) <= *times;
        let spot = Spot { queue: queue.clone(), offset: *offset };
        self.journal.line(|| format!("{} has {} {key} from {spot}, try {times}", self.client, if well { "handled" } else { "failed" }));
        let (group, client) = (self.plan.group.clone(), self.client.clone());
        self.journal.note(Fact::Handled { group, client, reading: *id, spot, key: *key, times: *times, well, damage: damage.clone() });
        well
    }

    /// The application is done with a message. If the queue was taken away meanwhile, nobody asks how it went.
    pub(super) fn finish(&mut self, now: Now, net: &mut Remoting<Tag>, job: Job) {
        self.busy -= 1;
        if let Some(next) = self.backlog.pop_front() {
            self.hand_over(now, next);
        }
        let well = self.note_handled(&job);
        let Job { queue, id, offset, .. } = job;
        if well || self.plan.model == Model::Broadcasting {
            return self.done_with(&queue, id, offset);
        }
        self.send_back(now, net, &queue, id, offset);
    }

    fn send_back(&mut self, now: Now, net: &mut Remoting<Tag>, queue: &Queue, id: u64, offset: i64) {
        let Some(message) = self.reading(queue, id).and_then(|reading| reading.messages.get(&offset)) else { return };
        let (place, times) = (message.record.place, message.times);
        let unique = message.record.properties.get(property::UNIQ_KEY).cloned().unwrap_or_default();
        let topic = message.topic.to_string();
        let Some(address) = self.routes.master(&queue.broker).map(str::to_owned) else {
            // The client does not try: it sends a copy elsewhere.
            return self.send_to_retry(now, net, queue, id, offset, times + 1);
        };
        let fields = vec![
            ("offset", place.to_string().into()),
            ("group", self.plan.group.to_string().into()),
            ("delayLevel", "0".into()),
            ("originMsgId", unique.into()),
            ("originTopic", topic.into()),
            ("unitMode", "false".into()),
            ("maxReconsumeTimes", self.plan.limit().to_string().into()),
        ];
        let ask = Ask::new(RequestCode::ConsumerSendMsgBack, fields);
        net.call(now, &address, ask, Patience::Sync(SEND_BACK_TIMEOUT), Tag::SendBack(queue.clone(), id, offset));
    }

    pub(super) fn handle_sent_back(&mut self, now: Now, net: &mut Remoting<Tag>, queue: &Queue, id: u64, offset: i64, answer: &Answer) {
        if answer.as_ref().is_ok_and(|packet| packet.code == ResponseCode::Success.code()) {
            return self.done_with(queue, id, offset);
        }
        // The client then sends a copy to the retry topic as a message of its own.
        let times = self.reading(queue, id).and_then(|reading| reading.messages.get(&offset)).map(|message| message.times);
        if let Some(times) = times {
            self.send_to_retry(now, net, queue, id, offset, times + 1);
        }
    }

    /// Sends a copy of a failed message to the retry topic; the broker decides whether it is dead.
    pub(super) fn send_to_retry(&mut self, now: Now, net: &mut Remoting<Tag>, queue: &Queue, id: u64, offset: i64, times: i32) {
        let topic = names::retry_topic(&self.plan.group);
        let targets = self.routes.writable(&topic);
        let target = targets.get(self.random.below(u32::try_from(targets.len()).unwrap_or(0)) as usize);
        let address = target.and_then(|target| self.routes.master(&target.broker)).map(str::to_owned);
        let Some((address, target)) = address.zip(target) else {
            return self.handle_sent_to_retry(now, queue, id, offset, &Err(CallError::NotConnected));
        };
        let limit = self.plan.limit();
        let Some(message) = self.reading(queue, id).and_then(|reading| reading.messages.get(&offset)) else { return };
        let (level, times_text, limit_text) = ((3 + message.times).to_string(), times.to_string(), limit.to_string());
        let origin = message.record.properties.get(property::ORIGIN_MESSAGE_ID).or(message.record.properties.get(property::UNIQ_KEY));
        let origin = origin.cloned().unwrap_or_default();
        let mut properties: BTreeMap<&str, &str> =
            message.record.properties.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        properties.extend([
            (property::ORIGIN_MESSAGE_ID, origin.as_str()),
            (property::RETRY_TOPIC, &message.topic),
            (property::RECONSUME_TIME, &times_text),
            (property::MAX_RECONSUME_TIMES, &limit_text),
            (property::DELAY, &level),
        ]);
        let properties: Vec<(&str, &str)> = properties.into_iter().collect();
        let body = message.record.body.clone();
        let copy = Message { reconsume_times: times, max_reconsume_times: Some(limit), ..Message::new(&topic, &body) };
        let ask = Ask::new(RequestCode::SendMessageV2, copy.in_queue(target.id).with(&properties).fields()).with_body(body.clone());
        net.call(now, &address, ask, Patience::Sync(RETRY_SEND_TIMEOUT), Tag::SentToRetry(queue.clone(), id, offset));
    }

    pub(super) fn handle_sent_to_retry(&mut self, now: Now, queue: &Queue, id: u64, offset: i64, answer: &Answer) {
        let ok = answer.as_ref().is_ok_and(|packet| packet.code == ResponseCode::Success.code());
        if self.plan.style == Style::Orderly {
            return self.handle_dead(now, queue, id, offset, ok);
        }
        if ok {
            return self.done_with(queue, id, offset);
        }
        if let Some(message) = self.reading(queue, id).and_then(|reading| reading.messages.get_mut(&offset)) {
            message.times += 1;
            self.agenda.after(now, RESUBMIT, Todo::Resubmit(queue.clone(), id, offset));
        }
    }

    /// A message needs nothing more: the queue has come so far.
    fn done_with(&mut self, queue: &Queue, id: u64, offset: i64) {
        let removed = self.reading(queue, id).and_then(|reading| reading.remove(offset));
        if let Some(commit) = removed {
            self.offsets.update(queue, commit, true);
        }
    }
}
