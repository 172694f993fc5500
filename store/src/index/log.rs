//! The log as the index reads it: record by record, on a thread of its own.

use std::{collections::VecDeque, path::PathBuf, sync::Arc};

use proto_core::record::{self, MIN_LEN, RecordView, Stored};
use route_core::storage::keys;

use crate::{
    commit_log::OpenedFile,
    disk::{Disk, file_path},
    log_walk::candidates,
    mapping::{Mapping, prefetch},
    whole_record::{Trailers, check},
};

/// Files that stay mapped beside those that are written to.
const KEPT: usize = 4;

/// How many messages without any name are read in search of the first one with a name.
const NAMELESS_LIMIT: usize = 10_000;

/// Reads the log.
#[derive(Debug)]
pub(super) struct LogReader {
    disk: Disk,
    dir: PathBuf,
    file_size: usize,
    /// First byte that is there.
    start: i64,
    /// Nothing from here on has been written: a file that begins there may just be being made.
    limit: i64,
    /// Files that are written to or were until now, the oldest first.
    opened: VecDeque<OpenedFile>,
    /// Other files, the one that was needed last at the end.
    mapped: VecDeque<(i64, Arc<Mapping>)>,
    trailers: Trailers,
}

/// What stands at a place of the log.
#[derive(Debug)]
pub(super) enum Read<'a> {
    /// A message, and where the next one begins.
    Message(RecordView<'a>, i64),
    /// Nothing more in this file; the next one begins here.
    NextFile(i64),
    /// Nothing that can be read: why, and where the next file begins.
    Unreadable(String, i64),
}

impl LogReader {
    /// Reads the log in a folder whose files are so long, from `start` to `end` and then on in the files that [are opened](Self::opened).
    pub(super) fn new(disk: Disk, dir: PathBuf, file_size: u32, (start, end): (i64, i64), trailers: Trailers) -> Self {
        let (opened, mapped) = (VecDeque::new(), VecDeque::new());
        Self { disk, dir, file_size: file_size as usize, start, limit: end, opened, mapped, trailers }
    }

    /// What the checksums at the end of its records are worth.
    pub(super) const fn trailers(&self) -> &Trailers {
        &self.trailers
    }

    /// First byte of the log that is there.
    pub(super) fn start(&self) -> i64 {
        self.start
    }

    /// As far as it can be read: what lies behind is in files of which it has not been told.
    pub(super) fn limit(&self) -> i64 {
        self.limit
    }

    /// Files before this are gone.
    pub(super) fn set_start(&mut self, start: i64) {
        self.start = self.start.max(start);
        self.mapped.retain(|(base, _)| *base >= start);
        self.opened.retain(|file| file.base + file.mapping.len() as i64 > start);
    }

    /// A file is written to from now on. Those before it are finished.
    pub(super) fn opened(&mut self, file: OpenedFile) {
        if self.opened.len() >= KEPT {
            self.opened.pop_front();
        }
        self.mapped.retain(|(base, _)| *base != file.base);
        self.limit = self.limit.max(file.base + file.mapping.len() as i64);
        self.opened.push_back(file);
    }

    /// Lets go of all files.
    pub(super) fn close_files(&mut self) {
        self.mapped.clear();
    }

    /// What begins at `at`, which is the place of a record or of a blank.
    pub(super) fn read(&mut self, at: i64) -> Read<'_> {
        let size = self.file_size as i64;
        let base = at - at.rem_euclid(size);
        let next = base + size;
        if at >= self.limit {
            return Read::Unreadable(format!("the log ends before {}", self.limit), next);
        }
        let mapping = match self.mapping(base) {
            Ok(mapping) => mapping,
            Err(error) => return Read::Unreadable(error.to_string(), next),
        };
        let bytes = mapping.get((at - base) as usize..mapping.published()).unwrap_or_default();
        match record::read(bytes) {
            Ok(Stored::Message(view)) if view.physical_offset() == at => {
                let len = view.total_size();
                ask_for_next(bytes.get(len..).unwrap_or_default(), len, len - view.properties().len());
                Read::Message(view, at + len as i64)
            }
            Ok(Stored::Message(view)) => Read::Unreadable(format!("the record says that it lies at {}", view.physical_offset()), next),
            Ok(Stored::Blank { .. }) => Read::NextFile(next),
            Err(error) => Read::Unreadable(error.to_string(), next),
        }
    }

    /// Where the log goes on behind something at `at` that cannot be read: with the next whole record of the file, or else with the next
    /// file.
    pub(super) fn behind_damage(&mut self, at: i64) -> i64 {
        let (len, from) = (self.file_size, at + 1);
        let base = at - at.rem_euclid(len as i64);
        let next = base + len as i64;
        let trailers = self.trailers.clone();
        let Ok(mapping) = self.mapping(base) else { return next };
        let in_file = (from - base) as usize;
        let bytes = mapping.get(in_file..mapping.published()).unwrap_or_default();
        let is_whole = |place: &usize| {
            let rest = bytes.get(*place..).unwrap_or_default();
            check(rest, len - in_file - place, from + *place as i64, &trailers).is_ok()
        };
        candidates(bytes, from).find(is_whole).map_or(next, |place| from + place as i64)
    }

    /// The message that begins at `at`, if one does and is still there.
    pub(super) fn message(&mut self, at: i64) -> Option<RecordView<'_>> {
        if at < self.start {
            return None;
        }
        match self.read(at) {
            Read::Message(view, _) => Some(view),
            Read::NextFile(_) | Read::Unreadable(..) => None,
        }
    }

    /// The message that begins at `at`, and the bytes behind it in its file.
    pub(super) fn message_and_next(&mut self, at: i64) -> Option<(RecordView<'_>, &[u8])> {
        let len = self.message(at)?.total_size();
        let in_file = at.rem_euclid(self.file_size as i64);
        let mapping = self.mapping(at - in_file).ok()?;
        let (record, behind) = mapping.get(in_file as usize..mapping.published())?.split_at_checked(len)?;
        Some((RecordView::parse(record).ok()?, behind))
    }

    /// Whether a message that can be looked up lies in `from..to`.
    pub(super) fn has_named(&mut self, from: i64, to: i64) -> bool {
        let mut at = from;
        for _ in 0..NAMELESS_LIMIT {
            if at >= to {
                return false;
            }
            at = match self.read(at) {
                Read::Message(view, end) => {
                    if keys::has_names(&view) {
                        return true;
                    }
                    end
                }
                Read::NextFile(next) | Read::Unreadable(_, next) => next,
            };
        }
        false
    }

    fn mapping(&mut self, base: i64) -> std::io::Result<&Mapping> {
        if let Some(at) = self.opened.iter().position(|file| file.base == base) {
            return Ok(&self.opened[at].mapping);
        }
        let found = self.mapped.iter().position(|(mapped, _)| *mapped == base);
        let entry = match found.and_then(|at| self.mapped.remove(at)) {
            Some(entry) => entry,
            None => {
                // The last file may be written to before it is told of.
                let published = usize::try_from(self.limit - base).unwrap_or(0).min(self.file_size);
                (base, self.disk.map_for_reading(&file_path(&self.dir, base), self.file_size, published)?)
            }
        };
        if self.mapped.len() >= KEPT {
            self.mapped.pop_front();
        }
        self.mapped.push_back(entry);
        let last = self.mapped.len() - 1;
        Ok(&self.mapped[last].1)
    }
}

/// Has the head and the properties of the record at the start of `bytes` fetched while those of the one before it are put in: another processor
/// wrote them, and waiting for them took a third of the thread's time. Most records are as long as the one before, of which `len` and the
/// place of its `properties` speak.
#[inline]
fn ask_for_next(bytes: &[u8], len: usize, properties: usize) {
    prefetch(bytes.get(..MIN_LEN).unwrap_or_default());
    prefetch(bytes.get(properties..len).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_just_being_made_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let disk = Disk::system();
        disk.create_sized(&file_path(dir.path(), 0), 4096).unwrap();
        disk.create_sized(&file_path(dir.path(), 4096), 0).unwrap();
        let mut log = LogReader::new(disk.clone(), dir.path().to_owned(), 4096, (0, 4096), Trailers::default());
        assert!(matches!(log.read(4096), Read::Unreadable(why, 8192) if why == "the log ends before 4096"));
        let writer = disk.map_for_writing(&file_path(dir.path(), 4096), 4096, 0, 0).unwrap();
        log.opened(OpenedFile { base: 4096, mapping: Arc::clone(writer.mapping()) });
        assert_eq!(log.limit(), 8192);
        assert!(log.message(4096).is_none());
    }

    #[test]
    fn what_lies_behind_the_end_of_the_log_is_not_taken_for_final() {
        let dir = tempfile::tempdir().unwrap();
        let disk = Disk::system();
        for base in [0, 4096] {
            disk.create_sized(&file_path(dir.path(), base), 4096).unwrap();
        }
        let mut log = LogReader::new(disk, dir.path().to_owned(), 4096, (0, 4196), Trailers::default());
        assert_eq!([0, 4096].map(|base| log.mapping(base).unwrap().published()), [4096, 100]);
    }

    #[test]
    fn a_file_that_was_shortened_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let disk = Disk::system();
        disk.create_sized(&file_path(dir.path(), 0), 4095).unwrap();
        let mut log = LogReader::new(disk, dir.path().to_owned(), 4096, (0, 4096), Trailers::default());
        assert!(matches!(log.read(0), Read::Unreadable(why, 4096) if why == "it has 4095 bytes, where 4096 are needed"));
    }
}
