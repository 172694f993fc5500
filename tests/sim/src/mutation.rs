//! Mistakes that a broker could make, made on purpose between the shipped machine and the world: each has to be caught.
//!
//! The machine itself knows nothing of them. What it is asked, what it answers and what it stores is changed on the way.

use petrel_tests::{Packet, packet};
use proto_core::{Command, bodies::GetConsumerListByGroupResponseBody, code::RequestCode, json, names};
use route_core::{
    Millis, Now, Output,
    output::{Reply, ReplyBody, ReplyHeader},
    random::Random,
    storage::{NewMessage, OffsetTableKind, TagsCode},
};

/// A mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// A failed message has one attempt more than its group allows.
    OneAttemptMore,
    /// A message that comes again does not count its attempt.
    AttemptNotCounted,
    /// A dead letter is stored twice.
    DeadLetterTwice,
    /// A message that fails again waits no longer than the first time.
    LevelsDoNotClimb,
    /// A message that is sent back is confirmed and forgotten.
    ReturnForgotten,
    /// Now and then a message wakes no pull.
    LostWakeUp,
    /// Now and then a pull that has waited its time is not answered.
    PullForgotten,
    /// Now and then an offset is committed that is one too high.
    CommitEarly,
    /// Commits live only as long as the process.
    CommitForgotten,
    /// The offset that is told is one too low.
    OffsetTooLow,
    /// A lock goes to whoever asks.
    LockShared,
    /// A lock holds only until somebody asks for it.
    LockTooShort,
    /// A delayed message comes a second early.
    DelayEarly,
    /// A delayed message comes five seconds late.
    DelayLate,
    /// The cursor of the delay levels lives only as long as the process.
    DelayedTwice,
    /// A delayed message comes in another queue.
    DelayedElsewhere,
    /// Now and then a delayed message is dropped when its time has come.
    DelayedDropped,
    /// A message is stored twice.
    StoredTwice,
    /// One member of a group is left out when they are listed.
    MemberLeftOut,
    /// Members are not told of changes.
    NotTold,
    /// Two messages of an answer change places.
    Swapped,
    /// Now and then a consumer is sent past a message.
    Skipped,
    /// Now and then a consumer is sent back by a message.
    Repeated,
    /// The machine wants to be woken all the time.
    Restless,
    /// A message is acknowledged before it is on disk, although that was promised.
    AckedTooEarly,
    /// The disk under the shipped store says that it has synced and does not.
    SyncsIgnored,
    /// What a restart finds of the log is one message short.
    TailForgotten,
    /// A message that comes again has lost its keys.
    KeysLost,
    /// Offsets that a start has found after a loss of power are not on disk all the same.
    FoundNotKept,
}

impl Mutation {
    /// All of them.
    pub const ALL: [Self; 29] = [
        Self::OneAttemptMore,
        Self::AttemptNotCounted,
        Self::DeadLetterTwice,
        Self::LevelsDoNotClimb,
        Self::ReturnForgotten,
        Self::LostWakeUp,
        Self::PullForgotten,
        Self::CommitEarly,
        Self::CommitForgotten,
        Self::OffsetTooLow,
        Self::LockShared,
        Self::LockTooShort,
        Self::DelayEarly,
        Self::DelayLate,
        Self::DelayedTwice,
        Self::DelayedElsewhere,
        Self::DelayedDropped,
        Self::StoredTwice,
        Self::MemberLeftOut,
        Self::NotTold,
        Self::Swapped,
        Self::Skipped,
        Self::Repeated,
        Self::Restless,
        Self::AckedTooEarly,
        Self::SyncsIgnored,
        Self::TailForgotten,
        Self::KeysLost,
        Self::FoundNotKept,
    ];
}

/// What becomes of something on its way.
#[derive(Debug)]
pub(crate) enum Passage {
    /// It passes as it is now.
    Pass,
    /// It does not arrive.
    Drop,
}

/// Makes one mistake, or none.
#[derive(Clone, Debug)]
pub(crate) struct Tamper {
    mutation: Option<Mutation>,
    random: Random,
    /// How many requests for locks have come.
    locks: u64,
}

impl Tamper {
    pub(crate) const fn new(mutation: Option<Mutation>) -> Self {
        Self { mutation, random: Random::new(0), locks: 0 }
    }

    /// Whether it makes none.
    pub(crate) const fn is_honest(&self) -> bool {
        self.mutation.is_none()
    }

    pub(crate) fn makes(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }

    fn makes_now_and_then(&mut self, mutation: Mutation) -> bool {
        self.makes(mutation) && self.random.below(10) == 0
    }

    /// A request as the machine is to see it, if that is not as it came.
    pub(crate) fn request(&mut self, command: &Command<'_>) -> Option<Vec<u8>> {
        let code = RequestCode::from_code(command.code)?;
        let mut packet = match (self.mutation?, code) {
            (Mutation::OneAttemptMore, RequestCode::ConsumerSendMsgBack)
            | (Mutation::CommitEarly, RequestCode::UpdateConsumerOffset)
            | (Mutation::LockShared, RequestCode::LockBatchMq) => Packet::own(command),
            _ => return None,
        };
        match self.mutation? {
            Mutation::OneAttemptMore => change(&mut packet, "maxReconsumeTimes", |times| times + 1),
            Mutation::CommitEarly if self.random.below(10) == 0 => change(&mut packet, "commitOffset", |offset| offset + 1),
            Mutation::LockShared => {
                let body = packet.text().replace(r#""clientId":""#, r#""clientId":"x","was":""#);
                packet.body = body.into_bytes();
            }
            _ => {}
        }
        let fields: Vec<(&str, &str)> = packet.fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        Some(packet::request(packet.code, packet.opaque, packet.flag, &packet::Fields(&fields), &packet.body))
    }

    /// The time that the machine sees when a request comes.
    pub(crate) fn time(&mut self, now: Now, command: &Command<'_>) -> Now {
        if self.makes(Mutation::LockTooShort) && command.code == RequestCode::LockBatchMq.code() {
            // To the machine more than a minute passes between one of them and the next.
            self.locks += 1;
            return Now { mono: now.mono + Millis::from_secs(61 * self.locks), ..now };
        }
        now
    }

    /// Whether a request is confirmed without having been handled.
    pub(crate) fn forgets(&self, command: &Command<'_>) -> bool {
        self.makes(Mutation::ReturnForgotten) && command.code == RequestCode::ConsumerSendMsgBack.code()
    }

    /// Something that the machine wants done.
    pub(crate) fn output(&mut self, output: &mut Output) -> Passage {
        match output {
            Output::Request { request, .. } if self.makes(Mutation::NotTold) && request.code == RequestCode::NotifyConsumerIdsChanged => {
                Passage::Drop
            }
            Output::Reply { reply, .. } => self.reply(reply),
            _ => Passage::Pass,
        }
    }

    fn reply(&mut self, reply: &mut Reply) -> Passage {
        let empty = matches!(reply.body, ReplyBody::Empty);
        match &mut reply.header {
            ReplyHeader::Offset(offset) if self.makes(Mutation::OffsetTooLow) => *offset -= i64::from(*offset > 0),
            ReplyHeader::Pull(_) if empty && self.makes_now_and_then(Mutation::PullForgotten) => return Passage::Drop,
            ReplyHeader::Pull(pull) if !empty && self.makes_now_and_then(Mutation::Skipped) => pull.next_begin_offset += 1,
            ReplyHeader::Pull(pull) if !empty && self.makes_now_and_then(Mutation::Repeated) => pull.next_begin_offset -= 1,
            _ => {}
        }
        if self.makes(Mutation::MemberLeftOut)
            && let ReplyBody::Bytes(bytes) = &mut reply.body
            && let Ok(mut body) = json::from_slice::<GetConsumerListByGroupResponseBody>(bytes)
            && body.consumer_id_list.len() > 1
        {
            let left_out = self.random.below(u32::try_from(body.consumer_id_list.len()).unwrap_or(1)) as usize;
            body.consumer_id_list.remove(left_out);
            *bytes = json::to_vec(&body, json::Dialect::Default).into();
        }
        Passage::Pass
    }

    /// The records of an answer.
    pub(crate) fn records(&self, body: &mut [u8]) {
        if !self.makes(Mutation::Swapped) {
            return;
        }
        let len = |bytes: &[u8]| bytes.first_chunk().map_or(0, |size| u32::from_be_bytes(*size) as usize);
        let first = len(body);
        if first > 0 && first < body.len() {
            let second = len(&body[first..]);
            body[..first + second].rotate_left(first);
        }
    }

    /// A message on its way into the log, and how often it is put there.
    pub(crate) fn append<'a>(&mut self, message: &mut NewMessage<'a>) -> usize {
        let delayed = message.topic == names::SCHEDULE_TOPIC;
        let again = message.reconsume_times > 0;
        if let TagsCode::StoreTimePlus(wait) = &mut message.tags_code {
            match self.mutation {
                Some(Mutation::DelayEarly) => *wait -= 1_000,
                Some(Mutation::DelayLate) => *wait += 5_000,
                _ => {}
            }
        }
        match self.mutation {
            Some(Mutation::AttemptNotCounted) if again && delayed => message.reconsume_times -= 1,
            Some(Mutation::LevelsDoNotClimb) if again && delayed => message.queue_id = FIRST_RETRY_QUEUE,
            Some(Mutation::KeysLost) if again && delayed => message.properties = without_keys(message.properties),
            Some(Mutation::DeadLetterTwice) if names::is_dlq(message.topic) => return 2,
            Some(Mutation::StoredTwice) if !delayed && !again => return 2,
            Some(Mutation::DelayedElsewhere) if !delayed && is_delivery(message) => message.queue_id ^= 1,
            _ => {}
        }
        let drops = !delayed && is_delivery(message) && self.makes_now_and_then(Mutation::DelayedDropped);
        usize::from(!drops)
    }

    /// Whether a message that has become readable wakes anybody.
    pub(crate) fn wakes(&mut self) -> bool {
        !self.makes_now_and_then(Mutation::LostWakeUp)
    }

    /// Whether an offset that is noted outlives the process.
    pub(crate) fn notes(&self, table: OffsetTableKind) -> bool {
        match table {
            OffsetTableKind::Consumer => !self.makes(Mutation::CommitForgotten),
            OffsetTableKind::Delay => !self.makes(Mutation::DelayedTwice),
        }
    }
}

/// The queue of the first retry's level.
const FIRST_RETRY_QUEUE: i32 = 2;

/// Whether a message comes out of the delay levels.
fn is_delivery(message: &NewMessage<'_>) -> bool {
    let topic = proto_core::properties::find_text(message.properties, proto_core::properties::names::REAL_TOPIC);
    topic == Some(message.topic)
}

/// Properties without the first one, which is that of the keys.
fn without_keys(properties: &[u8]) -> &[u8] {
    let end = properties.iter().position(|byte| *byte == proto_core::properties::PROPERTY_SEPARATOR);
    end.map_or(properties, |end| &properties[end + 1..])
}

fn change(packet: &mut Packet, field: &str, change: impl Fn(i64) -> i64) {
    if let Some(value) = packet.fields.get_mut(field)
        && let Ok(number) = value.parse::<i64>()
    {
        *value = change(number).to_string();
    }
}
