//! Topics of a broker: 17, 21, 202, 215, 300, 351.

use super::ext_header;
use crate::text::Text;

ext_header! {
    /// 17 `UPDATE_AND_CREATE_TOPIC`.
    lenient CreateTopicRequest<'a> {
        /// The topic.
        topic: Text<'a> = "topic",
        /// Not looked at.
        default_topic: Text<'a> = "defaultTopic",
        /// Queues for reading.
        read_queue_nums: i32 = "readQueueNums",
        /// Queues for writing.
        write_queue_nums: i32 = "writeQueueNums",
        /// Bits of [`perm`](crate::perm).
        perm: i32 = "perm",
        /// `SINGLE_TAG` or `MULTI_TAG`; anything else is refused.
        topic_filter_type: Text<'a> = "topicFilterType",
        /// The topic's unit bits.
        topic_sys_flag: Option<i32> = "topicSysFlag",
        /// Whether the topic is ordered.
        order: bool = "order",
        /// Changes of attributes: `+key=value` and `-key`, comma separated.
        attributes: Option<Text<'a>> = "attributes",
        /// Whether a static topic may be changed in place.
        force: bool = "force",
    }

    /// 215 `DELETE_TOPIC_IN_BROKER`.
    lenient DeleteTopicRequest<'a> {
        /// The topic.
        topic: Text<'a> = "topic",
    }

    /// 21 `GET_ALL_TOPIC_CONFIG`: all topics, or a page of them if any field is there.
    lenient GetAllTopicConfigRequest<'a> {
        /// Index of the first topic.
        topic_seq: Option<i32> = "topicSeq",
        /// The version that earlier pages had, as JSON.
        data_version: Option<Text<'a>> = "dataVersion",
        /// Most topics of the page.
        max_topic_num: Option<i32> = "maxTopicNum",
    }

    /// How many topics there are.
    lenient GetAllTopicConfigResponse {
        /// On all pages together.
        total_topic_num: Option<i32> = "totalTopicNum",
    }

    /// 351 `GET_TOPIC_CONFIG`.
    lenient GetTopicConfigRequest<'a> {
        /// The topic.
        topic: Text<'a> = "topic",
        /// Whether the mapping of a static topic is wanted too.
        lo: Option<bool> = "lo",
    }

    /// 202 `GET_TOPIC_STATS_INFO`: bounds of a topic's queues.
    lenient GetTopicStatsInfoRequest<'a> {
        /// The topic.
        topic: Text<'a> = "topic",
    }

    /// 300 `QUERY_TOPIC_CONSUME_BY_WHO`: groups that consume a topic.
    lenient QueryTopicConsumeByWhoRequest<'a> {
        /// The topic.
        topic: Text<'a> = "topic",
    }
}
