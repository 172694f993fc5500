//! Compiled code on disk, found again by wasmtime under a digest of its own settings and the component.
//!
//! wasmtime runs what it finds there as it is, so what lies there must be what it wrote. A seal beside it has the digest of each file, written
//! after the files; when the folder is opened, what does not match is deleted, and compiled anew when it is wanted.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use sha2::{Digest, Sha256};
use wasmtime::{Cache, CacheConfig};

use crate::engine::EngineError;

/// The file of digests, beside wasmtime's own folder, from which wasmtime deletes what it does not know.
const SEAL: &str = "seal";
/// wasmtime's own folder.
const CODE: &str = "code";

/// A folder of compiled code.
#[derive(Debug)]
pub(crate) struct CodeCache {
    cache: Cache,
    folder: PathBuf,
    /// Digests of the files, by their paths in the folder.
    sealed: Mutex<BTreeMap<String, String>>,
}

impl CodeCache {
    /// Opens a folder, made if it is not there, and deletes what does not match its seal.
    pub(crate) fn open(folder: &Path) -> Result<Self, EngineError> {
        let error = |error: io::Error| EngineError::Cache(format!("{}: {error}", folder.display()));
        fs::create_dir_all(folder.join(CODE)).map_err(error)?;
        let folder = folder.canonicalize().map_err(error)?;
        let seal = fs::read_to_string(folder.join(SEAL)).unwrap_or_default();
        let mut sealed: BTreeMap<String, String> =
            seal.lines().filter_map(|line| line.split_once(' ')).map(|(digest, path)| (path.to_owned(), digest.to_owned())).collect();
        let files = code_files(&folder).map_err(error)?;
        sealed.retain(|path, _| files.contains(path));
        for path in files {
            if sealed.get(&path).is_none_or(|digest| digest_of(&folder.join(&path)).as_ref() != Some(digest)) {
                tracing::warn!(file = path, "compiled code of a plugin is damaged or unfinished: it is compiled anew when it is wanted");
                fs::remove_file(folder.join(&path)).map_err(error)?;
                sealed.remove(&path);
            }
        }
        let mut config = CacheConfig::new();
        // Code that is used often stays as it was sealed, instead of being packed tighter.
        config.with_directory(folder.join(CODE)).with_optimized_compression_usage_counter_threshold(u64::MAX);
        let cache = Cache::new(config).map_err(|error| EngineError::Cache(format!("{error:#}")))?;
        Ok(Self { cache, folder, sealed: Mutex::new(sealed) })
    }

    pub(crate) const fn wasmtime(&self) -> &Cache {
        &self.cache
    }

    /// Seals what has come since the last time. If that fails the code is compiled again after the next start, and no more.
    pub(crate) fn seal(&self) {
        let mut sealed = self.sealed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = self.write_seal(&mut sealed) {
            tracing::warn!(%error, folder = %self.folder.display(), "compiled code of plugins cannot be kept");
        }
    }

    fn write_seal(&self, sealed: &mut BTreeMap<String, String>) -> io::Result<()> {
        let files = code_files(&self.folder)?;
        let before = sealed.len();
        sealed.retain(|path, _| files.contains(path));
        let gone = before != sealed.len();
        let new: Vec<String> = files.into_iter().filter(|path| !sealed.contains_key(path)).collect();
        if new.is_empty() && !gone {
            return Ok(());
        }
        for path in new {
            if let Some(digest) = digest_of(&self.folder.join(&path)) {
                sealed.insert(path, digest);
            }
        }
        let mut text = String::new();
        for (path, digest) in sealed.iter() {
            let _ = writeln!(text, "{digest} {path}");
        }
        let draft = self.folder.join("seal.new");
        fs::write(&draft, text)?;
        fs::rename(draft, self.folder.join(SEAL))
    }
}

/// The files of compiled code in the folder: `code/modules/<compiler>/<digest>`. Beside them lie statistics, which are run by nobody.
fn code_files(folder: &Path) -> io::Result<Vec<String>> {
    let mut files = Vec::new();
    let compilers = match fs::read_dir(folder.join(CODE).join("modules")) {
        Ok(compilers) => compilers,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(files),
        Err(error) => return Err(error),
    };
    for compiler in compilers {
        for file in fs::read_dir(compiler?.path())? {
            let path = file?.path();
            if path.extension().is_none()
                && let Ok(path) = path.strip_prefix(folder)
                && let Some(path) = path.to_str()
            {
                files.push(path.to_owned());
            }
        }
    }
    Ok(files)
}

fn digest_of(path: &Path) -> Option<String> {
    let bytes = fs::read(path).ok()?;
    Some(Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect())
}
