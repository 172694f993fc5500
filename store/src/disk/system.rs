//! The disk of the machine.

use std::{
    fs::{self, OpenOptions},
    io::{self, ErrorKind, Read},
    num::NonZeroU64,
    ops::Range,
    os::unix::fs::FileExt,
    path::Path,
    sync::Arc,
    time::UNIX_EPOCH,
};

use rustix::{
    fs::{FallocateFlags, FlockOperation, SeekFrom, fcntl_lock, flock},
    io::Errno,
};

use route_core::Timestamp;

use super::{Access, Entry, File, FileSystem, FolderLock, OpenFile};
use crate::{expiry::Space, mapping::Mapping};

/// The operating system's files.
#[derive(Clone, Copy, Debug)]
pub(crate) struct System;

impl FileSystem for System {
    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
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

    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        fs::create_dir_all(dir)
    }

    fn open_file(&self, path: &Path, access: Access) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.read(true);
        match access {
            Access::Read => &mut options,
            Access::Write => options.write(true),
            Access::Create => options.write(true).create(true).truncate(false),
            Access::CreateNew => options.write(true).create_new(true),
        };
        Ok(Box::new(options.open(path)?))
    }

    fn sync_path(&self, path: &Path) -> io::Result<()> {
        fs::File::open(path)?.sync_all()
    }

    fn sync_all(&self, dir: &Path) -> io::Result<()> {
        Ok(rustix::fs::syncfs(fs::File::open(dir)?)?)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn copy_mode(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::set_permissions(to, fs::metadata(from)?.permissions())
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::hard_link(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        match fs::remove_file(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            done => done,
        }
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        match fs::remove_dir_all(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) if error.kind() == ErrorKind::NotADirectory => self.remove_file(path),
            done => done,
        }
    }

    fn modified(&self, path: &Path) -> io::Result<Timestamp> {
        let modified = fs::metadata(path)?.modified()?;
        // Before 1970 is as old as can be.
        let millis = modified.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
        Ok(Timestamp(i64::try_from(millis).unwrap_or(i64::MAX)))
    }

    fn space(&self, dir: &Path) -> io::Result<Space> {
        let found = rustix::fs::statvfs(dir)?;
        let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
        Ok(Space { used: bytes(found.f_blocks.saturating_sub(found.f_bfree)), available: bytes(found.f_bavail) })
    }

    fn lock_folder(&self, dir: &Path) -> io::Result<Option<FolderLock>> {
        // First the lock that this process can take only once: closing any handle of the lock file would give up the other one.
        let inner = fs::File::open(dir)?;
        if !taken(flock(&inner, FlockOperation::NonBlockingLockExclusive))? {
            return Ok(None);
        }
        let outer = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(dir.join("lock"))?;
        // Java locks the first byte of this file; a lock of the whole file and that one exclude each other.
        if !taken(fcntl_lock(&outer, FlockOperation::NonBlockingLockExclusive))? {
            return Ok(None);
        }
        outer.write_all_at(b"lock", 0)?;
        Ok(Some(Box::new([inner, outer])))
    }

    fn lock_folder_shared(&self, dir: &Path) -> io::Result<Option<FolderLock>> {
        lock_shared(dir)
    }
}

fn lock_shared(dir: &Path) -> io::Result<Option<FolderLock>> {
    let inner = fs::File::open(dir)?;
    if !taken(flock(&inner, FlockOperation::NonBlockingLockShared))? {
        return Ok(None);
    }
    let outer = match fs::File::open(dir.join("lock")) {
        Ok(outer) => outer,
        // Whoever takes the folder makes this file first.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Some(Box::new(inner))),
        Err(error) => return Err(error),
    };
    if !taken(fcntl_lock(&outer, FlockOperation::NonBlockingLockShared))? {
        return Ok(None);
    }
    Ok(Some(Box::new([inner, outer])))
}

fn taken(result: rustix::io::Result<()>) -> io::Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(Errno::AGAIN | Errno::ACCESS) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

impl OpenFile for fs::File {
    fn set_len(&self, len: u64) -> io::Result<()> {
        Self::set_len(self, len)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_all(&self) -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        let mut file = self;
        file.read_to_end(&mut content)?;
        Ok(content)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.read_exact_at(buffer, offset)
    }

    fn write_at(&self, content: &[u8], offset: u64) -> io::Result<()> {
        self.write_all_at(content, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn allocate(&self, range: Range<u64>) -> io::Result<()> {
        if range.is_empty() {
            return Ok(());
        }
        loop {
            return match rustix::fs::fallocate(self, FallocateFlags::KEEP_SIZE, range.start, range.end - range.start) {
                Ok(()) => Ok(()),
                Err(Errno::INTR) => continue,
                // A file system that cannot: writing zeros allocates too.
                Err(Errno::OPNOTSUPP | Errno::NOSYS) => write_zeros(self, range),
                Err(error) => Err(error.into()),
            };
        }
    }

    fn fill(&self, range: Range<u64>) -> io::Result<()> {
        // First all of it, so that it lies together and a lack of space shows at once.
        self.allocate(range.clone())?;
        write_zeros(self, range)
    }

    fn next_data(&self, from: u64) -> io::Result<Option<Range<u64>>> {
        // Who asks looks at what is found here. Reading ahead of that would fill memory with zeros, which then count as data.
        self.expect_scattered_reads();
        let start = match rustix::fs::seek(self, SeekFrom::Data(from)) {
            Ok(start) => start,
            Err(Errno::NXIO) => return Ok(None),
            // A file system that does not know holes: anything may be data.
            Err(Errno::INVAL | Errno::OPNOTSUPP) => {
                let len = self.metadata()?.len();
                return Ok((from < len).then_some(from..len));
            }
            Err(error) => return Err(error.into()),
        };
        match rustix::fs::seek(self, SeekFrom::Hole(start)) {
            Ok(end) => Ok(Some(start..end)),
            // The file was cut meanwhile.
            Err(Errno::NXIO) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn expect_scattered_reads(&self) {
        // It works without.
        let _ = rustix::fs::fadvise(self, 0, None, rustix::fs::Advice::Random);
    }

    fn let_go(&self, range: Range<u64>) {
        // It works without.
        let len = NonZeroU64::new(range.end.saturating_sub(range.start));
        let _ = len.map(|len| rustix::fs::fadvise(self, range.start, Some(len), rustix::fs::Advice::DontNeed));
    }

    fn erase(&self, range: Range<u64>) -> io::Result<()> {
        if range.is_empty() {
            return Ok(());
        }
        let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        match rustix::fs::fallocate(self, hole, range.start, range.end - range.start) {
            Ok(()) => Ok(()),
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => write_zeros(self, range),
            Err(error) => Err(error.into()),
        }
    }

    fn map(&self, len: usize, published: usize, allocated: usize) -> io::Result<Arc<Mapping>> {
        Mapping::of_file(self, len, published, allocated).map(Arc::new)
    }
}

fn write_zeros(file: &fs::File, range: Range<u64>) -> io::Result<()> {
    static ZEROS: [u8; 65536] = [0; 65536];
    let mut at = range.start;
    while at < range.end {
        let len = usize::try_from(range.end - at).unwrap_or(usize::MAX).min(ZEROS.len());
        file.write_all_at(&ZEROS[..len], at)?;
        at += len as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_filled_reads_as_zeros_that_are_there() {
        let file = tempfile::tempfile().unwrap();
        OpenFile::set_len(&file, 1 << 20).unwrap();
        OpenFile::write_at(&file, b"kept", 0).unwrap();
        file.fill(4096..300_000).unwrap();
        let content = file.read_all().unwrap();
        assert!(content.starts_with(b"kept") && content[4..].iter().all(|byte| *byte == 0));
        assert_eq!(content.len(), 1 << 20, "it is no longer than before");
        assert_eq!(file.next_data(4096).unwrap().map(|data| data.start), Some(4096));
    }
}
