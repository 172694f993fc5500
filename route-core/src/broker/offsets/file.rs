//! The offset table as `consumerOffset.json`.

use std::collections::BTreeMap;

use foldhash::fast::FixedState;
use indexmap::IndexMap;
use proto_core::{
    bodies::{ConsumerOffsetSerializeWrapper, DataVersion, Table},
    json::{self, Dialect},
};
use serde::{Serialize, Serializer};

use super::{GroupProgress, Key, OffsetTable, Progress};

impl OffsetTable {
    /// Takes in a saved table. Keys that are not `topic@group` and what is beyond the table's limits are left out.
    ///
    /// # Errors
    /// The content is no such table; nothing was taken in.
    pub fn load(&mut self, content: &[u8]) -> Result<(), json::JsonError> {
        let saved: ConsumerOffsetSerializeWrapper = json::from_table(content)?;
        self.version = saved.data_version;
        self.take_in(&saved.offset_table, |progress, offset| progress.committed = Some(offset));
        if let Some(pulled) = &saved.pull_offset_table {
            self.take_in(pulled, |progress, offset| progress.pulled = Some(offset));
        }
        Ok(())
    }

    /// The table as it is saved; Java's broker and its tools read it.
    #[must_use]
    pub fn to_file(&self) -> Vec<u8> {
        json::to_vec(&self.wrapper(), Dialect::Pretty)
    }

    /// The table as slaves are told it.
    #[must_use]
    pub fn to_body(&self) -> Vec<u8> {
        json::to_vec(&self.wrapper(), Dialect::Default)
    }

    fn wrapper(&self) -> Written<'_> {
        let mut group_topic_map: IndexMap<&str, Vec<&str>, FixedState> = IndexMap::default();
        for key in self.committed_keys() {
            group_topic_map.entry(key.group()).or_default().push(key.topic());
        }
        Written {
            data_version: self.version,
            group_topic_map,
            offset_table: Column { table: self, of: |progress| progress.committed },
            pull_offset_table: Column { table: self, of: |progress| progress.pulled },
        }
    }

    fn take_in(&mut self, table: &Table<String, BTreeMap<i32, i64>>, set: impl Fn(&mut Progress, i64)) {
        for (text, queues) in table {
            let Some(key) = Key::parse(text) else { continue };
            for (&queue_id, &offset) in queues {
                let Some(index) = self.open(key.topic(), key.group(), queue_id) else { break };
                set(self.entries[index].queues.entry(queue_id).or_default(), offset);
            }
        }
    }
}

/// A [`ConsumerOffsetSerializeWrapper`] as it is written, out of the table itself: it can be large, and is saved every few seconds.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Written<'a> {
    data_version: DataVersion,
    group_topic_map: IndexMap<&'a str, Vec<&'a str>, FixedState>,
    offset_table: Column<'a>,
    pull_offset_table: Column<'a>,
}

/// One of the offsets of each queue, by `topic@group` and queue.
struct Column<'a> {
    table: &'a OffsetTable,
    of: fn(&Progress) -> Option<i64>,
}

impl Serialize for Column<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let rows = self.table.entries.iter().map(|(key, group)| (&*key.text, Queues { group, of: self.of }));
        serializer.collect_map(rows.filter(|(_, queues)| queues.offsets().next().is_some()))
    }
}

struct Queues<'a> {
    group: &'a GroupProgress,
    of: fn(&Progress) -> Option<i64>,
}

impl Queues<'_> {
    fn offsets(&self) -> impl Iterator<Item = (i32, i64)> {
        self.group.queues.iter().filter_map(|(&queue_id, progress)| Some((queue_id, (self.of)(progress)?)))
    }
}

impl Serialize for Queues<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.offsets())
    }
}
