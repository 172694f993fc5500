//! Tables on disk: small JSON files that are replaced whole, on a thread of their own.
//!
//! As RocketMQ does, the previous content stays as `.bak` and serves if the file is damaged. Other than there, the file itself is
//! never missing: the new content is brought to disk under another name and then takes its place.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
};

use bytes::Bytes;
use route_core::{
    output::{Table, Ticket},
    table_content::TableContent,
};
use thiserror::Error;

use crate::{
    disk::Disk,
    event::{Background, Notifier},
    offset_journal::Cut,
};

/// How many saves of one table may wait for the disk; there is work for one, as the newest content replaces the others.
const MAX_WAITING: usize = 4096;

/// A table cannot be read.
#[derive(Debug, Error)]
pub enum TableError {
    /// Neither the file nor its `.bak` holds what it should.
    #[error("{path}: damaged, and {} ({what}); restore one of them, or move all elsewhere to begin with an empty table", .bak.words())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
        /// What became of the other one.
        bak: BadBak,
    },
    /// The system says no.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// Why the copy of a table cannot serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadBak {
    /// It is damaged, too.
    Damaged,
    /// There is none, or nothing is in it.
    Missing,
}

impl BadBak {
    const fn words(self) -> &'static str {
        match self {
            Self::Damaged => "so is its .bak",
            Self::Missing => "there is no .bak",
        }
    }
}

/// Where each table lies.
#[derive(Clone, Debug)]
pub struct TablePaths {
    paths: BTreeMap<Table, PathBuf>,
}

impl TablePaths {
    /// All tables in one folder, under RocketMQ's names.
    #[must_use]
    pub fn in_dir(dir: &Path) -> Self {
        let names = [
            (Table::Topics, "topics.json"),
            (Table::SubscriptionGroups, "subscriptionGroup.json"),
            (Table::ConsumerOffsets, "consumerOffset.json"),
            (Table::DelayOffsets, "delayOffset.json"),
            (Table::TimerCheckpoint, "timercheck"),
            (Table::ConsumerFilters, "consumerFilter.json"),
            (Table::RequestModes, "messageRequestMode.json"),
            (Table::TransactionMetrics, "transactionMetrics"),
            (Table::Bindings, "plugins.json"),
            (Table::KvConfig, "kvConfig.json"),
            (Table::Settings, "broker.properties"),
        ];
        Self { paths: names.into_iter().map(|(table, name)| (table, dir.join(name))).collect() }
    }

    /// The same, with one table elsewhere.
    #[must_use]
    pub fn with(mut self, table: Table, path: impl Into<PathBuf>) -> Self {
        self.paths.insert(table, path.into());
        self
    }

    fn path(&self, table: Table) -> &Path {
        // Each table was given a path when the value was made.
        self.paths.get(&table).map_or(Path::new(""), PathBuf::as_path)
    }
}

/// What identifies a content: its length and its checksum. An absent file is all zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) len: u32,
    pub(crate) crc: u32,
}

impl Identity {
    /// Of a table's content.
    pub(crate) fn of(content: &[u8]) -> Self {
        Self { len: u32::try_from(content.len()).unwrap_or(u32::MAX), crc: proto_core::record::body_crc(content) }
    }
}

/// A save that is done, or failed.
#[derive(Debug)]
pub(crate) struct Saved {
    pub(crate) ticket: Ticket,
    pub(crate) table: Table,
    pub(crate) identity: Identity,
    pub(crate) result: Result<(), String>,
}

/// The text of a table of offsets, which is to be named in its journal before it is written.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) table: Table,
    pub(crate) cut: Cut,
    pub(crate) identity: Identity,
    tickets: Vec<Ticket>,
    content: Bytes,
}

/// The thread that saves, and what it is told. For a name server alone; a [`Store`](crate::Store) brings its own.
pub struct Tables {
    shared: Arc<Shared>,
    /// `None` if it has ended, or if steps are taken by hand.
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    disk: Disk,
    paths: TablePaths,
    notify: Notifier,
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    waiting: BTreeMap<Table, Waiting>,
    /// Folders to be removed.
    rubbish: VecDeque<PathBuf>,
    made: VecDeque<Made>,
    done: VecDeque<Saved>,
    stop: Stop,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Stop {
    #[default]
    No,
    AfterWork,
    AtOnce,
}

struct Waiting {
    /// All saves that the content stands for.
    tickets: Vec<Ticket>,
    content: TableContent,
    /// Its text is to be [`Made`] first, as of this cut.
    cut: Option<Cut>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing under this lock panics half-way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tables {
    /// Starts the thread. `notifier` is called whenever there is something to [poll](Tables::poll_saved).
    ///
    /// # Errors
    /// If a folder cannot be made or no thread be started.
    pub fn open(paths: TablePaths, notifier: Notifier) -> io::Result<Self> {
        Self::open_on(Disk::system(), paths, notifier, Background::Threads)
    }

    /// [`Tables::open`] on any disk.
    pub(crate) fn open_on(disk: Disk, paths: TablePaths, notifier: Notifier, background: Background) -> io::Result<Self> {
        for dir in paths.paths.values().filter_map(|path| path.parent()) {
            disk.create_dir_all(dir)?;
        }
        let shared = Arc::new(Shared { disk, paths, notify: notifier, state: Mutex::default(), wake: Condvar::new() });
        let work = Arc::clone(&shared);
        let thread = match background {
            Background::Threads => Some(thread::Builder::new().name("petrel-tables".into()).spawn(move || run(&work))?),
            Background::Stepped => None,
        };
        Ok(Self { shared, thread })
    }

    /// Does one piece of work, if no thread does. Answers whether there was one.
    pub(crate) fn step(&mut self) -> bool {
        self.thread.is_none() && step(&self.shared)
    }

    /// Reads a table with `parse`: from its file, or from `.bak` if the file is missing, empty (`{}` is) or does not parse. `None` if there
    /// is neither. A damaged file is kept as `.damaged`.
    ///
    /// # Errors
    /// [`TableError`].
    pub fn load<T>(&self, table: Table, parse: impl Fn(&[u8]) -> Result<T, String>) -> Result<Option<T>, TableError> {
        Ok(self.load_identified(table, parse)?.map(|(_, value)| value))
    }

    /// [`Tables::load`], and what was read.
    pub(crate) fn load_identified<T>(
        &self,
        table: Table,
        parse: impl Fn(&[u8]) -> Result<T, String>,
    ) -> Result<Option<(Identity, T)>, TableError> {
        let (disk, path) = (&self.shared.disk, self.shared.paths.path(table));
        let read = |path: &Path| disk.read(path).map_err(|source| TableError::Io { path: path.to_owned(), source });
        let content = read(path)?;
        let was_there = content.is_some();
        let mut damage = None;
        if let Some(content) = content.filter(|content| !is_blank(content)) {
            match parse(&content) {
                Ok(value) => return Ok(Some((Identity::of(&content), value))),
                Err(what) => damage = Some(what),
            }
        }
        let bak = with_suffix(path, ".bak");
        let mut bad_bak = BadBak::Missing;
        let saved = match read(&bak)? {
            Some(content) if !is_blank(&content) => match parse(&content) {
                Ok(value) => Some((Identity::of(&content), value)),
                Err(what) => {
                    damage.get_or_insert(what);
                    bad_bak = BadBak::Damaged;
                    None
                }
            },
            _ => None,
        };
        match (saved, damage) {
            (Some(saved), damage) => {
                if let Some(what) = damage {
                    let kept = with_suffix(path, ".damaged");
                    tracing::error!(path = %path.display(), what, kept = %kept.display(), "a table is damaged; its .bak serves instead");
                    // The next save must not put the damaged content in the place of the good one.
                    disk.rename(path, &kept).map_err(|source| TableError::Io { path: kept, source })?;
                } else {
                    tracing::warn!(path = %bak.display(), "a table is missing or empty; its .bak serves instead");
                }
                Ok(Some(saved))
            }
            (None, Some(what)) => Err(TableError::Damaged { path: path.to_owned(), what, bak: bad_bak }),
            (None, None) => {
                if was_there {
                    tracing::warn!(path = %path.display(), "a table's file is empty and there is no .bak: what it held is lost, and the table begins anew");
                }
                Ok(None)
            }
        }
    }

    /// Has a table's content replaced. The newest content wins; each ticket is answered.
    pub fn save(&self, ticket: Ticket, table: Table, content: TableContent) {
        self.save_as_of(ticket, table, content, None);
    }

    /// [`Tables::save`] of what a table was at a cut. Its text comes back by [`Tables::poll_made`], and is written when it was
    /// [accepted](Tables::accept).
    pub(crate) fn save_as_of(&self, ticket: Ticket, table: Table, content: TableContent, cut: Option<Cut>) {
        let mut state = self.shared.lock();
        match state.waiting.get_mut(&table) {
            Some(waiting) if waiting.tickets.len() >= MAX_WAITING => {
                let result = Err(format!("{MAX_WAITING} saves of the table wait for the disk"));
                state.done.push_back(Saved { ticket, table, identity: Identity::default(), result });
                (self.shared.notify)();
            }
            Some(waiting) => {
                waiting.tickets.push(ticket);
                waiting.content = content;
                waiting.cut = cut;
            }
            None => {
                state.waiting.insert(table, Waiting { tickets: vec![ticket], content, cut });
            }
        }
        self.shared.wake.notify_one();
    }

    /// The next text that is made and waits for being named.
    pub(crate) fn poll_made(&mut self) -> Option<Made> {
        self.shared.lock().made.pop_front()
    }

    /// A text has a name now and is to be written; unless a newer content waits, which then stands for its saves, too.
    pub(crate) fn accept(&self, made: Made) {
        let Made { table, tickets, content, .. } = made;
        let mut state = self.shared.lock();
        match state.waiting.get_mut(&table) {
            Some(newer) => drop(newer.tickets.splice(..0, tickets)),
            None => drop(state.waiting.insert(table, Waiting { tickets, content: content.into(), cut: None })),
        }
        self.shared.wake.notify_one();
    }

    /// Has a folder removed with all in it.
    pub(crate) fn remove_dir(&self, dir: PathBuf) {
        self.shared.lock().rubbish.push_back(dir);
        self.shared.wake.notify_one();
    }

    /// The next save that is done.
    pub fn poll_saved(&mut self) -> Option<(Ticket, Result<(), String>)> {
        self.poll_done().map(|saved| (saved.ticket, saved.result))
    }

    /// The next save that is done, with all about it.
    pub(crate) fn poll_done(&mut self) -> Option<Saved> {
        self.shared.lock().done.pop_front()
    }

    /// Ends the thread after it has saved all.
    pub fn close(mut self) {
        self.finish();
    }

    /// [`Tables::close`], after which answers can still be polled.
    pub(crate) fn finish(&mut self) {
        self.stop(Stop::AfterWork);
    }

    fn stop(&mut self, stop: Stop) {
        self.shared.lock().stop = stop;
        self.shared.wake.notify_one();
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so.
            let _ = thread.join();
        } else if stop == Stop::AfterWork {
            while step(&self.shared) {}
        }
    }
}

/// Whether a file says nothing. Neither Petrel nor Java writes an object without fields, but who clears a file by hand does.
fn is_blank(content: &[u8]) -> bool {
    matches!(content.trim_ascii(), b"" | b"{}")
}

impl Drop for Tables {
    fn drop(&mut self) {
        if self.thread.is_some() {
            self.stop(Stop::AtOnce);
        }
    }
}

fn run(shared: &Shared) {
    loop {
        let mut state = shared.lock();
        while state.waiting.is_empty() && state.rubbish.is_empty() && state.stop == Stop::No {
            state = shared.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.stop == Stop::AtOnce {
            return;
        }
        drop(state);
        if !step(shared) {
            return;
        }
    }
}

/// Saves a table or removes a folder. Answers whether there was anything to do.
fn step(shared: &Shared) -> bool {
    let mut state = shared.lock();
    if let Some((table, Waiting { tickets, content, cut })) = state.waiting.pop_first() {
        drop(state);
        if let Some(cut) = cut {
            let content = content.into_bytes();
            let made = Made { table, cut, identity: Identity::of(&content), tickets, content };
            shared.lock().made.push_back(made);
            (shared.notify)();
            return true;
        }
        let (path, content) = (shared.paths.path(table), content.into_bytes());
        let result = replace(&shared.disk, path, &content).map_err(|error| format!("{}: {error}", path.display()));
        if let Err(error) = &result {
            tracing::error!(error, "a table could not be saved");
        }
        let identity = Identity::of(&content);
        let mut state = shared.lock();
        state.done.extend(tickets.into_iter().map(|ticket| Saved { ticket, table, identity, result: result.clone() }));
        drop(state);
        (shared.notify)();
    } else if let Some(dir) = state.rubbish.pop_front() {
        drop(state);
        if let Err(error) = shared.disk.remove_dir_all(&dir) {
            tracing::warn!(path = %dir.display(), %error, "a folder could not be removed");
        }
    } else {
        return false;
    }
    true
}

/// Puts new content in the place of a file, durably; the old one becomes its `.bak`.
fn replace(disk: &Disk, path: &Path, content: &[u8]) -> io::Result<()> {
    let new = with_suffix(path, ".tmp");
    disk.write_synced(&new, content)?;
    if disk.exists(path) {
        // Whoever kept it from others meant the next content too.
        disk.copy_mode(path, &new)?;
        let bak = with_suffix(path, ".bak");
        let second_name = with_suffix(path, ".bak.tmp");
        disk.remove_file(&second_name)?;
        match disk.link(path, &second_name) {
            Ok(()) => disk.rename(&second_name, &bak)?,
            // No second names on this file system: as Java does, the file is missing for a moment.
            Err(_) => disk.rename(path, &bak)?,
        }
    }
    disk.rename(&new, path)?;
    match path.parent() {
        Some(dir) => disk.sync_path(dir),
        None => Ok(()),
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use std::sync::{
        atomic::{AtomicBool, Ordering},
        mpsc,
    };

    use route_core::{Timestamp, broker::offsets::OffsetTable};

    use super::*;
    use crate::{
        config::StoreDisk,
        simulation::{FailingDisk, Operation},
    };

    fn text(bytes: &[u8]) -> Result<String, String> {
        let text = String::from_utf8(bytes.to_vec()).map_err(|error| error.to_string())?;
        if text.starts_with('{') { Ok(text) } else { Err("no JSON".into()) }
    }

    /// Tables in a folder, and a way to wait for their next answer.
    fn open(dir: &Path) -> (Tables, mpsc::Receiver<()>) {
        let (ring, bell) = mpsc::channel();
        let ring = Mutex::new(ring);
        let notifier: Notifier = Arc::new(move || {
            let _ = ring.lock().unwrap().send(());
        });
        (Tables::open(TablePaths::in_dir(dir), notifier).unwrap(), bell)
    }

    fn saved(tables: &mut Tables, bell: &mpsc::Receiver<()>) -> (Ticket, Result<(), String>) {
        loop {
            if let Some(saved) = tables.poll_saved() {
                return saved;
            }
            bell.recv_timeout(std::time::Duration::from_secs(20)).unwrap();
        }
    }

    #[test]
    fn a_save_leaves_the_previous_content_beside_the_new_one() {
        let dir = tempfile::tempdir().unwrap();
        let (mut tables, bell) = open(dir.path());
        for (number, content) in [(1, "{1}"), (2, "{2}")] {
            tables.save(Ticket(number), Table::Topics, content.into());
            assert_eq!(saved(&mut tables, &bell), (Ticket(number), Ok(())));
        }
        let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
        assert_eq!((read("topics.json"), read("topics.json.bak")), ("{2}".into(), "{1}".into()));
        assert_eq!(tables.load(Table::Topics, text).unwrap().as_deref(), Some("{2}"));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2, "nothing else is left");
    }

    #[test]
    fn a_damaged_file_gives_way_to_its_bak_and_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let (tables, _bell) = open(dir.path());
        std::fs::write(dir.path().join("topics.json"), "garbage").unwrap();
        std::fs::write(dir.path().join("topics.json.bak"), "{old}").unwrap();
        assert_eq!(tables.load(Table::Topics, text).unwrap().as_deref(), Some("{old}"));
        assert!(!dir.path().join("topics.json").exists());
        assert_eq!(std::fs::read(dir.path().join("topics.json.damaged")).unwrap(), b"garbage");
    }

    #[test]
    fn a_table_that_was_cut_off_anywhere_gives_way_to_its_bak_and_is_told() {
        let whole = br#"{"dataVersion":{"counter":3},"topicConfigTable":{"T":{"topicName":"T"}}}"#;
        let json =
            |bytes: &[u8]| serde_json::from_slice::<serde_json::Value>(bytes).map(|_| bytes.len()).map_err(|error| error.to_string());
        for len in 1..whole.len() {
            let dir = tempfile::tempdir().unwrap();
            let (tables, _bell) = open(dir.path());
            let path = dir.path().join("topics.json");
            std::fs::write(&path, &whole[..len]).unwrap();
            let alone = tables.load(Table::Topics, json).unwrap_err();
            assert!(matches!(&alone, TableError::Damaged { bak: BadBak::Missing, .. }), "{len} bytes: {alone}");
            assert!(alone.to_string().starts_with(&format!("{}: damaged, and there is no .bak", path.display())), "{alone}");
            std::fs::write(with_suffix(&path, ".bak"), whole).unwrap();
            assert_eq!(tables.load(Table::Topics, json).unwrap(), Some(whole.len()), "{len} bytes");
            assert_eq!(std::fs::read(with_suffix(&path, ".damaged")).unwrap(), whole[..len]);
            std::fs::write(&path, &whole[..len]).unwrap();
            std::fs::write(with_suffix(&path, ".bak"), &whole[..len]).unwrap();
            assert!(tables.load(Table::Topics, json).unwrap_err().to_string().contains("so is its .bak"), "{len} bytes");
        }
    }

    #[test]
    fn a_write_that_ends_half_way_leaves_the_table_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let full = Arc::new(AtomicBool::new(false));
        let is_full = Arc::clone(&full);
        let disk = FailingDisk::new(move |operation, _| match operation {
            Operation::Write if is_full.load(Ordering::Relaxed) => Err(io::ErrorKind::StorageFull.into()),
            _ => Ok(()),
        });
        let mut tables =
            Tables::open_on(StoreDisk::from(disk).0, TablePaths::in_dir(dir.path()), Arc::new(|| {}), Background::Stepped).unwrap();
        let mut save = |number, content: &'static str, is_full| {
            full.store(is_full, Ordering::Relaxed);
            tables.save(Ticket(number), Table::Topics, content.into());
            assert!(tables.step());
            let result = tables.poll_saved().unwrap().1;
            (result.is_ok(), tables.load(Table::Topics, text).unwrap())
        };
        assert_eq!(save(1, "{the first}", false), (true, Some("{the first}".to_owned())));
        assert_eq!(save(2, "{the second}", true), (false, Some("{the first}".to_owned())));
        assert_eq!(std::fs::read(dir.path().join("topics.json.tmp")).unwrap(), b"{the s", "so far it came");
        assert_eq!(save(3, "{third}", false), (true, Some("{third}".to_owned())));
        assert_eq!(std::fs::read(dir.path().join("topics.json.bak")).unwrap(), b"{the first}");
    }

    #[test]
    fn a_table_that_was_cleared_gives_way_to_its_bak() {
        let dir = tempfile::tempdir().unwrap();
        let (tables, _bell) = open(dir.path());
        std::fs::write(dir.path().join("topics.json.bak"), "{old}").unwrap();
        for cleared in ["", "\n", "{}", " {}\n"] {
            std::fs::write(dir.path().join("topics.json"), cleared).unwrap();
            assert_eq!(tables.load(Table::Topics, text).unwrap().as_deref(), Some("{old}"), "{cleared:?}");
        }
    }

    #[test]
    fn a_table_that_is_damaged_twice_is_an_error_and_one_that_is_absent_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let (tables, _bell) = open(dir.path());
        assert_eq!(tables.load(Table::Topics, text).unwrap(), None);
        std::fs::write(dir.path().join("topics.json"), "garbage").unwrap();
        assert!(matches!(tables.load(Table::Topics, text), Err(TableError::Damaged { .. })));
        assert!(dir.path().join("topics.json").exists(), "it stays where it is");
        std::fs::write(dir.path().join("topics.json"), "").unwrap();
        assert_eq!(tables.load(Table::Topics, text).unwrap(), None, "an empty file is none, as for Java");
    }

    #[test]
    fn every_ticket_is_answered_and_the_last_content_wins() {
        let dir = tempfile::tempdir().unwrap();
        let (mut tables, bell) = open(dir.path());
        for number in 0..200 {
            tables.save(Ticket(number), Table::ConsumerOffsets, format!("{{{number}}}").into_bytes().into());
        }
        for number in 0..200 {
            assert_eq!(saved(&mut tables, &bell), (Ticket(number), Ok(())));
        }
        assert_eq!(tables.load(Table::ConsumerOffsets, text).unwrap().as_deref(), Some("{199}"));
    }

    #[test]
    fn closing_waits_for_what_is_to_be_saved() {
        let dir = tempfile::tempdir().unwrap();
        let (tables, _bell) = open(dir.path());
        tables.save(Ticket(1), Table::DelayOffsets, "{}".into());
        tables.save(Ticket(2), Table::KvConfig, "{}".into());
        tables.close();
        assert!(dir.path().join("delayOffset.json").exists() && dir.path().join("kvConfig.json").exists());
    }

    #[test]
    fn a_save_that_fails_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let (mut tables, bell) = open(dir.path());
        std::fs::create_dir(dir.path().join("topics.json.tmp")).unwrap();
        tables.save(Ticket(7), Table::Topics, "{}".into());
        let (ticket, result) = saved(&mut tables, &bell);
        assert!(ticket == Ticket(7) && result.is_err_and(|error| error.contains("topics.json")));
    }

    /// A table that speaks of nothing, and whose text is not made.
    fn unmade(offset: i64) -> TableContent {
        let mut table = OffsetTable::new(Timestamp(0), 1);
        table.restore("T@g", 0, offset);
        TableContent::Offsets(table.snapshot())
    }

    fn stepped(dir: &Path) -> Tables {
        Tables::open_on(Disk::system(), TablePaths::in_dir(dir), Arc::new(|| {}), Background::Stepped).unwrap()
    }

    fn saved_offset(tables: &Tables) -> Option<i64> {
        let offset = |text: String| {
            text.lines().find_map(|line| line.trim().strip_prefix("0:").or(line.trim().strip_prefix("\"0\":"))?.trim().parse().ok())
        };
        tables.load(Table::ConsumerOffsets, text).unwrap().and_then(offset)
    }

    #[test]
    fn a_text_that_is_to_be_named_is_not_written_before_it_was_accepted() {
        let dir = tempfile::tempdir().unwrap();
        let mut tables = stepped(dir.path());
        tables.save_as_of(Ticket(1), Table::ConsumerOffsets, unmade(7), Some(Cut::NONE));
        assert!(tables.step() && !tables.step());
        assert_eq!((saved_offset(&tables), tables.poll_saved()), (None, None));
        let made = tables.poll_made().unwrap();
        let identity = made.identity;
        tables.accept(made);
        assert!(tables.step());
        let saved = tables.poll_done().unwrap();
        assert_eq!((saved.ticket, saved.result, saved.identity), (Ticket(1), Ok(()), identity));
        assert_eq!(saved_offset(&tables), Some(7));
    }

    #[test]
    fn an_older_text_gives_way_to_a_newer_content_that_waits_and_its_ticket_is_answered_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let mut tables = stepped(dir.path());
        tables.save_as_of(Ticket(1), Table::ConsumerOffsets, unmade(7), Some(Cut::NONE));
        assert!(tables.step());
        tables.save(Ticket(2), Table::ConsumerOffsets, unmade(8).into_bytes().into());
        let made = tables.poll_made().unwrap();
        tables.accept(made);
        while tables.step() {}
        let answers: Vec<_> = std::iter::from_fn(|| tables.poll_saved()).collect();
        assert_eq!(answers, [(Ticket(1), Ok(())), (Ticket(2), Ok(()))]);
        assert_eq!(saved_offset(&tables), Some(8));
    }
}
