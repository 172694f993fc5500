//! From a folder to a running store, and back.

use std::{
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
    thread,
    time::Duration,
};

use crossbeam_channel::{RecvTimeoutError, bounded};
use route_core::{
    Now,
    output::Table,
    storage::{LogOffset, QueueUnit, Storage},
};

use crate::{
    StoreConfig,
    ahead::Readiness,
    catch_up::CatchUp,
    checkpoint::{self, Checkpoint},
    cleaning::Cleaning,
    commit_log::{CommitLog, Writing},
    config::FlushDiskType,
    disk::Disk,
    dispatch::PendingUnits,
    doubts::Doubts,
    errands::Errands,
    error::{OpenError, at, not_made},
    event::{Background, Notifier},
    expiry::{LogExpiry, QueueExpiry},
    flusher::{FlushPolicy, FlushStart, Flusher},
    folder::DataFolder,
    held_saves::HeldSaves,
    index::{Geometry, Index, IndexStart, OpenedIndex, Trust},
    map_budget::{self, MapBudget},
    offset_journal::OffsetJournal,
    queue_ends,
    queues::QueueTable,
    recovery::{LogFiles, Recovered, RecoveredLog, RecoveryInput, recover},
    store::{RECORD_EXTRA, Store},
    sync_size::SyncSize,
    tables::{TablePaths, Tables},
    whole_record::Trailers,
};

/// How long a closing store sleeps between two looks at the disk's progress.
const CLOSE_POLL: Duration = Duration::from_millis(1);

impl Store {
    /// Opens the store of a folder, which is made if it is not there, and recovers what the last process left.
    ///
    /// `notifier` is called whenever there is something to [poll](Store::poll_event).
    ///
    /// # Errors
    /// [`OpenError`] names the path and what to do about it.
    pub fn open(config: StoreConfig, notifier: Notifier) -> Result<(Self, Recovered), OpenError> {
        Self::open_on(config.disk.0.clone(), config, notifier, Background::Threads, &mut |_, _| {})
    }

    /// [`Store::open`] on any disk. `progress` is told how many bytes of how many are read again.
    pub(crate) fn open_on(
        disk: Disk,
        config: StoreConfig,
        notifier: Notifier,
        background: Background,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<(Self, Recovered), OpenError> {
        check(&config)?;
        let root = &config.store_path_root_dir;
        let mut changed = Vec::new();
        let mut make = |dir: PathBuf| -> Result<(), OpenError> {
            changed.extend(disk.make_dirs(&dir).map_err(not_made(&dir))?);
            Ok(())
        };
        make(root.clone())?;
        let folder = DataFolder::take(disk.clone(), root)?;
        for dir in [config.commit_log_dir(), config.consume_queue_dir(), config.index_dir(), config.config_dir()] {
            make(dir)?;
        }
        let checkpoint_path = root.join("checkpoint");
        let content = disk.read(&checkpoint_path).map_err(at(&checkpoint_path))?;
        let checkpoint = Checkpoint::decode(content.as_deref().unwrap_or_default())
            .map_err(|newer| OpenError::Newer { path: checkpoint_path.clone(), version: newer.0 })?;
        disk.create_sized(&checkpoint_path, checkpoint::LEN as u64).map_err(at(&checkpoint_path))?;

        let mut files = LogFiles::list(disk.clone(), &config.commit_log_dir(), config.mapped_file_size_commit_log)?;
        if let Some(why) = content.as_deref().map_or(Some("it is missing"), Checkpoint::damage).filter(|_| !files.bases.is_empty()) {
            tracing::warn!(path = %checkpoint_path.display(), why, "the checkpoint says nothing; the log is read again from an older place");
        }
        files.trailers = Trailers::in_recovery(&config);
        let closed = folder.was_closed()?;
        let mut first = folder.mark_open()?;
        first.extend(changed);
        // Before anything is written: a queue that the system brings to disk on its own account must not be taken for one in order.
        disk.sync_paths(&first).map_err(at(root))?;
        let log_start = files.bases.first().copied().unwrap_or(0);
        disk.maps().set_limits(config.max_mapped_files, map_budget::most_of_this_machine());
        let mut queues =
            QueueTable::new(disk.clone(), config.consume_queue_dir(), config.mapped_file_size_consume_queue, log_start, background);
        queues.discover().map_err(at(config.consume_queue_dir()))?;
        let queue_ends_path = config.config_dir().join(queue_ends::FILE);
        let input = RecoveryInput {
            checkpoint: &checkpoint,
            closed,
            delay_levels: &config.message_delay_level,
            checkpoint_path: &checkpoint_path,
            queue_ends_path: &queue_ends_path,
            max_mapped_files: config.max_mapped_files,
            look_at_all_queues: config.look_at_all_queues,
        };
        let recovered = recover(&mut files, &mut queues, &input, progress)?;
        let RecoveredLog { position, report, mut flushed, mut unsynced_log, unsynced, mark } = recovered;
        if config.flush_disk_type == FlushDiskType::SyncFlush {
            // Readers see what is on disk, and they see all of it from the start.
            disk.sync_paths(&unsynced_log).map_err(at(config.commit_log_dir()))?;
            unsynced_log.clear();
            flushed = position.written;
        }

        let trailers = Trailers::counting(files.trailers.count());
        let mut index = if config.message_index_enable {
            // Java says of its files only that they were on disk up to some time; a mark that still holds says that they are ours.
            let trust = if closed || checkpoint.mark.is_some() { Trust::All } else { Trust::Until(checkpoint.java.index_msg_timestamp) };
            let start = IndexStart {
                disk: disk.clone(),
                dir: config.index_dir(),
                geometry: geometry(&config),
                search_work: config.max_search_work,
                commit_log_dir: config.commit_log_dir(),
                commit_log_file_size: config.mapped_file_size_commit_log,
                trust,
                log: (report.log_start, position.written),
                trailers: trailers.clone(),
            };
            Some(OpenedIndex::open(start).map_err(at(config.index_dir()))?)
        } else {
            None
        };

        warn_of_short_files(&config);
        let catch_up = match queues.put_off_folders() {
            Some((folders, limit)) => CatchUp::begin(disk.clone(), folders, limit, config.mapped_file_size_consume_queue, background),
            None => CatchUp::none(),
        };
        let sync_size = Arc::new(SyncSize::default());
        let synced = (config.flush_disk_type == FlushDiskType::SyncFlush).then(|| Arc::clone(&sync_size));
        let ready = Readiness { synced, cached_log: config.cached_log };
        let how = Writing { ready, background, trailers };
        let opened = CommitLog::open(disk.clone(), &files.dir, files.file_size, &files.bases, position.written, how);
        let mut log = opened.map_err(at(&files.dir))?;
        let policy = FlushPolicy::of(&config);
        let start = FlushStart {
            disk: disk.clone(),
            commit_log_dir: config.commit_log_dir(),
            consume_queue_dir: config.consume_queue_dir(),
            checkpoint_path,
            checkpoint: Checkpoint { mark, ..checkpoint },
            flushed,
            unsynced_log,
            unsynced,
            mark_held: queues.is_put_off(),
            sync_size,
            policy,
        };
        let flusher = Flusher::start(start, Arc::clone(&notifier), background).map_err(at(root))?;
        let paths = match &config.settings_path {
            Some(path) => TablePaths::in_dir(&config.config_dir()).with(Table::Settings, path),
            None => TablePaths::in_dir(&config.config_dir()),
        };
        let tables = Tables::open_on(disk.clone(), paths, Arc::clone(&notifier), background).map_err(at(config.config_dir()))?;
        for rubbish in folder.left_aside().map_err(at(root))? {
            tables.remove_dir(rubbish);
        }
        let errands = |name| Errands::start(name, disk.clone(), Arc::clone(&notifier), background).map_err(at(root));
        let cleaning = Cleaning {
            queues: QueueExpiry::new(&config.expiry, files.bases.first().copied().unwrap_or(0)),
            log: LogExpiry::new(config.expiry.clone()),
            maps: MapBudget::new(config.max_mapped_files),
            look: errands("petrel-look")?,
            clean: errands("petrel-clean")?,
            space: None,
            commit_log_dir: config.commit_log_dir(),
            consume_queue_dir: config.consume_queue_dir(),
            log_file_size: config.mapped_file_size_commit_log,
            queue_file_size: config.mapped_file_size_consume_queue,
            now: Now::default(),
        };
        let maps = disk.maps().clone();
        let shared = Arc::clone(flusher.shared());
        while let Some(file) = log.take_opened() {
            if let Some(index) = &mut index {
                index.log_opened(file.clone());
            }
            shared.log_opened(file);
        }
        for file in queues.take_opened() {
            shared.queue_opened(file);
        }
        shared.progress.tell(&position);
        let start_index = |opened| Index::start(opened, Arc::clone(&shared), notifier, background).map_err(at(root));
        let index = index.map(start_index).transpose()?;
        let store = Self {
            log,
            queues,
            pending: PendingUnits::default(),
            position,
            durable: flushed,
            reported: flushed,
            failure_reported: false,
            commit_failure: None,
            commit_failed: false,
            untold: false,
            requested: position.written,
            max_message_size: config.max_message_size as usize,
            max_unflushed: i64::from(config.max_unflushed),
            append_trailers: config.enabled_append_prop_crc,
            flush_disk_type: config.flush_disk_type,
            shared,
            flusher,
            index,
            tables,
            held_saves: HeldSaves::default(),
            consumer_offsets: OffsetJournal::open(disk.clone(), config.config_dir().join("consumerOffset.journal")),
            delay_offsets: OffsetJournal::open(disk, config.config_dir().join("delayOffset.journal")),
            cleaning,
            doubts: Doubts::default(),
            catch_up,
            delay_levels: config.message_delay_level,
            maps,
            removed: 0,
            queue_ends_path,
            was_closed: closed,
            close_timeout: config.close_timeout,
            folder,
        };
        Ok((store, report))
    }

    /// Brings all to disk, says so in the checkpoint, and lets the folder go. Queues that nobody has looked at since a crash are left for the
    /// next start, which then is one as after that crash. Waits no longer than [`StoreConfig::close_timeout`]: a store that
    /// is not closed by then holds its folder until the process ends or the disk is done.
    ///
    /// # Errors
    /// Why that could not be done. The next start then recovers as after a crash.
    pub fn close(self) -> Result<(), String> {
        if self.flusher.is_stepped() {
            return self.close_in_order();
        }
        let limit = self.close_timeout;
        let (closed, outcome) = bounded(1);
        let close = move || {
            // Only fails if nobody waits any more.
            let _ = closed.send(self.close_in_order());
        };
        thread::Builder::new()
            .name("petrel-close".into())
            .spawn(close)
            .map_err(|error| format!("there is no thread to close it: {error}"))?;
        outcome.recv_timeout(limit).unwrap_or_else(|error| match error {
            RecvTimeoutError::Timeout => Err(format!(
                "the disk was not done after {} ms (storeCloseTimeout): the store is left as it is, and the next start recovers it",
                limit.as_millis()
            )),
            RecvTimeoutError::Disconnected => Err("what closes the store has panicked; the next start recovers it".into()),
        })
    }

    fn close_in_order(mut self) -> Result<(), String> {
        let put_off = self.stop_catching_up();
        // Whether it could be done shows below.
        self.hand_over();
        self.log.close();
        if self.flush_disk_type == FlushDiskType::SyncFlush {
            // Units follow their records: wait for the records first.
            while self.shared.durable() < self.position.written && !self.shared.is_poisoned() {
                self.flusher.request();
                if !self.flusher.step_at_once() {
                    thread::sleep(CLOSE_POLL);
                }
            }
            self.set_durable(LogOffset(self.shared.durable()));
            self.hand_over();
        }
        self.shared.queues.store(u32::try_from(self.queues.count_with_files()).unwrap_or(u32::MAX), Ordering::Release);
        if let Some(index) = &mut self.index {
            index.stop(true);
        }
        if put_off {
            self.tell_put_off();
        }
        self.flusher.stop(true);
        // They speak of what is on disk, and of queues that are put off nothing is known but where they ended before.
        if !put_off
            && self.shared.failure().is_none()
            && let Err(error) = self.queues.save_ends(&self.queue_ends_path, self.position.dispatched)
        {
            tracing::warn!(%error, "where the queues end could not be saved; the next start cannot tell whether one lacks units");
        }
        while self.settle_held_saves().is_some() {}
        self.tables.finish();
        while self.poll_event().is_some() || self.tables.step() {}
        self.consumer_offsets.close();
        self.delay_offsets.close();
        if let Some(failure) = self.shared.failure() {
            return Err(failure.to_owned());
        }
        if put_off {
            return Ok(());
        }
        self.folder.mark_closed().map_err(|error| format!("the abort file could not be removed: {error}"))
    }
}

impl Drop for Store {
    /// Lets go of everything as a killed process does: nothing more is brought to disk.
    fn drop(&mut self) {
        if let Some(index) = &mut self.index {
            index.stop(false);
        }
        self.flusher.stop(false);
    }
}

pub(crate) fn geometry(config: &StoreConfig) -> Geometry {
    let clamp = |number: u32, least| i32::try_from(number).unwrap_or(i32::MAX).max(least);
    Geometry { slots: clamp(config.max_hash_slot_num, 1), entries: clamp(config.max_index_num, 2) }
}

/// A message lies in one file as a whole: where files are shorter than the longest message, they are the limit.
fn warn_of_short_files(config: &StoreConfig) {
    let (file, longest) = (config.mapped_file_size_commit_log, config.max_message_size);
    if u64::from(file) < u64::from(longest) + RECORD_EXTRA as u64 {
        tracing::warn!(
            mappedFileSizeCommitLog = file,
            maxMessageSize = longest,
            "a file of the log cannot hold the longest message that maxMessageSize allows: messages that do not fit into one are refused"
        );
    }
}

/// Settings that no store can work with.
pub(crate) fn check(config: &StoreConfig) -> Result<(), OpenError> {
    let unit = QueueUnit::LEN as u32;
    let size = config.mapped_file_size_consume_queue;
    if size == 0 || !size.is_multiple_of(unit) || size > i32::MAX.cast_unsigned() {
        let what = format!("{size} is not a multiple of {unit} below 2147483648");
        return Err(OpenError::Setting { key: "mappedFileSizeConsumeQueue", what });
    }
    let size = config.mapped_file_size_commit_log;
    if !(4096..=i32::MAX.cast_unsigned()).contains(&size) {
        return Err(OpenError::Setting { key: "mappedFileSizeCommitLog", what: format!("{size} is not between 4096 and 2147483647") });
    }
    let len = geometry(config).file_len();
    if len > u64::from(i32::MAX.cast_unsigned()) {
        let what = format!(
            "{} of them and {} slots make files of {len} bytes; 2147483647 are possible",
            config.max_index_num, config.max_hash_slot_num
        );
        return Err(OpenError::Setting { key: "maxIndexNum", what });
    }
    Ok(())
}
