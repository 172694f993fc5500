//! Old files go, step by step, on a disk that can stop between any two steps.

mod kit;

use std::sync::Arc;

use kit::{
    bodies,
    stepped::{BODY, Bench},
};
use route_core::{
    Storage,
    storage::{AppendError, LogRange, QueueBounds},
};
use store::{
    DeleteWhen, ExpiryPolicy, Store, StoreConfig,
    simulation::{Crash, SimulatedDisk, Work},
};

const LOG_FILE: u32 = 16 << 10;
const HOUR: u64 = 3600 * 1000;

fn config() -> StoreConfig {
    let hours: Vec<_> = (0..24).map(|hour: u32| hour.to_string()).collect();
    let expiry = ExpiryPolicy { delete_when: DeleteWhen::parse(&hours.join(";")).unwrap(), ..ExpiryPolicy::default() };
    StoreConfig { mapped_file_size_commit_log: LOG_FILE, mapped_file_size_consume_queue: 30 * 20, expiry, ..StoreConfig::new("/data") }
}

/// The numbers of all messages in one queue.
fn numbers(store: &Store, queue_id: i32) -> Vec<usize> {
    let Some(queue) = store.find_queue("T", queue_id) else { return Vec::new() };
    bodies(store, queue).iter().map(|body| body.parse().unwrap()).collect()
}

#[test]
fn files_whose_time_is_over_go_and_the_queues_begin_behind_them() {
    let mut bench = Bench::new(config());
    bench.send(160);
    bench.settle();
    assert_eq!((bench.log_start(), bench.files("/data/consumequeue/T/0").len()), (0, 3));
    bench.pass(73 * HOUR);
    bench.clean();
    let end = bench.store.log_bounds().1.0;
    assert_eq!(bench.log_start(), end - end % i64::from(LOG_FILE), "but for the last file, the log is gone");
    assert_eq!(bench.files("/data/commitlog").first(), Some(&format!("{:020}", bench.log_start())));
    for queue_id in 0..2 {
        let bounds = bench.bounds(queue_id);
        let kept = numbers(&bench.store, queue_id);
        assert_eq!((kept.len() as i64, bounds.max), (bounds.max - bounds.min, 80));
        assert!(bounds.min > 60 && kept.last() >= Some(&158), "{bounds:?} {kept:?}");
        assert_eq!(bench.files(&format!("/data/consumequeue/T/{queue_id}")), [format!("{:020}", 60 * 20)]);
    }
    assert!(bench.files("/data/removed").is_empty());
}

#[test]
fn files_whose_time_is_not_over_stay() {
    let mut bench = Bench::new(config());
    bench.send(160);
    bench.settle();
    bench.pass(71 * HOUR);
    bench.clean();
    assert_eq!((bench.log_start(), bench.bounds(0)), (0, QueueBounds { min: 0, max: 80 }));
}

#[test]
fn what_log_and_queues_do_not_hold_for_sure_stays() {
    let mut bench = Bench::new(config());
    bench.send(160);
    bench.pass(73 * HOUR);
    bench.clean();
    assert_eq!(bench.log_start(), 0, "nothing was synced");
}

#[test]
fn a_queue_whose_messages_are_all_gone_keeps_its_place() {
    let mut bench = Bench::new(config());
    for _ in 0..45 {
        bench.try_send("T", 7).unwrap();
    }
    bench.send(60);
    bench.settle();
    bench.pass(73 * HOUR);
    bench.clean();
    assert_eq!(bench.bounds(7), QueueBounds { min: 45, max: 45 });
    bench.try_send("T", 7).unwrap();
    assert_eq!(numbers(&bench.store, 7), [105]);
}

#[test]
fn what_is_being_sent_stays_readable_when_its_file_goes() {
    let mut bench = Bench::new(config());
    bench.send(60);
    bench.settle();
    let queue = bench.store.find_queue("T", 0).unwrap();
    let unit = bench.store.units(queue, 0).next().unwrap();
    let place = LogRange { offset: unit.offset, len: unit.size };
    let slice = bench.store.slice(place).unwrap();
    let before = slice.as_ref().to_vec();
    bench.pass(73 * HOUR);
    bench.clean();
    assert!(bench.log_start() > 0);
    assert_eq!(slice.as_ref(), before);
    assert!(bench.store.slice(place).is_none() && bench.store.record(unit.offset).is_none());
}

#[test]
fn a_topic_that_was_made_again_keeps_its_first_file() {
    let mut bench = Bench::new(config());
    bench.send(160);
    bench.settle();
    bench.pass(73 * HOUR);
    // Until the first file of a queue is about to be deleted.
    while bench.files("/data/consumequeue/T/0").len() == 3 && bench.files("/data/consumequeue/T/1").len() == 3 {
        bench.pass(100);
        bench.turn();
    }
    bench.store.remove_topic("T");
    for _ in 0..100 {
        bench.try_send("T", 0).unwrap();
        bench.try_send("T", 1).unwrap();
        bench.turn();
    }
    bench.clean();
    assert_eq!(numbers(&bench.store, 0).len() + numbers(&bench.store, 1).len(), 200);
    for queue_id in ["0", "1"] {
        assert!(bench.files(&format!("/data/consumequeue/T/{queue_id}")).contains(&format!("{:020}", 0)));
    }
}

#[test]
fn queues_that_nobody_uses_lose_their_files_too() {
    let mut bench = Bench::new(config());
    bench.send(160);
    bench.settle();
    bench.store.close().unwrap();
    let mut again = Bench::on(&bench.disk, config());
    again.now = bench.now;
    again.pass(73 * HOUR);
    // The last file is settled when something was written to it.
    again.try_send("U", 0).unwrap();
    again.settle();
    again.clean();
    assert_eq!(again.files("/data/consumequeue/T/0").len(), 1);
}

#[test]
fn a_full_disk_takes_no_message_until_old_files_have_made_room() {
    let mut bench = Bench::new(config());
    bench.turn();
    bench.send(400);
    bench.settle();
    let used: u64 = bench.disk.files().iter().map(|(_, len)| len).sum();
    bench.disk.set_capacity(used);
    // The look, and what it has seen.
    bench.turn();
    bench.pass(10_000);
    bench.turn();
    bench.store.step(Work::Look);
    bench.store.handle_wake(bench.now);
    let refused = bench.try_send("T", 0).unwrap_err();
    assert!(matches!(refused, AppendError::DiskFull(91..=100)), "{refused:?}");
    assert_eq!(numbers(&bench.store, 0).len(), 200, "reads go on");
    bench.clean();
    assert!(bench.log_start() > 0, "the oldest went although its time was not over");
    bench.try_send("T", 0).unwrap();
    assert!(bench.bounds(0).min > 0 && bench.bounds(0).max == 201);
}

#[test]
fn a_file_for_which_there_is_no_space_is_not_left_behind() {
    let mut bench = Bench::new(config());
    bench.send(3);
    let used: u64 = bench.disk.files().iter().map(|(_, len)| len).sum();
    bench.disk.set_capacity(used);
    let refused = (0..100).find_map(|_| bench.try_send("T", 0).err());
    assert!(matches!(refused, Some(AppendError::NoSpace(_))), "{refused:?}");
    assert_eq!(bench.files("/data/commitlog"), [format!("{:020}", 0)]);
    bench.disk.set_capacity(u64::MAX);
    bench.send(20);
    assert_eq!(bench.files("/data/commitlog").len(), 3);
}

/// Messages of the test below, and how many of them make a file of the log.
const SENT: usize = 158;
const PER_FILE: usize = 16;

#[test]
fn how_full_the_disk_is_can_be_asked_once_it_was_looked_at() {
    let mut bench = Bench::new(config());
    assert_eq!(bench.store.disk_space(), None);
    bench.disk.set_capacity(1 << 20);
    bench.send(40);
    bench.clean();
    let space = bench.store.disk_space().expect("it was looked at");
    assert_eq!(space.used + space.available, 1 << 20);
    assert!(space.used > 40 * BODY as u64);
}

/// Every message that the log holds is in its queue, once and in order; answers where the log begins.
fn check(disk: &SimulatedDisk, at: &str) -> i64 {
    let (store, recovered) =
        Store::open_simulated(disk, config(), Arc::new(|| {})).unwrap_or_else(|error| panic!("{at}: does not open: {error}"));
    assert!(recovered.cut.is_none(), "{at}: {recovered:?}");
    let start = store.log_bounds().0.0;
    let mut found = Vec::new();
    for queue_id in 0..2 {
        let numbers = numbers(&store, queue_id);
        assert!(numbers.is_sorted_by(|a, b| a + 2 == *b), "{at}: a hole in {numbers:?}");
        found.extend(numbers);
    }
    found.sort_unstable();
    // All records are of one length.
    let gone = usize::try_from(start / i64::from(LOG_FILE)).unwrap() * PER_FILE;
    let expected: Vec<_> = (gone..SENT).collect();
    assert_eq!(found, expected, "{at}: the log begins at {start}");
    start
}

#[test]
fn a_crash_between_any_two_steps_of_a_deletion_leaves_a_store_that_opens_and_goes_on() {
    let mut bench = Bench::new(config());
    bench.send(SENT);
    bench.settle();
    assert_eq!(check(&bench.disk.after(Crash::Kill, 0), "before"), 0);
    bench.pass(73 * HOUR);
    bench.disk.watch(1);
    bench.clean();
    let moments = bench.disk.take_moments();
    assert!(moments.len() > 30, "log and queues lost files: {}", moments.len());
    let mut starts = Vec::new();
    for (index, moment) in moments.iter().enumerate() {
        for seed in 0..8 {
            let crash = if seed == 0 { Crash::Kill } else { Crash::PowerLoss };
            let seed = seed + 8 * index as u64;
            let at = format!("{crash:?} before {}, seed {seed}", moment.operation);
            let disk = moment.after(crash, seed);
            starts.push(check(&disk, &at));
            if seed % 8 > 1 {
                continue;
            }
            // Whoever goes on gets where the others are.
            let mut again = Bench::on(&disk, config());
            again.now = bench.now;
            again.try_send("U", 0).unwrap();
            again.settle();
            again.clean();
            for queue in ["0", "1"] {
                assert_eq!(again.files(&format!("/data/consumequeue/T/{queue}")).len(), 1, "{at}");
            }
            assert_eq!(again.log_start(), bench.log_start(), "{at}");
        }
    }
    starts.sort_unstable();
    starts.dedup();
    assert_eq!(starts.len(), SENT.div_ceil(PER_FILE), "each number of files is seen after some crash");
}
