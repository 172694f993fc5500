//! A start after a crash with very many queues looks at each of them when it is used, and the mark of the checkpoint waits for the last one.

mod kit;

use std::{path::Path, sync::Arc, time::Duration};

use kit::{examining::filled, lines::lines_of, stepped::Bench};
use route_core::{Storage, storage::QueueId};
use store::{
    FlushDiskType, Recovered, Store, StoreConfig,
    simulation::{Crash, SimulatedDisk, Work},
};

const TOPICS: u64 = 100;
const QUEUES: u64 = 8 * TOPICS;

/// As if 800 queues were very many.
fn config() -> StoreConfig {
    StoreConfig {
        mapped_file_size_commit_log: 64 << 10,
        mapped_file_size_consume_queue: 30 * 20,
        max_mapped_files: 10_000,
        look_at_all_queues: 0,
        flush_disk_type: FlushDiskType::AsyncFlush,
        message_index_enable: false,
        ..StoreConfig::new("/data")
    }
}

fn topic(number: u64) -> String {
    format!("Topic{:03}", number / 8)
}

fn queue_of(store: &Store, number: u64) -> QueueId {
    store.find_queue(&topic(number), (number % 8) as i32).unwrap()
}

fn send_to(bench: &mut Bench, number: u64) {
    bench.try_send(&topic(number), (number % 8) as i32).unwrap();
}

fn flush(bench: &mut Bench) {
    bench.pass(20_000);
    bench.store.step(Work::Flush(Duration::from_millis(bench.now.mono.0)));
    bench.pass(20_000);
    bench.store.step(Work::Flush(Duration::from_millis(bench.now.mono.0)));
}

/// A store of 100 topics with 8 queues each and a message in each of those, closed in order, and opened again.
fn many_queues() -> Bench {
    let mut bench = Bench::new(config());
    (0..QUEUES).for_each(|number| send_to(&mut bench, number));
    bench.store.close().unwrap();
    let mut again = Bench::on(&bench.disk, config());
    again.sent = bench.sent;
    again
}

fn open_after(disk: &SimulatedDisk) -> (Store, Recovered) {
    Store::open_simulated(disk, config(), Arc::new(|| {})).unwrap()
}

/// Five messages to queues 0, 100, 200, … that are not on disk when the process is killed.
fn killed() -> SimulatedDisk {
    let mut bench = many_queues();
    (0..5).for_each(|at| send_to(&mut bench, at * 100));
    bench.disk.after(Crash::Kill, 1)
}

#[test]
fn the_start_opens_no_file_of_a_queue_and_each_is_right_when_it_is_used() {
    let disk = killed();
    let (store, recovered) = open_after(&disk);
    assert_eq!((recovered.clean, recovered.queues, recovered.scanned_records), (false, 800, 5));
    let looks = disk.looks();
    assert!(looks < TOPICS + 60, "{looks} looks at {TOPICS} topics, and at no queue");
    for number in 0..QUEUES {
        let queue = queue_of(&store, number);
        let expected = if number % 100 == 0 && number < 500 { 2 } else { 1 };
        assert_eq!((store.bounds(queue).max, kit::bodies(&store, queue).len()), (expected, expected as usize), "queue {number}");
    }
    let looks = disk.looks();
    assert!(looks < TOPICS + 60 + 5 * QUEUES, "{looks}");
}

#[test]
fn where_a_topic_may_have_been_removed_only_queues_with_records_to_be_read_again_are_opened() {
    let mut bench = many_queues();
    flush(&mut bench);
    bench.store.remove_topic(&topic(QUEUES - 1));
    (0..5).for_each(|at| send_to(&mut bench, at * 100));
    let disk = bench.disk.after(Crash::Kill, 1);
    let (store, recovered) = open_after(&disk);
    assert_eq!(recovered.scanned_records, 5);
    let looks = disk.looks();
    assert!(looks < TOPICS + 60 + 5 * 5, "{looks} looks at {TOPICS} topics and 5 queues");
    assert_eq!(store.bounds(queue_of(&store, 100)).max, 2);
}

#[test]
fn the_mark_waits_until_all_queues_have_been_looked_at_and_a_second_crash_changes_nothing() {
    let disk = killed();
    let mut bench = Bench::on(&disk, config());
    let first = open_after(&disk.after(Crash::Kill, 2)).1;
    for round in 0..10 {
        send_to(&mut bench, round * 7);
        bench.store.step(Work::Queues);
        flush(&mut bench);
        for crash in [Crash::Kill, Crash::PowerLoss] {
            let (again, recovered) = open_after(&bench.disk.after(crash, round));
            assert_eq!((recovered.scanned_from, recovered.scanned_records), (first.scanned_from, 6 + round), "round {round}, {crash:?}");
            assert_eq!(again.bounds(queue_of(&again, 300)).max, 2);
        }
    }
    for _ in 0..QUEUES {
        bench.store.step(Work::Queues);
    }
    flush(&mut bench);
    let (_, recovered) = open_after(&bench.disk.after(Crash::PowerLoss, 3));
    assert_eq!((recovered.scanned_from, recovered.scanned_records), (recovered.log_end, 0));
}

#[test]
fn the_loop_comes_to_all_of_them_by_itself() {
    let mut bench = Bench::on(&killed(), config());
    let mut turns = 0;
    while bench.store.poll_timeout().is_some_and(|at| at.0 <= bench.now.mono.0 + 5) {
        bench.pass(5);
        bench.turn();
        turns += 1;
        assert!(turns < 200, "it never ends");
    }
    assert!(turns > 10, "a few at a time: {turns} turns");
    flush(&mut bench);
    assert_eq!(open_after(&bench.disk.after(Crash::PowerLoss, 3)).1.scanned_records, 0);
}

#[test]
fn a_stop_looks_at_none_of_them_and_the_next_start_puts_them_off_again() {
    let disk = killed();
    let mut bench = Bench::on(&disk, config());
    (0..5).for_each(|at| send_to(&mut bench, at * 100 + 1));
    let before = disk.looks();
    bench.store.close().unwrap();
    let looks = disk.looks() - before;
    assert!(looks < 60, "{looks} looks, {QUEUES} queues are left");
    for (disk, what) in [(disk.clone(), "the stop"), (disk.after(Crash::PowerLoss, 1), "a loss of power behind it")] {
        let before = disk.looks();
        let (store, recovered) = open_after(&disk);
        let looks = disk.looks() - before;
        assert_eq!((recovered.clean, recovered.scanned_records, recovered.cut), (false, 10, None), "after {what}");
        assert!(looks < TOPICS + 60, "after {what}: {looks} looks at {TOPICS} topics");
        for number in 0..QUEUES {
            let queue = queue_of(&store, number);
            let expected = if number % 100 < 2 && number < 500 { 2 } else { 1 };
            assert_eq!(kit::bodies(&store, queue).len(), expected, "queue {number} after {what}");
        }
    }
}

#[test]
fn a_stop_brings_to_disk_what_was_put_right_and_a_second_one_is_in_order_once_all_were_looked_at() {
    let disk = killed();
    let mut bench = Bench::on(&disk, StoreConfig { flush_disk_type: FlushDiskType::SyncFlush, ..config() });
    (0..10).for_each(|_| bench.store.step(Work::Queues));
    // Their units wait for the log, which the stop brings to disk: it looks at their queues, which are among the last.
    let late = [QUEUES - 1, QUEUES - 9];
    let queues = late.map(|number| bench.store.open_queue(&topic(number), (number % 8) as i32));
    late.into_iter().for_each(|number| send_to(&mut bench, number));
    bench.store.close().unwrap();
    let disk = disk.after(Crash::PowerLoss, 2);
    let (mut store, recovered) = open_after(&disk);
    assert_eq!((recovered.clean, recovered.scanned_records), (false, 7));
    assert_eq!(queues.map(|queue| store.bounds(queue).max), [2, 2]);
    for _ in 0..QUEUES {
        store.step(Work::Queues);
    }
    store.close().unwrap();
    let (store, recovered) = open_after(&disk.after(Crash::PowerLoss, 3));
    assert_eq!((recovered.clean, recovered.scanned_records), (true, 0));
    for number in [0, 1, 100, 799] {
        let expected = if number % 100 == 0 && number < 500 || late.contains(&number) { 2 } else { 1 };
        assert_eq!(store.bounds(queue_of(&store, number)).max, expected, "queue {number}");
    }
}

#[test]
fn a_stop_is_in_order_if_all_of_them_have_been_used() {
    let disk = killed();
    let (mut store, _) = open_after(&disk);
    let all: Vec<_> = (0..QUEUES).map(|number| queue_of(&store, number)).collect();
    store.look_at_queues(&all);
    store.close().unwrap();
    assert!(open_after(&disk).1.clean);
}

#[test]
fn a_queue_that_was_found_to_lack_units_is_built_anew_after_a_stop() {
    let disk = killed();
    disk.remove(Path::new("/data/consumequeue/Topic012/4/00000000000000000000"));
    let (store, _) = open_after(&disk);
    let queue = store.find_queue("Topic012", 4).unwrap();
    assert_eq!(store.bounds(queue).max, 0);
    store.close().unwrap();
    let (store, recovered) = open_after(&disk);
    assert_eq!((recovered.scanned_from, recovered.scanned_records), (0, QUEUES + 5));
    assert_eq!(store.bounds(store.find_queue("Topic012", 4).unwrap()).max, 2);
}

#[test]
fn one_that_lacks_units_takes_nothing_and_all_are_built_anew_at_the_next_start() {
    let disk = killed();
    disk.remove(Path::new("/data/consumequeue/Topic012/4/00000000000000000000"));
    let mut bench = Bench::on(&disk, config());
    let (refused, lines) = lines_of(|| bench.try_send("Topic012", 4));
    let told = refused.unwrap_err().to_string();
    assert!(told.contains("it ends at 0, and units up to 1 were there when the store was closed last"), "{told}");
    assert!(
        lines.iter().any(|line| line.starts_with("ERROR") && line.contains("all queues are built anew at the next start")),
        "{lines:?}"
    );
    bench.try_send("Topic012", 5).unwrap();
    bench.store.request_flush();
    flush(&mut bench);
    let (store, recovered) = open_after(&bench.disk.after(Crash::Kill, 4));
    assert_eq!(recovered.scanned_from, 0);
    assert_eq!(store.bounds(store.find_queue("Topic012", 4).unwrap()).max, 2);
    assert_eq!(store.bounds(store.find_queue("Topic012", 5).unwrap()).max, 2);
}

#[test]
fn how_far_a_queue_goes_at_least_is_known_without_a_look_at_it() {
    let disk = killed();
    let (mut store, _) = open_after(&disk);
    let before = disk.looks();
    let (long, short) = (queue_of(&store, 100), queue_of(&store, 101));
    assert_eq!([1, 2, 3].map(|offset| store.is_known_to_reach(long, offset)), [true, true, false], "from the log");
    assert_eq!([1, 2].map(|offset| store.is_known_to_reach(short, offset)), [true, false], "from the last stop in order");
    assert_eq!(disk.looks(), before);
    store.look_at_queues(&[short, long, short]);
    assert!(disk.looks() > before);
    let after = disk.looks();
    assert_eq!((store.bounds(long).max, store.bounds(short).max), (2, 1));
    assert_eq!(disk.looks(), after + 2, "a unit of each, for where it begins");
}

#[test]
fn threads_that_read_ahead_lead_to_the_same() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), true);
    let config = || StoreConfig { look_at_all_queues: 0, ..kit::config(dir.path()) };
    let mut opened = kit::open(config());
    for at in 0..50 {
        opened.send("TopicA", at % 3, "late");
    }
    drop(opened);
    let opened = kit::open(config());
    assert_eq!([0, 1, 2].map(|queue_id| opened.bodies("TopicA", queue_id).len()), [117, 117, 16]);
    opened.store.close().unwrap();
    let opened = kit::open(config());
    assert_eq!([0, 1, 2].map(|queue_id| opened.bodies("TopicA", queue_id).len()), [117, 117, 16]);
}
