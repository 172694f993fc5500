//! The broker: it composes the small machines and holds no rule of its own but the order in which they are asked.

use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;
use foldhash::fast::FixedState;
use indexmap::IndexMap;
use proto_core::{
    Command,
    bodies::DataVersion,
    code::{RequestCode, ResponseCode},
    delay::DelayLevels,
    headers::{DecodeExt, FieldError, PullMessageRequest, SendMessageRequest},
    ids::UniqueIdGenerator,
    names,
    properties::PropertiesWriter,
};

use crate::{
    filter::Verdicts,
    interval::Interval,
    output::{NoticeLevel, Output, Peer, PeerId, Reply, ReplyBody, Request, Ticket},
    plugins::{NoPlugins, Plugins},
    random::Random,
    registration::Registration,
    seldom::Seldom,
    storage::{Appended, LogRange, OffsetTableKind, QueueId, Storage, keys::QueryTicket},
    time::{Millis, Now},
};

pub mod address;
pub mod attributes;
pub mod bindings;
pub mod broadcast_offsets;
pub mod complaints;
pub mod config;
pub mod consumers;
pub mod delay;
mod durability;
pub mod filters;
pub mod groups;
pub mod hold;
pub mod known_routes;
pub mod locks;
pub mod members;
pub mod offsets;
pub mod park;
pub mod producers;
pub mod questions;
pub mod read;
pub mod refusal;
pub mod request_modes;
pub mod retry;
pub mod timer;
pub mod topics;
pub mod traffic;
pub mod transaction;

pub mod admin;
mod announce;
mod aside;
mod broadcasting;
mod check_back;
mod found;
mod half_messages;
mod overrun;
mod plugged;
mod pull;
mod pull_filter;
mod redeliver;
mod relay;
mod send;
mod tables;
mod timed;

use announce::Announced;
use bindings::Bindings;
use broadcast_offsets::BroadcastOffsets;
use complaints::Complaints;
use config::BrokerConfig;
use consumers::ConsumerTable;
use delay::DelaySchedule;
use filters::FilterTable;
use found::TopicsSaved;
use groups::GroupTable;
use hold::HoldTable;
use known_routes::KnownRoutes;
use locks::QueueLocks;
use offsets::{Commit, OffsetTable};
use park::ParkingLot;
use producers::ProducerTable;
use pull::HeldPull;
use questions::QuestionTable;
use refusal::Refusal;
use relay::{Relay, StatusRounds};
use request_modes::RequestModes;
use send::Place;
use tables::TableSaves;
use timer::TimerSchedule;
use topics::{SystemTopics, TopicTable};
use traffic::Traffic;
use transaction::{TransactionMetrics, TransactionTable};

/// Who asked, and under which number the answer goes back.
#[derive(Clone, Copy, Debug)]
struct Asked {
    peer: Peer,
    opaque: i32,
    /// No answer may be sent, not even an error.
    oneway: bool,
}

/// How many spent lists of places are kept for the next pulls.
const SPARE_RANGES: usize = 64;

/// Time between two lines in the log about the same flood of requests.
const FLOOD_NOTICE: Millis = Millis::from_secs(10);

/// How often the filters of groups are saved if they have changed; Java has no key for it.
const FILTER_SAVE_INTERVAL: Millis = Millis::from_secs(10);

/// The broker machine over any [`Storage`].
#[derive(Debug)]
pub struct Broker<S: Storage> {
    config: BrokerConfig,
    storage: S,
    plugins: Arc<dyn Plugins>,
    topics: TopicTable,
    /// What the table of topics that was loaded knew of.
    topics_saved: Option<TopicsSaved>,
    groups: GroupTable,
    consumers: ConsumerTable,
    producers: ProducerTable,
    filters: FilterTable,
    bindings: Bindings,
    /// Changes with what is bound and installed: pulls that have waited since before are admitted anew.
    filters_epoch: u64,
    request_modes: RequestModes,
    routes: KnownRoutes,
    transactions: TransactionTable,
    transaction_metrics: TransactionMetrics,
    offsets: OffsetTable,
    broadcast_offsets: BroadcastOffsets,
    locks: QueueLocks,
    delay_levels: DelayLevels,
    delay: DelaySchedule,
    /// The last delivery of a delayed message was refused by storage.
    delivery_refused: bool,
    /// `None` if no message may ask for a time.
    timer: Option<TimerSchedule>,
    /// The last delivery of a timed message was refused by storage.
    timer_refused: bool,
    holds: HoldTable<HeldPull>,
    /// Held pulls that something has arrived for.
    woken: Vec<HeldPull>,
    /// Lines about a full hold table.
    holds_full: Seldom,
    /// Lines about requests that were refused.
    complaints: Complaints,
    /// Storage refuses what transactions have to be noted with.
    notes_refused: Seldom,
    /// Words of producers count for nothing.
    words_refused: Seldom,
    /// Plugins that share out queues fail.
    allocator_failed: Seldom,
    registration: Registration,
    saves: TableSaves,
    save_offsets: Interval,
    save_delays: Interval,
    save_timer: Interval,
    save_filters: Interval,
    save_transaction_metrics: Interval,
    parked: ParkingLot,
    /// Who waits for what storage finds. Storage takes up no more than it can work on.
    searches: IndexMap<QueryTicket, Asked, FixedState>,
    /// What clients have been asked and have not answered yet.
    questions: QuestionTable<Relay>,
    /// Version of the settings, as 26 tells it.
    settings_version: DataVersion,
    status_rounds: StatusRounds,
    traffic: Traffic,
    opaque: i32,
    random: Random,
    unique_ids: UniqueIdGenerator,
    /// What a failed commit takes back as far as it says that something was done.
    outputs: VecDeque<Output>,
    /// Answers about what is on disk.
    durable_answers: VecDeque<Output>,
    /// The log that this process began with may have lost its end in a crash.
    has_lost_its_end: bool,
    /// Storage did not take what was appended last.
    commit_failed: bool,
    /// When the broker was made.
    started: Now,
    /// The time of the last verb; what follows from it is settled when outputs are drained.
    now: Now,
    settled: bool,
    // Buffers that are used again from request to request.
    properties_text: Vec<u8>,
    properties: PropertiesWriter,
    record: Vec<u8>,
    placed: Vec<Appended>,
    found: Vec<LogRange>,
    spare_ranges: Vec<Vec<LogRange>>,
    verdicts: Verdicts,
}

impl<S: Storage> Broker<S> {
    /// A broker over a log that has been recovered, without plugins.
    ///
    /// # Errors
    /// `messageDelayLevel` cannot be read.
    pub fn new(now: Now, config: BrokerConfig, storage: S) -> Result<Self, proto_core::delay::DelayLevelsError> {
        Self::with_plugins(now, config, storage, Arc::new(NoPlugins))
    }

    /// A broker with what the operator has installed.
    ///
    /// # Errors
    /// `messageDelayLevel` cannot be read.
    pub fn with_plugins(
        now: Now,
        config: BrokerConfig,
        mut storage: S,
        plugins: Arc<dyn Plugins>,
    ) -> Result<Self, proto_core::delay::DelayLevelsError> {
        let delay_levels = DelayLevels::parse(&config.delay_levels)?;
        let system = SystemTopics {
            cluster: &config.cluster,
            broker: &config.name,
            auto_create: config.auto_create_topic,
            default_queue_nums: config.default_topic_queue_nums,
            cluster_topic: config.cluster_topic,
            broker_topic: config.broker_topic,
            trace_topic: config.trace_topic.as_deref(),
        };
        let limits = config.limits;
        let mut topics = TopicTable::new(now.wall, &system, limits.topics);
        topics.set_mixed_type(config.mixed_message_type);
        Ok(Self {
            topics,
            topics_saved: None,
            groups: GroupTable::new(now.wall, config.auto_create_group, limits.groups),
            consumers: ConsumerTable::new(limits.members, config.channel_expired_timeout, limits.subscriptions),
            producers: ProducerTable::new(limits.members, config.channel_expired_timeout),
            transactions: TransactionTable::new(limits.transactions),
            transaction_metrics: TransactionMetrics::new(now.wall, limits.topics),
            filters: FilterTable::new(limits.filters, config.filter_bloom, config.filter_clean_span, Arc::clone(&plugins)),
            bindings: Bindings::new(limits.groups, Arc::clone(&plugins)),
            filters_epoch: 0,
            request_modes: RequestModes::new(limits.groups),
            routes: KnownRoutes::new(config.load_balance_poll_interval),
            offsets: OffsetTable::new(now.wall, limits.offsets),
            broadcast_offsets: BroadcastOffsets::new(config.broadcast, limits.broadcast_bytes),
            locks: QueueLocks::new(limits.locks),
            delay: DelaySchedule::new(now, &delay_levels, &mut storage),
            delivery_refused: false,
            timer: config.timer.enabled.then(|| TimerSchedule::new(now, config.timer, &mut storage)),
            timer_refused: false,
            delay_levels,
            holds: HoldTable::new(limits.holds),
            woken: Vec::new(),
            holds_full: Seldom::new(FLOOD_NOTICE),
            complaints: Complaints::default(),
            notes_refused: Seldom::new(FLOOD_NOTICE),
            words_refused: Seldom::new(FLOOD_NOTICE),
            allocator_failed: Seldom::new(FLOOD_NOTICE),
            registration: Registration::new(config.registration()),
            saves: TableSaves::default(),
            save_offsets: Interval::new(now, config.flush_consumer_offset_interval, config.flush_consumer_offset_interval),
            save_delays: Interval::new(now, config.flush_delay_offset_interval, config.flush_delay_offset_interval),
            save_timer: Interval::new(now, config.timer.flush_interval, config.timer.flush_interval),
            save_filters: Interval::new(now, FILTER_SAVE_INTERVAL, FILTER_SAVE_INTERVAL),
            save_transaction_metrics: Interval::new(
                now,
                config.transaction_metric_flush_interval,
                config.transaction_metric_flush_interval,
            ),
            parked: ParkingLot::default(),
            searches: IndexMap::default(),
            questions: QuestionTable::new(limits.questions),
            settings_version: DataVersion::new(now.wall.0),
            status_rounds: StatusRounds::default(),
            traffic: Traffic::new(now),
            opaque: 0,
            random: Random::new(config.seed),
            unique_ids: UniqueIdGenerator::new(config.address.ip(), config.process, config.seed as i32, 0),
            outputs: VecDeque::new(),
            durable_answers: VecDeque::new(),
            has_lost_its_end: false,
            commit_failed: false,
            started: now,
            now,
            settled: false,
            properties_text: Vec::new(),
            properties: PropertiesWriter::new(),
            record: Vec::new(),
            placed: Vec::new(),
            found: Vec::new(),
            spare_ranges: Vec::new(),
            verdicts: Verdicts::default(),
            storage,
            plugins,
            config,
        })
    }

    /// The log.
    pub const fn storage(&self) -> &S {
        &self.storage
    }

    /// The undecided transactions, and what has become of the others; for metrics.
    pub const fn transactions(&self) -> &TransactionTable {
        &self.transactions
    }

    /// How many half messages of each topic are undecided; for metrics.
    pub const fn transaction_metrics(&self) -> &TransactionMetrics {
        &self.transaction_metrics
    }

    /// The log, for the runtime to ask for a flush.
    pub const fn storage_mut(&mut self) -> &mut S {
        &mut self.storage
    }

    /// The log, for the runtime to close it at the end.
    pub fn into_storage(self) -> S {
        self.storage
    }

    /// The broker begins to serve; tables have been loaded. Topics that only the log knows of are made again, and offsets that ran ahead
    /// of a log which a crash has cut go back to its end.
    pub fn handle_start(&mut self, now: Now) {
        self.begin(now);
        self.has_lost_its_end = self.storage.may_lack_its_end();
        if self.has_lost_its_end {
            self.clamp_offsets();
        }
        self.recover_topics(now);
        self.recover_transactions(now);
        let (registration, announced) = self.registration();
        registration.handle_start(now, &announced);
    }

    /// A dial has come to its end. A connection that nobody here wants is closed.
    pub fn handle_dialed(&mut self, now: Now, address: &str, outcome: Result<PeerId, &str>) {
        self.begin(now);
        let (registration, announced) = self.registration();
        let wanted = registration.handle_dialed(now, address, outcome, &announced);
        if let (false, Ok(peer)) = (wanted, outcome) {
            self.outputs.push_back(Output::unwanted(peer));
        }
    }

    /// A response to a request of ours came in.
    pub fn handle_response(&mut self, now: Now, peer: PeerId, response: &Command<'_>) {
        self.begin(now);
        if self.handle_client_answer(now, peer, response) {
            return;
        }
        let (registration, announced) = self.registration();
        let told = registration.handle_response(now, peer, response, &announced);
        if let Some(ordered) = told.and_then(|told| told.order_topics) {
            self.topics.set_ordered(now.wall, ordered.keys().map(String::as_str));
        }
    }

    /// The broker is to stop: everything that has changed is saved.
    pub fn handle_shutdown(&mut self, now: Now) {
        self.begin(now);
        self.save_everything();
        let (registration, announced) = self.registration();
        registration.handle_shutdown(now, &announced);
    }

    /// Whether a stop needs nothing more: nobody waits for the disk, no save is under way and every name server knows.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.parked.is_empty() && self.saves.are_idle() && self.registration.has_ended()
    }

    /// A request came in.
    pub fn handle_request(&mut self, now: Now, peer: Peer, command: &Command<'_>) {
        self.begin(now);
        let asked = Asked { peer, opaque: command.opaque, oneway: command.flag.is_oneway() };
        let Some(code) = RequestCode::from_code(command.code) else {
            return self.reply(asked, Reply::not_supported(command.code));
        };
        match code {
            RequestCode::SendMessage | RequestCode::SendMessageV2 | RequestCode::SendBatchMessage => {
                match SendMessageRequest::decode(command.code, &command.ext) {
                    Ok(request) => self.handle_send(now, asked, command.version, &request, command.body),
                    Err(error) => self.reply(asked, unreadable(&error)),
                }
            }
            RequestCode::PullMessage | RequestCode::LitePullMessage => match PullMessageRequest::decode_ext(&command.ext) {
                Ok(request) => self.handle_pull(now, asked, &request, code == RequestCode::LitePullMessage),
                Err(error) => self.reply(asked, unreadable(&error)),
            },
            _ => self.handle_rare(now, asked, code, command),
        }
    }

    /// A table is on disk, or could not be put there; the operator has read of that from whoever tried.
    pub fn handle_persisted(&mut self, now: Now, ticket: Ticket, result: Result<(), String>) {
        self.begin(now);
        self.finish_save(ticket, &result);
    }

    /// A connection is gone.
    pub fn handle_disconnected(&mut self, now: Now, peer: PeerId) {
        self.begin(now);
        self.registration.handle_disconnected(now, peer);
        self.holds.handle_disconnected(peer);
        self.saves.handle_disconnected(peer);
        self.consumers.handle_disconnected(peer);
        self.producers.handle_disconnected(peer);
        self.end_questions_of(now, peer);
    }

    /// The moment that [`Self::poll_timeout`] announced has come.
    pub fn handle_timeout(&mut self, now: Now) {
        self.begin(now);
        let mut silent = self.consumers.handle_timeout(now);
        silent.extend(self.producers.handle_timeout(now));
        silent.sort_unstable();
        silent.dedup();
        for peer in silent {
            // A client may have left only one of its roles.
            if !self.consumers.knows(peer) && !self.producers.knows(peer) {
                self.outputs.push_back(Output::Close { peer, reason: "no heartbeat for too long".into() });
            }
        }
        self.locks.handle_timeout(now);
        self.traffic.handle_timeout(now);
        let (registration, announced) = self.registration();
        registration.handle_timeout(now, &announced);
        self.commit_broadcast_offsets(now);
        self.save_due_tables(now);
        self.deliver_due(now);
        self.deliver_timed(now);
        self.check_due_transactions(now);
        while let Some(held) = self.holds.pop_overdue(now) {
            self.finish_held(now, &held);
        }
        while let Some(parked) = self.parked.pop_overdue(now) {
            self.answer_unflushed(parked);
        }
        self.end_overdue_questions(now);
        if !self.plugins_are_rechecked() {
            self.recheck_plugins(now);
        }
    }

    /// When to be woken next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Millis> {
        [
            self.consumers.poll_timeout(),
            self.producers.poll_timeout(),
            self.locks.poll_timeout(),
            self.registration.poll_timeout(),
            self.delay.poll_timeout(),
            self.timer.as_ref().and_then(TimerSchedule::poll_timeout),
            self.timer.as_ref().filter(|timer| timer.is_dirty()).map(|_| self.save_timer.next()),
            self.transactions.poll_timeout(),
            self.holds.poll_timeout(),
            self.parked.poll_timeout(),
            self.questions.poll_timeout(),
            self.broadcast_offsets.poll_timeout(),
            Some(self.save_offsets.next()),
            Some(self.save_delays.next()),
            Some(self.save_filters.next()),
            self.transaction_metrics.is_dirty().then(|| self.save_transaction_metrics.next()),
            (!self.plugins_are_rechecked()).then_some(self.now.mono),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// The next thing to do; drained until there is none after every verb or, by a loop that takes several requests in one turn, after the turn.
    pub fn poll_output(&mut self) -> Option<Output> {
        if let Some(answer) = self.durable_answers.pop_front() {
            return Some(answer);
        }
        self.commit_log();
        if !self.settled && self.outputs.is_empty() {
            self.settle();
        }
        self.outputs.pop_front()
    }

    /// Takes an answer back after its bytes are made, so that its list of places serves another pull.
    pub fn recycle(&mut self, reply: Reply) {
        if let ReplyBody::Records(mut ranges) = reply.body
            && self.spare_ranges.len() < SPARE_RANGES
        {
            ranges.clear();
            self.spare_ranges.push(ranges);
        }
    }

    /// The links with the name servers, and what they tell of the topics.
    fn registration(&mut self) -> (&mut Registration, Announced<'_>) {
        (&mut self.registration, Announced { topics: &self.topics, permission: self.config.permission })
    }

    fn begin(&mut self, now: Now) {
        self.now = now;
        self.settled = false;
    }

    /// What follows from the verbs since the last time: new messages wake pulls and levels, changed tables are saved and told.
    fn settle(&mut self) {
        self.settled = true;
        let now = self.now;
        while let Some(arrival) = self.storage.poll_arrival() {
            self.delay.handle_arrival(now, arrival);
            if let Some(timer) = &mut self.timer {
                timer.handle_arrival(now, arrival);
            }
            let storage = &self.storage;
            let record = || storage.unit(arrival.queue, arrival.queue_offset).and_then(|unit| storage.record(unit.offset));
            self.holds.handle_arrival(arrival, &record, &mut self.woken);
        }
        let mut woken = std::mem::take(&mut self.woken);
        for held in woken.drain(..) {
            self.finish_held(now, &held);
        }
        self.woken = woken;
        while let Some(group) = self.consumers.poll_vanished() {
            self.filters.unregister(now.wall, &group);
        }
        self.announce_changed_topics(now);
        self.save_changed_tables();
        while let Some(output) = self.registration.poll_output() {
            self.outputs.push_back(output);
        }
        while let Some((to, group)) = self.consumers.poll_notification() {
            self.notify_consumer(to, &group);
        }
    }

    /// Name servers hear of new and changed topics at once: the client that made one asks them next.
    fn announce_changed_topics(&mut self, now: Now) {
        let changed = self.topics.take_changed();
        if !changed.is_empty() {
            let (registration, announced) = self.registration();
            registration.handle_topics_changed(now, &changed, &announced);
        }
    }

    fn reply(&mut self, asked: Asked, reply: Reply) {
        if asked.oneway {
            self.recycle(reply);
        } else {
            self.outputs.push_back(Output::Reply { to: asked.peer.id, opaque: asked.opaque, reply });
        }
    }

    /// A request is refused: the operator may want to know why a client does not get on.
    fn note_refused(&mut self, asked: Asked, code: RequestCode, refusal: &Refusal) {
        if let Some((level, line)) = self.complaints.handle_refused(self.now.mono, asked.peer, code, refusal) {
            self.notice(level, line);
        }
    }

    fn commit_offset(&mut self, now: Now, topic: &str, group: &str, queue_id: i32, offset: i64) {
        if let Commit::Changed { key } = self.offsets.commit(now.wall, topic, group, queue_id, offset) {
            self.storage.note_offset(OffsetTableKind::Consumer, key, queue_id, offset);
        }
    }

    /// A queue of a topic, opened if it is new. A topic that is not there is made again: what is on its way there is not lost, be it that
    /// somebody deleted the topic, or that a process was killed before the table with a new one was saved.
    fn open_queue(&mut self, topic: &str, queue_id: i32) -> QueueId {
        if self.topics.get(topic).is_none() && names::validate_target(topic).is_ok() {
            self.make_awaited(topic, queue_id);
        }
        let known = self.topics.get_mut(topic).and_then(|entry| entry.queue(&mut self.storage, queue_id));
        known.unwrap_or_else(|| self.storage.open_queue(topic, queue_id))
    }

    /// NOTIFY_CONSUMER_IDS_CHANGED (40): the client is to share out the queues of a group again.
    fn notify_consumer(&mut self, to: PeerId, group: &str) {
        let request = Request {
            code: RequestCode::NotifyConsumerIdsChanged,
            oneway: true,
            fields: Some(vec![("consumerGroup", group.to_owned().into())]),
            body: Bytes::new(),
        };
        let opaque = self.next_opaque();
        self.outputs.push_back(Output::Request { to, opaque, request });
    }

    /// A number for a request of our own.
    fn next_opaque(&mut self) -> i32 {
        self.opaque = self.opaque.wrapping_add(1);
        self.opaque
    }

    fn notice(&mut self, level: NoticeLevel, text: String) {
        self.outputs.push_back(Output::Notice { level, text });
    }
}

/// The answer to a header that carries a number that is none.
fn unreadable(error: &FieldError) -> Reply {
    Reply::error(ResponseCode::SystemError, error.to_string())
}
