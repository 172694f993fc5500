//! The consumer groups of a broker and what they may do (`subscriptionGroup.json`).

use std::{borrow::Cow, sync::Arc};

use foldhash::fast::FixedState;
use indexmap::IndexMap;
use proto_core::{
    bodies::{DataVersion, SubscriptionGroupConfig, Table},
    names,
};

use super::{
    attributes::{self, GROUP_ATTRIBUTES},
    refusal::Refusal,
    topics::QUEUES_LIMIT,
};
use crate::time::Timestamp;

mod file;

pub use file::GroupsSnapshot;

/// Longest name of a group that is made by using it, in bytes; an operator's own limit is shorter.
const USED_NAME_MAX_LEN: usize = 255;

/// The bit that forbids a group to read a topic (`INDEX_PERM_READ`).
const FORBIDDEN_READ: i32 = 1 << 2;

type Forbidden = IndexMap<Box<str>, Table<String, i32>, FixedState>;

/// All groups, in the order in which they were made.
#[derive(Debug)]
pub struct GroupTable {
    /// Shared with a save that is under way.
    groups: IndexMap<Box<str>, Arc<SubscriptionGroupConfig>, FixedState>,
    /// Bits of what a group may not do with a topic; shared, too.
    forbidden: Arc<Forbidden>,
    version: DataVersion,
    dirty: bool,
    auto_create: bool,
    limit: usize,
}

impl GroupTable {
    /// A table for at most `limit` groups, with the groups that every broker knows. `auto_create`: whether a group is made by using it
    /// (`autoCreateSubscriptionGroup`).
    #[must_use]
    pub fn new(now: Timestamp, auto_create: bool, limit: usize) -> Self {
        let groups = names::SYSTEM_GROUPS.iter().map(|&name| (name.into(), Arc::new(SubscriptionGroupConfig::new(name)))).collect();
        Self { groups, forbidden: Arc::default(), version: DataVersion::new(now.0), dirty: false, auto_create, limit }
    }

    /// From now on a group is made by using it, or no longer.
    pub const fn set_auto_create(&mut self, auto_create: bool) {
        self.auto_create = auto_create;
    }

    /// A group that is there.
    #[must_use]
    pub fn get(&self, group: &str) -> Option<&SubscriptionGroupConfig> {
        self.groups.get(group).map(|config| &**config)
    }

    /// A group as it is, or as [`Self::find_or_create`] would make it; `None` if that would not.
    #[must_use]
    pub fn as_used(&self, group: &str) -> Option<Cow<'_, SubscriptionGroupConfig>> {
        if let Some(config) = self.groups.get(group) {
            return Some(Cow::Borrowed(config));
        }
        let allowed = self.auto_create || names::is_system_group(group) || names::is_predefined_group(group);
        let may_be = allowed && self.groups.len() < self.limit && is_usable_name(group);
        may_be.then(|| Cow::Owned(SubscriptionGroupConfig::new(group)))
    }

    /// A group, made with all defaults if it may be made by using it; the broker's own groups always may.
    pub fn find_or_create(&mut self, now: Timestamp, group: &str) -> Option<&SubscriptionGroupConfig> {
        if let Some(index) = self.groups.get_index_of(group) {
            return Some(&self.groups[index]);
        }
        let config = self.as_used(group)?.into_owned();
        self.step(now);
        let (index, _) = self.groups.insert_full(group.into(), Arc::new(config));
        Some(&self.groups[index])
    }

    /// All groups.
    pub fn configs(&self) -> impl Iterator<Item = &SubscriptionGroupConfig> {
        self.groups.values().map(|config| &**config)
    }

    /// Number of groups.
    #[must_use]
    pub fn len(&self) -> usize {
        self.groups.len()
    }

    /// Whether there is no group.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
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

    /// Creates or changes a group for an operator; the keys of its attributes carry signs. Tells whether anything changed.
    ///
    /// # Errors
    /// The name, the number of retry queues or the attributes are not allowed, or the table is full.
    pub fn create_or_update(&mut self, now: Timestamp, mut config: SubscriptionGroupConfig) -> Result<bool, Refusal> {
        let group = config.group_name.as_str();
        names::validate_group(group).map_err(|error| Refusal::invalid(error.to_string()))?;
        if config.retry_queue_nums > QUEUES_LIMIT {
            let text = format!("retryQueueNums of {} is beyond the limit of {QUEUES_LIMIT} queues of a topic", config.retry_queue_nums);
            return Err(Refusal::invalid(text));
        }
        let current = self.groups.get(group);
        config.attributes = attributes::alter(GROUP_ATTRIBUTES, current.map(|current| &current.attributes), &config.attributes)
            .map_err(|error| Refusal::system(error.to_string()))?;
        if current.is_some_and(|current| **current == config) {
            return Ok(false);
        }
        if current.is_none() && self.groups.len() >= self.limit {
            return Err(Refusal::system(format!("the broker has its limit of {} groups", self.limit)));
        }
        self.groups.insert(group.into(), Arc::new(config));
        self.step(now);
        Ok(true)
    }

    /// Forgets a group and what it may not do. Tells whether it was there; its offsets and locks are not this table's.
    pub fn delete(&mut self, now: Timestamp, group: &str) -> bool {
        let was_there = self.groups.shift_remove(group).is_some();
        if was_there | Arc::make_mut(&mut self.forbidden).shift_remove(group).is_some() {
            self.step(now);
        }
        was_there
    }

    /// Whether a group may read a topic.
    #[must_use]
    pub fn may_read(&self, group: &str, topic: &str) -> bool {
        self.forbidden.get(group).and_then(|topics| topics.get(topic)).is_none_or(|bits| bits & FORBIDDEN_READ == 0)
    }

    /// Forbids a group to read a topic or allows it again. Groups and topics need not be there, as in Java; only as many are kept as
    /// there may be groups.
    ///
    /// # Errors
    /// The table is full.
    pub fn set_may_read(&mut self, now: Timestamp, group: &str, topic: &str, may_read: bool) -> Result<(), Refusal> {
        if self.may_read(group, topic) == may_read {
            return Ok(());
        }
        if may_read {
            let forbidden = Arc::make_mut(&mut self.forbidden);
            if let Some(topics) = forbidden.get_mut(group) {
                topics.shift_remove(topic);
                if topics.is_empty() {
                    forbidden.shift_remove(group);
                }
            }
        } else {
            if self.forbidden.values().map(Table::len).sum::<usize>() >= self.limit {
                return Err(Refusal::system(format!("the broker has its limit of {} forbidden topics", self.limit)));
            }
            Arc::make_mut(&mut self.forbidden).entry(group.into()).or_default().insert(topic.to_owned(), FORBIDDEN_READ);
        }
        self.step(now);
        Ok(())
    }

    fn step(&mut self, now: Timestamp) {
        self.version = self.version.next(0, now.0);
        self.dirty = true;
    }
}

/// Whether a client may make a group of this name by using it.
fn is_usable_name(group: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'%' | b'|' | b'_' | b'-');
    (1..=USED_NAME_MAX_LEN).contains(&group.len()) && group.bytes().all(legal)
}

#[cfg(test)]
mod tests {
    use proto_core::code::ResponseCode;

    use super::*;

    const NOW: Timestamp = Timestamp(1_000);

    fn table() -> GroupTable {
        GroupTable::new(NOW, true, 100)
    }

    #[test]
    fn the_brokers_own_groups_are_there_from_the_start_and_need_no_save() {
        let mut groups = table();
        assert!(groups.get("CID_RMQ_SYS_TRANS").is_some());
        assert_eq!(groups.len(), 8);
        assert!(!groups.take_dirty());
    }

    #[test]
    fn a_group_has_no_more_retry_queues_than_a_topic_can_have() {
        let with = |retry_queue_nums| SubscriptionGroupConfig { retry_queue_nums, ..SubscriptionGroupConfig::new("G") };
        let refusal = table().create_or_update(NOW, with(QUEUES_LIMIT + 1)).unwrap_err();
        assert_eq!(refusal.code, ResponseCode::InvalidParameter);
        assert_eq!(table().create_or_update(NOW, with(QUEUES_LIMIT)), Ok(true));
        assert_eq!(table().create_or_update(NOW, with(0)), Ok(true), "a group without retries");
    }

    #[test]
    fn a_group_is_made_by_using_it() {
        let mut groups = table();
        assert_eq!(groups.find_or_create(NOW, "G").map(|config| config.retry_max_times), Some(16));
        assert!(groups.take_dirty());
        assert_eq!(groups.version().counter, 1);
        groups.find_or_create(NOW, "G");
        assert_eq!(groups.version().counter, 1);
    }

    #[test]
    fn without_automatic_creation_only_groups_of_brokers_are_made() {
        let mut groups = GroupTable::new(NOW, false, 100);
        assert!(groups.find_or_create(NOW, "G").is_none());
        assert!(groups.find_or_create(NOW, "CID_RMQ_SYS_X").is_some());
    }

    #[test]
    fn a_name_that_is_none_makes_no_group() {
        let mut groups = table();
        for name in ["", "a b", "a@b", &"g".repeat(256)] {
            assert!(groups.find_or_create(NOW, name).is_none(), "{name}");
        }
        assert!(groups.find_or_create(NOW, &"g".repeat(255)).is_some());
    }

    #[test]
    fn a_full_table_makes_no_group() {
        let mut groups = GroupTable::new(NOW, true, 8);
        assert!(groups.find_or_create(NOW, "G").is_none());
        let refusal = groups.create_or_update(NOW, SubscriptionGroupConfig::new("G")).unwrap_err();
        assert_eq!(refusal.code, ResponseCode::SystemError);
    }

    #[test]
    fn an_operators_change_counts_once() {
        let mut groups = table();
        let config = SubscriptionGroupConfig { retry_max_times: 5, ..SubscriptionGroupConfig::new("G") };
        assert_eq!(groups.create_or_update(NOW, config.clone()), Ok(true));
        assert_eq!(groups.create_or_update(NOW, config), Ok(false));
        assert_eq!(groups.get("G").unwrap().retry_max_times, 5);
        assert_eq!(groups.version().counter, 1);
    }

    #[test]
    fn an_operators_group_needs_a_name_of_at_most_120_bytes() {
        let mut groups = table();
        let refusal = groups.create_or_update(NOW, SubscriptionGroupConfig::new("g".repeat(121))).unwrap_err();
        assert_eq!(refusal.code, ResponseCode::InvalidParameter);
        assert!(refusal.remark.ends_with("is longer than group max length: 120"));
    }

    #[test]
    fn a_deleted_group_is_gone_and_an_unknown_one_changes_nothing() {
        let mut groups = table();
        groups.find_or_create(NOW, "G");
        assert!(groups.delete(NOW, "G"));
        assert!(groups.get("G").is_none());
        let version = *groups.version();
        assert!(!groups.delete(NOW, "G"));
        assert_eq!(*groups.version(), version);
    }

    #[test]
    fn a_group_may_read_what_it_is_not_forbidden_to() {
        let mut groups = table();
        groups.set_may_read(NOW, "G", "T", false).unwrap();
        assert!(!groups.may_read("G", "T"));
        assert!(groups.may_read("G", "U"));
        assert!(groups.may_read("H", "T"));
        groups.set_may_read(NOW, "G", "T", true).unwrap();
        assert!(groups.may_read("G", "T"));
    }

    #[test]
    fn allowing_one_topic_leaves_the_others_forbidden() {
        let mut groups = table();
        groups.set_may_read(NOW, "G", "T", false).unwrap();
        groups.set_may_read(NOW, "G", "U", false).unwrap();
        groups.set_may_read(NOW, "G", "T", true).unwrap();
        assert!(!groups.may_read("G", "U"));
    }

    #[test]
    fn a_save_that_is_under_way_keeps_the_table_as_it_was() {
        let mut table = table();
        table.find_or_create(NOW, "G");
        table.set_may_read(NOW, "G", "T", false).unwrap();
        let (before, snapshot) = (table.snapshot().to_bytes(), table.snapshot());
        table.create_or_update(NOW, SubscriptionGroupConfig { consume_enable: false, ..SubscriptionGroupConfig::new("G") }).unwrap();
        table.find_or_create(NOW, "H");
        table.set_may_read(NOW, "G", "T", true).unwrap();
        assert_eq!(snapshot.to_bytes(), before);
        assert_ne!(table.snapshot().to_bytes(), before);
        table.delete(NOW, "G");
        assert_eq!(snapshot.to_bytes(), before);
    }
}
