//! What a message costs on its way into the log: no allocation.

mod kit;

use kit::{Opened, config, message, open, sync_config};
use route_core::{Storage, Timestamp, storage::OffsetTableKind};
use store::{StoreConfig, StoreEvent};

#[test]
fn an_append_and_what_follows_it_allocate_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let with_trailers = StoreConfig { enabled_append_prop_crc: true, ..config(dir.path()) };
    for (name, config) in [("async", config(dir.path())), ("sync", sync_config(dir.path())), ("trailers", with_trailers)] {
        // Files of the real size: making a new one may allocate.
        let large = StoreConfig::new(dir.path().join(name));
        let mut opened =
            open(StoreConfig { flush_disk_type: config.flush_disk_type, enabled_append_prop_crc: config.enabled_append_prop_crc, ..large });
        let queue = opened.store.open_queue("TopicA", 0);
        let message = message("TopicA", 0, "hello");
        let turn = |opened: &mut Opened, count: i32| {
            for _ in 0..count {
                opened.store.append(Timestamp(1), queue, &message).unwrap();
                opened.store.note_offset(OffsetTableKind::Consumer, "TopicA@group", 0, 7);
            }
            opened.store.request_flush();
            while let Some(event) = opened.store.poll_event() {
                if let StoreEvent::Durable(up_to) = event {
                    opened.store.set_durable(up_to);
                }
            }
            while let Some(arrival) = opened.store.poll_arrival() {
                let unit = opened.store.units(queue, arrival.queue_offset).next().unwrap();
                assert!(opened.store.record(unit.offset).is_some());
            }
        };
        // The lists of what waits for the disk find their length once.
        turn(&mut opened, 2000);
        opened.flush();
        turn(&mut opened, 0);
        let info = allocation_counter::measure(|| turn(&mut opened, 500));
        assert_eq!(info.count_total, 0, "{name}");
    }
}
