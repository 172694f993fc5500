//! The index of keys: what it costs the loop, and what its own thread needs for each message of 1 KiB with a unique key, a key and a tag.

use std::{
    fs,
    hint::black_box,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use criterion::{Criterion, criterion_group, criterion_main};
use route_core::{
    Storage, Timestamp,
    storage::{
        NewMessage, TagsCode,
        keys::{KeyKind, KeyQuery, Search},
    },
};
use store::{Store, StoreConfig, StoreEvent};

const BODY: [u8; 1024] = [b'x'; 1024];
/// Messages that are put into the index in one go.
const MESSAGES: u64 = 200_000;
/// So many messages stay within the pages that the store keeps ready, if it gets this long for making them.
const READY: u64 = 10_000;
const REST: Duration = Duration::from_millis(40);

/// Appends messages and answers how long that took.
fn fill(store: &mut Store, from: u64, count: u64) -> Duration {
    let queues: Vec<_> = (0..8).map(|queue_id| store.open_queue("TopicTest", queue_id)).collect();
    let host = SocketAddr::from(([127, 0, 0, 1], 10_911));
    let texts: Vec<_> = (from..from + count)
        .map(|number| format!("UNIQ_KEY\x017F0000010A2B18B4AAC21234{number:08X}\x02KEYS\x01order{number}\x02TAGS\x01TagA\x02"))
        .collect();
    let started = Instant::now();
    for (number, properties) in texts.iter().enumerate() {
        let queue_id = number % 8;
        let message = NewMessage {
            topic: "TopicTest",
            queue_id: queue_id as i32,
            flag: 0,
            sys_flag: 0,
            born_timestamp: 1_700_000_000_000,
            born_host: host,
            store_host: host,
            reconsume_times: 0,
            prepared_transaction_offset: 0,
            body: &BODY,
            properties: properties.as_bytes(),
            tags_code: TagsCode::Hash(2_598_919),
        };
        black_box(store.append(Timestamp(1_700_000_000_000), queues[queue_id], &message).expect("there is space"));
        while store.poll_arrival().is_some() {}
        if number % 64 == 0 {
            store.request_flush();
            while store.poll_event().is_some() {}
        }
    }
    started.elapsed()
}

/// Waits until the last message can be found.
fn catch_up(store: &mut Store) {
    let key = format!("order{}", MESSAGES - 1);
    loop {
        let query = KeyQuery {
            topic: "TopicTest".into(),
            key: key.as_str().into(),
            kind: KeyKind::Key,
            max: 1,
            begin: Timestamp(0),
            end: Timestamp(i64::MAX),
        };
        assert!(matches!(store.search_by_key(query), Search::Later(_)), "the disk is asked");
        loop {
            match store.poll_event() {
                Some(StoreEvent::Found(_, Ok(_))) => return,
                Some(StoreEvent::Found(..)) => break,
                Some(_) => {}
                None => std::thread::sleep(Duration::from_micros(200)),
            }
        }
    }
}

fn index(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("index");
    group.sample_size(10);
    for (name, message_index_enable) in [("append_without", false), ("append_with", true)] {
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|iterations| {
                let dir = tempfile::tempdir().expect("there is a disk");
                let config = StoreConfig { message_index_enable, ..StoreConfig::new(dir.path()) };
                let (mut store, _) = Store::open(config, Arc::new(|| {})).expect("the folder is new");
                let mut spent = Duration::ZERO;
                for round in 0..MESSAGES / READY {
                    std::thread::sleep(REST);
                    spent += fill(&mut store, round * READY, READY);
                }
                spent.mul_f64(iterations as f64 / MESSAGES as f64)
            });
        });
    }

    let dir = tempfile::tempdir().expect("there is a disk");
    let open = |message_index_enable| {
        let config = StoreConfig { message_index_enable, ..StoreConfig::new(dir.path()) };
        Store::open(config, Arc::new(|| {})).expect("the folder opens").0
    };
    let mut store = open(false);
    fill(&mut store, 0, MESSAGES);
    store.close().expect("nothing went wrong");
    group.bench_function("build", |bencher| {
        bencher.iter_custom(|iterations| {
            fs::remove_dir_all(dir.path().join("index")).expect("the store made it");
            let started = Instant::now();
            let mut store = open(true);
            catch_up(&mut store);
            let spent = started.elapsed();
            store.close().expect("nothing went wrong");
            spent.mul_f64(iterations as f64 / MESSAGES as f64)
        });
    });
    group.finish();
}

criterion_group!(benches, index);
criterion_main!(benches);
