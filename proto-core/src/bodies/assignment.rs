//! Which queues a consumer gets of its broker, and in which way it reads them.

use serde::{Deserialize, Serialize};

use super::{MessageModel, MessageQueue, Table, wire_enum::wire_enum};

wire_enum! {
    /// How a group reads its messages.
    MessageRequestMode {
        /// Members pull from queues of their own.
        Pull = "PULL",
        /// The broker hands out messages one by one, of any queue.
        Pop = "POP",
    }
}

/// The body of QUERY_ASSIGNMENT.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct QueryAssignmentRequestBody {
    /// Who asks.
    pub client_id: String,
    /// Its group.
    pub consumer_group: String,
    /// Shared or broadcast.
    #[serde(deserialize_with = "super::wire_enum::known")]
    pub message_model: Option<MessageModel>,
    /// How to share out; `null` is the broker's choice.
    pub strategy_name: Option<String>,
    /// What.
    pub topic: String,
}

/// A queue that a consumer gets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct MessageQueueAssignment {
    /// Nothing that any broker sends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attachments: Option<Table<String, String>>,
    /// The queue.
    pub message_queue: MessageQueue,
    /// How it is read.
    #[serde(deserialize_with = "super::wire_enum::known")]
    pub mode: Option<MessageRequestMode>,
}

/// The answer to QUERY_ASSIGNMENT.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct QueryAssignmentResponseBody {
    /// All queues of the consumer; left out, it keeps those that it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_queue_assignments: Option<Vec<MessageQueueAssignment>>,
}

/// The body of SET_MESSAGE_REQUEST_MODE, and an entry of [`MessageRequestModeSerializeWrapper`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SetMessageRequestModeRequestBody {
    /// The group.
    pub consumer_group: String,
    /// How it reads the topic.
    #[serde(deserialize_with = "super::wire_enum::known")]
    pub mode: Option<MessageRequestMode>,
    /// With POP, how many other members share the queues of a member.
    pub pop_share_queue_num: i32,
    /// The topic.
    pub topic: String,
}

/// `messageRequestMode.json`, and the answer to GET_ALL_MESSAGE_REQUEST_MODE.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct MessageRequestModeSerializeWrapper {
    /// By topic, then by group.
    pub message_request_mode_map: Table<String, Table<String, SetMessageRequestModeRequestBody>>,
}
