//! The body of a batch: several messages of one topic and queue in one request.
//!
//! Each is `i32 size | i32 magic 0 | i32 CRC 0 | i32 flag | i32 + body | i16 + properties`; magic and CRC are not looked at.

use thiserror::Error;

/// Bytes of a message but for body and properties.
pub const OVERHEAD: usize = 22;
const BODY_LEN_AT: usize = 16;

/// One message of a batch, borrowed from the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchMessage<'a> {
    /// The application's flag.
    pub flag: i32,
    /// The body.
    pub body: &'a [u8],
    /// Properties in their stored form.
    pub properties: &'a [u8],
}

/// Why a body is no batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BatchError {
    /// The body ends within a message.
    #[error("message {index} of a batch ends beyond the body")]
    Truncated {
        /// Which message, counted from 0.
        index: usize,
    },
    /// The lengths inside a message do not add up to its size.
    #[error("the parts of message {index} of a batch do not add up")]
    BadParts {
        /// Which message, counted from 0.
        index: usize,
    },
}

/// The messages of a batch. After an error there is nothing more.
#[must_use]
pub const fn iter(body: &[u8]) -> Iter<'_> {
    Iter { rest: body, index: 0 }
}

/// See [`iter`].
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    rest: &'a [u8],
    index: usize,
}

impl<'a> Iterator for Iter<'a> {
    type Item = Result<BatchMessage<'a>, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let index = self.index;
        self.index += 1;
        let size = self.rest.first_chunk().map(|size| i32::from_be_bytes(*size));
        let message = size.and_then(|size| self.rest.split_at_checked(usize::try_from(size).ok()?));
        let Some((message, rest)) = message else {
            self.rest = &[];
            return Some(Err(BatchError::Truncated { index }));
        };
        let Some(message) = parse(message) else {
            self.rest = &[];
            return Some(Err(BatchError::BadParts { index }));
        };
        self.rest = rest;
        Some(Ok(message))
    }
}

fn parse(message: &[u8]) -> Option<BatchMessage<'_>> {
    let (head, rest) = message.split_first_chunk::<{ BODY_LEN_AT + 4 }>()?;
    let flag = i32::from_be_bytes(*head[12..].first_chunk()?);
    let body_len = i32::from_be_bytes(*head[BODY_LEN_AT..].first_chunk()?);
    let (body, rest) = rest.split_at_checked(usize::try_from(body_len).ok()?)?;
    let (properties_len, properties) = rest.split_first_chunk()?;
    let fits = usize::try_from(i16::from_be_bytes(*properties_len)).ok()? == properties.len();
    fits.then_some(BatchMessage { flag, body, properties })
}

/// Why a message cannot be part of a batch; nothing was appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BatchEncodeError {
    /// The properties are longer than a message can say.
    #[error("properties of {0} bytes do not fit a message")]
    PropertiesTooLong(usize),
    /// The body is longer than a message can say.
    #[error("a body of {0} bytes does not fit a message")]
    BodyTooLong(usize),
}

/// Appends a message to the body of a batch.
///
/// # Errors
/// [`BatchEncodeError`] if a part is too long; `out` is as it was.
pub fn encode(message: &BatchMessage<'_>, out: &mut Vec<u8>) -> Result<(), BatchEncodeError> {
    let properties_len =
        i16::try_from(message.properties.len()).map_err(|_| BatchEncodeError::PropertiesTooLong(message.properties.len()))?;
    let size = i32::try_from(OVERHEAD + message.body.len() + message.properties.len())
        .map_err(|_| BatchEncodeError::BodyTooLong(message.body.len()))?;
    let body_len = i32::try_from(message.body.len()).map_err(|_| BatchEncodeError::BodyTooLong(message.body.len()))?;
    out.extend_from_slice(&size.to_be_bytes());
    out.extend_from_slice(&[0; 8]);
    out.extend_from_slice(&message.flag.to_be_bytes());
    out.extend_from_slice(&body_len.to_be_bytes());
    out.extend_from_slice(message.body);
    out.extend_from_slice(&properties_len.to_be_bytes());
    out.extend_from_slice(message.properties);
    Ok(())
}
