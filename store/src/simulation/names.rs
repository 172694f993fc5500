//! Names of files and folders: as they are, and as they would be after a loss of power.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use route_core::random::Random;

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Node {
    Dir,
    /// The number of a file's content.
    File(u64),
}

/// A change of names.
#[derive(Clone, Debug)]
enum Change {
    Put(PathBuf, Node),
    Remove(PathBuf),
    Rename(PathBuf, PathBuf),
}

impl Change {
    /// Whether a sync of the folder makes it durable.
    fn touches(&self, dir: &Path) -> bool {
        match self {
            Self::Put(path, _) | Self::Remove(path) => path.parent() == Some(dir),
            Self::Rename(from, to) => from.parent() == Some(dir) || to.parent() == Some(dir),
        }
    }
}

/// A tree of names.
#[derive(Clone, Debug, Default)]
struct Tree(BTreeMap<PathBuf, Node>);

impl Tree {
    fn is_dir(&self, path: &Path) -> bool {
        path.parent().is_none() || self.0.get(path) == Some(&Node::Dir)
    }

    fn has_room_for(&self, path: &Path) -> bool {
        path.parent().is_some_and(|dir| self.is_dir(dir))
    }

    /// Applies a change, unless what it begins with is not there.
    fn apply(&mut self, change: &Change) {
        match change {
            Change::Put(path, node) => {
                if self.has_room_for(path) {
                    self.0.insert(path.clone(), *node);
                }
            }
            Change::Remove(path) => self.0.retain(|name, _| !name.starts_with(path)),
            Change::Rename(from, to) => {
                if !self.0.contains_key(from) || !self.has_room_for(to) {
                    return;
                }
                let moved: Vec<_> =
                    self.0.iter().filter(|(name, _)| name.starts_with(from)).map(|(name, node)| (name.clone(), *node)).collect();
                self.0.retain(|name, _| !name.starts_with(from) && !name.starts_with(to));
                for (name, node) in moved {
                    let rest = name.strip_prefix(from).unwrap_or(Path::new(""));
                    let name = if rest.as_os_str().is_empty() { to.clone() } else { to.join(rest) };
                    self.0.insert(name, node);
                }
            }
        }
    }
}

/// The names of a disk.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    now: Tree,
    durable: Tree,
    /// What happened since.
    pending: Vec<Change>,
}

impl Names {
    pub(super) fn get(&self, path: &Path) -> Option<Node> {
        if path.parent().is_none() { Some(Node::Dir) } else { self.now.0.get(path).copied() }
    }

    pub(super) fn has_room_for(&self, path: &Path) -> bool {
        self.now.has_room_for(path)
    }

    /// What stands below a folder, with the folder itself, by name.
    pub(super) fn below<'a>(&'a self, dir: &'a Path) -> impl DoubleEndedIterator<Item = (&'a Path, Node)> {
        self.now.0.iter().filter(move |(name, _)| name.starts_with(dir)).map(|(name, node)| (name.as_path(), *node))
    }

    pub(super) fn put(&mut self, path: &Path, node: Node) {
        self.change(Change::Put(path.to_owned(), node));
    }

    pub(super) fn remove(&mut self, path: &Path) {
        self.change(Change::Remove(path.to_owned()));
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) {
        self.change(Change::Rename(from.to_owned(), to.to_owned()));
    }

    fn change(&mut self, change: Change) {
        self.now.apply(&change);
        self.pending.push(change);
    }

    /// Makes what happened in a folder durable, as far as its own name is.
    pub(super) fn sync(&mut self, dir: &Path) {
        if let Some(last) = self.pending.iter().rposition(|change| change.touches(dir)) {
            // A journal writes what came before it, too.
            for change in self.pending.drain(..=last) {
                self.durable.apply(&change);
            }
        }
    }

    /// Makes all durable.
    pub(super) fn sync_all(&mut self) {
        self.pending.clear();
        self.durable = self.now.clone();
    }

    /// The names after a loss of power. Of what was not made durable what came first is kept, as a file system with a journal does.
    pub(super) fn after_power_loss(&self, random: &mut Random) -> Self {
        let mut tree = self.durable.clone();
        let count = u32::try_from(self.pending.len()).unwrap_or(u32::MAX);
        let kept = random.below(count.saturating_add(1)) as usize;
        self.pending.iter().take(kept).for_each(|change| tree.apply(change));
        Self { now: tree.clone(), durable: tree, pending: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_dir() -> Names {
        let mut names = Names::default();
        names.put(Path::new("/d"), Node::Dir);
        names.sync_all();
        names
    }

    #[test]
    fn a_name_is_durable_once_its_folder_is_synced() {
        let mut names = with_dir();
        names.put(Path::new("/d/a"), Node::File(1));
        let lost =
            |names: &Names| (0..20).filter(|seed| names.after_power_loss(&mut Random::new(*seed)).get(Path::new("/d/a")).is_none()).count();
        assert!((1..20).contains(&lost(&names)));
        names.sync(Path::new("/d"));
        assert_eq!(lost(&names), 0);
    }

    #[test]
    fn a_renamed_folder_takes_what_is_in_it_along() {
        let mut names = with_dir();
        names.put(Path::new("/d/a"), Node::File(1));
        names.rename(Path::new("/d"), Path::new("/e"));
        assert_eq!(names.get(Path::new("/e/a")), Some(Node::File(1)));
        assert_eq!(names.get(Path::new("/d/a")), None);
        assert_eq!(names.get(Path::new("/d")), None);
    }

    #[test]
    fn a_file_takes_the_place_of_the_one_that_had_its_new_name() {
        let mut names = with_dir();
        names.put(Path::new("/d/a"), Node::File(1));
        names.put(Path::new("/d/b"), Node::File(2));
        names.rename(Path::new("/d/a"), Path::new("/d/b"));
        assert_eq!(names.get(Path::new("/d/b")), Some(Node::File(1)));
    }
}
