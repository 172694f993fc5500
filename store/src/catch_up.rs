//! Looks at the queues that a start [has put off](crate::queues), a few at a time, while the broker works; until it is through, the checkpoint's
//! mark stays where it is.
//!
//! A thread goes ahead and reads what the loop is going to read, so that the loop does not wait for the disk.
//!
//! A store that is closed before it is through does not look at the rest: that would take as long as the start saved. It is left as it would
//! be after a crash, only that all is on disk, and the next start puts the queues off again.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
};

use route_core::{
    storage::QueueId,
    time::{Millis, Now},
};

use crate::{consume_queue::ConsumeQueue, disk::Disk, event::Background, flusher::OpenedQueueFile, store::Store};

/// So many queues are looked at in a turn of the loop: it takes about a ms when their files are in memory.
const AT_ONCE: usize = 32;
/// How long it waits before the next ones.
const PAUSE: Millis = Millis(5);
/// So many folders are read before the loop is told of it …
const BLOCK: usize = 512;
/// … by so many threads.
const READERS: usize = 4;

/// When the next queues are looked at.
#[derive(Debug, Default)]
pub(crate) struct CatchUp {
    /// `None` if nothing is put off.
    due: Option<Millis>,
    ripe: bool,
    reader: Option<Reader>,
}

impl CatchUp {
    /// Nothing to do.
    pub(crate) fn none() -> Self {
        Self::default()
    }

    /// Begins with queues whose folders these are, in this order; units of them are right up to `limit`.
    pub(crate) fn begin(disk: Disk, folders: Vec<PathBuf>, limit: i64, file_size: u32, background: Background) -> Self {
        let reader = match background {
            Background::Threads => Reader::start(disk, folders, limit, file_size),
            Background::Stepped => None,
        };
        Self { due: Some(Millis(0)), ripe: false, reader }
    }

    const fn is_on(&self) -> bool {
        self.due.is_some()
    }

    /// When it wants to go on.
    pub(crate) const fn poll_timeout(&self) -> Option<Millis> {
        if self.ripe { None } else { self.due }
    }

    /// `now` may have reached that.
    pub(crate) fn handle_timeout(&mut self, now: Now) {
        if self.due.is_some_and(|due| due <= now.mono) {
            self.ripe = true;
            self.due = Some(now.mono + PAUSE);
        }
    }

    /// Up to which queue it may go now, if it is time.
    fn poll_until(&mut self) -> Option<usize> {
        let ripe = std::mem::take(&mut self.ripe) && self.is_on();
        ripe.then(|| self.reader.as_ref().map_or(usize::MAX, Reader::until))
    }
}

/// The threads that read ahead.
#[derive(Debug)]
struct Reader {
    read: Arc<Read>,
    thread: Option<JoinHandle<()>>,
}

/// How far they are.
#[derive(Debug, Default)]
struct Read {
    until: AtomicUsize,
    stop: AtomicBool,
}

impl Read {
    /// Has all folders read, until it is to stop: then it does not begin with another one.
    fn follow(&self, folders: &[PathBuf], read: impl Fn(&Path) + Sync) {
        let is_stopped = || self.stop.load(Ordering::Relaxed);
        for block in folders.chunks(BLOCK) {
            thread::scope(|scope| {
                for share in block.chunks(BLOCK / READERS) {
                    let read = &read;
                    scope.spawn(move || share.iter().take_while(|_| !is_stopped()).for_each(|folder| read(folder)));
                }
            });
            if is_stopped() {
                return;
            }
            self.until.fetch_add(block.len(), Ordering::Release);
        }
        self.until.store(usize::MAX, Ordering::Release);
    }
}

impl Reader {
    /// `None` if there can be no thread: the loop waits for the disk itself then.
    fn start(disk: Disk, folders: Vec<PathBuf>, limit: i64, file_size: u32) -> Option<Self> {
        let read = Arc::new(Read::default());
        let told = Arc::clone(&read);
        let run = move || {
            told.follow(&folders, |folder| {
                // Whoever opens the queue says what is wrong with it.
                let _ = ConsumeQueue::warm(&disk, folder, file_size, limit);
            });
        };
        let started = thread::Builder::new().name("petrel-warm".into()).spawn(run);
        started.ok().map(|thread| Self { read, thread: Some(thread) })
    }

    fn until(&self) -> usize {
        self.read.until.load(Ordering::Acquire)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.read.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // One that panicked has said so.
            drop(thread.join());
        }
    }
}

impl Store {
    /// Looks at some of the queues that are put off, if it is time.
    pub(crate) fn catch_up(&mut self) {
        if !self.catch_up.is_on() {
            return;
        }
        match self.catch_up.poll_until() {
            Some(until) => self.look_at_next(AT_ONCE, until),
            None => self.tell_changed(),
        }
    }

    /// Looks at up to `count` queues that are put off.
    pub(crate) fn look_at_next(&mut self, count: usize, until: usize) {
        if self.catch_up.is_on() && self.queues.look_at_next(count, until) {
            self.end_catching_up();
        } else {
            self.tell_changed();
        }
    }

    /// The store is being closed: no more queues are looked at. Answers whether there are any left; then
    /// [`Store::tell_put_off`] is to be called once all is in its queue, and the store is not marked as closed.
    pub(crate) fn stop_catching_up(&mut self) -> bool {
        // All may have been used by now.
        self.look_at_next(0, usize::MAX);
        // Whoever reads ahead has nothing to do any more.
        self.catch_up = CatchUp::none();
        self.queues.is_put_off()
    }

    /// What was changed in queues so far goes to disk with the next flush, and the checkpoint says so if one of them lacks units.
    pub(crate) fn tell_put_off(&mut self) {
        self.tell_changed();
        if self.queues.is_lacking() {
            self.shared.rebuild_queues_from(self.log.start());
        }
        tracing::info!("closed before all queues had been looked at since the crash: the next start goes on with that, as after the crash");
    }

    /// What [`route_core::Storage::look_at_queues`] does.
    pub(crate) fn look_at_these(&mut self, queues: &[QueueId]) {
        if self.catch_up.is_on() {
            self.queues.look_at(queues.to_vec());
            self.tell_changed();
        }
    }

    fn end_catching_up(&mut self) {
        self.tell_changed();
        if self.queues.is_lacking() {
            self.shared.rebuild_queues_from(self.log.start());
        }
        // The flusher knows of all that was changed.
        self.shared.let_mark_go();
        self.catch_up = CatchUp::none();
        tracing::info!(queues = self.queues.len(), "all queues have been looked at since the crash");
    }

    /// The flusher brings what was changed to disk, by its path.
    fn tell_changed(&mut self) {
        for path in self.queues.take_changed() {
            self.shared.queue_opened(OpenedQueueFile { path, mapping: Weak::new(), synced: 0, dirs: Vec::new() });
        }
    }
}

#[cfg(test)]
mod tests {
    use route_core::Timestamp;

    use super::*;

    fn at(ms: u64) -> Now {
        Now { mono: Millis(ms), wall: Timestamp(0) }
    }

    #[test]
    fn it_is_due_at_once_then_at_intervals_and_never_if_there_is_nothing_to_do() {
        let mut catch_up = CatchUp::begin(Disk::system(), Vec::new(), 0, 20, Background::Stepped);
        assert_eq!((catch_up.poll_timeout(), catch_up.poll_until()), (Some(Millis(0)), None));
        catch_up.handle_timeout(at(7));
        assert_eq!(catch_up.poll_timeout(), None, "it waits for its turn");
        assert_eq!(catch_up.poll_until(), Some(usize::MAX));
        assert_eq!((catch_up.poll_timeout(), catch_up.poll_until()), (Some(Millis(12)), None));
        let mut none = CatchUp::none();
        none.handle_timeout(at(100));
        assert_eq!((none.poll_timeout(), none.poll_until()), (None, None));
    }

    #[test]
    fn who_reads_ahead_begins_with_nothing_more_once_it_is_to_stop() {
        let folders: Vec<_> = (0..4 * BLOCK).map(|number| PathBuf::from(number.to_string())).collect();
        let (read, begun) = (Read::default(), AtomicUsize::new(0));
        read.follow(&folders, |_| {
            begun.fetch_add(1, Ordering::Relaxed);
            read.stop.store(true, Ordering::Relaxed);
        });
        assert!((1..=READERS).contains(&begun.into_inner()), "each reader ends what it has begun");
        assert_eq!(read.until.into_inner(), 0, "the loop does not follow");
    }

    #[test]
    fn the_loop_follows_those_who_read_ahead_to_the_end() {
        let folders = (0..2 * BLOCK + 1).map(|number| PathBuf::from(format!("/nowhere/{number}"))).collect();
        let mut reader = Reader::start(Disk::system(), folders, 0, 20).unwrap();
        reader.thread.take().unwrap().join().unwrap();
        assert_eq!(reader.until(), usize::MAX);
    }
}
