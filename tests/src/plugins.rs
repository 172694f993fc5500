//! Plugins written in Rust, for the machines' side of them: what is installed changes by hand, and what they are asked is noted.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use proto_core::record::RecordView;
use route_core::{
    filter::{Candidate, MessageFilter, Verdicts},
    plugins::{PluginAllocator, PluginInfo, PluginRefusal, Plugins, Share},
};

/// What a test plugin does.
#[derive(Clone, Debug)]
pub enum TestPlugin {
    /// A filter that delivers messages whose body begins with the argument; it refuses the argument `?`.
    BodyBegins,
    /// A filter that delivers messages whose body ends with the argument.
    BodyEnds,
    /// An allocator that gives all queues to the last client.
    LastTakesAll,
    /// An allocator that fails.
    Fails,
}

/// The plugins of a broker under test. A clone shows and changes the same ones.
#[derive(Clone, Debug, Default)]
pub struct TestPlugins {
    installed: Arc<Mutex<BTreeMap<String, TestPlugin>>>,
    real: Arc<OnceLock<Arc<dyn Plugins>>>,
    judged: Arc<Mutex<Vec<usize>>>,
}

impl TestPlugins {
    /// Installs a plugin, or another one in its place.
    pub fn install(&self, name: &str, plugin: TestPlugin) {
        self.installed.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), plugin);
    }

    /// From now on these are asked for what is not installed here.
    pub fn add_real(&self, plugins: Arc<dyn Plugins>) {
        assert!(self.real.set(plugins).is_ok(), "a test adds them once");
    }

    /// Takes a plugin away.
    pub fn remove(&self, name: &str) {
        self.installed.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    /// The lengths of the batches that filters have judged since the last call.
    #[must_use]
    pub fn take_judged(&self) -> Vec<usize> {
        std::mem::take(&mut self.judged.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn find(&self, name: &str) -> Result<TestPlugin, PluginRefusal> {
        let installed = self.installed.lock().unwrap_or_else(PoisonError::into_inner);
        installed.get(name).cloned().ok_or_else(|| PluginRefusal::NotInstalled(name.to_owned()))
    }
}

impl Plugins for TestPlugins {
    fn filter(&self, name: &str, argument: &str) -> Result<Arc<dyn MessageFilter>, PluginRefusal> {
        if let (Err(_), Some(real)) = (self.find(name), self.real.get()) {
            return real.filter(name, argument);
        }
        let at_end = match self.find(name)? {
            TestPlugin::BodyBegins => false,
            TestPlugin::BodyEnds => true,
            TestPlugin::LastTakesAll | TestPlugin::Fails => {
                return Err(PluginRefusal::WrongKind { name: name.to_owned(), wanted: "filter" });
            }
        };
        if argument == "?" {
            let (name, argument, why) = (name.to_owned(), argument.to_owned(), "a question mark is no text".to_owned());
            return Err(PluginRefusal::Argument { name, argument, why });
        }
        Ok(Arc::new(BodyFilter { text: argument.to_owned(), at_end, judged: Arc::clone(&self.judged) }))
    }

    fn allocator(&self, name: &str, argument: &str) -> Result<Arc<dyn PluginAllocator>, PluginRefusal> {
        if let (Err(_), Some(real)) = (self.find(name), self.real.get()) {
            return real.allocator(name, argument);
        }
        match self.find(name)? {
            TestPlugin::LastTakesAll => Ok(Arc::new(TestAllocator { name: name.to_owned(), fails: false })),
            TestPlugin::Fails => Ok(Arc::new(TestAllocator { name: name.to_owned(), fails: true })),
            TestPlugin::BodyBegins | TestPlugin::BodyEnds => Err(PluginRefusal::WrongKind { name: name.to_owned(), wanted: "allocator" }),
        }
    }

    fn list(&self) -> Vec<PluginInfo> {
        self.real.get().map_or_else(Vec::new, |real| real.list())
    }
}

#[derive(Debug)]
struct BodyFilter {
    text: String,
    at_end: bool,
    judged: Arc<Mutex<Vec<usize>>>,
}

impl MessageFilter for BodyFilter {
    fn needs_record(&self) -> bool {
        true
    }

    fn matches(&self, batch: &[Candidate<'_>], verdicts: &mut Verdicts) {
        self.judged.lock().unwrap_or_else(PoisonError::into_inner).push(batch.len());
        for (index, candidate) in batch.iter().enumerate() {
            let Some(record) = candidate.record.and_then(|record| RecordView::parse(record).ok()) else { continue };
            let (body, text) = (record.body(), self.text.as_bytes());
            if if self.at_end { body.ends_with(text) } else { body.starts_with(text) } {
                verdicts.deliver(index);
            }
        }
    }
}

#[derive(Debug)]
struct TestAllocator {
    name: String,
    fails: bool,
}

impl PluginAllocator for TestAllocator {
    fn allocate(&self, share: &Share<'_>) -> Result<Vec<usize>, PluginRefusal> {
        if self.fails {
            return Err(PluginRefusal::Failed { name: self.name.clone(), why: "it was told to".to_owned() });
        }
        Ok(vec![share.clients.len() - 1; share.queues.len()])
    }
}
