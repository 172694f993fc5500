//! Queues and index made anew from the log by command.

mod kit;

use std::{collections::BTreeMap, fs, path::Path, sync::Arc};

use kit::{config, open, query};
use proto_core::record::RecordView;
use route_core::{Storage, Timestamp, storage::keys::KeyKind};
use store::{
    Store, StoreConfig, StoreDisk,
    examine::{Examination, ExamineConfig, Finding, Severity},
    rebuild::{RebuildParts, rebuild},
    simulation::{Crash, SimulatedDisk},
};

const BOTH: RebuildParts = RebuildParts { queues: true, index: true };
const PROPERTIES: &[&[u8]] =
    &[b"TAGS\x01TagA\x02KEYS\x01key0\x02", b"TAGS\x01TagA\x02KEYS\x01key1\x02", b"TAGS\x01TagA\x02KEYS\x01key2\x02"];

/// 300 messages in six queues, with three keys.
fn fill(store: &mut Store) {
    for at in 0..300 {
        let topic = ["TopicA", "TopicB"][at % 2];
        let body = format!("message {at}");
        let mut message = kit::message(topic, (at % 3) as i32, &body);
        message.properties = PROPERTIES[at % 3];
        let queue = store.open_queue(topic, (at % 3) as i32);
        store.append(Timestamp(1_700_000_000_000 + at as i64), queue, &message).unwrap();
    }
}

/// All that is shown, by queue: offsets and bodies.
fn shown(store: &Store) -> BTreeMap<String, Vec<(i64, Vec<u8>)>> {
    let mut queues = BTreeMap::new();
    for (topic, numbers) in store.topics() {
        for number in numbers {
            let queue = store.find_queue(&topic, number).unwrap();
            let (mut at, bounds) = (store.bounds(queue).min, store.bounds(queue));
            let mut messages = Vec::new();
            while at < bounds.max {
                for unit in store.units(queue, at) {
                    let view = RecordView::parse(store.record(unit.offset).unwrap()).unwrap();
                    messages.push((at, view.body().to_vec()));
                    at += 1;
                }
            }
            queues.insert(format!("{topic}-{number}"), messages);
        }
    }
    queues
}

fn wrong(root: &Path, disk: StoreDisk) -> Vec<Finding> {
    let shape = config(root);
    let mut findings = Vec::new();
    let config = ExamineConfig {
        root: root.to_owned(),
        index_shape: Some((shape.max_hash_slot_num, shape.max_index_num)),
        disk,
        ..ExamineConfig::default()
    };
    Examination::open(config).unwrap().verify(&mut findings).unwrap();
    // There are no tables of topics here.
    findings.retain(|finding| finding.severity > Severity::Note && finding.part != store::examine::Part::Tables);
    findings
}

#[test]
fn damaged_queues_and_a_damaged_index_are_as_they_were() {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = open(config(dir.path()));
    fill(&mut opened.store);
    let before = shown(&opened.store);
    opened.store.close().unwrap();
    let queue = dir.path().join("consumequeue/TopicA/0").join(format!("{:020}", 0));
    fs::write(&queue, vec![0x55; 600]).unwrap();
    for entry in fs::read_dir(dir.path().join("index")).unwrap() {
        let path = entry.unwrap().path();
        let len = fs::metadata(&path).unwrap().len() as usize;
        let mut bytes = fs::read(&path).unwrap();
        bytes[60..len].fill(7);
        fs::write(&path, bytes).unwrap();
    }
    assert!(!wrong(dir.path(), StoreDisk::default()).is_empty());

    let mut told = Vec::new();
    let rebuilt = rebuild(config(dir.path()), BOTH, &mut |done, total| told.push((done, total))).unwrap();
    assert_eq!((rebuilt.recovered.clean, rebuilt.recovered.scanned_from, rebuilt.recovered.scanned_records), (true, 0, 300));
    assert_eq!(rebuilt.index_end, Some(rebuilt.recovered.log_end));
    assert!(told.iter().all(|(done, total)| done <= total) && told.last().is_some_and(|(done, total)| done == total), "{told:?}");
    assert_eq!(wrong(dir.path(), StoreDisk::default()), []);
    assert!(!dir.path().join("before-rebuild").exists());
    let mut opened = open(config(dir.path()));
    assert_eq!((opened.recovered.clean, opened.recovered.scanned_records), (true, 0));
    assert_eq!(shown(&opened.store), before);
    for (key, count) in [("key0", 50), ("key1", 50), ("key2", 50), ("none", 0)] {
        assert_eq!(opened.search(query("TopicA", KeyKind::Key, key)).ranges.len(), count, "{key}");
    }
}

#[test]
fn only_what_is_asked_for_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = open(config(dir.path()));
    fill(&mut opened.store);
    opened.store.close().unwrap();
    let mark = |part: &str| dir.path().join(part).join("mine.txt");
    for (parts, stays, goes) in [
        (RebuildParts { queues: false, index: true }, "consumequeue", "index"),
        (RebuildParts { queues: true, index: false }, "index", "consumequeue"),
    ] {
        fs::write(mark(stays), "x").unwrap();
        fs::write(mark(goes), "x").unwrap();
        rebuild(config(dir.path()), parts, &mut |_, _| {}).unwrap();
        assert!(mark(stays).exists() && !mark(goes).exists(), "{parts:?}");
        fs::remove_file(mark(stays)).unwrap();
    }
}

#[test]
fn a_folder_in_use_without_a_log_or_of_another_size_is_refused_and_stays_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let refused = |config: StoreConfig| rebuild(config, BOTH, &mut |_, _| {}).unwrap_err().to_string();
    assert!(refused(config(dir.path())).contains("no message store is here"));
    fs::create_dir_all(dir.path().join("commitlog")).unwrap();
    assert!(refused(config(dir.path())).contains("the log is empty"));
    let mut opened = open(config(dir.path()));
    fill(&mut opened.store);
    assert!(refused(config(dir.path())).contains("in use by another process"));
    opened.store.close().unwrap();
    let other = StoreConfig { mapped_file_size_commit_log: 8192, ..config(dir.path()) };
    assert!(refused(other).contains("mappedFileSizeCommitLog says 8192"));
    let off = StoreConfig { message_index_enable: false, ..config(dir.path()) };
    assert!(refused(off).contains("messageIndexEnable=false"));
    assert!(!dir.path().join("before-rebuild").exists());
    assert_eq!(wrong(dir.path(), StoreDisk::default()), []);
}

#[test]
fn a_queue_whose_messages_are_all_gone_keeps_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = open(config(dir.path()));
    opened.send("Seldom", 0, "old");
    fill(&mut opened.store);
    opened.store.close().unwrap();
    fs::remove_file(dir.path().join("commitlog").join(format!("{:020}", 0))).unwrap();
    rebuild(config(dir.path()), BOTH, &mut |_, _| {}).unwrap();
    let mut opened = open(config(dir.path()));
    assert_eq!(opened.send("Seldom", 0, "new").queue_offset, 1);
}

#[test]
fn after_a_crash_at_any_moment_the_next_start_shows_the_same() {
    for seed in 0..2 {
        let disk = SimulatedDisk::new(seed);
        let config = || StoreConfig { disk: disk.clone().into(), ..config(Path::new("/data")) };
        let open = |disk: &SimulatedDisk| Store::open_simulated(disk, config(), Arc::new(|| {})).unwrap().0;
        let mut store = open(&disk);
        fill(&mut store);
        let before = shown(&store);
        store.close().unwrap();
        disk.watch(6);
        Store::rebuild_simulated(config(), BOTH).unwrap();
        disk.watch(0);
        let moments = disk.take_moments();
        assert!(moments.len() > 20, "seed {seed}: {}", moments.len());
        for (at, moment) in moments.iter().enumerate() {
            for crash in [Crash::Kill, Crash::PowerLoss] {
                let after = moment.after(crash, seed * 1000 + at as u64);
                let store = open(&after);
                let what = format!("seed {seed}, {crash:?} before {}", moment.operation);
                assert_eq!(shown(&store), before, "{what}");
                store.close().unwrap();
                assert_eq!(wrong(Path::new("/data"), after.clone().into()), [], "{what}");
            }
        }
    }
}
