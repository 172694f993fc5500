//! The two kinds of message id: where a message lies, and what its producer calls it.

mod offset_id;
mod unique_id;

pub use offset_id::{OffsetIdError, OffsetMessageId};
pub use unique_id::{UniqueId, UniqueIdGenerator};

/// Longest id of both kinds: 28 bytes in hex, for IPv6.
pub const MAX_ID_LEN: usize = 56;

/// An id as text, without a heap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct HexText {
    digits: [u8; MAX_ID_LEN],
    len: usize,
}

impl HexText {
    const EMPTY: Self = Self { digits: [b'0'; MAX_ID_LEN], len: 0 };

    /// Appends bytes as upper-case hex; what is beyond [`MAX_ID_LEN`] is dropped, which no id here reaches.
    fn push<const N: usize>(&mut self, bytes: [u8; N]) {
        let room = self.digits.get_mut(self.len..).unwrap_or_default();
        for (pair, byte) in room.as_chunks_mut::<2>().0.iter_mut().zip(bytes) {
            *pair = [digit(byte >> 4), digit(byte & 15)];
            self.len += 2;
        }
    }

    fn as_bytes(&self) -> &[u8] {
        &self.digits[..self.len]
    }

    fn as_str(&self) -> &str {
        // Hex digits are always text; the default stands for a case that cannot be.
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }
}

/// A nibble's digit, by arithmetic that the compiler can do for many at once.
const fn digit(nibble: u8) -> u8 {
    nibble + if nibble < 10 { b'0' } else { b'A' - 10 }
}
