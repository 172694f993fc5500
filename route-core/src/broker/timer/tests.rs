use std::net::SocketAddr;

use proto_core::properties::{PropertiesWriter, Special};

use super::*;
use crate::storage::{NewMessage, TagsCode, memory::MemoryStorage};

mod model;

const HOST: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 10911);

/// The wall clock shows a multiple of the precision when the steady one shows 0.
const START: i64 = 1_700_000_000_000;

const NOTHING: [i64; 0] = [];

fn at(millis: u64) -> Now {
    Now { mono: Millis(millis), wall: Timestamp(START).plus(Millis(millis)) }
}

/// How a message of the timer's queue looks.
#[derive(Clone, Copy, Debug, Default)]
struct Timed<'a> {
    /// Ms after [`START`].
    out: i64,
    key: &'a str,
    recalls: &'a str,
    /// Ms after [`START`] that it asks for, if that is to be told.
    deliver: Option<i64>,
    /// Its unit carries the hash of its tag, as Java writes it.
    by_java: bool,
}

/// A schedule over a log in memory.
struct Scene {
    storage: MemoryStorage,
    schedule: TimerSchedule,
    config: TimerConfig,
}

impl Scene {
    fn new() -> Self {
        Self::with(TimerConfig::default())
    }

    fn with(config: TimerConfig) -> Self {
        let mut storage = MemoryStorage::default();
        let schedule = TimerSchedule::new(at(0), config, &mut storage);
        Self { storage, schedule, config }
    }

    /// Stores a message and lets the schedule know. Answers its offset.
    fn store(&mut self, now: Now, timed: Timed<'_>) -> i64 {
        let mut properties = PropertiesWriter::new();
        properties.append_number(property::TIMER_OUT_MS, START + timed.out);
        for (name, value) in [(property::UNIQ_KEY, timed.key), (property::TIMER_DEL_UNIQKEY, timed.recalls)] {
            if !value.is_empty() {
                properties.append(name, value.as_bytes());
            }
        }
        if let Some(deliver) = timed.deliver {
            properties.append_number(property::TIMER_DELIVER_MS, START + deliver);
        }
        let asked = Special::scan(properties.as_bytes());
        let entry = self.config.rules.entry(now.wall, Timestamp(START + timed.out), &asked);
        let message = NewMessage {
            topic: TIMER_TOPIC,
            queue_id: 0,
            flag: 0,
            sys_flag: 0,
            born_timestamp: 0,
            born_host: HOST,
            store_host: HOST,
            reconsume_times: 0,
            prepared_transaction_offset: 0,
            body: b"body",
            properties: properties.as_bytes(),
            tags_code: TagsCode::Hash(if timed.by_java { -7 } else { entry.tags_code() }),
        };
        let appended = self.storage.append(now.wall, self.schedule.queue(), &message).unwrap();
        while let Some(arrival) = self.storage.poll_arrival() {
            self.schedule.handle_arrival(now, arrival);
        }
        appended.queue_offset
    }

    fn store_for(&mut self, now: Now, out: i64) -> i64 {
        self.store(now, Timed { out, ..Timed::default() })
    }

    /// One turn as a broker makes it, with at most `most` deliveries; the offsets of what came out and was not recalled.
    fn turn(&mut self, now: Now, most: usize) -> Vec<i64> {
        let mut came = Vec::new();
        self.schedule.read(&self.storage);
        for _ in 0..most {
            let Some(due) = self.schedule.next_due(now, &self.storage) else { break };
            let record = RecordView::parse(self.storage.record(due.unit.offset).unwrap()).unwrap();
            let key = record.property(property::UNIQ_KEY).unwrap_or_default();
            if !self.schedule.is_recalled("T", key.as_bytes()) {
                came.push(due.key.offset);
            }
            self.schedule.done(&due);
        }
        self.schedule.rest(now, &self.storage);
        came
    }

    /// Turns until nothing more is to be done now.
    fn deliver(&mut self, now: Now) -> Vec<i64> {
        let mut came = Vec::new();
        while self.schedule.is_time(now) {
            came.extend(self.turn(now, 3));
        }
        came
    }

    /// Another process begins with what this one has saved.
    fn restart(&mut self, now: Now, saved: Option<&[u8]>) {
        self.schedule = TimerSchedule::new(now, self.config, &mut self.storage);
        if let Some(saved) = saved {
            self.schedule.load(now.wall, saved).unwrap();
        }
    }
}

#[test]
fn an_empty_schedule_wants_no_waking() {
    let mut scene = Scene::new();
    assert_eq!(scene.deliver(at(0)), NOTHING);
    assert_eq!(scene.schedule.poll_timeout(), None);
}

#[test]
fn a_message_comes_one_precision_after_its_rounded_time_and_not_before() {
    let mut scene = Scene::new();
    scene.store_for(at(0), 5_000);
    assert_eq!(scene.deliver(at(0)), NOTHING);
    assert_eq!(scene.deliver(at(5_999)), NOTHING);
    assert_eq!(scene.schedule.poll_timeout(), Some(Millis(6_000)));
    assert_eq!(scene.deliver(at(6_000)), [0]);
    assert_eq!((scene.schedule.poll_timeout(), scene.schedule.waiting()), (None, 0));
}

#[test]
fn a_message_that_tells_its_time_comes_then_and_not_with_its_second() {
    let mut scene = Scene::new();
    let [late, early, other] = [2_731, 2_005, 3_400].map(|deliver| {
        let out = (deliver - 1) / 1000 * 1000;
        scene.store(at(0), Timed { out, deliver: Some(deliver), ..Timed::default() })
    });
    assert_eq!(scene.deliver(at(2_004)), NOTHING);
    assert_eq!((scene.deliver(at(2_010)), scene.deliver(at(2_730))), (vec![early], vec![]));
    assert_eq!((scene.deliver(at(2_740)), scene.deliver(at(3_399))), (vec![late], vec![]));
    assert_eq!(scene.deliver(at(3_400)), [other]);
    assert_eq!(scene.schedule.poll_timeout(), None);
}

#[test]
fn a_recall_takes_back_the_first_and_the_last_message_of_its_second() {
    for deliver in [2_001, 2_500, 3_000] {
        let mut scene = Scene::new();
        scene.store(at(0), Timed { out: 2_000, key: "k", deliver: Some(deliver), ..Timed::default() });
        let kept = scene.store(at(0), Timed { out: 2_000, key: "l", deliver: Some(deliver), ..Timed::default() });
        scene.store(at(1_999), Timed { out: 2_000, recalls: "k", deliver: Some(2_001), ..Timed::default() });
        assert_eq!(scene.deliver(at(3_500)), [kept], "{deliver}");
        assert_eq!((scene.schedule.waiting(), scene.schedule.poll_timeout()), (0, None), "{deliver}");
    }
}

#[test]
fn nothing_of_a_second_comes_while_what_may_be_its_recall_is_unread() {
    let mut scene = Scene::new();
    scene.store(at(0), Timed { out: 2_000, key: "k", deliver: Some(2_001), ..Timed::default() });
    scene.deliver(at(100));
    for _ in 0..READ_PER_TURN + 10 {
        scene.store_for(at(1_999), 9_000);
    }
    scene.store(at(1_999), Timed { out: 2_000, recalls: "k", ..Timed::default() });
    assert_eq!(scene.turn(at(2_020), 3), NOTHING, "the recall is not among the first units");
    assert_eq!(scene.deliver(at(3_500)), NOTHING);
}

#[test]
fn messages_come_by_time_and_those_of_one_time_as_they_were_stored() {
    let mut scene = Scene::new();
    for out in [9_000, 3_000, 9_000, 3_000, 1_000] {
        scene.store_for(at(0), out);
    }
    assert_eq!(scene.deliver(at(60_000)), [4, 1, 3, 0, 2]);
}

#[test]
fn a_long_wait_looks_at_the_clock_each_second() {
    let mut scene = Scene::new();
    scene.store_for(at(0), 60_000);
    scene.deliver(at(0));
    assert_eq!(scene.schedule.poll_timeout(), Some(Millis(1_000)));
}

#[test]
fn a_clock_that_is_set_forward_makes_messages_due() {
    let mut scene = Scene::new();
    scene.store_for(at(0), 60_000);
    assert_eq!(scene.deliver(Now { mono: Millis(1_000), wall: Timestamp(START + 61_000) }), [0]);
}

#[test]
fn a_clock_that_is_set_back_neither_loses_nor_repeats_nor_hurries_anything() {
    let mut scene = Scene::new();
    scene.store_for(at(0), 10_000);
    assert_eq!(scene.deliver(at(11_000)), [0]);
    let back = |mono: u64| Now { mono: Millis(mono), ..at(mono - 8_000) };
    scene.store_for(back(12_000), 5_000);
    scene.store_for(back(12_000), 20_000);
    assert_eq!(scene.deliver(back(13_999)), NOTHING);
    assert_eq!(scene.deliver(back(14_000)), [1]);
    let saved = scene.schedule.to_file(back(14_000).wall);
    scene.store_for(back(14_000), 7_000);
    scene.restart(back(15_000), Some(&saved));
    assert_eq!(scene.deliver(back(16_000)), [3]);
    assert_eq!(scene.deliver(back(29_000)), [2]);
}

#[test]
fn a_message_that_was_taken_back_does_not_come() {
    let mut scene = Scene::new();
    for key in ["a", "b"] {
        scene.store(at(0), Timed { out: 5_000, key, ..Timed::default() });
    }
    scene.store(at(1_000), Timed { out: 5_000, recalls: "T+a", ..Timed::default() });
    // The same key at another time, and another topic with the same key.
    scene.store(at(1_000), Timed { out: 6_000, key: "a", ..Timed::default() });
    scene.store(at(1_000), Timed { out: 5_000, recalls: "U+b", ..Timed::default() });
    // A recall of the newer form.
    scene.store(at(1_000), Timed { out: 7_000, key: "c", ..Timed::default() });
    scene.store(at(1_000), Timed { out: 7_000, recalls: "c", ..Timed::default() });
    assert_eq!(scene.deliver(at(60_000)), [1, 3]);
    assert_eq!(scene.schedule.waiting(), 0);
}

#[test]
fn a_recall_counts_after_a_crash_in_the_middle_of_its_time() {
    let mut scene = Scene::new();
    for key in ["a", "b", "c", "d"] {
        scene.store(at(0), Timed { out: 5_000, key, ..Timed::default() });
    }
    scene.store(at(0), Timed { out: 5_000, recalls: "T+d", ..Timed::default() });
    assert_eq!(scene.turn(at(6_000), 2), [0, 1]);
    let saved = scene.schedule.to_file(at(6_000).wall);
    scene.restart(at(7_000), Some(&saved));
    assert_eq!(scene.deliver(at(7_000)), [2]);
}

#[test]
fn only_what_was_delivered_since_the_last_save_comes_again_after_a_crash() {
    let mut scene = Scene::new();
    for out in [1_000, 90_000, 2_000, 3_000] {
        scene.store_for(at(0), out);
    }
    assert_eq!(scene.deliver(at(3_000)), [0, 2]);
    let saved = scene.schedule.to_file(at(3_000).wall);
    assert_eq!(scene.deliver(at(4_000)), [3]);
    scene.restart(at(5_000), Some(&saved));
    assert_eq!(scene.deliver(at(5_000)), [3]);
    assert_eq!(scene.deliver(at(91_000)), [1]);
}

#[test]
fn without_a_saved_file_all_that_the_log_holds_comes() {
    let mut scene = Scene::new();
    for out in [1_000, 5_000] {
        scene.store_for(at(0), out);
    }
    assert_eq!(scene.deliver(at(2_000)), [0]);
    scene.restart(at(3_000), None);
    assert_eq!(scene.deliver(at(6_000)), [0, 1]);
}

#[test]
fn what_a_crash_cut_off_is_not_waited_for_and_what_takes_its_place_comes() {
    let mut scene = Scene::new();
    for out in [1_000, 2_000, 3_000] {
        scene.store_for(at(0), out);
    }
    scene.deliver(at(9_000));
    let saved = scene.schedule.to_file(at(9_000).wall);
    // The log of the next process ends behind the first message.
    let mut next = Scene::new();
    next.store_for(at(0), 1_000);
    next.restart(at(10_000), Some(&saved));
    assert_eq!(next.deliver(at(10_000)), NOTHING);
    next.store_for(at(10_000), 1_500);
    assert_eq!(next.deliver(at(10_000)), [1]);
}

#[test]
fn a_file_of_java_says_which_messages_wait() {
    let mut scene = Scene::new();
    for out in [1_000, 9_000, 4_000, 2_000] {
        scene.store(at(0), Timed { out, by_java: true, ..Timed::default() });
    }
    // Java has delivered all before 3 s and has read three units.
    let mut file = vec![0; 4096];
    for (field, value) in [START + 3_000, 0, 3, 3].into_iter().enumerate() {
        file[field * 8..field * 8 + 8].copy_from_slice(&value.to_be_bytes());
    }
    scene.restart(at(5_000), Some(&file));
    assert_eq!(scene.deliver(at(60_000)), [3, 2, 1]);
}

#[test]
fn a_message_that_storage_refuses_comes_again_after_a_pause() {
    let mut scene = Scene::new();
    scene.store_for(at(0), 1_000);
    scene.schedule.read(&scene.storage);
    assert!(scene.schedule.next_due(at(2_000), &scene.storage).is_some());
    scene.schedule.refused(at(2_000));
    assert_eq!(scene.schedule.next_due(at(2_000), &scene.storage), None);
    scene.schedule.rest(at(2_000), &scene.storage);
    assert_eq!(scene.schedule.poll_timeout(), Some(Millis(2_100)));
    assert_eq!(scene.deliver(at(2_100)), [0]);
}

#[test]
fn more_messages_than_memory_is_given_come_all_the_same() {
    let mut scene = Scene::with(TimerConfig { in_memory: 4, ..TimerConfig::default() });
    let mut expected: Vec<_> = (0..200).map(|number: i64| ((number * 7919) % 50 * 1_000, number)).collect();
    for (out, _) in &expected {
        scene.store_for(at(0), *out);
    }
    scene.deliver(at(0));
    assert_eq!(scene.schedule.waiting(), 200);
    assert!(scene.schedule.window.len() <= 4);
    expected.sort_unstable();
    let came = scene.deliver(at(60_000));
    assert_eq!(came, expected.into_iter().map(|(_, offset)| offset).collect::<Vec<_>>());
}

#[test]
fn what_an_operator_has_stopped_waits_until_it_is_let_go() {
    for (stop_enqueue, stop_dequeue) in [(true, false), (false, true)] {
        let mut scene = Scene::with(TimerConfig { stop_enqueue, stop_dequeue, ..TimerConfig::default() });
        scene.store_for(at(0), 1_000);
        assert_eq!(scene.deliver(at(9_000)), NOTHING);
        assert_eq!(scene.schedule.poll_timeout(), None);
        let saved = scene.schedule.to_file(at(9_000).wall);
        scene.config = TimerConfig::default();
        scene.restart(at(10_000), Some(&saved));
        assert_eq!(scene.deliver(at(10_000)), [0]);
    }
}

#[test]
fn a_message_without_a_time_is_left_out_and_holds_nothing_up() {
    let mut scene = Scene::new();
    let nothing = NewMessage { properties: b"TAGS\x01a\x02", ..plain() };
    scene.storage.append(at(0).wall, scene.schedule.queue(), &nothing).unwrap();
    scene.store_for(at(0), 1_000);
    assert_eq!(scene.deliver(at(9_000)), [1]);
    assert_eq!(scene.schedule.take_unusable(), 1);
}

fn plain<'a>() -> NewMessage<'a> {
    NewMessage {
        topic: TIMER_TOPIC,
        queue_id: 0,
        flag: 0,
        sys_flag: 0,
        born_timestamp: 0,
        born_host: HOST,
        store_host: HOST,
        reconsume_times: 0,
        prepared_transaction_offset: 0,
        body: b"body",
        properties: b"",
        tags_code: TagsCode::Hash(0),
    }
}

#[test]
fn a_crowded_time_takes_fewer_and_then_none() {
    let mut scene = Scene::with(TimerConfig { congest_num: 10, ..TimerConfig::default() });
    let mut random = Random::new(1);
    let mut refused = Vec::new();
    for number in 0..25 {
        let refusals = (0..100).filter(|_| scene.schedule.is_congested(Timestamp(START + 5_000), &mut random)).count();
        refused.push(refusals);
        scene.store_for(at(number), 5_000);
        scene.deliver(at(number));
    }
    assert!(refused[..=10].iter().all(|count| *count == 0), "{refused:?}");
    assert!(refused[15] > 20 && refused[15] < 80, "{refused:?}");
    assert!(refused[20..].iter().all(|count| *count == 100), "{refused:?}");
}
