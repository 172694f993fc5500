//! Message properties in their stored form: `name 0x01 value 0x02 …`, the last separator may be missing.
//!
//! They stay bytes: on the way of a message nothing is turned into a map.
//!
//! ```
//! use proto_core::properties::{self, PropertiesWriter, Special, names};
//!
//! let sent = b"TAGS\x01TagA\x02KEYS\x01k1 k2\x02";
//! assert_eq!(Special::scan(sent).keys, Some(&b"k1 k2"[..]));
//! let mut stored = PropertiesWriter::new();
//! stored.start(sent);
//! stored.put(names::TAGS, b"TagB");
//! assert_eq!(properties::find_text(stored.as_bytes(), names::TAGS), Some("TagB"));
//! ```

mod scan;
mod writer;

pub mod names;

pub use scan::Special;
pub use writer::PropertiesWriter;

/// Stands between a name and its value.
pub const NAME_VALUE_SEPARATOR: u8 = 1;
/// Ends a property.
pub const PROPERTY_SEPARATOR: u8 = 2;
/// Stands between the keys in KEYS.
pub const KEY_SEPARATOR: u8 = b' ';
/// More bytes than this do not fit a record.
pub const MAX_LEN: usize = i16::MAX as usize;

/// Properties in stored order. A piece without a name or without a value is left out, as Java drops it; equal names all appear.
#[must_use]
pub fn iter(bytes: &[u8]) -> Iter<'_> {
    Iter { rest: bytes }
}

/// See [`iter`].
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        while !self.rest.is_empty() {
            let piece = take_piece(&mut self.rest);
            if let Some(pair) = split_piece(piece) {
                return Some(pair);
            }
        }
        None
    }
}

/// Cuts the first piece off, without its separator.
fn take_piece<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let all = *rest;
    match memchr::memchr(PROPERTY_SEPARATOR, all) {
        Some(end) => {
            *rest = &all[end + 1..];
            &all[..end]
        }
        None => {
            *rest = &[];
            all
        }
    }
}

/// Name and value, split at the first separator; a value may hold more of them.
fn split_piece(piece: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = piece.iter().position(|&byte| byte == NAME_VALUE_SEPARATOR)?;
    let (name, value) = (&piece[..at], &piece[at + 1..]);
    (!name.is_empty() && !value.is_empty()).then_some((name, value))
}

/// The value of a property; of equal names the last one counts, as in Java's map.
#[must_use]
pub fn find<'a>(bytes: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let mut found = None;
    let mut rest = bytes;
    while !rest.is_empty() {
        let piece = take_piece(&mut rest);
        if let Some(value) = piece.strip_prefix(name.as_bytes()).and_then(|value| value.strip_prefix(&[NAME_VALUE_SEPARATOR]))
            && !value.is_empty()
            && !name.is_empty()
        {
            found = Some(value);
        }
    }
    found
}

/// [`find`] for a value that is text.
#[must_use]
pub fn find_text<'a>(bytes: &'a [u8], name: &str) -> Option<&'a str> {
    find(bytes, name).and_then(|value| std::str::from_utf8(value).ok())
}

/// [`find`] for a value that is a decimal number, signed or not, as Java's `parseInt` and `parseLong` take it.
#[must_use]
pub fn find_number(bytes: &[u8], name: &str) -> Option<i64> {
    find(bytes, name).and_then(number)
}

/// A value read as a decimal number.
#[must_use]
pub fn number(value: &[u8]) -> Option<i64> {
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// The single keys of a KEYS value.
pub fn split_keys(keys: &str) -> impl Iterator<Item = &str> {
    keys.split(char::from(KEY_SEPARATOR)).filter(|key| !key.is_empty())
}
