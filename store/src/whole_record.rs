//! Whether what lies at a place of the log is a whole record: the rule of recovery, of the tools and of readers of old records.

use std::ops::Range;

use proto_core::record::{self, BLANK_LEN, RecordView, Stored};

/// What a disk writes whole, in bytes: a power failure can leave some of a page's sectors written and others not.
const SECTOR: usize = 512;

/// What begins at a place of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// A record of so many bytes.
    Record(usize),
    /// The end of the file.
    Blank,
}

/// Looks at what begins at `offset`, from where the file has `room` bytes. `bytes` begin there and hold at least the record.
///
/// # Errors
/// Why it is neither a record nor the end of the file.
pub(crate) fn check(bytes: &[u8], room: usize, offset: i64) -> Result<Found, String> {
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
    view.verify_crc().map_err(|error| error.to_string())?;
    if let Some(sector) = lost_sector(&view, offset) {
        return Err(format!("the sector at {sector} is empty"));
    }
    Ok(Found::Record(view.total_size()))
}

/// The checksum covers the body alone. What it does not cover can be lost with a sector that never reached the disk: then all that the
/// record has there of topic and properties is zero, which neither ever is. Answers the offset of such a sector (RocketMQ #7437).
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
