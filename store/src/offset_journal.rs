//! Offsets that were committed since their table was saved: a mapped file beside it, so that a killed process loses none.
//!
//! ```text
//! "PTRLJNL1"
//! u32 CRC-32 of the rest | u16 bytes after this field | u8 1 | i32 queue | i64 offset | key
//! u32 CRC-32 of the rest | u16 bytes after this field | u8 3 | i64 end of the log | i32 queue | i64 offset | key
//! u32 CRC-32 of the rest | u16 bytes after this field | u8 2 | u32 length, u32 CRC-32 of a content that the table was to be saved with
//! ```
//!
//! Whoever opens it knows the content that the table's file has now. What follows the last entry that names this content is newer
//! than it and counts, up to the first note that speaks of more than the log has: a loss of power can spare the note of a delivery and take
//! the message that was delivered. If no entry names it, somebody else (a Java broker) has saved the table since: then nothing counts.

use std::{
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

/// The journal of one table.
#[derive(Debug)]
pub(crate) struct OffsetJournal {
    disk: Disk,
    path: PathBuf,
    /// `None` as long as it cannot be written.
    writer: Option<MappedWriter>,
    /// Nothing in front of this entry is needed: the table was saved as it says.
    needed_from: usize,
    complained: bool,
}

/// An entry, borrowed from where it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Entry<'a> {
    /// It counts if the log has come to `log_end`.
    Note {
        key: &'a str,
        queue_id: i32,
        offset: i64,
        log_end: i64,
    },
    Saved(Identity),
}

impl OffsetJournal {
    /// Opens the journal that lies at `path`. What it holds is read with [`OffsetJournal::replay`].
    pub(crate) fn open(disk: Disk, path: PathBuf) -> Self {
        let mut journal = Self { disk, path, writer: None, needed_from: MAGIC.len(), complained: false };
        match journal.open_file() {
            Ok(writer) => journal.writer = Some(writer),
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
        let from = entries(bytes).filter(|(_, _, entry)| *entry == Entry::Saved(table)).last();
        let Some((start, _, _)) = from else {
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
                Entry::Saved(_) => {}
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

    /// The table has been saved with this content.
    pub(crate) fn saved(&mut self, content: Identity) {
        let bytes = self.writer.as_ref().map(|writer| writer.mapping().bytes()).unwrap_or_default();
        let rest = bytes.get(self.needed_from..).unwrap_or_default();
        if let Some((at, _, _)) = entries_in(rest).filter(|(_, _, entry)| *entry == Entry::Saved(content)).last() {
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
        let saved = self.needed_from > MAGIC.len() && entries_in(rest).all(|(_, _, entry)| matches!(entry, Entry::Saved(_)));
        if saved {
            self.writer = None;
            if let Err(error) = self.disk.remove_file(&self.path) {
                tracing::warn!(path = %self.path.display(), %error, "a journal that is not needed could not be removed");
            }
        }
    }
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
        SAVED => {
            let (len, rest) = rest.split_first_chunk::<4>()?;
            let (crc, rest) = rest.split_first_chunk::<4>()?;
            let identity = Identity { len: u32::from_be_bytes(*len), crc: u32::from_be_bytes(*crc) };
            rest.is_empty().then_some(Entry::Saved(identity))
        }
        _ => None,
    }
}

/// A journal with the newest note of each queue between any two saves, and with the saves.
fn newest(bytes: &[u8]) -> Vec<u8> {
    let all: Vec<_> = entries_in(bytes).collect();
    let mut seen = IndexSet::<(&str, i32), FixedState>::default();
    let mut kept = Vec::new();
    for &(start, end, entry) in all.iter().rev() {
        let keep = match entry {
            Entry::Saved(_) => {
                seen.clear();
                true
            }
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
mod tests {
    use super::*;

    const OLD: Identity = Identity { len: 1, crc: 1 };
    const NEW: Identity = Identity { len: 2, crc: 2 };

    /// The log has all that is spoken of.
    const END: i64 = 1_000;

    struct Folder(tempfile::TempDir);

    impl Folder {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn path(&self) -> PathBuf {
            self.0.path().join("consumerOffset.journal")
        }

        fn open(&self) -> OffsetJournal {
            OffsetJournal::open(Disk::system(), self.path())
        }
    }

    fn noted(key: &str, queue_id: i32, offset: i64) -> NotedOffset {
        NotedOffset { key: key.into(), queue_id, offset }
    }

    #[test]
    fn what_was_noted_after_the_table_was_saved_counts() {
        let folder = Folder::new();
        let mut journal = folder.open();
        assert_eq!(journal.replay(OLD, END), []);
        journal.note("T@g", 0, 5);
        journal.note("T@g", 1, 6);
        drop(journal);
        let mut journal = folder.open();
        assert_eq!(journal.replay(OLD, END), [noted("T@g", 0, 5), noted("T@g", 1, 6)]);
        journal.saving(NEW);
        journal.note("T@g", 0, 9);
        drop(journal);
        assert_eq!(folder.open().replay(NEW, END), [noted("T@g", 0, 9)]);
        assert_eq!(folder.open().replay(NEW, END), [noted("T@g", 0, 9)], "reading changes nothing");
    }

    #[test]
    fn a_save_that_did_not_reach_the_disk_changes_nothing() {
        let folder = Folder::new();
        let mut journal = folder.open();
        journal.replay(OLD, END);
        journal.note("T@g", 0, 5);
        journal.saving(NEW);
        journal.note("T@g", 0, 6);
        drop(journal);
        assert_eq!(folder.open().replay(OLD, END), [noted("T@g", 0, 5), noted("T@g", 0, 6)]);
    }

    #[test]
    fn a_table_that_somebody_else_has_saved_makes_it_void() {
        let folder = Folder::new();
        let mut journal = folder.open();
        journal.replay(OLD, END);
        journal.note("T@g", 0, 5);
        drop(journal);
        let foreign = Identity { len: 3, crc: 3 };
        let mut journal = folder.open();
        assert_eq!(journal.replay(foreign, END), []);
        journal.note("T@g", 0, 7);
        drop(journal);
        assert_eq!(folder.open().replay(foreign, END), [noted("T@g", 0, 7)]);
    }

    #[test]
    fn a_torn_end_is_left_out_and_does_not_come_back() {
        let folder = Folder::new();
        let mut journal = folder.open();
        journal.replay(OLD, END);
        for offset in 0..3 {
            journal.note("T@g", 0, offset);
        }
        drop(journal);
        let mut bytes = std::fs::read(folder.path()).unwrap();
        let (start, ..) = entries(&bytes).nth(2).unwrap();
        bytes[start + HEAD + 3] ^= 1;
        std::fs::write(folder.path(), &bytes).unwrap();
        let mut journal = folder.open();
        assert_eq!(journal.replay(OLD, END), [noted("T@g", 0, 0)]);
        journal.note("T@g", 0, 9);
        drop(journal);
        assert_eq!(folder.open().replay(OLD, END), [noted("T@g", 0, 0), noted("T@g", 0, 9)]);
    }

    #[test]
    fn it_stays_small_however_often_the_same_queues_are_noted() {
        let folder = Folder::new();
        let mut journal = folder.open();
        journal.replay(OLD, END);
        for offset in 0..50_000 {
            journal.note("a-topic@a-group", (offset % 4) as i32, offset);
        }
        drop(journal);
        assert_eq!(std::fs::metadata(folder.path()).unwrap().len(), FIRST_LEN as u64);
        let replayed = folder.open().replay(OLD, END);
        let last = |queue_id| replayed.iter().rev().find(|it| it.queue_id == queue_id).map(|it| it.offset);
        assert_eq!([0, 1, 2, 3].map(last), [Some(49_996), Some(49_997), Some(49_998), Some(49_999)]);
    }

    #[test]
    fn it_grows_for_many_queues_and_drops_what_a_save_has_taken_over() {
        let folder = Folder::new();
        let mut journal = folder.open();
        journal.replay(OLD, END);
        for queue_id in 0..20_000 {
            journal.note("a-topic@a-group", queue_id, 1);
        }
        assert!(std::fs::metadata(folder.path()).unwrap().len() > FIRST_LEN as u64);
        journal.saving(NEW);
        journal.saved(NEW);
        for offset in 0..100_000 {
            journal.note("a-topic@a-group", 1, offset);
        }
        drop(journal);
        assert_eq!(std::fs::metadata(folder.path()).unwrap().len(), FIRST_LEN as u64);
        let replayed = folder.open().replay(NEW, END);
        assert_eq!(replayed.last(), Some(&noted("a-topic@a-group", 1, 99_999)));
        assert!(replayed.iter().all(|it| it.queue_id == 1));
    }

    #[test]
    fn a_journal_that_is_not_needed_is_removed_on_close() {
        let folder = Folder::new();
        let mut journal = folder.open();
        journal.replay(OLD, END);
        journal.note("T@g", 0, 1);
        journal.saving(NEW);
        journal.close();
        assert!(folder.path().exists(), "nobody said that the save is done");
        let mut journal = folder.open();
        journal.replay(NEW, END);
        journal.saving(NEW);
        journal.saved(NEW);
        journal.close();
        assert!(!folder.path().exists());
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..400)) {
            let folder = Folder::new();
            std::fs::write(folder.path(), &bytes).unwrap();
            let mut journal = folder.open();
            journal.replay(OLD, END);
            journal.note("T@g", 0, 1);
            drop(journal);
            proptest::prop_assert_eq!(folder.open().replay(OLD, END), [noted("T@g", 0, 1)]);
        }

        #[test]
        fn a_cut_anywhere_leaves_a_front_part(cut in 0usize..700, flip in 0u8..255) {
            let folder = Folder::new();
            let mut journal = folder.open();
            journal.replay(OLD, END);
            for offset in 0..20 {
                journal.note("T@g", 3, offset);
            }
            drop(journal);
            let mut bytes = std::fs::read(folder.path()).unwrap();
            bytes[cut..].fill(0);
            bytes[cut] = flip;
            std::fs::write(folder.path(), &bytes).unwrap();
            let replayed = folder.open().replay(OLD, END);
            let expected: Vec<_> = (0..replayed.len() as i64).map(|offset| noted("T@g", 3, offset)).collect();
            proptest::prop_assert_eq!(replayed, expected);
        }
    }

    #[test]
    fn notes_of_what_the_log_has_lost_are_void_and_stay_so_when_it_has_grown() {
        let folder = Folder::new();
        let mut journal = folder.open();
        journal.replay(OLD, END);
        journal.note_of_log("S", 2, 13, 900);
        journal.note_of_log("S", 2, 14, 1_000);
        journal.note_of_log("S", 1, 5, 950);
        drop(journal);
        let mut journal = folder.open();
        assert_eq!(journal.replay(OLD, 999), [noted("S", 2, 13)]);
        journal.note_of_log("S", 3, 7, 999);
        drop(journal);
        assert_eq!(folder.open().replay(OLD, 5_000), [noted("S", 2, 13), noted("S", 3, 7)]);
    }
}
