//! Reads a log forward and goes on behind what is damaged. Nothing is mapped and nothing is changed, so it serves for files of any
//! length, also for those that cannot be written.

use std::path::{Path, PathBuf};

use proto_core::record::{BLANK_LEN, MAGIC_BLANK, MAGIC_V1, MAGIC_V2, MIN_LEN, RecordView, peek};

use crate::{
    disk::{Access, Disk, File, file_path, last_byte},
    error::{OpenError, at},
    whole_record::{Found, Trailers, check},
};

/// Files are read in pieces of this many bytes; longer records get longer pieces.
const PIECE: usize = 1 << 20;
/// Of what follows a record, so much is read with it.
const BEHIND: usize = 16 << 10;

/// A file of the log as it was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FoundFile {
    /// Offset of its first byte.
    pub(crate) base: i64,
    /// Its length in bytes, which may be wrong.
    pub(crate) len: u64,
}

/// What comes next in a log.
#[derive(Debug)]
pub(crate) enum Step<'a> {
    /// A whole record; where it lies is in it.
    Record(RecordView<'a>),
    /// No record can be made of the bytes from `from` to `to`. The log goes on behind them.
    Damage {
        /// Offset of the first byte.
        from: i64,
        /// One past the last byte.
        to: i64,
        /// What is wrong with the first of them.
        why: String,
    },
    /// Nothing more follows.
    End(LogEnd),
}

/// How a log ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LogEnd {
    /// One past the last whole record, or past the damage behind it.
    pub(crate) at: i64,
    /// Bytes behind that up to the last one that is not zero: a record that was not finished.
    pub(crate) torn: u64,
    /// Why they are no record.
    pub(crate) why: Option<String>,
}

/// The reader.
#[derive(Debug)]
pub(crate) struct LogWalk<'a> {
    disk: &'a Disk,
    dir: &'a Path,
    file_size: u64,
    files: &'a [FoundFile],
    /// The file in which `at` lies.
    index: usize,
    open: Option<File>,
    at: i64,
    window: Vec<u8>,
    /// Place of the window in its file.
    window_at: u64,
    trailers: Trailers,
}

impl<'a> LogWalk<'a> {
    /// Begins at `from`, which is the place of a record, of a blank, or in front of all files. `files` are in order.
    pub(crate) fn new(disk: &'a Disk, dir: &'a Path, file_size: u64, files: &'a [FoundFile], from: i64, trailers: Trailers) -> Self {
        let index = files.partition_point(|file| file.base.saturating_add(file_size.cast_signed()) <= from);
        let at = files.get(index).map_or(from, |file| file.base.max(from));
        Self { disk, dir, file_size, files, index, open: None, at, window: Vec::new(), window_at: 0, trailers }
    }

    /// What it has found out about the checksums at the end of records.
    pub(crate) const fn trailers(&self) -> &Trailers {
        &self.trailers
    }

    /// Where the next step begins.
    pub(crate) fn position(&self) -> i64 {
        self.at
    }

    /// The next record, or what is there instead.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub(crate) fn step(&mut self) -> Result<Step<'_>, OpenError> {
        loop {
            let Some(file) = self.files.get(self.index).copied() else {
                return Ok(Step::End(LogEnd { at: self.at, ..LogEnd::default() }));
            };
            if self.at < file.base {
                let from = std::mem::replace(&mut self.at, file.base);
                let why = format!("the file {} is missing", self.path(from - from.rem_euclid(self.file_size.cast_signed())).display());
                return Ok(Step::Damage { from, to: file.base, why });
            }
            let in_file = (self.at - file.base).unsigned_abs();
            if in_file >= self.file_size {
                self.leave_file();
                continue;
            }
            match self.look(file, in_file).map_err(at(self.path(file.base)))? {
                Ok(Found::Record(len)) => {
                    self.at += len as i64;
                    let start = usize::try_from(in_file - self.window_at).unwrap_or(usize::MAX);
                    let bytes = self.window.get(start..start.saturating_add(len)).unwrap_or_default();
                    let offset = file.base + in_file.cast_signed();
                    return Ok(match RecordView::parse(bytes) {
                        Ok(view) => Step::Record(view),
                        // It was parsed a moment ago.
                        Err(error) => Step::Damage { from: offset, to: self.at, why: error.to_string() },
                    });
                }
                Ok(Found::Blank) => self.at = file.base + self.file_size.cast_signed(),
                Err(why) => return self.pass(file, in_file, why).map_err(at(self.path(file.base))),
            }
        }
    }

    fn path(&self, base: i64) -> PathBuf {
        file_path(self.dir, base)
    }

    fn leave_file(&mut self) {
        self.index += 1;
        self.open = None;
        self.window.clear();
    }

    /// What lies at a place of a file, with the record's bytes in the window.
    fn look(&mut self, file: FoundFile, in_file: u64) -> std::io::Result<Result<Found, String>> {
        let room = self.file_size - in_file;
        let offset = file.base + in_file.cast_signed();
        let size = self.file_size;
        let short = || Ok(Err(format!("the file has only {} of {size} bytes", file.len)));
        if in_file >= file.len {
            return short();
        }
        let head = self.bytes(file, in_file, MIN_LEN)?;
        // Bytes are only read if they may be a record: what is garbage names any length.
        let wanted = match named_len(head, offset) {
            Named::Record(len) if len as u64 <= room && in_file + len as u64 > file.len => return short(),
            Named::Record(len) if len as u64 <= room => len,
            Named::Record(len) => return Ok(Err(format!("a record of {len} bytes, where the file has {room} left"))),
            Named::Elsewhere(place) => return Ok(Err(format!("the record says that it lies at {place}"))),
            Named::Nothing => MIN_LEN,
        };
        let trailers = self.trailers.clone();
        // With the next record, and what lies around it: they tell what a wrong checksum is worth.
        let behind = self.bytes(file, in_file, wanted + MIN_LEN)?.get(wanted..).unwrap_or_default();
        let next = match named_len(behind, offset + wanted as i64) {
            Named::Record(len) if wanted as u64 + len as u64 <= room => len,
            _ => 0,
        };
        let bytes = self.bytes(file, in_file, wanted + next.max(BEHIND))?;
        let found = check(bytes, usize::try_from(room).unwrap_or(usize::MAX), offset, &trailers);
        self.trailers = trailers;
        Ok(found)
    }

    /// Up to `wanted` bytes from a place of a file on, fewer at its end.
    fn bytes(&mut self, file: FoundFile, in_file: u64, wanted: usize) -> std::io::Result<&[u8]> {
        let end = file.len.min(self.file_size);
        let wanted = usize::try_from(end.saturating_sub(in_file)).unwrap_or(usize::MAX).min(wanted);
        let in_window = in_file.checked_sub(self.window_at).and_then(|at| usize::try_from(at).ok());
        let there = in_window.filter(|at| at.saturating_add(wanted) <= self.window.len());
        let start = match there {
            Some(start) => start,
            None => {
                let len = usize::try_from(end.saturating_sub(in_file)).unwrap_or(usize::MAX).min(wanted.max(PIECE));
                let open = match self.open.take() {
                    Some(open) => open,
                    None => self.disk.open_file(&self.path(file.base), Access::Read)?,
                };
                self.window.resize(len, 0);
                self.window_at = in_file;
                let read = open.read_at(&mut self.window, in_file);
                self.open = Some(open);
                if let Err(error) = read {
                    self.window.clear();
                    return Err(error);
                }
                0
            }
        };
        Ok(self.window.get(start..start + wanted).unwrap_or_default())
    }

    /// Goes on behind a place where no record is.
    fn pass(&mut self, file: FoundFile, in_file: u64, why: String) -> std::io::Result<Step<'static>> {
        let from = self.at;
        let rest = self.last_byte(file, in_file)?;
        let next = match rest {
            Some(_) => self.next_record(file, in_file)?,
            None => None,
        };
        let to = match next {
            Some(next) => file.base + next.cast_signed(),
            None => {
                if !self.goes_on_behind()? {
                    // The next call says the same.
                    let torn = rest.map_or(0, |last| last - in_file);
                    return Ok(Step::End(LogEnd { at: from, torn, why: (torn > 0).then_some(why) }));
                }
                file.base + self.file_size.cast_signed()
            }
        };
        self.at = to;
        let why = if rest.is_none() { "zeros, although later files hold messages".to_owned() } else { why };
        Ok(Step::Damage { from, to, why })
    }

    fn last_byte(&mut self, file: FoundFile, in_file: u64) -> std::io::Result<Option<u64>> {
        if file.len <= in_file {
            return Ok(None);
        }
        let open = self.disk.open_file(&self.path(file.base), Access::Read)?;
        last_byte(&open, in_file, file.len.min(self.file_size))
    }

    /// Whether a later file has anything in it.
    fn goes_on_behind(&self) -> std::io::Result<bool> {
        for file in self.files.get(self.index + 1..).unwrap_or_default() {
            let open = self.disk.open_file(&self.path(file.base), Access::Read)?;
            if last_byte(&open, 0, file.len.min(self.file_size))?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The place in the file at which the next whole record or the file's end begins. Behind a record that is damaged inside follows
    /// the next one, or nothing more.
    fn next_record(&mut self, file: FoundFile, in_file: u64) -> std::io::Result<Option<u64>> {
        let offset = file.base + in_file.cast_signed();
        let head = self.bytes(file, in_file, MIN_LEN)?;
        if let Named::Record(len) = named_len(head, offset)
            && let len = len as u64
            && in_file + len + BLANK_LEN as u64 <= self.file_size
        {
            let behind = in_file + len;
            if self.look(file, behind)?.is_ok() || (self.last_byte(file, behind)?.is_none() && !self.goes_on_behind()?) {
                return Ok(Some(behind));
            }
        }
        self.search(file, in_file + 1)
    }

    /// Searches for the next whole record byte by byte.
    fn search(&mut self, file: FoundFile, from: u64) -> std::io::Result<Option<u64>> {
        let mut at = from;
        loop {
            let piece = self.bytes(file, at, PIECE)?;
            if piece.len() < BLANK_LEN {
                return Ok(None);
            }
            let found = candidates(piece, file.base + at.cast_signed()).collect::<Vec<_>>();
            let searched = (piece.len() - BLANK_LEN + 1) as u64;
            for candidate in found {
                if self.look(file, at + candidate as u64)?.is_ok() {
                    return Ok(Some(at + candidate as u64));
                }
            }
            at += searched;
        }
    }
}

/// What the head of a record says about its length.
enum Named {
    Record(usize),
    /// It belongs to another place of the log.
    Elsewhere(i64),
    /// It is no head of a record, or not all of one.
    Nothing,
}

fn named_len(head: &[u8], offset: i64) -> Named {
    if head.len() < MIN_LEN || !matches!(peek::magic(head), Some(MAGIC_V1 | MAGIC_V2)) {
        return Named::Nothing;
    }
    let len = peek::total_size(head).and_then(|len| usize::try_from(len).ok()).filter(|len| *len >= MIN_LEN);
    match (len, peek::physical_offset(head)) {
        (Some(len), place) if place == offset => Named::Record(len),
        (_, place) if place != offset => Named::Elsewhere(place),
        _ => Named::Nothing,
    }
}

/// Where in `piece`, which begins at `offset` of the log, a record or a blank may begin. Those whose own offset cannot be seen any more
/// at the end of the piece are among them.
pub(crate) fn candidates(piece: &[u8], offset: i64) -> impl Iterator<Item = usize> {
    (0..).zip(piece.windows(BLANK_LEN)).filter_map(move |(place, bytes)| {
        let magic = peek::magic(bytes)?;
        let may_be = match magic {
            MAGIC_BLANK => true,
            MAGIC_V1 | MAGIC_V2 => {
                let rest = piece.get(place..)?;
                rest.len() < MIN_LEN || peek::physical_offset(rest) == offset + place as i64
            }
            _ => false,
        };
        may_be.then_some(place)
    })
}
