//! Pulling: `PULL_MESSAGE` (11) and `LITE_PULL_MESSAGE` (361).

use super::ext_header;
use crate::text::Text;

ext_header! {
    /// What a consumer wants to read next.
    strict PullMessageRequest<'a> {
        /// The consumer's group.
        consumer_group: Text<'a> = "consumerGroup",
        /// The topic.
        topic: Text<'a> = "topic",
        /// The queue.
        queue_id: i32 = "queueId",
        /// Offset in the queue to read from.
        queue_offset: i64 = "queueOffset",
        /// Most messages to return.
        max_msg_nums: i32 = "maxMsgNums",
        /// Bits of [`sys_flag::pull`](crate::sys_flag::pull).
        sys_flag: i32 = "sysFlag",
        /// Offset to commit, if the flag says so.
        commit_offset: i64 = "commitOffset",
        /// How long the request may be held, in ms.
        suspend_timeout_millis: i64 = "suspendTimeoutMillis",
        /// The filter expression, if the flag says that it is sent along.
        subscription: Option<Text<'a>> = "subscription",
        /// Version of the subscription that the consumer goes by, in ms.
        sub_version: i64 = "subVersion",
        /// `TAG` or `SQL92`; missing means `TAG`.
        expression_type: Option<Text<'a>> = "expressionType",
        /// Most bytes to return; brokers do not look at it.
        max_msg_bytes: Option<i32> = "maxMsgBytes",
        /// Who asks: -1 or missing a client, 0 to 2 a proxy.
        request_source: Option<i32> = "requestSource",
        /// The client behind a proxy (spelled as Java spells it).
        proxy_forward_client_id: Option<Text<'a>> = "proxyFrowardClientId",
        /// The broker that is meant.
        broker_name: Option<Text<'a>> = "bname",
    }

    /// Where to read on. Java clients need the first four fields in every answer of code 0, 19, 20 and 21.
    strict PullMessageResponse {
        /// Id of the broker to pull from next.
        suggest_which_broker_id: i64 = "suggestWhichBrokerId",
        /// Offset to pull from next.
        next_begin_offset: i64 = "nextBeginOffset",
        /// Least offset of the queue.
        min_offset: i64 = "minOffset",
        /// Offset after the last message of the queue.
        max_offset: i64 = "maxOffset",
        /// What to add to offsets of a static topic.
        offset_delta: Option<i64> = "offsetDelta",
        /// The topic's unit bits.
        topic_sys_flag: Option<i32> = "topicSysFlag",
        /// The group's unit bits.
        group_sys_flag: Option<i32> = "groupSysFlag",
        /// Why reading is forbidden, see `ForbiddenType` of Java: 1 broker, 2 group, 3 topic, 4 broadcasting, 5 subscription.
        forbidden_type: Option<i32> = "forbiddenType",
    }
}
