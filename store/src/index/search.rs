//! One look-up on its way through the index: newest files first, in each along the chain of the key's slot.

use std::io;

use route_core::storage::{
    LogOffset, LogRange,
    keys::{Found, KeyQuery, MAX_FOUND_BYTES, QueryTicket},
};

use super::{
    file::IndexFile,
    files::{IndexFiles, Numbered},
    format::Entry,
    keys::key_hash,
    log::LogReader,
};

/// What a message that is read in the log counts for, in entries.
const WORK_OF_MESSAGE: usize = 100;

/// A look-up and how far it has come.
#[derive(Debug)]
pub(super) struct Searching {
    pub(super) ticket: QueryTicket,
    query: KeyQuery,
    key_hash: i32,
    /// The file that is being looked through, and the entry to look at next.
    place: Option<(u64, i32)>,
    found: Found,
    bytes: u64,
    /// What it may still make, counted in entries.
    work: usize,
}

impl Searching {
    pub(super) fn new(ticket: QueryTicket, query: KeyQuery, work: usize) -> Self {
        let key_hash = key_hash(&query.topic, query.kind, &query.key);
        Self { ticket, query, key_hash, place: None, found: Found::default(), bytes: 0, work }
    }

    /// Looks at up to so many entries. Whether the look-up is at its end.
    ///
    /// # Errors
    /// Those of the operating system.
    pub(super) fn walk(&mut self, files: &IndexFiles, log: &mut LogReader, mut budget: usize) -> io::Result<bool> {
        while self.found.ranges.len() < self.query.max && self.bytes <= MAX_FOUND_BYTES {
            // A file that has gone in the meantime had nothing that is still there.
            let here = self.place.and_then(|(number, entry)| Some((number, entry, files.get(number)?)));
            let Some((number, at, file)) = here.filter(|(_, at, _)| *at > 0) else {
                let Some(Numbered { number, file }) = files.newest_before(self.place.map(|(number, _)| number)) else { return Ok(true) };
                let first = if self.may_be_in(file) { file.newest(self.key_hash)? } else { 0 };
                self.place = Some((*number, first));
                continue;
            };
            if self.work == 0 {
                self.found.given_up = true;
                return Ok(true);
            }
            if budget == 0 {
                return Ok(false);
            }
            budget -= 1;
            self.work -= 1;
            let Some(entry) = file.entry(at)? else {
                self.place = Some((number, 0));
                continue;
            };
            // Older entries have smaller numbers; anything else would go round in circles.
            self.place = Some((number, if entry.previous < at { entry.previous } else { 0 }));
            if entry.key_hash == self.key_hash && self.may_be(&entry, at, file) {
                self.take(&entry, log);
            }
        }
        Ok(true)
    }

    /// What was found, when the walk is at its end.
    pub(super) fn finish(mut self, files: &IndexFiles) -> (QueryTicket, Found) {
        self.found.finish();
        if self.found.given_up {
            let KeyQuery { topic, key, .. } = &self.query;
            tracing::warn!(%topic, %key, "a look-up by key is ended: too many messages have keys like this one in its time range");
        }
        if let Some(header) = files.last().map(IndexFile::header) {
            self.found.last_timestamp.0 = header.end_timestamp;
            self.found.last_offset = LogOffset(header.end_offset);
        }
        (self.ticket, self.found)
    }

    fn may_be_in(&self, file: &IndexFile) -> bool {
        let header = file.header();
        let (first, last) = (header.begin_timestamp.min(header.end_timestamp), header.begin_timestamp.max(header.end_timestamp));
        first <= self.query.end.0 && last >= self.query.begin.0
    }

    /// Whether an entry's message may be stored at the right time. The first entry and those with the least or the greatest number of
    /// seconds do not tell.
    fn may_be(&self, entry: &Entry, number: i32, file: &IndexFile) -> bool {
        if number == 1 || entry.seconds <= 0 || entry.seconds == i32::MAX {
            return true;
        }
        let from = file.header().begin_timestamp.saturating_add(i64::from(entry.seconds) * 1000);
        from <= self.query.end.0 && from.saturating_add(999) >= self.query.begin.0
    }

    /// Takes an entry's message if it is what was asked for, and not another one with the same hash.
    fn take(&mut self, entry: &Entry, log: &mut LogReader) {
        let offset = LogOffset(entry.offset);
        if self.found.ranges.iter().any(|range| range.offset == offset) {
            return;
        }
        self.work = self.work.saturating_sub(WORK_OF_MESSAGE);
        let trailers = log.trailers().clone();
        let found = log.message_and_next(entry.offset).filter(|(message, _)| self.query.matches(message));
        let Some((message, behind)) = found else { return };
        if let Err(error) = trailers.verify(&message, behind) {
            tracing::error!(offset = entry.offset, %error, "a message is damaged; a look-up by its key passes over it");
            return;
        }
        // A record's size is a positive i32 on disk.
        let len = u32::try_from(message.total_size()).unwrap_or(u32::MAX);
        self.bytes += u64::from(len);
        self.found.ranges.push(LogRange { offset, len });
    }
}
