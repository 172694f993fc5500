//! The commit log: all messages in the order of their arrival, in files of one size that are named by their first offset.
//!
//! Records are appended to [`Staged`] memory, and [committed](CommitLog::commit) from there to the system's page cache, all of a loop's turn
//! with one call. What is committed outlives the process; nobody is told of a record before.

use std::{
    cell::{Cell, OnceCell},
    collections::VecDeque,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use proto_core::record::{self, BLANK_LEN, MAGIC_BLANK, MIN_LEN, peek};
use route_core::storage::{AppendError, QueueUnit};

use crate::{
    ahead::{Ahead, FIRST_STEP, Readiness},
    disk::{Disk, file_path},
    event::Background,
    mapping::{LogSlice, MappedWriter, Mapping},
    old_records::{OldRecords, Place, len_of_head},
    page_cost::PageCost,
    recycling::is_far,
    staged::Staged,
    whole_record::Trailers,
};

/// The log. Offsets are bytes since the beginning of time, also when old files are gone.
#[derive(Debug)]
pub(crate) struct CommitLog {
    disk: Disk,
    dir: PathBuf,
    file_size: usize,
    /// Without a gap, the oldest first.
    files: VecDeque<LogFile>,
    /// The write end of the last file; `None` until it could be opened.
    writer: Option<MappedWriter>,
    /// The next file, if this one could not be ended yet.
    taken: Option<MappedWriter>,
    /// One past the last byte, staged ones included.
    end: i64,
    /// The end of the log, as far as it was not handed to the system yet.
    staged: Staged,
    page_cost: PageCost,
    /// Somebody has read far behind the end since the thread ahead was told.
    read_far: Cell<bool>,
    /// Where in the file the thread ahead wants to know about it.
    tell_at: usize,
    /// Files whose write end was opened since [`CommitLog::take_opened`].
    opened: Vec<OpenedFile>,
    old: OldRecords,
    ahead: Ahead,
}

/// A file of the log that is written to from now on.
#[derive(Clone, Debug)]
pub(crate) struct OpenedFile {
    /// Offset of its first byte.
    pub(crate) base: i64,
    /// Its mapping.
    pub(crate) mapping: Arc<Mapping>,
}

/// How the log's files are written.
#[derive(Clone, Debug)]
pub(crate) struct Writing {
    pub(crate) ready: Readiness,
    /// Who makes the next bytes ready.
    pub(crate) background: Background,
    /// What the checksums at the end of old records are worth.
    pub(crate) trailers: Trailers,
}

#[derive(Debug)]
struct LogFile {
    base: i64,
    /// Mapped when it is first read.
    mapping: OnceCell<Arc<Mapping>>,
    /// It was read since [`CommitLog::rest`].
    used: Cell<bool>,
}

impl LogFile {
    const fn new(base: i64, mapping: OnceCell<Arc<Mapping>>) -> Self {
        Self { base, mapping, used: Cell::new(false) }
    }
}

impl CommitLog {
    /// The log whose recovered files begin at `bases`, without a gap, and whose last byte is before `end`.
    ///
    /// # Errors
    /// Those of the operating system. A lack of space is none: appends will say so.
    pub(crate) fn open(disk: Disk, dir: &Path, file_size: u32, bases: &[i64], end: i64, how: Writing) -> io::Result<Self> {
        let file_size = file_size as usize;
        let ahead = Ahead::start(disk.clone(), dir, file_size, how.ready, how.background)?;
        let files = bases.iter().map(|&base| LogFile::new(base, OnceCell::new())).collect();
        let (dir, opened, old) = (dir.to_owned(), Vec::new(), OldRecords::before(end, how.trailers));
        let mut log = Self {
            disk,
            dir,
            file_size,
            files,
            writer: None,
            taken: None,
            end,
            staged: Staged::default(),
            page_cost: PageCost::new(),
            read_far: Cell::default(),
            tell_at: 0,
            opened,
            old,
            ahead,
        };
        match log.open_writer() {
            Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                tracing::error!(%error, "no space for the log; messages are refused until there is some");
            }
            opened => opened?,
        }
        Ok(log)
    }

    /// First byte that is there.
    pub(crate) fn start(&self) -> i64 {
        self.files.front().map_or(self.end, |file| file.base)
    }

    /// One past the last byte that was appended.
    #[inline]
    pub(crate) fn end(&self) -> i64 {
        self.end
    }

    /// One past the last byte that was committed.
    #[inline]
    pub(crate) fn committed(&self) -> i64 {
        self.end - self.staged.len() as i64
    }

    /// Where its oldest files begin, as far as they end in front of `limit`; never the last one.
    pub(crate) fn oldest(&self, limit: i64) -> impl Iterator<Item = i64> {
        let size = self.file_size as i64;
        let but_the_last = self.files.len().saturating_sub(1);
        self.files.iter().take(but_the_last).map(|file| file.base).take_while(move |base| base + size <= limit)
    }

    /// The log begins behind its oldest file from now on, if that one begins at `base` and is not the last. Answers its mapping.
    pub(crate) fn forget(&mut self, base: i64) -> Option<Arc<Mapping>> {
        if self.files.len() < 2 || self.start() != base {
            return None;
        }
        self.files.pop_front().and_then(|file| file.mapping.into_inner())
    }

    /// The mappings of files that were not read since the last call, to be dropped where it may take time; never that of the last one.
    pub(crate) fn rest(&mut self) -> Vec<Arc<Mapping>> {
        let but_the_last = self.files.len().saturating_sub(1);
        let idle = self.files.iter_mut().take(but_the_last).filter(|file| !file.used.replace(false));
        idle.filter_map(|file| file.mapping.take()).collect()
    }

    /// The next file whose write end was opened since the last call, for the thread that syncs them.
    pub(crate) fn take_opened(&mut self) -> Option<OpenedFile> {
        self.opened.pop()
    }

    /// Opens the file in which `end` lies for writing, or makes it.
    fn open_writer(&mut self) -> io::Result<()> {
        let size = self.file_size as i64;
        let base = self.end - self.end.rem_euclid(size);
        let writer = if self.files.back().is_some_and(|file| file.base == base) {
            let published = (self.end - base) as usize;
            let path = file_path(&self.dir, base);
            let writer = self.disk.map_for_appending(&path, self.file_size, published, published + FIRST_STEP)?;
            self.ahead.follow(base, &writer);
            writer
        } else {
            self.ahead.take(base)?
        };
        self.install(base, writer);
        Ok(())
    }

    fn install(&mut self, base: i64, writer: MappedWriter) {
        self.opened.push(OpenedFile { base, mapping: Arc::clone(writer.mapping()) });
        let mapping = OnceCell::from(Arc::clone(writer.mapping()));
        match self.files.back_mut() {
            Some(file) if file.base == base => file.mapping = mapping,
            _ => self.files.push_back(LogFile::new(base, mapping)),
        }
        self.tell_at = writer.position();
        self.writer = Some(writer);
    }

    /// Whether its files are long enough for a record of `len` bytes.
    pub(crate) const fn takes(&self, len: usize) -> bool {
        len + BLANK_LEN <= self.file_size
    }

    /// Makes room for `len` bytes that lie in one file; [`CommitLog::append`] puts them there. The place is [`CommitLog::end`].
    ///
    /// # Errors
    /// [`AppendError`]; the log is as it was.
    #[inline]
    pub(crate) fn reserve(&mut self, len: usize) -> Result<(), AppendError> {
        let needed = self.staged.len() + len + BLANK_LEN;
        let has_room = self.staged.has_room(len)
            && self
                .writer
                .as_ref()
                .is_some_and(|writer| needed <= writer.remaining() && writer.position() + needed <= writer.mapping().allocated());
        if has_room { Ok(()) } else { self.make_room(len) }
    }

    #[cold]
    fn make_room(&mut self, len: usize) -> Result<(), AppendError> {
        let needed = len + BLANK_LEN;
        if needed > self.file_size {
            return Err(AppendError::TooLarge { size: len, limit: self.file_size - BLANK_LEN });
        }
        self.commit().map_err(|error| AppendError::ReadOnly(error.to_string()))?;
        self.staged.make_room(len);
        self.make_room_on_disk(needed).map_err(|error| AppendError::NoSpace(error.to_string()))
    }

    /// Nothing is staged.
    fn make_room_on_disk(&mut self, needed: usize) -> io::Result<()> {
        if self.writer.is_none() {
            self.open_writer()?;
        }
        if let Some(writer) = &mut self.writer
            && needed > writer.remaining()
        {
            // The next file first: without it the end of this one stays as it is.
            let remaining = writer.remaining();
            let base = self.end + remaining as i64;
            let next = match self.taken.take() {
                Some(next) => next,
                None => self.ahead.take(base)?,
            };
            if remaining >= BLANK_LEN
                && let Err(error) = writer.write(&record::encode_blank(i32::try_from(remaining).unwrap_or(i32::MAX)))
            {
                // The thread ahead looks after that file now: there is only one who may write to it.
                self.taken = Some(next);
                return Err(error);
            }
            writer.publish(writer.remaining());
            self.end = base;
            self.install(base, next);
        }
        if let (Some(writer), Some(file)) = (&self.writer, self.files.back())
            && writer.position() + needed > writer.mapping().allocated()
        {
            let to = (writer.position() + needed).next_multiple_of(FIRST_STEP);
            self.ahead.grow(file.base, writer.mapping(), to)?;
        }
        Ok(())
    }

    /// The `len` bytes that were reserved, to be written. Empty if they were not.
    #[inline]
    pub(crate) fn reserved(&mut self, len: usize) -> &mut [u8] {
        self.staged.spare(len)
    }

    /// Puts the first `len` reserved bytes at the end of the log. They can be looked at from now on, and be sent once they are committed.
    #[inline]
    pub(crate) fn append(&mut self, len: usize) {
        self.staged.advance(len);
        self.end += len as i64;
    }

    /// Hands all that was appended to the system: it is there from now on, whatever becomes of this process.
    ///
    /// # Errors
    /// Those of the operating system. What was to be committed can still be looked at, but may be gone with the process: nobody must be told
    /// that it is there until another call has succeeded.
    pub(crate) fn commit(&mut self) -> io::Result<()> {
        let Some(writer) = self.writer.as_mut().filter(|_| self.staged.len() > 0) else { return Ok(()) };
        if PageCost::counts(self.staged.len()) {
            let begun = Instant::now();
            writer.write(self.staged.bytes())?;
            self.page_cost.note(self.staged.len(), begun, Instant::now());
        } else {
            writer.write(self.staged.bytes())?;
        }
        self.staged.clear();
        if writer.position() >= self.tell_at {
            self.tell_at = self.ahead.tell(writer.position(), self.page_cost.is_dear(), self.read_far.take());
        }
        Ok(())
    }

    /// The file in which a byte lies, mapped, and the byte's place in it.
    fn locate(&self, offset: i64) -> Option<(&Arc<Mapping>, usize)> {
        let first = self.files.front()?.base;
        let index = usize::try_from(offset.checked_sub(first)?).ok()? / self.file_size;
        let file = self.files.get(index)?;
        file.used.set(true);
        if is_far(offset, self.end) {
            self.read_far.set(true);
        }
        let mapping = match file.mapping.get() {
            Some(mapping) => mapping,
            None => {
                let path = file_path(&self.dir, file.base);
                // The last file goes on behind the end of the log, once there is space for its writer.
                let published = usize::try_from(self.committed() - file.base).unwrap_or(0).min(self.file_size);
                match self.disk.map_for_reading(&path, self.file_size, published) {
                    Ok(mapping) => file.mapping.get_or_init(|| mapping),
                    Err(error) => {
                        tracing::error!(path = %path.display(), %error, "could not map a file of the log for reading");
                        return None;
                    }
                }
            }
        };
        Some((mapping, (offset - file.base) as usize))
    }

    /// The bytes from `offset` to the end of what is written in its file.
    pub(crate) fn bytes_from(&self, offset: i64) -> Option<&[u8]> {
        let committed = self.committed();
        if offset >= committed {
            return self.staged.bytes().get(usize::try_from(offset - committed).ok()?..);
        }
        let (mapping, at) = self.locate(offset)?;
        mapping.bytes().get(at..)
    }

    /// The record that begins at `offset`, if it is whole.
    pub(crate) fn record(&self, offset: i64) -> Option<&[u8]> {
        let bytes = self.bytes_from(offset)?;
        if self.old.has(offset) {
            return bytes.get(..self.old.len(self.place(offset, bytes))?);
        }
        bytes.get(..len_of_head(bytes, offset)?)
    }

    /// Whether a unit leads to a whole record of the length that it says.
    ///
    /// # Errors
    /// Why it does not.
    pub(crate) fn check(&self, unit: &QueueUnit) -> Result<(), String> {
        let offset = unit.offset.0;
        let bytes = self.bytes_from(offset).ok_or_else(|| "the log does not hold that place".to_owned())?;
        self.old.look(self.place(offset, bytes), Some(unit.size)).map(drop)
    }

    /// Whether there is reason to believe that a record lies where a unit says, though it is damaged.
    pub(crate) fn bears_out(&self, unit: &QueueUnit) -> bool {
        let (offset, len) = (unit.offset.0, unit.size as usize);
        let Some(bytes) = self.bytes_from(offset).filter(|_| len >= MIN_LEN) else { return false };
        let end = offset + len as i64;
        // What lies right behind it: a record or the file's end, which a unit that is wrong would not hit.
        let ends_well = || match bytes.get(len..) {
            Some([]) => true,
            Some(rest) => len_of_head(rest, end).is_some() || peek::magic(rest) == Some(MAGIC_BLANK),
            None => false,
        };
        len_of_head(bytes, offset) == Some(len) || ends_well()
    }

    /// Tells once of the damaged record that a unit leads to.
    pub(crate) fn tell_damaged(&self, unit: &QueueUnit, why: &str) {
        let offset = unit.offset.0;
        self.old.tell(self.place(offset, self.bytes_from(offset).unwrap_or_default()), why);
    }

    /// What the checksums at the end of its records are worth.
    pub(crate) const fn trailers(&self) -> &Trailers {
        self.old.trailers()
    }

    /// Where its files begin.
    pub(crate) fn bases(&self) -> impl Iterator<Item = i64> {
        self.files.iter().map(|file| file.base)
    }

    fn place<'a>(&'a self, offset: i64, bytes: &'a [u8]) -> Place<'a> {
        Place { dir: &self.dir, file_size: self.file_size, offset, bytes }
    }

    /// Committed bytes, for sending.
    pub(crate) fn slice(&self, offset: i64, len: u32) -> Option<LogSlice> {
        let (mapping, at) = self.locate(offset)?;
        LogSlice::new(mapping, at..at.checked_add(len as usize)?)
    }

    /// Whether the system has these bytes in memory, as far as they lie in one file.
    pub(crate) fn is_in_memory(&self, offset: i64, len: u32) -> bool {
        self.locate(offset).is_some_and(|(mapping, at)| at.checked_add(len as usize).is_some_and(|end| mapping.is_resident(at..end)))
    }

    /// When the record at `offset` was stored.
    pub(crate) fn store_timestamp(&self, offset: i64) -> Option<i64> {
        let bytes = self.bytes_from(offset)?;
        len_of_head(bytes, offset)?;
        Some(peek::store_timestamp(bytes))
    }

    /// Makes the next bytes ready, if no thread does.
    pub(crate) fn step(&mut self) {
        self.ahead.step();
    }

    /// Ends the thread ahead and removes the file that it made in vain.
    pub(crate) fn close(&mut self) {
        self.ahead.stop();
    }
}
