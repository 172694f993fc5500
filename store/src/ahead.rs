//! Keeps the log's next bytes ready: allocates space ahead of the writer and makes the next file, on a thread of its own. Where fresh memory is
//! dear it also touches pages ahead of the writer, or lets old ones go.
//!
//! What is not ready in time the writer prepares itself; it waits only for a file that is being made, or space that is being filled.

use std::{
    io,
    ops::Range,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak},
    thread::{self, JoinHandle},
};

use rustix::thread::CpuSet;

use crate::{
    disk::{Access, Disk, file_path},
    event::Background,
    mapping::{MappedWriter, Mapping},
    priority,
    recycling::{Recycling, Told},
    sync_size::{Filling, SyncSize},
};

/// So much space is allocated in front of a writer that has only begun, or in front of one whose syncs somebody waits for: whether it is filled
/// should fit the load that comes there.
const FIRST_WINDOW: usize = 2 << 20;
const SYNCED_WINDOW: usize = 32 << 20;
/// So much lies in front of a busy writer at least: an allocation may have to read the file system's maps first, and a writer that gets
/// there before it is done waits for it.
const WINDOW: usize = 192 << 20;
/// Space is allocated in such steps.
const ALLOCATE_STEP: usize = 128 << 20;
/// Space that is allocated at once when a file is made or a writer has overtaken the thread.
pub(crate) const FIRST_STEP: usize = 1 << 20;
/// Space is filled in such steps; a disk of 1 GB/s needs 1 ms for one.
const FILL_STEP: usize = 1 << 20;
/// So far in front of the writer pages are touched where memory is dear, in such steps.
const TOUCHED_WINDOW: usize = 16 << 20;
const TOUCH_STEP: usize = 256 << 10;
/// How far the writer goes before it tells again where it is.
const TELL_STEP: usize = 2 << 20;

/// How the log's files are made ready.
#[derive(Clone, Debug)]
pub(crate) struct Readiness {
    /// Somebody waits for each sync, and this is told of them: space is [filled](crate::disk::OpenFile::fill) while [that pays](Filling), not
    /// only allocated.
    pub(crate) synced: Option<Arc<SyncSize>>,
    /// See [`StoreConfig::cached_log`](crate::StoreConfig::cached_log).
    pub(crate) cached_log: u64,
}

/// The thread and what it shares with the writer.
#[derive(Debug)]
pub(crate) struct Ahead {
    shared: Arc<Shared>,
    /// For steps that are taken by hand; `None` if a thread takes them.
    own: Option<Own>,
    /// `None` if it has ended, too.
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    disk: Disk,
    dir: PathBuf,
    file_size: usize,
    /// Somebody waits for each sync.
    synced: bool,
    state: Mutex<State>,
    wake: Condvar,
    made: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// The file that is being written, with the position in it that the writer told last.
    current: Option<Target>,
    position: usize,
    /// How much has been written since the start.
    written: usize,
    /// Since the thread looked last somebody read far behind the end.
    read_far: bool,
    /// Fresh memory is dear.
    dear: bool,
    /// The processor on which the writer ran then.
    processor: usize,
    /// The file after it.
    next: Option<(i64, MappedWriter)>,
    /// The thread is making the file that begins here.
    making: Option<i64>,
    /// The thread is allocating space of the file that begins here, which may mean to fill it with zeros.
    allocating: Option<i64>,
    told: bool,
    stop: bool,
}

#[derive(Clone, Debug)]
struct Target {
    base: i64,
    mapping: Arc<Mapping>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing under this lock panics half-way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn create(&self, base: i64) -> io::Result<MappedWriter> {
        // The names of the files before it must not be lost where its own is kept, nor their lengths: a log with a gap cannot be read.
        self.disk.sync_path(&self.dir)?;
        let path = file_path(&self.dir, base);
        let writer = self.disk.map_for_appending(&path, self.file_size, 0, FIRST_STEP)?;
        if self.synced {
            self.disk.open_file(&path, Access::Write)?.fill(0..writer.mapping().allocated() as u64)?;
        }
        self.disk.sync_path(&path)?;
        Ok(writer)
    }
}

impl Ahead {
    /// Starts the thread for a log of files of `file_size` bytes.
    ///
    /// # Errors
    /// If no thread can be started.
    pub(crate) fn start(disk: Disk, dir: &Path, file_size: usize, how: Readiness, background: Background) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            disk,
            dir: dir.to_owned(),
            file_size,
            synced: how.synced.is_some(),
            state: Mutex::default(),
            wake: Condvar::new(),
            made: Condvar::new(),
        });
        let mut own = Own { memory: Memory::new(how.cached_log), filling: how.synced.map(Filling::new) };
        let work = Arc::clone(&shared);
        let (own, thread) = match background {
            Background::Threads => (None, Some(thread::Builder::new().name("petrel-ahead".into()).spawn(move || run(&work, &mut own))?)),
            Background::Stepped => (Some(own), None),
        };
        Ok(Self { shared, own, thread })
    }

    /// Makes ready what is due, if no thread does.
    pub(crate) fn step(&mut self) {
        if let Some(own) = &mut self.own {
            step(&self.shared, own);
        }
    }

    /// The file that begins at `base`, ready for writing. The thread looks after it from now on.
    ///
    /// # Errors
    /// Those of the operating system, above all that no space is left.
    pub(crate) fn take(&self, base: i64) -> io::Result<MappedWriter> {
        let mut state = self.shared.lock();
        while state.making == Some(base) {
            state = self.shared.made.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let writer = match state.next.take() {
            Some((ready, writer)) if ready == base => writer,
            _ => self.shared.create(base)?,
        };
        self.follow_locked(&mut state, base, &writer);
        Ok(writer)
    }

    /// Allocates space up to `to` in the file that begins at `base`: the thread has not done it in time.
    ///
    /// # Errors
    /// Those of the operating system, above all that no space is left.
    pub(crate) fn grow(&self, base: i64, mapping: &Mapping, to: usize) -> io::Result<()> {
        let mut state = self.shared.lock();
        // What may be filled at the moment must not be written to.
        while state.allocating == Some(base) && mapping.allocated() < to {
            state = self.shared.made.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        // With the lock: the thread is not to fill what is allocated here.
        self.shared.disk.grow(&file_path(&self.shared.dir, base), mapping, to)
    }

    /// Looks after a file that was opened elsewhere.
    pub(crate) fn follow(&self, base: i64, writer: &MappedWriter) {
        self.follow_locked(&mut self.shared.lock(), base, writer);
    }

    fn follow_locked(&self, state: &mut State, base: i64, writer: &MappedWriter) {
        state.current = Some(Target { base, mapping: Arc::clone(writer.mapping()) });
        state.position = writer.position();
        state.told = true;
        self.shared.wake.notify_one();
    }

    /// The writer stands at `position` in its file. Returns where it should tell again.
    pub(crate) fn tell(&self, position: usize, dear: bool, read_far: bool) -> usize {
        let mut state = self.shared.lock();
        state.dear = dear;
        state.read_far |= read_far;
        state.written += position.saturating_sub(state.position);
        state.position = position;
        state.processor = rustix::thread::sched_getcpu();
        state.told = true;
        self.shared.wake.notify_one();
        position + TELL_STEP.min(self.shared.file_size / 4)
    }

    /// Ends the thread and removes the file that was made ready for nothing.
    pub(crate) fn stop(&mut self) {
        self.shared.lock().stop = true;
        self.shared.wake.notify_one();
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so; what it prepared is not needed any more.
            let _ = thread.join();
        }
        if let Some((base, writer)) = self.shared.lock().next.take() {
            drop(writer);
            if let Err(error) = self.shared.disk.remove_file(&file_path(&self.shared.dir, base)) {
                tracing::warn!(base, %error, "could not remove the unused next file of the log");
            }
        }
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        // Like a killed process, a dropped one leaves its files as they are.
        self.shared.lock().stop = true;
        self.shared.wake.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(shared: &Shared, own: &mut Own) {
    priority::yield_to_the_loop();
    loop {
        let mut state = shared.lock();
        while !state.told && !state.stop {
            state = shared.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.stop {
            return;
        }
        drop(state);
        step(shared, own);
    }
}

/// Makes ready what the writer's place asks for, if it has told of one.
fn step(shared: &Shared, own: &mut Own) {
    let mut state = shared.lock();
    if !std::mem::take(&mut state.told) {
        return;
    }
    let Some(current) = state.current.clone() else { return };
    let (position, processor) = (state.position, state.processor);
    let told = Told {
        end: current.base + position as i64,
        written: state.written as u64,
        dear: state.dear,
        read_far: std::mem::take(&mut state.read_far),
    };
    let window = state.written.clamp(FIRST_WINDOW, if shared.synced { SYNCED_WINDOW } else { WINDOW });
    let wanted = position + window;
    if wanted + FIRST_STEP > shared.file_size && state.next.is_none() {
        let base = current.base + i64::try_from(shared.file_size).unwrap_or(i64::MAX);
        state.making = Some(base);
        drop(state);
        // Without the lock: the writer goes on telling where it is.
        let made = shared.create(base);
        state = shared.lock();
        state.making = None;
        shared.made.notify_one();
        match made {
            Ok(writer) => state.next = Some((base, writer)),
            // The writer tries again when it gets there, and answers for it.
            Err(error) => tracing::warn!(base, %error, "could not make the next file of the log ready"),
        }
    }
    let next = state.next.as_ref().map(|(base, writer)| Target { base: *base, mapping: Arc::clone(writer.mapping()) });
    drop(state);

    own.memory.look_after(shared, &current, told, processor);
    let filled = own.filling.as_mut().is_some_and(Filling::pays);
    let targets = [(Some(current), 0), (next, shared.file_size)];
    for (target, start) in targets {
        let Some(target) = target else { continue };
        let to = |len: usize| (position + len).saturating_sub(start).min(shared.file_size);
        // Not before half of it is used up: whoever syncs the log meanwhile waits for this, too.
        let (least, step) = if shared.synced { (to(window / 2), FIRST_STEP) } else { (to(window), ALLOCATE_STEP) };
        if target.mapping.allocated() < least {
            allocate(shared, &target, to(window).next_multiple_of(step), filled);
        }
    }
}

/// What the thread has for itself.
#[derive(Debug)]
struct Own {
    memory: Memory,
    /// `None` if nobody waits for syncs.
    filling: Option<Filling>,
}

/// What it knows of the log's pages in memory.
#[derive(Debug)]
struct Memory {
    recycling: Recycling,
    /// The file that is written, how far its pages are touched, and the one before it.
    base: i64,
    mapping: Weak<Mapping>,
    touched: usize,
    before: Weak<Mapping>,
}

impl Memory {
    const fn new(cached_log: u64) -> Self {
        Self { recycling: Recycling::new(cached_log), base: -1, mapping: Weak::new(), touched: 0, before: Weak::new() }
    }

    /// Where memory is dear, has old pages give theirs up and gets it for the next ones.
    fn look_after(&mut self, shared: &Shared, current: &Target, told: Told, processor: usize) {
        if current.base != self.base {
            self.before = std::mem::replace(&mut self.mapping, Arc::downgrade(&current.mapping));
            (self.base, self.touched) = (current.base, 0);
        }
        if let Some(old) = self.recycling.handle_progress(told) {
            // What that leaves is at hand for the next pages, above all on the processor where it was left: each keeps up to a gigabyte of free
            // pages for itself, which no other gets.
            return on_processor(processor, || self.let_go(shared, &current.mapping, &old));
        }
        if !told.dear {
            return;
        }
        let position = (told.end - current.base) as usize;
        let to = (position + TOUCHED_WINDOW).min(current.mapping.allocated());
        let mut at = self.touched.max(position) & !4095;
        while at < to {
            let end = (at + TOUCH_STEP).min(to);
            // The writer does it itself then.
            if current.mapping.touch(at..end).is_err() {
                return;
            }
            at = end;
            self.touched = end;
        }
    }

    /// `old` lies in the file that is written or in the one before it; what lies further back stays.
    fn let_go(&self, shared: &Shared, current: &Arc<Mapping>, old: &Range<i64>) {
        let size = shared.file_size as i64;
        for (base, mapping) in [(self.base - size, self.before.upgrade()), (self.base, Some(Arc::clone(current)))] {
            let part = (old.start - base).clamp(0, size) as usize & !4095..(old.end - base).clamp(0, size) as usize & !4095;
            if part.is_empty() {
                continue;
            }
            if let Some(mapping) = mapping {
                mapping.let_go(part.clone());
            }
            if let Ok(file) = shared.disk.open_file(&file_path(&shared.dir, base), Access::Read) {
                file.let_go(part.start as u64..part.end as u64);
            }
        }
    }
}

/// Allocates space for one file up to `to`, or to its end, and may fill it.
fn allocate(shared: &Shared, target: &Target, to: usize, filled: bool) {
    let path = file_path(&shared.dir, target.base);
    let to = to.min(target.mapping.len());
    while target.mapping.allocated() < to {
        shared.lock().allocating = Some(target.base);
        let grown = if filled {
            // In steps: the disk is to do syncs of the log in between.
            shared.disk.grow_filled(&path, &target.mapping, (target.mapping.allocated() + FILL_STEP).min(to))
        } else {
            shared.disk.grow(&path, &target.mapping, to)
        };
        shared.lock().allocating = None;
        shared.made.notify_one();
        if let Err(error) = grown {
            return tracing::warn!(base = target.base, %error, "could not allocate space ahead of the log");
        }
    }
}

/// Does something on one processor, if the system allows it.
fn on_processor(number: usize, work: impl FnOnce()) {
    let Ok(all) = rustix::thread::sched_getaffinity(None) else { return work() };
    let mut one = CpuSet::new();
    one.set(number % CpuSet::MAX_CPU);
    // It works anywhere.
    let moved = rustix::thread::sched_setaffinity(None, &one).is_ok();
    work();
    if moved && let Err(error) = rustix::thread::sched_setaffinity(None, &all) {
        tracing::warn!(number, %error, "the thread that works ahead of the log stays on one processor");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::{
        config::StoreDisk,
        simulation::{FailingDisk, Operation},
    };

    const MIB: usize = 1 << 20;

    #[test]
    fn space_is_filled_for_small_syncs_and_only_allocated_for_large_ones() {
        let dir = tempfile::tempdir().unwrap();
        let syncs = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&syncs);
        let StoreDisk(disk) = StoreDisk::from(FailingDisk::new(move |operation, _| {
            count.fetch_add(usize::from(operation == Operation::Sync), Ordering::Relaxed);
            Ok(())
        }));
        let size = Arc::new(SyncSize::default());
        let how = Readiness { synced: Some(Arc::clone(&size)), cached_log: u64::MAX };
        let mut ahead = Ahead::start(disk, dir.path(), 64 * MIB, how, Background::Stepped).unwrap();
        let writer = ahead.take(0).unwrap();
        // What is filled is brought to disk as such, what is only allocated is not.
        let mut at = |position: usize| {
            let before = syncs.load(Ordering::Relaxed);
            ahead.tell(position, false, false);
            ahead.step();
            (writer.mapping().allocated() / MIB, syncs.load(Ordering::Relaxed) - before)
        };
        assert_eq!(at(MIB), (3, 2));
        (0..40).for_each(|_| size.note(1 << 20));
        assert_eq!(at(3 * MIB), (6, 0));
        (0..400).for_each(|_| size.note(1 << 10));
        assert_eq!(at(6 * MIB), (12, 6));
    }
}
