//! The offset table as `consumerOffset.json`.

use std::collections::BTreeMap;

use proto_core::{
    bodies::{ConsumerOffsetSerializeWrapper, Table},
    json::{self, Dialect},
};

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

    fn wrapper(&self) -> ConsumerOffsetSerializeWrapper {
        let mut groups: Table<String, Vec<String>> = Table::default();
        for key in self.committed_keys() {
            groups.entry(key.group().to_owned()).or_default().push(key.topic().to_owned());
        }
        ConsumerOffsetSerializeWrapper {
            data_version: self.version,
            group_topic_map: Some(groups),
            offset_table: self.columns(|progress| progress.committed),
            pull_offset_table: Some(self.columns(|progress| progress.pulled)),
        }
    }

    fn columns(&self, of: impl Fn(&Progress) -> Option<i64>) -> Table<String, BTreeMap<i32, i64>> {
        let column = |group: &GroupProgress| -> BTreeMap<i32, i64> {
            group.queues.iter().filter_map(|(&queue_id, progress)| Some((queue_id, of(progress)?))).collect()
        };
        let columns = self.entries.iter().map(|(key, group)| (key.text.to_string(), column(group)));
        columns.filter(|(_, column)| !column.is_empty()).collect()
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
