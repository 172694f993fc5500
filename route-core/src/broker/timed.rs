//! Timed messages whose time has come go where they belong.

use std::borrow::Cow;

use proto_core::{
    names,
    properties::{self, Special, names as property},
    recall::RecallHandle,
    record::RecordView,
};

use super::{
    Broker, Place,
    delay::Redelivery,
    refusal::Refusal,
    timer::{DueTimer, TimerEntry, TimerSchedule},
};
use crate::{
    output::NoticeLevel,
    storage::{AppendError, NewMessage, Storage, TagsCode},
    time::{Now, Timestamp},
};

/// How many are delivered in one turn, so that a million at the same time do not hold up the connections.
const PER_TURN: usize = 256;

impl<S: Storage> Broker<S> {
    pub(super) fn deliver_timed(&mut self, now: Now) {
        let Some(mut timer) = self.timer.take_if(|timer| timer.is_time(now)) else { return };
        timer.read(&self.storage);
        for _ in 0..PER_TURN {
            let Some(due) = timer.next_due(now, &self.storage) else { break };
            if let Err(error) = self.deliver_one(now, &mut timer, &due) {
                timer.refused(now);
                // Said once: it is tried again ten times a second.
                if !std::mem::replace(&mut self.timer_refused, true) {
                    self.notice(NoticeLevel::Warn, format!("timed messages wait longer: {error}"));
                }
                break;
            }
            self.timer_refused = false;
            timer.done(&due);
        }
        timer.rest(now, &self.storage);
        let unusable = timer.take_unusable();
        if unusable > 0 {
            let text = format!("{unusable} messages of {} were left out: they have no time, or no record any more", names::TIMER_TOPIC);
            self.notice(NoticeLevel::Warn, text);
        }
        self.timer = Some(timer);
    }

    /// Puts a due message into its real topic, or once more into the timer's if its time is later.
    fn deliver_one(&mut self, now: Now, timer: &mut TimerSchedule, due: &DueTimer) -> Result<(), AppendError> {
        // The record lies in the log that the new one is appended to.
        let mut record = std::mem::take(&mut self.record);
        record.clear();
        record.extend_from_slice(self.storage.record(due.unit.offset).unwrap_or_default());
        let outcome = match RecordView::parse(&record) {
            Ok(view) => self.deliver_record(now, timer, due, &view),
            Err(error) => Ok(Some(format!("is not delivered: {error}"))),
        };
        self.record = record;
        if let Some(aside) = outcome? {
            let place = due.unit.offset.0;
            self.notice(NoticeLevel::Warn, format!("the timed message at {place} of the log {aside}"));
        }
        Ok(())
    }

    /// Answers what else came of it if it can never be where it belongs.
    fn deliver_record(
        &mut self,
        now: Now,
        timer: &mut TimerSchedule,
        due: &DueTimer,
        record: &RecordView<'_>,
    ) -> Result<Option<String>, AppendError> {
        let special = Special::scan(record.properties());
        let out = special.timer_out_ms.and_then(properties::number).map_or(due.key.at, Timestamp);
        let is_recall = special.timer_del_uniq_key.is_some();
        let rules = timer.rules();
        let rolls = rules.due(rules.exact(Timestamp(record.store_timestamp()), out, &special)) > now.wall;
        if is_recall && !rolls {
            timer.recall_at(out, due);
            return Ok(None);
        }
        let redelivery = match Redelivery::of(*record) {
            Ok(redelivery) => redelivery,
            Err(why) => return self.put_aside(now, record, &why.to_string()).map(Some),
        };
        if special.uniq_key.is_some_and(|key| timer.is_recalled(redelivery.topic(), key)) {
            return Ok(None);
        }
        let stored = record.store_timestamp();
        self.properties.start(record.properties());
        self.properties.put_number(property::TIMER_ENQUEUE_MS, timer.rules().floor(stored));
        self.properties.put_number(property::TIMER_DEQUEUE_MS, now.wall.0);
        let mut message = redelivery.message();
        let queue = if rolls {
            let times = properties::find_number(record.properties(), property::TIMER_ROLL_TIMES).unwrap_or(0);
            self.properties.put_number(property::TIMER_ROLL_TIMES, times.saturating_add(1));
            let entry = timer.rules().entry(now.wall, out, &special);
            message = NewMessage { topic: names::TIMER_TOPIC, queue_id: 0, tags_code: TagsCode::Hash(entry.tags_code()), ..message };
            timer.queue()
        } else {
            self.open_queue(redelivery.topic(), redelivery.queue_id())
        };
        let complete = NewMessage { properties: self.properties.as_bytes(), ..message };
        let mut appended = self.storage.append_again(now.wall, queue, &complete);
        if appended.as_ref().is_err_and(AppendError::is_lasting) {
            // The traces of the timer are not worth a message.
            appended = self.storage.append_again(now.wall, queue, &message);
        }
        match appended {
            Ok(_) => Ok(None),
            Err(error) if error.is_lasting() => self.put_aside(now, record, &error.to_string()).map(Some),
            Err(error) => Err(error),
        }
    }

    /// What the timer is to do with a message whose properties ask for a time; `None` if that is now.
    ///
    /// # Errors
    /// It may not have this time.
    pub(super) fn timer_entry(&mut self, now: Now, asked: &Special<'_>) -> Result<Option<(Timestamp, TimerEntry)>, Refusal> {
        let Some(timer) = &self.timer else {
            return Err(Refusal::system("accurate timer message is not enabled, timerWheelEnable is false"));
        };
        let out = timer.rules().out_time(now.wall, asked);
        let out = out.map_err(|illegal| Refusal::new(proto_core::code::ResponseCode::MessageIllegal, illegal.to_string()))?;
        let Some(out) = out else { return Ok(None) };
        let entry = timer.rules().entry(now.wall, out, asked);
        let has_room = entry.kind != super::timer::EntryKind::Recall || timer.has_room_for_recall();
        if !has_room || timer.is_congested(out, &mut self.random) {
            let limit = timer.congest_num();
            return Err(Refusal::system(format!(
                "timer message is under flow control, max num limit is {0} or the current value is greater than {limit} and less than {0}, \
                 trigger random flow control",
                limit.saturating_mul(2)
            )));
        }
        Ok(Some((out, entry)))
    }

    /// What takes the message back whose properties are in the buffer and which waits for `out`; `None` if it cannot be taken back.
    pub(super) fn recall_handle(&self, topic: &str, out: Timestamp) -> Option<Box<str>> {
        if names::is_retry(topic) {
            return None;
        }
        let unique_key = str::from_utf8(self.properties.find(property::UNIQ_KEY)?).ok()?;
        let handle = RecallHandle {
            topic: topic.to_owned(),
            broker: self.config.name.to_string(),
            // The moment itself would be rounded to the one before.
            timestamp: out.0.saturating_add(1).to_string(),
            unique_key: unique_key.to_owned(),
        };
        Some(handle.encode().into())
    }

    /// Where the message whose properties are in the buffer waits for its time.
    pub(super) fn place_in_timer<'a>(&mut self, topic: &str, queue_id: i32, out: Timestamp, entry: TimerEntry) -> Place<'a> {
        self.properties.put_number(property::TIMER_OUT_MS, out.0);
        self.properties.put(property::REAL_TOPIC, topic.as_bytes());
        self.properties.put_number(property::REAL_QID, queue_id.into());
        let queue = self.open_queue(names::TIMER_TOPIC, 0);
        Place { topic: Cow::Borrowed(names::TIMER_TOPIC), queue_id: 0, queue, tags_code: TagsCode::Hash(entry.tags_code()) }
    }
}
