//! Offsets of queues and groups: 14, 15, 29 to 32, and the reset of a group's offsets (222).

use super::ext_header;
use crate::text::Text;

ext_header! {
    /// 14 `QUERY_CONSUMER_OFFSET`: where a group stands in a queue.
    lenient QueryConsumerOffsetRequest<'a> {
        /// The group.
        consumer_group: Text<'a> = "consumerGroup",
        /// The topic.
        topic: Text<'a> = "topic",
        /// The queue.
        queue_id: i32 = "queueId",
        /// Whether a group without offset starts at 0; only an explicit `false` forbids it.
        set_zero_if_not_found: Option<bool> = "setZeroIfNotFound",
        /// The broker that is meant.
        broker_name: Option<Text<'a>> = "bname",
    }

    /// The group's offset.
    lenient QueryConsumerOffsetResponse {
        /// The next offset to consume.
        offset: Option<i64> = "offset",
    }

    /// 15 `UPDATE_CONSUMER_OFFSET`: a group has consumed up to here.
    lenient UpdateConsumerOffsetRequest<'a> {
        /// The group.
        consumer_group: Text<'a> = "consumerGroup",
        /// The topic.
        topic: Text<'a> = "topic",
        /// The queue; the broker refuses a request without it.
        queue_id: Option<i32> = "queueId",
        /// The next offset to consume; the broker refuses a request without it.
        commit_offset: Option<i64> = "commitOffset",
        /// The broker that is meant.
        broker_name: Option<Text<'a>> = "bname",
    }

    /// 29 `SEARCH_OFFSET_BY_TIMESTAMP`: the offset of a moment.
    lenient SearchOffsetRequest<'a> {
        /// The topic.
        topic: Text<'a> = "topic",
        /// The queue.
        queue_id: i32 = "queueId",
        /// The moment, in ms.
        timestamp: i64 = "timestamp",
        /// `UPPER` for the last message not after the moment, in any case; anything else means the first not before it.
        boundary_type: Option<Text<'a>> = "boundaryType",
        /// The broker that is meant.
        broker_name: Option<Text<'a>> = "bname",
    }

    /// The offset that was found.
    lenient SearchOffsetResponse {
        /// Offset in the queue.
        offset: i64 = "offset",
    }

    /// 30 `GET_MAX_OFFSET`: the end of a queue.
    lenient GetMaxOffsetRequest<'a> {
        /// The topic.
        topic: Text<'a> = "topic",
        /// The queue.
        queue_id: i32 = "queueId",
        /// Whether messages that are not yet replicated are left out.
        committed: bool = "committed" or true,
        /// The broker that is meant.
        broker_name: Option<Text<'a>> = "bname",
    }

    /// The end of the queue.
    lenient GetMaxOffsetResponse {
        /// The offset that the next message gets.
        offset: i64 = "offset",
    }

    /// 31 `GET_MIN_OFFSET`: the start of a queue.
    lenient GetMinOffsetRequest<'a> {
        /// The topic.
        topic: Text<'a> = "topic",
        /// The queue.
        queue_id: i32 = "queueId",
        /// The broker that is meant.
        broker_name: Option<Text<'a>> = "bname",
    }

    /// The start of the queue.
    lenient GetMinOffsetResponse {
        /// The offset of the oldest message.
        offset: i64 = "offset",
    }

    /// 32 `GET_EARLIEST_MSG_STORETIME`: when the oldest message of a queue was stored.
    lenient GetEarliestMsgStoretimeRequest<'a> {
        /// The topic.
        topic: Text<'a> = "topic",
        /// The queue.
        queue_id: i32 = "queueId",
        /// The broker that is meant.
        broker_name: Option<Text<'a>> = "bname",
    }

    /// The age of the oldest message.
    lenient GetEarliestMsgStoretimeResponse {
        /// When it was stored, in ms; -1 if there is none.
        timestamp: i64 = "timestamp",
    }

    /// 222 `INVOKE_BROKER_TO_RESET_OFFSET`, and 220 `RESET_CONSUMER_CLIENT_OFFSET` that may follow from it.
    lenient ResetOffsetRequest<'a> {
        /// The topic.
        topic: Text<'a> = "topic",
        /// The group.
        group: Text<'a> = "group",
        /// The queue; negative means all queues.
        queue_id: i32 = "queueId" or -1,
        /// The offset to go to; missing or -1 means to go by `timestamp`.
        offset: Option<i64> = "offset",
        /// The moment to go to, in ms; negative means the end of the queue.
        timestamp: i64 = "timestamp",
        /// Whether a group may also be set forward (the name on the wire is spelled so).
        is_force: bool = "isForce",
    }

    /// 308 `QUERY_CORRECTION_OFFSET`: how far the groups of a topic have come at least.
    lenient QueryCorrectionOffsetRequest<'a> {
        /// Groups that are left out, with commas between them.
        filter_groups: Option<Text<'a>> = "filterGroups",
        /// The group to compare with.
        compare_group: Text<'a> = "compareGroup",
        /// The topic.
        topic: Text<'a> = "topic",
    }

    /// 314 `CLONE_GROUP_OFFSET`: one group begins where another is.
    lenient CloneGroupOffsetRequest<'a> {
        /// The group whose offsets are copied.
        src_group: Text<'a> = "srcGroup",
        /// The group that gets them.
        dest_group: Text<'a> = "destGroup",
        /// The only topic; missing or blank means all in which the first group has offsets.
        topic: Option<Text<'a>> = "topic",
        /// Whether also topics count that the first group does not subscribe to any more.
        offline: bool = "offline",
    }
}
