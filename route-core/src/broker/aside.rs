//! Messages that have waited and can never be stored where they belong. They must not hold up those behind them.

use proto_core::{names, properties::names as property, record::RecordView};

use super::{Broker, delay::message_for};
use crate::{
    storage::{AppendError, Storage},
    time::Now,
};

impl<S: Storage> Broker<S> {
    /// Puts such a message into the dead-letter topic of its group, if it was on its way to one. Answers what the operator is to be told;
    /// a message that no group waits for stays where it lies in the log, until that is deleted.
    ///
    /// # Errors
    /// Storage takes nothing for now.
    pub(super) fn put_aside(&mut self, now: Now, record: &RecordView<'_>, why: &str) -> Result<String, AppendError> {
        let group = record.property(property::REAL_TOPIC).and_then(names::group_of_retry_topic);
        if let Some(Ok(topic)) = group.map(|group| self.open_dead_letter_topic(now, group)) {
            let queue = self.open_queue(&topic, 0);
            match self.storage.append_again(now.wall, queue, &message_for(record, &topic, 0)) {
                Ok(appended) => {
                    self.note_put(now, self.topics.find(&topic), 1, appended.offset, appended.end);
                    return Ok(format!("is put into {topic}: {why}"));
                }
                Err(error) if !error.is_lasting() => return Err(error),
                Err(_) => {}
            }
        }
        Ok(format!("is not delivered: {why}"))
    }
}
