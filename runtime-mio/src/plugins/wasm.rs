//! Plugins as WebAssembly components, run by `plugin_host`.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    time::Instant,
};

use plugin_host::{Limits, PluginEngine, PluginSet, Policy};
use route_core::{
    filter::MessageFilter,
    plugins::{PluginAllocator, PluginInfo, PluginRefusal, Plugins},
};

use super::{Install, PluginHost};

/// The folder of compiled code in that of plugins.
const COMPILED: &str = "compiled";

/// The engine, and what is installed in it. There is no engine before the first plugin: a broker without plugins pays for none.
#[derive(Debug)]
pub(super) struct WasmHost {
    folder: PathBuf,
    engine: OnceLock<Result<PluginEngine, String>>,
    set: PluginSet,
}

impl WasmHost {
    /// A host that keeps compiled code below the folder of plugins.
    pub(super) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), engine: OnceLock::new(), set: PluginSet::timed(nanos) }
    }

    fn engine(&self) -> Result<&PluginEngine, String> {
        let made = self.engine.get_or_init(|| {
            let with_cache = PluginEngine::new(Limits::default(), Some(&self.folder.join(COMPILED)));
            let made = with_cache.or_else(|error| {
                tracing::warn!(%error, "compiled plugins cannot be kept: they are compiled at each start");
                PluginEngine::new(Limits::default(), None)
            });
            made.map_err(|error| format!("plugins cannot be run here: {error}"))
        });
        made.as_ref().map_err(Clone::clone)
    }
}

/// A steady clock, for who wants to know what plugins take.
fn nanos() -> u64 {
    static BEGUN: OnceLock<Instant> = OnceLock::new();
    u64::try_from(BEGUN.get_or_init(Instant::now).elapsed().as_nanos()).unwrap_or(u64::MAX)
}

fn policy(text: &str) -> Result<Policy, String> {
    if text.is_empty() { Ok(Policy::default()) } else { text.parse::<Policy>().map_err(|error| error.to_string()) }
}

/// Whether a file could be loaded with this policy.
pub(super) fn try_file(file: &[u8], policy: &str) -> Result<(), String> {
    self::policy(policy)?;
    let engine = PluginEngine::new(Limits::default(), None).map_err(|error| error.to_string())?;
    engine.load(file).map(drop).map_err(|error| error.to_string())
}

impl Plugins for WasmHost {
    fn filter(&self, name: &str, argument: &str) -> Result<Arc<dyn MessageFilter>, PluginRefusal> {
        self.set.filter(name, argument)
    }

    fn allocator(&self, name: &str, argument: &str) -> Result<Arc<dyn PluginAllocator>, PluginRefusal> {
        self.set.allocator(name, argument)
    }

    fn list(&self) -> Vec<PluginInfo> {
        self.set.list()
    }
}

impl PluginHost for WasmHost {
    fn load<'a>(&'a self, name: &'a str, file: &[u8], policy: &str) -> Result<Install<'a>, String> {
        let policy = self::policy(policy)?;
        let plugin = self.engine()?.load(file).map_err(|error| error.to_string())?;
        Ok(Box::new(move || self.set.install(name, plugin, policy, true).map_err(|error| error.to_string())))
    }

    fn refuse(&self, name: &str, why: &str) {
        // Without room for the name there is nothing to note it under.
        let _ = self.set.refuse(name, why);
    }

    fn revision(&self) -> u64 {
        self.set.revision()
    }

    fn tick(&self) {
        self.set.tick();
    }

    fn unload(&self, name: &str, disabled: bool) {
        if !disabled {
            self.set.remove(name);
        } else if !self.set.set_enabled(name, false) {
            // Without room for the name there is nothing to note it under.
            let _ = self.set.note_disabled(name);
        }
    }
}
