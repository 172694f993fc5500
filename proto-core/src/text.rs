//! Text that still lies in the read buffer, escaped or not.

use std::{borrow::Cow, fmt};

use crate::word;

/// A string value of a header, borrowed from the frame. It may still carry JSON escapes; nothing is copied until someone asks.
///
/// The bytes are valid UTF-8: the header is checked once, as a whole, when it is decoded.
/// Two texts are equal if they say the same, whichever characters of them are escaped.
#[derive(Clone, Copy, Default)]
pub struct Text<'a> {
    raw: &'a str,
    escaped: bool,
}

impl<'a> Text<'a> {
    /// Text that stands as it is, without escapes.
    #[must_use]
    pub const fn plain(raw: &'a str) -> Self {
        Self { raw, escaped: false }
    }

    /// Text between two JSON quotes that contains at least one backslash.
    #[must_use]
    pub const fn escaped(raw: &'a str) -> Self {
        Self { raw, escaped: true }
    }

    /// The text itself if it carries no escape, so that the common case borrows.
    #[must_use]
    pub const fn as_plain(&self) -> Option<&'a str> {
        if self.escaped { None } else { Some(self.raw) }
    }

    /// The text with its escapes resolved, copied only if there are any.
    #[must_use]
    pub fn to_cow(&self) -> Cow<'a, str> {
        match self.as_plain() {
            Some(plain) => Cow::Borrowed(plain),
            None => {
                let mut out = String::with_capacity(self.raw.len());
                self.unescape_into(&mut out);
                Cow::Owned(out)
            }
        }
    }

    /// The text as it stands in the frame, escapes and all.
    #[must_use]
    pub const fn raw(&self) -> &'a str {
        self.raw
    }

    /// Whether the text carries escapes.
    #[must_use]
    pub const fn is_escaped(&self) -> bool {
        self.escaped
    }

    /// Whether there is no character in it.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.raw.is_empty()
    }

    /// The text in pieces without escapes, in order. An escape that JSON does not know stands for the character itself, as fastjson
    /// reads it.
    #[must_use]
    pub const fn pieces(&self) -> Pieces<'a> {
        Pieces { rest: self.raw, escaped: self.escaped, pending: None }
    }

    /// Appends the text with its escapes resolved.
    pub fn unescape_into(&self, out: &mut String) {
        self.pieces().for_each(|piece| out.push_str(piece.encode(&mut [0; 4])));
    }

    /// Appends the UTF-8 of the text with its escapes resolved. Properties take this way at every send.
    pub fn unescape_bytes_into(&self, out: &mut Vec<u8>) {
        let mut rest = self.raw.as_bytes();
        if !self.escaped {
            out.extend_from_slice(rest);
            return;
        }
        loop {
            rest = unescape_ascii_into(rest, out);
            let Some((_, after)) = rest.split_first() else { return };
            let (character, used) = resolve_escape(after);
            rest = &after[used..];
            match character {
                Some(ascii) if ascii.is_ascii() => out.push(ascii as u8),
                Some(other) => out.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
                None => {}
            }
        }
    }

    /// The number, if the text is one as Java writes and reads it: decimal digits with at most a sign before them.
    #[must_use]
    #[inline]
    pub fn parse_i64(&self) -> Option<i64> {
        match small_number(self.raw.as_bytes()) {
            Some(number) => Some(number),
            None => self.to_cow().parse().ok(),
        }
    }

    /// The number, if the text is one that fits in 32 bits.
    #[must_use]
    #[inline]
    pub fn parse_i32(&self) -> Option<i32> {
        self.parse_i64().and_then(|number| i32::try_from(number).ok())
    }

    /// Whether the text says true: `true` in any case, as Java reads it, or `1`, as C++ clients write it. Anything else is false.
    #[must_use]
    #[inline]
    pub fn parse_bool(&self) -> bool {
        match self.as_plain() {
            Some(plain) => plain == "1" || plain.eq_ignore_ascii_case("true"),
            None => matches!(&*self.to_cow(), text if text == "1" || text.eq_ignore_ascii_case("true")),
        }
    }
}

/// Up to 18 digits without a sign, as nearly all numbers of headers are: no check for overflow is needed.
#[inline]
fn small_number(digits: &[u8]) -> Option<i64> {
    if !(1..=18).contains(&digits.len()) {
        return None;
    }
    digits.iter().try_fold(0, |number, digit| {
        let digit = digit.wrapping_sub(b'0');
        (digit < 10).then(|| number * 10 + i64::from(digit))
    })
}

impl fmt::Debug for Text<'_> {
    /// What the text says, as a string is shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.to_cow(), f)
    }
}

impl PartialEq<str> for Text<'_> {
    fn eq(&self, other: &str) -> bool {
        if !self.escaped {
            return self.raw == other;
        }
        let mut rest = other;
        let matched = self.pieces().all(|piece| match rest.strip_prefix(piece.encode(&mut [0; 4])) {
            Some(after) => {
                rest = after;
                true
            }
            None => false,
        });
        matched && rest.is_empty()
    }
}

impl PartialEq<&str> for Text<'_> {
    fn eq(&self, other: &&str) -> bool {
        *self == **other
    }
}

impl PartialEq for Text<'_> {
    fn eq(&self, other: &Self) -> bool {
        match other.as_plain() {
            Some(plain) => *self == *plain,
            None => *other == *self.to_cow(),
        }
    }
}

impl Eq for Text<'_> {}

/// A piece of a text: what stood without escapes, or the one character that an escape stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Characters as they stand in the frame.
    Plain(&'a str),
    /// A character that was escaped.
    Escape(char),
}

impl<'a> Piece<'a> {
    /// The piece as text; `room` takes the character of an escape.
    pub fn encode<'s>(&self, room: &'s mut [u8; 4]) -> &'s str
    where
        'a: 's,
    {
        match *self {
            Self::Plain(text) => text,
            Self::Escape(character) => character.encode_utf8(room),
        }
    }
}

/// The pieces of a text, see [`Text::pieces`].
#[derive(Clone, Debug)]
pub struct Pieces<'a> {
    rest: &'a str,
    escaped: bool,
    pending: Option<char>,
}

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    #[inline]
    fn next(&mut self) -> Option<Piece<'a>> {
        loop {
            if let Some(character) = self.pending.take() {
                return Some(Piece::Escape(character));
            }
            if self.rest.is_empty() {
                return None;
            }
            let backslash = if self.escaped { memchr::memchr(b'\\', self.rest.as_bytes()) } else { None };
            let Some(at) = backslash else {
                return Some(Piece::Plain(std::mem::take(&mut self.rest)));
            };
            let (plain, after) = (&self.rest[..at], &self.rest[at + 1..]);
            let (character, used) = resolve_escape(after.as_bytes());
            (self.pending, self.rest) = (character, &after[used..]);
            if !plain.is_empty() {
                return Some(Piece::Plain(plain));
            }
        }
    }
}

/// Appends the text up to the first escape that is not one of the controls U+0000 to U+0009, and returns the rest, which is empty or
/// begins with that escape's backslash. Those few are what stands between properties and their values.
///
/// What is appended is never longer than what it was read from, so the room for all of it is made once, and whole words are copied
/// into it also where only a part of one counts.
fn unescape_ascii_into<'a>(text: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
    let start = out.len();
    out.resize(start + text.len(), 0);
    let room = &mut out[start..];
    let (mut rest, mut written) = (text, 0);
    loop {
        let before = if let (Some(word), Some(here)) = (rest.first_chunk::<8>(), room[written..].first_chunk_mut::<8>()) {
            *here = *word;
            let backslashes = word::equal(u64::from_le_bytes(*word), b'\\');
            if backslashes == 0 {
                (rest, written) = (&rest[8..], written + 8);
                continue;
            }
            word::first(backslashes)
        } else {
            let before = rest.iter().position(|&byte| byte == b'\\').unwrap_or(rest.len());
            room[written..written + before].copy_from_slice(&rest[..before]);
            before
        };
        (rest, written) = (&rest[before..], written + before);
        let Some([digit @ b'0'..=b'9', after @ ..]) = rest.strip_prefix(br"\u000") else { break };
        room[written] = digit - b'0';
        (rest, written) = (after, written + 1);
    }
    out.truncate(start + written);
    rest
}

/// The character of the escape whose backslash stands before `after`, and how many bytes it takes. Where the backslash escapes nothing,
/// what follows stands for itself.
#[inline]
fn resolve_escape(after: &[u8]) -> (Option<char>, usize) {
    let character = match after.first() {
        Some(b'u') => return resolve_unit(&after[1..]),
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(&other) if other.is_ascii() => char::from(other),
        _ => return (None, 0),
    };
    (Some(character), 1)
}

/// `digits` follow `\u`. A lone surrogate becomes U+FFFD, as UTF-8 cannot carry it, and so does what are no digits.
#[inline]
fn resolve_unit(digits: &[u8]) -> (Option<char>, usize) {
    let Some(high) = unit(digits) else {
        return (Some(char::REPLACEMENT_CHARACTER), 1);
    };
    if let Some(character) = char::from_u32(high) {
        return (Some(character), 5);
    }
    let low = digits[4..].strip_prefix(b"\\u").and_then(unit);
    match low {
        Some(low @ 0xDC00..0xE000) if high < 0xDC00 => {
            let code = 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
            (Some(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)), 11)
        }
        _ => (Some(char::REPLACEMENT_CHARACTER), 5),
    }
}

/// Four hexadecimal digits.
#[inline]
fn unit(digits: &[u8]) -> Option<u32> {
    digits.first_chunk::<4>()?.iter().try_fold(0, |unit, &digit| Some(unit << 4 | char::from(digit).to_digit(16)?))
}

/// Marks the bytes of `word` that do not stand for themselves between the quotes of a JSON string. Above the lowest mark there may be
/// false ones.
#[inline(always)]
const fn escaped_in_json(word: u64) -> u64 {
    word::less(word, 0x20) | word::equal(word, b'"') | word::equal(word, b'\\')
}

/// Whether eight bytes or more hold none that JSON wants escaped. The last eight are looked at as one word, whichever of them have
/// been looked at before.
fn stands_as_it_is(bytes: &[u8]) -> bool {
    let Some(last) = bytes.last_chunk::<8>() else { return false };
    let words = bytes.as_chunks::<8>().0.iter();
    words.chain([last]).fold(0, |marks, word| marks | escaped_in_json(u64::from_le_bytes(*word))) == 0
}

/// Appends `text` as it stands between the quotes of a JSON string, escaped the way fastjson does by default:
/// controls, quotes and backslashes only; everything else is raw UTF-8.
pub fn escape_json(text: &str, out: &mut Vec<u8>) {
    let bytes = text.as_bytes();
    if stands_as_it_is(bytes) {
        return out.extend_from_slice(bytes);
    }
    let (mut done, mut at) = (0, 0);
    while at < bytes.len() {
        if let Some(word) = word::at(bytes, at) {
            let special = escaped_in_json(word);
            if special == 0 {
                at += 8;
                continue;
            }
            at += word::first(special);
        }
        let byte = bytes[at];
        at += 1;
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.extend_from_slice(&bytes[done..at - 1]);
        done = at;
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            8 => out.extend_from_slice(b"\\b"),
            12 => out.extend_from_slice(b"\\f"),
            control => {
                const HEX: &[u8; 16] = b"0123456789ABCDEF";
                out.extend_from_slice(b"\\u00");
                out.push(HEX[usize::from(control >> 4)]);
                out.push(HEX[usize::from(control & 15)]);
            }
        }
    }
    out.extend_from_slice(&bytes[done..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_of_properties_resolve_to_their_separators() {
        let text = Text::escaped(r"KEYS\u0001k1\u0002TAGS\u0001A\n\/\\");
        assert_eq!(text.to_cow(), "KEYS\u{1}k1\u{2}TAGS\u{1}A\n/\\");
    }

    #[test]
    fn a_surrogate_pair_is_one_character_and_a_lone_half_is_replaced() {
        assert_eq!(Text::escaped(r"\ud83d\ude00").to_cow(), "😀");
        assert_eq!(Text::escaped(r"\ud83dx").to_cow(), "\u{fffd}x");
    }

    #[test]
    fn all_ways_to_resolve_escapes_agree() {
        for raw in [
            r"\",
            r"\\",
            r"\ü",
            r"ü\u00fcü",
            r"\u12",
            r"\uD83D\uDE00",
            r"\uDE00\uD83D",
            r"\uD83D\n",
            r"seven77\u0001",
            r"\",
            "eight888\\n",
            "",
        ] {
            let text = Text::escaped(raw);
            let (mut string, mut bytes) = (String::new(), Vec::new());
            text.unescape_into(&mut string);
            text.unescape_bytes_into(&mut bytes);
            assert_eq!(string.as_bytes(), bytes, "{raw}");
            assert_eq!(text, *string);
        }
    }

    #[test]
    fn what_escapes_nothing_stands_for_itself() {
        assert_eq!(Text::escaped(r"a\qb\üc\").to_cow(), "aqbüc");
        assert_eq!(Text::escaped(r"\u12").to_cow(), "\u{fffd}12");
    }

    #[test]
    fn escaped_text_reads_the_same() {
        for text in [
            "",
            "plain",
            "a \" quote",
            "\u{1}\u{2}\u{1f} ",
            "seven77\n",
            "eight888\\",
            "ümlaut\t\u{7f}/",
            "long enough for words \r and \u{8}\u{c}",
        ] {
            let mut out = Vec::new();
            escape_json(text, &mut out);
            assert_eq!(Text::escaped(str::from_utf8(&out).unwrap()), text);
            assert!(serde_json::from_slice::<String>(&[b"\"", &*out, b"\""].concat()).is_ok_and(|read| read == text));
        }
    }

    #[test]
    fn texts_are_equal_if_they_say_the_same() {
        assert_eq!(Text::escaped(r"a\u0062c"), "abc");
        assert_eq!(Text::escaped(r"a\u0062c"), Text::escaped(r"\u0061bc"));
        assert_ne!(Text::escaped(r"a\u0062c"), "abcd");
        assert_ne!(Text::escaped(r"a\u0062cd"), "abc");
    }

    #[test]
    fn numbers_are_those_that_java_reads() {
        assert_eq!(Text::plain("-2147483648").parse_i32(), Some(i32::MIN));
        assert_eq!(Text::plain("2147483648").parse_i32(), None);
        assert_eq!(Text::plain("9223372036854775807").parse_i64(), Some(i64::MAX));
        assert_eq!(Text::plain("+7").parse_i64(), Some(7));
        assert_eq!(Text::escaped(r"\u0037").parse_i64(), Some(7));
        for wrong in ["", "-", "+", " 7", "7 ", "0x7", "7.0", "9223372036854775808", "٧"] {
            assert_eq!(Text::plain(wrong).parse_i64(), None, "{wrong:?}");
        }
    }

    #[test]
    fn true_is_true_in_any_case_and_the_one_of_other_clients() {
        for text in ["true", "TRUE", "True", "1"] {
            assert!(Text::plain(text).parse_bool(), "{text:?}");
        }
        for text in ["false", "0", "", "yes", "2"] {
            assert!(!Text::plain(text).parse_bool(), "{text:?}");
        }
    }

    #[test]
    fn text_without_escapes_is_borrowed() {
        assert!(matches!(Text::plain("TopicTest").to_cow(), Cow::Borrowed("TopicTest")));
    }
}
