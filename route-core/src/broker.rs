//! The broker: it composes the small machines and holds no rule of its own but the order in which they are asked.

use std::collections::VecDeque;

use proto_core::{Command, code::RequestCode, delay::DelayLevels, ids::UniqueIdGenerator, properties::PropertiesWriter};

use crate::{
    interval::Interval,
    output::{NoticeLevel, Output, Peer, PeerId, Reply, ReplyBody, Table, Ticket},
    random::Random,
    storage::{Appended, LogOffset, LogRange, OffsetTableKind, QueueId, Storage},
    time::{Millis, Now},
};

pub mod attributes;
pub mod config;
pub mod consumers;
pub mod delay;
pub mod groups;
pub mod hold;
pub mod locks;
pub mod members;
pub mod offsets;
pub mod park;
pub mod producers;
pub mod read;
pub mod refusal;
pub mod retry;
pub mod saves;
pub mod topics;

mod admin;
mod redeliver;

use config::BrokerConfig;
use consumers::ConsumerTable;
use delay::DelaySchedule;
use groups::GroupTable;
use locks::QueueLocks;
use offsets::{Commit, OffsetTable};
use park::{ParkedReply, ParkingLot};
use producers::ProducerTable;
use read::ReadScratch;
use saves::Saves;
use topics::{SystemTopics, TopicTable};

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

/// The broker machine over any [`Storage`].
#[derive(Debug)]
pub struct Broker<S: Storage> {
    config: BrokerConfig,
    storage: S,
    topics: TopicTable,
    groups: GroupTable,
    consumers: ConsumerTable,
    producers: ProducerTable,
    offsets: OffsetTable,
    locks: QueueLocks,
    delay_levels: DelayLevels,
    delay: DelaySchedule,
    saves: Saves,
    save_offsets: Interval,
    save_delays: Interval,
    parked: ParkingLot,
    random: Random,
    unique_ids: UniqueIdGenerator,
    outputs: VecDeque<Output>,
    /// The time of the last verb; what follows from it is settled when outputs are drained.
    now: Now,
    settled: bool,
    // Buffers that are used again from request to request.
    properties_text: String,
    properties: PropertiesWriter,
    record: Vec<u8>,
    placed: Vec<Appended>,
    found: Vec<LogRange>,
    spare_ranges: Vec<Vec<LogRange>>,
    read_scratch: ReadScratch,
}

impl<S: Storage> Broker<S> {
    /// A broker over a log that has been recovered.
    ///
    /// # Errors
    /// `messageDelayLevel` cannot be read.
    pub fn new(now: Now, config: BrokerConfig, mut storage: S) -> Result<Self, proto_core::delay::DelayLevelsError> {
        let delay_levels = DelayLevels::parse(&config.delay_levels)?;
        let system = SystemTopics {
            cluster: &config.cluster,
            broker: &config.name,
            auto_create: config.auto_create_topic,
            default_queue_nums: config.default_topic_queue_nums,
            cluster_topic: config.cluster_topic,
            broker_topic: config.broker_topic,
        };
        let limits = config.limits;
        Ok(Self {
            topics: TopicTable::new(now.wall, &system, limits.topics),
            groups: GroupTable::new(now.wall, config.auto_create_group, limits.groups),
            consumers: ConsumerTable::new(limits.members, config.channel_expired_timeout),
            producers: ProducerTable::new(limits.members, config.channel_expired_timeout),
            offsets: OffsetTable::new(now.wall, limits.offsets),
            locks: QueueLocks::new(limits.locks),
            delay: DelaySchedule::new(now, &delay_levels, &mut storage),
            delay_levels,
            saves: Saves::default(),
            save_offsets: Interval::new(now, config.flush_consumer_offset_interval, config.flush_consumer_offset_interval),
            save_delays: Interval::new(now, config.flush_delay_offset_interval, config.flush_delay_offset_interval),
            parked: ParkingLot::default(),
            random: Random::new(config.seed),
            unique_ids: UniqueIdGenerator::new(config.address.ip(), config.process, config.seed as i32, 0),
            outputs: VecDeque::new(),
            now,
            settled: false,
            properties_text: String::new(),
            properties: PropertiesWriter::new(),
            record: Vec::new(),
            placed: Vec::new(),
            found: Vec::new(),
            spare_ranges: Vec::new(),
            read_scratch: ReadScratch::default(),
            storage,
            config,
        })
    }

    /// The log.
    pub const fn storage(&self) -> &S {
        &self.storage
    }

    /// The log, for the runtime to ask for a flush.
    pub const fn storage_mut(&mut self) -> &mut S {
        &mut self.storage
    }

    /// A request came in.
    pub fn handle_request(&mut self, now: Now, peer: Peer, command: &Command<'_>) {
        self.begin(now);
        let asked = Asked { peer, opaque: command.opaque, oneway: command.flag.is_oneway() };
        let Some(code) = RequestCode::from_code(command.code) else {
            return self.reply(asked, Reply::not_supported(command.code));
        };
        self.handle_rare(now, asked, code, command);
    }

    /// The log is on disk up to here.
    pub fn handle_durable(&mut self, now: Now, up_to: LogOffset) {
        self.begin(now);
        self.storage.set_durable(up_to);
        while let Some(ParkedReply { to, opaque, reply }) = self.parked.pop_durable(up_to) {
            self.outputs.push_back(Output::Reply { to, opaque, reply });
        }
    }

    /// A table is on disk, or could not be put there.
    pub fn handle_persisted(&mut self, now: Now, ticket: Ticket, result: Result<(), String>) {
        self.begin(now);
        for ParkedReply { to, opaque, reply } in self.saves.finish(ticket) {
            let reply = match &result {
                Ok(()) => reply,
                Err(why) => Reply::error(proto_core::code::ResponseCode::SystemError, format!("the change could not be saved: {why}")),
            };
            self.outputs.push_back(Output::Reply { to, opaque, reply });
        }
        if let Err(why) = result {
            self.notice(NoticeLevel::Error, format!("a table could not be saved: {why}"));
        }
    }

    /// A connection is gone.
    pub fn handle_disconnected(&mut self, now: Now, peer: PeerId) {
        self.begin(now);
        self.consumers.handle_disconnected(peer);
        self.producers.handle_disconnected(peer);
    }

    /// The moment that [`Self::poll_timeout`] announced has come.
    pub fn handle_timeout(&mut self, now: Now) {
        self.begin(now);
        for peer in self.consumers.handle_timeout(now).into_iter().chain(self.producers.handle_timeout(now)) {
            self.outputs.push_back(Output::Close { peer, reason: "no heartbeat for too long".into() });
        }
        self.locks.handle_timeout(now);
        self.deliver_due(now);
        while let Some(ParkedReply { to, opaque, mut reply }) = self.parked.pop_overdue(now) {
            reply.code = proto_core::code::ResponseCode::FlushDiskTimeout;
            self.outputs.push_back(Output::Reply { to, opaque, reply });
        }
    }

    /// When to be woken next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Millis> {
        [
            self.consumers.poll_timeout(),
            self.producers.poll_timeout(),
            self.locks.poll_timeout(),
            self.delay.poll_timeout(),
            self.parked.poll_timeout(),
            Some(self.save_offsets.next()),
            Some(self.save_delays.next()),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// The next thing to do; drained until there is none after every verb or, by a loop that takes several requests in one turn, after the turn.
    pub fn poll_output(&mut self) -> Option<Output> {
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
        }
    }

    fn reply(&mut self, asked: Asked, reply: Reply) {
        if asked.oneway {
            self.recycle(reply);
        } else {
            self.outputs.push_back(Output::Reply { to: asked.peer.id, opaque: asked.opaque, reply });
        }
    }

    /// Answers when the log is durable up to `until`.
    fn park(&mut self, now: Now, asked: Asked, until: LogOffset, reply: Reply) {
        if asked.oneway || until <= self.storage.durable() {
            return self.reply(asked, reply);
        }
        let deadline = now.mono + self.config.sync_flush_timeout;
        self.parked.park(until, deadline, ParkedReply { to: asked.peer.id, opaque: asked.opaque, reply });
    }

    /// Answers when the table, with what this request changed in it, is on disk.
    fn reply_after_save(&mut self, asked: Asked, table: Table, reply: Reply) {
        self.save_changed_tables();
        if asked.oneway {
            return;
        }
        let parked = ParkedReply { to: asked.peer.id, opaque: asked.opaque, reply };
        if let Some(ParkedReply { to, opaque, reply }) = self.saves.park(table, parked) {
            self.outputs.push_back(Output::Reply { to, opaque, reply });
        }
    }

    fn save_changed_tables(&mut self) {}

    fn commit_offset(&mut self, now: Now, topic: &str, group: &str, queue_id: i32, offset: i64) {
        if let Commit::Changed { key } = self.offsets.commit(now.wall, topic, group, queue_id, offset) {
            self.storage.note_offset(OffsetTableKind::Consumer, key, queue_id, offset);
        }
    }

    /// A queue of a topic, opened if it is new. A topic that was deleted meanwhile still has its queue: the message is in the log.
    fn open_queue(&mut self, topic: &str, queue_id: i32) -> QueueId {
        let known = self.topics.get_mut(topic).and_then(|entry| entry.queue(&mut self.storage, queue_id));
        known.unwrap_or_else(|| self.storage.open_queue(topic, queue_id))
    }

    fn notice(&mut self, level: NoticeLevel, text: String) {
        self.outputs.push_back(Output::Notice { level, text });
    }
}
