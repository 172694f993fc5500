//! Opening a log as it was left: finds its end, cuts off what is damaged, and brings the queues up to it.
//!
//! The checkpoint says up to where log and queues are on disk. Everything behind is read again: the log lives up to the end of the
//! longest run of whole records, queues are cut to the checkpoint and get the units of those records. What follows the run is
//! saved beside the log and erased, durably, so that it can never come back. Where there are very many queues, that is
//! [put off](crate::queues) until they are used.

use std::path::{Path, PathBuf};

use proto_core::delay::DelayLevels;

use crate::{
    checkpoint::{Checkpoint, Mark},
    disk::{Access, Disk, file_path, parse_file_name},
    error::{OpenError, at},
    progress::Position,
    queue_ends::QueueEnds,
    queues::QueueTable,
    whole_record::Trailers,
};

mod cut;
mod rebuild;
mod scan;

pub use cut::Cut;

use rebuild::{PutOff, Rebuild, Rebuilt};
use scan::LogScan;

/// What was found when a store was opened, and what was done about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// The store had been closed in order.
    pub clean: bool,
    /// First byte of the log.
    pub log_start: i64,
    /// One past the last byte of the log.
    pub log_end: i64,
    /// Records were read again from here on.
    pub scanned_from: i64,
    /// How many records were read again.
    pub scanned_records: u64,
    /// What was cut off the end of the log.
    pub cut: Option<Cut>,
    /// How many queues were found.
    pub queues: usize,
}

/// The log's files and the ways to read them.
#[derive(Clone, Debug)]
pub(crate) struct LogFiles {
    pub(crate) disk: Disk,
    pub(crate) dir: PathBuf,
    pub(crate) file_size: u32,
    /// Offsets of the files' first bytes, without a gap.
    pub(crate) bases: Vec<i64>,
    /// What the checksums at the end of its records are worth.
    pub(crate) trailers: Trailers,
}

impl LogFiles {
    /// Looks at a log's folder.
    ///
    /// # Errors
    /// [`OpenError`] for files that do not belong there or do not fit.
    pub(crate) fn list(disk: Disk, dir: &Path, file_size: u32) -> Result<Self, OpenError> {
        let mut bases = Vec::<i64>::new();
        let entries: Vec<_> = disk.list(dir).map_err(at(dir))?.into_iter().filter(|entry| !entry.is_dir).collect();
        let size = i64::from(file_size);
        for (index, entry) in entries.iter().enumerate() {
            let path = dir.join(&entry.name);
            let Some(base) = parse_file_name(&entry.name) else {
                return Err(OpenError::UnexpectedFile { path, what: "its name is not an offset".into() });
            };
            if entry.len == 0 && index + 1 == entries.len() {
                // Just made when the process died, as Java sees it, too.
                disk.remove_file(&path).map_err(at(&path))?;
                continue;
            }
            if entry.len != u64::from(file_size) {
                let key = "mappedFileSizeCommitLog";
                return Err(OpenError::WrongFileSize { path, found: entry.len, expected: u64::from(file_size), key });
            }
            if base % size != 0 {
                return Err(OpenError::UnexpectedFile { path, what: format!("its name is no multiple of {file_size}") });
            }
            if let Some(last) = bases.last()
                && last + size != base
            {
                return Err(OpenError::MissingFile { path: file_path(dir, last + size) });
            }
            bases.push(base);
        }
        Ok(Self { disk, dir: dir.to_owned(), file_size, bases, trailers: Trailers::default() })
    }

    fn start(&self) -> i64 {
        self.bases.first().copied().unwrap_or(0)
    }

    /// One past the last byte of the last file.
    fn limit(&self) -> i64 {
        self.bases.last().map_or(0, |base| base + i64::from(self.file_size))
    }
}

/// A log that has been recovered.
#[derive(Debug)]
pub(crate) struct RecoveredLog {
    pub(crate) position: Position,
    pub(crate) report: Recovered,
    /// The log is on disk up to here, for sure.
    pub(crate) flushed: i64,
    /// Files of the log that may not be on disk yet, and its folder if there are any.
    pub(crate) unsynced_log: Vec<PathBuf>,
    /// Files and folders of queues that were changed; to be synced before the checkpoint moves.
    pub(crate) unsynced: Vec<PathBuf>,
    /// What Petrel's part of the checkpoint file says now.
    pub(crate) mark: Option<Mark>,
}

/// What recovery goes by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RecoveryInput<'a> {
    pub(crate) checkpoint: &'a Checkpoint,
    /// No abort file was there.
    pub(crate) closed: bool,
    pub(crate) delay_levels: &'a DelayLevels,
    /// Where the checkpoint lies.
    pub(crate) checkpoint_path: &'a Path,
    /// Where it stands where queues ended.
    pub(crate) queue_ends_path: &'a Path,
    pub(crate) max_mapped_files: usize,
    /// Up to so many queues are all looked at.
    pub(crate) look_at_all_queues: usize,
}

impl RecoveryInput<'_> {
    /// How log and queues were when the store was closed last. What no longer holds is removed.
    fn read_ends(&self, files: &LogFiles, mark: Option<&Mark>) -> Result<Option<QueueEnds>, OpenError> {
        let path = self.queue_ends_path;
        let read = files.disk.read(path).map_err(at(path))?;
        let (Some(content), Some(mark)) = (&read, mark) else {
            if read.is_some() {
                files.disk.remove_file(path).map_err(at(path))?;
            }
            return Ok(None);
        };
        let ends = QueueEnds::decode(content);
        if ends.is_none() {
            tracing::warn!(path = %path.display(), "the file is damaged; it cannot be told whether queues lack units");
        }
        // After a stop in order it speaks of that stop; where all is built anew it still says which offsets were given.
        let holds = |ends: &QueueEnds| match mark {
            mark if *mark == Mark::all_anew(files.start()) => true,
            mark if self.closed && mark.clean => ends.log_end == mark.position,
            mark => ends.log_end <= mark.position,
        };
        let ends = ends.filter(holds);
        if ends.is_none() {
            // It may seem to hold again when the log has grown, and would speak of another one.
            files.disk.remove_file(path).map_err(at(path))?;
        }
        Ok(ends)
    }

    /// All queues are about to be built anew. The checkpoint says so before the first of them is emptied: if this recovery does not
    /// come to its end, the next one begins at the start of the log, too.
    fn take_back_mark(&self, files: &LogFiles) -> Result<Option<Mark>, OpenError> {
        let mark = Mark::all_anew(files.start());
        if self.checkpoint.mark == Some(mark) {
            return Ok(Some(mark));
        }
        let checkpoint = Checkpoint { mark: Some(mark), ..*self.checkpoint };
        let write = || {
            let file = files.disk.open_file(self.checkpoint_path, Access::Write)?;
            file.write_at(&checkpoint.encode(), 0)?;
            file.sync()
        };
        write().map_err(at(self.checkpoint_path))?;
        Ok(Some(mark))
    }
}

/// Recovers log and queues. `progress` is told how many bytes of how many are read again.
///
/// # Errors
/// [`OpenError`].
pub(crate) fn recover(
    files: &mut LogFiles,
    queues: &mut QueueTable,
    input: &RecoveryInput<'_>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<RecoveredLog, OpenError> {
    let mark = input.checkpoint.mark.filter(|mark| is_true(files, mark));
    let mut report = Recovered { clean: input.closed, log_start: files.start(), queues: queues.len(), ..Recovered::default() };
    tell_lost_end(files, input.checkpoint.mark.as_ref());
    let found = queues.len();
    let ends = input.read_ends(files, mark.as_ref())?;
    if let Some(ends) = &ends {
        tell_lost_start(files, ends);
        queues.expect(ends);
    }

    if let Some(mark) = mark
        && input.closed
        && mark.clean
        && mark.queues as usize == found
        && LogScan::new(files, mark.position).next_record()?.is_none()
        && (found > input.look_at_all_queues || !queues.look_for_lacking() && !queues.has_broken())
    {
        let java = &input.checkpoint.java;
        (report.log_end, report.scanned_from) = (mark.position, mark.position);
        let position = Position {
            written: mark.position,
            written_time: java.physic_msg_timestamp,
            dispatched: mark.position,
            last_dispatched: mark.last_record,
            dispatched_time: java.logics_msg_timestamp,
        };
        if files.bases.last().is_some_and(|base| *base >= mark.position) {
            // The file that was made ready for nothing and could not be removed.
            report.cut = cut::cut(files, mark.position)?;
        }
        return Ok(RecoveredLog {
            position,
            report,
            flushed: mark.position,
            unsynced_log: Vec::new(),
            unsynced: Vec::new(),
            mark: Some(mark),
        });
    }

    let fewer = |mark: Mark| mark.clean && mark.queues as usize > found;
    let lost_queues = found == 0 && !files.bases.is_empty() || mark.is_some_and(fewer) || queues.is_lacking();
    let from = if lost_queues {
        files.start()
    } else if let Some(mark) = mark {
        mark.position
    } else {
        start_by_time(files, input)?
    };
    if lost_queues {
        let path = queues.dir().display();
        tracing::warn!(%path, queues = found, "queues are missing or lack units; all are built anew from the whole log");
    }
    let mut standing = input.checkpoint.mark;
    if from == files.start() {
        standing = input.take_back_mark(files)?;
    }
    let last_record = mark.filter(|mark| mark.position == from).map_or(-1, |mark| mark.last_record);
    let RecoveryInput { delay_levels, closed, max_mapped_files, look_at_all_queues, .. } = *input;
    let flushed = input.checkpoint.mark.map_or(0, |mark| mark.position);
    let put_off = match ends {
        _ if mark.is_none() || found <= look_at_all_queues || queues.lacks_folders() => PutOff::Nothing,
        // It goes when a topic is removed.
        None => PutOff::Unchanged,
        Some(_) => PutOff::All,
    };
    let mut rebuild = Rebuild { files, queues, delay_levels, closed, max_mapped_files, flushed, put_off, progress };
    let rebuilt = match rebuild.run(from, last_record)? {
        Rebuilt::Done(rebuilt) => rebuilt,
        Rebuilt::Hole { topic, queue_id } => {
            tracing::warn!(topic, queue_id, "a consume queue lacks units; all queues are built anew from the whole log");
            standing = input.take_back_mark(rebuild.files)?;
            rebuild.run_whole()?
        }
    };
    let rebuild::Outcome { position, records, unsynced } = rebuilt;
    if input.checkpoint.mark.is_none() {
        tell_lost_messages(files, input.checkpoint.java.physic_msg_timestamp, &position);
    }
    report.scanned_from = from;
    report.scanned_records = records;
    report.log_end = position.written;
    report.queues = queues.len();
    let size = i64::from(files.file_size);
    report.cut = cut::cut(files, position.written)?;
    let mut unsynced_log: Vec<_> = files.bases.iter().filter(|base| *base + size > from).map(|base| file_path(&files.dir, *base)).collect();
    if !unsynced_log.is_empty() {
        // The name of the last one may be as new as what it holds.
        unsynced_log.push(files.dir.clone());
    }
    Ok(RecoveredLog { position, report, flushed: from, unsynced_log, unsynced, mark: standing })
}

/// Says so if the log is shorter than what was on disk of it.
fn tell_lost_end(files: &LogFiles, mark: Option<&Mark>) {
    let (Some(mark), limit) = (mark, files.limit()) else { return };
    if mark.position > limit {
        tracing::error!(
            path = %files.dir.display(),
            "the log's last files are missing: it was on disk up to {}, its files end at {limit}; {} bytes are lost",
            mark.position,
            mark.position - limit
        );
    }
}

/// Says so if messages that were on disk are not there any more, as far as Java's checkpoint tells.
fn tell_lost_messages(files: &LogFiles, on_disk: i64, position: &Position) {
    let (end, last) = (position.written, position.dispatched_time);
    if last > 0 && last < on_disk {
        tracing::error!(
            path = %files.dir.display(),
            "messages stored until {on_disk} were on disk when the checkpoint was written, the log ends at {end} with one of {last}: its end is \
             missing, unless the clock was set back"
        );
    }
}

/// Says so if the log's first files went while nobody worked on the store.
fn tell_lost_start(files: &LogFiles, ends: &QueueEnds) {
    let start = files.start();
    if start > ends.log_start && start <= ends.log_end {
        tracing::warn!(
            path = %files.dir.display(),
            "the log began at {} when the store was closed, its files begin at {start} now; {} bytes are gone",
            ends.log_start,
            start - ends.log_start
        );
    }
}

/// Whether the log still is what a mark says about it: the record that it names ends where it says.
fn is_true(files: &LogFiles, mark: &Mark) -> bool {
    if mark.position < files.start() || mark.position > files.limit() {
        return false;
    }
    if mark.last_record < 0 {
        return mark.position == files.start();
    }
    let found = LogScan::new(files, mark.last_record).next_record();
    matches!(found, Ok(Some(record)) if record.end() == mark.position)
}

/// Where to begin without a mark, as Java does: at the last file that begins with a record of which the checkpoint says that it
/// is on disk with its unit.
fn start_by_time(files: &LogFiles, input: &RecoveryInput<'_>) -> Result<i64, OpenError> {
    let safe = input.checkpoint.java.min_timestamp();
    for &base in files.bases.iter().rev() {
        if let Some(first) = LogScan::new(files, base).next_record()?
            && first.offset == base
            && (input.closed || first.store_timestamp() <= safe)
        {
            return Ok(base);
        }
    }
    Ok(files.start())
}
