//! Bits that flip in messages that have long been on disk: readers pass over those and nobody else pays for it.

mod kit;

use std::{
    fs,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use kit::{Opened, bodies, config, lines::lines_of, open, query};
use route_core::{
    Storage,
    broker::read::{ReadLimits, ReadStatus, Wanted, read_queue},
    filter::Verdicts,
    storage::{Appended, LogOffset, keys::KeyKind},
};
use store::examine::{Examination, ExamineConfig, Finding, Part, Severity};

const FILE: i64 = 16 << 10;
/// Bytes of a record in front of its body.
const HEAD: u64 = 88;
/// The message that is damaged.
const HIT: usize = 31;

fn log_file(root: &Path, offset: i64) -> PathBuf {
    root.join("commitlog").join(format!("{:020}", offset - offset % FILE))
}

fn flip(root: &Path, placed: &Appended, at: u64) {
    let file = fs::File::options().read(true).write(true).open(log_file(root, placed.offset.0)).unwrap();
    let at = placed.offset.0.rem_euclid(FILE).unsigned_abs() + at;
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 4], at).unwrap();
}

fn body(at: usize) -> String {
    format!("message {at} {}", "x".repeat(300))
}

/// A store with 200 messages in two queues, closed in order.
fn filled(root: &Path) -> Vec<Appended> {
    let mut opened = open(config(root));
    let placed = (0..200).map(|at| opened.send("TopicA", (at % 2) as i32, &body(at))).collect();
    opened.store.close().unwrap();
    placed
}

/// The offsets of a queue that a consumer gets, one pull after the other.
fn pulled(opened: &Opened, queue_id: i32) -> Vec<i64> {
    let storage = &opened.store;
    let queue = storage.find_queue("TopicA", queue_id).unwrap();
    let (mut from, mut got) = (0, Vec::new());
    loop {
        let mut ranges = Vec::new();
        let wanted = Wanted { queue, from, max: 32, filter: None };
        let read = read_queue(storage, wanted, &ReadLimits::default(), &mut Verdicts::default(), &mut ranges);
        if read.status == ReadStatus::OffsetOverflowOne {
            return got;
        }
        assert!(read.next_begin_offset > from, "{read:?}");
        from = read.next_begin_offset;
        for range in ranges {
            let mut at = range.offset.0;
            while at < range.offset.0 + i64::from(range.len) {
                let record = storage.record(LogOffset(at)).expect("what is handed out is whole");
                let view = proto_core::record::RecordView::parse(record).unwrap();
                got.push(view.queue_offset());
                at += record.len() as i64;
            }
        }
    }
}

fn without(hit: i64) -> Vec<i64> {
    (0..100).filter(|offset| *offset != hit).collect()
}

fn verify(root: &Path) -> Vec<Finding> {
    kit::examining::write_topics(root, &["TopicA"]);
    let mut findings = Vec::new();
    Examination::open(ExamineConfig { root: root.to_owned(), ..ExamineConfig::default() }).unwrap().verify(&mut findings).unwrap();
    findings.retain(|finding| finding.severity > Severity::Note);
    findings
}

#[test]
fn a_bit_that_flipped_long_ago_costs_one_message_and_is_told_once() {
    // In the body, in the place that the record says it has, and in its length.
    for at in [HEAD + 5, 35, 2] {
        let dir = tempfile::tempdir().unwrap();
        let placed = filled(dir.path());
        flip(dir.path(), &placed[HIT], at);
        let opened = open(config(dir.path()));
        assert_eq!((opened.recovered.clean, &opened.recovered.cut), (true, &None));
        let ((), lines) = lines_of(|| {
            for _ in 0..3 {
                assert_eq!(pulled(&opened, 1), without(15), "byte {at}");
            }
        });
        assert_eq!(opened.store.record(placed[HIT].offset), None);
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].starts_with("ERROR") && lines[0].contains(&format!("offset={} ", placed[HIT].offset.0)), "{lines:?}");
        assert_eq!(pulled(&opened, 0).len(), 100);
    }
}

#[test]
fn a_look_up_by_key_does_not_answer_a_damaged_message() {
    let dir = tempfile::tempdir().unwrap();
    let placed = filled(dir.path());
    let mut opened = open(config(dir.path()));
    let keyed = |body: &'static str| {
        let mut message = kit::message("TopicA", 0, body);
        message.properties = b"KEYS\x01order\x02";
        message
    };
    let queue = opened.store.open_queue("TopicA", 0);
    let sent = ["first", "second"].map(|body| opened.store.append(route_core::Timestamp(1_700_000_000_000), queue, &keyed(body)).unwrap());
    opened.store.close().unwrap();
    flip(dir.path(), &sent[0], HEAD);
    let mut opened = open(config(dir.path()));
    let found = opened.search(query("TopicA", KeyKind::Key, "order"));
    assert_eq!(kit::places(&found), [sent[1].offset.0]);
    assert!(placed[0].offset < sent[0].offset);
}

#[test]
fn a_look_over_the_folder_tells_what_readers_pass_over() {
    let dir = tempfile::tempdir().unwrap();
    let placed = filled(dir.path());
    flip(dir.path(), &placed[HIT], HEAD);
    let findings = verify(dir.path());
    let [finding] = &findings[..] else { panic!("{findings:#?}") };
    assert_eq!((finding.severity, finding.part), (Severity::Damage, Part::Log));
    assert_eq!(finding.path, log_file(dir.path(), placed[HIT].offset.0));
    assert!(finding.what.contains("readers pass over them"), "{finding}");
}

#[test]
fn queues_that_are_built_anew_keep_their_offsets_in_spite_of_damage() {
    // Inside a body; in a head, so that the next record has to be searched for.
    for at in [HEAD + 5, 2] {
        let dir = tempfile::tempdir().unwrap();
        let placed = filled(dir.path());
        flip(dir.path(), &placed[HIT], at);
        fs::remove_dir_all(dir.path().join("consumequeue")).unwrap();
        let (mut opened, lines) = lines_of(|| open(config(dir.path())));
        assert_eq!(opened.recovered.cut, None, "byte {at}");
        let told = format!("offset={} ", placed[HIT].offset.0);
        assert_eq!(lines.iter().filter(|line| line.starts_with("ERROR") && line.contains(&told)).count(), 1, "{lines:?}");
        assert_eq!(pulled(&opened, 1), without(15), "byte {at}");
        assert_eq!(pulled(&opened, 0).len(), 100);
        let next = opened.send("TopicA", 1, "new");
        assert_eq!(next.queue_offset, 100);
        opened.store.close().unwrap();
        // The queue is as good as any: the next start builds nothing.
        let opened = open(config(dir.path()));
        assert_eq!((opened.recovered.clean, opened.recovered.scanned_records), (true, 0));
        assert_eq!(pulled(&opened, 1).last(), Some(&100));
        drop(opened);
        let wrong = verify(dir.path());
        assert!(wrong.iter().all(|finding| finding.part == Part::Log), "{wrong:#?}");
    }
}

#[test]
fn damage_behind_what_was_surely_on_disk_ends_the_log() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    let mut opened = open(config(dir.path()));
    let late: Vec<_> = (0..5).map(|at| opened.send("TopicA", 0, &body(at))).collect();
    drop(opened);
    flip(dir.path(), &late[2], HEAD);
    let opened = open(config(dir.path()));
    let cut = opened.recovered.cut.as_ref().expect("a torn tail is cut off");
    assert_eq!(cut.at, late[2].offset.0);
    let queue = opened.store.find_queue("TopicA", 0).unwrap();
    assert_eq!(bodies(&opened.store, queue).len(), 102);
}

#[test]
fn an_index_that_is_built_anew_goes_on_behind_a_damaged_head() {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = open(config(dir.path()));
    let queue = opened.store.open_queue("TopicA", 0);
    let mut message = kit::message("TopicA", 0, "body");
    message.properties = b"KEYS\x01order\x02";
    let sent = [(); 4].map(|()| opened.store.append(route_core::Timestamp(1_700_000_000_000), queue, &message).unwrap().offset.0);
    opened.store.close().unwrap();
    let file = fs::File::options().write(true).open(log_file(dir.path(), 0)).unwrap();
    // The length of the second message.
    file.write_all_at(&[0x7f; 4], sent[1].unsigned_abs()).unwrap();
    fs::remove_dir_all(dir.path().join("index")).unwrap();
    let mut opened = open(config(dir.path()));
    let found = opened.search(query("TopicA", KeyKind::Key, "order"));
    assert_eq!(kit::places(&found), [sent[0], sent[2], sent[3]]);
}
