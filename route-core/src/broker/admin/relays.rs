//! What operators ask of clients through the broker: what they say of themselves, how far they are, and to handle a message now.

use std::borrow::Cow;

use bytes::Bytes;
use proto_core::{
    Command,
    code::RequestCode,
    headers::{ConsumeMessageDirectlyRequest, GetConsumerRunningInfoRequest, GetConsumerStatusRequest},
    ids::OffsetMessageId,
    record::RecordView,
};

use super::{Answer, Handled, header};
use crate::{
    broker::{Asked, Broker, refusal::Refusal, relay::Relay},
    output::{PeerId, Request},
    storage::{LogOffset, Storage},
    time::Now,
};

/// Clients from this release on (`V3_1_8_SNAPSHOT`) answer 307 and 309.
const FIRST_VERSION: i32 = 62;

/// Clients from this release on (`V3_0_7_SNAPSHOT`) answer 221.
const FIRST_VERSION_OF_STATUS: i32 = 28;

type Fields = Vec<(&'static str, Cow<'static, str>)>;

impl<S: Storage> Broker<S> {
    /// 307: what a consumer says of itself.
    pub(super) fn consumer_running_info(&mut self, now: Now, asked: Asked, command: &Command<'_>) -> Handled {
        let request: GetConsumerRunningInfoRequest<'_> = header(command)?;
        let (group, client) = (request.consumer_group.to_cow(), request.client_id.to_cow());
        let fields = vec![
            ("consumerGroup", group.to_string().into()),
            ("clientId", client.to_string().into()),
            ("jstackEnable", request.jstack_enable.to_string().into()),
        ];
        let request = Self::question(RequestCode::GetConsumerRunningInfo, fields, Bytes::copy_from_slice(command.body));
        self.ask_member(now, asked, &group, &client, request)
    }

    /// 309: a consumer handles a stored message now and says what came of it. This is how dead letters are sent again.
    pub(super) fn consume_message_directly(&mut self, now: Now, asked: Asked, command: &Command<'_>) -> Handled {
        let request: ConsumeMessageDirectlyRequest<'_> = header(command)?;
        let text = |text: Option<proto_core::Text<'_>>| text.map(|text| text.to_cow().into_owned()).unwrap_or_default();
        let (group, client, id, topic) =
            (request.consumer_group.to_cow(), text(request.client_id), text(request.msg_id), text(request.topic));
        let place = OffsetMessageId::parse(&id).map_err(|error| Refusal::system(format!("{id:?} names no message: {error}")))?.offset;
        // What looks like a record inside of another message's body does not know where it lies.
        let record = self.storage.record(LogOffset(place)).and_then(|record| RecordView::parse(record).ok());
        let Some(record) = record.filter(|record| record.physical_offset() == place) else {
            return Err(Refusal::system(format!("can not find message by the offset, {place}")));
        };
        let body = Bytes::copy_from_slice(record.bytes());
        let mut fields: Fields = vec![
            ("consumerGroup", group.to_string().into()),
            ("clientId", client.clone().into()),
            ("msgId", id.into()),
            ("brokerName", self.config.name.to_string().into()),
        ];
        if let Some(config) = self.groups.get(&group) {
            fields.push(("groupSysFlag", config.group_sys_flag.to_string().into()));
        }
        if let Some(entry) = self.topics.get(&topic) {
            fields.push(("topicSysFlag", entry.config().topic_sys_flag.to_string().into()));
        }
        if !topic.is_empty() {
            fields.push(("topic", topic.into()));
        }
        let request = Self::question(RequestCode::ConsumeMessageDirectly, fields, body);
        self.ask_member(now, asked, &group, &client, request)
    }

    /// 223: how far the members of a group say that they are in a topic, which may be further than what they have committed.
    pub(super) fn consumer_status(&mut self, now: Now, asked: Asked, command: &Command<'_>) -> Handled {
        let request: GetConsumerStatusRequest<'_> = header(command)?;
        let (topic, group) = (request.topic.to_cow(), request.group.to_cow());
        let only = request.client_addr.map(|text| text.to_cow()).filter(|client| !client.trim().is_empty());
        let mut members: Vec<(PeerId, Box<str>)> = Vec::new();
        for (peer, member) in self.consumers.members(&group).into_iter().flatten() {
            if member.version < FIRST_VERSION_OF_STATUS {
                return Err(Refusal::system(format!("the client does not support this feature. version={}", member.version)));
            }
            if only.as_ref().is_none_or(|only| **only == *member.client_id) {
                members.push((*peer, (*member.client_id).into()));
            }
        }
        if members.is_empty() {
            return Err(Refusal::system(format!("No Any Consumer online in the consumer group: [{group}]")));
        }
        self.room_for_questions(members.len())?;
        let round = self.status_rounds.begin(asked, members.len());
        for (peer, client) in members {
            let fields = vec![("topic", topic.to_string().into()), ("group", group.to_string().into())];
            let request = Self::question(RequestCode::GetConsumerStatusFromClient, fields, Bytes::new());
            self.ask_client(now, peer, request, Relay::Status { round, client });
        }
        Ok(Answer::FromClient)
    }

    fn question(code: RequestCode, fields: Fields, body: Bytes) -> Request {
        Request { code, oneway: false, fields: Some(fields), body }
    }

    /// Puts a question to one member of a group; its answer is the answer.
    fn ask_member(&mut self, now: Now, asked: Asked, group: &str, client: &str, request: Request) -> Handled {
        // A client that has reconnected is spoken to where it was heard of last.
        let member =
            self.consumers.members(group).and_then(|members| members.iter().rev().find(|(_, member)| *member.client_id == *client));
        let Some((&peer, member)) = member else {
            return Err(Refusal::system(format!("The Consumer <{group}> <{client}> not online")));
        };
        if member.version < FIRST_VERSION {
            let version = member.version;
            return Err(Refusal::system(format!(
                "The Consumer <{client}> Version <{version}> too low to finish, please upgrade it to V3_1_8_SNAPSHOT"
            )));
        }
        self.room_for_questions(1)?;
        self.ask_client(now, peer, request, Relay::Forward { asked, whom: format!("<{group}> <{client}>").into() });
        Ok(Answer::FromClient)
    }
}
