//! Eight bytes at a time, as a number: most texts of a header are so short that starting a vectorised search costs more than the text.

const ONES: u64 = u64::from_le_bytes([1; 8]);
const TOPS: u64 = u64::from_le_bytes([0x80; 8]);

/// The first eight bytes at `at`, the first of them lowest; `None` if there are fewer.
#[inline(always)]
pub(crate) fn at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// Marks the bytes of `word` that are `byte`. Above the lowest mark there may be false ones.
#[inline(always)]
pub(crate) const fn equal(word: u64, byte: u8) -> u64 {
    let zero_if_equal = word ^ (ONES * byte as u64);
    zero_if_equal.wrapping_sub(ONES) & !zero_if_equal & TOPS
}

/// Marks the bytes of `word` that are less than `limit`, which is at most 128. Above the lowest mark there may be false ones.
#[inline(always)]
pub(crate) const fn less(word: u64, limit: u8) -> u64 {
    word.wrapping_sub(ONES * limit as u64) & !word & TOPS
}

/// Which byte the lowest mark stands for; `marks` must not be 0.
#[inline(always)]
pub(crate) const fn first(marks: u64) -> usize {
    marks.trailing_zeros() as usize / 8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_mark_is_at_the_first_byte_that_matches() {
        for byte in [0, 1, b'"', b'\\', 0x7f, 0x80, 0xff] {
            for other in [0x20, byte.wrapping_add(1), byte.wrapping_sub(1), byte ^ 0x80] {
                for place in 0..8 {
                    let mut bytes = [other; 8];
                    bytes[place] = byte;
                    bytes[7] = byte;
                    let word = at(&bytes, 0).unwrap();
                    assert_eq!(first(equal(word, byte)), bytes.iter().position(|&found| found == byte).unwrap());
                    let less_than_space = bytes.iter().position(|&found| found < 0x20);
                    assert_eq!((less(word, 0x20) != 0).then(|| first(less(word, 0x20))), less_than_space);
                }
            }
        }
    }

    #[test]
    fn there_is_no_word_where_fewer_than_eight_bytes_are_left() {
        assert_eq!(at(&[0; 9], 1), Some(0));
        assert_eq!(at(&[0; 9], 2), None);
        assert_eq!(at(&[0; 9], 99), None);
    }
}
