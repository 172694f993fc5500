//! The frame: a length, a header with its serializer, a body.
//!
//! ```text
//! i32 length of all that follows | u8 serializer | u24 header length | header | body
//! ```

use thiserror::Error;

/// How a header is written; the top byte of the header length says which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum SerializeType {
    /// A JSON object, the default of every client.
    Json = 0,
    /// Java's binary form (`rocketmq.serialize.type=ROCKETMQ`).
    RocketMq = 1,
}

/// One whole frame, borrowed from the read buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// How `header` is written.
    pub serialize: SerializeType,
    /// The header as it came.
    pub header: &'a [u8],
    /// Everything after the header; may be empty.
    pub body: &'a [u8],
}

/// What the bytes at hand amount to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decoded<'a> {
    /// More bytes are needed: at least `needed` in all before asking again makes sense.
    Incomplete {
        /// Total length of the frame once it is known, else of its prefix, in bytes.
        needed: usize,
    },
    /// A frame of `len` bytes, counted from the start of the input.
    Frame {
        /// The frame.
        frame: Frame<'a>,
        /// Bytes to drop from the input before the next call.
        len: usize,
    },
}

/// Why a connection cannot go on: the protocol has no answer to these, the peer is cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum FrameError {
    /// The announced length is negative, or too little for the length of a header.
    #[error("a frame of {announced} bytes is announced, the shortest has {}", FrameDecoder::SHORTEST)]
    TooShort {
        /// The length as the peer wrote it, prefix included.
        announced: i64,
    },
    /// The announced length is above the limit.
    #[error("a frame of {announced} bytes is announced, the limit is {limit}")]
    TooLong {
        /// The length as the peer wrote it, prefix included.
        announced: i64,
        /// The limit in force.
        limit: usize,
    },
    /// The header is longer than its frame.
    #[error("a header of {header} bytes does not fit in a frame of {frame}")]
    BadHeaderLength {
        /// Announced length of the header.
        header: usize,
        /// Length of the frame after its prefix.
        frame: usize,
    },
    /// The serializer byte is neither 0 nor 1.
    #[error("unknown header serializer {0}")]
    UnknownSerializer(u8),
}

/// Cuts frames out of a byte stream. It keeps no bytes of its own: the caller's buffer is the state.
#[derive(Clone, Copy, Debug)]
pub struct FrameDecoder {
    limit: usize,
}

impl FrameDecoder {
    /// Java's default limit, prefix included (`com.rocketmq.remoting.frameMaxLength`).
    pub const DEFAULT_LIMIT: usize = 16 * 1024 * 1024;

    /// A frame without header and body: the two lengths.
    const SHORTEST: usize = 8;

    /// A decoder that refuses frames of more than `limit` bytes, prefix included.
    #[must_use]
    pub const fn new(limit: usize) -> Self {
        Self { limit }
    }

    /// Looks at the start of `input`. A hostile length is refused from the first four bytes, before anything is allocated for it.
    ///
    /// # Errors
    /// [`FrameError`] when the stream cannot be a RocketMQ one; the connection is to be closed.
    pub fn decode<'a>(&self, input: &'a [u8]) -> Result<Decoded<'a>, FrameError> {
        let Some((prefix, rest)) = input.split_first_chunk::<4>() else {
            return Ok(Decoded::Incomplete { needed: Self::SHORTEST });
        };
        let announced = i64::from(i32::from_be_bytes(*prefix)) + 4;
        let len = match usize::try_from(announced) {
            Ok(len @ Self::SHORTEST..) if len <= self.limit => len,
            Ok(Self::SHORTEST..) => return Err(FrameError::TooLong { announced, limit: self.limit }),
            _ => return Err(FrameError::TooShort { announced }),
        };
        let Some((word, _)) = rest.split_first_chunk::<4>() else {
            return Ok(Decoded::Incomplete { needed: len });
        };
        let serialize = match word[0] {
            0 => SerializeType::Json,
            1 => SerializeType::RocketMq,
            other => return Err(FrameError::UnknownSerializer(other)),
        };
        let header = u32::from_be_bytes([0, word[1], word[2], word[3]]) as usize;
        if header > len - Self::SHORTEST {
            return Err(FrameError::BadHeaderLength { header, frame: len - 4 });
        }
        let Some(rest) = input.get(8..len) else {
            return Ok(Decoded::Incomplete { needed: len });
        };
        let (header, body) = rest.split_at(header);
        Ok(Decoded::Frame { frame: Frame { serialize, header, body }, len })
    }
}

impl Default for FrameDecoder {
    fn default() -> Self {
        Self::new(Self::DEFAULT_LIMIT)
    }
}
