//! Holds every part of a store against the log, and the log against its own checksums.

use std::path::PathBuf;

use foldhash::fast::FixedState;
use indexmap::IndexMap;
use proto_core::record::RecordView;

use super::{
    Examination, Finding, Part, Severity, Watch,
    index_check::IndexCheck,
    queue_check::{Against, QueueCheck},
    queue_view::QueueView,
    tables::Tables,
};
use crate::{
    error::OpenError,
    index::Geometry,
    log_walk::{LogEnd, LogWalk, Step},
    store::is_shown,
};

/// Progress is told when this many bytes more are done.
const TELL_BYTES: i64 = 4 << 20;

/// Of more places of the log that are damaged only the number is told.
const DAMAGES: usize = 10_000;

/// How much was looked at, and how many findings of each kind there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// First byte of the log.
    pub log_start: i64,
    /// One past the last whole record of the log.
    pub log_end: i64,
    /// Whole records.
    pub records: u64,
    /// Consume queues.
    pub queues: u64,
    /// Their units.
    pub units: u64,
    /// Keys of messages in the index.
    pub keys: u64,
    /// Findings that are good to know.
    pub notes: u64,
    /// Findings that can be put right from the log or from a copy.
    pub repairable: u64,
    /// Findings of damage.
    pub damaged: u64,
}

impl Verified {
    /// Nothing has to be done.
    #[must_use]
    pub const fn is_well(&self) -> bool {
        self.repairable == 0 && self.damaged == 0
    }
}

impl Examination {
    /// Looks at every record, every unit and every table, and tells `watch` what is wrong.
    ///
    /// # Errors
    /// [`OpenError`] if a file cannot be read.
    pub fn verify(&self, watch: &mut dyn Watch) -> Result<Verified, OpenError> {
        let mut run = Run {
            of: self,
            watch,
            verified: Verified::default(),
            damaged: Vec::new(),
            read_from: self.read_from()?,
            unheld: IndexMap::default(),
            newest: None,
        };
        run.verified.log_start = self.layout.log_start();
        for finding in self.layout.findings() {
            run.tell(finding);
        }
        let tables = Tables::read(&self.disk, self.config.root.join("config"))?;
        let mut queues = Queues::open(self)?;
        run.verified.queues = queues.checks.len() as u64;
        let had_index = !self.config.without_index && (self.checkpoint.java.index_msg_timestamp > 0 || self.checkpoint_flaw.is_some());
        let mut index = IndexCheck::open(&self.disk, self.config.root.join("index"), self.index_geometry(), had_index)?;
        let end = run.log(&mut queues, &mut index)?;
        run.verified.log_end = end.at;
        run.judge_end(&end);
        // Where messages are damaged, the newest one may be among them.
        let newest = run.newest.filter(|_| run.verified.damaged == 0);
        let checkpoint = if run.verified.records > 0 { self.judge_checkpoint(newest) } else { None };
        let judged = self.judge_log_start()?.into_iter().chain(checkpoint);
        judged.for_each(|finding| run.tell(finding));
        run.judge_unheld(&tables);
        let unknown = if tables.topics_damaged { None } else { self.judge_topics(tables.topics.as_deref(), queues.names.keys().copied()) };
        run.queues(queues, &tables)?;
        run.index(index)?;
        for finding in tables.findings.into_iter().chain(unknown) {
            run.tell(finding);
        }
        Ok(run.verified)
    }

    fn index_geometry(&self) -> Option<Geometry> {
        let (slots, entries) = self.config.index_shape?;
        Some(Geometry { slots: i32::try_from(slots).ok()?.max(1), entries: i32::try_from(entries).ok()?.max(2) })
    }

    /// Where a start begins to read the log again: as far as Petrel's checkpoint says, else at a file that Java's allows.
    fn read_from(&self) -> Result<i64, OpenError> {
        if let Some(mark) = self.checkpoint.mark {
            return Ok(mark.position);
        }
        let safe = self.checkpoint.java.min_timestamp();
        for file in self.layout.log.files.iter().rev() {
            if self.stored(file.base)?.is_some_and(|stored| self.closed || stored <= safe) {
                return Ok(file.base);
            }
        }
        Ok(self.layout.log_start())
    }

    /// The file of the log in which an offset lies, and its place there.
    pub(super) fn log_place(&self, offset: i64) -> (PathBuf, u64) {
        let in_file = offset.rem_euclid(self.layout.log_file_size.cast_signed().max(1));
        (self.layout.log.path(offset - in_file), in_file.unsigned_abs())
    }
}

/// All queues by name.
struct Queues<'a> {
    checks: Vec<QueueCheck<'a>>,
    names: IndexMap<&'a str, Vec<(i32, usize)>, FixedState>,
}

impl<'a> Queues<'a> {
    fn open(of: &'a Examination) -> Result<Self, OpenError> {
        let mut queues = Self { checks: Vec::new(), names: IndexMap::default() };
        for queue in of.layout.queues.iter().filter(|queue| !queue.row.files.is_empty()) {
            let view = QueueView::open(&of.disk, &queue.row, of.layout.queue_file_size)?;
            queues.names.entry(&queue.topic).or_default().push((queue.queue_id, queues.checks.len()));
            queues.checks.push(QueueCheck::new(view));
        }
        Ok(queues)
    }

    fn find(&self, topic: &str, queue_id: i32) -> Option<usize> {
        let numbers = self.names.get(topic)?;
        numbers.iter().find(|(number, _)| *number == queue_id).map(|(_, index)| *index)
    }
}

struct Run<'a, 'w> {
    of: &'a Examination,
    watch: &'w mut dyn Watch,
    verified: Verified,
    /// Bytes of the log that are no records.
    damaged: Vec<(i64, i64)>,
    /// The next start reads the log from here on.
    read_from: i64,
    /// Messages by topic of which there is no queue.
    unheld: IndexMap<String, u64, FixedState>,
    /// Store time of the newest message.
    newest: Option<i64>,
}

impl Run<'_, '_> {
    fn tell(&mut self, finding: Finding) {
        match finding.severity {
            Severity::Note => self.verified.notes += 1,
            Severity::Repairable => self.verified.repairable += 1,
            Severity::Damage => self.verified.damaged += 1,
        }
        self.watch.found(finding);
    }

    fn tell_log(&mut self, severity: Severity, offset: i64, what: String) {
        let (path, at) = self.of.log_place(offset);
        self.tell(Finding { severity, part: Part::Log, path, at: Some(at), what });
    }

    fn log(&mut self, queues: &mut Queues<'_>, index: &mut IndexCheck) -> Result<LogEnd, OpenError> {
        let of = self.of;
        let layout = &of.layout;
        let (start, size) = (layout.log_start(), layout.log_file_size);
        let limit = layout.log.files.last().map_or(start, |file| file.base + file.len.min(size).cast_signed());
        let mut walk = LogWalk::new(&of.disk, &layout.log.dir, size, &layout.log.files, start, of.trailers()?);
        let mut told = start;
        loop {
            if walk.position() - told >= TELL_BYTES {
                told = walk.position();
                self.watch.progress((told - start).unsigned_abs(), (limit - start).unsigned_abs());
            }
            match walk.step()? {
                Step::Record(record) => {
                    self.record(queues, &record)?;
                    let against = Against { log_start: start, closed: of.closed, damaged: &self.damaged };
                    index.handle_record(&record, &against)?;
                }
                Step::Damage { from, to, why } => self.damage(from, to, &why),
                Step::End(end) => {
                    self.watch.progress((limit - start).unsigned_abs(), (limit - start).unsigned_abs());
                    return Ok(end);
                }
            }
        }
    }

    fn record(&mut self, queues: &mut Queues<'_>, record: &RecordView<'_>) -> Result<(), OpenError> {
        self.verified.records += 1;
        self.newest = self.newest.max(Some(record.store_timestamp()));
        if !is_shown(record.sys_flag()) || record.queue_id() < 0 {
            return Ok(());
        }
        let Some(index) = queues.find(record.topic(), record.queue_id()) else {
            match self.unheld.get_mut(record.topic()) {
                Some(count) => *count += 1,
                None => {
                    self.unheld.insert(record.topic().to_owned(), 1);
                }
            }
            return Ok(());
        };
        let against = Against { log_start: self.verified.log_start, closed: self.of.closed, damaged: &self.damaged };
        match queues.checks.get_mut(index) {
            Some(check) => check.handle_record(record, &against),
            None => Ok(()),
        }
    }

    fn damage(&mut self, from: i64, to: i64, why: &str) {
        if self.damaged.len() < DAMAGES {
            self.damaged.push((from, to));
            let becomes =
                if from < self.read_from { "readers pass over them" } else { "the next start cuts the log here and keeps what follows" };
            let what = format!("{} bytes are no message ({why}); at {from} of the log, which goes on at {to}: {becomes}", to - from);
            self.tell_log(Severity::Damage, from, what);
        } else {
            self.verified.damaged += 1;
        }
    }

    /// What the end of the log says about the next start.
    fn judge_end(&mut self, end: &LogEnd) {
        let mark = self.of.checkpoint.mark;
        if let Some(why) = &end.why {
            let (at, torn) = (end.at, end.torn);
            let what = format!(
                "{torn} bytes are no message ({why}); at {at} of the log, which ends there: the next start cuts them off and keeps them"
            );
            self.tell_log(Severity::Damage, at, what);
        }
        if let Some(mark) = mark
            && mark.position > end.at
        {
            let what = format!(
                "the log ends at {}, although it was on disk up to {} when the checkpoint was written; the next start goes by what is there",
                end.at, mark.position
            );
            self.tell_log(Severity::Damage, end.at, what);
        }
        if !self.of.closed {
            let what = "the store was not closed in order; the next start reads again what may not have been on disk".to_owned();
            let path = self.of.config.root.join("abort");
            self.tell(Finding { severity: Severity::Note, part: Part::Folder, path, at: None, what });
        } else if let Some(mark) = mark
            && mark.clean
            && mark.position < end.at
        {
            let what = format!("messages follow the end that the checkpoint names ({}); the next start takes them in", mark.position);
            self.tell_log(Severity::Note, mark.position, what);
        }
    }

    fn judge_unheld(&mut self, tables: &Tables) {
        for (topic, count) in std::mem::take(&mut self.unheld) {
            let known = tables.topics.as_ref().is_none_or(|topics| topics.contains(&topic));
            let (severity, what) = match (known, self.of.closed) {
                (true, true) => (Severity::Repairable, "have no queue; build the queues anew (petrel store rebuild)"),
                (true, false) => (Severity::Note, "have no queue yet; the next start makes it"),
                (false, _) => (Severity::Note, "belong to a topic that is gone"),
            };
            let path = self.of.config.root.join("consumequeue").join(&topic);
            let what = format!("{count} messages of {topic:?} {what}");
            self.tell(Finding { severity, part: Part::Queues, path, at: None, what });
        }
    }

    fn queues(&mut self, queues: Queues<'_>, tables: &Tables) -> Result<(), OpenError> {
        let ends: Vec<i64> = queues.checks.iter().map(|check| check.view.end).collect();
        self.judge_offsets(&queues, &ends, tables);
        let damaged = self.damaged.clone();
        let against = Against { log_start: self.verified.log_start, closed: self.of.closed, damaged: &damaged };
        for check in queues.checks {
            self.verified.units += (check.view.end - check.view.first).unsigned_abs();
            for finding in check.finish(&against)? {
                self.tell(finding);
            }
        }
        Ok(())
    }

    fn index(&mut self, index: IndexCheck) -> Result<(), OpenError> {
        self.verified.keys = index.entries;
        let damaged = std::mem::take(&mut self.damaged);
        let against = Against { log_start: self.verified.log_start, closed: self.of.closed, damaged: &damaged };
        for finding in index.finish(&against)? {
            self.tell(finding);
        }
        Ok(())
    }

    /// Offsets of groups behind the end of their queue: messages that come there would be skipped.
    fn judge_offsets(&mut self, queues: &Queues<'_>, ends: &[i64], tables: &Tables) {
        for (key, offsets) in &tables.offsets {
            let Some((topic, _)) = key.split_once('@') else { continue };
            for (&queue_id, &offset) in offsets {
                let Some(end) = queues.find(topic, queue_id).and_then(|index| ends.get(index)).copied() else { continue };
                if offset > end {
                    let becomes = if self.of.closed { "messages up to there would be skipped" } else { "the next start sets it back" };
                    let severity = if self.of.closed { Severity::Repairable } else { Severity::Note };
                    let path = self.of.config.root.join("config/consumerOffset.json");
                    let what = format!("{key} has offset {offset} in queue {queue_id}, which ends at {end}; {becomes}");
                    self.tell(Finding { severity, part: Part::Tables, path, at: None, what });
                }
            }
        }
    }
}
