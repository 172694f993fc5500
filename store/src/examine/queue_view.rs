//! The units of one consume queue, read in small pieces and without mapping a file.

use std::io;

use route_core::storage::QueueUnit;

use super::layout::{FileRow, units_per_file};
use crate::{
    disk::{Access, Disk, last_byte},
    error::{OpenError, at},
};

/// So many bytes are read at a time: there may be very many queues, each with a piece of its own.
const PIECE: u64 = 64 * QueueUnit::LEN as u64;

/// A queue that is read.
#[derive(Debug)]
pub(super) struct QueueView<'a> {
    disk: &'a Disk,
    row: &'a FileRow,
    file_size: u64,
    /// Offset of the first unit in the files.
    pub(super) first: i64,
    /// One past the offset of the last unit that is not empty.
    pub(super) end: i64,
    window: Vec<u8>,
    /// Offset of the first unit in the window.
    window_first: i64,
}

impl<'a> QueueView<'a> {
    /// Finds the ends of a queue.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub(super) fn open(disk: &'a Disk, row: &'a FileRow, file_size: u64) -> Result<Self, OpenError> {
        let len = QueueUnit::LEN as i64;
        let first = row.files.first().map_or(0, |file| file.base / len);
        let mut view = Self { disk, row, file_size, first, end: first, window: Vec::new(), window_first: 0 };
        for file in row.files.iter().rev() {
            let path = row.path(file.base);
            let open = disk.open_file(&path, Access::Read).map_err(at(&path))?;
            if let Some(last) = last_byte(&open, 0, file.len.min(file_size)).map_err(at(&path))? {
                view.end = file.base / len + last.div_ceil(len.unsigned_abs()).cast_signed();
                break;
            }
        }
        Ok(view)
    }

    /// The file in which a unit lies, and its place there.
    pub(super) fn place(&self, offset: i64) -> (std::path::PathBuf, u64) {
        let byte = offset.saturating_mul(QueueUnit::LEN as i64);
        let base = byte - byte.rem_euclid(self.file_size.cast_signed().max(1));
        (self.row.path(base), (byte - base).unsigned_abs())
    }

    /// A unit; `None` if there is none at that offset.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub(super) fn unit(&mut self, offset: i64) -> Result<Option<QueueUnit>, OpenError> {
        if offset < self.first || offset >= self.end {
            return Ok(None);
        }
        let units = (self.window.len() / QueueUnit::LEN) as i64;
        if offset < self.window_first || offset >= self.window_first + units {
            self.fill(offset).map_err(at(self.place(offset).0))?;
        }
        let start = usize::try_from(offset - self.window_first).unwrap_or(usize::MAX).saturating_mul(QueueUnit::LEN);
        Ok(self.window.get(start..).and_then(<[u8]>::first_chunk).map(QueueUnit::decode).filter(|unit| *unit != EMPTY))
    }

    fn fill(&mut self, offset: i64) -> io::Result<()> {
        self.window.clear();
        self.window_first = offset;
        let base = (offset - offset.rem_euclid(units_per_file(self.file_size).max(1))) * QueueUnit::LEN as i64;
        let Some(file) = self.row.files.iter().find(|file| file.base == base) else { return Ok(()) };
        let from = (offset * QueueUnit::LEN as i64 - base).unsigned_abs();
        let end = (from + PIECE).min(file.len).min(self.file_size);
        let len = usize::try_from(end.saturating_sub(from)).unwrap_or(0);
        self.window.resize(len, 0);
        let open = self.disk.open_file(&self.row.path(base), Access::Read)?;
        let read = open.read_at(&mut self.window, from);
        if read.is_err() {
            self.window.clear();
        }
        read
    }
}

/// What was never written reads as this.
const EMPTY: QueueUnit = QueueUnit { offset: route_core::storage::LogOffset(0), size: 0, tags_code: 0 };
