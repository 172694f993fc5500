//! All index files of a store, the oldest first.

use std::{
    collections::VecDeque,
    io,
    path::{Path, PathBuf},
};

use super::{file::IndexFile, file_name, format::Geometry, log::LogReader};
use crate::disk::Disk;

/// Which files count after the process that wrote them has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// All: they were closed in order, or Petrel wrote them, which never says more than what is there.
    All,
    /// Those whose messages were stored at this time or before: what Java's checkpoint says after a crash.
    Until(i64),
}

/// The files.
#[derive(Debug)]
pub(super) struct IndexFiles {
    disk: Disk,
    dir: PathBuf,
    geometry: Geometry,
    files: VecDeque<Numbered>,
    /// Files made or opened so far; numbers them.
    count: u64,
}

/// A file and its number, which no other file has.
#[derive(Debug)]
pub(super) struct Numbered {
    pub(super) number: u64,
    pub(super) file: IndexFile,
}

impl IndexFiles {
    /// Opens the files of a folder, as far as they are whole and speak of the log as it is; `end` is the end of the log. The others
    /// are removed. Answers from which place of the log on messages are missing.
    ///
    /// # Errors
    /// Those of the operating system.
    pub(super) fn open(
        disk: &Disk,
        dir: &Path,
        geometry: Geometry,
        trust: Trust,
        log: &mut LogReader,
        end: i64,
    ) -> io::Result<(Self, i64)> {
        let mut set = Self { disk: disk.clone(), dir: dir.to_owned(), geometry, files: VecDeque::new(), count: 0 };
        let (mut names, foreign): (VecDeque<_>, VecDeque<_>) =
            disk.list(dir)?.into_iter().partition(|entry| !entry.is_dir && entry.name.bytes().all(|byte| byte.is_ascii_digit()));
        for entry in foreign {
            tracing::warn!(path = %dir.join(entry.name).display(), "this is no index file and is left alone");
        }
        let mut removed = 0;
        while let Some(entry) = names.pop_front() {
            let path = dir.join(&entry.name);
            let found = if entry.len == geometry.file_len() {
                let file = IndexFile::open(disk, &path, geometry)?;
                set.judge(&file, trust, log, end).map(|found| (found, file))
            } else {
                Err(format!("it has {} bytes, where maxHashSlotNum and maxIndexNum say {}", entry.len, geometry.file_len()))
            };
            match found {
                Ok((Judged::Keep, file)) => set.push(file),
                Ok((Judged::Empty, _)) => {
                    disk.remove_file(&path)?;
                    removed += 1;
                }
                Err(why) => {
                    // What follows it would leave a gap.
                    tracing::warn!(path = %path.display(), why, others = names.len(), "index files are built anew from here on");
                    names.push_front(entry);
                    for entry in names.drain(..) {
                        disk.remove_file(&dir.join(entry.name))?;
                        removed += 1;
                    }
                }
            }
        }
        if removed > 0 {
            disk.sync_path(dir)?;
        }
        let built = set.last().map_or(log.start(), |file| file.header().end_offset).max(log.start());
        Ok((set, built))
    }

    /// Looks whether a file fits behind those that are there.
    fn judge(&self, file: &IndexFile, trust: Trust, log: &mut LogReader, end: i64) -> Result<Judged, String> {
        let header = file.header();
        if let Some(flaw) = header.flaw(self.geometry) {
            return Err(flaw);
        }
        if header.is_empty() || header.end_offset < log.start() || header.begin_offset >= end {
            return Ok(Judged::Empty);
        }
        if let Trust::Until(time) = trust
            && header.end_timestamp > time
        {
            return Err(format!("it goes up to {}, and only what was stored until {time} is surely on disk", header.end_timestamp));
        }
        if header.begin_offset >= log.start() {
            is_there(log, header.begin_offset, header.begin_timestamp)?;
        }
        let covered = match self.last() {
            Some(last) if header.begin_offset < last.header().end_offset => return Err("it overlaps the file before it".into()),
            Some(last) => match log.message(last.header().end_offset) {
                Some(message) => last.header().end_offset + message.total_size() as i64,
                None => return Err("the file before it ends at no message".into()),
            },
            None => log.start(),
        };
        if log.has_named(covered, header.begin_offset.min(end)) {
            return Err(format!("messages from {covered} on are missing in front of it"));
        }
        if header.end_offset >= end {
            return Err(format!("it speaks of a message at {}, and the log ends at {end}", header.end_offset));
        }
        is_there(log, header.end_offset, header.end_timestamp)?;
        Ok(Judged::Keep)
    }

    fn push(&mut self, file: IndexFile) {
        self.files.push_back(Numbered { number: self.count, file });
        self.count += 1;
    }

    /// The file that is written to.
    pub(super) fn last(&self) -> Option<&IndexFile> {
        self.files.back().map(|it| &it.file)
    }

    /// The file that is written to, and its number.
    pub(super) fn last_mut(&mut self) -> Option<&mut Numbered> {
        self.files.back_mut()
    }

    /// Makes the last file ready for writing, unless it is full.
    ///
    /// # Errors
    /// Those of the operating system.
    pub(super) fn make_live(&mut self) -> io::Result<()> {
        match self.files.back_mut() {
            Some(last) if !last.file.is_full() => last.file.make_live(),
            _ => Ok(()),
        }
    }

    /// Makes the next file, for a message that was stored at this time. The last one must have been written back.
    ///
    /// # Errors
    /// Those of the operating system.
    pub(super) fn add(&mut self, store_timestamp: i64) -> io::Result<()> {
        let last = self.last().and_then(|file| Some(file.path.file_name()?.to_string_lossy().into_owned()));
        let path = self.dir.join(file_name::next(store_timestamp, last.as_deref()));
        let file = IndexFile::create(&self.disk, path, self.geometry, self.last().map(IndexFile::header))?;
        self.disk.sync_path(&self.dir)?;
        if let Some(last) = self.files.back_mut() {
            last.file.finish();
        }
        self.push(file);
        Ok(())
    }

    /// The file with a number.
    pub(super) fn get(&self, number: u64) -> Option<&IndexFile> {
        self.files.iter().find(|it| it.number == number).map(|it| &it.file)
    }

    /// The newest file, or the newest of those before another.
    pub(super) fn newest_before(&self, number: Option<u64>) -> Option<&Numbered> {
        self.files.iter().rev().find(|it| number.is_none_or(|number| it.number < number))
    }

    /// The number of the last file and that of its next entry.
    pub(super) fn end(&self) -> Option<(u64, i32)> {
        self.files.back().map(|it| (it.number, it.file.header().index_count))
    }

    /// The latest time at which any of the messages was stored.
    pub(super) fn latest(&self) -> i64 {
        self.files.iter().map(|it| it.file.header().end_timestamp).max().unwrap_or(0)
    }

    /// Removes files all of whose messages lie before the start of the log. The last file stays.
    ///
    /// # Errors
    /// Those of the operating system.
    pub(super) fn expire(&mut self, log_start: i64) -> io::Result<()> {
        while self.files.len() > 1
            && let Some(first) = self.files.front()
            && first.file.header().end_offset < log_start
        {
            self.disk.remove_file(&first.file.path)?;
            tracing::info!(path = %first.file.path.display(), log_start, "an index file of messages that are gone was removed");
            self.files.pop_front();
        }
        Ok(())
    }

    /// Whether an entry for a key of the message at `offset` is among the last ones.
    ///
    /// # Errors
    /// Those of the operating system.
    pub(super) fn has(&self, key_hash: i32, offset: i64) -> io::Result<bool> {
        for Numbered { file, .. } in self.files.iter().rev() {
            let mut number = file.header().index_count - 1;
            while let Some(entry) = file.entry(number)? {
                if entry.offset != offset {
                    return Ok(false);
                }
                if entry.key_hash == key_hash {
                    return Ok(true);
                }
                number -= 1;
            }
        }
        Ok(false)
    }
}

enum Judged {
    Keep,
    /// It has nothing that is still there.
    Empty,
}

/// Whether the log has a message at a place that was stored at this time.
fn is_there(log: &mut LogReader, offset: i64, store_timestamp: i64) -> Result<(), String> {
    match log.message(offset) {
        Some(message) if message.store_timestamp() == store_timestamp => Ok(()),
        Some(message) => Err(format!(
            "it says that the message at {offset} was stored at {store_timestamp}, the log says at {}",
            message.store_timestamp()
        )),
        None => Err(format!("it speaks of a message at {offset}, where the log has none")),
    }
}
