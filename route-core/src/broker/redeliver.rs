//! Delayed messages whose time has come go where they belong.

use proto_core::names;

use super::{Broker, delay::Redelivery};
use crate::{
    output::NoticeLevel,
    storage::{OffsetTableKind, Storage},
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
            let outcome = match Redelivery::read(&record) {
                Ok(redelivery) => {
                    let queue = self.open_queue(redelivery.topic(), redelivery.queue_id());
                    match self.storage.append(now.wall, queue, &redelivery.message()) {
                        Ok(appended) => {
                            self.note_put(now, self.topics.find(redelivery.topic()), 1, appended.offset, appended.end);
                            Ok(None)
                        }
                        Err(error) => Err(error.to_string()),
                    }
                }
                Err(undeliverable) => Ok(Some(undeliverable.to_string())),
            };
            self.record = record;
            match outcome {
                Ok(dropped) => {
                    self.delivery_refused = false;
                    self.delay.delivered(now, &due);
                    self.storage.note_offset(OffsetTableKind::Delay, names::SCHEDULE_TOPIC, due.level, due.offset + 1);
                    if let Some(why) = dropped {
                        let place = due.unit.offset.0;
                        self.notice(NoticeLevel::Warn, format!("the delayed message at {place} of the log is not delivered: {why}"));
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
}
