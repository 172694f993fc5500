//! Brings log and queues to disk, in this order, beside the loop.
//!
//! The log goes first, then the queues, then the checkpoint that says so: what is said to be on disk always is. A watermark moves
//! only after success. The first failure ends it all: the system marks pages clean although they did not reach the disk, and a
//! second attempt would "succeed".

use std::{
    collections::{BTreeSet, VecDeque},
    fmt, io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak,
        atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU32, Ordering},
    },
    thread::{self, JoinHandle, Thread},
    time::{Duration, Instant},
};

use crate::{
    checkpoint::{Checkpoint, Mark},
    commit_log::OpenedFile,
    config::{FlushDiskType, StoreConfig},
    disk::{Access, Disk, PAGE},
    event::{Background, Notifier},
    mapping::Mapping,
    priority,
    progress::{Position, Progress},
    sync_size::SyncSize,
};

/// From so many files or folders on, the whole file system is synced instead of each of them.
const SYNC_ALL_FROM: usize = 64;

/// From so many bytes on it pays to take pages of a queue out of the page table before they are synced.
const MANY_PAGES: usize = 16 << 10;

/// What the flusher goes by.
#[derive(Clone, Debug)]
pub(crate) struct FlushPolicy {
    pub(crate) flush_disk_type: FlushDiskType,
    pub(crate) log_interval: Duration,
    pub(crate) log_least_pages: u32,
    pub(crate) log_thorough_interval: Duration,
    pub(crate) queue_interval: Duration,
}

impl FlushPolicy {
    /// What a configuration says of it.
    pub(crate) const fn of(config: &StoreConfig) -> Self {
        Self {
            flush_disk_type: config.flush_disk_type,
            log_interval: config.flush_interval_commit_log,
            log_least_pages: config.flush_commit_log_least_pages,
            log_thorough_interval: config.flush_commit_log_thorough_interval,
            queue_interval: config.flush_interval_consume_queue,
        }
    }
}

/// Where the flusher begins, and where things lie.
#[derive(Debug)]
pub(crate) struct FlushStart {
    pub(crate) disk: Disk,
    pub(crate) commit_log_dir: PathBuf,
    pub(crate) consume_queue_dir: PathBuf,
    pub(crate) checkpoint_path: PathBuf,
    pub(crate) checkpoint: Checkpoint,
    /// The log is on disk up to here.
    pub(crate) flushed: i64,
    /// Files of the log behind that which may not be on disk.
    pub(crate) unsynced_log: Vec<PathBuf>,
    /// Files and folders of queues that may not be on disk.
    pub(crate) unsynced: Vec<PathBuf>,
    /// The mark stays where it is until it is [let go](FlushShared::let_mark_go).
    pub(crate) mark_held: bool,
    /// Is told what the syncs of the log are like.
    pub(crate) sync_size: Arc<SyncSize>,
    pub(crate) policy: FlushPolicy,
}

/// A file of a consume queue that is written to from now on.
#[derive(Debug)]
pub(crate) struct OpenedQueueFile {
    pub(crate) path: PathBuf,
    /// Gone when the queue has given it up; its content then waits for the disk under its path.
    pub(crate) mapping: Weak<Mapping>,
    /// Bytes at its front that were on disk when it was opened.
    pub(crate) synced: usize,
    /// Folders whose names changed for it.
    pub(crate) dirs: Vec<PathBuf>,
}

/// What the loop tells the flusher, and it tells back.
pub(crate) struct FlushShared {
    pub(crate) progress: Progress,
    durable: AtomicI64,
    /// Log and queues are on disk up to here.
    settled: AtomicI64,
    failed: OnceLock<String>,
    poisoned: AtomicBool,
    requested: AtomicBool,
    stop: AtomicU8,
    /// How many queues have files; for the checkpoint of a clean stop.
    pub(crate) queues: AtomicU32,
    /// The next start is to build all queues anew from here on; -1 if it need not.
    rebuild_from: AtomicI64,
    /// Queues were not looked at since a crash: the mark must not move.
    mark_held: AtomicBool,
    /// Store time of the last message whose place in the index is on disk …
    index_time: AtomicI64,
    /// … and the one of which the checkpoint says so.
    index_checkpointed: AtomicI64,
    opened: Mutex<Opened>,
    notify: Notifier,
}

impl fmt::Debug for FlushShared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FlushShared").field("durable", &self.durable).finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct Opened {
    log: Vec<OpenedFile>,
    queues: Vec<OpenedQueueFile>,
    /// What the flusher is to go by from now on.
    policy: Option<FlushPolicy>,
}

const RUN: u8 = 0;
const STOP_AS_IT_IS: u8 = 1;
const STOP_CLEAN: u8 = 2;

impl FlushShared {
    fn opened(&self) -> MutexGuard<'_, Opened> {
        // Nothing under this lock panics half-way through a change.
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A file of the log is written to from now on. To be told before any progress in it.
    pub(crate) fn log_opened(&self, file: OpenedFile) {
        self.opened().log.push(file);
    }

    /// The flusher is to go by something else from its next round on.
    pub(crate) fn set_policy(&self, policy: FlushPolicy) {
        self.opened().policy = Some(policy);
    }

    /// A file of a queue is written to from now on. To be told before any progress in it.
    pub(crate) fn queue_opened(&self, file: OpenedQueueFile) {
        self.opened().queues.push(file);
    }

    /// A queue lacks units: the checkpoint is to say so, for a log that begins at `log_start`.
    pub(crate) fn rebuild_queues_from(&self, log_start: i64) {
        self.rebuild_from.store(log_start, Ordering::Release);
    }

    /// All queues have been looked at, and the flusher was told what that changed: the mark may move.
    pub(crate) fn let_mark_go(&self) {
        self.mark_held.store(false, Ordering::Release);
    }

    /// The log is on disk up to here.
    pub(crate) fn durable(&self) -> i64 {
        self.durable.load(Ordering::Acquire)
    }

    /// Log and queues are on disk up to here, as far as that was seen to since the start.
    pub(crate) fn settled(&self) -> i64 {
        self.settled.load(Ordering::Acquire)
    }

    /// Whether a flush has failed.
    #[inline]
    pub(crate) fn is_poisoned(&self) -> bool {
        self.poisoned.load(Ordering::Acquire)
    }

    /// Why a flush has failed.
    pub(crate) fn failure(&self) -> Option<&str> {
        self.failed.get().map(String::as_str)
    }

    /// Messages stored at this time or before are in the index, and that is on disk. The next checkpoint says so.
    pub(crate) fn index_told(&self, store_timestamp: i64) {
        self.index_time.store(store_timestamp, Ordering::Release);
    }

    /// What the checkpoint on disk says about that.
    pub(crate) fn index_checkpointed(&self) -> i64 {
        self.index_checkpointed.load(Ordering::Acquire)
    }

    pub(crate) fn poison(&self, what: &str, error: &io::Error) {
        let text = format!("{what} could not be brought to disk: {error}");
        tracing::error!("{text}; no more writes are taken, reads go on");
        // Only the first failure counts.
        let _ = self.failed.set(text);
        self.poisoned.store(true, Ordering::Release);
        (self.notify)();
    }
}

/// The one who flushes: a thread, or whoever calls [`Flusher::step`].
pub(crate) struct Flusher {
    shared: Arc<FlushShared>,
    runs: Runs,
}

enum Runs {
    Thread(JoinHandle<()>, Thread),
    Stepped(Box<Work>),
    Ended,
}

impl Flusher {
    /// Starts it.
    ///
    /// # Errors
    /// If no thread can be started.
    pub(crate) fn start(start: FlushStart, notify: Notifier, background: Background) -> io::Result<Self> {
        let shared = Arc::new(FlushShared {
            progress: Progress::default(),
            durable: AtomicI64::new(start.flushed),
            settled: AtomicI64::new(0),
            failed: OnceLock::new(),
            poisoned: AtomicBool::new(false),
            requested: AtomicBool::new(false),
            stop: AtomicU8::new(RUN),
            queues: AtomicU32::new(0),
            rebuild_from: AtomicI64::new(-1),
            mark_held: AtomicBool::new(start.mark_held),
            index_time: AtomicI64::new(0),
            index_checkpointed: AtomicI64::new(start.checkpoint.java.index_msg_timestamp),
            opened: Mutex::default(),
            notify,
        });
        let work = Work::new(start, Arc::clone(&shared));
        let runs = match background {
            Background::Threads => {
                let thread = thread::Builder::new().name("petrel-flush".into()).spawn(move || work.run())?;
                let waker = thread.thread().clone();
                Runs::Thread(thread, waker)
            }
            Background::Stepped => Runs::Stepped(Box::new(work)),
        };
        Ok(Self { shared, runs })
    }

    /// Does what is due `now`, counted from the start, if no thread does.
    pub(crate) fn step(&mut self, now: Duration) {
        if let Runs::Stepped(work) = &mut self.runs
            && !self.shared.is_poisoned()
        {
            work.step(now);
        }
    }

    /// What is shared with the thread.
    pub(crate) fn shared(&self) -> &Arc<FlushShared> {
        &self.shared
    }

    /// Whether it is whoever calls [`Flusher::step`].
    pub(crate) fn is_stepped(&self) -> bool {
        matches!(self.runs, Runs::Stepped(_))
    }

    /// Does what is due at the moment, if no thread does. Answers whether that is so.
    pub(crate) fn step_at_once(&mut self) -> bool {
        self.step(Duration::ZERO);
        self.is_stepped()
    }

    /// Asks for all that is in the log now to be brought to disk, soon.
    pub(crate) fn request(&self) {
        if !self.shared.requested.swap(true, Ordering::AcqRel)
            && let Runs::Thread(_, waker) = &self.runs
        {
            waker.unpark();
        }
    }

    /// Ends it; if `clean`, after all is on disk and the checkpoint says that the store was closed in order.
    pub(crate) fn stop(&mut self, clean: bool) {
        let stop = if clean { STOP_CLEAN } else { STOP_AS_IT_IS };
        self.shared.stop.store(stop, Ordering::Release);
        match std::mem::replace(&mut self.runs, Runs::Ended) {
            Runs::Thread(thread, waker) => {
                waker.unpark();
                if thread.join().is_err() {
                    self.shared.poison("the log", &io::Error::other("the flushing thread has panicked"));
                }
            }
            Runs::Stepped(work) => work.finish(stop),
            Runs::Ended => {}
        }
    }
}

/// A file of a queue and how far it is on disk.
#[derive(Debug)]
struct QueueFile {
    path: PathBuf,
    mapping: Weak<Mapping>,
    synced: usize,
    /// Nothing more is written to it by this mapping.
    finished: bool,
}

/// The time of a record, if one is known.
const fn newer(before: i64, told: i64) -> i64 {
    if told > 0 { told } else { before }
}

struct Work {
    disk: Disk,
    policy: FlushPolicy,
    sync_size: Arc<SyncSize>,
    shared: Arc<FlushShared>,
    commit_log_dir: PathBuf,
    consume_queue_dir: PathBuf,
    checkpoint_path: PathBuf,
    checkpoint: Checkpoint,
    log: VecDeque<OpenedFile>,
    log_dir_changed: bool,
    queues: Vec<QueueFile>,
    dirs: BTreeSet<PathBuf>,
    flushed: i64,
    unsynced_log: Vec<PathBuf>,
    unsynced: Vec<PathBuf>,
    /// What was told about the log when it was flushed last.
    at_flush: Position,
    due: Due,
}

/// When the next rounds begin, counted from the start.
#[derive(Debug)]
struct Due {
    log: Duration,
    log_thorough: Duration,
    queues: Duration,
}

impl Work {
    fn new(start: FlushStart, shared: Arc<FlushShared>) -> Self {
        let FlushStart {
            disk,
            commit_log_dir,
            consume_queue_dir,
            checkpoint_path,
            checkpoint,
            flushed,
            unsynced_log,
            unsynced,
            sync_size,
            policy,
            ..
        } = start;
        let due = Due { log: policy.log_interval, log_thorough: policy.log_thorough_interval, queues: policy.queue_interval };
        Self {
            disk,
            policy,
            sync_size,
            shared,
            commit_log_dir,
            consume_queue_dir,
            checkpoint_path,
            checkpoint,
            log: VecDeque::new(),
            log_dir_changed: false,
            queues: Vec::new(),
            dirs: BTreeSet::new(),
            flushed,
            unsynced_log,
            unsynced,
            at_flush: Position::default(),
            due,
        }
    }

    fn run(mut self) {
        let started = Instant::now();
        if self.policy.flush_disk_type == FlushDiskType::SyncFlush {
            priority::go_first();
        }
        loop {
            let stop = self.shared.stop.load(Ordering::Acquire);
            if stop != RUN {
                return self.finish(stop);
            }
            if self.shared.is_poisoned() {
                // Nothing more to do but to wait for the end.
                thread::park();
                continue;
            }
            let deadline = self.step(started.elapsed());
            thread::park_timeout(deadline.saturating_sub(started.elapsed()));
        }
    }

    /// Does what is due `now`. Answers when something will be due next.
    fn step(&mut self, now: Duration) -> Duration {
        let requested = self.shared.requested.swap(false, Ordering::AcqRel);
        if requested || now >= self.due.log {
            let thorough = requested || now >= self.due.log_thorough || self.policy.flush_disk_type == FlushDiskType::SyncFlush;
            self.flush_log(if thorough { 0 } else { self.policy.log_least_pages });
            self.due.log = now + self.policy.log_interval;
            let thorough_at = now + self.policy.log_thorough_interval;
            self.due.log_thorough = if thorough { thorough_at } else { self.due.log_thorough.min(thorough_at) };
            self.due.queues = self.due.queues.min(now + self.policy.queue_interval);
        }
        if now >= self.due.queues {
            self.flush_queues(false);
            self.due.queues = now + self.policy.queue_interval;
        }
        self.due.log.min(self.due.queues)
    }

    fn finish(mut self, stop: u8) {
        if stop == STOP_CLEAN && !self.shared.is_poisoned() {
            self.flush_log(0);
            if !self.shared.is_poisoned() {
                self.flush_queues(true);
            }
        }
    }

    fn take_opened(&mut self) {
        let mut opened = self.shared.opened();
        if let Some(policy) = opened.policy.take() {
            self.policy = policy;
        }
        for file in opened.log.drain(..) {
            self.log_dir_changed = true;
            self.log.push_back(file);
        }
        for OpenedQueueFile { path, mapping, synced, dirs } in opened.queues.drain(..) {
            self.dirs.extend(dirs);
            self.queues.push(QueueFile { path, mapping, synced, finished: false });
        }
    }

    /// Brings the log to disk if at least so many pages are new.
    fn flush_log(&mut self, least_pages: u32) {
        let position = self.shared.progress.read();
        self.take_opened();
        let page = PAGE as i64;
        let new_pages = position.written / page - self.flushed / page;
        if position.written <= self.flushed || new_pages < i64::from(least_pages) {
            return;
        }
        if let Err(error) = self.sync_log(position.written) {
            return self.shared.poison("the log", &error);
        }
        self.sync_size.note((position.written - self.flushed).unsigned_abs());
        self.flushed = position.written;
        self.at_flush = position;
        self.shared.durable.store(position.written, Ordering::Release);
        (self.shared.notify)();
    }

    fn sync_log(&mut self, to: i64) -> io::Result<()> {
        if self.log_dir_changed {
            self.disk.sync_path(&self.commit_log_dir)?;
            self.log_dir_changed = false;
        }
        self.disk.sync_paths(&self.unsynced_log)?;
        self.unsynced_log.clear();
        for file in &self.log {
            let from = usize::try_from(self.flushed - file.base).unwrap_or(0);
            let to = usize::try_from(to - file.base).unwrap_or(0).min(file.mapping.len());
            if from < to {
                file.mapping.sync(from..to)?;
            }
        }
        while self.log.len() > 1 && self.log.front().is_some_and(|file| file.base + file.mapping.len() as i64 <= to) {
            self.log.pop_front();
        }
        Ok(())
    }

    /// Brings queues to disk, then the checkpoint.
    fn flush_queues(&mut self, clean: bool) {
        // Asked before the changed files are taken: if it is let go, all of them are among those.
        let held = self.shared.mark_held.load(Ordering::Acquire);
        // Units that were there when this position was told are seen below, and so are their files.
        let position = self.shared.progress.read();
        self.take_opened();
        if let Err(error) = self.sync_queues() {
            return self.shared.poison("a consume queue", &error);
        }
        // A mark stands where a record ends, and the log must be on disk up to there.
        let reached = if position.dispatched <= self.flushed { position } else { self.at_flush };
        if !held {
            self.shared.settled.store(reached.dispatched, Ordering::Release);
        }
        let java = &mut self.checkpoint.java;
        let before = (*java, self.checkpoint.mark);
        java.physic_msg_timestamp = newer(java.physic_msg_timestamp, self.at_flush.written_time);
        if !held {
            java.logics_msg_timestamp = newer(java.logics_msg_timestamp, reached.dispatched_time);
        }
        java.index_msg_timestamp = newer(java.index_msg_timestamp, self.shared.index_time.load(Ordering::Acquire));
        let queues = self.shared.queues.load(Ordering::Acquire);
        self.checkpoint.mark = match self.shared.rebuild_from.load(Ordering::Acquire) {
            // It stands where it stood, but what it says of a clean stop was true of that one only.
            -1 if held => self.checkpoint.mark.map(|mark| Mark { clean: false, ..mark }),
            -1 => Some(Mark { position: reached.dispatched, last_record: reached.last_dispatched, queues, clean }),
            log_start => Some(Mark::all_anew(log_start)),
        };
        if (self.checkpoint.java, self.checkpoint.mark) != before {
            self.write_checkpoint();
        }
    }

    fn sync_queues(&mut self) -> io::Result<()> {
        let (mut dirty, mut given_up) = (Vec::new(), Vec::new());
        for file in &mut self.queues {
            match file.mapping.upgrade() {
                Some(mapping) => {
                    let (from, to) = (file.synced, mapping.published());
                    file.finished = to == mapping.len();
                    file.synced = to;
                    if from < to {
                        dirty.push((&*file, from..to));
                    }
                }
                None => {
                    file.finished = true;
                    given_up.push(&file.path);
                }
            }
        }
        if dirty.len() + given_up.len() + self.dirs.len() + self.unsynced.len() >= SYNC_ALL_FROM {
            self.disk.sync_all(&self.consume_queue_dir)?;
        } else {
            let mut gone = false;
            for path in self.unsynced.iter().chain(&self.dirs).chain(given_up) {
                gone |= !sync_if_there(&self.disk, path)?;
            }
            for (file, range) in dirty {
                match file.mapping.upgrade() {
                    Some(mapping) => {
                        // The system takes the right to write from each page that it brings to disk, and interrupts all threads of the process for
                        // each that stands in a page table.
                        if range.len() >= MANY_PAGES {
                            mapping.let_go(range.clone());
                        }
                        mapping.sync(range)?;
                    }
                    None => gone |= !sync_if_there(&self.disk, &file.path)?,
                }
            }
            if gone {
                // The queues of a removed topic must not come back with less in them than the checkpoint is about to say.
                sync_if_there(&self.disk, &self.consume_queue_dir)?;
            }
        }
        self.dirs.clear();
        self.unsynced.clear();
        self.queues.retain(|file| !file.finished);
        Ok(())
    }

    fn write_checkpoint(&self) {
        // A lost checkpoint costs time at the next start, no message; it is written again with the next change.
        let bytes = self.checkpoint.encode();
        let written = self.disk.open_file(&self.checkpoint_path, Access::Write).and_then(|file| {
            file.write_at(&bytes, 0)?;
            file.sync()
        });
        match written {
            Ok(()) => self.shared.index_checkpointed.store(self.checkpoint.java.index_msg_timestamp, Ordering::Release),
            Err(error) => tracing::error!(path = %self.checkpoint_path.display(), %error, "could not write the checkpoint"),
        }
    }
}

/// Makes a file or a folder durable. Answers whether it was there.
fn sync_if_there(disk: &Disk, path: &Path) -> io::Result<bool> {
    match disk.sync_path(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        synced => synced.map(|()| true),
    }
}
