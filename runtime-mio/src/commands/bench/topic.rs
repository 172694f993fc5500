//! The topic of a benchmark: made if it is not there, and left as it is if it is.

use proto_core::{
    Text,
    bodies::TopicConfigAndQueueMapping,
    code::{RequestCode, ResponseCode},
    headers::{CreateTopicRequest, GetTopicConfigRequest},
    json,
    names::AUTO_CREATE_TOPIC,
    perm,
};

use crate::client::{ClientError, Connection};

/// Returns how many queues may be used: `queues`, or as many as the topic has if those are fewer.
pub(super) fn ensure(connection: &mut Connection, topic: &str, queues: i32) -> Result<i32, ClientError> {
    let request = RequestCode::GetTopicConfig;
    let header = GetTopicConfigRequest { topic: Text::plain(topic), lo: None };
    let found: Result<TopicConfigAndQueueMapping, _> = connection
        .call(request, &header, b"", |answer| json::from_slice(answer.body).map_err(|source| ClientError::Body { request, source }));
    match found {
        Ok(found) => Ok(queues.min(found.write_queue_nums).max(1)),
        Err(ClientError::Refused { code, .. }) if code == ResponseCode::TopicNotExist.code() => {
            let header = CreateTopicRequest {
                topic: Text::plain(topic),
                default_topic: Text::plain(AUTO_CREATE_TOPIC),
                read_queue_nums: queues,
                write_queue_nums: queues,
                perm: perm::READ | perm::WRITE,
                topic_filter_type: Text::plain("SINGLE_TAG"),
                ..CreateTopicRequest::default()
            };
            connection.call(RequestCode::UpdateAndCreateTopic, &header, b"", |_| Ok(queues))
        }
        Err(error) => Err(error),
    }
}
