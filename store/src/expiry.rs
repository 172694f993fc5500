//! What is deleted to make room, and when: pure decisions, without a look at clock or disk.
//!
//! - [`log_files`]: old files of the log go by their age, or because the disk is nearly full; a full disk takes no messages.
//! - [`queue_files`]: files of queues follow the log: those that lie wholly in front of it go.

mod delete_when;
mod disk_use;
mod log_files;
mod queue_files;

use route_core::time::Millis;

pub use delete_when::DeleteWhen;
pub(crate) use disk_use::{Level, Marks, Space};
pub(crate) use log_files::{LogExpiry, LogOutput, OldFile, Seen, Why};
pub(crate) use queue_files::{FOUND_AT_ONCE, OldQueueFile, QueueExpiry, QueueOutput};

/// When files go; each field is named as RocketMQ's key. Ratios are in percent of the disk.
#[derive(Clone, Debug)]
pub struct ExpiryPolicy {
    /// How long a file of the log is kept after it was last written to.
    pub file_reserved_time: Millis,
    /// In which hours of the day files go whose time is over.
    pub delete_when: DeleteWhen,
    /// Above this, files whose time is over go at any hour. From 10 on, as for Java.
    pub disk_max_used_space_ratio: u8,
    /// Above this, the oldest files go before their time. From 30 on.
    pub disk_space_clean_forcibly_ratio: u8,
    /// Above this, no message is taken. From 35 on.
    pub disk_space_warning_level_ratio: u8,
    /// Whether files may go before their time.
    pub clean_file_forcibly_enable: bool,
    /// How often the disk is looked at.
    pub clean_resource_interval: Millis,
    /// The pause between two files of the log.
    pub delete_commit_log_files_interval: Millis,
    /// The pause between two files of queues.
    pub delete_consume_queue_files_interval: Millis,
    /// How many files of the log go after one look at most.
    pub delete_file_batch_max: usize,
    /// After how long a file that could not be deleted is tried again.
    pub redelete_hanged_file_interval: Millis,
}

impl ExpiryPolicy {
    /// The marks, no lower than Java allows them to be. It holds them below 95, 85 and 90, too, which on a large disk gives away much space;
    /// here space is allocated before it is used, so that a mark may be as high as somebody wants it.
    fn marks(&self) -> Marks {
        Marks {
            expired_go: self.disk_max_used_space_ratio.max(10),
            oldest_go: self.disk_space_clean_forcibly_ratio.max(30),
            refused: self.disk_space_warning_level_ratio.max(35),
        }
    }
}

impl Default for ExpiryPolicy {
    /// RocketMQ's.
    fn default() -> Self {
        Self {
            file_reserved_time: Millis::from_secs(72 * 3600),
            delete_when: DeleteWhen::default(),
            disk_max_used_space_ratio: 75,
            disk_space_clean_forcibly_ratio: 85,
            disk_space_warning_level_ratio: 90,
            clean_file_forcibly_enable: true,
            clean_resource_interval: Millis::from_secs(10),
            delete_commit_log_files_interval: Millis(100),
            delete_consume_queue_files_interval: Millis(100),
            delete_file_batch_max: 10,
            redelete_hanged_file_interval: Millis::from_secs(120),
        }
    }
}
