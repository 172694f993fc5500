//! The topics of a broker: their configuration, and the queues that storage has opened for them (`topics.json`).

use std::sync::Arc;

use foldhash::fast::FixedState;
use indexmap::{IndexMap, IndexSet};
use proto_core::{
    bodies::{DataVersion, TopicConfig, TopicFilterType},
    names, perm,
};
use thiserror::Error;

use super::{
    attributes::{self, TOPIC_ATTRIBUTES},
    refusal::Refusal,
};
use crate::{
    flow::{Flow, Passed},
    storage::{QueueId, Storage},
    time::{Millis, Timestamp},
};

mod file;
mod system;

pub use file::TopicsSnapshot;
pub use system::SystemTopics;

/// Queues that a topic may have; Java sets no limit.
pub const QUEUES_LIMIT: i32 = 65_536;

/// A topic as the hot path sees it: one look-up finds its configuration and its queues.
#[derive(Debug)]
pub struct TopicEntry {
    /// Shared with a save that is under way.
    config: Arc<TopicConfig>,
    /// What [`Storage::open_queue`] gave for each queue that was used.
    queues: Vec<Option<QueueId>>,
    /// Messages that were put into it.
    put: Flow,
    own: bool,
}

/// Where a topic stands in its table: spares a second look-up by name. Good until a topic is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicIndex(usize);

impl TopicEntry {
    fn new(config: TopicConfig, own: bool) -> Self {
        Self { config: Arc::new(config), queues: Vec::new(), put: Flow::default(), own }
    }

    /// Whether it belongs to the broker itself.
    #[must_use]
    pub const fn is_own(&self) -> bool {
        self.own
    }

    /// Messages were put into it.
    pub fn note_put(&mut self, now: Millis, put: Passed) {
        self.put.add(now, put);
    }

    /// What was put into it.
    #[must_use]
    pub const fn put(&self) -> &Flow {
        &self.put
    }

    /// The topic's configuration.
    #[must_use]
    pub fn config(&self) -> &TopicConfig {
        &self.config
    }

    /// Whether consumers may read it.
    #[must_use]
    pub fn is_readable(&self) -> bool {
        perm::is_readable(self.config.perm)
    }

    /// Whether producers may write it.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        perm::is_writeable(self.config.perm)
    }

    /// Storage's names of the queues that were used.
    pub fn open_queues(&self) -> impl Iterator<Item = QueueId> {
        self.queues.iter().copied().flatten()
    }

    /// Storage's name of a queue, opened if it is new. `None` for a number that no queue can have; whether the topic has such a queue
    /// is the caller's to check, as reads and writes differ in it.
    pub fn queue(&mut self, storage: &mut impl Storage, queue_id: i32) -> Option<QueueId> {
        let index = usize::try_from(queue_id).ok().filter(|_| queue_id < QUEUES_LIMIT)?;
        if let Some(Some(queue)) = self.queues.get(index) {
            return Some(*queue);
        }
        let queue = storage.open_queue(&self.config.topic_name, queue_id);
        if self.queues.len() <= index {
            self.queues.resize(index + 1, None);
        }
        self.queues[index] = Some(queue);
        Some(queue)
    }
}

/// Why a topic could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CreateError {
    /// The default topic of the request is not there, or it does not hand on its configuration.
    #[error("there is no default topic that makes topics")]
    NoTemplate,
    /// The table is full.
    #[error("the broker has its limit of {limit} topics")]
    Full {
        /// How many it may have.
        limit: usize,
    },
}

/// A topic that nobody configured: how a request wants it to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewTopic {
    /// Queues to read and to write.
    pub queue_nums: i32,
    /// Permission bits.
    pub perm: i32,
    /// Whether it is consumed in order.
    pub order: bool,
    /// Unit flags.
    pub sys_flag: i32,
}

impl NewTopic {
    /// A topic to read and write without anything special about it.
    #[must_use]
    pub const fn plain(queue_nums: i32, sys_flag: i32) -> Self {
        Self { queue_nums, perm: perm::READ | perm::WRITE, order: false, sys_flag }
    }
}

/// All topics, in the order in which they were made.
#[derive(Debug)]
pub struct TopicTable {
    entries: IndexMap<Arc<str>, TopicEntry, FixedState>,
    /// Topics of this broker that nobody may create, change or delete, beyond those that every broker has.
    reserved: IndexSet<Arc<str>, FixedState>,
    version: DataVersion,
    dirty: bool,
    /// Topics that the name servers have not heard of as they are now.
    changed: IndexSet<Arc<str>, FixedState>,
    limit: usize,
    /// Topics may be said to hold messages of all types.
    mixed_type: bool,
}

impl TopicTable {
    /// A table for at most `limit` topics, with the topics that every broker makes at its start.
    #[must_use]
    pub fn new(now: Timestamp, system: &SystemTopics<'_>, limit: usize) -> Self {
        let mut table = Self {
            entries: IndexMap::default(),
            reserved: IndexSet::default(),
            version: DataVersion::new(now.0),
            dirty: false,
            changed: IndexSet::default(),
            limit,
            mixed_type: false,
        };
        for config in system.configs() {
            let name: Arc<str> = config.topic_name.as_str().into();
            table.reserved.insert(Arc::clone(&name));
            table.entries.insert(name, TopicEntry::new(config, true));
        }
        table
    }

    /// Makes configurations for topics whose queues were found in the log but of which no table knows: as many queues as the highest
    /// number asks for, to read and to write.
    pub fn recover<'a>(&mut self, now: Timestamp, found: impl IntoIterator<Item = (&'a str, &'a [i32])>) {
        for (topic, queue_ids) in found {
            let highest = queue_ids.iter().copied().max().unwrap_or(0);
            if !self.entries.contains_key(topic) && (0..QUEUES_LIMIT).contains(&highest) {
                self.put(now, plain_config(topic, NewTopic::plain(highest + 1, 0)));
            }
        }
    }

    /// A topic.
    #[must_use]
    pub fn get(&self, topic: &str) -> Option<&TopicEntry> {
        self.entries.get(topic)
    }

    /// A topic whose queues may have to be opened.
    pub fn get_mut(&mut self, topic: &str) -> Option<&mut TopicEntry> {
        self.entries.get_mut(topic)
    }

    /// Where a topic stands.
    #[must_use]
    pub fn find(&self, topic: &str) -> Option<TopicIndex> {
        self.entries.get_index_of(topic).map(TopicIndex)
    }

    /// The topic that stands somewhere.
    #[must_use]
    pub fn at(&self, index: TopicIndex) -> Option<&TopicEntry> {
        self.entries.get_index(index.0).map(|(_, entry)| entry)
    }

    /// The same, to be changed.
    pub fn at_mut(&mut self, index: TopicIndex) -> Option<&mut TopicEntry> {
        self.entries.get_index_mut(index.0).map(|(_, entry)| entry)
    }

    /// All topics.
    pub fn configs(&self) -> impl Iterator<Item = &TopicConfig> {
        self.entries.values().map(TopicEntry::config)
    }

    /// Number of topics.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no topic.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The table's data version, as name servers compare it.
    #[must_use]
    pub const fn version(&self) -> &DataVersion {
        &self.version
    }

    /// Whether something has changed since the last call: then the table is to be saved.
    #[must_use]
    pub fn take_dirty(&mut self) -> bool {
        std::mem::take(&mut self.dirty)
    }

    /// The topics that were made or changed since the last call: the name servers are to hear of them.
    #[must_use]
    pub fn take_changed(&mut self) -> Vec<Arc<str>> {
        self.changed.drain(..).collect()
    }

    /// The topics that belong to this broker, beyond those that every broker has.
    pub fn reserved(&self) -> impl Iterator<Item = &str> {
        self.reserved.iter().map(|name| &**name)
    }

    /// Whether a topic belongs to the broker itself.
    #[must_use]
    pub fn is_system(&self, topic: &str) -> bool {
        names::is_system_topic(topic) || self.reserved.contains(topic)
    }

    /// From now on topics may be said to hold messages of all types, or not (`enableMixedMessageType`).
    pub const fn set_mixed_type(&mut self, allowed: bool) {
        self.mixed_type = allowed;
    }

    /// From now on topics are made by sending to them, with so many queues at most, or no longer (`autoCreateTopicEnable`). As with Java what is
    /// saved of the topics does not change: the next start decides anew.
    pub fn set_auto_create(&mut self, queue_nums: Option<i32>) {
        match (self.entries.get_mut(names::AUTO_CREATE_TOPIC), queue_nums) {
            (Some(entry), Some(_)) => Arc::make_mut(&mut entry.config).perm |= perm::INHERIT,
            (Some(entry), None) => Arc::make_mut(&mut entry.config).perm &= !perm::INHERIT,
            (None, Some(queue_nums)) => {
                let config = system::auto_create_topic(queue_nums);
                self.entries.insert(names::AUTO_CREATE_TOPIC.into(), TopicEntry::new(config, true));
            }
            (None, None) => {}
        }
    }

    /// Makes a topic for a message that was sent to it, from the topic that the request names as its template (`TBW102`): its
    /// permissions without the right to hand them on, and no more queues than it has. The caller has checked the name.
    ///
    /// # Errors
    /// There is no such template, or the table is full.
    pub fn create_on_send(
        &mut self,
        now: Timestamp,
        topic: &str,
        default_topic: &str,
        queue_nums: i32,
        sys_flag: i32,
    ) -> Result<&mut TopicEntry, CreateError> {
        if let Some(index) = self.entries.get_index_of(topic) {
            return Ok(&mut self.entries[index]);
        }
        let template = self.entries.get(default_topic).map(TopicEntry::config);
        let template = template.filter(|template| perm::is_inherited(template.perm)).ok_or(CreateError::NoTemplate)?;
        let queue_nums = queue_nums.min(template.write_queue_nums).max(0);
        let new = NewTopic { perm: template.perm & !perm::INHERIT, ..NewTopic::plain(queue_nums, sys_flag) };
        let mut config = plain_config(topic, new);
        config.topic_filter_type = template.topic_filter_type;
        self.insert(now, config)
    }

    /// The retry or dead-letter topic of a group, made if need be. One that is there gets the queues that it lacks and loses none; its order
    /// follows the request.
    ///
    /// # Errors
    /// The table is full.
    pub fn open(&mut self, now: Timestamp, topic: &str, new: NewTopic) -> Result<&mut TopicEntry, CreateError> {
        match self.entries.get_index_of(topic) {
            None => self.insert(now, plain_config(topic, NewTopic { queue_nums: new.queue_nums.min(QUEUES_LIMIT), ..new })),
            Some(index) => {
                self.widen(now, topic, new.queue_nums);
                if self.entries[index].config.order != new.order {
                    Arc::make_mut(&mut self.entries[index].config).order = new.order;
                    self.note_change(now, index);
                }
                Ok(&mut self.entries[index])
            }
        }
    }

    /// Makes sure that a topic, if it is there, has so many queues to read and to write: what is in them could not be read otherwise.
    pub fn widen(&mut self, now: Timestamp, topic: &str, queue_nums: i32) {
        let Some(index) = self.entries.get_index_of(topic) else { return };
        let (config, queue_nums) = (&mut self.entries[index].config, queue_nums.min(QUEUES_LIMIT));
        if config.read_queue_nums < queue_nums || config.write_queue_nums < queue_nums {
            let config = Arc::make_mut(config);
            config.read_queue_nums = config.read_queue_nums.max(queue_nums);
            config.write_queue_nums = config.write_queue_nums.max(queue_nums);
            self.note_change(now, index);
        }
    }

    /// Creates or changes a topic for an operator; the keys of its attributes carry signs. Tells whether anything changed.
    ///
    /// # Errors
    /// The name, the queue numbers or the attributes are not allowed, or the table is full.
    pub fn create_or_update(&mut self, now: Timestamp, mut config: TopicConfig) -> Result<bool, Refusal> {
        let topic = config.topic_name.as_str();
        names::validate_topic(topic).map_err(|error| Refusal::invalid(error.to_string()))?;
        if self.is_system(topic) {
            return Err(Refusal::invalid(format!("The topic[{topic}] is conflict with system topic.")));
        }
        for queue_nums in [config.read_queue_nums, config.write_queue_nums] {
            if !(0..=QUEUES_LIMIT).contains(&queue_nums) {
                return Err(Refusal::invalid(format!("a topic of {queue_nums} queues is beyond the limit of {QUEUES_LIMIT}")));
            }
        }
        if !self.mixed_type && config.attributes.get("+message.type").is_some_and(|value| value == "MIXED") {
            return Err(Refusal::invalid("MIXED message type is not supported."));
        }
        let current = self.entries.get(topic).map(TopicEntry::config);
        config.attributes = attributes::alter(TOPIC_ATTRIBUTES, current.map(|current| &current.attributes), &config.attributes)
            .map_err(|error| Refusal::system(error.to_string()))?;
        if current == Some(&config) {
            return Ok(false);
        }
        if current.is_none() && self.entries.len() >= self.limit {
            return Err(Refusal::system(CreateError::Full { limit: self.limit }.to_string()));
        }
        self.put(now, config);
        Ok(true)
    }

    /// Forgets a topic and gives it back if it was there; its queues are storage's to remove.
    ///
    /// # Errors
    /// The name is blank or the topic belongs to the broker.
    pub fn delete(&mut self, now: Timestamp, topic: &str) -> Result<Option<TopicEntry>, Refusal> {
        if topic.trim().is_empty() {
            return Err(Refusal::invalid("The specified topic is blank."));
        }
        if self.is_system(topic) {
            return Err(Refusal::invalid(format!("The topic[{topic}] is conflict with system topic.")));
        }
        let deleted = self.entries.shift_remove(topic);
        if deleted.is_some() {
            self.changed.shift_remove(topic);
            self.step(now);
        }
        Ok(deleted)
    }

    /// Takes in the name server's list of ordered topics. A topic that it no longer names stays ordered: an operator may have said so.
    pub fn set_ordered<'a>(&mut self, now: Timestamp, topics: impl IntoIterator<Item = &'a str>) {
        for topic in topics {
            if let Some(index) = self.entries.get_index_of(topic)
                && !self.entries[index].config.order
            {
                Arc::make_mut(&mut self.entries[index].config).order = true;
                self.note_change(now, index);
            }
        }
    }

    /// Steps the data version without any other change, so that name servers take the whole table again.
    pub fn step(&mut self, now: Timestamp) {
        self.version = self.version.next(0, now.0);
        self.dirty = true;
    }

    fn insert(&mut self, now: Timestamp, config: TopicConfig) -> Result<&mut TopicEntry, CreateError> {
        if self.entries.len() >= self.limit {
            return Err(CreateError::Full { limit: self.limit });
        }
        let index = self.put(now, config);
        Ok(&mut self.entries[index])
    }

    /// Stores a configuration; the queues of a topic that was there stay open.
    fn put(&mut self, now: Timestamp, config: TopicConfig) -> usize {
        let index = match self.entries.get_index_of(config.topic_name.as_str()) {
            Some(index) => {
                self.entries[index].config = Arc::new(config);
                index
            }
            None => {
                let own = self.is_system(&config.topic_name);
                self.entries.insert_full(config.topic_name.as_str().into(), TopicEntry::new(config, own)).0
            }
        };
        self.note_change(now, index);
        index
    }

    fn note_change(&mut self, now: Timestamp, index: usize) {
        if let Some((name, _)) = self.entries.get_index(index) {
            self.changed.insert(Arc::clone(name));
        }
        self.step(now);
    }
}

/// A configuration with nothing special about it.
fn plain_config(topic: &str, new: NewTopic) -> TopicConfig {
    TopicConfig {
        topic_name: topic.to_owned(),
        read_queue_nums: new.queue_nums,
        write_queue_nums: new.queue_nums,
        perm: new.perm,
        topic_filter_type: TopicFilterType::SingleTag,
        topic_sys_flag: new.sys_flag,
        order: new.order,
        attributes: attributes::Attributes::default(),
    }
}

/// A configuration as Java's `toString` writes it; it stands in answers to requests for a queue that is not there.
#[must_use]
pub fn java_text(config: &TopicConfig) -> String {
    let attributes: Vec<_> = config.attributes.iter().map(|(key, value)| format!("{key}={value}")).collect();
    format!(
        "TopicConfig [topicName={}, readQueueNums={}, writeQueueNums={}, perm={}, topicFilterType={}, topicSysFlag={}, order={}, \
         attributes={{{}}}]",
        config.topic_name,
        config.read_queue_nums,
        config.write_queue_nums,
        perm::text(config.perm),
        config.topic_filter_type.name(),
        config.topic_sys_flag,
        config.order,
        attributes.join(", "),
    )
}

#[cfg(test)]
mod tests;
