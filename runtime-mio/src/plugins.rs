//! The plugins of a broker: their folder, and the thread that lists it, loads from it and writes to it.
//!
//! What is in use is decided by [`PluginShelf`]; who runs plugins stands behind [`PluginHost`]. Compiling takes tens of milliseconds, and files are
//! on a disk: the loop does neither.

use std::{
    collections::VecDeque,
    fmt, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use route_core::{
    output::{NoticeLevel, PeerId, PluginChange},
    plugins::{
        PluginInfo, Plugins,
        shelf::{Lying, PluginShelf, ShelfOutput, Stamp},
    },
};
use store::Notifier;

mod folder;
#[cfg(feature = "wasm")]
mod wasm;

pub use folder::{PluginFolder, read_limited};

/// The room of a broker whose store lies at `root`; `None` if this build runs no plugins.
///
/// # Errors
/// One line that says what the system refuses.
pub fn room(root: &Path, notifier: Notifier) -> Result<Option<PluginRoom>, String> {
    let path = root.join(PluginFolder::NAME);
    let Some(host) = host(&path) else { return Ok(None) };
    PluginRoom::open(path, host, notifier).map(Some).map_err(|error| format!("no thread for plugins: {error}"))
}

#[cfg(feature = "wasm")]
#[expect(clippy::unnecessary_wraps, reason = "other builds have none")]
fn host(path: &Path) -> Option<Arc<dyn PluginHost>> {
    Some(Arc::new(wasm::WasmHost::new(path)))
}

#[cfg(not(feature = "wasm"))]
fn host(_path: &Path) -> Option<Arc<dyn PluginHost>> {
    None
}

/// Whether a file is a plugin that a broker of this build would run with this policy; a build that runs none takes each.
///
/// # Errors
/// One line that says what is wrong with it.
#[cfg(feature = "wasm")]
pub fn try_file(file: &[u8], policy: &str) -> Result<(), String> {
    wasm::try_file(file, policy)
}

/// Whether a file is a plugin that a broker of this build would run with this policy; a build that runs none takes each.
///
/// # Errors
/// None.
#[cfg(not(feature = "wasm"))]
pub fn try_file(_file: &[u8], _policy: &str) -> Result<(), String> {
    Ok(())
}

/// Time between two looks into the folder.
const LOOK: Duration = Duration::from_secs(1);

/// How long an end waits for the thread, which may compile something for seconds: that is for nobody any more.
const PATIENCE: Duration = Duration::from_millis(300);

/// How long a start waits for plugins. Those whose compiled code is kept are there in a thousandth of that.
const START: Duration = Duration::from_millis(500);

/// Things to do, and things done, that wait between loop and thread.
const WAITING: usize = 2 * PluginShelf::LIMIT;

/// Puts a plugin that was loaded in the place of the version before, for all who use that, from their next batch on; or says in one line why it has
/// no place.
pub type Install<'a> = Box<dyn FnOnce() -> Result<(), String> + 'a>;

/// Who runs plugins. A policy says what becomes of messages that a plugin fails on; empty is the host's own. Called by the thread of plugins alone,
/// but for what [`Plugins`] has.
pub trait PluginHost: Plugins {
    /// Loads a file with this policy, and changes nothing before the answer is called.
    ///
    /// # Errors
    /// One line that says what is wrong with it.
    fn load<'a>(&'a self, name: &'a str, file: &[u8], policy: &str) -> Result<Install<'a>, String>;

    /// Notes why the file that lies there is not used; the version before stays.
    fn refuse(&self, name: &str, why: &str);

    /// Another number when other plugins are in use than before, be it that one has switched itself off.
    fn revision(&self) -> u64;

    /// About a second has passed: what was not told at once may be told now.
    fn tick(&self);

    /// Nobody gets the plugin any more. `disabled` tells that it is still there, switched off.
    fn unload(&self, name: &str, disabled: bool);
}

/// Whom an answer goes to.
type Asker = Option<(PeerId, i32)>;

enum Errand {
    Load { name: Box<str>, stamp: Stamp },
    Change { asked: Asker, name: Arc<str>, change: PluginChange },
}

/// A plugin after a change: what lies there, and what it is.
struct Found {
    lying: Lying,
    info: PluginInfo,
}

enum Done {
    Listed(Vec<Lying>),
    Loaded { name: Box<str>, stamp: Stamp, outcome: Result<(), String> },
    Changed { asked: Asker, name: Arc<str>, outcome: Result<Option<Box<Found>>, String> },
}

/// What a broker has to hear.
#[derive(Debug)]
pub enum PluginEvent {
    /// Other plugins are in use than before.
    Changed,
    /// What somebody asked for is done: the plugin as it is now, or why nothing was changed.
    Answer(Asker, Box<Result<Option<PluginInfo>, String>>),
    /// Something for the operator.
    Notice(NoticeLevel, String),
}

/// The plugins of one broker.
pub struct PluginRoom {
    shelf: PluginShelf,
    host: Arc<dyn PluginHost>,
    errands: Option<SyncSender<Errand>>,
    done: Receiver<Done>,
    thread: Option<JoinHandle<()>>,
    /// Told to the thread: nothing is to be written any more.
    closing: Arc<AtomicBool>,
    /// Answers that have come before what the shelf makes of them.
    answers: VecDeque<PluginEvent>,
    /// What the broker has been told of.
    revision: u64,
}

impl fmt::Debug for PluginRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PluginRoom").field("shelf", &self.shelf).field("host", &self.host).finish_non_exhaustive()
    }
}

impl PluginRoom {
    /// Loads what lies in the folder, and keeps an eye on it from then on; `notifier` wakes the loop.
    ///
    /// # Errors
    /// There can be no thread.
    pub fn open(path: PathBuf, host: Arc<dyn PluginHost>, notifier: Notifier) -> io::Result<Self> {
        let closing = Arc::new(AtomicBool::new(false));
        let folder = PluginFolder::new(path);
        let mut worker = Worker { folder, host: Arc::clone(&host), closing: Arc::clone(&closing), listed: Vec::new(), told: Vec::new() };
        let (errands, to_do) = sync_channel(WAITING);
        let (tell, done) = sync_channel(WAITING);
        worker.folder.tidy();
        worker.told = worker.folder.list();
        worker.listed.clone_from(&worker.told);
        let lying = worker.told.clone();
        let thread = thread::Builder::new().name("petrel-plugins".to_owned()).spawn(move || worker.run(&to_do, &tell, &notifier))?;
        let (shelf, answers, revision) = (PluginShelf::new(), VecDeque::new(), 0);
        let mut room = Self { shelf, host, errands: Some(errands), done, thread: Some(thread), closing, answers, revision };
        room.shelf.handle_listed(lying);
        room.wait_for_loads();
        room.revision = room.host.revision();
        Ok(room)
    }

    /// Waits until all is loaded that lies there, so that nobody who comes early is refused for want of it; but not for what is long to compile.
    fn wait_for_loads(&mut self) {
        let (until, mut loading) = (Instant::now() + START, 0_usize);
        loop {
            while let Some(output) = self.shelf.poll_output() {
                match output {
                    ShelfOutput::Load { name, stamp } => loading += usize::from(self.hand_over(Errand::Load { name, stamp }).is_ok()),
                    ShelfOutput::Unload { name, disabled } => self.host.unload(&name, disabled),
                    ShelfOutput::Changed => {}
                    ShelfOutput::Notice(level, text) => self.answers.push_back(PluginEvent::Notice(level, text)),
                }
            }
            if loading == 0 {
                return;
            }
            let left = until.saturating_duration_since(Instant::now());
            let Ok(done) = self.done.recv_timeout(left) else { break };
            loading -= usize::from(matches!(done, Done::Loaded { .. }));
            self.handle_done(done);
        }
        let text = format!("{loading} plugins are still being compiled; who needs them is served when they are loaded");
        self.answers.push_back(PluginEvent::Notice(NoticeLevel::Warn, text));
    }

    /// What the broker finds plugins in.
    #[must_use]
    pub fn plugins(&self) -> Arc<dyn Plugins> {
        Arc::clone(&self.host) as Arc<dyn Plugins>
    }

    /// Whether something has happened without a wake: a plugin that failed too often has switched itself off.
    #[must_use]
    pub fn has_moved(&self) -> bool {
        self.host.revision() != self.revision
    }

    /// Starts a change; the outcome comes as an event.
    pub fn change(&mut self, asked: Asker, name: Arc<str>, change: PluginChange) {
        if let Err(errand) = self.hand_over(Errand::Change { asked, name, change })
            && let Errand::Change { asked, .. } = errand
        {
            self.answers.push_back(PluginEvent::Answer(
                asked,
                Box::new(Err("too many plugins are being changed: try again in a moment".to_owned())),
            ));
        }
    }

    /// What has happened; drained after each wake and each change.
    pub fn poll_event(&mut self) -> Option<PluginEvent> {
        loop {
            if let Some(answer) = self.answers.pop_front() {
                return Some(answer);
            }
            match self.shelf.poll_output() {
                Some(ShelfOutput::Load { name, stamp }) => {
                    // The shelf has fewer plugins than there is room; a thread that is gone loads nothing.
                    drop(self.hand_over(Errand::Load { name, stamp }));
                }
                Some(ShelfOutput::Unload { name, disabled }) => self.host.unload(&name, disabled),
                // The host's number tells it, too, and of what no shelf knows.
                Some(ShelfOutput::Changed) => {}
                Some(ShelfOutput::Notice(level, text)) => return Some(PluginEvent::Notice(level, text)),
                None => match self.done.try_recv() {
                    Ok(done) => self.handle_done(done),
                    Err(TryRecvError::Empty | TryRecvError::Disconnected) if self.has_moved() => {
                        self.revision = self.host.revision();
                        return Some(PluginEvent::Changed);
                    }
                    Err(TryRecvError::Empty | TryRecvError::Disconnected) => return None,
                },
            }
        }
    }

    fn handle_done(&mut self, done: Done) {
        match done {
            Done::Listed(listed) => self.shelf.handle_listed(listed),
            Done::Loaded { name, stamp, outcome } => {
                self.shelf.handle_loaded(&name, stamp, outcome.as_ref().copied().map_err(String::as_str));
            }
            Done::Changed { asked, name, outcome } => {
                let outcome = outcome.map(|changed| {
                    let Some(Found { lying, mut info }) = changed.map(|found| *found) else {
                        self.shelf.handle_changed(&name, None);
                        return None;
                    };
                    if lying.disabled {
                        // It is switched off by what follows now.
                        info.state = "disabled".to_owned();
                    }
                    self.shelf.handle_changed(&name, Some(lying));
                    Some(info)
                });
                self.answers.push_back(PluginEvent::Answer(asked, Box::new(outcome)));
            }
        }
    }

    fn hand_over(&self, errand: Errand) -> Result<(), Errand> {
        match &self.errands {
            Some(errands) => errands.try_send(errand).map_err(|refused| match refused {
                std::sync::mpsc::TrySendError::Full(errand) | std::sync::mpsc::TrySendError::Disconnected(errand) => errand,
            }),
            None => Err(errand),
        }
    }

    /// Ends the thread after what it is at, if that does not take long. One that goes on compiling changes nothing on disk any more but the cache of
    /// compiled code, and ends with the process.
    pub fn close(mut self) {
        self.errands = None;
        self.closing.store(true, Ordering::Relaxed);
        let until = Instant::now() + PATIENCE;
        // The thread drops its end when it is done; what it may still want to tell is for nobody.
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            match self.done.recv_timeout(left) {
                Ok(_) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    if let Some(thread) = self.thread.take() {
                        drop(thread.join());
                    }
                    return;
                }
                Err(RecvTimeoutError::Timeout) => break,
            }
        }
        tracing::info!("a plugin is still being compiled, and is left");
    }
}

/// What the thread works with.
struct Worker {
    folder: PluginFolder,
    host: Arc<dyn PluginHost>,
    closing: Arc<AtomicBool>,
    /// What lay there at the last look, and what of it was told.
    listed: Vec<Lying>,
    told: Vec<Lying>,
}

impl Worker {
    /// Works until nobody wants anything any more.
    fn run(mut self, errands: &Receiver<Errand>, tell: &SyncSender<Done>, notifier: &Notifier) {
        loop {
            let done = match errands.recv_timeout(LOOK) {
                Ok(Errand::Load { name, stamp }) => {
                    let outcome = self.load(&name);
                    Some(Done::Loaded { name, stamp, outcome })
                }
                Ok(Errand::Change { asked, name, change }) => {
                    let outcome = self.change(&name, change);
                    Some(Done::Changed { asked, name, outcome })
                }
                Err(RecvTimeoutError::Timeout) => {
                    self.host.tick();
                    self.look()
                }
                Err(RecvTimeoutError::Disconnected) => return,
            };
            if let Some(done) = done {
                if tell.send(done).is_err() {
                    return;
                }
                notifier();
            }
        }
    }

    /// What has changed in the folder and stays as it is for the length of a look: files that are still being written are not news.
    fn look(&mut self) -> Option<Done> {
        let listed = self.folder.list();
        let settled = listed == self.listed;
        self.listed = listed;
        if !settled || self.listed == self.told {
            return None;
        }
        self.told.clone_from(&self.listed);
        Some(Done::Listed(self.told.clone()))
    }

    fn load(&self, name: &str) -> Result<(), String> {
        let file = self.folder.read(name).map_err(|error| format!("its file cannot be read: {error}"));
        let used = file.and_then(|file| self.host.load(name, &file, &self.folder.policy(name))?());
        if let Err(why) = &used {
            self.host.refuse(name, why);
        }
        used
    }

    /// Changes what lies in the folder, and uses it at once.
    fn change(&mut self, name: &str, change: PluginChange) -> Result<Option<Box<Found>>, String> {
        let failed = |error: io::Error| format!("{}: {error}", self.folder.path().display());
        match change {
            PluginChange::Install { file, policy } => {
                let before = self.folder.policy(name);
                let install = self.host.load(name, &file, if policy.is_empty() { &before } else { &policy });
                let install = install.map_err(|why| format!("the plugin '{name}' is refused: {why}"))?;
                if self.closing.load(Ordering::Relaxed) {
                    return Err("the broker stops".to_owned());
                }
                self.folder.write(name, &file, &policy).map_err(failed)?;
                install()?;
            }
            PluginChange::Enable => {
                self.folder.enable(name).map_err(failed)?;
                let at_work = |plugin: &PluginInfo| plugin.name == name && plugin.state == "active" && plugin.last_error.is_empty();
                if !self.host.list().iter().any(at_work) {
                    self.load(name)?;
                }
            }
            PluginChange::Disable => self.folder.disable(name).map_err(failed)?,
            PluginChange::Remove => self.folder.remove(name).map_err(failed)?,
        }
        let lying = self.folder.list().into_iter().find(|lying| *lying.name == *name);
        // Now: when this is answered, the next who installs may have been here.
        let known = self.host.list().into_iter().find(|plugin| *plugin.name == *name);
        let info = known.unwrap_or_else(|| PluginInfo { name: name.to_owned(), ..PluginInfo::default() });
        Ok(lying.map(|lying| Box::new(Found { lying, info })))
    }
}

#[cfg(test)]
mod tests;
