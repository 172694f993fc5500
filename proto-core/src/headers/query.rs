//! Looking up what is stored: `QUERY_MESSAGE` (12), `VIEW_MESSAGE_BY_ID` (33) and `QUERY_CONSUME_QUEUE` (321); and `VIEW_BROKER_STATS_DATA` (315).

use super::ext_header;
use crate::text::Text;

ext_header! {
    /// 33 `VIEW_MESSAGE_BY_ID`: one message by its place in the commit log.
    lenient ViewMessageRequest<'a> {
        /// Where the message lies in the commit log.
        offset: i64 = "offset",
        /// Its topic.
        topic: Option<Text<'a>> = "topic",
    }

    /// 12 `QUERY_MESSAGE`: messages by key.
    lenient QueryMessageRequest<'a> {
        /// The topic.
        topic: Text<'a> = "topic",
        /// One of the message's keys, or its unique key.
        key: Text<'a> = "key",
        /// Most messages to return.
        max_num: i32 = "maxNum",
        /// Stored not before, in ms.
        begin_timestamp: i64 = "beginTimestamp",
        /// Stored not after, in ms.
        end_timestamp: i64 = "endTimestamp",
        /// Which index to look in; clients of 5.5 name it.
        index_type: Option<Text<'a>> = "indexType",
        /// Where the last page ended, for an index that is read in pages.
        last_key: Option<Text<'a>> = "lastKey",
        /// Whether `key` is a unique key, for which the broker's own maximum of messages holds.
        unique_key_query: bool = "_UNIQUE_KEY_QUERY",
    }

    /// How far the index has been built.
    lenient QueryMessageResponse {
        /// When the last indexed message was stored, in ms.
        index_last_update_timestamp: i64 = "indexLastUpdateTimestamp",
        /// Where the last indexed message lies in the commit log.
        index_last_update_phyoffset: i64 = "indexLastUpdatePhyoffset",
    }

    /// 321 `QUERY_CONSUME_QUEUE`: units of a queue.
    lenient QueryConsumeQueueRequest<'a> {
        /// The topic.
        topic: Text<'a> = "topic",
        /// The queue's number.
        queue_id: i32 = "queueId",
        /// The offset of the first unit.
        index: i64 = "index",
        /// Most units to return.
        count: i32 = "count",
        /// A group whose subscription is wanted too.
        consumer_group: Option<Text<'a>> = "consumerGroup",
    }

    /// 315 `VIEW_BROKER_STATS_DATA`: how much of something happened in the last minute, hour and day.
    lenient ViewBrokerStatsDataRequest<'a> {
        /// What is counted.
        stats_name: Text<'a> = "statsName",
        /// Of whom: a topic, `topic@group`, a cluster.
        stats_key: Text<'a> = "statsKey",
    }
}
