//! The bytes that have come on one connection and are not yet a whole frame.
//!
//! Most bytes never lie here: they are read into one scratch buffer that all connections share, and frames are handed on from there.
//! Only a frame that is cut by the end of what has come is kept, in memory that grows as its bytes arrive and never as they are announced.

use std::io;

use proto_core::{Frame, FrameDecoder, FrameError, command::CommandError, frame::Decoded};
use thiserror::Error;

use crate::buffers::BufferPool;

/// A cut frame up to this length is moved into the scratch buffer before more is read behind it; a longer one is completed where it lies,
/// so that no peer can make us move much by sending little.
const MOVE_LIMIT: usize = 8 * 1024;

/// First size of the memory for a long frame; it doubles from here as bytes arrive.
const FIRST_ROOM: usize = 64 * 1024;

/// The cut frame of one connection, if there is one.
#[derive(Debug, Default)]
pub struct Inbox {
    buffer: Vec<u8>,
    filled: usize,
    /// Length of the frame that is cut, as far as it is known.
    needed: usize,
    /// There may be whole frames among what is kept: the last turn was stopped before its end.
    stopped: bool,
}

/// Why a connection cannot go on.
#[derive(Debug, Error)]
pub enum ReadFailure {
    /// The socket failed.
    #[error("reading failed: {0}")]
    Io(#[from] io::Error),
    /// The bytes are no frames.
    #[error("{error}{}", spoken(.error))]
    Frame {
        /// What is wrong with them.
        #[from]
        error: FrameError,
    },
    /// The header of a frame cannot be read.
    #[error("{0}")]
    Command(#[from] CommandError),
    /// The peer closed its side inside a frame.
    #[error("it ended in the middle of a frame: {came} of {needed} bytes had come")]
    CutFrame {
        /// Bytes that had come.
        came: usize,
        /// Bytes that the frame was to have, as far as was known.
        needed: usize,
    },
}

/// What a peer speaks that takes us for somebody else: what its first four bytes would be as a length.
fn spoken(error: &FrameError) -> &'static str {
    let FrameError::TooLong { announced, .. } = error else { return "" };
    match u32::try_from(announced - 4).unwrap_or(0).to_be_bytes() {
        [0x16, 3, ..] => ": it speaks TLS, which is not served",
        [b'G', b'E', b'T', b' '] | [b'P', b'O', b'S', b'T'] | [b'H', b'E', b'A', b'D'] => ": it speaks HTTP, which is not served here",
        [b'P', b'R', b'O', b'X'] => ": it sends a PROXY header, which is not read",
        _ => "",
    }
}

/// How a turn of reading ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadEnd {
    /// Nothing more is there; the poll will tell when there is.
    Drained,
    /// The share of this turn is used up; there may be more.
    More,
    /// The one who takes the frames wants no more for now.
    Stopped,
    /// The peer has closed its side, after a whole frame.
    Ended,
}

/// Whether to go on with the next frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Go on.
    Continue,
    /// Keep the rest for later.
    Stop,
}

/// The two ends of a turn of reading: where bytes come from and where frames go.
pub trait Conduit {
    /// Reads what is there, as [`std::io::Read::read`] does on a socket that does not block.
    ///
    /// # Errors
    /// The socket's.
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize>;

    /// Takes one frame; it lies in a buffer that is used again.
    ///
    /// # Errors
    /// [`CommandError`] if its header cannot be read.
    fn frame(&mut self, frame: Frame<'_>) -> Result<Flow, CommandError>;
}

/// What a turn of reading works with.
#[derive(Debug)]
pub struct ReadTurn<'a> {
    /// Where the limit of frames is known.
    pub decoder: FrameDecoder,
    /// The shared buffer; its length is also the share of a turn in bytes.
    pub scratch: &'a mut [u8],
    /// Where memory for cut frames comes from.
    pub pool: &'a mut BufferPool,
    /// Read until the end is seen: the poll has told that it is there and will not tell again.
    pub to_the_end: bool,
}

/// How far a run of bytes went.
struct Cut {
    consumed: usize,
    needed: usize,
    stopped: bool,
}

impl Inbox {
    /// Memory that is kept for this connection, in bytes.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.buffer.capacity()
    }

    /// Gives the memory back; what was cut is lost.
    pub fn release(&mut self, pool: &mut BufferPool) {
        pool.give(std::mem::take(&mut self.buffer));
        *self = Self::default();
    }

    /// Reads what is there, one share at most, and hands on every whole frame.
    ///
    /// # Errors
    /// [`ReadFailure`]; the connection is to be closed.
    pub fn read(&mut self, conduit: &mut impl Conduit, turn: &mut ReadTurn<'_>) -> Result<ReadEnd, ReadFailure> {
        if self.stopped && self.resume(turn, conduit)? == Flow::Stop {
            return Ok(ReadEnd::Stopped);
        }
        let mut share = turn.scratch.len();
        while share > 0 {
            let long = self.needed > MOVE_LIMIT;
            let room = if long { self.long_room() } else { &mut turn.scratch[self.filled..] };
            let wanted = room.len();
            let came = match conduit.read(room) {
                Ok(0) if self.filled > 0 => return Err(ReadFailure::CutFrame { came: self.filled, needed: self.needed }),
                Ok(0) => return Ok(ReadEnd::Ended),
                Ok(came) => came,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(ReadEnd::Drained),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            };
            share = share.saturating_sub(came);
            let flow = if long { self.take_long(came, turn, conduit)? } else { self.take_scratch(came, turn, conduit)? };
            if flow == Flow::Stop {
                return Ok(ReadEnd::Stopped);
            }
            // A short read means that the socket is empty: what comes later is told by the poll.
            if came < wanted && !turn.to_the_end {
                return Ok(ReadEnd::Drained);
            }
        }
        Ok(ReadEnd::More)
    }

    /// Goes through what was kept when the last turn was stopped.
    fn resume(&mut self, turn: &mut ReadTurn<'_>, conduit: &mut impl Conduit) -> Result<Flow, ReadFailure> {
        let bytes = std::mem::take(&mut self.buffer);
        let cut = walk(&bytes[..self.filled], turn.decoder, conduit)?;
        Ok(self.keep_rest_of(bytes, cut, turn.pool))
    }

    /// Room behind what has come of a long frame, up to its end and no further.
    fn long_room(&mut self) -> &mut [u8] {
        if self.filled == self.buffer.len() {
            self.buffer.resize(self.needed.min((self.buffer.len() * 2).max(FIRST_ROOM)), 0);
        }
        &mut self.buffer[self.filled..]
    }

    fn take_long(&mut self, came: usize, turn: &mut ReadTurn<'_>, conduit: &mut impl Conduit) -> Result<Flow, ReadFailure> {
        self.filled += came;
        if self.filled < self.needed {
            return Ok(Flow::Continue);
        }
        let bytes = std::mem::take(&mut self.buffer);
        let cut = walk(&bytes[..self.filled], turn.decoder, conduit)?;
        Ok(self.keep_rest_of(bytes, cut, turn.pool))
    }

    fn take_scratch(&mut self, came: usize, turn: &mut ReadTurn<'_>, conduit: &mut impl Conduit) -> Result<Flow, ReadFailure> {
        let end = self.filled + came;
        turn.scratch[..self.filled].copy_from_slice(&self.buffer[..self.filled]);
        let cut = walk(&turn.scratch[..end], turn.decoder, conduit)?;
        let rest = &turn.scratch[cut.consumed..end];
        self.filled = rest.len();
        self.needed = cut.needed;
        self.stopped = cut.stopped;
        if rest.is_empty() {
            turn.pool.give(std::mem::take(&mut self.buffer));
        } else {
            if self.buffer.capacity() == 0 {
                self.buffer = turn.pool.take();
            }
            self.buffer.clear();
            self.buffer.extend_from_slice(rest);
        }
        Ok(if cut.stopped { Flow::Stop } else { Flow::Continue })
    }

    /// Keeps what follows the whole frames in `bytes`, whose first `self.filled` bytes are valid.
    fn keep_rest_of(&mut self, mut bytes: Vec<u8>, cut: Cut, pool: &mut BufferPool) -> Flow {
        bytes.truncate(self.filled);
        self.filled -= cut.consumed;
        self.needed = cut.needed;
        self.stopped = cut.stopped;
        if self.filled == 0 {
            pool.give(bytes);
        } else {
            bytes.drain(..cut.consumed);
            self.buffer = bytes;
        }
        if cut.stopped { Flow::Stop } else { Flow::Continue }
    }
}

/// Hands on the whole frames at the start of `bytes`.
fn walk(bytes: &[u8], decoder: FrameDecoder, conduit: &mut impl Conduit) -> Result<Cut, ReadFailure> {
    let mut consumed = 0;
    while consumed < bytes.len() {
        match decoder.decode(&bytes[consumed..])? {
            Decoded::Incomplete { needed } => return Ok(Cut { consumed, needed, stopped: false }),
            Decoded::Frame { frame, len } => {
                let flow = conduit.frame(frame)?;
                consumed += len;
                if flow == Flow::Stop {
                    return Ok(Cut { consumed, needed: 0, stopped: true });
                }
            }
        }
    }
    Ok(Cut { consumed, needed: 0, stopped: false })
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    /// A socket: each piece is what one read can get at most; an empty queue has nothing for now.
    #[derive(Default)]
    struct Socket {
        pieces: VecDeque<Vec<u8>>,
        ended: bool,
    }

    impl Socket {
        fn with(pieces: impl IntoIterator<Item = Vec<u8>>) -> Self {
            Self { pieces: pieces.into_iter().collect(), ended: false }
        }
    }

    impl Socket {
        fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
            let Some(mut piece) = self.pieces.pop_front() else {
                return if self.ended { Ok(0) } else { Err(io::ErrorKind::WouldBlock.into()) };
            };
            let step = piece.len().min(room.len());
            room[..step].copy_from_slice(&piece[..step]);
            if step < piece.len() {
                self.pieces.push_front(piece.split_off(step));
            }
            Ok(step)
        }
    }

    /// A socket, and what has come out of it.
    struct Pipe<'a> {
        socket: &'a mut Socket,
        bodies: &'a mut Vec<Vec<u8>>,
        left: usize,
    }

    impl Conduit for Pipe<'_> {
        fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
            self.socket.read(room)
        }

        fn frame(&mut self, frame: Frame<'_>) -> Result<Flow, CommandError> {
            self.bodies.push(frame.body.to_vec());
            self.left -= 1;
            Ok(if self.left == 0 { Flow::Stop } else { Flow::Continue })
        }
    }

    fn frame(body: &[u8]) -> Vec<u8> {
        let mut bytes = (u32::try_from(body.len()).unwrap() + 6).to_be_bytes().to_vec();
        bytes.extend_from_slice(&[0, 0, 0, 2]);
        bytes.extend_from_slice(b"{}");
        bytes.extend_from_slice(body);
        bytes
    }

    struct Bench {
        inbox: Inbox,
        scratch: Vec<u8>,
        pool: BufferPool,
        bodies: Vec<Vec<u8>>,
        /// Stop after so many frames of a turn.
        stop_after: usize,
        to_the_end: bool,
    }

    impl Bench {
        fn new(share: usize) -> Self {
            Self {
                inbox: Inbox::default(),
                scratch: vec![0; share],
                pool: BufferPool::new(8, 1 << 16),
                bodies: Vec::new(),
                stop_after: usize::MAX,
                to_the_end: false,
            }
        }

        fn read(&mut self, socket: &mut Socket) -> Result<ReadEnd, ReadFailure> {
            let mut turn = ReadTurn {
                decoder: FrameDecoder::default(),
                scratch: &mut self.scratch,
                pool: &mut self.pool,
                to_the_end: self.to_the_end,
            };
            let mut conduit = Pipe { socket, bodies: &mut self.bodies, left: self.stop_after };
            self.inbox.read(&mut conduit, &mut turn)
        }

        fn read_all(&mut self, socket: &mut Socket) {
            while !socket.pieces.is_empty() || self.inbox.stopped {
                self.read(socket).unwrap();
            }
        }
    }

    fn bodies() -> Vec<Vec<u8>> {
        [0, 5, 100, 9_000, 70_000, 1, 200_000, 3].iter().map(|&len| (0..len).map(|at| (at % 251) as u8).collect()).collect()
    }

    fn stream() -> Vec<u8> {
        bodies().iter().flat_map(|body| frame(body)).collect()
    }

    #[test]
    fn frames_come_whole_however_the_stream_is_cut() {
        for piece in [1, 2, 3, 7, 8, 9, 1000, 8191, 8193, 65_536, 1 << 20] {
            let mut bench = Bench::new(32 * 1024);
            bench.read_all(&mut Socket::with(stream().chunks(piece).map(<[u8]>::to_vec)));
            assert!(bench.bodies == bodies(), "cut into pieces of {piece}");
            assert_eq!(bench.inbox.memory(), 0, "cut into pieces of {piece}");
        }
    }

    #[test]
    fn a_turn_that_is_stopped_goes_on_where_it_was() {
        for stop_after in 1..5 {
            let mut bench = Bench { stop_after, ..Bench::new(32 * 1024) };
            bench.read_all(&mut Socket::with([stream()]));
            assert!(bench.bodies == bodies(), "stopped after {stop_after}");
        }
    }

    #[test]
    fn memory_grows_with_what_comes_and_not_with_what_is_announced() {
        let mut bench = Bench::new(32 * 1024);
        let mut start = frame(&[0; 10_000_000]);
        start.truncate(20_000);
        assert_eq!(bench.read(&mut Socket::with([start])).unwrap(), ReadEnd::Drained);
        assert!(bench.inbox.memory() <= 64 * 1024, "{}", bench.inbox.memory());
    }

    #[test]
    fn a_gigabyte_that_is_announced_is_refused_at_its_fourth_byte() {
        let mut bench = Bench::new(32 * 1024);
        let failure = bench.read(&mut Socket::with([vec![0x40, 0, 0, 0]])).unwrap_err();
        assert_eq!(failure.to_string(), "a frame of 1073741828 bytes is announced, the limit is 16777216");
    }

    #[test]
    fn who_speaks_something_else_is_named() {
        for (bytes, spoken) in [([0x16, 3, 1, 2], "TLS"), (*b"GET ", "HTTP"), (*b"PROX", "PROXY")] {
            let failure = Bench::new(32 * 1024).read(&mut Socket::with([bytes.to_vec()])).unwrap_err().to_string();
            assert!(failure.contains(spoken), "{failure}");
        }
    }

    #[test]
    fn a_turn_takes_its_share_and_leaves_the_rest() {
        let mut bench = Bench::new(1024);
        let mut socket = Socket::with([(0..100).flat_map(|_| frame(&[1; 90])).collect::<Vec<_>>()]);
        assert_eq!(bench.read(&mut socket).unwrap(), ReadEnd::More);
        assert_eq!(bench.bodies.len(), 10);
    }

    #[test]
    fn an_end_between_frames_is_an_end_and_inside_a_frame_a_failure() {
        let mut bench = Bench { to_the_end: true, ..Bench::new(1024) };
        let mut socket = Socket { pieces: [frame(b"x")].into(), ended: true };
        assert_eq!(bench.read(&mut socket).unwrap(), ReadEnd::Ended);
        let mut socket = Socket { pieces: [frame(b"x")[..5].to_vec()].into(), ended: true };
        assert_eq!(bench.read(&mut socket).unwrap_err().to_string(), "it ended in the middle of a frame: 5 of 11 bytes had come");
    }

    #[test]
    fn cut_frames_use_pooled_memory_again() {
        let mut bench = Bench::new(32 * 1024);
        let bytes = frame(&[1; 1000]);
        for _ in 0..3 {
            let mut socket = Socket::with([bytes[..700].to_vec()]);
            bench.read(&mut socket).unwrap();
            assert!(bench.inbox.memory() > 0);
            bench.read(&mut Socket::with([bytes[700..].to_vec()])).unwrap();
            assert_eq!((bench.inbox.memory(), bench.pool.len()), (0, 1));
        }
    }
}
