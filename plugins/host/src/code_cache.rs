//! Compiled code on disk, found again by wasmtime under a digest of its own settings and the component; and components that were made of modules,
//! found again under the digest of the module, since making one costs more than all the rest of loading.
//!
//! wasmtime runs what it finds there as it is, so what lies there must be what it wrote. A seal beside it has the digest of each file, written
//! after the files; when the folder is opened, what does not match is deleted, and made anew when it is wanted.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use route_core::plugins::{digest, shelf::PluginShelf};
use wasmtime::{Cache, CacheConfig};

use crate::{component::component_of, engine::EngineError, failure::LoadError};

/// The file of digests, beside wasmtime's own folder, from which wasmtime deletes what it does not know.
const SEAL: &str = "seal";
/// wasmtime's own folder.
const CODE: &str = "code";
/// What the name of a file ends with that is not whole yet.
const DRAFT: &str = "new";
/// The folder of components, one for each version of what makes them.
const COMPONENTS: &str = concat!("components-", env!("CARGO_PKG_VERSION"));
/// Components that are kept; with more, those that were made first go.
const MAX_COMPONENTS: usize = 2 * PluginShelf::LIMIT;

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
        for inner in [CODE, COMPONENTS] {
            fs::create_dir_all(folder.join(inner)).map_err(error)?;
        }
        let folder = folder.canonicalize().map_err(error)?;
        let seal = fs::read_to_string(folder.join(SEAL)).unwrap_or_default();
        let mut sealed: BTreeMap<String, String> =
            seal.lines().filter_map(|line| line.split_once(' ')).map(|(digest, path)| (path.to_owned(), digest.to_owned())).collect();
        let files = sealed_files(&folder).map_err(error)?;
        sealed.retain(|path, _| files.contains(path));
        for path in files {
            if sealed.get(&path).is_none_or(|digest| digest_of(&folder.join(&path)).as_ref() != Some(digest)) {
                tracing::warn!(file = path, "a compiled plugin is damaged or unfinished: it is compiled anew when it is wanted");
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

    /// Whether the component that was made of the module with this digest is kept, which is then compiled, too.
    pub(crate) fn has_component(&self, digest: &str) -> bool {
        self.sealed.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&format!("{COMPONENTS}/{digest}"))
    }

    /// The component of a plugin's file, which has this digest: the one that was made of it before, or a new one.
    ///
    /// # Errors
    /// As for [`component_of`].
    pub(crate) fn component<'a>(&self, file: &'a [u8], digest: &str) -> Result<Cow<'a, [u8]>, LoadError> {
        let name = format!("{COMPONENTS}/{digest}");
        if let Some(known) = self.has_component(digest).then(|| fs::read(self.folder.join(&name)).ok()).flatten() {
            return Ok(Cow::Owned(known));
        }
        let component = component_of(file)?;
        if let Cow::Owned(made) = &component
            && let Err(error) = self.keep(&name, made)
        {
            tracing::warn!(%error, file = name, "a plugin's component cannot be kept, and is made anew each time");
        }
        Ok(component)
    }

    fn keep(&self, name: &str, component: &[u8]) -> io::Result<()> {
        // Somebody may have deleted the folder meanwhile.
        fs::create_dir_all(self.folder.join(COMPONENTS))?;
        let mut kept = Vec::new();
        for file in fs::read_dir(self.folder.join(COMPONENTS))? {
            let file = file?;
            kept.push((file.metadata()?.modified()?, file.path()));
        }
        kept.sort_unstable();
        for (_, path) in &kept[..(kept.len() + 1).saturating_sub(MAX_COMPONENTS)] {
            fs::remove_file(path)?;
        }
        write_whole(&self.folder.join(name), component)
    }

    /// Seals what has come since the last time. If that fails the code is compiled again after the next start, and no more.
    pub(crate) fn seal(&self) {
        let mut sealed = self.sealed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = self.write_seal(&mut sealed) {
            tracing::warn!(%error, folder = %self.folder.display(), "compiled code of plugins cannot be kept");
        }
    }

    fn write_seal(&self, sealed: &mut BTreeMap<String, String>) -> io::Result<()> {
        fs::create_dir_all(self.folder.join(COMPONENTS))?;
        let files = sealed_files(&self.folder)?;
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
        write_whole(&self.folder.join(SEAL), text.as_bytes())
    }
}

/// Writes a file that is there whole or not at all: a full disk leaves half of what is written.
fn write_whole(path: &Path, content: &[u8]) -> io::Result<()> {
    let draft = path.with_added_extension(DRAFT);
    let written = fs::write(&draft, content).and_then(|()| fs::rename(&draft, path));
    if written.is_err() {
        // It may not even be there.
        let _ = fs::remove_file(&draft);
    }
    written
}

/// The files in the folder that have to be what was written: components, and code as `code/modules/<compiler>/<digest>`. Beside the code lie
/// statistics, which are run by nobody.
fn sealed_files(folder: &Path) -> io::Result<Vec<String>> {
    let mut files = Vec::new();
    let mut take = |path: PathBuf| {
        if let Ok(path) = path.strip_prefix(folder)
            && let Some(path) = path.to_str()
        {
            files.push(path.to_owned());
        }
    };
    for file in fs::read_dir(folder.join(COMPONENTS))? {
        let path = file?.path();
        if path.extension().is_none_or(|extension| extension != DRAFT) {
            take(path);
        }
    }
    let compilers = match fs::read_dir(folder.join(CODE).join("modules")) {
        Ok(compilers) => compilers,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(files),
        Err(error) => return Err(error),
    };
    for compiler in compilers {
        for file in fs::read_dir(compiler?.path())? {
            let path = file?.path();
            if path.extension().is_none() {
                take(path);
            }
        }
    }
    Ok(files)
}

fn digest_of(path: &Path) -> Option<String> {
    fs::read(path).ok().map(|bytes| digest(&bytes))
}
