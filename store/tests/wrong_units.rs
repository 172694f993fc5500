//! Units of queues that lead to no message, as a disk may make of them: they are put right from the log, and no reader misses a message.

mod kit;

use std::{fs, os::unix::fs::FileExt, path::Path};

use kit::{Opened, config, lines::lines_of, open, sync_config};
use route_core::{
    Storage,
    broker::read::{QueueRead, ReadLimits, ReadStatus, Wanted, read_queue},
    filter::{Verdicts, tags::TagFilter},
    storage::{Appended, QueueUnit},
};
use store::examine::{Examination, ExamineConfig, Finding, Severity};

const COUNT: usize = 100;
/// The unit that is wrong, in a file of 30.
const HIT: i64 = 37;

/// A store with messages in two queues, closed in order.
fn filled(root: &Path) -> Vec<Appended> {
    let mut opened = open(config(root));
    let placed = (0..2 * COUNT).map(|at| opened.send("TopicA", (at % 2) as i32, &format!("message {at} {}", "x".repeat(300)))).collect();
    opened.store.close().unwrap();
    placed
}

/// Puts bytes in the place of a unit of queue 1.
fn overwrite(root: &Path, offset: i64, bytes: &[u8; 20]) {
    let path = root.join(format!("consumequeue/TopicA/1/{:020}", offset / 30 * 600));
    fs::File::options().write(true).open(path).unwrap().write_all_at(bytes, (offset % 30 * 20).unsigned_abs()).unwrap();
}

/// The unit that should be there.
fn unit(placed: &[Appended], offset: i64) -> QueueUnit {
    let at = placed[usize::try_from(offset).unwrap() * 2 + 1];
    QueueUnit { offset: at.offset, size: (at.end.0 - at.offset.0) as u32, tags_code: 2_598_919 }
}

fn look(opened: &Opened, from: i64) -> QueueRead {
    let queue = opened.store.find_queue("TopicA", 1).unwrap();
    let filter = TagFilter::parse("TagA").unwrap().unwrap();
    let wanted = Wanted { queue, from, max: 32, filter: Some(&filter) };
    read_queue(&opened.store, wanted, &ReadLimits::default(), &mut Verdicts::default(), &mut Vec::new())
}

/// What a consumer gets that pulls until there is no more: how many messages, and how often it got none.
fn pulled(opened: &mut Opened) -> (usize, usize) {
    let (mut from, mut got, mut waits) = (0, 0, 0);
    loop {
        let read = look(opened, from);
        if read.status == ReadStatus::OffsetOverflowOne {
            return (got, waits);
        }
        if read.next_begin_offset == from {
            waits += 1;
            assert_eq!(read.status, ReadStatus::NoMatchedMessage, "it asks again at once");
            opened.turn();
        }
        (from, got) = (read.next_begin_offset, got + read.count);
    }
}

fn findings(root: &Path) -> Vec<Finding> {
    kit::examining::write_topics(root, &["TopicA"]);
    let mut findings = Vec::new();
    Examination::open(ExamineConfig { root: root.to_owned(), ..ExamineConfig::default() }).unwrap().verify(&mut findings).unwrap();
    findings.retain(|finding| finding.severity > Severity::Note);
    findings
}

#[test]
fn a_wrong_unit_is_put_right_from_the_log_and_no_reader_misses_its_message() {
    let right = |placed: &[Appended]| unit(placed, HIT);
    let somewhere =
        |placed: &[Appended]| QueueUnit { offset: route_core::storage::LogOffset(right(placed).offset.0 + 64), ..right(placed) };
    let beyond = |placed: &[Appended]| QueueUnit { offset: route_core::storage::LogOffset(1 << 40), ..right(placed) };
    let longer = |placed: &[Appended]| QueueUnit { size: right(placed).size + 256, ..right(placed) };
    let nothing = |_: &[Appended]| QueueUnit::decode(&[0; 20]);
    for wrong in [&somewhere as &dyn Fn(&[Appended]) -> QueueUnit, &beyond, &longer, &nothing] {
        let dir = tempfile::tempdir().unwrap();
        let placed = filled(dir.path());
        let wrong = wrong(&placed);
        overwrite(dir.path(), HIT, &wrong.encode());
        let mut opened = open(config(dir.path()));
        let (pulled, lines) = lines_of(|| pulled(&mut opened));
        assert_eq!(pulled.0, COUNT, "{wrong:?}");
        let told = lines.iter().filter(|line| line.contains("put right from the log") && line.contains(&format!("offset={HIT} "))).count();
        assert_eq!((lines.len(), told), (1, 1), "{lines:?}");
        opened.store.close().unwrap();
        assert_eq!(findings(dir.path()), []);
    }
}

#[test]
fn a_page_of_wrong_units_is_put_right_at_once() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    (20..80).for_each(|offset| overwrite(dir.path(), offset, &[0; 20]));
    let mut opened = open(config(dir.path()));
    let (got, waits) = pulled(&mut opened);
    assert!(got == COUNT && waits < 10, "{got} messages after {waits} times without any");
    opened.store.close().unwrap();
    assert_eq!(findings(dir.path()), []);
}

#[test]
fn a_unit_whose_message_is_nowhere_in_the_log_is_passed_over_and_told_of() {
    let dir = tempfile::tempdir().unwrap();
    let placed = filled(dir.path());
    let at = unit(&placed, HIT).offset.0;
    overwrite(dir.path(), HIT, &[0; 20]);
    let log = dir.path().join(format!("commitlog/{:020}", at - at % (16 << 10)));
    fs::File::options().write(true).open(log).unwrap().write_all_at(&[0xff; 50], (at % (16 << 10)).unsigned_abs() + 100).unwrap();
    let mut opened = open(config(dir.path()));
    for _ in 0..2 {
        let (pulled, lines) = lines_of(|| pulled(&mut opened));
        assert_eq!(pulled.0, COUNT - 1);
        assert!(lines.len() < 2 && lines.iter().all(|line| line.contains("nowhere in the log")), "{lines:?}");
    }
}

#[test]
fn units_that_wait_for_the_disk_find_their_place_in_a_queue_that_was_put_right_meanwhile() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    overwrite(dir.path(), 95, &[0; 20]);
    let mut opened = open(sync_config(dir.path()));
    assert_eq!(look(&opened, 95).count, 0);
    for at in 0..50 {
        opened.send("TopicA", 1, &format!("late {at}"));
    }
    while look(&opened, 95).count == 0 {
        opened.turn();
    }
    opened.flush();
    assert_eq!(pulled(&mut opened).0, COUNT + 50);
    opened.store.close().unwrap();
    assert_eq!(findings(dir.path()), []);
    assert_eq!(open(config(dir.path())).bodies("TopicA", 1).len(), COUNT + 50);
}

#[test]
fn a_unit_that_leads_to_another_message_is_put_right_from_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let placed = filled(dir.path());
    overwrite(dir.path(), HIT, &unit(&placed, HIT - 20).encode());
    overwrite(dir.path(), HIT + 1, &unit(&placed, HIT + 20).encode());
    let mut opened = open(config(dir.path()));
    let (pulled, lines) = lines_of(|| pulled(&mut opened));
    assert_eq!(pulled.0, COUNT);
    assert!(lines.len() == 2 && lines.iter().all(|line| line.contains("put right from the log")), "{lines:?}");
    opened.store.close().unwrap();
    assert_eq!(findings(dir.path()), []);
}

#[test]
fn a_unit_whose_tags_code_alone_is_wrong_is_put_right_when_its_message_is_looked_at() {
    let dir = tempfile::tempdir().unwrap();
    let placed = filled(dir.path());
    overwrite(dir.path(), HIT, &QueueUnit { tags_code: 7, ..unit(&placed, HIT) }.encode());
    let mut opened = open(config(dir.path()));
    let queue = opened.store.find_queue("TopicA", 1).unwrap();
    let look_at = |opened: &Opened| {
        let wanted = Wanted { queue, from: HIT, max: 1, filter: None };
        read_queue(&opened.store, wanted, &ReadLimits::default(), &mut Verdicts::default(), &mut Vec::new()).count
    };
    let (counts, lines) = lines_of(|| {
        let before = look_at(&opened);
        opened.turn();
        (before, look_at(&opened))
    });
    assert_eq!(counts, (0, 1), "its reader waits until it is put right");
    assert!(lines.len() == 1 && lines[0].contains("put right from the log"), "{lines:?}");
    assert_eq!(pulled(&mut opened).0, COUNT, "those that read by tags get it now");
    opened.store.close().unwrap();
    assert_eq!(findings(dir.path()), []);
}

/// Changes what the record of a message says its offset in the queue to be, which no checksum covers.
fn rename(root: &Path, placed: &[Appended], offset: i64, said: i64) {
    let at = unit(placed, offset).offset.0;
    let log = root.join(format!("commitlog/{:020}", at - at % (16 << 10)));
    fs::File::options().write(true).open(log).unwrap().write_all_at(&said.to_be_bytes(), (at % (16 << 10)).unsigned_abs() + 20).unwrap();
}

#[test]
fn a_message_that_says_to_lie_further_behind_in_its_queue_is_told_of_and_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    let placed = filled(dir.path());
    rename(dir.path(), &placed, HIT, HIT + (1 << 40));
    let mut opened = open(config(dir.path()));
    for times in [1, 0] {
        let (pulled, lines) = lines_of(|| pulled(&mut opened));
        assert_eq!(pulled.0, COUNT - 1, "a consumer would go on behind it");
        let told = lines
            .iter()
            .filter(|line| line.contains("a message is damaged") && line.contains("commitlog") && line.contains("where its unit has 37"));
        assert_eq!((lines.len(), told.count()), (times, times), "{lines:?}");
    }
}

#[test]
fn a_message_that_says_to_lie_further_in_front_in_its_queue_is_told_of_and_handed_out() {
    let dir = tempfile::tempdir().unwrap();
    let placed = filled(dir.path());
    rename(dir.path(), &placed, HIT, HIT - 32);
    let mut opened = open(config(dir.path()));
    for times in [1, 0] {
        let (pulled, lines) = lines_of(|| pulled(&mut opened));
        assert_eq!(pulled.0, COUNT);
        assert!(lines.len() == times && lines.iter().all(|line| line.contains("an earlier offset than its unit")), "{lines:?}");
    }
}

#[test]
fn queues_that_are_built_anew_are_not_shifted_by_a_record_whose_offset_is_wrong() {
    // A little and far ahead, and as if its topic had been made again; the last of its queue, too.
    for (hit, said) in [(HIT, HIT + 8), (HIT, HIT + (1 << 40)), (32, 0), (COUNT as i64 - 1, COUNT as i64 + 3)] {
        let dir = tempfile::tempdir().unwrap();
        let placed = filled(dir.path());
        rename(dir.path(), &placed, hit, said);
        fs::remove_dir_all(dir.path().join("consumequeue")).unwrap();
        let (opened, lines) = lines_of(|| open(config(dir.path())));
        let queue = opened.store.find_queue("TopicA", 1).unwrap();
        let mut units = Vec::new();
        while units.len() < COUNT {
            units.extend(opened.store.units(queue, units.len() as i64));
        }
        let right: Vec<_> = (0..COUNT as i64).map(|offset| unit(&placed, offset)).collect();
        assert_eq!((units == right, opened.store.bounds(queue).max), (true, COUNT as i64), "{hit} says {said}");
        let at = format!("at={} ", unit(&placed, hit).offset.0);
        let told = lines.iter().filter(|line| line.contains("a record's queue offset is wrong") && line.contains(&at)).count();
        assert_eq!(told, 1, "{lines:?}");
    }
}
