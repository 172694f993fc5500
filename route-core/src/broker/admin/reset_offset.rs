//! Setting groups back or forward: `INVOKE_BROKER_TO_RESET_OFFSET`, and what clients are told of it.

use bytes::Bytes;
use proto_core::{
    Command,
    bodies::{MessageQueue, ResetOffsetBody},
    code::{LanguageCode, RequestCode, ResponseCode},
    headers::ResetOffsetRequest,
};
use serde::Serialize;

use super::{Answer, Handled, encode, header};
use crate::{
    broker::{Broker, refusal::Refusal},
    output::{Output, PeerId, Reply, Request, Table},
    storage::{Boundary, QueueBounds, Storage},
    time::Timestamp,
};

/// Clients from this release on (`V3_0_7_SNAPSHOT`) can be told to go elsewhere.
const FIRST_VERSION: i32 = 28;

/// A [`ResetOffsetBody`] as clients in C++ read it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResetOffsetBodyForC {
    offset_table: Vec<MessageQueueForC>,
}

/// A queue and where to go in it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MessageQueueForC {
    broker_name: String,
    offset: i64,
    queue_id: i32,
    topic: String,
}

impl<S: Storage> Broker<S> {
    /// 222: sets a group to an offset or a moment of a topic.
    pub(super) fn reset_offset(&mut self, command: &Command<'_>) -> Handled {
        let request: ResetOffsetRequest<'_> = header(command)?;
        let (topic, group) = (request.topic.to_cow(), request.group.to_cow());
        if self.config.use_server_side_reset_offset {
            return self.reset_on_pull(&request, &topic, &group);
        }
        let for_c = command.language == Some(LanguageCode::Cpp);
        self.reset_in_clients(&request, &topic, &group, for_c)
    }

    /// The offsets change here at once, and the next pull of each queue is sent there. What members commit until then is ignored.
    fn reset_on_pull(&mut self, request: &ResetOffsetRequest<'_>, topic: &str, group: &str) -> Handled {
        let Some(entry) = self.topics.get(topic) else {
            return Err(Refusal::new(ResponseCode::TopicNotExist, format!("Topic {topic} does not exist")));
        };
        let (readable, all) = (entry.config().read_queue_nums, entry.config().read_queue_nums.max(entry.config().write_queue_nums));
        if self.groups.get(group).is_none() {
            return Err(Refusal::new(ResponseCode::SubscriptionGroupNotExist, format!("Group {group} does not exist")));
        }
        let mut body = ResetOffsetBody::default();
        if request.queue_id < 0 {
            for queue_id in 0..readable {
                body.offset_table.insert(self.message_queue(topic, queue_id), self.offset_at(topic, queue_id, request.timestamp));
            }
        } else if request.queue_id >= all {
            return Err(Refusal::system(format!("queueId[{}] is illegal, topic[{topic}] has {all} queues", request.queue_id)));
        } else {
            let queue_id = request.queue_id;
            let target = match request.offset.filter(|offset| *offset != -1) {
                None => self.offset_at(topic, queue_id, request.timestamp),
                Some(offset) => {
                    let QueueBounds { min, max } = self.bounds_of(topic, queue_id);
                    if offset < min || offset > max + 1 {
                        return Err(Refusal::system(format!("Target offset {offset} not in consume queue range [{min}-{max}]")));
                    }
                    offset
                }
            };
            body.offset_table.insert(self.message_queue(topic, queue_id), target);
        }
        if body.offset_table.is_empty() {
            return Err(Refusal::system("No queues to reset."));
        }
        for (queue, offset) in &body.offset_table {
            if !self.offsets.assign_reset(topic, group, queue.queue_id, *offset) {
                return Err(Refusal::system("the table of offsets is full"));
            }
        }
        for queue in body.offset_table.keys() {
            self.send_held_to_reset(topic, group, queue.queue_id);
        }
        self.save_offsets_now();
        Ok(Answer::AfterSaves(&[Table::ConsumerOffsets], Reply::with_body(encode(&body))))
    }

    /// The members of the group are told where to go; each commits it when it has gone there.
    fn reset_in_clients(&mut self, request: &ResetOffsetRequest<'_>, topic: &str, group: &str, for_c: bool) -> Handled {
        let Some(entry) = self.topics.get(topic) else {
            let remark = format!("[reset-offset] reset offset failed, no topic in this broker. topic={topic}");
            return Err(Refusal::new(ResponseCode::TopicNotExist, remark));
        };
        let mut body = ResetOffsetBody::default();
        for queue_id in 0..entry.config().write_queue_nums {
            let Some(committed) = self.offsets.query(topic, group, queue_id).filter(|offset| *offset >= 0) else {
                return Err(Refusal::system(format!("THe consumer group <{group}> not exist")));
            };
            let target = self.offset_at(topic, queue_id, request.timestamp);
            let target = if request.is_force || target < committed { target } else { committed };
            body.offset_table.insert(self.message_queue(topic, queue_id), target);
        }
        let members: Vec<(PeerId, i32)> =
            self.consumers.members(group).into_iter().flatten().map(|(peer, member)| (*peer, member.version)).collect();
        if members.is_empty() {
            let remark =
                format!("Consumer not online, so can not reset offset, Group: {group} Topic: {topic} Timestamp: {}", request.timestamp);
            return Err(Refusal::new(ResponseCode::ConsumerNotOnline, remark));
        }
        if let Some((_, version)) = members.iter().find(|(_, version)| *version < FIRST_VERSION) {
            return Err(Refusal::system(format!("the client does not support this feature. version={version}")));
        }
        let told = if for_c { encode(&for_clients_in_c(&body)) } else { encode(&body) };
        for (member, _) in members {
            self.tell_to_reset(member, topic, group, request.timestamp, told.clone());
        }
        Ok(Answer::Now(Reply::with_body(encode(&body))))
    }

    /// RESET_CONSUMER_CLIENT_OFFSET (220).
    fn tell_to_reset(&mut self, to: PeerId, topic: &str, group: &str, timestamp: i64, body: Bytes) {
        let fields = vec![
            ("topic", topic.to_owned().into()),
            ("group", group.to_owned().into()),
            ("timestamp", timestamp.to_string().into()),
            ("isForce", "false".into()),
        ];
        let request = Request { code: RequestCode::ResetConsumerClientOffset, oneway: true, fields: Some(fields), body };
        let opaque = self.next_opaque();
        self.outputs.push_back(Output::Request { to, opaque, request });
    }

    fn bounds_of(&self, topic: &str, queue_id: i32) -> QueueBounds {
        self.storage.find_queue(topic, queue_id).map_or_else(QueueBounds::default, |queue| self.storage.bounds(queue))
    }

    /// The offset of the first message stored at a moment or later; the end of the queue for a moment before all time.
    fn offset_at(&self, topic: &str, queue_id: i32, timestamp: i64) -> i64 {
        let Some(queue) = self.storage.find_queue(topic, queue_id) else { return 0 };
        if timestamp < 0 {
            return self.storage.bounds(queue).max;
        }
        self.storage.search_by_time(queue, Timestamp(timestamp), Boundary::Lower)
    }
}

fn for_clients_in_c(body: &ResetOffsetBody) -> ResetOffsetBodyForC {
    let entry = |(queue, offset): (&MessageQueue, &i64)| MessageQueueForC {
        broker_name: queue.broker_name.clone(),
        offset: *offset,
        queue_id: queue.queue_id,
        topic: queue.topic.clone(),
    };
    ResetOffsetBodyForC { offset_table: body.offset_table.iter().map(entry).collect() }
}
