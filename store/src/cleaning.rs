//! Old files go, and a full disk is noticed: the decisions of [`expiry`](crate::expiry) carried out on log and queues.
//!
//! The log goes first, its queues follow: what they point at in front of the log counts as gone anyway, so that a crash between any two
//! steps leaves a store that opens as it is, and that finds what is left to delete.

use std::path::PathBuf;

use route_core::{
    storage::DiskSpace,
    time::{Millis, Now},
};

use crate::{
    config::StoreConfig,
    errands::{Done, Errand, Errands},
    expiry::{Level, LogExpiry, LogOutput, OldQueueFile, QueueExpiry, QueueOutput, Why},
    flusher::FlushPolicy,
    map_budget::{MapBudget, Sweep},
    store::Store,
};

/// The machines that decide, and those who act for them.
#[derive(Debug)]
pub(crate) struct Cleaning {
    pub(crate) log: LogExpiry,
    pub(crate) queues: QueueExpiry,
    pub(crate) maps: MapBudget,
    pub(crate) look: Errands,
    pub(crate) clean: Errands,
    /// What the last look has seen of the disk that the log lies on.
    pub(crate) space: Option<DiskSpace>,
    pub(crate) commit_log_dir: PathBuf,
    pub(crate) consume_queue_dir: PathBuf,
    pub(crate) log_file_size: u32,
    pub(crate) queue_file_size: u32,
    /// The last present that was told.
    pub(crate) now: Now,
}

impl Store {
    /// `now` has reached what [`Store::poll_timeout`] announced: it is time to look at the disk, or for old files to go.
    pub fn handle_timeout(&mut self, now: Now) {
        self.cleaning.now = now;
        self.cleaning.log.handle_timeout(now);
        self.cleaning.queues.handle_timeout(now);
        self.cleaning.maps.handle_timeout(now, self.queues.slots());
        self.catch_up.handle_timeout(now);
    }

    /// Settings have changed; of these counts what [may change while the store is open](StoreConfig::take_changeable).
    pub fn handle_configured(&mut self, config: &StoreConfig) {
        // How flushes are promised is decided when the store is opened.
        self.shared.set_policy(FlushPolicy { flush_disk_type: self.flush_disk_type, ..FlushPolicy::of(config) });
        self.cleaning.log.handle_configured(config.expiry.clone());
        self.cleaning.queues.handle_configured(&config.expiry);
    }

    /// The store's threads may have something to say.
    pub fn handle_wake(&mut self, now: Now) {
        self.cleaning.now = now;
        while let Some(done) = self.cleaning.look.poll_done().or_else(|| self.cleaning.clean.poll_done()) {
            self.handle_done(now, done);
        }
    }

    /// The next moment at which the store wants to be woken.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Millis> {
        let Cleaning { log, queues, maps, .. } = &self.cleaning;
        let timeouts = [log.poll_timeout(), queues.poll_timeout(), maps.poll_timeout(self.maps.get()), self.catch_up.poll_timeout()];
        timeouts.into_iter().flatten().min()
    }

    /// How many files are mapped, those included that only wait to be synced or sent.
    #[must_use]
    pub fn mapped_files(&self) -> usize {
        self.maps.get()
    }

    fn handle_done(&mut self, now: Now, done: Done) {
        match done {
            Done::Seen(seen) => {
                self.cleaning.space = seen.log.map(|space| DiskSpace { used: space.used, available: space.available });
                self.cleaning.log.handle_seen(now, &seen);
            }
            Done::LogFileDeleted(base, result) => {
                match &result {
                    Ok(()) => self.cleaning.queues.handle_log_start(self.log.start()),
                    Err(error) => tracing::error!(base, %error, "a file of the log could not be deleted; it is tried again later"),
                }
                self.cleaning.log.handle_deleted(now, base, result.is_ok());
            }
            Done::QueuesFound(found) => {
                let found = found.unwrap_or_else(|error| {
                    tracing::error!(%error, "could not look for old files of queues; they stay until the log loses its next file");
                    Vec::new()
                });
                self.cleaning.queues.handle_found(now, found);
            }
            Done::QueueFileDeleted(result) => {
                if let Err(error) = &result {
                    tracing::error!(%error, "a file of a queue could not be deleted");
                }
                self.cleaning.queues.handle_deleted(now, result.is_ok());
            }
            Done::Searched(search, read) => self.handle_searched(*search, read),
        }
    }

    /// Carries out what was decided. To be called at the end of a loop turn, when nothing that was read is still to be turned into slices:
    /// files that go are not there any more when this returns.
    pub fn clean(&mut self) {
        if let Some(sweep) = self.cleaning.maps.poll_sweep(self.maps.get(), self.queues.slots()) {
            self.unmap_idle(sweep);
        }
        self.catch_up();
        self.look_after_doubts();
        let now = self.cleaning.now;
        while let Some(output) = self.cleaning.log.poll_output() {
            match output {
                LogOutput::Look => self.look(),
                LogOutput::Crossed { level, used } => tell_level(level, used),
                LogOutput::Blind(true) => tracing::error!("the system does not say how full the disk is"),
                LogOutput::Blind(false) => tracing::info!("the system says again how full the disk is"),
                LogOutput::Delete { base, why } => self.delete_log_file(now, base, why),
            }
        }
        while let Some(output) = self.cleaning.queues.poll_output() {
            match output {
                QueueOutput::Scan(log_start) => {
                    let (dir, file_size) = (self.cleaning.consume_queue_dir.clone(), self.cleaning.queue_file_size);
                    if !self.cleaning.clean.ask(Errand::ScanQueues { dir, file_size, log_start }) {
                        self.cleaning.queues.handle_found(now, Vec::new());
                    }
                }
                QueueOutput::Delete(file) => self.delete_queue_file(now, &file),
            }
        }
    }

    fn unmap_idle(&mut self, sweep: Sweep) {
        self.queues.rest(sweep.queues, sweep.limit);
        if sweep.log {
            let idle = self.log.rest();
            if !idle.is_empty() && !self.cleaning.clean.ask(Errand::Unmap(idle)) {
                tracing::debug!("files of the log are unmapped here: who does it otherwise is busy");
            }
        }
    }

    fn look(&mut self) {
        // What log and queues do not hold for sure is needed to open the store again.
        let oldest = self.log.oldest(self.shared.settled()).take(self.cleaning.log.batch()).collect();
        let Cleaning { commit_log_dir, consume_queue_dir, log_file_size, .. } = &self.cleaning;
        let errand = Errand::Look {
            commit_log_dir: commit_log_dir.clone(),
            consume_queue_dir: consume_queue_dir.clone(),
            oldest,
            file_size: *log_file_size,
        };
        if !self.cleaning.look.ask(errand) {
            tracing::error!("the disk is not looked at any more: the thread for it is gone");
        }
    }

    fn delete_log_file(&mut self, now: Now, base: i64, why: Why) {
        match why {
            Why::Expired => tracing::info!(base, "a file of the log goes: its time is over"),
            Why::Full(used) => tracing::warn!(base, "the disk is {used} % full: the oldest file of the log goes before its time"),
            Why::Again => tracing::info!(base, "the deletion of a file of the log is tried again"),
        }
        // Readers see it no more from here on; slices that are being sent keep its content.
        let mapping = self.log.forget(base);
        let dir = self.cleaning.commit_log_dir.clone();
        self.queues.set_log_start(self.log.start());
        if let Some(index) = &self.index {
            index.expire(self.log.start());
        }
        if !self.cleaning.clean.ask(Errand::DeleteLogFile { dir, base, mapping }) {
            self.cleaning.log.handle_deleted(now, base, false);
        }
    }

    fn delete_queue_file(&mut self, now: Now, file: &OldQueueFile) {
        let Some(path) = self.queues.expired_file(file) else {
            // It is gone, or needed after all.
            return self.cleaning.queues.handle_deleted(now, true);
        };
        self.removed += 1;
        // Moved away at once: the topic may be removed and made again, with a file of the same name.
        let asked = match self.folder.put_aside(&path, self.removed) {
            Ok(moved_to) => {
                tracing::debug!(path = %path.display(), "a file of a queue goes");
                let mapping = self.queues.forget_oldest(file);
                let (Some(moved_to), Some(from)) = (moved_to, path.parent()) else {
                    return self.cleaning.queues.handle_deleted(now, true);
                };
                self.cleaning.clean.ask(Errand::DeleteQueueFile { from: from.to_owned(), moved_to, mapping })
            }
            Err(error) => {
                tracing::error!(path = %path.display(), %error, "a file of a queue could not be put aside");
                false
            }
        };
        if !asked {
            self.cleaning.queues.handle_deleted(now, false);
        }
    }
}

fn tell_level(level: Level, used: u8) {
    match level {
        Level::Room => tracing::info!("the disk is {used} % full: there is room again"),
        Level::ExpiredGo => tracing::warn!("the disk is {used} % full: files of the log whose time is over go at any hour"),
        Level::OldestGo => tracing::warn!("the disk is {used} % full: messages are taken, but the oldest may have to go before their time"),
        Level::Refused => tracing::error!("the disk is {used} % full: no message is taken until there is room"),
    }
}
