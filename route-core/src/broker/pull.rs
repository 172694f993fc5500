//! Pulling: permission and subscription checks, one look into the queue, and the answer or a long poll.
//!
//! The order of the checks and their texts are those of Java's `PullMessageProcessor`; clients match on both.

use std::{borrow::Cow, net::SocketAddr};

use proto_core::{
    bodies::TopicConfig,
    code::{RequestCode, ResponseCode},
    headers::PullMessageRequest,
    names::FAQ_SUFFIX as FAQ,
    perm,
    sys_flag::pull as pull_flag,
};

use super::{
    Asked, Broker,
    broadcast_offsets::{Place, Reader},
    hold::{Held, NoRoom},
    pull_filter::PullFilter,
    read::{QueueRead, ReadStatus, Wanted, read_queue},
    refusal::Refusal,
};
use crate::{
    flow::Passed,
    output::{NoticeLevel, PeerId, PullReply, Reply, ReplyBody, ReplyHeader},
    storage::{QueueId, Storage},
    time::{Millis, Now},
};

/// Who forbade a pull, as clients are told.
pub(super) mod forbidden {
    pub(in crate::broker) const BROKER: i32 = 1;
    pub(in crate::broker) const GROUP: i32 = 2;
    pub(in crate::broker) const TOPIC: i32 = 3;
    pub(in crate::broker) const BROADCASTING: i32 = 4;
    pub(in crate::broker) const SUBSCRIPTION: i32 = 5;
}

/// A pull that has passed the checks: all that a look into its queue and the answer need.
#[derive(Clone, Debug)]
struct AdmittedPull {
    queue: QueueId,
    from: i64,
    max: usize,
    filter: PullFilter,
    /// Where its group is to read; `None` where that is always here.
    brokers: Option<GroupBrokers>,
    /// The topic belongs to the broker itself.
    own_topic: bool,
    topic_sys_flag: i32,
    group_sys_flag: i32,
    /// What was bound and installed when it came.
    filters_epoch: u64,
}

/// The ids of the brokers that a group is to read from.
#[derive(Clone, Copy, Debug)]
struct GroupBrokers {
    /// What is in memory.
    first: i64,
    /// What has to come from the disk (`whichBrokerWhenConsumeSlowly`).
    when_slow: i64,
}

/// A pull that waits for a message or for its time.
#[derive(Debug)]
pub(super) struct HeldPull {
    asked: Asked,
    pull: AdmittedPull,
    topic: Box<str>,
    group: Box<str>,
    queue_id: i32,
    reader: Option<Reader>,
}

impl HeldPull {
    fn place(&self) -> Place<'_> {
        Place { topic: &self.topic, group: &self.group, queue_id: self.queue_id }
    }
}

impl Held for HeldPull {
    fn peer(&self) -> PeerId {
        self.asked.peer.id
    }

    fn unseen_offset(&self) -> i64 {
        self.pull.from
    }

    fn steps(&self) -> usize {
        self.pull.filter.steps()
    }

    fn may_match<'r>(&self, tags_code: i64, record: &dyn Fn() -> Option<&'r [u8]>) -> bool {
        self.pull.filter.may_match(tags_code, record)
    }
}

/// Why a pull is refused, and who forbade it if somebody did.
pub(super) struct PullRefusal {
    refusal: Refusal,
    forbidden_type: Option<i32>,
}

impl PullRefusal {
    pub(super) fn subscription_forbidden(group: &str, topic: &str) -> Self {
        Self::forbidden(forbidden::SUBSCRIPTION, format!("the consumer group[{group}] is forbidden for topic[{topic}]"))
    }

    pub(super) fn forbidden(by: i32, remark: impl Into<Cow<'static, str>>) -> Self {
        Self { refusal: Refusal::new(ResponseCode::NoPermission, remark), forbidden_type: Some(by) }
    }
}

impl From<Refusal> for PullRefusal {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, forbidden_type: None }
    }
}

impl<S: Storage> Broker<S> {
    /// PULL_MESSAGE (11) and LITE_PULL_MESSAGE (361).
    pub(super) fn handle_pull(&mut self, now: Now, asked: Asked, request: &PullMessageRequest<'_>, lite: bool) {
        let (topic, group) = (request.topic.to_cow(), request.consumer_group.to_cow());
        let queue_id = request.queue_id;
        let pull = match self.admit_pull(now, asked, request, &topic, &group, lite) {
            Ok(pull) => pull,
            Err(refusal) => return self.refuse_pull(asked, refusal),
        };
        let (reader, place) = (self.broadcast_reader(asked, request, &group), Place { topic: &topic, group: &group, queue_id });
        let reset = self.reset_read(&topic, &group, queue_id, pull.queue);
        let reset = reset.or_else(|| self.broadcast_begin(reader.as_ref()?, place, pull.queue, pull.from));
        if let Some(read) = reset {
            self.note_broadcast(now, place, reader.as_ref(), &pull, &read);
            return self.answer_pull(asked, &pull, read);
        }
        if pull_flag::has_commit_offset(request.sys_flag) {
            let offset = self.within_queue(pull.queue, request.commit_offset);
            self.commit_offset(now, &topic, &group, queue_id, offset);
        }
        let mut read = self.look(now, &pull);
        self.keep_unread(&mut read, &topic, &group, queue_id);
        let given = self.given(&read);
        self.offsets.note_pull(now.mono, (&topic, &group), queue_id, given, read.next_begin_offset);
        if !pull_flag::has_suspend(request.sys_flag) || answer_code(read.status, pull.from) != ResponseCode::PullNotFound {
            self.note_broadcast(now, place, reader.as_ref(), &pull, &read);
            return self.answer_pull(asked, &pull, read);
        }
        let wait = if self.config.long_polling {
            Millis(u64::try_from(request.suspend_timeout_millis).unwrap_or(0))
        } else {
            self.config.short_polling_time
        };
        let queue = pull.queue;
        let held = HeldPull { asked, pull, topic: topic.into(), group: group.into(), queue_id, reader };
        if let Err(NoRoom { pull, limit }) = self.holds.hold(queue, now.mono + wait, held) {
            if self.holds_full.allows(now.mono) {
                self.notice(NoticeLevel::Warn, format!("{limit}, as many as may: further ones are answered at once ({})", asked.peer.addr));
            }
            self.answer_pull(asked, &pull.pull, read);
        }
    }

    /// A waiting pull gets its final answer: its messages, or that there is nothing new; or why it may not read any more, as an operator may
    /// have decided meanwhile.
    pub(super) fn finish_held(&mut self, now: Now, held: &HeldPull) {
        if let Err(refusal) = self.may_still_read(now, held) {
            return self.refuse_pull(held.asked, refusal);
        }
        if let Some(read) = self.reset_read(&held.topic, &held.group, held.queue_id, held.pull.queue) {
            self.note_broadcast(now, held.place(), held.reader.as_ref(), &held.pull, &read);
            return self.answer_pull(held.asked, &held.pull, read);
        }
        if held.pull.filters_epoch != self.filters_epoch {
            // Its filter may be another one by now: the client is to ask again from where it is.
            let bounds = self.storage.bounds(held.pull.queue);
            let (status, next_begin_offset) = (ReadStatus::NoMatchedMessage, held.pull.from);
            let read = QueueRead { status, next_begin_offset, bounds, count: 0, suggest_slave: false };
            return self.answer_pull(held.asked, &held.pull, read);
        }
        let read = self.look(now, &held.pull);
        let given = self.given(&read);
        self.note_broadcast(now, held.place(), held.reader.as_ref(), &held.pull, &read);
        self.offsets.note_held_pull(now.mono, (&held.topic, &held.group), held.queue_id, given, read.next_begin_offset);
        self.answer_pull(held.asked, &held.pull, read);
    }

    /// What may have changed since a pull began to wait, in the order of the checks of a new one.
    fn may_still_read(&mut self, now: Now, held: &HeldPull) -> Result<(), PullRefusal> {
        let (topic, group) = (&*held.topic, &*held.group);
        self.broker_may_be_read()?;
        let Some(config) = self.groups.find_or_create(now.wall, group) else { return Err(unknown_group(group)) };
        if !config.consume_enable {
            return Err(forbidden_group(group));
        }
        let Some(entry) = self.topics.get(topic) else { return Err(Refusal::topic_missing(topic).into()) };
        readable_queue(entry.config(), held.queue_id, held.asked.peer.addr)?;
        if self.groups.may_read(group, topic) { Ok(()) } else { Err(PullRefusal::subscription_forbidden(group, topic)) }
    }

    fn broker_may_be_read(&self) -> Result<(), PullRefusal> {
        if perm::is_readable(self.config.permission) {
            return Ok(());
        }
        let remark = format!("the broker[{}] pulling message is forbidden", self.config.address.ip());
        Err(PullRefusal::forbidden(forbidden::BROKER, remark))
    }

    /// A client of a broadcasting group is answered: it has come to where it asks for, or is sent elsewhere.
    fn note_broadcast(&mut self, now: Now, place: Place<'_>, reader: Option<&Reader>, pull: &AdmittedPull, read: &QueueRead) {
        let Some(reader) = reader else { return };
        let is_sent = answer_code(read.status, pull.from) == ResponseCode::PullOffsetMoved;
        self.broadcast_offsets.note(now, place, reader, if is_sent { read.next_begin_offset } else { pull.from });
    }

    /// A group was set to another place of a queue: one of its pulls that waits there is sent on its way.
    pub(super) fn send_held_to_reset(&mut self, topic: &str, group: &str, queue_id: i32) {
        let Some(queue) = self.storage.find_queue(topic, queue_id) else { return };
        let mut woken = std::mem::take(&mut self.woken);
        self.holds.handle_reset(queue, |held| *held.group == *group, &mut woken);
        for held in woken.drain(..) {
            self.finish_held(self.now, &held);
        }
        self.woken = woken;
    }

    /// What a pull is answered if its group has been set to another place and no pull has heard of it.
    fn reset_read(&mut self, topic: &str, group: &str, queue_id: i32, queue: QueueId) -> Option<QueueRead> {
        let target = self.offsets.take_reset(topic, group, queue_id)?;
        let bounds = self.storage.bounds(queue);
        Some(QueueRead { status: ReadStatus::OffsetReset, next_begin_offset: target, bounds, count: 0, suggest_slave: false })
    }

    /// The queues of a topic that was deleted are gone: who waits for them is told so.
    pub(super) fn end_held(&mut self, topic: &str, queues: impl Iterator<Item = QueueId>) {
        let mut ended = std::mem::take(&mut self.woken);
        queues.for_each(|queue| self.holds.handle_queue_removed(queue, &mut ended));
        for held in ended.drain(..) {
            self.reply(held.asked, Refusal::topic_missing(topic).into());
        }
        self.woken = ended;
    }

    /// Fills `self.found` with the places of what the pull gets.
    fn look(&mut self, now: Now, pull: &AdmittedPull) -> QueueRead {
        let wanted = Wanted { queue: pull.queue, from: pull.from, max: pull.max, filter: pull.filter.as_filter() };
        self.found.clear();
        let read = read_queue(&self.storage, wanted, &self.config.read_limits, &mut self.verdicts, &mut self.found);
        let given = self.given(&read);
        self.traffic.note_look(now.mono, given, pull.own_topic);
        read
    }

    /// What a look hands out, if anything.
    fn given(&self, read: &QueueRead) -> Option<Passed> {
        let messages = u32::try_from(read.count).unwrap_or(u32::MAX);
        (messages > 0).then(|| Passed::once(messages, self.found.iter().map(|range| u64::from(range.len)).sum()))
    }

    fn answer_pull(&mut self, asked: Asked, pull: &AdmittedPull, read: QueueRead) {
        let body = match read.status {
            ReadStatus::Found => {
                let spare = self.spare_ranges.pop().unwrap_or_default();
                ReplyBody::Records(std::mem::replace(&mut self.found, spare))
            }
            _ => ReplyBody::Empty,
        };
        let header = PullReply {
            suggest_which_broker_id: match pull.brokers {
                Some(brokers) if read.suggest_slave => brokers.when_slow,
                Some(brokers) => brokers.first,
                None => 0,
            },
            next_begin_offset: read.next_begin_offset,
            min_offset: read.bounds.min,
            max_offset: read.bounds.max,
            topic_sys_flag: pull.topic_sys_flag,
            group_sys_flag: pull.group_sys_flag,
        };
        let code = answer_code(read.status, pull.from);
        self.reply(asked, Reply { code, remark: Some(read.status.name().into()), header: ReplyHeader::Pull(header), body });
    }

    fn refuse_pull(&mut self, asked: Asked, refused: PullRefusal) {
        let header = match refused.forbidden_type {
            Some(by) => ReplyHeader::Fields(vec![("forbiddenType", by.to_string().into())]),
            None => ReplyHeader::Empty,
        };
        self.note_refused(asked, RequestCode::PullMessage, &refused.refusal);
        let Refusal { code, remark } = refused.refusal;
        self.reply(asked, Reply { code, remark: Some(remark), header, body: ReplyBody::Empty });
    }

    fn admit_pull(
        &mut self,
        now: Now,
        asked: Asked,
        request: &PullMessageRequest<'_>,
        topic: &str,
        group: &str,
        lite: bool,
    ) -> Result<AdmittedPull, PullRefusal> {
        self.broker_may_be_read()?;
        if lite && !self.config.lite_pull {
            let remark = format!("the broker[{}] for lite pull consumer has been disabled", self.config.address.ip());
            return Err(PullRefusal::forbidden(forbidden::BROKER, remark));
        }
        let Some(group_config) = self.groups.find_or_create(now.wall, group) else { return Err(unknown_group(group)) };
        if !group_config.consume_enable {
            return Err(forbidden_group(group));
        }
        let (group_sys_flag, broadcast_enable) = (group_config.group_sys_flag, group_config.consume_broadcast_enable);
        let brokers = self
            .config
            .slave_read
            .then_some(GroupBrokers { first: group_config.broker_id, when_slow: group_config.which_broker_when_consume_slowly });
        let Some(entry) = self.topics.get_mut(topic) else {
            return Err(Refusal::topic_missing(topic).into());
        };
        readable_queue(entry.config(), request.queue_id, asked.peer.addr)?;
        let (topic_sys_flag, own_topic) = (entry.config().topic_sys_flag, entry.is_own());
        let Some(queue) = entry.queue(&mut self.storage, request.queue_id) else {
            return Err(Refusal::new(ResponseCode::InvalidParameter, format!("queueId[{}] is illegal", request.queue_id)).into());
        };
        let filter = if pull_flag::has_subscription(request.sys_flag) {
            self.own_filter(request, topic)?
        } else {
            self.registered_filter(request, topic, group, broadcast_enable)?
        };
        let filter = if pull_flag::has_class_filter(request.sys_flag) { PullFilter::All } else { filter };
        let filter = self.with_bound(group, topic, filter)?;
        let max = usize::try_from(request.max_msg_nums).unwrap_or(0);
        let filters_epoch = self.filters_epoch;
        Ok(AdmittedPull {
            queue,
            from: request.queue_offset,
            max,
            filter,
            brokers,
            own_topic,
            topic_sys_flag,
            group_sys_flag,
            filters_epoch,
        })
    }
}

fn unknown_group(group: &str) -> PullRefusal {
    Refusal::new(ResponseCode::SubscriptionGroupNotExist, format!("subscription group [{group}] does not exist, {FAQ}")).into()
}

fn forbidden_group(group: &str) -> PullRefusal {
    PullRefusal::forbidden(forbidden::GROUP, format!("subscription group no permission, {group}"))
}

/// Whether a topic may be read, and has such a queue for it.
fn readable_queue(config: &TopicConfig, queue_id: i32, consumer: SocketAddr) -> Result<(), PullRefusal> {
    let TopicConfig { topic_name: topic, read_queue_nums, .. } = config;
    if !perm::is_readable(config.perm) {
        return Err(PullRefusal::forbidden(forbidden::TOPIC, format!("the topic[{topic}] pulling message is forbidden")));
    }
    if !(0..*read_queue_nums).contains(&queue_id) {
        let remark =
            format!("queueId[{queue_id}] is illegal, topic:[{topic}] topicConfig.readQueueNums:[{read_queue_nums}] consumer:[{consumer}]");
        return Err(Refusal::new(ResponseCode::InvalidParameter, remark).into());
    }
    Ok(())
}

/// The answer's code for the way a look ended.
const fn answer_code(status: ReadStatus, from: i64) -> ResponseCode {
    match status {
        ReadStatus::Found => ResponseCode::Success,
        ReadStatus::NoMatchedMessage | ReadStatus::MessageWasRemoving => ResponseCode::PullRetryImmediately,
        ReadStatus::OffsetFoundNull | ReadStatus::OffsetOverflowOne => ResponseCode::PullNotFound,
        ReadStatus::NoMessageInQueue if from == 0 => ResponseCode::PullNotFound,
        ReadStatus::NoMessageInQueue | ReadStatus::OffsetOverflowBadly | ReadStatus::OffsetTooSmall | ReadStatus::OffsetReset => {
            ResponseCode::PullOffsetMoved
        }
    }
}
