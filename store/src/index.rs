//! The index of keys: which messages carry a unique key, a key or a tag (RocketMQ's `IndexFile`s in `index/`).
//!
//! It is derived from the log, by a thread that reads the log behind its writer: appending costs nothing for it, and nothing can get
//! lost between the two. The files say how far they are built; what is missing, short or does not fit the log is built anew.
//! Look-ups are answered by the same thread, so that cold files keep nobody waiting but who asked, and they wait until the index has
//! come up to what was in the log when they came.

use std::{
    collections::VecDeque,
    fmt, io,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicI64, AtomicU8, Ordering},
    },
    thread::{self, JoinHandle, Thread},
    time::{Duration, Instant},
};

use route_core::{
    storage::keys::{Found, KeyQuery, QueryTicket, Search},
    time::Millis,
};

use crate::{
    commit_log::OpenedFile,
    disk::Disk,
    event::{Background, Notifier},
    flusher::FlushShared,
    priority,
    whole_record::Trailers,
};

mod builder;
mod file;
mod file_name;
mod files;
mod format;
mod indexer;
pub(crate) mod keys;
mod log;
mod search;
pub(crate) mod view;

pub(crate) use files::Trust;
pub(crate) use format::Geometry;

use files::IndexFiles;
use indexer::{Indexer, Next};
use log::LogReader;

/// Look-ups that may be under way.
const MAX_SEARCHES: usize = 1024;

/// Where the index lies and what it is made from.
#[derive(Debug)]
pub(crate) struct IndexStart {
    pub(crate) disk: Disk,
    pub(crate) dir: PathBuf,
    pub(crate) geometry: Geometry,
    /// What one look-up may make.
    pub(crate) search_work: usize,
    pub(crate) commit_log_dir: PathBuf,
    pub(crate) commit_log_file_size: u32,
    pub(crate) trust: Trust,
    /// First and one-past-last byte of the log.
    pub(crate) log: (i64, i64),
    /// What the checksums at the end of its records are worth.
    pub(crate) trailers: Trailers,
}

/// Files that have been opened; the thread is not running yet.
#[derive(Debug)]
pub(crate) struct OpenedIndex {
    files: IndexFiles,
    log: LogReader,
    at: i64,
    search_work: usize,
}

impl OpenedIndex {
    /// Opens the files that fit the log and removes the others. To be called before the log is opened for writing.
    ///
    /// # Errors
    /// Those of the operating system.
    pub(crate) fn open(start: IndexStart) -> io::Result<Self> {
        let IndexStart { disk, dir, geometry, search_work, commit_log_dir, commit_log_file_size, trust, log: bounds, trailers } = start;
        let log_end = bounds.1;
        let mut log = LogReader::new(disk.clone(), commit_log_dir, commit_log_file_size, bounds, trailers);
        let (files, at) = IndexFiles::open(&disk, &dir, geometry, trust, &mut log, log_end)?;
        log.close_files();
        if log_end > at {
            tracing::info!(from = at, to = log_end, "messages are put into the index");
        }
        Ok(Self { files, log, at, search_work })
    }

    /// A file of the log is written to from now on.
    pub(crate) fn log_opened(&mut self, file: OpenedFile) {
        self.log.opened(file);
    }
}

/// What the loop and the thread tell each other.
pub(crate) struct IndexShared {
    mail: Mutex<Mail>,
    has_mail: AtomicBool,
    answers: Mutex<VecDeque<Answer>>,
    has_answers: AtomicBool,
    log_start: AtomicI64,
    built: AtomicI64,
    stop: AtomicU8,
    notify: Notifier,
}

type Answer = (QueryTicket, Result<Found, String>);

/// What waits for the thread.
#[derive(Debug, Default)]
struct Mail {
    opened: Vec<OpenedFile>,
    queries: Vec<(QueryTicket, KeyQuery)>,
}

const RUN: u8 = 0;
const STOP_AS_IT_IS: u8 = 1;
const STOP_CLEAN: u8 = 2;

/// Nothing under these locks panics half-way through a change.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl IndexShared {
    fn new(at: i64, log_start: i64, notify: Notifier) -> Self {
        Self {
            mail: Mutex::default(),
            has_mail: AtomicBool::new(false),
            answers: Mutex::default(),
            has_answers: AtomicBool::new(false),
            log_start: AtomicI64::new(log_start),
            built: AtomicI64::new(at),
            stop: AtomicU8::new(RUN),
            notify,
        }
    }

    fn take_mail(&self) -> Mail {
        if self.has_mail.swap(false, Ordering::AcqRel) { std::mem::take(&mut *lock(&self.mail)) } else { Mail::default() }
    }

    fn opened(&self, file: OpenedFile) {
        lock(&self.mail).opened.push(file);
        self.has_mail.store(true, Ordering::Release);
    }

    fn ask(&self, ticket: QueryTicket, query: KeyQuery) {
        lock(&self.mail).queries.push((ticket, query));
        self.has_mail.store(true, Ordering::Release);
    }

    fn answer(&self, ticket: QueryTicket, found: Result<Found, String>) {
        lock(&self.answers).push_back((ticket, found));
        self.has_answers.store(true, Ordering::Release);
        (self.notify)();
    }

    fn log_start(&self) -> i64 {
        self.log_start.load(Ordering::Acquire)
    }

    fn set_built(&self, at: i64) {
        self.built.store(at, Ordering::Release);
    }
}

impl fmt::Debug for IndexShared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IndexShared").field("built", &self.built).finish_non_exhaustive()
    }
}

/// The index as the store holds it.
#[derive(Debug)]
pub(crate) struct Index {
    shared: Arc<IndexShared>,
    runs: Runs,
    tickets: u64,
    /// Look-ups that have not been answered.
    open: usize,
}

/// The one who keeps it: a thread, or whoever calls [`Index::step`].
#[derive(Debug)]
enum Runs {
    Thread(JoinHandle<()>, Thread),
    Stepped(Box<Indexer>),
    Ended,
}

impl Index {
    /// Starts it.
    ///
    /// # Errors
    /// If no thread can be started.
    pub(crate) fn start(opened: OpenedIndex, flush: Arc<FlushShared>, notify: Notifier, background: Background) -> io::Result<Self> {
        let OpenedIndex { files, log, at, search_work } = opened;
        let shared = Arc::new(IndexShared::new(at, log.start(), notify));
        let indexer = Indexer::new(files, log, at, search_work, Arc::clone(&shared), flush);
        let runs = match background {
            Background::Threads => {
                let shared = Arc::clone(&shared);
                let thread = thread::Builder::new().name("petrel-index".into()).spawn(move || run(indexer, &shared))?;
                let waker = thread.thread().clone();
                Runs::Thread(thread, waker)
            }
            Background::Stepped => Runs::Stepped(Box::new(indexer)),
        };
        Ok(Self { shared, runs, tickets: 0, open: 0 })
    }

    /// Does a bit of what is due `now`, counted from the start, if no thread does.
    pub(crate) fn step(&mut self, now: Duration) {
        if let Runs::Stepped(indexer) = &mut self.runs {
            indexer.step(millis(now));
        }
    }

    /// A file of the log is written to from now on. To be told before any progress in it.
    pub(crate) fn log_opened(&self, file: OpenedFile) {
        self.shared.opened(file);
    }

    /// Files of the log before this offset are gone: what the index has about them goes, too.
    pub(crate) fn expire(&self, log_start: i64) {
        self.shared.log_start.fetch_max(log_start, Ordering::AcqRel);
    }

    /// All messages before this can be looked up.
    pub(crate) fn built(&self) -> i64 {
        self.shared.built.load(Ordering::Acquire)
    }

    /// Starts a look-up.
    pub(crate) fn search(&mut self, query: KeyQuery) -> Search {
        if self.open >= MAX_SEARCHES {
            return Search::Busy;
        }
        self.open += 1;
        self.tickets += 1;
        let ticket = QueryTicket(self.tickets);
        self.shared.ask(ticket, query);
        if let Runs::Thread(_, waker) = &self.runs {
            waker.unpark();
        }
        Search::Later(ticket)
    }

    /// The next answer to a look-up.
    pub(crate) fn poll_answer(&mut self) -> Option<Answer> {
        if self.open == 0 || !self.shared.has_answers.load(Ordering::Acquire) {
            return None;
        }
        let mut answers = lock(&self.shared.answers);
        let answer = answers.pop_front();
        self.shared.has_answers.store(!answers.is_empty(), Ordering::Release);
        self.open -= usize::from(answer.is_some());
        answer
    }

    /// Ends it; if `clean`, after all is in the index and on disk.
    pub(crate) fn stop(&mut self, clean: bool) {
        self.shared.stop.store(if clean { STOP_CLEAN } else { STOP_AS_IT_IS }, Ordering::Release);
        match std::mem::replace(&mut self.runs, Runs::Ended) {
            Runs::Thread(thread, waker) => {
                waker.unpark();
                if thread.join().is_err() {
                    tracing::error!("the thread of the index has panicked; the next start builds what is missing");
                }
            }
            Runs::Stepped(mut indexer) if clean => indexer.finish(Millis(0)),
            Runs::Stepped(_) | Runs::Ended => {}
        }
    }
}

fn millis(span: Duration) -> Millis {
    Millis(u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
}

fn run(mut indexer: Indexer, shared: &IndexShared) {
    priority::yield_to_the_loop();
    let started = Instant::now();
    loop {
        let now = millis(started.elapsed());
        match shared.stop.load(Ordering::Acquire) {
            RUN => {}
            STOP_CLEAN => return indexer.finish(now),
            _ => return,
        }
        if let Next::Idle(rest) = indexer.step(now) {
            thread::park_timeout(Duration::from_millis(rest.0));
        }
    }
}
