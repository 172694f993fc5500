//! One look into a queue: which stored messages a pull gets, and where the next one begins.
//!
//! It is a function over storage and holds no state. `broker/pull.rs` calls it when a pull comes in and when one that waited is woken.
//!
//! The rules are those of Java's `DefaultMessageStore.getMessage`: bounds first, then a bounded scan over one file of the queue.

use crate::{
    filter::{Candidate, MessageFilter, Verdicts},
    storage::{LogOffset, LogRange, QueueBounds, QueueId, QueueUnit, Readability, Storage, Units},
};

/// How a look ended; the names are RocketMQ's and travel as the remark of a pull's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadStatus {
    /// There are messages.
    Found,
    /// There was something to scan, nothing of it passed the filter.
    NoMatchedMessage,
    /// The log no longer holds what the queue points to.
    MessageWasRemoving,
    /// The queue has a hole at the offset.
    OffsetFoundNull,
    /// The offset lies beyond the end by more than one.
    OffsetOverflowBadly,
    /// The offset is the next one to be written.
    OffsetOverflowOne,
    /// The offset lies before the first message.
    OffsetTooSmall,
    /// The queue has never had a message.
    NoMessageInQueue,
    /// Somebody has set the group's offset; the pull is to go on from there.
    OffsetReset,
}

impl ReadStatus {
    /// RocketMQ's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Found => "FOUND",
            Self::NoMatchedMessage => "NO_MATCHED_MESSAGE",
            Self::MessageWasRemoving => "MESSAGE_WAS_REMOVING",
            Self::OffsetFoundNull => "OFFSET_FOUND_NULL",
            Self::OffsetOverflowBadly => "OFFSET_OVERFLOW_BADLY",
            Self::OffsetOverflowOne => "OFFSET_OVERFLOW_ONE",
            Self::OffsetTooSmall => "OFFSET_TOO_SMALL",
            Self::NoMessageInQueue => "NO_MESSAGE_IN_QUEUE",
            Self::OffsetReset => "OFFSET_RESET",
        }
    }
}

/// How much one look may return, by RocketMQ's keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadLimits {
    /// `maxTransferBytesOnMessageInMemory`
    pub memory_bytes: u64,
    /// `maxTransferCountOnMessageInMemory`
    pub memory_count: usize,
    /// `maxTransferBytesOnMessageInDisk`
    pub disk_bytes: u64,
    /// `maxTransferCountOnMessageInDisk`
    pub disk_count: usize,
    /// `maxFilterMessageSize`, in bytes of consume-queue units: how far a look scans for matches.
    pub scan_bytes: usize,
    /// How many bytes behind the end of the log count as being in memory, whether they are or not
    /// (`accessMessageInMemoryMaxRatio` of the machine's memory).
    pub memory_window: i64,
}

impl Default for ReadLimits {
    fn default() -> Self {
        Self {
            memory_bytes: 256 * 1024,
            memory_count: 32,
            disk_bytes: 64 * 1024,
            disk_count: 8,
            scan_bytes: 16_000,
            memory_window: 4 << 30,
        }
    }
}

/// What a look found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueRead {
    /// How it ended.
    pub status: ReadStatus,
    /// The offset to go on from: after the last message scanned, delivered or not.
    pub next_begin_offset: i64,
    /// The queue's bounds at the time.
    pub bounds: QueueBounds,
    /// Messages found.
    pub count: usize,
    /// What was looked at last lies so far behind the end of the log that it has to come from the disk: a slave could read it as well.
    pub suggest_slave: bool,
}

/// Bytes that no look goes beyond but for its first message, whatever the limits say (`MAX_PULL_MSG_SIZE`).
const MAX_BYTES: u64 = 128 << 20;

/// Storage is asked of so many bytes of the log at a time whether they are in memory. Messages that lie farther apart count as on disk.
const CLOSE: i64 = 1 << 20;

/// Messages are judged in batches of this many, so that one call of a filter serves several.
const BATCH: usize = 64;

/// What to look for.
#[derive(Clone, Copy)]
pub struct Wanted<'a> {
    /// The queue.
    pub queue: QueueId,
    /// The first offset to look at.
    pub from: i64,
    /// How many messages at most; less than one still gets the first.
    pub max: usize,
    /// Which of them; `None` takes all.
    pub filter: Option<&'a dyn MessageFilter>,
}

/// Looks for messages and appends their places to `ranges`, touching ones joined; `verdicts` is room to judge in, used again and again.
pub fn read_queue<S: Storage>(
    storage: &S,
    wanted: Wanted<'_>,
    limits: &ReadLimits,
    verdicts: &mut Verdicts,
    ranges: &mut Vec<LogRange>,
) -> QueueRead {
    let Wanted { queue, from, max, filter } = wanted;
    let bounds = storage.bounds(queue);
    let ends = |status, next_begin_offset| QueueRead { status, next_begin_offset, bounds, count: 0, suggest_slave: false };
    if bounds.max == 0 {
        return ends(ReadStatus::NoMessageInQueue, 0);
    }
    if from < bounds.min {
        return ends(ReadStatus::OffsetTooSmall, bounds.min);
    }
    if from == bounds.max {
        return ends(ReadStatus::OffsetOverflowOne, from);
    }
    if from > bounds.max {
        return ends(ReadStatus::OffsetOverflowBadly, bounds.max);
    }
    let readable = usize::try_from(bounds.max - from).unwrap_or(usize::MAX);
    // A client that asks for two thousand million messages gets no more than others, and must not keep them waiting while none matches.
    let most = max.min(limits.memory_count.max(limits.disk_count));
    let scan = most.max(limits.scan_bytes / QueueUnit::LEN).min(readable);
    let mut units = storage.units(queue, from).take_first(scan);
    if units.len() == 0 {
        // What is there but cannot be had for now is not passed over.
        let next = if storage.unit(queue, from).is_some() { from } else { storage.next_file_offset(from) };
        return ends(ReadStatus::OffsetFoundNull, next);
    }

    let (log_start, log_end) = storage.log_bounds();
    let mut taken = Taken { max, limits, count: 0, bytes: 0 };
    let mut cached = Cached::default();
    let (mut next, mut removed, mut full) = (from, false, false);
    let mut last_looked_at = log_end;
    while !full && units.len() > 0 {
        let batch = units.take_first(BATCH.min(max.max(1)));
        if let Some(filter) = filter {
            judge(storage, filter, (queue, next), batch, verdicts);
        }
        let following = |index| batch.skip(index).take(most);
        for (index, unit) in batch.enumerate() {
            // One that leads nowhere is looked at whatever its tags code says.
            let is_possible = unit.offset >= log_start && unit.offset < log_end && unit.size > 0;
            let is_wanted = is_possible && (filter.is_none() || verdicts.delivers(index));
            if is_wanted {
                let is_near = log_end.0 - unit.offset.0 <= limits.memory_window;
                let fits =
                    taken.has_room_for(&unit, is_near) || taken.has_room_for(&unit, true) && cached.holds(storage, &unit, following(index));
                if !fits {
                    full = true;
                    break;
                }
            }
            if is_wanted || !is_possible || filter.is_some_and(MessageFilter::needs_record) {
                match storage.readability(queue, next, &unit) {
                    Readability::Whole if is_wanted => {
                        taken.take(&unit);
                        push_joined(ranges, &unit);
                    }
                    Readability::InDoubt => {
                        full = true;
                        break;
                    }
                    Readability::Whole | Readability::Damaged => removed |= unit.offset < log_start,
                }
            }
            last_looked_at = unit.offset;
            next += 1;
        }
    }
    let status = match (taken.count, removed) {
        (0, true) => ReadStatus::MessageWasRemoving,
        (0, false) => ReadStatus::NoMatchedMessage,
        _ => ReadStatus::Found,
    };
    let suggest_slave = log_end.0 - last_looked_at.0 > limits.memory_window;
    QueueRead { status, next_begin_offset: next, bounds, count: taken.count, suggest_slave }
}

/// What has been taken so far, against the limits.
struct Taken<'a> {
    max: usize,
    limits: &'a ReadLimits,
    count: usize,
    bytes: u64,
}

impl Taken<'_> {
    /// Whether one more message fits; the first one always does.
    fn has_room_for(&self, unit: &QueueUnit, in_memory: bool) -> bool {
        let (bytes_limit, count_limit) =
            if in_memory { (self.limits.memory_bytes, self.limits.memory_count) } else { (self.limits.disk_bytes, self.limits.disk_count) };
        let bytes = self.bytes + u64::from(unit.size);
        self.count == 0 || (self.count < self.max.min(count_limit) && bytes <= bytes_limit.min(MAX_BYTES))
    }

    fn take(&mut self, unit: &QueueUnit) {
        self.count += 1;
        self.bytes += u64::from(unit.size);
    }
}

/// What is known to be in memory though it lies far behind the end of the log. That it has to come from the disk is an estimate of Java's; the
/// limits of the disk are for what would have to be waited for.
#[derive(Default)]
struct Cached {
    asked: bool,
    end: LogOffset,
}

impl Cached {
    /// Whether the record of `unit` is in memory; `from_here` begins with that unit. Storage is asked once, about all of them that lie close together.
    fn holds<S: Storage>(&mut self, storage: &S, unit: &QueueUnit, from_here: impl Iterator<Item = QueueUnit>) -> bool {
        let end_of = |unit: &QueueUnit| LogOffset(unit.offset.0.saturating_add(i64::from(unit.size)));
        if !self.asked {
            self.asked = true;
            let close = |it: &LogOffset| (unit.offset.0..=unit.offset.0 + CLOSE).contains(&it.0);
            if let Some(end) = from_here.map(|it| end_of(&it)).take_while(close).last()
                && let Ok(len) = u32::try_from(end.0 - unit.offset.0)
                && storage.is_in_memory(LogRange { offset: unit.offset, len })
            {
                self.end = end;
            }
        }
        end_of(unit) <= self.end
    }
}

fn judge<S: Storage>(storage: &S, filter: &dyn MessageFilter, (queue, from): (QueueId, i64), units: Units<'_>, verdicts: &mut Verdicts) {
    verdicts.reset(units.len());
    let needs_record = filter.needs_record();
    let mut batch = smallvec::SmallVec::<[Candidate<'_>; BATCH]>::new();
    let is_whole = |offset, unit: &QueueUnit| storage.readability(queue, offset, unit) == Readability::Whole;
    let record = |offset, unit: &QueueUnit| if needs_record && is_whole(offset, unit) { storage.record(unit.offset) } else { None };
    batch.extend((from..).zip(units).map(|(offset, unit)| Candidate { tags_code: unit.tags_code, record: record(offset, &unit) }));
    filter.matches(&batch, verdicts);
}

fn push_joined(ranges: &mut Vec<LogRange>, unit: &QueueUnit) {
    if let Some(last) = ranges.last_mut()
        && last.offset.0 + i64::from(last.len) == unit.offset.0
    {
        last.len += unit.size;
    } else {
        ranges.push(LogRange { offset: unit.offset, len: unit.size });
    }
}

#[cfg(test)]
mod tests;
