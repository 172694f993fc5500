//! Folders that a store does not open as they are, or only in part: each is told in one line that names file and reason, and none of them
//! loses a message silently. Damage inside of files is in `damage.rs` and `old_damage.rs`.

mod kit;

use std::{fs, io, path::Path, sync::Arc};

use kit::{config, lines::lines_of, open};
use proto_core::record::RecordView;
use route_core::{
    Storage, Timestamp,
    output::Table,
    storage::{Boundary, LogOffset},
};
use store::{
    OpenError, Store, StoreConfig,
    rebuild::{RebuildParts, rebuild},
    simulation::{FailingDisk, Operation},
};

const FILE: u64 = 16 << 10;

/// 200 messages in two queues, closed in order.
fn filled(root: &Path) {
    let mut opened = open(config(root));
    for at in 0..200 {
        opened.send("TopicA", at % 2, &format!("message {at} {}", "x".repeat(300)));
    }
    opened.store.close().unwrap();
}

fn refused(config: StoreConfig) -> OpenError {
    Store::open(config, Arc::new(|| {})).map(|_| ()).unwrap_err()
}

fn log_file(root: &Path, number: u64) -> std::path::PathBuf {
    root.join("commitlog").join(format!("{:020}", number * FILE))
}

fn shown(root: &Path) -> usize {
    let opened = open(config(root));
    opened.bodies("TopicA", 0).len() + opened.bodies("TopicA", 1).len()
}

#[test]
fn a_folder_that_a_later_version_wrote_is_refused_and_stays_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    let path = dir.path().join("checkpoint");
    let sound = fs::read(&path).unwrap();
    let mut later = sound.clone();
    // The version behind "PTRL".
    later[71] = 9;
    fs::write(&path, &later).unwrap();
    let error = refused(config(dir.path()));
    assert!(matches!(&error, OpenError::Newer { path: named, version: 9 } if *named == path), "{error}");
    assert!(error.to_string().contains("written by a later version (format 9); open the store with that one"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), later);
    assert!(!dir.path().join("abort").exists());
    fs::write(&path, sound).unwrap();
    assert_eq!(shown(dir.path()), 200);
}

#[test]
fn a_folder_that_cannot_be_written_is_refused_by_the_name_of_the_file() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    for protected in ["lock", "checkpoint", "abort", "commitlog"] {
        let denied = move |_: Operation, path: &Path| match path.components().any(|part| part.as_os_str() == protected) {
            true => Err(io::ErrorKind::PermissionDenied.into()),
            false => Ok(()),
        };
        let error = refused(StoreConfig { disk: FailingDisk::new(denied).into(), ..config(dir.path()) });
        let text = error.to_string();
        assert!(text.contains(protected) && text.contains("not writable") && text.lines().count() == 1, "{protected}: {text}");
    }
    assert_eq!(shown(dir.path()), 200);
}

#[test]
fn a_file_of_the_log_that_is_too_short_or_too_long_is_named_with_both_lengths() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    // In the middle and at the end: as a copy that was broken off leaves them.
    for number in [1, 4] {
        let path = log_file(dir.path(), number);
        let sound = fs::read(&path).unwrap();
        for len in [0, 5000, FILE as usize + 1, 2 * FILE as usize] {
            if number == 4 && len == 0 {
                continue;
            }
            let mut other = sound.clone();
            other.resize(len, 0);
            fs::write(&path, &other).unwrap();
            let error = refused(config(dir.path())).to_string();
            assert!(error.starts_with(&format!("{}: {len} bytes, where mappedFileSizeCommitLog says {FILE}", path.display())), "{error}");
            assert_eq!(fs::read(&path).unwrap(), other, "nothing is cut off or filled up");
        }
        fs::write(&path, &sound).unwrap();
        assert_eq!(shown(dir.path()), 200);
    }
}

#[test]
fn an_empty_file_at_the_end_of_the_log_is_one_that_was_just_made() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    let files = fs::read_dir(dir.path().join("commitlog")).unwrap().count() as u64;
    fs::write(log_file(dir.path(), files), b"").unwrap();
    assert_eq!(shown(dir.path()), 200);
}

#[test]
fn a_log_without_its_last_files_is_told_with_what_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    let files = fs::read_dir(dir.path().join("commitlog")).unwrap().count() as u64;
    fs::remove_file(log_file(dir.path(), files - 1)).unwrap();
    let (opened, lines) = lines_of(|| open(config(dir.path())));
    let told: Vec<_> = lines.iter().filter(|line| line.starts_with("ERROR")).collect();
    assert_eq!(told.len(), 1, "{lines:#?}");
    assert!(told[0].contains("the log's last files are missing") && told[0].contains("bytes are lost"), "{told:?}");
    // Offsets that units point to beyond the log are not shown.
    let end = opened.store.log_bounds().1;
    let bodies = opened.bodies("TopicA", 0);
    assert!(!bodies.is_empty() && bodies.len() < 100 && end.0 as u64 <= (files - 1) * FILE, "{} to {end:?}", bodies.len());
}

#[test]
fn a_queue_file_that_is_too_short_or_too_long_is_named_and_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    let path = dir.path().join("consumequeue/TopicA/0").join(format!("{:020}", 600));
    let sound = fs::read(&path).unwrap();
    for len in [0, 5, 599, 1200] {
        let mut other = sound.clone();
        other.resize(len, 0);
        fs::write(&path, &other).unwrap();
        let (shown, lines) = lines_of(|| shown(dir.path()));
        assert_eq!(shown, 200, "{len} bytes");
        let name = path.display().to_string();
        assert!(len == 0 || lines.iter().any(|line| !line.starts_with("INFO") && line.contains(&name)), "{len} bytes: {lines:#?}");
        assert_eq!(fs::read(&path).unwrap(), sound);
    }
}

#[test]
fn queue_files_that_all_have_another_length_are_left_alone_and_the_setting_is_named() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    let other = || StoreConfig { mapped_file_size_consume_queue: 400, ..config(dir.path()) };
    let error = refused(other()).to_string();
    assert!(error.contains(": 600 bytes, where mappedFileSizeConsumeQueue says 400"), "{error}");
    assert!(error.ends_with("`petrel store rebuild` makes the queues anew"), "{error}");
    assert_eq!(shown(dir.path()), 200);
    rebuild(other(), RebuildParts { queues: true, index: false }, &mut |_, _| {}).unwrap();
    let opened = open(other());
    assert_eq!(opened.bodies("TopicA", 0).len() + opened.bodies("TopicA", 1).len(), 200);
}

#[test]
fn offsets_beyond_the_log_and_inside_of_records_read_as_nothing() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    let opened = open(config(dir.path()));
    let (start, end) = opened.store.log_bounds();
    for offset in [-1, i64::MIN, 1, 100, end.0, end.0 + 1, end.0 + FILE as i64, i64::MAX] {
        assert_eq!(opened.store.record(LogOffset(offset)), None, "{offset}");
    }
    assert!(opened.store.record(start).is_some());
    let queue = opened.store.find_queue("TopicA", 0).unwrap();
    for offset in [-1, 100, 101, i64::MAX, i64::MIN] {
        assert_eq!(opened.store.units(queue, offset).count(), 0, "{offset}");
    }
}

#[test]
fn a_clock_that_was_set_back_loses_no_message_and_a_search_by_time_still_ends() {
    let dir = tempfile::tempdir().unwrap();
    let hour = 3_600_000;
    let times = [0, 1, 2, -hour, -hour + 1, 3, -2 * hour, 4].map(|at| 1_700_000_000_000 + at);
    let mut opened = open(config(dir.path()));
    let queue = opened.store.open_queue("TopicA", 0);
    for (at, time) in times.into_iter().enumerate() {
        let body = format!("message {at}");
        opened.store.append(Timestamp(time), queue, &kit::message("TopicA", 0, &body)).unwrap();
    }
    opened.store.commit().unwrap();
    for _ in 0..2 {
        let queue = opened.store.find_queue("TopicA", 0).unwrap();
        let record = |offset| RecordView::parse(opened.store.record(offset).unwrap()).unwrap();
        let stored: Vec<_> = opened.store.units(queue, 0).map(|unit| record(unit.offset).store_timestamp()).collect();
        assert_eq!(stored, times);
        for time in times {
            for boundary in [Boundary::Lower, Boundary::Upper] {
                let found = opened.store.search_by_time(queue, Timestamp(time), boundary);
                assert!((0..=times.len() as i64).contains(&found), "{time}: {found}");
            }
        }
        // Killed: the end of the log is not looked for by time.
        drop(opened);
        opened = open(config(dir.path()));
        assert_eq!(opened.bodies("TopicA", 0).len(), times.len());
    }
}

#[test]
fn a_table_that_was_emptied_is_told_by_the_name_of_its_file() {
    let dir = tempfile::tempdir().unwrap();
    let opened = open(config(dir.path()));
    let path = dir.path().join("config").join("subscriptionGroup.json");
    fs::write(&path, "{}").unwrap();
    let whole = |content: &[u8]| Ok(content.to_vec());
    let (table, lines) = lines_of(|| opened.store.load_table(Table::SubscriptionGroups, whole).unwrap());
    assert_eq!(table, None);
    assert!(
        lines.iter().any(|line| line.starts_with("WARN") && line.contains("subscriptionGroup.json") && line.contains("is empty")),
        "{lines:?}"
    );
}

#[test]
fn a_start_on_a_full_disk_is_refused_and_the_store_stays_closed_in_order() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    let full = |operation: Operation, path: &Path| match operation == Operation::Write && path.ends_with("abort") {
        true => Err(io::ErrorKind::StorageFull.into()),
        false => Ok(()),
    };
    let told = refused(StoreConfig { disk: FailingDisk::new(full).into(), ..config(dir.path()) }).to_string();
    assert!(told.ends_with("abort: its disk has no space left; make room there, then start again"), "{told}");
    assert!(open(config(dir.path())).recovered.clean);
}
