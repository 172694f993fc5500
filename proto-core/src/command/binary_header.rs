//! The binary header of `rocketmq.serialize.type=ROCKETMQ`:
//!
//! ```text
//! i16 code | u8 language | i16 version | i32 opaque | i32 flag | i32 n, remark | i32 n, { i16 n, name | i32 n, value }*
//! ```
//!
//! A text of no bytes stands for null. Java reads a negative length as a broken header, and so it is here, as it never fits.

use nom::{
    Err, IResult, Parser,
    bytes::complete::take,
    combinator::{map_res, verify},
    error::{ContextError, ErrorKind, FromExternalError, ParseError, context},
    number::complete::{be_i16, be_i32, be_u8, be_u16, be_u32},
};

use super::{Command, CommandError, Flag};
use crate::{code::LanguageCode, ext::ExtFields, frame::Frame, text::Text};

/// Reads the header of a binary frame.
pub(super) fn decode(frame: Frame<'_>) -> Result<Command<'_>, CommandError> {
    let len = frame.header.len();
    let position = |fault: Err<Fault>| match fault {
        Err::Error(fault) | Err::Failure(fault) => fault.at(len),
        Err::Incomplete(_) => CommandError::BadLength { part: "the rest", at: len },
    };
    let mut command = Command::blank(&frame);
    let fixed = (be_i16, be_u8, be_i16, be_i32, be_i32);
    let mut parts = (context("the fixed part", fixed), text("the remark"), context("the list of ext fields", be_u32.flat_map(take)));
    let (after, ((code, language, version, opaque, flag), remark, ext)) = parts.parse(frame.header).map_err(position)?;
    if !after.is_empty() {
        return Err(CommandError::TrailingBytes { at: len - after.len() });
    }
    command.code = code.into();
    command.language = LanguageCode::from_code(language.into());
    command.version = version.into();
    command.opaque = opaque;
    command.flag = Flag(flag);
    command.remark = remark;
    ext_fields(ext, &mut command.ext).map_err(position)?;
    Ok(command)
}

fn ext_fields<'a>(mut input: &'a [u8], ext: &mut ExtFields<'a>) -> Result<(), Err<Fault>> {
    while !input.is_empty() {
        let name_and_value = (name, text("the value of an ext field")).parse(input)?;
        let (name, value);
        (input, (name, value)) = name_and_value;
        if !ext.push(Text::plain(name), value) {
            return Err(Err::Failure(Fault { left: input.len(), kind: FaultKind::TooManyFields }));
        }
    }
    Ok(())
}

fn name(input: &[u8]) -> IResult<&[u8], &str, Fault> {
    let len = verify(be_u16, |&len| i16::try_from(len).is_ok());
    context("the name of an ext field", map_res(len.flat_map(take), str::from_utf8)).parse(input)
}

fn text<'a>(part: &'static str) -> impl Parser<&'a [u8], Output = Option<Text<'a>>, Error = Fault> {
    context(part, map_res(be_u32.flat_map(take), str::from_utf8)).map(|text| if text.is_empty() { None } else { Some(Text::plain(text)) })
}

/// What stopped a parser, and how many bytes before the end of the header.
#[derive(Debug)]
struct Fault {
    left: usize,
    kind: FaultKind,
}

#[derive(Debug)]
enum FaultKind {
    BadLength(&'static str),
    NotUtf8,
    TooManyFields,
}

impl Fault {
    fn at(self, header_len: usize) -> CommandError {
        let at = header_len.saturating_sub(self.left);
        match self.kind {
            FaultKind::BadLength(part) => CommandError::BadLength { part, at },
            FaultKind::NotUtf8 => CommandError::NotUtf8 { at },
            FaultKind::TooManyFields => CommandError::TooManyFields { at },
        }
    }
}

impl ParseError<&[u8]> for Fault {
    fn from_error_kind(input: &[u8], _: ErrorKind) -> Self {
        Self { left: input.len(), kind: FaultKind::BadLength("a part") }
    }

    fn append(_: &[u8], _: ErrorKind, other: Self) -> Self {
        other
    }
}

impl ContextError<&[u8]> for Fault {
    fn add_context(input: &[u8], part: &'static str, other: Self) -> Self {
        match other.kind {
            FaultKind::BadLength(_) => Self { left: input.len(), kind: FaultKind::BadLength(part) },
            _ => other,
        }
    }
}

impl FromExternalError<&[u8], std::str::Utf8Error> for Fault {
    fn from_external_error(input: &[u8], _: ErrorKind, _: std::str::Utf8Error) -> Self {
        Self { left: input.len(), kind: FaultKind::NotUtf8 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::SerializeType;

    const REMARK: &[u8] = b"\x00\x11\x09\x02\x01\0\0\0\x09\0\0\0\x01\0\0\0\x02No\0\0\0\0";
    const FIELDS: &[u8] = b"\x00\x69\0\x02\x01\0\0\0\x07\0\0\0\0\0\0\0\0\0\0\0\x15\0\x05topic\0\0\0\x02T1\0\x02no\0\0\0\0";

    fn decode_bytes(header: &[u8]) -> Result<Command<'_>, CommandError> {
        decode(Frame { serialize: SerializeType::RocketMq, header, body: b"" })
    }

    #[test]
    fn the_fixed_part_and_the_remark_are_read() {
        let command = decode_bytes(REMARK).unwrap();
        assert_eq!((command.code, command.version, command.opaque, command.flag), (17, 513, 9, Flag(1)));
        assert_eq!(command.language, Some(LanguageCode::Go));
        assert_eq!(command.remark.unwrap(), "No");
        assert!(!command.ext.is_present());
    }

    #[test]
    fn a_field_without_bytes_is_null() {
        let command = decode_bytes(FIELDS).unwrap();
        assert_eq!(command.ext.get("topic").unwrap(), "T1");
        assert_eq!(command.ext.len(), 2);
        assert!(command.remark.is_none() && command.ext.get("no").is_none());
    }

    #[test]
    fn a_header_that_is_cut_anywhere_is_refused() {
        for header in [REMARK, FIELDS] {
            for len in 0..header.len() {
                assert!(matches!(decode_bytes(&header[..len]), Err(CommandError::BadLength { .. })), "{len}");
            }
        }
    }

    #[test]
    fn an_error_says_what_is_wrong_and_where() {
        let with = |at: usize, bytes: &[u8]| {
            let mut header = FIELDS.to_vec();
            header[at..at + bytes.len()].copy_from_slice(bytes);
            decode_bytes(&header).unwrap_err().to_string()
        };
        assert_eq!(with(13, &[0xff; 4]), "the remark at byte 13 does not fit in the header");
        assert_eq!(with(13, &[0, 0, 0, 99]), "the remark at byte 13 does not fit in the header");
        assert_eq!(with(17, &[0x7f; 4]), "the list of ext fields at byte 17 does not fit in the header");
        assert_eq!(with(17, &[0, 0, 0, 13]), "the header should end at byte 34");
        assert_eq!(with(21, &[0x80, 0]), "the name of an ext field at byte 21 does not fit in the header");
        assert_eq!(with(28, &[0xff; 4]), "the value of an ext field at byte 28 does not fit in the header");
        assert_eq!(with(32, b"\xc3\x28"), "byte 28 of the header is not UTF-8");
    }

    #[test]
    fn more_fields_than_the_limit_are_refused() {
        let fields = |count: usize| [&FIELDS[..17], &u32::to_be_bytes(count as u32 * 6), &[0; 6].repeat(count)].concat();
        assert_eq!(decode_bytes(&fields(ExtFields::LIMIT)).unwrap().ext.len(), ExtFields::LIMIT);
        assert_eq!(
            decode_bytes(&fields(ExtFields::LIMIT + 1)).unwrap_err(),
            CommandError::TooManyFields { at: 21 + (ExtFields::LIMIT + 1) * 6 }
        );
    }
}
