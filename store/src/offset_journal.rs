//! Offsets that were committed since their table was saved: a mapped file beside it, so that a killed process loses none.
//!
//! ```text
//! "PTRLJNL1"
//! u32 CRC-32 of the rest | u16 bytes after this field | u8 1 | i32 queue | i64 offset | key
//! u32 CRC-32 of the rest | u16 bytes after this field | u8 3 | i64 end of the log | i32 queue | i64 offset | key
//! u32 CRC-32 of the rest | u16 bytes after this field | u8 2 | u32 length, u32 CRC-32 of a content that the table was to be saved with
//! u32 CRC-32 of the rest | u16 bytes after this field | u8 4 | u64 number of a cut
//! u32 CRC-32 of the rest | u16 bytes after this field | u8 5 | u64 number of a cut | u32 length, u32 CRC-32 of the content
//! ```
//!
//! Whoever opens it knows the content that the table's file has now. What follows the last entry that names this content is newer
//! than it and counts, up to the first note that speaks of more than the log has: a loss of power can spare the note of a delivery and take
//! the message that was delivered. If no entry names it, somebody else (a Java broker) has saved the table since: then nothing counts.
//!
//! The text of a large table is made beside the loop, which goes on noting. So its save begins with a cut, where the table is as it will be
//! saved; when the text is there, and before it is written, an entry names the content and the cut, and what follows the cut counts. Wherever
//! a process ends in between, it holds: before the content is named the file has the old one, for which all notes count, those behind the cut,
//! too; from then on the file has either, and both are named. What a loss of power leaves is a front part of the entries, so that whoever finds
//! a content's name finds its cut. Numbers of cuts are never used twice in one file.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use foldhash::fast::FixedState;
use indexmap::IndexSet;
use proto_core::record::body_crc;

use crate::{
    disk::{Access, Disk},
    mapping::MappedWriter,
    tables::Identity,
};

const MAGIC: &[u8] = b"PTRLJNL1";
/// Checksum and length.
const HEAD: usize = 6;
const NOTE: u8 = 1;
const SAVED: u8 = 2;
const NOTE_OF_LOG: u8 = 3;
const CUT: u8 = 4;
const NAMED: u8 = 5;

/// Length of a new journal.
const FIRST_LEN: usize = 256 << 10;
/// Longest journal. It is reached only if the table cannot be saved; then the table's own interval counts, as with Java.
const MAX_LEN: usize = 64 << 20;

/// A committed offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotedOffset {
    /// The table's own key: `topic@group`, or the delay topic alone.
    pub key: String,
    /// The queue's number, or the level.
    pub queue_id: i32,
    /// The offset.
    pub offset: i64,
}

/// The moment as which a table is to be saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Cut(u64);

impl Cut {
    /// No journal has it.
    #[cfg(test)]
    pub(crate) const NONE: Self = Self(0);
}

/// The journal of one table.
#[derive(Debug)]
pub(crate) struct OffsetJournal {
    disk: Disk,
    path: PathBuf,
    /// `None` as long as it cannot be written.
    writer: Option<MappedWriter>,
    /// Nothing in front of this entry is needed: the table was saved as it says.
    needed_from: usize,
    /// The last cut.
    last_cut: Cut,
    complained: bool,
}

/// An entry, borrowed from where it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Entry<'a> {
    /// It counts if the log has come to `log_end`.
    Note { key: &'a str, queue_id: i32, offset: i64, log_end: i64 },
    /// The table was to be saved with a content that has all notes in front of this entry.
    Saved(Identity),
    /// The table is to be saved as it is here.
    Cut(Cut),
    /// The content that belongs to a cut.
    Named(Cut, Identity),
}

impl OffsetJournal {
    /// Opens the journal that lies at `path`. What it holds is read with [`OffsetJournal::replay`].
    pub(crate) fn open(disk: Disk, path: PathBuf) -> Self {
        let mut journal = Self { disk, path, writer: None, needed_from: MAGIC.len(), last_cut: Cut(0), complained: false };
        match journal.open_file() {
            Ok(writer) => {
                let cuts = entries(writer.mapping().bytes()).filter_map(|(_, _, entry)| entry.cut());
                journal.last_cut = cuts.max().unwrap_or(Cut(0));
                journal.writer = Some(writer);
            }
            Err(error) => journal.complain(&error),
        }
        journal
    }

    fn open_file(&self) -> io::Result<MappedWriter> {
        let old = self.disk.read(&self.path)?.unwrap_or_default();
        let end = if old.starts_with(MAGIC) { entries(&old).last().map_or(MAGIC.len(), |(_, end, _)| end) } else { 0 };
        let torn = old.get(end..).and_then(|rest| rest.iter().rposition(|byte| *byte != 0)).map_or(0, |last| last + 1);
        if torn > 0 {
            tracing::warn!(path = %self.path.display(), byte = end, bytes = torn, "what follows the last whole note of an offset is erased");
        }
        if end > 0 && old.len() >= FIRST_LEN {
            // What follows the last whole entry is torn; it must not come back behind shorter ones.
            self.disk.open_file(&self.path, Access::Write)?.erase(end as u64..old.len() as u64)?;
            return self.disk.map_for_writing(&self.path, old.len(), end, old.len());
        }
        self.create(FIRST_LEN, &old[..end])
    }

    /// Makes a new file with some entries and puts it in the place of the old one.
    fn create(&self, len: usize, entries: &[u8]) -> io::Result<MappedWriter> {
        let mut new = self.path.as_os_str().to_owned();
        new.push(".tmp");
        let new = Path::new(&new);
        self.disk.remove_file(new)?;
        let mut writer = self.disk.map_for_writing(new, len, 0, len)?;
        let entries = if entries.is_empty() { MAGIC } else { entries };
        let Some(space) = writer.spare(entries.len()) else { return Err(io::ErrorKind::InvalidInput.into()) };
        space.copy_from_slice(entries);
        writer.publish(entries.len());
        self.disk.rename(new, &self.path)?;
        Ok(writer)
    }

    fn complain(&mut self, error: &io::Error) {
        if !self.complained {
            self.complained = true;
            tracing::error!(path = %self.path.display(), %error, "committed offsets are only kept by the saves of their table for now");
        }
    }

    /// What was noted since the table had the content that its file has now, as far as the log, which ends at `log_end`, goes. Begins anew if
    /// that cannot be told.
    pub(crate) fn replay(&mut self, table: Identity, log_end: i64) -> Vec<NotedOffset> {
        let bytes = self.writer.as_ref().map(|writer| writer.mapping().bytes()).unwrap_or_default();
        let Some(start) = start_of(entries(bytes), table) else {
            if bytes.len() > MAGIC.len() {
                tracing::warn!(path = %self.path.display(), "the table was changed by somebody else; offsets noted before are void");
            }
            self.begin_anew(table);
            return Vec::new();
        };
        let (mut noted, mut void_from) = (Vec::new(), None);
        for (at, _, entry) in entries(bytes).filter(|(at, _, _)| *at > start) {
            match entry {
                Entry::Note { log_end: spoken_of, .. } if spoken_of > log_end => {
                    void_from = Some(at);
                    break;
                }
                Entry::Note { key, queue_id, offset, .. } => noted.push(NotedOffset { key: key.to_owned(), queue_id, offset }),
                Entry::Saved(_) | Entry::Cut(_) | Entry::Named(..) => {}
            }
        }
        self.needed_from = start;
        if let Some(void_from) = void_from {
            tracing::warn!(path = %self.path.display(), log_end, "what was noted of deliveries that a crash took from the log is void");
            self.cut_off(void_from);
        }
        noted
    }

    /// Nothing from a place on counts, nor does it ever again: the log will be longer one day.
    fn cut_off(&mut self, from: usize) {
        let Some(len) = self.writer.take().map(|writer| writer.mapping().len()) else { return };
        let cut = || {
            let file = self.disk.open_file(&self.path, Access::Write)?;
            file.erase(from as u64..len as u64)?;
            file.sync()?;
            self.disk.map_for_writing(&self.path, len, from, len)
        };
        match cut() {
            Ok(writer) => self.writer = Some(writer),
            Err(error) => self.complain(&error),
        }
    }

    fn begin_anew(&mut self, table: Identity) {
        self.needed_from = MAGIC.len();
        match self.create(FIRST_LEN, MAGIC) {
            Ok(writer) => {
                self.writer = Some(writer);
                self.saving(table);
            }
            Err(error) => {
                self.writer = None;
                self.complain(&error);
            }
        }
    }

    /// Notes an offset.
    pub(crate) fn note(&mut self, key: &str, queue_id: i32, offset: i64) {
        self.put(NOTE, &[&queue_id.to_be_bytes(), &offset.to_be_bytes(), key.as_bytes()]);
    }

    /// Notes an offset that speaks of what the log has up to `log_end`.
    pub(crate) fn note_of_log(&mut self, key: &str, queue_id: i32, offset: i64, log_end: i64) {
        self.put(NOTE_OF_LOG, &[&log_end.to_be_bytes(), &queue_id.to_be_bytes(), &offset.to_be_bytes(), key.as_bytes()]);
    }

    /// The table is about to be saved with a content that has all that was noted.
    pub(crate) fn saving(&mut self, content: Identity) {
        self.put(SAVED, &[&content.len.to_be_bytes(), &content.crc.to_be_bytes()]);
    }

    /// The table is to be saved as it is now: with all that was noted. Its content is to be [named](Self::name) before it is written.
    pub(crate) fn cut(&mut self) -> Cut {
        self.last_cut.0 = self.last_cut.0.wrapping_add(1);
        self.put(CUT, &[&self.last_cut.0.to_be_bytes()]);
        self.last_cut
    }

    /// The table is about to be saved with this content, as it was at a cut. If the cut or this cannot be written, nothing counts that was
    /// noted since: as in front of a content that is not known.
    pub(crate) fn name(&mut self, cut: Cut, content: Identity) {
        self.put(NAMED, &[&cut.0.to_be_bytes(), &content.len.to_be_bytes(), &content.crc.to_be_bytes()]);
    }

    /// The table has been saved with this content.
    pub(crate) fn saved(&mut self, content: Identity) {
        let bytes = self.writer.as_ref().map(|writer| writer.mapping().bytes()).unwrap_or_default();
        let rest = bytes.get(self.needed_from..).unwrap_or_default();
        if let Some(at) = start_of(entries_in(rest), content) {
            self.needed_from += at;
        }
    }

    fn put(&mut self, kind: u8, parts: &[&[u8]]) {
        let len = 1 + parts.iter().map(|part| part.len()).sum::<usize>();
        let Ok(len_field) = u16::try_from(len) else { return };
        if self.writer.as_ref().is_none_or(|writer| writer.remaining() < HEAD + len)
            && let Err(error) = self.make_room(HEAD + len)
        {
            return self.complain(&error);
        }
        let Some(writer) = &mut self.writer else { return };
        let Some(space) = writer.spare(HEAD + len) else { return };
        let (head, payload) = space.split_at_mut(HEAD);
        payload[0] = kind;
        let mut at = 1;
        for part in parts {
            payload[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        }
        head[4..].copy_from_slice(&len_field.to_be_bytes());
        head[..4].copy_from_slice(&entry_crc(payload).to_be_bytes());
        writer.publish(HEAD + len);
    }

    /// Leaves out what is not needed any more, or makes the file longer.
    #[cold]
    fn make_room(&mut self, needed: usize) -> io::Result<()> {
        let bytes = self.writer.as_ref().map(|writer| writer.mapping().bytes()).unwrap_or_default();
        let kept = newest(bytes.get(self.needed_from..).unwrap_or_default());
        let mut len = FIRST_LEN;
        // At least half of the file is to be free, so that this is rare.
        while len / 2 < kept.len() + needed {
            len *= 2;
        }
        if len > MAX_LEN {
            return Err(io::Error::other(format!("the journal would exceed {MAX_LEN} bytes")));
        }
        let writer = self.create(len, &kept)?;
        self.writer = Some(writer);
        self.needed_from = MAGIC.len();
        self.complained = false;
        Ok(())
    }

    /// Removes the file if the table has all that it holds.
    pub(crate) fn close(&mut self) {
        let bytes = self.writer.as_ref().map(|writer| writer.mapping().bytes()).unwrap_or_default();
        let rest = bytes.get(self.needed_from..).unwrap_or_default();
        let saved = self.needed_from > MAGIC.len() && entries_in(rest).all(|(_, _, entry)| !matches!(entry, Entry::Note { .. }));
        if saved {
            self.writer = None;
            if let Err(error) = self.disk.remove_file(&self.path) {
                tracing::warn!(path = %self.path.display(), %error, "a journal that is not needed could not be removed");
            }
        }
    }
}

impl Entry<'_> {
    const fn cut(self) -> Option<Cut> {
        match self {
            Self::Cut(cut) | Self::Named(cut, _) => Some(cut),
            Self::Note { .. } | Self::Saved(_) => None,
        }
    }
}

/// Where what counts beside this content begins: the last place as which the table was saved with it.
fn start_of<'a>(entries: impl Iterator<Item = (usize, usize, Entry<'a>)>, content: Identity) -> Option<usize> {
    let (mut cuts, mut found) = (BTreeMap::new(), None);
    for (start, _, entry) in entries {
        match entry {
            Entry::Saved(saved) if saved == content => found = Some(start),
            Entry::Cut(cut) => drop(cuts.insert(cut, start)),
            Entry::Named(cut, named) if named == content => found = cuts.get(&cut).copied().or(found),
            Entry::Note { .. } | Entry::Saved(_) | Entry::Named(..) => {}
        }
    }
    found
}

fn entry_crc(payload: &[u8]) -> u32 {
    // Never zero, so that an entry differs from empty space.
    body_crc(payload) | 0x8000_0000
}

/// The entries of a journal: where each begins, where it ends, and what it says. Ends at the first that is not whole.
fn entries(bytes: &[u8]) -> impl Iterator<Item = (usize, usize, Entry<'_>)> {
    let rest = bytes.strip_prefix(MAGIC).unwrap_or_default();
    entries_in(rest).map(|(start, end, entry)| (start + MAGIC.len(), end + MAGIC.len(), entry))
}

/// The same, without the magic in front.
fn entries_in(bytes: &[u8]) -> impl Iterator<Item = (usize, usize, Entry<'_>)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = bytes.get(at..)?;
        let (crc, rest) = rest.split_first_chunk::<4>()?;
        let (len, rest) = rest.split_first_chunk::<2>()?;
        let payload = rest.get(..usize::from(u16::from_be_bytes(*len)))?;
        if u32::from_be_bytes(*crc) != entry_crc(payload) {
            return None;
        }
        let entry = decode(payload)?;
        let start = at;
        at += HEAD + payload.len();
        Some((start, at, entry))
    })
}

fn decode(payload: &[u8]) -> Option<Entry<'_>> {
    let (kind, rest) = payload.split_first()?;
    match *kind {
        NOTE | NOTE_OF_LOG => {
            let (log_end, rest) = if *kind == NOTE_OF_LOG { rest.split_first_chunk::<8>()? } else { (&[0; 8], rest) };
            let (queue_id, rest) = rest.split_first_chunk::<4>()?;
            let (offset, key) = rest.split_first_chunk::<8>()?;
            let key = std::str::from_utf8(key).ok()?;
            let (queue_id, offset) = (i32::from_be_bytes(*queue_id), i64::from_be_bytes(*offset));
            Some(Entry::Note { key, queue_id, offset, log_end: i64::from_be_bytes(*log_end) })
        }
        SAVED => Some(Entry::Saved(decode_identity(rest)?)),
        CUT => Some(Entry::Cut(Cut(u64::from_be_bytes(rest.try_into().ok()?)))),
        NAMED => {
            let (cut, rest) = rest.split_first_chunk::<8>()?;
            Some(Entry::Named(Cut(u64::from_be_bytes(*cut)), decode_identity(rest)?))
        }
        _ => None,
    }
}

fn decode_identity(bytes: &[u8]) -> Option<Identity> {
    let (len, crc) = bytes.split_first_chunk::<4>()?;
    Some(Identity { len: u32::from_be_bytes(*len), crc: u32::from_be_bytes(crc.try_into().ok()?) })
}

/// A journal with the newest note of each queue between any two saves, and with the saves.
fn newest(bytes: &[u8]) -> Vec<u8> {
    let all: Vec<_> = entries_in(bytes).collect();
    let mut seen = IndexSet::<(&str, i32), FixedState>::default();
    let mut kept = Vec::new();
    for &(start, end, entry) in all.iter().rev() {
        let keep = match entry {
            Entry::Saved(_) | Entry::Cut(_) => {
                seen.clear();
                true
            }
            Entry::Named(..) => true,
            Entry::Note { key, queue_id, .. } => seen.insert((key, queue_id)),
        };
        if keep {
            kept.push(start..end);
        }
    }
    let mut journal = MAGIC.to_vec();
    for range in kept.into_iter().rev() {
        journal.extend_from_slice(&bytes[range]);
    }
    journal
}

#[cfg(test)]
mod tests;
