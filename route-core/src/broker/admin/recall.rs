//! A producer takes a timed message back: `RECALL_MESSAGE`. Codes and texts are those of Java's `RecallMessageProcessor`.

use proto_core::{
    Command,
    code::ResponseCode,
    headers::RecallMessageRequest,
    perm,
    properties::{self, Special, names as property},
    recall::RecallHandle,
};

use super::{Answer, Handled, header};
use crate::{
    broker::{Asked, Broker, refusal::Refusal},
    output::{Reply, ReplyHeader},
    storage::{Appended, NewMessage, Storage},
    time::Now,
};

/// The tag of a message that takes another one back.
const RECALL_TAG: &str = "_RECALL_TAG_";

impl<S: Storage> Broker<S> {
    /// 370: a message joins the timer that takes the other one back when both come to their time.
    pub(super) fn recall_message(&mut self, now: Now, asked: Asked, command: &Command<'_>) -> Handled {
        let recalled = self.admit_recall(now, command).and_then(|(handle, producer_group)| {
            let appended = self.store_recall(now, asked, &handle, &producer_group)?;
            Ok((handle, appended))
        });
        let region = ("MSG_REGION", self.config.region.to_string().into());
        Ok(match recalled {
            Ok((handle, appended)) => {
                let header = ReplyHeader::Fields(vec![("msgId", handle.unique_key.into()), region]);
                Answer::AfterAppend(appended.end, Reply { header, ..Reply::ok() })
            }
            Err(Refusal { code, remark }) => Answer::Now(Reply { header: ReplyHeader::Fields(vec![region]), ..Reply::error(code, remark) }),
        })
    }

    /// The checks. Answers the handle and the producer's group.
    fn admit_recall(&self, now: Now, command: &Command<'_>) -> Result<(RecallHandle, String), Refusal> {
        let request: RecallMessageRequest<'_> = header(command)?;
        if !self.config.recall {
            return Err(Refusal::new(ResponseCode::NoPermission, "recall failed, operation is forbidden"));
        }
        let unavailable = "recall failed, broker service not available";
        if !perm::is_writeable(self.config.permission) && !self.config.recall_when_not_writable {
            return Err(Refusal::new(ResponseCode::ServiceNotAvailable, unavailable));
        }
        let topic = request.topic.to_cow();
        if self.topics.get(&topic).is_none() {
            return Err(Refusal::new(ResponseCode::TopicNotExist, format!("recall failed, the topic[{topic}] not exist")));
        }
        let illegal = |remark: &'static str| Refusal::new(ResponseCode::IllegalOperation, remark);
        let handle = RecallHandle::decode(&request.recall_handle.to_cow());
        let handle = handle.map_err(|error| Refusal::new(ResponseCode::IllegalOperation, error.to_string()))?;
        if handle.topic != topic {
            return Err(illegal("recall failed, topic not match"));
        }
        if handle.broker != *self.config.name {
            return Err(illegal(unavailable));
        }
        let max_delay = self.config.timer.rules.max_delay();
        let left = properties::number(handle.timestamp.as_bytes()).map(|at| at.saturating_sub(now.wall.0));
        if !left.is_some_and(|left| left > 0 && left.unsigned_abs() < max_delay.0) {
            return Err(illegal("recall failed, timestamp invalid"));
        }
        let group = request.producer_group.map(|group| group.to_cow().into_owned());
        Ok((handle, group.unwrap_or_default()))
    }

    fn store_recall(&mut self, now: Now, asked: Asked, handle: &RecallHandle, group: &str) -> Result<Appended, Refusal> {
        let failed = || Refusal::system("recall failed, execute error");
        let with_topic = self.config.timer.topic_in_delete_key;
        let recalls = if with_topic { format!("{}+{}", handle.topic, handle.unique_key) } else { handle.unique_key.clone() };
        let born = now.wall.0.to_string();
        self.properties.clear();
        for (name, value) in [
            (property::TAGS, RECALL_TAG),
            (property::UNIQ_KEY, &handle.unique_key),
            (property::TIMER_DEL_UNIQKEY, &recalls),
            (property::TIMER_DELIVER_MS, &handle.timestamp),
            (property::BORN_TIMESTAMP, &born),
            (property::PGROUP, group),
        ] {
            if !value.is_empty() {
                self.properties.append(name, value.as_bytes());
            }
        }
        let asks = Special {
            timer_deliver_ms: Some(handle.timestamp.as_bytes()),
            timer_del_uniq_key: Some(recalls.as_bytes()),
            ..Special::default()
        };
        let (out, entry) = self.timer_entry(now, &asks).ok().flatten().ok_or_else(failed)?;
        let place = self.place_in_timer(&handle.topic, 0, out, entry);
        let message = NewMessage {
            topic: &place.topic,
            queue_id: place.queue_id,
            flag: 0,
            sys_flag: 0,
            born_timestamp: now.wall.0,
            born_host: asked.peer.addr,
            store_host: self.config.address,
            reconsume_times: 0,
            prepared_transaction_offset: 0,
            body: b"0",
            properties: self.properties.as_bytes(),
            tags_code: place.tags_code,
        };
        self.storage.append(now.wall, place.queue, &message).map_err(|_| failed())
    }
}
