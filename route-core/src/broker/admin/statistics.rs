//! How full queues are and how far groups have come in them.

use std::borrow::Cow;

use proto_core::{
    Command,
    bodies::{ConsumeStats, MessageQueue, OffsetWrapper, TopicOffset, TopicStatsTable},
    code::ResponseCode,
    headers::{GetConsumeStatsRequest, GetTopicStatsInfoRequest, ViewBrokerStatsDataRequest},
};

use super::{Answer, Handled, header};
use crate::{
    broker::{Broker, refusal::Refusal, topics::TopicEntry},
    flow::Figure,
    storage::Storage,
    time::Now,
};

impl<S: Storage> Broker<S> {
    /// 202: the bounds of each queue of a topic, and how fast it grows.
    pub(super) fn topic_stats(&self, now: Now, command: &Command<'_>) -> Handled {
        let request: GetTopicStatsInfoRequest<'_> = header(command)?;
        let topic = request.topic.to_cow();
        let Some(entry) = self.topics.get(&topic) else {
            return Err(Refusal::new(ResponseCode::TopicNotExist, format!("topic[{topic}] not exist")));
        };
        let config = entry.config();
        let mut stats = TopicStatsTable { topic_put_tps: entry.put().messages_per_second(now.mono), ..TopicStatsTable::default() };
        for queue_id in 0..config.read_queue_nums.max(config.write_queue_nums) {
            stats.offset_table.insert(self.message_queue(&topic, queue_id), self.topic_offset(&topic, queue_id));
        }
        Answer::body(&stats)
    }

    /// 208: how far a group is behind, in each queue that it may read, and how fast it reads.
    pub(super) fn consume_stats(&self, now: Now, command: &Command<'_>) -> Handled {
        let request: GetConsumeStatsRequest<'_> = header(command)?;
        let group = request.consumer_group.to_cow();
        let named = request.topic_list.map(|text| text.to_cow()).unwrap_or_default();
        let topic = request.topic.map(|text| text.to_cow()).unwrap_or_default();
        let mut topics: Vec<Cow<'_, str>> = Vec::new();
        if !named.trim().is_empty() {
            topics.extend(named.split(';').filter(|name| !name.is_empty()).map(Cow::Borrowed));
        } else {
            if topic.trim().is_empty() {
                topics.extend(self.offsets.topics_of(&group).map(Cow::Borrowed));
            } else {
                topics.push(topic);
            }
            // What an online group has unsubscribed from it is not behind in.
            if let Some(online) = self.consumers.group(&group).filter(|online| online.subscriptions().next().is_some()) {
                topics.retain(|topic| online.subscription(topic).is_some());
            }
        }
        let mut stats = ConsumeStats::default();
        for topic in topics {
            let Some(entry) = self.topics.get(&topic) else { continue };
            stats.consume_tps += self.offsets.given_rate(now.mono, &topic, &group);
            for queue_id in 0..entry.config().read_queue_nums {
                stats.offset_table.insert(self.message_queue(&topic, queue_id), self.progress(&topic, &group, queue_id));
            }
        }
        Answer::body(&stats)
    }

    /// 315: how much of something there was in the last minute, hour and day. Nothing is counted by queue.
    pub(super) fn stats_data(&self, now: Now, command: &Command<'_>) -> Handled {
        let request: ViewBrokerStatsDataRequest<'_> = header(command)?;
        let (name, key) = (request.stats_name.to_cow(), request.stats_key.to_cow());
        let put = || self.topics.get(&key).map(TopicEntry::put);
        let of_group = || key.split_once('@');
        let given = || of_group().and_then(|(topic, group)| self.offsets.given(topic, group));
        let sent_back = || of_group().and_then(|(topic, group)| self.offsets.sent_back(topic, group));
        let of_broker = |flow| (*key == *self.config.cluster).then_some(flow);
        let (flow, figure) = match &*name {
            "TOPIC_PUT_NUMS" => (put(), Figure::Messages),
            "TOPIC_PUT_SIZE" => (put(), Figure::Bytes),
            "GROUP_GET_NUMS" => (given(), Figure::Messages),
            "GROUP_GET_SIZE" => (given(), Figure::Bytes),
            "SNDBCK_PUT_NUMS" => (sent_back(), Figure::Messages),
            "BROKER_PUT_NUMS" => (of_broker(&self.traffic.put_flow), Figure::Messages),
            "BROKER_GET_NUMS" => (of_broker(&self.traffic.given_flow), Figure::Messages),
            _ => (None, Figure::Messages),
        };
        match flow.and_then(|flow| flow.stats(now.mono, figure)) {
            Some(stats) => Answer::body(&stats),
            None => Err(Refusal::system(format!("The stats <{name}> <{key}> not exist"))),
        }
    }

    pub(super) fn message_queue(&self, topic: &str, queue_id: i32) -> MessageQueue {
        MessageQueue { broker_name: self.config.name.to_string(), queue_id, topic: topic.to_owned() }
    }

    fn topic_offset(&self, topic: &str, queue_id: i32) -> TopicOffset {
        let Some(queue) = self.storage.find_queue(topic, queue_id) else { return TopicOffset::default() };
        let bounds = self.storage.bounds(queue);
        TopicOffset {
            last_update_timestamp: self.store_time(queue, bounds.max - 1).map_or(0, |time| time.0),
            max_offset: bounds.max.max(0),
            min_offset: bounds.min.max(0),
        }
    }

    pub(super) fn progress(&self, topic: &str, group: &str, queue_id: i32) -> OffsetWrapper {
        let consumer_offset = self.offsets.query(topic, group, queue_id).unwrap_or(0).max(0);
        let pull_offset = self.offsets.query_pull(topic, group, queue_id).unwrap_or(0).max(consumer_offset);
        let queue = self.storage.find_queue(topic, queue_id);
        OffsetWrapper {
            broker_offset: queue.map_or(0, |queue| self.storage.bounds(queue).max),
            consumer_offset,
            last_timestamp: queue.and_then(|queue| self.store_time(queue, consumer_offset - 1)).map_or(0, |time| time.0),
            pull_offset,
        }
    }
}
