//! A broker's disk: what is on it, and what is on its way there.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use route_core::{
    Millis, Now,
    broker::config::FlushMode,
    output::{Table, Ticket},
    random::Random,
    storage::LogOffset,
};

use super::{End, log::WatchedLog};
use crate::mutation::{Mutation, Tamper};

/// Pause between two flushes of a log whose messages nobody waits for (`flushIntervalCommitLog`).
const FLUSH_INTERVAL: Millis = Millis(500);

/// What a process finds when it starts and leaves when it ends.
#[derive(Debug, Default)]
pub struct Disk {
    /// The log.
    pub log: WatchedLog,
    /// The tables, as they were last saved.
    pub tables: BTreeMap<Table, Bytes>,
}

/// How long a disk takes at most, and whether it can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// For a flush or a save.
    pub longest: Millis,
    /// Whether saves of tables fail.
    pub saves_fail: bool,
}

impl Default for Pace {
    fn default() -> Self {
        Self { longest: Millis(20), saves_fail: false }
    }
}

/// A table on its way.
#[derive(Debug)]
pub(super) struct Save {
    pub(super) due: Millis,
    pub(super) ticket: Ticket,
    pub(super) table: Table,
    pub(super) content: Bytes,
    /// How many offsets had ever been noted when it was made: the table holds them.
    pub(super) noted: u64,
}

/// What is on its way to the disk.
#[derive(Debug)]
pub(super) struct Writes {
    tables: BTreeMap<Table, Bytes>,
    saves: VecDeque<Save>,
    /// Saves of tables that speak of what is in the log: they begin when the log is on disk up to here.
    held: VecDeque<(LogOffset, Save)>,
    flush: Option<(Millis, LogOffset)>,
    next_flush: Millis,
    can_flush: bool,
    /// Everything before this is on disk.
    on_disk: LogOffset,
    pace: Pace,
    /// Saves that the shipped store has been given, and when it does the next of them.
    given: BTreeMap<Ticket, Table>,
    next_given: Option<Millis>,
}

impl Writes {
    pub(super) const fn new(now: Now, tables: BTreeMap<Table, Bytes>, on_disk: LogOffset, pace: Pace) -> Self {
        Self {
            tables,
            saves: VecDeque::new(),
            held: VecDeque::new(),
            flush: None,
            next_flush: now.mono,
            can_flush: true,
            on_disk,
            pace,
            given: BTreeMap::new(),
            next_given: None,
        }
    }

    pub(super) const fn set_pace(&mut self, pace: Pace) {
        self.pace = pace;
    }

    pub(super) const fn stop_flushing(&mut self) {
        self.can_flush = false;
        self.flush = None;
    }

    /// The log has bytes that are not on disk.
    pub(super) fn want_flush(&mut self, now: Now, mode: FlushMode, end: LogOffset, random: &mut Random) {
        if self.flush.is_some() || !self.can_flush || end <= self.on_disk {
            return;
        }
        let begin = if mode == FlushMode::Sync { now.mono } else { self.next_flush.max(now.mono) };
        let due = begin + self.draw(random);
        self.next_flush = due + FLUSH_INTERVAL;
        self.flush = Some((due, end));
    }

    /// The end of a flush that is done.
    pub(super) fn pop_flushed(&mut self, now: Now, random: &mut Random) -> Option<LogOffset> {
        let (due, end) = self.flush?;
        if due > now.mono {
            return None;
        }
        self.flush = None;
        self.on_disk = end;
        self.begin_held(now, random);
        Some(end)
    }

    /// How far the shipped store says that the log is on disk.
    pub(super) const fn set_on_disk(&mut self, up_to: LogOffset) {
        self.on_disk = up_to;
    }

    /// The shipped store has been given a table to save.
    pub(super) fn give(&mut self, now: Now, ticket: Ticket, table: Table, random: &mut Random) {
        self.given.insert(ticket, table);
        let due = now.mono + self.draw(random);
        self.next_given.get_or_insert(due);
    }

    /// Whether the shipped store is to do one of its saves now. On a full disk it waits.
    pub(super) fn is_given_due(&mut self, now: Now, random: &mut Random) -> bool {
        if self.next_given.is_none_or(|due| due > now.mono) {
            return false;
        }
        self.next_given = Some(now.mono + self.draw(random) + if self.pace.saves_fail { Millis::from_secs(1) } else { Millis::ZERO });
        !self.pace.saves_fail
    }

    /// The shipped store has done a save; of which table.
    pub(super) fn take_given(&mut self, ticket: Ticket) -> Option<Table> {
        let table = self.given.remove(&ticket);
        if self.given.is_empty() {
            self.next_given = None;
        }
        table
    }

    /// Begins to save a table, behind the saves that have begun before.
    pub(super) fn save(&mut self, now: Now, save: Save, log_end: LogOffset, random: &mut Random) {
        // What a table calls delivered has to be on disk before the table is.
        let speaks_of_log = matches!(save.table, Table::DelayOffsets | Table::TimerCheckpoint);
        if speaks_of_log && log_end > self.on_disk {
            return self.held.push_back((log_end, save));
        }
        let begin = self.saves.back().map_or(now.mono, |last| last.due.max(now.mono));
        let due = begin + self.draw(random);
        self.saves.push_back(Save { due, ..save });
    }

    /// The log is on disk up to another place: saves that waited for it begin.
    fn begin_held(&mut self, now: Now, random: &mut Random) {
        while self.held.front().is_some_and(|(until, _)| *until <= self.on_disk) {
            if let Some((until, save)) = self.held.pop_front() {
                self.save(now, save, until, random);
            }
        }
    }

    /// A save that is done, well or not.
    pub(super) fn pop_saved(&mut self, now: Now, log: &mut WatchedLog) -> Option<(Ticket, Table, Result<(), String>)> {
        if self.saves.front()?.due > now.mono {
            return None;
        }
        let save = self.saves.pop_front()?;
        let (ticket, table) = (save.ticket, save.table);
        if self.pace.saves_fail {
            return Some((ticket, table, Err("the disk is full".to_owned())));
        }
        self.finish(save, log);
        Some((ticket, table, Ok(())))
    }

    pub(super) fn poll_timeout(&self) -> Option<Millis> {
        let flush = self.flush.map(|(due, _)| due);
        [flush, self.saves.front().map(|save| save.due), self.next_given].into_iter().flatten().min()
    }

    /// The process ends: some of what was on its way has come to its end, some has not.
    pub(super) fn end(&mut self, end: End, mut log: WatchedLog, tamper: &Tamper, random: &mut Random) -> Disk {
        let done = random.below(u32::try_from(self.saves.len() + 1).unwrap_or(1)) as usize;
        for save in self.saves.drain(..done).collect::<Vec<_>>() {
            self.finish(save, &mut log);
        }
        let tables = std::mem::take(&mut self.tables);
        let log = match end {
            End::Killed if tamper.makes(Mutation::TailForgotten) => {
                let kept = log.last_record();
                log.reopen(Some(kept), None)
            }
            End::Killed => log.reopen(None, None),
            End::Dark => {
                let noted = log.draw_noted(random);
                let kept = log.cut_between_records(self.on_disk, random);
                log.reopen(Some(kept), Some(noted))
            }
        };
        Disk { log, tables }
    }

    fn finish(&mut self, save: Save, log: &mut WatchedLog) {
        if save.table == Table::ConsumerOffsets || save.table == Table::DelayOffsets {
            log.forget_noted(save.table, save.noted);
        }
        self.tables.insert(save.table, save.content);
    }

    fn draw(&self, random: &mut Random) -> Millis {
        Millis(1 + u64::from(random.below(u32::try_from(self.pace.longest.0).unwrap_or(u32::MAX))))
    }
}
