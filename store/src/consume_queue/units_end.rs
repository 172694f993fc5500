//! Where the units of a queue's file end, which no length says.

use std::{io, path::PathBuf};

use route_core::storage::QueueUnit;

use crate::disk::{Access, Disk, File, PAGE};

/// What follows the units is looked through in such pieces.
const LOOK: u64 = 64 << 10;

/// Whether bytes are a unit of a message in front of `limit`.
fn is_unit(bytes: &[u8; QueueUnit::LEN], limit: i64) -> bool {
    let unit = QueueUnit::decode(bytes);
    unit.offset.0 >= 0 && unit.offset.0 < limit && unit.size > 0 && unit.size <= i32::MAX.cast_unsigned()
}

/// Where the units of a file end.
#[derive(Debug)]
pub(super) struct UnitsEnd {
    /// How many files of the queue have units.
    pub(super) files: usize,
    pub(super) path: PathBuf,
    file: File,
    /// How many units the file begins with.
    pub(super) units: usize,
    /// The file's first page: most queues are short.
    page: Vec<u8>,
}

impl UnitsEnd {
    /// Units are written in order, so a search suffices: it gallops, then halves.
    pub(super) fn find(disk: &Disk, path: PathBuf, file_size: usize, limit: i64) -> io::Result<Self> {
        let file = disk.open_file(&path, Access::Write)?;
        file.expect_scattered_reads();
        let mut page = vec![0; file_size.min(PAGE as usize)];
        file.read_at(&mut page, 0)?;
        let total = file_size / QueueUnit::LEN;
        let in_page = page.len() / QueueUnit::LEN;
        let probe = |at: usize| -> io::Result<bool> {
            let from = at * QueueUnit::LEN;
            let mut bytes = [0; QueueUnit::LEN];
            match page.get(from..from + QueueUnit::LEN) {
                Some(unit) => bytes.copy_from_slice(unit),
                None => file.read_at(&mut bytes, from as u64)?,
            }
            Ok(is_unit(&bytes, limit))
        };
        let (mut low, mut high) = (0, in_page.min(total));
        while high <= total && high > low && probe(high - 1)? {
            low = high;
            high = (high * 4).min(total);
        }
        // The first `low` are units; the one in front of `high` is none, or there are no more.
        while low < high {
            let middle = low + (high - low) / 2;
            if probe(middle)? {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(Self { files: 0, path, file, units: low, page })
    }

    /// Makes all behind the units zero. Answers whether anything was there.
    pub(super) fn erase(&self, file_size: usize) -> io::Result<bool> {
        let from = self.units * QueueUnit::LEN;
        let mut dirty = self.page.get(from..).is_some_and(|rest| rest.iter().any(|byte| *byte != 0)).then_some(self.page.len() as u64);
        let mut at = from.max(self.page.len()) as u64;
        let mut buffer = Vec::new();
        while let Some(data) = self.file.next_data(at)?.map(|data| data.start).filter(|data| *data < file_size as u64) {
            let end = (data / LOOK * LOOK + LOOK).min(file_size as u64);
            buffer.resize(usize::try_from(end - data).unwrap_or(0), 0);
            self.file.read_at(&mut buffer, data)?;
            if buffer.iter().any(|byte| *byte != 0) {
                dirty = Some(end);
            }
            at = end;
        }
        if let Some(to) = dirty {
            self.file.erase(from as u64..to)?;
        }
        Ok(dirty.is_some())
    }
}
