//! Bytes that came over a connection, cut into commands.

use std::io::{self, Read};

use proto_core::{Command, CommandError, FrameDecoder, FrameError, frame::Decoded};
use thiserror::Error;

/// A read buffer. It grows to the largest frame that comes, which the decoder limits to [`FrameDecoder::DEFAULT_LIMIT`].
#[derive(Debug)]
pub struct Incoming {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    needed: usize,
    decoder: FrameDecoder,
}

/// Why the bytes are no commands; the connection is of no more use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum IncomingError {
    /// The stream cannot be cut into frames.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A header cannot be read.
    #[error(transparent)]
    Header(#[from] CommandError),
}

impl Incoming {
    /// Bytes of the buffer at first.
    const INITIAL: usize = 64 * 1024;

    /// An empty buffer.
    #[must_use]
    pub fn new() -> Self {
        Self { buffer: vec![0; Self::INITIAL], start: 0, end: 0, needed: 0, decoder: FrameDecoder::default() }
    }

    /// The next whole command, if there is one.
    ///
    /// # Errors
    /// [`IncomingError`] if what came is none.
    pub fn take(&mut self) -> Result<Option<Command<'_>>, IncomingError> {
        match self.decoder.decode(&self.buffer[self.start..self.end])? {
            Decoded::Incomplete { needed } => {
                self.needed = needed;
                Ok(None)
            }
            Decoded::Frame { frame, len } => {
                self.start += len;
                Ok(Some(Command::decode(frame)?))
            }
        }
    }

    /// Reads once. Returns how many bytes came; 0 is the end of the stream.
    ///
    /// # Errors
    /// Those of `from`.
    pub fn fill(&mut self, from: &mut impl Read) -> io::Result<usize> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
        if self.start + self.needed > self.buffer.len() || self.end == self.buffer.len() {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
            let wanted = self.needed.max(self.end + 1);
            if wanted > self.buffer.len() {
                self.buffer.resize(wanted.next_power_of_two(), 0);
            }
        }
        let count = from.read(&mut self.buffer[self.end..])?;
        self.end += count;
        Ok(count)
    }
}

impl Default for Incoming {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto_core::{
        ExtFields, Flag,
        encode::{Head, encode_frame},
    };

    fn frame(opaque: i32, body: usize) -> Vec<u8> {
        let mut out = Vec::new();
        encode_frame(&mut out, &Head { code: 0, opaque, flag: Flag(Flag::RESPONSE), remark: None }, None::<&ExtFields<'_>>, body);
        out.resize(out.len() + body, b'x');
        out
    }

    #[test]
    fn commands_come_out_whole_however_their_bytes_come_in() {
        let stream: Vec<u8> = [frame(1, 0), frame(2, 300_000), frame(3, 5)].concat();
        for step in [7, 1000, stream.len()] {
            let mut incoming = Incoming::new();
            let mut seen = Vec::new();
            let mut rest = &stream[..];
            while !rest.is_empty() {
                let (mut piece, after) = rest.split_at(step.min(rest.len()));
                rest = after;
                while !piece.is_empty() {
                    incoming.fill(&mut piece).unwrap();
                    while let Some(command) = incoming.take().unwrap() {
                        seen.push((command.opaque, command.body.len()));
                    }
                }
            }
            assert_eq!(seen, [(1, 0), (2, 300_000), (3, 5)], "in steps of {step}");
        }
    }

    #[test]
    fn a_stream_of_another_protocol_is_refused() {
        let mut incoming = Incoming::new();
        incoming.fill(&mut &b"HTTP/1.1 400 Bad Request\r\n"[..]).unwrap();
        assert!(matches!(incoming.take(), Err(IncomingError::Frame(FrameError::TooLong { .. }))));
    }
}
