//! Clients come, stay and go.

use proto_core::{
    Command,
    bodies::{
        CheckClientRequestBody, ConsumeFromWhere, ConsumeType, ConsumerData, GetConsumerListByGroupResponseBody, HeartbeatData,
        MessageModel,
    },
    code::ResponseCode,
    headers::{GetConsumerListByGroupRequest, UnregisterClientRequest},
    names,
    subscription::WASM,
    sys_flag::topic as topic_flag,
};

use super::{Answer, Handled, body, header};
use crate::{
    broker::{Asked, Broker, consumers::Registration, members::Client, pull_filter::not_supported, refusal::Refusal, topics::NewTopic},
    output::{Reply, ReplyBody, ReplyHeader},
    storage::Storage,
    time::Now,
};

impl<S: Storage> Broker<S> {
    /// 34: all groups of a client. Groups that do not exist and may not be made are left out, as in Java; too many at once are refused.
    pub(super) fn heartbeat(&mut self, now: Now, asked: Asked, command: &Command<'_>) -> Handled {
        let HeartbeatData { client_id, consumer_data_set, heartbeat_fingerprint, producer_data_set, without_sub } = body(command)?;
        let (named, limit) = (consumer_data_set.len() + producer_data_set.len(), self.config.limits.heartbeat_groups);
        if named > limit {
            return Err(Refusal::system(format!(
                "a heartbeat of {named} groups is beyond the limit of {limit}: share them among several clients"
            )));
        }
        let client = Client { id: &client_id, language: command.language, version: command.version };
        let mut resend = heartbeat_fingerprint == 0;
        for consumer in consumer_data_set {
            resend |= self.register_consumer(now, asked, client, consumer, heartbeat_fingerprint, without_sub)?;
        }
        for producer in producer_data_set {
            let registered = self.producers.register(now, &producer.group_name, asked.peer, client);
            registered.map_err(|error| Refusal::system(error.to_string()))?;
        }
        let fields = vec![("IS_SUPPORT_HEART_BEAT_V2", "true".into()), ("IS_SUB_CHANGE", if resend { "true" } else { "false" }.into())];
        Ok(Answer::Now(Reply { header: ReplyHeader::Fields(fields), ..Reply::ok() }))
    }

    /// One group of a heartbeat; tells whether the client is to send its subscriptions in full.
    fn register_consumer(
        &mut self,
        now: Now,
        asked: Asked,
        client: Client<'_>,
        consumer: ConsumerData,
        fingerprint: i32,
        without_sub: bool,
    ) -> Result<bool, Refusal> {
        let group = consumer.group_name.as_str();
        let Some(config) = self.groups.as_used(group) else { return Ok(false) };
        let notify = self.config.notify_consumer_ids_changed && config.notify_consumer_ids_changed_enable;
        let queue_nums = config.retry_queue_nums;
        let is_ordered = |topic: &str| self.topics.get(topic).is_some_and(|entry| entry.config().order);
        let order = consumer.subscription_data_set.iter().any(|data| is_ordered(&data.topic));
        let filtered: Vec<_> = consumer.subscription_data_set.iter().filter(|data| !data.is_tag_type()).cloned().collect();
        let registration = Registration {
            group,
            consume_type: consumer.consume_type.unwrap_or(ConsumeType::ConsumePassively),
            message_model: consumer.message_model.unwrap_or(MessageModel::Clustering),
            consume_from_where: consumer.consume_from_where.unwrap_or(ConsumeFromWhere::ConsumeFromLastOffset),
            subscriptions: (!without_sub).then_some(consumer.subscription_data_set),
            fingerprint,
            notify,
        };
        // For who is refused neither a topic nor a group is made.
        self.consumers.check(asked.peer.id, client, &registration).map_err(|error| Refusal::system(error.to_string()))?;
        let retry_topic = names::retry_topic(group);
        // A heartbeat that leaves subscriptions out says nothing about the order of its topics. A group whose name is too long for a retry
        // topic has none; it hears of that when it sends a message back.
        if queue_nums > 0 && names::validate_topic(&retry_topic).is_ok() && !(without_sub && self.topics.get(&retry_topic).is_some()) {
            let new = NewTopic { order, ..NewTopic::plain(queue_nums, topic_flag::build(false, consumer.unit_mode)) };
            let opened = self.topics.open(now.wall, &retry_topic, new);
            opened.map_err(|error| Refusal::system(error.to_string()))?;
        }
        self.groups.find_or_create(now.wall, group);
        let registered = self.consumers.register(now, asked.peer, client, registration);
        let registered = registered.map_err(|error| Refusal::system(error.to_string()))?;
        if !without_sub {
            for (topic, error) in self.filters.register(now.wall, group, &filtered) {
                self.notice_unusable_filter(group, &topic, &error);
            }
        }
        Ok(registered.resend_subscriptions)
    }

    /// 35: the connection that asks leaves these groups.
    pub(super) fn unregister_client(&mut self, asked: Asked, command: &Command<'_>) -> Handled {
        let request: UnregisterClientRequest<'_> = header(command)?;
        if let Some(group) = request.producer_group {
            self.producers.unregister(&group.to_cow(), asked.peer.id);
        }
        if let Some(group) = request.consumer_group {
            self.consumers.unregister(&group.to_cow(), asked.peer.id);
        }
        Ok(Answer::Now(Reply { header: ReplyHeader::Empty, ..Reply::ok() }))
    }

    /// 38: the clients that share a group's queues.
    pub(super) fn consumer_list_by_group(&self, command: &Command<'_>) -> Handled {
        let request: GetConsumerListByGroupRequest<'_> = header(command)?;
        let group = request.consumer_group.to_cow();
        let consumer_id_list: Vec<_> = self.consumers.client_ids(&group).iter().map(ToString::to_string).collect();
        if consumer_id_list.is_empty() {
            return Err(Refusal::system(format!("no consumer for this group, {group}")));
        }
        let body = ReplyBody::Bytes(super::encode(&GetConsumerListByGroupResponseBody { consumer_id_list }));
        Ok(Answer::Now(Reply { header: ReplyHeader::Empty, body, ..Reply::ok() }))
    }

    /// 46: may a consumer with this subscription start?
    pub(super) fn check_client_config(&mut self, command: &Command<'_>) -> Handled {
        if command.body.is_empty() {
            return Answer::ok();
        }
        let request: CheckClientRequestBody = body(command)?;
        let Some(data) = request.subscription_data.filter(|data| !data.is_tag_type()) else { return Answer::ok() };
        let kind = data.expression_type.as_deref().unwrap_or_default();
        if kind != WASM && !self.config.property_filter {
            return Err(not_supported(kind));
        }
        let (compiled, fresh) = self.filters.compile(kind, data.sub_string.as_deref().unwrap_or_default());
        let Err(error) = compiled else { return Answer::ok() };
        if fresh {
            self.notice_unusable_filter(&request.group, &data.topic, &error);
        }
        Err(Refusal::new(ResponseCode::SubscriptionParseFailed, error.to_string()))
    }
}
