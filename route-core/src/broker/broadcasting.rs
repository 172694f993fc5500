//! Clients of broadcasting groups that come directly or through a proxy: who reads, where it begins, what is committed for all of them.

use std::sync::Arc;

use foldhash::fast::FixedState;
use indexmap::IndexSet;
use proto_core::headers::PullMessageRequest;

use super::{
    Asked, Broker,
    broadcast_offsets::{Begin, Least, Place, Reader, broadcast_group},
    read::{QueueRead, ReadStatus},
};
use crate::{
    storage::{QueueId, Storage},
    time::Now,
};

/// `requestSource` of a proxy that reads for a client of a broadcasting group.
const PROXY_FOR_BROADCAST: i32 = 1;

impl<S: Storage> Broker<S> {
    /// Who reads with a pull, if its offsets are to be remembered.
    pub(super) fn broadcast_reader(&self, asked: Asked, request: &PullMessageRequest<'_>, group: &str) -> Option<Reader> {
        if !self.broadcast_offsets.is_enabled() {
            return None;
        }
        if request.request_source == Some(PROXY_FOR_BROADCAST) {
            let client = request.proxy_forward_client_id?.to_cow();
            return Some(Reader { client: client.into(), by_proxy: true });
        }
        if !self.consumers.is_pushed_to_all(group) {
            return None;
        }
        let member = self.consumers.members(group)?.get(&asked.peer.id)?;
        Some(Reader { client: Arc::clone(&member.client_id), by_proxy: false })
    }

    /// Where a reader is sent that comes another way than before, or anew through a proxy.
    pub(super) fn broadcast_begin(&self, reader: &Reader, place: Place<'_>, queue: QueueId, from: i64) -> Option<QueueRead> {
        let Begin::At(known) = self.broadcast_offsets.begin(place, reader, from) else { return None };
        let bounds = self.storage.bounds(queue);
        let next_begin_offset = known
            .or_else(|| self.offsets.query(place.topic, &broadcast_group(place.group), place.queue_id))
            .filter(|offset| *offset >= 0)
            .unwrap_or_else(|| if self.first_is_far_back(queue) { bounds.max } else { bounds.min.max(0) });
        Some(QueueRead { status: ReadStatus::OffsetReset, next_begin_offset, bounds, count: 0, suggest_slave: false })
    }

    /// Whether a queue still has its first message, but too far back in the log to be in memory.
    fn first_is_far_back(&self, queue: QueueId) -> bool {
        let (_, end) = self.storage.log_bounds();
        let window = self.config.read_limits.memory_window;
        self.storage.bounds(queue).min <= 0
            && self.storage.unit(queue, 0).is_some_and(|first| end.0.saturating_sub(first.offset.0) > window)
    }

    /// If it is time, commits what all clients of each broadcasting group have read.
    pub(super) fn commit_broadcast_offsets(&mut self, now: Now) {
        let consumers = &self.consumers;
        let connected = |group: &str| {
            let ids: IndexSet<Arc<str>, FixedState> = consumers.client_ids(group).into_iter().collect();
            move |client: &str| ids.contains(client)
        };
        for Least { topic, group, queue_id, offset } in self.broadcast_offsets.handle_timeout(now, connected) {
            self.commit_offset(now, &topic, &group, queue_id, offset);
        }
    }
}
