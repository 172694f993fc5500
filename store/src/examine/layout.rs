//! Which files a store has, as far as their names and lengths tell.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use route_core::storage::QueueUnit;

use super::{ExamineConfig, Finding, Part, Severity};
use crate::{
    disk::{Disk, file_path, parse_file_name},
    error::{OpenError, at},
    log_walk::FoundFile,
};

/// A folder of files that are named by their first offset.
#[derive(Clone, Debug, Default)]
pub(super) struct FileRow {
    pub(super) dir: PathBuf,
    /// In order, without those that have another name.
    pub(super) files: Vec<FoundFile>,
    /// Names that are no offset.
    strangers: Vec<String>,
}

/// A consume queue's files.
#[derive(Clone, Debug)]
pub(super) struct QueueFiles {
    pub(super) topic: String,
    pub(super) queue_id: i32,
    pub(super) row: FileRow,
}

/// All files of log and queues.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) log: FileRow,
    pub(super) log_file_size: u64,
    pub(super) queues: Vec<QueueFiles>,
    pub(super) queue_file_size: u64,
    /// What a configuration says of these sizes, although all files say otherwise.
    wrong_settings: Vec<Finding>,
}

impl Layout {
    /// Looks at the folders.
    ///
    /// # Errors
    /// [`OpenError`]: there is no log, or something cannot be read.
    pub(super) fn find(disk: &Disk, config: &ExamineConfig) -> Result<Self, OpenError> {
        let log_dir = config.commit_log.clone().unwrap_or_else(|| config.root.join("commitlog"));
        if !disk.exists(&log_dir) {
            return Err(OpenError::NoStore { path: config.root.clone(), missing: log_dir });
        }
        let log = FileRow::list(disk, log_dir)?;
        let queue_dir = config.root.join("consumequeue");
        let queues = find_queues(disk, &queue_dir)?;
        let mut wrong_settings = Vec::new();
        let mut size_of = |setting: Option<u32>, key, part, dir: &Path, rows: &[&FileRow]| {
            let Some(setting) = setting.map(u64::from) else { return told_size(rows.iter().copied()) };
            let Some(size) = size_of_all(rows).filter(|size| *size != setting) else { return setting };
            let what = format!(
                "{key} says {setting}, but all files here are {size} bytes long, and so are the steps of their names; set it to {size}"
            );
            wrong_settings.push(Finding { severity: Severity::Repairable, part, path: dir.to_owned(), at: None, what });
            size
        };
        let log_file_size = size_of(config.mapped_file_size_commit_log, "mappedFileSizeCommitLog", Part::Log, &log.dir, &[&log]);
        let rows: Vec<_> = queues.iter().map(|it| &it.row).collect();
        let queue_file_size = size_of(config.mapped_file_size_consume_queue, "mappedFileSizeConsumeQueue", Part::Queues, &queue_dir, &rows);
        Ok(Self { log, log_file_size, queues, queue_file_size, wrong_settings })
    }

    /// First byte of the log.
    pub(super) fn log_start(&self) -> i64 {
        self.log.files.first().map_or(0, |file| file.base)
    }

    /// What names and lengths have wrong.
    pub(super) fn findings(&self) -> Vec<Finding> {
        let mut findings = self.wrong_settings.clone();
        self.log.check(Part::Log, Severity::Damage, self.log_file_size, &mut findings);
        for queue in &self.queues {
            queue.row.check(Part::Queues, Severity::Repairable, self.queue_file_size, &mut findings);
        }
        findings
    }
}

impl FileRow {
    fn list(disk: &Disk, dir: PathBuf) -> Result<Self, OpenError> {
        let mut row = Self { dir, ..Self::default() };
        for entry in disk.list(&row.dir).map_err(at(&row.dir))?.into_iter().filter(|entry| !entry.is_dir) {
            match parse_file_name(&entry.name) {
                Some(base) => row.files.push(FoundFile { base, len: entry.len }),
                None => row.strangers.push(entry.name),
            }
        }
        Ok(row)
    }

    pub(super) fn path(&self, base: i64) -> PathBuf {
        file_path(&self.dir, base)
    }

    fn check(&self, part: Part, severity: Severity, size: u64, findings: &mut Vec<Finding>) {
        let mut tell = |severity, path, what| findings.push(Finding { severity, part, path, at: None, what });
        for name in &self.strangers {
            tell(severity, self.dir.join(name), "its name is no offset; a start refuses the folder until it is moved elsewhere".to_owned());
        }
        for (index, file) in self.files.iter().enumerate() {
            let path = self.path(file.base);
            if file.len == 0 && index + 1 == self.files.len() {
                tell(Severity::Note, path, "empty; the next start removes it".to_owned());
                continue;
            }
            if file.len != size {
                tell(severity, path.clone(), format!("{} bytes long, where {size} are expected", file.len));
            }
            if size > 0 && file.base.unsigned_abs() % size != 0 {
                tell(severity, path, format!("its name is no multiple of {size}, the length of a file"));
            }
            // A gap in the log is told where messages are missing.
            if let Some(next) = self.files.get(index + 1)
                && part != Part::Log
                && file.base.saturating_add(size.cast_signed()) < next.base
            {
                tell(severity, self.path(file.base + size.cast_signed()), "missing, although later files are there".to_owned());
            }
        }
    }
}

/// The length that files of these rows seem to be meant to have: the distance of neighbours if any file
/// is as long, else the length of most.
fn told_size<'a>(rows: impl IntoIterator<Item = &'a FileRow>) -> u64 {
    let mut lengths = BTreeMap::<u64, usize>::new();
    let mut nearest = None;
    for row in rows {
        for file in row.files.iter().filter(|file| file.len > 0) {
            *lengths.entry(file.len).or_default() += 1;
        }
        let distances = row.files.windows(2).map(|pair| pair[0].base.abs_diff(pair[1].base));
        nearest = distances.chain(nearest).min();
    }
    let most = lengths.iter().max_by_key(|(_, count)| **count).map(|(len, _)| *len);
    nearest.filter(|distance| lengths.contains_key(distance)).or(most).unwrap_or(0)
}

/// The length that all files have, if their names say the same, and so do more files than one: a file that was cut short stands alone, or
/// among longer ones.
fn size_of_all(rows: &[&FileRow]) -> Option<u64> {
    let files = || rows.iter().flat_map(|row| &row.files).filter(|file| file.len > 0);
    let size = files().next()?.len;
    let fit = files().all(|file| file.len == size && file.base.unsigned_abs().is_multiple_of(size));
    let mut steps = rows.iter().flat_map(|row| row.files.windows(2)).map(|pair| pair[0].base.abs_diff(pair[1].base)).peekable();
    let told = if steps.peek().is_some() { steps.any(|step| step == size) } else { files().count() > 1 };
    (fit && told).then_some(size)
}

fn find_queues(disk: &Disk, dir: &Path) -> Result<Vec<QueueFiles>, OpenError> {
    let mut queues = Vec::new();
    for topic in disk.list(dir).map_err(at(dir))?.into_iter().filter(|entry| entry.is_dir) {
        let topic_dir = dir.join(&topic.name);
        let mut numbers: Vec<i32> = disk
            .list(&topic_dir)
            .map_err(at(&topic_dir))?
            .into_iter()
            .filter(|entry| entry.is_dir)
            .filter_map(|entry| entry.name.parse().ok().filter(|number: &i32| *number >= 0 && number.to_string() == entry.name))
            .collect();
        numbers.sort_unstable();
        for queue_id in numbers {
            let row = FileRow::list(disk, topic_dir.join(queue_id.to_string()))?;
            queues.push(QueueFiles { topic: topic.name.clone(), queue_id, row });
        }
    }
    Ok(queues)
}

/// How many units a file of so many bytes has room for.
pub(super) const fn units_per_file(file_size: u64) -> i64 {
    (file_size / QueueUnit::LEN as u64).cast_signed()
}
