//! Looking at folders without opening them for service: stores of a Java broker, and stores that are damaged in every way.

mod kit;

use std::{
    collections::BTreeMap,
    fs,
    ops::ControlFlow,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use kit::{
    config,
    examining::{examine, filled, index_files, verify, write_topics, wrong},
    message, open, unpack,
};
use proto_core::{names::TIMER_TOPIC, record::RecordView};
use route_core::{
    Storage, Timestamp,
    broker::timer::{EntryKind, TimerEntry},
    storage::{NewMessage, TagsCode},
};
use store::examine::{Examination, ExamineConfig, Finding, Part, Selection, Severity};

/// All files with their contents.
fn tree(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.insert(path.clone(), fs::read(&path).unwrap());
            }
        }
    }
    files
}

fn change(path: &Path, at: u64, byte: u8) {
    let file = fs::File::options().write(true).open(path).unwrap();
    file.write_all_at(&[byte], at).unwrap();
}

const FILE: i64 = 16 << 10;

fn log_file(root: &Path, offset: i64) -> PathBuf {
    root.join("commitlog").join(format!("{:020}", offset - offset % FILE))
}

#[test]
fn stores_of_java_are_found_well_or_torn_as_they_are_and_stay_as_they_were() {
    for (name, records, units, notes) in [("clean", 315, 315, 0), ("crashed", 437, 437, 1), ("torn", 436, 437, 1)] {
        let dir = tempfile::tempdir().unwrap();
        unpack(name, dir.path());
        let before = tree(dir.path());
        let (verified, findings) = verify(dir.path());
        assert_eq!((verified.records, verified.units, verified.notes), (records, units, notes), "{name}: {findings:#?}");
        match *wrong(&findings) {
            [] => assert!(name != "torn" && verified.is_well()),
            [finding] => {
                assert_eq!((name, finding.severity, finding.part), ("torn", Severity::Damage, Part::Log));
                assert_eq!(
                    (finding.path.clone(), finding.at),
                    (dir.path().join("commitlog/00000000000000131072"), Some(190_854 - 131_072))
                );
                assert!(finding.what.contains("checksum") && finding.what.contains("the next start cuts the log here"), "{finding}");
            }
            ref more => panic!("{name}: {more:#?}"),
        }
        assert_eq!(tree(dir.path()), before, "{name}");
    }
}

#[test]
fn a_store_of_ours_is_well_whether_it_was_closed_or_killed() {
    for close in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let placed = filled(dir.path(), close);
        let (verified, findings) = verify(dir.path());
        assert_eq!(wrong(&findings), Vec::<&Finding>::new());
        assert_eq!((verified.records, verified.units, verified.log_end), (200, 200, placed[199].end.0));
        assert_eq!(verified.notes, u64::from(!close), "{findings:?}");
    }
}

#[test]
fn a_flipped_bit_in_the_middle_is_named_with_its_file_and_byte_and_the_rest_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let placed = filled(dir.path(), true);
    let hit = &placed[70];
    change(&log_file(dir.path(), hit.offset.0), (hit.offset.0 % FILE) as u64 + 100, b'!');
    let (verified, findings) = verify(dir.path());
    let [finding] = wrong(&findings)[..] else { panic!("{findings:#?}") };
    assert_eq!((finding.severity, finding.part), (Severity::Damage, Part::Log));
    assert_eq!((&finding.path, finding.at), (&log_file(dir.path(), hit.offset.0), Some((hit.offset.0 % FILE) as u64)));
    assert_eq!((verified.records, verified.log_end), (199, placed[199].end.0));
}

#[test]
fn a_head_that_is_gone_is_passed_to_the_next_record_that_names_its_own_place() {
    let dir = tempfile::tempdir().unwrap();
    let placed = filled(dir.path(), true);
    let hit = &placed[70];
    let path = log_file(dir.path(), hit.offset.0);
    for at in 0..60 {
        change(&path, (hit.offset.0 % FILE) as u64 + at, 0xff);
    }
    let (verified, findings) = verify(dir.path());
    let [finding] = wrong(&findings)[..] else { panic!("{findings:#?}") };
    assert!(finding.what.contains(&format!("which goes on at {}", placed[71].offset.0)), "{finding}");
    assert_eq!(verified.records, 199);
}

#[test]
fn files_of_the_log_that_are_missing_or_short_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let placed = filled(dir.path(), true);
    let lost = |from: i64, to: i64| placed.iter().filter(|it| it.offset.0 >= from && it.offset.0 < to).count() as u64;
    let second = log_file(dir.path(), FILE);
    let content = fs::read(&second).unwrap();
    fs::remove_file(&second).unwrap();
    let (verified, findings) = verify(dir.path());
    let [finding] = wrong(&findings)[..] else { panic!("{findings:#?}") };
    assert!(finding.what.contains("is missing") && finding.path == second, "{finding}");
    assert_eq!(verified.records, 200 - lost(FILE, 2 * FILE));

    fs::write(&second, &content[..5000]).unwrap();
    let (verified, findings) = verify(dir.path());
    assert!(findings.iter().any(|it| it.path == second && it.what.contains("5000 bytes long, where 16384 are expected")), "{findings:#?}");
    assert!(findings.iter().any(|it| it.path == second && it.what.contains("the file has only 5000 of 16384 bytes")), "{findings:#?}");
    assert!(verified.records > 200 - lost(FILE, 2 * FILE) && verified.damaged == 2);
}

#[test]
fn a_unit_that_points_elsewhere_and_units_that_are_missing_are_named() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), true);
    let queue = dir.path().join("consumequeue/TopicA/0");
    change(&queue.join("00000000000000000600"), 3 * 20 + 7, 1);
    fs::remove_file(queue.join("00000000000000001800")).unwrap();
    let (verified, findings) = verify(dir.path());
    assert_eq!((verified.damaged, verified.repairable), (0, 2), "{findings:#?}");
    let [unit, missing] = wrong(&findings)[..] else { panic!("{findings:#?}") };
    assert_eq!((&unit.path, unit.at), (&queue.join("00000000000000000600"), Some(60)));
    assert!(unit.what.starts_with("the unit of offset 33 says"), "{unit}");
    assert_eq!((&missing.path, missing.at), (&queue.join("00000000000000001800"), Some(0)));
    assert!(missing.what.starts_with("10 units are missing"), "{missing}");
}

#[test]
fn a_unit_that_holds_the_time_of_its_message_is_right_and_one_with_another_time_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = open(config(dir.path()));
    let queue = opened.store.open_queue(TIMER_TOPIC, 0);
    for (told, in_unit) in [(1_700_000_009_000_i64, 1_700_000_009_000), (1_700_000_009_000, 1_700_000_007_000)] {
        let properties = format!("TIMER_OUT_MS\x01{told}\x02TAGS\x01TagA\x02");
        let entry = TimerEntry { at: Timestamp(in_unit), kind: EntryKind::Message, rolls: false };
        let timed = NewMessage {
            properties: properties.as_bytes(),
            tags_code: TagsCode::Hash(entry.tags_code()),
            ..message(TIMER_TOPIC, 0, "timed")
        };
        opened.store.append(Timestamp(1_700_000_000_000), queue, &timed).unwrap();
    }
    opened.store.close().unwrap();
    let (_, findings) = verify(dir.path());
    let [finding] = wrong(&findings)[..] else { panic!("{findings:#?}") };
    assert!(finding.what.starts_with("the unit of offset 1 has tags code"), "{finding}");
}

#[test]
fn queues_that_are_gone_are_missed_unless_their_topic_is_gone_too() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), true);
    fs::remove_dir_all(dir.path().join("consumequeue/TopicA")).unwrap();
    let (verified, findings) = verify(dir.path());
    assert!(findings[0].what.starts_with("200 messages of \"TopicA\" have no queue"), "{findings:#?}");
    assert_eq!(verified.repairable, 1);
    write_topics(dir.path(), &["TopicB"]);
    let (verified, findings) = verify(dir.path());
    assert!(findings[0].what.ends_with("belong to a topic that is gone"), "{findings:#?}");
    assert!(verified.is_well());
}

#[test]
fn tables_that_do_not_read_and_offsets_behind_the_end_of_their_queue_are_named() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), true);
    let config = dir.path().join("config");
    fs::write(config.join("topics.json"), "{\"topicConfigTable\":").unwrap();
    fs::write(config.join("subscriptionGroup.json"), "garbage").unwrap();
    fs::write(config.join("subscriptionGroup.json.bak"), "{}").unwrap();
    fs::write(config.join("consumerOffset.json"), r#"{"offsetTable":{"TopicA@g":{0:100,1:101}}}"#).unwrap();
    let (verified, findings) = verify(dir.path());
    assert_eq!((verified.damaged, verified.repairable), (1, 2), "{findings:#?}");
    let of = |name: &str| findings.iter().find(|it| it.path == config.join(name)).unwrap();
    assert_eq!(of("topics.json").severity, Severity::Damage);
    assert!(of("subscriptionGroup.json").what.ends_with("the copy beside it (.bak) serves instead"));
    assert!(of("consumerOffset.json").what.starts_with("TopicA@g has offset 101 in queue 1, which ends at 100"));
}

#[test]
fn a_folder_in_use_one_without_a_store_and_one_that_is_not_there_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let refused =
        |root: &Path| Examination::open(ExamineConfig { root: root.to_owned(), ..ExamineConfig::default() }).unwrap_err().to_string();
    assert!(refused(dir.path()).contains("no message store is here"));
    assert!(refused(&dir.path().join("nowhere")).contains("nowhere: there is no such folder; name one that holds a message store"));
    let opened = open(config(dir.path()));
    assert!(refused(dir.path()).contains(&format!("in use by another process (process {})", std::process::id())));
    drop(opened);
    let first = examine(dir.path());
    examine(dir.path());
    let start = store::Store::open(config(dir.path()), std::sync::Arc::new(|| {})).map(|_| ());
    assert!(start.unwrap_err().to_string().contains("in use"), "no broker starts on what is being looked at");
    drop(first);
    open(config(dir.path()));
}

fn selected(root: &Path, selection: &Selection) -> (Vec<i64>, Vec<Finding>) {
    let (mut offsets, mut findings) = (Vec::new(), Vec::new());
    let mut each = |record: &RecordView<'_>| {
        offsets.push(record.physical_offset());
        ControlFlow::Continue(())
    };
    examine(root).messages(selection, &mut findings, &mut each).unwrap();
    (offsets, findings)
}

#[test]
fn messages_are_chosen_as_java_finds_them_by_key_topic_queue_and_time() {
    let dir = tempfile::tempdir().unwrap();
    unpack("clean", dir.path());
    let expected = kit::expected("clean");
    let messages: Vec<_> = expected.iter().filter(|line| line["type"] == "message").collect();
    // What no queue shows is in the log alone; no golden message is of that kind.
    let chosen = |wanted: &dyn Fn(&serde_json::Value) -> bool| {
        let mut offsets: Vec<_> =
            messages.iter().filter(|line| wanted(line)).map(|line| line["commitLogOffset"].as_i64().unwrap()).collect();
        offsets.sort_unstable();
        offsets
    };
    let (all, findings) = selected(dir.path(), &Selection::default());
    assert_eq!((all, findings), (chosen(&|_| true), vec![]));
    let queue = Selection { topic: Some("GT_normal1".into()), queue_id: Some(0), ..Selection::default() };
    let of_queue = chosen(&|line| line["topic"] == "GT_normal1" && line["queueId"] == 0);
    assert_eq!((selected(dir.path(), &queue).0, of_queue.is_empty()), (of_queue, false));
    let times: Vec<_> = messages.iter().map(|line| line["storeTimestamp"].as_i64().unwrap()).collect();
    let (first, last) = (*times.iter().min().unwrap(), *times.iter().max().unwrap());
    for (from, to) in [(first, first), (last, last), (first + (last - first) / 3, last - (last - first) / 3), (last + 1, last + 2)] {
        let stored = |line: &serde_json::Value| (from..=to).contains(&line["storeTimestamp"].as_i64().unwrap());
        let span = Selection { from: Some(from), to: Some(to), ..Selection::default() };
        assert_eq!(selected(dir.path(), &span).0, chosen(&stored), "{from} {to}");
    }
    let keyed =
        |line: &serde_json::Value| line["properties"]["KEYS"].as_str().is_some_and(|keys| keys.split(' ').any(|key| key == "fail2"));
    let key = Selection { key: Some("fail2".into()), ..Selection::default() };
    assert_eq!((selected(dir.path(), &key).0, chosen(&keyed).is_empty()), (chosen(&keyed), false));
}

#[test]
fn a_damaged_message_is_told_and_the_others_are_shown() {
    let dir = tempfile::tempdir().unwrap();
    unpack("torn", dir.path());
    let (offsets, findings) = selected(dir.path(), &Selection::default());
    assert_eq!((offsets.len(), findings.len()), (436, 1), "{findings:?}");
    assert!(offsets.iter().any(|offset| *offset > 190_854), "what follows it is shown, too");
}

#[test]
fn a_summary_says_what_java_says() {
    for name in ["clean", "crashed"] {
        let dir = tempfile::tempdir().unwrap();
        unpack(name, dir.path());
        let summary = examine(dir.path()).inspect().unwrap();
        let expected = kit::expected(name);
        let of = |kind: &'static str| expected.iter().filter(move |line| line["type"] == kind);
        let store = of("store").next().unwrap();
        assert_eq!((Some(summary.log.start), Some(summary.log.end)), (store["minPhyOffset"].as_i64(), store["maxPhyOffset"].as_i64()));
        assert_eq!((summary.closed, summary.log.torn, summary.log.file_size, summary.queue_file_size), (name == "clean", 0, 131_072, 600));
        let mut told: Vec<_> = of("queue")
            .map(|line| {
                (
                    line["topic"].as_str().unwrap().to_owned(),
                    line["queueId"].as_i64(),
                    line["minOffset"].as_i64(),
                    line["maxOffset"].as_i64(),
                )
            })
            .collect();
        told.sort();
        let queues = summary.topics.iter().flat_map(|topic| topic.queues.iter().map(move |queue| (topic, queue)));
        let found: Vec<_> = queues
            .filter(|(_, queue)| queue.max_offset > 0)
            .map(|(topic, queue)| (topic.name.clone(), Some(i64::from(queue.queue_id)), Some(queue.min_offset), Some(queue.max_offset)))
            .collect();
        assert_eq!(found, told, "{name}");
        assert!(summary.topics.iter().all(|topic| topic.in_table == Some(true)));
        assert_eq!(summary.log.files.iter().filter(|file| file.first_stored.is_some()).count(), 2);
        assert!(summary.tables.iter().all(|table| table.entries.is_some()) && summary.index.len() > 1 && summary.checkpoint.is_some());
    }
}

#[test]
fn the_index_of_a_java_broker_fits_its_log() {
    for (name, keys) in [("clean", 929), ("crashed", 1_290), ("torn", 1_290)] {
        let dir = tempfile::tempdir().unwrap();
        unpack(name, dir.path());
        let (verified, findings) = verify(dir.path());
        assert_eq!(verified.keys, keys, "{name}");
        assert!(findings.iter().all(|finding| finding.part != Part::Index), "{name}: {findings:#?}");
    }
}

#[test]
fn an_index_that_lacks_a_file_or_has_a_wrong_entry_or_slot_is_named_and_the_next_start_or_its_removal_mends_it() {
    type Damage = fn(&[PathBuf]);
    // 50 slots and 100 entries, as `kit::config` says; the entries begin at byte 240.
    let damages: [(&str, Damage); 4] = [
        ("messages are not found by all of their keys", |files| fs::remove_file(&files[0]).unwrap()),
        ("has no key with the hash", |files| change(&files[0], 240 + 20 * 7 + 3, 0xff)),
        ("it leads to entry", |files| change(&files[0], 240 + 20 * 90 + 19, 0xff)),
        ("slots are wrong", |files| {
            let slot = (0..50).find(|slot| fs::read(&files[0]).unwrap()[40 + slot * 4 + 3] != 0).unwrap();
            change(&files[0], 40 + slot as u64 * 4 + 3, 0);
        }),
    ];
    for (what, damage) in damages {
        let dir = tempfile::tempdir().unwrap();
        filled(dir.path(), true);
        let sound = verify(dir.path());
        assert_eq!((wrong(&sound.1).len(), sound.0.keys), (0, 200), "{:#?}", sound.1);
        damage(&index_files(dir.path()));
        let (verified, findings) = verify(dir.path());
        let wrong = wrong(&findings);
        assert!(wrong.iter().any(|finding| finding.part == Part::Index && finding.what.contains(what)), "{what}: {findings:#?}");
        assert_eq!(verified.damaged, 0, "no message is damaged");
        fs::remove_dir_all(dir.path().join("index")).unwrap();
        open(config(dir.path())).store.close().unwrap();
        assert!(verify(dir.path()).0.is_well());
    }
}
