//! A producer's word on its half message: `END_TRANSACTION`, and an operator's wish to have it asked again: `RESUME_CHECK_HALF_MESSAGE`.

use proto_core::{
    Command,
    code::ResponseCode,
    headers::{EndTransactionRequest, ResumeCheckHalfMessageRequest},
    ids::OffsetMessageId,
    names::{TRANS_CHECK_MAX_TIME_TOPIC, TRANS_HALF_TOPIC},
    properties::names as property,
    sys_flag::message as message_flag,
};

use super::{Answer, Handled, header};
use crate::{
    broker::{
        Broker,
        refusal::Refusal,
        transaction::{End, Half},
    },
    output::{NoticeLevel, Reply},
    storage::{LogOffset, Storage},
    time::{Now, Timestamp},
};

impl<S: Storage> Broker<S> {
    /// 37: commit or roll back. "Not decided yet" is answered with nothing at all.
    pub(super) fn end_transaction(&mut self, now: Now, command: &Command<'_>) -> Handled {
        let request: EndTransactionRequest<'_> = header(command)?;
        if command.ext.get("commitOrRollback").is_none() {
            return Err(Refusal::system("the custom field <commitOrRollback> is null"));
        }
        let end = match request.commit_or_rollback {
            message_flag::TRANSACTION_NOT => return Ok(Answer::Nothing),
            message_flag::TRANSACTION_COMMIT => End::Committed,
            message_flag::TRANSACTION_ROLLBACK => End::RolledBack,
            _ => return Err(Refusal::system("commitOrRollback field wrong")),
        };
        // The record lies in the log that the message is appended to.
        let mut record = std::mem::take(&mut self.record);
        record.clear();
        record.extend_from_slice(self.storage.record(LogOffset(request.commit_log_offset)).unwrap_or_default());
        let ended = match Half::read(&record, LogOffset(request.commit_log_offset)) {
            Ok(half) => self.decide(now, &request, &half, end),
            Err(_) => Err(not_found()),
        };
        self.record = record;
        if let Err(refusal) = &ended
            && self.words_refused.allows(now.mono)
        {
            // Producers do not wait for an answer, so that nobody else hears of it.
            let (group, place) = (request.producer_group.to_cow(), request.commit_log_offset);
            let why = if refusal.remark.is_empty() {
                "it came after the time that the producer asked not to be asked for"
            } else {
                &refusal.remark
            };
            let text = format!("the word of group {group} on the half message at {place} of the log counts for nothing: {why}");
            self.notice(NoticeLevel::Warn, text);
        }
        ended
    }

    /// 323: a half message that was put aside becomes an undecided transaction again, about which nobody has been asked yet.
    pub(super) fn resume_check(&mut self, now: Now, command: &Command<'_>) -> Handled {
        let request: ResumeCheckHalfMessageRequest<'_> = header(command)?;
        let id = OffsetMessageId::parse(&request.msg_id.to_cow()).map_err(|error| Refusal::system(error.to_string()))?;
        let mut record = std::mem::take(&mut self.record);
        record.clear();
        record.extend_from_slice(self.storage.record(LogOffset(id.offset)).unwrap_or_default());
        let appended = Half::read_aside(&record, LogOffset(id.offset)).ok().filter(is_put_aside).and_then(|half| {
            self.properties.start(half.record().properties());
            self.properties.put_number(property::TRANSACTION_CHECK_TIMES, 0);
            self.append_copy(now, &half, TRANS_HALF_TOPIC).ok()
        });
        self.record = record;
        let appended = appended.ok_or_else(|| Refusal::system(format!("Put message back to {TRANS_HALF_TOPIC} failed.")))?;
        self.begin_transaction(now, &appended);
        Ok(Answer::AfterAppend(appended.end, Reply::ok()))
    }

    fn decide(&mut self, now: Now, request: &EndTransactionRequest<'_>, half: &Half<'_>, end: End) -> Handled {
        let record = half.record();
        if let Some(immunity) = half.immunity()
            && !request.from_transaction_check
            && now.wall - Timestamp(record.born_timestamp()) > immunity.max(self.config.transaction_timeout)
        {
            // By now the producer is being asked, and its answer counts.
            return Err(Refusal::new(ResponseCode::IllegalOperation, ""));
        }
        if half.group() != Some(&*request.producer_group.to_cow()) {
            return Err(Refusal::system("The producer group wrong"));
        }
        if record.queue_offset() != request.tran_state_table_offset {
            return Err(Refusal::system("The transaction state table offset wrong"));
        }
        let Some(newest) = self.transactions.newest(record.queue_offset()) else { return Err(not_found()) };
        if end == End::Committed {
            if newest.place.0 == request.commit_log_offset {
                self.append_committed(now, half, newest.place)?;
            } else {
                // The word is on an older copy; the newest one knows how often its producers were asked.
                let record = self.storage.record(newest.place).unwrap_or_default().to_vec();
                let half = Half::read(&record, newest.place).map_err(|_| not_found())?;
                self.append_committed(now, &half, newest.place)?;
            }
        }
        self.forget_transaction(now, newest.half, end);
        Ok(match self.write_notes(now) {
            Some(note) => Answer::AfterAppend(note.end, Reply::ok()),
            None => Answer::Now(Reply::ok()),
        })
    }
}

/// Whether the broker has put it aside, and not some client a message that looks alike.
fn is_put_aside(half: &Half<'_>) -> bool {
    half.record().topic() == TRANS_CHECK_MAX_TIME_TOPIC
}

/// No half message lies there that waits for a word.
fn not_found() -> Refusal {
    Refusal::system("Find prepared transaction message failed")
}
