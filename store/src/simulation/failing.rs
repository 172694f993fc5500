//! The machine's disk with faults that somebody chooses: for proving what a whole process makes of them.

use std::{fmt, io, ops::Range, path::Path, path::PathBuf, sync::Arc};

use route_core::Timestamp;

use super::Operation;
use crate::{
    config::StoreDisk,
    disk::{Access, Disk, Entry, File, FileSystem, FolderLock, OpenFile},
    expiry::Space,
    mapping::{Backing, Mapping},
};

type Before = Arc<dyn Fn(Operation, &Path) -> io::Result<()> + Send + Sync>;

/// The machine's disk, except that somebody is asked before each operation that may fail: it fails as they say, and takes as long as
/// they do; a write for which the disk is full has brought half of its bytes down. To be put into [`StoreConfig::disk`](crate::StoreConfig::disk). Clones are the same disk.
#[derive(Clone)]
pub struct FailingDisk {
    below: Disk,
    before: Before,
}

impl FailingDisk {
    /// `before` is asked from any of the store's threads; it may block.
    pub fn new(before: impl Fn(Operation, &Path) -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self { below: Disk::system(), before: Arc::new(before) }
    }

    fn ask(&self, operation: Operation, path: &Path) -> io::Result<()> {
        (self.before)(operation, path)
    }
}

impl fmt::Debug for FailingDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FailingDisk").field("below", &self.below).finish_non_exhaustive()
    }
}

impl From<FailingDisk> for StoreDisk {
    fn from(disk: FailingDisk) -> Self {
        Self(Disk::new(disk))
    }
}

impl FileSystem for FailingDisk {
    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        self.below.list(dir)
    }

    fn exists(&self, path: &Path) -> bool {
        self.below.exists(path)
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.below.create_dir_all(dir)
    }

    fn open_file(&self, path: &Path, access: Access) -> io::Result<File> {
        if !matches!(access, Access::Read) {
            self.ask(Operation::Open, path)?;
        }
        let below = self.below.open_file(path, access)?;
        Ok(Box::new(FailingFile { below, disk: self.clone(), path: path.to_owned() }))
    }

    fn sync_path(&self, path: &Path) -> io::Result<()> {
        self.ask(Operation::Sync, path)?;
        self.below.sync_path(path)
    }

    fn sync_all(&self, dir: &Path) -> io::Result<()> {
        self.ask(Operation::Sync, dir)?;
        self.below.sync_all(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.below.rename(from, to)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.below.link(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.below.remove_file(path)
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        self.below.remove_dir_all(path)
    }

    fn modified(&self, path: &Path) -> io::Result<Timestamp> {
        self.below.modified(path)
    }

    fn space(&self, dir: &Path) -> io::Result<Space> {
        self.below.space(dir)
    }

    fn lock_folder(&self, dir: &Path) -> io::Result<Option<FolderLock>> {
        self.ask(Operation::Open, &dir.join("lock"))?;
        self.below.lock_folder(dir)
    }

    fn lock_folder_shared(&self, dir: &Path) -> io::Result<Option<FolderLock>> {
        self.below.lock_folder_shared(dir)
    }
}

/// An open file of such a disk.
#[derive(Debug)]
struct FailingFile {
    below: File,
    disk: FailingDisk,
    path: PathBuf,
}

impl OpenFile for FailingFile {
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.below.set_len(len)
    }

    fn len(&self) -> io::Result<u64> {
        self.below.len()
    }

    fn read_all(&self) -> io::Result<Vec<u8>> {
        self.below.read_all()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.below.read_at(buffer, offset)
    }

    fn write_at(&self, content: &[u8], offset: u64) -> io::Result<()> {
        let asked = self.disk.ask(Operation::Write, &self.path);
        if let Err(full) = &asked
            && full.kind() == io::ErrorKind::StorageFull
        {
            // As much as fits.
            self.below.write_at(content.get(..content.len() / 2).unwrap_or_default(), offset)?;
        }
        asked?;
        self.below.write_at(content, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.ask(Operation::Sync, &self.path)?;
        self.below.sync()
    }

    fn allocate(&self, range: Range<u64>) -> io::Result<()> {
        self.disk.ask(Operation::Allocate, &self.path)?;
        self.below.allocate(range)
    }

    fn fill(&self, range: Range<u64>) -> io::Result<()> {
        self.disk.ask(Operation::Allocate, &self.path)?;
        self.below.fill(range)
    }

    fn next_data(&self, from: u64) -> io::Result<Option<Range<u64>>> {
        self.below.next_data(from)
    }

    fn expect_scattered_reads(&self) {
        self.below.expect_scattered_reads();
    }

    fn let_go(&self, range: Range<u64>) {
        self.below.let_go(range);
    }

    fn erase(&self, range: Range<u64>) -> io::Result<()> {
        self.disk.ask(Operation::Erase, &self.path)?;
        self.below.erase(range)
    }

    fn map(&self, len: usize, published: usize, allocated: usize) -> io::Result<Arc<Mapping>> {
        let mut mapping = self.below.map(len, published, allocated)?;
        if let Some(alone) = Arc::get_mut(&mut mapping) {
            alone.set_backing(Arc::new(MappedFile { disk: self.disk.clone(), path: self.path.clone() }));
        }
        Ok(mapping)
    }
}

/// A file that is mapped.
#[derive(Debug)]
struct MappedFile {
    disk: FailingDisk,
    path: PathBuf,
}

impl Backing for MappedFile {
    fn sync(&self, _range: Range<usize>, flush: &dyn Fn() -> io::Result<()>) -> io::Result<()> {
        self.disk.ask(Operation::Sync, &self.path)?;
        flush()
    }
}
