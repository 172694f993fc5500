//! What still has to leave on one connection: copied headers and uncopied slices of the log, in order.

use std::{
    collections::VecDeque,
    io::{self, IoSlice, Write},
};

use bytes::Bytes;

use crate::buffers::BufferPool;

/// Bodies up to this size are copied behind their header: cheaper than another piece of a vectored write.
const COPY_LIMIT: usize = 4096;

/// Pieces in one vectored write.
const PIECES: usize = 64;

/// What a queued piece costs beside its bytes; counted so that many small pieces meet the limit too.
const PIECE_COST: usize = 64;

/// The bytes that wait for a connection, and where they lie.
#[derive(Debug)]
pub struct WriteQueue<L> {
    /// Copied bytes of all `Piece::Copied`, one after the other; the first `gone` of them have left.
    copied: Vec<u8>,
    gone: usize,
    pieces: VecDeque<Piece<L>>,
    /// Bytes that wait, wherever they lie.
    waiting: usize,
    /// Of those, what occupies memory of this process.
    in_memory: usize,
}

#[derive(Debug)]
enum Piece<L> {
    /// So many of the copied bytes.
    Copied(usize),
    /// A body that is shared.
    Shared { body: Bytes, gone: usize },
    /// A slice of the log.
    Log { slice: L, gone: usize },
}

/// How a write went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Bytes that left.
    pub bytes: usize,
    /// Whether the other side takes no more for now.
    pub blocked: bool,
}

impl<L: AsRef<[u8]>> WriteQueue<L> {
    /// An empty queue that owns no memory.
    #[must_use]
    pub const fn new() -> Self {
        Self { copied: Vec::new(), gone: 0, pieces: VecDeque::new(), waiting: 0, in_memory: 0 }
    }

    /// Bytes that wait.
    #[must_use]
    pub const fn waiting(&self) -> usize {
        self.waiting
    }

    /// Bytes of this process's memory that are kept for the peer. Slices of the log cost only their bookkeeping.
    #[must_use]
    pub fn in_memory(&self) -> usize {
        self.in_memory + self.pieces.len() * PIECE_COST
    }

    /// Whether nothing waits.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.waiting == 0
    }

    /// Appends what `encode` writes.
    pub fn encode(&mut self, pool: &mut BufferPool, encode: impl FnOnce(&mut Vec<u8>)) {
        if self.copied.capacity() == 0 {
            self.copied = pool.take();
        }
        let before = self.copied.len();
        encode(&mut self.copied);
        let added = self.copied.len() - before;
        if let Some(Piece::Copied(len)) = self.pieces.back_mut() {
            *len += added;
        } else if added > 0 {
            self.pieces.push_back(Piece::Copied(added));
        }
        self.waiting += added;
        self.in_memory += added;
    }

    /// Appends a body: small ones are copied, others are shared.
    pub fn push_body(&mut self, pool: &mut BufferPool, body: Bytes) {
        if body.len() <= COPY_LIMIT {
            return self.encode(pool, |out| out.extend_from_slice(&body));
        }
        self.waiting += body.len();
        self.in_memory += body.len();
        self.pieces.push_back(Piece::Shared { body, gone: 0 });
    }

    /// Appends a slice of the log, without a copy.
    pub fn push_slice(&mut self, slice: L) {
        let len = slice.as_ref().len();
        if len > 0 {
            self.waiting += len;
            self.pieces.push_back(Piece::Log { slice, gone: 0 });
        }
    }

    /// Writes until all has left or the other side takes no more. A queue that ends up empty gives its memory back to `pool`.
    ///
    /// # Errors
    /// The connection's; it is of no use any more then.
    pub fn write_to(&mut self, target: &mut impl Write, pool: &mut BufferPool) -> io::Result<Written> {
        let mut bytes = 0;
        while self.waiting > 0 {
            match self.write_once(target) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    bytes += written;
                    self.advance(written);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.compact();
                    return Ok(Written { bytes, blocked: true });
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.copied.clear();
        self.gone = 0;
        pool.give(std::mem::take(&mut self.copied));
        Ok(Written { bytes, blocked: false })
    }

    fn write_once(&self, target: &mut impl Write) -> io::Result<usize> {
        if self.pieces.len() == 1
            && let Some(Piece::Copied(len)) = self.pieces.front()
        {
            return target.write(&self.copied[self.gone..self.gone + len]);
        }
        let mut slices = [IoSlice::new(&[]); PIECES];
        let mut copied = self.gone;
        let mut count = 0;
        for (place, piece) in slices.iter_mut().zip(&self.pieces) {
            *place = IoSlice::new(match piece {
                Piece::Copied(len) => {
                    copied += len;
                    &self.copied[copied - len..copied]
                }
                Piece::Shared { body, gone } => &body[*gone..],
                Piece::Log { slice, gone } => {
                    let bytes = &slice.as_ref()[*gone..];
                    store::prefetch(bytes);
                    bytes
                }
            });
            count += 1;
        }
        target.write_vectored(&slices[..count])
    }

    /// Takes `written` bytes off the front.
    fn advance(&mut self, mut written: usize) {
        self.waiting -= written;
        while written > 0 {
            let Some(piece) = self.pieces.front_mut() else { return };
            let left = match piece {
                Piece::Copied(len) => {
                    let step = written.min(*len);
                    *len -= step;
                    self.gone += step;
                    self.in_memory -= step;
                    written -= step;
                    *len
                }
                Piece::Shared { body, gone } => {
                    let step = written.min(body.len() - *gone);
                    *gone += step;
                    written -= step;
                    if *gone == body.len() {
                        self.in_memory -= body.len();
                    }
                    body.len() - *gone
                }
                Piece::Log { slice, gone } => {
                    let len = slice.as_ref().len();
                    let step = written.min(len - *gone);
                    *gone += step;
                    written -= step;
                    len - *gone
                }
            };
            if left == 0 {
                self.pieces.pop_front();
            }
        }
    }

    /// Drops copied bytes that have left, once they are the larger half: a peer that is always a little behind must not make the buffer grow.
    fn compact(&mut self) {
        if self.gone > self.copied.len() / 2 {
            self.copied.drain(..self.gone);
            self.gone = 0;
        }
    }
}

impl<L: AsRef<[u8]>> Default for WriteQueue<L> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A peer that takes `room` bytes, at most `step` at a time, and then no more.
    struct Peer {
        got: Vec<u8>,
        room: usize,
        step: usize,
        calls: usize,
    }

    impl Peer {
        fn with_room(room: usize) -> Self {
            Self { got: Vec::new(), room, step: usize::MAX, calls: 0 }
        }
    }

    impl Write for Peer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.write_vectored(&[IoSlice::new(bytes)])
        }

        fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
            self.calls += 1;
            let before = self.got.len();
            for slice in slices {
                let free = self.room.min(self.step - (self.got.len() - before));
                let step = slice.len().min(free);
                self.got.extend_from_slice(&slice[..step]);
                self.room -= step;
            }
            let taken = self.got.len() - before;
            if taken == 0 { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(taken) }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A header, a slice, a large shared body, a header: 3 + 5 + 5000 + 4 bytes.
    fn mixed(pool: &mut BufferPool) -> (WriteQueue<Vec<u8>>, Vec<u8>) {
        let mut queue = WriteQueue::new();
        queue.encode(pool, |out| out.extend_from_slice(b"one"));
        queue.push_slice(b"slice".to_vec());
        queue.push_body(pool, Bytes::from(vec![7; 5000]));
        queue.encode(pool, |out| out.extend_from_slice(b"last"));
        let all = [b"one".as_slice(), b"slice", &[7; 5000], b"last"].concat();
        (queue, all)
    }

    #[test]
    fn everything_leaves_in_order_with_one_call() {
        let mut pool = BufferPool::new(4, 1 << 16);
        let (mut queue, all) = mixed(&mut pool);
        let mut peer = Peer::with_room(usize::MAX);
        assert_eq!(queue.write_to(&mut peer, &mut pool).unwrap(), Written { bytes: 5012, blocked: false });
        assert_eq!((peer.got, peer.calls), (all, 1));
        assert!(queue.is_empty());
        assert_eq!(queue.in_memory(), 0);
    }

    #[test]
    fn a_write_may_be_cut_at_any_byte() {
        let mut pool = BufferPool::new(4, 1 << 16);
        for cut in 0..5012 {
            let (mut queue, all) = mixed(&mut pool);
            let mut peer = Peer::with_room(cut);
            assert_eq!(queue.write_to(&mut peer, &mut pool).unwrap(), Written { bytes: cut, blocked: true });
            assert_eq!(queue.waiting(), 5012 - cut);
            queue.encode(&mut pool, |out| out.extend_from_slice(b"more"));
            peer.room = usize::MAX;
            assert_eq!(queue.write_to(&mut peer, &mut pool).unwrap(), Written { bytes: 5012 - cut + 4, blocked: false });
            assert_eq!(peer.got, [all.as_slice(), b"more"].concat());
        }
    }

    #[test]
    fn more_pieces_than_one_call_takes_need_several() {
        let mut pool = BufferPool::new(4, 1 << 16);
        let mut queue = WriteQueue::new();
        let mut all = Vec::new();
        for piece in 0..200_u8 {
            queue.push_slice(vec![piece; 3]);
            all.extend_from_slice(&[piece; 3]);
        }
        let mut peer = Peer::with_room(usize::MAX);
        queue.write_to(&mut peer, &mut pool).unwrap();
        assert_eq!((peer.got, peer.calls), (all, 200_usize.div_ceil(PIECES)));
    }

    #[test]
    fn slices_of_the_log_cost_no_memory_but_their_bookkeeping() {
        let mut queue = WriteQueue::new();
        queue.push_slice(vec![0; 1 << 20]);
        assert_eq!((queue.waiting(), queue.in_memory()), (1 << 20, PIECE_COST));
    }

    #[test]
    fn a_peer_that_is_always_a_little_behind_does_not_make_the_buffer_grow() {
        let mut pool = BufferPool::new(4, 1 << 16);
        let mut queue = WriteQueue::<Vec<u8>>::new();
        let mut peer = Peer::with_room(0);
        queue.encode(&mut pool, |out| out.extend_from_slice(&[1; 100]));
        for _ in 0..10_000 {
            queue.encode(&mut pool, |out| out.extend_from_slice(&[2; 100]));
            peer.room = 100;
            assert!(queue.write_to(&mut peer, &mut pool).unwrap().blocked);
        }
        assert_eq!(queue.waiting(), 100);
        assert!(queue.copied.len() <= 400, "{} bytes are kept for 100 that wait", queue.copied.len());
    }

    #[test]
    fn an_empty_queue_gives_its_memory_back() {
        let mut pool = BufferPool::new(4, 1 << 16);
        let mut queue = WriteQueue::<Vec<u8>>::new();
        queue.encode(&mut pool, |out| out.extend_from_slice(b"x"));
        queue.write_to(&mut Peer::with_room(9), &mut pool).unwrap();
        assert_eq!((queue.copied.capacity(), pool.len()), (0, 1));
    }
}
