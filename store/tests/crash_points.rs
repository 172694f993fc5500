//! What a crash leaves, at many moments of random work: the same few hundred with each run of the tests. The whole, with other work for each seed, is
//! `cargo run --release -p petrel-store --example crash_points -- --points 100000 --seed 1`.

mod crash;

use std::path::Path;

use crash::{Counts, Failure, Plan, Start, explore};
use store::{
    FlushDiskType,
    simulation::{Operation, SimulatedDisk},
};

fn holds(flush: FlushDiskType, seeds: std::ops::Range<u64>) {
    let mut counts = Counts::default();
    for seed in seeds {
        let plan =
            Plan { seed, steps: 250, one_in: 6, start: Start { flush, puts_off: seed % 2 == 0, trailers: seed % 4 < 2 }, restarted: false };
        if let Err(failure) = explore(plan, |_| {}, &mut counts) {
            panic!("{failure}");
        }
    }
    assert!(counts.crash_points > 300, "{counts}");
}

#[test]
fn what_an_asynchronous_store_promised_survives_every_crash() {
    holds(FlushDiskType::AsyncFlush, 0..4);
}

#[test]
fn what_a_synchronous_store_promised_survives_every_crash() {
    holds(FlushDiskType::SyncFlush, 100..104);
}

/// The first failure of a store whose disk ignores some operations.
fn failure(flush: FlushDiskType, ignored: fn(Operation, &Path) -> bool) -> Box<Failure> {
    failure_of(Start { flush, puts_off: false, trailers: false }, ignored)
}

fn failure_of(start: Start, ignored: fn(Operation, &Path) -> bool) -> Box<Failure> {
    first_of((0..60).map(|seed| Plan { seed, steps: 300, one_in: 3, start, restarted: false }), ignored)
}

fn first_of(plans: impl Iterator<Item = Plan>, ignored: fn(Operation, &Path) -> bool) -> Box<Failure> {
    let prepare = |disk: &SimulatedDisk| disk.ignore(ignored);
    let mut failures = plans.filter_map(|plan| explore(plan, prepare, &mut Counts::default()).err());
    failures.next().expect("nobody noticed")
}

fn is_of(path: &Path, folder: &str) -> bool {
    path.starts_with(Path::new("/data").join(folder))
}

#[test]
fn a_log_that_is_not_synced_is_noticed() {
    let failure = failure(FlushDiskType::SyncFlush, |operation, path| operation == Operation::Sync && is_of(path, "commitlog"));
    assert!(failure.what.contains("was promised") || failure.what.contains("no record at"), "{failure}");
}

#[test]
fn a_folder_of_the_log_that_is_not_synced_is_noticed() {
    let ignored = |operation, path: &Path| operation == Operation::Sync && path == Path::new("/data/commitlog");
    let failure = failure(FlushDiskType::SyncFlush, ignored);
    assert!(failure.what.contains("was promised") || failure.what.contains("does not open"), "{failure}");
}

#[test]
fn queues_that_are_not_synced_before_the_checkpoint_are_noticed() {
    let failure = failure(FlushDiskType::AsyncFlush, |operation, path| operation == Operation::Sync && is_of(path, "consumequeue"));
    assert!(failure.what.contains("shows"), "{failure}");
}

#[test]
fn an_abort_file_that_is_not_synced_is_noticed() {
    let ignored = |operation, path: &Path| operation == Operation::Sync && (path == Path::new("/data") || is_of(path, "abort"));
    // Only between a start and the first checkpoint behind it does anything hang on that file.
    let start = Start { flush: FlushDiskType::AsyncFlush, puts_off: false, trailers: false };
    first_of((0..300).map(|seed| Plan { seed, steps: 20, one_in: 2, start, restarted: true }), ignored);
}

#[test]
fn a_table_that_is_not_synced_is_noticed() {
    let failure = failure(FlushDiskType::AsyncFlush, |operation, path| operation == Operation::Sync && is_of(path, "config"));
    assert!(failure.what.contains("offset of"), "{failure}");
}

#[test]
fn units_that_are_not_erased_behind_a_cut_are_noticed() {
    failure(FlushDiskType::AsyncFlush, |operation, path| operation == Operation::Erase && is_of(path, "consumequeue"));
}

#[test]
fn units_that_are_not_erased_when_a_queue_that_was_put_off_is_used_are_noticed() {
    let start = Start { flush: FlushDiskType::AsyncFlush, puts_off: true, trailers: false };
    failure_of(start, |operation, path| operation == Operation::Erase && is_of(path, "consumequeue"));
}

#[test]
fn queues_that_were_put_off_and_are_not_synced_before_the_mark_moves_are_noticed() {
    let start = Start { flush: FlushDiskType::SyncFlush, puts_off: true, trailers: false };
    let failure = failure_of(start, |operation, path| operation == Operation::Sync && is_of(path, "consumequeue"));
    assert!(failure.what.contains("shows"), "{failure}");
}
