//! Pulls over what a topic holds, from the oldest message to the newest and over again.

use proto_core::{
    Command, Flag, Text,
    code::RequestCode,
    encode::{Head, encode_frame},
    headers::{DecodeExt, GetMaxOffsetRequest, GetMaxOffsetResponse, GetMinOffsetRequest, GetMinOffsetResponse, PullMessageRequest},
    names::TOOLS_CONSUMER_GROUP,
    record::peek,
    subscription,
    sys_flag::pull,
};

use super::load::Load;
use crate::client::{ClientError, Connection};

/// A queue that holds messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Backlog {
    queue: i32,
    min: i64,
    max: i64,
    next: i64,
}

/// The queues of a topic that hold messages, of the first `queues`.
pub(super) fn backlog(connection: &mut Connection, topic: &str, queues: i32) -> Result<Vec<Backlog>, ClientError> {
    let topic = Text::plain(topic);
    let mut backlog = Vec::new();
    for queue_id in 0..queues {
        let header = GetMinOffsetRequest { topic, queue_id, broker_name: None };
        let min =
            connection.call(RequestCode::GetMinOffset, &header, b"", |answer| Ok(GetMinOffsetResponse::decode_ext(&answer.ext)?.offset))?;
        let header = GetMaxOffsetRequest { topic, queue_id, ..GetMaxOffsetRequest::default() };
        let max =
            connection.call(RequestCode::GetMaxOffset, &header, b"", |answer| Ok(GetMaxOffsetResponse::decode_ext(&answer.ext)?.offset))?;
        if max > min.max(0) {
            backlog.push(Backlog { queue: queue_id, min: min.max(0), max, next: min.max(0) });
        }
    }
    Ok(backlog)
}

/// Pulls from queues in turn, each time the next messages.
#[derive(Debug)]
pub(super) struct PullLoad {
    topic: String,
    backlog: Vec<Backlog>,
    next: usize,
    batch: i32,
}

impl PullLoad {
    /// `number` is the queue to begin with, so that connections do not all read the same.
    pub(super) fn new(topic: &str, backlog: &[Backlog], batch: i32, number: usize) -> Self {
        Self { topic: topic.to_owned(), backlog: backlog.to_vec(), next: number, batch }
    }
}

impl Load for PullLoad {
    fn tick(&mut self, _: i64) {}

    fn append(&mut self, out: &mut Vec<u8>, opaque: i32) {
        let queues = self.backlog.len();
        let backlog = &mut self.backlog[self.next % queues];
        self.next = self.next.wrapping_add(1);
        let header = PullMessageRequest {
            consumer_group: Text::plain(TOOLS_CONSUMER_GROUP),
            topic: Text::plain(&self.topic),
            queue_id: backlog.queue,
            queue_offset: backlog.next,
            max_msg_nums: self.batch,
            sys_flag: pull::SUBSCRIPTION,
            subscription: Some(Text::plain("*")),
            expression_type: Some(Text::plain(subscription::TAG)),
            ..PullMessageRequest::default()
        };
        backlog.next += i64::from(self.batch);
        if backlog.next >= backlog.max {
            backlog.next = backlog.min;
        }
        let head = Head { code: RequestCode::PullMessage.code(), opaque, flag: Flag(0), remark: None };
        encode_frame(out, &head, Some(&header), 0);
    }

    fn count(&self, answer: &Command<'_>) -> (u64, u64) {
        let (mut messages, mut rest) = (0, answer.body);
        while let Some(size) = peek::total_size(rest).and_then(|size| usize::try_from(size).ok()).filter(|size| *size > 0)
            && let Some(after) = rest.get(size..)
        {
            messages += 1;
            rest = after;
        }
        (messages, answer.body.len() as u64)
    }
}
