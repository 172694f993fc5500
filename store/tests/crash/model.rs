//! What was put into a store, and what it promised.

use std::collections::BTreeMap;

use proto_core::bodies::ConsumerOffsetSerializeWrapper;
use route_core::{Timestamp, broker::offsets::OffsetTable, table_content::TableContent};

/// Topics and queues that are worked with.
pub(crate) const TOPICS: [&str; 3] = ["TopicA", "TopicB", "TopicC"];
pub(crate) const QUEUES: i32 = 2;

/// A message that was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) topic: &'static str,
    pub(crate) queue_id: i32,
    /// Counts how often the topic was removed before.
    pub(crate) generation: u32,
    pub(crate) queue_offset: i64,
    /// Where its record lies.
    pub(crate) offset: i64,
    pub(crate) end: i64,
    pub(crate) body: String,
    pub(crate) properties: String,
}

/// Offsets by key and queue.
pub(crate) type Offsets = BTreeMap<(String, i32), i64>;

/// Everything that is to be known about a store without a look at its disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    /// All messages in the order of the log.
    pub(crate) sent: Vec<Sent>,
    /// A turn has ended with the log up to here: it outlives the process.
    pub(crate) committed: i64,
    /// The store has said that the log is on disk up to here.
    pub(crate) durable: i64,
    /// How often each topic was removed.
    pub(crate) generations: BTreeMap<&'static str, u32>,
    /// The offset that was noted last for each key. Notes are numbered, so that a greater one is a later one.
    pub(crate) noted: Offsets,
    /// What the table held that is known to be on disk.
    pub(crate) saved: Offsets,
    /// The number of the last note.
    pub(crate) notes: i64,
}

impl Model {
    /// One past the last byte that was put into the log.
    pub(crate) fn end(&self) -> i64 {
        self.sent.last().map_or(0, |sent| sent.end)
    }

    pub(crate) fn generation(&self, topic: &str) -> u32 {
        self.generations.get(topic).copied().unwrap_or(0)
    }

    /// Whether any topic was ever removed.
    pub(crate) fn removed_any(&self) -> bool {
        !self.generations.is_empty()
    }

    /// The same up to an end of the log, as a store that goes on from there has it.
    pub(crate) fn cut(&self, end: i64) -> Self {
        let sent = self.sent.iter().filter(|sent| sent.end <= end).cloned().collect();
        Self { sent, committed: end, durable: end, ..self.clone() }
    }
}

/// The key of a message.
pub(crate) fn key(number: usize) -> String {
    format!("key-{number}")
}

/// The text of a table of offsets.
pub(crate) fn table_text(offsets: &Offsets) -> String {
    offsets.iter().map(|((key, queue), offset)| format!("{key} {queue} {offset}\n")).collect()
}

/// A table of offsets whose text the store is to make.
pub(crate) fn unmade_table(offsets: &Offsets) -> TableContent {
    let mut table = OffsetTable::new(Timestamp(0), offsets.len());
    for ((key, queue_id), offset) in offsets {
        table.restore(key, *queue_id, *offset);
    }
    TableContent::Offsets(table.snapshot())
}

/// The offsets in the text of a table.
pub(crate) fn parse_table(text: &str) -> Result<Offsets, String> {
    if text.starts_with('{') {
        let table: ConsumerOffsetSerializeWrapper =
            proto_core::json::from_table(text.as_bytes()).map_err(|error| format!("the table is torn: {error}"))?;
        let rows = table.offset_table.into_iter();
        return Ok(rows.flat_map(|(key, queues)| queues.into_iter().map(move |(queue, offset)| ((key.clone(), queue), offset))).collect());
    }
    let line = |line: &str| -> Option<((String, i32), i64)> {
        let mut words = line.split(' ');
        Some(((words.next()?.to_owned(), words.next()?.parse().ok()?), words.next()?.parse().ok()?))
    };
    if !text.is_empty() && !text.ends_with('\n') {
        return Err("the table is torn".into());
    }
    text.lines().map(|text| line(text).ok_or_else(|| format!("no line of a table: {text:?}"))).collect()
}
