//! A remoting command: a request or a response with its header decoded.

mod binary_header;
mod json_header;

use thiserror::Error;

use crate::{
    code::LanguageCode,
    ext::ExtFields,
    frame::{Frame, SerializeType},
    text::Text,
};

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
/// `code`, `version` and `flag` 0, `language` JAVA. A missing `opaque` is 0 too, where Java invents one.
#[derive(Clone, Debug)]
pub struct Command<'a> {
    /// Request or response code, as a number: unknown ones are answered, not refused.
    pub code: i32,
    /// The peer's language; `None` if its name or ordinal is not known.
    pub language: Option<LanguageCode>,
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

impl<'a> Command<'a> {
    /// Values nested deeper than this inside a JSON header are refused, wherever they stand.
    pub const MAX_DEPTH: u32 = 32;

    /// Reads the header of a frame. Nothing is copied and nothing allocated, unless the header has more ext fields than clients send.
    ///
    /// JSON headers are read as leniently as Java reads them: members in any order, unknown ones, numbers as strings, ext values that
    /// are numbers or booleans, spaces anywhere.
    ///
    /// # Errors
    /// [`CommandError`] when the header cannot be read. No answer is possible, as the number to answer to is not known: the connection
    /// is to be closed.
    pub fn decode(frame: Frame<'a>) -> Result<Self, CommandError> {
        match frame.serialize {
            SerializeType::Json => json_header::decode(frame),
            SerializeType::RocketMq => binary_header::decode(frame),
        }
    }

    /// A command of which nothing is known yet.
    fn blank(frame: &Frame<'a>) -> Self {
        Self {
            code: 0,
            language: Some(LanguageCode::Java),
            version: 0,
            opaque: 0,
            flag: Flag(0),
            remark: None,
            ext: ExtFields::default(),
            serialize: frame.serialize,
            body: frame.body,
        }
    }
}

/// What is wrong with a header. Positions are bytes from its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CommandError {
    /// The header is not text.
    #[error("byte {at} of the header is not UTF-8")]
    NotUtf8 {
        /// Where the text ends.
        at: usize,
    },
    /// Something else is needed here.
    #[error("byte {at} of the header should begin {expected}")]
    Expected {
        /// What is missing.
        expected: &'static str,
        /// Where it should be.
        at: usize,
    },
    /// A member that must be a number is none, or one that does not fit.
    #[error("{member}, which ends at byte {at} of the header, is no 32-bit number")]
    BadNumber {
        /// The member.
        member: &'static str,
        /// Where its value ends.
        at: usize,
    },
    /// Arrays and objects inside each other, [`Command::MAX_DEPTH`] times.
    #[error("values are nested too deeply at byte {at} of the header")]
    TooDeep {
        /// Where the limit is passed.
        at: usize,
    },
    /// More ext fields than [`ExtFields::LIMIT`].
    #[error("there are more than {} ext fields, the next ends at byte {at} of the header", ExtFields::LIMIT)]
    TooManyFields {
        /// Where the one too many ends.
        at: usize,
    },
    /// A counted part of a binary header is longer than what is left of it.
    #[error("{part} at byte {at} does not fit in the header")]
    BadLength {
        /// The part.
        part: &'static str,
        /// Where it begins.
        at: usize,
    },
    /// The header goes on after its end.
    #[error("the header should end at byte {at}")]
    TrailingBytes {
        /// Where it should end.
        at: usize,
    },
}
