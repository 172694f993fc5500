//! Queues by name, and the locks that orderly consumers hold on them.

use serde::{Deserialize, Serialize};

/// A queue as clients name it. It also stands as a key, written as an object: `{{"brokerName":"b","queueId":0,"topic":"T"}:5}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct MessageQueue {
    /// Name of the broker.
    pub broker_name: String,
    /// Number inside the topic on that broker.
    pub queue_id: i32,
    /// Name of the topic.
    pub topic: String,
}

impl PartialOrd for MessageQueue {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for MessageQueue {
    /// By topic, broker and number, as clients sort before they share queues out.
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (&self.topic, &self.broker_name, self.queue_id).cmp(&(&other.topic, &other.broker_name, other.queue_id))
    }
}

/// The body of LOCK_BATCH_MQ.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct LockBatchRequestBody {
    /// Who wants the locks.
    pub client_id: String,
    /// For which group.
    pub consumer_group: String,
    /// On which queues.
    pub mq_set: Vec<MessageQueue>,
    /// Whether other replicas are not to be asked.
    pub only_this_broker: bool,
}

/// The body of UNLOCK_BATCH_MQ, the same as that of LOCK_BATCH_MQ.
pub type UnlockBatchRequestBody = LockBatchRequestBody;

/// The answer to LOCK_BATCH_MQ.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct LockBatchResponseBody {
    /// The queues that the client holds now.
    #[serde(rename = "lockOKMQSet")]
    pub lock_ok_mq_set: Vec<MessageQueue>,
}
