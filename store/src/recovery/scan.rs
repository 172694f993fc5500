//! Reads a log forward, record by record, as long as they are whole.

use std::sync::Arc;

use proto_core::record::{self, BLANK_LEN, RecordView, Stored};

use super::LogFiles;
use crate::{
    disk::{PAGE, file_path},
    error::{OpenError, at},
    mapping::Mapping,
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
            let mapping = self.map(base)?;
            let in_file = (self.at - base) as usize;
            let rest = mapping.bytes().get(in_file..).unwrap_or_default();
            match check(rest, self.at) {
                Ok(Found::Record(len)) => {
                    let record = FoundRecord { offset: self.at, len, mapping, in_file };
                    self.at += len as i64;
                    return Ok(Some(record));
                }
                Ok(Found::Blank) => self.at = base + size,
                Err(why) => {
                    self.stopped = Some(why);
                    return Ok(None);
                }
            }
        }
    }

    fn map(&mut self, base: i64) -> Result<Arc<Mapping>, OpenError> {
        if let Some((mapped, mapping)) = &self.mapping
            && *mapped == base
        {
            return Ok(Arc::clone(mapping));
        }
        let path = file_path(&self.files.dir, base);
        let mapping = self.files.disk.map_finished(&path, self.files.file_size as usize).map_err(at(&path))?;
        self.mapping = Some((base, Arc::clone(&mapping)));
        Ok(mapping)
    }
}

enum Found {
    Record(usize),
    Blank,
}

/// Looks at what begins at `offset`; `bytes` go on to the end of the file.
fn check(bytes: &[u8], offset: i64) -> Result<Found, String> {
    let view = match record::read(bytes).map_err(|error| error.to_string())? {
        Stored::Blank { size } if size == bytes.len() => return Ok(Found::Blank),
        Stored::Blank { size } => return Err(format!("a blank of {size} bytes, where the file has {}", bytes.len())),
        Stored::Message(view) => view,
    };
    if view.physical_offset() != offset {
        return Err(format!("the record says that it lies at {}", view.physical_offset()));
    }
    if view.total_size() + BLANK_LEN > bytes.len() {
        return Err(format!("a record of {} bytes leaves no room for the end of the file", view.total_size()));
    }
    view.verify_crc().map_err(|error| error.to_string())?;
    if let Some(page) = lost_page(&view, offset) {
        return Err(format!("the page at {page} is empty"));
    }
    Ok(Found::Record(view.total_size()))
}

/// The checksum covers the body alone. What it does not cover can be lost with a page that never reached the disk: then all that
/// the record has in the page is zero, which topic and properties never are. Answers the offset of such a page.
fn lost_page(view: &RecordView<'_>, offset: i64) -> Option<i64> {
    let end = offset + view.total_size() as i64;
    let page = PAGE as i64;
    // The fixed fields in front of the body lead to lengths that do not add up if they are lost; behind it stand the length and
    // text of the topic, then the length and text of the properties.
    let properties_start = end - view.properties().len() as i64;
    let topic_end = properties_start - 2;
    let topic_start = topic_end - view.topic().len() as i64;
    let mut boundary = offset - offset.rem_euclid(page) + page;
    while boundary < end {
        let to = (boundary + page).min(end);
        let overlaps = |from: i64, until: i64| boundary < until && from < to;
        if overlaps(topic_start, topic_end) || overlaps(properties_start, end) {
            let part = view.bytes().get((boundary - offset) as usize..(to - offset) as usize).unwrap_or_default();
            if part.iter().all(|byte| *byte == 0) {
                return Some(boundary);
            }
        }
        boundary = to;
    }
    None
}
