//! Looks into a running broker: whole tables, all groups at once, the units of a queue.

use std::borrow::Cow;

use bytes::Bytes;
use proto_core::{
    Command,
    bodies::{
        ConsumeQueueData, ConsumeStats, ConsumeStatsList, OffsetWrapper, ProducerInfo, ProducerTableInfo, QueryConsumeQueueResponseBody,
        QueryConsumeTimeSpanBody, QueueTimeSpan, Table, TopicList,
    },
    calendar,
    code::ResponseCode,
    headers::{GetConsumeStatsInBrokerRequest, QueryConsumeQueueRequest, QueryConsumeTimeSpanRequest},
    json::{self, Dialect},
    names,
};

use super::{Answer, Handled, encode, header};
use crate::{
    broker::{Broker, refusal::Refusal},
    output::{Reply, ReplyBody},
    storage::{QueueId, Storage},
    time::Now,
};

/// Units that one look into a queue returns at most, as many as lie in a file of Java's default size.
const UNITS_LIMIT: usize = 300_000;

impl<S: Storage> Broker<S> {
    /// 43: the offsets of all groups, as slaves ask for them.
    pub(super) fn all_consumer_offsets(&self) -> Handled {
        Ok(Answer::Now(Reply::with_body(Bytes::from(self.offsets.snapshot().to_body()))))
    }

    /// 45: how far each delay level is.
    pub(super) fn all_delay_offsets(&self) -> Handled {
        Ok(Answer::Now(Reply::with_body(Bytes::from(self.delay.to_body()))))
    }

    /// 303: how old what a group has still to read is, in each queue.
    pub(super) fn consume_time_span(&self, now: Now, command: &Command<'_>) -> Handled {
        let request: QueryConsumeTimeSpanRequest<'_> = header(command)?;
        let (topic, group) = (request.topic.to_cow(), request.group.to_cow());
        let Some(entry) = self.topics.get(&topic) else {
            return Err(Refusal::new(ResponseCode::TopicNotExist, format!("topic[{topic}] not exist")));
        };
        let spans = (0..entry.config().write_queue_nums).map(|queue_id| self.time_span(now, &topic, &group, queue_id));
        Answer::body(&QueryConsumeTimeSpanBody { consume_time_span_set: spans.collect() })
    }

    fn time_span(&self, now: Now, topic: &str, group: &str, queue_id: i32) -> QueueTimeSpan {
        let queue = self.storage.find_queue(topic, queue_id);
        let bounds = queue.map(|queue| self.storage.bounds(queue)).unwrap_or_default();
        let stored_at = |offset| queue.and_then(|queue: QueueId| self.store_time(queue, offset)).map_or(-1, |time| time.0);
        let consumed = self.offsets.query(topic, group, queue_id).unwrap_or(0).max(0);
        let (min, max) = (stored_at(bounds.min), stored_at(bounds.max - 1));
        let read = if consumed > 0 { stored_at(consumed - 1) } else { min };
        // What is no longer there was read, or never will be: the age is that of the first message that is left.
        let unread = if consumed < bounds.max { stored_at(consumed.max(bounds.min)) } else { -1 };
        QueueTimeSpan {
            consume_time_stamp: read,
            consume_time_stamp_str: tool_date(read),
            delay_time: if unread >= 0 { (now.wall.0 - unread).max(0) } else { 0 },
            max_time_stamp: max,
            max_time_stamp_str: tool_date(max),
            message_queue: self.message_queue(topic, queue_id),
            min_time_stamp: min,
            min_time_stamp_str: tool_date(min),
        }
    }

    /// 305: the topics that belong to the broker itself.
    pub(super) fn system_topics(&self) -> Handled {
        let fixed = names::SYSTEM_TOPICS.iter().copied();
        let own = self.topics.reserved().filter(|name| !names::SYSTEM_TOPICS.contains(name));
        Answer::body(&TopicList { broker_addr: None, topic_list: fixed.chain(own).map(str::to_owned).collect() })
    }

    /// 317: how far each group is behind, in each topic in which it has offsets.
    pub(super) fn all_consume_stats(&self, now: Now, command: &Command<'_>) -> Handled {
        let request: GetConsumeStatsInBrokerRequest = header(command)?;
        let mut topics: Table<&str, Vec<&str>> = Table::default();
        for (topic, group) in self.offsets.committed() {
            topics.entry(group).or_default().push(topic);
        }
        let mut list = ConsumeStatsList { broker_addr: Some(self.config.address.to_string()), ..ConsumeStatsList::default() };
        for group in self.groups.configs().map(|config| &*config.group_name) {
            let online = self.consumers.group(group).filter(|online| online.subscriptions().next().is_some());
            let mut all = Vec::new();
            for &topic in topics.get(group).into_iter().flatten() {
                let Some(config) = self.topics.get(topic).map(|entry| entry.config()) else { continue };
                let unsubscribed = online.is_some_and(|online| online.subscription(topic).is_none());
                if unsubscribed || (request.is_order && !config.order) {
                    continue;
                }
                let queues = 0..config.write_queue_nums;
                let stats = ConsumeStats {
                    consume_tps: self.offsets.given_rate(now.mono, topic, group),
                    offset_table: queues.map(|id| (self.message_queue(topic, id), self.progress(topic, group, id))).collect(),
                };
                list.total_diff += stats.offset_table.values().map(OffsetWrapper::unread).sum::<i64>();
                list.total_inflight_diff += stats.offset_table.values().map(OffsetWrapper::under_way).sum::<i64>();
                all.push(stats);
            }
            list.consume_stats_list.push(Table::from_iter([(group.to_owned(), all)]));
        }
        Answer::body(&list)
    }

    /// 321: the units of a queue from an offset on, as many as lie in one file at most.
    pub(super) fn consume_queue(&self, command: &Command<'_>) -> Handled {
        let request: QueryConsumeQueueRequest<'_> = header(command)?;
        let (topic, queue_id, index) = (request.topic.to_cow(), request.queue_id, request.index);
        let Some(queue) = self.storage.find_queue(&topic, queue_id) else {
            return Err(Refusal::system(format!("{queue_id}@{topic} is not exist!")));
        };
        let bounds = self.storage.bounds(queue);
        if !(bounds.min..bounds.max).contains(&index) {
            let remark = format!("Index {index} of {queue_id}@{topic} is not exist!");
            return Ok(Answer::Now(Reply { remark: Some(remark.into()), ..Reply::ok() }));
        }
        let mut body = QueryConsumeQueueResponseBody {
            max_queue_index: bounds.max,
            min_queue_index: bounds.min,
            ..QueryConsumeQueueResponseBody::default()
        };
        if let Some(group) = request.consumer_group.map(|group| group.to_cow()) {
            let subscription = self.consumers.group(&group).and_then(|online| online.subscription(&topic));
            body.subscription_data = subscription.map(|known| known.data().clone());
            body.filter_data = Some(match subscription {
                Some(_) => {
                    let filter = self.filters.get(&group, &topic).map(|filter| self.filters.data(&group, &topic, filter));
                    String::from_utf8_lossy(&json::to_vec(&filter, Dialect::Pretty)).into_owned()
                }
                None => format!("{group}@{topic} is not online!"),
            });
        }
        let most = usize::try_from(request.count).unwrap_or(0).min(UNITS_LIMIT);
        let readable = usize::try_from(bounds.max - index).unwrap_or(0);
        let units = self.storage.units(queue, index).take(most.min(readable)).map(|unit| ConsumeQueueData {
            eval: false,
            physic_offset: unit.offset.0,
            physic_size: i32::try_from(unit.size).unwrap_or(i32::MAX),
            tags_code: unit.tags_code,
        });
        body.queue_data = Some(units.collect());
        let remark = Some(Cow::Borrowed("not set any response code"));
        Ok(Answer::Now(Reply { remark, body: ReplyBody::Bytes(encode(&body)), ..Reply::ok() }))
    }

    /// 328: all producers that are connected.
    pub(super) fn all_producers(&self, now: Now) -> Handled {
        let mut info = ProducerTableInfo::default();
        for (group, members) in self.producers.groups() {
            let members = members.values().map(|member| ProducerInfo {
                client_id: member.client_id.to_string(),
                language: member.language,
                last_update_timestamp: now.wall.0.saturating_sub_unsigned(now.mono.saturating_sub(member.last_update).0),
                remote_ip: format!("/{}", member.addr),
                version: member.version,
            });
            info.data.insert(group.to_string(), members.collect());
        }
        Answer::body(&info)
    }
}

/// A moment as Java's tools show it, but in UTC: `2026-11-22#19:36:18:608`.
fn tool_date(millis: i64) -> String {
    calendar::utc_text(millis).trim_end_matches('Z').replace('T', "#").replace('.', ":")
}
