//! Bodies in LZ4 frames, by the format's own description. The frame is walked here and its blocks are decompressed into their place: readers of
//! streams take twice the largest block for themselves, and clients name 4 MiB as that however short the body is.
//!
//! The checksums of a frame are for its readers: the log has its own, and what a producer has summed up wrongly harms nobody here.

use lz4_flex::block::{DecompressError, decompress_into_with_dict};

use crate::body::{Filled, append_within, first_guess};

const MAGIC: u32 = 0x184D_2204;

/// Bits of the first byte behind the magic number.
mod flag {
    pub(super) const DICTIONARY: u8 = 0x01;
    pub(super) const CONTENT_CHECKSUM: u8 = 0x04;
    pub(super) const CONTENT_SIZE: u8 = 0x08;
    pub(super) const BLOCK_CHECKSUM: u8 = 0x10;
    pub(super) const INDEPENDENT: u8 = 0x20;
    pub(super) const VERSION: u8 = 0xC0;
}

/// The only version there is.
const VERSION_1: u8 = 0x40;
/// Set in the length of a block that lies there as it is.
const STORED: u32 = 1 << 31;
/// How far back a block may point into those before it.
const WINDOW: usize = 64 << 10;

/// Appends the body as it was. `None` if it is damaged, needs a dictionary, or `out` would reach beyond `end`; what is appended then is of no use.
pub(crate) fn append(stored: &[u8], end: usize, out: &mut Vec<u8>) -> Option<()> {
    let (start, mut rest) = (out.len(), stored);
    if u32::from_le_bytes(take(&mut rest)?) != MAGIC {
        return None;
    }
    let [flags, sizes] = take(&mut rest)?;
    if flags & flag::VERSION != VERSION_1 || flags & flag::DICTIONARY != 0 {
        return None;
    }
    let largest = match sizes >> 4 & 7 {
        4 => 64 << 10,
        5 => 256 << 10,
        6 => 1 << 20,
        7 => 4 << 20,
        _ => return None,
    };
    if flags & flag::CONTENT_SIZE != 0 {
        take::<8>(&mut rest)?;
    }
    let [_checksum] = take(&mut rest)?;
    loop {
        let len = u32::from_le_bytes(take(&mut rest)?);
        if len == 0 {
            break;
        }
        let block;
        (block, rest) = rest.split_at_checked(usize::try_from(len & !STORED).ok()?)?;
        let block_end = end.min(out.len().saturating_add(largest));
        if len & STORED != 0 {
            if block.len() > block_end - out.len() {
                return None;
            }
            out.extend_from_slice(block);
        } else {
            let window = if flags & flag::INDEPENDENT != 0 { out.len() } else { start.max(out.len().saturating_sub(WINDOW)) };
            append_block(block, window, block_end, out)?;
        }
        if flags & flag::BLOCK_CHECKSUM != 0 {
            take::<4>(&mut rest)?;
        }
    }
    if flags & flag::CONTENT_CHECKSUM != 0 {
        take::<4>(&mut rest)?;
    }
    rest.is_empty().then_some(())
}

/// Appends a block, which may point back to what lies in `out` from `window` on.
fn append_block(block: &[u8], window: usize, end: usize, out: &mut Vec<u8>) -> Option<()> {
    let before = out[window..].to_vec();
    append_within(out, end, first_guess(block), |room| match decompress_into_with_dict(block, room, &before) {
        Ok(len) => Filled::Whole(len),
        Err(DecompressError::OutputTooSmall { .. }) => Filled::TooSmall,
        Err(_) => Filled::Damaged,
    })
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, left) = rest.split_first_chunk()?;
    *rest = left;
    Some(*taken)
}
