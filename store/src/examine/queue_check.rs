//! Holds one consume queue against the records of the log, in the order of the log.

use std::path::PathBuf;

use proto_core::record::RecordView;
use route_core::storage::QueueUnit;

use super::{Finding, Part, Severity, queue_view::QueueView};
use crate::{consume_queue::PRE_BLANK, dispatch::is_tags_code_of, error::OpenError};

/// Of one queue so many findings are told, of the others only the number: a queue that is wrong is often wrong throughout.
const TOLD: usize = 8;

/// What a queue is held against.
#[derive(Clone, Copy, Debug)]
pub(super) struct Against<'a> {
    /// First byte of the log.
    pub(super) log_start: i64,
    /// The store was closed in order: the next start believes the queues.
    pub(super) closed: bool,
    /// Bytes of the log that are no records, in order.
    pub(super) damaged: &'a [(i64, i64)],
}

/// One queue under examination.
#[derive(Debug)]
pub(super) struct QueueCheck<'a> {
    pub(super) view: QueueView<'a>,
    /// Offset of the first unit that has not been looked at.
    next: i64,
    records: u64,
    findings: Vec<Finding>,
    more: u64,
    /// Units that the log has and the queue lacks: how many, the first one's offset, and its record's place.
    missing: Option<(u64, i64, i64)>,
}

impl<'a> QueueCheck<'a> {
    pub(super) fn new(view: QueueView<'a>) -> Self {
        let next = view.first;
        Self { view, next, records: 0, findings: Vec::new(), more: 0, missing: None }
    }

    /// A record of this queue comes next in the log.
    pub(super) fn handle_record(&mut self, record: &RecordView<'_>, against: &Against<'_>) -> Result<(), OpenError> {
        let offset = record.queue_offset();
        if offset == 0 && self.records > 0 {
            // Its topic was removed and made again: what was seen before belonged to the old one.
            (self.next, self.missing, self.more) = (self.view.first, None, 0);
            self.findings.clear();
        }
        self.records += 1;
        if offset < self.next {
            let what = format!("the message at {} of the log has offset {offset} again", record.physical_offset());
            self.tell(offset, Severity::Note, what);
            return Ok(());
        }
        self.look_at_strays(offset, against)?;
        match self.view.unit(offset)? {
            Some(unit) => self.compare(offset, &unit, record),
            None => {
                let (count, _, _) = self.missing.get_or_insert((0, offset, record.physical_offset()));
                *count += 1;
            }
        }
        self.next = offset + 1;
        Ok(())
    }

    /// The log has ended: what has not been looked at points nowhere. Answers what was found.
    pub(super) fn finish(mut self, against: &Against<'_>) -> Result<Vec<Finding>, OpenError> {
        let end = self.view.end;
        self.look_at_strays(end, against)?;
        let mut findings = self.findings;
        if self.more > 0 {
            let what = format!("{} units more of this queue are wrong", self.more);
            let path = self.view.place(self.next).0.parent().map(PathBuf::from).unwrap_or_default();
            findings.push(Finding { severity: Severity::Repairable, part: Part::Queues, path, at: None, what });
        }
        if let Some((count, offset, place)) = self.missing {
            let (severity, becomes) = if against.closed {
                (Severity::Repairable, "build the queues anew (petrel store rebuild)")
            } else {
                (Severity::Note, "the next start adds what is missing")
            };
            let (path, at) = self.view.place(offset);
            let what = format!("{count} units are missing, the first of them for the message at {place} of the log; {becomes}");
            findings.push(Finding { severity, part: Part::Queues, path, at: Some(at), what });
        }
        Ok(findings)
    }

    /// Units up to `offset` have no whole record.
    fn look_at_strays(&mut self, offset: i64, against: &Against<'_>) -> Result<(), OpenError> {
        while self.next < offset.min(self.view.end) {
            let at = self.next;
            self.next += 1;
            let Some(unit) = self.view.unit(at)? else {
                self.tell(at, Severity::Repairable, format!("the unit of offset {at} is empty"));
                continue;
            };
            let place = unit.offset.0;
            if unit.size == PRE_BLANK.size || (0..against.log_start).contains(&place) {
                continue;
            }
            let index = against.damaged.partition_point(|(_, to)| *to <= place);
            if against.damaged.get(index).is_some_and(|(from, _)| *from <= place) {
                // The message is damaged, and that was told.
                continue;
            }
            self.tell(at, Severity::Repairable, format!("the unit of offset {at} points at {place} of the log, where no message of it is"));
        }
        Ok(())
    }

    fn compare(&mut self, offset: i64, unit: &QueueUnit, record: &RecordView<'_>) {
        let (place, size) = (record.physical_offset(), record.total_size());
        if unit.offset.0 != place || unit.size as usize != size {
            let what = format!(
                "the unit of offset {offset} says {} bytes at {} of the log, the message has {size} bytes at {place}",
                unit.size, unit.offset.0
            );
            return self.tell(offset, Severity::Repairable, what);
        }
        if !is_tags_code_of(unit.tags_code, record) {
            let what = format!("the unit of offset {offset} has tags code {}, which is not that of the message at {place}", unit.tags_code);
            self.tell(offset, Severity::Repairable, what);
        }
    }

    fn tell(&mut self, offset: i64, severity: Severity, what: String) {
        if self.findings.len() >= TOLD {
            self.more += 1;
            return;
        }
        let (path, at) = self.view.place(offset);
        self.findings.push(Finding { severity, part: Part::Queues, path, at: Some(at), what });
    }
}
