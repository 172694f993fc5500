//! How far the timer is, as `config/timercheck`.
//!
//! Java's part is seven big-endian `i64`: slots before this time are done, end of the timer log, units that are in it (twice: of this broker and of
//! its master), and a data version. Behind it, where Java does not look, stands what Petrel goes by:
//!
//! ```text
//! at 64: "PTRT" | u32 version | u32 CRC-32 of Java's 56 bytes and of what follows
//!        i64 units before this are read | i64 units before this are done | u8 spans | for each: i64 first unit | i64 time, i64 offset of the key
//! ```
//!
//! The checksum covers Java's part: after a Java broker has worked on the store, ours is void. Java has no timer log of ours to read; it
//! reads the timer's queue again from the first unit that is not done.

use proto_core::record::body_crc;
use thiserror::Error;

use super::{
    TimerSchedule,
    progress::{Progress, Span},
    window::TimerKey,
};
use crate::time::Timestamp;

/// Length of the file.
const LEN: usize = 4096;
const JAVA_LEN: usize = 56;
const AT: usize = 64;
const PAYLOAD_AT: usize = AT + 12;
const SPANS_AT: usize = PAYLOAD_AT + 17;
const SPAN_LEN: usize = 24;
const MAGIC: &[u8; 4] = b"PTRT";
const VERSION: u32 = 1;

/// The end of the year 2199: no broker of today writes a later time.
const LATEST: i64 = 7_258_118_399_999;
/// Java's fields with the largest value that each can have. They have no checksum.
const JAVA_FIELDS: [(&str, i64); 7] = [
    ("time of the last slot", LATEST),
    ("end of the timer log", i64::MAX),
    ("queue offset", i64::MAX),
    ("queue offset of the master", i64::MAX),
    ("state version", i64::MAX),
    ("time of the data version", LATEST),
    ("counter of the data version", i64::MAX),
];

/// A file that cannot be gone by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TimerFileError {
    /// Shorter than Java's fields.
    #[error("{0} bytes are no timer checkpoint, which has 56 and more")]
    TooShort(usize),
    /// Written by a later version.
    #[error("a later version ({0}) has written it")]
    Newer(u32),
    /// One of Java's fields holds what no broker writes.
    #[error("its {field} of {value} cannot be: this is no timer checkpoint")]
    Impossible {
        /// What it stands for.
        field: &'static str,
        /// What it holds.
        value: i64,
    },
}

/// What a file says.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Checkpoint {
    progress: Progress,
    /// All units before this are done.
    low: i64,
}

impl TimerSchedule {
    /// Whether a file is one of this broker or of Java's.
    ///
    /// # Errors
    /// [`TimerFileError`]
    pub fn check_file(content: &[u8]) -> Result<(), TimerFileError> {
        Checkpoint::decode(Timestamp(LATEST), content).map(drop)
    }

    /// Takes in a saved file, from this broker or from Java's. What Java's says of times after `now` is not believed: rather a message
    /// twice than none.
    ///
    /// # Errors
    /// [`TimerFileError`]; nothing was taken in.
    pub fn load(&mut self, now: Timestamp, content: &[u8]) -> Result<(), TimerFileError> {
        let Checkpoint { progress, low } = Checkpoint::decode(now, content)?;
        self.progress = progress;
        self.begin_at(low);
        Ok(())
    }

    /// The file as it is saved.
    #[must_use]
    pub fn to_file(&self, now: Timestamp) -> Vec<u8> {
        // What was not read again since the start counts as open.
        let unknown = self.scan.filter(|scan| scan.unknown_before > 0).map(|scan| scan.at);
        let low = [self.backlog.first(), unknown].into_iter().flatten().min().unwrap_or(self.progress.read);
        let checkpoint = Checkpoint { progress: self.progress.clone(), low: low.min(self.progress.read) };
        let rules = self.config.rules;
        checkpoint.encode(now, |moment| rules.floor(moment))
    }
}

impl Checkpoint {
    fn decode(now: Timestamp, bytes: &[u8]) -> Result<Self, TimerFileError> {
        if let Some(ours) = decode_ours(bytes)? {
            return Ok(ours);
        }
        let (fields, _) = bytes.get(..JAVA_LEN).ok_or(TimerFileError::TooShort(bytes.len()))?.as_chunks();
        for (field, (name, most)) in fields.iter().zip(JAVA_FIELDS) {
            let value = i64::from_be_bytes(*field);
            if !(0..=most).contains(&value) {
                return Err(TimerFileError::Impossible { field: name, value });
            }
        }
        let [done_before, _, here, master, ..] = fields else { return Err(TimerFileError::TooShort(bytes.len())) };
        let read = i64::from_be_bytes(*here).min(i64::from_be_bytes(*master));
        let before = TimerKey::begin_of(Timestamp(i64::from_be_bytes(*done_before)).min(now));
        Ok(Self { progress: Progress::new(read, before), low: 0 })
    }

    fn encode(&self, now: Timestamp, floor: impl Fn(i64) -> i64) -> Vec<u8> {
        let mut bytes = vec![0; LEN];
        let mut put = |at: usize, field: &[u8]| bytes[at..at + field.len()].copy_from_slice(field);
        let done_before = floor(self.progress.first_open().at.0.clamp(0, now.0.max(0)));
        for (index, field) in [done_before, 0, self.low, self.low, 0, now.0, 0].into_iter().enumerate() {
            put(index * 8, &field.to_be_bytes());
        }
        put(PAYLOAD_AT, &self.progress.read.to_be_bytes());
        put(PAYLOAD_AT + 8, &self.low.to_be_bytes());
        let spans = self.progress.spans();
        // There are few.
        put(PAYLOAD_AT + 16, &[u8::try_from(spans.len()).unwrap_or(u8::MAX)]);
        for (index, span) in spans.iter().enumerate() {
            for (field, value) in [span.from, span.before.at.0, span.before.offset].into_iter().enumerate() {
                put(SPANS_AT + index * SPAN_LEN + field * 8, &value.to_be_bytes());
            }
        }
        let crc = checksum(&bytes, spans.len());
        bytes[AT..AT + 4].copy_from_slice(MAGIC);
        bytes[AT + 4..AT + 8].copy_from_slice(&VERSION.to_be_bytes());
        bytes[AT + 8..AT + 12].copy_from_slice(&crc.to_be_bytes());
        bytes
    }
}

/// What Petrel has written, if Java has not written since.
fn decode_ours(bytes: &[u8]) -> Result<Option<Checkpoint>, TimerFileError> {
    let u32_at = |at: usize| bytes.get(at..).and_then(<[u8]>::first_chunk).map(|chunk| u32::from_be_bytes(*chunk));
    let Some(count) = bytes.get(SPANS_AT - 1).map(|count| usize::from(*count)).filter(|_| bytes[AT..].starts_with(MAGIC)) else {
        return Ok(None);
    };
    match u32_at(AT + 4) {
        Some(VERSION) => {}
        Some(newer) if newer > VERSION => return Err(TimerFileError::Newer(newer)),
        _ => return Ok(None),
    }
    if bytes.len() < SPANS_AT + count * SPAN_LEN || u32_at(AT + 8) != Some(checksum(bytes, count)) {
        return Ok(None);
    }
    let span = |index: usize| {
        let field = |field: usize| i64_at(bytes, SPANS_AT + index * SPAN_LEN + field * 8);
        Some(Span { from: field(0)?, before: TimerKey { at: Timestamp(field(1)?), offset: field(2)? } })
    };
    let spans: Option<Vec<_>> = (0..count).map(span).collect();
    let (read, low) = (i64_at(bytes, PAYLOAD_AT), i64_at(bytes, PAYLOAD_AT + 8));
    let progress = read.zip(spans).and_then(|(read, spans)| Progress::of_spans(read, spans));
    Ok(progress.zip(low).map(|(progress, low)| Checkpoint { progress, low }))
}

fn i64_at(bytes: &[u8], at: usize) -> Option<i64> {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map(|chunk| i64::from_be_bytes(*chunk))
}

/// Of Java's part and of ours. `bytes` are long enough.
fn checksum(bytes: &[u8], spans: usize) -> u32 {
    let covered = [&bytes[..JAVA_LEN], &bytes[PAYLOAD_AT..SPANS_AT + spans * SPAN_LEN]].concat();
    body_crc(&covered)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_700_000_040_000);

    fn key(at: i64, offset: i64) -> TimerKey {
        TimerKey { at: Timestamp(at), offset }
    }

    fn sample() -> Checkpoint {
        let spans = vec![Span { from: 0, before: key(1_700_000_010_000, 3) }, Span { from: 7, before: key(1_700_000_005_001, i64::MIN) }];
        Checkpoint { progress: Progress::of_spans(9, spans).unwrap(), low: 2 }
    }

    fn encoded() -> Vec<u8> {
        sample().encode(Timestamp(1_700_000_020_400), |moment| moment / 1000 * 1000)
    }

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(Checkpoint::decode(NOW, &encoded()), Ok(sample()));
    }

    #[test]
    fn java_reads_the_queue_again_from_the_first_unit_that_is_not_done() {
        let bytes = encoded();
        let java: Vec<_> = (0..7).map(|field| i64_at(&bytes, field * 8).unwrap()).collect();
        assert_eq!(java, [1_700_000_005_000, 0, 2, 2, 0, 1_700_000_020_400, 0]);
        assert_eq!(bytes.len(), 4096);
    }

    #[test]
    fn after_java_has_written_its_part_counts() {
        let mut bytes = encoded();
        bytes[..8].copy_from_slice(&1_700_000_030_000_i64.to_be_bytes());
        bytes[16..24].copy_from_slice(&12_i64.to_be_bytes());
        bytes[24..32].copy_from_slice(&11_i64.to_be_bytes());
        let read = Checkpoint::decode(NOW, &bytes).unwrap();
        assert_eq!(read, Checkpoint { progress: Progress::new(11, TimerKey::begin_of(Timestamp(1_700_000_030_000))), low: 0 });
        assert!(read.progress.is_done(key(1_700_000_029_000, 10)) && !read.progress.is_done(key(1_700_000_030_000, 3)));
    }

    #[test]
    fn a_later_version_and_half_a_file_are_refused() {
        let mut bytes = encoded();
        bytes[AT + 7] = 9;
        assert_eq!(Checkpoint::decode(NOW, &bytes), Err(TimerFileError::Newer(9)));
        assert_eq!(Checkpoint::decode(NOW, &bytes[..55]), Err(TimerFileError::TooShort(55)));
    }

    #[test]
    fn what_java_says_of_times_to_come_is_not_believed() {
        let mut bytes = vec![0; LEN];
        bytes[..8].copy_from_slice(&(NOW.0 + 86_400_000).to_be_bytes());
        assert_eq!(Checkpoint::decode(NOW, &bytes).map(|read| read.progress.first_open()), Ok(TimerKey::begin_of(NOW)));
    }

    #[test]
    fn a_text_is_no_checkpoint() {
        let error = Checkpoint::decode(NOW, &b"# a note that somebody put where the timer's checkpoint was, by mistake"[..]).unwrap_err();
        assert!(matches!(error, TimerFileError::Impossible { field: "time of the last slot", .. }), "{error}");
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(mut bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..400)) {
            let _ = Checkpoint::decode(NOW, &bytes);
            if bytes.len() >= AT + 8 {
                bytes[AT..AT + 4].copy_from_slice(MAGIC);
                bytes[AT + 4..AT + 8].copy_from_slice(&VERSION.to_be_bytes());
                let _ = Checkpoint::decode(NOW, &bytes);
            }
        }
    }
}
