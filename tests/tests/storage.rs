//! The store on disk and the one in memory, which the scenarios run on, do the same.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use proto_core::{hash::java_string_hash, properties, record::RecordView};
use route_core::{
    Storage, Timestamp,
    random::Random,
    storage::{
        Boundary, NewMessage, TagsCode,
        keys::{Found, KeyKind, KeyQuery, Search},
        memory::{MemoryStorage, Visibility},
    },
};
use store::{Store, StoreConfig, StoreEvent};

const TOPICS: &[&str] = &["Orders", "Payments", "%RETRY%readers"];

/// Something to do, the same for both.
#[derive(Clone, Debug)]
enum Step {
    Append {
        topic: &'static str,
        queue: i32,
        body: Vec<u8>,
        tag: usize,
        at: i64,
    },
    Batch {
        topic: &'static str,
        queue: i32,
        bodies: Vec<Vec<u8>>,
        at: i64,
    },
    Read {
        topic: &'static str,
        queue: i32,
        from: i64,
    },
    Search {
        topic: &'static str,
        queue: i32,
        at: i64,
    },
    Find(KeyQuery),
    Remove {
        topic: &'static str,
    },
    Arrivals,
    /// The process ends as it should and starts again; memory just goes on.
    Reopen,
    /// The process is killed and starts again.
    Kill,
}

fn steps(seed: u64, count: usize) -> Vec<Step> {
    let mut random = Random::new(seed);
    let mut clock = 1_700_000_000_000;
    let mut steps = Vec::new();
    for number in 0..count {
        clock += i64::from(random.below(5));
        let topic = TOPICS[random.below(3) as usize];
        let queue = random.below(3) as i32;
        let body = |random: &mut Random| {
            let len = if random.below(20) == 0 { random.below(9000) } else { random.below(200) };
            let mut body = format!("{number}-").into_bytes();
            body.extend((0..len).map(|at| (at % 251) as u8));
            body
        };
        steps.push(match random.below(40) {
            0..=21 => Step::Append { topic, queue, body: body(&mut random), tag: random.below(3) as usize, at: clock },
            22..=25 => Step::Batch { topic, queue, bodies: (0..1 + random.below(9)).map(|_| body(&mut random)).collect(), at: clock },
            26..=30 => Step::Read { topic, queue, from: i64::from(random.below(60)) },
            31 => Step::Find(query(&mut random, topic, clock)),
            32..=35 => Step::Search { topic, queue, at: clock - i64::from(random.below(200)) },
            36..=37 => Step::Arrivals,
            38 => match random.below(8) {
                0 => Step::Reopen,
                1 => Step::Kill,
                _ => Step::Arrivals,
            },
            _ if random.below(6) == 0 => Step::Remove { topic },
            _ => Step::Arrivals,
        });
    }
    steps
}

/// A look-up, mostly of something that is there.
fn query(random: &mut Random, topic: &str, clock: i64) -> KeyQuery {
    let begin = if random.below(2) == 0 { 0 } else { clock - i64::from(random.below(500)) };
    let end = if random.below(2) == 0 { i64::MAX } else { clock - i64::from(random.below(300)) };
    KeyQuery {
        topic: topic.into(),
        key: ["k", "A", "BB", "Aa", "second", "7F00"][random.below(6) as usize].into(),
        kind: if random.below(3) == 0 { KeyKind::Tag } else { KeyKind::Key },
        max: 1 + random.below(64) as usize,
        begin: Timestamp(begin),
        end: Timestamp(end),
    }
}

/// What a store answers to a look-up, when its thread has looked.
trait Finds: Storage {
    fn find(&mut self, query: KeyQuery) -> Found;
}

impl Finds for MemoryStorage {
    fn find(&mut self, query: KeyQuery) -> Found {
        match self.search_by_key(query) {
            Search::Done(found) => found,
            search => panic!("memory needs no time: {search:?}"),
        }
    }
}

impl Finds for Store {
    fn find(&mut self, query: KeyQuery) -> Found {
        let Search::Later(ticket) = self.search_by_key(query) else { panic!("the disk is asked") };
        loop {
            match self.poll_event() {
                Some(StoreEvent::Found(answered, found)) if answered == ticket => return found.expect("the index can be read"),
                Some(_) => {}
                None => std::thread::yield_now(),
            }
        }
    }
}

/// Properties, and the hash that the queue's unit carries: a store that was killed makes units anew from the records.
const TAGS: &[(&[u8], &str)] =
    &[(b"KEYS\x01k\x02", ""), (b"KEYS\x01k  second\x02TAGS\x01A\x02UNIQ_KEY\x017F00\x02", "A"), (b"TAGS\x01BB\x02", "BB")];

fn message<'a>(topic: &'a str, queue: i32, body: &'a [u8], tag: usize) -> NewMessage<'a> {
    let (properties, tag) = TAGS[tag];
    NewMessage {
        topic,
        queue_id: queue,
        flag: 3,
        sys_flag: 0,
        born_timestamp: 7,
        born_host: SocketAddr::from(([10, 0, 0, 7], 5000)),
        store_host: SocketAddr::from(([10, 1, 0, 1], 10911)),
        reconsume_times: 1,
        prepared_transaction_offset: 0,
        body,
        properties,
        tags_code: TagsCode::Hash(i64::from(java_string_hash(tag))),
    }
}

/// What a step shows, places in the log left out: where files end they differ.
fn show<S: Finds>(storage: &mut S, step: &Step) -> String {
    match step {
        Step::Append { topic, queue, body, tag, at } => {
            let id = storage.open_queue(topic, *queue);
            let placed = storage.append(Timestamp(*at), id, &message(topic, *queue, body, *tag)).map(|placed| placed.queue_offset);
            format!("{placed:?} {:?} {}", storage.bounds(id), storage.next_offset(id))
        }
        Step::Batch { topic, queue, bodies, at } => {
            let id = storage.open_queue(topic, *queue);
            let messages: Vec<_> = bodies.iter().map(|body| message(topic, *queue, body, 1)).collect();
            let mut placed = Vec::new();
            let outcome = storage.append_batch(Timestamp(*at), id, &messages, &mut placed);
            format!("{outcome:?} {:?} {:?}", placed.iter().map(|placed| placed.queue_offset).collect::<Vec<_>>(), storage.bounds(id))
        }
        Step::Read { topic, queue, from } => read(storage, topic, *queue, *from),
        Step::Search { topic, queue, at } => {
            let Some(id) = storage.find_queue(topic, *queue) else { return "no queue".into() };
            let lower = storage.search_by_time(id, Timestamp(*at), Boundary::Lower);
            format!("{lower} {}", storage.search_by_time(id, Timestamp(*at), Boundary::Upper))
        }
        Step::Find(query) => {
            let found = storage.find(query.clone());
            let shown = found.ranges.iter().map(|range| {
                let record = RecordView::parse(storage.record(range.offset).expect("it was found there")).expect("a record");
                format!("\n{} {} {} {}", record.topic(), record.queue_id(), record.queue_offset(), range.len)
            });
            format!("{:?}{}", found.last_timestamp, shown.collect::<String>())
        }
        Step::Remove { topic } => {
            storage.remove_topic(topic);
            // What had arrived there may or may not be told any more.
            while storage.poll_arrival().is_some() {}
            String::new()
        }
        Step::Arrivals => {
            // Their order among queues is nobody's business.
            let mut told = BTreeMap::<_, Vec<_>>::new();
            while let Some(arrival) = storage.poll_arrival() {
                let named = |(topic, queue): &(&str, i32)| storage.find_queue(topic, *queue) == Some(arrival.queue);
                let queue = TOPICS.iter().flat_map(|topic| (0..3).map(|queue| (*topic, queue))).find(named);
                told.entry(queue).or_default().push((arrival.queue_offset, arrival.tags_code));
            }
            format!("{told:?}")
        }
        Step::Reopen | Step::Kill => String::new(),
    }
}

fn read<S: Storage>(storage: &S, topic: &str, queue: i32, from: i64) -> String {
    let Some(id) = storage.find_queue(topic, queue) else { return "no queue".into() };
    let mut shown = format!("{:?}", storage.bounds(id));
    let mut next = from;
    loop {
        let units: Vec<_> = storage.units(id, next).collect();
        if units.is_empty() {
            return shown;
        }
        next += units.len() as i64;
        for unit in units {
            let bytes = storage.record(unit.offset).expect("a unit points to a record");
            assert_eq!(bytes.len(), unit.size as usize);
            let record = RecordView::parse(bytes).expect("a record");
            record.verify_crc().expect("its body is whole");
            assert_eq!(record.physical_offset(), unit.offset.0);
            let properties: Vec<_> = properties::iter(record.properties()).collect();
            let hash = record.body().iter().fold(0_u64, |hash, byte| hash.wrapping_mul(31).wrapping_add(u64::from(*byte)));
            shown += &format!(
                "\n{} {} {} {} {} {properties:?} {} {} {hash}",
                record.topic(),
                record.queue_id(),
                record.queue_offset(),
                record.store_timestamp(),
                record.reconsume_times(),
                unit.tags_code,
                record.body().len()
            );
        }
    }
}

#[test]
fn what_the_disk_does_memory_does_too() {
    for seed in 0..25 {
        let folder = tempfile::tempdir().expect("a folder");
        let config = StoreConfig {
            mapped_file_size_commit_log: 32 * 1024,
            mapped_file_size_consume_queue: 20 * 50,
            max_hash_slot_num: 7,
            max_index_num: 100,
            ..StoreConfig::new(folder.path())
        };
        let mut memory = MemoryStorage::new(Visibility::OnAppend);
        let open = || Store::open(config.clone(), Arc::new(|| {})).expect("the folder opens").0;
        let mut disk = open();
        // Until the next checkpoint a removed topic's messages come back when the process is killed, as with Java.
        let mut removed = false;
        for (number, step) in steps(seed, 400).iter().enumerate() {
            removed |= matches!(step, Step::Remove { .. });
            if matches!(step, Step::Reopen | Step::Kill) {
                match step {
                    Step::Kill if !removed => {
                        disk.commit().expect("the log can be written");
                        drop(disk);
                    }
                    _ => disk.close().expect("it closes as it should"),
                }
                removed = false;
                disk = open();
                while memory.poll_arrival().is_some() {}
                while disk.poll_arrival().is_some() {}
            }
            assert_eq!(show(&mut disk, step), show(&mut memory, step), "seed {seed}, step {number}: {step:?}");
        }
    }
}

#[test]
fn a_topic_removed_before_its_queues_are_on_disk_spoils_no_flush() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut disk = Store::open(StoreConfig::new(folder.path()), Arc::new(|| {})).expect("the folder opens").0;
    let mut append = |topic: &str| {
        let queue = disk.open_queue(topic, 0);
        disk.append(Timestamp(1), queue, &message(topic, 0, b"body", 1)).expect("the store takes writes");
    };
    append("Orders");
    append("Payments");
    disk.remove_topic("Orders");
    disk.close().expect("nothing went wrong");
}
