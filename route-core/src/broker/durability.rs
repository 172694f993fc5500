//! Who is told that a message is stored, and when: after the log has it for certain.

use proto_core::code::ResponseCode;

use super::{Asked, Broker};
use crate::{
    output::{NoticeLevel, Output, ParkedReply, Reply, ReplyHeader},
    storage::{LogOffset, Storage},
    time::Now,
};

impl<S: Storage> Broker<S> {
    /// The log is on disk up to here.
    pub fn handle_durable(&mut self, now: Now, up_to: LogOffset) {
        self.begin(now);
        self.storage.set_durable(up_to);
        while let Some(parked) = self.parked.pop_durable(up_to) {
            self.durable_answers.push_back(parked.into());
        }
    }

    /// The disk has refused a flush, or the log itself: nothing more becomes durable. Whoever waits is told that its message is stored but not
    /// on disk (`FLUSH_DISK_TIMEOUT`, never success); storage takes no further writes.
    pub fn handle_flush_failed(&mut self, now: Now, why: &str) {
        self.begin(now);
        self.notice(NoticeLevel::Error, format!("the log cannot be brought to disk, the store takes no more writes: {why}"));
        while let Some(parked) = self.parked.pop_any() {
            self.answer_unflushed(parked);
        }
    }

    /// Answers when the log is durable up to `until`.
    pub(super) fn park(&mut self, now: Now, asked: Asked, until: LogOffset, reply: Reply) {
        if asked.oneway || until <= self.storage.durable() {
            return self.reply(asked, reply);
        }
        let deadline = now.mono + self.config.sync_flush_timeout;
        self.parked.park(until, deadline, ParkedReply { to: asked.peer.id, opaque: asked.opaque, reply });
    }

    /// Has all that was appended outlive the process, before anybody is told of it. If that fails, none of the answers that wait may say that
    /// something was done: a send is refused so that its producer tries another broker. Questions to clients go out all the same; what they
    /// answer is refused like all else. Answers whether the log took everything, now and before.
    pub(super) fn commit_log(&mut self) -> bool {
        let Err(error) = self.storage.commit() else { return !self.commit_failed };
        self.commit_failed = true;
        for output in &mut self.outputs {
            if let Output::Reply { reply, .. } = output
                && reply.code == ResponseCode::Success
            {
                let code = match reply.header {
                    ReplyHeader::Send(_) => ResponseCode::ServiceNotAvailable,
                    _ => ResponseCode::SystemError,
                };
                *reply = Reply::error(code, error.to_string());
            }
        }
        false
    }

    pub(super) fn answer_unflushed(&mut self, parked: ParkedReply) {
        let reply = Reply { code: ResponseCode::FlushDiskTimeout, ..parked.reply };
        self.outputs.push_back(ParkedReply { reply, ..parked }.into());
    }
}
