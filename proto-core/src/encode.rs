//! Commands to bytes: one pass into the caller's buffer, the body may follow from elsewhere.
//!
//! Petrel always writes JSON headers: no Java process mirrors its peer's serializer, and C++ clients read nothing else.

use crate::{
    code::LanguageCode,
    command::Flag,
    ext::ExtFields,
    frame::SerializeType,
    text::{Text, escape_json},
};

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

/// Writes ext fields; every value becomes a JSON string, as strict clients want, or a counted text in the binary form.
#[derive(Debug)]
pub struct ExtWriter<'a> {
    out: &'a mut Vec<u8>,
    form: SerializeType,
    empty: bool,
}

/// A typed header that can write itself.
pub trait EncodeExt {
    /// Writes the fields that are present.
    fn encode_ext(&self, out: &mut ExtWriter<'_>);
}

impl EncodeExt for ExtFields<'_> {
    fn encode_ext(&self, out: &mut ExtWriter<'_>) {
        for (name, value) in self.iter() {
            let (Some(value), name) = (value, name.to_cow()) else { continue };
            if out.form == SerializeType::Json && name.bytes().any(|byte| byte < 0x20 || byte == b'"' || byte == b'\\') {
                let mut escaped = Vec::new();
                escape_json(&name, &mut escaped);
                out.forward(&String::from_utf8_lossy(&escaped), value);
            } else {
                out.forward(&name, value);
            }
        }
    }
}

impl ExtWriter<'_> {
    /// A text field.
    pub fn text(&mut self, name: &str, value: &str) {
        self.field(name, |out, form| match form {
            SerializeType::Json => escape_json(value, out),
            SerializeType::RocketMq => out.extend_from_slice(value.as_bytes()),
        });
    }

    /// A text field whose value still lies in another frame.
    pub fn forward(&mut self, name: &str, value: Text<'_>) {
        self.field(name, |out, form| match form {
            SerializeType::Json => value.pieces().for_each(|piece| escape_json(piece.encode(&mut [0; 4]), out)),
            SerializeType::RocketMq => value.unescape_bytes_into(out),
        });
    }

    /// A number.
    pub fn number(&mut self, name: &str, value: i64) {
        self.field(name, |out, _| out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes()));
    }

    /// A boolean.
    pub fn boolean(&mut self, name: &str, value: bool) {
        self.field(name, |out, _| out.extend_from_slice(if value { b"true" } else { b"false" }));
    }

    /// A field whose value `write` appends itself; it must be plain ASCII without quotes or backslashes.
    pub fn ascii(&mut self, name: &str, write: impl FnOnce(&mut Vec<u8>)) {
        self.field(name, |out, _| write(out));
    }

    /// `name` must need no escape in JSON and have at most [`i16::MAX`] bytes, as the names of all typed headers do.
    #[inline]
    fn field(&mut self, name: &str, write: impl FnOnce(&mut Vec<u8>, SerializeType)) {
        match self.form {
            SerializeType::Json => {
                self.out.extend_from_slice(if self.empty { b"\"" } else { b",\"" });
                self.empty = false;
                self.out.extend_from_slice(name.as_bytes());
                self.out.extend_from_slice(b"\":\"");
                write(self.out, self.form);
                self.out.push(b'"');
            }
            SerializeType::RocketMq => {
                self.out.extend_from_slice(&(name.len() as u16).to_be_bytes());
                self.out.extend_from_slice(name.as_bytes());
                counted(self.out, |out| write(out, SerializeType::RocketMq));
            }
        }
    }
}

/// Appends the number of bytes that `write` appends, and then those.
fn counted(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    write(out);
    let len = (out.len() - at - 4) as u32;
    out[at..at + 4].copy_from_slice(&len.to_be_bytes());
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
        ext.encode_ext(&mut ExtWriter { out, form: SerializeType::Json, empty: true });
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
