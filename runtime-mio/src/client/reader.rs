//! One queue that is read: where it stands, and what an answer to its pull means.

use std::{
    ops::ControlFlow,
    time::{Duration, Instant},
};

use proto_core::{
    Command,
    code::{RequestCode, ResponseCode},
    headers::{DecodeExt, PullMessageResponse},
    properties::names::TAGS,
    record::RecordView,
    subscription::TagExpression,
};

use super::{error::ClientError, queues::Queue};

/// A queue with its next offset and at most one pull on its way.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) queue: Queue,
    /// The next offset to hand out.
    pub(super) next: i64,
    /// What the group's offset was set to last, if that is known.
    pub(super) committed: Option<i64>,
    pull: Pull,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pull {
    /// None is on its way; the next may leave at this moment.
    Due(Instant),
    /// The pull of this number left at that moment.
    Sent(i32, Instant),
}

/// A broker that has nothing and does not hold pulls is asked once in this time.
const REST: Duration = Duration::from_millis(100);

impl Reader {
    pub(super) fn new(queue: Queue, next: i64, committed: Option<i64>, now: Instant) -> Self {
        Self { queue, next, committed, pull: Pull::Due(now) }
    }

    pub(super) fn is_due(&self, now: Instant) -> bool {
        matches!(self.pull, Pull::Due(at) if at <= now)
    }

    /// When the next pull is due, if none is on its way.
    pub(super) fn due(&self) -> Option<Instant> {
        if let Pull::Due(at) = self.pull { Some(at) } else { None }
    }

    pub(super) fn sent(&mut self, opaque: i32, now: Instant) {
        self.pull = Pull::Sent(opaque, now);
    }

    /// Whether the answer of this number is for this queue.
    pub(super) fn awaits(&self, opaque: i32) -> bool {
        matches!(self.pull, Pull::Sent(own, _) if own == opaque)
    }

    /// Whether an answer should have come by now.
    pub(super) fn is_late(&self, now: Instant, patience: Duration) -> bool {
        matches!(self.pull, Pull::Sent(_, at) if now.duration_since(at) > patience)
    }

    /// Hands out the messages of an answer that have one of the tags, and moves on behind them; a break leaves the rest for later.
    /// Returns how many were handed out.
    pub(super) fn take(
        &mut self,
        now: Instant,
        answer: &Command<'_>,
        tags: &TagExpression,
        each: &mut dyn FnMut(&Queue, &RecordView<'_>) -> ControlFlow<()>,
    ) -> Result<(u64, ControlFlow<()>), ClientError> {
        let Pull::Sent(_, asked) = self.pull else { return Ok((0, ControlFlow::Continue(()))) };
        let mut handed = 0;
        self.pull = Pull::Due(now);
        match ResponseCode::from_code(answer.code) {
            Some(ResponseCode::Success) => {
                let mut rest = answer.body;
                while !rest.is_empty() {
                    let record = RecordView::parse(rest).map_err(|source| ClientError::Record { queue: self.queue.to_string(), source })?;
                    rest = &rest[record.bytes().len()..];
                    // The broker chooses by a hash, in which different tags can be equal.
                    if !tags.tags.is_empty() && !record.property(TAGS).is_some_and(|tag| tags.tags.contains(tag)) {
                        continue;
                    }
                    handed += 1;
                    let flow = each(&self.queue, &record);
                    self.next = record.queue_offset() + 1;
                    if flow.is_break() {
                        return Ok((handed, flow));
                    }
                }
            }
            Some(ResponseCode::PullRetryImmediately) => {}
            Some(ResponseCode::PullNotFound | ResponseCode::PullOffsetMoved) => self.pull = Pull::Due(asked + REST),
            _ => return Err(ClientError::refused(RequestCode::PullMessage, answer)),
        }
        self.next = PullMessageResponse::decode_ext(&answer.ext)?.next_begin_offset;
        Ok((handed, ControlFlow::Continue(())))
    }
}
