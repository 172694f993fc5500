//! Bodies that producers have compressed, as their consumers will see them.

use proto_core::sys_flag::message::{self, Compression};
use zstd::{bulk::Decompressor, zstd_safe::get_frame_content_size};

use crate::{inflate::Inflate, lz4_frame};

/// Room that a body is given at once if nothing says how long it is.
const ROOM: usize = 16 << 10;

/// Decompresses one body after the other.
#[derive(Default)]
pub(crate) struct Bodies {
    inflate: Inflate,
    /// Made when the first body of its kind comes.
    zstd: Option<Decompressor<'static>>,
}

impl std::fmt::Debug for Bodies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bodies").finish_non_exhaustive()
    }
}

impl Bodies {
    /// Appends the body as it was before its producer compressed it with zlib, LZ4 or zstd, which are all that clients know. `None`, and nothing is
    /// appended, if it is compressed in another way or not at all, is damaged, or would be longer than `limit`.
    pub(crate) fn append(&mut self, stored: &[u8], sys_flag: i32, limit: usize, out: &mut Vec<u8>) -> Option<()> {
        if sys_flag & message::COMPRESSED == 0 {
            return None;
        }
        let start = out.len();
        let done = match message::compression(sys_flag)? {
            Compression::Zlib => self.inflate.append(stored, start + limit, out),
            Compression::Lz4 => lz4_frame::append(stored, start + limit, out),
            Compression::Zstd => self.append_zstd(stored, start + limit, out),
        };
        if done.is_none() {
            out.truncate(start);
        }
        done
    }

    /// The whole body lies in `out`, so that nothing is needed for the window that its frame names, which may be larger than all that a plugin has.
    fn append_zstd(&mut self, stored: &[u8], end: usize, out: &mut Vec<u8>) -> Option<()> {
        if stored.is_empty() {
            return None;
        }
        if self.zstd.is_none() {
            self.zstd = Decompressor::new().ok();
        }
        let zstd = self.zstd.as_mut()?;
        let known = get_frame_content_size(stored).ok()?;
        let first = known.map_or(first_guess(stored), |len| usize::try_from(len).unwrap_or(usize::MAX));
        if known.is_some() && first > end - out.len() {
            return None;
        }
        append_within(out, end, first, |room| match zstd.decompress_to_buffer(stored, room) {
            Ok(len) => Filled::Whole(len),
            // It says neither how long it is nor whether that was too little.
            Err(_) if known.is_none() => Filled::TooSmall,
            Err(_) => Filled::Damaged,
        })
    }
}

/// What has become of an attempt to fill a room.
pub(crate) enum Filled {
    /// All is there, and has this length.
    Whole(usize),
    /// There is more.
    TooSmall,
    /// There is no telling.
    Damaged,
}

/// The room for a body of which nobody says how long it is.
pub(crate) const fn first_guess(stored: &[u8]) -> usize {
    if stored.len() < ROOM / 4 { ROOM } else { 4 * stored.len() }
}

/// Appends what `fill` writes into a room, which gets four times as large each time that it is too small, until it reaches `end`.
pub(crate) fn append_within(out: &mut Vec<u8>, end: usize, first: usize, mut fill: impl FnMut(&mut [u8]) -> Filled) -> Option<()> {
    let start = out.len();
    let most = end.checked_sub(start)?;
    let mut room = first.min(most);
    loop {
        out.resize(start + room, 0);
        match fill(&mut out[start..]) {
            Filled::Whole(len) => {
                out.truncate(start + len);
                return Some(());
            }
            Filled::TooSmall if room < most => room = room.max(1).saturating_mul(4).min(most),
            Filled::TooSmall | Filled::Damaged => return None,
        }
    }
}

/// The flag of a message whose body has been decompressed.
pub(crate) const fn flag_of_decompressed(sys_flag: i32) -> i32 {
    sys_flag & !(message::COMPRESSED | message::COMPRESSION_MASK)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::{Compression as Level, write::ZlibEncoder};
    use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
    use proptest::prelude::*;

    use super::*;

    const ZLIB: i32 = message::COMPRESSED;
    const LZ4: i32 = message::COMPRESSED | 0x100;
    const ZSTD: i32 = message::COMPRESSED | 0x200;

    fn zlib(body: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Level::default());
        encoder.write_all(body).unwrap();
        encoder.finish().unwrap()
    }

    fn lz4(info: FrameInfo, body: &[u8]) -> Vec<u8> {
        let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
        encoder.write_all(body).unwrap();
        encoder.finish().unwrap()
    }

    /// As clients write it: in a stream, without saying how long it is.
    fn zstd_stream(body: &[u8]) -> Vec<u8> {
        zstd::stream::encode_all(body, 5).unwrap()
    }

    /// A body in each form that producers know, and some that they could.
    fn forms(body: &[u8]) -> Vec<(i32, Vec<u8>)> {
        let info = FrameInfo::new;
        let linked = info().block_mode(BlockMode::Linked).block_size(BlockSize::Max64KB);
        let checked =
            info().block_checksums(true).content_checksum(true).content_size(Some(body.len() as u64)).block_size(BlockSize::Max4MB);
        vec![
            (ZLIB, zlib(body)),
            (ZLIB | 0x300, zlib(body)),
            (LZ4, lz4(info().block_size(BlockSize::Max4MB), body)),
            (LZ4, lz4(linked, body)),
            (LZ4, lz4(checked, body)),
            (ZSTD, zstd_stream(body)),
            (ZSTD, zstd::bulk::compress(body, 19).unwrap()),
        ]
    }

    #[test]
    fn bodies_of_any_length_come_out_as_they_were_behind_what_is_there() {
        let mut bodies = Bodies::default();
        for len in [0, 1, 1000, ROOM, 5 * ROOM + 7, 70_000, 400_000] {
            let body: Vec<u8> = (0..len).map(|n| (n / 7 * n % 251) as u8).collect();
            for (nth, (flag, stored)) in forms(&body).into_iter().enumerate() {
                let mut out = b"before".to_vec();
                assert_eq!(bodies.append(&stored, flag, len, &mut out), Some(()), "form {nth} of {len}");
                assert!(out == [b"before".as_slice(), &body].concat(), "form {nth} of {len}");
            }
        }
    }

    #[test]
    fn what_is_cut_too_long_or_compressed_otherwise_is_left_alone() {
        let (mut bodies, body) = (Bodies::default(), [b'x'; 100_000]);
        let mut out = b"before".to_vec();
        for (nth, (flag, whole)) in forms(&body).into_iter().enumerate() {
            for (stored, flag, limit) in [
                (&whole[..], flag, 99_999),
                (&whole[..], flag, 0),
                (&whole[..whole.len() - 6], flag, 200_000),
                (&whole[..4], flag, 200_000),
                (&whole[1..], flag, 200_000),
                (&[], flag, 200_000),
                (&whole, 0, 200_000),
                (&whole, ZLIB | 0x400, 200_000),
                (&whole, if flag == LZ4 { ZSTD } else { LZ4 }, 200_000),
            ] {
                assert_eq!(
                    bodies.append(stored, flag, limit, &mut out),
                    None,
                    "form {nth} of {} bytes with {flag:x} and {limit}",
                    stored.len()
                );
                assert_eq!(out, b"before");
            }
            assert!(bodies.append(&whole, flag, 100_000, &mut out).is_some());
            out.truncate(6);
        }
    }

    proptest! {
        #[test]
        fn whatever_a_body_holds_no_more_comes_out_than_is_allowed(
            body in proptest::collection::vec(0_u8..4, 0..5000),
            damage in proptest::collection::vec((0_usize..6000, any::<u8>()), 0..4),
            noise in proptest::collection::vec(any::<u8>(), 0..200),
            limit in 0_usize..6000,
        ) {
            let mut bodies = Bodies::default();
            for (flag, mut stored) in forms(&body).into_iter().chain([(ZLIB, noise.clone()), (LZ4, noise.clone()), (ZSTD, noise)]) {
                for (at, with) in &damage {
                    let len = stored.len().max(1);
                    if let Some(byte) = stored.get_mut(at % len) {
                        *byte ^= with;
                    }
                }
                let mut out = b"before".to_vec();
                let done = bodies.append(&stored, flag, limit, &mut out);
                let most = if done.is_some() { limit } else { 0 };
                prop_assert!(out.starts_with(b"before") && out.len() - 6 <= most, "{} bytes with {:x}", out.len(), flag);
            }
        }
    }
}
