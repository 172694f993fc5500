//! An index file as somebody sees it who only looks: its head, its entries one after the other, its slots.

use std::{io, path::PathBuf};

use super::format::{ENTRY_LEN, Entry, Geometry, HEADER_LEN, Header, SLOT_LEN};
use crate::disk::{Access, Disk, File};

/// Bytes that are read at once.
const CHUNK: usize = 64 << 10;

/// Shapes that are tried before it is given up to find out what shape a file has.
const SHAPES: i32 = 1 << 20;

/// A file that is looked at.
#[derive(Debug)]
pub(crate) struct IndexView {
    pub(crate) path: PathBuf,
    pub(crate) header: Header,
    geometry: Geometry,
    file: File,
    /// Number of the entry that comes next, and those that were read ahead.
    next: i32,
    ahead: Vec<u8>,
    ahead_at: usize,
}

/// One key of one message, with its number in the file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SeenEntry {
    pub(crate) number: i32,
    pub(crate) key_hash: i32,
    pub(crate) offset: i64,
    pub(crate) previous: i32,
}

impl IndexView {
    /// Opens a file of this shape and length.
    ///
    /// # Errors
    /// Those of the operating system.
    pub(crate) fn open(disk: &Disk, path: PathBuf, geometry: Geometry) -> io::Result<Self> {
        let file = disk.open_file(&path, Access::Read)?;
        let mut head = [0; HEADER_LEN as usize];
        file.read_at(&mut head, 0)?;
        Ok(Self { path, header: Header::decode(&head), geometry, file, next: 1, ahead: Vec::new(), ahead_at: 0 })
    }

    /// What the head cannot say.
    pub(crate) fn flaw(&self) -> Option<String> {
        self.header.flaw(self.geometry)
    }

    /// The slot of a key.
    pub(crate) fn slot_of(&self, key_hash: i32) -> usize {
        self.geometry.slot_of(key_hash.max(0))
    }

    /// How many slots there are.
    pub(crate) fn slots(&self) -> usize {
        self.geometry.slots as usize
    }

    /// Where an entry lies in the file.
    pub(crate) fn entry_at(&self, number: i32) -> u64 {
        self.geometry.entry_at(number)
    }

    /// The next entry that the head speaks of.
    ///
    /// # Errors
    /// Those of the operating system.
    pub(crate) fn next_entry(&mut self) -> io::Result<Option<SeenEntry>> {
        if self.next >= self.header.index_count {
            return Ok(None);
        }
        if self.ahead_at >= self.ahead.len() {
            let entries = ((self.header.index_count - self.next) as usize).min(CHUNK / ENTRY_LEN);
            self.ahead.resize(entries * ENTRY_LEN, 0);
            self.file.read_at(&mut self.ahead, self.geometry.entry_at(self.next))?;
            self.ahead_at = 0;
        }
        let Some(bytes) = self.ahead.get(self.ahead_at..).and_then(<[u8]>::first_chunk) else { return Ok(None) };
        let Entry { key_hash, offset, previous, .. } = Entry::decode(bytes);
        let number = self.next;
        self.next += 1;
        self.ahead_at += ENTRY_LEN;
        Ok(Some(SeenEntry { number, key_hash, offset, previous }))
    }

    /// Calls `see` with each slot and the number that stands in it.
    ///
    /// # Errors
    /// Those of the operating system.
    pub(crate) fn each_slot(&self, mut see: impl FnMut(usize, i32)) -> io::Result<()> {
        let mut buffer = vec![0; CHUNK];
        let mut slot = 0;
        while slot < self.slots() {
            let len = CHUNK.min((self.slots() - slot) * SLOT_LEN as usize);
            self.file.read_at(&mut buffer[..len], self.geometry.slot_at(slot))?;
            for bytes in buffer[..len].as_chunks().0 {
                see(slot, i32::from_be_bytes(*bytes));
                slot += 1;
            }
        }
        Ok(())
    }
}

/// What a file tells about its shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// This is it.
    Shape(Geometry),
    /// Nothing, as it holds nothing.
    Empty,
    /// It holds something, but what shape it has cannot be told.
    Unclear,
}

/// The shape of a file of `len` bytes: the standard one if the length is that, else the one in which its first and its last entry lie
/// where its head and its slots say.
///
/// # Errors
/// Those of the operating system.
pub(crate) fn told_geometry(disk: &Disk, path: &std::path::Path, len: u64) -> io::Result<Told> {
    if len == Geometry::STANDARD.file_len() {
        return Ok(Told::Shape(Geometry::STANDARD));
    }
    let file = disk.open_file(path, Access::Read)?;
    let (Ok(rest), Ok(words)) = (i32::try_from(len.saturating_sub(HEADER_LEN)), i32::try_from(len / SLOT_LEN)) else {
        return Ok(Told::Unclear);
    };
    let mut head = [0; HEADER_LEN as usize];
    if rest <= 0 {
        return Ok(Told::Unclear);
    }
    file.read_at(&mut head, 0)?;
    let header = Header::decode(&head);
    if header.is_empty() {
        return Ok(Told::Empty);
    }
    for slots in (header.hash_slot_count.max(1)..words).take(SHAPES as usize) {
        let entries = (rest - slots.saturating_mul(SLOT_LEN as i32)) / ENTRY_LEN as i32;
        let geometry = Geometry { slots, entries };
        if entries < header.index_count {
            break;
        }
        if geometry.file_len() == len && fits(&file, geometry, &header)? {
            return Ok(Told::Shape(geometry));
        }
    }
    Ok(Told::Unclear)
}

fn fits(file: &File, geometry: Geometry, header: &Header) -> io::Result<bool> {
    let entry = |number| -> io::Result<Entry> {
        let mut bytes = [0; ENTRY_LEN];
        file.read_at(&mut bytes, geometry.entry_at(number))?;
        Ok(Entry::decode(&bytes))
    };
    let first = entry(1)?;
    if first.offset != header.begin_offset || first.previous != 0 || first.key_hash < 0 {
        return Ok(false);
    }
    let last = entry(header.index_count - 1)?;
    if last.offset != header.end_offset || last.key_hash < 0 {
        return Ok(false);
    }
    let mut slot = [0; SLOT_LEN as usize];
    file.read_at(&mut slot, geometry.slot_at(geometry.slot_of(last.key_hash)))?;
    // Behind an old head the slot may speak of an entry that came later.
    Ok(i32::from_be_bytes(slot) >= header.index_count - 1)
}
