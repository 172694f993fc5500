//! A store in a temporary folder, and messages for it.
#![allow(dead_code, reason = "each test file uses its part")]

pub(crate) mod examining;
pub(crate) mod lines;
pub(crate) mod stepped;

use std::{
    fs::File,
    net::SocketAddr,
    path::Path,
    sync::{Arc, Condvar, Mutex},
    time::Duration,
};

use proto_core::record::RecordView;
use route_core::{
    Now, Storage, Timestamp,
    storage::{
        Appended, NewMessage, QueueId, TagsCode,
        keys::{Found, KeyKind, KeyQuery, Search},
    },
};
use store::{FlushDiskType, Recovered, Store, StoreConfig, StoreEvent};

/// Rings when a store has an event.
#[derive(Default)]
pub(crate) struct Bell {
    rung: Mutex<bool>,
    condvar: Condvar,
}

impl Bell {
    pub(crate) fn ring(&self) {
        *self.rung.lock().unwrap() = true;
        self.condvar.notify_all();
    }

    fn wait(&self) {
        let (mut rung, timeout) =
            self.condvar.wait_timeout_while(self.rung.lock().unwrap(), Duration::from_secs(20), |rung| !*rung).unwrap();
        assert!(!timeout.timed_out(), "no event within 20 s");
        *rung = false;
    }
}

/// An open store with its bell.
pub(crate) struct Opened {
    pub(crate) store: Store,
    pub(crate) recovered: Recovered,
    pub(crate) bell: Arc<Bell>,
}

/// Small files, so that tests see many.
pub(crate) fn config(root: &Path) -> StoreConfig {
    StoreConfig {
        mapped_file_size_commit_log: 16 << 10,
        mapped_file_size_consume_queue: 30 * 20,
        max_hash_slot_num: 50,
        max_index_num: 100,
        ..StoreConfig::new(root)
    }
}

pub(crate) fn sync_config(root: &Path) -> StoreConfig {
    StoreConfig { flush_disk_type: FlushDiskType::SyncFlush, ..config(root) }
}

pub(crate) fn open(config: StoreConfig) -> Opened {
    let bell = Arc::new(Bell::default());
    let ring = Arc::clone(&bell);
    let (store, recovered) = Store::open(config, Arc::new(move || ring.ring())).unwrap();
    Opened { store, recovered, bell }
}

impl Opened {
    pub(crate) fn send(&mut self, topic: &str, queue_id: i32, body: &str) -> Appended {
        let queue = self.store.open_queue(topic, queue_id);
        let placed = self.store.append(Timestamp(1_700_000_000_000), queue, &message(topic, queue_id, body)).unwrap();
        self.store.commit().unwrap();
        placed
    }

    /// Waits for the next event.
    pub(crate) fn event(&mut self) -> StoreEvent {
        loop {
            if let Some(event) = self.store.poll_event() {
                return event;
            }
            self.bell.wait();
        }
    }

    /// Waits until the log is on disk up to its end, and tells the store.
    pub(crate) fn flush(&mut self) {
        self.store.request_flush();
        let end = self.store.log_bounds().1;
        while self.store.durable() < end {
            match self.event() {
                StoreEvent::Durable(up_to) => self.store.set_durable(up_to),
                StoreEvent::FlushFailed(why) => panic!("{why}"),
                StoreEvent::Persisted(..) | StoreEvent::Found(..) => {}
            }
        }
    }

    /// One turn of the loop, then it waits for what the store's threads have to say.
    pub(crate) fn turn(&mut self) {
        self.store.clean();
        self.bell.wait();
        self.store.handle_wake(Now::default());
    }

    /// Looks messages up by a key.
    pub(crate) fn find(&mut self, topic: &str, key: &str) -> Found {
        self.search(query(topic, KeyKind::Key, key))
    }

    /// Looks messages up and waits for the answer.
    pub(crate) fn search(&mut self, query: KeyQuery) -> Found {
        match self.store.search_by_key(query) {
            Search::Done(found) => found,
            Search::Later(ticket) => loop {
                match self.event() {
                    StoreEvent::Found(answered, found) => {
                        assert_eq!(answered, ticket);
                        return found.unwrap();
                    }
                    StoreEvent::Durable(up_to) => self.store.set_durable(up_to),
                    _ => {}
                }
            },
            Search::Busy => panic!("too many look-ups"),
        }
    }

    pub(crate) fn bodies(&self, topic: &str, queue_id: i32) -> Vec<String> {
        self.store.find_queue(topic, queue_id).map(|queue| bodies(&self.store, queue)).unwrap_or_default()
    }
}

/// A look-up among all messages of a topic.
pub(crate) fn query(topic: &str, kind: KeyKind, key: &str) -> KeyQuery {
    KeyQuery { topic: topic.into(), key: key.into(), kind, max: 64, begin: Timestamp(0), end: Timestamp(i64::MAX) }
}

/// Where the messages lie that were found.
pub(crate) fn places(found: &Found) -> Vec<i64> {
    found.ranges.iter().map(|range| range.offset.0).collect()
}

/// The bodies of all that can be read of a queue, with every offset checked on the way.
pub(crate) fn bodies(store: &Store, queue: QueueId) -> Vec<String> {
    let bounds = store.bounds(queue);
    let mut bodies = Vec::new();
    let mut at = bounds.min;
    while at < bounds.max {
        let units = store.units(queue, at);
        let before = at;
        for unit in units {
            let record = store.record(unit.offset).expect("a unit points at a record");
            let view = RecordView::parse(record).unwrap();
            assert_eq!(view.total_size(), unit.size as usize);
            assert_eq!((view.queue_offset(), view.physical_offset()), (at, unit.offset.0));
            view.verify_crc().unwrap();
            bodies.push(String::from_utf8(view.body().to_vec()).unwrap());
            at += 1;
        }
        assert!(at > before, "no units at {at} of {bounds:?}");
    }
    bodies
}

pub(crate) fn message<'a>(topic: &'a str, queue_id: i32, body: &'a str) -> NewMessage<'a> {
    NewMessage {
        topic,
        queue_id,
        flag: 0,
        sys_flag: 0,
        born_timestamp: 1_699_999_999_000,
        born_host: SocketAddr::from(([127, 0, 0, 1], 50_000)),
        store_host: SocketAddr::from(([127, 0, 0, 1], 10_911)),
        reconsume_times: 0,
        prepared_transaction_offset: 0,
        body: body.as_bytes(),
        properties: b"TAGS\x01TagA\x02",
        tags_code: TagsCode::Hash(2_598_919),
    }
}

/// A file of the stores that a Java broker wrote.
pub(crate) fn golden(name: &str) -> File {
    File::open(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)).unwrap()
}

/// Unpacks one of these stores.
pub(crate) fn unpack(name: &str, into: &Path) {
    let tar = zstd::Decoder::new(golden(&format!("{name}.tar.zst"))).unwrap();
    tar::Archive::new(tar).unpack(into).unwrap();
}

/// What a Java broker said of one of these stores, line by line.
pub(crate) fn expected(name: &str) -> Vec<serde_json::Value> {
    let text = zstd::decode_all(golden(&format!("{name}.expected.jsonl.zst"))).unwrap();
    text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(|line| serde_json::from_slice(line).unwrap()).collect()
}
