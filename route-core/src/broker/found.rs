//! Topics whose queues were found in the log but of which the saved table does not know.
//!
//! Either a topic was made by a send and the process was killed before the table was saved: its messages are acknowledged, it must come
//! back. Or it was deleted and a rebuild of the queues brought it back: it must go. The times tell them apart: a table that was saved
//! after the last message of a topic knew of it, and left it out.

use proto_core::record::peek;

use super::Broker;
use crate::{
    storage::Storage,
    time::{Now, Timestamp},
};

impl<S: Storage> Broker<S> {
    /// Brings such topics back or removes their queues; once, at the start, after the saved table was loaded.
    pub(super) fn recover_topics(&mut self, now: Now) {
        // Without a saved table nobody can have deleted anything.
        let saved = self.topics_saved.unwrap_or(Timestamp(i64::MIN));
        for (topic, queue_ids) in self.storage.topics() {
            if self.topics.get(&topic).is_some() {
                continue;
            }
            if self.last_stored(&topic, &queue_ids).is_some_and(|stored| stored >= saved) {
                self.topics.recover(now.wall, [(topic.as_str(), queue_ids.as_slice())]);
            } else {
                self.storage.remove_topic(&topic);
            }
        }
    }

    /// When the last message of any of these queues was stored.
    fn last_stored(&self, topic: &str, queue_ids: &[i32]) -> Option<Timestamp> {
        let last = |&queue_id: &i32| {
            let queue = self.storage.find_queue(topic, queue_id)?;
            let unit = self.storage.units(queue, self.storage.bounds(queue).max - 1).next()?;
            self.storage.record(unit.offset).map(|record| Timestamp(peek::store_timestamp(record)))
        };
        queue_ids.iter().filter_map(last).max()
    }
}

#[cfg(test)]
pub(super) use tests::log_with_a_message_stored_at;

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::{
        broker::config::BrokerConfig,
        output::Table,
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

    /// How many queues the topic has after a start; the table was saved at `SAVED`, or never.
    fn queues_after_start(storage: MemoryStorage, with_table: bool) -> Option<i32> {
        let table = Broker::new(at(SAVED), BrokerConfig::default(), MemoryStorage::default()).unwrap().topics.to_file();
        let mut broker = Broker::new(at(AFTER + 1), BrokerConfig::default(), storage).unwrap();
        if with_table {
            broker.load(Table::Topics, &table).unwrap();
        }
        broker.handle_start(at(AFTER + 1));
        broker.topics.get("Lost").map(|entry| entry.config().read_queue_nums)
    }

    #[test]
    fn a_topic_that_was_made_after_the_last_save_comes_back_with_its_queues() {
        assert_eq!(queues_after_start(log_with_a_message_stored_at(AFTER), true), Some(4));
    }

    #[test]
    fn a_topic_that_the_table_had_forgotten_when_it_was_saved_stays_deleted() {
        assert_eq!(queues_after_start(log_with_a_message_stored_at(BEFORE), true), None);
    }

    #[test]
    fn without_a_table_every_topic_of_the_log_comes_back() {
        assert_eq!(queues_after_start(log_with_a_message_stored_at(BEFORE), false), Some(4));
    }
}
