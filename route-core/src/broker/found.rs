//! Topics whose queues were found in the log but of which the saved table does not know.
//!
//! Either a topic was made by a send and the process was killed before the table was saved: its messages are acknowledged, it must come
//! back. Or it was deleted and a rebuild of the queues brought it back: it must go. A table that was saved after the last message of a topic
//! knew of it, and left it out. That is told by where the log ended then, and by the time where a Java broker has saved the table; each alone
//! can be wrong, the one after a log was cut, the other after a clock was set back, and a topic goes only if both say so.

use std::collections::BTreeMap;

use proto_core::{
    delay,
    names::{self, SCHEDULE_TOPIC, TIMER_TOPIC, TRANS_HALF_TOPIC},
    record::{RecordView, peek},
};

use super::{Broker, address::Address};
use crate::{
    output::NoticeLevel,
    storage::{LogOffset, Storage},
    time::{Now, Timestamp},
};

/// Messages that are looked at in each of the queues in which messages wait for their delivery, the newest first: a topic is unknown if the
/// process was killed soon after it was made.
const LOOKED_AT: i64 = 1 << 14;

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
            if self.is_unknown_to_table(stored, place) {
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
        for (topic, highest) in self.awaited_topics() {
            self.make_awaited(&topic, highest);
        }
    }

    /// Makes a topic that a message is on its way to, with as many queues as one has that a send makes.
    pub(super) fn make_awaited(&mut self, topic: &str, queue_id: i32) {
        let template = self.topics.get(names::AUTO_CREATE_TOPIC).map_or(1, |entry| entry.config().write_queue_nums);
        let usual = if names::is_retry(topic) || names::is_dlq(topic) { 1 } else { template };
        self.topics.recover(self.now.wall, [(topic, [queue_id.max(usual - 1)].as_slice())]);
        self.notice(NoticeLevel::Info, format!("topic {topic} is made again: a message that waited belongs there"));
    }

    /// The topics that no table knows and that the newest waiting messages are to go to, with the highest queue of each. Any other is made
    /// when a message that has waited for it goes there.
    fn awaited_topics(&self) -> BTreeMap<String, i32> {
        let levels = self.delay_levels.iter().map(|(level, _)| (SCHEDULE_TOPIC, delay::queue_id(level)));
        let mut awaited = BTreeMap::new();
        for (topic, queue_id) in levels.chain([(TIMER_TOPIC, 0), (TRANS_HALF_TOPIC, 0)]) {
            let Some(queue) = self.storage.find_queue(topic, queue_id) else { continue };
            let bounds = self.storage.bounds(queue);
            for offset in (bounds.min.max(bounds.max - LOOKED_AT)..bounds.max).rev() {
                let Some(unit) = self.storage.unit(queue, offset) else { continue };
                let Some(record) = self.storage.record(unit.offset) else { continue };
                if !self.is_unknown_to_table(Timestamp(peek::store_timestamp(record)), unit.offset) {
                    break;
                }
                let Ok(record) = RecordView::parse(record) else { continue };
                if let Ok(Address { topic, queue_id }) = Address::of(&record)
                    && self.topics.get(topic).is_none()
                {
                    let highest = awaited.entry(topic.to_owned()).or_insert(queue_id);
                    *highest = queue_id.max(*highest);
                }
            }
        }
        awaited
    }

    /// Whether the saved table may not know the topic of a message. Without a saved table nobody can have deleted anything.
    fn is_unknown_to_table(&self, stored: Timestamp, place: LogOffset) -> bool {
        self.topics_saved.is_none_or(|saved| stored >= saved.at || saved.log_end.is_some_and(|end| place >= end))
    }

    /// When the last message of any of these queues was stored, and where.
    fn last_message(&self, topic: &str, queue_ids: &[i32]) -> Option<(Timestamp, LogOffset)> {
        let last = |&queue_id: &i32| {
            let queue = self.storage.find_queue(topic, queue_id)?;
            let unit = self.storage.unit(queue, self.storage.bounds(queue).max - 1)?;
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
        log_with("Lost", 3, wall, b"")
    }

    fn log_with(topic: &str, queue_id: i32, wall: i64, properties: &[u8]) -> MemoryStorage {
        let mut storage = MemoryStorage::new(Visibility::OnAppend);
        let host = SocketAddr::from(([127, 0, 0, 1], 10911));
        let message = NewMessage {
            topic,
            queue_id,
            flag: 0,
            sys_flag: 0,
            born_timestamp: 0,
            born_host: host,
            store_host: host,
            reconsume_times: 0,
            prepared_transaction_offset: 0,
            body: b"x",
            properties,
            tags_code: TagsCode::Hash(0),
        };
        let queue = storage.open_queue(topic, queue_id);
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
        /// Emptied by hand, at `SAVED`.
        Emptied,
    }

    /// How many queues the topic has after a start.
    fn queues_after_start(storage: MemoryStorage, table: Table) -> Option<i32> {
        queues_of_topic_after_start("Lost", storage, table)
    }

    fn queues_of_topic_after_start(topic: &str, storage: MemoryStorage, table: Table) -> Option<i32> {
        let before = Broker::new(at(SAVED), BrokerConfig::default(), MemoryStorage::default()).unwrap();
        let content = match table {
            Table::Missing => None,
            Table::OfJava => Some(before.topics.snapshot(None).to_bytes()),
            Table::Emptied => Some(br#"{"dataVersion":{"counter":1,"stateVersion":0,"timestamp":2000},"topicConfigTable":{}}"#.to_vec()),
            Table::OfPetrel(log_end) => Some(before.topics.snapshot(Some(LogOffset(log_end))).to_bytes()),
        };
        let mut broker = Broker::new(at(AFTER + 1), BrokerConfig::default(), storage).unwrap();
        if let Some(content) = content {
            broker.load(crate::output::Table::Topics, &content).unwrap();
        }
        broker.handle_start(at(AFTER + 1));
        broker.topics.get(topic).map(|entry| entry.config().read_queue_nums)
    }

    #[test]
    fn no_topic_is_removed_because_a_table_names_none_at_all() {
        assert_eq!(queues_after_start(log_with_a_message_stored_at(BEFORE), Table::Emptied), Some(4));
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
    fn a_new_topic_of_which_only_waiting_messages_tell_is_there_again_at_the_start() {
        let properties = b"REAL_TOPIC\x01Fresh\x02REAL_QID\x019\x02";
        for (own, queue_id) in [("SCHEDULE_TOPIC_XXXX", 1), ("rmq_sys_wheel_timer", 0), ("RMQ_SYS_TRANS_HALF_TOPIC", 0)] {
            for (table, expected) in [(Table::OfPetrel(0), Some(10)), (Table::OfPetrel(10_000), None)] {
                let storage = log_with(own, queue_id, BEFORE, properties);
                assert_eq!(queues_of_topic_after_start("Fresh", storage, table), expected, "{own}");
            }
        }
    }

    #[test]
    fn without_a_table_every_topic_of_the_log_comes_back() {
        assert_eq!(queues_after_start(log_with_a_message_stored_at(BEFORE), Table::Missing), Some(4));
    }
}
