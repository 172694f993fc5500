//! One consume queue: units of 20 bytes that say where the messages of a queue lie in the log, in files of one size.

use std::{
    cell::{Cell, OnceCell},
    collections::VecDeque,
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use route_core::storage::{LogOffset, QueueUnit, Units};

use crate::{
    checked_units::CheckedUnits,
    disk::{Access, Disk, file_path, parse_file_name},
    error::{OpenError, at},
    flusher::OpenedQueueFile,
    mapping::{MappedWriter, Mapping},
    queue_ends::QueueSpan,
};

mod units_end;

use units_end::UnitsEnd;

/// Space is allocated in steps that grow from this …
const FIRST_STEP: usize = 16 << 10;
/// … to this: there may be very many queues with few messages.
const LAST_STEP: usize = 1 << 20;

/// What stands in front of a queue that does not begin at the start of a file: as Java writes it.
pub(crate) const PRE_BLANK: QueueUnit = QueueUnit { offset: LogOffset(0), size: i32::MAX.cast_unsigned(), tags_code: 0 };

/// A queue's files. Offsets count units.
#[derive(Debug)]
pub(crate) struct ConsumeQueue {
    disk: Disk,
    dir: PathBuf,
    file_size: usize,
    /// Without a gap, the oldest first.
    files: VecDeque<QueueFile>,
    /// Write ends of the last files: the one that is being written, then those that are reserved.
    writers: VecDeque<MappedWriter>,
    /// Offset of the first unit in the files.
    first: i64,
    log_start: LogStart,
    min: Cell<Min>,
    max: i64,
    /// Offset that the next message gets; its units may still wait for the disk.
    next: i64,
    /// Space is allocated for the units before this offset.
    reserved: i64,
    /// Files whose write end was opened since [`ConsumeQueue::take_opened`].
    opened: Vec<OpenedQueueFile>,
    /// It was read or written since [`ConsumeQueue::rest`].
    used: Cell<bool>,
    /// Units before this were there when the queue was opened: nobody knows what the disk has made of them.
    old_until: i64,
    /// `None` until one of those is read.
    checked: OnceCell<Box<CheckedUnits>>,
}

/// Where the log begins: one place that all queues look at.
#[derive(Clone, Debug, Default)]
pub(crate) struct LogStart(Arc<AtomicI64>);

impl LogStart {
    /// The log begins here.
    pub(crate) fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }

    /// It begins here from now on.
    pub(crate) fn set(&self, start: i64) {
        self.0.store(start, Ordering::Relaxed);
    }
}

/// Offset of the first unit whose message is there, for a log that begins at some place. Found when it is asked for.
#[derive(Clone, Copy, Debug)]
struct Min {
    offset: i64,
    /// `None`: not looked for yet.
    log_start: Option<i64>,
}

impl Min {
    /// Nothing is known but that no unit lies in front of `first`.
    const fn unknown(first: i64) -> Self {
        Self { offset: first, log_start: None }
    }
}

#[derive(Debug)]
struct QueueFile {
    /// Offset of its first byte.
    base: i64,
    /// Mapped when it is first read.
    mapping: OnceCell<Arc<Mapping>>,
}

impl ConsumeQueue {
    /// A queue that has no files yet.
    fn empty(disk: Disk, dir: PathBuf, file_size: u32, log_start: LogStart) -> Self {
        Self {
            disk,
            dir,
            file_size: file_size as usize,
            files: VecDeque::new(),
            writers: VecDeque::new(),
            first: 0,
            log_start,
            min: Cell::new(Min::unknown(0)),
            max: 0,
            next: 0,
            reserved: 0,
            opened: Vec::new(),
            used: Cell::new(false),
            old_until: 0,
            checked: OnceCell::new(),
        }
    }

    /// The queue that lies in `dir`, as it is.
    ///
    /// # Errors
    /// [`OpenError`] for files that cannot be read, do not follow one another or have a wrong size.
    pub(crate) fn open(disk: Disk, dir: PathBuf, file_size: u32, log_start: LogStart) -> Result<Self, OpenError> {
        let mut queue = Self::empty(disk, dir, file_size, log_start);
        let bases = queue.list()?;
        if let Some(end) = queue.find_end(&bases, i64::MAX)? {
            // An empty last file behind full ones was just begun; it is found again when it is written to.
            queue.take_files(&bases[..end.files], end.units);
        }
        Ok(queue)
    }

    /// The queue that lies in `dir`, with the units in front of the first one that is none or that points at `limit` or behind it
    /// in the log. All that follows is erased; the files and folders that this changed are added to `unsynced`.
    ///
    /// # Errors
    /// [`OpenError`] for files that cannot be read or changed, do not follow one another or have a wrong size.
    pub(crate) fn open_cut(
        disk: Disk,
        dir: PathBuf,
        file_size: u32,
        log_start: LogStart,
        limit: i64,
        unsynced: &mut Vec<PathBuf>,
    ) -> Result<Self, OpenError> {
        let mut queue = Self::empty(disk.clone(), dir, file_size, log_start);
        let bases = queue.list()?;
        let Some(end) = queue.find_end(&bases, limit)? else { return Ok(queue) };
        for &base in &bases[end.files..] {
            let path = file_path(&queue.dir, base);
            disk.remove_file(&path).map_err(at(&path))?;
        }
        if end.files < bases.len() {
            unsynced.push(queue.dir.clone());
        }
        if end.erase(queue.file_size).map_err(at(&end.path))? {
            unsynced.push(end.path.clone());
        }
        queue.take_files(&bases[..end.files], end.units);
        Ok(queue)
    }

    /// Reads what [`ConsumeQueue::open_cut`] will read, so that it need not wait for the disk then. Nothing is changed.
    ///
    /// # Errors
    /// Those of the operating system.
    pub(crate) fn warm(disk: &Disk, dir: &Path, file_size: u32, limit: i64) -> io::Result<()> {
        let last = disk.list(dir)?.into_iter().rfind(|entry| !entry.is_dir && entry.len == u64::from(file_size));
        match last {
            Some(last) => UnitsEnd::find(disk, dir.join(last.name), file_size as usize, limit).map(drop),
            None => Ok(()),
        }
    }

    /// Removes the files of a queue that cannot be used, so that it can be built anew from the log.
    ///
    /// # Errors
    /// Those of the operating system.
    pub(crate) fn discard(disk: &Disk, dir: &Path) -> io::Result<()> {
        for entry in disk.list(dir)?.into_iter().filter(|entry| parse_file_name(&entry.name).is_some()) {
            disk.remove_file(&dir.join(entry.name))?;
        }
        Ok(())
    }

    /// Where the units in front of `limit` end: in the last file that has any, or in the first one. `None` without files.
    fn find_end(&self, bases: &[i64], limit: i64) -> Result<Option<UnitsEnd>, OpenError> {
        for (index, base) in bases.iter().enumerate().rev() {
            let path = file_path(&self.dir, *base);
            let mut end = UnitsEnd::find(&self.disk, path.clone(), self.file_size, limit).map_err(at(path))?;
            if end.units > 0 || index == 0 {
                end.files = index + 1;
                return Ok(Some(end));
            }
        }
        Ok(None)
    }

    fn take_files(&mut self, bases: &[i64], units_in_last: usize) {
        let unit = QueueUnit::LEN as i64;
        self.files = bases.iter().map(|&base| QueueFile { base, mapping: OnceCell::new() }).collect();
        if let (Some(first), Some(last)) = (bases.first(), bases.last()) {
            self.first = first / unit;
            self.min = Cell::new(Min::unknown(self.first));
            self.max = last / unit + units_in_last as i64;
            (self.next, self.reserved, self.old_until) = (self.max, self.max, self.max);
        }
    }

    /// Whether a unit was there when the queue was opened and was not [found right](ConsumeQueue::note_right) since.
    #[inline]
    pub(crate) fn is_unchecked(&self, offset: i64) -> bool {
        offset < self.old_until && !self.checked.get().is_some_and(|checked| checked.has(offset))
    }

    /// A unit leads to a whole message.
    pub(crate) fn note_right(&self, offset: i64) {
        self.checked.get_or_init(Box::default).note(offset);
    }

    /// Offsets of the first bytes of its files.
    fn list(&self) -> Result<Vec<i64>, OpenError> {
        let size = self.file_size as i64;
        let mut bases = Vec::<i64>::new();
        let entries = self.disk.list(&self.dir).map_err(at(&self.dir))?;
        let last = entries.iter().rposition(|entry| !entry.is_dir);
        for (index, entry) in entries.iter().enumerate().filter(|(_, entry)| !entry.is_dir) {
            let path = self.dir.join(&entry.name);
            let Some(base) = parse_file_name(&entry.name).filter(|base| base % size == 0) else {
                return Err(OpenError::UnexpectedFile { path, what: "its name is not an offset at which a file begins".into() });
            };
            if entry.len == 0 && Some(index) == last {
                self.disk.remove_file(&path).map_err(at(&path))?;
                continue;
            }
            if entry.len == 0 {
                // Its name had reached the disk when the machine stopped, its length had not.
                return Err(OpenError::MissingFile { path });
            }
            if entry.len != self.file_size as u64 {
                let key = "mappedFileSizeConsumeQueue";
                return Err(OpenError::WrongFileSize { path, found: entry.len, expected: self.file_size as u64, key });
            }
            if let Some(last) = bases.last()
                && last + size != base
            {
                return Err(OpenError::MissingFile { path: file_path(&self.dir, last + size) });
            }
            bases.push(base);
        }
        Ok(bases)
    }

    /// Removes all files: the queue is empty and begins anew.
    ///
    /// # Errors
    /// Those of the operating system.
    pub(crate) fn reset(&mut self) -> io::Result<()> {
        self.writers.clear();
        self.opened.clear();
        while let Some(file) = self.files.pop_back() {
            self.disk.remove_file(&file_path(&self.dir, file.base))?;
        }
        (self.first, self.max, self.next, self.reserved, self.old_until) = (0, 0, 0, 0, 0);
        (self.min, self.checked) = (Cell::new(Min::unknown(0)), OnceCell::new());
        Ok(())
    }

    /// If it was not used since the last call, its files are unmapped. Answers how many were. What is not on disk yet goes there
    /// under the file's path.
    pub(crate) fn rest(&mut self) -> usize {
        if self.used.replace(false) { 0 } else { self.unmap() }
    }

    /// Unmaps its files, unless units are still to be put into space that was reserved for them.
    fn unmap(&mut self) -> usize {
        if self.next != self.max || !self.opened.is_empty() { 0 } else { self.let_go() }
    }

    fn let_go(&mut self) -> usize {
        self.writers.clear();
        self.reserved = self.max;
        // Files that were made for what then was not appended are found again when they are written to.
        while self.files.len() > 1 && self.files.back().is_some_and(|file| file.base >= self.max * QueueUnit::LEN as i64) {
            self.files.pop_back();
        }
        self.files.iter_mut().filter_map(|file| file.mapping.take()).count()
    }

    /// Unmaps its files although nobody syncs them yet; they are added to `unsynced`.
    pub(crate) fn unmap_unsynced(&mut self, unsynced: &mut Vec<PathBuf>) {
        for opened in self.opened.drain(..) {
            // It may be full, and have no write end any more.
            unsynced.push(opened.path);
            unsynced.extend(opened.dirs);
        }
        if !self.writers.is_empty() {
            let written = self.files.iter().rev().take(self.writers.len());
            unsynced.extend(written.map(|file| file_path(&self.dir, file.base)));
        }
        self.unmap();
    }

    /// The file of a unit, and the unit's first byte there.
    pub(crate) fn place_of(&self, offset: i64) -> (PathBuf, u64) {
        let at = offset * QueueUnit::LEN as i64;
        let in_file = at.rem_euclid(self.file_size as i64);
        (file_path(&self.dir, at - in_file), in_file.unsigned_abs())
    }

    /// Puts right units in the place of wrong ones. Answers the files that this changed; they are not on disk yet.
    ///
    /// # Errors
    /// Those of the operating system. Some units may have been put in place; if there is no space for what is to be appended next, the queue
    /// will lack units.
    pub(crate) fn mend(&mut self, units: &[(i64, QueueUnit)]) -> io::Result<Vec<PathBuf>> {
        // What is mapped is never written twice.
        self.let_go();
        let mut changed = Vec::new();
        let written = units.iter().filter(|(offset, _)| (self.first..self.max).contains(offset)).try_for_each(|(offset, unit)| {
            let (path, byte) = self.place_of(*offset);
            let file = self.disk.open_file(&path, Access::Write)?;
            changed.push(path);
            file.write_at(&unit.encode(), byte)
        });
        changed.dedup();
        self.min = Cell::new(Min::unknown(self.first));
        // Units may wait for the log to be on disk: they count on their space.
        self.reserve(self.next)?;
        written.map(|()| changed)
    }

    /// What its files hold.
    pub(crate) const fn span(&self) -> QueueSpan {
        QueueSpan { first: self.first, end: self.max }
    }

    /// Offset of the first unit whose message is there: the log has lost its oldest files, or the queue begins with blanks.
    pub(crate) fn min(&self) -> i64 {
        let (known, log_start) = (self.min.get(), self.log_start.get());
        if known.log_start == Some(log_start) {
            return known.offset;
        }
        let gone = |unit: &QueueUnit| unit.offset.0 < log_start || *unit == PRE_BLANK;
        // Most queues have lost nothing since the last time.
        let offset = match self.peek(known.offset) {
            Some(unit) if gone(&unit) => self.partition_point(known.offset, self.max, gone),
            _ => known.offset,
        };
        self.min.set(Min { offset, log_start: Some(log_start) });
        offset
    }

    /// The oldest file if it begins at `base`, lies wholly in front of the first message that is there, and is not the only one.
    pub(crate) fn expired_file(&self, base: i64) -> Option<PathBuf> {
        let unit = QueueUnit::LEN as i64;
        let expired = self.files.len() > 1 && self.files.front()?.base == base && base / unit + self.units_per_file() <= self.min();
        expired.then(|| file_path(&self.dir, base))
    }

    /// Goes on without the oldest file, of which [`ConsumeQueue::expired_file`] says that it may go. Answers its mapping.
    pub(crate) fn forget_oldest(&mut self) -> Option<Arc<Mapping>> {
        let file = self.files.pop_front()?;
        self.first += self.units_per_file();
        if self.writers.front().is_some_and(|writer| writer.remaining() == 0) {
            self.writers.pop_front();
        }
        file.mapping.into_inner()
    }

    /// One past the offset of the last unit.
    pub(crate) fn max(&self) -> i64 {
        self.max
    }

    /// Offset that the next message gets.
    pub(crate) fn next(&self) -> i64 {
        self.next
    }

    /// Gives away the next offset.
    pub(crate) fn assign(&mut self) {
        self.next += 1;
    }

    /// Nothing waits for the disk: the next message gets the offset behind the last unit.
    pub(crate) fn assign_all(&mut self) {
        self.next = self.max;
    }

    /// Whether it has a unit, be it of a message that is gone.
    pub(crate) fn has_units(&self) -> bool {
        self.max > self.first
    }

    /// Whether it has a file.
    pub(crate) fn has_files(&self) -> bool {
        !self.files.is_empty()
    }

    /// Makes sure that the units before `upto` have space.
    ///
    /// # Errors
    /// Those of the operating system, above all that no space is left. The queue is as it was.
    #[inline]
    pub(crate) fn reserve(&mut self, upto: i64) -> io::Result<()> {
        if upto <= self.reserved { Ok(()) } else { self.make_room(upto) }
    }

    #[cold]
    fn make_room(&mut self, upto: i64) -> io::Result<()> {
        let units = self.units_per_file();
        if self.writers.is_empty() && self.max % units != 0 && self.files.back().is_some() {
            self.open_writer(self.max)?;
        }
        while self.reserved < upto {
            let base = self.reserved - self.reserved % units;
            let in_file = usize::try_from(self.reserved - base).unwrap_or(0);
            if in_file == 0 {
                // All files so far are full or reserved to their ends.
                self.open_writer(base)?;
                continue;
            }
            let Some(writer) = self.writers.back() else { return Err(io::ErrorKind::NotFound.into()) };
            let mapping = Arc::clone(writer.mapping());
            let to = (mapping.allocated() + mapping.allocated().clamp(FIRST_STEP, LAST_STEP)).min(self.file_size);
            self.disk.grow(&file_path(&self.dir, base * QueueUnit::LEN as i64), &mapping, to)?;
            self.reserved = base + (mapping.allocated() / QueueUnit::LEN) as i64;
        }
        Ok(())
    }

    /// Opens the file of the unit `at` for writing from there on; makes it if it is not there.
    fn open_writer(&mut self, at: i64) -> io::Result<()> {
        let units = self.units_per_file();
        let base = (at - at % units) * QueueUnit::LEN as i64;
        let published = usize::try_from(at % units).unwrap_or(0) * QueueUnit::LEN;
        self.disk.maps().has_room()?;
        if self.files.is_empty() {
            self.disk.create_dir_all(&self.dir)?;
        }
        let path = file_path(&self.dir, base);
        let writer = self.disk.map_for_writing(&path, self.file_size, published, published + FIRST_STEP)?;
        writer.mapping().expect_scattered_use();
        let mapping = Arc::clone(writer.mapping());
        self.reserved = base / QueueUnit::LEN as i64 + (mapping.allocated() / QueueUnit::LEN) as i64;
        match self.files.back_mut() {
            Some(file) if file.base == base => file.mapping = OnceCell::from(Arc::clone(&mapping)),
            _ => self.files.push_back(QueueFile { base, mapping: OnceCell::from(Arc::clone(&mapping)) }),
        }
        let dirs = if published == 0 { self.dirs_of_a_new_file() } else { Vec::new() };
        self.opened.push(OpenedQueueFile { path, mapping: Arc::downgrade(&mapping), synced: published, dirs });
        self.writers.push_back(writer);
        Ok(())
    }

    /// Begins an empty queue at `offset`: what is in front of it in the first file is filled with blanks.
    ///
    /// # Errors
    /// Those of the operating system.
    pub(crate) fn begin_at(&mut self, offset: i64) -> io::Result<()> {
        let first = offset - offset % self.units_per_file();
        (self.first, self.max, self.reserved) = (first, first, first);
        self.reserve(offset + 1)?;
        while self.max < offset {
            self.append(&PRE_BLANK);
        }
        self.min = Cell::new(Min { offset, log_start: Some(self.log_start.get()) });
        self.next = offset;
        Ok(())
    }

    /// Puts a unit, for which space was reserved, at the end. It can be read from now on.
    pub(crate) fn append(&mut self, unit: &QueueUnit) {
        self.used.set(true);
        if self.writers.front().is_some_and(|writer| writer.remaining() == 0) {
            self.writers.pop_front();
        }
        if let Some(writer) = self.writers.front_mut()
            && let Some(space) = writer.spare(QueueUnit::LEN)
        {
            space.copy_from_slice(&unit.encode());
            writer.publish(QueueUnit::LEN);
            self.max += 1;
        }
    }

    /// The next file whose write end was opened since the last call, for the thread that syncs them.
    pub(crate) fn take_opened(&mut self) -> Option<OpenedQueueFile> {
        self.opened.pop()
    }

    /// The folders that a new file may have changed: its own, the topic's and that of all queues.
    fn dirs_of_a_new_file(&self) -> Vec<PathBuf> {
        let count = if self.files.len() > 1 { 1 } else { 3 };
        self.dir.ancestors().take(count).map(Path::to_owned).collect()
    }

    pub(crate) fn units_per_file(&self) -> i64 {
        (self.file_size / QueueUnit::LEN) as i64
    }

    /// The units from `from` to the end of what is written in its file.
    pub(crate) fn units(&self, from: i64) -> Units<'_> {
        self.bytes(from).map(Units::new).unwrap_or_default()
    }

    fn bytes(&self, from: i64) -> Option<&[u8]> {
        if from < self.first || from >= self.max {
            return None;
        }
        self.used.set(true);
        let first = self.files.front()?.base;
        let at = usize::try_from(from.checked_mul(QueueUnit::LEN as i64)? - first).ok()?;
        let file = self.files.get(at / self.file_size)?;
        // What follows in the file is written by another mapping.
        let end = usize::try_from(self.max * QueueUnit::LEN as i64 - file.base).unwrap_or(0).min(self.file_size);
        let mapping = match file.mapping.get() {
            Some(mapping) => mapping,
            None => {
                let path = file_path(&self.dir, file.base);
                match self.disk.maps().has_room().and_then(|()| self.disk.map_for_reading(&path, self.file_size, end)) {
                    Ok(mapping) => file.mapping.get_or_init(|| mapping),
                    Err(error) => {
                        tracing::error!(path = %path.display(), %error, "could not map a file of a consume queue for reading");
                        return None;
                    }
                }
            }
        };
        mapping.get(at % self.file_size..end)
    }

    /// One unit. Its file is not mapped for it if very many are.
    pub(crate) fn unit(&self, offset: i64) -> Option<QueueUnit> {
        if self.disk.maps().is_full() { self.peek(offset) } else { self.units(offset).next() }
    }

    /// One unit, for which no file is mapped: many queues are asked for no more than this.
    fn peek(&self, offset: i64) -> Option<QueueUnit> {
        if offset < self.first || offset >= self.max {
            return None;
        }
        let at = usize::try_from(offset.checked_mul(QueueUnit::LEN as i64)? - self.files.front()?.base).ok()?;
        let file = self.files.get(at / self.file_size)?;
        if file.mapping.get().is_some() {
            return self.units(offset).next();
        }
        let path = file_path(&self.dir, file.base);
        let mut bytes = [0; QueueUnit::LEN];
        let read = self.disk.open_file(&path, Access::Read).and_then(|file| file.read_at(&mut bytes, (at % self.file_size) as u64));
        match read {
            Ok(()) => Some(QueueUnit::decode(&bytes)),
            Err(error) => {
                tracing::error!(path = %path.display(), %error, "could not read a file of a consume queue");
                None
            }
        }
    }

    /// The first offset in `from..to` whose unit does not satisfy `before`, which holds for a front part of them.
    pub(crate) fn partition_point(&self, from: i64, to: i64, mut before: impl FnMut(&QueueUnit) -> bool) -> i64 {
        let (mut low, mut high) = (from, to);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.unit(middle).is_some_and(|unit| before(&unit)) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }
}
