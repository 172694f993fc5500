//! Offsets of queues by time and by end. None of these asks whether the topic exists: a queue that is not there is empty.

use proto_core::{
    Command,
    headers::{GetEarliestMsgStoretimeRequest, GetMaxOffsetRequest, GetMinOffsetRequest, SearchOffsetRequest},
    record::RecordView,
};

use super::{Answer, Handled, header};
use crate::{
    broker::Broker,
    output::{Reply, ReplyHeader},
    storage::{Boundary, QueueId, Storage},
    time::Timestamp,
};

impl<S: Storage> Broker<S> {
    /// 29: the offset of a moment.
    pub(super) fn search_offset_by_timestamp(&self, command: &Command<'_>) -> Handled {
        let request: SearchOffsetRequest<'_> = header(command)?;
        let upper = request.boundary_type.is_some_and(|text| text.to_cow().eq_ignore_ascii_case("UPPER"));
        let boundary = if upper { Boundary::Upper } else { Boundary::Lower };
        let queue = self.storage.find_queue(&request.topic.to_cow(), request.queue_id);
        Answer::offset(queue.map_or(0, |queue| self.storage.search_by_time(queue, Timestamp(request.timestamp), boundary)))
    }

    /// 30: one more than the last offset that can be read, or that has been given out.
    pub(super) fn max_offset(&self, command: &Command<'_>) -> Handled {
        let request: GetMaxOffsetRequest<'_> = header(command)?;
        let Some(queue) = self.storage.find_queue(&request.topic.to_cow(), request.queue_id) else { return Answer::offset(0) };
        Answer::offset(if request.committed { self.storage.bounds(queue).max } else { self.storage.next_offset(queue) })
    }

    /// 31: the first offset that is still there.
    pub(super) fn min_offset(&self, command: &Command<'_>) -> Handled {
        let request: GetMinOffsetRequest<'_> = header(command)?;
        let queue = self.storage.find_queue(&request.topic.to_cow(), request.queue_id);
        Answer::offset(queue.map_or(0, |queue| self.storage.bounds(queue).min))
    }

    /// 32: when the first message that is still there was stored; -1 if there is none.
    pub(super) fn earliest_store_time(&self, command: &Command<'_>) -> Handled {
        let request: GetEarliestMsgStoretimeRequest<'_> = header(command)?;
        let queue = self.storage.find_queue(&request.topic.to_cow(), request.queue_id);
        let time = queue.and_then(|queue| self.store_time(queue, self.storage.bounds(queue).min)).map_or(-1, |time| time.0);
        let header = ReplyHeader::Fields(vec![("timestamp", time.to_string().into())]);
        Ok(Answer::Now(Reply { header, ..Reply::ok() }))
    }

    /// When the message at an offset was stored, if it can be read.
    pub(super) fn store_time(&self, queue: QueueId, offset: i64) -> Option<Timestamp> {
        let bounds = self.storage.bounds(queue);
        if !(bounds.min..bounds.max).contains(&offset) {
            return None;
        }
        let unit = self.storage.unit(queue, offset)?;
        let record = RecordView::parse(self.storage.record(unit.offset)?).ok()?;
        Some(Timestamp(record.store_timestamp()))
    }
}
