//! Which files of consume queues go: those that lie wholly in front of the log.
//!
//! After the log has lost files the folders are scanned for such files, beside the loop, as most queues have one file only and many
//! were never looked at. They go one by one; the last file of a queue stays, as it says where the queue goes on.

use std::{collections::VecDeque, sync::Arc};

use route_core::time::{Millis, Now};

use super::ExpiryPolicy;

/// So many files one scan may find; the next scan finds the others.
pub(crate) const FOUND_AT_ONCE: usize = 4096;

/// The oldest file of a queue that has more than this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OldQueueFile {
    /// The queue's topic.
    pub(crate) topic: Arc<str>,
    /// Its number.
    pub(crate) queue_id: i32,
    /// Offset of the file's first byte.
    pub(crate) base: i64,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum QueueOutput {
    /// Look for files in front of a log that begins here: [`QueueExpiry::handle_found`] wants to know.
    Scan(i64),
    /// This file goes if it still is the queue's oldest of several: [`QueueExpiry::handle_deleted`] wants to know.
    Delete(OldQueueFile),
}

/// Decides which files of queues go.
#[derive(Debug)]
pub(crate) struct QueueExpiry {
    pause: Millis,
    again: Millis,
    /// Where the log begins.
    log_start: i64,
    /// No file lies wholly in front of this.
    clean_to: i64,
    /// A scan is under way for a log that begins here.
    scanning: Option<i64>,
    going: VecDeque<OldQueueFile>,
    deleting: bool,
    /// What the last scan found has gone in part only.
    failed: bool,
    next: Millis,
    output: Option<QueueOutput>,
}

impl QueueExpiry {
    /// The log begins at `log_start`; whether the queues have followed it is not known.
    pub(crate) fn new(policy: &ExpiryPolicy, log_start: i64) -> Self {
        Self {
            pause: policy.delete_consume_queue_files_interval,
            again: policy.redelete_hanged_file_interval,
            log_start,
            clean_to: 0,
            scanning: None,
            going: VecDeque::new(),
            deleting: false,
            failed: false,
            next: Millis::ZERO,
            output: None,
        }
    }

    fn is_idle(&self) -> bool {
        self.scanning.is_none() && !self.deleting
    }

    /// The log has lost its files in front of `start`, for good.
    pub(crate) fn handle_log_start(&mut self, start: i64) {
        self.log_start = self.log_start.max(start);
    }

    /// Files go by another policy from now on.
    pub(crate) const fn handle_configured(&mut self, policy: &ExpiryPolicy) {
        self.pause = policy.delete_consume_queue_files_interval;
        self.again = policy.redelete_hanged_file_interval;
    }

    /// Somebody wants old files to be looked for, whatever is known of them.
    pub(crate) fn handle_wish(&mut self) {
        self.clean_to = 0;
        self.next = Millis::ZERO;
    }

    /// `now` has reached what [`QueueExpiry::poll_timeout`] announced.
    pub(crate) fn handle_timeout(&mut self, now: Now) {
        if !self.is_idle() || now.mono < self.next {
            return;
        }
        if let Some(file) = self.going.pop_front() {
            self.deleting = true;
            self.output = Some(QueueOutput::Delete(file));
        } else if self.clean_to < self.log_start {
            self.scanning = Some(self.log_start);
            self.failed = false;
            self.output = Some(QueueOutput::Scan(self.log_start));
        }
    }

    /// The next moment at which the machine wants to be woken.
    pub(crate) fn poll_timeout(&self) -> Option<Millis> {
        let waits = !self.going.is_empty() || self.clean_to < self.log_start;
        (self.is_idle() && waits).then_some(self.next)
    }

    /// What is to be done next.
    pub(crate) fn poll_output(&mut self) -> Option<QueueOutput> {
        self.output.take()
    }

    /// A scan has ended.
    pub(crate) fn handle_found(&mut self, now: Now, found: Vec<OldQueueFile>) {
        let Some(start) = self.scanning.take() else { return };
        if found.is_empty() {
            self.clean_to = start;
        }
        self.going = found.into();
        self.next = now.mono;
    }

    /// The file that was to be deleted is gone, or could not be deleted.
    pub(crate) fn handle_deleted(&mut self, now: Now, gone: bool) {
        self.deleting = false;
        self.failed |= !gone;
        // A queue may have several files that go: after the last one that was found it is scanned again.
        let pause = if self.failed && self.going.is_empty() { self.again } else { self.pause };
        self.next = now.mono + pause;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(mono: u64) -> Now {
        Now { mono: Millis(mono), ..Now::default() }
    }

    fn file(queue_id: i32, base: i64) -> OldQueueFile {
        OldQueueFile { topic: "T".into(), queue_id, base }
    }

    fn expiry() -> QueueExpiry {
        QueueExpiry::new(&ExpiryPolicy::default(), 0)
    }

    fn output_at(expiry: &mut QueueExpiry, mono: u64) -> Option<QueueOutput> {
        expiry.handle_timeout(at(mono));
        expiry.poll_output()
    }

    #[test]
    fn nothing_is_scanned_as_long_as_the_log_is_whole() {
        let mut expiry = expiry();
        assert_eq!(expiry.poll_timeout(), None);
        expiry.handle_log_start(1000);
        assert_eq!(expiry.poll_timeout(), Some(Millis(0)));
        assert_eq!(output_at(&mut expiry, 5), Some(QueueOutput::Scan(1000)));
        expiry.handle_found(at(6), Vec::new());
        assert_eq!((expiry.poll_timeout(), output_at(&mut expiry, 7)), (None, None));
    }

    #[test]
    fn a_log_that_has_lost_files_before_the_start_is_followed_too() {
        let mut expiry = QueueExpiry::new(&ExpiryPolicy::default(), 4096);
        assert_eq!(output_at(&mut expiry, 0), Some(QueueOutput::Scan(4096)));
    }

    #[test]
    fn files_go_one_by_one_with_a_pause_and_are_looked_for_until_there_are_none() {
        let mut expiry = expiry();
        expiry.handle_log_start(1000);
        assert_eq!(output_at(&mut expiry, 0), Some(QueueOutput::Scan(1000)));
        assert_eq!(expiry.poll_timeout(), None, "the scan takes its time");
        expiry.handle_found(at(10), vec![file(0, 0), file(1, 600)]);
        assert_eq!(output_at(&mut expiry, 10), Some(QueueOutput::Delete(file(0, 0))));
        assert_eq!(output_at(&mut expiry, 500), None, "it is still being deleted");
        expiry.handle_deleted(at(500), true);
        assert_eq!((output_at(&mut expiry, 599), expiry.poll_timeout()), (None, Some(Millis(600))));
        assert_eq!(output_at(&mut expiry, 600), Some(QueueOutput::Delete(file(1, 600))));
        expiry.handle_deleted(at(700), true);
        assert_eq!(output_at(&mut expiry, 800), Some(QueueOutput::Scan(1000)));
        expiry.handle_found(at(800), Vec::new());
        assert_eq!(expiry.poll_timeout(), None);
    }

    #[test]
    fn whoever_wishes_for_it_has_the_folders_scanned_again() {
        let mut expiry = QueueExpiry::new(&ExpiryPolicy::default(), 4096);
        assert_eq!(output_at(&mut expiry, 0), Some(QueueOutput::Scan(4096)));
        expiry.handle_found(at(1), Vec::new());
        assert_eq!(expiry.poll_timeout(), None);
        expiry.handle_wish();
        assert_eq!(output_at(&mut expiry, 2), Some(QueueOutput::Scan(4096)));
    }

    #[test]
    fn what_the_log_loses_during_a_scan_is_scanned_for_afterwards() {
        let mut expiry = expiry();
        expiry.handle_log_start(1000);
        expiry.handle_timeout(at(0));
        assert_eq!(expiry.poll_output(), Some(QueueOutput::Scan(1000)));
        expiry.handle_log_start(2000);
        expiry.handle_found(at(1), Vec::new());
        assert_eq!(output_at(&mut expiry, 1), Some(QueueOutput::Scan(2000)));
    }

    #[test]
    fn a_file_that_does_not_go_is_tried_again_after_a_long_pause() {
        let mut expiry = expiry();
        expiry.handle_log_start(1000);
        expiry.handle_timeout(at(0));
        expiry.handle_found(at(0), vec![file(0, 0), file(1, 0)]);
        expiry.handle_timeout(at(0));
        expiry.handle_deleted(at(0), false);
        assert_eq!(expiry.poll_timeout(), Some(Millis(100)), "others need not wait for it");
        expiry.handle_timeout(at(100));
        expiry.handle_deleted(at(100), true);
        assert_eq!(expiry.poll_timeout(), Some(Millis(120_100)));
    }
}
