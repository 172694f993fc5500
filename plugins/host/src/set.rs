//! All plugins that are installed, by name.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use route_core::{
    filter::{Candidate, MessageFilter, Verdicts},
    plugins::{
        PluginAllocator, PluginInfo, PluginRefusal, Plugins, Share,
        name::{self, NameError},
        shelf::PluginShelf,
    },
};
use thiserror::Error;

use crate::{
    contract::Kind,
    counters::Clock,
    plugin::LoadedPlugin,
    policy::Policy,
    slot::{Asker, Slot},
};

/// A plugin that cannot be installed, whatever is in its file.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SetError {
    /// A name that would lead elsewhere, or that nothing can show.
    #[error(transparent)]
    Name(#[from] NameError),
    /// There is no room.
    #[error("{} plugins are installed, and no host has more; remove one first", PluginShelf::LIMIT)]
    Full,
}

/// What is installed. A clone is another handle to the same plugins: one for the broker, one for who installs.
#[derive(Clone, Debug, Default)]
pub struct PluginSet {
    slots: Arc<Mutex<BTreeMap<String, Arc<Slot>>>>,
    revision: Arc<AtomicU64>,
    clock: Option<Clock>,
}

impl PluginSet {
    /// Nothing is installed.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Nothing is installed; some calls of what will be are timed with this clock.
    #[must_use]
    pub fn timed(clock: Clock) -> Self {
        Self { clock: Some(clock), ..Self::default() }
    }

    /// Installs a plugin, or another one in the place of the one that has this name: from the next batch on it answers.
    ///
    /// # Errors
    /// [`SetError`].
    pub fn install(&self, name: &str, plugin: LoadedPlugin, policy: Policy, enabled: bool) -> Result<(), SetError> {
        self.slot(name)?.put(plugin, policy, !enabled);
        self.changed();
        Ok(())
    }

    /// Notes why the file of this name is not taken, for who looks. What was installed before goes on.
    ///
    /// # Errors
    /// [`SetError`].
    pub fn refuse(&self, name: &str, why: &str) -> Result<(), SetError> {
        self.slot(name)?.refuse(why.to_owned());
        Ok(())
    }

    /// Notes that a plugin is there which nobody has loaded, since its operator has switched it off.
    ///
    /// # Errors
    /// [`SetError`].
    pub fn note_disabled(&self, name: &str) -> Result<(), SetError> {
        self.slot(name)?.note_disabled();
        Ok(())
    }

    /// Takes a plugin away; filters of it that are still held go on by its policy. Says whether there was one.
    pub fn remove(&self, name: &str) -> bool {
        let slot = self.slots().remove(name);
        if let Some(slot) = &slot {
            slot.clear();
            self.changed();
        }
        slot.is_some()
    }

    /// Switches a plugin on or off. Says whether there is one.
    pub fn set_enabled(&self, name: &str, enabled: bool) -> bool {
        let slot = self.slots().get(name).cloned();
        if let Some(slot) = &slot {
            slot.set_enabled(enabled);
            self.changed();
        }
        slot.is_some()
    }

    /// Changes what becomes of messages that a plugin fails on. Says whether there is one.
    pub fn set_policy(&self, name: &str, policy: Policy) -> bool {
        let slot = self.slots().get(name).cloned();
        if let Some(slot) = &slot {
            slot.set_policy(policy);
        }
        slot.is_some()
    }

    /// A number that is another one after a plugin came, went, or was switched on or off, also by its own failures: then the broker has to look
    /// up its subscriptions again.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision.load(Ordering::Relaxed)
    }

    /// All the fuel that a plugin has used.
    #[must_use]
    pub fn fuel(&self, name: &str) -> Option<u64> {
        self.slots().get(name).map(|slot| slot.fuel())
    }

    /// Tells of messages for which plugins had no answer, as far as that waits to be told in sums; to be called about once a second.
    pub fn tick(&self) {
        let slots: Vec<_> = self.slots().values().cloned().collect();
        slots.iter().for_each(|slot| slot.tick());
    }

    fn changed(&self) {
        self.revision.fetch_add(1, Ordering::Relaxed);
    }

    fn slots(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Slot>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The place of this name, made if it is not there.
    fn slot(&self, name: &str) -> Result<Arc<Slot>, SetError> {
        name::validate(name)?;
        let mut slots = self.slots();
        if let Some(slot) = slots.get(name) {
            return Ok(Arc::clone(slot));
        }
        if slots.len() >= PluginShelf::LIMIT {
            return Err(SetError::Full);
        }
        let slot = Arc::new(Slot::new(name, Arc::clone(&self.revision), self.clock));
        slots.insert(name.to_owned(), Arc::clone(&slot));
        Ok(slot)
    }

    /// The plugin of this name, if it is of this kind, at work, and takes the argument.
    fn find(&self, name: &str, wanted: Kind, argument: &str) -> Result<Arc<Slot>, PluginRefusal> {
        let slot = self.slots().get(name).cloned().ok_or_else(|| PluginRefusal::NotInstalled(name.to_owned()))?;
        slot.serves(wanted)?;
        slot.validate(argument)?;
        Ok(slot)
    }
}

impl Plugins for PluginSet {
    fn filter(&self, name: &str, argument: &str) -> Result<Arc<dyn MessageFilter>, PluginRefusal> {
        let slot = self.find(name, Kind::Filter, argument)?;
        Ok(Arc::new(PluginFilter { slot, argument: argument.into(), group: "".into() }))
    }

    fn allocator(&self, name: &str, argument: &str) -> Result<Arc<dyn PluginAllocator>, PluginRefusal> {
        let slot = self.find(name, Kind::Allocator, argument)?;
        Ok(Arc::new(SlotAllocator { slot, argument: argument.to_owned() }))
    }

    fn list(&self) -> Vec<PluginInfo> {
        self.slots().values().filter_map(|slot| slot.info()).collect()
    }
}

/// A filter by whatever is installed under its name.
#[derive(Debug)]
struct PluginFilter {
    slot: Arc<Slot>,
    argument: Arc<str>,
    /// Who reads; empty if nobody has said it.
    group: Arc<str>,
}

impl MessageFilter for PluginFilter {
    fn needs_record(&self) -> bool {
        true
    }

    fn matches(&self, batch: &[Candidate<'_>], verdicts: &mut Verdicts) {
        self.slot.judge(Asker { group: &self.group, argument: &self.argument }, batch, verdicts);
    }

    fn for_group(&self, group: &str) -> Option<Arc<dyn MessageFilter>> {
        Some(Arc::new(Self { slot: Arc::clone(&self.slot), argument: Arc::clone(&self.argument), group: group.into() }))
    }
}

/// An allocator by whatever is installed under its name.
#[derive(Debug)]
struct SlotAllocator {
    slot: Arc<Slot>,
    argument: String,
}

impl PluginAllocator for SlotAllocator {
    fn allocate(&self, share: &Share<'_>) -> Result<Vec<usize>, PluginRefusal> {
        self.slot.allocate(&self.argument, share)
    }
}
