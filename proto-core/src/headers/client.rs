//! Clients coming and going, and what is asked of them through a broker: 34, 35, 38, 40, 221, 223, 307, 309.

use super::ext_header;
use crate::text::Text;

ext_header! {
    /// The answer to 34 `HEART_BEAT`; the request has no fields of its own.
    lenient HeartbeatResponse {
        /// Whether heartbeats without subscriptions are understood.
        is_support_heart_beat_v2: bool = "IS_SUPPORT_HEART_BEAT_V2",
        /// Whether the next heartbeat has to carry the subscriptions.
        is_sub_change: bool = "IS_SUB_CHANGE",
    }

    /// 35 `UNREGISTER_CLIENT`: a client leaves.
    lenient UnregisterClientRequest<'a> {
        /// The client (the name on the wire ends with two capitals).
        client_id: Text<'a> = "clientID",
        /// The producer group that it leaves.
        producer_group: Option<Text<'a>> = "producerGroup",
        /// The consumer group that it leaves.
        consumer_group: Option<Text<'a>> = "consumerGroup",
    }

    /// 38 `GET_CONSUMER_LIST_BY_GROUP`: who shares the queues.
    lenient GetConsumerListByGroupRequest<'a> {
        /// The group.
        consumer_group: Text<'a> = "consumerGroup",
    }

    /// 40 `NOTIFY_CONSUMER_IDS_CHANGED`: the broker tells a group's members to share out the queues anew.
    lenient NotifyConsumerIdsChangedRequest<'a> {
        /// The group.
        consumer_group: Text<'a> = "consumerGroup",
    }

    /// 223 `INVOKE_BROKER_TO_GET_CONSUMER_STATUS`: how far do the members of a group say that they are?
    lenient GetConsumerStatusRequest<'a> {
        /// The topic.
        topic: Text<'a> = "topic",
        /// The group.
        group: Text<'a> = "group",
        /// The id of the only client to ask; missing or blank asks all.
        client_addr: Option<Text<'a>> = "clientAddr",
    }

    /// 307 `GET_CONSUMER_RUNNING_INFO`: what does a client say of itself?
    lenient GetConsumerRunningInfoRequest<'a> {
        /// The group.
        consumer_group: Text<'a> = "consumerGroup",
        /// The client.
        client_id: Text<'a> = "clientId",
        /// Whether it shall tell what its threads do.
        jstack_enable: bool = "jstackEnable",
    }

    /// 309 `CONSUME_MESSAGE_DIRECTLY`: a client is to handle a stored message now.
    lenient ConsumeMessageDirectlyRequest<'a> {
        /// The group.
        consumer_group: Text<'a> = "consumerGroup",
        /// The client.
        client_id: Option<Text<'a>> = "clientId",
        /// Offset message id of the message.
        msg_id: Option<Text<'a>> = "msgId",
        /// Topic of the message.
        topic: Option<Text<'a>> = "topic",
    }
}
