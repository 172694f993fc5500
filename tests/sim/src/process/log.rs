//! A broker's log: memory that notes for the oracles what is put into it.

use std::sync::Arc;

use proto_core::properties::{self, names as property};
use route_core::{
    Storage, Timestamp,
    broker::config::FlushMode,
    storage::{
        AppendError, Appended, Arrival, Boundary, LogOffset, LogRange, NewMessage, OffsetTableKind, QueueBounds, QueueId, TagsCode, Units,
        keys::{KeyQuery, Search},
        memory::{MemoryStorage, Visibility},
    },
};

use crate::{
    fact::{Fact, Record},
    journal::Journal,
    names::{Name, Queue, Spot},
};

/// An offset that a broker has noted: table, key, queue and offset.
pub type Noted = (OffsetTableKind, String, i32, i64);

/// The log of one broker.
#[derive(Debug)]
pub struct WatchedLog {
    broker: Name,
    memory: MemoryStorage,
    noted: Vec<Noted>,
    journal: Journal,
}

impl Default for WatchedLog {
    fn default() -> Self {
        Self::new("".into(), FlushMode::Async, Journal::default())
    }
}

impl WatchedLog {
    /// An empty log.
    #[must_use]
    pub fn new(broker: Name, flush: FlushMode, journal: Journal) -> Self {
        let visibility = match flush {
            FlushMode::Async => Visibility::OnAppend,
            FlushMode::Sync => Visibility::OnDurable,
        };
        Self { broker, memory: MemoryStorage::new(visibility), noted: Vec::new(), journal }
    }

    /// The offsets that were noted and are in no saved table.
    #[must_use]
    pub fn noted(&self) -> &[Noted] {
        &self.noted
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
        self.journal.note(Fact::Stored { broker: self.broker.clone(), record });
    }
}

impl Storage for WatchedLog {
    type Slice = Arc<[u8]>;

    fn open_queue(&mut self, topic: &str, queue_id: i32) -> QueueId {
        self.memory.open_queue(topic, queue_id)
    }

    fn find_queue(&self, topic: &str, queue_id: i32) -> Option<QueueId> {
        self.memory.find_queue(topic, queue_id)
    }

    fn topics(&self) -> Vec<(String, Vec<i32>)> {
        self.memory.topics()
    }

    fn append(&mut self, now: Timestamp, queue: QueueId, message: &NewMessage<'_>) -> Result<Appended, AppendError> {
        let appended = self.memory.append(now, queue, message)?;
        self.note_stored(message, &appended);
        Ok(appended)
    }

    fn append_batch(
        &mut self,
        now: Timestamp,
        queue: QueueId,
        messages: &[NewMessage<'_>],
        placed: &mut Vec<Appended>,
    ) -> Result<(), AppendError> {
        let before = placed.len();
        self.memory.append_batch(now, queue, messages, placed)?;
        messages.iter().zip(&placed[before..]).for_each(|(message, appended)| self.note_stored(message, appended));
        Ok(())
    }

    fn bounds(&self, queue: QueueId) -> QueueBounds {
        self.memory.bounds(queue)
    }

    fn next_offset(&self, queue: QueueId) -> i64 {
        self.memory.next_offset(queue)
    }

    fn units(&self, queue: QueueId, from: i64) -> Units<'_> {
        self.memory.units(queue, from)
    }

    fn next_file_offset(&self, from: i64) -> i64 {
        self.memory.next_file_offset(from)
    }

    fn record(&self, offset: LogOffset) -> Option<&[u8]> {
        self.memory.record(offset)
    }

    fn slice(&self, range: LogRange) -> Option<Arc<[u8]>> {
        self.memory.slice(range)
    }

    fn search_by_time(&self, queue: QueueId, time: Timestamp, boundary: Boundary) -> i64 {
        self.memory.search_by_time(queue, time, boundary)
    }

    fn search_by_key(&mut self, query: KeyQuery) -> Search {
        self.memory.search_by_key(query)
    }

    fn log_bounds(&self) -> (LogOffset, LogOffset) {
        self.memory.log_bounds()
    }

    fn durable(&self) -> LogOffset {
        self.memory.durable()
    }

    fn set_durable(&mut self, up_to: LogOffset) {
        self.memory.set_durable(up_to);
    }

    fn poll_arrival(&mut self) -> Option<Arrival> {
        self.memory.poll_arrival()
    }

    fn remove_topic(&mut self, topic: &str) {
        self.memory.remove_topic(topic);
    }

    fn note_offset(&mut self, table: OffsetTableKind, key: &str, queue_id: i32, offset: i64) {
        self.noted.push((table, key.to_owned(), queue_id, offset));
    }
}
