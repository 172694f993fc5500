//! Records that another process has written. What the disk has made of them since is not known, so each is held against its checksum
//! before it is handed out: a reader gets an error instead of a damaged message. Records of this process cost nothing.

use std::{cell::RefCell, collections::BTreeSet, path::Path};

use proto_core::record::{self, peek};

use crate::{
    disk::file_path,
    whole_record::{Found, Trailers, check},
};

/// So many damaged records are told of; after that somebody knows.
const TOLD: usize = 1000;

/// Which records are old, and of which of them it was told that they are damaged.
#[derive(Debug)]
pub(crate) struct OldRecords {
    /// Records before this were there when the log was opened.
    until: i64,
    trailers: Trailers,
    told: RefCell<BTreeSet<i64>>,
}

/// A place of the log that is looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    /// Folder of the log.
    pub(crate) dir: &'a Path,
    /// Bytes of a file.
    pub(crate) file_size: usize,
    /// The offset in the log.
    pub(crate) offset: i64,
    /// The bytes from there on, at least as many as the record has.
    pub(crate) bytes: &'a [u8],
}

impl OldRecords {
    /// All before `until`, which is the end of a log that is being opened.
    pub(crate) const fn before(until: i64, trailers: Trailers) -> Self {
        Self { until, trailers, told: RefCell::new(BTreeSet::new()) }
    }

    /// What the checksums at the end of its records are worth.
    pub(crate) const fn trailers(&self) -> &Trailers {
        &self.trailers
    }

    /// Whether a record that begins at an offset has to be looked at.
    #[inline]
    pub(crate) const fn has(&self, offset: i64) -> bool {
        offset < self.until
    }

    /// The length of the record at a place if it is whole. Tells once of one that should be there and is not.
    pub(crate) fn len(&self, place: Place<'_>) -> Option<usize> {
        let why = match self.look(place, None) {
            Ok(len) => return Some(len),
            Err(why) => why,
        };
        // Somebody may ask for any offset; only what says itself to lie there should be a record.
        if len_of_head(place.bytes, place.offset).is_some() {
            self.tell(place, &why);
        }
        None
    }

    /// The length of the record at a place, if it is whole, and as long as `expected` if a unit says how long it is.
    ///
    /// # Errors
    /// Why it is not.
    pub(crate) fn look(&self, Place { file_size, offset, bytes, .. }: Place<'_>, expected: Option<u32>) -> Result<usize, String> {
        let in_file = usize::try_from(offset.rem_euclid(file_size as i64)).unwrap_or(0);
        match (check(bytes, file_size - in_file, offset, &self.trailers)?, expected) {
            (Found::Blank, _) => Err("the file ends there".to_owned()),
            (Found::Record(len), Some(expected)) if expected as usize != len => {
                Err(format!("the queue says that it has {expected} bytes, it has {len}"))
            }
            (Found::Record(len), _) => Ok(len),
        }
    }

    /// Tells once of a damaged record.
    pub(crate) fn tell(&self, Place { dir, file_size, offset, .. }: Place<'_>, why: &str) {
        let mut told = self.told.borrow_mut();
        if told.len() < TOLD && told.insert(offset) {
            let in_file = offset.rem_euclid(file_size as i64);
            let path = file_path(dir, offset - in_file);
            tracing::error!(path = %path.display(), byte = in_file, offset, why, "a message is damaged; readers pass over it");
            if told.len() == TOLD {
                tracing::error!("damaged messages are not told of any more; `petrel store verify` finds them all");
            }
        }
    }
}

/// The length of the record of which the head lies in front, if it is one of that offset.
pub(crate) fn len_of_head(bytes: &[u8], offset: i64) -> Option<usize> {
    let is_record = bytes.len() >= record::MIN_LEN
        && matches!(peek::magic(bytes), Some(record::MAGIC_V1 | record::MAGIC_V2))
        && peek::physical_offset(bytes) == offset;
    let len = usize::try_from(peek::total_size(bytes)?).ok()?;
    (is_record && len >= record::MIN_LEN).then_some(len)
}
