//! Offsets that ran ahead of the log.
//!
//! A machine that dies may take messages with it which consumers have had already: their offsets were saved, the end of the log was not.
//! The places that those messages had are given to new ones. A group whose offset stayed ahead would never see them, so offsets go back
//! to the end of their queue before the first new message comes, and a client that was not killed with the machine cannot commit them
//! anew (RocketMQ #8239, #4771).

use proto_core::names::SCHEDULE_TOPIC;

use super::{
    Broker,
    read::{QueueRead, ReadStatus},
};
use crate::{
    output::NoticeLevel,
    storage::{OffsetTableKind, QueueId, Storage},
};

/// Of more offsets than this only the number is told.
const NOTICES: usize = 64;

impl<S: Storage> Broker<S> {
    /// What counts of an offset that a client commits: no more than what its queue holds.
    pub(super) fn within_queue(&self, queue: QueueId, offset: i64) -> i64 {
        offset.min(self.storage.bounds(queue).max)
    }

    /// A consumer reads ahead of what it has worked through. If a crash takes what it has read, and it is sent to the end of the queue,
    /// it forgets all that it has not worked through yet: so it is sent to where its group is.
    pub(super) fn keep_unread(&self, read: &mut QueueRead, topic: &str, group: &str, queue_id: i32) {
        if self.has_lost_its_end
            && read.status == ReadStatus::OffsetOverflowBadly
            && let Some(committed) = self.offsets.query(topic, group, queue_id).filter(|committed| *committed >= read.bounds.min)
        {
            read.next_begin_offset = read.next_begin_offset.min(committed);
        }
    }

    /// Sets every offset that lies behind the end of its queue to that end; once, at the start after a crash.
    pub(super) fn clamp_offsets(&mut self) {
        // There may be very many queues: only those are looked at that may have lost something.
        let doubtful = |(topic, queue_id, offset): (&str, i32, i64)| {
            self.storage.find_queue(topic, queue_id).filter(|queue| !self.storage.is_known_to_reach(*queue, offset))
        };
        let doubtful: Vec<_> = self.offsets.all_committed().filter_map(doubtful).collect();
        self.storage.look_at_queues(&doubtful);
        let (storage, topics) = (&self.storage, &self.topics);
        let clamped = self.offsets.clamp(|topic, queue_id, offset| match storage.find_queue(topic, queue_id) {
            Some(queue) if storage.is_known_to_reach(queue, offset) => Some(offset),
            Some(queue) => Some(storage.bounds(queue).max),
            None => topics.get(topic).map(|_| 0),
        });
        for it in &clamped {
            self.storage.note_offset(OffsetTableKind::Consumer, &it.key, it.queue_id, it.after);
        }
        // Before the log grows and another crash brings back what lies behind this end, but not behind that one.
        if !clamped.is_empty() {
            self.save_offsets_now();
        }
        for it in clamped.iter().take(NOTICES) {
            let (key, queue_id, before, after) = (&it.key, it.queue_id, it.before, it.after);
            self.notice(
                NoticeLevel::Warn,
                format!("{key} had committed offset {before} of queue {queue_id}, which ends at {after} since the crash: set to {after}"),
            );
        }
        if clamped.len() > NOTICES {
            let more = clamped.len() - NOTICES;
            self.notice(NoticeLevel::Warn, format!("{more} more committed offsets were behind the end of their queue and set to it"));
        }
        for (level, before, after) in self.delay.clamp(&self.storage) {
            self.storage.note_offset(OffsetTableKind::Delay, SCHEDULE_TOPIC, level, after);
            self.notice(
                NoticeLevel::Warn,
                format!("delay level {level} had come to offset {before}, its queue ends at {after} since the crash: set to {after}"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        broker::{config::BrokerConfig, found::log_with_a_message_stored_at},
        output::Output,
        storage::memory::MemoryStorage,
        time::{Millis, Now, Timestamp},
    };

    const NOW: Now = Now { mono: Millis::ZERO, wall: Timestamp(2_000) };

    /// A broker that starts over a log with one message in queue 3 of `Lost`, after these offsets were committed.
    fn started(storage: MemoryStorage, committed: &[(&str, i32, i64)]) -> Broker<MemoryStorage> {
        let mut broker = Broker::new(NOW, BrokerConfig::default(), storage).unwrap();
        for &(key, queue_id, offset) in committed {
            broker.restore_offset(OffsetTableKind::Consumer, key, queue_id, offset);
        }
        broker.restore_offset(OffsetTableKind::Delay, SCHEDULE_TOPIC, 2, 7);
        broker.handle_start(NOW);
        broker
    }

    #[test]
    fn after_a_crash_offsets_go_back_to_the_end_of_their_queue_and_a_second_crash_does_not_undo_it() {
        let storage = log_with_a_message_stored_at(1_000).after_a_crash();
        let mut broker = started(storage, &[("Lost@G", 3, 50), ("Lost@H", 3, 1), ("Elsewhere@G", 0, 50), ("TBW102@G", 0, 50)]);
        let committed = |topic, group, queue_id| broker.offsets.query(topic, group, queue_id);
        assert_eq!(committed("Lost", "G", 3), Some(1));
        assert_eq!(committed("Lost", "H", 3), Some(1), "the end itself is no overrun");
        assert_eq!(committed("Elsewhere", "G", 0), Some(50), "nothing is known of that topic here");
        assert_eq!(committed("TBW102", "G", 0), Some(0), "a topic without that queue begins at 0");
        assert_eq!(broker.delay.offset(2), Some(0));
        let noted: Vec<_> = broker.storage().noted().iter().map(|(_, key, queue_id, offset)| (key.as_str(), *queue_id, *offset)).collect();
        assert_eq!(noted, [("Lost@G", 3, 1), ("TBW102@G", 0, 0), (SCHEDULE_TOPIC, 2, 0)]);
        let told = std::iter::from_fn(|| broker.poll_output())
            .filter(|output| matches!(output, Output::Notice { level: NoticeLevel::Warn, text } if text.contains("since the crash")));
        assert_eq!(told.count(), 3);
    }

    #[test]
    fn offsets_that_went_back_are_saved_at_once() {
        for (committed, saves) in [(50, 1), (1, 0)] {
            let mut broker = started(log_with_a_message_stored_at(1_000).after_a_crash(), &[("Lost@G", 3, committed)]);
            let saved = std::iter::from_fn(|| broker.poll_output())
                .filter(|output| matches!(output, Output::Persist { table: crate::output::Table::ConsumerOffsets, .. }));
            assert_eq!(saved.count(), saves, "committed at {committed}");
        }
    }

    #[test]
    fn a_log_that_was_closed_in_order_is_believed_by_the_offsets() {
        let broker = started(log_with_a_message_stored_at(1_000), &[("Lost@G", 3, 50)]);
        assert_eq!(broker.offsets.query("Lost", "G", 3), Some(50));
        assert_eq!(broker.storage().noted(), []);
    }
}
