//! The data folder: is it ours, is it free, was it closed in order?

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::{
    disk::{Disk, FolderLock},
    error::{OpenError, at, not_made},
};

/// What RocketMQ, Petrel and file systems leave in a data folder.
const KNOWN: &[&str] = &[
    "lock",
    "abort",
    "abort.bak",
    "checkpoint",
    "commitlog",
    "commitlog-cut",
    "consumequeue",
    "consumequeue_ext",
    "batchconsumequeue",
    "index",
    "config",
    "compaction",
    "timerwheel",
    "timerlog",
    "rocksdbstore",
    "kvStore",
    "epochFileCheckpoint",
    "epochFileCheckpoint.bak",
    "brokerIdentity",
    "brokerIdentity-temp",
    "lost+found",
    "removed",
    "before-rebuild",
    "plugins",
    "namesrv",
    "kvConfig.json",
];

/// A data folder that this process holds alone until the value is dropped.
#[derive(Debug)]
pub(crate) struct DataFolder {
    disk: Disk,
    root: PathBuf,
    /// Excludes a second store of this process, and other processes, Java's brokers among them.
    _lock: FolderLock,
}

impl DataFolder {
    /// Makes the folder if it is not there, and takes it.
    ///
    /// # Errors
    /// [`OpenError`] if it is somebody else's.
    pub(crate) fn take(disk: Disk, root: &Path) -> Result<Self, OpenError> {
        disk.create_dir_all(root).map_err(not_made(root))?;
        check_content(&disk, root)?;
        let path = root.join("lock");
        match disk.lock_folder(root).map_err(|source| OpenError::NotWritable { path, source })? {
            Some(lock) => Ok(Self { disk, root: root.to_owned(), _lock: lock }),
            None => Err(locked(&disk, root)),
        }
    }

    /// Takes a folder that holds a store, to look at it: nothing is changed, and others may look, too.
    ///
    /// # Errors
    /// [`OpenError`] if it is somebody else's, or not there.
    pub(crate) fn look_at(disk: Disk, root: &Path) -> Result<Self, OpenError> {
        check_content(&disk, root)?;
        match disk.lock_folder_shared(root).map_err(at(root))? {
            Some(lock) => Ok(Self { disk, root: root.to_owned(), _lock: lock }),
            None => Err(locked(&disk, root)),
        }
    }

    /// Whether the last process that worked here closed the store in order.
    ///
    /// # Errors
    /// Those of the operating system.
    pub(crate) fn was_closed(&self) -> Result<bool, OpenError> {
        let path = self.root.join("abort");
        Ok(self.disk.read(&path).map_err(at(&path))?.is_none())
    }

    /// From now on, and until [`DataFolder::mark_closed`], a stop is not one in order. Answers what must be synced before anything
    /// else is, to make that durable.
    ///
    /// # Errors
    /// Those of the operating system.
    pub(crate) fn mark_open(&self) -> Result<Vec<PathBuf>, OpenError> {
        let path = self.root.join("abort");
        let pid = std::process::id().to_string();
        let is_new = !self.disk.exists(&path);
        let made = self.disk.create_sized(&path, pid.len() as u64).and_then(|file| file.write_at(pid.as_bytes(), 0));
        if made.is_err() && is_new {
            // Nothing has begun: a store that was closed in order stays so. What the error says counts.
            let _ = self.disk.remove_file(&path);
        }
        made.map_err(at(&path))?;
        Ok(vec![path, self.root.clone()])
    }

    /// Moves a folder out of the way, so that another can have its name at once. Answers where it is now, if it was there.
    pub(crate) fn put_aside(&self, dir: &Path, number: u64) -> io::Result<Option<PathBuf>> {
        let rubbish = self.rubbish();
        self.disk.create_dir_all(&rubbish)?;
        let target = rubbish.join(format!("{}-{number}", std::process::id()));
        match self.disk.rename(dir, &target) {
            Ok(()) => Ok(Some(target)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What was put aside by a process that was stopped before it could be removed.
    pub(crate) fn left_aside(&self) -> io::Result<Vec<PathBuf>> {
        let rubbish = self.rubbish();
        Ok(self.disk.list(&rubbish)?.into_iter().map(|entry| rubbish.join(entry.name)).collect())
    }

    fn rubbish(&self) -> PathBuf {
        self.root.join("removed")
    }

    /// The store was closed in order.
    pub(crate) fn mark_closed(&self) -> io::Result<()> {
        self.disk.remove_file(&self.root.join("abort"))?;
        self.disk.sync_path(&self.root)
    }
}

fn locked(disk: &Disk, root: &Path) -> OpenError {
    let abort = disk.read(&root.join("abort")).ok().flatten();
    let pid = abort.and_then(|bytes| String::from_utf8(bytes).ok()).filter(|pid| pid.parse::<u32>().is_ok());
    OpenError::Locked { path: root.to_owned(), pid }
}

/// Refuses a folder that is clearly not a message store's.
fn check_content(disk: &Disk, root: &Path) -> Result<(), OpenError> {
    let entries = disk.list(root).map_err(at(root))?;
    let ours = entries.iter().any(|entry| entry.is_dir && entry.name == "commitlog");
    let foreign = entries.iter().find(|entry| !KNOWN.contains(&entry.name.as_str()) && !entry.name.starts_with('.'));
    if let Some(foreign) = foreign
        && !ours
    {
        return Err(OpenError::Foreign { path: root.to_owned(), found: foreign.name.clone() });
    }
    let unsupported = [("consumequeue/CURRENT", "consume queues in RocksDB"), ("dledger", "logs of DLedger")];
    for (name, what) in unsupported {
        let path = root.join(name);
        if disk.exists(&path) {
            return Err(OpenError::Unsupported { path, what });
        }
    }
    let batch = root.join("batchconsumequeue");
    if disk.list(&batch).map_err(at(&batch))?.iter().any(|entry| entry.is_dir) {
        return Err(OpenError::Unsupported { path: batch, what: "batch consume queues" });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_can_be_taken_once_and_again_after_it_was_let_go() {
        let dir = tempfile::tempdir().unwrap();
        let first = DataFolder::take(Disk::system(), dir.path()).unwrap();
        assert_eq!(std::fs::read(dir.path().join("lock")).unwrap(), b"lock");
        assert!(matches!(DataFolder::take(Disk::system(), dir.path()), Err(OpenError::Locked { .. })));
        drop(first);
        assert!(DataFolder::take(Disk::system(), dir.path()).is_ok());
    }

    #[test]
    fn a_folder_of_something_else_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("thesis.docx"), "x").unwrap();
        let error = DataFolder::take(Disk::system(), dir.path()).unwrap_err();
        assert!(error.to_string().contains("thesis.docx"), "{error}");
        assert!(!dir.path().join("lock").exists());
    }

    #[test]
    fn a_stop_is_in_order_only_if_it_was_marked_so() {
        let dir = tempfile::tempdir().unwrap();
        let folder = DataFolder::take(Disk::system(), dir.path()).unwrap();
        assert!(folder.was_closed().unwrap());
        folder.mark_open().unwrap();
        assert!(!folder.was_closed().unwrap());
        folder.mark_closed().unwrap();
        assert!(folder.was_closed().unwrap());
    }
}
