//! Holds the index of keys against the records of the log, in the order of the log.

use std::{
    collections::VecDeque,
    io,
    path::{Path, PathBuf},
};

use proto_core::record::RecordView;

use super::{Finding, Part, Severity, queue_check::Against};
use crate::{
    disk::{Disk, Entry},
    error::{OpenError, at},
    index::{
        Geometry,
        keys::hashes_of,
        view::{IndexView, SeenEntry, Told, told_geometry},
    },
};

/// So many findings are told, of the others only the number.
const TOLD: usize = 8;

/// What becomes of a file that is wrong.
const ANEW: &str = "remove the folder, and the next start builds the index anew";

/// The index under examination.
#[derive(Debug)]
pub(super) struct IndexCheck {
    dir: PathBuf,
    /// Files that have not been looked through, the oldest first.
    waiting: VecDeque<IndexView>,
    current: Option<Current>,
    /// The entry that comes next.
    next: Option<SeenEntry>,
    pub(super) entries: u64,
    hashes: Vec<i32>,
    seen: Vec<i32>,
    findings: Vec<Finding>,
    more: u64,
    /// Messages that the index does not have: how many, and where the first one lies.
    missing: Option<(u64, i64)>,
    /// Messages behind the last one that the index has.
    behind: u64,
    /// Nothing can be said about the entries.
    blind: bool,
    /// An index once had messages, or nobody knows: then one without any is not right.
    was_there: bool,
}

/// The file that is looked through.
#[derive(Debug)]
struct Current {
    view: IndexView,
    /// The newest entry of each slot among those that were seen.
    newest: Vec<i32>,
}

impl IndexCheck {
    /// Looks at the folder's files. `geometry` is their shape; without it they tell. `was_there` says that the index is known to have had
    /// messages, or not known to have had none.
    ///
    /// # Errors
    /// [`OpenError`] if a file cannot be read.
    pub(super) fn open(disk: &Disk, dir: PathBuf, geometry: Option<Geometry>, was_there: bool) -> Result<Self, OpenError> {
        let mut check = Self {
            dir,
            waiting: VecDeque::new(),
            current: None,
            next: None,
            entries: 0,
            hashes: Vec::new(),
            seen: Vec::new(),
            findings: Vec::new(),
            more: 0,
            missing: None,
            behind: 0,
            blind: false,
            was_there,
        };
        let entries = disk.list(&check.dir).map_err(at(&check.dir))?;
        let (files, strangers): (Vec<_>, Vec<_>) =
            entries.into_iter().partition(|entry| !entry.is_dir && entry.name.bytes().all(|byte| byte.is_ascii_digit()));
        for stranger in strangers {
            check.tell(Severity::Note, check.dir.join(stranger.name), None, "no index file; it is left alone".to_owned());
        }
        let told = match geometry {
            Some(geometry) => Told::Shape(geometry),
            None => told_by_files(disk, &check.dir, &files)?,
        };
        let Told::Shape(geometry) = told else {
            if told == Told::Unclear {
                check.blind = true;
                for file in files {
                    let what = format!(
                        "{} bytes long, which is no whole file of RocketMQ's default shape, and its content tells no other: it was cut short \
                         (petrel store rebuild --index makes it anew), or its broker has a shape of its own (name its broker.conf)",
                        file.len
                    );
                    check.tell(Severity::Repairable, check.dir.join(file.name), None, what);
                }
            }
            return Ok(check);
        };
        for file in files {
            let path = check.dir.join(&file.name);
            if geometry.file_len() == file.len {
                check.add(IndexView::open(disk, path.clone(), geometry).map_err(at(&path))?);
            } else {
                let Geometry { slots, entries } = geometry;
                let (found, needed) = (file.len, geometry.file_len());
                let what =
                    format!("{found} bytes long, where {slots} slots and {entries} entries need {needed}; the next start builds it anew");
                check.tell(Severity::Repairable, path, None, what);
                check.blind = true;
            }
        }
        check.step().map_err(at(&check.dir))?;
        Ok(check)
    }

    fn add(&mut self, view: IndexView) {
        match view.flaw() {
            Some(flaw) => {
                self.tell(Severity::Repairable, view.path.clone(), Some(0), format!("{flaw}; the next start builds it anew"));
                self.blind = true;
            }
            None => self.waiting.push_back(view),
        }
    }

    /// A record comes next in the log.
    ///
    /// # Errors
    /// [`OpenError`] if a file cannot be read.
    pub(super) fn handle_record(&mut self, record: &RecordView<'_>, against: &Against<'_>) -> Result<(), OpenError> {
        if self.blind {
            return Ok(());
        }
        let offset = record.physical_offset();
        while let Some(entry) = self.next.filter(|entry| entry.offset < offset) {
            self.stray(&entry, against);
            self.step().map_err(at(&self.dir))?;
        }
        let mut hashes = std::mem::take(&mut self.hashes);
        hashes_of(record, &mut hashes);
        if !hashes.is_empty() && self.next.is_none() {
            self.behind += 1;
        } else if !hashes.is_empty() {
            self.compare(offset, &hashes)?;
        }
        self.hashes = hashes;
        Ok(())
    }

    /// The entries of the message at `offset` against the hashes of its keys.
    fn compare(&mut self, offset: i64, hashes: &[i32]) -> Result<(), OpenError> {
        self.seen.clear();
        while let Some(entry) = self.next.filter(|entry| entry.offset == offset) {
            if !hashes.contains(&entry.key_hash) {
                self.tell_entry(&entry, format!("the message at {offset} of the log has no key with the hash {}", entry.key_hash));
            }
            self.seen.push(entry.key_hash);
            self.step().map_err(at(&self.dir))?;
        }
        let stops_here = self.next.is_none();
        if hashes.iter().any(|hash| !self.seen.contains(hash)) {
            if stops_here {
                self.behind += 1;
            } else {
                let (count, _) = self.missing.get_or_insert((0, offset));
                *count += 1;
            }
        }
        Ok(())
    }

    /// An entry that speaks of no whole record.
    fn stray(&mut self, entry: &SeenEntry, against: &Against<'_>) {
        let damaged = against.damaged.iter().any(|(from, to)| (*from..*to).contains(&entry.offset));
        if entry.offset >= against.log_start && !damaged {
            self.tell_entry(entry, format!("it speaks of a message at {} of the log, where none begins", entry.offset));
        }
    }

    /// Goes to the next entry, and to the next file behind the last one of a file.
    fn step(&mut self) -> io::Result<()> {
        loop {
            if let Some(current) = &mut self.current {
                if let Some(entry) = current.view.next_entry()? {
                    self.entries += 1;
                    self.next = Some(entry);
                    return self.follow(&entry);
                }
                self.compare_slots()?;
            }
            self.next = None;
            let Some(view) = self.waiting.pop_front() else {
                self.current = None;
                return Ok(());
            };
            let newest = vec![0; view.slots()];
            self.current = Some(Current { view, newest });
        }
    }

    /// Whether an entry leads to the one before it in its slot.
    fn follow(&mut self, entry: &SeenEntry) -> io::Result<()> {
        let Some(current) = &mut self.current else { return Ok(()) };
        let slot = current.view.slot_of(entry.key_hash);
        let before = std::mem::replace(&mut current.newest[slot], entry.number);
        if before != entry.previous {
            self.tell_entry(entry, format!("it leads to entry {}, where {before} is the one before it", entry.previous));
        }
        Ok(())
    }

    /// Whether the slots of the file that was looked through lead to its newest entries.
    fn compare_slots(&mut self) -> io::Result<()> {
        let Some(current) = self.current.take() else { return Ok(()) };
        let (count, last_one) = (current.view.header.index_count, self.waiting.is_empty());
        let mut wrong = None;
        current.view.each_slot(|slot, number| {
            // Behind the head of the last file there may be more, which the next start puts in again.
            let later = last_one && number >= count;
            if number != current.newest[slot] && !later {
                let (slots, _, _) = wrong.get_or_insert((0_u64, slot, number));
                *slots += 1;
            }
        })?;
        if let Some((slots, slot, number)) = wrong {
            let what = format!(
                "{slots} slots are wrong, the first of them is {slot}: it leads to entry {number}, where {} is the newest; {ANEW}",
                current.newest[slot]
            );
            self.tell(Severity::Repairable, current.view.path.clone(), None, what);
        }
        Ok(())
    }

    /// The log has ended.
    ///
    /// # Errors
    /// [`OpenError`] if a file cannot be read.
    pub(super) fn finish(mut self, against: &Against<'_>) -> Result<Vec<Finding>, OpenError> {
        while let Some(entry) = self.next.filter(|_| !self.blind) {
            self.stray(&entry, against);
            self.step().map_err(at(&self.dir))?;
        }
        let mut findings = std::mem::take(&mut self.findings);
        let dir = self.dir;
        let mut tell = |severity, what| findings.push(Finding { severity, part: Part::Index, path: dir.clone(), at: None, what });
        if self.more > 0 {
            tell(Severity::Repairable, format!("{} entries more are wrong", self.more));
        }
        if let Some((count, offset)) = self.missing {
            let what = format!("{count} messages are not found by all of their keys, the first of them at {offset} of the log; {ANEW}");
            tell(Severity::Repairable, what);
        }
        if self.behind > 0 && self.entries == 0 && !self.blind {
            let what = format!("{} messages have keys, and there is no index of them", self.behind);
            if self.was_there {
                tell(Severity::Repairable, format!("{what}; the next start builds it anew, and so does petrel store rebuild --index"));
            } else if against.closed {
                tell(Severity::Note, format!("{what}: the broker kept none (messageIndexEnable=false), or the next start builds it"));
            }
        } else if self.behind > 0 && against.closed {
            tell(Severity::Note, format!("the last {} messages of the log are missing; the next start puts them in", self.behind));
        }
        Ok(findings)
    }

    fn tell_entry(&mut self, entry: &SeenEntry, what: String) {
        let Some((path, at)) = self.current.as_ref().map(|it| (it.view.path.clone(), it.view.entry_at(entry.number))) else { return };
        self.tell(Severity::Repairable, path, Some(at), format!("entry {}: {what}; {ANEW}", entry.number));
    }

    fn tell(&mut self, severity: Severity, path: PathBuf, at: Option<u64>, what: String) {
        if self.findings.len() < TOLD {
            self.findings.push(Finding { severity, part: Part::Index, path, at, what });
        } else {
            self.more += 1;
        }
    }
}

/// What the files of a folder tell about their shape.
pub(super) fn told_shape(disk: &Disk, dir: &Path) -> Result<Told, OpenError> {
    let mut files = disk.list(dir).map_err(at(dir))?;
    files.retain(|entry| !entry.is_dir);
    told_by_files(disk, dir, &files)
}

/// What the first file that tells anything tells about the shape of all.
fn told_by_files(disk: &Disk, dir: &Path, files: &[Entry]) -> Result<Told, OpenError> {
    let mut told = Told::Empty;
    for file in files {
        let path = dir.join(&file.name);
        match told_geometry(disk, &path, file.len).map_err(at(&path))? {
            Told::Empty => {}
            Told::Unclear => told = Told::Unclear,
            shape => return Ok(shape),
        }
    }
    Ok(told)
}
