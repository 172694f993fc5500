//! What a broker's log lies in: plain memory, or the shipped store on a simulated disk, with its recovery after every crash.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use proto_core::delay::DelayLevels;
use route_core::{
    Millis, Storage, Timestamp,
    broker::config::FlushMode,
    output::{Table, Ticket},
    storage::{
        AppendError, Appended, Arrival, Boundary, CommitError, LogOffset, LogRange, NewMessage, OffsetTableKind, QueueBounds, QueueId,
        QueueUnit, Readability, Units,
        keys::{KeyQuery, Search},
        memory::MemoryStorage,
    },
    table_content::TableContent,
};
use store::{
    FlushDiskType, NotedOffset, Store, StoreConfig, StoreEvent,
    simulation::{Crash, Operation, SimulatedDisk, Work},
};

use super::End;

/// Bytes of a file of the log, so small that runs have several.
const LOG_FILE: u32 = 1 << 20;

/// The log's first file.
const FIRST_FILE: &str = "commitlog/00000000000000000000";

/// So many of its syncs are done by a disk that will ignore the others: else there is no store to open.
const HONEST_SYNCS: u64 = 20;

/// Units of a file of a queue.
const QUEUE_FILE: u32 = 200 * 20;

/// The tables that a broker finds when it starts.
const TABLES: [Table; 7] = [
    Table::Topics,
    Table::SubscriptionGroups,
    Table::TimerCheckpoint,
    Table::ConsumerFilters,
    Table::RequestModes,
    Table::TransactionMetrics,
    Table::Bindings,
];

/// A store on its disk.
#[derive(Debug)]
pub(super) struct OnDisk {
    store: Store,
    disk: SimulatedDisk,
    flush: FlushMode,
    delay_levels: &'static str,
}

/// What a process finds on its disk beside the log.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) tables: BTreeMap<Table, Bytes>,
    pub(super) noted: Vec<(OffsetTableKind, NotedOffset)>,
}

impl OnDisk {
    /// An empty store; on a disk that syncs or only says so.
    pub(super) fn new(flush: FlushMode, delay_levels: &'static str, seed: u64, ignores_syncs: bool) -> Self {
        let disk = SimulatedDisk::new(seed);
        if ignores_syncs {
            let syncs = AtomicU64::new(0);
            disk.ignore(move |operation, path| {
                let is_log = path.ends_with(FIRST_FILE) && operation == Operation::Sync;
                is_log && syncs.fetch_add(1, Ordering::Relaxed) >= HONEST_SYNCS
            });
        }
        Self::open(disk, flush, delay_levels).0
    }

    fn open(disk: SimulatedDisk, flush: FlushMode, delay_levels: &'static str) -> (Self, Found) {
        let config = StoreConfig {
            mapped_file_size_commit_log: LOG_FILE,
            mapped_file_size_consume_queue: QUEUE_FILE,
            message_index_enable: false,
            message_delay_level: DelayLevels::parse(delay_levels).expect("the configuration is good"),
            flush_disk_type: match flush {
                FlushMode::Sync => FlushDiskType::SyncFlush,
                FlushMode::Async => FlushDiskType::AsyncFlush,
            },
            ..StoreConfig::new("/data")
        };
        let (mut store, _) = Store::open_simulated(&disk, config, Arc::new(|| {})).expect("a store opens after any crash");
        let read = |content: &[u8]| Ok(Bytes::copy_from_slice(content));
        let mut found = Found::default();
        for table in TABLES {
            let content = store.load_table(table, read).expect("a store reads what it has saved");
            found.tables.extend(content.map(|content| (table, content)));
        }
        for (kind, table) in [(OffsetTableKind::Consumer, Table::ConsumerOffsets), (OffsetTableKind::Delay, Table::DelayOffsets)] {
            let (content, noted) = store.load_offsets(kind, read).expect("a store reads what it has saved");
            found.tables.extend(content.map(|content| (table, content)));
            found.noted.extend(noted.into_iter().map(|noted| (kind, noted)));
        }
        (Self { store, disk, flush, delay_levels }, found)
    }

    /// The store that the next process opens.
    pub(super) fn reopen(self, end: End, seed: u64) -> (Self, Found) {
        let crash = match end {
            End::Killed => Crash::Kill,
            End::Dark => Crash::PowerLoss,
        };
        let disk = self.disk.after(crash, seed);
        Self::open(disk, self.flush, self.delay_levels)
    }

    /// A turn of the loop is over.
    pub(super) fn request_flush(&mut self) {
        self.store.request_flush();
    }

    /// The disk does what it has been asked for, as far as that is due.
    pub(super) fn flush(&mut self, now: Millis) {
        self.store.step(Work::Ahead);
        self.store.step(Work::Flush(Duration::from_millis(now.0)));
    }

    /// Has a table saved.
    pub(super) fn save(&mut self, ticket: Ticket, table: Table, content: TableContent) {
        self.store.save(ticket, table, content);
    }

    /// One of the saves is done.
    pub(super) fn work_on_tables(&mut self) {
        self.store.step(Work::Tables);
    }

    /// What has come of all that.
    pub(super) fn poll_event(&mut self) -> Option<StoreEvent> {
        self.store.poll_event()
    }
}

/// One of the two.
#[derive(Debug)]
pub(super) enum Backing {
    /// Plain memory; what a crash takes away is the simulator's decision.
    Memory(Box<MemoryStorage>),
    /// The shipped store, which finds out by itself what a crash has left.
    Disk(Box<OnDisk>),
}

/// The same of either.
macro_rules! either {
    ($self:expr, $it:ident => $do:expr) => {
        match $self {
            Backing::Memory($it) => $do,
            Backing::Disk(disk) => {
                let $it = &disk.store;
                $do
            }
        }
    };
    (mut $self:expr, $it:ident => $do:expr) => {
        match $self {
            Backing::Memory($it) => $do,
            Backing::Disk(disk) => {
                let $it = &mut disk.store;
                $do
            }
        }
    };
}

impl Storage for Backing {
    type Slice = Arc<[u8]>;

    fn open_queue(&mut self, topic: &str, queue_id: i32) -> QueueId {
        either!(mut self, it => it.open_queue(topic, queue_id))
    }

    fn find_queue(&self, topic: &str, queue_id: i32) -> Option<QueueId> {
        either!(self, it => it.find_queue(topic, queue_id))
    }

    fn topics(&self) -> Vec<(String, Vec<i32>)> {
        either!(self, it => it.topics())
    }

    fn append(&mut self, now: Timestamp, queue: QueueId, message: &NewMessage<'_>) -> Result<Appended, AppendError> {
        either!(mut self, it => it.append(now, queue, message))
    }

    fn append_batch(
        &mut self,
        now: Timestamp,
        queue: QueueId,
        messages: &[NewMessage<'_>],
        placed: &mut Vec<Appended>,
    ) -> Result<(), AppendError> {
        either!(mut self, it => it.append_batch(now, queue, messages, placed))
    }

    fn commit(&mut self) -> Result<(), CommitError> {
        either!(mut self, it => it.commit())
    }

    fn bounds(&self, queue: QueueId) -> QueueBounds {
        either!(self, it => it.bounds(queue))
    }

    fn next_offset(&self, queue: QueueId) -> i64 {
        either!(self, it => it.next_offset(queue))
    }

    fn units(&self, queue: QueueId, from: i64) -> Units<'_> {
        either!(self, it => it.units(queue, from))
    }

    fn next_file_offset(&self, from: i64) -> i64 {
        either!(self, it => it.next_file_offset(from))
    }

    fn record(&self, offset: LogOffset) -> Option<&[u8]> {
        either!(self, it => it.record(offset))
    }

    fn readability(&self, queue: QueueId, offset: i64, unit: &QueueUnit) -> Readability {
        either!(self, it => it.readability(queue, offset, unit))
    }

    fn is_in_memory(&self, range: LogRange) -> bool {
        either!(self, it => it.is_in_memory(range))
    }

    fn slice(&self, range: LogRange) -> Option<Arc<[u8]>> {
        either!(self, it => it.slice(range).map(|slice| Arc::from(slice.as_ref())))
    }

    fn search_by_time(&self, queue: QueueId, time: Timestamp, boundary: Boundary) -> i64 {
        either!(self, it => it.search_by_time(queue, time, boundary))
    }

    fn search_by_key(&mut self, query: KeyQuery) -> Search {
        either!(mut self, it => it.search_by_key(query))
    }

    fn look_at_queues(&mut self, queues: &[QueueId]) {
        either!(mut self, it => it.look_at_queues(queues));
    }

    fn is_known_to_reach(&self, queue: QueueId, offset: i64) -> bool {
        either!(self, it => it.is_known_to_reach(queue, offset))
    }

    fn may_lack_its_end(&self) -> bool {
        either!(self, it => it.may_lack_its_end())
    }

    fn log_bounds(&self) -> (LogOffset, LogOffset) {
        either!(self, it => it.log_bounds())
    }

    fn durable(&self) -> LogOffset {
        either!(self, it => it.durable())
    }

    fn set_durable(&mut self, up_to: LogOffset) {
        either!(mut self, it => it.set_durable(up_to));
    }

    fn poll_arrival(&mut self) -> Option<Arrival> {
        either!(mut self, it => it.poll_arrival())
    }

    fn remove_topic(&mut self, topic: &str) {
        either!(mut self, it => it.remove_topic(topic));
    }

    fn note_offset(&mut self, table: OffsetTableKind, key: &str, queue_id: i32, offset: i64) {
        either!(mut self, it => it.note_offset(table, key, queue_id, offset));
    }
}
