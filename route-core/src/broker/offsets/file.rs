//! The offset table as `consumerOffset.json`.

use std::{collections::BTreeMap, sync::Arc};

use foldhash::fast::FixedState;
use indexmap::IndexMap;
use proto_core::{
    bodies::{ConsumerOffsetSerializeWrapper, DataVersion, Table},
    json::{self, Dialect},
};
use serde::{Serialize, Serializer};

use super::{Key, OffsetTable, Progress, Row};

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

    /// The table as it is now, to be saved.
    #[must_use]
    pub fn snapshot(&self) -> OffsetsSnapshot {
        OffsetsSnapshot { version: self.version, rows: self.entries.values().map(|group| Arc::clone(&group.row)).collect() }
    }

    fn take_in(&mut self, table: &Table<String, BTreeMap<i32, i64>>, set: impl Fn(&mut Progress, i64)) {
        for (text, queues) in table {
            let Some(key) = Key::parse(text) else { continue };
            for (&queue_id, &offset) in queues {
                let Some(index) = self.open(key.topic(), key.group(), queue_id) else { break };
                set(self.entries[index].queues_mut().entry(queue_id).or_default(), offset);
            }
        }
    }
}

/// All offsets as they were at one moment.
#[derive(Clone, Debug)]
pub struct OffsetsSnapshot {
    version: DataVersion,
    rows: Vec<Arc<Row>>,
}

impl OffsetsSnapshot {
    /// The file; Java's broker and its tools read it.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        json::to_vec(&self.written(), Dialect::Pretty)
    }

    /// What slaves are told.
    #[must_use]
    pub fn to_body(&self) -> Vec<u8> {
        json::to_vec(&self.written(), Dialect::Default)
    }

    fn written(&self) -> Written<'_> {
        let mut group_topic_map: IndexMap<&str, Vec<&str>, FixedState> = IndexMap::default();
        for Row { key, .. } in self.rows.iter().map(|row| &**row).filter(|row| row.has_commit()) {
            group_topic_map.entry(key.group()).or_default().push(key.topic());
        }
        Written {
            data_version: self.version,
            group_topic_map,
            offset_table: Column { rows: &self.rows, of: |progress| progress.committed },
            pull_offset_table: Column { rows: &self.rows, of: |progress| progress.pulled },
        }
    }
}

/// A [`ConsumerOffsetSerializeWrapper`] as it is written, without a copy of what it has: that can be large, and is saved every few seconds.
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
    rows: &'a [Arc<Row>],
    of: fn(&Progress) -> Option<i64>,
}

impl Serialize for Column<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let rows = self.rows.iter().map(|row| (&*row.key.text, Queues { row, of: self.of }));
        serializer.collect_map(rows.filter(|(_, queues)| queues.offsets().next().is_some()))
    }
}

struct Queues<'a> {
    row: &'a Row,
    of: fn(&Progress) -> Option<i64>,
}

impl Queues<'_> {
    fn offsets(&self) -> impl Iterator<Item = (i32, i64)> {
        self.row.queues.iter().filter_map(|(&queue_id, progress)| Some((queue_id, (self.of)(progress)?)))
    }
}

impl Serialize for Queues<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.offsets())
    }
}
