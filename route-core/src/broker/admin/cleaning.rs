//! What is not needed any more goes at once instead of at its time.

use super::{Answer, Handled};
use crate::{broker::Broker, output::NoticeLevel, storage::Storage};

impl<S: Storage> Broker<S> {
    /// 329: files of the log whose time is over go at any hour for a while.
    pub(super) fn delete_expired_log(&mut self) -> Handled {
        self.storage.delete_expired_log();
        Answer::ok()
    }

    /// 306: files of queues that lie in front of the log are looked for and go. The last file of a queue stays: it says where the queue goes
    /// on. Java deletes it, and lets the queue begin at 0 again, which its consumers would wait beyond.
    pub(super) fn delete_expired_queues(&mut self) -> Handled {
        self.storage.delete_expired_queues();
        Answer::ok()
    }

    /// 316: the queues of topics go that nobody has configured.
    pub(super) fn delete_unused_topics(&mut self) -> Handled {
        for (topic, _) in self.storage.topics() {
            if self.topics.get(&topic).is_none() && !self.topics.is_system(&topic) {
                self.storage.remove_topic(&topic);
                self.notice(NoticeLevel::Info, format!("the queues of {topic} are deleted: there is no such topic"));
            }
        }
        Answer::ok()
    }
}
