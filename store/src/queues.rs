//! All consume queues, by number and by name. A queue's files are looked at when it is first used.

use std::{
    cell::{Cell, OnceCell},
    collections::VecDeque,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use foldhash::fast::FixedState;
use indexmap::IndexMap;
use route_core::storage::{AppendError, Arrival, QueueId, QueueUnit};

use crate::{
    consume_queue::{ConsumeQueue, LogStart},
    disk::{Disk, Entry},
    error::OpenError,
    event::Background,
    expiry::OldQueueFile,
    flusher::OpenedQueueFile,
    mapping::Mapping,
    queue_ends::{QueueEnds, QueueSpan},
};

mod cut;
mod held;
mod place;
mod put_off;
mod shares;

use cut::Cut;
use held::Held;
pub(crate) use place::Lost;
use place::Placing;
pub(crate) use put_off::MAX_WAITING;
use put_off::PutOff;
use shares::in_shares;

/// The queues of all topics.
#[derive(Debug)]
pub(crate) struct QueueTable {
    disk: Disk,
    dir: PathBuf,
    file_size: u32,
    log_start: LogStart,
    /// Each topic's queue numbers, in order.
    topics: IndexMap<String, Vec<(i32, QueueId)>, FixedState>,
    slots: Vec<Slot>,
    /// Queues that have units which nobody was told of.
    arrived: VecDeque<QueueId>,
    /// The queue that is looked at next for whether it is idle.
    hand: usize,
    /// A queue was found to lack units.
    lacking: Cell<bool>,
    put_off: PutOff,
    /// Units that wait for the next of their queue.
    held: IndexMap<u32, Held, FixedState>,
    background: Background,
}

/// Whether queues could be cut.
#[derive(Debug)]
pub(crate) enum QueuesCut {
    /// Yes; these files and folders were changed.
    Done { unsynced: Vec<PathBuf> },
    /// A queue lacks a file.
    Lacking { topic: String, queue_id: i32 },
}

#[derive(Debug)]
struct Slot {
    topic: Arc<str>,
    queue_id: i32,
    /// It was found on disk.
    found: bool,
    /// How it was when the store was closed, if that is known.
    was: Option<QueueSpan>,
    queue: OnceCell<Loaded>,
    /// Stands in `arrived`.
    arriving: bool,
    /// Units before this offset were told of.
    told: i64,
}

/// A queue as it was found.
#[derive(Debug)]
enum Loaded {
    Open(ConsumeQueue),
    /// Its files cannot be used: it reads as empty and takes nothing.
    Broken(AppendError),
    /// Its topic was removed.
    Removed,
}

impl QueueTable {
    /// No queues. Their folders lie in `dir`, and the log begins at `start`.
    pub(crate) fn new(disk: Disk, dir: PathBuf, file_size: u32, start: i64, background: Background) -> Self {
        let topics = IndexMap::with_hasher(FixedState::default());
        let log_start = LogStart::default();
        log_start.set(start);
        let (arrived, lacking) = (VecDeque::new(), Cell::new(false));
        let put_off = PutOff::default();
        Self {
            disk,
            dir,
            file_size,
            log_start,
            topics,
            slots: Vec::new(),
            arrived,
            hand: 0,
            lacking,
            put_off,
            held: IndexMap::default(),
            background,
        }
    }

    /// Takes in the queues that `dir` holds, without a look at their files.
    ///
    /// # Errors
    /// Those of the operating system.
    pub(crate) fn discover(&mut self) -> io::Result<()> {
        let mut topics: Vec<_> =
            self.disk.list(&self.dir)?.into_iter().filter(|entry| entry.is_dir).map(|topic| (topic, Vec::new())).collect();
        let list = |topics: &mut [(Entry, Vec<Entry>)]| -> io::Result<()> {
            for (topic, folders) in topics {
                *folders = self.disk.list(&self.dir.join(&topic.name))?;
            }
            Ok(())
        };
        in_shares(&mut topics, self.background, list).into_iter().collect::<io::Result<()>>()?;
        for (topic, folders) in topics {
            for queue in folders.into_iter().filter(|entry| entry.is_dir) {
                match queue.name.parse::<i32>() {
                    Ok(queue_id) if queue_id >= 0 && queue_id.to_string() == queue.name => {
                        let QueueId(queue) = self.open(&topic.name, queue_id);
                        if let Some(slot) = self.slots.get_mut(queue as usize) {
                            slot.found = true;
                        }
                    }
                    _ => tracing::warn!(topic = topic.name, folder = queue.name, "not a queue's number; the folder is left alone"),
                }
            }
        }
        Ok(())
    }

    /// The log begins here from now on.
    pub(crate) fn set_log_start(&self, start: i64) {
        self.log_start.set(start);
    }

    /// The path of a file that was found to be old, if it may go.
    pub(crate) fn expired_file(&self, file: &OldQueueFile) -> Option<PathBuf> {
        self.get(self.find(&file.topic, file.queue_id)?)?.expired_file(file.base)
    }

    /// A queue goes on without such a file. Answers its mapping.
    pub(crate) fn forget_oldest(&mut self, file: &OldQueueFile) -> Option<Arc<Mapping>> {
        let queue = self.find(&file.topic, file.queue_id)?;
        self.get_mut(queue).ok()?.forget_oldest()
    }

    /// How many queues there ever were.
    pub(crate) fn slots(&self) -> usize {
        self.slots.len()
    }

    /// Looks at so many queues, in turn, and unmaps the files of those that were not used since they were looked at last, until `limit` of
    /// them are.
    pub(crate) fn rest(&mut self, queues: usize, limit: usize) {
        let mut unmapped = 0;
        for _ in 0..queues.min(self.slots.len()) {
            if unmapped >= limit {
                break;
            }
            self.hand = if self.hand + 1 < self.slots.len() { self.hand + 1 } else { 0 };
            if let Some(Loaded::Open(queue)) = self.slots.get_mut(self.hand).and_then(|slot| slot.queue.get_mut()) {
                unmapped += queue.rest();
            }
        }
    }

    /// Unmaps the files of all queues, which nobody syncs yet, if more than `limit` files are mapped. They are added to `unsynced`.
    pub(crate) fn unmap_above(&mut self, limit: usize, unsynced: &mut Vec<PathBuf>) {
        if self.disk.maps().get() <= limit {
            return;
        }
        for slot in &mut self.slots {
            if let Some(Loaded::Open(queue)) = slot.queue.get_mut() {
                queue.unmap_unsynced(unsynced);
            }
        }
        // A queue that comes and goes stands there once.
        unsynced.sort_unstable();
        unsynced.dedup();
    }

    /// Where their files lie.
    pub(crate) fn disk(&self) -> &Disk {
        &self.disk
    }

    /// The folder of all queues.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The number of a queue, whether it has files or not.
    pub(crate) fn open(&mut self, topic: &str, queue_id: i32) -> QueueId {
        if let Some(queue) = self.find(topic, queue_id) {
            return queue;
        }
        let queue = QueueId(u32::try_from(self.slots.len()).unwrap_or(u32::MAX));
        let name = Arc::from(topic);
        self.slots.push(Slot { topic: name, queue_id, found: false, was: None, queue: OnceCell::new(), arriving: false, told: -1 });
        let numbers = match self.topics.get_mut(topic) {
            Some(numbers) => numbers,
            None => self.topics.entry(topic.to_owned()).or_default(),
        };
        let place = numbers.partition_point(|(number, _)| *number < queue_id);
        numbers.insert(place, (queue_id, queue));
        queue
    }

    /// The topic of a queue, and its number there, unless it was removed.
    pub(crate) fn name_of(&self, queue: QueueId) -> Option<(Arc<str>, i32)> {
        let slot = self.slots.get(queue.0 as usize).filter(|slot| !matches!(slot.queue.get(), Some(Loaded::Removed)))?;
        Some((Arc::clone(&slot.topic), slot.queue_id))
    }

    /// [`QueueTable::name_of`] for a queue that is there.
    #[inline]
    pub(crate) fn place_of(&self, queue: QueueId) -> Option<(&str, i32)> {
        self.slots.get(queue.0 as usize).map(|slot| (&*slot.topic, slot.queue_id))
    }

    /// The number of a queue that is known.
    pub(crate) fn find(&self, topic: &str, queue_id: i32) -> Option<QueueId> {
        let numbers = self.topics.get(topic)?;
        let place = numbers.binary_search_by_key(&queue_id, |(number, _)| *number).ok()?;
        Some(numbers[place].1)
    }

    /// The first offset of the file after the one that holds `from`, in any queue.
    pub(crate) fn next_file_offset(&self, from: i64) -> i64 {
        let units = i64::from(self.file_size) / QueueUnit::LEN as i64;
        from - from.rem_euclid(units) + units
    }

    /// Topics with their queue numbers, ordered by name.
    pub(crate) fn topics(&self) -> Vec<(String, Vec<i32>)> {
        let mut topics: Vec<_> =
            self.topics.iter().map(|(topic, numbers)| (topic.clone(), numbers.iter().map(|(number, _)| *number).collect())).collect();
        topics.sort_unstable();
        topics
    }

    /// A queue to read; `None` if there is nothing to read of it.
    pub(crate) fn get(&self, queue: QueueId) -> Option<&ConsumeQueue> {
        let slot = self.slots.get(queue.0 as usize)?;
        match slot.queue.get_or_init(|| self.load(queue, slot)) {
            Loaded::Open(queue) => Some(queue),
            Loaded::Broken(_) | Loaded::Removed => None,
        }
    }

    /// A queue to write.
    ///
    /// # Errors
    /// Why it takes nothing.
    pub(crate) fn get_mut(&mut self, queue: QueueId) -> Result<&mut ConsumeQueue, AppendError> {
        // Loads it if need be.
        let _ = self.get(queue);
        match self.slots.get_mut(queue.0 as usize).and_then(|slot| slot.queue.get_mut()) {
            Some(Loaded::Open(queue)) => Ok(queue),
            Some(Loaded::Broken(why)) => Err(why.clone()),
            Some(Loaded::Removed) => Err(AppendError::QueueUnusable("its topic was removed".into())),
            None => Err(AppendError::QueueUnusable("there is no such queue".into())),
        }
    }

    fn load(&self, queue: QueueId, slot: &Slot) -> Loaded {
        if let Some(loaded) = self.load_put_off(queue, slot) {
            return loaded;
        }
        if !is_folder_name(&slot.topic) {
            return Loaded::Broken(AppendError::BadTopic(slot.topic.to_string()));
        }
        let dir = self.dir.join(&*slot.topic).join(slot.queue_id.to_string());
        match ConsumeQueue::open(self.disk.clone(), dir, self.file_size, self.log_start.clone()) {
            Ok(queue) if slot.was.is_some_and(|was| was != queue.span()) => {
                let (was, span) = (slot.was.unwrap_or(queue.span()), queue.span());
                self.lacking.set(true);
                let why = format!(
                    "its files hold units {} to {}, those from {} to {} were there when the store was closed",
                    span.first, span.end, was.first, was.end
                );
                tracing::error!(topic = &*slot.topic, queue = slot.queue_id, why, "a consume queue lacks units");
                Loaded::Broken(AppendError::QueueUnusable(why))
            }
            Ok(queue) => Loaded::Open(queue),
            Err(error) => {
                self.lacking.set(self.lacking.get() || is_damage(&self.disk, &self.dir, self.file_size, &error));
                tracing::error!(topic = &*slot.topic, queue = slot.queue_id, %error, "a consume queue cannot be used");
                Loaded::Broken(AppendError::QueueUnusable(error.to_string()))
            }
        }
    }

    /// How queues were when the store was closed. One that is not so now reads as empty and takes nothing.
    pub(crate) fn expect(&mut self, ends: &QueueEnds) {
        for (topic, queue_id, span) in ends.iter() {
            let QueueId(queue) = self.open(topic, queue_id);
            if let Some(slot) = self.slots.get_mut(queue as usize) {
                slot.was = Some(span);
            }
        }
    }

    /// How queues that have files are now, for a log that ends there. Those that nobody has used are as they were.
    fn ends(&self, log_end: i64) -> QueueEnds {
        let mut ends = QueueEnds::of_log(self.log_start.get(), log_end);
        for slot in &self.slots {
            let span = match slot.queue.get() {
                Some(Loaded::Open(queue)) => queue.has_files().then(|| queue.span()),
                Some(Loaded::Removed) => None,
                Some(Loaded::Broken(_)) | None => slot.was,
            };
            if let Some(span) = span {
                ends.insert(&slot.topic, slot.queue_id, span);
            }
        }
        ends
    }

    /// Puts that into a file.
    pub(crate) fn save_ends(&self, path: &Path, log_end: i64) -> io::Result<()> {
        let new = path.with_extension("tmp");
        self.disk.write_synced(&new, self.ends(log_end).encode().as_bytes())?;
        self.disk.rename(&new, path)?;
        self.disk.sync_path(path.parent().unwrap_or(path))
    }

    /// Removes that file, if it is there.
    pub(crate) fn forget_ends(&self, path: &Path) -> io::Result<()> {
        if !self.disk.exists(path) {
            return Ok(());
        }
        self.disk.remove_file(path)?;
        self.disk.sync_path(path.parent().unwrap_or(path))
    }

    /// Whether any queue that was looked at lacks units: then all have to be built anew.
    pub(crate) fn is_lacking(&self) -> bool {
        self.lacking.get()
    }

    /// Looks at all queues. Answers whether any lacks units.
    pub(crate) fn look_for_lacking(&self) -> bool {
        for (number, slot) in (0..).zip(&self.slots) {
            let _ = slot.queue.get_or_init(|| self.load(QueueId(number), slot));
        }
        self.is_lacking()
    }

    /// Whether any queue that was looked at cannot be used.
    pub(crate) fn has_broken(&self) -> bool {
        self.first_broken().is_some()
    }

    /// Topic and number of a queue that was looked at and cannot be used.
    pub(crate) fn first_broken(&self) -> Option<(String, i32)> {
        let broken = self.slots.iter().find(|slot| matches!(slot.queue.get(), Some(Loaded::Broken(_))))?;
        Some((broken.topic.to_string(), broken.queue_id))
    }

    /// How many queues are known.
    pub(crate) fn len(&self) -> usize {
        self.topics.values().map(Vec::len).sum()
    }

    /// How many queues have files, as far as they were looked at; the others were found on disk.
    pub(crate) fn count_with_files(&self) -> usize {
        let has = |slot: &&Slot| match slot.queue.get() {
            Some(Loaded::Open(queue)) => queue.has_files(),
            Some(Loaded::Broken(_)) => true,
            Some(Loaded::Removed) => false,
            None => slot.found,
        };
        self.slots.iter().filter(has).count()
    }

    /// Cuts all queues to the units that point in front of `limit`. A queue that lacks a file has to be built anew from the log: it is
    /// emptied if `anew`, which says that this is being done.
    ///
    /// # Errors
    /// [`OpenError`] for a queue whose files cannot be used.
    pub(crate) fn cut(&mut self, limit: i64, anew: bool) -> Result<QueuesCut, OpenError> {
        self.lacking.set(false);
        self.forget_put_off();
        let Self { disk, dir, file_size, log_start, slots, background, .. } = self;
        Cut { disk, dir, file_size: *file_size, log_start, limit, anew }.on(slots, *background)
    }

    /// Queues of which the log holds no message any more go on where they ended, or offsets would be given twice. To be called when all
    /// others were built anew.
    ///
    /// # Errors
    /// Those of the operating system.
    pub(crate) fn keep_places(&mut self) -> io::Result<()> {
        for slot in &mut self.slots {
            let was = slot.was.take();
            if let (Some(was), Some(Loaded::Open(queue))) = (was, slot.queue.get_mut())
                && !queue.has_units()
                && queue.max() < was.end
            {
                queue.reset()?;
                queue.begin_at(was.end)?;
            }
        }
        Ok(())
    }

    /// Puts the unit of a record of the log that says of itself to have `offset` in its queue. Answers whether it could: not if
    /// the queue lacks units in front of it, unless the queues are built anew from the whole log: then units stand in for what was
    /// `lost`, which no reader takes for a message. The unit of a queue that is put off waits.
    ///
    /// # Errors
    /// Those of the operating system.
    pub(crate) fn rebuild(
        &mut self,
        (topic, queue_id, offset): (&str, i32, i64),
        unit: &QueueUnit,
        whole: bool,
        lost: Lost,
    ) -> io::Result<bool> {
        if !is_folder_name(topic) || offset < 0 {
            tracing::warn!(at = unit.offset.0, topic, offset, "a record of no possible queue is left out");
            return Ok(true);
        }
        let queue = self.open(topic, queue_id);
        if self.keep(queue, offset, unit) {
            return Ok(true);
        }
        if whole {
            return self.put_in_whole(queue, offset, unit, lost);
        }
        let placing = Placing { log_start: self.log_start.get(), whole, lost };
        placing.put(self.get_mut(queue).map_err(io::Error::other)?, (topic, queue_id), offset, unit)
    }

    /// Files whose write end was opened by [`QueueTable::rebuild`], for the thread that syncs them.
    pub(crate) fn take_opened(&mut self) -> Vec<OpenedQueueFile> {
        let mut opened = Vec::new();
        for slot in &mut self.slots {
            if let Some(Loaded::Open(queue)) = slot.queue.get_mut() {
                opened.extend(std::iter::from_fn(|| queue.take_opened()));
            }
        }
        opened
    }

    /// The queue's last unit is new to readers.
    #[inline]
    pub(crate) fn tell_arrival(&mut self, queue: QueueId) {
        let Some(slot) = self.slots.get_mut(queue.0 as usize) else { return };
        if !slot.arriving
            && let Some(Loaded::Open(open)) = slot.queue.get()
        {
            slot.arriving = true;
            slot.told = open.max() - 1;
            self.arrived.push_back(queue);
        }
    }

    /// The next unit that readers were not told of.
    pub(crate) fn poll_arrival(&mut self) -> Option<Arrival> {
        while let Some(&queue) = self.arrived.front() {
            let slot = self.slots.get_mut(queue.0 as usize)?;
            let offset = slot.told;
            if let Some(Loaded::Open(open)) = slot.queue.get()
                && let Some(unit) = open.unit(offset)
            {
                slot.told += 1;
                return Some(Arrival { queue, queue_offset: offset, tags_code: unit.tags_code });
            }
            slot.arriving = false;
            self.arrived.pop_front();
        }
        None
    }

    /// Forgets a topic. Returns whether it was known.
    pub(crate) fn remove(&mut self, topic: &str) -> bool {
        let Some(numbers) = self.topics.shift_remove(topic) else { return false };
        for (_, queue) in numbers {
            self.forget_waiting(queue);
            if let Some(slot) = self.slots.get_mut(queue.0 as usize) {
                slot.queue = OnceCell::from(Loaded::Removed);
            }
        }
        true
    }
}

/// Whether a queue cannot be opened since files of it are damaged, so that it can be built anew. If none has the length that the
/// configuration says, it is more likely that the configuration is wrong.
fn is_damage(disk: &Disk, dir: &Path, file_size: u32, error: &OpenError) -> bool {
    let folders = |dir: &Path| disk.list(dir).unwrap_or_default().into_iter().filter(|entry| entry.is_dir);
    let fits = |dir: &Path| disk.list(dir).unwrap_or_default().iter().any(|file| !file.is_dir && file.len == u64::from(file_size));
    match error {
        OpenError::MissingFile { .. } => true,
        OpenError::WrongFileSize { .. } => folders(dir).any(|topic| {
            let topic = dir.join(topic.name);
            folders(&topic).any(|queue| fits(&topic.join(queue.name)))
        }),
        _ => false,
    }
}

/// Whether a topic can be a folder inside another one.
fn is_folder_name(topic: &str) -> bool {
    !topic.is_empty() && topic.len() <= 255 && topic != "." && topic != ".." && !topic.contains(['/', '\0'])
}
