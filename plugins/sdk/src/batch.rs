//! A batch of messages, as `wit/filter.wit` packs it, and the messages in it.

use std::str;

/// A batch of messages of one queue.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    bytes: &'a [u8],
}

/// A message of a batch.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    batch: Batch<'a>,
    entry: &'a [u8],
}

impl<'a> Batch<'a> {
    /// The batch in these bytes. What is not there reads as empty, or 0.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// Messages in it.
    #[must_use]
    pub fn len(&self) -> usize {
        u32_at(self.bytes, 8) as usize
    }

    /// Whether it has no message; none that comes from a host has.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The argument of the subscription.
    #[must_use]
    pub fn argument(&self) -> &'a str {
        str::from_utf8(part(self.bytes, 28)).unwrap_or_default()
    }

    /// Its messages.
    pub fn messages(&self) -> impl Iterator<Item = Message<'a>> + use<'a> {
        let batch = *self;
        let (head, entry) = (u32_at(self.bytes, 0) as usize, u32_at(self.bytes, 4) as usize);
        let entries = self.bytes.get(head..).unwrap_or_default();
        entries.chunks_exact(entry.max(1)).take(self.len()).map(move |entry| Message { batch, entry })
    }
}

impl<'a> Message<'a> {
    /// The topic that the queue belongs to. Of a message that was sent back it is `%RETRY%` and the group; the property `RETRY_TOPIC` has its own.
    #[must_use]
    pub fn topic(&self) -> &'a str {
        str::from_utf8(part(self.batch.bytes, 20)).unwrap_or_default()
    }

    /// Number of the queue in the topic.
    #[must_use]
    pub fn queue_id(&self) -> i32 {
        i32_at(self.batch.bytes, 16)
    }

    /// Place in the queue.
    #[must_use]
    pub fn queue_offset(&self) -> i64 {
        i64_at(self.entry, 0)
    }

    /// When the producer made it, ms since 1970.
    #[must_use]
    pub fn born_time(&self) -> i64 {
        i64_at(self.entry, 8)
    }

    /// When the broker stored it, ms since 1970.
    #[must_use]
    pub fn store_time(&self) -> i64 {
        i64_at(self.entry, 16)
    }

    /// Hash of its tags, 0 without.
    #[must_use]
    pub fn tags_code(&self) -> i64 {
        i64_at(self.entry, 24)
    }

    /// A number of the producer's own.
    #[must_use]
    pub fn flag(&self) -> i32 {
        i32_at(self.entry, 32)
    }

    /// Bits of the protocol.
    #[must_use]
    pub fn sys_flag(&self) -> i32 {
        i32_at(self.entry, 36)
    }

    /// Whether [`Self::body`] is compressed. A filter that wants bodies gets them decompressed if they were compressed with zlib, LZ4 or zstd, as
    /// clients do it with large ones, and have 1 MiB at most; of any other this tells. Without bodies it tells how the producer sent it.
    #[must_use]
    pub fn is_compressed(&self) -> bool {
        self.sys_flag() & 1 != 0
    }

    /// How often it was sent back.
    #[must_use]
    pub fn reconsume_times(&self) -> i32 {
        i32_at(self.entry, 40)
    }

    /// Bytes of its body; if the filter does not want bodies, as the producer sent it, perhaps compressed.
    #[must_use]
    pub fn body_size(&self) -> usize {
        u32_at(self.entry, 44) as usize
    }

    /// Its body, if the filter wants bodies.
    #[must_use]
    pub fn body(&self) -> &'a [u8] {
        match u32_at(self.entry, 48) as usize {
            0 => &[],
            at => self.batch.bytes.get(at..).and_then(|rest| rest.get(..self.body_size())).unwrap_or_default(),
        }
    }

    /// Its properties in their order, if the filter wants them.
    #[must_use]
    pub fn properties(&self) -> Properties<'a> {
        let at = u32_at(self.entry, 52) as usize;
        let rest = self.batch.bytes.get(at..).and_then(|rest| rest.get(..u32_at(self.entry, 56) as usize));
        Properties { rest: rest.unwrap_or_default() }
    }

    /// The property of this name; of several the last, as clients take it.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<&'a str> {
        self.properties().filter(|&(known, _)| known == name.as_bytes()).last().and_then(|(_, value)| str::from_utf8(value).ok())
    }

    /// Its tags.
    #[must_use]
    pub fn tags(&self) -> Option<&'a str> {
        self.property("TAGS")
    }

    /// Its keys.
    pub fn keys(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.property("KEYS").unwrap_or_default().split_ascii_whitespace()
    }
}

/// Properties of a message: names and values as they were stored.
#[derive(Clone, Debug)]
pub struct Properties<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Properties<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        while !self.rest.is_empty() {
            let end = self.rest.iter().position(|&byte| byte == 2).unwrap_or(self.rest.len());
            let property = &self.rest[..end];
            self.rest = self.rest.get(end + 1..).unwrap_or_default();
            if let Some(middle) = property.iter().position(|&byte| byte == 1) {
                return Some((&property[..middle], &property[middle + 1..]));
            }
        }
        None
    }
}

/// The part whose place and size stand at `at`.
fn part(bytes: &[u8], at: usize) -> &[u8] {
    let (start, len) = (u32_at(bytes, at) as usize, u32_at(bytes, at + 4) as usize);
    bytes.get(start..).and_then(|rest| rest.get(..len)).unwrap_or_default()
}

fn chunk<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).copied().unwrap_or([0; N])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(chunk(bytes, at))
}

fn i32_at(bytes: &[u8], at: usize) -> i32 {
    i32::from_le_bytes(chunk(bytes, at))
}

fn i64_at(bytes: &[u8], at: usize) -> i64 {
    i64::from_le_bytes(chunk(bytes, at))
}
