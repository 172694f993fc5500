//! What is wrong with a JSON text, and where.

use std::fmt;

use thiserror::Error;

/// Why a text could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{kind} at byte {}", .at.unwrap_or(0))]
pub struct JsonError {
    /// What is wrong.
    pub kind: JsonErrorKind,
    /// Place in the text, in bytes from its start.
    pub at: Option<usize>,
}

/// What can be wrong with a text.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum JsonErrorKind {
    /// There is no text.
    #[error("no JSON text")]
    Empty,
    /// The bytes are no text.
    #[error("not UTF-8")]
    NotUtf8,
    /// The text ends too early.
    #[error("unexpected end")]
    UnexpectedEnd,
    /// Something else should stand here.
    #[error("{0} expected")]
    Expected(&'static str),
    /// More levels than [`super::MAX_DEPTH`].
    #[error("nested too deeply")]
    TooDeep,
    /// More objects and arrays than [`super::MAX_CONTAINERS`], or in a table than can be counted.
    #[error("too many objects and arrays")]
    TooMany,
    /// More text after the value.
    #[error("text after the end")]
    Trailing,
    /// The value is none that the member can have.
    #[error("{0}")]
    BadValue(String),
}

impl JsonError {
    pub(super) const fn new(kind: JsonErrorKind, at: usize) -> Self {
        Self { kind, at: Some(at) }
    }

    /// The same error with a place, if it has none yet.
    pub(super) fn or_at(mut self, at: usize) -> Self {
        self.at.get_or_insert(at);
        self
    }

    /// The same error, at this place.
    pub(super) const fn moved_to(mut self, at: usize) -> Self {
        self.at = Some(at);
        self
    }
}

impl serde::de::Error for JsonError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self { kind: JsonErrorKind::BadValue(message.to_string()), at: None }
    }
}

impl serde::ser::Error for JsonError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self { kind: JsonErrorKind::BadValue(message.to_string()), at: None }
    }
}
