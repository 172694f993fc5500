//! One index file: the last one is written to, the others are only read.
//!
//! Entries are put into the file as they come, slots stay in memory until a round brings them there, and the head, which makes all
//! that count, is written last. So a file speaks only of what is there, whatever happened later.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::format::{ENTRY_LEN, Entry, Geometry, HEADER_LEN, Header, SLOT_LEN, seconds_between};
use crate::disk::{Access, Disk, File, PAGE};

/// Bytes of slots that are read or written at once.
const CHUNK: usize = 64 << 10;

/// An index file.
#[derive(Debug)]
pub(super) struct IndexFile {
    pub(super) path: PathBuf,
    file: File,
    geometry: Geometry,
    header: Header,
    /// What it takes to write to it.
    live: Option<Live>,
}

#[derive(Debug)]
struct Live {
    slots: Vec<i32>,
    /// Pages of slots that differ from the file's.
    dirty: Vec<bool>,
    /// Encoded entries that are not in the file, and the number of the first of them.
    tail: Vec<u8>,
    tail_first: i32,
}

impl Live {
    fn clean(geometry: Geometry, tail_first: i32) -> Self {
        Self { slots: vec![0; geometry.slots as usize], dirty: vec![false; geometry.slot_pages()], tail: Vec::new(), tail_first }
    }

    fn set_slot(&mut self, geometry: Geometry, slot: usize, number: i32) {
        if let (Some(place), Some(dirty)) = (self.slots.get_mut(slot), self.dirty.get_mut((geometry.slot_at(slot) / PAGE) as usize)) {
            *place = number;
            *dirty = true;
        }
    }
}

impl IndexFile {
    /// Makes the file that follows another. Nothing of it is on disk but its name and length.
    ///
    /// # Errors
    /// Those of the operating system.
    pub(super) fn create(disk: &Disk, path: PathBuf, geometry: Geometry, previous: Option<&Header>) -> io::Result<Self> {
        let file = disk.create_sized(&path, geometry.file_len())?;
        let header = Header::behind(previous);
        Ok(Self { path, file, geometry, header, live: Some(Live::clean(geometry, header.index_count)) })
    }

    /// Opens a file that is there and has the right length, for reading.
    ///
    /// # Errors
    /// Those of the operating system.
    pub(super) fn open(disk: &Disk, path: &Path, geometry: Geometry) -> io::Result<Self> {
        let file = disk.open_file(path, Access::Write)?;
        let mut head = [0; HEADER_LEN as usize];
        file.read_at(&mut head, 0)?;
        Ok(Self { path: path.to_owned(), file, geometry, header: Header::decode(&head), live: None })
    }

    /// What the file holds.
    pub(super) fn header(&self) -> &Header {
        &self.header
    }

    /// Whether no entry can follow.
    pub(super) fn is_full(&self) -> bool {
        self.header.index_count >= self.geometry.entries
    }

    /// Makes ready for writing. Slots that speak of entries that are not there, which a stop in the middle of a write leaves, get the
    /// newest entry that is.
    ///
    /// # Errors
    /// Those of the operating system.
    pub(super) fn make_live(&mut self) -> io::Result<()> {
        if self.live.is_some() {
            return Ok(());
        }
        let mut live = Live::clean(self.geometry, self.header.index_count);
        let mut dangling = Vec::new();
        let mut buffer = vec![0; CHUNK];
        let mut slot = 0;
        while slot < live.slots.len() {
            let len = CHUNK.min((live.slots.len() - slot) * SLOT_LEN as usize);
            self.file.read_at(&mut buffer[..len], self.geometry.slot_at(slot))?;
            for bytes in buffer[..len].as_chunks::<{ SLOT_LEN as usize }>().0 {
                let number = i32::from_be_bytes(*bytes);
                if self.has(number) {
                    live.slots[slot] = number;
                } else if number != 0 {
                    dangling.push(slot);
                }
                slot += 1;
            }
        }
        if !dangling.is_empty() {
            tracing::info!(path = %self.path.display(), slots = dangling.len(), "slots of an index file are made anew from its entries");
            self.mend(&mut live, &dangling)?;
        }
        self.header.hash_slot_count = i32::try_from(live.slots.iter().filter(|number| **number != 0).count()).unwrap_or(i32::MAX);
        self.live = Some(live);
        Ok(())
    }

    /// Gives slots the newest of their entries.
    fn mend(&self, live: &mut Live, dangling: &[usize]) -> io::Result<()> {
        let mut open = vec![false; live.slots.len()];
        for &slot in dangling {
            open[slot] = true;
            live.set_slot(self.geometry, slot, 0);
        }
        let mut missing = dangling.len();
        let mut buffer = vec![0; CHUNK / ENTRY_LEN * ENTRY_LEN];
        let mut end = self.header.index_count;
        while end > 1 && missing > 0 {
            let first = (end - (buffer.len() / ENTRY_LEN) as i32).max(1);
            let len = (end - first) as usize * ENTRY_LEN;
            self.file.read_at(&mut buffer[..len], self.geometry.entry_at(first))?;
            for (number, bytes) in (first..end).zip(buffer[..len].as_chunks::<ENTRY_LEN>().0).rev() {
                let key_hash = Entry::decode(bytes).key_hash;
                let slot = self.geometry.slot_of(key_hash.max(0));
                if std::mem::take(&mut open[slot]) {
                    live.set_slot(self.geometry, slot, number);
                    missing -= 1;
                }
            }
            end = first;
        }
        Ok(())
    }

    fn has(&self, number: i32) -> bool {
        (1..self.header.index_count).contains(&number)
    }

    /// Puts one key of a message in; `false` if the file is full or not live.
    pub(super) fn put(&mut self, key_hash: i32, offset: i64, store_timestamp: i64) -> bool {
        if self.is_full() {
            return false;
        }
        let Some(live) = &mut self.live else { return false };
        if self.header.is_empty() {
            self.header.begin_timestamp = store_timestamp;
            self.header.begin_offset = offset;
        }
        let slot = self.geometry.slot_of(key_hash);
        let number = self.header.index_count;
        let previous = live.slots.get(slot).copied().unwrap_or(0);
        let seconds = seconds_between(self.header.begin_timestamp, store_timestamp);
        live.tail.extend_from_slice(&Entry { key_hash, offset, seconds, previous }.encode());
        live.set_slot(self.geometry, slot, number);
        self.header.hash_slot_count += i32::from(previous == 0);
        self.header.index_count += 1;
        self.header.end_timestamp = store_timestamp;
        self.header.end_offset = offset;
        true
    }

    /// Bytes of entries that are not in the file.
    pub(super) fn tail_len(&self) -> usize {
        self.live.as_ref().map_or(0, |live| live.tail.len())
    }

    /// Puts the entries that are not in the file into it; [`IndexFile::sync`] is to follow.
    ///
    /// # Errors
    /// Those of the operating system. The entries stay in memory, and it can be tried again.
    pub(super) fn write_tail(&mut self) -> io::Result<()> {
        let Some(live) = self.live.as_mut().filter(|live| !live.tail.is_empty()) else { return Ok(()) };
        self.file.write_at(&live.tail, self.geometry.entry_at(live.tail_first))?;
        live.tail_first += (live.tail.len() / ENTRY_LEN) as i32;
        live.tail.clear();
        Ok(())
    }

    /// The number of the newest entry in the slot of a key; 0 if there is none.
    ///
    /// # Errors
    /// Those of the operating system.
    pub(super) fn newest(&self, key_hash: i32) -> io::Result<i32> {
        let slot = self.geometry.slot_of(key_hash);
        let number = match &self.live {
            Some(live) => live.slots.get(slot).copied().unwrap_or(0),
            None => {
                let mut bytes = [0; SLOT_LEN as usize];
                self.file.read_at(&mut bytes, self.geometry.slot_at(slot))?;
                i32::from_be_bytes(bytes)
            }
        };
        Ok(if self.has(number) { number } else { 0 })
    }

    /// The entry with a number; `None` if there is none.
    ///
    /// # Errors
    /// Those of the operating system.
    pub(super) fn entry(&self, number: i32) -> io::Result<Option<Entry>> {
        if !self.has(number) {
            return Ok(None);
        }
        if let Some(live) = &self.live
            && number >= live.tail_first
        {
            let at = (number - live.tail_first) as usize * ENTRY_LEN;
            return Ok(live.tail.get(at..).and_then(<[u8]>::first_chunk).map(Entry::decode));
        }
        let mut bytes = [0; ENTRY_LEN];
        self.file.read_at(&mut bytes, self.geometry.entry_at(number))?;
        Ok(Some(Entry::decode(&bytes)))
    }

    /// Puts up to `len` bytes of slots that have changed into the file, beginning with the slots in a page of it. Answers the page to go on
    /// with, if there is more. [`IndexFile::sync`] is to follow.
    ///
    /// # Errors
    /// Those of the operating system. What is not in the file stays in memory, and it can be tried again.
    pub(super) fn write_slots(&mut self, mut page: usize, len: usize) -> io::Result<Option<usize>> {
        let Some(live) = &mut self.live else { return Ok(None) };
        let mut buffer = Vec::with_capacity(CHUNK + PAGE as usize);
        let mut written = 0;
        loop {
            page += live.dirty.iter().skip(page).take_while(|dirty| !**dirty).count();
            let run = live.dirty.iter().skip(page).take(CHUNK / PAGE as usize).take_while(|dirty| **dirty).count();
            if run == 0 {
                return Ok(None);
            }
            if written >= len {
                return Ok(Some(page));
            }
            let slots = slots_of_pages(self.geometry, page, run);
            buffer.clear();
            live.slots[slots.clone()].iter().for_each(|number| buffer.extend_from_slice(&number.to_be_bytes()));
            self.file.write_at(&buffer, self.geometry.slot_at(slots.start))?;
            live.dirty[page..page + run].fill(false);
            page += run;
            written += buffer.len();
        }
    }

    /// Waits until what was put into the file is on disk.
    ///
    /// # Errors
    /// Those of the operating system. Nothing that was put in since the last call may be taken for written then, now or later.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }

    /// Puts a head into the file and waits until it is on disk.
    ///
    /// # Errors
    /// Those of the operating system.
    pub(super) fn write_header(&self, header: &Header) -> io::Result<()> {
        self.file.write_at(&header.encode(), 0)?;
        self.file.sync()
    }

    /// No entry follows any more: what was needed for writing is let go. All of it must be in the file.
    pub(super) fn finish(&mut self) {
        self.live = None;
    }
}

/// The slots that begin in so many pages.
fn slots_of_pages(geometry: Geometry, page: usize, count: usize) -> std::ops::Range<usize> {
    let slot_of = |page: usize| {
        let behind_header = (page as u64 * PAGE).saturating_sub(HEADER_LEN);
        ((behind_header / SLOT_LEN) as usize).min(geometry.slots as usize)
    };
    slot_of(page)..slot_of(page + count)
}
