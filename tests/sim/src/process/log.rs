//! A broker's log, which notes for the oracles what is put into it.

use std::{collections::BTreeSet, sync::Arc};

use proto_core::{
    properties::{self, names as property},
    record::RecordView,
};
use route_core::{
    Storage, Timestamp,
    broker::config::FlushMode,
    output::Table,
    random::Random,
    storage::{
        AppendError, Appended, Arrival, Boundary, CommitError, LogOffset, LogRange, NewMessage, OffsetTableKind, QueueBounds, QueueId,
        QueueUnit, Readability, TagsCode, Units,
        keys::{KeyQuery, Search},
        memory::{MemoryStorage, Visibility},
    },
};
use store::NotedOffset;

use super::{
    End,
    backing::{Backing, Found, OnDisk},
    disk::Disk,
};
use crate::{
    fact::{Fact, Record},
    journal::Journal,
    mutation::{Mutation, Tamper},
    names::{Name, Queue, Spot},
};

/// An offset that a broker has noted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Noted {
    /// The table that it belongs to.
    pub table: OffsetTableKind,
    /// Its key there.
    pub key: String,
    /// Number of the queue.
    pub queue: i32,
    /// The offset.
    pub offset: i64,
    /// Where the log ended then.
    log_end: i64,
    /// How many were noted before it.
    number: u64,
}

/// The log of one broker.
#[derive(Debug)]
pub struct WatchedLog {
    broker: Name,
    backing: Backing,
    noted: Vec<Noted>,
    /// How many offsets were ever noted.
    count: u64,
    /// So many of them were found on disk after power was lost: they cannot be lost again.
    safe: usize,
    /// Topic, group and queue of every offset that was ever noted.
    positions: BTreeSet<(String, String, i32)>,
    /// The store takes no writes any more.
    closed: bool,
    flush: FlushMode,
    readable: i64,
    journal: Journal,
    tamper: Tamper,
}

impl Default for WatchedLog {
    fn default() -> Self {
        Self::new("".into(), FlushMode::Async, None, Journal::default(), None)
    }
}

impl WatchedLog {
    /// An empty log: in memory, or the shipped store on a simulated disk with this seed, for these delay levels.
    #[must_use]
    pub fn new(broker: Name, flush: FlushMode, disk: Option<(u64, &'static str)>, journal: Journal, mutation: Option<Mutation>) -> Self {
        let backing = match disk {
            None => Backing::Memory(Box::new(empty(flush))),
            Some((seed, levels)) => Backing::Disk(Box::new(OnDisk::new(flush, levels, seed, mutation == Some(Mutation::SyncsIgnored)))),
        };
        let (positions, tamper) = (BTreeSet::new(), Tamper::new(mutation));
        Self { broker, backing, noted: Vec::new(), count: 0, safe: 0, positions, closed: false, flush, readable: 0, journal, tamper }
    }

    /// The offsets that were noted and are in no saved table.
    #[must_use]
    pub fn noted(&self) -> &[Noted] {
        &self.noted
    }

    /// How many offsets were ever noted.
    pub(super) const fn count_of_noted(&self) -> u64 {
        self.count
    }

    /// Topic, group and queue of every offset that was ever noted.
    pub(super) const fn positions(&self) -> &BTreeSet<(String, String, i32)> {
        &self.positions
    }

    /// How many messages have become readable.
    #[must_use]
    pub const fn readable(&self) -> i64 {
        self.readable
    }

    /// The store takes no writes from now on.
    pub(super) const fn close(&mut self) {
        self.closed = true;
    }

    /// A table was saved that holds those of the first `count` offsets that belong to it.
    pub(super) fn forget_noted(&mut self, table: Table, count: u64) {
        let kind = if table == Table::DelayOffsets { OffsetTableKind::Delay } else { OffsetTableKind::Consumer };
        let safe = self.safe;
        let mut index = 0;
        self.noted.retain(|noted| {
            index += 1;
            let stays = noted.number >= count || noted.table != kind;
            self.safe -= usize::from(!stays && index <= safe);
            stays
        });
    }

    /// How many of the noted offsets a loss of power leaves.
    pub(super) fn draw_noted(&self, random: &mut Random) -> usize {
        let unsafe_ones = self.noted.len() - self.safe;
        self.safe + random.below(u32::try_from(unsafe_ones + 1).unwrap_or(1)) as usize
    }

    /// The shipped store, if the log lies in one.
    pub(super) fn store(&mut self) -> Option<&mut OnDisk> {
        match &mut self.backing {
            Backing::Memory(_) => None,
            Backing::Disk(disk) => Some(disk),
        }
    }

    /// What a new process finds if the log lies in the shipped store, which decides for itself; else the log as it was.
    ///
    /// # Errors
    /// The log lies in memory.
    pub(super) fn recover(self, end: End, seed: u64) -> Result<Disk, Box<Self>> {
        let Backing::Disk(disk) = self.backing else { return Err(Box::new(self)) };
        let (disk, Found { tables, noted }) = disk.reopen(end, seed);
        let noted: Vec<Noted> = noted
            .into_iter()
            .map(|(table, NotedOffset { key, queue_id, offset })| Noted { table, key, queue: queue_id, offset, log_end: 0, number: 0 })
            .collect();
        let log = Self { backing: Backing::Disk(Box::new(disk)), safe: noted.len(), noted, closed: false, readable: 0, ..self };
        Ok(Disk { log, tables })
    }

    /// Where the last record begins.
    pub(super) fn last_record(&self) -> i64 {
        let mut place = 0;
        while let Some(record) = self.backing.record(LogOffset(place))
            && self.backing.record(LogOffset(place + record.len() as i64)).is_some()
        {
            place += record.len() as i64;
        }
        place
    }

    /// A place between two records, not before what is on disk.
    pub(super) fn cut_between_records(&self, on_disk: LogOffset, random: &mut Random) -> i64 {
        let (_, end) = self.backing.log_bounds();
        let mut places = vec![on_disk.0];
        while let Some(record) = self.backing.record(LogOffset(places[places.len() - 1]))
            && !record.is_empty()
        {
            places.push(places[places.len() - 1] + record.len() as i64);
        }
        debug_assert_eq!(places.last(), Some(&end.0));
        places[random.below(u32::try_from(places.len()).unwrap_or(u32::MAX)) as usize]
    }

    /// What a new process finds: the log up to `kept` and the first `noted` of the noted offsets, or all of both. All of it counts as
    /// being on disk: recovery syncs what it finds.
    #[must_use]
    pub(super) fn reopen(self, kept: Option<i64>, noted_kept: Option<usize>) -> Self {
        let Self { broker, backing: mut memory, mut noted, count, mut safe, positions, flush, journal, tamper, .. } = self;
        let (_, end) = memory.log_bounds();
        // Now every record has its unit, with its tags code.
        memory.set_durable(end);
        let kept = kept.unwrap_or(end.0);
        if let Some(noted_kept) = noted_kept {
            noted.truncate(noted_kept);
            // A cursor does not outlive what was delivered up to it.
            noted.retain(|noted| noted.table == OffsetTableKind::Consumer || noted.log_end <= kept);
            safe = if tamper.makes(Mutation::FoundNotKept) { 0 } else { noted.len() };
        }
        let mut copy = empty(flush);
        let mut place = 0;
        while place < kept
            && let Some(record) = memory.record(LogOffset(place))
            && let Ok(view) = RecordView::parse(record)
        {
            let queue = copy.open_queue(view.topic(), view.queue_id());
            let message = NewMessage {
                topic: view.topic(),
                queue_id: view.queue_id(),
                flag: view.flag(),
                sys_flag: view.sys_flag(),
                born_timestamp: view.born_timestamp(),
                born_host: view.born_host(),
                store_host: view.store_host(),
                reconsume_times: view.reconsume_times(),
                prepared_transaction_offset: view.prepared_transaction_offset(),
                body: view.body(),
                properties: view.properties(),
                tags_code: TagsCode::Hash(tags_code(&memory, &view)),
            };
            copy.append(Timestamp(view.store_timestamp()), queue, &message).expect("what was taken once is taken again");
            place += record.len() as i64;
        }
        copy.set_durable(LogOffset(place));
        while copy.poll_arrival().is_some() {}
        // No process is closed in order, and the next one cannot tell a kill from a loss of power.
        Self {
            broker,
            backing: Backing::Memory(Box::new(copy.after_a_crash())),
            noted,
            count,
            safe,
            positions,
            closed: false,
            flush,
            readable: 0,
            journal,
            tamper,
        }
    }

    fn check_open(&self) -> Result<(), AppendError> {
        if self.closed { Err(AppendError::ReadOnly("the last flush failed".into())) } else { Ok(()) }
    }

    fn note_stored(&self, message: &NewMessage<'_>, appended: &Appended) {
        let queue = Queue { topic: message.topic.into(), broker: self.broker.clone(), id: message.queue_id };
        let number = properties::find_number(message.properties, property::REAL_QID).and_then(|id| i32::try_from(id).ok());
        let record = Record {
            spot: Spot { queue, offset: appended.queue_offset },
            place: appended.offset.0,
            end: appended.end.0,
            key: str::from_utf8(message.body).ok().and_then(|body| body.parse().ok()),
            times: message.reconsume_times,
            real: properties::find_text(message.properties, property::REAL_TOPIC).map(Name::from).zip(number),
            tags_code: match message.tags_code {
                TagsCode::Hash(hash) => hash,
                TagsCode::StoreTimePlus(delay) => appended.store_timestamp.0 + delay,
            },
            stored_at: appended.store_timestamp.0,
        };
        self.journal.line(|| {
            let Record { spot, place, key, times, .. } = &record;
            let who = key.map_or_else(|| "something".to_owned(), |key| key.to_string());
            format!("{} stores {who}, try {times}, at {spot}, place {place}", self.broker)
        });
        self.journal.note(Fact::Stored { broker: self.broker.clone(), record });
    }
}

fn empty(flush: FlushMode) -> MemoryStorage {
    MemoryStorage::new(match flush {
        FlushMode::Async => Visibility::OnAppend,
        FlushMode::Sync => Visibility::OnDurable,
    })
}

/// What the unit of a record carries.
fn tags_code(memory: &Backing, record: &RecordView<'_>) -> i64 {
    let queue = memory.find_queue(record.topic(), record.queue_id());
    let unit = queue.and_then(|queue| memory.units(queue, record.queue_offset()).next());
    unit.map_or(0, |unit| unit.tags_code)
}

impl Storage for WatchedLog {
    type Slice = Arc<[u8]>;

    fn open_queue(&mut self, topic: &str, queue_id: i32) -> QueueId {
        self.backing.open_queue(topic, queue_id)
    }

    fn find_queue(&self, topic: &str, queue_id: i32) -> Option<QueueId> {
        self.backing.find_queue(topic, queue_id)
    }

    fn topics(&self) -> Vec<(String, Vec<i32>)> {
        self.backing.topics()
    }

    fn append(&mut self, now: Timestamp, queue: QueueId, message: &NewMessage<'_>) -> Result<Appended, AppendError> {
        self.check_open()?;
        let mut message = *message;
        let times = self.tamper.append(&mut message);
        let queue = if self.tamper.is_honest() { queue } else { self.backing.open_queue(message.topic, message.queue_id) };
        let end = self.backing.log_bounds().1;
        let mut appended = Appended { offset: end, end, queue_offset: self.backing.next_offset(queue), store_timestamp: now };
        for _ in 0..times {
            appended = self.backing.append(now, queue, &message)?;
            self.note_stored(&message, &appended);
        }
        Ok(appended)
    }

    fn append_batch(
        &mut self,
        now: Timestamp,
        queue: QueueId,
        messages: &[NewMessage<'_>],
        placed: &mut Vec<Appended>,
    ) -> Result<(), AppendError> {
        self.check_open()?;
        let before = placed.len();
        self.backing.append_batch(now, queue, messages, placed)?;
        messages.iter().zip(&placed[before..]).for_each(|(message, appended)| self.note_stored(message, appended));
        Ok(())
    }

    fn commit(&mut self) -> Result<(), CommitError> {
        self.backing.commit()
    }

    fn bounds(&self, queue: QueueId) -> QueueBounds {
        self.backing.bounds(queue)
    }

    fn next_offset(&self, queue: QueueId) -> i64 {
        self.backing.next_offset(queue)
    }

    fn units(&self, queue: QueueId, from: i64) -> Units<'_> {
        self.backing.units(queue, from)
    }

    fn next_file_offset(&self, from: i64) -> i64 {
        self.backing.next_file_offset(from)
    }

    fn record(&self, offset: LogOffset) -> Option<&[u8]> {
        self.backing.record(offset)
    }

    fn readability(&self, queue: QueueId, offset: i64, unit: &QueueUnit) -> Readability {
        self.backing.readability(queue, offset, unit)
    }

    fn is_in_memory(&self, range: LogRange) -> bool {
        self.backing.is_in_memory(range)
    }

    fn slice(&self, range: LogRange) -> Option<Arc<[u8]>> {
        self.backing.slice(range)
    }

    fn search_by_time(&self, queue: QueueId, time: Timestamp, boundary: Boundary) -> i64 {
        self.backing.search_by_time(queue, time, boundary)
    }

    fn search_by_key(&mut self, query: KeyQuery) -> Search {
        self.backing.search_by_key(query)
    }

    fn look_at_queues(&mut self, queues: &[QueueId]) {
        self.backing.look_at_queues(queues);
    }

    fn is_known_to_reach(&self, queue: QueueId, offset: i64) -> bool {
        self.backing.is_known_to_reach(queue, offset)
    }

    fn may_lack_its_end(&self) -> bool {
        self.backing.may_lack_its_end()
    }

    fn log_bounds(&self) -> (LogOffset, LogOffset) {
        self.backing.log_bounds()
    }

    fn durable(&self) -> LogOffset {
        if self.tamper.makes(Mutation::AckedTooEarly) {
            return self.backing.log_bounds().1;
        }
        self.backing.durable()
    }

    fn set_durable(&mut self, up_to: LogOffset) {
        self.backing.set_durable(up_to);
    }

    fn poll_arrival(&mut self) -> Option<Arrival> {
        loop {
            let arrival = self.backing.poll_arrival()?;
            self.readable += 1;
            if self.tamper.wakes() {
                return Some(arrival);
            }
        }
    }

    fn remove_topic(&mut self, topic: &str) {
        self.backing.remove_topic(topic);
    }

    fn note_offset(&mut self, table: OffsetTableKind, key: &str, queue_id: i32, offset: i64) {
        if table == OffsetTableKind::Consumer
            && let Some((topic, group)) = key.split_once('@')
            // What is kept beside a broadcasting group is nothing that anybody has said.
            && !group.contains('@')
        {
            self.positions.insert((topic.to_owned(), group.to_owned(), queue_id));
            let queue = Queue { topic: topic.into(), broker: self.broker.clone(), id: queue_id };
            self.journal.note(Fact::OffsetNoted { group: group.into(), queue, offset });
        }
        if self.tamper.notes(table) {
            let log_end = self.backing.log_bounds().1.0;
            if let Backing::Disk(_) = self.backing {
                return self.backing.note_offset(table, key, queue_id, offset);
            }
            self.noted.push(Noted { table, key: key.to_owned(), queue: queue_id, offset, log_end, number: self.count });
            self.count += 1;
        }
    }
}
