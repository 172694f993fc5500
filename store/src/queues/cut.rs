//! Cuts queues to what the log has.

use std::{cell::OnceCell, path::Path};

use super::{Loaded, QueuesCut, Slot, is_damage, shares::in_shares};
use crate::{
    consume_queue::{ConsumeQueue, LogStart},
    disk::Disk,
    error::{OpenError, at},
    event::Background,
};

/// What queues are cut to.
#[derive(Clone, Copy)]
pub(super) struct Cut<'a> {
    pub(super) disk: &'a Disk,
    pub(super) dir: &'a Path,
    pub(super) file_size: u32,
    pub(super) log_start: &'a LogStart,
    /// Units point in front of this place of the log.
    pub(super) limit: i64,
    /// Queues are built anew after this.
    pub(super) anew: bool,
}

impl Cut<'_> {
    pub(super) fn on(self, slots: &mut [Slot], background: Background) -> Result<QueuesCut, OpenError> {
        let mut all = Vec::new();
        for share in in_shares(slots, background, |slots| self.share(slots)) {
            match share? {
                QueuesCut::Done { unsynced } => all.extend(unsynced),
                lacking @ QueuesCut::Lacking { .. } => return Ok(lacking),
            }
        }
        Ok(QueuesCut::Done { unsynced: all })
    }

    fn share(self, slots: &mut [Slot]) -> Result<QueuesCut, OpenError> {
        let mut unsynced = Vec::new();
        for slot in slots {
            let dir = self.dir.join(&*slot.topic).join(slot.queue_id.to_string());
            let mut open = || {
                let (disk, start) = (self.disk.clone(), self.log_start.clone());
                ConsumeQueue::open_cut(disk, dir.clone(), self.file_size, start, self.limit, &mut unsynced)
            };
            let queue = match open() {
                Err(error) if is_damage(self.disk, self.dir, self.file_size, &error) => {
                    tracing::warn!(topic = &*slot.topic, queue = slot.queue_id, %error, "a consume queue has to be built anew");
                    if !self.anew {
                        return Ok(QueuesCut::Lacking { topic: slot.topic.to_string(), queue_id: slot.queue_id });
                    }
                    ConsumeQueue::discard(self.disk, &dir).map_err(at(&dir))?;
                    open()?
                }
                opened => opened?,
            };
            if let Some(was) = slot.was.filter(|was| !self.anew && queue.max() < was.end) {
                let (topic, end) = (&*slot.topic, queue.max());
                tracing::error!(topic, queue = slot.queue_id, end, was = was.end, "a consume queue lacks units");
                return Ok(QueuesCut::Lacking { topic: topic.to_owned(), queue_id: slot.queue_id });
            }
            slot.queue = OnceCell::from(Loaded::Open(queue));
            if !self.anew {
                // Needed no more: else it says where the queue goes on if nothing is found for it.
                slot.was = None;
            }
        }
        Ok(QueuesCut::Done { unsynced })
    }
}
