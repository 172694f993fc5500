//! Bodies in zlib, as clients compress them unless they are told otherwise.

use flate2::{Decompress, FlushDecompress, Status};

/// Room that is added while there is more.
const ROOM: usize = 16 << 10;

/// Decompresses one body after the other.
#[derive(Debug, Default)]
pub(crate) struct Inflate(Option<Decompress>);

impl Inflate {
    /// Appends the body as it was. `None` if it is damaged, or `out` would reach beyond `end`; what is appended then is of no use.
    pub(crate) fn append(&mut self, stored: &[u8], end: usize, out: &mut Vec<u8>) -> Option<()> {
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
