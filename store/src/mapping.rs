//! Files seen as memory: one writer at the end, any number of readers before it. The only module with unsafe code.
//!
//! A mapping is split at its *published* position. Bytes before it are never written again and may be borrowed and shared;
//! bytes behind it belong to the one [`MappedWriter`], which writes them into the mapping, or into the file (`pwrite`), whose pages the mapping
//! shows. So no byte is ever read and written at the same time. A file may be mapped twice, to be read and then to be written: the first mapping
//! ends in front of where the second one's writer begins, for good.
//!
//! Nobody but this process may change the files: the data folder's lock sees to that. A file is never shortened while it is
//! mapped, and bytes are only written where space was [allocated](Mapping::allocated), so no access can raise SIGBUS.
#![allow(unsafe_code)]

use std::{
    fmt,
    fs::File,
    io,
    ops::Range,
    slice,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use memmap2::{Advice, MmapMut, MmapOptions, MmapRaw, UncheckedAdvice};

use crate::disk::OpenFile;

/// It is known of so many pages at a time whether they are in memory: 1 MiB and what lies at its edges, with the smallest pages.
const RESIDENT_PAGES: usize = 260;

/// A mapped file. Shared by the writer, by readers and by the thread that syncs it.
pub(crate) struct Mapping {
    raw: MmapRaw,
    /// Bytes before this are final.
    published: AtomicUsize,
    /// Bytes before this have space on disk.
    allocated: AtomicUsize,
    /// It is a file that is shared with the system, not memory of this process.
    is_file: bool,
    /// It has or had a writer.
    written_by_one: AtomicBool,
    /// The file, if it is not the operating system's alone.
    backing: Option<Arc<dyn Backing>>,
    /// Where it is counted.
    counted: OnceLock<MapCount>,
}

/// How many files are mapped, and how many may be.
#[derive(Clone, Debug, Default)]
pub(crate) struct MapCount(Arc<Maps>);

#[derive(Debug)]
struct Maps {
    count: AtomicUsize,
    limit: AtomicUsize,
    most: AtomicUsize,
}

impl Default for Maps {
    fn default() -> Self {
        Self { count: AtomicUsize::new(0), limit: AtomicUsize::new(usize::MAX), most: AtomicUsize::new(usize::MAX) }
    }
}

impl MapCount {
    /// So many, those included that only wait to be synced or sent.
    pub(crate) fn get(&self) -> usize {
        self.0.count.load(Ordering::Relaxed)
    }

    /// From `limit` on no file is mapped that need not be; from `most` on [there is no room](Self::has_room).
    pub(crate) fn set_limits(&self, limit: usize, most: usize) {
        self.0.limit.store(limit, Ordering::Relaxed);
        self.0.most.store(most, Ordering::Relaxed);
    }

    /// Whether a file should be read without a mapping if it can be.
    pub(crate) fn is_full(&self) -> bool {
        self.get() >= self.0.limit.load(Ordering::Relaxed)
    }

    /// Whether one file more may be mapped.
    ///
    /// # Errors
    /// `OutOfMemory`: what the system has left is for the log, for threads and for memory.
    pub(crate) fn has_room(&self) -> io::Result<()> {
        let most = self.0.most.load(Ordering::Relaxed);
        if self.get() < most {
            return Ok(());
        }
        Err(io::Error::new(io::ErrorKind::OutOfMemory, format!("{most} files are mapped, as many as vm.max_map_count leaves room for")))
    }
}

/// A file that is not the operating system's alone, and which has to be told what becomes of its mapping.
pub(crate) trait Backing: fmt::Debug + Send + Sync {
    /// Makes a range durable; `flush` is how the operating system would do it.
    fn sync(&self, range: Range<usize>, flush: &dyn Fn() -> io::Result<()>) -> io::Result<()>;
    /// The mapping ends with these final bytes.
    fn unmapped(&self, _bytes: &[u8]) {}
}

impl Mapping {
    /// Maps the first `len` bytes of a file, of which the first `published` are final and the first `allocated` have space on disk.
    /// Nobody may write those that are final, and only one mapping may be written to.
    ///
    /// # Errors
    /// Those of the operating system, for example that there are too many mappings; `InvalidInput` if more is published or allocated
    /// than there is.
    pub(crate) fn of_file(file: &File, len: usize, published: usize, allocated: usize) -> io::Result<Self> {
        if published > len || allocated > len {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let raw = MmapOptions::new().len(len).no_probe_handle().map_raw(file)?;
        Ok(Self {
            raw,
            published: published.into(),
            allocated: allocated.into(),
            is_file: true,
            written_by_one: AtomicBool::new(false),
            backing: None,
            counted: OnceLock::new(),
        })
    }

    /// Counts it as long as it is there.
    pub(crate) fn count_in(&self, count: &MapCount) {
        if self.counted.set(count.clone()).is_ok() {
            count.0.count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Memory that begins with `content`, as the mapping of `backing`, whose first `len` bytes that is.
    ///
    /// # Errors
    /// If there is no memory; `InvalidInput` if more is published or allocated than there is.
    pub(crate) fn in_memory(content: &[u8], published: usize, allocated: usize, backing: Arc<dyn Backing>) -> io::Result<Self> {
        let len = content.len();
        if published > len || allocated > len {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let mut memory = MmapMut::map_anon(len)?;
        memory.copy_from_slice(content);
        Ok(Self {
            raw: memory.into(),
            published: published.into(),
            allocated: allocated.into(),
            is_file: false,
            written_by_one: AtomicBool::new(false),
            backing: Some(backing),
            counted: OnceLock::new(),
        })
    }

    /// Has somebody else told of what becomes of a mapping that nobody has yet.
    pub(crate) fn set_backing(&mut self, backing: Arc<dyn Backing>) {
        self.backing = Some(backing);
    }

    /// Length of the file in bytes.
    pub(crate) fn len(&self) -> usize {
        self.raw.len()
    }

    /// How many bytes are final.
    pub(crate) fn published(&self) -> usize {
        self.published.load(Ordering::Acquire)
    }

    /// The final bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: `published` never exceeds the length of the mapping, which lives as long as `self`; bytes before it were
        // written before it was stored with `Release` and are never written again (see `MappedWriter`), and the folder's lock
        // keeps other processes from changing or shortening the file.
        unsafe { slice::from_raw_parts(self.raw.as_ptr(), self.published()) }
    }

    /// Some of the final bytes.
    pub(crate) fn get(&self, range: Range<usize>) -> Option<&[u8]> {
        self.bytes().get(range)
    }

    /// Up to where space is allocated on disk.
    pub(crate) fn allocated(&self) -> usize {
        self.allocated.load(Ordering::Acquire)
    }

    /// Takes in that space was allocated up to `to`.
    pub(crate) fn set_allocated(&self, to: usize) {
        self.allocated.fetch_max(to.min(self.len()), Ordering::AcqRel);
    }

    /// Writes what lies in `range` to the disk and waits for it.
    ///
    /// # Errors
    /// Those of the operating system. After one the range may be marked clean without being on disk: never try again.
    pub(crate) fn sync(&self, range: Range<usize>) -> io::Result<()> {
        let flush = || self.raw.flush_range(range.start, range.len());
        match &self.backing {
            None => flush(),
            Some(backing) => backing.sync(range.clone(), &flush),
        }
    }

    /// Whether all pages of `range` are in memory: reading them waits for no disk. Answers no if there are more than [`RESIDENT_PAGES`].
    pub(crate) fn is_resident(&self, range: Range<usize>) -> bool {
        if range.end > self.len() {
            return false;
        }
        if !self.is_file {
            return true;
        }
        let page = rustix::param::page_size();
        let start = range.start - range.start % page;
        let len = range.end.saturating_sub(start);
        let mut pages = [0_u8; RESIDENT_PAGES];
        let Some(pages) = pages.get_mut(..len.div_ceil(page)) else { return false };
        // SAFETY: the range lies in the mapping, whose first byte lies where a page begins, as does `start`; the system writes one byte for each
        // page of the range, so many there are.
        let asked = unsafe { libc::mincore(self.raw.as_mut_ptr().add(start).cast(), len, pages.as_mut_ptr().cast()) };
        asked == 0 && pages.iter().all(|page| page & 1 == 1)
    }

    /// Has the system get memory for the pages of `range`, which are there or are zero.
    ///
    /// # Errors
    /// Those of the operating system; kernels before 5.14 cannot.
    pub(crate) fn touch(&self, range: Range<usize>) -> io::Result<()> {
        if !self.is_file || range.end > self.allocated() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        self.raw.advise_range(Advice::PopulateRead, range.start, range.len())
    }

    /// Takes the pages of `range` out of the page table, whole ones only. Whoever looks at them later finds them all the same.
    pub(crate) fn let_go(&self, range: Range<usize>) {
        if self.is_file && range.end <= self.len() && range.start < range.end {
            // SAFETY: the mapping is a shared one of a file, so its bytes are the file's: they do not change when the system forgets where
            // they lie in memory.
            let gone = unsafe { self.raw.unchecked_advise_range(UncheckedAdvice::DontNeed, range.start, range.len()) };
            // It only saves memory, or time.
            drop(gone);
        }
    }

    /// Tells the system that single pages are used here and there: the first touch of one is not to bring in others, which for a
    /// file with little in it costs a hundred times as much.
    pub(crate) fn expect_scattered_use(&self) {
        // Only a hint: it works without.
        let _ = self.raw.advise(Advice::Random);
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        if let Some(MapCount(maps)) = self.counted.get() {
            maps.count.fetch_sub(1, Ordering::Relaxed);
        }
        if let Some(backing) = &self.backing {
            backing.unmapped(self.bytes());
        }
    }
}

impl fmt::Debug for Mapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { raw, published, allocated, is_file: _, written_by_one: _, backing: _, counted: _ } = self;
        f.debug_struct("Mapping").field("len", &raw.len()).field("published", published).field("allocated", allocated).finish()
    }
}

/// The right to write behind the published position of a mapping. There is one for each mapping at most.
#[derive(Debug)]
pub(crate) struct MappedWriter {
    mapping: Arc<Mapping>,
    /// The published position, which only this writer moves.
    position: usize,
    /// The file that is mapped, for [`MappedWriter::write`]; `None` if all is written to the mapping.
    file: Option<Box<dyn OpenFile>>,
}

impl MappedWriter {
    /// The one who writes behind what is published.
    ///
    /// # Errors
    /// `AlreadyExists` if the mapping has or had a writer.
    pub(crate) fn new(mapping: Arc<Mapping>) -> io::Result<Self> {
        if mapping.written_by_one.swap(true, Ordering::AcqRel) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        Ok(Self { position: mapping.published(), mapping, file: None })
    }

    /// Has [`MappedWriter::write`] write to the file. Of memory that only stands for a file nothing changes.
    #[must_use]
    pub(crate) fn by_file(mut self, file: Box<dyn OpenFile>) -> Self {
        self.file = self.mapping.is_file.then_some(file);
        self
    }

    /// The mapping, for readers.
    pub(crate) fn mapping(&self) -> &Arc<Mapping> {
        &self.mapping
    }

    /// The published position.
    pub(crate) fn position(&self) -> usize {
        self.position
    }

    /// Bytes up to the end of the file.
    pub(crate) fn remaining(&self) -> usize {
        self.mapping.len() - self.position
    }

    /// The next `len` bytes behind the published position, to be written; `None` if that much is not allocated.
    pub(crate) fn spare(&mut self, len: usize) -> Option<&mut [u8]> {
        let end = self.position.checked_add(len)?;
        if end > self.mapping.allocated() {
            return None;
        }
        // SAFETY: `position..end` lies inside the mapping, as no more is ever allocated than its length. Nobody reads there:
        // readers stop at the published position. Nobody else writes there: this is the only writer, and it is borrowed
        // mutably for as long as the slice lives. The space is allocated, so that writing cannot raise SIGBUS.
        Some(unsafe { slice::from_raw_parts_mut(self.mapping.raw.as_mut_ptr().add(self.position), len) })
    }

    /// Puts bytes behind what is published, and publishes them. By the file, if it was given: a system call that copies them into pages
    /// of the page cache costs less than a fault for each page, which the system has to fill with zeros first.
    ///
    /// # Errors
    /// Those of the operating system; `WriteZero` if that much is not allocated. Nothing is published then.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.len() > self.mapping.allocated().saturating_sub(self.position) {
            return Err(io::ErrorKind::WriteZero.into());
        }
        match &self.file {
            Some(file) => file.write_at(bytes, self.position as u64)?,
            None => {
                if let Some(space) = self.spare(bytes.len()) {
                    space.copy_from_slice(bytes);
                }
            }
        }
        self.publish(bytes.len());
        Ok(())
    }

    /// Makes the next `len` bytes final, those not written included (they are zero).
    pub(crate) fn publish(&mut self, len: usize) {
        self.position = (self.position + len).min(self.mapping.len());
        self.mapping.published.store(self.position, Ordering::Release);
    }
}

/// Bytes of the log that stay readable for as long as this lives, whatever becomes of their file.
#[derive(Clone)]
pub struct LogSlice {
    mapping: Arc<Mapping>,
    range: Range<usize>,
}

impl LogSlice {
    /// Some of a mapping's final bytes.
    pub(crate) fn new(mapping: &Arc<Mapping>, range: Range<usize>) -> Option<Self> {
        mapping.get(range.clone())?;
        Some(Self { mapping: Arc::clone(mapping), range })
    }
}

/// Asks the processor for bytes that are read next, without waiting for them.
///
/// What a consumer that has fallen behind reads lies scattered over memory that no cache holds, and a copy of one message after the other waits
/// for each: that was two thirds of what a pull costs. A longer piece is asked for as far as its first 4 KiB; the processor itself fetches on.
#[inline]
pub fn prefetch(bytes: &[u8]) {
    #[cfg(target_arch = "x86_64")]
    for line in bytes.get(..4096).unwrap_or(bytes).chunks(64) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a hint that reads nothing and fails for no address; this one is that of a byte which is there.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = bytes;
}

impl AsRef<[u8]> for LogSlice {
    fn as_ref(&self) -> &[u8] {
        // The range was checked when the slice was made, and what is published stays so.
        self.mapping.get(self.range.clone()).unwrap_or_default()
    }
}

impl fmt::Debug for LogSlice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LogSlice").field(&self.range).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writer_of(len: usize, allocated: usize) -> MappedWriter {
        let file = tempfile::tempfile().unwrap();
        file.set_len(len as u64).unwrap();
        MappedWriter::new(Arc::new(Mapping::of_file(&file, len, 0, allocated).unwrap())).unwrap()
    }

    #[test]
    fn what_is_written_is_seen_once_it_is_published() {
        let mut writer = writer_of(8192, 8192);
        let reader = Arc::clone(writer.mapping());
        writer.spare(5).unwrap().copy_from_slice(b"hello");
        assert_eq!(reader.bytes(), b"");
        writer.publish(5);
        assert_eq!(reader.bytes(), b"hello");
        assert_eq!((writer.position(), writer.remaining()), (5, 8187));
    }

    #[test]
    fn what_is_written_by_the_file_is_seen_in_the_mapping_and_never_behind_the_space() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(8192).unwrap();
        let mapping = Arc::new(Mapping::of_file(&file, 8192, 0, 5000).unwrap());
        let mut writer = MappedWriter::new(Arc::clone(&mapping)).unwrap().by_file(Box::new(file));
        writer.write(b"hello, ").unwrap();
        writer.write(b"world").unwrap();
        assert_eq!((mapping.bytes(), writer.position()), (&b"hello, world"[..], 12));
        assert_eq!(writer.write(&[1; 4989]).unwrap_err().kind(), io::ErrorKind::WriteZero);
        assert_eq!(mapping.published(), 12);
    }

    #[test]
    fn nothing_can_be_written_where_no_space_is_allocated() {
        let mut writer = writer_of(8192, 100);
        assert!(writer.spare(101).is_none());
        writer.mapping().set_allocated(8192);
        assert!(writer.spare(101).is_some());
        assert!(writer.spare(8193).is_none());
    }

    #[test]
    fn there_is_room_for_so_many_mappings_and_no_more() {
        let count = MapCount::default();
        assert!(!count.is_full() && count.has_room().is_ok(), "nobody has set a limit");
        count.set_limits(1, 2);
        let mappings = [writer_of(4096, 4096), writer_of(4096, 4096)];
        mappings[0].mapping().count_in(&count);
        assert!(count.is_full() && count.has_room().is_ok());
        mappings[1].mapping().count_in(&count);
        assert_eq!(count.has_room().unwrap_err().kind(), io::ErrorKind::OutOfMemory);
        drop(mappings);
        assert!(!count.is_full() && count.has_room().is_ok());
    }

    #[test]
    fn what_was_let_go_of_is_found_again() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(1 << 20).unwrap();
        let mapping = Arc::new(Mapping::of_file(&file, 1 << 20, 0, 1 << 20).unwrap());
        mapping.touch(0..1 << 20).unwrap();
        let mut writer = MappedWriter::new(Arc::clone(&mapping)).unwrap().by_file(Box::new(file.try_clone().unwrap()));
        writer.write(&[7; 500_000]).unwrap();
        mapping.let_go(0..400_000 & !4095);
        OpenFile::let_go(&file, 0..400_000 & !4095);
        writer.write(&[8; 10]).unwrap();
        assert_eq!(mapping.bytes(), [&[7; 500_000][..], &[8; 10]].concat());
        assert!(mapping.touch(0..(1 << 20) + 1).is_err(), "there is nothing");
    }

    #[test]
    fn a_page_is_in_memory_once_it_was_touched() {
        let mut writer = writer_of(4 << 20, 4 << 20);
        assert!(!writer.mapping().is_resident(0..100), "nobody has read or written it");
        writer.spare(100).unwrap().fill(7);
        writer.publish(100);
        assert!(writer.mapping().is_resident(0..100) && writer.mapping().is_resident(50..100));
        assert!(!writer.mapping().is_resident(0..4 << 20), "the last page is not");
        assert!(!writer.mapping().is_resident(0..(4 << 20) + 1), "it is not there at all");
    }

    #[test]
    fn a_slice_outlives_the_writer_and_the_file() {
        let mut writer = writer_of(4096, 4096);
        writer.spare(3).unwrap().copy_from_slice(b"abc");
        writer.publish(3);
        let slice = LogSlice::new(writer.mapping(), 1..3).unwrap();
        assert!(LogSlice::new(writer.mapping(), 1..4).is_none());
        drop(writer);
        assert_eq!(slice.as_ref(), b"bc");
    }
}
