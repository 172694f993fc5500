//! Bodies that producers have compressed, as their consumers will see them.

use flate2::{Decompress, FlushDecompress, Status};
use proto_core::sys_flag::message::{self, Compression};

/// Room that a body is given at once; one that is longer gets more.
const ROOM: usize = 16 << 10;

/// Decompresses one body after the other.
#[derive(Debug, Default)]
pub(crate) struct Inflate(Option<Decompress>);

impl Inflate {
    /// Appends the body as it was before it was compressed with zlib, as clients do it unless they are told otherwise. `None`, and nothing is
    /// appended, if it is compressed in another way or not at all, is damaged, or would be longer than `limit`.
    pub(crate) fn append(&mut self, stored: &[u8], sys_flag: i32, limit: usize, out: &mut Vec<u8>) -> Option<()> {
        if sys_flag & message::COMPRESSED == 0 || message::compression(sys_flag) != Some(Compression::Zlib) {
            return None;
        }
        let start = out.len();
        let done = self.append_all(stored, start + limit, out);
        if done.is_none() {
            out.truncate(start);
        }
        done
    }

    fn append_all(&mut self, stored: &[u8], end: usize, out: &mut Vec<u8>) -> Option<()> {
        let inflate = self.0.get_or_insert_with(|| Decompress::new(true));
        inflate.reset(true);
        let mut rest = stored;
        loop {
            out.reserve(ROOM);
            let before = (inflate.total_in(), out.len());
            let status = inflate.decompress_vec(rest, out, FlushDecompress::None).ok()?;
            if out.len() > end {
                return None;
            }
            rest = &rest[usize::try_from(inflate.total_in() - before.0).ok()?..];
            match status {
                Status::StreamEnd => return Some(()),
                // With room to write and nothing more to read, the end is missing.
                Status::Ok | Status::BufError if (inflate.total_in(), out.len()) == before => return None,
                Status::Ok | Status::BufError => {}
            }
        }
    }
}

/// The flag of a message whose body has been decompressed.
pub(crate) const fn flag_of_inflated(sys_flag: i32) -> i32 {
    sys_flag & !(message::COMPRESSED | message::COMPRESSION_MASK)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::{Compression as Level, write::ZlibEncoder};

    use super::*;

    fn zlib(body: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Level::default());
        encoder.write_all(body).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn bodies_of_any_length_come_out_as_they_were_behind_what_is_there() {
        let mut inflate = Inflate::default();
        for len in [0, 1, 1000, ROOM, 5 * ROOM + 7] {
            let body: Vec<u8> = (0..len).map(|n| (n * n % 251) as u8).collect();
            let mut out = b"before".to_vec();
            inflate.append(&zlib(&body), message::COMPRESSED, len, &mut out).unwrap();
            assert_eq!(out, [b"before".as_slice(), &body].concat(), "{len}");
        }
    }

    #[test]
    fn what_is_cut_damaged_too_long_or_compressed_otherwise_is_left_alone() {
        let (mut inflate, whole) = (Inflate::default(), zlib(&[b'x'; 100_000]));
        let mut damaged = whole.clone();
        damaged[0] ^= 0xff;
        let mut out = b"before".to_vec();
        for (stored, flag, limit) in [
            (&whole[..], message::COMPRESSED, 99_999),
            (&whole[..whole.len() - 6], message::COMPRESSED, 200_000),
            (&damaged, message::COMPRESSED, 200_000),
            (&[], message::COMPRESSED, 200_000),
            (&whole, 0, 200_000),
            (&whole, message::COMPRESSED | 0x100, 200_000),
        ] {
            assert_eq!(inflate.append(stored, flag, limit, &mut out), None);
            assert_eq!(out, b"before");
        }
        assert!(inflate.append(&whole, message::COMPRESSED | 0x300, 100_000, &mut out).is_some());
    }
}
