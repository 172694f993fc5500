//! Where groups are: `QUERY_CONSUMER_OFFSET`, `UPDATE_CONSUMER_OFFSET` and `CLONE_GROUP_OFFSET`.

use proto_core::{
    Command,
    bodies::QueryCorrectionOffsetBody,
    code::ResponseCode,
    headers::{CloneGroupOffsetRequest, QueryConsumerOffsetRequest, QueryCorrectionOffsetRequest, UpdateConsumerOffsetRequest},
};

use super::{Answer, Handled, header};
use crate::{
    broker::{Broker, offsets::Commit, refusal::Refusal, topics},
    output::{Reply, ReplyHeader, Table},
    storage::{OffsetTableKind, Storage},
    time::Now,
};

impl<S: Storage> Broker<S> {
    /// 14: where a group goes on. A group that is new to a queue from which nothing was removed begins at 0; for any other the client
    /// decides, which it does when it hears code 22.
    pub(super) fn query_consumer_offset(&self, command: &Command<'_>) -> Handled {
        let request: QueryConsumerOffsetRequest<'_> = header(command)?;
        let (topic, group) = (request.topic.to_cow(), request.consumer_group.to_cow());
        if let Some(offset) = self.offsets.query(&topic, &group, request.queue_id).filter(|&offset| offset >= 0) {
            return Answer::offset(offset);
        }
        let remark = if request.set_zero_if_not_found == Some(false) {
            "Not found, do not set to zero, maybe this group boot first"
        } else if self.begins_at_zero(&topic, request.queue_id) {
            return Answer::offset(0);
        } else {
            "Not found, V3_0_6_SNAPSHOT maybe this group consumer boot first"
        };
        let reply = Reply::error(ResponseCode::QueryNotFound, remark);
        Ok(Answer::Now(Reply { header: ReplyHeader::Empty, ..reply }))
    }

    /// Whether a queue still has its first message, and that one is not too far back in the log to be in memory.
    fn begins_at_zero(&self, topic: &str, queue_id: i32) -> bool {
        let Some(queue) = self.storage.find_queue(topic, queue_id) else { return false };
        let bounds = self.storage.bounds(queue);
        let (_, end) = self.storage.log_bounds();
        let window = self.config.read_limits.memory_window;
        bounds.min <= 0 && bounds.max > 0 && self.storage.unit(queue, 0).is_some_and(|first| end.0.saturating_sub(first.offset.0) <= window)
    }

    /// 15: how far a group has come.
    pub(super) fn update_consumer_offset(&mut self, now: Now, command: &Command<'_>) -> Handled {
        let request: UpdateConsumerOffsetRequest<'_> = header(command)?;
        let (topic, group) = (request.topic.to_cow(), request.consumer_group.to_cow());
        if self.groups.get(&group).is_none() {
            return Err(Refusal::new(ResponseCode::SubscriptionGroupNotExist, format!("Group {group} not exist!")));
        }
        let Some(entry) = self.topics.get(&topic) else {
            return Err(Refusal::new(ResponseCode::TopicNotExist, format!("Topic {topic} not exist!")));
        };
        let Some(queue_id) = request.queue_id else {
            return Err(Refusal::invalid(format!("QueueId is null, topic is {topic}")));
        };
        let Some(offset) = request.commit_offset else {
            return Err(Refusal::invalid(format!("Offset is null, topic is {topic}")));
        };
        let config = entry.config();
        let known = (0..config.read_queue_nums.max(config.write_queue_nums)).contains(&queue_id);
        let queue = self.storage.find_queue(&topic, queue_id);
        if !known && queue.is_none() {
            // Java keeps offsets of any number: one client could fill the table with them.
            return Err(Refusal::invalid(format!("queueId[{queue_id}] is illegal, {}", topics::java_text(config))));
        }
        let offset = queue.map_or(0, |queue| self.within_queue(queue, offset));
        let reply = Reply { header: ReplyHeader::Empty, ..Reply::ok() };
        match self.offsets.commit(now.wall, &topic, &group, queue_id, offset) {
            Commit::Changed { key } => self.storage.note_offset(OffsetTableKind::Consumer, key, queue_id, offset),
            Commit::Unchanged => {}
            Commit::ResetPending => {
                return Ok(Answer::Now(Reply { remark: Some("Offset has been previously reset".into()), ..reply }));
            }
            Commit::Full => return Err(Refusal::system("the table of offsets is full")),
        }
        Ok(Answer::Now(reply))
    }

    /// 308: how far the groups of a topic have come at least in each queue; the greatest number there is for a queue in which the group to
    /// compare with is behind all of them. Java forgets the offsets of the groups that are left out.
    pub(super) fn correction_offsets(&self, command: &Command<'_>) -> Handled {
        let request: QueryCorrectionOffsetRequest<'_> = header(command)?;
        let (topic, compared) = (request.topic.to_cow(), request.compare_group.to_cow());
        let without = request.filter_groups.map(|groups| groups.to_cow()).unwrap_or_default();
        let without: Vec<&str> = without.split(',').filter(|group| !group.trim().is_empty()).collect();
        let first = |queue_id| self.storage.find_queue(&topic, queue_id).map_or(0, |queue| self.storage.bounds(queue).min);
        let mut correction_offsets = self.offsets.least(&topic, &without, first);
        for (queue_id, least) in &mut correction_offsets {
            if self.offsets.query(&topic, &compared, *queue_id).is_some_and(|offset| offset < *least) {
                *least = i64::MAX;
            }
        }
        Answer::body(&QueryCorrectionOffsetBody { correction_offsets })
    }

    /// 314: a group begins where another one is, in one topic or in all. What the other one no longer subscribes to is left out unless
    /// `offline` says that this does not matter.
    pub(super) fn clone_group_offset(&mut self, now: Now, command: &Command<'_>) -> Handled {
        let request: CloneGroupOffsetRequest<'_> = header(command)?;
        let (from, to) = (request.src_group.to_cow(), request.dest_group.to_cow());
        let named = request.topic.map(|topic| topic.to_cow().into_owned()).filter(|topic| !topic.trim().is_empty());
        let mut topics = named.map_or_else(|| self.offsets.topics_of(&from).map(str::to_owned).collect(), |topic| vec![topic]);
        if !request.offline
            && let Some(online) = self.consumers.group(&from).filter(|online| online.subscriptions().next().is_some())
        {
            topics.retain(|topic| online.subscription(topic).is_some());
        }
        for topic in &topics {
            let Some(entry) = self.topics.get(topic) else { continue };
            for queue_id in 0..entry.config().read_queue_nums.max(entry.config().write_queue_nums) {
                if let Some(offset) = self.offsets.query(topic, &from, queue_id).filter(|offset| *offset >= 0) {
                    self.commit_offset(now, topic, &to, queue_id, offset);
                }
            }
        }
        self.save_offsets_now();
        Answer::saved(&[Table::ConsumerOffsets])
    }
}
