//! Records that end with a checksum over all of them (`enabledAppendPropCRC`): what it finds, and what it must not be mistaken for.

mod kit;

use std::{
    fs,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    time::Duration,
};

use kit::{
    Opened, config,
    examining::{verify, write_topics, wrong},
    lines::lines_of,
    message, open, query,
};
use proto_core::record::{RecordView, TRAILER_LEN, body_crc, encode_trailer};
use route_core::{
    Storage, Timestamp,
    storage::{AppendError, Appended, NewMessage, keys::KeyKind},
};
use store::{
    StoreConfig,
    examine::{Examination, ExamineConfig},
};

/// What a client sends that has copied the properties of a message from a broker that writes checksums.
const COPIED: &[u8] = b"TAGS\x01TagA\x02__CRC32#\x018758651980\x02";
const STORED_AT: Timestamp = Timestamp(1_700_000_000_000);

fn with_trailers(root: &Path) -> StoreConfig {
    StoreConfig { enabled_append_prop_crc: true, ..config(root) }
}

/// Nothing is brought to disk, however long a test takes: after a kill all of the log is read again.
fn unflushed(config: StoreConfig) -> StoreConfig {
    let never = Duration::from_secs(3600);
    StoreConfig { flush_interval_commit_log: never, flush_interval_consume_queue: never, ..config }
}

fn send(opened: &mut Opened, message: &NewMessage<'_>) -> Appended {
    let queue = opened.store.open_queue(message.topic, message.queue_id);
    let placed = opened.store.append(STORED_AT, queue, message).unwrap();
    opened.store.commit().unwrap();
    placed
}

fn view<'a>(opened: &'a Opened, placed: &Appended) -> RecordView<'a> {
    RecordView::parse(opened.store.record(placed.offset).expect("it is there and whole")).unwrap()
}

/// Twenty messages in two queues.
fn fill(opened: &mut Opened) -> Vec<Appended> {
    (0..20).map(|at| opened.send("TopicA", at % 2, &format!("message {at}"))).collect()
}

fn log(root: &Path) -> (PathBuf, fs::File) {
    let path = root.join("commitlog/00000000000000000000");
    let file = fs::File::options().read(true).write(true).open(&path).unwrap();
    (path, file)
}

/// Changes a record where it lies.
fn change(root: &Path, placed: &Appended, change: impl FnOnce(&mut [u8])) {
    let mut record = vec![0; (placed.end.0 - placed.offset.0) as usize];
    let (_, file) = log(root);
    file.read_exact_at(&mut record, placed.offset.0.unsigned_abs()).unwrap();
    change(&mut record);
    file.write_all_at(&record, placed.offset.0.unsigned_abs()).unwrap();
}

fn place_of(record: &[u8], text: &[u8]) -> usize {
    record.windows(text.len()).position(|bytes| bytes == text).expect("the text is in the record")
}

/// One bit of the tag.
fn flip_in_properties(record: &mut [u8]) {
    let at = place_of(record, b"TagA");
    record[at] ^= 4;
}

/// Makes a record that has the form of one with a checksum, as a client that copies properties has a Java broker store it: the name has
/// another byte until it lies in the log, since this store would not take it.
fn forge(root: &Path, placed: &Appended) {
    change(root, placed, |record| {
        let at = place_of(record, b"__CRC32X");
        record[at + 7] = b'#';
    });
}

const TO_FORGE: &[u8] = b"TAGS\x01TagA\x02__CRC32X\x018758651980\x02";

#[test]
fn whatever_is_appended_ends_with_a_checksum_over_all_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = open(with_trailers(dir.path()));
    let queue = opened.store.open_queue("TopicA", 0);
    let plain = message("TopicA", 0, "plain");
    let mut placed = vec![send(&mut opened, &plain), opened.store.append_again(STORED_AT, queue, &plain).unwrap()];
    let unended = NewMessage { properties: b"TAGS\x01TagA", ..plain };
    let none = NewMessage { properties: b"", ..plain };
    opened.store.append_batch(STORED_AT, queue, &[plain, unended, none], &mut placed).unwrap();
    for (placed, properties) in placed.iter().zip([plain.properties, plain.properties, plain.properties, b"TAGS\x01TagA\x02", b""]) {
        let view = view(&opened, placed);
        let covered = &view.bytes()[..view.total_size() - TRAILER_LEN];
        assert_eq!(view.properties(), [properties, &encode_trailer(body_crc(covered))].concat());
        assert_eq!((view.total_size() as i64, view.verify_trailer()), (placed.end.0 - placed.offset.0, Ok(true)));
    }
    assert_eq!(opened.bodies("TopicA", 0).len(), 5);
}

#[test]
fn properties_have_to_leave_room_for_the_checksum() {
    let dir = tempfile::tempdir().unwrap();
    let larger = |config: StoreConfig| StoreConfig { mapped_file_size_commit_log: 1 << 20, ..config };
    let mut opened = open(larger(with_trailers(dir.path())));
    let queue = opened.store.open_queue("TopicA", 0);
    let bytes = [&[b'p'; 32_766][..], b"\x02"].concat();
    let with = |len: usize| NewMessage { properties: &bytes[bytes.len() - len..], ..message("TopicA", 0, "wide") };
    assert_eq!(opened.store.append(STORED_AT, queue, &with(32_748)), Err(AppendError::PropertiesTooLarge(32_768)));
    let mut placed = Vec::new();
    let batch = [with(10), with(32_748)];
    assert_eq!(opened.store.append_batch(STORED_AT, queue, &batch, &mut placed), Err(AppendError::PropertiesTooLarge(32_768)));
    let widest = send(&mut opened, &with(32_747));
    assert_eq!(view(&opened, &widest).verify_trailer(), Ok(true));
}

#[test]
fn what_was_stored_before_is_stored_again_without_a_checksum_rather_than_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = open(StoreConfig { mapped_file_size_commit_log: 64 << 10, ..with_trailers(dir.path()) });
    let queue = opened.store.open_queue("TopicA", 0);
    let wide = NewMessage { properties: &[b'p'; 32_767], ..message("TopicA", 0, "wide") };
    let placed = opened.store.append_again(STORED_AT, queue, &wide).unwrap();
    assert_eq!((view(&opened, &placed).properties(), view(&opened, &placed).verify_trailer()), (wide.properties, Ok(false)));
    // Head, topic and lengths take 97 bytes, the properties 10, the end of the file 8.
    let body = "x".repeat((64 << 10) - 115);
    let long = message("TopicA", 0, &body);
    let placed = opened.store.append_again(STORED_AT, queue, &long).unwrap();
    assert_eq!(view(&opened, &placed).verify_trailer(), Ok(false));
}

#[test]
fn the_checksum_of_another_record_never_reaches_the_log_with_the_key_or_without() {
    for enabled_append_prop_crc in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let config = || StoreConfig { enabled_append_prop_crc, ..with_trailers(dir.path()) };
        let mut opened = open(config());
        let placed = send(&mut opened, &NewMessage { properties: COPIED, ..message("TopicA", 0, "forwarded") });
        opened.store.close().unwrap();
        write_topics(dir.path(), &["TopicA"]);
        assert_eq!(wrong(&verify(dir.path()).1), Vec::<&store::examine::Finding>::new());
        let opened = open(config());
        let view = view(&opened, &placed);
        assert_eq!(view.verify_trailer(), Ok(enabled_append_prop_crc));
        assert!(view.properties().starts_with(b"TAGS\x01TagA\x02"));
        assert_eq!(view.properties().len(), 10 + if enabled_append_prop_crc { TRAILER_LEN } else { 0 });
    }
}

#[test]
fn a_flipped_bit_in_properties_is_found_by_a_look_over_the_folder() {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = open(with_trailers(dir.path()));
    let placed = fill(&mut opened);
    opened.store.close().unwrap();
    write_topics(dir.path(), &["TopicA"]);
    change(dir.path(), &placed[7], flip_in_properties);
    let (_, findings) = verify(dir.path());
    let [finding] = wrong(&findings)[..] else { panic!("{findings:#?}") };
    assert_eq!((&finding.path, finding.at), (&log(dir.path()).0, Some(placed[7].offset.0.unsigned_abs())));
    assert!(finding.what.contains("its property __CRC32# says something else"), "{finding}");
}

#[test]
fn a_configuration_with_the_key_says_that_the_first_checksum_counts_too() {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = open(with_trailers(dir.path()));
    let placed = opened.send("TopicA", 0, "alone");
    opened.store.close().unwrap();
    write_topics(dir.path(), &["TopicA"]);
    change(dir.path(), &placed, flip_in_properties);
    let config = ExamineConfig { root: dir.path().to_owned(), enabled_append_prop_crc: true, ..ExamineConfig::default() };
    let mut findings = Vec::new();
    Examination::open(config).unwrap().verify(&mut findings).unwrap();
    assert!(wrong(&findings)[0].what.contains("__CRC32#"), "{findings:#?}");
}

#[test]
fn a_flipped_bit_in_properties_is_found_by_recovery() {
    // The key may be off by now: the log shows that its records had it.
    for enabled_append_prop_crc in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let mut opened = open(unflushed(with_trailers(dir.path())));
        let placed = fill(&mut opened);
        drop(opened);
        change(dir.path(), &placed[7], flip_in_properties);
        let opened = open(StoreConfig { enabled_append_prop_crc, ..with_trailers(dir.path()) });
        assert_eq!(opened.recovered.cut.map(|cut| cut.at), Some(placed[7].offset.0));
        assert_eq!(opened.store.log_bounds().1, placed[7].offset);
    }
}

#[test]
fn an_old_record_with_a_flipped_bit_in_its_properties_is_not_handed_out_and_is_told_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = open(with_trailers(dir.path()));
    let placed = fill(&mut opened);
    opened.store.close().unwrap();
    change(dir.path(), &placed[7], flip_in_properties);
    let opened = open(config(dir.path()));
    let ((), lines) = lines_of(|| {
        for _ in 0..2 {
            assert_eq!(opened.store.record(placed[7].offset), None);
            assert!(opened.store.record(placed[8].offset).is_some());
        }
    });
    let [line] = &lines[..] else { panic!("{lines:?}") };
    assert!(line.contains("__CRC32#") && line.contains(&format!("offset={} ", placed[7].offset.0)), "{line}");
}

#[test]
fn a_look_up_by_key_does_not_answer_a_message_with_a_wrong_checksum() {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = open(with_trailers(dir.path()));
    let keyed = NewMessage { properties: b"KEYS\x01order\x02TAGS\x01TagA\x02", ..message("TopicA", 0, "keyed") };
    let placed = [send(&mut opened, &keyed), send(&mut opened, &keyed)];
    opened.store.close().unwrap();
    change(dir.path(), &placed[0], flip_in_properties);
    let mut opened = open(with_trailers(dir.path()));
    assert_eq!(kit::places(&opened.search(query("TopicA", KeyKind::Key, "order"))), [placed[1].offset.0]);
}

#[test]
fn in_a_log_without_checksums_a_property_that_looks_like_one_is_a_clients() {
    for close in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let mut opened = open(unflushed(config(dir.path())));
        let copied = NewMessage { properties: TO_FORGE, ..message("TopicA", 0, "forwarded") };
        let placed = send(&mut opened, &copied);
        fill(&mut opened);
        let last = send(&mut opened, &copied);
        if close {
            opened.store.close().unwrap();
        } else {
            drop(opened);
        }
        write_topics(dir.path(), &["TopicA"]);
        forge(dir.path(), &placed);
        forge(dir.path(), &last);
        assert!(wrong(&verify(dir.path()).1).iter().all(|finding| !finding.what.contains("__CRC32#")));
        let opened = open(config(dir.path()));
        assert_eq!(opened.recovered.cut, None);
        assert_eq!(opened.bodies("TopicA", 0).len(), 12);
        assert_eq!(view(&opened, &placed).properties(), COPIED);
    }
}

#[test]
fn where_the_log_changes_over_each_record_is_judged_by_those_around_it() {
    let dir = tempfile::tempdir().unwrap();
    let copied = NewMessage { properties: TO_FORGE, ..message("TopicA", 0, "forwarded") };
    let mut placed = Vec::new();
    for enabled_append_prop_crc in [true, false, true] {
        let mut opened = open(StoreConfig { enabled_append_prop_crc, ..config(dir.path()) });
        placed.push(opened.send("TopicA", 0, "before"));
        placed.push(send(&mut opened, &copied));
        placed.push(opened.send("TopicA", 0, "behind"));
        opened.store.close().unwrap();
    }
    write_topics(dir.path(), &["TopicA"]);
    forge(dir.path(), &placed[4]);
    for damaged in [1, 7] {
        change(dir.path(), &placed[damaged], flip_in_properties);
    }
    let (_, findings) = verify(dir.path());
    let found: Vec<_> = wrong(&findings).iter().filter_map(|finding| finding.at).collect();
    assert_eq!(found, [1, 7].map(|at| placed[at].offset.0.unsigned_abs()));
    let opened = open(with_trailers(dir.path()));
    let whole = |at: usize| opened.store.record(placed[at].offset).is_some();
    // In any order.
    assert_eq!([4, 1, 4, 7, 0, 4, 3, 1, 7].map(whole), [true, false, true, false, true, true, true, false, false]);
}

#[test]
fn copied_checksums_in_a_row_are_a_clients_whatever_was_read_before_them() {
    let dir = tempfile::tempdir().unwrap();
    let keyed = [b"KEYS\x01order\x02", TO_FORGE].concat();
    let copied = NewMessage { properties: &keyed, ..message("TopicA", 0, "forwarded") };
    let mut opened = open(config(dir.path()));
    let mut placed: Vec<_> = (0..3).map(|_| send(&mut opened, &copied)).collect();
    placed.push(opened.send("TopicA", 0, "behind"));
    opened.store.close().unwrap();
    let mut opened = open(with_trailers(dir.path()));
    placed.push(opened.send("TopicA", 0, "with one"));
    opened.store.close().unwrap();
    write_topics(dir.path(), &["TopicA"]);
    placed[..3].iter().for_each(|placed| forge(dir.path(), placed));
    let (_, findings) = verify(dir.path());
    assert!(wrong(&findings).is_empty(), "{findings:?}");
    for config in [config(dir.path()), with_trailers(dir.path())] {
        let mut opened = open(config);
        for at in [4, 0, 4, 1, 3, 2, 0] {
            assert!(opened.store.record(placed[at].offset).is_some(), "{at}");
        }
        let found: Vec<_> = placed[..3].iter().map(|placed| placed.offset.0).collect();
        let mut places = kit::places(&opened.search(query("TopicA", KeyKind::Key, "order")));
        places.sort_unstable();
        assert_eq!(places, found);
        opened.store.close().unwrap();
    }
    // All queues are built anew from the log.
    fs::remove_dir_all(dir.path().join("consumequeue")).unwrap();
    let opened = open(with_trailers(dir.path()));
    assert_eq!((opened.recovered.cut.clone(), opened.bodies("TopicA", 0).len()), (None, 5));
}

#[test]
fn where_recovery_goes_by_the_checksum_over_all_the_one_of_the_body_is_not_asked() {
    for (force_verify_prop_crc, kept) in [(true, true), (false, false)] {
        let dir = tempfile::tempdir().unwrap();
        let mut opened = open(unflushed(with_trailers(dir.path())));
        let placed = fill(&mut opened);
        drop(opened);
        change(dir.path(), &placed[7], |record| {
            record[9] ^= 4;
            let covered = record.len() - TRAILER_LEN;
            let trailer = encode_trailer(body_crc(&record[..covered]));
            record[covered..].copy_from_slice(&trailer);
        });
        let opened = open(StoreConfig { force_verify_prop_crc, ..with_trailers(dir.path()) });
        assert_eq!(opened.recovered.cut.is_none(), kept, "{:?}", opened.recovered);
    }
}

#[test]
fn where_recovery_goes_by_it_records_from_before_count_by_their_body() {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = open(unflushed(config(dir.path())));
    let placed = fill(&mut opened);
    drop(opened);
    let force = || StoreConfig { force_verify_prop_crc: true, ..unflushed(with_trailers(dir.path())) };
    let opened = open(force());
    assert_eq!((opened.store.log_bounds().1, opened.recovered.cut.clone()), (placed[19].end, None));
    drop(opened);
    change(dir.path(), &placed[7], |record| record[90] ^= 4);
    assert_eq!(open(force()).recovered.cut.map(|cut| cut.at), Some(placed[7].offset.0));
}
