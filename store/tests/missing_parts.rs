//! What `petrel store verify` says of folders that lack a part, or have something else in its place; and what a rebuild needs to know.

mod kit;

use std::{
    fs,
    path::{Path, PathBuf},
};

use kit::{
    config,
    examining::{examine, filled, verify, write_topics, wrong},
    lines::lines_of,
    open, unpack,
};
use route_core::{Storage, Timestamp};
use store::{
    StoreConfig,
    examine::{Examination, ExamineConfig, Finding, Part, Severity},
    rebuild::{RebuildParts, rebuild},
};

const FILE: usize = 16 << 10;

/// Messages with keys, in an index of one file of RocketMQ's own shape.
fn keyed(root: &Path) -> PathBuf {
    let standard = StoreConfig { max_hash_slot_num: 5_000_000, max_index_num: 20_000_000, ..config(root) };
    let mut opened = open(standard);
    let queue = opened.store.open_queue("TopicA", 0);
    for at in 0..50 {
        let message =
            route_core::storage::NewMessage { properties: b"TAGS\x01TagA\x02KEYS\x01k\x02", ..kit::message("TopicA", 0, "keyed") };
        opened.store.append(Timestamp(1_700_000_000_000 + at), queue, &message).unwrap();
    }
    opened.store.close().unwrap();
    write_topics(root, &["TopicA"]);
    let mut files = fs::read_dir(root.join("index")).unwrap();
    let only = files.next().unwrap().unwrap().path();
    assert!(files.next().is_none());
    only
}

fn only_one_wrong(root: &Path) -> Finding {
    let (_, findings) = verify(root);
    match wrong(&findings)[..] {
        [only] => only.clone(),
        ref more => panic!("{more:#?}"),
    }
}

#[test]
fn the_only_index_file_cut_short_is_named_and_a_rebuild_mends_it_without_a_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let index = keyed(dir.path());
    let (whole, sound) = (fs::metadata(&index).unwrap().len(), verify(dir.path()).0);
    for len in [0, 39, 5000, whole - 1] {
        fs::File::options().write(true).open(&index).unwrap().set_len(len).unwrap();
        let finding = only_one_wrong(dir.path());
        assert_eq!((finding.severity, finding.part), (Severity::Repairable, Part::Index), "{finding}");
        assert!(finding.what.contains("petrel store rebuild --index"), "{finding}");
    }
    let told = examine(dir.path()).told_config().unwrap();
    assert_eq!((told.max_hash_slot_num, told.max_index_num), (5_000_000, 20_000_000));
    let rebuilt = rebuild(told, RebuildParts { queues: false, index: true }, &mut |_, _| {}).unwrap();
    assert_eq!(rebuilt.index_end, Some(rebuilt.recovered.log_end));
    let (verified, findings) = verify(dir.path());
    assert!(verified.is_well(), "{findings:#?}");
    assert_eq!(verified, sound);
}

#[test]
fn a_rebuild_goes_by_the_shape_that_whole_files_of_the_index_tell() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), true);
    let files = kit::examining::index_files(dir.path());
    assert!(files.len() > 1);
    fs::File::options().write(true).open(&files[0]).unwrap().set_len(100).unwrap();
    let told = examine(dir.path()).told_config().unwrap();
    assert_eq!((told.max_hash_slot_num, told.max_index_num), (50, 100));
}

#[test]
fn an_index_that_is_gone_is_missed_if_the_log_has_keys_and_there_once_was_one() {
    let dir = tempfile::tempdir().unwrap();
    let index = keyed(dir.path());
    fs::remove_file(index).unwrap();
    let finding = only_one_wrong(dir.path());
    assert!(finding.what.starts_with("50 messages have keys, and there is no index of them; the next start builds it anew"), "{finding}");

    let without = tempfile::tempdir().unwrap();
    let mut opened = open(StoreConfig { message_index_enable: false, ..config(without.path()) });
    opened.send("TopicA", 0, "keyed");
    opened.store.close().unwrap();
    write_topics(without.path(), &["TopicA"]);
    let (verified, findings) = verify(without.path());
    assert!(verified.is_well(), "a broker may keep none: {findings:#?}");
}

#[test]
fn first_files_of_the_log_that_were_there_at_the_last_stop_are_missed() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), true);
    fs::remove_file(dir.path().join("commitlog").join(format!("{:020}", 0))).unwrap();
    let finding = only_one_wrong(dir.path());
    assert_eq!(
        (finding.severity, finding.part, &finding.path),
        (Severity::Damage, Part::Log, &dir.path().join(format!("commitlog/{FILE:020}")))
    );
    assert!(finding.what.contains("when the store was closed in order it began at 0: restore the files in front of it"), "{finding}");
    // Once a start has told of it, that is how it is.
    open(config(dir.path())).store.close().unwrap();
    assert!(verify(dir.path()).0.is_well());
}

#[test]
fn after_a_crash_first_files_that_are_gone_may_have_expired() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), true);
    drop(open(config(dir.path())));
    fs::remove_file(dir.path().join("commitlog").join(format!("{:020}", 0))).unwrap();
    let (verified, findings) = verify(dir.path());
    assert!(
        verified.is_well() && findings.iter().any(|it| it.what.contains("expired files went since, or files are missing")),
        "{findings:#?}"
    );
}

#[test]
fn a_table_of_topics_that_is_gone_empty_or_no_table_is_damage_if_there_are_queues() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), true);
    let table = dir.path().join("config/topics.json");
    let good = fs::read(&table).unwrap();
    for (content, what) in [
        (None, "no topic is in it, although there are queues of 1 (\"TopicA\" for one)"),
        (Some(&b"{}"[..]), "no topic is in it, although there are queues of 1"),
        (Some(b"{\"topicConfigTable\":{}}"), "no topic is in it, although there are queues of 1"),
        (Some(b""), "empty, which no broker leaves behind"),
        (Some(b"\0\0\0\0"), "cannot be read"),
        (Some(b"<html>"), "cannot be read"),
    ] {
        match content {
            None => fs::remove_file(&table).unwrap(),
            Some(content) => fs::write(&table, content).unwrap(),
        }
        let finding = only_one_wrong(dir.path());
        assert_eq!((finding.severity, &finding.path), (Severity::Damage, &table), "{finding}");
        assert!(finding.what.starts_with(what), "{what}: {finding}");
    }
    // Its copy serves.
    fs::write(table.with_extension("json.bak"), &good).unwrap();
    assert_eq!(only_one_wrong(dir.path()).severity, Severity::Repairable);
    // A table that has others only is told of: topics may have been removed.
    fs::remove_file(table.with_extension("json.bak")).unwrap();
    write_topics(dir.path(), &["TopicB"]);
    let (verified, findings) = verify(dir.path());
    assert!(
        verified.is_well() && findings.iter().any(|it| it.what.starts_with("1 topics that have queues are not in it")),
        "{findings:#?}"
    );
    // An empty copy is worth a word.
    fs::write(&table, good).unwrap();
    fs::write(table.with_extension("json.bak"), "").unwrap();
    let (verified, findings) = verify(dir.path());
    assert!(verified.is_well() && findings.iter().any(|it| it.what.starts_with("empty, so it cannot serve")), "{findings:#?}");
}

#[test]
fn a_checkpoint_that_is_none_is_named_with_what_is_wrong_about_it() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), true);
    let path = dir.path().join("checkpoint");
    let good = fs::read(&path).unwrap();
    let with = |at: usize, bytes: &[u8]| {
        let mut other = good.clone();
        other[at..at + bytes.len()].copy_from_slice(bytes);
        other
    };
    let mut no_mark = with(64, &[0; 40]);
    no_mark[100..].fill(b'x');
    for (content, what) in [
        (good[..40].to_vec(), "40 bytes long, where a checkpoint has 4096"),
        (Vec::new(), "0 bytes long"),
        ([&good[..], &[0; 10]].concat(), "4106 bytes long"),
        (no_mark, "no checkpoint: it holds something else"),
        (with(0, &i64::MAX.to_be_bytes()), "the time of the log is 9223372036854775807, although the newest message was stored at"),
        (with(8, &(-5_i64).to_be_bytes()), "the time of the queues is -5, which is none"),
        (with(16, &4_000_000_000_000_i64.to_be_bytes()), "the time of the index is 4000000000000, although"),
    ] {
        fs::write(&path, content).unwrap();
        let finding = only_one_wrong(dir.path());
        assert_eq!((finding.severity, finding.part, &finding.path), (Severity::Repairable, Part::Folder, &path), "{finding}");
        assert!(finding.what.starts_with(what), "{what}: {finding}");
    }
    fs::remove_file(&path).unwrap();
    assert!(only_one_wrong(dir.path()).what.starts_with("missing, although there is a log"));
    open(config(dir.path())).store.close().unwrap();
    assert!(verify(dir.path()).0.is_well(), "the next start has put it right");
}

#[test]
fn a_wrong_size_in_the_configuration_is_one_finding_and_all_is_looked_at_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), true);
    let shape = config(dir.path());
    let mut settings = ExamineConfig { root: dir.path().to_owned(), index_shape: Some((50, 100)), ..ExamineConfig::default() };
    settings.mapped_file_size_commit_log = Some(1 << 30);
    settings.mapped_file_size_consume_queue = Some(6_000_000);
    let mut findings = Vec::new();
    let verified = Examination::open(settings).unwrap().verify(&mut findings).unwrap();
    let [log, queues] = wrong(&findings)[..] else { panic!("{findings:#?}") };
    let said = format!(
        "mappedFileSizeCommitLog says 1073741824, but all files here are {FILE} bytes long, and so are the steps of their names; set it to {FILE}"
    );
    assert_eq!((&log.what, &log.path), (&said, &dir.path().join("commitlog")));
    assert!(queues.what.starts_with("mappedFileSizeConsumeQueue says 6000000, but all files here are 600 bytes long"), "{queues}");
    assert_eq!((verified.records, verified.units), (200, 200));
    assert_eq!(shape.mapped_file_size_commit_log as usize, FILE);
}

#[test]
fn a_folder_that_is_not_there_and_a_file_in_its_place_are_one_clear_sentence_for_looking_and_for_rebuilding() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a-file");
    fs::write(&file, "x").unwrap();
    let nowhere = dir.path().join("nowhere");
    let half = dir.path().join("half");
    fs::create_dir_all(half.join("consumequeue")).unwrap();
    fs::write(half.join("commitlog"), "x").unwrap();
    let cases = [
        (&nowhere, "nowhere: there is no such folder; name one that holds a message store"),
        (&file, "a-file: is a file where a folder belongs; move it elsewhere, or name another folder"),
        (&half, "commitlog: is a file where a folder belongs; move it elsewhere, or name another folder"),
    ];
    for (root, said) in cases {
        let looked = Examination::open(ExamineConfig { root: root.clone(), ..ExamineConfig::default() }).unwrap_err();
        let rebuilt = rebuild(StoreConfig::new(root), RebuildParts { queues: true, index: true }, &mut |_, _| {}).unwrap_err();
        for told in [looked.to_string(), rebuilt.to_string()] {
            assert!(told.ends_with(said) && told.lines().count() == 1, "{told}");
        }
    }
    assert!(!nowhere.exists(), "looking makes nothing");
    for root in [file, half] {
        let told = store::Store::open(config(&root), std::sync::Arc::new(|| {})).map(|_| ()).unwrap_err().to_string();
        assert!(told.contains("is a file where a folder belongs"), "{told}");
    }
}

#[test]
fn a_java_store_without_its_last_file_is_told_by_its_checkpoint() {
    for lost in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        unpack("clean", dir.path());
        if lost {
            fs::remove_file(dir.path().join("commitlog/00000000000000131072")).unwrap();
        }
        let (opened, lines) = lines_of(|| {
            open(StoreConfig { mapped_file_size_commit_log: 131_072, mapped_file_size_consume_queue: 600, ..StoreConfig::new(dir.path()) })
        });
        let told = lines.iter().filter(|line| line.starts_with("ERROR") && line.contains("its end is missing")).count();
        assert_eq!((told == 1, opened.recovered.log_end), (lost, if lost { 131_072 } else { 140_018 }), "{lines:?}");
    }
}

#[test]
fn a_java_store_without_its_tables_or_checkpoint_is_not_well() {
    for (lost, part) in [("config/topics.json", Part::Tables), ("checkpoint", Part::Folder)] {
        let dir = tempfile::tempdir().unwrap();
        unpack("clean", dir.path());
        fs::remove_file(dir.path().join(lost)).unwrap();
        // Its previous content is beside it.
        let bak = dir.path().join(format!("{lost}.bak"));
        if bak.exists() {
            fs::remove_file(bak).unwrap();
        }
        let finding = only_one_wrong(dir.path());
        assert_eq!((finding.part, &finding.path), (part, &dir.path().join(lost)), "{finding}");
    }
}
