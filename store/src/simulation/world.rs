//! The simulated disk as a file system.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, io,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use route_core::{Timestamp, random::Random};

use super::{
    Crash, Moment, Operation, SimulatedDisk,
    file::Content,
    names::{Names, Node},
};
use crate::{
    disk::{Access, Entry, File, FileSystem, FolderLock, OpenFile},
    expiry::Space,
    mapping::{Backing, Mapping},
};

/// Chance of one in this that an operation is followed by the system writing a page on its own account.
const WRITE_BACK: u32 = 8;

type Which = Arc<dyn Fn(Operation, &Path) -> bool + Send + Sync>;

/// Everything on a disk.
#[derive(Default)]
pub(super) struct World {
    names: Names,
    contents: BTreeMap<u64, Content>,
    locks: BTreeSet<PathBuf>,
    random: Option<Random>,
    operations: u64,
    looks: u64,
    capacity: Option<u64>,
    time: Timestamp,
    syncs_to_failure: Option<u64>,
    ignored: Option<Which>,
    watch: u32,
    moments: Vec<Moment>,
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").field("operations", &self.operations).finish_non_exhaustive()
    }
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        Self { random: Some(Random::new(seed)), ..Self::default() }
    }

    fn below(&mut self, bound: u32) -> u32 {
        self.random.as_mut().map_or(0, |random| random.below(bound))
    }

    pub(super) fn watch(&mut self, one_in: u32) {
        self.watch = one_in;
    }

    pub(super) fn take_moments(&mut self) -> Vec<Moment> {
        std::mem::take(&mut self.moments)
    }

    pub(super) fn operations(&self) -> u64 {
        self.operations
    }

    pub(super) fn looks(&self) -> u64 {
        self.looks
    }

    pub(super) fn set_capacity(&mut self, bytes: u64) {
        self.capacity = Some(bytes);
    }

    pub(super) fn set_time(&mut self, time: Timestamp) {
        self.time = time;
    }

    pub(super) fn fail_sync_after(&mut self, syncs: u64) {
        self.syncs_to_failure = Some(syncs);
    }

    pub(super) fn ignore(&mut self, which: Which) {
        self.ignored = Some(which);
    }

    fn ignores(&self, operation: Operation, path: &Path) -> bool {
        self.ignored.as_ref().is_some_and(|which| which(operation, path))
    }

    fn content_of(&mut self, path: &Path) -> Option<&mut Content> {
        match self.names.get(path)? {
            Node::File(number) => self.contents.get_mut(&number),
            Node::Dir => None,
        }
    }

    pub(super) fn flip_bit(&mut self, path: &Path, byte: u64, bit: u8) {
        if let Some(content) = self.content_of(path) {
            content.damage(|bytes| {
                if let Some(byte) = usize::try_from(byte).ok().and_then(|at| bytes.get_mut(at)) {
                    *byte ^= 1 << (bit & 7);
                }
            });
        }
    }

    pub(super) fn truncate(&mut self, path: &Path, len: u64) {
        if let Some(content) = self.content_of(path) {
            content.damage(|bytes| bytes.truncate(usize::try_from(len).unwrap_or(usize::MAX)));
        }
    }

    pub(super) fn remove(&mut self, path: &Path) {
        self.names.remove(path);
        self.names.sync_all();
    }

    pub(super) fn content(&mut self, path: &Path) -> Option<Vec<u8>> {
        let content = self.content_of(path)?;
        content.take_in();
        Some(content.bytes().to_vec())
    }

    pub(super) fn files(&self) -> Vec<(PathBuf, u64)> {
        let files = self.names.below(Path::new("/")).filter_map(|(path, node)| match node {
            Node::File(number) => Some((path.to_owned(), self.contents.get(&number)?.len() as u64)),
            Node::Dir => None,
        });
        files.collect()
    }

    /// All as it is now, as a value of its own.
    pub(super) fn snapshot(&mut self) -> Self {
        self.contents.values_mut().for_each(Content::take_in);
        Self { names: self.names.clone(), contents: self.contents.clone(), ignored: self.ignored.clone(), ..Self::default() }
    }

    /// What a crash leaves of a snapshot.
    pub(super) fn after(&self, crash: Crash, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let (names, contents) = match crash {
            Crash::Kill => (self.names.clone(), self.contents.iter().map(|(number, content)| (*number, content.after_kill())).collect()),
            Crash::PowerLoss => (
                self.names.after_power_loss(&mut random),
                self.contents.iter().map(|(number, content)| (*number, content.after_power_loss(&mut random))).collect(),
            ),
        };
        Self { names, contents, random: Some(random), ignored: self.ignored.clone(), ..Self::default() }
    }

    /// Something is about to change.
    fn operation(&mut self, what: &str, path: &Path) {
        self.operations += 1;
        if self.watch > 0 && self.below(self.watch) == 0 {
            let operation = format!("{}: {what} {}", self.operations, path.display());
            let world = self.snapshot();
            self.moments.push(Moment { operation, world });
        }
        if self.below(WRITE_BACK) == 0 {
            let count = u32::try_from(self.contents.len()).unwrap_or(u32::MAX);
            let chosen = self.below(count) as usize;
            if let Some(random) = &mut self.random
                && let Some(content) = self.contents.values_mut().nth(chosen)
            {
                content.take_in();
                content.write_back_some(random);
            }
        }
    }

    /// Whether a sync is to be done; not if it is to be forgotten.
    fn sync(&mut self, path: &Path) -> io::Result<bool> {
        self.operation("sync", path);
        if let Some(left) = &mut self.syncs_to_failure {
            if *left == 0 {
                self.syncs_to_failure = None;
                return Err(io::Error::other("the simulated disk failed to sync"));
            }
            *left -= 1;
        }
        Ok(!self.ignores(Operation::Sync, path))
    }

    fn sync_content(&mut self, number: u64, path: &Path, range: Option<Range<usize>>) -> io::Result<()> {
        let done = self.sync(path);
        let Some(content) = self.contents.get_mut(&number) else { return Ok(()) };
        content.take_in();
        let range = range.unwrap_or(0..content.len());
        match done {
            Ok(true) => content.sync(range),
            Ok(false) => {}
            Err(error) => {
                content.fail_sync(&range);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Bytes for which space is taken.
    fn used(&self) -> u64 {
        let named = self.names.below(Path::new("/")).filter_map(|(_, node)| match node {
            Node::File(number) => Some(number),
            Node::Dir => None,
        });
        named.collect::<BTreeSet<_>>().iter().filter_map(|number| self.contents.get(number)).map(|content| content.allocated).sum()
    }

    /// Takes space for more bytes of a file.
    fn take_space(&mut self, number: u64, upto: u64) -> io::Result<()> {
        let has = self.contents.get(&number).map_or(0, |content| content.allocated);
        if upto <= has {
            return Ok(());
        }
        if let Some(capacity) = self.capacity
            && self.used() + (upto - has) > capacity
        {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let time = self.time;
        if let Some(content) = self.contents.get_mut(&number) {
            content.allocated = upto;
            content.modified = time;
        }
        Ok(())
    }
}

fn not_found() -> io::Error {
    io::ErrorKind::NotFound.into()
}

impl FileSystem for SimulatedDisk {
    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        let mut world = self.world();
        world.looks += 1;
        let children = world.names.below(dir).filter(|(name, _)| name.parent() == Some(dir));
        let entries = children.filter_map(|(path, node)| {
            let name = path.file_name()?.to_string_lossy().into_owned();
            Some(match node {
                Node::Dir => Entry { name, len: 0, is_dir: true },
                Node::File(number) => Entry { name, len: world.contents.get(&number)?.len() as u64, is_dir: false },
            })
        });
        Ok(entries.collect())
    }

    fn exists(&self, path: &Path) -> bool {
        self.world().names.get(path).is_some()
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        let mut world = self.world();
        let missing: Vec<_> = dir.ancestors().take_while(|dir| world.names.get(dir).is_none()).collect();
        for dir in missing.into_iter().rev() {
            world.operation("make", dir);
            world.names.put(dir, Node::Dir);
        }
        Ok(())
    }

    fn open_file(&self, path: &Path, access: Access) -> io::Result<File> {
        let mut world = self.world();
        world.looks += 1;
        let number = match (world.names.get(path), access) {
            (Some(Node::File(_)), Access::CreateNew) => return Err(io::ErrorKind::AlreadyExists.into()),
            (Some(Node::File(number)), _) => number,
            (Some(Node::Dir), _) => return Err(io::ErrorKind::IsADirectory.into()),
            (None, Access::Read | Access::Write) => return Err(not_found()),
            (None, Access::Create | Access::CreateNew) => {
                if !world.names.has_room_for(path) {
                    return Err(not_found());
                }
                world.operation("make", path);
                let number = world.contents.last_key_value().map_or(1, |(last, _)| last + 1);
                let content = Content::made_at(world.time);
                world.contents.insert(number, content);
                world.names.put(path, Node::File(number));
                number
            }
        };
        Ok(Box::new(SimulatedFile { disk: self.clone(), number, path: path.to_owned() }))
    }

    fn sync_path(&self, path: &Path) -> io::Result<()> {
        let mut world = self.world();
        match world.names.get(path).ok_or_else(not_found)? {
            Node::File(number) => world.sync_content(number, path, None),
            Node::Dir => {
                if world.sync(path)? {
                    world.names.sync(path);
                }
                Ok(())
            }
        }
    }

    fn sync_all(&self, dir: &Path) -> io::Result<()> {
        let mut world = self.world();
        if world.sync(dir)? {
            for content in world.contents.values_mut() {
                content.take_in();
                content.sync(0..content.len());
            }
            world.names.sync_all();
        }
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut world = self.world();
        world.names.get(from).ok_or_else(not_found)?;
        if !world.names.has_room_for(to) {
            return Err(not_found());
        }
        world.operation("rename", from);
        world.names.rename(from, to);
        Ok(())
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut world = self.world();
        let node = world.names.get(from).ok_or_else(not_found)?;
        if world.names.get(to).is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        world.operation("link", to);
        world.names.put(to, node);
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut world = self.world();
        if world.names.get(path).is_some() {
            world.operation("remove", path);
            world.names.remove(path);
        }
        Ok(())
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut world = self.world();
        let names: Vec<_> = world.names.below(path).map(|(name, _)| name.to_owned()).collect();
        for name in names.iter().rev() {
            world.operation("remove", name);
            world.names.remove(name);
        }
        Ok(())
    }

    fn modified(&self, path: &Path) -> io::Result<Timestamp> {
        let mut world = self.world();
        world.content_of(path).map(|content| content.modified).ok_or_else(not_found)
    }

    fn space(&self, _dir: &Path) -> io::Result<Space> {
        let world = self.world();
        let used = world.used();
        // A disk without a limit is an empty one.
        let available = world.capacity.map_or(u64::MAX / 2, |capacity| capacity.saturating_sub(used));
        Ok(Space { used, available })
    }

    fn lock_folder(&self, dir: &Path) -> io::Result<Option<FolderLock>> {
        if !self.world().locks.insert(dir.to_owned()) {
            return Ok(None);
        }
        self.open_file(&dir.join("lock"), Access::Create)?.write_at(b"lock", 0)?;
        Ok(Some(Box::new(Locked { disk: self.clone(), dir: dir.to_owned() })))
    }
}

/// A folder that a store holds.
#[derive(Debug)]
struct Locked {
    disk: SimulatedDisk,
    dir: PathBuf,
}

impl Drop for Locked {
    fn drop(&mut self) {
        self.disk.world().locks.remove(&self.dir);
    }
}

/// An open file.
#[derive(Clone, Debug)]
struct SimulatedFile {
    disk: SimulatedDisk,
    number: u64,
    path: PathBuf,
}

impl SimulatedFile {
    /// Does something with the content as it is now.
    fn with<T>(&self, act: impl FnOnce(&mut Content) -> T) -> io::Result<T> {
        let mut world = self.disk.world();
        let content = world.contents.get_mut(&self.number).ok_or_else(not_found)?;
        content.take_in();
        Ok(act(content))
    }

    fn change<T>(&self, what: &str, act: impl FnOnce(&mut Content) -> T) -> io::Result<T> {
        self.disk.world().operation(what, &self.path);
        self.with(act)
    }
}

fn place(offset: u64) -> usize {
    // Files of a simulation lie in memory.
    usize::try_from(offset).unwrap_or(usize::MAX)
}

impl OpenFile for SimulatedFile {
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change("set the length of", |content| content.set_len(place(len)))
    }

    fn len(&self) -> io::Result<u64> {
        self.with(|content| content.len() as u64)
    }

    fn read_all(&self) -> io::Result<Vec<u8>> {
        self.with(|content| content.bytes().to_vec())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.with(|content| {
            let from = place(offset);
            let bytes = content.bytes().get(from..from.saturating_add(buffer.len())).ok_or(io::ErrorKind::UnexpectedEof)?;
            buffer.copy_from_slice(bytes);
            Ok(())
        })?
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.disk.world().take_space(self.number, offset + bytes.len() as u64)?;
        self.change("write", |content| content.write(bytes, place(offset)))
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.world().sync_content(self.number, &self.path, None)
    }

    fn allocate(&self, range: Range<u64>) -> io::Result<()> {
        self.disk.world().take_space(self.number, range.end)
    }

    fn next_data(&self, from: u64) -> io::Result<Option<Range<u64>>> {
        self.with(|content| content.next_data(place(from)).map(|data| data.start as u64..data.end as u64))
    }

    fn erase(&self, range: Range<u64>) -> io::Result<()> {
        if self.disk.world().ignores(Operation::Erase, &self.path) {
            return Ok(());
        }
        self.change("erase", |content| content.erase(place(range.start)..place(range.end)))
    }

    fn map(&self, len: usize, published: usize, allocated: usize) -> io::Result<Arc<Mapping>> {
        self.with(|content| {
            let mut bytes = content.bytes().to_vec();
            bytes.resize(len, 0);
            // One to read has no space behind what is final.
            let written = published < allocated;
            let backing = Arc::new(MappedFile { file: self.clone(), written });
            let mapping = Arc::new(Mapping::in_memory(&bytes, published, allocated, backing)?);
            if written {
                content.mapped(&mapping);
            }
            Ok(mapping)
        })?
    }
}

/// A file behind a mapping.
#[derive(Debug)]
struct MappedFile {
    file: SimulatedFile,
    /// Not all of it was final when it was mapped.
    written: bool,
}

impl Backing for MappedFile {
    fn sync(&self, range: Range<usize>, _flush: &dyn Fn() -> io::Result<()>) -> io::Result<()> {
        self.file.disk.world().sync_content(self.file.number, &self.file.path, Some(range))
    }

    fn unmapped(&self, bytes: &[u8]) {
        if self.written
            && let Some(content) = self.file.disk.world().contents.get_mut(&self.file.number)
        {
            content.take_published(bytes);
        }
    }
}
