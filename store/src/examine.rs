//! Looking at a data folder without taking it into service: what lies in it, whether it fits together, and its messages.
//!
//! An [`Examination`] holds the folder for reading: a broker cannot start on it meanwhile, and it cannot begin while a broker runs.
//! It changes nothing, so it serves for copies, for folders that cannot be written, and before anything is repaired.

mod finding;
mod folder_check;
mod index_check;
mod inspect;
mod layout;
mod messages;
mod queue_check;
mod queue_view;
mod tables;
mod verify;

use std::path::PathBuf;

pub use finding::{Finding, Part, Severity, Watch};
pub use inspect::{CheckpointSummary, LogFileSummary, LogSummary, QueueSummary, Summary, TopicSummary};
pub use messages::Selection;
pub use tables::TableFile;
pub use verify::Verified;

use crate::{
    checkpoint::Checkpoint,
    config::{StoreConfig, StoreDisk},
    disk::Disk,
    error::{OpenError, at},
    folder::DataFolder,
    index::view::Told,
    log_walk::{LogWalk, Step},
    whole_record::Trailers,
};
use index_check::told_shape;
use layout::Layout;

/// So many records tell whether a log has checksums over all of each record.
const LEARNT_FROM: usize = 64;

/// What to look at. What is not said is told by the files.
#[derive(Clone, Debug, Default)]
pub struct ExamineConfig {
    /// The data folder.
    pub root: PathBuf,
    /// Folder of the commit log, if it is not `commitlog` in the data folder.
    pub commit_log: Option<PathBuf>,
    /// Bytes of a file of the log.
    pub mapped_file_size_commit_log: Option<u32>,
    /// Bytes of a file of a consume queue.
    pub mapped_file_size_consume_queue: Option<u32>,
    /// Slots and entries of an index file.
    pub index_shape: Option<(u32, u32)>,
    /// The broker puts a checksum over all of each record at its end: a wrong one counts in the first record, too.
    pub enabled_append_prop_crc: bool,
    /// The broker keeps no index.
    pub without_index: bool,
    /// Where all that lies.
    pub disk: StoreDisk,
}

/// A data folder that is looked at. Others may look, too, but none may work on it until the value is dropped.
#[derive(Debug)]
pub struct Examination {
    disk: Disk,
    config: ExamineConfig,
    layout: Layout,
    checkpoint: Checkpoint,
    /// What is wrong with its file, if there is a log that it should speak of.
    checkpoint_flaw: Option<String>,
    closed: bool,
    _folder: DataFolder,
}

impl Examination {
    /// Looks at the folder's files. Those that do not belong there or have a wrong size come out as findings of
    /// [`verify`](Examination::verify), they are no errors.
    ///
    /// # Errors
    /// [`OpenError`]: no store is there, somebody works on it, or it cannot be read.
    pub fn open(config: ExamineConfig) -> Result<Self, OpenError> {
        let disk = config.disk.0.clone();
        if !disk.exists(&config.root) {
            return Err(OpenError::NotThere { path: config.root });
        }
        let folder = DataFolder::look_at(disk.clone(), &config.root)?;
        let layout = Layout::find(&disk, &config)?;
        let path = config.root.join("checkpoint");
        let content = disk.read(&path).map_err(at(&path))?;
        let checkpoint_flaw = folder_check::flaw(content.as_deref());
        let checkpoint = Checkpoint::decode(&content.unwrap_or_default()).map_err(|newer| OpenError::Newer { path, version: newer.0 })?;
        let closed = folder.was_closed()?;
        Ok(Self { disk, config, layout, checkpoint, checkpoint_flaw, closed, _folder: folder })
    }

    /// What the checksums at the end of records are worth, by the first records of the log.
    ///
    /// # Errors
    /// If the log cannot be read.
    fn trailers(&self) -> Result<Trailers, OpenError> {
        let Layout { log, log_file_size, .. } = &self.layout;
        let told = Trailers::counting(self.config.enabled_append_prop_crc);
        let mut walk = LogWalk::new(&self.disk, &log.dir, *log_file_size, &log.files, self.layout.log_start(), told);
        for _ in 0..LEARNT_FROM {
            if walk.trailers().count() || matches!(walk.step()?, Step::End(_)) {
                break;
            }
        }
        Ok(walk.trailers().clone())
    }

    /// Settings with which the folder can be worked on: what its files tell, and RocketMQ's defaults for what they do not.
    ///
    /// # Errors
    /// If the index's files cannot be read.
    pub fn told_config(&self) -> Result<StoreConfig, OpenError> {
        let mut config = StoreConfig { disk: self.config.disk.clone(), ..StoreConfig::new(&self.config.root) };
        let told = |size: u64, other: u32| u32::try_from(size).ok().filter(|size| *size > 0).unwrap_or(other);
        config.mapped_file_size_commit_log = told(self.layout.log_file_size, config.mapped_file_size_commit_log);
        config.mapped_file_size_consume_queue = told(self.layout.queue_file_size, config.mapped_file_size_consume_queue);
        if let Told::Shape(shape) = told_shape(&self.disk, &config.index_dir())? {
            config.max_hash_slot_num = shape.slots.unsigned_abs();
            config.max_index_num = shape.entries.unsigned_abs();
        }
        Ok(config)
    }
}
