//! What can be set about a store; each field is named as RocketMQ's key.

use std::{path::PathBuf, time::Duration};

use proto_core::delay::DelayLevels;

use crate::{disk::Disk, expiry::ExpiryPolicy, map_budget};

/// When an append counts as done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FlushDiskType {
    /// As soon as it is in the page cache; the disk follows at intervals.
    #[default]
    AsyncFlush,
    /// When it is on disk. Only then is it readable, too.
    SyncFlush,
}

/// The disk that a store works on: that of the machine, unless a test brings another one.
#[derive(Clone, Debug)]
pub struct StoreDisk(pub(crate) Disk);

impl Default for StoreDisk {
    fn default() -> Self {
        Self(Disk::system())
    }
}

/// Settings of a store.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// The data folder.
    pub store_path_root_dir: PathBuf,
    /// Where changed settings are kept, if it is not `config/broker.properties` in the data folder.
    pub settings_path: Option<PathBuf>,
    /// Folder of the commit log, if it is not `commitlog` in the data folder.
    pub store_path_commit_log: Option<PathBuf>,
    /// Bytes of a file of the log.
    pub mapped_file_size_commit_log: u32,
    /// Bytes of a file of a consume queue; a multiple of 20.
    pub mapped_file_size_consume_queue: u32,
    /// Longest body in bytes.
    pub max_message_size: u32,
    /// Whether records end with a checksum over all of them, as their last property.
    pub enabled_append_prop_crc: bool,
    /// Whether recovery goes by that checksum instead of the body's where a record has one.
    pub force_verify_prop_crc: bool,
    /// When an append counts as done.
    pub flush_disk_type: FlushDiskType,
    /// How often the log goes to disk with [`FlushDiskType::AsyncFlush`].
    pub flush_interval_commit_log: Duration,
    /// Pages that must be new for that to happen.
    pub flush_commit_log_least_pages: u32,
    /// After this long it happens for less, too.
    pub flush_commit_log_thorough_interval: Duration,
    /// How often consume queues go to disk.
    pub flush_interval_consume_queue: Duration,
    /// The delays of levels: queues of delayed messages carry delivery times, which recovery computes.
    pub message_delay_level: DelayLevels,
    /// Whether messages can be looked up by their keys.
    pub message_index_enable: bool,
    /// Slots of an index file.
    pub max_hash_slot_num: u32,
    /// Keys of an index file.
    pub max_index_num: u32,
    /// Work that one look-up by key may make, counted in entries of the index; a message that it reads counts for a hundred. Not a key of
    /// RocketMQ's.
    pub max_search_work: usize,
    /// How many files may be mapped at a time; those that are used least are unmapped then. Half of `vm.max_map_count` unless it is set.
    pub max_mapped_files: usize,
    /// Up to so many queues are all looked at by a start; if there are more, it looks at each when it is used. Not a key of RocketMQ's.
    pub look_at_all_queues: usize,
    /// When old files go, and when the disk counts as full.
    pub expiry: ExpiryPolicy,
    /// With [`FlushDiskType::SyncFlush`]: bytes of the log that may wait for the disk before appends are refused.
    pub max_unflushed: u32,
    /// So many bytes of the log stay in memory for as long as the system likes. If more are written than that, the pages of what nobody reads may be
    /// used again, where fresh ones are dear.
    pub cached_log: u64,
    /// How long [`Store::close`](crate::Store::close) waits for the disk.
    pub close_timeout: Duration,
    /// Where all that lies.
    pub disk: StoreDisk,
}

impl StoreConfig {
    /// RocketMQ's defaults for a data folder.
    #[must_use]
    pub fn new(store_path_root_dir: impl Into<PathBuf>) -> Self {
        Self {
            store_path_root_dir: store_path_root_dir.into(),
            settings_path: None,
            store_path_commit_log: None,
            mapped_file_size_commit_log: 1 << 30,
            mapped_file_size_consume_queue: 300_000 * 20,
            max_message_size: 4 << 20,
            enabled_append_prop_crc: false,
            force_verify_prop_crc: false,
            flush_disk_type: FlushDiskType::AsyncFlush,
            flush_interval_commit_log: Duration::from_millis(500),
            flush_commit_log_least_pages: 4,
            flush_commit_log_thorough_interval: Duration::from_secs(10),
            flush_interval_consume_queue: Duration::from_secs(1),
            message_delay_level: DelayLevels::default(),
            message_index_enable: true,
            max_hash_slot_num: 5_000_000,
            max_index_num: 20_000_000,
            // The entries of a file of the usual size: who asks waits for a few seconds.
            max_search_work: 20_000_000,
            max_mapped_files: map_budget::of_this_machine(),
            // That takes some tens of ms.
            look_at_all_queues: 4096,
            expiry: ExpiryPolicy::default(),
            max_unflushed: 256 << 20,
            cached_log: u64::MAX,
            close_timeout: Duration::from_secs(20),
            disk: StoreDisk::default(),
        }
    }

    /// The commit log's folder.
    #[must_use]
    pub fn commit_log_dir(&self) -> PathBuf {
        self.store_path_commit_log.clone().unwrap_or_else(|| self.store_path_root_dir.join("commitlog"))
    }

    /// Takes over from `changed` what may change while a store is open: when it flushes and what it deletes.
    pub fn take_changeable(&mut self, changed: Self) {
        *self = Self {
            flush_interval_commit_log: changed.flush_interval_commit_log,
            flush_commit_log_least_pages: changed.flush_commit_log_least_pages,
            flush_commit_log_thorough_interval: changed.flush_commit_log_thorough_interval,
            flush_interval_consume_queue: changed.flush_interval_consume_queue,
            expiry: changed.expiry,
            ..self.clone()
        };
    }

    /// The consume queues' folder.
    #[must_use]
    pub fn consume_queue_dir(&self) -> PathBuf {
        self.store_path_root_dir.join("consumequeue")
    }

    /// The index's folder.
    #[must_use]
    pub fn index_dir(&self) -> PathBuf {
        self.store_path_root_dir.join("index")
    }

    /// The tables' folder.
    #[must_use]
    pub fn config_dir(&self) -> PathBuf {
        self.store_path_root_dir.join("config")
    }
}
