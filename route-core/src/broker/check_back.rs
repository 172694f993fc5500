//! Producers that keep silent about a half message are asked: `CHECK_TRANSACTION_STATE`.

use bytes::Bytes;
use proto_core::{
    code::RequestCode,
    ids::{MAX_ID_LEN, OffsetMessageId},
    names::{TRANS_CHECK_MAX_TIME_TOPIC, TRANS_HALF_TOPIC},
    perm,
    properties::names as property,
    record::RecordFields,
};

use super::{
    Broker,
    topics::NewTopic,
    transaction::{Due, End, Half},
};
use crate::{
    output::{NoticeLevel, Output, PeerId, Request},
    storage::{AppendError, Appended, Storage},
    time::{Millis, Now, Timestamp},
};

/// How many are looked at in one turn, so that a crowd of them does not hold up the connections.
const PER_TURN: usize = 256;

/// Pause after a copy that storage has refused.
const PAUSE: Millis = Millis::from_secs(1);

impl<S: Storage> Broker<S> {
    /// Asks about all transactions whose time has come.
    pub(super) fn check_due_transactions(&mut self, now: Now) {
        for _ in 0..PER_TURN {
            let Some(due) = self.transactions.next_due(now) else { break };
            // The record lies in the log that its copy is appended to.
            let mut record = std::mem::take(&mut self.record);
            record.clear();
            record.extend_from_slice(self.storage.record(due.place).unwrap_or_default());
            let checked = match Half::read(&record, due.place) {
                Ok(half) => self.check_transaction(now, due, &half),
                Err(why) => {
                    self.forget_transaction(now, due.half, End::Dropped);
                    self.notice(NoticeLevel::Warn, format!("the half message at {} of the log is given up: {why}", due.place.0));
                    Ok(())
                }
            };
            self.record = record;
            if let Err(error) = checked {
                let pause = if error.is_lasting() { self.config.transaction_check_interval } else { PAUSE };
                self.transactions.postpone(due.half, now.mono + pause);
                if self.notes_refused.allows(now.mono) {
                    self.notice(NoticeLevel::Warn, format!("undecided transactions wait longer: {error}"));
                }
            }
        }
        if self.transactions.owes_now(now) {
            self.write_notes(now);
        }
    }

    fn check_transaction(&mut self, now: Now, due: Due, half: &Half<'_>) -> Result<(), AppendError> {
        let age = now.wall - Timestamp(half.record().born_timestamp());
        let checks = half.checks();
        if checks >= self.config.transaction_check_max || age > self.config.transaction_max_age {
            return self.give_up(now, due, half);
        }
        // Who is not there cannot be asked, and what was not asked does not count.
        let producer = half.group().and_then(|group| self.producers.next_of(group));
        if producer.is_none() && !self.is_to_be_moved(now, due, half) {
            self.transactions.postpone(due.half, now.mono + self.config.transaction_check_interval);
            return Ok(());
        }
        self.properties.start(half.record().properties());
        self.properties.put_number(property::TRANSACTION_CHECK_TIMES, i64::from(checks) + i64::from(producer.is_some()));
        let copy = self.append_copy(now, half, TRANS_HALF_TOPIC)?;
        self.transactions.renewed(due.half, copy.queue_offset, copy.offset, now.mono + self.config.transaction_check_interval);
        if let Some(producer) = producer {
            self.transactions.note_question();
            self.ask_producer(producer, half, &copy);
        }
        Ok(())
    }

    /// Whether a half message is to be copied although nobody was asked: it would go with its old file of the log, or be far back in its queue.
    fn is_to_be_moved(&self, now: Now, due: Due, half: &Half<'_>) -> bool {
        let lain = now.wall - Timestamp(half.record().store_timestamp());
        lain.0.saturating_mul(2) > self.config.transaction_max_age.0 || self.transactions.is_far_behind(due.half)
    }

    /// Puts a half message aside where an operator finds it.
    fn give_up(&mut self, now: Now, due: Due, half: &Half<'_>) -> Result<(), AppendError> {
        let new = NewTopic { queue_nums: 1, perm: perm::READ | perm::WRITE, order: false, sys_flag: 0 };
        if let Err(error) = self.topics.open(now.wall, TRANS_CHECK_MAX_TIME_TOPIC, new) {
            self.notice(NoticeLevel::Warn, format!("topic {TRANS_CHECK_MAX_TIME_TOPIC} cannot be made: {error}"));
        }
        self.properties.start(half.record().properties());
        self.append_copy(now, half, TRANS_CHECK_MAX_TIME_TOPIC)?;
        self.forget_transaction(now, due.half, End::GivenUp);
        let (topic, group, checks) = (half.topic(), half.group().unwrap_or_default(), half.checks());
        let text = format!(
            "a transaction of group {group} for topic {topic} is undecided after {checks} questions: see {TRANS_CHECK_MAX_TIME_TOPIC}"
        );
        self.notice(NoticeLevel::Warn, text);
        Ok(())
    }

    /// The question, with the message as it was sent for a body. Its properties are in the buffer.
    fn ask_producer(&mut self, to: PeerId, half: &Half<'_>, copy: &Appended) {
        let record = half.record();
        let fields = RecordFields {
            topic: half.topic(),
            queue_id: half.queue_id(),
            flag: record.flag(),
            queue_offset: copy.queue_offset,
            physical_offset: copy.offset.0,
            sys_flag: record.sys_flag(),
            born_timestamp: record.born_timestamp(),
            born_host: record.born_host(),
            store_timestamp: copy.store_timestamp.0,
            store_host: record.store_host(),
            reconsume_times: record.reconsume_times(),
            prepared_transaction_offset: 0,
            body: record.body(),
            properties: self.properties.as_bytes(),
        };
        let mut body = vec![0; fields.encoded_len()];
        if let Err(error) = fields.encode_into(&mut body) {
            return self
                .notice(NoticeLevel::Warn, format!("the half message at {} of the log cannot be asked about: {error}", copy.offset.0));
        }
        let mut id = Vec::with_capacity(MAX_ID_LEN);
        OffsetMessageId { host: record.store_host(), offset: copy.offset.0 }.write(&mut id);
        let key = half.unique_key().unwrap_or_default().to_owned();
        let request = Request {
            code: RequestCode::CheckTransactionState,
            oneway: true,
            fields: Some(vec![
                ("topic", TRANS_HALF_TOPIC.into()),
                ("tranStateTableOffset", copy.queue_offset.to_string().into()),
                ("commitLogOffset", copy.offset.0.to_string().into()),
                ("msgId", key.clone().into()),
                ("transactionId", key.into()),
                ("offsetMsgId", String::from_utf8_lossy(&id).into_owned().into()),
                ("bname", self.config.name.to_string().into()),
            ]),
            body: Bytes::from(body),
        };
        let opaque = self.next_opaque();
        self.outputs.push_back(Output::Request { to, opaque, request });
    }
}
