//! Properties under change, in a buffer that is used again for every message.

use super::{NAME_VALUE_SEPARATOR, PROPERTY_SEPARATOR};
use crate::record::without_trailer;

/// Builds properties in their stored form. Names and values must hold neither separator; Java does not check that either.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PropertiesWriter {
    bytes: Vec<u8>,
}

impl PropertiesWriter {
    /// Without any property.
    #[must_use]
    pub const fn new() -> Self {
        Self { bytes: Vec::new() }
    }

    /// Drops all properties and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
    }

    /// Begins with a copy of `properties`; a missing last separator is put in. The checksum of the record that they were in is left out: it
    /// would be wrong for any other one.
    pub fn start(&mut self, properties: &[u8]) {
        let properties = without_trailer(properties);
        self.bytes.clear();
        self.bytes.extend_from_slice(properties);
        if properties.last().is_some_and(|&last| last != PROPERTY_SEPARATOR) {
            self.bytes.push(PROPERTY_SEPARATOR);
        }
    }

    /// Appends a property that is known not to be there yet.
    pub fn append(&mut self, name: &str, value: &[u8]) {
        self.bytes.reserve(name.len() + value.len() + 2);
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(NAME_VALUE_SEPARATOR);
        self.bytes.extend_from_slice(value);
        self.bytes.push(PROPERTY_SEPARATOR);
    }

    /// Appends a number.
    pub fn append_number(&mut self, name: &str, value: i64) {
        self.append(name, itoa::Buffer::new().format(value).as_bytes());
    }

    /// Sets a property, whatever it was before.
    pub fn put(&mut self, name: &str, value: &[u8]) {
        self.remove(name);
        self.append(name, value);
    }

    /// Sets a property to a number.
    pub fn put_number(&mut self, name: &str, value: i64) {
        self.remove(name);
        self.append_number(name, value);
    }

    /// Takes a property out, all of that name. Returns whether there was any.
    pub fn remove(&mut self, name: &str) -> bool {
        let mut removed = false;
        let mut start = 0;
        while start < self.bytes.len() {
            let end = memchr::memchr(PROPERTY_SEPARATOR, &self.bytes[start..]).map_or(self.bytes.len(), |at| start + at + 1);
            let piece = &self.bytes[start..end];
            let matches = piece.strip_prefix(name.as_bytes()).is_some_and(|rest| rest.first() == Some(&NAME_VALUE_SEPARATOR));
            if matches {
                self.bytes.drain(start..end);
                removed = true;
            } else {
                start = end;
            }
        }
        removed
    }

    /// The value of a property.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&[u8]> {
        super::find(&self.bytes, name)
    }

    /// The properties in their stored form.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Their length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_property_that_is_put_again_is_there_once() {
        let mut writer = PropertiesWriter::new();
        writer.start(b"TAGS\x01a\x02KEYS\x01k\x02TAGS\x01b");
        writer.put("TAGS", b"c");
        assert_eq!(writer.as_bytes(), b"KEYS\x01k\x02TAGS\x01c\x02");
    }

    #[test]
    fn the_checksum_of_a_record_is_not_taken_over_into_another_one() {
        let mut writer = PropertiesWriter::new();
        writer.start(b"TAGS\x01a\x02__CRC32#\x018758651980\x02");
        writer.append("KEYS", b"k");
        assert_eq!(writer.as_bytes(), b"TAGS\x01a\x02KEYS\x01k\x02");
    }

    #[test]
    fn removal_leaves_names_that_begin_alike() {
        let mut writer = PropertiesWriter::new();
        writer.start(b"TAGSX\x01a\x02TAGS\x01b\x02XTAGS\x01c\x02");
        assert!(writer.remove("TAGS"));
        assert!(!writer.remove("TAGS"));
        assert_eq!(writer.as_bytes(), b"TAGSX\x01a\x02XTAGS\x01c\x02");
    }
}
