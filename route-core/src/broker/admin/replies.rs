//! Request and reply: an answer to a message goes straight to the client that waits for it.

use std::borrow::Cow;

use bytes::Bytes;
use proto_core::{
    Command,
    code::{RequestCode, ResponseCode},
    headers::SendMessageRequest,
    properties::{self, names as property},
};
use smallvec::smallvec;

use super::{Answer, Handled};
use crate::{
    broker::{Asked, Broker, config::FlushMode, refusal::Refusal, relay::Relay, send::Admitted},
    output::{NoticeLevel, Reply, ReplyHeader, Request, SendStored, UniqueKey},
    storage::{Appended, LogOffset, NewMessage, Storage, TagsCode},
    time::Now,
};

impl<S: Storage> Broker<S> {
    /// 324, 325: a consumer answers a message. The answer is stored, as far as that is wanted, and pushed to the client that has asked; who
    /// answers is told whether it has arrived.
    pub(super) fn reply_message(&mut self, now: Now, asked: Asked, command: &Command<'_>) -> Handled {
        match self.push_reply(now, asked, command) {
            Ok(()) => Ok(Answer::FromClient),
            Err(Refusal { code, remark }) => {
                let header = ReplyHeader::Send(self.send_reply(None));
                Ok(Answer::Now(Reply { code, remark: Some(remark), header, ..Reply::ok() }))
            }
        }
    }

    fn push_reply(&mut self, now: Now, asked: Asked, command: &Command<'_>) -> Result<(), Refusal> {
        let request = SendMessageRequest::decode(command.code, &command.ext).map_err(|error| Refusal::system(error.to_string()))?;
        let topic = request.topic.to_cow();
        let admitted = self.admit(now, asked, &topic, &request)?;
        self.room_for_questions(1)?;
        let mut text = Vec::new();
        if let Some(properties) = request.properties {
            properties.unescape_bytes_into(&mut text);
        }
        self.properties.start(&text);
        self.properties.put(property::MSG_REGION, self.config.region.as_bytes());
        self.properties.put(property::TRACE_ON, if self.config.trace_on { b"true" } else { b"false" });
        let stored = if self.config.store_replies { self.store_reply(now, asked, &topic, admitted, &request, command.body) } else { None };
        let end = stored.map(|stored| stored.end);
        let header = self.told_to_replier(admitted.queue_id, stored);
        let Some(client) = properties::find_text(&text, property::REPLY_TO_CLIENT) else {
            let failure = "reply message properties[REPLY_TO_CLIENT] is null".into();
            self.answer_replier(now, asked, header, Some(failure), end);
            return Ok(());
        };
        let Some(peer) = self.producers.client(client) else {
            let failure = format!("push reply message fail, channel of <{client}> not found.").into();
            self.answer_replier(now, asked, header, Some(failure), end);
            return Ok(());
        };
        self.properties.put_number(property::PUSH_REPLY_TIME, now.wall.0);
        let fields = vec![
            ("producerGroup", request.producer_group.to_cow().into_owned().into()),
            ("topic", topic.into_owned().into()),
            ("defaultTopic", request.default_topic.to_cow().into_owned().into()),
            ("defaultTopicQueueNums", request.default_topic_queue_nums.to_string().into()),
            ("queueId", admitted.queue_id.to_string().into()),
            ("sysFlag", request.sys_flag.to_string().into()),
            ("bornTimestamp", request.born_timestamp.to_string().into()),
            ("flag", request.flag.to_string().into()),
            ("properties", String::from_utf8_lossy(self.properties.as_bytes()).into_owned().into()),
            ("reconsumeTimes", request.reconsume_times.unwrap_or(0).to_string().into()),
            ("unitMode", request.unit_mode.to_string().into()),
            ("bornHost", asked.peer.addr.to_string().into()),
            ("storeHost", self.config.address.to_string().into()),
            ("storeTimestamp", now.wall.0.to_string().into()),
        ];
        let body = Bytes::copy_from_slice(command.body);
        let push = Request { code: RequestCode::PushReplyMessageToClient, oneway: false, fields: Some(fields), body };
        self.ask_client(now, peer, push, Relay::Reply { asked, whom: client.into(), header, end });
        Ok(())
    }

    /// Keeps the reply whose properties are in the buffer. It is pushed also if storage does not take it.
    fn store_reply(
        &mut self,
        now: Now,
        asked: Asked,
        topic: &str,
        admitted: Admitted,
        request: &SendMessageRequest<'_>,
        body: &[u8],
    ) -> Option<Appended> {
        let message = NewMessage {
            topic,
            queue_id: admitted.queue_id,
            flag: request.flag,
            sys_flag: request.sys_flag | admitted.multi_tags,
            born_timestamp: request.born_timestamp,
            born_host: asked.peer.addr,
            store_host: self.config.address,
            reconsume_times: request.reconsume_times.unwrap_or(0),
            prepared_transaction_offset: 0,
            body,
            properties: self.properties.as_bytes(),
            tags_code: TagsCode::Hash(properties::Special::scan(self.properties.as_bytes()).tags_code()),
        };
        match self.storage.append(now.wall, admitted.queue, &message) {
            Ok(appended) => {
                self.note_put(now, Some(admitted.topic), 1, appended.offset, appended.end);
                Some(appended)
            }
            Err(error) => {
                self.notice(NoticeLevel::Warn, format!("a reply of {} is not kept in {topic}: {error}", asked.peer.addr));
                None
            }
        }
    }

    /// The header for who has replied: where the reply is stored, or zeros, as its client cannot do without.
    fn told_to_replier(&self, queue_id: i32, stored: Option<Appended>) -> ReplyHeader {
        match stored {
            Some(appended) => ReplyHeader::Send(self.send_reply(Some(SendStored {
                store_host: self.config.address,
                offsets: smallvec![appended.offset],
                queue_id,
                queue_offset: appended.queue_offset,
                transaction_id: UniqueKey::new(),
                recall_handle: None,
            }))),
            None => ReplyHeader::Fields(vec![
                ("queueId", queue_id.to_string().into()),
                ("msgId", "0".into()),
                ("queueOffset", "0".into()),
                ("TRACE_ON", self.config.trace_on.to_string().into()),
                ("MSG_REGION", self.config.region.to_string().into()),
            ]),
        }
    }

    /// Tells who has replied what became of it.
    pub(in crate::broker) fn answer_replier(
        &mut self,
        now: Now,
        asked: Asked,
        header: ReplyHeader,
        failure: Option<Cow<'static, str>>,
        end: Option<LogOffset>,
    ) {
        let code = if failure.is_some() { ResponseCode::SystemError } else { ResponseCode::Success };
        let reply = Reply { code, remark: failure, header, ..Reply::ok() };
        match end.filter(|_| self.config.flush_mode == FlushMode::Sync) {
            // Replies wait in the order of the log, and others have been stored behind this one since.
            Some(end) if end > self.storage.durable() => {
                let until = self.storage.log_bounds().1.max(end);
                self.park(now, asked, until, reply);
            }
            _ => self.reply(asked, reply),
        }
    }
}
