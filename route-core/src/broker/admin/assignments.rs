//! Consumers that do not share out queues themselves ask the broker which are theirs.

use foldhash::fast::FixedState;
use indexmap::IndexMap;
use proto_core::{
    Command,
    bodies::{
        MessageModel, MessageQueue, MessageQueueAssignment, MessageRequestMode, QueryAssignmentRequestBody, QueryAssignmentResponseBody,
        SetMessageRequestModeRequestBody, TopicRouteData,
    },
    code::{LanguageCode, RequestCode, ResponseCode},
    json, names, perm,
};

use super::{Answer, Handled, body};
use crate::{
    allocate::{self, Average},
    broker::{
        Asked, Broker,
        known_routes::queues_of,
        members::{Group, Member},
        refusal::Refusal,
        relay::Relay,
    },
    filter::{QueueAllocator, QueueName},
    output::{NoticeLevel, Reply, Request, Table},
    plugins::{GroupClient, PluginAllocator, PluginRefusal, Share, name},
    storage::Storage,
    time::{Millis, Now},
};

/// How long a name server may take to tell a route; clients give this whole request no more than three seconds.
const PATIENCE: Millis = Millis(1_000);

impl<S: Storage> Broker<S> {
    /// 400: the queues of a topic that the client is to read. With a topic whose queues on other brokers are not known, or not any more, a
    /// name server is asked first.
    pub(super) fn query_assignment(&mut self, now: Now, asked: Asked, command: &Command<'_>) -> Handled {
        let request: QueryAssignmentRequestBody = body(command)?;
        if !self.routes.is_fresh(now.mono, &request.topic)
            && let Some(to) = self.registration.known_peer()
        {
            self.room_for_questions(1)?;
            let fields = Some(vec![("topic", request.topic.clone().into())]);
            let question = Request { code: RequestCode::GetRouteinfoByTopic, oneway: false, fields, body: bytes::Bytes::new() };
            self.ask_name_server(now, to, question, PATIENCE, Relay::Route { asked, request: Box::new(request) });
            return Ok(Answer::FromClient);
        }
        self.share_out(now, &request).map(Answer::Now)
    }

    /// A name server has told the route that a request waits for, or has not.
    pub(in crate::broker) fn finish_assignment(
        &mut self,
        now: Now,
        asked: Asked,
        request: &QueryAssignmentRequestBody,
        told: Option<&Command<'_>>,
    ) {
        if let Some(told) = told
            && told.code == ResponseCode::Success.code()
            && let Ok(route) = json::from_slice::<TopicRouteData>(told.body)
        {
            self.routes.handle_told(now.mono, &request.topic, &route.queue_datas);
        }
        let reply = self.share_out(now, request).unwrap_or_else(Into::into);
        self.reply(asked, reply);
    }

    fn share_out(&mut self, now: Now, request: &QueryAssignmentRequestBody) -> Result<Reply, Refusal> {
        let Some(queues) = self.queues_everywhere(&request.topic) else {
            // Left out, the queues of the client stay as they are.
            return Ok(answer(None));
        };
        if request.message_model == Some(MessageModel::Broadcasting) || !self.config.server_load_balancer {
            return Ok(answer(Some(queues)));
        }
        let mut clients = self.consumers.client_ids(&request.consumer_group);
        if clients.is_empty() {
            return Ok(answer(None));
        }
        clients.sort_unstable();
        let owners = self.owners(now, request, &queues, &clients)?;
        let own = clients.iter().position(|id| **id == *request.client_id);
        let shared = queues.into_iter().zip(owners).filter(|(_, owner)| own.is_some() && *owner == own);
        Ok(answer(Some(shared.map(|(queue, _)| queue).collect())))
    }

    /// The queues of a topic: here as this broker knows best, elsewhere as a name server has told. `None` if nobody knows the topic.
    fn queues_everywhere(&self, topic: &str) -> Option<Vec<MessageQueue>> {
        let told = self.routes.get(topic);
        let own = self.topics.get(topic).map(|entry| entry.config());
        if told.is_none() && own.is_none() {
            return None;
        }
        let elsewhere = told.unwrap_or_default().iter().filter(|(broker, _)| own.is_none() || **broker != *self.config.name);
        let mut brokers: Vec<_> = elsewhere.cloned().collect();
        if let Some(own) = own.filter(|own| perm::is_readable(own.perm & self.config.permission)) {
            brokers.push(((*self.config.name).into(), own.read_queue_nums));
        }
        Some(queues_of(topic, &brokers))
    }

    /// Who gets which queue, by the strategy that the request names.
    fn owners(
        &mut self,
        now: Now,
        request: &QueryAssignmentRequestBody,
        queues: &[MessageQueue],
        clients: &[std::sync::Arc<str>],
    ) -> Result<Vec<Option<usize>>, Refusal> {
        let queues: Vec<_> = queues
            .iter()
            .map(|queue| QueueName { topic: &queue.topic, broker_name: &queue.broker_name, queue_id: queue.queue_id })
            .collect();
        let ids: Vec<&str> = clients.iter().map(|id| &**id).collect();
        let bound = self.bindings.allocator(&request.consumer_group);
        let strategy = bound.or(request.strategy_name.as_deref()).unwrap_or(Average::NAME);
        if let Some(allocator) = allocate::by_name(strategy) {
            return Ok(allocator.allocate(&queues, &ids));
        }
        let (name, argument) = name::split_argument(strategy);
        let allocated = match self.plugins.allocator(name, argument) {
            Ok(allocator) => {
                let members = self.consumers.members(&request.consumer_group);
                ask_plugin(&*allocator, &request.consumer_group, &queues, &ids, members)
            }
            // What is bound is bound to all members, who all get the average then.
            Err(refusal) if bound.is_some() => Err(refusal),
            // A client that is refused shares out by itself, which is what its own strategy is for.
            Err(PluginRefusal::NotInstalled(_) | PluginRefusal::NoPlugins(_)) => {
                let remark = format!("neither a strategy nor a plugin is called '{strategy}' here: let the client share out queues itself");
                return Err(Refusal::system(remark));
            }
            Err(refusal) => return Err(Refusal::system(refusal.to_string())),
        };
        Ok(match allocated {
            Ok(owners) => owners.into_iter().map(Some).collect(),
            Err(failure) => {
                if self.allocator_failed.allows(now.mono) {
                    let (group, topic) = (&request.consumer_group, &request.topic);
                    let text = format!("group {group} shares topic {topic} by {} until this is mended: {failure}", Average::NAME);
                    self.notice(NoticeLevel::Warn, text);
                }
                Average.allocate(&queues, &ids)
            }
        })
    }

    /// 401: how a group is to read a topic. Pulls are all that this broker serves.
    pub(super) fn set_message_request_mode(&mut self, now: Now, command: &Command<'_>) -> Handled {
        let request: SetMessageRequestModeRequestBody = body(command)?;
        let (topic, group) = (&request.topic, &request.consumer_group);
        if names::is_retry(topic) {
            return Err(Refusal::new(ResponseCode::NoPermission, "retry topic is not allowed to set mode"));
        }
        if self.topics.get(topic).is_none() {
            return Err(Refusal::new(ResponseCode::TopicNotExist, format!("topic[{topic}] not exist")));
        }
        if self.groups.find_or_create(now.wall, group).is_none() {
            return Err(Refusal::new(ResponseCode::SubscriptionGroupNotExist, "subscription group does not exist"));
        }
        if request.mode != Some(MessageRequestMode::Pull) {
            let remark = "this broker serves no POP: only the message request mode PULL can be set";
            return Err(Refusal::new(ResponseCode::RequestCodeNotSupported, remark));
        }
        self.request_modes.set(request)?;
        Answer::saved(&[Table::RequestModes])
    }

    /// 402: what 401 has set.
    pub(super) fn message_request_modes(&self) -> Handled {
        Answer::body(self.request_modes.wrapper())
    }
}

/// Has a plugin share out queues; it is told what the heartbeats of the clients have told.
fn ask_plugin(
    allocator: &dyn PluginAllocator,
    group: &str,
    queues: &[QueueName<'_>],
    ids: &[&str],
    members: Option<&Group>,
) -> Result<Vec<usize>, PluginRefusal> {
    let texts = |member: &Member| {
        let language = member.language.map_or("", LanguageCode::name).to_owned();
        [("address", member.addr.to_string()), ("language", language), ("version", member.version.to_string())]
    };
    let mut by_id: IndexMap<&str, &Member, FixedState> = IndexMap::default();
    for member in members.into_iter().flat_map(Group::values) {
        by_id.entry(&member.client_id).or_insert(member);
    }
    let known: Vec<_> = ids.iter().map(|id| by_id.get(id).copied().map(texts)).collect();
    let properties: Vec<Vec<(&str, &str)>> =
        known.iter().map(|texts| texts.iter().flatten().map(|(name, value)| (*name, value.as_str())).collect()).collect();
    let clients: Vec<_> = ids.iter().zip(&properties).map(|(id, properties)| GroupClient { id, properties }).collect();
    allocator.allocate(&Share { group, queues, clients: &clients })
}

fn answer(queues: Option<Vec<MessageQueue>>) -> Reply {
    let assign = |message_queue| MessageQueueAssignment { attachments: None, message_queue, mode: Some(MessageRequestMode::Pull) };
    let message_queue_assignments = queues.map(|queues| queues.into_iter().map(assign).collect());
    Reply::with_body(super::encode(&QueryAssignmentResponseBody { message_queue_assignments }))
}
