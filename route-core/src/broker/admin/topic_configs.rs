//! Operators make, change, list and delete topics.

use proto_core::{
    Command,
    bodies::{CreateTopicListRequestBody, TopicConfig, TopicConfigAndMappingSerializeWrapper, TopicConfigAndQueueMapping, TopicFilterType},
    code::ResponseCode,
    headers::{CreateTopicRequest, DeleteTopicRequest, GetAllTopicConfigRequest, GetTopicConfigRequest},
};

use super::{Answer, Handled, body, header, page};
use crate::{
    broker::{Broker, attributes, refusal::Refusal},
    output::{Reply, Table},
    storage::Storage,
    time::Now,
};

impl<S: Storage> Broker<S> {
    /// 17: makes or changes a topic.
    pub(super) fn update_and_create_topic(&mut self, now: Now, command: &Command<'_>) -> Handled {
        let request: CreateTopicRequest<'_> = header(command)?;
        let filter_type = request.topic_filter_type.to_cow();
        let topic_filter_type = TopicFilterType::from_name(&filter_type)
            .ok_or_else(|| Refusal::system(format!("topicFilterType = [{filter_type}] value invalid")))?;
        let changes = request.attributes.map(|text| text.to_cow()).unwrap_or_default();
        let config = TopicConfig {
            attributes: attributes::parse(&changes).map_err(|error| Refusal::system(error.to_string()))?,
            order: request.order,
            perm: request.perm,
            read_queue_nums: request.read_queue_nums,
            topic_filter_type,
            topic_name: request.topic.to_cow().into_owned(),
            topic_sys_flag: request.topic_sys_flag.unwrap_or(0),
            write_queue_nums: request.write_queue_nums,
        };
        self.topics.create_or_update(now.wall, config)?;
        Answer::saved(&[Table::Topics])
    }

    /// 18: the same for several topics, up to the first that is refused. Java does nothing at all if one of them is as it is asked to
    /// be; here the others are made.
    pub(super) fn update_and_create_topics(&mut self, now: Now, command: &Command<'_>) -> Handled {
        let request: CreateTopicListRequestBody = body(command)?;
        for config in request.topic_config_list {
            self.topics.create_or_update(now.wall, config)?;
        }
        Answer::saved(&[Table::Topics])
    }

    /// 215: deletes a topic, its queues and the offsets in it. Its messages stay in the log until their file expires.
    pub(super) fn delete_topic(&mut self, now: Now, command: &Command<'_>) -> Handled {
        let request: DeleteTopicRequest<'_> = header(command)?;
        let topic = request.topic.to_cow();
        let deleted = self.topics.delete(now.wall, &topic)?;
        self.offsets.remove_topic(&topic);
        self.broadcast_offsets.remove_topic(&topic);
        self.save_offsets_now();
        self.storage.remove_topic(&topic);
        if let Some(entry) = &deleted {
            self.end_held(&topic, entry.open_queues());
        }
        Ok(Answer::AfterSaves(&[Table::Topics, Table::ConsumerOffsets], Reply::ok()))
    }

    /// 21: all topics, or a page of them.
    pub(super) fn all_topic_configs(&self, command: &Command<'_>) -> Handled {
        let request: GetAllTopicConfigRequest<'_> = header(command)?;
        let version = request.data_version.map(|text| text.to_cow());
        let mut configs: Vec<_> = self.topics.configs().collect();
        let total = configs.len();
        if let Some((from, len)) = page(request.topic_seq, version.as_deref(), request.max_topic_num, self.topics.version()) {
            configs.sort_unstable_by(|a, b| a.topic_name.cmp(&b.topic_name));
            configs = configs.into_iter().skip(from).take(len).collect();
        }
        let body = TopicConfigAndMappingSerializeWrapper {
            data_version: *self.topics.version(),
            topic_config_table: configs.into_iter().map(|config| (config.topic_name.clone(), config.clone())).collect(),
            ..TopicConfigAndMappingSerializeWrapper::default()
        };
        Answer::fields_and_body(vec![("totalTopicNum", total.to_string().into())], &body)
    }

    /// 351: one topic.
    pub(super) fn topic_config(&self, command: &Command<'_>) -> Handled {
        let request: GetTopicConfigRequest<'_> = header(command)?;
        let topic = request.topic.to_cow();
        let Some(entry) = self.topics.get(&topic) else {
            return Err(Refusal::new(ResponseCode::TopicNotExist, format!("No topic in this broker. topic: {topic}")));
        };
        Answer::body(&TopicConfigAndQueueMapping::from(entry.config().clone()))
    }
}
