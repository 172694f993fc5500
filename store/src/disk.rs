//! Everything the store asks of a file system, in one place: what a simulated disk has to offer.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind},
    ops::Range,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use rustix::{
    fs::{FallocateFlags, SeekFrom},
    io::Errno,
};

use crate::mapping::{MappedWriter, Mapping};

/// Bytes of a page: what is synced, lost or torn as a whole.
pub(crate) const PAGE: u64 = 4096;

/// What a folder holds.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Entry {
    /// Its name; what is not UTF-8 comes out with replacement characters, which no name of ours has.
    pub(crate) name: String,
    /// Length in bytes; 0 for folders.
    pub(crate) len: u64,
    /// Whether it is a folder.
    pub(crate) is_dir: bool,
}

/// The disk. Cheap to clone; each thread has its own.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Disk;

impl Disk {
    /// What a folder holds, ordered by name; nothing if the folder is not there.
    pub(crate) fn list(self, dir: &Path) -> io::Result<Vec<Entry>> {
        let read = match fs::read_dir(dir) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            read => read?,
        };
        let mut entries = Vec::new();
        for entry in read {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            // Folders are told without a look at each of them: there may be very many.
            let entry = if entry.file_type()?.is_dir() {
                Entry { name, len: 0, is_dir: true }
            } else {
                let metadata = fs::metadata(entry.path()).or_else(|_| entry.metadata())?;
                Entry { name, len: metadata.len(), is_dir: metadata.is_dir() }
            };
            entries.push(entry);
        }
        entries.sort_unstable();
        Ok(entries)
    }

    /// Makes a folder and those above it.
    pub(crate) fn create_dir_all(self, dir: &Path) -> io::Result<()> {
        fs::create_dir_all(dir)
    }

    /// Makes what happened to the names in a folder durable.
    pub(crate) fn sync_dir(self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    /// Makes the content of a file durable.
    pub(crate) fn sync(self, file: &File) -> io::Result<()> {
        file.sync_data()
    }

    /// Makes files and folders durable, each whole. Those that are gone meanwhile need it no more.
    pub(crate) fn sync_paths<'a>(self, paths: impl IntoIterator<Item = &'a PathBuf>) -> io::Result<()> {
        for path in paths {
            match File::open(path) {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                file => file?.sync_all()?,
            }
        }
        Ok(())
    }

    /// Copies a range of a file into a new one and waits until that is on disk.
    pub(crate) fn copy_synced(self, source: &File, range: Range<u64>, target: &Path) -> io::Result<()> {
        let copy = OpenOptions::new().write(true).create_new(true).open(target)?;
        let mut buffer = vec![0; 1 << 20];
        let mut at = range.start;
        while at < range.end {
            let len = usize::try_from(range.end - at).unwrap_or(usize::MAX).min(buffer.len());
            source.read_exact_at(&mut buffer[..len], at)?;
            copy.write_all_at(&buffer[..len], at - range.start)?;
            at += len as u64;
        }
        copy.sync_all()
    }

    /// Makes all that was written to the file system of a folder durable.
    pub(crate) fn sync_all(self, dir: &Path) -> io::Result<()> {
        Ok(rustix::fs::syncfs(File::open(dir)?)?)
    }

    /// Gives a file another name in place of whatever had it.
    pub(crate) fn rename(self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    /// Gives a file a second name; fails if that name is taken.
    pub(crate) fn link(self, from: &Path, to: &Path) -> io::Result<()> {
        fs::hard_link(from, to)
    }

    /// Removes a file; it is fine if there is none.
    pub(crate) fn remove_file(self, path: &Path) -> io::Result<()> {
        match fs::remove_file(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            done => done,
        }
    }

    /// Removes a folder with all in it; it is fine if there is none.
    pub(crate) fn remove_dir_all(self, path: &Path) -> io::Result<()> {
        match fs::remove_dir_all(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            done => done,
        }
    }

    /// The whole content of a file, or `None` if there is none.
    pub(crate) fn read(self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        match fs::read(path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Fills `buffer` from a place of a file.
    pub(crate) fn read_at(self, file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        file.read_exact_at(buffer, offset)
    }

    /// Writes a file anew and waits until its content is on disk. The name is durable only after [`Disk::sync_dir`].
    pub(crate) fn write_synced(self, path: &Path, content: &[u8]) -> io::Result<()> {
        let file = OpenOptions::new().write(true).create(true).truncate(true).open(path)?;
        file.write_all_at(content, 0)?;
        file.sync_all()
    }

    /// Writes into a file.
    pub(crate) fn write_at(self, file: &File, content: &[u8], offset: u64) -> io::Result<()> {
        file.write_all_at(content, offset)
    }

    /// Writes into a file and waits until that is on disk.
    pub(crate) fn write_at_synced(self, file: &File, content: &[u8], offset: u64) -> io::Result<()> {
        file.write_all_at(content, offset)?;
        file.sync_data()
    }

    /// Opens a file that is there for reading.
    pub(crate) fn open(self, path: &Path) -> io::Result<File> {
        File::open(path)
    }

    /// Opens a file that is there for reading and writing.
    pub(crate) fn open_writable(self, path: &Path) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).open(path)
    }

    /// Opens a file for reading and writing, and makes it if it is not there.
    pub(crate) fn create(self, path: &Path) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
    }

    /// Opens a file for reading and writing, of exactly `len` bytes; what is new in it reads as zero.
    pub(crate) fn create_sized(self, path: &Path, len: u64) -> io::Result<File> {
        let file = self.create(path)?;
        file.set_len(len)?;
        Ok(file)
    }

    /// Allocates space for a range of a file that holds nothing yet, so that writing there cannot fail for want of it.
    pub(crate) fn allocate(self, file: &File, from: u64, to: u64) -> io::Result<()> {
        if from >= to {
            return Ok(());
        }
        loop {
            return match rustix::fs::fallocate(file, FallocateFlags::KEEP_SIZE, from, to - from) {
                Ok(()) => Ok(()),
                Err(Errno::INTR) => continue,
                // A file system that cannot: writing zeros allocates too.
                Err(Errno::OPNOTSUPP | Errno::NOSYS) => write_zeros(file, from, to),
                Err(error) => Err(error.into()),
            };
        }
    }

    /// The next place at or behind `from` that may hold data, `None` if only holes follow.
    pub(crate) fn next_data(self, file: &File, from: u64) -> io::Result<Option<u64>> {
        match rustix::fs::seek(file, SeekFrom::Data(from)) {
            Ok(at) => Ok(Some(at)),
            Err(Errno::NXIO) => Ok(None),
            // A file system that does not know holes: anything may be data.
            Err(Errno::INVAL | Errno::OPNOTSUPP) => Ok(Some(from)),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes a range of a file read as zero, without making it shorter. Durable only after a sync.
    pub(crate) fn erase(self, file: &File, from: u64, to: u64) -> io::Result<()> {
        if from >= to {
            return Ok(());
        }
        match rustix::fs::fallocate(file, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, from, to - from) {
            Ok(()) => Ok(()),
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => write_zeros(file, from, to),
            Err(error) => Err(error.into()),
        }
    }

    /// Maps a file that is not written any more.
    pub(crate) fn map_finished(self, path: &Path, len: usize) -> io::Result<Mapping> {
        Mapping::of_finished(&self.open_writable(path)?, len)
    }

    /// Maps a file that is there or is made now, to be written from `published` on, with space allocated up to `allocated`.
    pub(crate) fn map_for_writing(self, path: &Path, len: usize, published: usize, allocated: usize) -> io::Result<MappedWriter> {
        let file = self.create_sized(path, len as u64)?;
        let allocated = allocated.clamp(published, len);
        self.allocate(&file, published as u64, allocated as u64)?;
        MappedWriter::new(&file, len, published, allocated)
    }

    /// Allocates more space for a file that is mapped for writing.
    pub(crate) fn grow(self, path: &Path, mapping: &Mapping, to: usize) -> io::Result<()> {
        let (from, to) = (mapping.allocated(), to.min(mapping.len()));
        if from < to {
            self.allocate(&self.open_writable(path)?, from as u64, to as u64)?;
            mapping.set_allocated(to);
        }
        Ok(())
    }
}

fn write_zeros(file: &File, mut from: u64, to: u64) -> io::Result<()> {
    static ZEROS: [u8; 65536] = [0; 65536];
    while from < to {
        let len = usize::try_from(to - from).unwrap_or(usize::MAX).min(ZEROS.len());
        file.write_all_at(&ZEROS[..len], from)?;
        from += len as u64;
    }
    Ok(())
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
