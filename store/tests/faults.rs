//! Faults that have bitten brokers, each with the test that it does not bite this one. A simulated disk has them all at hand.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use proto_core::record::RecordView;
use route_core::{
    Storage, Timestamp,
    output::{Table, Ticket},
    storage::{AppendError, Appended, LogOffset, LogRange, NewMessage, QueueBounds, TagsCode},
};
use store::{
    FlushDiskType, Store, StoreConfig, StoreEvent,
    simulation::{Crash, SimulatedDisk, Work},
};

const LOG: &str = "/data/commitlog/00000000000000000000";

fn open(disk: &SimulatedDisk, flush_disk_type: FlushDiskType) -> Store {
    let config =
        StoreConfig { mapped_file_size_commit_log: 64 << 10, flush_disk_type, message_index_enable: false, ..StoreConfig::new("/data") };
    Store::open_simulated(disk, config, Arc::new(|| {})).expect("the store opens").0
}

fn send(store: &mut Store, body: &str) -> Result<Appended, AppendError> {
    let queue = store.open_queue("TopicA", 0);
    let message = NewMessage {
        topic: "TopicA",
        queue_id: 0,
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
    };
    let placed = store.append(Timestamp(1_700_000_000_000), queue, &message)?;
    store.commit().unwrap();
    Ok(placed)
}

/// What can be read of the queue, by body.
fn shown(store: &Store) -> Vec<String> {
    let Some(queue) = store.find_queue("TopicA", 0) else { return Vec::new() };
    let QueueBounds { min, max } = store.bounds(queue);
    let units = store.units(queue, min).take((max - min).unsigned_abs() as usize);
    let body = |offset: LogOffset| {
        let view = RecordView::parse(store.record(offset)?).ok()?;
        String::from_utf8(view.body().to_vec()).ok()
    };
    units.map(|unit| body(unit.offset).unwrap_or_else(|| "unreadable".into())).collect()
}

/// Brings all to disk, and the store to know it.
fn flush(store: &mut Store) -> Vec<StoreEvent> {
    store.request_flush();
    store.step(Work::Flush(Duration::from_secs(60)));
    let events: Vec<_> = std::iter::from_fn(|| store.poll_event()).collect();
    for event in &events {
        if let StoreEvent::Durable(up_to) = event {
            store.set_durable(*up_to);
        }
    }
    events
}

#[test]
fn nobody_reads_what_a_crash_can_take_back_where_acknowledged_means_durable() {
    let disk = SimulatedDisk::new(1);
    let mut store = open(&disk, FlushDiskType::SyncFlush);
    send(&mut store, "first").unwrap();
    assert_eq!(shown(&store), Vec::<String>::new());
    flush(&mut store);
    send(&mut store, "second").unwrap();
    assert_eq!(shown(&store), ["first"]);
    for seed in 0..20 {
        let after = open(&disk.after(Crash::PowerLoss, seed), FlushDiskType::SyncFlush);
        assert_eq!(shown(&after).first().map(String::as_str), Some("first"), "seed {seed}");
    }
}

#[test]
fn a_sync_that_failed_moves_no_watermark_and_is_not_tried_again() {
    let disk = SimulatedDisk::new(2);
    let mut store = open(&disk, FlushDiskType::SyncFlush);
    send(&mut store, "kept").unwrap();
    flush(&mut store);
    let durable = store.durable();
    send(&mut store, "lost").unwrap();
    disk.fail_sync_after(0);
    let events = flush(&mut store);
    assert!(matches!(&events[..], [StoreEvent::FlushFailed(why)] if why.contains("the log could not be brought to disk")), "{events:?}");
    // The disk would say yes to the next sync, although the pages are gone.
    let syncs = disk.operations();
    assert_eq!(flush(&mut store), []);
    assert_eq!((store.durable(), disk.operations()), (durable, syncs));
    assert!(matches!(send(&mut store, "refused"), Err(AppendError::ReadOnly(why)) if why.contains("could not be brought to disk")));
    assert_eq!(shown(&store), ["kept"]);
}

/// A record whose topic and properties begin just in front of `boundary` of the log loses all that it has behind it.
fn lose_what_lies_behind(boundary: u64) {
    let disk = SimulatedDisk::new(3);
    let mut store = open(&disk, FlushDiskType::AsyncFlush);
    send(&mut store, "whole").unwrap();
    let fixed = 88;
    let start = store.log_bounds().1.0.unsigned_abs();
    let body = "x".repeat((boundary - start) as usize - fixed - 4);
    let torn = send(&mut store, &body).unwrap();
    let end = torn.end.0.unsigned_abs();
    assert!(start + (fixed + body.len()) as u64 <= boundary && end > boundary, "{torn:?}");
    drop(store);
    let after = disk.after(Crash::Kill, 0);
    let content = after.content(Path::new(LOG)).unwrap();
    for byte in boundary..end {
        for bit in 0..8 {
            if content[byte as usize] >> bit & 1 == 1 {
                after.flip_bit(Path::new(LOG), byte, bit);
            }
        }
    }
    assert_eq!(shown(&open(&after, FlushDiskType::AsyncFlush)), ["whole"]);
}

#[test]
fn a_record_that_lost_a_page_behind_its_body_is_cut_off_although_its_checksum_is_right() {
    lose_what_lies_behind(4096);
}

#[test]
fn a_record_that_lost_a_sector_behind_its_body_is_cut_off_although_its_checksum_is_right() {
    lose_what_lies_behind(512);
}

#[test]
fn a_tail_that_was_cut_off_never_comes_back_to_life() {
    let disk = SimulatedDisk::new(4);
    let mut store = open(&disk, FlushDiskType::AsyncFlush);
    for body in ["one", "two", "old"] {
        send(&mut store, body).unwrap();
    }
    drop(store);
    let torn = disk.after(Crash::Kill, 0);
    let second = shown_at(&torn, 1);
    torn.flip_bit(Path::new(LOG), second.unsigned_abs() + 90, 3);
    let mut store = open(&torn, FlushDiskType::AsyncFlush);
    assert_eq!(shown(&store), ["one"]);
    // A record of the same length now ends just where the old one began.
    send(&mut store, "new").unwrap();
    drop(store);
    let store = open(&torn.after(Crash::Kill, 0), FlushDiskType::AsyncFlush);
    assert_eq!(shown(&store), ["one", "new"]);
}

/// Where the record of a message lies.
fn shown_at(disk: &SimulatedDisk, index: usize) -> i64 {
    let store = open(&disk.after(Crash::Kill, 0), FlushDiskType::AsyncFlush);
    let queue = store.find_queue("TopicA", 0).unwrap();
    store.units(queue, 0).nth(index).unwrap().offset.0
}

#[test]
fn what_stood_in_the_log_at_a_kill_stands_in_its_queue_after_it() {
    let disk = SimulatedDisk::new(5);
    let mut store = open(&disk, FlushDiskType::SyncFlush);
    for body in ["one", "two", "three"] {
        send(&mut store, body).unwrap();
    }
    // Nothing was flushed, and nothing was put into a queue yet.
    assert_eq!(shown(&store), Vec::<String>::new());
    drop(store);
    assert_eq!(shown(&open(&disk.after(Crash::Kill, 0), FlushDiskType::SyncFlush)), ["one", "two", "three"]);
}

#[test]
fn a_full_disk_refuses_a_message_without_a_trace_and_takes_it_when_there_is_room() {
    let disk = SimulatedDisk::new(6);
    let mut store = open(&disk, FlushDiskType::AsyncFlush);
    send(&mut store, "fits").unwrap();
    let used: u64 = disk.files().iter().map(|(_, len)| len).sum();
    disk.set_capacity(used);
    let big = "x".repeat(20 << 10);
    let mut taken = 1;
    let refused = loop {
        match send(&mut store, &big) {
            Ok(_) => taken += 1,
            Err(refused) => break refused,
        }
    };
    assert!(matches!(refused, AppendError::NoSpace(_)), "{refused:?}");
    assert_eq!(shown(&store).len(), taken);
    disk.set_capacity(u64::MAX);
    send(&mut store, "fits again").unwrap();
    assert_eq!(shown(&store).last().map(String::as_str), Some("fits again"));
    drop(store);
    assert_eq!(shown(&open(&disk.after(Crash::Kill, 0), FlushDiskType::AsyncFlush)).len(), taken + 1);
}

#[test]
fn a_store_that_opens_on_a_full_disk_serves_what_it_has_and_takes_more_when_there_is_room() {
    let disk = SimulatedDisk::new(16);
    let open = || {
        let config = StoreConfig { mapped_file_size_commit_log: 4 << 20, message_index_enable: false, ..StoreConfig::new("/data") };
        Store::open_simulated(&disk, config, Arc::new(|| {})).expect("the store opens").0
    };
    let mut store = open();
    let placed = send(&mut store, &"x".repeat(800 << 10)).unwrap();
    store.close().unwrap();
    // Enough for what a start writes, and not for the log's next bytes.
    disk.set_capacity((1 << 20) + (600 << 10));
    let mut store = open();
    assert!(matches!(send(&mut store, "refused"), Err(AppendError::NoSpace(_))));
    let range = |offset, len| LogRange { offset, len };
    let slice = store.slice(range(placed.offset, (placed.end.0 - placed.offset.0) as u32)).unwrap();
    assert!(store.slice(range(placed.end, 1)).is_none(), "what lies behind the end can still change");
    disk.set_capacity(u64::MAX);
    let taken = send(&mut store, "taken").unwrap();
    assert_eq!(RecordView::parse(slice.as_ref()).unwrap().body().len(), 800 << 10);
    assert!(store.slice(range(taken.offset, (taken.end.0 - taken.offset.0) as u32)).is_some());
    assert_eq!(shown(&store)[1..], ["taken"]);
}

#[test]
fn a_sync_every_half_second_keeps_the_loss_of_an_asynchronous_broker_short() {
    let disk = SimulatedDisk::new(7);
    let mut store = open(&disk, FlushDiskType::AsyncFlush);
    // Four pages, as RocketMQ's least.
    send(&mut store, &"x".repeat(17 << 10)).unwrap();
    store.step(Work::Flush(Duration::from_millis(500)));
    for seed in 0..20 {
        assert_eq!(shown(&open(&disk.after(Crash::PowerLoss, seed), FlushDiskType::AsyncFlush)).len(), 1, "seed {seed}");
    }
}

#[test]
fn a_table_that_calls_messages_delivered_is_on_disk_after_they_are() {
    let table = Path::new("/data/config/timercheck");
    for flush_disk_type in [FlushDiskType::SyncFlush, FlushDiskType::AsyncFlush] {
        let disk = SimulatedDisk::new(1);
        let mut store = open(&disk, flush_disk_type);
        send(&mut store, "delivered").unwrap();
        store.save(Ticket(7), Table::TimerCheckpoint, "it is delivered".into());
        store.step(Work::Tables);
        assert_eq!(disk.content(table), None);
        flush(&mut store);
        store.step(Work::Tables);
        assert_eq!(disk.content(table).as_deref(), Some(&b"it is delivered"[..]));
        assert_eq!(store.poll_event(), Some(StoreEvent::Persisted(Ticket(7), Ok(()))));
    }
}

#[test]
fn a_table_that_calls_messages_delivered_is_not_saved_when_they_cannot_be() {
    let disk = SimulatedDisk::new(1);
    let mut store = open(&disk, FlushDiskType::AsyncFlush);
    send(&mut store, "lost").unwrap();
    store.save(Ticket(7), Table::TimerCheckpoint, "it is delivered".into());
    disk.fail_sync_after(0);
    let events = flush(&mut store);
    assert!(events.iter().any(|event| matches!(event, StoreEvent::Persisted(Ticket(7), Err(_)))), "{events:?}");
    store.step(Work::Tables);
    assert_eq!(disk.content(Path::new("/data/config/timercheck")), None);
}

#[test]
fn a_store_that_is_closed_saves_what_has_waited_for_the_log() {
    let disk = SimulatedDisk::new(1);
    let mut store = open(&disk, FlushDiskType::AsyncFlush);
    send(&mut store, "delivered").unwrap();
    store.save(Ticket(7), Table::TimerCheckpoint, "it is delivered".into());
    store.close().unwrap();
    assert!(disk.content(Path::new("/data/config/timercheck")).is_some());
}

#[test]
fn a_removed_topic_does_not_come_back_with_a_part_of_its_messages() {
    for seed in 0..8 {
        let disk = SimulatedDisk::new(seed);
        let mut store = open(&disk, FlushDiskType::AsyncFlush);
        let all = ["a", "b", "c", "d", "e"];
        for body in &all[..3] {
            send(&mut store, body).unwrap();
        }
        flush(&mut store);
        for body in &all[3..] {
            send(&mut store, body).unwrap();
        }
        store.remove_topic("TopicA");
        // The checkpoint covers the last messages, too, whose units are not on disk.
        store.step(Work::Flush(Duration::from_secs(120)));
        let store = open(&disk.after(Crash::PowerLoss, seed), FlushDiskType::AsyncFlush);
        let shown = shown(&store);
        assert!(shown.is_empty() || shown == all, "seed {seed}: {shown:?}");
    }
}
