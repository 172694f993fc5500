//! Why a data folder cannot be opened: each error names the path and what to do.

use std::{io, path::PathBuf};

use thiserror::Error;

/// A data folder cannot be opened. Nothing in it was changed, unless the error says so.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Another process works on the folder.
    #[error("{path}: in use by another process{}; stop it or choose another folder", pid_text(.pid.as_deref()))]
    Locked {
        /// The folder.
        path: PathBuf,
        /// The number of the process, if its abort file tells.
        pid: Option<String>,
    },
    /// The folder cannot be made or written to.
    #[error("{path}: not writable ({source}); correct its permissions or choose another folder")]
    NotWritable {
        /// The folder or file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The folder holds something that is not RocketMQ's.
    #[error("{path}: holds {found:?}, which is nothing of a message store; choose an empty folder")]
    Foreign {
        /// The folder.
        path: PathBuf,
        /// What was found there.
        found: String,
    },
    /// There is no store in the folder.
    #[error("{path}: no message store is here (no folder {missing:?}); name the folder that holds one")]
    NoStore {
        /// The folder.
        path: PathBuf,
        /// What every store has.
        missing: PathBuf,
    },
    /// The disk has no space left.
    #[error("{path}: its disk has no space left; make room there, then start again")]
    Full {
        /// The file that needs some.
        path: PathBuf,
    },
    /// The folder that was named is not there.
    #[error("{path}: there is no such folder; name one that holds a message store")]
    NotThere {
        /// The folder.
        path: PathBuf,
    },
    /// A file has the name of a folder, or the other way about.
    #[error("{path}: is a {found} where a {needed} belongs; move it elsewhere, or name another folder")]
    WrongKind {
        /// Its path.
        path: PathBuf,
        /// What it is.
        found: &'static str,
        /// What it should be.
        needed: &'static str,
    },
    /// A file does not have the size that the configuration says.
    #[error("{path}: {found} bytes, where {key} says {expected}; set {key} as it was when the store was written, or restore the file{}", remedy(.key))]
    WrongFileSize {
        /// The file.
        path: PathBuf,
        /// Its length.
        found: u64,
        /// The length that was expected.
        expected: u64,
        /// The configuration key that says so.
        key: &'static str,
    },
    /// A file has no business where it lies.
    #[error("{path}: not a file of the log ({what}); move it elsewhere")]
    UnexpectedFile {
        /// The file.
        path: PathBuf,
        /// What is wrong about it.
        what: String,
    },
    /// A file between others is not there.
    #[error("{path}: missing, although later files of the log are there; restore it, or move the files before it elsewhere")]
    MissingFile {
        /// The file.
        path: PathBuf,
    },
    /// A later version has written the store.
    #[error("{path}: written by a later version (format {version}); open the store with that one")]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: u32,
    },
    /// The store uses something that is not supported.
    #[error("{path}: {what} are not supported")]
    Unsupported {
        /// Where it lies.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// The damaged end of the log could not be saved beside it, so it was not cut off.
    #[error("{path}: the damaged end of the log could not be saved there ({source}); make room, then start again")]
    CutNotSaved {
        /// The file that was to hold it.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A setting makes no sense.
    #[error("{key}: {what}")]
    Setting {
        /// Its key.
        key: &'static str,
        /// What is wrong about it.
        what: String,
    },
    /// Anything else that the system says.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// What can be made anew need not be restored.
fn remedy(key: &str) -> &'static str {
    if key == "mappedFileSizeConsumeQueue" { "; if that is right, `petrel store rebuild` makes the queues anew" } else { "" }
}

fn pid_text(pid: Option<&str>) -> String {
    pid.map(|pid| format!(" (process {pid})")).unwrap_or_default()
}

/// Names the path of what failed.
pub(crate) fn at(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> OpenError {
    let path = path.into();
    move |source| match source.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => OpenError::NotWritable { path, source },
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => OpenError::Full { path },
        io::ErrorKind::NotADirectory => OpenError::WrongKind { path, found: "file", needed: "folder" },
        io::ErrorKind::IsADirectory => OpenError::WrongKind { path, found: "folder", needed: "file" },
        _ => OpenError::Io { path, source },
    }
}

/// Names the folder that could not be made or written to.
pub(crate) fn not_made(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> OpenError {
    let path = path.into();
    move |source| match source.kind() {
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => OpenError::WrongKind { path, found: "file", needed: "folder" },
        _ => OpenError::NotWritable { path, source },
    }
}
