//! The store as the loop holds it: the one writer of log and queues.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use proto_core::{
    delay::DelayLevels,
    names::{RETRY_OR_DLQ_TOPIC_MAX_LEN, TOPIC_MAX_LEN, is_dlq, is_retry},
    properties,
    sys_flag::message::{TRANSACTION_PREPARED, TRANSACTION_ROLLBACK, transaction},
};
use route_core::{
    output::{Table, Ticket},
    storage::{
        AppendError, Appended, Arrival, Boundary, CommitError, DiskSpace, LogOffset, LogRange, NewMessage, OffsetTableKind, QueueBounds,
        QueueId, QueueUnit, Readability, Storage, TagsCode, Units,
        keys::{Found, KeyQuery, Search},
    },
    table_content::TableContent,
    time::Timestamp,
};

use crate::{
    catch_up::CatchUp,
    cleaning::Cleaning,
    commit_log::CommitLog,
    config::FlushDiskType,
    consume_queue::ConsumeQueue,
    dispatch::{PendingUnits, Waiting},
    doubts::Doubts,
    event::StoreEvent,
    flusher::{FlushShared, Flusher},
    folder::DataFolder,
    held_saves::{HeldSave, HeldSaves},
    index::Index,
    mapping::{LogSlice, MapCount},
    offset_journal::{NotedOffset, OffsetJournal},
    progress::Position,
    queues::QueueTable,
    tables::{Identity, TableError, Tables},
};

/// Bytes that a record may have on top of the longest body.
pub(crate) const RECORD_EXTRA: usize = 64 << 10;

/// The store on disk.
pub struct Store {
    pub(crate) log: CommitLog,
    pub(crate) queues: QueueTable,
    pub(crate) pending: PendingUnits,
    pub(crate) position: Position,
    /// The position has moved since the threads were told.
    pub(crate) untold: bool,
    /// As the loop has taken it in.
    pub(crate) durable: i64,
    /// The last watermark that was reported.
    pub(crate) reported: i64,
    pub(crate) failure_reported: bool,
    /// The system did not take what was appended; `Some` until whoever appended it was told.
    pub(crate) commit_failure: Option<CommitError>,
    pub(crate) commit_failed: bool,
    /// The end of the log when a flush was asked for last.
    pub(crate) requested: i64,
    pub(crate) max_message_size: usize,
    pub(crate) max_unflushed: i64,
    /// Records end with a checksum over all of them.
    pub(crate) append_trailers: bool,
    pub(crate) flush_disk_type: FlushDiskType,
    pub(crate) shared: Arc<FlushShared>,
    pub(crate) flusher: Flusher,
    /// `None` if it is switched off.
    pub(crate) index: Option<Index>,
    pub(crate) tables: Tables,
    pub(crate) held_saves: HeldSaves,
    pub(crate) consumer_offsets: OffsetJournal,
    pub(crate) delay_offsets: OffsetJournal,
    pub(crate) cleaning: Cleaning,
    pub(crate) doubts: Doubts,
    pub(crate) catch_up: CatchUp,
    pub(crate) delay_levels: DelayLevels,
    pub(crate) maps: MapCount,
    pub(crate) queue_ends_path: PathBuf,
    /// Numbers what is put aside to be removed.
    pub(crate) removed: u64,
    /// The last process closed the store in order.
    pub(crate) was_closed: bool,
    pub(crate) close_timeout: Duration,
    pub(crate) folder: DataFolder,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("position", &self.position).field("durable", &self.durable).finish_non_exhaustive()
    }
}

impl Store {
    /// What the store's threads have to say; to be asked until there is nothing more, whenever the notifier has called.
    pub fn poll_event(&mut self) -> Option<StoreEvent> {
        let durable = self.shared.durable();
        if durable > self.reported {
            self.reported = durable;
            return Some(StoreEvent::Durable(LogOffset(durable)));
        }
        if self.shared.is_poisoned() && !self.failure_reported {
            self.failure_reported = true;
            return Some(StoreEvent::FlushFailed(self.shared.failure().unwrap_or_default().to_owned()));
        }
        if let Some(done) = self.settle_held_saves() {
            return Some(done);
        }
        if let Some((ticket, found)) = self.index.as_mut().and_then(Index::poll_answer) {
            return Some(StoreEvent::Found(ticket, found));
        }
        while let Some(made) = self.tables.poll_made() {
            if let Some(journal) = self.journal_of(made.table) {
                journal.name(made.cut, made.identity);
            }
            self.tables.accept(made);
        }
        let saved = self.tables.poll_done()?;
        if saved.result.is_ok()
            && let Some(journal) = self.journal_of(saved.table)
        {
            journal.saved(saved.identity);
        }
        Some(StoreEvent::Persisted(saved.ticket, saved.result))
    }

    /// Reads a table with `parse`: from its file, or from `.bak` if the file is missing, empty or does not parse. `None` if there
    /// is neither.
    ///
    /// # Errors
    /// [`TableError`] if neither holds what it should.
    pub fn load_table<T>(&self, table: Table, parse: impl Fn(&[u8]) -> Result<T, String>) -> Result<Option<T>, TableError> {
        self.tables.load(table, parse)
    }

    /// [`Store::load_table`] for a table of offsets, with the offsets that were [noted](Storage::note_offset) after the file was
    /// saved; they are to be put into the table in this order. To be called before any offset is noted: notes count from the content
    /// that was loaded here on.
    ///
    /// # Errors
    /// [`TableError`] if neither the file nor its `.bak` holds what it should.
    pub fn load_offsets<T>(
        &mut self,
        table: OffsetTableKind,
        parse: impl Fn(&[u8]) -> Result<T, String>,
    ) -> Result<(Option<T>, Vec<NotedOffset>), TableError> {
        let file = match table {
            OffsetTableKind::Consumer => Table::ConsumerOffsets,
            OffsetTableKind::Delay => Table::DelayOffsets,
        };
        let (identity, value) = match self.tables.load_identified(file, parse)? {
            Some((identity, value)) => (identity, Some(value)),
            None => (Identity::default(), None),
        };
        let end = self.position.written;
        let noted = self.journal(table).replay(identity, end);
        Ok((value, noted))
    }

    /// Has a table saved; [`StoreEvent::Persisted`] brings the ticket back. A table that calls messages delivered is saved after the log is on
    /// disk with them. For a table of offsets `content` must hold all that was
    /// [noted](Storage::note_offset) up to this call: a killed process goes by what was noted after it.
    pub fn save(&mut self, ticket: Ticket, table: Table, mut content: TableContent) {
        if let Some(journal) = self.journal_of(table) {
            if !content.is_made() && !HeldSaves::concern(table) {
                let cut = journal.cut();
                return self.tables.save_as_of(ticket, table, content, Some(cut));
            }
            let bytes = content.into_bytes();
            journal.saving(Identity::of(&bytes));
            content = bytes.into();
        }
        let end = self.position.written;
        if HeldSaves::concern(table) && self.shared.durable() < end {
            self.held_saves.push(HeldSave { end, ticket, table, content });
            self.flusher.request();
        } else {
            self.tables.save(ticket, table, content);
        }
    }

    /// Starts the saves that have waited for the log; answers one that never can be done.
    pub(crate) fn settle_held_saves(&mut self) -> Option<StoreEvent> {
        while let Some(HeldSave { ticket, table, content, .. }) = self.held_saves.pop_durable(self.shared.durable()) {
            self.tables.save(ticket, table, content);
        }
        let failure = self.shared.failure()?;
        self.held_saves.pop_any().map(|save| StoreEvent::Persisted(save.ticket, Err(failure.to_owned())))
    }

    fn journal(&mut self, table: OffsetTableKind) -> &mut OffsetJournal {
        match table {
            OffsetTableKind::Consumer => &mut self.consumer_offsets,
            OffsetTableKind::Delay => &mut self.delay_offsets,
        }
    }

    fn journal_of(&mut self, table: Table) -> Option<&mut OffsetJournal> {
        match table {
            Table::ConsumerOffsets => Some(&mut self.consumer_offsets),
            Table::DelayOffsets => Some(&mut self.delay_offsets),
            Table::Topics
            | Table::SubscriptionGroups
            | Table::TimerCheckpoint
            | Table::ConsumerFilters
            | Table::RequestModes
            | Table::TransactionMetrics
            | Table::Bindings
            | Table::KvConfig
            | Table::Settings => None,
        }
    }

    /// Asks for all that was appended to be brought to disk; to be called once at the end of a loop turn. With
    /// [`FlushDiskType::AsyncFlush`] the disk follows at its intervals, and this does nothing.
    pub fn request_flush(&mut self) {
        self.hand_over();
        if self.queues.is_lacking() {
            self.shared.rebuild_queues_from(self.log.start());
        }
        if self.flush_disk_type == FlushDiskType::SyncFlush && self.requested < self.position.written {
            self.requested = self.position.written;
            self.flusher.request();
        }
    }

    /// Hands what was appended to the system, and tells the threads of it. If that fails, the next [`Storage::commit`] says so.
    pub(crate) fn hand_over(&mut self) {
        if self.commit_failed || !self.untold {
            return;
        }
        if let Err(error) = self.log.commit() {
            self.commit_failed = true;
            self.shared.poison("the log", &error);
            self.commit_failure = Some(CommitError(error.to_string()));
            return;
        }
        self.untold = false;
        self.shared.progress.tell(&self.position);
    }

    /// One past the last message of a queue that readers may be told of.
    fn end_of(&self, queue: &ConsumeQueue) -> i64 {
        if self.commit_failed { self.committed_max(queue) } else { queue.max() }
    }

    /// One past the last message of a queue that the system took, where it has refused the ones behind: nobody was told that these are there.
    #[cold]
    fn committed_max(&self, queue: &ConsumeQueue) -> i64 {
        let is_committed = |offset: &i64| queue.unit(*offset).is_none_or(|unit| unit.offset.0 < self.log.committed());
        (queue.min()..queue.max()).rev().find(is_committed).map_or(queue.min(), |last| last + 1)
    }

    /// Room for a record of `len` bytes and for the unit of `units` messages more of its queue.
    #[inline]
    fn reserve(&mut self, queue: QueueId, len: usize, units: usize) -> Result<i64, AppendError> {
        if self.shared.is_poisoned() {
            return Err(AppendError::ReadOnly(self.shared.failure().unwrap_or_default().to_owned()));
        }
        if let Some(used) = self.cleaning.log.refuses() {
            return Err(AppendError::DiskFull(used));
        }
        if self.flush_disk_type == FlushDiskType::SyncFlush && self.position.written - self.durable > self.max_unflushed {
            return Err(AppendError::FlushBehind(self.position.written - self.durable));
        }
        let target = self.queues.get_mut(queue)?;
        let first = target.next();
        let upto = first + i64::try_from(units).unwrap_or(i64::MAX);
        target.reserve(upto).map_err(|error| AppendError::NoSpace(error.to_string()))?;
        while let Some(file) = target.take_opened() {
            self.shared.queue_opened(file);
        }
        self.log.reserve(len)?;
        while let Some(file) = self.log.take_opened() {
            if let Some(index) = &self.index {
                index.log_opened(file.clone());
            }
            self.shared.log_opened(file);
        }
        Ok(first)
    }

    /// Puts a message at the end that has passed the checks.
    #[inline]
    fn append_checked(&mut self, now: Timestamp, queue: QueueId, message: &NewMessage<'_>, size: Size) -> Result<Appended, AppendError> {
        let queue_offset = self.reserve(queue, size.len, 1)?;
        self.put(now, queue, queue_offset, message, size.trailer)
    }

    /// Puts one record where room was made for it.
    #[inline]
    fn put(
        &mut self,
        now: Timestamp,
        queue: QueueId,
        queue_offset: i64,
        message: &NewMessage<'_>,
        trailer: bool,
    ) -> Result<Appended, AppendError> {
        let offset = self.log.end();
        let shown = is_shown(message.sys_flag);
        let fields = message.record(now, if shown { queue_offset } else { 0 }, LogOffset(offset));
        let len = if trailer { fields.encoded_len_with_trailer() } else { fields.encoded_len() };
        let out = self.log.reserved(len);
        if trailer { fields.encode_with_trailer_into(out) } else { fields.encode_into(out) }?;
        self.log.append(len);

        let tags_code = match message.tags_code {
            TagsCode::Hash(hash) => hash,
            TagsCode::StoreTimePlus(delay) => now.0.saturating_add(delay),
        };
        // The record fits a file, whose length is a u32.
        let unit = QueueUnit { offset: LogOffset(offset), size: len as u32, tags_code };
        self.position.written = self.log.end();
        self.position.written_time = now.0;
        self.untold = true;
        if shown && let Ok(target) = self.queues.get_mut(queue) {
            target.assign();
        }
        let waiting = Waiting { queue: shown.then_some(queue), unit, store_timestamp: now.0 };
        match self.flush_disk_type {
            FlushDiskType::AsyncFlush => self.dispatch(&waiting),
            FlushDiskType::SyncFlush => self.pending.push(waiting),
        }
        let end = LogOffset(self.position.written);
        Ok(Appended { offset: LogOffset(offset), end, queue_offset: fields.queue_offset, store_timestamp: now })
    }

    /// Shows a record in its queue.
    #[inline]
    fn dispatch(&mut self, waiting: &Waiting) {
        if let Some(queue) = waiting.queue
            && let Ok(target) = self.queues.get_mut(queue)
        {
            target.append(&waiting.unit);
            self.queues.tell_arrival(queue);
        }
        self.position.dispatched = waiting.end();
        self.position.last_dispatched = waiting.unit.offset.0;
        self.position.dispatched_time = waiting.store_timestamp;
    }

    /// The limits of the format and of the configuration.
    #[inline]
    fn check(&self, message: &NewMessage<'_>) -> Result<Size, AppendError> {
        if message.body.len() > self.max_message_size {
            return Err(AppendError::TooLarge { size: message.body.len(), limit: self.max_message_size });
        }
        let (size, limit) = (Self::check_format(message, self.append_trailers)?, self.max_message_size + RECORD_EXTRA);
        if size.len > limit { Err(AppendError::TooLarge { size: size.len, limit }) } else { Ok(size) }
    }

    /// The limits of the format alone.
    #[inline]
    fn check_format(message: &NewMessage<'_>, trailer: bool) -> Result<Size, AppendError> {
        let record = message.record(Timestamp(0), 0, LogOffset(0));
        let properties_len = if trailer { record.properties_len_with_trailer() } else { record.properties.len() };
        if properties_len > properties::MAX_LEN {
            return Err(AppendError::PropertiesTooLarge(properties_len));
        }
        let is_long = is_retry(message.topic) || is_dlq(message.topic);
        let topic_limit = if is_long { RETRY_OR_DLQ_TOPIC_MAX_LEN } else { TOPIC_MAX_LEN };
        if message.topic.len() > topic_limit {
            return Err(AppendError::TooLarge { size: message.topic.len(), limit: topic_limit });
        }
        let len = if trailer { record.encoded_len_with_trailer() } else { record.encoded_len() };
        Ok(Size { len, trailer })
    }

    /// The limits for a message that the log has held before. A checksum is not worth a message: one whose properties leave no room for it,
    /// or a file, goes without.
    fn check_again(&self, message: &NewMessage<'_>) -> Result<Size, AppendError> {
        if self.append_trailers
            && let Ok(size) = Self::check_format(message, true)
            && self.log.takes(size.len)
        {
            return Ok(size);
        }
        Self::check_format(message, false)
    }
}

/// What a message that has passed the checks takes in the log.
#[derive(Clone, Copy, Debug)]
struct Size {
    /// Bytes of its record.
    len: usize,
    /// It ends with a checksum over all of it.
    trailer: bool,
}

/// Half messages of the old kind and ends of transactions stand in the log alone.
pub(crate) const fn is_shown(sys_flag: i32) -> bool {
    !matches!(transaction(sys_flag), TRANSACTION_PREPARED | TRANSACTION_ROLLBACK)
}

impl Storage for Store {
    type Slice = LogSlice;

    fn open_queue(&mut self, topic: &str, queue_id: i32) -> QueueId {
        self.queues.open(topic, queue_id)
    }

    fn find_queue(&self, topic: &str, queue_id: i32) -> Option<QueueId> {
        self.queues.find(topic, queue_id)
    }

    fn topics(&self) -> Vec<(String, Vec<i32>)> {
        self.queues.topics()
    }

    fn append(&mut self, now: Timestamp, queue: QueueId, message: &NewMessage<'_>) -> Result<Appended, AppendError> {
        let size = self.check(message)?;
        self.append_checked(now, queue, message, size)
    }

    fn append_again(&mut self, now: Timestamp, queue: QueueId, message: &NewMessage<'_>) -> Result<Appended, AppendError> {
        let size = self.check_again(message)?;
        self.append_checked(now, queue, message, size)
    }

    fn append_batch(
        &mut self,
        now: Timestamp,
        queue: QueueId,
        messages: &[NewMessage<'_>],
        placed: &mut Vec<Appended>,
    ) -> Result<(), AppendError> {
        let mut len = 0;
        for message in messages {
            len += self.check(message)?.len;
        }
        if len > self.max_message_size + RECORD_EXTRA {
            return Err(AppendError::TooLarge { size: len, limit: self.max_message_size + RECORD_EXTRA });
        }
        let mut queue_offset = self.reserve(queue, len, messages.len())?;
        for message in messages {
            placed.push(self.put(now, queue, queue_offset, message, self.append_trailers)?);
            queue_offset += i64::from(is_shown(message.sys_flag));
        }
        Ok(())
    }

    #[inline]
    fn commit(&mut self) -> Result<(), CommitError> {
        if !self.untold {
            return Ok(());
        }
        self.hand_over();
        self.untold = false;
        self.commit_failure.take().map_or(Ok(()), Err)
    }

    fn bounds(&self, queue: QueueId) -> QueueBounds {
        let Some(queue) = self.queues.get(queue) else { return QueueBounds::default() };
        QueueBounds { min: queue.min(), max: self.end_of(queue) }
    }

    fn look_at_queues(&mut self, queues: &[QueueId]) {
        self.look_at_these(queues);
    }

    fn is_known_to_reach(&self, queue: QueueId, offset: i64) -> bool {
        self.queues.is_known_to_reach(queue, offset)
    }

    fn next_offset(&self, queue: QueueId) -> i64 {
        self.queues.get(queue).map_or(0, |queue| queue.next())
    }

    fn units(&self, queue: QueueId, from: i64) -> Units<'_> {
        let mut units = self.queues.get(queue).map_or_else(Units::default, |queue| queue.units(from));
        if self.commit_failed {
            let committed = units.take_while(|unit| unit.offset.0 < self.log.committed()).count();
            units = units.take_first(committed);
        }
        units
    }

    fn unit(&self, queue: QueueId, offset: i64) -> Option<QueueUnit> {
        let unit = self.queues.get(queue)?.unit(offset)?;
        (!self.commit_failed || unit.offset.0 < self.log.committed()).then_some(unit)
    }

    fn next_file_offset(&self, from: i64) -> i64 {
        self.queues.next_file_offset(from)
    }

    fn record(&self, offset: LogOffset) -> Option<&[u8]> {
        self.log.record(offset.0)
    }

    #[inline]
    fn readability(&self, queue: QueueId, offset: i64, unit: &QueueUnit) -> Readability {
        self.readability_of(queue, offset, unit)
    }

    fn is_in_memory(&self, range: LogRange) -> bool {
        self.log.is_in_memory(range.offset.0, range.len)
    }

    fn settle_units(&mut self, queue: QueueId, from: i64) {
        self.settle_units_of(queue, from);
    }

    fn slice(&self, range: LogRange) -> Option<LogSlice> {
        self.log.slice(range.offset.0, range.len)
    }

    fn search_by_time(&self, queue: QueueId, time: Timestamp, boundary: Boundary) -> i64 {
        let Some(queue) = self.queues.get(queue) else { return 0 };
        let stored = |unit: &QueueUnit| self.log.store_timestamp(unit.offset.0);
        let (min, max) = (queue.min(), self.end_of(queue));
        match boundary {
            Boundary::Lower => queue.partition_point(min, max, |unit| stored(unit).is_none_or(|at| at < time.0)),
            Boundary::Upper => {
                let after = queue.partition_point(min, max, |unit| stored(unit).is_none_or(|at| at <= time.0));
                (after - 1).max(min)
            }
        }
    }

    fn search_by_key(&mut self, query: KeyQuery) -> Search {
        // The index is to know of all that was appended before.
        self.hand_over();
        match &mut self.index {
            Some(index) => index.search(query),
            None => Search::Done(Found::default()),
        }
    }

    fn log_bounds(&self) -> (LogOffset, LogOffset) {
        // What the system has refused is not there: no table may speak of it as of what it knows.
        let end = if self.commit_failed { self.log.committed() } else { self.log.end() };
        (LogOffset(self.log.start()), LogOffset(end))
    }

    fn disk_space(&self) -> Option<DiskSpace> {
        self.cleaning.space
    }

    fn may_lack_its_end(&self) -> bool {
        !self.was_closed
    }

    fn durable(&self) -> LogOffset {
        LogOffset(self.durable)
    }

    fn set_durable(&mut self, up_to: LogOffset) {
        if up_to.0 <= self.durable {
            return;
        }
        self.durable = up_to.0;
        while let Some(waiting) = self.pending.pop_durable(self.durable) {
            self.dispatch(&waiting);
            self.untold = true;
        }
    }

    fn poll_arrival(&mut self) -> Option<Arrival> {
        self.queues.poll_arrival()
    }

    fn remove_topic(&mut self, topic: &str) {
        if self.queues.remove(topic) {
            // The next start must not miss what goes now.
            if let Err(error) = self.queues.forget_ends(&self.queue_ends_path) {
                tracing::error!(path = %self.queue_ends_path.display(), %error, "the file could not be removed");
            }
            self.removed += 1;
            match self.folder.put_aside(&self.queues.dir().join(topic), self.removed) {
                Ok(Some(rubbish)) => self.tables.remove_dir(rubbish),
                Ok(None) => {}
                Err(error) => tracing::error!(topic, %error, "the queues of a removed topic could not be put aside"),
            }
        }
    }

    fn delete_expired_log(&mut self) {
        self.cleaning.log.handle_wish();
    }

    fn delete_expired_queues(&mut self) {
        self.cleaning.queues.handle_wish();
    }

    fn note_offset(&mut self, table: OffsetTableKind, key: &str, queue_id: i32, offset: i64) {
        let end = self.position.written;
        match table {
            OffsetTableKind::Consumer => self.journal(table).note(key, queue_id, offset),
            // Behind it lies what was delivered, which may be lost with the power although this note is not.
            OffsetTableKind::Delay => self.journal(table).note_of_log(key, queue_id, offset, end),
        }
    }
}
