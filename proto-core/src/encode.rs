//! Commands to bytes: one pass into the caller's buffer, the body may follow from elsewhere.
//!
//! Petrel always writes JSON headers: no Java process mirrors its peer's serializer, and C++ clients read nothing else.

use thiserror::Error;

use crate::{
    code::LanguageCode,
    command::{Command, Flag},
    ext::ExtFields,
    frame::SerializeType,
    text::{Text, escape_json},
};

/// The version that Petrel reports: Java's number of 5.5.0. Clients gate features on it.
pub const VERSION: i32 = 513;

/// The name of that version.
pub const VERSION_NAME: &str = "V5_5_0";

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
            SerializeType::Json => escape_text(value, out),
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

    /// `name` must need no escape in JSON and have at most [`i16::MAX`] bytes, as those of all typed and all decoded headers do.
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

/// Escapes a text anew: what a lenient peer escaped in its own way becomes what every peer reads.
fn escape_text(text: Text<'_>, out: &mut Vec<u8>) {
    text.pieces().for_each(|piece| escape_json(piece.encode(&mut [0; 4]), out));
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
///
/// A header of 16 MiB or more cannot be framed: the peer gets one without ext fields, whose remark says so.
pub fn encode_frame(out: &mut Vec<u8>, head: &Head<'_>, ext: Option<&impl EncodeExt>, body_len: usize) {
    let start = out.len();
    let fixed = Fixed::from(head);
    write_json(out, &fixed, ext);
    if close_frame(out, start, SerializeType::Json, body_len).is_err() {
        out.truncate(start);
        let remark = Some(Text::plain("the header that belongs here is longer than a frame allows"));
        write_json(out, &Fixed { remark, ..fixed }, None::<&ExtFields<'_>>);
        let closed = close_frame(out, start, SerializeType::Json, body_len);
        debug_assert!(closed.is_ok(), "a header of a few hundred bytes fits");
    }
}

/// Appends a frame up to its body like [`encode_frame`], with a binary header. Only peers that are known to be Java or Go read those.
///
/// # Errors
/// [`EncodeError`] when the header cannot be written so; `out` is as it was.
pub fn encode_binary_frame(out: &mut Vec<u8>, head: &Head<'_>, ext: Option<&impl EncodeExt>, body_len: usize) -> Result<(), EncodeError> {
    let start = out.len();
    write_binary(out, &Fixed::from(head), ext)
        .and_then(|()| close_frame(out, start, SerializeType::RocketMq, body_len))
        .inspect_err(|_| out.truncate(start))
}

impl Command<'_> {
    /// Appends the whole frame, body included, in the form that [`serialize`](Self::serialize) names. What a Java peer sent comes out
    /// as it came in; a language that is not known becomes `OTHER`.
    ///
    /// # Errors
    /// [`EncodeError`] when the header cannot be written so; `out` is as it was.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let start = out.len();
        let fixed = Fixed {
            code: self.code,
            language: self.language.unwrap_or(LanguageCode::Other),
            version: self.version,
            opaque: self.opaque,
            flag: self.flag,
            remark: self.remark,
        };
        let ext = self.ext.is_present().then_some(&self.ext);
        let written = match self.serialize {
            SerializeType::Json => {
                write_json(out, &fixed, ext);
                Ok(())
            }
            SerializeType::RocketMq => write_binary(out, &fixed, ext),
        };
        written.and_then(|()| close_frame(out, start, self.serialize, self.body.len())).inspect_err(|_| out.truncate(start))?;
        out.extend_from_slice(self.body);
        Ok(())
    }
}

/// Why a command cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum EncodeError {
    /// The binary form has 16 bits for it. Java cuts it off and so makes another of it.
    #[error("{member} {value} does not fit in the 16 bits of a binary header")]
    TooWide {
        /// The member.
        member: &'static str,
        /// Its value.
        value: i32,
    },
    /// Header and body are counted in 24 and 31 bits.
    #[error("a header of {header} bytes and a body of {body} cannot be framed")]
    TooLong {
        /// Bytes of the header.
        header: usize,
        /// Bytes of the body.
        body: usize,
    },
}

/// All of a header but its ext fields.
struct Fixed<'a> {
    code: i32,
    language: LanguageCode,
    version: i32,
    opaque: i32,
    flag: Flag,
    remark: Option<Text<'a>>,
}

impl<'a> From<&Head<'a>> for Fixed<'a> {
    fn from(head: &Head<'a>) -> Self {
        Self {
            code: head.code,
            language: LANGUAGE,
            version: VERSION,
            opaque: head.opaque,
            flag: head.flag,
            remark: head.remark.map(Text::plain),
        }
    }
}

fn write_json(out: &mut Vec<u8>, fixed: &Fixed<'_>, ext: Option<&impl EncodeExt>) {
    let mut digits = itoa::Buffer::new();
    out.extend_from_slice(b"\0\0\0\0\0\0\0\0{\"code\":");
    out.extend_from_slice(digits.format(fixed.code).as_bytes());
    if let Some(ext) = ext {
        out.extend_from_slice(b",\"extFields\":{");
        ext.encode_ext(&mut ExtWriter { out, form: SerializeType::Json, empty: true });
        out.push(b'}');
    }
    out.extend_from_slice(b",\"flag\":");
    out.extend_from_slice(digits.format(fixed.flag.0).as_bytes());
    out.extend_from_slice(b",\"language\":\"");
    out.extend_from_slice(fixed.language.name().as_bytes());
    out.extend_from_slice(b"\",\"opaque\":");
    out.extend_from_slice(digits.format(fixed.opaque).as_bytes());
    if let Some(remark) = fixed.remark {
        out.extend_from_slice(b",\"remark\":\"");
        escape_text(remark, out);
        out.push(b'"');
    }
    out.extend_from_slice(b",\"serializeTypeCurrentRPC\":\"JSON\",\"version\":");
    out.extend_from_slice(digits.format(fixed.version).as_bytes());
    out.push(b'}');
}

fn write_binary(out: &mut Vec<u8>, fixed: &Fixed<'_>, ext: Option<&impl EncodeExt>) -> Result<(), EncodeError> {
    let short = |member, value| i16::try_from(value).map(i16::to_be_bytes).map_err(|_| EncodeError::TooWide { member, value });
    let (code, version) = (short("code", fixed.code)?, short("version", fixed.version)?);
    out.extend_from_slice(&[0; 8]);
    out.extend_from_slice(&code);
    out.push(fixed.language.code() as u8);
    out.extend_from_slice(&version);
    out.extend_from_slice(&fixed.opaque.to_be_bytes());
    out.extend_from_slice(&fixed.flag.0.to_be_bytes());
    counted(out, |out| fixed.remark.iter().for_each(|remark| remark.unescape_bytes_into(out)));
    counted(out, |out| {
        if let Some(ext) = ext {
            ext.encode_ext(&mut ExtWriter { out, form: SerializeType::RocketMq, empty: true });
        }
    });
    Ok(())
}

/// Fills in the lengths of the frame that begins at `start`.
fn close_frame(out: &mut [u8], start: usize, serialize: SerializeType, body: usize) -> Result<(), EncodeError> {
    let header = out.len() - start - 8;
    let too_long = || EncodeError::TooLong { header, body };
    let word = u32::try_from(header).ok().filter(|len| len >> 24 == 0).ok_or_else(too_long)?;
    let frame = i32::try_from(header + 4 + body).map_err(|_| too_long())?;
    out[start..start + 4].copy_from_slice(&frame.to_be_bytes());
    out[start + 4..start + 8].copy_from_slice(&(word | (serialize as u32) << 24).to_be_bytes());
    Ok(())
}
