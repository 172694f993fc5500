//! Which files of the log go, and when; whether messages are taken at all.
//!
//! The disk is looked at every `cleanResourceInterval`, whatever else is going on: a slow deletion does not keep the store from seeing
//! that its disk is full, or that it has space again. Files go one by one from the oldest on, never the last one, and the next one only
//! when the one before is gone for good: a log has no gaps.

use std::collections::VecDeque;

use route_core::time::{Millis, Now, Timestamp};

use super::{
    ExpiryPolicy,
    disk_use::{Level, Marks, Space},
};

/// Files do not go by their age right after the start: whoever opened a folder by mistake has a minute, as with Java.
const GRACE: Millis = Millis::from_secs(60);

/// So many looks in a row find expired files at any hour after somebody wished for it, as with Java.
const LOOKS_AFTER_WISH: u8 = 20;

/// How long a disk that is nearly full is not looked at, at most.
const NEARLY_FULL_LOOK: Millis = Millis::from_secs(1);

/// What was seen of disk and log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Where the log lies; `None` if the system does not say.
    pub(crate) log: Option<Space>,
    /// Where the queues lie.
    pub(crate) queues: Option<Space>,
    /// The oldest files of the log, in order, without any that must stay.
    pub(crate) oldest: Vec<OldFile>,
}

/// A file of the log that may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OldFile {
    /// Offset of its first byte.
    pub(crate) base: i64,
    /// When it was last written to.
    pub(crate) modified: Timestamp,
    /// Its length in bytes.
    pub(crate) len: u64,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogOutput {
    /// Look at disk and log: [`LogExpiry::handle_seen`] wants to know.
    Look,
    /// The disk has crossed a mark, up or down.
    Crossed {
        /// Where it is now.
        level: Level,
        /// In percent.
        used: u8,
    },
    /// The system does not say how full the disk is, or does so again.
    Blind(bool),
    /// The oldest file goes: [`LogExpiry::handle_deleted`] wants to know.
    Delete {
        /// Offset of its first byte.
        base: i64,
        /// Why it goes.
        why: Why,
    },
}

/// Why a file goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// `fileReservedTime` is over.
    Expired,
    /// The disk is this full.
    Full(u8),
    /// It could not be deleted before.
    Again,
}

/// Decides which files of the log go.
#[derive(Debug)]
pub(crate) struct LogExpiry {
    policy: ExpiryPolicy,
    marks: Marks,
    started: Option<Millis>,
    next_look: Millis,
    looking: bool,
    blind: bool,
    level: Level,
    used: u8,
    /// Files that go, the oldest first.
    going: VecDeque<(i64, Why)>,
    /// One of them is being deleted.
    deleting: Option<i64>,
    next_delete: Millis,
    /// Looks that still find expired files at any hour.
    wished: u8,
    outputs: VecDeque<LogOutput>,
}

impl LogExpiry {
    /// Nothing has been seen yet.
    pub(crate) fn new(policy: ExpiryPolicy) -> Self {
        let marks = policy.marks();
        Self {
            policy,
            marks,
            started: None,
            next_look: Millis::ZERO,
            looking: false,
            blind: false,
            level: Level::Room,
            used: 0,
            going: VecDeque::new(),
            deleting: None,
            next_delete: Millis::ZERO,
            wished: 0,
            outputs: VecDeque::new(),
        }
    }

    /// Why no message is taken: the disk is this full, in percent.
    #[inline]
    pub(crate) fn refuses(&self) -> Option<u8> {
        if self.level == Level::Refused { Some(self.used) } else { None }
    }

    /// How many files one look may ask about.
    pub(crate) fn batch(&self) -> usize {
        self.policy.delete_file_batch_max
    }

    /// Files go by another policy from now on; the disk is looked at anew.
    pub(crate) fn handle_configured(&mut self, policy: ExpiryPolicy) {
        self.marks = policy.marks();
        self.policy = policy;
        self.next_look = Millis::ZERO;
    }

    /// Somebody wants files whose time is over to go now, whatever the hour.
    pub(crate) fn handle_wish(&mut self) {
        self.wished = LOOKS_AFTER_WISH;
        self.next_look = Millis::ZERO;
    }

    /// `now` has reached what [`LogExpiry::poll_timeout`] announced.
    pub(crate) fn handle_timeout(&mut self, now: Now) {
        self.started.get_or_insert(now.mono);
        if !self.looking && now.mono >= self.next_look {
            self.looking = true;
            self.outputs.push_back(LogOutput::Look);
        }
        if self.deleting.is_none()
            && now.mono >= self.next_delete
            && let Some((base, why)) = self.going.pop_front()
        {
            self.deleting = Some(base);
            self.outputs.push_back(LogOutput::Delete { base, why });
        }
    }

    /// The next moment at which the machine wants to be woken.
    pub(crate) fn poll_timeout(&self) -> Option<Millis> {
        let look = (!self.looking).then_some(self.next_look);
        let delete = (self.deleting.is_none() && !self.going.is_empty()).then_some(self.next_delete);
        look.into_iter().chain(delete).min()
    }

    /// What is to be done next.
    pub(crate) fn poll_output(&mut self) -> Option<LogOutput> {
        self.outputs.pop_front()
    }

    /// A look has ended.
    pub(crate) fn handle_seen(&mut self, now: Now, seen: &Seen) {
        self.looking = false;
        self.handle_space(seen);
        let nearly_full = self.level >= Level::OldestGo;
        let interval = self.policy.clean_resource_interval;
        self.next_look = now.mono + if nearly_full { interval.min(NEARLY_FULL_LOOK) } else { interval };
        if self.going.is_empty() && self.deleting.is_none() {
            self.choose(now, seen);
        }
    }

    fn handle_space(&mut self, seen: &Seen) {
        let blind = seen.log.is_none() && seen.queues.is_none();
        if blind != self.blind {
            self.blind = blind;
            self.outputs.push_back(LogOutput::Blind(blind));
        }
        // The fuller one counts. Who does not see stays with what was seen last.
        let Some(used) = seen.log.iter().chain(&seen.queues).map(Space::percent).max() else { return };
        let level = self.marks.level(used);
        self.used = used;
        if level != self.level {
            self.level = level;
            self.outputs.push_back(LogOutput::Crossed { level, used });
        }
    }

    /// Chooses what goes until the next look.
    fn choose(&mut self, now: Now, seen: &Seen) {
        let wished = self.wished > 0;
        self.wished = self.wished.saturating_sub(1);
        let in_grace = self.started.is_none_or(|started| now.mono.saturating_sub(started) < GRACE);
        let by_age = wished || !in_grace && (self.level >= Level::ExpiredGo || self.policy.delete_when.is_due(now.wall));
        let mut excess = 0;
        if self.policy.clean_file_forcibly_enable && self.level >= Level::OldestGo {
            // No more than it takes to be below the mark.
            excess = seen.log.iter().chain(&seen.queues).map(|space| space.excess(self.marks.oldest_go)).max().unwrap_or(0);
        }
        for file in seen.oldest.iter().take(self.policy.delete_file_batch_max) {
            let why = if by_age && file.modified.plus(self.policy.file_reserved_time) <= now.wall {
                Why::Expired
            } else if excess > 0 {
                Why::Full(self.used)
            } else {
                break;
            };
            excess = excess.saturating_sub(file.len);
            self.going.push_back((file.base, why));
        }
        self.next_delete = now.mono;
    }

    /// The file that was to be deleted is gone for good, or could not be deleted.
    pub(crate) fn handle_deleted(&mut self, now: Now, base: i64, gone: bool) {
        if self.deleting != Some(base) {
            return;
        }
        self.deleting = None;
        if gone {
            self.next_delete = now.mono + self.policy.delete_commit_log_files_interval;
            if self.going.is_empty() {
                // There may be space again.
                self.next_look = self.next_look.min(now.mono);
            }
        } else {
            // Those behind it wait until it is gone.
            self.going.clear();
            self.going.push_back((base, Why::Again));
            self.next_delete = now.mono + self.policy.redelete_hanged_file_interval;
        }
    }
}

#[cfg(test)]
mod tests;
