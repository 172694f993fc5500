//! A push consumer as the official client is one: it shares queues out with the other members of its group, pulls with long polls, hands
//! messages to the application and commits how far it has come every five seconds.

use std::{
    collections::{BTreeMap, VecDeque},
    rc::Rc,
};

use petrel_tests::Packet;
use proto_core::{
    bodies::{ConsumeFromWhere, ConsumeType, ConsumerData, HeartbeatData, MessageModel, ProducerData, SubscriptionData},
    code::RequestCode,
    json::{self, Dialect},
    names,
    subscription::WASM,
};
use route_core::{Millis, Now, random::Random};

use super::{
    Role,
    agenda::Agenda,
    remoting::{Answer, Ask, Patience, Remoting},
    routes::{self, Routes},
};
use crate::{
    fact::Fact,
    journal::Journal,
    names::{Name, Queue},
    plugins,
};

mod concurrent;
mod offsets;
mod orderly;
mod plan;
mod process_queue;
mod pulling;
mod rebalance;

pub use orderly::LockFor;
pub use plan::{GroupPlan, Model, Style};

use concurrent::Job;
use offsets::Offsets;
use process_queue::ProcessQueue;

/// `heartbeatBrokerInterval`
const HEARTBEAT_INTERVAL: Millis = Millis::from_secs(30);

/// `persistConsumerOffsetInterval`, and the time before the first one.
const PERSIST_INTERVAL: Millis = Millis::from_secs(5);
const FIRST_PERSIST: Millis = Millis::from_secs(10);

/// `mqClientApiTimeout`
const API_TIMEOUT: Millis = Millis::from_secs(3);

/// What a call was made for.
#[derive(Clone, Debug)]
pub enum Tag {
    /// The route of a topic.
    Route(Name),
    /// A heartbeat.
    Heartbeat,
    /// Who is in the group, to share a topic's queues out.
    Members(Name),
    /// Where the group is in a queue that is being taken.
    Offset(Queue, u64),
    /// A pull, by the number of the reading.
    Pull(Queue, u64),
    /// The same again, once an orderly queue is locked.
    StartOffset(Queue, u64),
    /// A failed message was sent back.
    SendBack(Queue, u64, i64),
    /// A copy of a failed message was sent to the retry topic.
    SentToRetry(Queue, u64, i64),
    /// A lock.
    Lock(LockFor),
    /// The group is told that this client leaves.
    Leave,
}

/// Something to do at a time. Numbers tell one reading of a queue from the next.
#[derive(Clone, Debug)]
enum Todo {
    PollRoutes,
    Heartbeat,
    Persist,
    Rebalance,
    Pull(Queue, u64),
    /// The application is done with a message.
    Finish(Job),
    /// A message that could not be sent back is tried again.
    Resubmit(Queue, u64, i64),
    /// Orderly: all locks are renewed.
    RenewLocks,
    /// Orderly: the next message of a queue.
    Work(Queue, u64),
    /// Orderly: the same, but the lock has to come first.
    LockForWork(Queue, u64),
    /// Orderly: the application is done with a message.
    FinishInOrder(Job),
}

/// The consumer.
#[derive(Debug)]
pub struct Consumer {
    plan: Rc<GroupPlan>,
    client: Name,
    journal: Journal,
    random: Random,
    routes: Routes,
    agenda: Agenda<Todo>,
    queues: BTreeMap<Queue, ProcessQueue>,
    /// Queues that are being taken, by the number that their reading will have.
    joining: BTreeMap<Queue, u64>,
    offsets: Offsets,
    /// Broadcasting: what lies in the client's own file. It survives the process.
    local_offsets: BTreeMap<Queue, i64>,
    next_reading: u64,
    sub_version: i64,
    /// Routes that have to come before the first heartbeat.
    awaited_routes: usize,
    last_rebalance: Millis,
    rebalance_at: Option<Millis>,
    /// Messages that wait for a thread of the application, and how many threads are busy.
    backlog: VecDeque<Job>,
    busy: usize,
}

impl Consumer {
    /// A consumer that has not started.
    #[must_use]
    pub fn new(plan: Rc<GroupPlan>, client: Name, servers: Rc<[Name]>, journal: Journal, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let turn = random.below(1 << 16) as usize;
        Self {
            plan,
            client,
            journal,
            routes: Routes::new(servers, turn),
            agenda: Agenda::default(),
            queues: BTreeMap::new(),
            joining: BTreeMap::new(),
            offsets: Offsets::default(),
            local_offsets: BTreeMap::new(),
            next_reading: 1,
            sub_version: 0,
            awaited_routes: 0,
            last_rebalance: Millis::ZERO,
            rebalance_at: None,
            backlog: VecDeque::new(),
            busy: 0,
            random,
        }
    }

    /// Its id.
    #[must_use]
    pub const fn client(&self) -> &Name {
        &self.client
    }

    /// Its group.
    #[must_use]
    pub const fn plan(&self) -> &Rc<GroupPlan> {
        &self.plan
    }

    /// The queues that it reads.
    pub fn queues(&self) -> impl Iterator<Item = &Queue> {
        self.queues.iter().filter(|(_, queue)| !queue.dropped).map(|(queue, _)| queue)
    }

    /// The queues of its topics, as its routes say.
    #[must_use]
    pub fn readable_queues(&self) -> Vec<Queue> {
        self.topics().iter().flat_map(|topic| self.routes.readable(topic)).collect()
    }

    /// What lies in its own file of offsets.
    #[must_use]
    pub const fn local_offsets(&self) -> &BTreeMap<Queue, i64> {
        &self.local_offsets
    }

    /// Has had so many lives before, and finds a file of offsets that the last one has left.
    #[must_use]
    pub fn with_past(self, lives: u64, local_offsets: BTreeMap<Queue, i64>) -> Self {
        Self { local_offsets, next_reading: (lives << 32) + 1, ..self }
    }

    /// It is told to stop: it keeps its offsets, gives its locks back and takes leave. Its process may end a moment later.
    pub fn stop(&mut self, now: Now, net: &mut Remoting<Tag>) {
        self.persist_all(net);
        if self.is_locking() {
            let locked: Vec<Queue> = self.queues.keys().cloned().collect();
            for queue in locked {
                self.unlock(net, &queue);
            }
        }
        let fields = vec![("clientID", self.client.to_string().into()), ("consumerGroup", self.plan.group.to_string().into())];
        for master in self.routes.masters() {
            net.call(now, &master, Ask::new(RequestCode::UnregisterClient, fields.clone()), Patience::Sync(API_TIMEOUT), Tag::Leave);
        }
        self.queues.clear();
        self.joining.clear();
        self.agenda = Agenda::default();
        self.journal.line(|| format!("{} stops", self.client));
    }

    /// Whether no message is with it.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.queues.values().all(|queue| queue.dropped || queue.messages.is_empty())
    }

    fn is_clustering(&self) -> bool {
        self.plan.model == Model::Clustering
    }

    /// The topics it subscribes to, the retry topic of its group included.
    fn topics(&self) -> Vec<Name> {
        let mut topics = self.plan.topics.clone();
        if self.is_clustering() {
            topics.push(names::retry_topic(&self.plan.group).into());
        }
        topics
    }

    fn ask_routes(&self, now: Now, net: &mut Remoting<Tag>) {
        for topic in self.topics() {
            self.routes.ask(now, net, &topic, Tag::Route(topic.clone()));
        }
    }

    fn send_heartbeats(&self, now: Now, net: &mut Remoting<Tag>) {
        // What was sent back has passed the filter before.
        let is_filtered = |topic: &Name| self.plan.filtered && !names::is_retry(topic);
        let subscription = |topic: &Name| SubscriptionData {
            topic: topic.to_string(),
            sub_string: Some(if is_filtered(topic) { plugins::EVEN } else { SubscriptionData::SUB_ALL }.to_owned()),
            expression_type: is_filtered(topic).then(|| WASM.to_owned()),
            sub_version: self.sub_version,
            ..SubscriptionData::default()
        };
        let consumer = ConsumerData {
            consume_from_where: Some(ConsumeFromWhere::ConsumeFromFirstOffset),
            consume_type: Some(ConsumeType::ConsumePassively),
            group_name: self.plan.group.to_string(),
            message_model: Some(if self.is_clustering() { MessageModel::Clustering } else { MessageModel::Broadcasting }),
            subscription_data_set: self.topics().iter().map(subscription).collect(),
            unit_mode: false,
        };
        let body = HeartbeatData {
            client_id: self.client.to_string(),
            consumer_data_set: vec![consumer],
            producer_data_set: vec![ProducerData { group_name: "CLIENT_INNER_PRODUCER".to_owned() }],
            ..HeartbeatData::default()
        };
        let body = json::to_vec(&body, Dialect::Default);
        for master in self.routes.masters() {
            let ask = Ask::new(RequestCode::HeartBeat, Vec::new()).with_body(body.clone());
            net.call(now, &master, ask, Patience::Sync(API_TIMEOUT), Tag::Heartbeat);
        }
    }

    /// Keeps how far the group has come in a queue: at its broker, or with broadcasting in the client's own file.
    fn persist(&mut self, net: &mut Remoting<Tag>, queue: &Queue) {
        let Some(offset) = self.offsets.get(queue) else { return };
        if !self.is_clustering() {
            self.local_offsets.insert(queue.clone(), offset);
            return;
        }
        let Some(address) = self.routes.master(&queue.broker) else { return };
        let fields = vec![
            ("topic", queue.topic.to_string().into()),
            ("consumerGroup", self.plan.group.to_string().into()),
            ("queueId", queue.id.to_string().into()),
            ("commitOffset", offset.to_string().into()),
        ];
        net.tell(address, Ask::new(RequestCode::UpdateConsumerOffset, fields));
        let (group, client) = (self.plan.group.clone(), self.client.clone());
        self.journal.line(|| format!("{client} commits {queue} at {offset}"));
        self.journal.note(Fact::Commits { group, client, queue: queue.clone(), offset });
    }

    fn persist_all(&mut self, net: &mut Remoting<Tag>) {
        let queues: Vec<Queue> = self.queues.keys().filter(|queue| self.offsets.get(queue).is_some()).cloned().collect();
        for queue in queues {
            self.persist(net, &queue);
        }
        let reading = &self.queues;
        self.offsets.retain(|queue| reading.contains_key(queue));
    }

    /// The reading of a queue, if it is still this one.
    fn reading(&mut self, queue: &Queue, id: u64) -> Option<&mut ProcessQueue> {
        self.queues.get_mut(queue).filter(|reading| reading.id == id)
    }
}

impl Role for Consumer {
    type Tag = Tag;

    fn handle_start(&mut self, now: Now, net: &mut Remoting<Tag>) {
        self.sub_version = now.wall.0;
        self.awaited_routes = self.topics().len();
        self.ask_routes(now, net);
        self.agenda.after(now, routes::POLL_INTERVAL, Todo::PollRoutes);
        self.agenda.after(now, HEARTBEAT_INTERVAL, Todo::Heartbeat);
        self.agenda.after(now, FIRST_PERSIST, Todo::Persist);
        if self.is_locking() {
            self.agenda.after(now, orderly::FIRST_LOCK, Todo::RenewLocks);
        }
    }

    fn handle_answer(&mut self, now: Now, net: &mut Remoting<Tag>, tag: Tag, answer: Answer) {
        match tag {
            Tag::Route(topic) => {
                self.routes.handle_answer(&topic, &answer);
                if self.awaited_routes > 0 {
                    self.awaited_routes -= 1;
                    if self.awaited_routes == 0 {
                        self.send_heartbeats(now, net);
                        self.rebalance_soon(now);
                    }
                }
            }
            Tag::Heartbeat | Tag::Leave => {}
            Tag::Members(topic) => self.handle_members(now, net, &topic, &answer),
            Tag::Offset(queue, id) => self.handle_offset(now, &queue, id, &answer),
            Tag::Pull(queue, id) => self.handle_pulled(now, net, &queue, id, answer),
            Tag::StartOffset(queue, id) => self.handle_start_offset(now, net, &queue, id, &answer),
            Tag::SendBack(queue, id, offset) => self.handle_sent_back(now, net, &queue, id, offset, &answer),
            Tag::SentToRetry(queue, id, offset) => self.handle_sent_to_retry(now, &queue, id, offset, &answer),
            Tag::Lock(what_for) => self.handle_locked(now, net, what_for, &answer),
        }
    }

    fn handle_told(&mut self, now: Now, _net: &mut Remoting<Tag>, told: &Packet) {
        if told.code == RequestCode::NotifyConsumerIdsChanged.code() {
            self.rebalance_soon(now);
        }
    }

    fn handle_timeout(&mut self, now: Now, net: &mut Remoting<Tag>) {
        while let Some(todo) = self.agenda.pop_due(now) {
            match todo {
                Todo::PollRoutes => {
                    self.ask_routes(now, net);
                    self.agenda.after(now, routes::POLL_INTERVAL, Todo::PollRoutes);
                }
                Todo::Heartbeat => {
                    self.send_heartbeats(now, net);
                    self.agenda.after(now, HEARTBEAT_INTERVAL, Todo::Heartbeat);
                }
                Todo::Persist => {
                    self.persist_all(net);
                    self.agenda.after(now, PERSIST_INTERVAL, Todo::Persist);
                }
                Todo::Rebalance => self.rebalance(now, net),
                Todo::Pull(queue, id) => self.pull(now, net, &queue, id),
                Todo::Finish(job) => self.finish(now, net, job),
                Todo::Resubmit(queue, id, offset) => self.submit(now, &queue, id, offset),
                Todo::RenewLocks => {
                    self.renew_locks(now, net);
                    self.agenda.after(now, orderly::LOCK_INTERVAL, Todo::RenewLocks);
                }
                Todo::Work(queue, id) => self.work(now, &queue, id),
                Todo::LockForWork(queue, id) => self.lock_for_work(now, net, &queue, id),
                Todo::FinishInOrder(job) => self.finish_in_order(now, net, job),
            }
        }
    }

    fn poll_timeout(&self) -> Option<Millis> {
        self.agenda.next()
    }
}
