//! Whether what lies at a place of the log is a whole record: the rule of recovery, of the tools and of readers of old records.

use std::{cell::Cell, ops::Range};

use proto_core::record::{self, BLANK_LEN, RecordView, Stored};

use crate::config::StoreConfig;

/// What a disk writes whole, in bytes: a power failure can leave some of a page's sectors written and others not.
const SECTOR: usize = 512;
/// So many records behind one with a wrong checksum are asked what that is worth.
const LOOKED_AT: usize = 16;

/// What begins at a place of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// A record of so many bytes.
    Record(usize),
    /// The end of the file.
    Blank,
}

/// What the checksums at the end of records are worth, those over all of a record.
///
/// A broker that does not write any stores what its clients send, and a client that copies the properties of a message it got from another
/// broker sends the checksum of another record. So a wrong one counts where the records around it have right ones: the first one behind
/// it of which that is known, or else the one in front of it, if that was read last. Where neither is known, the configuration says whether this log has any.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trailers {
    /// What the configuration says.
    usual: bool,
    /// What was last found, of a record that ended there.
    count: Cell<bool>,
    end: Cell<i64>,
    /// Where there is a right one, the body's own is not looked at.
    suffice: bool,
}

impl Trailers {
    /// Those of a log that is read for other reasons than recovery.
    pub(crate) const fn counting(count: bool) -> Self {
        Self { usual: count, count: Cell::new(count), end: Cell::new(-1), suffice: false }
    }

    /// As recovery takes them.
    pub(crate) fn in_recovery(config: &StoreConfig) -> Self {
        let force = config.force_verify_prop_crc;
        Self { suffice: force, ..Self::counting(config.enabled_append_prop_crc || force) }
    }

    /// Whether a wrong one counts behind the record that was read last, if the one behind it does not say otherwise.
    pub(crate) const fn count(&self) -> bool {
        self.count.get()
    }

    /// Holds a record against the checksums that it carries. `behind` begins with the next records, if they are at hand.
    ///
    /// # Errors
    /// Which of them is wrong.
    pub(crate) fn verify(&self, view: &RecordView<'_>, behind: &[u8]) -> Result<(), String> {
        let whole = view.verify_trailer();
        if !(self.suffice && whole == Ok(true)) {
            view.verify_crc().map_err(|error| error.to_string())?;
        }
        let in_front = if self.end.get() == view.physical_offset() { self.count() } else { self.usual };
        let counts = match whole {
            Ok(has_one) => has_one,
            Err(error) if next_has_one(view, behind).unwrap_or(in_front) => return Err(error.to_string()),
            Err(_) => false,
        };
        self.count.set(counts);
        self.end.set(view.physical_offset() + view.total_size() as i64);
        Ok(())
    }
}

/// Whether the records behind another one have a checksum over all of them, told by the first one that is not damaged in the same way; `None`
/// if there is none at hand.
fn next_has_one(view: &RecordView<'_>, behind: &[u8]) -> Option<bool> {
    let (mut at, mut rest) = (view.physical_offset() + view.total_size() as i64, behind);
    for _ in 0..LOOKED_AT {
        let next = RecordView::parse(rest).ok().filter(|next| next.physical_offset() == at)?;
        if let Ok(has_one) = next.verify_trailer() {
            return Some(has_one);
        }
        at += next.total_size() as i64;
        rest = rest.get(next.total_size()..)?;
    }
    None
}

/// Looks at what begins at `offset`, from where the file has `room` bytes. `bytes` begin there and hold at least the record.
///
/// # Errors
/// Why it is neither a record nor the end of the file.
pub(crate) fn check(bytes: &[u8], room: usize, offset: i64, trailers: &Trailers) -> Result<Found, String> {
    let view = match record::read(bytes).map_err(|error| error.to_string())? {
        Stored::Blank { size } if size == room => return Ok(Found::Blank),
        Stored::Blank { size } => return Err(format!("a blank of {size} bytes, where the file has {room}")),
        Stored::Message(view) => view,
    };
    if view.physical_offset() != offset {
        return Err(format!("the record says that it lies at {}", view.physical_offset()));
    }
    if view.total_size() + BLANK_LEN > room {
        return Err(format!("a record of {} bytes leaves no room for the end of the file", view.total_size()));
    }
    trailers.verify(&view, bytes.get(view.total_size()..).unwrap_or_default())?;
    if let Some(sector) = lost_sector(&view, offset) {
        return Err(format!("the sector at {sector} is empty"));
    }
    Ok(Found::Record(view.total_size()))
}

/// The checksum that each record has covers the body alone. What it does not cover can be lost with a sector that never reached the disk:
/// then all that the record has there of topic and properties is zero, which neither ever is. Answers the offset of such a sector
/// (RocketMQ #7437).
fn lost_sector(view: &RecordView<'_>, offset: i64) -> Option<i64> {
    let end = view.total_size();
    // The fixed fields in front of the body lead to lengths that do not add up if they are lost; behind it stand the length and
    // text of the topic, then the length and text of the properties.
    let properties = end - view.properties().len()..end;
    let topic = properties.start - 2 - view.topic().len()..properties.start - 2;
    let overlaps = |text: &Range<usize>, sector: &Range<usize>| sector.start < text.end && text.start < sector.end;
    // The system takes a write page by page, and a disk sector by sector: of the sector that the head lies in, all is there.
    let mut boundary = SECTOR - usize::try_from(offset.rem_euclid(SECTOR as i64)).unwrap_or(0);
    while boundary < end {
        let sector = boundary..(boundary + SECTOR).min(end);
        if overlaps(&topic, &sector) || overlaps(&properties, &sector) {
            let part = view.bytes().get(sector.start.max(topic.start)..sector.end).unwrap_or_default();
            if part.iter().all(|byte| *byte == 0) {
                return Some(offset + boundary as i64);
            }
        }
        boundary = sector.end;
    }
    None
}
