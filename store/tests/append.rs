//! Appending and reading in one process.

mod kit;

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use kit::{config, message, open, sync_config};
use route_core::{
    Storage, Timestamp,
    storage::{AppendError, Boundary, LogRange},
    time::Millis,
};
use store::{
    StoreConfig,
    simulation::{FailingDisk, Operation},
};

#[test]
fn messages_are_read_where_they_were_put() {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = open(config(dir.path()));
    let texts: Vec<String> = (0..500).map(|at| format!("message {at}")).collect();
    for text in &texts {
        opened.send("TopicA", 3, text);
    }
    assert_eq!(opened.bodies("TopicA", 3), texts);
    assert!(dir.path().join("commitlog/00000000000000016384").exists(), "the log has rolled");
    assert!(dir.path().join("consumequeue/TopicA/3/00000000000000009600").exists(), "the queue has rolled");
}

#[test]
fn a_slice_holds_the_same_bytes_as_the_record() {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = open(config(dir.path()));
    let placed = opened.send("TopicA", 0, "hello");
    let len = u32::try_from(placed.end.0 - placed.offset.0).unwrap();
    let slice = opened.store.slice(LogRange { offset: placed.offset, len }).unwrap();
    assert_eq!(Some(slice.as_ref()), opened.store.record(placed.offset));
    assert!(opened.store.slice(LogRange { offset: placed.offset, len: len + 1 }).is_none(), "behind the end of the log");
}

#[test]
fn what_was_appended_can_be_looked_at_and_is_sent_and_outlives_the_process_once_it_is_committed() {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = open(config(dir.path()));
    opened.send("TopicA", 0, "committed");
    let queue = opened.store.open_queue("TopicA", 0);
    let placed = opened.store.append(Timestamp(5), queue, &message("TopicA", 0, "not yet")).unwrap();
    assert_eq!(opened.bodies("TopicA", 0), ["committed", "not yet"]);
    let range = LogRange { offset: placed.offset, len: u32::try_from(placed.end.0 - placed.offset.0).unwrap() };
    assert!(opened.store.slice(range).is_none());
    drop(opened);

    let mut opened = open(config(dir.path()));
    assert_eq!(opened.bodies("TopicA", 0), ["committed"]);
    let queue = opened.store.open_queue("TopicA", 0);
    assert_eq!(opened.store.append(Timestamp(6), queue, &message("TopicA", 0, "not yet")).unwrap().offset, placed.offset);
    opened.store.commit().unwrap();
    assert_eq!(opened.store.slice(range).as_ref().map(AsRef::as_ref), opened.store.record(placed.offset));
    drop(opened);
    assert_eq!(open(config(dir.path())).bodies("TopicA", 0), ["committed", "not yet"]);
}

#[test]
fn what_the_system_has_refused_is_behind_all_ends() {
    let dir = tempfile::tempdir().unwrap();
    let full = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&full);
    let disk = FailingDisk::new(move |operation, path| {
        let refused =
            asked.load(Ordering::Relaxed) && operation == Operation::Write && path.parent().is_some_and(|dir| dir.ends_with("commitlog"));
        if refused { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    });
    let mut opened = open(StoreConfig { disk: disk.into(), ..config(dir.path()) });
    let last = opened.send("TopicA", 0, "taken");
    full.store(true, Ordering::Relaxed);
    let queue = opened.store.open_queue("TopicA", 0);
    let late = last.store_timestamp.plus(Millis(5));
    opened.store.append(late, queue, &message("TopicA", 0, "refused")).unwrap();
    assert_eq!(opened.store.search_by_time(queue, late, Boundary::Lower), 1);
    opened.store.commit().unwrap_err();
    assert_eq!((opened.store.bounds(queue).max, opened.store.log_bounds().1), (1, last.end));
    assert_eq!(opened.store.search_by_time(queue, late, Boundary::Upper), 0, "the last one that is there");
    assert_eq!(opened.store.search_by_time(queue, late.plus(Millis(1)), Boundary::Lower), 1, "behind it");
    assert_eq!(opened.bodies("TopicA", 0), ["taken"]);
}

#[test]
fn records_longer_than_what_is_staged_at_once_are_whole() {
    let dir = tempfile::tempdir().unwrap();
    let config = || StoreConfig { mapped_file_size_commit_log: 4 << 20, ..config(dir.path()) };
    let bodies: Vec<_> = (0..40).map(|at| "x".repeat(at * 13_000)).collect();
    let mut opened = open(config());
    let queue = opened.store.open_queue("TopicA", 0);
    for body in &bodies {
        opened.store.append(Timestamp(5), queue, &message("TopicA", 0, body)).unwrap();
    }
    assert_eq!(opened.bodies("TopicA", 0), bodies);
    opened.store.commit().unwrap();
    assert_eq!(opened.bodies("TopicA", 0), bodies);
    drop(opened);
    assert_eq!(open(config()).bodies("TopicA", 0), bodies);
}

#[test]
fn a_batch_is_put_whole_into_one_file_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = open(config(dir.path()));
    let queue = opened.store.open_queue("TopicA", 0);
    let body = "x".repeat(3000);
    let batch = [message("TopicA", 0, &body); 3];
    let mut placed = Vec::new();
    for _ in 0..2 {
        opened.store.append_batch(Timestamp(5), queue, &batch, &mut placed).unwrap();
    }
    assert_eq!(placed[3].offset.0, 16 << 10, "the second batch begins a file");
    assert_eq!(placed.iter().map(|it| it.queue_offset).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5]);

    let before = opened.store.log_bounds();
    let too_long = [message("TopicA", 0, &body); 6];
    assert!(matches!(opened.store.append_batch(Timestamp(5), queue, &too_long, &mut placed), Err(AppendError::TooLarge { .. })));
    assert_eq!((opened.store.log_bounds(), placed.len(), opened.store.next_offset(queue)), (before, 6, 6));
}

#[test]
fn limits_of_the_format_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = open(kit::config(dir.path()));
    let queue = opened.store.open_queue("TopicA", 0);
    let body = "x".repeat((4 << 20) + 1);
    let long = message("TopicA", 0, &body);
    let limit = 4 << 20;
    assert_eq!(opened.store.append(Timestamp(5), queue, &long), Err(AppendError::TooLarge { size: limit + 1, limit }));
    let properties = vec![b'p'; 32768];
    let wide = route_core::storage::NewMessage { properties: &properties, ..message("TopicA", 0, "") };
    assert_eq!(opened.store.append(Timestamp(5), queue, &wide), Err(AppendError::PropertiesTooLarge(32768)));
    let topic = "t".repeat(128);
    let named = message(&topic, 0, "");
    assert_eq!(opened.store.append(Timestamp(5), queue, &named), Err(AppendError::TooLarge { size: 128, limit: 127 }));
    assert_eq!(opened.store.next_offset(queue), 0);
}

#[test]
fn arrivals_are_told_once_each_and_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = open(config(dir.path()));
    for body in ["a", "b"] {
        opened.send("TopicA", 0, body);
    }
    opened.send("TopicB", 0, "c");
    let told: Vec<_> = std::iter::from_fn(|| opened.store.poll_arrival()).map(|it| (it.queue.0, it.queue_offset)).collect();
    assert_eq!(told, [(0, 0), (0, 1), (1, 0)]);
    opened.send("TopicA", 0, "d");
    assert_eq!(opened.store.poll_arrival().map(|it| it.queue_offset), Some(2));
    assert_eq!(opened.store.poll_arrival(), None);
}

#[test]
fn with_sync_flush_nothing_is_readable_before_it_is_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = open(sync_config(dir.path()));
    for body in ["a", "b"] {
        opened.send("TopicA", 0, body);
    }
    let queue = opened.store.find_queue("TopicA", 0).unwrap();
    assert_eq!((opened.store.bounds(queue).max, opened.store.next_offset(queue)), (0, 2));
    assert_eq!(opened.store.poll_arrival(), None);
    opened.flush();
    assert_eq!(opened.bodies("TopicA", 0), ["a", "b"]);
    assert_eq!(std::iter::from_fn(|| opened.store.poll_arrival()).count(), 2);
}

#[test]
fn a_removed_topic_reads_as_empty_and_begins_anew_under_another_number() {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = open(config(dir.path()));
    opened.send("TopicA", 0, "old");
    let old = opened.store.find_queue("TopicA", 0).unwrap();
    opened.store.remove_topic("TopicA");
    assert_eq!(opened.store.bounds(old).max, 0);
    assert!(matches!(opened.store.append(Timestamp(5), old, &message("TopicA", 0, "x")), Err(AppendError::QueueUnusable(_))));
    assert_eq!(opened.store.find_queue("TopicA", 0), None);
    assert_eq!(opened.send("TopicA", 0, "new").queue_offset, 0);
    assert_eq!(opened.bodies("TopicA", 0), ["new"]);
}

#[test]
fn what_was_stored_before_is_stored_again_whatever_clients_may_send_by_now() {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = open(store::StoreConfig { max_message_size: 100, ..config(dir.path()) });
    let queue = opened.store.open_queue("TopicA", 0);
    let old = "x".repeat(8_000);
    let message_of_old = message("TopicA", 0, &old);
    assert_eq!(opened.store.append(Timestamp(5), queue, &message_of_old), Err(AppendError::TooLarge { size: 8_000, limit: 100 }));
    opened.store.append_again(Timestamp(5), queue, &message_of_old).unwrap();
    assert_eq!(opened.bodies("TopicA", 0), [old]);
    let larger_than_a_file = "x".repeat(20 << 10);
    let refused = opened.store.append_again(Timestamp(5), queue, &message("TopicA", 0, &larger_than_a_file));
    assert!(refused.as_ref().is_err_and(AppendError::is_lasting), "{refused:?}");
}

#[test]
fn a_name_that_is_none_is_the_messages_fault_and_not_the_stores() {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = open(config(dir.path()));
    for name in ["a/b", "", ".."] {
        let queue = opened.store.open_queue(name, 0);
        assert_eq!(opened.store.append(Timestamp(5), queue, &message(name, 0, "x")), Err(AppendError::BadTopic(name.into())));
    }
    opened.send("TopicA", 0, "fine");
}
