//! A remoting command: a request or a response with its header decoded.

use crate::{ext::ExtFields, frame::SerializeType, text::Text};

/// The bits of a header's `flag`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flag(pub i32);

impl Flag {
    /// Bit 0: set in responses.
    pub const RESPONSE: i32 = 1;
    /// Bit 1: set in requests that want no response, not even an error.
    pub const ONEWAY: i32 = 2;

    /// Whether this command answers another.
    #[must_use]
    pub const fn is_response(self) -> bool {
        self.0 & Self::RESPONSE != 0
    }

    /// Whether no response may ever be sent to this request.
    #[must_use]
    pub const fn is_oneway(self) -> bool {
        self.0 & Self::ONEWAY != 0
    }
}

/// A decoded command, borrowed from the frame it came in.
///
/// `code` is a request code in requests and a response code in responses. What a lenient peer left out has Java's default:
/// `code`, `version` and `flag` 0, `language` JAVA.
#[derive(Clone, Debug)]
pub struct Command<'a> {
    /// Request or response code, as a number: unknown ones are answered, not refused.
    pub code: i32,
    /// Ordinal of the peer's language; `None` if its name is not known.
    pub language: Option<crate::code::LanguageCode>,
    /// The peer's version (the ordinal in Java's list of releases).
    pub version: i32,
    /// The sender's number for this request; mirrored in the response.
    pub opaque: i32,
    /// Request or response, oneway or not.
    pub flag: Flag,
    /// Text for people, or the error text that clients match on.
    pub remark: Option<Text<'a>>,
    /// The fields of the typed header.
    pub ext: ExtFields<'a>,
    /// How the header was written.
    pub serialize: SerializeType,
    /// The body; empty if there is none.
    pub body: &'a [u8],
}
