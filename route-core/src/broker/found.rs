//! Topics whose queues were found in the log but of which the saved table does not know.
//!
//! Either a topic was made by a send and the process was killed before the table was saved: its messages are acknowledged, it must come
//! back. Or it was deleted and a rebuild of the queues brought it back: it must go. A table that was saved after the last message of a topic
//! knew of it, and left it out. That is told by where the log ended then, and by the time where a Java broker has saved the table; each alone
//! can be wrong, the one after a log was cut, the other after a clock was set back, and a topic goes only if both say so.

use proto_core::record::peek;

use super::Broker;
use crate::{
    output::NoticeLevel,
    storage::{LogOffset, Storage},
    time::{Now, Timestamp},
};

impl<S: Storage> Broker<S> {
    /// Brings such topics back or removes their queues; once, at the start, after the saved table was loaded.
    pub(super) fn recover_topics(&mut self, now: Now) {
        for (topic, queue_ids) in self.storage.topics() {
            if self.topics.get(&topic).is_some() {
                continue;
            }
            let Some((stored, place)) = self.last_message(&topic, &queue_ids) else {
                self.storage.remove_topic(&topic);
                continue;
            };
            // Without a saved table nobody can have deleted anything.
            let is_new = self.topics_saved.is_none_or(|saved| stored >= saved.at || saved.log_end.is_some_and(|end| place >= end));
            if is_new {
                self.topics.recover(now.wall, [(topic.as_str(), queue_ids.as_slice())]);
                self.notice(
                    NoticeLevel::Info,
                    format!("topic {topic} is made again: its messages are newer than the saved table of topics"),
                );
            } else {
                self.storage.remove_topic(&topic);
                self.notice(
                    NoticeLevel::Info,
                    format!("the queues of {topic} are removed: it is not in the table of topics, which is newer"),
                );
            }
        }
    }

    /// When the last message of any of these queues was stored, and where.
    fn last_message(&self, topic: &str, queue_ids: &[i32]) -> Option<(Timestamp, LogOffset)> {
        let last = |&queue_id: &i32| {
            let queue = self.storage.find_queue(topic, queue_id)?;
            let unit = self.storage.units(queue, self.storage.bounds(queue).max - 1).next()?;
            self.storage.record(unit.offset).map(|record| (Timestamp(peek::store_timestamp(record)), unit.offset))
        };
        queue_ids.iter().filter_map(last).max_by_key(|(_, place)| *place)
    }
}

/// What a saved table of topics knew of.
#[derive(Clone, Copy, Debug)]
pub(super) struct TopicsSaved {
    /// The time of its last change.
    pub(super) at: Timestamp,
    /// Where the log ended when it was saved; a Java broker does not say.
    pub(super) log_end: Option<LogOffset>,
}

#[cfg(test)]
pub(super) use tests::log_with_a_message_stored_at;

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::{
        broker::config::BrokerConfig,
        storage::{
            NewMessage, TagsCode,
            memory::{MemoryStorage, Visibility},
        },
        time::Millis,
    };

    const BEFORE: i64 = 1_000;
    const SAVED: i64 = 2_000;
    const AFTER: i64 = 3_000;

    fn at(wall: i64) -> Now {
        Now { mono: Millis::ZERO, wall: Timestamp(wall) }
    }

    pub(in crate::broker) fn log_with_a_message_stored_at(wall: i64) -> MemoryStorage {
        let mut storage = MemoryStorage::new(Visibility::OnAppend);
        let host = SocketAddr::from(([127, 0, 0, 1], 10911));
        let message = NewMessage {
            topic: "Lost",
            queue_id: 3,
            flag: 0,
            sys_flag: 0,
            born_timestamp: 0,
            born_host: host,
            store_host: host,
            reconsume_times: 0,
            prepared_transaction_offset: 0,
            body: b"x",
            properties: b"",
            tags_code: TagsCode::Hash(0),
        };
        let queue = storage.open_queue("Lost", 3);
        storage.append(Timestamp(wall), queue, &message).unwrap();
        storage
    }

    /// What the table was saved with.
    #[derive(Clone, Copy)]
    enum Table {
        Missing,
        /// By a Java broker, at `SAVED`.
        OfJava,
        /// By Petrel, at `SAVED`, when the log ended there.
        OfPetrel(i64),
    }

    /// How many queues the topic has after a start.
    fn queues_after_start(storage: MemoryStorage, table: Table) -> Option<i32> {
        let before = Broker::new(at(SAVED), BrokerConfig::default(), MemoryStorage::default()).unwrap();
        let content = match table {
            Table::Missing => None,
            Table::OfJava => Some(before.topics.to_file(None)),
            Table::OfPetrel(log_end) => Some(before.topics.to_file(Some(LogOffset(log_end)))),
        };
        let mut broker = Broker::new(at(AFTER + 1), BrokerConfig::default(), storage).unwrap();
        if let Some(content) = content {
            broker.load(crate::output::Table::Topics, &content).unwrap();
        }
        broker.handle_start(at(AFTER + 1));
        broker.topics.get("Lost").map(|entry| entry.config().read_queue_nums)
    }

    #[test]
    fn a_topic_that_was_made_after_the_last_save_comes_back_with_its_queues() {
        assert_eq!(queues_after_start(log_with_a_message_stored_at(AFTER), Table::OfJava), Some(4));
    }

    #[test]
    fn a_topic_that_the_table_had_forgotten_when_it_was_saved_stays_deleted() {
        assert_eq!(queues_after_start(log_with_a_message_stored_at(BEFORE), Table::OfJava), None);
    }

    #[test]
    fn a_topic_that_was_made_after_the_last_save_comes_back_although_the_clock_was_set_back_meanwhile() {
        assert_eq!(queues_after_start(log_with_a_message_stored_at(BEFORE), Table::OfPetrel(0)), Some(4));
        assert_eq!(
            queues_after_start(log_with_a_message_stored_at(BEFORE), Table::OfPetrel(10_000)),
            None,
            "the table knew of its message"
        );
    }

    #[test]
    fn a_topic_comes_back_although_the_log_ended_later_when_the_table_was_saved_and_was_cut_since() {
        assert_eq!(queues_after_start(log_with_a_message_stored_at(AFTER), Table::OfPetrel(10_000)), Some(4));
    }

    #[test]
    fn without_a_table_every_topic_of_the_log_comes_back() {
        assert_eq!(queues_after_start(log_with_a_message_stored_at(BEFORE), Table::Missing), Some(4));
    }
}
