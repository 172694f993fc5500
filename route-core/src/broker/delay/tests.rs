use std::net::SocketAddr;

use proto_core::record::RecordView;

use super::*;
use crate::{
    broker::address::BadAddress,
    storage::{NewMessage, TagsCode, memory::MemoryStorage},
};

const HOST: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 10911);

/// Both clocks show the same, so that times read as arithmetic.
fn at(millis: u64) -> Now {
    Now { mono: Millis(millis), wall: Timestamp(i64::try_from(millis).unwrap()) }
}

fn message<'a>(properties: &'a [u8], tags_code: TagsCode) -> NewMessage<'a> {
    NewMessage {
        topic: SCHEDULE_TOPIC,
        queue_id: 0,
        flag: 7,
        sys_flag: 0,
        born_timestamp: 5,
        born_host: HOST,
        store_host: HOST,
        reconsume_times: 2,
        prepared_transaction_offset: 0,
        body: b"body",
        properties,
        tags_code,
    }
}

/// Levels of 1 s and 5 s over an empty log.
struct Scene {
    storage: MemoryStorage,
    schedule: DelaySchedule,
}

impl Scene {
    fn new() -> Self {
        let mut storage = MemoryStorage::default();
        let levels = DelayLevels::parse("1s 5s").unwrap();
        let mut schedule = DelaySchedule::new(at(0), &levels, &mut storage);
        assert_eq!(schedule.next_due(at(0), &storage), None);
        Self { storage, schedule }
    }

    fn delay(&mut self, now: Now, level: i32) {
        let queue = self.storage.open_queue(SCHEDULE_TOPIC, delay::queue_id(level));
        let wait = if level == 1 { 1_000 } else { 5_000 };
        self.storage.append(now.wall, queue, &message(b"", TagsCode::StoreTimePlus(wait))).unwrap();
        while let Some(arrival) = self.storage.poll_arrival() {
            self.schedule.handle_arrival(now, arrival);
        }
    }

    /// Delivers all that is due; level and offset of each.
    fn deliver(&mut self, now: Now) -> Vec<(i32, i64)> {
        let mut delivered = Vec::new();
        while let Some(due) = self.schedule.next_due(now, &self.storage) {
            delivered.push((due.level, due.offset));
            self.schedule.delivered(now, &due);
        }
        delivered
    }
}

#[test]
fn an_empty_schedule_wants_no_waking() {
    let scene = Scene::new();
    assert_eq!(scene.schedule.poll_timeout(), None);
}

#[test]
fn a_message_is_due_at_its_time_and_not_before() {
    let mut scene = Scene::new();
    scene.delay(at(100), 1);
    assert_eq!(scene.schedule.poll_timeout(), Some(Millis(1_100)));
    assert_eq!(scene.deliver(at(1_099)), []);
    assert_eq!(scene.deliver(at(1_100)), [(1, 0)]);
    assert_eq!(scene.schedule.poll_timeout(), None);
}

#[test]
fn messages_of_a_level_come_in_their_order_and_each_once() {
    let mut scene = Scene::new();
    for sent in [0, 10, 20] {
        scene.delay(at(sent), 1);
    }
    assert_eq!(scene.deliver(at(1_010)), [(1, 0), (1, 1)]);
    assert_eq!(scene.deliver(at(1_020)), [(1, 2)]);
}

#[test]
fn levels_with_a_backlog_take_turns() {
    let mut scene = Scene::new();
    for level in [1, 1, 2, 2] {
        scene.delay(at(0), level);
    }
    let first: Vec<_> = (0..4)
        .map(|tick| {
            let due = scene.schedule.next_due(at(9_000 + tick), &scene.storage).unwrap();
            scene.schedule.delivered(at(9_000 + tick), &due);
            due.level
        })
        .collect();
    assert_eq!(first, [1, 2, 1, 2]);
}

#[test]
fn a_long_wait_looks_at_the_clock_each_second() {
    let mut scene = Scene::new();
    scene.delay(at(0), 2);
    assert_eq!(scene.schedule.poll_timeout(), Some(Millis(1_000)));
    assert_eq!(scene.deliver(at(1_000)), []);
    assert_eq!(scene.schedule.poll_timeout(), Some(Millis(2_000)));
}

#[test]
fn a_clock_that_is_set_forward_makes_messages_due() {
    let mut scene = Scene::new();
    scene.delay(at(0), 2);
    assert_eq!(scene.deliver(Now { mono: Millis(1_000), wall: Timestamp(60_000) }), [(2, 0)]);
}

/// 100 s after the steady clock began, the wall clock was set back to 1 s.
fn set_back(mono: u64) -> Now {
    Now { mono: Millis(mono), wall: Timestamp(i64::try_from(mono).unwrap() - 100_000) }
}

#[test]
fn a_clock_that_is_set_back_makes_a_message_wait_its_level_once_more_and_no_longer() {
    let mut scene = Scene::new();
    scene.delay(at(100_000), 2);
    assert_eq!(scene.deliver(set_back(101_000)), []);
    assert_eq!(scene.deliver(set_back(105_999)), []);
    assert_eq!(scene.deliver(set_back(106_000)), [(2, 0)]);
}

#[test]
fn messages_of_before_and_after_a_set_back_come_in_their_order_and_none_early() {
    let mut scene = Scene::new();
    scene.delay(at(100_000), 2);
    scene.delay(at(100_600), 2);
    scene.deliver(set_back(101_000));
    scene.delay(set_back(101_200), 2);
    assert_eq!(scene.deliver(set_back(105_399)), []);
    assert_eq!(scene.deliver(set_back(105_400)), [(2, 0)]);
    assert_eq!(scene.deliver(set_back(106_000)), [(2, 1)]);
    assert_eq!(scene.deliver(set_back(106_199)), []);
    assert_eq!(scene.deliver(set_back(106_200)), [(2, 2)]);
}

#[test]
fn a_clock_that_is_set_back_between_two_runs_makes_messages_wait_their_level_once_more() {
    let mut scene = Scene::new();
    scene.delay(at(100_000), 2);
    let levels = DelayLevels::parse("1s 5s").unwrap();
    let mut restarted = DelaySchedule::new(set_back(101_000), &levels, &mut scene.storage);
    assert_eq!(restarted.next_due(set_back(105_999), &scene.storage), None);
    assert_eq!(restarted.next_due(set_back(110_999), &scene.storage).map(|due| due.offset), Some(0));
}

#[test]
fn a_message_that_storage_refuses_comes_again_after_a_pause() {
    let mut scene = Scene::new();
    scene.delay(at(0), 1);
    let due = scene.schedule.next_due(at(1_000), &scene.storage).unwrap();
    scene.schedule.refused(at(1_000), &due);
    assert_eq!(scene.schedule.poll_timeout(), Some(Millis(1_100)));
    assert_eq!(scene.deliver(at(1_099)), []);
    assert_eq!(scene.deliver(at(1_100)), [(1, 0)]);
}

#[test]
fn a_level_goes_on_where_a_saved_table_or_a_journal_says() {
    let mut scene = Scene::new();
    for sent in [0, 10, 20] {
        scene.delay(at(sent), 1);
    }
    let mut restarted = DelaySchedule::new(at(5_000), &DelayLevels::parse("1s").unwrap(), &mut scene.storage);
    restarted.restore(1, 2);
    restarted.restore(9, 2);
    assert_eq!(restarted.next_due(at(5_000), &scene.storage).map(|due| due.offset), Some(2));
}

#[test]
fn a_cursor_outside_of_its_queue_is_brought_back_into_it() {
    let mut scene = Scene::new();
    scene.delay(at(0), 1);
    scene.schedule.restore(1, 99);
    assert_eq!(scene.deliver(at(1_000)), []);
    assert_eq!(scene.schedule.offset(1), Some(1));
    scene.schedule.restore(1, -5);
    scene.delay(at(2_000), 1);
    assert_eq!(scene.deliver(at(9_000)), [(1, 0), (1, 1)]);
}

#[test]
fn only_deliveries_make_the_table_dirty() {
    let mut scene = Scene::new();
    scene.delay(at(0), 1);
    assert!(!scene.schedule.take_dirty());
    scene.deliver(at(1_000));
    assert!(scene.schedule.take_dirty());
}

/// The record that storage makes of these properties.
fn record(properties: &[u8]) -> Vec<u8> {
    let mut storage = MemoryStorage::default();
    let queue = storage.open_queue(SCHEDULE_TOPIC, 0);
    let appended = storage.append(Timestamp(9), queue, &message(properties, TagsCode::Hash(0))).unwrap();
    storage.record(appended.offset).unwrap().to_vec()
}

#[test]
fn a_delivered_message_keeps_all_but_topic_and_queue() {
    let properties = b"TAGS\x01TagA\x02DELAY\x011\x02REAL_TOPIC\x01T\x02REAL_QID\x013\x02";
    let record = record(properties);
    let message = Redelivery::of(RecordView::parse(&record).unwrap()).unwrap().message();
    assert_eq!((message.topic, message.queue_id), ("T", 3));
    assert_eq!(message.properties, properties);
    assert_eq!((message.body, message.flag, message.reconsume_times), (&b"body"[..], 7, 2));
    assert_eq!((message.born_timestamp, message.born_host, message.store_host), (5, HOST, HOST));
    assert_eq!(message.tags_code, TagsCode::Hash(2_598_919), "the hash of its tag, not its delivery time");
    assert_eq!(RecordView::parse(&record).unwrap().topic(), SCHEDULE_TOPIC);
}

/// Why a delayed message with these properties goes nowhere.
fn undeliverable(properties: &[u8]) -> BadAddress {
    Redelivery::of(RecordView::parse(&record(properties)).unwrap()).unwrap_err()
}

#[test]
fn a_record_without_an_address_goes_nowhere() {
    for properties in [&b"TAGS\x01a\x02"[..], b"REAL_TOPIC\x01T\x02", b"REAL_TOPIC\x01T\x02REAL_QID\x01x\x02"] {
        assert_eq!(undeliverable(properties), BadAddress::Missing);
    }
    assert_eq!(undeliverable(b"REAL_TOPIC\x01T\x02REAL_QID\x01-1\x02"), BadAddress::BadQueue(-1));
    assert_eq!(undeliverable(b"REAL_TOPIC\x01T\x02REAL_QID\x012147483647\x02"), BadAddress::BadQueue(2_147_483_647));
    assert_eq!(undeliverable(b"REAL_TOPIC\x01../evil\x02REAL_QID\x010\x02"), BadAddress::BadName("../evil".into()));
}

#[test]
fn a_delayed_half_message_is_dropped() {
    let half = b"REAL_TOPIC\x01RMQ_SYS_TRANS_HALF_TOPIC\x02REAL_QID\x010\x02";
    assert_eq!(undeliverable(half), BadAddress::BrokersOwn("RMQ_SYS_TRANS_HALF_TOPIC".into()));
}
