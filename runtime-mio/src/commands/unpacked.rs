//! The body of a message as its producer made it.

use std::{borrow::Cow, io::Read};

use flate2::read::ZlibDecoder;
use proto_core::{
    record::RecordView,
    sys_flag::message::{self, Compression},
};

/// More than this does not come out of a compressed body.
const MAX_BODY: u64 = 16 * 1024 * 1024;

/// The body, decompressed if it was compressed with zlib, as clients do it unless they are told otherwise. `None` for what is compressed
/// in another way, or is damaged.
pub(super) fn unpacked_body<'a>(record: &RecordView<'a>) -> Option<Cow<'a, [u8]>> {
    let stored = record.body();
    let flag = record.sys_flag();
    if flag & message::COMPRESSED == 0 {
        return Some(Cow::Borrowed(stored));
    }
    if message::compression(flag) != Some(Compression::Zlib) {
        return None;
    }
    let mut out = Vec::new();
    ZlibDecoder::new(stored).take(MAX_BODY + 1).read_to_end(&mut out).ok().filter(|_| out.len() as u64 <= MAX_BODY)?;
    Some(Cow::Owned(out))
}
