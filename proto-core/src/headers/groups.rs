//! Groups of a broker: 201, 203, 204, 207, 208, 303, 317, 343, 352, 353.

use super::ext_header;
use crate::text::Text;

ext_header! {
    /// 201 `GET_ALL_SUBSCRIPTIONGROUP_CONFIG`: all groups, or a page of them if any field is there.
    lenient GetAllSubscriptionGroupRequest<'a> {
        /// Index of the first group.
        group_seq: Option<i32> = "groupSeq",
        /// The version that earlier pages had, as JSON.
        data_version: Option<Text<'a>> = "dataVersion",
        /// Most groups of the page.
        max_group_num: Option<i32> = "maxGroupNum",
    }

    /// How many groups there are.
    lenient GetAllSubscriptionGroupResponse {
        /// On all pages together.
        total_group_num: Option<i32> = "totalGroupNum",
    }

    /// 352 `GET_SUBSCRIPTIONGROUP_CONFIG`.
    lenient GetSubscriptionGroupConfigRequest<'a> {
        /// The group.
        group: Text<'a> = "group",
    }

    /// 207 `DELETE_SUBSCRIPTIONGROUP`.
    lenient DeleteSubscriptionGroupRequest<'a> {
        /// The group.
        group_name: Text<'a> = "groupName",
        /// Whether its offsets go too.
        clean_offset: bool = "cleanOffset",
    }

    /// 353 `UPDATE_AND_GET_GROUP_FORBIDDEN`: may a group read a topic?
    lenient UpdateGroupForbiddenRequest<'a> {
        /// The group.
        group: Text<'a> = "group",
        /// The topic.
        topic: Text<'a> = "topic",
        /// The new answer; missing only asks.
        readable: Option<bool> = "readable",
    }

    /// 203 `GET_CONSUMER_CONNECTION_LIST`: who is online in a consumer group.
    lenient GetConsumerConnectionListRequest<'a> {
        /// The group.
        consumer_group: Text<'a> = "consumerGroup",
    }

    /// 204 `GET_PRODUCER_CONNECTION_LIST`: who is online in a producer group.
    lenient GetProducerConnectionListRequest<'a> {
        /// The group.
        producer_group: Text<'a> = "producerGroup",
    }

    /// 208 `GET_CONSUME_STATS`: how far a group is behind.
    lenient GetConsumeStatsRequest<'a> {
        /// The group.
        consumer_group: Text<'a> = "consumerGroup",
        /// One topic; missing means all that the group consumes.
        topic: Option<Text<'a>> = "topic",
        /// Several topics, each with a semicolon after it.
        topic_list: Option<Text<'a>> = "topicList",
    }

    /// 303 `QUERY_CONSUME_TIME_SPAN`: how old what a group has still to read is.
    lenient QueryConsumeTimeSpanRequest<'a> {
        /// The topic.
        topic: Text<'a> = "topic",
        /// The group.
        group: Text<'a> = "group",
    }

    /// 317 `GET_BROKER_CONSUME_STATS`: how far all groups are behind.
    lenient GetConsumeStatsInBrokerRequest {
        /// Whether only ordered topics count.
        is_order: bool = "isOrder",
    }

    /// 343 `QUERY_TOPICS_BY_CONSUMER`: topics in which a group has offsets.
    lenient QueryTopicsByConsumerRequest<'a> {
        /// The group.
        group: Text<'a> = "group",
    }
}
