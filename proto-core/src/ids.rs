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

    /// Appends bytes as upper-case hex, four at once; what is beyond [`MAX_ID_LEN`] is dropped, which no id here reaches.
    fn push<const N: usize>(&mut self, bytes: [u8; N]) {
        let (words, rest) = bytes.as_chunks::<4>();
        for word in words {
            self.push_digits(digits(u32::from_be_bytes(*word)));
        }
        for &byte in rest {
            let [.., high, low] = digits(byte.into());
            self.push_digits([high, low]);
        }
    }

    fn push_digits<const N: usize>(&mut self, digits: [u8; N]) {
        if let Some(room) = self.digits.get_mut(self.len..).and_then(<[u8]>::first_chunk_mut) {
            *room = digits;
            self.len += N;
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

/// The eight digits of a word, all at once: each nibble goes into a byte of its own, and those above 9 are moved on to the letters.
const fn digits(word: u32) -> [u8; 8] {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    let wide = word as u64;
    let wide = (wide << 16 | wide) & 0x0000_FFFF_0000_FFFF;
    let wide = (wide << 8 | wide) & 0x00FF_00FF_00FF_00FF;
    let nibbles = (wide << 4 | wide) & (ONES * 0x0F);
    let letters = (nibbles + ONES * 6) >> 4 & ONES;
    (nibbles + ONES * b'0' as u64 + letters * (b'A' - b'9' - 1) as u64).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_its_two_digits_wherever_it_stands() {
        for byte in 0..=u8::MAX {
            let mut text = HexText::EMPTY;
            text.push([byte, 0, !byte, byte, byte.wrapping_add(7)]);
            assert_eq!(text.as_str(), format!("{byte:02X}00{:02X}{byte:02X}{:02X}", !byte, byte.wrapping_add(7)));
        }
    }

    #[test]
    fn what_is_longer_than_any_id_is_dropped() {
        let mut text = HexText::EMPTY;
        text.push([0xAB; MAX_ID_LEN / 2]);
        text.push([0xCD; 4]);
        assert_eq!(text.as_str(), "AB".repeat(MAX_ID_LEN / 2));
    }
}
