//! Storage in plain memory, for tests, simulation and doc examples: the same records and the same rules, no file.

use std::sync::Arc;

use foldhash::fast::FixedState;
use indexmap::IndexMap;
use proto_core::record::RecordView;

use super::{
    AppendError, Appended, Arrival, Boundary, CommitError, LogOffset, LogRange, NewMessage, OffsetTableKind, QueueBounds, QueueId,
    QueueUnit, Storage, TagsCode, Units,
    keys::{self, Found, KeyQuery, Search},
};
use crate::time::Timestamp;

/// When what is appended becomes readable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Visibility {
    /// At once.
    #[default]
    OnAppend,
    /// When [`Storage::set_durable`] has passed it.
    OnDurable,
}

/// A log and its queues in memory. It grows without end; it is not for serving.
#[derive(Debug, Default)]
pub struct MemoryStorage {
    visibility: Visibility,
    log: Vec<u8>,
    /// So much of it may be sent.
    committed: usize,
    durable: i64,
    queues: Vec<Queue>,
    names: IndexMap<(String, i32), QueueId, FixedState>,
    /// Units that wait for durability, in log order.
    pending: std::collections::VecDeque<(QueueId, QueueUnit)>,
    arrivals: std::collections::VecDeque<Arrival>,
    noted: Vec<(OffsetTableKind, String, i32, i64)>,
    lacks_its_end: bool,
    cached_from: Option<LogOffset>,
}

#[derive(Debug, Default)]
struct Queue {
    removed: bool,
    next: i64,
    /// Readable units, encoded.
    units: Vec<u8>,
}

impl MemoryStorage {
    /// An empty log.
    #[must_use]
    pub fn new(visibility: Visibility) -> Self {
        Self { visibility, ..Self::default() }
    }

    /// The same log as a crash leaves it: what followed may be lost.
    #[must_use]
    pub fn after_a_crash(self) -> Self {
        Self { lacks_its_end: true, ..self }
    }

    /// The same log as a crash leaves it that takes everything from `end` on: records and the units for them.
    #[must_use]
    pub fn after_a_crash_at(mut self, end: LogOffset) -> Self {
        while let Some((queue, unit)) = self.pending.pop_front() {
            self.dispatch(queue, unit);
        }
        self.log.truncate(usize::try_from(end.0).unwrap_or(0));
        self.committed = self.log.len();
        for queue in &mut self.queues {
            let kept = Units::new(&queue.units).take_while(|unit| unit.offset < end).count();
            queue.units.truncate(kept * QueueUnit::LEN);
            queue.next = i64::try_from(kept).unwrap_or(i64::MAX);
        }
        self.arrivals.clear();
        self.durable = self.durable.min(end.0);
        self.after_a_crash()
    }

    /// The same log, of which it is known from `offset` on that it is in memory: as if it lay on a disk otherwise.
    #[must_use]
    pub fn cached_from(self, offset: LogOffset) -> Self {
        Self { cached_from: Some(offset), ..self }
    }

    /// Makes room for more messages in the log and in the queues that are there, so that these come without a look at the heap.
    pub fn reserve(&mut self, messages: usize, bytes: usize) {
        self.log.reserve(bytes);
        self.queues.iter_mut().for_each(|queue| queue.units.reserve(messages * QueueUnit::LEN));
    }

    /// The last offset noted of each key and queue, in the order in which they were noted first.
    #[must_use]
    pub fn noted(&self) -> &[(OffsetTableKind, String, i32, i64)] {
        &self.noted
    }

    fn queue(&self, queue: QueueId) -> &Queue {
        &self.queues[queue.0 as usize]
    }

    fn dispatch(&mut self, queue: QueueId, unit: QueueUnit) {
        let target = &mut self.queues[queue.0 as usize];
        if target.removed {
            return;
        }
        let queue_offset = (target.units.len() / QueueUnit::LEN) as i64;
        target.units.extend_from_slice(&unit.encode());
        self.arrivals.push_back(Arrival { queue, queue_offset, tags_code: unit.tags_code });
    }

    fn store_time(&self, queue: QueueId, offset: i64) -> Option<Timestamp> {
        let unit = self.units(queue, offset).next()?;
        let record = RecordView::parse(self.record(unit.offset)?).ok()?;
        Some(Timestamp(record.store_timestamp()))
    }
}

/// The name of a queue, borrowed: it hashes and compares as the key of the table of names does.
#[derive(Hash)]
struct Name<'a>(&'a str, i32);

impl indexmap::Equivalent<(String, i32)> for Name<'_> {
    fn equivalent(&self, (topic, queue_id): &(String, i32)) -> bool {
        (self.0, self.1) == (topic, *queue_id)
    }
}

impl Storage for MemoryStorage {
    type Slice = Arc<[u8]>;

    fn open_queue(&mut self, topic: &str, queue_id: i32) -> QueueId {
        if let Some(queue) = self.find_queue(topic, queue_id) {
            return queue;
        }
        let queue = QueueId(u32::try_from(self.queues.len()).unwrap_or(u32::MAX));
        self.queues.push(Queue::default());
        self.names.insert((topic.to_owned(), queue_id), queue);
        queue
    }

    fn find_queue(&self, topic: &str, queue_id: i32) -> Option<QueueId> {
        self.names.get(&Name(topic, queue_id)).copied()
    }

    fn topics(&self) -> Vec<(String, Vec<i32>)> {
        let mut topics = std::collections::BTreeMap::<String, Vec<i32>>::new();
        for (topic, queue_id) in self.names.keys() {
            topics.entry(topic.clone()).or_default().push(*queue_id);
        }
        topics.into_iter().collect()
    }

    fn append(&mut self, now: Timestamp, queue: QueueId, message: &NewMessage<'_>) -> Result<Appended, AppendError> {
        let target = self.queue(queue);
        if target.removed {
            return Err(AppendError::QueueUnusable("its topic was removed".into()));
        }
        let offset = LogOffset(self.log.len() as i64);
        let queue_offset = target.next;
        let fields = message.record(now, queue_offset, offset);
        if message.properties.len() > usize::from(i16::MAX.unsigned_abs()) {
            return Err(AppendError::PropertiesTooLarge(message.properties.len()));
        }
        let start = self.log.len();
        self.log.resize(start + fields.encoded_len(), 0);
        if let Err(error) = fields.encode_into(&mut self.log[start..]) {
            self.log.truncate(start);
            return Err(error.into());
        }
        let end = LogOffset(self.log.len() as i64);
        let tags_code = match message.tags_code {
            TagsCode::Hash(hash) => hash,
            TagsCode::StoreTimePlus(delay) => now.0 + delay,
        };
        let unit = QueueUnit { offset, size: u32::try_from(end.0 - offset.0).unwrap_or(u32::MAX), tags_code };
        self.queues[queue.0 as usize].next += 1;
        match self.visibility {
            Visibility::OnAppend => self.dispatch(queue, unit),
            Visibility::OnDurable => self.pending.push_back((queue, unit)),
        }
        Ok(Appended { offset, end, queue_offset, store_timestamp: now })
    }

    fn append_batch(
        &mut self,
        now: Timestamp,
        queue: QueueId,
        messages: &[NewMessage<'_>],
        placed: &mut Vec<Appended>,
    ) -> Result<(), AppendError> {
        if let Some(long) = messages.iter().find(|message| message.properties.len() > usize::from(i16::MAX.unsigned_abs())) {
            return Err(AppendError::PropertiesTooLarge(long.properties.len()));
        }
        for message in messages {
            placed.push(self.append(now, queue, message)?);
        }
        Ok(())
    }

    fn commit(&mut self) -> Result<(), CommitError> {
        self.committed = self.log.len();
        Ok(())
    }

    fn bounds(&self, queue: QueueId) -> QueueBounds {
        QueueBounds { min: 0, max: (self.queue(queue).units.len() / QueueUnit::LEN) as i64 }
    }

    fn next_offset(&self, queue: QueueId) -> i64 {
        self.queue(queue).next
    }

    fn units(&self, queue: QueueId, from: i64) -> Units<'_> {
        let start = usize::try_from(from).unwrap_or(usize::MAX).saturating_mul(QueueUnit::LEN);
        Units::new(self.queue(queue).units.get(start..).unwrap_or_default())
    }

    fn next_file_offset(&self, from: i64) -> i64 {
        from
    }

    fn record(&self, offset: LogOffset) -> Option<&[u8]> {
        let rest = self.log.get(usize::try_from(offset.0).ok()?..)?;
        let size = u32::from_be_bytes(*rest.first_chunk::<4>()?) as usize;
        rest.get(..size)
    }

    fn is_in_memory(&self, range: LogRange) -> bool {
        self.cached_from.is_some_and(|from| range.offset >= from)
    }

    fn slice(&self, range: LogRange) -> Option<Arc<[u8]>> {
        let start = usize::try_from(range.offset.0).ok()?;
        self.log.get(..self.committed)?.get(start..start + range.len as usize).map(Arc::from)
    }

    fn search_by_time(&self, queue: QueueId, time: Timestamp, boundary: Boundary) -> i64 {
        let QueueBounds { min, max } = self.bounds(queue);
        let mut stored = (min..max).filter_map(|offset| Some((offset, self.store_time(queue, offset)?)));
        match boundary {
            Boundary::Lower => stored.find(|(_, at)| *at >= time).map_or(max, |(offset, _)| offset),
            Boundary::Upper => stored.rev().find(|(_, at)| *at <= time).map_or(min, |(offset, _)| offset),
        }
    }

    fn search_by_key(&mut self, query: KeyQuery) -> Search {
        let readable = self.pending.front().map_or(self.log.len() as i64, |(_, unit)| unit.offset.0);
        let (mut at, mut found) = (0, Found::default());
        while at < readable
            && let Some(Ok(record)) = self.record(LogOffset(at)).map(RecordView::parse)
        {
            let range = LogRange { offset: LogOffset(at), len: u32::try_from(record.total_size()).unwrap_or(u32::MAX) };
            at += i64::from(range.len);
            if query.matches(&record) {
                found.ranges.insert(0, range);
            }
            if keys::has_names(&record) {
                (found.last_timestamp, found.last_offset) = (Timestamp(record.store_timestamp()), range.offset);
            }
        }
        found.ranges.truncate(query.max);
        found.finish();
        Search::Done(found)
    }

    fn log_bounds(&self) -> (LogOffset, LogOffset) {
        (LogOffset(0), LogOffset(self.log.len() as i64))
    }

    fn may_lack_its_end(&self) -> bool {
        self.lacks_its_end
    }

    fn durable(&self) -> LogOffset {
        LogOffset(self.durable)
    }

    fn set_durable(&mut self, up_to: LogOffset) {
        self.durable = self.durable.max(up_to.0);
        while let Some(&(queue, unit)) = self.pending.front()
            && unit.offset.0 + i64::from(unit.size) <= self.durable
        {
            self.pending.pop_front();
            self.dispatch(queue, unit);
        }
    }

    fn poll_arrival(&mut self) -> Option<Arrival> {
        self.arrivals.pop_front()
    }

    fn remove_topic(&mut self, topic: &str) {
        self.names.retain(|(name, _), queue| {
            let stays = name != topic;
            if !stays {
                self.queues[queue.0 as usize] = Queue { removed: true, ..Queue::default() };
            }
            stays
        });
    }

    fn note_offset(&mut self, table: OffsetTableKind, key: &str, queue_id: i32, offset: i64) {
        let known = self.noted.iter_mut().find(|(of, name, queue, _)| (*of, name.as_str(), *queue) == (table, key, queue_id));
        match known {
            Some((.., noted)) => *noted = offset,
            None => self.noted.push((table, key.to_owned(), queue_id, offset)),
        }
    }
}
