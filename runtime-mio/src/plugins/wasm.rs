//! Plugins as WebAssembly components, run by `plugin_host`.

use std::{path::Path, sync::Arc};

use plugin_host::{EngineError, Limits, PluginEngine, PluginSet, Policy};
use route_core::{
    filter::MessageFilter,
    plugins::{PluginAllocator, PluginInfo, PluginRefusal, Plugins},
};

use super::PluginHost;

/// The folder of compiled code in that of plugins.
const COMPILED: &str = "compiled";

/// The engine, and what is installed in it.
#[derive(Debug)]
pub(super) struct WasmHost {
    engine: PluginEngine,
    set: PluginSet,
}

impl WasmHost {
    /// An engine that keeps compiled code below `folder`, if that is there or can be made.
    pub(super) fn new(folder: &Path) -> Result<Self, EngineError> {
        let limits = Limits::default();
        // A broker without plugins has no folder of them, and gets none by being started.
        let compiled = folder.is_dir().then(|| folder.join(COMPILED));
        let engine = match PluginEngine::new(limits, compiled.as_deref()) {
            Err(error) if compiled.is_some() => {
                tracing::warn!(%error, "plugins are compiled at each start");
                PluginEngine::new(limits, None)?
            }
            made => made?,
        };
        Ok(Self { engine, set: PluginSet::new() })
    }
}

fn policy(text: &str) -> Result<Policy, String> {
    if text.is_empty() { Ok(Policy::default()) } else { text.parse::<Policy>().map_err(|error| error.to_string()) }
}

impl Plugins for WasmHost {
    fn filter(&self, name: &str, argument: &str) -> Result<Arc<dyn MessageFilter>, PluginRefusal> {
        self.set.filter(name, argument)
    }

    fn allocator(&self, name: &str) -> Result<Arc<dyn PluginAllocator>, PluginRefusal> {
        self.set.allocator(name)
    }

    fn list(&self) -> Vec<PluginInfo> {
        self.set.list()
    }
}

impl PluginHost for WasmHost {
    fn check(&self, _name: &str, file: &[u8], policy: &str) -> Result<(), String> {
        self::policy(policy)?;
        self.engine.load(file).map(drop).map_err(|error| error.to_string())
    }

    fn load(&self, name: &str, file: &[u8], policy: &str) -> Result<(), String> {
        let installed = self::policy(policy).and_then(|policy| {
            let plugin = self.engine.load(file).map_err(|error| error.to_string())?;
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
