//! Everything the store asks of a file system, in one place.
//!
//! [`FileSystem`] and [`OpenFile`] are what a disk has to offer; [`System`] is that of the machine, and a simulated one can take its
//! place. [`Disk`] is the handle that the rest of the store holds, with what can be said in terms of those two.

mod system;

use std::{
    fmt, io,
    ops::{Deref, Range},
    path::{Path, PathBuf},
    sync::Arc,
};

use route_core::Timestamp;

pub(crate) use system::System;

use crate::{
    expiry::Space,
    mapping::{MapCount, MappedWriter, Mapping},
};

/// Bytes of a page: what is synced, lost or torn as a whole.
pub(crate) const PAGE: u64 = 4096;

/// What a folder holds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Entry {
    /// Its name; what is not UTF-8 comes out with replacement characters, which no name of ours has.
    pub(crate) name: String,
    /// Length in bytes; 0 for folders.
    pub(crate) len: u64,
    /// Whether it is a folder.
    pub(crate) is_dir: bool,
}

/// What a file is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Reading; it must be there.
    Read,
    /// Reading and writing; it must be there.
    Write,
    /// Reading and writing; it is made if it is not there.
    Create,
    /// Reading and writing; it must not be there.
    CreateNew,
}

/// Held as long as a folder is; dropping it lets the folder go.
pub(crate) type FolderLock = Box<dyn fmt::Debug + Send + Sync>;

/// A disk with files and folders. Names and contents are durable only after a sync of their own.
pub(crate) trait FileSystem: fmt::Debug + Send + Sync {
    /// What a folder holds, ordered by name; nothing if the folder is not there.
    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>>;
    /// Whether there is a file or folder of this name.
    fn exists(&self, path: &Path) -> bool;
    /// Makes a folder and those above it.
    fn create_dir_all(&self, dir: &Path) -> io::Result<()>;
    /// Opens a file.
    fn open_file(&self, path: &Path, access: Access) -> io::Result<File>;
    /// Makes the content of a file durable, or what happened to the names in a folder.
    fn sync_path(&self, path: &Path) -> io::Result<()>;
    /// Makes all that was written to the file system of a folder durable.
    fn sync_all(&self, dir: &Path) -> io::Result<()>;
    /// Gives a file or folder another name; a file takes the place of one that had it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Gives a file a second name; fails if that name is taken.
    fn link(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Lets a file be read and written by whom another one may be.
    fn copy_mode(&self, from: &Path, to: &Path) -> io::Result<()> {
        let _ = (from, to);
        Ok(())
    }
    /// Removes a file; it is fine if there is none.
    fn remove_file(&self, path: &Path) -> io::Result<()>;
    /// Removes a folder with all in it, or a file; it is fine if there is none.
    fn remove_dir_all(&self, path: &Path) -> io::Result<()>;
    /// When a file was last written to.
    fn modified(&self, path: &Path) -> io::Result<Timestamp>;
    /// The space of the file system in which a folder lies.
    fn space(&self, dir: &Path) -> io::Result<Space>;
    /// Takes a folder for this store alone; `None` if another one has it.
    fn lock_folder(&self, dir: &Path) -> io::Result<Option<FolderLock>>;
    /// Takes a folder for reading, without a change in it: others may do the same, but none may take it for itself. `None` if one has.
    fn lock_folder_shared(&self, dir: &Path) -> io::Result<Option<FolderLock>> {
        self.lock_folder(dir)
    }
}

/// A file that was opened.
pub(crate) type File = Box<dyn OpenFile>;

/// What can be done with an open file. Places and lengths are in bytes.
pub(crate) trait OpenFile: fmt::Debug + Send + Sync {
    /// Makes it longer or shorter; what is new reads as zero and has no space of its own yet.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// How long it is.
    fn len(&self) -> io::Result<u64>;
    /// The whole content.
    fn read_all(&self) -> io::Result<Vec<u8>>;
    /// Fills `buffer` from a place of the file.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
    /// Writes at a place of the file.
    fn write_at(&self, content: &[u8], offset: u64) -> io::Result<()>;
    /// Makes its content durable.
    fn sync(&self) -> io::Result<()>;
    /// Allocates space for a range that holds nothing yet, so that writing there cannot fail for want of it.
    fn allocate(&self, range: Range<u64>) -> io::Result<()>;
    /// The same, and zeros are written there: a sync of what is written there later has no more to do than to write that. The system
    /// knows of space that was only allocated that it holds nothing, and has to take that back, durably, for each page.
    fn fill(&self, range: Range<u64>) -> io::Result<()> {
        self.allocate(range)
    }
    /// The next places at or behind `from` that may hold data, up to a hole or the file's end; `None` if only holes follow.
    fn next_data(&self, from: u64) -> io::Result<Option<Range<u64>>>;
    /// Single places of it are about to be read: what follows them is not to be read with them. Only a hint.
    fn expect_scattered_reads(&self) {}
    /// A range is not needed in memory; what is not on disk of it stays. Only a hint.
    fn let_go(&self, range: Range<u64>) {
        let _ = range;
    }
    /// Makes a range read as zero, without making the file shorter. Durable only after a sync.
    fn erase(&self, range: Range<u64>) -> io::Result<()>;
    /// Maps the first `len` bytes, of which the first `published` are final and the first `allocated` have space.
    fn map(&self, len: usize, published: usize, allocated: usize) -> io::Result<Arc<Mapping>>;
}

/// The disk. Cheap to clone; each thread has its own.
#[derive(Clone, Debug)]
pub(crate) struct Disk {
    files: Arc<dyn FileSystem>,
    maps: MapCount,
}

impl Deref for Disk {
    type Target = dyn FileSystem;

    fn deref(&self) -> &Self::Target {
        &*self.files
    }
}

impl Disk {
    /// Any disk.
    pub(crate) fn new(files: impl FileSystem + 'static) -> Self {
        Self { files: Arc::new(files), maps: MapCount::default() }
    }

    /// That of the machine.
    pub(crate) fn system() -> Self {
        Self::new(System)
    }

    /// How many of its files are mapped.
    pub(crate) fn maps(&self) -> &MapCount {
        &self.maps
    }

    /// Makes files and folders durable, each whole. Those that are gone meanwhile need it no more.
    pub(crate) fn sync_paths<'a>(&self, paths: impl IntoIterator<Item = &'a PathBuf>) -> io::Result<()> {
        for path in paths {
            match self.sync_path(path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                synced => synced?,
            }
        }
        Ok(())
    }

    /// Makes a folder and those above it. Answers the folders that got a new name by it: to be synced.
    pub(crate) fn make_dirs(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        let missing = dir.ancestors().take_while(|dir| !dir.as_os_str().is_empty() && !self.exists(dir));
        let changed = missing.filter_map(Path::parent).map(|parent| match parent.as_os_str().is_empty() {
            true => PathBuf::from("."),
            false => parent.to_owned(),
        });
        let changed = changed.collect();
        self.create_dir_all(dir)?;
        Ok(changed)
    }

    /// Copies a range of a file into a new one and waits until that is on disk.
    pub(crate) fn copy_synced(&self, source: &File, range: Range<u64>, target: &Path) -> io::Result<()> {
        let copy = self.open_file(target, Access::CreateNew)?;
        let mut buffer = vec![0; 1 << 20];
        let mut at = range.start;
        while at < range.end {
            let len = usize::try_from(range.end - at).unwrap_or(usize::MAX).min(buffer.len());
            source.read_at(&mut buffer[..len], at)?;
            copy.write_at(&buffer[..len], at - range.start)?;
            at += len as u64;
        }
        copy.sync()
    }

    /// The whole content of a file, or `None` if there is none.
    pub(crate) fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        match self.open_file(path, Access::Read) {
            Ok(file) => file.read_all().map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes a file anew and waits until its content is on disk. The name is durable only after a sync of its folder.
    pub(crate) fn write_synced(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        let file = self.open_file(path, Access::Create)?;
        file.set_len(0)?;
        file.write_at(content, 0)?;
        file.sync()
    }

    /// Opens a file for reading and writing, of exactly `len` bytes; what is new in it reads as zero.
    pub(crate) fn create_sized(&self, path: &Path, len: u64) -> io::Result<File> {
        let file = self.open_file(path, Access::Create)?;
        file.set_len(len)?;
        Ok(file)
    }

    /// Maps a file whose first `published` bytes are not written any more, to be read up to there. One that is shorter than it should be is
    /// refused: reading behind its end would be the end of the process.
    pub(crate) fn map_for_reading(&self, path: &Path, len: usize, published: usize) -> io::Result<Arc<Mapping>> {
        let file = self.open_file(path, Access::Write)?;
        let found = file.len()?;
        if found < len as u64 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, format!("it has {found} bytes, where {len} are needed")));
        }
        // Without space behind what is final: it is not written by this mapping.
        self.map(&file, len, published, published)
    }

    fn map(&self, file: &File, len: usize, published: usize, allocated: usize) -> io::Result<Arc<Mapping>> {
        let mapping = file.map(len, published, allocated)?;
        mapping.count_in(&self.maps);
        Ok(mapping)
    }

    /// Maps a file that is there or is made now, to be written from `published` on, with space allocated up to `allocated`.
    pub(crate) fn map_for_writing(&self, path: &Path, len: usize, published: usize, allocated: usize) -> io::Result<MappedWriter> {
        Ok(self.map_and_open(path, len, published, allocated)?.0)
    }

    /// The same for a file that is [written](MappedWriter::write) by the file, which stays open, and only read by the mapping.
    pub(crate) fn map_for_appending(&self, path: &Path, len: usize, published: usize, allocated: usize) -> io::Result<MappedWriter> {
        let (writer, file) = self.map_and_open(path, len, published, allocated)?;
        Ok(writer.by_file(file))
    }

    fn map_and_open(&self, path: &Path, len: usize, published: usize, allocated: usize) -> io::Result<(MappedWriter, File)> {
        let is_new = !self.exists(path);
        let file = self.create_sized(path, len as u64)?;
        let allocated = allocated.clamp(published, len);
        if let Err(error) = file.allocate(published as u64..allocated as u64) {
            if is_new {
                // Nobody is to find a file that has no space.
                self.remove_file(path)?;
            }
            return Err(error);
        }
        Ok((MappedWriter::new(self.map(&file, len, published, allocated)?)?, file))
    }

    /// Allocates more space for a file that is mapped for writing, [filled](OpenFile::fill) and on disk as such. Nobody else may allocate some
    /// meanwhile.
    pub(crate) fn grow_filled(&self, path: &Path, mapping: &Mapping, to: usize) -> io::Result<()> {
        let (from, to) = (mapping.allocated(), to.min(mapping.len()));
        if from < to {
            let file = self.open_file(path, Access::Write)?;
            file.fill(from as u64..to as u64)?;
            // Not by the mapping: of two who wait for the disk by the same one, only the first hears that it failed.
            file.sync()?;
            mapping.set_allocated(to);
        }
        Ok(())
    }

    /// Allocates more space for a file that is mapped for writing.
    pub(crate) fn grow(&self, path: &Path, mapping: &Mapping, to: usize) -> io::Result<()> {
        let (from, to) = (mapping.allocated(), to.min(mapping.len()));
        if from < to {
            self.open_file(path, Access::Write)?.allocate(from as u64..to as u64)?;
            mapping.set_allocated(to);
        }
        Ok(())
    }
}

/// A file's name by the offset of its first byte: 20 decimal digits.
pub(crate) fn file_name(base: i64) -> String {
    format!("{base:020}")
}

/// The offset that a file's name tells; `None` if it is not such a name.
pub(crate) fn parse_file_name(name: &str) -> Option<i64> {
    (name.len() == 20 && name.bytes().all(|byte| byte.is_ascii_digit())).then(|| name.parse().ok())?
}

/// The file of a folder that begins at an offset.
pub(crate) fn file_path(dir: &Path, base: i64) -> PathBuf {
    dir.join(file_name(base))
}

/// One past the last byte in `from..to` that is not zero.
pub(crate) fn last_byte(file: &File, from: u64, to: u64) -> io::Result<Option<u64>> {
    // First all of them, then a look at each: what is read makes the system read on, and zeros that it has read count as data.
    let mut places = Vec::new();
    let mut at = from;
    while let Some(data) = file.next_data(at)?.filter(|data| data.start < to) {
        at = data.end.min(to);
        places.push(data.start..at);
    }
    let mut buffer = vec![0; 64 * PAGE as usize];
    for Range { start, mut end } in places.into_iter().rev() {
        while start < end {
            let len = usize::try_from(end - start).unwrap_or(usize::MAX).min(buffer.len());
            end -= len as u64;
            let chunk = &mut buffer[..len];
            file.read_at(chunk, end)?;
            if let Some(place) = chunk.iter().rposition(|byte| *byte != 0) {
                return Ok(Some(end + place as u64 + 1));
            }
        }
    }
    Ok(None)
}
