//! A consumer hands back what it could not handle: `CONSUMER_SEND_MSG_BACK`.

use std::borrow::Cow;

use proto_core::{
    Command,
    headers::ConsumerSendMsgBackRequest,
    names, perm,
    properties::{Special, names as property},
    record::RecordView,
    sys_flag::topic as topic_flag,
};

use super::{Answer, Handled, header};
use crate::{
    broker::{
        Broker,
        refusal::Refusal,
        retry::{RetryDecision, RetryPolicy},
        topics::{NewTopic, QUEUES_LIMIT},
    },
    output::Reply,
    storage::{AppendError, Appended, LogOffset, NewMessage, Storage},
    time::Now,
};

/// A message that comes back, once the request for it has passed the checks.
struct Return<'a> {
    group: Cow<'a, str>,
    /// The group's retry topic; it is there and may be written.
    topic: String,
    queue_nums: i32,
    policy: RetryPolicy,
    delay_level: i32,
}

impl<S: Storage> Broker<S> {
    /// 36: the message comes again after a while, or is dead. A group without retry queues loses it, as an operator has said so.
    pub(super) fn send_message_back(&mut self, now: Now, command: &Command<'_>) -> Handled {
        let request: ConsumerSendMsgBackRequest<'_> = header(command)?;
        if command.ext.get("offset").is_none() {
            return Err(Refusal::system("the offset of the message is missing"));
        }
        let Some(returned) = self.admit_return(now, command.version, &request)? else { return Answer::ok() };
        // The record lies in the log that the new one is appended to.
        let mut record = std::mem::take(&mut self.record);
        record.clear();
        record.extend_from_slice(self.storage.record(LogOffset(request.offset)).unwrap_or_default());
        // A place inside of another message's body may look like a record, but it does not know where it lies.
        let stored = match RecordView::parse(&record) {
            Ok(view) if view.physical_offset() == request.offset => self.store_return(now, &returned, &view),
            _ => Err(Refusal::system(format!("look message by offset failed, {}", request.offset))),
        };
        self.record = record;
        Ok(Answer::AfterAppend(stored?.end, Reply::ok()))
    }

    /// The checks; `None` if the message is to be dropped.
    fn admit_return<'a>(
        &mut self,
        now: Now,
        version: i32,
        request: &ConsumerSendMsgBackRequest<'a>,
    ) -> Result<Option<Return<'a>>, Refusal> {
        let group = request.group.to_cow();
        let Some(config) = self.groups.find_or_create(now.wall, &group) else { return Err(Refusal::group_missing(&group)) };
        if !perm::is_writeable(self.config.permission) {
            return Err(self.sending_forbidden());
        }
        let queue_nums = config.retry_queue_nums.min(QUEUES_LIMIT);
        if queue_nums <= 0 {
            return Ok(None);
        }
        let policy = RetryPolicy::for_request(config.retry_max_times, version, request.max_reconsume_times);
        let topic = names::retry_topic(&group);
        // A group may have a longer name than leaves room for the name of its retry topic.
        names::validate_topic(&topic).map_err(|error| Refusal::system(format!("topic[{topic}] not exist: {error}")))?;
        if self.topics.get(&topic).is_none() {
            let sys_flag = topic_flag::build(false, request.unit_mode);
            let opened = self.topics.open(now.wall, &topic, NewTopic::plain(queue_nums, sys_flag));
            opened.map_err(|error| Refusal::system(format!("topic[{topic}] not exist: {error}")))?;
        }
        self.topics.widen(now.wall, &topic, queue_nums);
        if self.topics.get(&topic).is_none_or(|entry| !entry.is_writable()) {
            let remark = format!("the topic[{topic}] sending message is forbidden");
            return Err(Refusal::new(proto_core::code::ResponseCode::NoPermission, remark));
        }
        Ok(Some(Return { group, topic, queue_nums, policy, delay_level: request.delay_level }))
    }

    /// Appends the message anew: the same body, keys and origin, one attempt more.
    fn store_return(&mut self, now: Now, returned: &Return<'_>, record: &RecordView<'_>) -> Result<Appended, Refusal> {
        let decision = returned.policy.on_send_back(record.reconsume_times(), returned.delay_level);
        let (topic, queue_id, delay_level) = match decision {
            RetryDecision::DeadLetter => (self.open_dead_letter_topic(now, &returned.group)?, 0, 0),
            RetryDecision::Retry { delay_level } => {
                let choices = u32::try_from(returned.queue_nums).unwrap_or(0);
                (returned.topic.clone(), i32::try_from(self.random.below(choices)).unwrap_or(0), delay_level)
            }
        };
        let special = Special::scan(record.properties());
        self.properties.start(record.properties());
        if special.retry_topic.is_none() {
            self.properties.put(property::RETRY_TOPIC, record.topic().as_bytes());
        }
        if special.origin_message_id.is_none() {
            let mut id = Vec::with_capacity(proto_core::ids::MAX_ID_LEN);
            record.offset_message_id().write(&mut id);
            self.properties.put(property::ORIGIN_MESSAGE_ID, &id);
        }
        self.properties.put(property::WAIT, b"false");
        self.properties.put_number(property::DELAY, delay_level.into());
        let place = self.place(topic.into(), None, queue_id, special.tags_code(), delay_level);
        let message = NewMessage {
            topic: &place.topic,
            queue_id: place.queue_id,
            flag: record.flag(),
            sys_flag: record.sys_flag(),
            born_timestamp: record.born_timestamp(),
            born_host: record.born_host(),
            store_host: self.config.address,
            reconsume_times: record.reconsume_times().saturating_add(1),
            prepared_transaction_offset: 0,
            body: record.body(),
            properties: self.properties.as_bytes(),
            tags_code: place.tags_code,
        };
        let appended = self.storage.append_again(now.wall, place.queue, &message).map_err(|error| Refusal::system(status_name(&error)))?;
        self.note_put(now, None, 1, appended.offset, appended.end);
        let from = special.retry_topic.map_or(Cow::Borrowed(record.topic()), String::from_utf8_lossy);
        self.offsets.note_sent_back(now.mono, &from, &returned.group, appended.end.0.abs_diff(appended.offset.0));
        Ok(appended)
    }
}

/// Java answers with the bare name of the store's status.
const fn status_name(error: &AppendError) -> &'static str {
    match error {
        AppendError::TooLarge { .. } | AppendError::BadTopic(_) => "MESSAGE_ILLEGAL",
        AppendError::PropertiesTooLarge(_) => "PROPERTIES_SIZE_EXCEEDED",
        AppendError::NoSpace(_) => "CREATE_MAPPED_FILE_FAILED",
        AppendError::DiskFull(_) | AppendError::FlushBehind(_) | AppendError::QueueUnusable(_) | AppendError::ReadOnly(_) => {
            "SERVICE_NOT_AVAILABLE"
        }
    }
}
