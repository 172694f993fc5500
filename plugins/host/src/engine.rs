//! wasmtime, set up so that a plugin can do nothing but compute, and the same everywhere.

use std::path::Path;

use route_core::plugins::digest;
use thiserror::Error;
use wasmtime::{
    Config, Engine,
    component::{Component, Linker},
};

use crate::{
    code_cache::CodeCache, component::component_of, contract, failure::LoadError, limits::Limits, plugin::LoadedPlugin, sandbox::Bounds,
};

/// wasmtime or the folder of compiled code is not to be had.
#[derive(Debug, Error)]
pub enum EngineError {
    /// wasmtime refuses its configuration.
    #[error("plugins cannot run on this machine: {0:#}")]
    Engine(wasmtime::Error),
    /// The folder cannot be used.
    #[error("the folder of compiled plugins cannot be used: {0}")]
    Cache(String),
}

/// Compiles plugins.
pub struct PluginEngine {
    engine: Engine,
    linker: Linker<Bounds>,
    cache: Option<CodeCache>,
    limits: Limits,
}

impl std::fmt::Debug for PluginEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PluginEngine").field("limits", &self.limits).field("cache", &self.cache).finish_non_exhaustive()
    }
}

impl PluginEngine {
    /// An engine whose plugins have these limits. With a folder it keeps compiled code there and finds it again.
    ///
    /// # Errors
    /// [`EngineError`].
    pub fn new(limits: Limits, cache_folder: Option<&Path>) -> Result<Self, EngineError> {
        let cache = cache_folder.map(CodeCache::open).transpose()?;
        let mut config = Config::new();
        config
            .consume_fuel(true)
            .max_wasm_stack(limits.stack)
            .cranelift_nan_canonicalization(true)
            .wasm_relaxed_simd(false)
            .wasm_memory64(false)
            .generate_address_map(false)
            .cache(cache.as_ref().map(|cache| cache.wasmtime().clone()));
        let engine = Engine::new(&config).map_err(EngineError::Engine)?;
        Ok(Self { linker: Linker::new(&engine), engine, cache, limits })
    }

    /// The limits of its plugins.
    #[must_use]
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Compiles a plugin, or takes its code from the cache, and starts it once. Takes milliseconds when it compiles: no loop should wait for it.
    ///
    /// # Errors
    /// [`LoadError`], for each way in which the file is no plugin that can be run.
    pub fn load(&self, file: &[u8]) -> Result<LoadedPlugin, LoadError> {
        if file.len() > self.limits.file {
            return Err(LoadError::TooLarge { size: file.len(), limit: self.limits.file });
        }
        let digest = digest(file);
        // What was compiled once is not guessed at again: that takes as long as all the rest of loading.
        if !self.cache.as_ref().is_some_and(|cache| cache.has_component(&digest)) {
            crate::effort::check(file, self.limits.compile)?;
        }
        let binary = match &self.cache {
            Some(cache) => cache.component(file, &digest)?,
            None => component_of(file)?,
        };
        let words = |error: wasmtime::Error| LoadError::Compile(crate::failure::first_words(&format!("{error:#}"), self.limits.text));
        let component = Component::from_binary(&self.engine, &binary).map_err(words)?;
        if let Some(cache) = &self.cache {
            cache.seal();
        }
        let types = component.component_type();
        let imports: Vec<&str> = types.imports(&self.engine).map(|(name, _)| name).take(3).collect();
        if !imports.is_empty() {
            return Err(LoadError::Imports(contract::first_names(&imports)));
        }
        let (kind, interface) = contract::recognize(types.exports(&self.engine).map(|(name, _)| name))?;
        let instance = self.linker.instantiate_pre(&component).map_err(words)?;
        LoadedPlugin::start(&component, instance, (kind, interface), self.limits, digest, file.len())
    }

    /// How often compiled code was found, and how often it was not.
    #[must_use]
    pub fn cache_hits_and_misses(&self) -> (usize, usize) {
        self.cache.as_ref().map_or((0, 0), |cache| (cache.wasmtime().cache_hits(), cache.wasmtime().cache_misses()))
    }
}
