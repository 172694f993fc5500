//! Files are mapped as long as they are used, and no more of them than may be.

mod kit;

use std::{sync::Arc, time::Duration};

use kit::stepped::Bench;
use route_core::{Storage, storage::LogOffset};
use store::{
    FlushDiskType, Store, StoreConfig, StoreEvent,
    simulation::{Crash, Work},
};

/// Many more than may be mapped.
const QUEUES: i32 = 120;
const LIMIT: usize = 24;
/// Mappings beside those of queues and old files of the log: the log's last two files and two journals.
const OTHERS: usize = 4;

fn config(flush: FlushDiskType) -> StoreConfig {
    StoreConfig {
        mapped_file_size_commit_log: 64 << 10,
        mapped_file_size_consume_queue: 30 * 20,
        max_mapped_files: LIMIT,
        flush_disk_type: flush,
        message_index_enable: false,
        ..StoreConfig::new("/data")
    }
}

/// What was written goes to disk, and the store hears of it.
fn flush(bench: &mut Bench) {
    bench.pass(1000);
    bench.store.request_flush();
    bench.store.step(Work::Flush(Duration::from_millis(bench.now.mono.0)));
    while let Some(event) = bench.store.poll_event() {
        if let StoreEvent::Durable(up_to) = event {
            bench.store.set_durable(up_to);
        }
    }
    // Units that became readable by it are synced in the next round.
    bench.pass(1000);
    bench.store.step(Work::Flush(Duration::from_millis(bench.now.mono.0)));
}

/// Bodies of a queue, as numbers.
fn numbers(store: &Store, queue_id: i32) -> Vec<i32> {
    let Some(queue) = store.find_queue("T", queue_id) else { return Vec::new() };
    kit::bodies(store, queue).iter().map(|body| body.parse().unwrap()).collect()
}

/// Every queue holds every `QUEUES`-th message.
#[track_caller]
fn check(store: &Store, rounds: i32) {
    for queue_id in 0..QUEUES {
        let expected: Vec<_> = (0..rounds).map(|round| round * QUEUES + queue_id).collect();
        assert_eq!(numbers(store, queue_id), expected, "queue {queue_id}");
    }
}

fn serves_more_queues_than_may_be_mapped(mode: FlushDiskType) {
    let rounds = 40;
    let mut bench = Bench::new(config(mode));
    let mut most = 0;
    for _ in 0..rounds {
        for queue_id in 0..QUEUES {
            bench.try_send("T", queue_id).unwrap();
            if queue_id % 8 == 7 {
                flush(&mut bench);
            }
            bench.turn();
            most = most.max(bench.store.mapped_files());
        }
    }
    flush(&mut bench);
    assert!(most <= LIMIT + OTHERS + 8, "{most} were mapped");
    check(&bench.store, rounds);
    let killed = bench.disk.after(Crash::Kill, 1);
    check(&Store::open_simulated(&killed, config(mode), Arc::new(|| {})).unwrap().0, rounds);
    let (disk, store) = (bench.disk, bench.store);
    store.close().unwrap();
    let (store, recovered) = Store::open_simulated(&disk, config(mode), Arc::new(|| {})).unwrap();
    assert!(recovered.clean);
    check(&store, rounds);
}

#[test]
fn a_store_serves_more_queues_than_may_be_mapped() {
    serves_more_queues_than_may_be_mapped(FlushDiskType::AsyncFlush);
}

#[test]
fn so_does_one_whose_units_wait_for_the_disk() {
    serves_more_queues_than_may_be_mapped(FlushDiskType::SyncFlush);
}

#[test]
fn queues_are_built_anew_although_there_are_more_than_may_be_mapped() {
    let mut bench = Bench::new(StoreConfig { max_mapped_files: 10_000, ..config(FlushDiskType::AsyncFlush) });
    for _ in 0..4 {
        for queue_id in 0..QUEUES {
            bench.try_send("T", queue_id).unwrap();
        }
    }
    // Only the log is there, as far as the checkpoint says.
    let disk = bench.disk.after(Crash::Kill, 1);
    let mut again = Bench::on(&disk, config(FlushDiskType::AsyncFlush));
    assert!(again.store.mapped_files() <= LIMIT + OTHERS + 1, "{} are mapped", again.store.mapped_files());
    check(&again.store, 4);
    flush(&mut again);
    flush(&mut again);
    let lost = again.disk.after(Crash::PowerLoss, 2);
    check(&Store::open_simulated(&lost, config(FlushDiskType::AsyncFlush), Arc::new(|| {})).unwrap().0, 4);
}

#[test]
fn queues_and_files_of_the_log_that_nobody_uses_are_unmapped_and_come_back() {
    let mut bench = Bench::new(StoreConfig { max_mapped_files: 10_000, ..config(FlushDiskType::AsyncFlush) });
    for number in 0..QUEUES * 2 {
        bench.try_send("T", number % QUEUES).unwrap();
    }
    flush(&mut bench);
    let mapped = bench.store.mapped_files();
    assert!(mapped > QUEUES as usize, "{mapped}");
    for _ in 0..70 {
        bench.pass(10_000);
        flush(&mut bench);
        bench.turn();
    }
    assert!(bench.store.mapped_files() <= OTHERS, "{} are mapped", bench.store.mapped_files());
    check(&bench.store, 2);
    for queue_id in 0..QUEUES {
        bench.try_send("T", queue_id).unwrap();
    }
    check(&bench.store, 3);
}

#[test]
fn a_reader_of_all_queues_has_no_more_of_them_mapped_than_may_be() {
    let mut bench = Bench::new(config(FlushDiskType::AsyncFlush));
    for queue_id in 0..QUEUES {
        bench.try_send("T", queue_id).unwrap();
        bench.turn();
    }
    flush(&mut bench);
    for _ in 0..3 {
        for queue_id in 0..QUEUES {
            assert_eq!(numbers(&bench.store, queue_id), [queue_id]);
            bench.turn();
            assert!(bench.store.mapped_files() <= LIMIT + OTHERS, "{} are mapped", bench.store.mapped_files());
        }
    }
}

#[test]
fn to_be_asked_for_its_bounds_a_queue_is_not_mapped() {
    let mut bench = Bench::new(config(FlushDiskType::AsyncFlush));
    for queue_id in 0..20 {
        bench.try_send("T", queue_id).unwrap();
    }
    bench.store.close().unwrap();
    let store = Bench::on(&bench.disk, config(FlushDiskType::AsyncFlush)).store;
    let before = store.mapped_files();
    for queue_id in 0..20 {
        let queue = store.find_queue("T", queue_id).unwrap();
        assert_eq!((store.bounds(queue).min, store.bounds(queue).max), (0, 1));
    }
    assert_eq!(store.mapped_files(), before);
}

#[test]
fn to_be_asked_for_a_unit_each_no_more_queues_are_mapped_than_may_be() {
    let mut bench = Bench::new(config(FlushDiskType::AsyncFlush));
    for queue_id in 0..QUEUES {
        bench.try_send("T", queue_id).unwrap();
        bench.turn();
    }
    bench.store.close().unwrap();
    let store = Bench::on(&bench.disk, config(FlushDiskType::AsyncFlush)).store;
    let ends = store.log_bounds();
    // Between two turns of the loop, as one request may.
    let units: Vec<_> = (0..QUEUES).map(|queue_id| store.unit(store.find_queue("T", queue_id).unwrap(), 0).unwrap()).collect();
    assert!(units.is_sorted_by_key(|unit| unit.offset) && units[0].offset == ends.0);
    assert!(store.mapped_files() <= LIMIT + OTHERS, "{} are mapped", store.mapped_files());
    let queue = store.find_queue("T", QUEUES - 1).unwrap();
    assert_eq!((store.unit(queue, 1), store.unit(queue, -1)), (None, None));
}

#[test]
fn a_queue_that_is_used_stays_mapped() {
    let mut bench = Bench::new(config(FlushDiskType::AsyncFlush));
    bench.try_send("T", 0).unwrap();
    flush(&mut bench);
    let mapped = bench.store.mapped_files();
    let queue = bench.store.find_queue("T", 0).unwrap();
    for _ in 0..100 {
        bench.pass(10_000);
        bench.turn();
        assert_eq!(bench.store.units(queue, 0).count(), 1);
        assert_eq!(bench.store.mapped_files(), mapped);
    }
}

#[test]
fn a_queue_whose_units_wait_for_the_disk_is_not_unmapped_under_them() {
    let mut bench = Bench::new(config(FlushDiskType::SyncFlush));
    for queue_id in 0..QUEUES {
        bench.try_send("T", queue_id).unwrap();
    }
    for _ in 0..100 {
        bench.pass(10_000);
        bench.turn();
    }
    assert_eq!(bench.store.durable(), LogOffset(0));
    flush(&mut bench);
    check(&bench.store, 1);
}

/// A store of 100 topics with 8 queues each; a broker for which this takes long is one that nobody can start again.
fn many_topics() -> (Bench, u64) {
    let mut bench = Bench::new(StoreConfig { max_mapped_files: 10_000, ..config(FlushDiskType::AsyncFlush) });
    for number in 0..800 {
        let topic = format!("Topic{:03}", number / 8);
        bench.try_send(&topic, number % 8).unwrap();
    }
    flush(&mut bench);
    (bench, 100)
}

#[test]
fn a_store_that_was_closed_opens_with_one_look_at_each_topic_and_two_at_each_queue() {
    let (Bench { disk, store, .. }, topics) = many_topics();
    store.close().unwrap();
    let before = disk.looks();
    let (store, recovered) = Store::open_simulated(&disk, config(FlushDiskType::AsyncFlush), Arc::new(|| {})).unwrap();
    assert_eq!((recovered.clean, recovered.queues), (true, 800));
    let looks = disk.looks() - before;
    assert!(looks < topics + 2 * 800 + 80, "{looks} looks at 800 queues of {topics} topics");
    assert!(store.mapped_files() <= OTHERS);
}

#[test]
fn after_a_crash_it_opens_with_two_looks_at_each_queue() {
    let (bench, topics) = many_topics();
    let disk = bench.disk.after(Crash::Kill, 1);
    let (store, recovered) = Store::open_simulated(&disk, config(FlushDiskType::AsyncFlush), Arc::new(|| {})).unwrap();
    assert_eq!((recovered.clean, recovered.queues), (false, 800));
    let looks = disk.looks();
    assert!(looks < topics + 2 * 800 + 80, "{looks} looks at 800 queues of {topics} topics");
    assert!(store.mapped_files() <= OTHERS);
}
