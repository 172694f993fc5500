//! Plugins as WebAssembly components, run by `plugin_host`.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use plugin_host::{Limits, PluginEngine, PluginSet, Policy};
use route_core::{
    filter::MessageFilter,
    plugins::{PluginAllocator, PluginInfo, PluginRefusal, Plugins},
};

use super::PluginHost;

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
        Self { folder: folder.to_owned(), engine: OnceLock::new(), set: PluginSet::new() }
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

fn policy(text: &str) -> Result<Policy, String> {
    if text.is_empty() { Ok(Policy::default()) } else { text.parse::<Policy>().map_err(|error| error.to_string()) }
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
    fn check(&self, _name: &str, file: &[u8], policy: &str) -> Result<(), String> {
        self::policy(policy)?;
        self.engine()?.load(file).map(drop).map_err(|error| error.to_string())
    }

    fn load(&self, name: &str, file: &[u8], policy: &str) -> Result<(), String> {
        let installed = self::policy(policy).and_then(|policy| {
            let plugin = self.engine()?.load(file).map_err(|error| error.to_string())?;
            self.set.install(name, plugin, policy, true).map_err(|error| error.to_string())
        });
        if let Err(why) = &installed {
            // Without room for the name there is nothing to note it under.
            let _ = self.set.refuse(name, why);
        }
        installed
    }

    fn revision(&self) -> u64 {
        self.set.revision()
    }

    fn unload(&self, name: &str, disabled: bool) {
        if !disabled {
            self.set.remove(name);
        } else if !self.set.set_enabled(name, false) {
            let _ = self.set.refuse(name, "it is disabled");
        }
    }
}
