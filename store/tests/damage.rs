//! Killed stores whose files are damaged: what survives is the longest run of whole records, and what was cut off never returns.

mod kit;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use kit::{Opened, open};
use proptest::prelude::*;
use route_core::Storage;
use store::StoreConfig;

const FILE: u64 = 16 << 10;
const PAGE: u64 = 4096;
/// Bytes of a record in front of its body.
const HEAD: u64 = 88;

/// Nothing is brought to disk, however long a test takes: all of the log is read again.
fn config(root: &Path) -> StoreConfig {
    let never = Duration::from_secs(3600);
    StoreConfig { flush_interval_commit_log: never, flush_interval_consume_queue: never, ..kit::config(root) }
}

/// A message as it was acknowledged.
#[derive(Clone, Debug)]
struct Sent {
    topic: &'static str,
    queue_id: i32,
    body: String,
    start: u64,
    end: u64,
}

const TOPICS: [&str; 2] = ["TopicA", "TopicB"];

/// Fills a new store and kills it.
fn killed(root: &Path, lengths: &[usize]) -> Vec<Sent> {
    let mut opened = open(config(root));
    send_all(&mut opened, lengths, "")
}

fn send_all(opened: &mut Opened, lengths: &[usize], prefix: &str) -> Vec<Sent> {
    let send = |(at, len): (usize, &usize)| {
        let (topic, queue_id) = (TOPICS[at % 2], (at / 2 % 3) as i32);
        let body = format!("{prefix}{at}-{}", "x".repeat(*len));
        let placed = opened.send(topic, queue_id, &body);
        Sent { topic, queue_id, body, start: placed.offset.0 as u64, end: placed.end.0 as u64 }
    };
    lengths.iter().enumerate().map(send).collect()
}

/// A body as failures show it: what it begins with, and its length.
fn brief(body: &str) -> String {
    let x = body.bytes().filter(|byte| *byte == b'x').count();
    format!("{}{x}", body.trim_end_matches('x'))
}

fn by_queue<'a>(sent: impl IntoIterator<Item = &'a Sent>) -> BTreeMap<(&'static str, i32), Vec<String>> {
    let mut queues = BTreeMap::<_, Vec<_>>::new();
    for sent in sent {
        queues.entry((sent.topic, sent.queue_id)).or_default().push(brief(&sent.body));
    }
    queues
}

fn found(opened: &Opened) -> BTreeMap<(&'static str, i32), Vec<String>> {
    let all = TOPICS.iter().flat_map(|topic| (0..3).map(|queue_id| (*topic, queue_id)));
    let bodies = |topic, queue_id| opened.bodies(topic, queue_id).iter().map(|body| brief(body)).collect::<Vec<_>>();
    all.map(|(topic, queue_id)| ((topic, queue_id), bodies(topic, queue_id))).filter(|(_, bodies)| !bodies.is_empty()).collect()
}

fn log_file(root: &Path, offset: u64) -> PathBuf {
    root.join("commitlog").join(format!("{:020}", offset / FILE * FILE))
}

/// Changes the bytes of the log from `from` on, in one file. Answers whether that made a difference.
fn damage(root: &Path, from: u64, change: impl Fn(&mut [u8])) -> Option<u64> {
    let path = log_file(root, from);
    let before = fs::read(&path).ok()?;
    let mut after = before.clone();
    change(&mut after[(from % FILE) as usize..]);
    fs::write(&path, &after).unwrap();
    before.iter().zip(&after).position(|(before, after)| before != after).map(|at| from / FILE * FILE + at as u64)
}

/// One past the last byte of the log's files that is not zero.
fn last_byte(root: &Path) -> u64 {
    let files = fs::read_dir(root.join("commitlog")).unwrap().map(|entry| entry.unwrap().path());
    let ends = files.filter_map(|path| {
        let base: u64 = path.file_name().unwrap().to_str().unwrap().parse().unwrap();
        fs::read(path).unwrap().iter().rposition(|byte| *byte != 0).map(|at| base + at as u64 + 1)
    });
    ends.max().unwrap_or(0)
}

/// Opens a damaged store, holds it against what must have survived, goes on with it, kills it again and looks once more.
fn check(root: &Path, sent: &[Sent], damaged: Option<u64>) {
    let whole = sent.iter().take_while(|sent| damaged.is_none_or(|at| sent.end <= at)).cloned().collect::<Vec<_>>();
    let left = last_byte(root);
    let mut opened = open(config(root));
    assert_eq!(found(&opened), by_queue(&whole));
    let end = whole.last().map_or(0, |sent| sent.end);
    let log_end = opened.store.log_bounds().1.0 as u64;
    assert!(log_end == end || log_end == end.next_multiple_of(FILE), "the log ends at {log_end} instead of {end}");
    let cut = opened.recovered.cut.as_ref().map(|cut| (cut.at as u64, cut.bytes, cut.saved.iter().all(|path| path.exists())));
    assert_eq!(cut, (left > log_end).then(|| (log_end, left - log_end, true)));
    // New messages as long as the lost ones: an old tail would fit behind them.
    let lengths: Vec<_> = sent.iter().skip(whole.len()).take(3).map(|sent| sent.body.len() - sent.body.find('-').unwrap() - 1).collect();
    let more = send_all(&mut opened, &lengths, "");
    drop(opened);
    let opened = open(config(root));
    assert_eq!(opened.recovered.cut, None, "nothing is left to be cut off");
    assert_eq!(found(&opened), by_queue(whole.iter().chain(&more)));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn zeros_from_a_page_on_leave_what_is_before_them(lengths in prop::collection::vec(0usize..900, 5..80), place in 0.0..1.0f64) {
        let dir = tempfile::tempdir().unwrap();
        let sent = killed(dir.path(), &lengths);
        let end = sent.last().unwrap().end;
        let from = (end as f64 * place) as u64 / PAGE * PAGE;
        let mut first = None;
        for at in (from..end).filter(|at| *at == from || at % FILE == 0) {
            let changed = damage(dir.path(), at, |bytes| bytes.fill(0));
            first = first.or(changed);
        }
        check(dir.path(), &sent, first);
    }

    #[test]
    fn a_record_that_was_being_written_when_the_process_died_is_none(
        lengths in prop::collection::vec(0usize..900, 5..80), place in 0.0..1.0f64,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let sent = killed(dir.path(), &lengths);
        let last = sent.last().unwrap();
        // The head is written last.
        let written = HEAD + ((last.end - last.start - HEAD) as f64 * place) as u64;
        damage(dir.path(), last.start, |bytes| {
            bytes[..HEAD as usize].fill(0);
            bytes[written as usize..].fill(0);
        });
        check(dir.path(), &sent, Some(last.start));
    }

    #[test]
    fn a_bit_that_flips_in_a_body_cuts_the_log_in_front_of_its_record(
        lengths in prop::collection::vec(1usize..900, 5..80), which in 0.0..1.0f64, bit in 0u8..8,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let sent = killed(dir.path(), &lengths);
        let hit = &sent[(sent.len() as f64 * which) as usize];
        let at = hit.start + HEAD;
        damage(dir.path(), at, |bytes| bytes[0] ^= 1 << bit);
        check(dir.path(), &sent, Some(hit.start));
    }

    #[test]
    fn pages_that_never_reached_the_disk_cut_the_log_in_front_of_the_first_record_in_them(
        lengths in prop::collection::vec(0usize..2500, 5..60), lost in prop::collection::vec(0.0..1.0f64, 1..4),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let sent = killed(dir.path(), &lengths);
        let pages = sent.last().unwrap().end.div_ceil(PAGE);
        let mut first: Option<u64> = None;
        for place in lost {
            let page = (pages as f64 * place) as u64 * PAGE;
            if let Some(at) = damage(dir.path(), page, |bytes| bytes[..PAGE as usize].fill(0)) {
                first = Some(first.map_or(at, |first| first.min(at)));
            }
        }
        // Damage to a blank at the end of a file costs what follows, too.
        let blank = first.filter(|at| sent.iter().all(|sent| *at < sent.start || *at >= sent.end));
        if blank.is_none() {
            check(dir.path(), &sent, first);
        }
    }

    #[test]
    fn queues_are_right_whatever_became_of_their_last_pages(lengths in prop::collection::vec(0usize..200, 100..300), damage in 0u8..3) {
        let dir = tempfile::tempdir().unwrap();
        let sent = killed(dir.path(), &lengths);
        let queue = dir.path().join("consumequeue/TopicA/0");
        let last = fs::read_dir(&queue).unwrap().map(|entry| entry.unwrap().path()).max().unwrap();
        match damage {
            0 => fs::remove_file(last).unwrap(),
            1 => fs::write(&last, vec![0; 600]).unwrap(),
            _ => fs::write(&last, vec![0x55; 600]).unwrap(),
        }
        check(dir.path(), &sent, None);
    }
}

#[test]
fn only_what_follows_the_checkpoint_is_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = open(config(dir.path()));
    let mut sent = send_all(&mut opened, &[300; 200], "");
    opened.store.close().unwrap();
    let mut opened = open(config(dir.path()));
    sent.extend(send_all(&mut opened, &[300; 5], "later "));
    drop(opened);
    let opened = open(config(dir.path()));
    assert_eq!((opened.recovered.clean, opened.recovered.scanned_records), (false, 5));
    assert_eq!(found(&opened), by_queue(&sent));
}

#[test]
fn a_second_store_and_a_foreign_folder_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let opened = open(config(dir.path()));
    let refused = |root: &Path| store::Store::open(config(root), std::sync::Arc::new(|| {})).unwrap_err().to_string();
    let pid = std::process::id();
    assert!(refused(dir.path()).contains(&format!("in use by another process (process {pid})")));
    drop(opened);
    let missing = dir.path().join("commitlog").join(format!("{:020}", 5 * FILE));
    fs::write(&missing, vec![0; FILE as usize]).unwrap();
    assert!(refused(dir.path()).contains("missing, although later files of the log are there"), "{}", refused(dir.path()));
    fs::remove_file(&missing).unwrap();
    fs::write(dir.path().join("commitlog/notes.txt"), "x").unwrap();
    assert!(refused(dir.path()).contains("notes.txt"));
    let other = dir.path().join("commitlog");
    assert!(refused(&other).contains("which is nothing of a message store"));
}

#[test]
fn a_failed_sync_ends_all_writing_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = open(kit::sync_config(dir.path()));
    opened.send("TopicA", 0, "safe");
    opened.store.close().unwrap();
    let mut opened = open(kit::sync_config(dir.path()));
    // Without its folder the file that the log goes on in cannot be made durable.
    let elsewhere = dir.path().join("elsewhere");
    fs::rename(dir.path().join("commitlog"), &elsewhere).unwrap();
    let before = opened.store.durable();
    opened.send("TopicA", 0, "lost");
    opened.store.request_flush();
    let event = opened.event();
    assert!(matches!(&event, store::StoreEvent::FlushFailed(why) if why.contains("the log could not be brought to disk")), "{event:?}");
    let queue = opened.store.find_queue("TopicA", 0).unwrap();
    let refused = opened.store.append(route_core::Timestamp(1), queue, &kit::message("TopicA", 0, "late"));
    assert!(matches!(refused, Err(route_core::storage::AppendError::ReadOnly(_))), "{refused:?}");
    // Nothing is retried once the cause is gone.
    fs::rename(&elsewhere, dir.path().join("commitlog")).unwrap();
    opened.store.request_flush();
    assert_eq!((opened.store.poll_event(), opened.store.durable()), (None, before));
    assert_eq!(opened.bodies("TopicA", 0), ["safe"], "what is not on disk stays invisible, the rest can be read");
    assert!(opened.store.close().is_err());
    assert!(dir.path().join("abort").exists());
}

#[test]
fn a_log_that_cannot_grow_refuses_and_goes_on_when_it_can() {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = open(config(dir.path()));
    opened.send("TopicA", 0, "first");
    let elsewhere = dir.path().join("elsewhere");
    fs::rename(dir.path().join("commitlog"), &elsewhere).unwrap();
    let body = "x".repeat(1000);
    let queue = opened.store.find_queue("TopicA", 0).unwrap();
    let mut count = 1;
    let refused = loop {
        match opened.store.append(route_core::Timestamp(1), queue, &kit::message("TopicA", 0, &body)) {
            Ok(_) => count += 1,
            Err(refused) => break refused,
        }
        assert!(count < 1000, "the log grows without a folder");
    };
    assert!(matches!(refused, route_core::storage::AppendError::NoSpace(_)), "{refused:?}");
    assert_eq!(opened.store.next_offset(queue), count);
    fs::rename(&elsewhere, dir.path().join("commitlog")).unwrap();
    opened.send("TopicA", 0, "last");
    drop(opened);
    let bodies = open(config(dir.path())).bodies("TopicA", 0);
    assert_eq!((bodies.len() as i64, bodies.last().map(String::as_str)), (count + 1, Some("last")));
}
