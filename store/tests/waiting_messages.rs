//! Those who read delayed, timed and half messages wait in front of a wrong unit until it is put right, as those who pull do.

mod kit;

use std::{fs, os::unix::fs::FileExt, path::Path};

use kit::{Opened, config, lines::lines_of, message, open};
use proto_core::{
    delay::DelayLevels,
    names::{SCHEDULE_TOPIC, TIMER_TOPIC, TRANS_HALF_TOPIC},
    properties::Special,
};
use route_core::{
    Now, Storage, Timestamp,
    broker::{
        delay::DelaySchedule,
        timer::{TimerConfig, TimerRules, TimerSchedule},
    },
    storage::{Appended, NewMessage, QueueUnit, TagsCode},
    time::Millis,
};

const STORED: Timestamp = Timestamp(1_700_000_000_000);
/// The messages have a time that comes this much later.
const DELAY: i64 = 10_000;
const COUNT: usize = 5;
/// The unit that is wrong.
const HIT: u64 = 2;

/// A store with messages in a queue, of which a unit is then emptied.
fn with_a_wrong_unit(root: &Path, message: &NewMessage<'_>) -> Vec<Appended> {
    let mut opened = open(config(root));
    let queue = opened.store.open_queue(message.topic, message.queue_id);
    let placed = (0..COUNT).map(|_| opened.store.append(STORED, queue, message).unwrap()).collect();
    opened.store.close().unwrap();
    let path = root.join(format!("consumequeue/{}/{}/{:020}", message.topic, message.queue_id, 0));
    fs::File::options().write(true).open(path).unwrap().write_all_at(&[0; 20], HIT * 20).unwrap();
    placed
}

fn at(millis: u64) -> Now {
    Now { mono: Millis(millis), wall: Timestamp(STORED.0 + DELAY + 1_000_000 + millis as i64) }
}

/// Where the messages lie that become due at each of some moments, with a turn of the loop in between.
fn due(opened: &mut Opened, mut next: impl FnMut(&mut Opened, Now) -> Vec<QueueUnit>) -> Vec<Vec<i64>> {
    let first = next(opened, at(0));
    opened.turn();
    let places = |units: Vec<QueueUnit>| units.iter().map(|unit| unit.offset.0).collect();
    vec![places(first), places(next(opened, at(1_000)))]
}

fn places(placed: &[Appended]) -> Vec<i64> {
    placed.iter().map(|placed| placed.offset.0).collect()
}

#[test]
fn a_delayed_message_with_a_wrong_unit_is_delivered_when_the_unit_is_right_again() {
    let dir = tempfile::tempdir().unwrap();
    let tags_code = TagsCode::StoreTimePlus(DELAY);
    let placed =
        with_a_wrong_unit(dir.path(), &NewMessage { properties: b"DELAY\x013\x02", tags_code, ..message(SCHEDULE_TOPIC, 2, "late") });
    let mut opened = open(config(dir.path()));
    let mut schedule = DelaySchedule::new(at(0), &DelayLevels::default(), &mut opened.store);
    let next = |opened: &mut Opened, now| {
        let mut units = Vec::new();
        while let Some(due) = schedule.next_due(now, &opened.store) {
            schedule.delivered(now, &due);
            units.push(due.unit);
        }
        units
    };
    let (due, lines) = lines_of(|| due(&mut opened, next));
    let placed = places(&placed);
    let (before, from_it_on) = placed.split_at(HIT as usize);
    assert_eq!(due, [before, from_it_on]);
    assert!(lines.len() == 1 && lines[0].contains("put right from the log"), "{lines:?}");
}

#[test]
fn a_timed_message_with_a_wrong_unit_is_delivered_when_the_unit_is_right_again() {
    let dir = tempfile::tempdir().unwrap();
    let out = Timestamp(STORED.0 + DELAY);
    let properties = format!("TIMER_OUT_MS\x01{}\x02", out.0);
    let tags_code = TagsCode::Hash(TimerRules::default().entry(STORED, out, &Special::default()).tags_code());
    let placed =
        with_a_wrong_unit(dir.path(), &NewMessage { properties: properties.as_bytes(), tags_code, ..message(TIMER_TOPIC, 0, "late") });
    let mut opened = open(config(dir.path()));
    let mut timer = TimerSchedule::new(at(0), TimerConfig::default(), &mut opened.store);
    let next = |opened: &mut Opened, now| {
        let mut units = Vec::new();
        timer.read(&opened.store);
        while let Some(due) = timer.next_due(now, &opened.store) {
            timer.done(&due);
            units.push(due.unit);
        }
        timer.rest(now, &opened.store);
        assert!(timer.poll_timeout().is_none_or(|at| at > now.mono), "it does not ask again at once");
        units
    };
    let (due, lines) = lines_of(|| due(&mut opened, next));
    assert_eq!(due.concat(), places(&placed));
    assert!(lines.len() == 1 && lines[0].contains("put right from the log"), "{lines:?}");
    assert_eq!(timer.take_unusable(), 0);
}

#[test]
fn units_of_half_messages_are_put_right_before_they_are_read_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let placed = with_a_wrong_unit(dir.path(), &message(TRANS_HALF_TOPIC, 0, "half"));
    let mut opened = open(config(dir.path()));
    let queue = opened.store.find_queue(TRANS_HALF_TOPIC, 0).unwrap();
    let ((), lines) = lines_of(|| opened.store.settle_units(queue, 0));
    assert_eq!(opened.store.units(queue, 0).map(|unit| unit.offset.0).collect::<Vec<_>>(), places(&placed));
    assert!(lines.len() == 1 && lines[0].contains("put right from the log"), "{lines:?}");
}

#[test]
fn the_last_unit_of_a_queue_is_put_right_before_it_tells_what_was_committed() {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = open(config(dir.path()));
    let queue = opened.store.open_queue("TopicA", 0);
    let placed: Vec<_> = (0..COUNT).map(|_| opened.store.append(STORED, queue, &message("TopicA", 0, "committed")).unwrap()).collect();
    opened.store.close().unwrap();
    // The last but one instead of the last.
    let path = dir.path().join(format!("consumequeue/TopicA/0/{:020}", 0));
    let file = fs::File::options().write(true).open(path).unwrap();
    file.write_all_at(&placed[COUNT - 2].offset.0.to_be_bytes(), (COUNT as u64 - 1) * 20).unwrap();
    let mut opened = open(config(dir.path()));
    let queue = opened.store.find_queue("TopicA", 0).unwrap();
    let ((), lines) = lines_of(|| opened.store.settle_units(queue, opened.store.bounds(queue).max - 1));
    assert!(lines.len() == 1 && lines[0].contains("put right from the log"), "{lines:?}");
    assert_eq!(opened.store.units(queue, 0).map(|unit| unit.offset.0).collect::<Vec<_>>(), places(&placed));
}
