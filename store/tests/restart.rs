//! What is there after a stop, in order or not.

mod kit;

use std::{fs, path::Path, sync::Arc};

use kit::{Opened, config, open, stepped::Bench, sync_config};
use route_core::{
    Storage, Timestamp,
    broker::offsets::OffsetTable,
    output::{Table, Ticket},
    storage::{AppendError, OffsetTableKind},
    table_content::TableContent,
};
use store::{NotedOffset, Store, StoreConfig, StoreEvent};

fn texts(from: usize, to: usize) -> Vec<String> {
    (from..to).map(|at| format!("message {at}")).collect()
}

#[test]
fn a_closed_store_opens_with_all_it_had_and_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    for sync in [false, true] {
        let root = dir.path().join(sync.to_string());
        let config = || if sync { sync_config(&root) } else { config(&root) };
        for round in 0..4 {
            let mut opened = open(config());
            assert!(opened.recovered.clean && opened.recovered.scanned_records == 0, "{:?}", opened.recovered);
            assert_eq!(opened.bodies("TopicA", 1), texts(0, round * 100));
            for text in texts(round * 100, (round + 1) * 100) {
                opened.send("TopicA", 1, &text);
            }
            opened.store.close().unwrap();
            assert!(!root.join("abort").exists());
        }
    }
}

#[test]
fn a_killed_store_opens_with_all_it_had_and_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..6 {
        let mut opened = open(config(dir.path()));
        assert_eq!(opened.recovered.clean, round == 0);
        assert_eq!(opened.recovered.cut, None);
        assert_eq!(opened.bodies("TopicA", 1), texts(0, round * 100));
        for text in texts(round * 100, (round + 1) * 100) {
            opened.send("TopicA", 1, &text);
        }
    }
}

fn noted(key: &str, queue_id: i32, offset: i64) -> NotedOffset {
    NotedOffset { key: key.into(), queue_id, offset }
}

/// The table's text as it was found, and what was noted since.
fn load(opened: &mut Opened) -> (Option<String>, Vec<NotedOffset>) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).map_err(|error| error.to_string());
    opened.store.load_offsets(OffsetTableKind::Consumer, text).unwrap()
}

fn save(opened: &mut Opened, content: &'static str) {
    opened.store.save(Ticket(1), Table::ConsumerOffsets, content.into());
    while opened.event() != StoreEvent::Persisted(Ticket(1), Ok(())) {}
}

#[test]
fn offsets_that_were_committed_after_the_last_save_survive_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = open(config(dir.path()));
    assert_eq!(load(&mut opened), (None, vec![]));
    opened.store.note_offset(OffsetTableKind::Consumer, "T@g", 0, 3);
    drop(opened);

    let mut opened = open(config(dir.path()));
    assert_eq!(load(&mut opened), (None, vec![noted("T@g", 0, 3)]));
    assert_eq!(opened.store.load_offsets(OffsetTableKind::Delay, |_| Ok(())).unwrap(), (None, vec![]));
    save(&mut opened, "{first}");
    opened.store.note_offset(OffsetTableKind::Consumer, "T@g", 0, 4);
    opened.store.note_offset(OffsetTableKind::Delay, "SCHEDULE_TOPIC_XXXX", 2, 9);
    drop(opened);

    let mut opened = open(config(dir.path()));
    assert_eq!(load(&mut opened), (Some("{first}".into()), vec![noted("T@g", 0, 4)]));
    let (_, delays) = opened.store.load_offsets(OffsetTableKind::Delay, |_| Ok(())).unwrap();
    assert_eq!(delays, [noted("SCHEDULE_TOPIC_XXXX", 2, 9)]);
    save(&mut opened, "{second}");
    opened.store.close().unwrap();
    assert!(!dir.path().join("config/consumerOffset.journal").exists(), "all of it is in the table");

    let mut opened = open(config(dir.path()));
    assert_eq!(load(&mut opened), (Some("{second}".into()), vec![]));
}

#[test]
fn a_table_whose_text_is_not_made_yet_is_saved_by_a_store_that_is_closed() {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = open(config(dir.path()));
    load(&mut opened);
    opened.store.note_offset(OffsetTableKind::Consumer, "T@g", 0, 3);
    let mut table = OffsetTable::new(Timestamp(0), 1);
    table.restore("T@g", 0, 3);
    opened.store.save(Ticket(1), Table::ConsumerOffsets, TableContent::Offsets(table.snapshot()));
    opened.store.close().unwrap();
    assert!(!dir.path().join("config/consumerOffset.journal").exists(), "the table has all");
    let (text, noted) = load(&mut open(config(dir.path())));
    assert!(text.is_some_and(|text| text.contains("T@g")) && noted.is_empty());
}

#[test]
fn offsets_noted_for_a_table_that_a_java_broker_saved_since_are_void() {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = open(config(dir.path()));
    load(&mut opened);
    save(&mut opened, "{ours}");
    opened.store.note_offset(OffsetTableKind::Consumer, "T@g", 0, 4);
    drop(opened);
    std::fs::write(dir.path().join("config/consumerOffset.json"), "{java's}").unwrap();
    assert_eq!(load(&mut open(config(dir.path()))), (Some("{java's}".into()), vec![]));
}

#[test]
fn a_topic_that_was_removed_and_made_again_begins_at_zero_after_a_kill_too() {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = open(config(dir.path()));
    for text in texts(0, 40) {
        opened.send("TopicA", 0, &text);
    }
    opened.store.remove_topic("TopicA");
    for text in ["new 0", "new 1"] {
        opened.send("TopicA", 0, text);
    }
    drop(opened);
    let opened = open(config(dir.path()));
    assert_eq!(opened.bodies("TopicA", 0), ["new 0", "new 1"]);
}

#[test]
fn readers_and_the_checkpoint_follow_the_flusher_without_being_asked() {
    let dir = tempfile::tempdir().unwrap();
    let often = std::time::Duration::from_millis(5);
    let mut opened = open(StoreConfig {
        flush_interval_commit_log: often,
        flush_commit_log_least_pages: 0,
        flush_interval_consume_queue: often,
        ..config(dir.path())
    });
    let placed = opened.send("TopicA", 0, "hello");
    assert_eq!(opened.event(), StoreEvent::Durable(placed.end));
    // The mark follows in the next round of the queues.
    let marked = || {
        let bytes = std::fs::read(dir.path().join("checkpoint")).unwrap();
        bytes.windows(8).any(|window| window == placed.end.0.to_be_bytes())
    };
    while !marked() {
        std::thread::yield_now();
    }
    drop(opened);
    assert_eq!(open(config(dir.path())).recovered.scanned_records, 0);
}

/// What can become of a queue's files, by number.
const DAMAGES: usize = 6;

fn damage(queue: &Path, number: usize) {
    let file = |base: usize| queue.join(format!("{base:020}"));
    match number {
        0 => fs::remove_file(file(1800)).unwrap(),
        1 => fs::write(file(1800), [0; 600]).unwrap(),
        2 => fs::remove_file(file(0)).unwrap(),
        3 => fs::remove_file(file(600)).unwrap(),
        4 => fs::read_dir(queue).unwrap().for_each(|entry| fs::remove_file(entry.unwrap().path()).unwrap()),
        _ => fs::remove_dir_all(queue).unwrap(),
    }
}

#[test]
fn a_queue_that_lost_files_while_the_store_was_closed_is_built_anew() {
    for number in 0..DAMAGES {
        let dir = tempfile::tempdir().unwrap();
        let mut opened = open(config(dir.path()));
        for text in texts(0, 100) {
            opened.send("TopicA", 1, &text);
        }
        opened.send("TopicA", 2, "other");
        opened.store.close().unwrap();
        damage(&dir.path().join("consumequeue/TopicA/1"), number);
        for round in 0..2 {
            let mut opened = open(config(dir.path()));
            assert_eq!(opened.bodies("TopicA", 1), texts(0, 100 + round), "damage {number}");
            let sent = opened.send("TopicA", 1, &format!("message {}", 100 + round));
            assert_eq!(sent.queue_offset, 100 + round as i64, "damage {number}");
            opened.store.close().unwrap();
        }
    }
}

#[test]
fn a_queue_that_lost_what_it_had_at_the_last_stop_is_built_anew_after_a_kill_too() {
    for number in [0, 1, 3, 4, 5] {
        let dir = tempfile::tempdir().unwrap();
        let mut opened = open(config(dir.path()));
        for text in texts(0, 100) {
            opened.send("TopicA", 1, &text);
        }
        opened.store.close().unwrap();
        let mut opened = open(config(dir.path()));
        opened.send("TopicB", 0, "after the stop");
        drop(opened);
        damage(&dir.path().join("consumequeue/TopicA/1"), number);
        let mut opened = open(config(dir.path()));
        assert_eq!(opened.bodies("TopicA", 1), texts(0, 100), "damage {number}");
        assert_eq!(opened.send("TopicA", 1, "message 100").queue_offset, 100, "damage {number}");
    }
}

#[test]
fn a_topic_that_was_removed_since_the_last_stop_is_not_missed() {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = open(config(dir.path()));
    opened.send("TopicA", 1, "gone");
    opened.send("TopicB", 0, "stays");
    opened.store.close().unwrap();
    let mut opened = open(config(dir.path()));
    opened.store.remove_topic("TopicA");
    opened.send("TopicA", 1, "new");
    drop(opened);
    let mut opened = open(config(dir.path()));
    assert_eq!(opened.bodies("TopicA", 1), ["new"]);
    assert_eq!(opened.send("TopicA", 1, "next").queue_offset, 1);
}

#[test]
fn one_queue_of_very_many_that_lost_files_takes_nothing_until_the_next_start_has_built_it_anew() {
    let config = || StoreConfig { max_mapped_files: 100_000, message_index_enable: false, ..config(Path::new("/data")) };
    let mut bench = Bench::new(config());
    for _ in 0..3 {
        bench.try_send("TopicA", 1).unwrap();
    }
    // So many that they are not looked at in turn.
    for queue_id in 0..4100 {
        bench.try_send("Many", queue_id).unwrap();
    }
    let Bench { disk, store, .. } = bench;
    store.close().unwrap();
    disk.remove(Path::new("/data/consumequeue/TopicA/1/00000000000000000000"));

    let before = disk.looks();
    let (mut store, recovered) = Store::open_simulated(&disk, config(), Arc::new(|| {})).unwrap();
    assert!(recovered.clean && recovered.scanned_records == 0, "{recovered:?}");
    assert!(disk.looks() - before < 100, "{} looks at two topics", disk.looks() - before);
    let send = |store: &mut Store| {
        let queue = store.open_queue("TopicA", 1);
        store.append(Timestamp(1_700_000_000_000), queue, &kit::message("TopicA", 1, "more"))
    };
    let refused = send(&mut store);
    assert!(
        matches!(&refused, Err(AppendError::QueueUnusable(why)) if why.contains("those from 0 to 3 were there when the store was closed")),
        "{refused:?}"
    );
    store.request_flush();
    store.close().unwrap();

    let (mut store, recovered) = Store::open_simulated(&disk, config(), Arc::new(|| {})).unwrap();
    assert_eq!(recovered.scanned_records, 4103);
    assert_eq!(send(&mut store).unwrap().queue_offset, 3);
}
