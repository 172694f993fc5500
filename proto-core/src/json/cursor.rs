//! The place in a JSON text, and the tokens there.

use std::borrow::Cow;

use super::{JsonError, JsonErrorKind, MAX_DEPTH};
use crate::text::Text;

/// Walks over a text, token by token.
#[derive(Debug)]
pub(super) struct Cursor<'t> {
    text: &'t str,
    at: usize,
    depth: u8,
    /// Objects and arrays that may still come.
    allowance: u32,
}

/// A value that is neither an object nor an array.
#[derive(Debug)]
pub(super) enum Scalar<'t> {
    Null,
    Bool(bool),
    /// As it stands; not checked yet.
    Number(&'t str),
    Text(Cow<'t, str>),
}

/// What stands in key position.
#[derive(Debug)]
pub(super) enum Key<'t> {
    /// A string, or a name or number without quotes.
    Text(Cow<'t, str>),
    /// An object's text.
    Object(&'t str),
}

impl<'t> Cursor<'t> {
    pub(super) fn new(bytes: &'t [u8], allowance: u32) -> Result<Self, JsonError> {
        let text = std::str::from_utf8(bytes).map_err(|error| JsonError::new(JsonErrorKind::NotUtf8, error.valid_up_to()))?;
        let mut cursor = Self { text, at: 0, depth: 0, allowance };
        if cursor.peek().is_none() {
            return Err(cursor.error(JsonErrorKind::Empty));
        }
        Ok(cursor)
    }

    /// A cursor over a text that stands inside this one, with the same limits.
    pub(super) fn inner<'s>(&self, text: &'s str) -> Cursor<'s> {
        Cursor { text, at: 0, depth: self.depth, allowance: self.allowance }
    }

    /// Takes over what an inner cursor has left of the allowance.
    pub(super) const fn set_allowance(&mut self, allowance: u32) {
        self.allowance = allowance;
    }

    /// Objects and arrays that may still come.
    pub(super) const fn allowance(&self) -> u32 {
        self.allowance
    }

    pub(super) const fn position(&self) -> usize {
        self.at
    }

    pub(super) const fn error(&self, kind: JsonErrorKind) -> JsonError {
        JsonError::new(kind, self.at)
    }

    fn expected(&mut self, name: &'static str) -> JsonError {
        let ended = self.peek().is_none();
        self.error(if ended { JsonErrorKind::UnexpectedEnd } else { JsonErrorKind::Expected(name) })
    }

    /// Nothing but white space may follow.
    pub(super) fn finish(&mut self) -> Result<(), JsonError> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.error(JsonErrorKind::Trailing)),
        }
    }

    /// The first byte of the next token.
    pub(super) fn peek(&mut self) -> Option<u8> {
        let rest = &self.text.as_bytes()[self.at..];
        let blanks = rest.iter().position(|byte| !matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 8 | 12)).unwrap_or(rest.len());
        self.at += blanks;
        rest.get(blanks).copied()
    }

    /// Takes one byte if it is the next token.
    pub(super) fn take(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        if there {
            self.at += 1;
        }
        there
    }

    pub(super) fn expect(&mut self, byte: u8, name: &'static str) -> Result<(), JsonError> {
        if self.take(byte) {
            return Ok(());
        }
        Err(self.expected(name))
    }

    /// Opens an object or an array.
    pub(super) fn enter(&mut self, open: u8, name: &'static str) -> Result<(), JsonError> {
        self.expect(open, name)?;
        self.count(u32::from(self.depth) + 1)?;
        self.depth += 1;
        Ok(())
    }

    /// Closes it.
    pub(super) fn leave(&mut self) {
        self.depth -= 1;
    }

    fn count(&mut self, depth: u32) -> Result<(), JsonError> {
        if depth > u32::from(MAX_DEPTH) {
            return Err(self.error(JsonErrorKind::TooDeep));
        }
        self.allowance = self.allowance.checked_sub(1).ok_or_else(|| self.error(JsonErrorKind::TooMany))?;
        Ok(())
    }

    /// Between members or elements: takes commas, and the closing bracket if it comes. `true` at the end.
    pub(super) fn next_or_close(&mut self, first: &mut bool, close: u8) -> Result<bool, JsonError> {
        let mut comma = false;
        while self.take(b',') {
            comma = true;
        }
        if self.take(close) {
            self.leave();
            return Ok(true);
        }
        if !comma && !*first {
            return Err(self.expected("a comma or the end"));
        }
        *first = false;
        Ok(false)
    }

    /// Takes what stands in key position, and the colon after it.
    pub(super) fn key(&mut self) -> Result<Key<'t>, JsonError> {
        let key = match self.peek() {
            None => return Err(self.error(JsonErrorKind::UnexpectedEnd)),
            Some(b'"' | b'\'') => Key::Text(self.string()?),
            Some(b'{') => Key::Object(self.raw()?),
            Some(_) => Key::Text(Cow::Borrowed(self.bare("a key")?)),
        };
        self.expect(b':', "a colon")?;
        Ok(key)
    }

    /// Takes a value that is neither an object nor an array.
    pub(super) fn scalar(&mut self) -> Result<Scalar<'t>, JsonError> {
        Ok(match self.peek() {
            None => return Err(self.error(JsonErrorKind::UnexpectedEnd)),
            Some(b'"' | b'\'') => Scalar::Text(self.string()?),
            Some(_) => {
                let start = self.at;
                match self.bare("a value")? {
                    "null" | "undefined" | "NaN" => Scalar::Null,
                    "true" => Scalar::Bool(true),
                    "false" => Scalar::Bool(false),
                    number if number.starts_with(|c: char| matches!(c, '0'..='9' | '-' | '+' | '.')) => Scalar::Number(number),
                    _ => return Err(JsonError::new(JsonErrorKind::Expected("a value"), start)),
                }
            }
        })
    }

    /// Takes a value that amounts to nothing: null, or a reference to an object that was written before.
    pub(super) fn take_null(&mut self) -> Result<bool, JsonError> {
        let null = match self.peek() {
            Some(b'n') => self.text[self.at..].starts_with("null"),
            Some(b'{') => is_reference(&self.text[self.at..]),
            _ => false,
        };
        if null {
            self.skip()?;
        }
        Ok(null)
    }

    /// Takes any value; its text.
    pub(super) fn raw(&mut self) -> Result<&'t str, JsonError> {
        self.peek();
        let start = self.at;
        self.skip()?;
        Ok(&self.text[start..self.at])
    }

    /// Takes any value, without recursion. Inside it only strings and brackets are looked at.
    pub(super) fn skip(&mut self) -> Result<(), JsonError> {
        // One bit for each open bracket: set for an object. MAX_DEPTH bits suffice.
        let mut open: u64 = 0;
        let mut depth: u32 = 0;
        loop {
            match self.peek() {
                None => return Err(self.error(JsonErrorKind::UnexpectedEnd)),
                Some(b'"' | b'\'') => {
                    self.string_end()?;
                }
                Some(bracket @ (b'{' | b'[')) => {
                    depth += 1;
                    self.count(u32::from(self.depth) + depth)?;
                    open = (open << 1) | u64::from(bracket == b'{');
                    self.at += 1;
                    continue;
                }
                Some(bracket @ (b'}' | b']')) => {
                    if depth == 0 || (open & 1 == 1) != (bracket == b'}') {
                        return Err(self.error(JsonErrorKind::Expected("a value")));
                    }
                    depth -= 1;
                    open >>= 1;
                    self.at += 1;
                }
                Some(b',' | b':') if depth > 0 => {
                    self.at += 1;
                    continue;
                }
                Some(_) => {
                    self.bare("a value")?;
                }
            }
            if depth == 0 {
                return Ok(());
            }
        }
    }

    /// Takes a string with its quotes.
    fn string(&mut self) -> Result<Cow<'t, str>, JsonError> {
        let start = self.at + 1;
        let escaped = self.string_end()?;
        let raw = &self.text[start..self.at - 1];
        Ok(if escaped { Text::escaped(raw).to_cow() } else { Cow::Borrowed(raw) })
    }

    /// Goes behind a string; whether it holds escapes.
    fn string_end(&mut self) -> Result<bool, JsonError> {
        let bytes = self.text.as_bytes();
        let quote = bytes[self.at];
        let mut at = self.at + 1;
        let mut escaped = false;
        loop {
            let Some(found) = memchr::memchr2(quote, b'\\', &bytes[at.min(bytes.len())..]) else {
                self.at = bytes.len();
                return Err(self.error(JsonErrorKind::UnexpectedEnd));
            };
            at += found;
            if bytes[at] == quote {
                self.at = at + 1;
                return Ok(escaped);
            }
            escaped = true;
            at += 2;
        }
    }

    /// Takes a token without quotes.
    fn bare(&mut self, name: &'static str) -> Result<&'t str, JsonError> {
        let rest = &self.text[self.at..];
        let end = rest
            .bytes()
            .position(|byte| matches!(byte, b',' | b':' | b'{' | b'}' | b'[' | b']' | b'"' | b'\'' | b' ' | b'\t' | b'\n' | b'\r' | 8 | 12))
            .unwrap_or(rest.len());
        if end == 0 {
            return Err(self.error(JsonErrorKind::Expected(name)));
        }
        self.at += end;
        Ok(&rest[..end])
    }
}

/// Whether an object's text says `{"$ref":`.
pub(super) fn is_reference(object: &str) -> bool {
    object.strip_prefix('{').is_some_and(|rest| rest.trim_start().starts_with("\"$ref\""))
}
