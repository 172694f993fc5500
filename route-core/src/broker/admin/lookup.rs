//! Stored messages by the place in their id, by their keys and by their tag.

use proto_core::{
    Command,
    code::ResponseCode,
    headers::{QueryMessageRequest, ViewMessageRequest},
    record::RecordView,
};

use super::{Answer, Handled, header};
use crate::{
    broker::{Broker, refusal::Refusal},
    output::{Reply, ReplyBody, ReplyHeader},
    storage::{
        LogOffset, LogRange, Storage,
        keys::{Found, KeyKind, KeyQuery, QueryTicket, Search},
    },
    time::{Now, Timestamp},
};

impl<S: Storage> Broker<S> {
    /// 33: the stored message that begins at a place of the log.
    pub(super) fn view_message_by_id(&mut self, command: &Command<'_>) -> Handled {
        let request: ViewMessageRequest<'_> = header(command)?;
        let offset = LogOffset(request.offset);
        // What looks like a record inside of another message's body does not know where it lies.
        let record = self.storage.record(offset).and_then(|record| RecordView::parse(record).ok());
        let Some(record) = record.filter(|record| record.physical_offset() == offset.0) else {
            return Err(Refusal::system(format!("can not find message by the offset, {}", offset.0)));
        };
        // The size is a positive i32 on disk.
        let len = u32::try_from(record.total_size()).unwrap_or(u32::MAX);
        let mut ranges = self.spare_ranges.pop().unwrap_or_default();
        ranges.push(LogRange { offset, len });
        Ok(Answer::Now(Reply { body: ReplyBody::Records(ranges), ..Reply::ok() }))
    }

    /// 12: the newest messages of a key, in the order in which they were stored.
    pub(super) fn query_message(&mut self, command: &Command<'_>) -> Handled {
        let request: QueryMessageRequest<'_> = header(command)?;
        let wanted =
            if request.unique_key_query { self.config.default_query_max_num } else { usize::try_from(request.max_num).unwrap_or(0) };
        let by_tag = request.index_type.is_some_and(|text| &*text.to_cow() == INDEX_OF_TAGS);
        let query = KeyQuery {
            topic: request.topic.to_cow().into(),
            key: request.key.to_cow().into(),
            kind: if by_tag { KeyKind::Tag } else { KeyKind::Key },
            max: wanted.min(self.config.max_msgs_num_batch),
            begin: Timestamp(request.begin_timestamp),
            end: Timestamp(request.end_timestamp),
        };
        match self.storage.search_by_key(query) {
            Search::Done(found) => Ok(Answer::Now(reply_of(found))),
            Search::Later(ticket) => Ok(Answer::AfterSearch(ticket)),
            Search::Busy => Err(Refusal::new(ResponseCode::SystemBusy, "too many queries are under way, ask again later")),
        }
    }

    /// A look-up that storage took up has come to its end, or could not be done.
    pub fn handle_found(&mut self, now: Now, ticket: QueryTicket, found: Result<Found, String>) {
        self.begin(now);
        let Some(asked) = self.searches.shift_remove(&ticket) else { return };
        let reply = match found {
            Ok(found) => reply_of(found),
            Err(why) => Refusal::system(why).into(),
        };
        self.reply(asked, reply);
    }
}

/// `indexType` of a look-up by tag; any other is by key.
const INDEX_OF_TAGS: &str = "T";

/// The remark of an answer that may lack older messages.
const GIVEN_UP: &str = "the look-up was ended before it had seen the whole time range, as too many messages have keys like this one: ask for a \
                        shorter range";

fn reply_of(found: Found) -> Reply {
    let Found { ranges, last_timestamp, last_offset, given_up } = found;
    let header = ReplyHeader::Fields(vec![
        ("indexLastUpdateTimestamp", last_timestamp.0.to_string().into()),
        ("indexLastUpdatePhyoffset", last_offset.0.to_string().into()),
    ]);
    if ranges.is_empty() {
        let why = if given_up { GIVEN_UP } else { "can not find message, maybe time range not correct" };
        return Reply { header, ..Reply::error(ResponseCode::QueryNotFound, why) };
    }
    let remark = given_up.then(|| GIVEN_UP.into());
    Reply { header, remark, body: ReplyBody::Records(ranges), ..Reply::ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_may_lack_messages_says_so_with_messages_and_without() {
        let some = vec![LogRange { offset: LogOffset(0), len: 100 }];
        for (ranges, code) in [(some, ResponseCode::Success), (Vec::new(), ResponseCode::QueryNotFound)] {
            let whole = reply_of(Found { ranges: ranges.clone(), ..Found::default() });
            assert_ne!(whole.remark.as_deref(), Some(GIVEN_UP));
            let reply = reply_of(Found { ranges, given_up: true, ..Found::default() });
            assert_eq!((reply.code, reply.remark.as_deref()), (code, Some(GIVEN_UP)));
        }
    }
}
