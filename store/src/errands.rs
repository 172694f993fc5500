//! What waits for the disk and is no flush: looks at the disk, the deletion of old files, searches in the log. Each kind has a thread of its own, so that
//! the disk is looked at also while a deletion takes its time.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    thread::{self, JoinHandle},
};

use crossbeam_channel::{Receiver, Sender, bounded};
use route_core::storage::QueueUnit;

use crate::{
    disk::{Access, Disk, file_path, parse_file_name},
    doubts::Search,
    event::{Background, Notifier},
    expiry::{FOUND_AT_ONCE, OldFile, OldQueueFile, Seen},
    mapping::Mapping,
};

/// There is one errand of each sort at a time, but for unmapping; so many fit, to be sure.
const MAX_WAITING: usize = 8;

/// Something to be done.
#[derive(Debug)]
pub(crate) enum Errand {
    /// To see how much space there is, and how old the oldest files of the log are.
    Look {
        commit_log_dir: PathBuf,
        consume_queue_dir: PathBuf,
        /// Where these files begin.
        oldest: Vec<i64>,
        file_size: u32,
    },
    /// To delete a file of the log that nobody reads any more.
    DeleteLogFile {
        dir: PathBuf,
        base: i64,
        /// Let go of here: to unmap a large file takes time.
        mapping: Option<Arc<Mapping>>,
    },
    /// To unmap files that nobody uses.
    Unmap(Vec<Arc<Mapping>>),
    /// To find queues with a file that lies wholly in front of a log that begins at `log_start`.
    ScanQueues { dir: PathBuf, file_size: u32, log_start: i64 },
    /// To delete a file of a queue, which was moved out of its folder.
    DeleteQueueFile { from: PathBuf, moved_to: PathBuf, mapping: Option<Arc<Mapping>> },
    /// To read some of the log for what units in doubt should lead to.
    Search(Box<Search>),
}

/// What came of it.
#[derive(Debug)]
pub(crate) enum Done {
    /// A look.
    Seen(Seen),
    /// A file of the log is gone for good, or why not.
    LogFileDeleted(i64, io::Result<()>),
    /// Queues with files to be deleted; the scan may have left out some if there are many.
    QueuesFound(io::Result<Vec<OldQueueFile>>),
    /// A file of a queue is gone for good, or why not.
    QueueFileDeleted(io::Result<()>),
    /// Some of the log was read, or why it could not be.
    Searched(Box<Search>, Result<(), String>),
}

/// One who runs errands, in turn.
#[derive(Debug)]
pub(crate) struct Errands {
    /// `None` if no more are taken.
    todo: Option<Sender<Errand>>,
    done: Receiver<Done>,
    runs: Runs,
}

#[derive(Debug)]
enum Runs {
    Thread(JoinHandle<()>),
    Stepped(Runner),
    Ended,
}

struct Runner {
    disk: Disk,
    todo: Receiver<Errand>,
    done: Sender<Done>,
    notify: Notifier,
}

impl std::fmt::Debug for Runner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runner").field("waiting", &self.todo.len()).finish_non_exhaustive()
    }
}

impl Errands {
    /// Starts a thread of this name; `notify` is called when an errand is done.
    ///
    /// # Errors
    /// If no thread can be started.
    pub(crate) fn start(name: &str, disk: Disk, notify: Notifier, background: Background) -> io::Result<Self> {
        let (todo, waiting) = bounded(MAX_WAITING);
        let (finished, done) = bounded(MAX_WAITING);
        let runner = Runner { disk, todo: waiting, done: finished, notify };
        let runs = match background {
            Background::Threads => Runs::Thread(thread::Builder::new().name(name.into()).spawn(move || runner.run())?),
            Background::Stepped => Runs::Stepped(runner),
        };
        Ok(Self { todo: Some(todo), done, runs })
    }

    /// Has an errand run. Answers whether it was taken: not if too many wait.
    #[must_use]
    pub(crate) fn ask(&self, errand: Errand) -> bool {
        self.todo.as_ref().is_some_and(|todo| todo.try_send(errand).is_ok())
    }

    /// The next one that is done.
    pub(crate) fn poll_done(&mut self) -> Option<Done> {
        self.done.try_recv().ok()
    }

    /// Runs one errand, if no thread does.
    pub(crate) fn step(&mut self) {
        if let Runs::Stepped(runner) = &self.runs
            && let Ok(errand) = runner.todo.try_recv()
        {
            runner.finish(errand);
        }
    }

    /// Ends the thread after the errand that it is on.
    pub(crate) fn stop(&mut self) {
        self.todo = None;
        if let Runs::Thread(thread) = std::mem::replace(&mut self.runs, Runs::Ended) {
            // A thread that panicked has said so.
            drop(thread.join());
        }
    }
}

impl Drop for Errands {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Runner {
    fn run(self) {
        while let Ok(errand) = self.todo.recv() {
            self.finish(errand);
        }
    }

    fn finish(&self, errand: Errand) {
        let done = match errand {
            Errand::Unmap(mappings) => return drop(mappings),
            Errand::Look { commit_log_dir, consume_queue_dir, oldest, file_size } => {
                Done::Seen(look(&self.disk, &commit_log_dir, &consume_queue_dir, &oldest, file_size))
            }
            Errand::DeleteLogFile { dir, base, mapping } => {
                drop(mapping);
                let path = file_path(&dir, base);
                // The name must be gone for good before the next file goes: a log with a gap could not be opened.
                Done::LogFileDeleted(base, self.disk.remove_file(&path).and_then(|()| self.disk.sync_path(&dir)))
            }
            Errand::ScanQueues { dir, file_size, log_start } => Done::QueuesFound(scan(&self.disk, &dir, file_size, log_start)),
            Errand::DeleteQueueFile { from, moved_to, mapping } => {
                drop(mapping);
                Done::QueueFileDeleted(delete_moved(&self.disk, &from, &moved_to))
            }
            Errand::Search(mut search) => {
                let read = search.step(&self.disk);
                Done::Searched(search, read)
            }
        };
        // Never waits: as many fit as errands do, and the loop takes all whenever it is woken.
        if self.done.try_send(done).is_ok() {
            (self.notify)();
        }
    }
}

fn look(disk: &Disk, commit_log_dir: &Path, consume_queue_dir: &Path, oldest: &[i64], file_size: u32) -> Seen {
    let old_file = |&base: &i64| {
        let modified = disk.modified(&file_path(commit_log_dir, base)).ok()?;
        Some(OldFile { base, modified, len: u64::from(file_size) })
    };
    Seen {
        log: disk.space(commit_log_dir).ok(),
        queues: disk.space(consume_queue_dir).ok(),
        // Behind one whose age cannot be told none may go.
        oldest: oldest.iter().map_while(old_file).collect(),
    }
}

/// Looks for queues with more than one file, of which the oldest ends with a unit that points in front of the log.
fn scan(disk: &Disk, dir: &Path, file_size: u32, log_start: i64) -> io::Result<Vec<OldQueueFile>> {
    let mut found = Vec::new();
    for topic in disk.list(dir)?.into_iter().filter(|entry| entry.is_dir) {
        let name: Arc<str> = topic.name.as_str().into();
        for queue in disk.list(&dir.join(&topic.name))?.into_iter().filter(|entry| entry.is_dir) {
            let Ok(queue_id) = queue.name.parse() else { continue };
            let queue_dir = dir.join(&topic.name).join(&queue.name);
            let files = disk.list(&queue_dir)?;
            let mut bases = files.iter().filter(|entry| !entry.is_dir).filter_map(|entry| parse_file_name(&entry.name));
            let (Some(base), Some(_)) = (bases.next(), bases.next()) else { continue };
            if ends_in_front_of(disk, &file_path(&queue_dir, base), file_size, log_start)? {
                found.push(OldQueueFile { topic: Arc::clone(&name), queue_id, base });
            }
            if found.len() >= FOUND_AT_ONCE {
                return Ok(found);
            }
        }
    }
    Ok(found)
}

/// Whether the last unit of a file points in front of the log. A file that is gone meanwhile does not.
fn ends_in_front_of(disk: &Disk, path: &Path, file_size: u32, log_start: i64) -> io::Result<bool> {
    let file = match disk.open_file(path, Access::Read) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        file => file?,
    };
    let mut unit = [0; QueueUnit::LEN];
    file.read_at(&mut unit, u64::from(file_size) - QueueUnit::LEN as u64)?;
    Ok(QueueUnit::decode(&unit).offset.0 < log_start)
}

fn delete_moved(disk: &Disk, from: &Path, moved_to: &Path) -> io::Result<()> {
    // As for the log: a queue has no gaps, also after a loss of power.
    match disk.sync_path(from) {
        // Its topic was removed.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        synced => synced?,
    }
    disk.remove_file(moved_to)
}
