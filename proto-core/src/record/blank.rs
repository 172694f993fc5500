//! What fills the end of a file into which the next record does not fit.

use super::MAGIC_BLANK;

/// Bytes of a blank that are written; what follows up to its size is anything. So many bytes are always left in a file.
pub const BLANK_LEN: usize = 8;

/// The start of a blank of `size` bytes.
#[must_use]
pub fn encode_blank(size: i32) -> [u8; BLANK_LEN] {
    let [s0, s1, s2, s3] = size.to_be_bytes();
    let [m0, m1, m2, m3] = MAGIC_BLANK.to_be_bytes();
    [s0, s1, s2, s3, m0, m1, m2, m3]
}
