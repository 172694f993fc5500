//! Text that still lies in the read buffer, escaped or not.

use std::borrow::Cow;

/// A string value of a header, borrowed from the frame. It may still carry JSON escapes; nothing is copied until someone asks.
///
/// The bytes are valid UTF-8: the header is checked once, as a whole, when it is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

    /// Appends the text with its escapes resolved. An escape that JSON does not know stands for the character itself, as fastjson reads it.
    pub fn unescape_into(&self, out: &mut String) {
        if !self.escaped {
            out.push_str(self.raw);
            return;
        }
        let mut rest = self.raw;
        while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
            out.push_str(&rest[..at]);
            rest = unescape_one(&rest[at + 1..], out);
        }
        out.push_str(rest);
    }
}

/// Resolves the escape whose backslash has just been taken off; returns what follows it.
fn unescape_one<'a>(after: &'a str, out: &mut String) -> &'a str {
    let mut chars = after.chars();
    match chars.next() {
        Some('n') => out.push('\n'),
        Some('r') => out.push('\r'),
        Some('t') => out.push('\t'),
        Some('b') => out.push('\u{8}'),
        Some('f') => out.push('\u{c}'),
        Some('u') => return unescape_unit(&after[1..], out),
        Some(other) => out.push(other),
        None => {}
    }
    chars.as_str()
}

/// `after` follows `\u`. A lone surrogate becomes U+FFFD, as UTF-8 cannot carry it.
fn unescape_unit<'a>(after: &'a str, out: &mut String) -> &'a str {
    let unit = |text: &str| text.get(..4).and_then(|hex| u32::from_str_radix(hex, 16).ok());
    let Some(high) = unit(after) else {
        out.push(char::REPLACEMENT_CHARACTER);
        return after;
    };
    let rest = &after[4..];
    if (0xD800..0xDC00).contains(&high)
        && let Some(low) = rest.strip_prefix("\\u").and_then(unit)
        && (0xDC00..0xE000).contains(&low)
    {
        let code = 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
        out.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
        return &rest[6..];
    }
    out.push(char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER));
    rest
}

/// Appends `text` as it stands between the quotes of a JSON string, escaped the way fastjson does by default:
/// controls, quotes and backslashes only; everything else is raw UTF-8.
pub fn escape_json(text: &str, out: &mut Vec<u8>) {
    let bytes = text.as_bytes();
    let mut done = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.extend_from_slice(&bytes[done..at]);
        done = at + 1;
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
    fn text_without_escapes_is_borrowed() {
        assert!(matches!(Text::plain("TopicTest").to_cow(), Cow::Borrowed("TopicTest")));
    }
}
