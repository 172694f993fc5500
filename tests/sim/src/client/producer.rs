//! A producer with the official client's habits: routes from name servers, queues in turn, three attempts within three seconds.

use std::rc::Rc;

use petrel_tests::{Packet, requests::Message};
use proto_core::{
    bodies::{HeartbeatData, ProducerData},
    code::{RequestCode, ResponseCode},
    json::{self, Dialect},
    names::AUTO_CREATE_TOPIC,
};
use route_core::{Millis, Now, interval::Interval, random::Random};

use super::{
    Role,
    remoting::{Answer, Ask, Patience, Remoting},
    routes::{self, Routes},
};
use crate::{
    fact::Fact,
    journal::Journal,
    names::{Key, Name, Queue, Spot},
};

/// `sendMsgTimeout`: all attempts together.
const SEND_TIMEOUT: Millis = Millis::from_secs(3);

/// Attempts in all (`retryTimesWhenSendFailed` and the first).
const ATTEMPTS: u32 = 3;

/// `heartbeatBrokerInterval`
const HEARTBEAT_INTERVAL: Millis = Millis::from_secs(30);

/// The answers after which the official client tries another queue (`DefaultMQProducer.retryResponseCodes`).
const RETRIED: [ResponseCode; 5] = [
    ResponseCode::TopicNotExist,
    ResponseCode::ServiceNotAvailable,
    ResponseCode::SystemError,
    ResponseCode::SystemBusy,
    ResponseCode::NoPermission,
];

/// What a producer is to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProducerPlan {
    /// Its number.
    pub number: u16,
    /// Where it sends to.
    pub topic: Name,
    /// How many messages.
    pub count: u32,
    /// The longest pause between two of them.
    pub pause: Millis,
    /// Whether it chooses queues by a key of the message, as one does who needs an order. It then tries each message once.
    pub keyed: bool,
    /// One message in so many waits for a delay level; 0 if none does.
    pub delayed_one_in: u32,
    /// The highest delay level it uses.
    pub delay_levels: u32,
}

/// What a call was made for.
#[derive(Clone, Debug)]
pub enum Tag {
    /// The route of a topic.
    Route(Name),
    /// The message under way, with the number of the attempt.
    Send(u32),
    /// A heartbeat.
    Heartbeat,
}

#[derive(Debug)]
enum State {
    /// Until the next message.
    Pausing(Millis),
    /// A message needs the route of its topic.
    Routing,
    /// A message is at a broker.
    Sending(Queue),
    /// All is sent.
    Done,
}

/// A message that is being sent.
#[derive(Debug)]
struct Current {
    key: Key,
    delay_level: u32,
    deadline: Millis,
    attempt: u32,
    last_broker: Option<Name>,
}

/// The producer.
#[derive(Debug)]
pub struct Producer {
    plan: ProducerPlan,
    journal: Journal,
    random: Random,
    routes: Routes,
    poll_routes: Interval,
    heartbeat: Interval,
    state: State,
    current: Option<Current>,
    next_number: u32,
    turn: usize,
}

impl Producer {
    /// A producer that has not started.
    #[must_use]
    pub fn new(now: Now, plan: ProducerPlan, servers: Rc<[Name]>, journal: Journal, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let turn = random.below(1 << 16) as usize;
        Self {
            plan,
            journal,
            routes: Routes::new(servers, turn),
            poll_routes: Interval::new(now, Millis(10), routes::POLL_INTERVAL),
            heartbeat: Interval::new(now, Millis::from_secs(1), HEARTBEAT_INTERVAL),
            state: State::Pausing(now.mono),
            current: None,
            next_number: 0,
            turn,
            random,
        }
    }

    /// Whether it has sent, or given up, all that it is to send.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// No further message is begun.
    pub fn stop(&mut self) {
        self.plan.count = self.next_number;
        if matches!(self.state, State::Pausing(_)) {
            self.state = State::Done;
        }
    }

    fn begin(&mut self, now: Now, net: &mut Remoting<Tag>) {
        let key = Key { producer: self.plan.number, number: self.next_number };
        self.next_number += 1;
        let delayed = self.plan.delayed_one_in > 0 && self.random.below(self.plan.delayed_one_in) == 0;
        let delay_level = if delayed { 1 + self.random.below(self.plan.delay_levels) } else { 0 };
        self.current = Some(Current { key, delay_level, deadline: now.mono + SEND_TIMEOUT, attempt: 0, last_broker: None });
        if self.routes.knows(&self.plan.topic) || self.routes.knows(AUTO_CREATE_TOPIC) {
            self.attempt(now, net);
        } else {
            self.state = State::Routing;
            self.routes.ask(now, net, &self.plan.topic, Tag::Route(self.plan.topic.clone()));
        }
    }

    fn queues(&self) -> Vec<Queue> {
        let queues = self.routes.writable(&self.plan.topic);
        if queues.is_empty() { self.routes.writable_by_default(&self.plan.topic, AUTO_CREATE_TOPIC) } else { queues }
    }

    /// Sends the current message to the next queue, if there is one and time left.
    fn attempt(&mut self, now: Now, net: &mut Remoting<Tag>) {
        let queues = self.queues();
        let Some(current) = &mut self.current else { return };
        let most = if self.plan.keyed { 1 } else { ATTEMPTS };
        if queues.is_empty() || current.attempt == most || now.mono >= current.deadline {
            return self.give_up(now);
        }
        let queue = if self.plan.keyed {
            queues[current.key.number as usize % queues.len()].clone()
        } else {
            self.turn += 1;
            let others: Vec<&Queue> = queues.iter().filter(|queue| Some(&queue.broker) != current.last_broker.as_ref()).collect();
            let choices = if others.is_empty() { queues.iter().collect() } else { others };
            choices[self.turn % choices.len()].clone()
        };
        current.attempt += 1;
        current.last_broker = Some(queue.broker.clone());
        let Some(address) = self.routes.master(&queue.broker) else { return self.give_up(now) };
        let (key, level) = (current.key.to_string(), current.delay_level.to_string());
        let unique = unique_key(current.key);
        let mut properties = vec![("KEYS", key.as_str()), ("UNIQ_KEY", unique.as_str()), ("WAIT", "true")];
        if current.delay_level > 0 {
            properties.push(("DELAY", &level));
        }
        let message = Message::new(&self.plan.topic, &key).in_queue(queue.id).with(&properties);
        let ask = Ask::new(RequestCode::SendMessageV2, message.fields()).with_body(key.clone());
        let patience = Patience::Sync(current.deadline.saturating_sub(now.mono));
        net.call(now, address, ask, patience, Tag::Send(current.attempt));
        self.journal.note(Fact::Sent { key: current.key });
        self.journal.line(|| format!("producer {} sends {key} to {queue}", self.plan.number));
        self.state = State::Sending(queue);
    }

    fn handle_sent(&mut self, now: Now, net: &mut Remoting<Tag>, attempt: u32, answer: Answer) {
        let (State::Sending(queue), Some(current)) = (&self.state, &self.current) else { return };
        if current.attempt != attempt {
            return;
        }
        match answer {
            Ok(packet) if packet.code == ResponseCode::Success.code() => {
                let (spot, place) = stored_at(queue, &packet);
                self.journal.note(Fact::Acked { key: current.key, spot, place });
                self.finish(now);
            }
            Ok(packet) if RETRIED.iter().any(|code| code.code() == packet.code) => self.attempt(now, net),
            Ok(_) => self.give_up(now),
            Err(_) => self.attempt(now, net),
        }
    }

    fn give_up(&mut self, now: Now) {
        if let Some(current) = &self.current {
            self.journal.line(|| format!("producer {} gives {} up", self.plan.number, current.key));
            self.journal.note(Fact::GaveUp { key: current.key });
        }
        self.finish(now);
    }

    fn finish(&mut self, now: Now) {
        self.current = None;
        let pause = Millis(u64::from(self.random.below(u32::try_from(self.plan.pause.0).unwrap_or(u32::MAX))));
        self.state = if self.next_number < self.plan.count { State::Pausing(now.mono + pause) } else { State::Done };
    }

    fn send_heartbeats(&mut self, now: Now, net: &mut Remoting<Tag>) {
        let group_name = format!("producers-{}", self.plan.number);
        let client_id = format!("producer-{}", self.plan.number);
        let body = HeartbeatData { client_id, producer_data_set: vec![ProducerData { group_name }], ..HeartbeatData::default() };
        let body = json::to_vec(&body, Dialect::Default);
        for master in self.routes.masters() {
            let ask = Ask::new(RequestCode::HeartBeat, Vec::new()).with_body(body.clone());
            net.call(now, &master, ask, Patience::Sync(Millis::from_secs(3)), Tag::Heartbeat);
        }
    }
}

/// The key that the client gives a message (`UNIQ_KEY`).
pub(super) fn unique_key(key: Key) -> String {
    format!("{:08X}{:024X}", key.producer, key.number)
}

/// Where an answer to a send says that the message lies: queue and offset, and the place in the log that is in its id.
fn stored_at(queue: &Queue, packet: &Packet) -> (Spot, i64) {
    let id = packet.field("msgId");
    let place = id.get(id.len().saturating_sub(16)..).and_then(|digits| i64::from_str_radix(digits, 16).ok()).unwrap_or(-1);
    let id = i32::try_from(packet.number("queueId")).unwrap_or(-1);
    (Spot { queue: Queue { id, ..queue.clone() }, offset: packet.number("queueOffset") }, place)
}

impl Role for Producer {
    type Tag = Tag;

    fn handle_start(&mut self, _now: Now, _net: &mut Remoting<Tag>) {}

    fn handle_answer(&mut self, now: Now, net: &mut Remoting<Tag>, tag: Tag, answer: Answer) {
        match tag {
            Tag::Heartbeat => {}
            Tag::Send(attempt) => self.handle_sent(now, net, attempt, answer),
            Tag::Route(topic) => {
                let by_default = *topic == *AUTO_CREATE_TOPIC;
                self.routes.handle_answer(&topic, &answer);
                if !matches!(self.state, State::Routing) {
                    return;
                }
                if !by_default && !self.routes.knows(&topic) {
                    self.routes.ask(now, net, AUTO_CREATE_TOPIC, Tag::Route(AUTO_CREATE_TOPIC.into()));
                } else {
                    self.attempt(now, net);
                }
            }
        }
    }

    fn handle_told(&mut self, _now: Now, _net: &mut Remoting<Tag>, _told: &Packet) {}

    fn handle_timeout(&mut self, now: Now, net: &mut Remoting<Tag>) {
        if self.poll_routes.is_due(now) && !self.is_done() {
            self.routes.ask(now, net, &self.plan.topic, Tag::Route(self.plan.topic.clone()));
        }
        if self.heartbeat.is_due(now) {
            self.send_heartbeats(now, net);
        }
        if matches!(self.state, State::Pausing(until) if until <= now.mono) {
            if self.next_number < self.plan.count { self.begin(now, net) } else { self.state = State::Done }
        }
    }

    fn poll_timeout(&self) -> Option<Millis> {
        let pause = if let State::Pausing(until) = self.state { Some(until) } else { None };
        [pause, Some(self.poll_routes.next()), Some(self.heartbeat.next())].into_iter().flatten().min()
    }
}
