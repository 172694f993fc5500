//! Which version of which plugin is in use: what lies in the operator's folder against what has been loaded of it.
//!
//! The world lists the folder, loads files and unloads plugins; here is decided when. A new version is loaded beside the old one, which stays if the
//! new one is refused; a file that was refused is not tried again before it changes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::output::NoticeLevel;

use super::name;

/// Tells two versions of a file apart, as the disk does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    /// Bytes.
    pub len: u64,
    /// When it was last changed, in nanoseconds since 1970.
    pub modified: i128,
    /// The number under which the disk knows it.
    pub inode: u64,
}

/// The file of a plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lying {
    /// Its name without what says that it is a plugin.
    pub name: Box<str>,
    /// Its version.
    pub stamp: Stamp,
    /// Whether the operator has switched it off.
    pub disabled: bool,
}

/// What the world should do, one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShelfOutput {
    /// Load this version, and let it take the place of the one before if it is good; [`PluginShelf::handle_loaded`] brings back the outcome.
    Load {
        /// The plugin.
        name: Box<str>,
        /// The version.
        stamp: Stamp,
    },
    /// Nobody is to use the plugin any more.
    Unload {
        /// The plugin.
        name: Box<str>,
        /// It is still there, switched off.
        disabled: bool,
    },
    /// Whoever uses plugins is to look them up anew.
    Changed,
    /// Something for the operator.
    Notice(NoticeLevel, String),
}

#[derive(Debug)]
struct OnShelf {
    stamp: Stamp,
    disabled: bool,
    /// The version that is being loaded.
    loading: Option<Stamp>,
    /// Whether some version is in use.
    active: bool,
}

/// The plugins of a broker.
#[derive(Debug, Default)]
pub struct PluginShelf {
    plugins: BTreeMap<Box<str>, OnShelf>,
    /// Names that were complained about and still lie there.
    odd: BTreeSet<Box<str>>,
    outputs: VecDeque<ShelfOutput>,
}

impl PluginShelf {
    /// Plugins of one broker at most.
    pub const LIMIT: usize = 256;
    /// Bytes of one plugin at most.
    pub const MAX_LEN: u64 = 4 << 20;

    /// A shelf that nobody has looked at.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// This is what lies in the folder.
    pub fn handle_listed(&mut self, listed: Vec<Lying>) {
        let mut seen = BTreeSet::new();
        let mut odd = BTreeSet::new();
        for lying in listed {
            if let Err(why) = Self::check(&lying) {
                self.complain(&mut odd, lying.name, why);
            } else if seen.len() == Self::LIMIT {
                self.complain(&mut odd, lying.name, format!("a broker has {} plugins at most", Self::LIMIT));
            } else {
                seen.insert(lying.name.clone());
                self.handle_lying(lying);
            }
        }
        self.odd = odd;
        let gone: Vec<_> = self.plugins.keys().filter(|name| !seen.contains(*name)).cloned().collect();
        for name in gone {
            self.handle_gone(&name);
        }
    }

    fn check(lying: &Lying) -> Result<(), String> {
        name::validate(&lying.name).map_err(|error| error.to_string())?;
        if lying.stamp.len > Self::MAX_LEN {
            return Err(format!("its file has {} bytes, and no more than {} are allowed", lying.stamp.len, Self::MAX_LEN));
        }
        Ok(())
    }

    fn complain(&mut self, odd: &mut BTreeSet<Box<str>>, name: Box<str>, why: String) {
        if !self.odd.contains(&name) {
            let shown: String = name.chars().take(80).collect();
            self.notice(NoticeLevel::Warn, format!("the plugin '{shown}' is left alone: {why}"));
        }
        odd.insert(name);
    }

    /// The file of one plugin is there, perhaps for long.
    fn handle_lying(&mut self, Lying { name, stamp, disabled }: Lying) {
        let known = self.plugins.get(&name).map(|known| (known.stamp, known.disabled));
        if known == Some((stamp, disabled)) {
            return;
        }
        let plugin = self.plugins.entry(name.clone()).or_insert(OnShelf { stamp, disabled, loading: None, active: false });
        (plugin.stamp, plugin.disabled) = (stamp, disabled);
        if disabled {
            let was_active = std::mem::take(&mut plugin.active);
            self.outputs.push_back(ShelfOutput::Unload { name: name.clone(), disabled });
            if was_active {
                self.notice(NoticeLevel::Info, format!("the plugin '{name}' is disabled"));
                self.outputs.push_back(ShelfOutput::Changed);
            }
        } else if plugin.loading.is_none() {
            plugin.loading = Some(stamp);
            self.outputs.push_back(ShelfOutput::Load { name, stamp });
        }
    }

    fn handle_gone(&mut self, name: &str) {
        let was_active = self.plugins.remove(name).is_some_and(|plugin| plugin.active);
        self.outputs.push_back(ShelfOutput::Unload { name: name.into(), disabled: false });
        if was_active {
            self.notice(NoticeLevel::Info, format!("the plugin '{name}' is removed"));
            self.outputs.push_back(ShelfOutput::Changed);
        }
    }

    /// A version was loaded and is in use, or was refused.
    pub fn handle_loaded(&mut self, name: &str, stamp: Stamp, outcome: Result<(), &str>) {
        let Some(plugin) = self.plugins.get_mut(name) else {
            // Its file went while it was loaded.
            return self.outputs.push_back(ShelfOutput::Unload { name: name.into(), disabled: false });
        };
        plugin.loading = None;
        let (had_one, disabled, newest) = (plugin.active, plugin.disabled, plugin.stamp);
        if disabled {
            return self.outputs.push_back(ShelfOutput::Unload { name: name.into(), disabled });
        }
        match outcome {
            Ok(()) => {
                plugin.active = true;
                let what = if had_one { "has a new version" } else { "is loaded" };
                self.notice(NoticeLevel::Info, format!("the plugin '{name}' {what}"));
                self.outputs.push_back(ShelfOutput::Changed);
            }
            // A file that has changed since is judged by what it is now.
            Err(_) if newest != stamp => {}
            Err(why) => {
                let rest = if had_one { "; the version before stays" } else { "" };
                self.notice(NoticeLevel::Error, format!("the plugin '{name}' is refused: {why}{rest}"));
            }
        }
        if newest != stamp
            && let Some(plugin) = self.plugins.get_mut(name)
        {
            plugin.loading = Some(newest);
            self.outputs.push_back(ShelfOutput::Load { name: name.into(), stamp: newest });
        }
    }

    /// A request has changed the file of a plugin; `lying` is what lies there now. What is there and not disabled has been loaded with it.
    pub fn handle_changed(&mut self, name: &str, lying: Option<Lying>) {
        match lying {
            None if self.plugins.contains_key(name) => self.handle_gone(name),
            None => {}
            Some(lying) if lying.disabled => self.handle_lying(lying),
            Some(lying) => {
                let (stamp, disabled) = (lying.stamp, lying.disabled);
                let plugin = self.plugins.entry(name.into()).or_insert(OnShelf { stamp, disabled, loading: None, active: false });
                // What was switched on already is no news.
                let is_news = !(plugin.active && plugin.stamp == stamp && !plugin.disabled);
                (plugin.stamp, plugin.disabled) = (stamp, disabled);
                if is_news {
                    self.handle_loaded(name, stamp, Ok(()));
                }
            }
        }
    }

    /// What to do next, until it is empty.
    #[must_use]
    pub fn poll_output(&mut self) -> Option<ShelfOutput> {
        self.outputs.pop_front()
    }

    fn notice(&mut self, level: NoticeLevel, text: String) {
        self.outputs.push_back(ShelfOutput::Notice(level, text));
    }
}

#[cfg(test)]
mod tests;
