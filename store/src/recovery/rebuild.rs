//! Brings the queues in line with the log from one place on.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use proto_core::{
    delay::DelayLevels,
    record::{MIN_LEN, RecordView},
};

use super::{LogFiles, scan::LogScan};
use crate::{
    disk::file_path,
    dispatch::unit_of,
    error::{OpenError, at},
    log_walk::{FoundFile, LogWalk, Step},
    progress::Position,
    queues::{Lost, MAX_WAITING, QueueTable, QueuesCut},
    store::is_shown,
};

/// How many bytes are read before it is told.
const TELL_BYTES: i64 = 4 << 20;

/// How often long work says how far it is in the log of the process.
const TELL_INTERVAL: Duration = Duration::from_secs(1);

/// The work and what it works on.
pub(super) struct Rebuild<'a> {
    pub(super) files: &'a LogFiles,
    pub(super) queues: &'a mut QueueTable,
    pub(super) delay_levels: &'a DelayLevels,
    pub(super) closed: bool,
    pub(super) max_mapped_files: usize,
    /// The log was on disk up to here when the checkpoint was written: what is damaged before it does not end the log.
    pub(super) flushed: i64,
    pub(super) put_off: PutOff,
    /// Is told how many bytes of how many are read.
    pub(super) progress: &'a mut dyn FnMut(u64, u64),
}

/// Which queues are looked at only when they are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PutOff {
    /// None.
    Nothing,
    /// Those of which no record is read again. Topics may have been removed, and made again, shortly before the crash: then a queue that is
    /// there may lack units in front of those of its records, and all have to be built anew.
    Unchanged,
    /// All, as far as units follow one another.
    All,
}

/// Where it ended.
pub(super) struct Outcome {
    pub(super) position: Position,
    pub(super) records: u64,
    /// Files of queues that were changed.
    pub(super) unsynced: Vec<PathBuf>,
}

/// Whether it could be done from that place on.
pub(super) enum Rebuilt {
    /// Yes.
    Done(Outcome),
    /// A queue lacks units in front of the place.
    Hole { topic: String, queue_id: i32 },
}

impl Rebuild<'_> {
    /// Cuts the queues to `from` and gives them the units of all records from there on. `last_record` is the start of the record
    /// that ends there, or -1.
    pub(super) fn run(&mut self, from: i64, last_record: i64) -> Result<Rebuilt, OpenError> {
        self.from(from, last_record, false)
    }

    /// Builds all queues from the whole log.
    pub(super) fn run_whole(&mut self) -> Result<Outcome, OpenError> {
        match self.from(self.files.start(), -1, true)? {
            Rebuilt::Done(outcome) => Ok(outcome),
            // The whole log has no holes: what is not there is filled.
            Rebuilt::Hole { topic, .. } => Err(OpenError::Io { path: topic.into(), source: std::io::ErrorKind::InvalidData.into() }),
        }
    }

    fn from(&mut self, from: i64, last_record: i64, whole: bool) -> Result<Rebuilt, OpenError> {
        let start = self.files.start();
        let whole = whole || from == start;
        let known_only = self.closed && self.queues.len() > 0;
        let dir = self.queues.dir().to_owned();
        let mut unsynced = if self.put_off != PutOff::Nothing && !whole {
            self.queues.put_off(from);
            Vec::new()
        } else {
            match self.queues.cut(from, whole)? {
                QueuesCut::Done { unsynced } => unsynced,
                QueuesCut::Lacking { topic, queue_id } => return Ok(Rebuilt::Hole { topic, queue_id }),
            }
        };

        let mut position = Position { written: from, dispatched: from, last_dispatched: last_record, ..Position::default() };
        let mut scan = LogScan::new(self.files, from);
        let mut records = 0;
        let (mut told, mut counted) = (Instant::now(), from);
        let mut lost = Lost::default();
        loop {
            let Some(record) = scan.next_record()? else {
                let Some(next) = self.behind_damage(scan.end(), scan.stopped())? else { break };
                lost.at = Some(scan.end());
                lost.units += (next - scan.end()) / MIN_LEN as i64;
                scan.go_on(next);
                continue;
            };
            records += 1;
            if record.offset - counted >= TELL_BYTES {
                counted = record.offset;
                (self.progress)((counted - from).unsigned_abs(), (self.files.limit() - from).unsigned_abs());
            }
            if told.elapsed() >= TELL_INTERVAL {
                told = Instant::now();
                tracing::info!(from, at = record.offset, of = self.files.limit(), "reading the log again");
            }
            let Ok(view) = RecordView::parse(record.bytes()) else { break };
            position.last_dispatched = record.offset;
            position.dispatched = record.end();
            position.dispatched_time = view.store_timestamp();
            if !is_shown(view.sys_flag()) || view.queue_id() < 0 {
                continue;
            }
            if known_only && self.queues.find(view.topic(), view.queue_id()).is_none() {
                continue;
            }
            let unit = unit_of(&view, self.delay_levels);
            let place = (view.topic(), view.queue_id(), view.queue_offset());
            let put = self.queues.rebuild(place, &unit, whole, lost);
            if !put.map_err(at(&dir))? {
                return Ok(Rebuilt::Hole { topic: view.topic().to_owned(), queue_id: view.queue_id() });
            }
            self.queues.unmap_above(self.max_mapped_files, &mut unsynced);
            if self.queues.waiting_units() >= MAX_WAITING && self.queues.is_put_off() {
                self.queues.look_at_all();
                if let Some((topic, queue_id)) = self.queues.first_broken() {
                    return Ok(Rebuilt::Hole { topic, queue_id });
                }
            }
        }
        if self.queues.is_put_off() {
            self.queues.look_at_waiting(self.put_off == PutOff::Unchanged);
            if let Some((topic, queue_id)) = self.queues.first_broken() {
                return Ok(Rebuilt::Hole { topic, queue_id });
            }
        }
        unsynced.extend(self.queues.take_changed());
        if whole {
            self.queues.settle_held().map_err(at(&dir))?;
            self.queues.keep_places().map_err(at(&dir))?;
        }
        if let Some(why) = scan.stopped() {
            tracing::info!(offset = scan.end(), why, "the log ends here");
        }
        position.written = scan.end();
        position.written_time = position.dispatched_time;
        Ok(Rebuilt::Done(Outcome { position, records, unsynced }))
    }

    /// Where the log goes on behind something damaged that had been on disk whole: cutting there would lose all that follows.
    fn behind_damage(&self, from: i64, why: Option<&str>) -> Result<Option<i64>, OpenError> {
        let Some(why) = why.filter(|_| from < self.flushed) else { return Ok(None) };
        let len = u64::from(self.files.file_size);
        let found: Vec<_> = self.files.bases.iter().map(|&base| FoundFile { base, len }).collect();
        let trailers = self.files.trailers.clone();
        let mut walk = LogWalk::new(&self.files.disk, &self.files.dir, len, &found, from, trailers);
        let to = match walk.step()? {
            Step::Damage { to, .. } => to,
            // Whatever the scan has against it, the log goes on at its end.
            Step::Record(record) => from + record.total_size() as i64,
            Step::End(_) => return Ok(None),
        };
        // A record began at the mark.
        let to = to.min(self.flushed);
        let in_file = from.rem_euclid(i64::from(self.files.file_size));
        let path = file_path(&self.files.dir, from - in_file);
        tracing::error!(path = %path.display(), byte = in_file, offset = from, why, bytes = to - from, "the log is damaged; it goes on behind");
        Ok(Some(to))
    }
}
