//! The rare requests: membership, offsets, locks, topics, groups and what operators ask for.
//!
//! Each handler checks, asks the machines that know, and says when its answer may leave. Codes and texts are Java's, as recorded.

use std::borrow::Cow;

use bytes::Bytes;
use proto_core::{
    Command,
    bodies::DataVersion,
    code::RequestCode,
    headers::DecodeExt,
    json::{self, Dialect},
};
use serde::{Serialize, de::DeserializeOwned};

use super::{Asked, Broker, config::FlushMode, refusal::Refusal};
use crate::{
    output::{Reply, ReplyBody, ReplyHeader, Table},
    storage::{LogOffset, Storage, keys::QueryTicket},
    time::Now,
};

mod assignments;
mod cleaning;
mod connections;
mod consumer_offsets;
mod end_transaction;
mod group_configs;
mod inspection;
mod lookup;
mod membership;
pub mod plugins;
mod queue_locks;
mod queue_offsets;
mod recall;
mod relays;
mod replies;
mod reset_offset;
mod runtime_info;
mod send_back;
mod settings;
mod statistics;
mod topic_configs;

/// An answer, and what it waits for.
#[derive(Debug)]
enum Answer {
    /// It may leave at once.
    Now(Reply),
    /// It promises that these tables are on disk.
    AfterSaves(&'static [Table], Reply),
    /// It promises what the broker promises of every message, for one that ends here in the log.
    AfterAppend(LogOffset, Reply),
    /// It is what storage finds.
    AfterSearch(QueryTicket),
    /// It is made of what clients or a name server answer that have been asked.
    FromClient,
    /// It is what comes of a change of settings or plugins.
    WhenChanged,
    /// Nothing is answered, even to who waits.
    Nothing,
}

type Handled = Result<Answer, Refusal>;

impl<S: Storage> Broker<S> {
    /// Everything but sends and pulls. What is not served answers "request code not supported".
    pub(super) fn handle_rare(&mut self, now: Now, asked: Asked, code: RequestCode, command: &Command<'_>) {
        let handled = match code {
            RequestCode::QueryConsumerOffset => self.query_consumer_offset(command),
            RequestCode::UpdateConsumerOffset => self.update_consumer_offset(now, command),
            RequestCode::SearchOffsetByTimestamp => self.search_offset_by_timestamp(command),
            RequestCode::GetMaxOffset => self.max_offset(command),
            RequestCode::GetMinOffset => self.min_offset(command),
            RequestCode::GetEarliestMsgStoretime => self.earliest_store_time(command),
            RequestCode::ViewMessageById => self.view_message_by_id(command),
            RequestCode::QueryMessage => self.query_message(command),
            RequestCode::InvokeBrokerToResetOffset => self.reset_offset(command),
            RequestCode::HeartBeat => self.heartbeat(now, asked, command),
            RequestCode::UnregisterClient => self.unregister_client(asked, command),
            RequestCode::CheckClientConfig => self.check_client_config(command),
            RequestCode::GetConsumerListByGroup => self.consumer_list_by_group(command),
            RequestCode::ConsumerSendMsgBack => self.send_message_back(now, command),
            RequestCode::RecallMessage => self.recall_message(now, asked, command),
            RequestCode::EndTransaction => self.end_transaction(now, command),
            RequestCode::ResumeCheckHalfMessage => self.resume_check(now, command),
            RequestCode::LockBatchMq => self.lock_queues(now, command),
            RequestCode::UnlockBatchMq => self.unlock_queues(command),
            RequestCode::UpdateAndCreateTopic => self.update_and_create_topic(now, command),
            RequestCode::UpdateAndCreateTopicList => self.update_and_create_topics(now, command),
            RequestCode::DeleteTopicInBroker => self.delete_topic(now, command),
            RequestCode::GetAllTopicConfig => self.all_topic_configs(command),
            RequestCode::GetTopicConfig => self.topic_config(command),
            RequestCode::UpdateAndCreateSubscriptiongroup => self.update_and_create_group(now, command),
            RequestCode::UpdateAndCreateSubscriptiongroupList => self.update_and_create_groups(now, command),
            RequestCode::DeleteSubscriptiongroup => self.delete_group(now, command),
            RequestCode::GetAllSubscriptiongroupConfig => self.all_group_configs(command),
            RequestCode::GetSubscriptiongroupConfig => self.group_config(now, command),
            RequestCode::UpdateAndGetGroupForbidden => self.group_forbidden(now, command),
            RequestCode::GetBrokerRuntimeInfo => self.runtime_info(now),
            RequestCode::UpdateBrokerConfig => Ok(self.update_settings(asked, command)),
            RequestCode::GetBrokerConfig => Ok(self.all_settings()),
            RequestCode::GetTopicStatsInfo => self.topic_stats(now, command),
            RequestCode::GetConsumeStats => self.consume_stats(now, command),
            RequestCode::GetConsumerConnectionList => self.consumer_connections(command),
            RequestCode::GetProducerConnectionList => self.producer_connections(command),
            RequestCode::GetAllConsumerOffset => self.all_consumer_offsets(),
            RequestCode::GetAllDelayOffset => self.all_delay_offsets(),
            RequestCode::QueryConsumeTimeSpan => self.consume_time_span(now, command),
            RequestCode::GetSystemTopicListFromBroker => self.system_topics(),
            RequestCode::GetBrokerConsumeStats => self.all_consume_stats(now, command),
            RequestCode::QueryConsumeQueue => self.consume_queue(command),
            RequestCode::ViewBrokerStatsData => self.stats_data(now, command),
            RequestCode::GetAllProducerInfo => self.all_producers(now),
            RequestCode::DeleteExpiredCommitlog => self.delete_expired_log(),
            RequestCode::CleanExpiredConsumequeue => self.delete_expired_queues(),
            RequestCode::CleanUnusedTopic => self.delete_unused_topics(),
            RequestCode::QueryTopicConsumeByWho => self.groups_of_topic(command),
            RequestCode::QueryTopicsByConsumer => self.topics_of_group(command),
            RequestCode::QuerySubscriptionByConsumer => self.subscription_of_group(command),
            RequestCode::QueryCorrectionOffset => self.correction_offsets(command),
            RequestCode::CloneGroupOffset => self.clone_group_offset(now, command),
            RequestCode::GetConsumerRunningInfo => self.consumer_running_info(now, asked, command),
            RequestCode::ConsumeMessageDirectly => self.consume_message_directly(now, asked, command),
            RequestCode::InvokeBrokerToGetConsumerStatus => self.consumer_status(now, asked, command),
            RequestCode::SendReplyMessage | RequestCode::SendReplyMessageV2 => self.reply_message(now, asked, command),
            RequestCode::PetrelListPlugins => self.list_plugins(),
            RequestCode::PetrelBindPlugin => self.bind_plugin(asked, command),
            RequestCode::PetrelInstallPlugin => self.install_plugin(asked, command),
            RequestCode::PetrelSwitchPlugin => self.switch_plugin(asked, command),
            RequestCode::PetrelRemovePlugin => self.remove_plugin(asked, command),
            RequestCode::QueryAssignment => self.query_assignment(now, asked, command),
            RequestCode::SetMessageRequestMode => self.set_message_request_mode(now, command),
            RequestCode::GetAllMessageRequestMode => self.message_request_modes(),
            _ => Ok(Answer::Now(Reply::not_supported(code.code()))),
        };
        match handled {
            Ok(Answer::Now(reply)) => self.reply(asked, reply),
            Ok(Answer::AfterSaves(tables, reply)) => self.reply_after_saves(asked, tables, reply),
            Ok(Answer::AfterAppend(end, reply)) if self.config.flush_mode == FlushMode::Sync => self.park(now, asked, end, reply),
            Ok(Answer::AfterAppend(_, reply)) => self.reply(asked, reply),
            Ok(Answer::AfterSearch(ticket)) => drop(self.searches.insert(ticket, asked)),
            Ok(Answer::FromClient | Answer::WhenChanged | Answer::Nothing) => {}
            Err(refusal) => {
                // A word on a transaction that counts for nothing is told with the transaction.
                if code != RequestCode::EndTransaction {
                    self.note_refused(asked, code, &refusal);
                }
                let mut reply = Reply::from(refusal);
                if code == RequestCode::UpdateConsumerOffset {
                    // As Java: the fields are there, none of them set.
                    reply.header = ReplyHeader::Empty;
                }
                self.reply(asked, reply);
            }
        }
    }
}

impl Answer {
    /// A bare success.
    fn ok() -> Handled {
        Ok(Self::Now(Reply::ok()))
    }

    /// A bare success that promises these tables as they are now, whoever changed them.
    fn saved(tables: &'static [Table]) -> Handled {
        Ok(Self::AfterSaves(tables, Reply::ok()))
    }

    /// A success with a body.
    fn body(body: &impl Serialize) -> Handled {
        Ok(Self::Now(Reply::with_body(encode(body))))
    }

    /// A success with header fields and a body.
    fn fields_and_body(fields: Vec<(&'static str, Cow<'static, str>)>, body: &impl Serialize) -> Handled {
        let body = ReplyBody::Bytes(encode(body));
        Ok(Self::Now(Reply { header: ReplyHeader::Fields(fields), body, ..Reply::ok() }))
    }

    /// A success with an offset in the header.
    fn offset(offset: i64) -> Handled {
        Ok(Self::Now(Reply { header: ReplyHeader::Offset(offset), ..Reply::ok() }))
    }
}

/// The typed header of a request.
fn header<'a, H: DecodeExt<'a>>(command: &Command<'a>) -> Result<H, Refusal> {
    H::decode_ext(&command.ext).map_err(|error| Refusal::system(error.to_string()))
}

/// The JSON body of a request.
fn body<B: DeserializeOwned>(command: &Command<'_>) -> Result<B, Refusal> {
    json::from_slice(command.body).map_err(|error| Refusal::system(error.to_string()))
}

fn encode(body: &impl Serialize) -> Bytes {
    json::to_vec(body, Dialect::Default).into()
}

/// Entries of a page of a table, as 21 and 201 hand them out.
const PAGE_LIMIT: i32 = 2_000;

/// What a page is to hold: `None` asks for the whole table, as old clients do; else first index and number of entries of the table
/// sorted by name. A caller that has seen another version of the table starts anew.
fn page(seq: Option<i32>, version: Option<&str>, max: Option<i32>, current: &DataVersion) -> Option<(usize, usize)> {
    if seq.is_none() && version.is_none() && max.is_none() {
        return None;
    }
    let seen = version.and_then(|text| json::from_slice::<DataVersion>(text.as_bytes()).ok());
    let from = if seen.as_ref() == Some(current) { seq.unwrap_or(0) } else { 0 };
    let len = max.unwrap_or(PAGE_LIMIT).min(PAGE_LIMIT);
    Some((usize::try_from(from).unwrap_or(0), usize::try_from(len).unwrap_or(0)))
}

#[cfg(test)]
mod tests;
