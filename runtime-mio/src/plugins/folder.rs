//! The folder of plugins: `NAME.wasm` is in use, `NAME.wasm.disabled` is not, `NAME.policy` says what becomes of messages that it fails on.
//! Everything else in it is nobody's business here.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use route_core::plugins::{
    self, name,
    shelf::{Lying, PluginShelf, Stamp},
};

/// What files of plugins end with.
const USED: &str = ".wasm";
const DISABLED: &str = ".wasm.disabled";
/// What files end with that say what becomes of messages that a plugin fails on.
const POLICY: &str = ".policy";

/// What files end with that are not whole yet.
const PARTIAL: &str = ".partial";

/// Bytes of a policy that are read.
const MAX_POLICY: u64 = 256;

/// Files that a listing looks at; who has more of them has made a mistake.
const MAX_FILES: usize = 4 * PluginShelf::LIMIT;

/// A folder of plugins, which need not be there.
#[derive(Clone, Debug)]
pub struct PluginFolder {
    path: PathBuf,
}

impl PluginFolder {
    /// The name of the folder in a store's.
    pub const NAME: &'static str = "plugins";

    /// The folder at a path.
    #[must_use]
    pub const fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The plugins in it, by name. What cannot be looked at is not there.
    #[must_use]
    pub fn list(&self) -> Vec<Lying> {
        let mut found = BTreeMap::new();
        let Ok(entries) = fs::read_dir(&self.path) else { return Vec::new() };
        for entry in entries.flatten().take(MAX_FILES) {
            let file = entry.file_name();
            let Some(file) = file.to_str() else { continue };
            let (name, disabled) = match (file.strip_suffix(USED), file.strip_suffix(DISABLED)) {
                (Some(name), _) => (name, false),
                (_, Some(name)) => (name, true),
                _ => continue,
            };
            let Ok(metadata) = fs::metadata(entry.path()) else { continue };
            if !metadata.is_file() || name.starts_with('.') {
                continue;
            }
            let modified = i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec());
            let stamp = Stamp { len: metadata.len(), modified, inode: metadata.ino() };
            let lying = Lying { name: name.into(), stamp, disabled };
            // Of both files the one that is in use counts.
            if !disabled || !found.contains_key(name) {
                found.insert(name.to_owned(), lying);
            }
        }
        found.into_values().collect()
    }

    /// The file of a plugin that is in use.
    ///
    /// # Errors
    /// It is not there, cannot be read, or is too long.
    pub fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        read_limited(&self.file(name, USED)?)
    }

    /// Puts a plugin there, in the place of one of that name. The file is there whole or not at all. An empty policy leaves that as it is.
    ///
    /// # Errors
    /// It cannot be written; what was there stays.
    pub fn write(&self, name: &str, file: &[u8], policy: &str) -> io::Result<()> {
        fs::create_dir_all(&self.path)?;
        // Nothing changes before all is there that is to change.
        let draft = Draft::write(self.file(name, &format!("{USED}{PARTIAL}"))?, file)?;
        let policy =
            if policy.is_empty() { None } else { Some(Draft::write(self.file(name, &format!("{POLICY}{PARTIAL}"))?, policy.as_bytes())?) };
        if let Some(policy) = policy {
            policy.put(&self.file(name, POLICY)?)?;
        }
        draft.put(&self.file(name, USED)?)?;
        remove_if_there(&self.file(name, DISABLED)?)?;
        self.sync()
    }

    /// Deletes what was being written when a process was killed.
    pub fn tidy(&self) {
        for entry in fs::read_dir(&self.path).into_iter().flatten().flatten().take(MAX_FILES) {
            if entry.file_name().to_str().is_some_and(|file| file.ends_with(PARTIAL))
                && let Err(error) = remove_if_there(&entry.path())
            {
                tracing::warn!(file = %entry.path().display(), %error, "half a plugin cannot be deleted");
            }
        }
    }

    /// The [digest](plugins::digest) of a plugin's file, in use or not.
    ///
    /// # Errors
    /// It cannot be read, or is too long.
    pub fn digest(&self, lying: &Lying) -> io::Result<String> {
        let file = read_limited(&self.file(&lying.name, if lying.disabled { DISABLED } else { USED })?)?;
        Ok(plugins::digest(&file))
    }

    /// What becomes of messages that a plugin fails on, as it is written beside it; empty if nothing is.
    #[must_use]
    pub fn policy(&self, name: &str) -> String {
        let mut policy = String::new();
        let read = self.file(name, POLICY).and_then(File::open).and_then(|file| file.take(MAX_POLICY).read_to_string(&mut policy));
        // What cannot be read is not what the host knows, and so is refused with its name.
        if read.is_err_and(|error| error.kind() != io::ErrorKind::NotFound) {
            policy = "unreadable".to_owned();
        }
        policy.trim().to_owned()
    }

    /// Switches a plugin on.
    ///
    /// # Errors
    /// There is none, or the system refuses.
    pub fn enable(&self, name: &str) -> io::Result<()> {
        let (used, disabled) = (self.file(name, USED)?, self.file(name, DISABLED)?);
        if !used.exists() {
            fs::rename(disabled, &used).map_err(|error| named(error, name))?;
            self.sync()?;
        }
        Ok(())
    }

    /// Switches a plugin off.
    ///
    /// # Errors
    /// There is none, or the system refuses.
    pub fn disable(&self, name: &str) -> io::Result<()> {
        let (used, disabled) = (self.file(name, USED)?, self.file(name, DISABLED)?);
        if !used.exists() && disabled.exists() {
            return Ok(());
        }
        fs::rename(used, disabled).map_err(|error| named(error, name))?;
        self.sync()
    }

    /// Takes a plugin away, used or not.
    ///
    /// # Errors
    /// There is none, or the system refuses.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        remove_if_there(&self.file(name, POLICY)?)?;
        let removed = remove_if_there(&self.file(name, USED)?)? | remove_if_there(&self.file(name, DISABLED)?)?;
        if !removed {
            return Err(named(io::ErrorKind::NotFound.into(), name));
        }
        self.sync()
    }

    fn file(&self, name: &str, end: &str) -> io::Result<PathBuf> {
        name::validate(name).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        Ok(self.path.join(format!("{name}{end}")))
    }

    fn sync(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }
}

/// A file that is whole and on disk, and has not taken its place yet; without that it is deleted.
struct Draft(Option<PathBuf>);

impl Draft {
    fn write(path: PathBuf, content: &[u8]) -> io::Result<Self> {
        let draft = Self(Some(path.clone()));
        let mut file = File::create(path)?;
        file.write_all(content)?;
        file.sync_all()?;
        Ok(draft)
    }

    fn put(mut self, place: &Path) -> io::Result<()> {
        let Some(path) = &self.0 else { return Ok(()) };
        fs::rename(path, place)?;
        self.0 = None;
        Ok(())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            // It is of no use, and the next start tries again.
            let _ = fs::remove_file(path);
        }
    }
}

fn named(error: io::Error, name: &str) -> io::Error {
    match error.kind() {
        io::ErrorKind::NotFound => io::Error::new(io::ErrorKind::NotFound, format!("no plugin is called '{name}' there")),
        _ => error,
    }
}

/// Tells whether it was there.
fn remove_if_there(path: &Path) -> io::Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// The file of a plugin. One that is too long is not read to its end.
///
/// # Errors
/// It cannot be read, or is too long.
pub fn read_limited(path: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    let of_path = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    File::open(path).and_then(|file| file.take(PluginShelf::MAX_LEN + 1).read_to_end(&mut content)).map_err(of_path)?;
    if content.len() as u64 > PluginShelf::MAX_LEN {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("{}: a plugin has {} bytes at most", path.display(), PluginShelf::MAX_LEN),
        ));
    }
    Ok(content)
}
