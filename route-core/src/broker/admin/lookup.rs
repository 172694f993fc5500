//! Single messages by the place in their id.

use proto_core::{Command, headers::ViewMessageRequest, record::RecordView};

use super::{Answer, Handled, header};
use crate::{
    broker::{Broker, refusal::Refusal},
    output::{Reply, ReplyBody},
    storage::{LogOffset, LogRange, Storage},
};

impl<S: Storage> Broker<S> {
    /// 33: the stored message that begins at a place of the log.
    pub(super) fn view_message_by_id(&mut self, command: &Command<'_>) -> Handled {
        let request: ViewMessageRequest<'_> = header(command)?;
        let offset = LogOffset(request.offset);
        // What looks like a record inside of another message's body does not know where it lies.
        let record = self.storage.record(offset).and_then(|record| RecordView::parse(record).ok());
        let Some(record) = record.filter(|record| record.physical_offset() == offset.0) else {
            return Err(Refusal::system(format!("can not find message by the offset, {}", offset.0)));
        };
        // The size is a positive i32 on disk.
        let len = u32::try_from(record.total_size()).unwrap_or(u32::MAX);
        let mut ranges = self.spare_ranges.pop().unwrap_or_default();
        ranges.push(LogRange { offset, len });
        Ok(Answer::Now(Reply { body: ReplyBody::Records(ranges), ..Reply::ok() }))
    }
}
