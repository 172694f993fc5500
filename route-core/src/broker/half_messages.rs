//! The two queues of transactions: what is written into them, and how the table is read back from them at the start.

use std::borrow::Cow;

use foldhash::fast::FixedState;
use indexmap::IndexMap;
use proto_core::{
    code::ResponseCode,
    delay,
    hash::tags_code,
    names::{SCHEDULE_TOPIC, TIMER_TOPIC, TRANS_CONSUMER_GROUP, TRANS_HALF_TOPIC, TRANS_OP_HALF_TOPIC},
    properties::{Special, names as property},
    record::RecordView,
    sys_flag::message as message_flag,
};

use super::{
    Broker,
    refusal::Refusal,
    send::Place,
    transaction::{self, End, Half, Progress},
};
use crate::{
    output::NoticeLevel,
    storage::{AppendError, Appended, LogOffset, NewMessage, QueueId, Storage, TagsCode},
    time::Now,
};

/// Both topics have one queue.
const QUEUE: i32 = 0;

/// Half messages that are noted as over, and where the first note about each lies.
type Notes = IndexMap<i64, LogOffset, FixedState>;

impl<S: Storage> Broker<S> {
    /// Where a half message is stored whose properties are in the buffer; they are made those of one.
    pub(super) fn half_place(&mut self, topic: &str, queue_id: i32, tags_code: i64, unique_key: &[u8]) -> Place<'static> {
        transaction::prepare(&mut self.properties, topic, queue_id, unique_key);
        let queue = self.open_queue(TRANS_HALF_TOPIC, QUEUE);
        Place { topic: Cow::Borrowed(TRANS_HALF_TOPIC), queue_id: QUEUE, queue, tags_code: TagsCode::Hash(tags_code) }
    }

    /// A half message was stored: its producers are asked about it if they keep silent.
    pub(super) fn begin_transaction(&mut self, now: Now, appended: &Appended) {
        let record = self.storage.record(appended.offset).unwrap_or_default();
        let timeout = self.config.transaction_timeout;
        let (first, identity, topic) = match Half::read(record, appended.offset) {
            Ok(half) => (half.first_check(timeout), half.identity(), self.transaction_metrics.name(half.topic())),
            Err(_) => (now.wall, None, None),
        };
        if self.transactions.begin(appended.queue_offset, appended.offset, now.deadline(first), identity, topic.clone())
            && let Some(topic) = topic
        {
            self.transaction_metrics.begun(now.wall, &topic);
        }
        if self.transactions.owes_now(now) {
            self.write_notes(now);
        }
    }

    /// A transaction is over.
    pub(super) fn forget_transaction(&mut self, now: Now, half: i64, end: End) {
        if let Some(topic) = self.transactions.end(half, end) {
            self.transaction_metrics.ended(now.wall, &topic);
        }
    }

    /// Puts a committed message where it belongs: its own queue, or where it waits for its time.
    pub(super) fn append_committed(&mut self, now: Now, half: &Half<'_>, place: LogOffset) -> Result<Appended, Refusal> {
        let record = half.record();
        self.properties.start(record.properties());
        self.properties.remove(property::REAL_TOPIC);
        self.properties.remove(property::REAL_QID);
        let special = Special::scan(record.properties());
        let timed = if special.delay_level() <= 0 && special.wants_time() { self.timer_entry(now, &special)? } else { None };
        let target = match timed {
            Some((out, entry)) => self.place_in_timer(half.topic(), half.queue_id(), out, entry),
            None => self.place(half.topic().into(), None, half.queue_id(), special.tags_code(), special.delay_level()),
        };
        let message = NewMessage {
            topic: &target.topic,
            queue_id: target.queue_id,
            flag: record.flag(),
            sys_flag: message_flag::with_transaction(record.sys_flag(), message_flag::TRANSACTION_COMMIT),
            born_timestamp: record.born_timestamp(),
            born_host: record.born_host(),
            store_host: record.store_host(),
            reconsume_times: record.reconsume_times(),
            prepared_transaction_offset: place.0,
            body: record.body(),
            properties: self.properties.as_bytes(),
            tags_code: target.tags_code,
        };
        let appended = self.storage.append_again(now.wall, target.queue, &message).map_err(|error| self.not_committed(&error))?;
        self.note_put(now, self.topics.find(&target.topic), 1, appended.offset, appended.end);
        Ok(appended)
    }

    /// Appends a half message once more, or to another topic, with the properties that are in the buffer.
    pub(super) fn append_copy(&mut self, now: Now, half: &Half<'_>, topic: &str) -> Result<Appended, AppendError> {
        let record = half.record();
        let queue = self.open_queue(topic, QUEUE);
        let message = NewMessage {
            topic,
            queue_id: QUEUE,
            flag: record.flag(),
            sys_flag: record.sys_flag(),
            born_timestamp: record.born_timestamp(),
            born_host: record.born_host(),
            store_host: record.store_host(),
            reconsume_times: record.reconsume_times(),
            prepared_transaction_offset: 0,
            body: record.body(),
            properties: self.properties.as_bytes(),
            tags_code: TagsCode::Hash(tags_code(record.property(property::TAGS))),
        };
        let appended = self.storage.append_again(now.wall, queue, &message)?;
        self.note_put(now, self.topics.find(topic), 1, appended.offset, appended.end);
        Ok(appended)
    }

    /// Writes the note that is owed, if one is. Each word is noted at once, and not after some seconds as in Java: what is noted cannot be
    /// decided again after a crash.
    pub(super) fn write_notes(&mut self, now: Now) -> Option<Appended> {
        if self.transactions.owed().is_empty() {
            return None;
        }
        let mut body = std::mem::take(&mut self.properties_text);
        transaction::write_op(self.transactions.owed(), &mut body);
        self.properties.clear();
        self.properties.append(property::TAGS, transaction::DONE.as_bytes());
        self.append_unique_key(now);
        let queue = self.open_queue(TRANS_OP_HALF_TOPIC, QUEUE);
        let message = NewMessage {
            topic: TRANS_OP_HALF_TOPIC,
            queue_id: QUEUE,
            flag: 0,
            sys_flag: 0,
            born_timestamp: now.wall.0,
            born_host: self.config.address,
            store_host: self.config.address,
            reconsume_times: 0,
            prepared_transaction_offset: 0,
            body: &body,
            properties: self.properties.as_bytes(),
            tags_code: TagsCode::Hash(tags_code(Some(transaction::DONE))),
        };
        let appended = self.storage.append(now.wall, queue, &message);
        self.properties_text = body;
        match appended {
            Ok(appended) => {
                self.transactions.noted(appended.queue_offset);
                self.note_put(now, self.topics.find(TRANS_OP_HALF_TOPIC), 1, appended.offset, appended.end);
                Some(appended)
            }
            Err(error) => {
                self.transactions.note_refused(now);
                if self.notes_refused.allows(now.mono) {
                    self.notice(NoticeLevel::Warn, format!("ends of transactions cannot be noted for now: {error}"));
                }
                None
            }
        }
    }

    /// Keeps how far the two queues need not be read again.
    pub(super) fn commit_transaction_progress(&mut self, now: Now) {
        // What it says is decided must not be gone with the process when this is not.
        if !self.commit_log() {
            return;
        }
        let Progress { half, op } = self.transactions.progress();
        for (topic, offset) in [(TRANS_HALF_TOPIC, half), (TRANS_OP_HALF_TOPIC, op)] {
            if self.offsets.query(topic, TRANS_CONSUMER_GROUP, QUEUE).unwrap_or(0) != offset {
                self.commit_offset(now, topic, TRANS_CONSUMER_GROUP, QUEUE, offset);
            }
        }
    }

    /// Reads the undecided transactions from their two queues.
    pub(super) fn recover_transactions(&mut self, now: Now) {
        let half_queue = self.open_queue(TRANS_HALF_TOPIC, QUEUE);
        let op_queue = self.open_queue(TRANS_OP_HALF_TOPIC, QUEUE);
        let from = |topic: &str, queue| {
            let bounds = self.storage.bounds(queue);
            self.offsets.query(topic, TRANS_CONSUMER_GROUP, QUEUE).unwrap_or(bounds.min).clamp(bounds.min, bounds.max)
        };
        let from = Progress { half: from(TRANS_HALF_TOPIC, half_queue), op: from(TRANS_OP_HALF_TOPIC, op_queue) };
        self.storage.settle_units(half_queue, from.half);
        self.storage.settle_units(op_queue, from.op);
        let over = self.read_notes(op_queue, from);
        let end = Progress { half: self.storage.bounds(half_queue).max, op: self.storage.bounds(op_queue).max };
        self.transactions.set_end(end);
        let timeout = self.config.transaction_timeout;
        let mut unreadable = 0_usize;
        let halves = places(&self.storage, half_queue, from.half);
        for &(offset, place) in &halves {
            if over.contains_key(&offset) {
                continue;
            }
            let Ok(half) = Half::read(self.storage.record(place).unwrap_or_default(), place) else {
                unreadable += 1;
                continue;
            };
            let queues = self.ways_of(&half);
            for queue in queues.into_iter().flatten() {
                // What its last unit leads to decides.
                self.storage.settle_units(queue, self.storage.bounds(queue).max - 1);
            }
            let committed = queues.into_iter().flatten().any(|queue| self.last_commits(queue, place));
            let Ok(half) = Half::read(self.storage.record(place).unwrap_or_default(), place) else { continue };
            let topic = self.transaction_metrics.name(half.topic());
            let first_check = now.deadline(half.first_check(timeout));
            if self.transactions.begin(offset, place, first_check, half.identity(), topic.clone())
                && let Some(topic) = topic
            {
                self.transaction_metrics.restore(now.wall, &topic);
            }
            if committed {
                self.forget_transaction(now, offset, End::Dropped);
            }
        }
        self.transaction_metrics.handle_restored(now.wall);
        self.recover_older_copies(&halves, &over);
        if unreadable > 0 {
            self.notice(NoticeLevel::Warn, format!("{unreadable} half messages cannot be read and are passed over"));
        }
        self.write_notes(now);
    }

    /// Half messages that are over because a newer copy took their place are copies of that transaction: a word on one of them decides it.
    /// They are told from decided ones by the order of the log: the note about a replaced one lies behind the copy, the note about a
    /// decided one in front of whatever the producer sent with the same key later.
    fn recover_older_copies(&mut self, halves: &[(i64, LogOffset)], over: &Notes) {
        // Where the copy lies that the next older one was replaced by; nothing once a decided one was met.
        let mut replaced_by = IndexMap::<i64, Option<LogOffset>, FixedState>::default();
        if self.transactions.is_empty() {
            return;
        }
        for &(offset, place) in halves.iter().rev() {
            let Some(&note) = over.get(&offset) else { continue };
            let record = self.storage.record(place).unwrap_or_default();
            let identity = Half::read(record, place).ok().and_then(|half| half.identity());
            let Some(newest) = identity.and_then(|identity| self.transactions.find(&identity)) else { continue };
            let next = replaced_by.entry(newest.half).or_insert(Some(newest.place));
            *next = next.filter(|next| offset < newest.half && *next < note).map(|_| place);
            if next.is_some() {
                self.transactions.restore_older(offset, newest.half);
            }
        }
    }

    /// The half messages that are noted as over.
    fn read_notes(&mut self, queue: QueueId, from: Progress) -> Notes {
        let mut over = Notes::default();
        for (offset, place) in places(&self.storage, queue, from.op) {
            let record = self.storage.record(place).unwrap_or_default();
            let Ok(record) = RecordView::parse(record) else { continue };
            let halves = transaction::read_op(record.body()).filter(|half| *half >= from.half);
            let mut highest = None;
            for half in halves {
                highest = highest.max(Some(half));
                over.entry(half).or_insert(place);
            }
            if let Some(highest) = highest {
                self.transactions.restore_note(offset, highest);
            }
        }
        over
    }

    /// The queues into which a message can have been put when it was committed.
    fn ways_of(&self, half: &Half<'_>) -> [Option<QueueId>; 2] {
        let special = Special::scan(half.record().properties());
        let level = self.delay_levels.clamp(special.delay_level());
        match self.delay_levels.millis(level) {
            Some(_) => [self.storage.find_queue(SCHEDULE_TOPIC, delay::queue_id(level)), None],
            // A time that has come since the message was sent does not lead into the timer.
            None => {
                let timer = special.wants_time().then(|| self.storage.find_queue(TIMER_TOPIC, 0));
                [self.storage.find_queue(half.topic(), half.queue_id()), timer.flatten()]
            }
        }
    }

    /// Whether the last message of a queue is the one that was committed with the half message at `place`. If nothing notes that message to
    /// be over, it is committed all the same: the process ended between the two appends.
    fn last_commits(&self, queue: QueueId, place: LogOffset) -> bool {
        let last = self.storage.unit(queue, self.storage.bounds(queue).max - 1);
        let record = last.and_then(|unit| RecordView::parse(self.storage.record(unit.offset)?).ok());
        record.is_some_and(|record| {
            record.prepared_transaction_offset() == place.0
                && message_flag::transaction(record.sys_flag()) == message_flag::TRANSACTION_COMMIT
        })
    }

    fn not_committed(&self, error: &AppendError) -> Refusal {
        match error {
            AppendError::TooLarge { .. } | AppendError::PropertiesTooLarge(_) | AppendError::BadTopic(_) => self.illegal_message(),
            AppendError::NoSpace(_) => Refusal::system("Create mapped file failed."),
            AppendError::DiskFull(_) | AppendError::FlushBehind(_) | AppendError::QueueUnusable(_) | AppendError::ReadOnly(_) => {
                Refusal::new(ResponseCode::ServiceNotAvailable, "Service not available now.")
            }
        }
    }
}

/// Offsets and places of a queue's messages from an offset on.
fn places<S: Storage>(storage: &S, queue: QueueId, from: i64) -> Vec<(i64, LogOffset)> {
    let (mut at, end) = (from, storage.bounds(queue).max);
    let mut places = Vec::new();
    while at < end {
        let before = at;
        for unit in storage.units(queue, at) {
            places.push((at, unit.offset));
            at += 1;
        }
        if at == before {
            // A hole; the queue goes on in its next file.
            at = storage.next_file_offset(at).max(at + 1);
        }
    }
    places
}
