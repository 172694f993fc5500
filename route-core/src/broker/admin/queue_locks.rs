//! Ordered consumers take and free their queues.

use proto_core::{
    Command,
    bodies::{LockBatchRequestBody, LockBatchResponseBody, MessageQueue, UnlockBatchRequestBody},
};

use super::{Answer, Handled, body};
use crate::{
    broker::{Broker, locks::QueueName},
    storage::Storage,
    time::Now,
};

fn name(queue: &MessageQueue) -> QueueName<'_> {
    QueueName { topic: &queue.topic, broker_name: &queue.broker_name, queue_id: queue.queue_id }
}

impl<S: Storage> Broker<S> {
    /// 41: the queues that a client holds now, of those that it wants.
    pub(super) fn lock_queues(&mut self, now: Now, command: &Command<'_>) -> Handled {
        let mut request: LockBatchRequestBody = body(command)?;
        let (group, client) = (&request.consumer_group, &request.client_id);
        request.mq_set.retain(|queue| self.locks.lock(now, group, name(queue), client));
        Answer::body(&LockBatchResponseBody { lock_ok_mq_set: request.mq_set })
    }

    /// 42: frees the queues that the client holds, of those that it names.
    pub(super) fn unlock_queues(&mut self, command: &Command<'_>) -> Handled {
        let request: UnlockBatchRequestBody = body(command)?;
        for queue in &request.mq_set {
            self.locks.unlock(&request.consumer_group, name(queue), &request.client_id);
        }
        Answer::ok()
    }
}
