//! The two kinds of message id: where a message lies, and what its producer calls it.

mod offset_id;
mod unique_id;

pub use offset_id::{OffsetIdError, OffsetMessageId};
pub use unique_id::{UniqueId, UniqueIdGenerator};

/// Longest id of both kinds: 28 bytes in hex, for IPv6.
pub const MAX_ID_LEN: usize = 56;

const UPPER_HEX: &[u8; 16] = b"0123456789ABCDEF";

/// An id as text, without a heap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct HexText {
    digits: [u8; MAX_ID_LEN],
    len: u8,
}

impl HexText {
    const EMPTY: Self = Self { digits: [b'0'; MAX_ID_LEN], len: 0 };

    /// Appends bytes as upper-case hex; what is beyond [`MAX_ID_LEN`] is dropped, which no id here reaches.
    fn push(&mut self, bytes: &[u8]) {
        let start = usize::from(self.len);
        for (pair, &byte) in self.digits[start..].as_chunks_mut::<2>().0.iter_mut().zip(bytes) {
            *pair = [UPPER_HEX[usize::from(byte >> 4)], UPPER_HEX[usize::from(byte & 15)]];
            self.len += 2;
        }
    }

    fn as_str(&self) -> &str {
        // Hex digits are always text; the default stands for a case that cannot be.
        std::str::from_utf8(&self.digits[..usize::from(self.len)]).unwrap_or_default()
    }
}
