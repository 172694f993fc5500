//! Makes what is derived from the log anew: queues, index, or both.
//!
//! What is there is moved aside, into `before-rebuild`, then the store is opened, which finds it missing and builds it, and closed. Only
//! when the new stands on disk does the old go. A process that dies on the way leaves a folder of which the next start builds the rest.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use thiserror::Error;

use crate::{
    OpenError, Recovered, Store, StoreConfig, checkpoint::Checkpoint, disk::Disk, error::at, event::Background, folder::DataFolder,
    index::Index, open::check, recovery::LogFiles,
};

/// Where the old files lie while the new ones are made: numbered folders in this one.
const ASIDE: &str = "before-rebuild";
/// How long it waits before it looks again how far the index is.
const POLL: Duration = Duration::from_millis(20);
/// After so many looks without a step forward the index is given up: its disk has failed.
const PATIENCE: u32 = 3000;

/// What is made anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RebuildParts {
    /// The consume queues.
    pub queues: bool,
    /// The index of keys.
    pub index: bool,
}

/// What was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rebuilt {
    /// What the start found and did, as every start does.
    pub recovered: Recovered,
    /// The index holds all messages before this; `None` if it is switched off or was left as it is.
    pub index_end: Option<i64>,
}

/// Why it could not be done.
#[derive(Debug, Error)]
pub enum RebuildError {
    /// The folder cannot be worked on; if anything was moved, the next start makes it anew.
    #[error(transparent)]
    Refused(#[from] OpenError),
    /// There is nothing to make it from.
    #[error("{path}: the log is empty, so nothing can be made from it; nothing was changed")]
    EmptyLog {
        /// Its folder.
        path: PathBuf,
    },
    /// The configuration has the index switched off.
    #[error("messageIndexEnable=false: there is no index to be made; nothing was changed")]
    IndexOff,
    /// It began and did not come to its end.
    #[error("{what}; what was there before is in {}; the next start makes the rest", .kept.display())]
    Unfinished {
        /// What went wrong.
        what: String,
        /// Where the old files are.
        kept: PathBuf,
    },
}

/// Makes parts of a store anew. `progress` is told how many bytes of how many are done.
///
/// # Errors
/// [`RebuildError`]
pub fn rebuild(config: StoreConfig, parts: RebuildParts, progress: &mut dyn FnMut(u64, u64)) -> Result<Rebuilt, RebuildError> {
    rebuild_on(config, parts, Background::Threads, progress)
}

/// [`rebuild`], with or without threads.
pub(crate) fn rebuild_on(
    config: StoreConfig,
    parts: RebuildParts,
    background: Background,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Rebuilt, RebuildError> {
    let disk = config.disk.0.clone();
    let kept = move_aside(&disk, &config, parts)?;
    let unfinished = |what: String| RebuildError::Unfinished { what, kept: kept.clone() };
    let root = config.store_path_root_dir.clone();
    let opened = Store::open_on(disk.clone(), config, Arc::new(|| {}), background, progress);
    let (mut store, recovered) = opened.map_err(|error| unfinished(error.to_string()))?;
    let built = if parts.index { build_index(&mut store, background, progress) } else { Ok(None) };
    let closed = store.close();
    let index_end = built.map_err(unfinished)?;
    closed.map_err(unfinished)?;
    // The new stands.
    let aside = root.join(ASIDE);
    let removed = disk.remove_dir_all(&aside).and_then(|()| disk.sync_path(&root));
    removed.map_err(|error| unfinished(format!("all is made, but {} could not be removed: {error}", aside.display())))?;
    Ok(Rebuilt { recovered, index_end })
}

/// Looks whether it can be done, then moves the old files out of the way. Answers where they are.
fn move_aside(disk: &Disk, config: &StoreConfig, parts: RebuildParts) -> Result<PathBuf, RebuildError> {
    check(config)?;
    if parts.index && !config.message_index_enable {
        return Err(RebuildError::IndexOff);
    }
    let (root, log_dir) = (&config.store_path_root_dir, config.commit_log_dir());
    if !disk.exists(root) {
        return Err(OpenError::NotThere { path: root.clone() }.into());
    }
    disk.list(root).map_err(at(root))?;
    if !disk.exists(&log_dir) {
        return Err(OpenError::NoStore { path: root.clone(), missing: log_dir }.into());
    }
    let _folder = DataFolder::take(disk.clone(), root)?;
    let path = root.join("checkpoint");
    let checkpoint = disk.read(&path).map_err(at(&path))?.unwrap_or_default();
    Checkpoint::decode(&checkpoint).map_err(|newer| OpenError::Newer { path, version: newer.0 })?;
    if LogFiles::list(disk.clone(), &log_dir, config.mapped_file_size_commit_log)?.bases.is_empty() {
        return Err(RebuildError::EmptyLog { path: log_dir });
    }
    let aside = root.join(ASIDE);
    let taken = disk.list(&aside).map_err(at(&aside))?;
    let number = (1..).find(|number: &u64| taken.iter().all(|entry| entry.name != number.to_string())).unwrap_or_default();
    let kept = aside.join(number.to_string());
    disk.create_dir_all(&kept).map_err(at(&kept))?;
    let dirs = [(parts.queues, config.consume_queue_dir()), (parts.index, config.index_dir())];
    for (_, dir) in dirs.iter().filter(|(wanted, _)| *wanted) {
        put(disk, dir, &kept).map_err(at(dir))?;
    }
    for dir in [&kept, &aside, root] {
        disk.sync_path(dir).map_err(at(dir))?;
    }
    Ok(kept)
}

/// Moves a folder into another; it is fine if there is none.
fn put(disk: &Disk, dir: &Path, into: &Path) -> io::Result<()> {
    let Some(name) = dir.file_name() else { return Ok(()) };
    match disk.rename(dir, &into.join(name)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

/// Waits until the index holds all of the log. Answers how far it is.
fn build_index(store: &mut Store, background: Background, progress: &mut dyn FnMut(u64, u64)) -> Result<Option<i64>, String> {
    let (start, end) = (store.log.start(), store.position.dispatched);
    let began = Instant::now();
    let (mut last, mut looks) = (start, 0);
    while let Some(built) = store.index.as_ref().map(Index::built) {
        progress((built - start).max(0).unsigned_abs(), (end - start).unsigned_abs());
        if built >= end {
            return Ok(Some(built));
        }
        looks = if built > last { 0 } else { looks + 1 };
        last = built;
        if looks > PATIENCE {
            return Err(format!("the index stays at {built} of {end}"));
        }
        match &mut store.index {
            Some(index) if background == Background::Stepped => index.step(began.elapsed()),
            _ => thread::sleep(POLL),
        }
    }
    Ok(None)
}
