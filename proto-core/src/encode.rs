//! Commands to bytes: one pass into the caller's buffer, the body may follow from elsewhere.
//!
//! Petrel always writes JSON headers: no Java process mirrors its peer's serializer, and C++ clients read nothing else.

use crate::{code::LanguageCode, command::Flag};

/// The version that Petrel reports: Java's number of 5.5.0. Clients gate features on it.
pub const VERSION: i32 = 513;

/// The fixed part of an outgoing header.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// Request or response code.
    pub code: i32,
    /// Our number for a request, or the number of the request that is answered.
    pub opaque: i32,
    /// Response and oneway bits.
    pub flag: Flag,
    /// Error text or status name.
    pub remark: Option<&'a str>,
}

/// The language that Petrel reports: every client of every age knows this name.
pub const LANGUAGE: LanguageCode = LanguageCode::Java;

/// Writes ext fields; every value becomes a JSON string, as strict clients want.
#[derive(Debug)]
pub struct ExtWriter<'a> {
    out: &'a mut Vec<u8>,
    empty: bool,
}

/// A typed header that can write itself.
pub trait EncodeExt {
    /// Writes the fields that are present.
    fn encode_ext(&self, out: &mut ExtWriter<'_>);
}

impl ExtWriter<'_> {
    /// A text field, escaped as JSON needs it.
    pub fn text(&mut self, name: &str, value: &str) {
        self.name(name);
        crate::text::escape_json(value, self.out);
        self.out.push(b'"');
    }

    /// A number.
    pub fn number(&mut self, name: &str, value: i64) {
        self.name(name);
        self.out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
        self.out.push(b'"');
    }

    /// A boolean.
    pub fn boolean(&mut self, name: &str, value: bool) {
        self.name(name);
        self.out.extend_from_slice(if value { b"true\"" } else { b"false\"" });
    }

    /// A field whose value `write` appends itself; it must be plain ASCII without quotes or backslashes.
    pub fn ascii(&mut self, name: &str, write: impl FnOnce(&mut Vec<u8>)) {
        self.name(name);
        write(self.out);
        self.out.push(b'"');
    }

    fn name(&mut self, name: &str) {
        self.out.extend_from_slice(if self.empty { b"\"" } else { b",\"" });
        self.empty = false;
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":\"");
    }
}

/// Appends a frame up to its body, announcing `body_len` bytes that the caller sends after it. `ext` of `None` leaves `extFields` out.
/// Members come in alphabetical order, as Java writes them.
pub fn encode_frame(out: &mut Vec<u8>, head: &Head<'_>, ext: Option<&impl EncodeExt>, body_len: usize) {
    let start = out.len();
    out.extend_from_slice(&[0; 8]);
    let mut digits = itoa::Buffer::new();
    out.extend_from_slice(b"{\"code\":");
    out.extend_from_slice(digits.format(head.code).as_bytes());
    if let Some(ext) = ext {
        out.extend_from_slice(b",\"extFields\":{");
        ext.encode_ext(&mut ExtWriter { out, empty: true });
        out.push(b'}');
    }
    out.extend_from_slice(b",\"flag\":");
    out.extend_from_slice(digits.format(head.flag.0).as_bytes());
    out.extend_from_slice(b",\"language\":\"JAVA\",\"opaque\":");
    out.extend_from_slice(digits.format(head.opaque).as_bytes());
    if let Some(remark) = head.remark {
        out.extend_from_slice(b",\"remark\":\"");
        crate::text::escape_json(remark, out);
        out.push(b'"');
    }
    out.extend_from_slice(b",\"serializeTypeCurrentRPC\":\"JSON\",\"version\":");
    out.extend_from_slice(digits.format(VERSION).as_bytes());
    out.push(b'}');
    let header = out.len() - start - 8;
    let frame = u32::try_from(header + 4 + body_len).unwrap_or(u32::MAX);
    out[start..start + 4].copy_from_slice(&frame.to_be_bytes());
    out[start + 4..start + 8].copy_from_slice(&u32::try_from(header).unwrap_or(u32::MAX).to_be_bytes());
}
