//! Sending: `SEND_MESSAGE` (10), `SEND_MESSAGE_V2` (310), `SEND_BATCH_MESSAGE` (320), `CONSUMER_SEND_MSG_BACK` (36).

use super::{DecodeExt, FieldError, ext_header, read_fields};
use crate::{
    code::RequestCode,
    encode::{EncodeExt, ExtWriter},
    ext::ExtFields,
    text::Text,
};

ext_header! {
    /// A message to store; the body of the frame is the message's body, or with `batch` the encoded messages of a batch.
    ///
    /// [`DecodeExt`] and [`EncodeExt`] use the one-letter names of 310 and 320; [`Self::decode_v1`] and [`SendMessageRequestV1`] the long
    /// names of 10.
    strict SendMessageRequest<'a> {
        /// The producer's group.
        producer_group: Text<'a> = "a",
        /// The topic to store under.
        topic: Text<'a> = "b",
        /// The topic whose settings a new topic copies, normally `TBW102`.
        default_topic: Text<'a> = "c",
        /// Queues that a new topic gets at most.
        default_topic_queue_nums: i32 = "d",
        /// The queue; negative lets the broker choose.
        queue_id: i32 = "e",
        /// Bits of [`sys_flag`](crate::sys_flag).
        sys_flag: i32 = "f",
        /// When the producer made the message, in ms.
        born_timestamp: i64 = "g",
        /// The user's own flag.
        flag: i32 = "h",
        /// Properties as they are stored, see [`properties`](crate::properties).
        properties: Option<Text<'a>> = "i",
        /// How often consumers have handed the message back; missing means never.
        reconsume_times: Option<i32> = "j",
        /// Whether the topic belongs to a unit.
        unit_mode: bool = "k",
        /// How often the message may be handed back.
        max_reconsume_times: Option<i32> = "l",
        /// Whether the body is a batch.
        batch: bool = "m",
        /// The broker that is meant, for proxies and static topics; base classes call the field `bname`.
        broker_name: Option<Text<'a>> = "n",
    }

    /// Where a message went.
    strict SendMessageResponse<'a> {
        /// Offset message ids, comma separated if there are several.
        msg_id: Text<'a> = "msgId",
        /// The queue.
        queue_id: i32 = "queueId",
        /// Offset in the queue of the first message.
        queue_offset: i64 = "queueOffset",
        /// The message's unique key.
        transaction_id: Option<Text<'a>> = "transactionId",
        /// The unique key of a batch that is stored as one message.
        batch_uniq_id: Option<Text<'a>> = "batchUniqId",
        /// What recalls a timed message.
        recall_handle: Option<Text<'a>> = "recallHandle",
        /// Region of the broker.
        region: Option<Text<'a>> = "MSG_REGION",
        /// Whether clients shall trace; `None` reads as yes.
        trace_on: Option<bool> = "TRACE_ON",
    }

    /// 370 `RECALL_MESSAGE`: a producer takes back a timed message.
    lenient RecallMessageRequest<'a> {
        /// The producer's group.
        producer_group: Option<Text<'a>> = "producerGroup",
        /// The topic that the message was sent to.
        topic: Text<'a> = "topic",
        /// What the answer to the send named.
        recall_handle: Text<'a> = "recallHandle",
        /// The broker that is meant.
        broker_name: Option<Text<'a>> = "bname",
    }

    /// 36 `CONSUMER_SEND_MSG_BACK`: a consumer could not handle a message.
    lenient ConsumerSendMsgBackRequest<'a> {
        /// Where the message lies in the commit log.
        offset: i64 = "offset",
        /// The consumer's group.
        group: Text<'a> = "group",
        /// Delay level to wait; 0 lets the broker choose, negative goes to the dead letters at once.
        delay_level: i32 = "delayLevel",
        /// Offset message id of the message.
        origin_msg_id: Option<Text<'a>> = "originMsgId",
        /// Topic of the message.
        origin_topic: Option<Text<'a>> = "originTopic",
        /// Whether the topic belongs to a unit.
        unit_mode: bool = "unitMode",
        /// How often the message may be handed back.
        max_reconsume_times: Option<i32> = "maxReconsumeTimes",
        /// The broker that is meant.
        broker_name: Option<Text<'a>> = "bname",
    }
}

impl<'a> SendMessageRequest<'a> {
    /// Reads the form that goes with `code`: long names for 10, letters for all others.
    ///
    /// # Errors
    /// [`FieldError`] when a number of the one-letter form cannot be read.
    #[inline]
    pub fn decode(code: i32, ext: &ExtFields<'a>) -> Result<Self, FieldError> {
        if code == RequestCode::SendMessage.code() || code == RequestCode::SendReplyMessage.code() {
            Self::decode_v1(ext)
        } else {
            Self::decode_v2(ext)
        }
    }

    /// Reads the long names of `SEND_MESSAGE` (10).
    ///
    /// # Errors
    /// None today; a number that cannot be read counts as missing.
    pub fn decode_v1(ext: &ExtFields<'a>) -> Result<Self, FieldError> {
        let mut header = Self::default();
        read_fields!(ext, header, 'a lenient SendMessageRequest [<'a>] {
            producer_group = "producerGroup",
            topic = "topic",
            default_topic = "defaultTopic",
            default_topic_queue_nums = "defaultTopicQueueNums",
            queue_id = "queueId",
            sys_flag = "sysFlag",
            born_timestamp = "bornTimestamp",
            flag = "flag",
            properties = "properties",
            reconsume_times = "reconsumeTimes",
            unit_mode = "unitMode",
            max_reconsume_times = "maxReconsumeTimes",
            batch = "batch",
            broker_name = "bname",
        });
        Ok(header)
    }

    /// Reads the one-letter names of `SEND_MESSAGE_V2` (310) and `SEND_BATCH_MESSAGE` (320).
    ///
    /// # Errors
    /// [`FieldError`] when a number cannot be read.
    #[inline]
    pub fn decode_v2(ext: &ExtFields<'a>) -> Result<Self, FieldError> {
        let mut header = Self::decode_ext(ext)?;
        if header.broker_name.is_none() {
            header.broker_name = ext.get("bname");
        }
        Ok(header)
    }
}

/// A send header that writes itself with the long names of `SEND_MESSAGE` (10).
#[derive(Clone, Copy, Debug)]
pub struct SendMessageRequestV1<'h, 'a>(pub &'h SendMessageRequest<'a>);

impl EncodeExt for SendMessageRequestV1<'_, '_> {
    fn encode_ext(&self, out: &mut ExtWriter<'_>) {
        let header = self.0;
        out.forward("producerGroup", header.producer_group);
        out.forward("topic", header.topic);
        out.forward("defaultTopic", header.default_topic);
        out.number("defaultTopicQueueNums", header.default_topic_queue_nums.into());
        out.number("queueId", header.queue_id.into());
        out.number("sysFlag", header.sys_flag.into());
        out.number("bornTimestamp", header.born_timestamp);
        out.number("flag", header.flag.into());
        if let Some(properties) = header.properties {
            out.forward("properties", properties);
        }
        if let Some(times) = header.reconsume_times {
            out.number("reconsumeTimes", times.into());
        }
        out.boolean("unitMode", header.unit_mode);
        if let Some(times) = header.max_reconsume_times {
            out.number("maxReconsumeTimes", times.into());
        }
        out.boolean("batch", header.batch);
        if let Some(name) = header.broker_name {
            out.forward("bname", name);
        }
    }
}
