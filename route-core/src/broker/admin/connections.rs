//! Who is connected, and who consumes what.

use std::collections::BTreeSet;

use proto_core::{
    Command,
    bodies::{Connection, ConsumerConnection, GroupList, ProducerConnection, SubscriptionData, TopicList},
    code::ResponseCode,
    headers::{
        GetConsumerConnectionListRequest, GetProducerConnectionListRequest, QueryTopicConsumeByWhoRequest, QueryTopicsByConsumerRequest,
    },
};
use serde::Serialize;

use super::{Answer, Handled, header};
use crate::{
    broker::{Broker, members::Group, refusal::Refusal},
    storage::Storage,
};

/// The answer to `QUERY_SUBSCRIPTION_BY_CONSUMER`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct QuerySubscriptionResponseBody<'a> {
    group: &'a str,
    subscription_data: Option<&'a SubscriptionData>,
    topic: &'a str,
}

fn connections(group: &Group) -> Vec<Connection> {
    let connection = |member: &crate::broker::members::Member| Connection {
        client_addr: member.addr.to_string(),
        client_id: member.client_id.to_string(),
        language: member.language,
        version: member.version,
    };
    group.values().map(connection).collect()
}

impl<S: Storage> Broker<S> {
    /// 203: the consumers of a group and what they subscribe to.
    pub(super) fn consumer_connections(&self, command: &Command<'_>) -> Handled {
        let request: GetConsumerConnectionListRequest<'_> = header(command)?;
        let name = request.consumer_group.to_cow();
        let (Some(group), Some(members)) = (self.consumers.group(&name), self.consumers.members(&name)) else {
            return Err(Refusal::new(ResponseCode::ConsumerNotOnline, format!("the consumer group[{name}] not online")));
        };
        let subscription = |data: &SubscriptionData| (data.topic.clone(), data.clone());
        Answer::body(&ConsumerConnection {
            connection_set: connections(members),
            consume_from_where: Some(group.consume_from_where()),
            consume_type: Some(group.consume_type()),
            message_model: Some(group.message_model()),
            subscription_table: group.subscriptions().map(|known| subscription(known.data())).collect(),
        })
    }

    /// 204: the producers of a group.
    pub(super) fn producer_connections(&self, command: &Command<'_>) -> Handled {
        let request: GetProducerConnectionListRequest<'_> = header(command)?;
        let name = request.producer_group.to_cow();
        let Some(members) = self.producers.group(&name) else {
            return Err(Refusal::system(format!("the producer group[{name}] not exist")));
        };
        Answer::body(&ProducerConnection { connection_set: connections(members) })
    }

    /// 300: the groups that subscribe to a topic or have offsets in it.
    pub(super) fn groups_of_topic(&self, command: &Command<'_>) -> Handled {
        let request: QueryTopicConsumeByWhoRequest<'_> = header(command)?;
        let topic = request.topic.to_cow();
        let groups: BTreeSet<_> = self.consumers.groups_of(&topic).chain(self.offsets.groups_of(&topic)).collect();
        Answer::body(&GroupList { group_list: groups.into_iter().map(str::to_owned).collect() })
    }

    /// 343: the topics in which a group has offsets.
    pub(super) fn topics_of_group(&self, command: &Command<'_>) -> Handled {
        let request: QueryTopicsByConsumerRequest<'_> = header(command)?;
        let topics = self.offsets.topics_of(&request.group.to_cow()).map(str::to_owned).collect();
        Answer::body(&TopicList { broker_addr: Some(self.config.address.to_string()), topic_list: topics })
    }

    /// 345: what a group wants of a topic.
    pub(super) fn subscription_of_group(&self, command: &Command<'_>) -> Handled {
        let text = |name| command.ext.get(name).map(|text| text.to_cow()).unwrap_or_default();
        let (group, topic) = (text("group"), text("topic"));
        let subscription = self.consumers.group(&group).and_then(|group| group.subscription(&topic));
        Answer::body(&QuerySubscriptionResponseBody {
            group: &group,
            subscription_data: subscription.map(|known| known.data()),
            topic: &topic,
        })
    }
}
