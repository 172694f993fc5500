//! The folder of `--data`, in which a store and the file of a name server lie side by side.
//!
//! It is looked at before anything in it is opened, so that a slip of the pen neither scatters files over somebody's home nor begins an
//! empty store inside of a full one.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use rustix::fs::{Access, access};
use thiserror::Error;

/// The folder of the store.
pub const STORE: &str = "store";

/// The folder of what a name server keeps.
pub const NAME_SERVER: &str = "namesrv";

/// Why a folder cannot be used.
#[derive(Debug, Error)]
pub enum DataFolderError {
    /// It cannot be made, or not be written to.
    #[error("{}: cannot be used for data: {source}; choose another folder with --data, or correct its permissions", path.display())]
    NotWritable {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It is something else.
    #[error("{}: is a file, not a folder; choose a folder with --data", path.display())]
    NotAFolder {
        /// The file.
        path: PathBuf,
    },
    /// It holds something else.
    #[error("{}: holds {found:?} and nothing of Petrel's; choose an empty folder with --data", path.display())]
    Foreign {
        /// The folder.
        path: PathBuf,
        /// What was found there.
        found: String,
    },
    /// It is what should lie one level deeper.
    #[error("{}: is a store itself; name the folder around it if its own name is {STORE}, else set storePathRootDir to it in a file for -c", path.display())]
    IsStore {
        /// The folder.
        path: PathBuf,
    },
}

/// The folder of the store in a folder of `--data`, or the folder itself if it is a store.
#[must_use]
pub fn store_in(dir: PathBuf) -> PathBuf {
    let inside = dir.join(STORE);
    if !dir.join("commitlog").exists() && inside.is_dir() { inside } else { dir }
}

/// Makes the folder if it is not there, and refuses one that is clearly not meant.
///
/// # Errors
/// [`DataFolderError`]; what was in the folder is as it was.
pub fn prepare(path: &Path) -> Result<(), DataFolderError> {
    let not_writable = |source| DataFolderError::NotWritable { path: path.to_owned(), source };
    if path.exists() && !path.is_dir() {
        return Err(DataFolderError::NotAFolder { path: path.to_owned() });
    }
    fs::create_dir_all(path).map_err(not_writable)?;
    let entries = fs::read_dir(path).and_then(|entries| entries.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>());
    let mut names: Vec<_> = entries.map_err(not_writable)?.iter().map(|name| name.to_string_lossy().into_owned()).collect();
    // Hidden files and what file systems leave at their roots say nothing about who works here.
    names.retain(|name| !name.starts_with('.') && name != "lost+found");
    names.sort_unstable();
    let is_ours = names.iter().any(|name| [STORE, NAME_SERVER].contains(&name.as_str()));
    match names.first() {
        _ if names.iter().any(|name| name == "commitlog") => return Err(DataFolderError::IsStore { path: path.to_owned() }),
        Some(found) if !is_ours => return Err(DataFolderError::Foreign { path: path.to_owned(), found: found.clone() }),
        _ => {}
    }
    access(path, Access::WRITE_OK | Access::EXEC_OK).map_err(|error| not_writable(error.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder_with(names: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        names.iter().for_each(|name| fs::create_dir(folder.path().join(name)).expect("a folder inside"));
        folder
    }

    #[test]
    fn a_folder_that_is_not_there_is_made() {
        let folder = folder_with(&[]);
        let path = folder.path().join("a/b");
        assert!(prepare(&path).is_ok());
        assert!(path.is_dir());
    }

    #[test]
    fn our_own_folder_may_hold_other_things_too() {
        for names in [&[][..], &["store", "namesrv"], &["namesrv", "notes"], &["lost+found", ".snapshots"]] {
            assert!(prepare(folder_with(names).path()).is_ok(), "{names:?}");
        }
    }

    #[test]
    fn somebody_elses_folder_is_refused_by_what_it_holds() {
        let folder = folder_with(&["thesis", "base"]);
        let error = prepare(folder.path()).unwrap_err();
        assert!(matches!(&error, DataFolderError::Foreign { found, .. } if found == "base"), "{error}");
    }

    #[test]
    fn a_store_is_not_the_folder_around_it() {
        let error = prepare(folder_with(&["commitlog", "consumequeue", "store"]).path()).unwrap_err();
        assert!(matches!(error, DataFolderError::IsStore { .. }), "{error}");
    }

    #[test]
    fn what_cannot_be_a_folder_is_refused() {
        let folder = folder_with(&[]);
        let file = folder.path().join("file");
        fs::write(&file, "x").expect("a file");
        assert!(matches!(prepare(&file), Err(DataFolderError::NotAFolder { .. })));
        for path in [&file.join("below"), Path::new("/proc/petrel")] {
            assert!(matches!(prepare(path), Err(DataFolderError::NotWritable { .. })), "{}", path.display());
        }
    }
}
