//! Delayed messages whose time has come go where they belong.

use proto_core::{names, record::RecordView};

use super::{Broker, delay::Redelivery};
use crate::{
    output::NoticeLevel,
    storage::{AppendError, OffsetTableKind, Storage},
    time::Now,
};

/// How many are delivered in one turn, so that a backlog of them does not hold up the connections.
const PER_TURN: usize = 256;

impl<S: Storage> Broker<S> {
    /// Delivers messages of all levels whose time has come, a turn's worth of them; what storage refuses is tried again later.
    pub(super) fn deliver_due(&mut self, now: Now) {
        for _ in 0..PER_TURN {
            let Some(due) = self.delay.next_due(now, &self.storage) else { return };
            // The record lies in the log that the new one is appended to.
            let mut record = std::mem::take(&mut self.record);
            record.clear();
            record.extend_from_slice(self.storage.record(due.unit.offset).unwrap_or_default());
            let outcome = match RecordView::parse(&record) {
                Ok(view) => self.redeliver(now, &view),
                Err(error) => Ok(Some(format!("is not delivered: {error}"))),
            };
            self.record = record;
            match outcome {
                Ok(aside) => {
                    self.delivery_refused = false;
                    self.delay.delivered(now, &due);
                    self.storage.note_offset(OffsetTableKind::Delay, names::SCHEDULE_TOPIC, due.level, due.offset + 1);
                    if let Some(aside) = aside {
                        let place = due.unit.offset.0;
                        self.notice(NoticeLevel::Warn, format!("the delayed message at {place} of the log {aside}"));
                    }
                }
                Err(why) => {
                    self.delay.refused(now, &due);
                    // Said once: it is tried again ten times a second.
                    if !std::mem::replace(&mut self.delivery_refused, true) {
                        self.notice(NoticeLevel::Warn, format!("messages of delay level {} wait longer: {why}", due.level));
                    }
                }
            }
        }
    }

    /// Puts a delayed message where it belongs, or aside if it can never be there: then it answers what came of it.
    fn redeliver(&mut self, now: Now, record: &RecordView<'_>) -> Result<Option<String>, AppendError> {
        let redelivery = match Redelivery::of(*record) {
            Ok(redelivery) => redelivery,
            Err(why) => return self.put_aside(now, record, &why.to_string()).map(Some),
        };
        let queue = self.open_queue(redelivery.topic(), redelivery.queue_id());
        match self.storage.append_again(now.wall, queue, &redelivery.message()) {
            Ok(appended) => {
                self.note_put(now, self.topics.find(redelivery.topic()), 1, appended.offset, appended.end);
                Ok(None)
            }
            Err(error) if error.is_lasting() => self.put_aside(now, record, &error.to_string()).map(Some),
            Err(error) => Err(error),
        }
    }
}
