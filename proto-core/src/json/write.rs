//! Values to JSON.

use serde::{
    Serialize, Serializer,
    ser::{Error, Impossible, SerializeMap, SerializeSeq, SerializeStruct, SerializeTuple},
};

use super::{Dialect, JsonError, double::write_double};
use crate::text::{Text, escape_json};

/// Writes values one after the other. `None` writes nothing; whoever is around it sees that and leaves it out.
pub(super) struct Writer<'o> {
    out: &'o mut Vec<u8>,
    dialect: Dialect,
    indent: usize,
}

impl<'o> Writer<'o> {
    pub(super) const fn new(out: &'o mut Vec<u8>, dialect: Dialect) -> Self {
        Self { out, dialect, indent: 0 }
    }

    fn string(&mut self, text: &str) {
        self.out.push(b'"');
        match self.dialect {
            Dialect::Default | Dialect::Pretty => escape_json(text, self.out),
            Dialect::Standard => escape_ascii(text, self.out),
        }
        self.out.push(b'"');
    }

    /// A new line in the layout of files, nothing otherwise.
    fn line(&mut self) {
        if self.dialect == Dialect::Pretty {
            self.out.push(b'\n');
            self.out.resize(self.out.len() + self.indent, b'\t');
        }
    }

    /// A key and the colon after it.
    fn key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), JsonError> {
        let start = self.out.len();
        key.serialize(&mut *self)?;
        if self.dialect == Dialect::Standard && self.out.get(start) != Some(&b'"') {
            let raw = String::from_utf8(self.out.split_off(start)).map_err(JsonError::custom)?;
            self.string(&raw);
        }
        self.out.push(b':');
        Ok(())
    }

    fn open(&mut self, bracket: u8) {
        self.out.push(bracket);
        self.indent += 1;
    }

    fn close(&mut self, bracket: u8, on_own_line: bool) {
        self.indent -= 1;
        if on_own_line {
            self.line();
        }
        self.out.push(bracket);
    }

    fn number(&mut self, number: impl itoa::Integer) {
        self.out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    }
}

/// ASCII only, as fastjson's BrowserCompatible writes it.
fn escape_ascii(text: &str, out: &mut Vec<u8>) {
    for c in text.chars() {
        match c {
            '/' => out.extend_from_slice(b"\\/"),
            ' '..='~' if c != '"' && c != '\\' => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            '\0'..='\x7e' => escape_json(c.encode_utf8(&mut [0; 4]), out),
            _ => {
                const HEX: &[u8; 16] = b"0123456789ABCDEF";
                for unit in c.encode_utf16(&mut [0; 2]) {
                    out.extend_from_slice(b"\\u");
                    out.extend([12, 8, 4, 0].map(|shift| HEX[usize::from((*unit >> shift) & 15)]));
                }
            }
        }
    }
}

impl<'w, 'o> Serializer for &'w mut Writer<'o> {
    type Ok = ();
    type Error = JsonError;
    type SerializeSeq = Elements<'w, 'o>;
    type SerializeTuple = Elements<'w, 'o>;
    type SerializeTupleStruct = Impossible<(), JsonError>;
    type SerializeTupleVariant = Impossible<(), JsonError>;
    type SerializeMap = Members<'w, 'o>;
    type SerializeStruct = Members<'w, 'o>;
    type SerializeStructVariant = Impossible<(), JsonError>;

    fn serialize_bool(self, value: bool) -> Result<(), JsonError> {
        self.out.extend_from_slice(if value { b"true" } else { b"false" });
        Ok(())
    }

    fn serialize_i8(self, value: i8) -> Result<(), JsonError> {
        self.number(value);
        Ok(())
    }

    fn serialize_i16(self, value: i16) -> Result<(), JsonError> {
        self.number(value);
        Ok(())
    }

    fn serialize_i32(self, value: i32) -> Result<(), JsonError> {
        self.number(value);
        Ok(())
    }

    fn serialize_i64(self, value: i64) -> Result<(), JsonError> {
        self.number(value);
        Ok(())
    }

    fn serialize_u8(self, value: u8) -> Result<(), JsonError> {
        self.number(value);
        Ok(())
    }

    fn serialize_u16(self, value: u16) -> Result<(), JsonError> {
        self.number(value);
        Ok(())
    }

    fn serialize_u32(self, value: u32) -> Result<(), JsonError> {
        self.number(value);
        Ok(())
    }

    fn serialize_u64(self, value: u64) -> Result<(), JsonError> {
        self.number(value);
        Ok(())
    }

    fn serialize_f32(self, value: f32) -> Result<(), JsonError> {
        self.serialize_f64(f64::from(value))
    }

    fn serialize_f64(self, value: f64) -> Result<(), JsonError> {
        write_double(value, self.out);
        Ok(())
    }

    fn serialize_char(self, value: char) -> Result<(), JsonError> {
        self.string(value.encode_utf8(&mut [0; 4]));
        Ok(())
    }

    fn serialize_str(self, value: &str) -> Result<(), JsonError> {
        self.string(value);
        Ok(())
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), JsonError> {
        value.serialize(self)
    }

    fn serialize_none(self) -> Result<(), JsonError> {
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), JsonError> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), JsonError> {
        Ok(())
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<(), JsonError> {
        Ok(())
    }

    fn serialize_unit_variant(self, _name: &'static str, _index: u32, variant: &'static str) -> Result<(), JsonError> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _name: &'static str, value: &T) -> Result<(), JsonError> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        _variant: &'static str,
        _value: &T,
    ) -> Result<(), JsonError> {
        Err(no_such_thing())
    }

    fn serialize_seq(self, _len: Option<usize>) -> Result<Elements<'w, 'o>, JsonError> {
        self.open(b'[');
        Ok(Elements { writer: self, empty: true, inline: false })
    }

    fn serialize_tuple(self, len: usize) -> Result<Elements<'w, 'o>, JsonError> {
        self.serialize_seq(Some(len))
    }

    fn serialize_tuple_struct(self, _name: &'static str, _len: usize) -> Result<Self::SerializeTupleStruct, JsonError> {
        Err(no_such_thing())
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        _variant: &'static str,
        _len: usize,
    ) -> Result<Self::SerializeTupleVariant, JsonError> {
        Err(no_such_thing())
    }

    fn serialize_map(self, _len: Option<usize>) -> Result<Members<'w, 'o>, JsonError> {
        self.open(b'{');
        let sorted = (self.dialect == Dialect::Standard).then(Vec::new);
        Ok(Members { writer: self, empty: true, entry: 0, value: 0, sorted })
    }

    fn serialize_struct(self, _name: &'static str, _len: usize) -> Result<Members<'w, 'o>, JsonError> {
        self.open(b'{');
        Ok(Members { writer: self, empty: true, entry: 0, value: 0, sorted: None })
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        _variant: &'static str,
        _len: usize,
    ) -> Result<Self::SerializeStructVariant, JsonError> {
        Err(no_such_thing())
    }
}

/// Java has nothing like an enum with fields.
fn no_such_thing() -> JsonError {
    JsonError::custom("an enum with fields has no JSON form here")
}

/// An array that is being written. In the layout of files numbers share a line, everything else has its own.
pub(super) struct Elements<'w, 'o> {
    writer: &'w mut Writer<'o>,
    empty: bool,
    inline: bool,
}

impl Elements<'_, '_> {
    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), JsonError> {
        if !self.empty {
            self.writer.out.push(b',');
        }
        let line = self.writer.out.len();
        if !self.inline {
            self.writer.line();
        }
        let start = self.writer.out.len();
        value.serialize(&mut *self.writer)?;
        match self.writer.out.get(start) {
            None => self.writer.out.extend_from_slice(b"null"),
            Some(b'0'..=b'9' | b'-') if self.empty => {
                self.writer.out.drain(line..start);
                self.inline = true;
            }
            Some(_) => {}
        }
        self.empty = false;
        Ok(())
    }

    fn finish(self) {
        self.writer.close(b']', !self.empty && !self.inline);
    }
}

impl SerializeSeq for Elements<'_, '_> {
    type Ok = ();
    type Error = JsonError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), JsonError> {
        self.element(value)
    }

    fn end(self) -> Result<(), JsonError> {
        self.finish();
        Ok(())
    }
}

impl SerializeTuple for Elements<'_, '_> {
    type Ok = ();
    type Error = JsonError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), JsonError> {
        self.element(value)
    }

    fn end(self) -> Result<(), JsonError> {
        self.finish();
        Ok(())
    }
}

/// An object that is being written.
pub(super) struct Members<'w, 'o> {
    writer: &'w mut Writer<'o>,
    empty: bool,
    /// Where the entry at hand begins, its comma included.
    entry: usize,
    /// Where its value begins.
    value: usize,
    /// Entries by place, without commas, if they are to be sorted.
    sorted: Option<Vec<Entry>>,
}

/// An entry of a map: where it begins, where its key ends, where it ends.
#[derive(Clone, Copy)]
struct Entry {
    start: usize,
    key_end: usize,
    end: usize,
}

impl Members<'_, '_> {
    fn begin<K: Serialize + ?Sized>(&mut self, key: &K) -> Result<(), JsonError> {
        self.entry = self.writer.out.len();
        if !self.empty {
            self.writer.out.push(b',');
        }
        self.writer.line();
        self.writer.key(key)?;
        self.value = self.writer.out.len();
        Ok(())
    }

    fn value<V: Serialize + ?Sized>(&mut self, value: &V) -> Result<(), JsonError> {
        value.serialize(&mut *self.writer)?;
        let end = self.writer.out.len();
        if end == self.value {
            self.writer.out.truncate(self.entry);
            return Ok(());
        }
        if let Some(entries) = &mut self.sorted {
            let start = self.entry + usize::from(!self.empty);
            entries.push(Entry { start, key_end: self.value - 1, end });
        }
        self.empty = false;
        Ok(())
    }

    fn finish(self) {
        if let Some(mut entries) = self.sorted
            && let Some(first) = entries.first().map(|entry| entry.start)
        {
            let out = &mut *self.writer.out;
            let key = |entry: &Entry| sort_key(out.get(entry.start..entry.key_end).unwrap_or_default());
            if !entries.is_sorted_by_key(key) {
                entries.sort_by_cached_key(key);
                let pieces: Vec<_> = entries.iter().filter_map(|entry| out.get(entry.start..entry.end)).collect();
                let sorted = pieces.join(&b',');
                out.truncate(first);
                out.extend_from_slice(&sorted);
            }
        }
        self.writer.close(b'}', !self.empty);
    }
}

/// Numbers come in their own order, texts in that of their UTF-16 units, as Java compares them.
fn sort_key(quoted: &[u8]) -> (i64, Vec<u16>) {
    let text = std::str::from_utf8(quoted).unwrap_or_default();
    let raw = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    match raw.parse() {
        Ok(number) => (number, Vec::new()),
        Err(_) => (i64::MAX, Text::escaped(raw).to_cow().encode_utf16().collect()),
    }
}

impl SerializeMap for Members<'_, '_> {
    type Ok = ();
    type Error = JsonError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), JsonError> {
        self.begin(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), JsonError> {
        self.value(value)
    }

    fn end(self) -> Result<(), JsonError> {
        self.finish();
        Ok(())
    }
}

impl SerializeStruct for Members<'_, '_> {
    type Ok = ();
    type Error = JsonError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), JsonError> {
        self.begin(key)?;
        self.value(value)
    }

    fn end(self) -> Result<(), JsonError> {
        self.finish();
        Ok(())
    }
}
