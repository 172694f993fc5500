//! What lies in a store, in short: files, bounds, times. Only the end of the log is read, and a little of each queue.

use std::path::PathBuf;

use proto_core::record::{MIN_LEN, peek};
use route_core::storage::QueueUnit;

use super::{Examination, layout::QueueFiles, queue_view::QueueView, tables::TableFile, tables::Tables};
use crate::{
    consume_queue::PRE_BLANK,
    disk::Access,
    error::{OpenError, at},
    log_walk::{LogWalk, Step},
};

/// All that there is to say about a store in short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The data folder.
    pub root: PathBuf,
    /// The last process closed the store in order.
    pub closed: bool,
    /// What the checkpoint says; `None` without one.
    pub checkpoint: Option<CheckpointSummary>,
    /// The commit log.
    pub log: LogSummary,
    /// Bytes of a file of a consume queue; 0 if there is none.
    pub queue_file_size: u64,
    /// Topics by name.
    pub topics: Vec<TopicSummary>,
    /// Files of the index with their lengths.
    pub index: Vec<(String, u64)>,
    /// Tables that are there.
    pub tables: Vec<TableFile>,
    /// Files in which a start has kept what it cut off the log, with their lengths.
    pub cut_off: Vec<(PathBuf, u64)>,
}

/// What a checkpoint says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckpointSummary {
    /// Store time of the last message on disk, ms since 1970.
    pub physic_msg_timestamp: i64,
    /// Store time of the last message whose unit is on disk.
    pub logics_msg_timestamp: i64,
    /// Store time of the last message in an index file on disk.
    pub index_msg_timestamp: i64,
    /// Log and queues are on disk up to this offset, if Petrel was the last to write.
    pub on_disk: Option<i64>,
}

/// The commit log in short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSummary {
    /// Its folder.
    pub dir: PathBuf,
    /// Bytes of a file; 0 if there is none.
    pub file_size: u64,
    /// Its files.
    pub files: Vec<LogFileSummary>,
    /// First byte.
    pub start: i64,
    /// One past the last whole record.
    pub end: i64,
    /// Bytes behind the end that are no record.
    pub torn: u64,
}

/// A file of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogFileSummary {
    /// Offset of its first byte, which is its name.
    pub base: i64,
    /// Its length in bytes.
    pub bytes: u64,
    /// When its first message was stored, ms since 1970; `None` if it begins with none.
    pub first_stored: Option<i64>,
}

/// A topic's queues.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicSummary {
    /// Its name.
    pub name: String,
    /// `topics.json` has it; `None` if that cannot be read.
    pub in_table: Option<bool>,
    /// Its queues in order.
    pub queues: Vec<QueueSummary>,
}

/// A queue in short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueSummary {
    /// Its number.
    pub queue_id: i32,
    /// How many files it has.
    pub files: usize,
    /// Offset of the first message that is there.
    pub min_offset: i64,
    /// One past the offset of the last message.
    pub max_offset: i64,
    /// When the first message that is there was stored, ms since 1970.
    pub first_stored: Option<i64>,
    /// When the last one was stored.
    pub last_stored: Option<i64>,
}

impl Examination {
    /// What there is, in short.
    ///
    /// # Errors
    /// [`OpenError`] if a file cannot be read.
    pub fn inspect(&self) -> Result<Summary, OpenError> {
        let tables = Tables::read(&self.disk, self.config.root.join("config"))?;
        let mut topics = Vec::<TopicSummary>::new();
        for queue in &self.layout.queues {
            let summary = self.inspect_queue(queue)?;
            match topics.last_mut() {
                Some(topic) if topic.name == queue.topic => topic.queues.push(summary),
                _ => {
                    let in_table = tables.topics.as_ref().map(|topics| topics.contains(&queue.topic));
                    topics.push(TopicSummary { name: queue.topic.clone(), in_table, queues: vec![summary] });
                }
            }
        }
        let java = self.checkpoint.java;
        let checkpoint = self.disk.exists(&self.config.root.join("checkpoint")).then(|| CheckpointSummary {
            physic_msg_timestamp: java.physic_msg_timestamp,
            logics_msg_timestamp: java.logics_msg_timestamp,
            index_msg_timestamp: java.index_msg_timestamp,
            on_disk: self.checkpoint.mark.map(|mark| mark.position),
        });
        Ok(Summary {
            root: self.config.root.clone(),
            closed: self.closed,
            checkpoint,
            log: self.inspect_log()?,
            queue_file_size: self.layout.queue_file_size,
            topics,
            index: self.files_of("index")?,
            tables: tables.files,
            cut_off: self.cut_off()?,
        })
    }

    fn inspect_log(&self) -> Result<LogSummary, OpenError> {
        let layout = &self.layout;
        let mut files = Vec::new();
        for file in &layout.log.files {
            files.push(LogFileSummary { base: file.base, bytes: file.len, first_stored: self.stored(file.base)? });
        }
        // A file begins with a record, and so does what follows the checkpoint.
        let last = files.iter().rfind(|file| file.first_stored.is_some()).map_or(layout.log_start(), |file| file.base);
        let known = self.checkpoint.mark.map_or(last, |mark| mark.position);
        let from = if known > last && known < last + layout.log_file_size.cast_signed() { known } else { last };
        let mut walk = LogWalk::new(&self.disk, &layout.log.dir, layout.log_file_size, &layout.log.files, from, self.trailers()?);
        let end = loop {
            if let Step::End(end) = walk.step()? {
                break end;
            }
        };
        let (dir, file_size, start) = (layout.log.dir.clone(), layout.log_file_size, layout.log_start());
        Ok(LogSummary { dir, file_size, files, start, end: end.at, torn: end.torn })
    }

    fn inspect_queue(&self, queue: &QueueFiles) -> Result<QueueSummary, OpenError> {
        let mut view = QueueView::open(&self.disk, &queue.row, self.layout.queue_file_size)?;
        let log_start = self.layout.log_start();
        // The first unit whose message is there: units of messages that are gone come first.
        let (mut low, mut high) = (view.first, view.end);
        while low < high {
            let middle = low + (high - low) / 2;
            if view.unit(middle)?.is_some_and(|unit| unit.offset.0 < log_start || unit == PRE_BLANK) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let end = view.end;
        let mut stored_at = |offset: i64| match view.unit(offset)? {
            Some(QueueUnit { offset, .. }) => self.stored(offset.0),
            None => Ok(None),
        };
        let (first_stored, last_stored) = (stored_at(low)?, stored_at(end - 1)?);
        let (files, max_offset) = (queue.row.files.len(), end);
        Ok(QueueSummary { queue_id: queue.queue_id, files, min_offset: low, max_offset, first_stored, last_stored })
    }

    /// When the record that begins at an offset was stored; `None` if none begins there.
    pub(super) fn stored(&self, offset: i64) -> Result<Option<i64>, OpenError> {
        let (path, in_file) = self.log_place(offset);
        let base = offset - in_file.cast_signed();
        let Some(file) = self.layout.log.files.iter().find(|file| file.base == base) else { return Ok(None) };
        if offset < 0 || in_file + MIN_LEN as u64 > file.len {
            return Ok(None);
        }
        let mut head = [0; MIN_LEN];
        self.disk.open_file(&path, Access::Read).and_then(|open| open.read_at(&mut head, in_file)).map_err(at(&path))?;
        Ok((peek::physical_offset(&head) == offset && peek::total_size(&head) > Some(0)).then(|| peek::store_timestamp(&head)))
    }

    fn files_of(&self, name: &str) -> Result<Vec<(String, u64)>, OpenError> {
        let dir = self.config.root.join(name);
        let entries = self.disk.list(&dir).map_err(at(&dir))?;
        Ok(entries.into_iter().filter(|entry| !entry.is_dir).map(|entry| (entry.name, entry.len)).collect())
    }

    fn cut_off(&self) -> Result<Vec<(PathBuf, u64)>, OpenError> {
        let log = &self.layout.log.dir;
        let Some(name) = log.file_name() else { return Ok(Vec::new()) };
        let dir = log.with_file_name(format!("{}-cut", name.to_string_lossy()));
        let entries = self.disk.list(&dir).map_err(at(&dir))?;
        Ok(entries.into_iter().filter(|entry| !entry.is_dir).map(|entry| (dir.join(entry.name), entry.len)).collect())
    }
}
