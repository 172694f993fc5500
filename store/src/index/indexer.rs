//! What the index's thread does, one bounded step at a time: reads the log, answers look-ups, brings files to disk.

use std::{collections::VecDeque, io, sync::Arc};

use route_core::time::Millis;

use super::{
    IndexShared, Mail,
    builder::Builder,
    files::{IndexFiles, Numbered},
    format::Header,
    log::LogReader,
    search::Searching,
};
use crate::flusher::FlushShared;

/// Keys that are put in in one step.
const STEP_KEYS: usize = 1024;
/// Entries that a look-up goes through in one step.
const STEP_ENTRIES: usize = 20_000;
/// Entries go to disk when so many bytes of them have come together.
const TAIL_LEN: usize = 1 << 20;
/// After so many messages, or so long, the slots go to disk and then the head: more often would cost more than reading that much of the
/// log again after a crash.
const ROUND_MESSAGES: usize = 2_000_000;
const ROUND_INTERVAL: Millis = Millis::from_secs(60);
/// They go in pieces of so many bytes, with a pause behind each: who waits for the log's own syncs must not wait for them.
const PIECE_LEN: usize = 512 << 10;
const PAUSE: Millis = Millis(4);
/// How long the thread sleeps when it has come to the end of the log: at least so long after there was work, and in the end so long.
const SHORT_REST: Millis = Millis(5);
const LONG_REST: Millis = Millis(100);
/// How long after a failure it is tried again.
const RETRY: Millis = Millis::from_secs(1);
/// How long a look-up waits for the index to come up to what was in the log when it was asked.
const PATIENCE: Millis = Millis::from_secs(2);
/// Steps that a stopping process still takes; what is more is read by the next one.
const STOP_STEPS: usize = 6_000;

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// There is more to do.
    Busy,
    /// Nothing for so long, unless somebody asks.
    Idle(Millis),
}

/// A look-up that waits for the index, or goes on in the next step.
#[derive(Debug)]
struct Waiting {
    searching: Searching,
    /// The end of the log when it was asked.
    end: i64,
    until: Millis,
}

/// The slots of the last file are on their way to disk. Nothing is put in meanwhile.
#[derive(Clone, Copy, Debug)]
struct Round {
    /// The page of the file to go on with.
    page: usize,
    /// When the next piece may go.
    next: Millis,
}

/// The index's work.
#[derive(Debug)]
pub(crate) struct Indexer {
    files: IndexFiles,
    log: LogReader,
    builder: Builder,
    shared: Arc<IndexShared>,
    flush: Arc<FlushShared>,
    searches: VecDeque<Waiting>,
    search_work: usize,
    /// Heads of files whose content is on disk. They are written when the log that they speak of is on disk, too, and the checkpoint says
    /// so, or the files would be dropped after a crash, by us or by Java.
    heads: VecDeque<(u64, Header)>,
    round: Option<Round>,
    /// The last file and its next entry when the last round was over.
    written: Option<(u64, i32)>,
    /// Messages since the last round, which was then.
    unwritten: usize,
    written_at: Millis,
    rest: Millis,
    /// When it is tried again.
    failed: Option<Millis>,
    /// The disk has lost what was written: nothing more is written, and the next start goes on from the last head.
    lost: bool,
}

impl Indexer {
    pub(super) fn new(
        files: IndexFiles,
        log: LogReader,
        at: i64,
        search_work: usize,
        shared: Arc<IndexShared>,
        flush: Arc<FlushShared>,
    ) -> Self {
        flush.index_told(files.latest());
        Self {
            written: files.end(),
            files,
            log,
            builder: Builder::resume(at),
            shared,
            flush,
            searches: VecDeque::new(),
            search_work,
            heads: VecDeque::new(),
            round: None,
            unwritten: 0,
            written_at: Millis(0),
            rest: SHORT_REST,
            failed: None,
            lost: false,
        }
    }

    /// Does a bit of what there is to do.
    pub(crate) fn step(&mut self, now: Millis) -> Next {
        self.take_mail(now);
        if self.lost || self.failed.is_some_and(|until| now < until) {
            self.search(now);
            return Next::Idle(RETRY);
        }
        match self.work(now) {
            Ok(next) => {
                if self.failed.take().is_some() {
                    tracing::info!("the index goes on");
                }
                next
            }
            Err(error) => {
                if self.failed.is_none() {
                    tracing::error!(%error, "the index cannot be written; it is tried again every second");
                }
                self.failed = Some(now + RETRY);
                Next::Busy
            }
        }
    }

    fn work(&mut self, now: Millis) -> io::Result<Next> {
        self.files.expire(self.log.start())?;
        self.files.make_live()?;
        let end = self.flush.progress.read().dispatched;
        let built = match self.round {
            Some(round) if now < round.next => 0,
            Some(round) => {
                self.write_piece(now, round)?;
                0
            }
            None => self.build(now, end)?,
        };
        let searching = self.search(now);
        self.write_heads(false)?;
        if let Some(round) = self.round.filter(|_| !searching) {
            return Ok(Next::Idle(Millis(round.next.0.saturating_sub(now.0))));
        }
        if searching || self.builder.at() < end {
            self.rest = SHORT_REST;
            return Ok(Next::Busy);
        }
        self.rest = if built > 0 { SHORT_REST } else { Millis(self.rest.0 * 2).min(LONG_REST) };
        Ok(Next::Idle(self.rest))
    }

    fn take_mail(&mut self, now: Millis) {
        let Mail { opened, queries } = self.shared.take_mail();
        for file in opened {
            self.log.opened(file);
        }
        self.log.set_start(self.shared.log_start());
        let end = self.flush.progress.read().dispatched;
        for (ticket, query) in queries {
            self.searches.push_back(Waiting { searching: Searching::new(ticket, query, self.search_work), end, until: now + PATIENCE });
        }
    }

    fn build(&mut self, now: Millis, end: i64) -> io::Result<usize> {
        let (read, full) = self.builder.build(&mut self.files, &mut self.log, end, STEP_KEYS)?;
        if self.unwritten == 0 {
            self.written_at = now;
        }
        self.unwritten += read;
        self.shared.set_built(self.builder.at());
        if self.written == self.files.end() {
            self.unwritten = 0;
            if full {
                let store_time = self.log.message(self.builder.at()).map_or(0, |message| message.store_timestamp());
                self.files.add(store_time)?;
            }
        } else if full || self.unwritten >= ROUND_MESSAGES || now >= self.written_at + ROUND_INTERVAL {
            self.write_tail()?;
            self.round = Some(Round { page: 0, next: now });
        } else if self.files.last().is_some_and(|file| file.tail_len() >= TAIL_LEN) {
            self.write_tail()?;
        }
        Ok(read)
    }

    /// Brings the entries that wait in memory to disk.
    fn write_tail(&mut self) -> io::Result<()> {
        if let Some(Numbered { file, .. }) = self.files.last_mut() {
            file.write_tail()?;
        }
        self.sync()
    }

    /// Brings a piece of the slots to disk. After the last one the head may follow.
    fn write_piece(&mut self, now: Millis, round: Round) -> io::Result<()> {
        let Some(Numbered { file, .. }) = self.files.last_mut() else { return Ok(()) };
        let more = file.write_slots(round.page, PIECE_LEN)?;
        self.sync()?;
        self.round = more.map(|page| Round { page, next: now + PAUSE });
        if more.is_none()
            && let Some(Numbered { number, file }) = self.files.last_mut()
        {
            let (number, header) = (*number, *file.header());
            self.heads.retain(|(other, _)| *other != number);
            self.heads.push_back((number, header));
            self.flush.index_told(self.files.latest());
            self.written = self.files.end();
            (self.unwritten, self.written_at) = (0, now);
        }
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let Some(Numbered { file, .. }) = self.files.last_mut() else { return Ok(()) };
        file.sync().inspect_err(|error| {
            tracing::error!(path = %file.path.display(), %error, "an index file could not be brought to disk; the next start builds it anew");
            self.lost = true;
        })
    }

    /// Writes the heads that the checkpoint covers, or all.
    fn write_heads(&mut self, all: bool) -> io::Result<()> {
        while let Some((number, header)) = self.heads.front()
            && (all || (header.end_timestamp <= self.flush.index_checkpointed() && header.end_offset < self.flush.durable()))
        {
            if let Some(file) = self.files.get(*number) {
                file.write_header(header)?;
            }
            self.heads.pop_front();
        }
        Ok(())
    }

    /// Goes on with look-ups. Whether there is one that need not wait.
    fn search(&mut self, now: Millis) -> bool {
        let mut ready = false;
        for _ in 0..self.searches.len() {
            let Some(mut waiting) = self.searches.pop_front() else { break };
            if self.builder.at() < waiting.end && now < waiting.until {
                self.searches.push_back(waiting);
                continue;
            }
            let missing = (waiting.end - self.builder.at()).max(0);
            match waiting.searching.walk(&self.files, &mut self.log, STEP_ENTRIES) {
                Ok(false) => {
                    ready = true;
                    self.searches.push_back(waiting);
                }
                Ok(true) => {
                    let (ticket, found) = waiting.searching.finish(&self.files);
                    let incomplete = found.ranges.is_empty() && missing > 0;
                    let behind =
                        || format!("the index is being built, the last {missing} bytes of the log are missing in it; ask again later");
                    self.shared.answer(ticket, if incomplete { Err(behind()) } else { Ok(found) });
                }
                Err(error) => self.shared.answer(waiting.searching.ticket, Err(format!("the index cannot be read: {error}"))),
            }
        }
        ready
    }

    /// The process ends as it should: what is missing is put in, if that does not take too long, and all goes to disk.
    pub(crate) fn finish(&mut self, now: Millis) {
        self.take_mail(now);
        if self.lost {
            return;
        }
        if let Err(error) = self.finish_files(now) {
            tracing::error!(%error, "the index could not be brought to disk; the next start builds the rest anew");
        }
    }

    fn finish_files(&mut self, now: Millis) -> io::Result<()> {
        self.files.make_live()?;
        let end = self.flush.progress.read().dispatched;
        for _ in 0..STOP_STEPS {
            if self.round.is_none() && self.builder.at() >= end {
                break;
            }
            match self.round {
                Some(round) => self.write_piece(now, round)?,
                None => drop(self.build(now, end)?),
            }
        }
        if self.written != self.files.end() {
            self.write_tail()?;
            self.round.get_or_insert(Round { page: 0, next: now });
        }
        while let Some(round) = self.round {
            self.write_piece(now, round)?;
        }
        self.write_heads(true)
    }
}
