//! Whether what lies at a place of the log is a whole record: the rule of recovery, of the tools and of readers of old records.

use proto_core::record::{self, BLANK_LEN, RecordView, Stored};

use crate::disk::PAGE;

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
    if let Some(page) = lost_page(&view, offset) {
        return Err(format!("the page at {page} is empty"));
    }
    Ok(Found::Record(view.total_size()))
}

/// The checksum covers the body alone. What it does not cover can be lost with a page that never reached the disk: then all that
/// the record has in the page is zero, which topic and properties never are. Answers the offset of such a page.
fn lost_page(view: &RecordView<'_>, offset: i64) -> Option<i64> {
    let end = offset + view.total_size() as i64;
    let page = PAGE as i64;
    // The fixed fields in front of the body lead to lengths that do not add up if they are lost; behind it stand the length and
    // text of the topic, then the length and text of the properties.
    let properties_start = end - view.properties().len() as i64;
    let topic_end = properties_start - 2;
    let topic_start = topic_end - view.topic().len() as i64;
    let mut boundary = offset - offset.rem_euclid(page) + page;
    while boundary < end {
        let to = (boundary + page).min(end);
        let overlaps = |from: i64, until: i64| boundary < until && from < to;
        if overlaps(topic_start, topic_end) || overlaps(properties_start, end) {
            let part = view.bytes().get((boundary - offset) as usize..(to - offset) as usize).unwrap_or_default();
            if part.iter().all(|byte| *byte == 0) {
                return Some(boundary);
            }
        }
        boundary = to;
    }
    None
}
