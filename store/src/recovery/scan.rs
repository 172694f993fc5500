//! Reads a log forward, record by record, as long as they are whole.

use std::sync::Arc;

use proto_core::record;

use super::LogFiles;
use crate::{
    disk::{Access, PAGE, file_path},
    error::{OpenError, at},
    mapping::Mapping,
    whole_record::{Found, check},
};

/// Reads forward from one place.
#[derive(Debug)]
pub(super) struct LogScan<'a> {
    files: &'a LogFiles,
    mapping: Option<(i64, Arc<Mapping>)>,
    at: i64,
    /// Why no more records come.
    stopped: Option<String>,
}

/// A record that was found whole.
#[derive(Debug)]
pub(super) struct FoundRecord {
    pub(super) offset: i64,
    len: usize,
    mapping: Arc<Mapping>,
    in_file: usize,
}

impl FoundRecord {
    /// One past its last byte.
    pub(super) fn end(&self) -> i64 {
        self.offset + self.len as i64
    }

    /// Its bytes.
    pub(super) fn bytes(&self) -> &[u8] {
        self.mapping.get(self.in_file..self.in_file + self.len).unwrap_or_default()
    }

    /// When it was stored.
    pub(super) fn store_timestamp(&self) -> i64 {
        record::peek::store_timestamp(self.bytes())
    }
}

impl<'a> LogScan<'a> {
    /// Begins at `from`, which is the place of a record or of a blank.
    pub(super) fn new(files: &'a LogFiles, from: i64) -> Self {
        Self { files, mapping: None, at: from, stopped: None }
    }

    /// One past the last record that was found, behind the blank if one follows it.
    pub(super) fn end(&self) -> i64 {
        self.at
    }

    /// Goes on at another place of a record or of a blank.
    pub(super) fn go_on(&mut self, at: i64) {
        self.at = at;
        self.stopped = None;
    }

    /// Why the last call found nothing.
    pub(super) fn stopped(&self) -> Option<&str> {
        self.stopped.as_deref()
    }

    /// The next record; `None` where no whole one follows.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub(super) fn next_record(&mut self) -> Result<Option<FoundRecord>, OpenError> {
        let size = i64::from(self.files.file_size);
        loop {
            let base = self.at - self.at.rem_euclid(size);
            if self.files.bases.binary_search(&base).is_err() {
                return Ok(None);
            }
            let in_file = (self.at - base) as usize;
            let Some(mapping) = self.map(base, in_file)? else {
                self.stopped = Some("nothing was written here".into());
                return Ok(None);
            };
            let rest = mapping.bytes().get(in_file..).unwrap_or_default();
            match check(rest, rest.len(), self.at, &self.files.trailers) {
                Ok(Found::Record(len)) => {
                    let record = FoundRecord { offset: self.at, len, mapping, in_file };
                    self.at += len as i64;
                    return Ok(Some(record));
                }
                Ok(Found::Blank) => self.at = base + size,
                Err(why) => {
                    // Zeros are what a file is made of, no damage.
                    let is_blank = rest.iter().take(8).all(|byte| *byte == 0);
                    self.stopped = Some(if is_blank { "nothing was written here".into() } else { why });
                    return Ok(None);
                }
            }
        }
    }

    /// The file that begins at `base`, to be read from `from` on; `None` if nothing was ever written there. A file in memory (tmpfs) takes
    /// space when a place without any is read through a mapping, and a full one answers with SIGBUS.
    fn map(&mut self, base: i64, from: usize) -> Result<Option<Arc<Mapping>>, OpenError> {
        if let Some((mapped, mapping)) = &self.mapping
            && *mapped == base
        {
            return Ok(Some(Arc::clone(mapping)));
        }
        let path = file_path(&self.files.dir, base);
        let file = self.files.disk.open_file(&path, Access::Write).map_err(at(&path))?;
        let first_page = from as u64 - from as u64 % PAGE;
        if file.next_data(first_page).map_err(at(&path))?.is_none_or(|data| data.start >= first_page + PAGE) {
            return Ok(None);
        }
        let len = self.files.file_size as usize;
        let mapping = file.map(len, len, len).map_err(at(&path))?;
        self.mapping = Some((base, Arc::clone(&mapping)));
        Ok(Some(mapping))
    }
}
