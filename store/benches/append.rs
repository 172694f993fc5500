//! Appending messages of 1 KiB: the store beside the least that any log must do, which is a checksum and a copy into memory that
//! is there already, and beside the same with pages that have to be made.

use std::{
    hint::black_box,
    net::SocketAddr,
    os::unix::fs::FileExt,
    sync::Arc,
    time::{Duration, Instant},
};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use memmap2::MmapMut;
use proto_core::record::RecordFields;
use route_core::{
    Storage, Timestamp,
    storage::{NewMessage, TagsCode},
};
use store::{FlushDiskType, Store, StoreConfig};

const BODY: [u8; 1024] = [b'x'; 1024];
const PROPERTIES: &[u8] = b"UNIQ_KEY\x017F0000010A2B18B4AAC2123456780000\x02WAIT\x01true\x02TAGS\x01TagA\x02";
/// Records of one measurement; more than caches hold, less than the disk needs long for.
const RECORDS: u64 = 200_000;

fn host(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn message(queue_id: i32) -> NewMessage<'static> {
    NewMessage {
        topic: "TopicTest",
        queue_id,
        flag: 0,
        sys_flag: 0,
        born_timestamp: 1_700_000_000_000,
        born_host: host(50_000),
        store_host: host(10_911),
        reconsume_times: 0,
        prepared_transaction_offset: 0,
        body: &BODY,
        properties: PROPERTIES,
        tags_code: TagsCode::Hash(2_598_919),
    }
}

fn record(offset: usize) -> RecordFields<'static> {
    let NewMessage { topic, queue_id, flag, sys_flag, born_timestamp, born_host, store_host, body, properties, .. } = message(0);
    RecordFields {
        topic,
        queue_id,
        flag,
        queue_offset: 0,
        physical_offset: offset as i64,
        sys_flag,
        born_timestamp,
        born_host,
        store_timestamp: born_timestamp,
        store_host,
        reconsume_times: 0,
        prepared_transaction_offset: 0,
        body,
        properties,
    }
}

/// So many records stay within the pages that the store keeps ready …
const READY: u64 = 10_000;
/// … if it gets this long for making them.
const REST: Duration = Duration::from_millis(40);

/// How often the loop would ask for a flush: once a turn.
const TURN: u64 = 64;

fn fill(store: &mut Store, records: u64) -> Duration {
    let queues: Vec<_> = (0..8).map(|queue_id| store.open_queue("TopicTest", queue_id)).collect();
    let started = Instant::now();
    for at in 0..records {
        let queue_id = (at % 8) as usize;
        let placed = store.append(Timestamp(1_700_000_000_000), queues[queue_id], &message(queue_id as i32));
        black_box(placed.expect("there is space"));
        while store.poll_arrival().is_some() {}
        if at % TURN == 0 {
            store.request_flush();
            while let Some(event) = store.poll_event() {
                if let store::StoreEvent::Durable(up_to) = event {
                    store.set_durable(up_to);
                }
            }
        }
    }
    started.elapsed()
}

fn append(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("append_1k");
    group.sample_size(10).throughput(Throughput::Bytes(BODY.len() as u64));

    let len = record(0).encoded_len();
    let mut bare = MmapMut::map_anon(len * RECORDS as usize).expect("there is memory");
    bare.fill(1);
    group.bench_function("bare_prefaulted_memory", |bencher| {
        bencher.iter_custom(|iterations| {
            let started = Instant::now();
            for at in 0..iterations {
                let from = (at % RECORDS) as usize * len;
                let out = &mut bare[from..from + len];
                out[8..12].copy_from_slice(&crc32fast::hash(&BODY).to_be_bytes());
                out[84..84 + BODY.len()].copy_from_slice(black_box(&BODY));
            }
            started.elapsed()
        });
    });
    group.bench_function("bare_record", |bencher| {
        bencher.iter_custom(|iterations| {
            let started = Instant::now();
            for at in 0..iterations {
                let from = (at % RECORDS) as usize * len;
                black_box(record(from).encode_into(&mut bare[from..from + len]).expect("there is room"));
            }
            started.elapsed()
        });
    });
    // The same with what its pages cost, which any log pays sooner or later.
    group.bench_function("bare_record_and_pages_of_a_file", |bencher| {
        bencher.iter_custom(|iterations| {
            let file = tempfile::tempfile().expect("there is a disk");
            rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, len as u64 * RECORDS).expect("there is space");
            let mut staged = vec![0; len * TURN as usize];
            let started = Instant::now();
            for first in (0..RECORDS as usize).step_by(TURN as usize) {
                for (at, out) in (first..).zip(staged.chunks_exact_mut(len)) {
                    black_box(record(at * len).encode_into(out).expect("there is room"));
                }
                file.write_all_at(&staged, (first * len) as u64).expect("the disk takes it");
            }
            started.elapsed().mul_f64(iterations as f64 / RECORDS as f64)
        });
    });
    group.bench_function("bare_record_and_pages_of_memory", |bencher| {
        bencher.iter_custom(|iterations| {
            let mut fresh = MmapMut::map_anon(len * RECORDS as usize).expect("there is memory");
            let started = Instant::now();
            for (at, out) in fresh.chunks_exact_mut(len).enumerate() {
                black_box(record(at * len).encode_into(out).expect("there is room"));
            }
            started.elapsed().mul_f64(iterations as f64 / RECORDS as f64)
        });
    });
    let modes = [
        ("store_ready_async_flush", FlushDiskType::AsyncFlush, READY),
        ("store_ready_sync_flush", FlushDiskType::SyncFlush, READY),
        ("store_as_fast_as_it_goes_async_flush", FlushDiskType::AsyncFlush, RECORDS),
    ];
    for (name, flush_disk_type, at_once) in modes {
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|iterations| {
                // Always as many records: a store that has only begun says little.
                let dir = tempfile::tempdir().expect("there is a disk");
                let config = StoreConfig { flush_disk_type, max_unflushed: u32::MAX, ..StoreConfig::new(dir.path()) };
                let (mut store, _) = Store::open(config, Arc::new(|| {})).expect("the folder is new");
                let mut spent = Duration::ZERO;
                for _ in 0..RECORDS / at_once {
                    std::thread::sleep(REST);
                    spent += fill(&mut store, at_once);
                }
                spent.mul_f64(iterations as f64 / RECORDS as f64)
            });
        });
    }
    group.finish();
}

criterion_group!(benches, append);
criterion_main!(benches);
