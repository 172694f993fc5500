//! The tables of a store as they lie on disk: do they read, and what do they hold?

use std::{collections::BTreeMap, path::PathBuf};

use proto_core::{
    bodies::{
        ConsumerFilterWrapper, ConsumerOffsetSerializeWrapper, DelayOffsetSerializeWrapper, SubscriptionGroupWrapper,
        TopicConfigSerializeWrapper,
    },
    json,
};

use super::{Finding, Part, Severity};
use crate::{
    disk::Disk,
    error::{OpenError, at},
};

/// A table's file and the copy of its previous content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableFile {
    /// Its name.
    pub name: &'static str,
    /// Length in bytes; `None` if there is no file.
    pub bytes: Option<u64>,
    /// How many entries it has; `None` if it cannot be read or is not there.
    pub entries: Option<usize>,
    /// Length of the `.bak` in bytes; `None` if there is none.
    pub bak_bytes: Option<u64>,
}

/// What the tables say that other parts are held against.
#[derive(Debug, Default)]
pub(super) struct Tables {
    pub(super) files: Vec<TableFile>,
    pub(super) findings: Vec<Finding>,
    /// Names of topics, if their table could be read.
    pub(super) topics: Option<Vec<String>>,
    /// Their table is there but cannot be read, which was told.
    pub(super) topics_damaged: bool,
    /// Committed offsets by `topic@group` and queue.
    pub(super) offsets: BTreeMap<String, BTreeMap<i32, i64>>,
}

impl Tables {
    /// Reads all tables of a folder.
    ///
    /// # Errors
    /// If one is there but cannot be read.
    pub(super) fn read(disk: &Disk, dir: PathBuf) -> Result<Self, OpenError> {
        let mut tables = Self::default();
        let mut reader = Reader { disk, dir, tables: &mut tables };
        let topics = reader.read("topics.json", |bytes| {
            let table: TopicConfigSerializeWrapper = json::from_table(bytes)?;
            Ok((table.topic_config_table.len(), table.topic_config_table.keys().cloned().collect()))
        })?;
        reader.read("subscriptionGroup.json", |bytes| {
            json::from_table(bytes).map(|table: SubscriptionGroupWrapper| (table.subscription_group_table.len(), ()))
        })?;
        let offsets = reader.read("consumerOffset.json", |bytes| {
            let table: ConsumerOffsetSerializeWrapper = json::from_table(bytes)?;
            Ok((table.offset_table.len(), table.offset_table.into_iter().collect()))
        })?;
        reader.read("delayOffset.json", |bytes| {
            json::from_table(bytes).map(|table: DelayOffsetSerializeWrapper| (table.offset_table.len(), ()))
        })?;
        reader.read("consumerFilter.json", |bytes| {
            json::from_table(bytes).map(|table: ConsumerFilterWrapper| (table.filter_data_by_topic.len(), ()))
        })?;
        tables.topics_damaged =
            topics.is_none() && tables.findings.iter().any(|it| it.severity == Severity::Damage && it.path.ends_with("topics.json"));
        tables.topics = topics;
        tables.offsets = offsets.unwrap_or_default();
        Ok(tables)
    }
}

struct Reader<'a> {
    disk: &'a Disk,
    dir: PathBuf,
    tables: &'a mut Tables,
}

impl Reader<'_> {
    /// Reads one table with its copy; answers what the one in force holds.
    fn read<T>(
        &mut self,
        name: &'static str,
        parse: impl Fn(&[u8]) -> Result<(usize, T), json::JsonError>,
    ) -> Result<Option<T>, OpenError> {
        let (path, bak) = (self.dir.join(name), self.dir.join(format!("{name}.bak")));
        // As for Java, an empty file is none.
        let content = |path: &PathBuf| {
            let read = self.disk.read(path).map_err(at(path))?;
            Ok::<_, OpenError>(read.map(|bytes| (bytes.len() as u64, (!bytes.is_empty()).then(|| parse(&bytes)))))
        };
        let (file, copy) = (content(&path)?, content(&bak)?);
        let (bytes, parsed) = file.map_or((None, None), |(len, parsed)| (Some(len), parsed));
        let (bak_bytes, copied) = copy.map_or((None, None), |(len, parsed)| (Some(len), parsed));
        let entries = parsed.as_ref().and_then(|parsed| parsed.as_ref().ok()).map(|(entries, _)| *entries);
        if bytes.is_some() || bak_bytes.is_some() {
            self.tables.files.push(TableFile { name, bytes, entries, bak_bytes });
        }
        let copy_is_good = matches!(copied, Some(Ok(_)));
        let serves = if copy_is_good { "the copy beside it (.bak) serves instead" } else { "there is no copy that serves instead" };
        if bak_bytes == Some(0) {
            self.tell(Severity::Note, bak.clone(), "empty, so it cannot serve; the next save replaces it".to_owned());
        }
        if let Some(Err(error)) = &copied {
            self.tell(Severity::Repairable, bak, format!("cannot be read ({error}); the next save replaces it"));
        }
        match (parsed, copied) {
            (Some(Ok((_, value))), _) => Ok(Some(value)),
            (Some(Err(error)), copied) => {
                let severity = if copy_is_good { Severity::Repairable } else { Severity::Damage };
                self.tell(severity, path, format!("cannot be read ({error}); {serves}"));
                Ok(copied.and_then(Result::ok).map(|(_, value)| value))
            }
            (None, Some(Ok((_, value)))) => {
                self.tell(Severity::Repairable, path, format!("missing or empty; {serves}"));
                Ok(Some(value))
            }
            (None, _) if bytes == Some(0) => {
                self.tell(Severity::Damage, path, format!("empty, which no broker leaves behind; {serves}"));
                Ok(None)
            }
            (None, _) => Ok(None),
        }
    }

    fn tell(&mut self, severity: Severity, path: PathBuf, what: String) {
        self.tables.findings.push(Finding { severity, part: Part::Tables, path, at: None, what });
    }
}
