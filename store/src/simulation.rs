//! A disk that loses what a disk may lose: for proving what a store keeps.
//!
//! [`SimulatedDisk`] is a file system in memory. What was written to it and not synced is there until a [`Crash`]: then each page of
//! 4 KiB that no sync brought to it is lost, kept or torn between sectors, and names that no sync made durable are forgotten. It can
//! run full, fail syncs (and then, as Linux does, take the pages for clean), lose power at any operation, and its files can be damaged.
//! All chance comes from a seed.
//!
//! A [`Store`] on it has no threads: its work beside the loop is done by [`Store::step`], in any order, at any time.
//!
//! ```
//! use std::{sync::Arc, time::Duration};
//!
//! use store::{Store, StoreConfig, simulation::{Crash, SimulatedDisk, Work}};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let disk = SimulatedDisk::new(7);
//! let config = || StoreConfig { mapped_file_size_commit_log: 64 << 10, ..StoreConfig::new("/data") };
//! let (mut store, _) = Store::open_simulated(&disk, config(), Arc::new(|| {}))?;
//! store.step(Work::Flush(Duration::from_secs(1)));
//! let after = disk.after(Crash::PowerLoss, 8);
//! let (_, recovered) = Store::open_simulated(&after, config(), Arc::new(|| {}))?;
//! assert!(!recovered.clean);
//! # Ok(())
//! # }
//! ```

mod failing;
mod file;
mod names;
mod world;

use std::{
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use route_core::Timestamp;

use crate::{
    OpenError, Recovered, Store, StoreConfig, StoreDisk,
    disk::Disk,
    event::{Background, Notifier},
    rebuild::{RebuildError, RebuildParts, Rebuilt, rebuild_on},
};

pub use failing::FailingDisk;
use world::World;

/// How a machine stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// The process is killed: everything that was written is there.
    Kill,
    /// The power is lost: what was not synced may or may not be there, page by page and name by name.
    PowerLoss,
}

/// A piece of a store's work beside the loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// What is due at this time since the store was opened: the log, the queues and the checkpoint go to disk.
    Flush(Duration),
    /// One table is saved, or one folder removed.
    Tables,
    /// The next bytes of the log are made ready.
    Ahead,
    /// A bit of what is due at this time since the store was opened: messages are put into the index, look-ups are answered, index files
    /// go to disk.
    Index(Duration),
    /// The disk is looked at.
    Look,
    /// One old file is deleted, or the queues are scanned for such files.
    Clean,
    /// Some queues are looked at that the start has put off.
    Queues,
}

/// An operation that a simulated disk may be told to [ignore](SimulatedDisk::ignore), as far as it is one of the first two, and that may
/// fail on a [`FailingDisk`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// A file or a folder is made durable.
    Sync,
    /// A part of a file is made zero.
    Erase,
    /// A file is written to, other than through a mapping.
    Write,
    /// A file gets space.
    Allocate,
    /// A file is opened to be written, or made; only a [`FailingDisk`] asks about it.
    Open,
}

/// The disk as it was right before one of its operations.
#[derive(Debug)]
pub struct Moment {
    /// Which operation came next, for people.
    pub operation: String,
    world: World,
}

impl Moment {
    /// The disk that a crash at this moment leaves.
    #[must_use]
    pub fn after(&self, crash: Crash, seed: u64) -> SimulatedDisk {
        SimulatedDisk::of(self.world.after(crash, seed))
    }
}

/// A disk in memory. Clones are the same disk.
#[derive(Clone, Debug)]
pub struct SimulatedDisk {
    world: Arc<Mutex<World>>,
}

impl SimulatedDisk {
    /// An empty disk whose chance comes from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::of(World::new(seed))
    }

    fn of(world: World) -> Self {
        Self { world: Arc::new(Mutex::new(world)) }
    }

    fn world(&self) -> MutexGuard<'_, World> {
        // A test that panicked under the lock is over; others may still look.
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The disk that a crash right now leaves. This one goes on as it is.
    #[must_use]
    pub fn after(&self, crash: Crash, seed: u64) -> Self {
        Self::of(self.world().snapshot().after(crash, seed))
    }

    /// Keeps a [`Moment`] before each operation with a chance of one in `one_in`; 0 keeps none.
    pub fn watch(&self, one_in: u32) {
        self.world().watch(one_in);
    }

    /// The moments that were kept since the last call.
    #[must_use]
    pub fn take_moments(&self) -> Vec<Moment> {
        self.world().take_moments()
    }

    /// How many operations that change something there have been.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.world().operations()
    }

    /// How many folders were listed and files opened.
    #[must_use]
    pub fn looks(&self) -> u64 {
        self.world().looks()
    }

    /// Bytes that files may have in all; more space is not to be had.
    pub fn set_capacity(&self, bytes: u64) {
        self.world().set_capacity(bytes);
    }

    /// What files that are made or get more space from now on have as the time of their last change.
    pub fn set_time(&self, time: Timestamp) {
        self.world().set_time(time);
    }

    /// The sync after this many more of them fails, and its pages are taken for clean.
    pub fn fail_sync_after(&self, syncs: u64) {
        self.world().fail_sync_after(syncs);
    }

    /// Operations that `which` holds for do nothing but say that they did: for proving that a check notices.
    pub fn ignore(&self, which: impl Fn(Operation, &Path) -> bool + Send + Sync + 'static) {
        self.world().ignore(Arc::new(which));
    }

    /// Turns one bit of a file's content, if the file is that long.
    pub fn flip_bit(&self, path: &Path, byte: u64, bit: u8) {
        self.world().flip_bit(path, byte, bit);
    }

    /// Makes a file shorter, durably.
    pub fn truncate(&self, path: &Path, len: u64) {
        self.world().truncate(path, len);
    }

    /// Removes a file or a folder with all in it, durably.
    pub fn remove(&self, path: &Path) {
        self.world().remove(path);
    }

    /// The content of a file, if it is there.
    #[must_use]
    pub fn content(&self, path: &Path) -> Option<Vec<u8>> {
        self.world().content(path)
    }

    /// All files with their lengths, ordered by name.
    #[must_use]
    pub fn files(&self) -> Vec<(std::path::PathBuf, u64)> {
        self.world().files()
    }
}

impl From<SimulatedDisk> for StoreDisk {
    fn from(disk: SimulatedDisk) -> Self {
        Self(Disk::new(disk))
    }
}

impl Store {
    /// [`Store::open`] on a simulated disk; [`Store::step`] does the work that threads do otherwise.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_simulated(disk: &SimulatedDisk, config: StoreConfig, notifier: Notifier) -> Result<(Self, Recovered), OpenError> {
        Self::open_on(Disk::new(disk.clone()), config, notifier, Background::Stepped, &mut |_, _| {})
    }

    /// [`rebuild`](crate::rebuild::rebuild) on a simulated disk, without threads.
    ///
    /// # Errors
    /// [`RebuildError`]
    pub fn rebuild_simulated(config: StoreConfig, parts: RebuildParts) -> Result<Rebuilt, RebuildError> {
        rebuild_on(config, parts, Background::Stepped, &mut |_, _| {})
    }

    /// Does a piece of work beside the loop. Nothing happens in a store that has threads for it.
    pub fn step(&mut self, work: Work) {
        match work {
            Work::Flush(now) => self.flusher.step(now),
            Work::Tables => {
                self.tables.step();
            }
            Work::Ahead => self.log.step(),
            Work::Index(now) => {
                if let Some(index) = &mut self.index {
                    index.step(now);
                }
            }
            Work::Look => self.cleaning.look.step(),
            Work::Clean => self.cleaning.clean.step(),
            Work::Queues => self.look_at_next(3, usize::MAX),
        }
    }
}
