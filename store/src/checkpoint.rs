//! The checkpoint file: how far log and queues are on disk, for the next start.
//!
//! Java's part is five big-endian `i64`: store time of the last record on disk, the same for queues, the same for the index,
//! and two offsets of replication. Behind it, where Java does not look, stands what Petrel needs to start at the right byte:
//!
//! ```text
//! at 64: "PTRL" | u32 version | u32 CRC-32 of Java's 40 bytes and of what follows
//!        i64 log and queues are on disk up to here | i64 start of the record that ends there, or -1 | u32 queues | u8 clean
//! ```
//!
//! The checksum covers Java's part: after a Java broker has worked on the store, ours is void.

use proto_core::record::body_crc;

/// Length of the file.
pub(crate) const LEN: usize = 4096;

const JAVA_LEN: usize = 40;
const AT: usize = 64;
const MAGIC: [u8; 4] = *b"PTRL";
const VERSION: u32 = 1;
const PAYLOAD_AT: usize = AT + 12;
const PAYLOAD_LEN: usize = 8 + 8 + 4 + 1;

/// Java's fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct JavaCheckpoint {
    /// Store time of the last record on disk.
    pub(crate) physic_msg_timestamp: i64,
    /// Store time of the last record whose queue unit is on disk.
    pub(crate) logics_msg_timestamp: i64,
    /// Store time of the last record in an index file on disk.
    pub(crate) index_msg_timestamp: i64,
    /// Replication's; kept as it is found.
    pub(crate) master_flushed_offset: i64,
    /// Replication's; kept as it is found.
    pub(crate) confirm_phy_offset: i64,
}

impl JavaCheckpoint {
    /// Records stored before this moment are on disk with their units: RocketMQ leaves 3 s for safety.
    pub(crate) fn min_timestamp(&self) -> i64 {
        (self.physic_msg_timestamp.min(self.logics_msg_timestamp) - 3000).max(0)
    }
}

/// Petrel's fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The log and the units of its records are on disk up to this offset.
    pub(crate) position: i64,
    /// Start of the record that ends there; -1 if there is none.
    pub(crate) last_record: i64,
    /// How many queues had files, for a clean stop.
    pub(crate) queues: u32,
    /// The store was closed in order: nothing follows `position`.
    pub(crate) clean: bool,
}

impl Mark {
    /// Nothing of any queue holds: the next start begins where the log does.
    pub(crate) const fn all_anew(log_start: i64) -> Self {
        Self { position: log_start, last_record: -1, queues: 0, clean: false }
    }
}

/// The file's content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Checkpoint {
    /// Java's part.
    pub(crate) java: JavaCheckpoint,
    /// Petrel's part, if it is valid.
    pub(crate) mark: Option<Mark>,
}

/// A checkpoint that a later version wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Newer(pub(crate) u32);

impl Checkpoint {
    /// Reads a file's content; one that is too short says nothing.
    ///
    /// # Errors
    /// [`Newer`].
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Newer> {
        let Some(java) = bytes.first_chunk::<JAVA_LEN>() else { return Ok(Self::default()) };
        let field = |at: usize| java[at..].first_chunk().map_or(0, |chunk| i64::from_be_bytes(*chunk));
        let java_fields = JavaCheckpoint {
            physic_msg_timestamp: field(0),
            logics_msg_timestamp: field(8),
            index_msg_timestamp: field(16),
            master_flushed_offset: field(24),
            confirm_phy_offset: field(32),
        };
        Ok(Self { java: java_fields, mark: decode_mark(bytes)? })
    }

    /// What is wrong with a file's content, if neither Java nor Petrel leaves one like that.
    pub(crate) fn damage(bytes: &[u8]) -> Option<&'static str> {
        // Java 5.5 has one more number behind the five, within the first 64 bytes.
        let behind_java = bytes.get(AT..).unwrap_or_default();
        match bytes.get(AT..AT + 4) {
            None => Some("it is too short"),
            Some(magic) if magic != MAGIC && behind_java.iter().any(|byte| *byte != 0) => Some("it holds something else"),
            Some(_) => None,
        }
    }

    /// The file's content.
    pub(crate) fn encode(&self) -> [u8; LEN] {
        let mut bytes = [0; LEN];
        let java = &self.java;
        let fields = [
            java.physic_msg_timestamp,
            java.logics_msg_timestamp,
            java.index_msg_timestamp,
            java.master_flushed_offset,
            java.confirm_phy_offset,
        ];
        for (at, field) in fields.iter().enumerate() {
            bytes[at * 8..at * 8 + 8].copy_from_slice(&field.to_be_bytes());
        }
        if let Some(mark) = &self.mark {
            let payload = &mut bytes[PAYLOAD_AT..PAYLOAD_AT + PAYLOAD_LEN];
            payload[..8].copy_from_slice(&mark.position.to_be_bytes());
            payload[8..16].copy_from_slice(&mark.last_record.to_be_bytes());
            payload[16..20].copy_from_slice(&mark.queues.to_be_bytes());
            payload[20] = u8::from(mark.clean);
            let crc = checksum(&bytes);
            bytes[AT..AT + 4].copy_from_slice(&MAGIC);
            bytes[AT + 4..AT + 8].copy_from_slice(&VERSION.to_be_bytes());
            bytes[AT + 8..AT + 12].copy_from_slice(&crc.to_be_bytes());
        }
        bytes
    }
}

fn decode_mark(bytes: &[u8]) -> Result<Option<Mark>, Newer> {
    let u32_at = |at: usize| bytes.get(at..).and_then(<[u8]>::first_chunk).map(|chunk| u32::from_be_bytes(*chunk));
    let i64_at = |at: usize| bytes.get(at..).and_then(<[u8]>::first_chunk).map(|chunk| i64::from_be_bytes(*chunk));
    if bytes.len() < PAYLOAD_AT + PAYLOAD_LEN || bytes[AT..AT + 4] != MAGIC {
        return Ok(None);
    }
    match u32_at(AT + 4) {
        Some(VERSION) => {}
        Some(newer) if newer > VERSION => return Err(Newer(newer)),
        _ => return Ok(None),
    }
    if u32_at(AT + 8) != Some(checksum(bytes)) {
        return Ok(None);
    }
    let (Some(position), Some(last_record), Some(queues)) = (i64_at(PAYLOAD_AT), i64_at(PAYLOAD_AT + 8), u32_at(PAYLOAD_AT + 16)) else {
        return Ok(None);
    };
    Ok((position >= 0).then_some(Mark { position, last_record, queues, clean: bytes[PAYLOAD_AT + 20] == 1 }))
}

/// Of Java's part and of our fields. `bytes` are long enough.
fn checksum(bytes: &[u8]) -> u32 {
    let mut covered = [0; JAVA_LEN + PAYLOAD_LEN];
    covered[..JAVA_LEN].copy_from_slice(&bytes[..JAVA_LEN]);
    covered[JAVA_LEN..].copy_from_slice(&bytes[PAYLOAD_AT..PAYLOAD_AT + PAYLOAD_LEN]);
    body_crc(&covered)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Checkpoint {
        let java = JavaCheckpoint {
            physic_msg_timestamp: 1_700_000_003_000,
            logics_msg_timestamp: 1_700_000_002_000,
            index_msg_timestamp: 3,
            master_flushed_offset: 4,
            confirm_phy_offset: 5,
        };
        Checkpoint { java, mark: Some(Mark { position: 4096, last_record: 4000, queues: 7, clean: true }) }
    }

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(Checkpoint::decode(&sample().encode()), Ok(sample()));
        assert_eq!(sample().java.min_timestamp(), 1_699_999_999_000);
    }

    #[test]
    fn our_mark_is_void_once_java_has_written_its_part() {
        let mut bytes = sample().encode();
        bytes[7] ^= 1;
        let read = Checkpoint::decode(&bytes).unwrap();
        assert_eq!(read.mark, None);
        assert_eq!(read.java.physic_msg_timestamp, 1_700_000_003_000 ^ 1);
    }

    #[test]
    fn a_mark_of_a_later_version_is_refused() {
        let mut bytes = sample().encode();
        bytes[AT + 7] = 2;
        assert_eq!(Checkpoint::decode(&bytes), Err(Newer(2)));
    }

    #[test]
    fn what_java_leaves_is_no_damage_and_what_stands_where_nobody_writes_is() {
        let mut bytes = [0; LEN];
        bytes[..JAVA_LEN + 8].fill(7);
        assert_eq!(Checkpoint::damage(&bytes), None);
        bytes[AT + 30] = 1;
        assert_eq!(Checkpoint::damage(&bytes), Some("it holds something else"));
        assert_eq!(Checkpoint::damage(&sample().encode()), None);
    }

    #[test]
    fn a_file_that_is_too_short_says_nothing() {
        assert_eq!(Checkpoint::decode(&[1; 39]), Ok(Checkpoint::default()));
        assert_eq!(Checkpoint::decode(&sample().encode()[..90]).unwrap().mark, None);
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic_and_a_mark_is_never_made_up(mut bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let _ = Checkpoint::decode(&bytes);
            if bytes.len() >= AT + 8 {
                bytes[AT..AT + 4].copy_from_slice(&MAGIC);
                bytes[AT + 4..AT + 8].copy_from_slice(&VERSION.to_be_bytes());
                proptest::prop_assert_eq!(Checkpoint::decode(&bytes).map(|it| it.mark), Ok(None));
            }
        }
    }
}
