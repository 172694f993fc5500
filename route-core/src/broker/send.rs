//! Sending: checks, the way a message's properties are completed, and its place in the log.
//!
//! The order of the checks and their texts are those of Java's `SendMessageProcessor`; clients match on both:
//!
//! 1. the broker may be written, or the topic is not consumed in order;
//! 2. the topic's name is one that a topic may have;
//! 3. clients may send to it;
//! 4. it is there, or may be made;
//! 5. the queue is one of its queues;
//! 6. the message itself: body, transaction, the group of a retry, delay;
//! 7. what storage says.
//!
//! Whether the topic may be written is not among them: Java leaves that to the routes, and so do the clients.

use std::borrow::Cow;

use proto_core::{
    batch,
    bodies::TopicFilterType,
    code::{RequestCode, ResponseCode},
    delay,
    headers::SendMessageRequest,
    names, perm,
    properties::{Special, names as property},
    sys_flag::{message as message_flag, topic as topic_flag},
};
use smallvec::{SmallVec, smallvec};

use super::{
    Asked, Broker,
    config::FlushMode,
    refusal::Refusal,
    retry::RetryPolicy,
    topics::{self, NewTopic, TopicIndex},
};
use crate::{
    flow::Passed,
    output::{Reply, ReplyBody, ReplyHeader, SendReply, SendStored, UniqueKey},
    storage::{AppendError, LogOffset, NewMessage, QueueId, Storage, TagsCode},
    time::Now,
};

/// A stored send: what its producer is told, and what the answer waits for.
struct Stored {
    reply: SendStored,
    end: LogOffset,
    wait: bool,
}

/// What the checks of a send found out about its topic.
#[derive(Clone, Copy)]
pub(super) struct Admitted {
    pub(super) topic: TopicIndex,
    pub(super) queue_id: i32,
    pub(super) queue: QueueId,
    /// The message flag of topics whose messages have several tags.
    pub(super) multi_tags: i32,
}

/// A send that has passed the checks of its topic.
#[derive(Clone, Copy)]
struct Sent<'a> {
    asked: Asked,
    version: i32,
    topic: &'a str,
    admitted: Admitted,
    request: &'a SendMessageRequest<'a>,
    /// The properties as the client sent them, escapes resolved.
    properties: &'a [u8],
    body: &'a [u8],
}

/// Where a message is stored.
pub(super) struct Place<'a> {
    /// The topic it is stored under.
    pub(super) topic: Cow<'a, str>,
    /// The queue's number in the topic.
    pub(super) queue_id: i32,
    /// The queue.
    pub(super) queue: QueueId,
    /// What its consume-queue unit carries.
    pub(super) tags_code: TagsCode,
}

impl<S: Storage> Broker<S> {
    /// SEND_MESSAGE (10), SEND_MESSAGE_V2 (310) and SEND_BATCH_MESSAGE (320).
    pub(super) fn handle_send(&mut self, now: Now, asked: Asked, version: i32, request: &SendMessageRequest<'_>, body: &[u8]) {
        let stored = match self.store_sent(now, asked, version, request, body) {
            Ok(stored) => stored,
            Err(refusal) => {
                self.note_refused(asked, RequestCode::SendMessage, &refusal);
                let Refusal { code, remark } = refusal;
                let header = ReplyHeader::Send(self.send_reply(None));
                return self.reply(asked, Reply { code, remark: Some(remark), header, body: ReplyBody::Empty });
            }
        };
        let header = ReplyHeader::Send(self.send_reply(Some(stored.reply)));
        let reply = Reply { code: ResponseCode::Success, remark: None, header, body: ReplyBody::Empty };
        if stored.wait && self.config.flush_mode == FlushMode::Sync {
            self.park(now, asked, stored.end, reply);
        } else {
            self.reply(asked, reply);
        }
    }

    pub(super) fn send_reply(&self, stored: Option<SendStored>) -> SendReply {
        SendReply { region: self.config.region.clone(), trace_on: self.config.trace_on, stored }
    }

    fn store_sent(
        &mut self,
        now: Now,
        asked: Asked,
        version: i32,
        request: &SendMessageRequest<'_>,
        body: &[u8],
    ) -> Result<Stored, Refusal> {
        let topic = request.topic.to_cow();
        let admitted = self.admit(now, asked, &topic, request)?;
        let mut text = std::mem::take(&mut self.properties_text);
        text.clear();
        if let Some(properties) = request.properties {
            properties.unescape_bytes_into(&mut text);
        }
        let sent = Sent { asked, version, topic: &topic, admitted, request, properties: &text, body };
        let stored = if request.batch { self.store_batch(now, sent) } else { self.store_single(now, sent) };
        self.properties_text = text;
        stored
    }

    /// The checks of the topic and its queue, 1 to 5.
    pub(super) fn admit(&mut self, now: Now, asked: Asked, topic: &str, request: &SendMessageRequest<'_>) -> Result<Admitted, Refusal> {
        let known = self.topics.find(topic);
        let is_ordered = |at| self.topics.at(at).is_some_and(|entry| entry.config().order);
        if !perm::is_writeable(self.config.permission) && known.is_some_and(is_ordered) {
            return Err(self.sending_forbidden());
        }
        // A known topic has passed this check when it was made.
        if known.is_none() {
            names::validate_topic(topic).map_err(|error| Refusal::invalid(error.to_string()))?;
        }
        if names::is_forbidden_to_send(topic) || names::is_read_by_broker(topic) {
            return Err(Refusal::new(ResponseCode::NoPermission, format!("Sending message to topic[{topic}] is forbidden.")));
        }
        if known.is_none() {
            self.create_topic_on_send(now, topic, request)?;
        }
        let at = known.or_else(|| self.topics.find(topic));
        let Some((at, entry)) = at.and_then(|at| Some((at, self.topics.at_mut(at)?))) else { return Err(Refusal::topic_missing(topic)) };
        let config = entry.config();
        let (write_queues, wanted) = (config.write_queue_nums, request.queue_id);
        // A sender that leaves the choice to the broker needs a queue that can be chosen.
        if wanted >= write_queues.max(config.read_queue_nums) || (wanted < 0 && write_queues <= 0) {
            let remark = format!("request queueId[{wanted}] is illegal, {} Producer: {}", topics::java_text(config), asked.peer.addr);
            return Err(Refusal::invalid(remark));
        }
        let multi_tags = match config.topic_filter_type {
            TopicFilterType::MultiTag => message_flag::MULTI_TAGS,
            TopicFilterType::SingleTag => 0,
        };
        // A client that names no queue gets any writable one.
        let mut any = || i32::try_from(self.random.below(u32::try_from(write_queues).unwrap_or(0))).unwrap_or(0);
        let queue_id = if wanted >= 0 { wanted } else { any() };
        let Some(queue) = entry.queue(&mut self.storage, queue_id) else { return Err(Refusal::topic_missing(topic)) };
        Ok(Admitted { topic: at, queue_id, queue, multi_tags })
    }

    fn create_topic_on_send(&mut self, now: Now, topic: &str, request: &SendMessageRequest<'_>) -> Result<(), Refusal> {
        let retry_group = names::group_of_retry_topic(topic);
        let sys_flag = topic_flag::build(request.unit_mode, retry_group.is_some());
        let created = if retry_group.is_some() {
            self.topics.open(now.wall, topic, NewTopic::plain(1, sys_flag)).map(|_| ())
        } else {
            let default_topic = request.default_topic.to_cow();
            self.topics.create_on_send(now.wall, topic, &default_topic, request.default_topic_queue_nums, sys_flag).map(|_| ())
        };
        created.map_err(|_| Refusal::topic_missing(topic))
    }

    fn store_single(&mut self, now: Now, sent: Sent<'_>) -> Result<Stored, Refusal> {
        let Sent { asked, version, topic, admitted, request, properties, body } = sent;
        let special = Special::scan(properties);
        let reconsume_times = request.reconsume_times.unwrap_or(0);
        if body.is_empty() || special.inner_num.is_some() {
            return Err(self.illegal_message());
        }
        let is_half = special.is_half() && !(reconsume_times > 0 && special.delay_level() > 0);
        if is_half {
            if self.config.reject_transactions {
                let remark = format!("the broker[{}] sending transaction message is forbidden", self.config.address.ip());
                return Err(Refusal::new(ResponseCode::NoPermission, remark));
            }
            if !self.transactions.has_room() {
                let remark = format!(
                    "{} transactions are undecided, as many as may be: producers have to commit or roll back",
                    self.transactions.len()
                );
                return Err(Refusal::new(ResponseCode::SystemBusy, remark));
            }
        }
        let dead = match names::group_of_retry_topic(topic) {
            Some(group) => self.is_dead_on_send(now, group, version, request, special.delay_level())?,
            None => None,
        };
        let delay_level = if dead.is_some() { 0 } else { special.delay_level() };
        let may_wait = delay_level <= 0
            && dead.is_none()
            && matches!(message_flag::transaction(request.sys_flag), message_flag::TRANSACTION_NOT | message_flag::TRANSACTION_COMMIT);
        let mut timed = if (may_wait || is_half) && special.wants_time() { self.timer_entry(now, &special)? } else { None };
        if is_half {
            // It has only been looked whether it may have this time: delays and times count from the commit on.
            timed = None;
        }

        self.complete_properties(properties, &special);
        if dead.is_some() {
            self.properties.put(property::DELAY, b"-1");
        }
        let transaction_id = match special.uniq_key {
            Some(key) => unique_key(key),
            None => self.append_unique_key(now),
        };
        let (topic, queue, queue_id) = match dead {
            Some(topic) => (Cow::Owned(topic), None, 0),
            None => (Cow::Borrowed(topic), Some(admitted.queue), admitted.queue_id),
        };
        let recall_handle = timed.and_then(|(out, _)| self.recall_handle(&topic, out));
        let place = match timed {
            _ if is_half => self.half_place(&topic, queue_id, special.tags_code(), special.uniq_key.unwrap_or(&transaction_id)),
            Some((out, entry)) => self.place_in_timer(&topic, queue_id, out, entry),
            None => self.place(topic, queue, queue_id, special.tags_code(), delay_level),
        };
        let mut sys_flag = request.sys_flag | admitted.multi_tags;
        if is_half {
            sys_flag = message_flag::with_transaction(sys_flag, message_flag::TRANSACTION_NOT);
        }
        let message = NewMessage {
            topic: &place.topic,
            queue_id: place.queue_id,
            flag: request.flag,
            sys_flag,
            born_timestamp: request.born_timestamp,
            born_host: asked.peer.addr,
            store_host: self.config.address,
            reconsume_times,
            prepared_transaction_offset: 0,
            body,
            properties: self.properties.as_bytes(),
            tags_code: place.tags_code,
        };
        let appended = self.storage.append(now.wall, place.queue, &message).map_err(|error| self.not_stored(&error))?;
        let put_into = if place.queue == admitted.queue { Some(admitted.topic) } else { self.topics.find(&place.topic) };
        self.note_put(now, put_into, 1, appended.offset, appended.end);
        if is_half {
            self.begin_transaction(now, &appended);
        }
        let reply = SendStored {
            store_host: self.config.address,
            offsets: smallvec![appended.offset],
            queue_id,
            queue_offset: appended.queue_offset,
            transaction_id,
            recall_handle,
        };
        Ok(Stored { reply, end: appended.end, wait: special.waits_store_ok() })
    }

    fn store_batch(&mut self, now: Now, sent: Sent<'_>) -> Result<Stored, Refusal> {
        let Sent { asked, topic, admitted, request, properties, body, .. } = sent;
        let special = Special::scan(properties);
        let Admitted { topic: put_into, queue_id, queue, multi_tags } = admitted;
        if topic.len() > names::TOPIC_MAX_LEN {
            return Err(Refusal::new(ResponseCode::MessageIllegal, format!("message topic length too long {}", topic.len())));
        }
        if let Some(group) = names::group_of_retry_topic(topic) {
            return Err(Refusal::new(ResponseCode::MessageIllegal, format!("batch request does not support retry group {group}")));
        }
        let ordinary = message_flag::transaction(request.sys_flag) == message_flag::TRANSACTION_NOT && special.delay_level() <= 0;
        if !ordinary || body.len() > self.config.max_message_size {
            return Err(self.illegal_message());
        }
        let sys_flag = request.sys_flag | multi_tags;
        let mut messages = SmallVec::<[NewMessage<'_>; 16]>::new();
        for element in batch::iter(body) {
            let element = element.map_err(|_| self.illegal_message())?;
            messages.push(NewMessage {
                topic,
                queue_id,
                flag: element.flag,
                sys_flag,
                born_timestamp: request.born_timestamp,
                born_host: asked.peer.addr,
                store_host: self.config.address,
                reconsume_times: request.reconsume_times.unwrap_or(0),
                prepared_transaction_offset: 0,
                body: element.body,
                properties: element.properties,
                tags_code: TagsCode::Hash(Special::scan(element.properties).tags_code()),
            });
        }
        self.placed.clear();
        self.storage.append_batch(now.wall, queue, &messages, &mut self.placed).map_err(|error| self.not_stored(&error))?;
        let (Some(first), Some(last)) = (self.placed.first().copied(), self.placed.last().copied()) else {
            return Err(self.illegal_message());
        };
        self.note_put(now, Some(put_into), u32::try_from(self.placed.len()).unwrap_or(u32::MAX), first.offset, last.end);
        let reply = SendStored {
            store_host: self.config.address,
            offsets: self.placed.iter().map(|place| place.offset).collect(),
            queue_id,
            queue_offset: first.queue_offset,
            transaction_id: special.uniq_key.map(unique_key).unwrap_or_default(),
            recall_handle: None,
        };
        Ok(Stored { reply, end: last.end, wait: special.waits_store_ok() })
    }

    /// Counts messages that now lie in the log from `first` up to `end`.
    pub(super) fn note_put(&mut self, now: Now, topic: Option<TopicIndex>, messages: u32, first: LogOffset, end: LogOffset) {
        let put = Passed::once(messages, end.0.abs_diff(first.0));
        self.traffic.note_put(now.mono, put);
        if let Some(entry) = topic.and_then(|topic| self.topics.at_mut(topic)) {
            entry.note_put(now.mono, put);
            if !entry.is_own() {
                self.traffic.note_received(messages);
            }
        }
    }

    /// Whether a message that a client sends to its own retry topic is dead, and then the topic for it.
    fn is_dead_on_send(
        &mut self,
        now: Now,
        group: &str,
        version: i32,
        request: &SendMessageRequest<'_>,
        delay_level: i32,
    ) -> Result<Option<String>, Refusal> {
        let Some(config) = self.groups.find_or_create(now.wall, group) else { return Err(Refusal::group_missing(group)) };
        let policy = RetryPolicy::for_request(config.retry_max_times, version, request.max_reconsume_times);
        if !policy.is_dead_on_send(request.reconsume_times.unwrap_or(0), delay_level, self.locks.holds_any(now, group)) {
            return Ok(None);
        }
        self.open_dead_letter_topic(now, group).map(Some)
    }

    /// The client's properties in the reused buffer, with what a broker adds to each message.
    fn complete_properties(&mut self, sent: &[u8], special: &Special<'_>) {
        let properties = &mut self.properties;
        properties.start(sent);
        // What clients normally do not send costs a removal only when it is there.
        for (name, present) in [
            (property::POP_CK, special.pop_ck.is_some()),
            (property::MSG_REGION, special.msg_region.is_some()),
            (property::TRACE_ON, special.trace_on.is_some()),
            (property::CLUSTER, special.cluster.is_some()),
        ] {
            if present {
                properties.remove(name);
            }
        }
        properties.append(property::MSG_REGION, self.config.region.as_bytes());
        properties.append(property::TRACE_ON, if self.config.trace_on { b"true" } else { b"false" });
        properties.append(property::CLUSTER, self.config.cluster.as_bytes());
    }

    /// Where the message whose properties are in the buffer is stored: its own queue, or that of its delay level until its time comes.
    /// `queue` spares the look-up where it is known.
    pub(super) fn place<'a>(
        &mut self,
        topic: Cow<'a, str>,
        queue: Option<QueueId>,
        queue_id: i32,
        tags_code: i64,
        delay_level: i32,
    ) -> Place<'a> {
        let level = self.delay_levels.clamp(delay_level);
        let Some(millis) = self.delay_levels.millis(level) else {
            let queue = queue.unwrap_or_else(|| self.open_queue(&topic, queue_id));
            return Place { topic, queue_id, queue, tags_code: TagsCode::Hash(tags_code) };
        };
        for name in [property::TIMER_DELAY_SEC, property::TIMER_DELAY_MS, property::TIMER_DELIVER_MS] {
            self.properties.remove(name);
        }
        self.properties.put(property::REAL_TOPIC, topic.as_bytes());
        self.properties.put_number(property::REAL_QID, queue_id.into());
        let queue_id = delay::queue_id(level);
        let queue = self.open_queue(names::SCHEDULE_TOPIC, queue_id);
        Place { topic: Cow::Borrowed(names::SCHEDULE_TOPIC), queue_id, queue, tags_code: TagsCode::StoreTimePlus(millis) }
    }

    /// The dead-letter topic of a group, made if it is new.
    pub(super) fn open_dead_letter_topic(&mut self, now: Now, group: &str) -> Result<String, Refusal> {
        let topic = names::dlq_topic(group);
        names::validate_topic(&topic).map_err(|error| Refusal::system(format!("topic[{topic}] not exist: {error}")))?;
        match self.topics.open(now.wall, &topic, NewTopic::plain(1, 0)) {
            Ok(_) => Ok(topic),
            Err(error) => Err(Refusal::system(format!("topic[{topic}] not exist: {error}"))),
        }
    }

    /// Gives the message whose properties are in the buffer a key of its own, as its client did not.
    pub(super) fn append_unique_key(&mut self, now: Now) -> UniqueKey {
        let id = self.unique_ids.next_id(now.wall.0);
        self.properties.append(property::UNIQ_KEY, id.as_str().as_bytes());
        unique_key(id.as_str().as_bytes())
    }

    pub(super) fn sending_forbidden(&self) -> Refusal {
        Refusal::new(ResponseCode::NoPermission, format!("the broker[{}] sending message is forbidden", self.config.address.ip()))
    }

    pub(super) fn illegal_message(&self) -> Refusal {
        let remark = format!(
            "the message is illegal, maybe msg body or properties length not matched. msg body length limit {}B, msg properties length limit 32KB.",
            self.config.max_message_size
        );
        Refusal::new(ResponseCode::MessageIllegal, remark)
    }

    /// The answer for what storage did not take.
    fn not_stored(&mut self, error: &AppendError) -> Refusal {
        self.traffic.put_failed += 1;
        match error {
            AppendError::TooLarge { .. } | AppendError::PropertiesTooLarge(_) => self.illegal_message(),
            AppendError::BadTopic(_) => Refusal::invalid(error.to_string()),
            AppendError::NoSpace(_)
            | AppendError::DiskFull(_)
            | AppendError::FlushBehind(_)
            | AppendError::QueueUnusable(_)
            | AppendError::ReadOnly(_) => Refusal::new(
                ResponseCode::ServiceNotAvailable,
                format!("service not available now. It may be caused by one of the following reasons: {error}"),
            ),
        }
    }
}

/// A key that fits inline; a longer one is stored with the message but not mirrored.
fn unique_key(key: &[u8]) -> UniqueKey {
    if key.len() <= 64 { UniqueKey::from_slice(key) } else { UniqueKey::new() }
}
