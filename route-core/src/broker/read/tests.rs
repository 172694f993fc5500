use std::net::SocketAddr;

use proto_core::hash::tags_code;

use super::*;
use crate::{
    filter::tags::TagFilter,
    storage::{
        NewMessage, TagsCode,
        memory::{MemoryStorage, Visibility},
    },
    time::Timestamp,
};

/// Bytes of a record whose body has 100.
const RECORD: u64 = 192;

const LIMITS: ReadLimits = ReadLimits {
    memory_bytes: 10 * RECORD,
    memory_count: 8,
    disk_bytes: 3 * RECORD,
    disk_count: 5,
    scan_bytes: 20 * 20,
    memory_window: i64::MAX,
};

/// A queue of messages with these lengths of their bodies.
fn log(bodies: impl IntoIterator<Item = usize>) -> (MemoryStorage, QueueId) {
    let mut storage = MemoryStorage::new(Visibility::OnAppend);
    let queue = storage.open_queue("T", 0);
    let host = SocketAddr::from(([127, 0, 0, 1], 10911));
    for len in bodies {
        let message = NewMessage {
            topic: "T",
            queue_id: 0,
            flag: 0,
            sys_flag: 0,
            born_timestamp: 0,
            born_host: host,
            store_host: host,
            reconsume_times: 0,
            prepared_transaction_offset: 0,
            body: &vec![b'x'; len],
            properties: b"",
            tags_code: TagsCode::Hash(tags_code(Some("A"))),
        };
        storage.append(Timestamp(1), queue, &message).unwrap();
    }
    (storage, queue)
}

fn look(log: &(MemoryStorage, QueueId), from: i64, max: usize, limits: &ReadLimits) -> QueueRead {
    let wanted = Wanted { queue: log.1, from, max, filter: None };
    let mut ranges = Vec::new();
    let read = read_queue(&log.0, wanted, limits, &mut Verdicts::default(), &mut ranges);
    let bytes: u64 = ranges.iter().map(|range| u64::from(range.len)).sum();
    assert!(read.count <= 1 || bytes <= limits.memory_bytes);
    read
}

#[test]
fn a_look_gives_as_many_messages_as_asked_for_up_to_the_limit() {
    let log = log([100; 30]);
    assert_eq!(look(&log, 0, 5, &LIMITS).count, 5);
    let all = look(&log, 0, 100, &LIMITS);
    assert_eq!((all.status, all.count, all.next_begin_offset), (ReadStatus::Found, 8, 8));
}

#[test]
fn a_look_gives_no_more_bytes_than_the_limit_but_always_one_message() {
    let limits = ReadLimits { memory_count: 100, ..LIMITS };
    assert_eq!(look(&log([100; 30]), 0, 100, &limits).count, 10);
    let log = log([5_000, 100, 5_000]);
    assert_eq!(look(&log, 0, 100, &limits).count, 1, "the first is longer than the limit");
    assert_eq!(look(&log, 1, 100, &limits).count, 1, "the second would go beyond it");
}

#[test]
fn a_pull_that_asks_for_nothing_gets_one_message() {
    assert_eq!(look(&log([100; 3]), 0, 0, &LIMITS).count, 1);
}

#[test]
fn what_lies_far_behind_the_end_of_the_log_has_the_limits_of_the_disk() {
    let far = ReadLimits { memory_window: 5 * RECORD as i64, ..LIMITS };
    let log = log([100; 30]);
    assert_eq!(look(&log, 0, 100, &far).count, 3, "bytes");
    assert_eq!(look(&log, 0, 100, &ReadLimits { disk_bytes: u64::MAX, ..far }).count, 5, "messages");
    assert_eq!(look(&log, 25, 100, &far).count, 5, "the last five are in memory");
}

#[test]
fn what_is_known_to_be_in_memory_has_its_limits_however_far_back_it_lies() {
    let far = ReadLimits { memory_window: 5 * RECORD as i64, ..LIMITS };
    let (storage, queue) = log([100; 30]);
    let log = (storage.cached_from(LogOffset(4 * RECORD as i64)), queue);
    assert_eq!(look(&log, 0, 100, &far).count, 3, "the first four are on the disk");
    assert_eq!(look(&log, 4, 100, &far).count, 8);
}

#[test]
fn messages_far_apart_are_not_looked_for_in_memory() {
    let far = ReadLimits { memory_window: 0, memory_bytes: u64::MAX, ..LIMITS };
    let (storage, queue) = log([400_000; 8]);
    let log = (storage.cached_from(LogOffset(0)), queue);
    let wanted = Wanted { queue: log.1, from: 0, max: 100, filter: None };
    let read = read_queue(&log.0, wanted, &far, &mut Verdicts::default(), &mut Vec::new());
    assert_eq!(read.count, 3, "the first, and those of which storage was asked");
}

#[test]
fn each_message_counts_by_its_own_place() {
    // Two from the disk, then those in memory, up to the limits of memory.
    let far = ReadLimits { memory_window: 6 * RECORD as i64, disk_count: 3, ..LIMITS };
    assert_eq!(look(&log([100; 8]), 0, 100, &far).count, 8);
    assert_eq!(look(&log([100; 10]), 0, 100, &far).count, 3);
}

#[test]
fn a_slave_is_suggested_for_what_lies_far_behind_the_end_of_the_log() {
    let far = ReadLimits { memory_window: 5 * RECORD as i64, ..LIMITS };
    let log = log([100; 30]);
    assert!(look(&log, 0, 100, &far).suggest_slave);
    assert!(!look(&log, 25, 100, &far).suggest_slave);
    assert!(!look(&log, 30, 100, &far).suggest_slave, "there is nothing to read at the end");
}

#[test]
fn a_look_in_vain_ends_after_a_while_and_says_where_to_go_on() {
    let log = log([100; 50]);
    let filter = TagFilter::parse("B").unwrap().unwrap();
    let look = |max, limits: &ReadLimits| {
        let wanted = Wanted { queue: log.1, from: 0, max, filter: Some(&filter) };
        let mut ranges = Vec::new();
        read_queue(&log.0, wanted, limits, &mut Verdicts::default(), &mut ranges)
    };
    let read = look(1, &LIMITS);
    assert_eq!((read.status, read.next_begin_offset), (ReadStatus::NoMatchedMessage, 20));
    let more = ReadLimits { memory_count: 40, ..LIMITS };
    assert_eq!(look(35, &more).next_begin_offset, 35, "as many as were asked for are looked at in any case");
    assert_eq!(look(usize::MAX, &more).next_begin_offset, 40, "but no more than anybody may get");
}

#[test]
fn offsets_outside_of_the_queue_are_answered_with_where_to_go_on() {
    let log = log([100; 3]);
    let outcome = |from| {
        let read = look(&log, from, 1, &LIMITS);
        (read.status, read.next_begin_offset)
    };
    assert_eq!(outcome(3), (ReadStatus::OffsetOverflowOne, 3));
    assert_eq!(outcome(4), (ReadStatus::OffsetOverflowBadly, 3));
    assert_eq!(outcome(-1), (ReadStatus::OffsetTooSmall, 0));
    assert_eq!(look(&self::log([]), 7, 1, &LIMITS).status, ReadStatus::NoMessageInQueue);
}
