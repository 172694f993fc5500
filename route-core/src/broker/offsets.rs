//! How far each consumer group has come in each queue: commits, pulls and resets (`consumerOffset.json`).
//!
//! The keys are Java's `topic@group`; a commit finds its key by the two halves, so the hot path builds no text.

use std::{
    collections::BTreeMap,
    hash::{Hash, Hasher},
    sync::Arc,
};

use foldhash::fast::FixedState;
use indexmap::{Equivalent, IndexMap};
use proto_core::bodies::DataVersion;

use super::topics::QUEUES_LIMIT;
use crate::{
    flow::{Flow, Passed},
    time::{Millis, Timestamp},
};

mod file;

pub use file::OffsetsSnapshot;

/// Commits between two steps of the table's data version (`consumerOffsetUpdateVersionStep`).
const VERSION_STEP: u32 = 500;

/// `topic@group`, hashed by its two halves.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Key {
    text: Arc<str>,
    at: usize,
}

impl Key {
    /// A topic has no `@`; whatever follows the first one is the group.
    fn parse(text: &str) -> Option<Self> {
        let at = text.find('@').filter(|&at| at > 0 && at + 1 < text.len())?;
        Some(Self { text: text.into(), at })
    }

    fn new(topic: &str, group: &str) -> Self {
        Self { text: format!("{topic}@{group}").into(), at: topic.len() }
    }

    fn topic(&self) -> &str {
        &self.text[..self.at]
    }

    fn group(&self) -> &str {
        &self.text[self.at + 1..]
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Halves { topic: self.topic(), group: self.group() }.hash(state);
    }
}

#[derive(Hash)]
struct Halves<'a> {
    topic: &'a str,
    group: &'a str,
}

impl Equivalent<Key> for Halves<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        self.topic == key.topic() && self.group == key.group()
    }
}

/// What is known of one group in one queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Progress {
    committed: Option<i64>,
    pulled: Option<i64>,
    reset: Option<i64>,
}

/// What is saved of one group in one topic.
#[derive(Clone, Debug)]
struct Row {
    key: Key,
    queues: BTreeMap<i32, Progress>,
}

impl Row {
    fn has_commit(&self) -> bool {
        self.queues.values().any(|progress| progress.committed.is_some())
    }
}

/// One group in one topic.
#[derive(Debug)]
struct GroupProgress {
    /// Shared with a save that is under way: the first change after its beginning makes a copy.
    row: Arc<Row>,
    /// Messages that its pulls were given.
    given: Flow,
    /// Messages that its consumers have sent back.
    sent_back: Flow,
}

impl GroupProgress {
    fn new(key: Key) -> Self {
        Self { row: Arc::new(Row { key, queues: BTreeMap::new() }), given: Flow::default(), sent_back: Flow::default() }
    }

    fn queues_mut(&mut self) -> &mut BTreeMap<i32, Progress> {
        &mut Arc::make_mut(&mut self.row).queues
    }
}

/// How a commit ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Commit<'a> {
    /// The offset is new; journal it under this key with [`crate::Storage::note_offset`].
    Changed {
        /// `topic@group`
        key: &'a str,
    },
    /// The group had this offset already.
    Unchanged,
    /// The group's offset was set by somebody, and no pull has heard of it yet: the commit is ignored (Java answers success).
    ResetPending,
    /// The table is full; nothing was stored.
    Full,
}

/// An offset that was brought back to the end of its queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clamped {
    /// `topic@group`
    pub key: Arc<str>,
    /// The queue's number.
    pub queue_id: i32,
    /// What was committed.
    pub before: i64,
    /// The end of the queue, which counts now.
    pub after: i64,
}

/// All offsets of all groups.
#[derive(Debug)]
pub struct OffsetTable {
    entries: IndexMap<Key, GroupProgress, FixedState>,
    version: DataVersion,
    commits: u32,
    resets: usize,
    dirty: bool,
    limit: usize,
}

impl OffsetTable {
    /// An empty table for at most `limit` pairs of topic and group.
    #[must_use]
    pub fn new(now: Timestamp, limit: usize) -> Self {
        let version = DataVersion::new(now.0);
        Self { entries: IndexMap::default(), version, commits: 0, resets: 0, dirty: false, limit }
    }

    /// Takes a group's commit. Smaller offsets than before are taken too: an operator may have set the clients back.
    pub fn commit(&mut self, now: Timestamp, topic: &str, group: &str, queue_id: i32, offset: i64) -> Commit<'_> {
        let Some(index) = self.open(topic, group, queue_id) else { return Commit::Full };
        let Some((key, group)) = self.entries.get_index_mut(index) else { return Commit::Full };
        let known = group.row.queues.get(&queue_id).copied().unwrap_or_default();
        if known.reset.is_some() {
            return Commit::ResetPending;
        }
        self.commits += 1;
        if self.commits.is_multiple_of(VERSION_STEP) {
            self.version = self.version.next(0, now.0);
            self.dirty = true;
        }
        if known.committed == Some(offset) {
            return Commit::Unchanged;
        }
        group.queues_mut().entry(queue_id).or_default().committed = Some(offset);
        self.dirty = true;
        Commit::Changed { key: &key.text }
    }

    /// Notes what a pull was given and where the next one begins. Lost when the broker dies: it only tells operators what
    /// is on its way.
    pub fn note_pull(&mut self, now: Millis, (topic, group): (&str, &str), queue_id: i32, given: Option<Passed>, next_begin: i64) {
        let Some(index) = self.open(topic, group, queue_id) else { return };
        if let Some((_, group)) = self.entries.get_index_mut(index) {
            given.into_iter().for_each(|given| group.given.add(now, given));
            group.queues_mut().entry(queue_id).or_default().pulled = Some(next_begin);
        }
    }

    /// The same for a pull that was held: its first look has made the entry. One that was deleted meanwhile stays so.
    pub fn note_held_pull(&mut self, now: Millis, (topic, group): (&str, &str), queue_id: i32, given: Option<Passed>, next_begin: i64) {
        let Some(group) = self.entries.get_mut(&Halves { topic, group }) else { return };
        if let Some(progress) = group.queues_mut().get_mut(&queue_id) {
            progress.pulled = Some(next_begin);
            given.into_iter().for_each(|given| group.given.add(now, given));
        }
    }

    /// A consumer of a group has sent a message of a topic back. Of a group that has never read there nothing is noted.
    pub fn note_sent_back(&mut self, now: Millis, topic: &str, group: &str, bytes: u64) {
        if let Some(group) = self.entries.get_mut(&Halves { topic, group }) {
            group.sent_back.add(now, Passed::once(1, bytes));
        }
    }

    /// What a group was given of a topic.
    #[must_use]
    pub fn given(&self, topic: &str, group: &str) -> Option<&Flow> {
        self.entries.get(&Halves { topic, group }).map(|group| &group.given)
    }

    /// What a group has sent back of a topic.
    #[must_use]
    pub fn sent_back(&self, topic: &str, group: &str) -> Option<&Flow> {
        self.entries.get(&Halves { topic, group }).map(|group| &group.sent_back)
    }

    /// Messages per second that a group was given of a topic in the last minute.
    #[must_use]
    pub fn given_rate(&self, now: Millis, topic: &str, group: &str) -> f64 {
        self.given(topic, group).map_or(0.0, |given| given.messages_per_second(now))
    }

    /// Where a group goes on: a pending reset before what it has committed; `None` if it has never been here.
    #[must_use]
    pub fn query(&self, topic: &str, group: &str, queue_id: i32) -> Option<i64> {
        let progress = self.progress(topic, group, queue_id)?;
        progress.reset.or(progress.committed)
    }

    /// Where the last pull of a group ended.
    #[must_use]
    pub fn query_pull(&self, topic: &str, group: &str, queue_id: i32) -> Option<i64> {
        self.progress(topic, group, queue_id)?.pulled
    }

    /// Sets a group's offset: it counts as committed, and the next pull of the queue is sent there. `false` if the table is full.
    pub fn assign_reset(&mut self, topic: &str, group: &str, queue_id: i32, offset: i64) -> bool {
        let Some((_, group)) = self.open(topic, group, queue_id).and_then(|index| self.entries.get_index_mut(index)) else {
            return false;
        };
        let progress = group.queues_mut().entry(queue_id).or_default();
        self.resets += usize::from(progress.reset.is_none());
        progress.reset = Some(offset);
        progress.committed = Some(offset);
        self.dirty = true;
        true
    }

    /// Takes the pending reset of a queue out of the table: the pull that asks is sent there. Costs nothing while there is none.
    pub fn take_reset(&mut self, topic: &str, group: &str, queue_id: i32) -> Option<i64> {
        if self.resets == 0 {
            return None;
        }
        let reset = self.entries.get_mut(&Halves { topic, group })?.queues_mut().get_mut(&queue_id)?.reset.take()?;
        self.resets -= 1;
        Some(reset)
    }

    /// Brings back an offset that was journaled after the last save of the table. `key` is `topic@group`; others are ignored.
    pub fn restore(&mut self, key: &str, queue_id: i32, offset: i64) {
        let Some(key) = Key::parse(key) else { return };
        if let Some((_, group)) = self.open(key.topic(), key.group(), queue_id).and_then(|index| self.entries.get_index_mut(index)) {
            group.queues_mut().entry(queue_id).or_default().committed = Some(offset);
            self.dirty = true;
        }
    }

    /// Brings committed offsets back that lie behind the end of their queue. `end` tells the end of a queue by topic, number and the offset in
    /// question, `None` if nothing is known of the topic here: then its offsets stay. Answers what was changed.
    pub fn clamp(&mut self, mut end: impl FnMut(&str, i32, i64) -> Option<i64>) -> Vec<Clamped> {
        let mut clamped = Vec::new();
        for (key, group) in &mut self.entries {
            let first = clamped.len();
            for (&queue_id, progress) in &group.row.queues {
                if let Some(before) = progress.committed
                    && let Some(after) = end(key.topic(), queue_id, before).filter(|after| before > *after)
                {
                    clamped.push(Clamped { key: Arc::clone(&key.text), queue_id, before, after });
                }
            }
            for Clamped { queue_id, after, .. } in &clamped[first..] {
                group.queues_mut().entry(*queue_id).or_default().committed = Some(*after);
            }
        }
        self.dirty |= !clamped.is_empty();
        clamped
    }

    /// Every committed offset with its topic and queue.
    pub fn all_committed(&self) -> impl Iterator<Item = (&str, i32, i64)> {
        self.entries.iter().flat_map(|(key, group)| {
            group.row.queues.iter().filter_map(move |(queue_id, progress)| Some((key.topic(), *queue_id, progress.committed?)))
        })
    }

    /// Forgets a deleted topic.
    pub fn remove_topic(&mut self, topic: &str) {
        self.remove(|key| key.topic() == topic);
    }

    /// Forgets a deleted group.
    pub fn remove_group(&mut self, group: &str) {
        self.remove(|key| key.group() == group);
    }

    /// The topics in which a group has offsets, in the order in which it came there.
    pub fn topics_of(&self, group: &str) -> impl Iterator<Item = &str> {
        self.committed_keys().filter(move |key| key.group() == group).map(Key::topic)
    }

    /// The groups that have offsets in a topic.
    pub fn groups_of(&self, topic: &str) -> impl Iterator<Item = &str> {
        self.groups_keys().filter(move |key| key.topic() == topic).map(Key::group)
    }

    /// The least offset of all groups in each queue of a topic, without these groups and without what is less than `first` tells of a queue.
    #[must_use]
    pub fn least(&self, topic: &str, without: &[&str], first: impl Fn(i32) -> i64) -> BTreeMap<i32, i64> {
        let mut least = BTreeMap::new();
        for (_, group) in self.entries.iter().filter(|(key, _)| key.topic() == topic && !without.contains(&key.group())) {
            for (&queue_id, offset) in group.row.queues.iter().filter_map(|(queue_id, progress)| Some((queue_id, progress.committed?))) {
                if offset >= first(queue_id) {
                    least.entry(queue_id).and_modify(|least: &mut i64| *least = offset.min(*least)).or_insert(offset);
                }
            }
        }
        least
    }

    /// Every topic with every group that has offsets in it.
    pub fn committed(&self) -> impl Iterator<Item = (&str, &str)> {
        self.groups_keys().map(|key| (key.topic(), key.group()))
    }

    /// The table's data version.
    #[must_use]
    pub const fn version(&self) -> &DataVersion {
        &self.version
    }

    /// Whether something has changed since the last call: then the table is to be saved.
    #[must_use]
    pub fn take_dirty(&mut self) -> bool {
        std::mem::take(&mut self.dirty)
    }

    fn committed_keys(&self) -> impl Iterator<Item = &Key> {
        self.entries.iter().filter(|(_, group)| group.row.has_commit()).map(|(key, _)| key)
    }

    /// The keys with commits of groups, without those that are kept for a broadcasting group beside it: no group's name has an `@`.
    fn groups_keys(&self) -> impl Iterator<Item = &Key> {
        self.committed_keys().filter(|key| !key.group().contains('@'))
    }

    fn progress(&self, topic: &str, group: &str, queue_id: i32) -> Option<&Progress> {
        self.entries.get(&Halves { topic, group })?.row.queues.get(&queue_id)
    }

    /// The index of an entry with room for the queue, made if need be.
    fn open(&mut self, topic: &str, group: &str, queue_id: i32) -> Option<usize> {
        if let Some((index, _, group)) = self.entries.get_full(&Halves { topic, group }) {
            let queues = &group.row.queues;
            return (queues.len() < QUEUES_LIMIT as usize || queues.contains_key(&queue_id)).then_some(index);
        }
        (self.entries.len() < self.limit).then(|| {
            let key = Key::new(topic, group);
            self.entries.insert_full(key.clone(), GroupProgress::new(key)).0
        })
    }

    fn remove(&mut self, goes: impl Fn(&Key) -> bool) {
        let before = self.entries.len();
        self.entries.retain(|key, _| !goes(key));
        if self.entries.len() != before {
            let all = self.entries.values().flat_map(|group| group.row.queues.values());
            self.resets = all.filter(|progress| progress.reset.is_some()).count();
            self.dirty = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000);

    fn table() -> OffsetTable {
        OffsetTable::new(NOW, 10)
    }

    fn key(commit: Commit<'_>) -> Option<&str> {
        match commit {
            Commit::Changed { key } => Some(key),
            _ => None,
        }
    }

    #[test]
    fn a_commit_is_read_back_and_names_the_key_to_journal() {
        let mut offsets = table();
        assert_eq!(key(offsets.commit(NOW, "T", "G", 3, 7)), Some("T@G"));
        assert_eq!(offsets.query("T", "G", 3), Some(7));
        assert_eq!(offsets.query("T", "G", 2), None);
        assert_eq!(offsets.query("T", "H", 3), None);
    }

    #[test]
    fn the_same_offset_again_changes_nothing() {
        let mut offsets = table();
        offsets.commit(NOW, "T", "G", 0, 7);
        assert!(offsets.take_dirty());
        assert_eq!(offsets.commit(NOW, "T", "G", 0, 7), Commit::Unchanged);
        assert!(!offsets.take_dirty());
    }

    #[test]
    fn an_offset_may_go_back() {
        let mut offsets = table();
        offsets.commit(NOW, "T", "G", 0, 7);
        offsets.commit(NOW, "T", "G", 0, 5);
        assert_eq!(offsets.query("T", "G", 0), Some(5));
    }

    #[test]
    fn a_reset_shadows_commits_until_a_pull_has_heard_of_it() {
        let mut offsets = table();
        offsets.commit(NOW, "T", "G", 0, 70);
        assert!(offsets.assign_reset("T", "G", 0, 10));
        assert_eq!(offsets.query("T", "G", 0), Some(10));
        assert_eq!(offsets.commit(NOW, "T", "G", 0, 71), Commit::ResetPending);
        assert_eq!(offsets.take_reset("T", "G", 1), None);
        assert_eq!(offsets.take_reset("T", "G", 0), Some(10));
        assert_eq!(offsets.take_reset("T", "G", 0), None);
        assert_eq!(key(offsets.commit(NOW, "T", "G", 0, 11)), Some("T@G"));
    }

    #[test]
    fn a_held_pull_that_ends_after_its_topic_was_deleted_brings_nothing_back() {
        let mut offsets = table();
        offsets.note_pull(Millis(0), ("T", "G"), 0, None, 32);
        offsets.note_held_pull(Millis(0), ("T", "G"), 0, None, 33);
        assert_eq!(offsets.query_pull("T", "G", 0), Some(33));
        offsets.remove_topic("T");
        offsets.note_held_pull(Millis(0), ("T", "G"), 0, None, 34);
        assert!(offsets.entries.is_empty());
    }

    #[test]
    fn a_pull_leaves_no_commit_behind() {
        let mut offsets = table();
        offsets.note_pull(Millis(0), ("T", "G"), 0, None, 32);
        assert_eq!(offsets.query("T", "G", 0), None);
        assert_eq!(offsets.query_pull("T", "G", 0), Some(32));
        assert_eq!(offsets.topics_of("G").count(), 0);
        assert!(!offsets.take_dirty());
    }

    #[test]
    fn the_version_steps_once_in_five_hundred_commits() {
        let mut offsets = table();
        for offset in 0..1_000 {
            offsets.commit(Timestamp(offset), "T", "G", 0, offset);
        }
        assert_eq!((offsets.version().counter, offsets.version().timestamp), (2, 999));
    }

    #[test]
    fn groups_and_topics_find_each_other_and_are_forgotten_together() {
        let mut offsets = table();
        for (topic, group) in [("T", "G"), ("T", "H"), ("U", "G")] {
            offsets.commit(NOW, topic, group, 0, 1);
        }
        assert_eq!(offsets.topics_of("G").collect::<Vec<_>>(), ["T", "U"]);
        assert_eq!(offsets.groups_of("T").collect::<Vec<_>>(), ["G", "H"]);
        offsets.remove_topic("T");
        assert_eq!(offsets.topics_of("G").collect::<Vec<_>>(), ["U"]);
        offsets.remove_group("G");
        assert_eq!(offsets.query("U", "G", 0), None);
    }

    #[test]
    fn what_changes_after_a_snapshot_is_not_in_it() {
        let mut offsets = table();
        offsets.commit(NOW, "T", "G", 0, 7);
        let before = offsets.snapshot().to_bytes();
        let snapshot = offsets.snapshot();
        offsets.commit(NOW, "T", "G", 0, 8);
        offsets.note_pull(Millis(0), ("T", "G"), 1, None, 32);
        offsets.commit(NOW, "T", "H", 0, 9);
        offsets.remove_topic("T");
        assert_eq!(snapshot.to_bytes(), before);
        assert_eq!(offsets.query("T", "G", 0), None);
    }

    #[test]
    fn a_reset_of_a_removed_topic_is_not_waited_for() {
        let mut offsets = table();
        offsets.assign_reset("T", "G", 0, 10);
        offsets.remove_topic("T");
        assert_eq!(offsets.resets, 0);
    }

    #[test]
    fn a_full_table_takes_commits_of_known_groups_only() {
        let mut offsets = OffsetTable::new(NOW, 1);
        offsets.commit(NOW, "T", "G", 0, 1);
        assert_eq!(offsets.commit(NOW, "T", "H", 0, 1), Commit::Full);
        assert_eq!(key(offsets.commit(NOW, "T", "G", 1, 1)), Some("T@G"));
    }

    #[test]
    fn journaled_offsets_come_back_and_foreign_keys_do_not() {
        let mut offsets = table();
        offsets.restore("%RETRY%G@G", 0, 4);
        offsets.restore("SCHEDULE_TOPIC_XXXX", 2, 9);
        assert_eq!(offsets.query("%RETRY%G", "G", 0), Some(4));
        assert_eq!(offsets.entries.len(), 1);
    }

    #[test]
    fn a_group_may_hold_an_at_sign_as_broadcast_offsets_do() {
        let mut offsets = table();
        offsets.restore("T@G@broadcast", 0, 4);
        assert_eq!(offsets.query("T", "G@broadcast", 0), Some(4));
    }
}
