//! The JSON header: one scan over its bytes, every text left where it is.

use super::{Command, CommandError, Flag};
use crate::{code::LanguageCode, ext::ExtFields, frame::Frame, text::Text, word};

/// Reads the header of a JSON frame.
pub(super) fn decode(frame: Frame<'_>) -> Result<Command<'_>, CommandError> {
    let text = str::from_utf8(frame.header).map_err(|error| CommandError::NotUtf8 { at: error.valid_up_to() })?;
    let mut scanner = Scanner { text, bytes: frame.header, at: 0 };
    let mut command = Command::blank(&frame);
    scanner.object(|scanner| {
        match Member::named(scanner.name()?) {
            Some(Member::Code) => command.code = scanner.number("code")?,
            Some(Member::Language) => command.language = scanner.language()?,
            Some(Member::Version) => command.version = scanner.number("version")?,
            Some(Member::Opaque) => command.opaque = scanner.number("opaque")?,
            Some(Member::Flag) => command.flag = Flag(scanner.number("flag")?),
            Some(Member::Remark) => command.remark = scanner.value()?,
            Some(Member::ExtFields) => scanner.ext_fields(&mut command.ext)?,
            None => {
                scanner.value()?;
            }
        }
        Ok(())
    })?;
    scanner.skip_space();
    match scanner.peek() {
        None => Ok(command),
        Some(_) => Err(CommandError::TrailingBytes { at: scanner.at }),
    }
}

/// The members that Petrel reads.
#[derive(Clone, Copy)]
enum Member {
    Code,
    Language,
    Version,
    Opaque,
    Flag,
    Remark,
    ExtFields,
}

impl Member {
    #[inline]
    fn named(key: Text<'_>) -> Option<Self> {
        Some(match key.raw().as_bytes() {
            b"code" => Self::Code,
            b"language" => Self::Language,
            b"version" => Self::Version,
            b"opaque" => Self::Opaque,
            b"flag" => Self::Flag,
            b"remark" => Self::Remark,
            b"extFields" => Self::ExtFields,
            b"serializeTypeCurrentRPC" => return None,
            _ => return Self::alike(key),
        })
    }

    /// Java takes a name for a member's also if they differ in case, `_` and `-` only.
    #[cold]
    fn alike(key: Text<'_>) -> Option<Self> {
        let key = key.to_cow();
        let plain = || key.bytes().filter(|byte| !matches!(byte, b'_' | b'-')).map(|byte| byte.to_ascii_lowercase());
        let members: [(&str, Self); 7] = [
            ("code", Self::Code),
            ("language", Self::Language),
            ("version", Self::Version),
            ("opaque", Self::Opaque),
            ("flag", Self::Flag),
            ("remark", Self::Remark),
            ("extfields", Self::ExtFields),
        ];
        members.into_iter().find(|(name, _)| plain().eq(name.bytes())).map(|(_, member)| member)
    }
}

/// The names that are one small letter.
const LETTERS: [&str; 26] =
    ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r", "s", "t", "u", "v", "w", "x", "y", "z"];

/// A position in a header that is known to be UTF-8.
struct Scanner<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scanner<'a> {
    #[inline]
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    #[cold]
    fn expected<T>(&self, expected: &'static str) -> Result<T, CommandError> {
        Err(CommandError::Expected { expected, at: self.at })
    }

    /// Takes `byte`, which most peers write without a space before it.
    #[inline(always)]
    fn expect(&mut self, byte: u8, expected: &'static str) -> Result<(), CommandError> {
        if self.peek() != Some(byte) {
            self.expect_after_space(byte, expected)?;
        }
        self.at += 1;
        Ok(())
    }

    #[cold]
    fn expect_after_space(&mut self, byte: u8, expected: &'static str) -> Result<(), CommandError> {
        self.skip_space();
        if self.peek() == Some(byte) { Ok(()) } else { self.expected(expected) }
    }

    /// An object; `member` has to read each name and its value.
    #[inline(always)]
    fn object(&mut self, mut member: impl FnMut(&mut Self) -> Result<(), CommandError>) -> Result<(), CommandError> {
        self.expect(b'{', "an object")?;
        if self.peek() != Some(b'"') {
            self.skip_space();
            if self.peek() == Some(b'}') {
                self.at += 1;
                return Ok(());
            }
        }
        loop {
            member(self)?;
            if self.peek() != Some(b',') {
                self.skip_space();
                match self.peek() {
                    Some(b',') => {}
                    Some(b'}') => {
                        self.at += 1;
                        return Ok(());
                    }
                    _ => return self.expected("a comma or the end of the object"),
                }
            }
            self.at += 1;
        }
    }

    #[inline(always)]
    fn name(&mut self) -> Result<Text<'a>, CommandError> {
        self.expect(b'"', "a quoted name")?;
        let key = self.string()?;
        self.expect(b':', "a colon")?;
        Ok(key)
    }

    fn ext_fields(&mut self, ext: &mut ExtFields<'a>) -> Result<(), CommandError> {
        self.skip_space();
        if self.peek() != Some(b'{') {
            *ext = ExtFields::default();
            return match self.value()? {
                None => Ok(()),
                Some(_) => self.expected("an object before it, as extFields is one"),
            };
        }
        ext.restart();
        self.object(|scanner| {
            // These go straight from registers into the list: a detour over `Option<Text>` in memory costs more than the scan itself.
            if let Some((name, value)) = scanner.short_field() {
                return if ext.push_plain(name, value) { Ok(()) } else { scanner.too_many_fields() };
            }
            let key = scanner.name()?;
            if let Some(name) = key.as_plain()
                && let Some(value) = scanner.short_value()
            {
                return if ext.push_plain(name, value) { Ok(()) } else { scanner.too_many_fields() };
            }
            if key.raw().len() > i16::MAX as usize {
                return Err(CommandError::BadLength { part: "the name of the ext field before the value", at: scanner.at });
            }
            let value = scanner.value()?;
            if ext.push(key, value) { Ok(()) } else { scanner.too_many_fields() }
        })
    }

    /// A field whose name is one small letter and whose value is a short string without escapes, as most fields of a send are; nothing
    /// is taken if it is not.
    #[inline(always)]
    fn short_field(&mut self) -> Option<(&'a str, &'a str)> {
        let &[b'"', letter, b'"', b':', b'"'] = self.bytes.get(self.at..)?.first_chunk()? else { return None };
        let name = LETTERS.get(usize::from(letter.wrapping_sub(b'a')))?;
        self.at += 5;
        let value = self.short_string();
        if value.is_none() {
            self.at -= 5;
        }
        Some((name, value?))
    }

    #[cold]
    fn too_many_fields<T>(&self) -> Result<T, CommandError> {
        Err(CommandError::TooManyFields { at: self.at })
    }

    /// A number, also one in quotes; null and an empty text are 0, as for Java.
    #[inline]
    fn number(&mut self, member: &'static str) -> Result<i32, CommandError> {
        let mut number = 0;
        // Ten digits may be more than fit, or be followed by more.
        for (digits, &byte) in self.bytes.get(self.at..).unwrap_or_default().iter().take(10).enumerate() {
            match byte {
                b'0'..=b'9' if digits < 9 => number = number * 10 + i32::from(byte - b'0'),
                b',' | b'}' if digits > 0 => {
                    self.at += digits;
                    return Ok(number);
                }
                _ => break,
            }
        }
        self.other_number(member)
    }

    fn other_number(&mut self, member: &'static str) -> Result<i32, CommandError> {
        let number = match self.value()? {
            Some(text) if !text.is_empty() => text.parse_i32(),
            _ => Some(0),
        };
        number.ok_or(CommandError::BadNumber { member, at: self.at })
    }

    /// A name of a language, or its ordinal.
    fn language(&mut self) -> Result<Option<LanguageCode>, CommandError> {
        let Some(text) = self.value()? else { return Ok(None) };
        let named = LanguageCode::from_name(&text.to_cow());
        Ok(named.or_else(|| text.parse_i32().and_then(LanguageCode::from_code)))
    }

    /// Any value as text: a string without its quotes, anything else as it stands; `None` for null.
    fn value(&mut self) -> Result<Option<Text<'a>>, CommandError> {
        self.skip_space();
        match self.peek() {
            Some(b'"') => {
                self.at += 1;
                self.string().map(Some)
            }
            Some(b'{' | b'[') => self.nested().map(Some),
            _ => self.literal(),
        }
    }

    /// A value that is a short string without escapes; nothing is taken if it is not.
    #[inline(always)]
    fn short_value(&mut self) -> Option<&'a str> {
        if self.peek() != Some(b'"') {
            return None;
        }
        self.at += 1;
        let text = self.short_string();
        if text.is_none() {
            self.at -= 1;
        }
        text
    }

    /// A number, a boolean or null.
    fn literal(&mut self) -> Result<Option<Text<'a>>, CommandError> {
        let start = self.at;
        while let Some(b'0'..=b'9' | b'a'..=b'z' | b'E' | b'+' | b'-' | b'.') = self.peek() {
            self.at += 1;
        }
        let literal = &self.text[start..self.at];
        match literal.as_bytes() {
            b"null" => Ok(None),
            b"true" | b"false" | [b'0'..=b'9' | b'-', ..] => Ok(Some(Text::plain(literal))),
            _ => {
                self.at = start;
                self.expected("a value")
            }
        }
    }

    /// The rest of a string whose opening quote has been read.
    #[inline(always)]
    fn string(&mut self) -> Result<Text<'a>, CommandError> {
        match self.short_string() {
            Some(plain) => Ok(Text::plain(plain)),
            None => self.long_string(),
        }
    }

    /// The rest of a string of at most 23 bytes without escapes, as most strings of a header are.
    #[inline(always)]
    fn short_string(&mut self) -> Option<&'a str> {
        let start = self.at;
        let mut from = start;
        for _ in 0..3 {
            let word = word::at(self.bytes, from)?;
            let ends = word::equal(word, b'"') | word::equal(word, b'\\');
            if ends != 0 {
                let end = from + word::first(ends);
                if self.bytes[end] != b'"' {
                    return None;
                }
                self.at = end + 1;
                return Some(&self.text[start..end]);
            }
            from += 8;
        }
        None
    }

    #[inline(never)]
    fn long_string(&mut self) -> Result<Text<'a>, CommandError> {
        let (start, end) = (self.at, string_end(self.bytes, self.at));
        let Some((end, escaped)) = end else {
            self.at = self.bytes.len();
            return self.expected("the end of a string");
        };
        self.at = end + 1;
        let raw = &self.text[start..end];
        Ok(if escaped { Text::escaped(raw) } else { Text::plain(raw) })
    }

    /// An object or array that nobody looks into: only its strings and its brackets are checked.
    #[cold]
    fn nested(&mut self) -> Result<Text<'a>, CommandError> {
        let start = self.at;
        let mut depth = 0;
        let mut objects = 0u32;
        while let Some(byte) = self.peek() {
            let at = self.at;
            self.at += 1;
            match byte {
                b'"' => {
                    self.string()?;
                }
                b'{' | b'[' if depth == Command::MAX_DEPTH => return Err(CommandError::TooDeep { at }),
                b'{' | b'[' => {
                    depth += 1;
                    objects = objects << 1 | u32::from(byte == b'{');
                }
                b'}' | b']' if (objects & 1 == 1) != (byte == b'}') => {
                    self.at = at;
                    return self.expected("the other closing bracket");
                }
                b'}' | b']' => {
                    depth -= 1;
                    objects >>= 1;
                    if depth == 0 {
                        return Ok(Text::plain(&self.text[start..self.at]));
                    }
                }
                _ => {}
            }
        }
        self.expected("the end of a nested value")
    }
}

/// Where the string that begins at `start` ends, at the first quote that is not escaped, and whether there are escapes before.
fn string_end(bytes: &[u8], start: usize) -> Option<(usize, bool)> {
    let first = start + memchr::memchr2(b'"', b'\\', &bytes[start..])?;
    if bytes[first] == b'"' {
        return Some((first, false));
    }
    for end in memchr::memchr_iter(b'"', &bytes[first..]).map(|at| first + at) {
        let backslashes = bytes[first..end].iter().rev().take_while(|&&byte| byte == b'\\').count();
        if backslashes % 2 == 0 {
            return Some((end, true));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::SerializeType;

    fn decode_text(header: &str) -> Result<Command<'_>, CommandError> {
        decode(Frame { serialize: SerializeType::Json, header: header.as_bytes(), body: b"" })
    }

    fn decoded(header: &str) -> Command<'_> {
        decode_text(header).unwrap()
    }

    #[test]
    fn what_is_left_out_has_javas_defaults() {
        let command = decoded("{}");
        assert_eq!((command.code, command.version, command.opaque, command.flag), (0, 0, 0, Flag(0)));
        assert_eq!(command.language, Some(LanguageCode::Java));
        assert!(command.remark.is_none() && command.ext.is_empty() && !command.ext.is_present());
    }

    #[test]
    fn members_may_come_in_any_order_with_spaces_and_a_line_end() {
        let command = decoded("\t{ \"version\" : 63 ,\"extFields\":{ \"topic\" : \"T\" } , \"opaque\":-7,\r\n\"flag\":2,\"code\":105 }\n");
        assert_eq!((command.code, command.version, command.opaque, command.flag), (105, 63, -7, Flag(Flag::ONEWAY)));
        assert_eq!(command.ext.get("topic").unwrap(), "T");
    }

    #[test]
    fn numbers_may_stand_in_quotes_and_be_null() {
        let command = decoded(r#"{"code":"105","opaque":"-2147483648","version":null,"flag":""}"#);
        assert_eq!((command.code, command.opaque, command.version, command.flag), (105, i32::MIN, 0, Flag(0)));
    }

    #[test]
    fn a_language_is_a_name_or_an_ordinal_and_may_be_unknown() {
        assert_eq!(decoded(r#"{"language":"GO"}"#).language, Some(LanguageCode::Go));
        assert_eq!(decoded(r#"{"language":1}"#).language, Some(LanguageCode::Cpp));
        assert_eq!(decoded(r#"{"language":"GOLANG2"}"#).language, None);
        assert_eq!(decoded(r#"{"language":99}"#).language, None);
    }

    #[test]
    fn ext_values_that_are_no_strings_become_their_text() {
        let command = decoded(r#"{"extFields":{"a":4,"b":true,"c":null,"d":-1.5e3,"e":{"f":["}"]},"g":""}}"#);
        let texts: Vec<_> = command.ext.iter().map(|(_, value)| value.map(|text| text.to_cow().into_owned())).collect();
        let expected = [Some("4"), Some("true"), None, Some("-1.5e3"), Some(r#"{"f":["}"]}"#), Some("")];
        assert_eq!(texts, expected.map(|text| text.map(str::to_owned)));
    }

    #[test]
    fn null_ext_fields_are_none_and_empty_ones_are_there() {
        assert!(!decoded(r#"{"extFields":null}"#).ext.is_present());
        assert!(decoded(r#"{"extFields":{}}"#).ext.is_present());
    }

    #[test]
    fn names_are_found_behind_escapes_and_other_spellings() {
        let command = decoded(r#"{"c\u006fde":1,"OPAQUE":2,"ext_fields":{"\u0061":"b"},"Flag":3}"#);
        assert_eq!((command.code, command.opaque, command.flag), (1, 2, Flag(3)));
        assert_eq!(command.ext.get("a").unwrap(), "b");
    }

    #[test]
    fn unknown_members_are_skipped_whatever_they_hold() {
        let command = decoded(r#"{"x":{"y":[1,{"z":"]}\"\\"}],"code":9},"w":"\\","v":false,"code":7}"#);
        assert_eq!(command.code, 7);
    }

    #[test]
    fn of_equal_members_the_last_counts() {
        let command = decoded(r#"{"code":1,"extFields":{"a":"1"},"code":2,"extFields":{"b":"2"}}"#);
        assert_eq!(command.code, 2);
        assert!(command.ext.get("a").is_none() && command.ext.get("b").is_some());
    }

    #[test]
    fn strings_end_at_the_first_quote_that_is_not_escaped() {
        for (text, escaped) in [
            ("", false),
            ("a", false),
            ("seven77", false),
            ("eight888", false),
            ("sixteen characte", false),
            ("more than sixteen characters, and \u{fc}mlauts", false),
            (r"\\", true),
            (r#"\""#, true),
            (r#"more than sixteen \" characters \\\" "#, true),
            (r"KEYS\u0001a\u0002", true),
        ] {
            let header = format!("{{\"remark\":\"{text}\"}}");
            let remark = decoded(&header).remark.unwrap();
            assert_eq!((remark.raw(), remark.is_escaped()), (text, escaped));
        }
    }

    #[test]
    fn deep_values_are_refused_and_shallow_ones_are_not() {
        let nested = |depth: usize| format!("{{\"x\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(decode_text(&nested(32)).is_ok());
        assert_eq!(decode_text(&nested(33)).unwrap_err(), CommandError::TooDeep { at: 37 });
        assert_eq!(decode_text(&nested(1_000_000)).unwrap_err(), CommandError::TooDeep { at: 37 });
    }

    #[test]
    fn an_error_says_what_is_wrong_and_where() {
        for (header, message) in [
            ("", "byte 0 of the header should begin an object"),
            ("[]", "byte 0 of the header should begin an object"),
            ("{", "byte 1 of the header should begin a quoted name"),
            ("{code:1}", "byte 1 of the header should begin a quoted name"),
            (r#"{"code" 1}"#, "byte 8 of the header should begin a colon"),
            (r#"{"code":}"#, "byte 8 of the header should begin a value"),
            (r#"{"code":x}"#, "byte 8 of the header should begin a value"),
            (r#"{"code":1.5}"#, "code, which ends at byte 11 of the header, is no 32-bit number"),
            (r#"{"opaque":2147483648}"#, "opaque, which ends at byte 20 of the header, is no 32-bit number"),
            (r#"{"code":1 "flag":2}"#, "byte 10 of the header should begin a comma or the end of the object"),
            (r#"{"code":1,}"#, "byte 10 of the header should begin a quoted name"),
            (r#"{"remark":"no end}"#, "byte 18 of the header should begin the end of a string"),
            (r#"{"x":[{]}"#, "byte 7 of the header should begin the other closing bracket"),
            (r#"{"x":[{"#, "byte 7 of the header should begin the end of a nested value"),
            (r#"{"extFields":7}"#, "byte 14 of the header should begin an object before it, as extFields is one"),
            (r#"{"code":1}x"#, "the header should end at byte 10"),
        ] {
            assert_eq!(decode_text(header).unwrap_err().to_string(), message, "{header}");
        }
    }

    #[test]
    fn a_header_that_is_no_text_is_refused() {
        let frame = Frame { serialize: SerializeType::Json, header: b"{\"remark\":\"\xff\"}", body: b"" };
        assert_eq!(decode(frame).unwrap_err(), CommandError::NotUtf8 { at: 11 });
    }

    #[test]
    fn more_fields_than_the_limit_are_refused() {
        let fields = |count: usize| {
            let list: Vec<_> = (0..count).map(|at| format!("\"{at}\":0")).collect();
            format!("{{\"extFields\":{{{}}}}}", list.join(","))
        };
        assert_eq!(decoded(&fields(ExtFields::LIMIT)).ext.len(), ExtFields::LIMIT);
        assert!(matches!(decode_text(&fields(ExtFields::LIMIT + 1)).unwrap_err(), CommandError::TooManyFields { .. }));
    }
}
