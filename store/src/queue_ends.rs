//! Where log and queues began and ended when the store was closed in order, so that the next start notices files that went missing or became
//! shorter. A text file, `config/queueEnds`:
//!
//! ```text
//! <start of the log> <its end> <CRC-32 of all that follows>
//! <start of the queue> <its end> <its number> <its topic>     (a line for each queue)
//! ```
//!
//! It holds as long as Petrel's mark in the checkpoint does and no topic is removed: then it is removed, too. After a crash queues may have
//! grown since, and lost their oldest files; what they had at their end is still there.

use std::fmt::Write as _;

use foldhash::fast::FixedState;
use indexmap::IndexMap;
use proto_core::record::body_crc;

/// Name of the file in the folder of tables.
pub(crate) const FILE: &str = "queueEnds";

/// A queue as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct QueueSpan {
    /// The first offset that its files hold.
    pub(crate) first: i64,
    /// One past the last offset.
    pub(crate) end: i64,
}

/// The file's content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct QueueEnds {
    /// First byte of the log.
    pub(crate) log_start: i64,
    /// One past its last byte.
    pub(crate) log_end: i64,
    queues: IndexMap<String, Vec<(i32, QueueSpan)>, FixedState>,
}

impl QueueEnds {
    /// No queues, for a log with these bounds.
    pub(crate) fn of_log(log_start: i64, log_end: i64) -> Self {
        Self { log_start, log_end, queues: IndexMap::default() }
    }

    /// Adds a queue.
    pub(crate) fn insert(&mut self, topic: &str, queue_id: i32, span: QueueSpan) {
        // A line ends where the name does.
        if topic.contains('\n') {
            return;
        }
        match self.queues.get_mut(topic) {
            Some(spans) => spans.push((queue_id, span)),
            None => drop(self.queues.insert(topic.to_owned(), vec![(queue_id, span)])),
        }
    }

    /// All queues.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, i32, QueueSpan)> {
        self.queues.iter().flat_map(|(topic, spans)| spans.iter().map(|(queue_id, span)| (&**topic, *queue_id, *span)))
    }

    /// The file's content.
    pub(crate) fn encode(&self) -> String {
        let mut lines = String::new();
        for (topic, queue_id, QueueSpan { first, end }) in self.iter() {
            let _ = writeln!(lines, "{first} {end} {queue_id} {topic}");
        }
        let body = format!("{} {}\n{lines}", self.log_start, self.log_end);
        format!("{} {body}", body_crc(body.as_bytes()))
    }

    /// Reads a file's content; `None` if it is damaged.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (crc, body) = str::from_utf8(bytes).ok()?.split_once(' ')?;
        if crc.parse() != Ok(body_crc(body.as_bytes())) {
            return None;
        }
        let mut lines = body.lines();
        let (log_start, log_end) = lines.next()?.split_once(' ')?;
        let mut ends = Self::of_log(log_start.parse().ok()?, log_end.parse().ok()?);
        for line in lines {
            let mut fields = line.splitn(4, ' ');
            let span = QueueSpan { first: fields.next()?.parse().ok()?, end: fields.next()?.parse().ok()? };
            let queue_id = fields.next()?.parse().ok()?;
            ends.insert(fields.next()?, queue_id, span);
        }
        Some(ends)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends() -> QueueEnds {
        let mut ends = QueueEnds::of_log(100, 1234);
        for (topic, queue_id, first, end) in [("A", 0, 0, 7), ("A", 1, 0, 0), ("%RETRY%a group", 0, 5, i64::MAX)] {
            ends.insert(topic, queue_id, QueueSpan { first, end });
        }
        ends
    }

    #[test]
    fn what_was_written_is_read_again() {
        assert_eq!(QueueEnds::decode(ends().encode().as_bytes()), Some(ends()));
        assert_eq!(QueueEnds::decode(QueueEnds::default().encode().as_bytes()), Some(QueueEnds::default()));
    }

    #[test]
    fn a_file_that_lacks_a_byte_or_has_another_one_says_nothing() {
        let whole = ends().encode().into_bytes();
        for at in 0..whole.len() {
            assert_eq!(QueueEnds::decode(&whole[..at]), None, "cut at {at}");
            let mut other = whole.clone();
            other[at] ^= 1;
            assert_eq!(QueueEnds::decode(&other), None, "byte {at}");
        }
    }

    #[test]
    fn a_name_that_no_line_can_hold_is_left_out() {
        let mut ends = QueueEnds::default();
        ends.insert("two\nlines", 0, QueueSpan { first: 0, end: 1 });
        assert_eq!(ends, QueueEnds::default());
    }
}
