//! Stores that a Java broker 5.5.0 wrote: closed, killed, and killed with a bit flipped in its third last record. What must be
//! found in them is what a Java broker reported after it had opened them.

mod kit;

use std::{collections::BTreeMap, net::SocketAddr, path::Path};

use kit::{Opened, expected, unpack};
use proto_core::{
    delay::DelayLevels,
    hash::tags_code,
    properties::{self, names},
    record::{RecordView, body_crc},
};
use route_core::{
    Storage, Timestamp,
    storage::{Boundary, LogOffset},
};
use serde_json::{Value, json};
use store::StoreConfig;

fn config(root: &Path) -> StoreConfig {
    StoreConfig {
        mapped_file_size_commit_log: 131_072,
        mapped_file_size_consume_queue: 600,
        max_hash_slot_num: 100,
        max_index_num: 400,
        message_delay_level: DelayLevels::parse("1s 2s 2s 3s 4s 5s 6s 7s 8s 9s 10s 20s 30s 40s 50s 1m 1h 2h").unwrap(),
        ..StoreConfig::new(root)
    }
}

fn int(value: &Value, name: &str) -> i64 {
    value[name].as_i64().unwrap_or_else(|| panic!("{name} in {value}"))
}

/// Holds a store against what the Java broker reported, line by line.
fn check(opened: &mut Opened, name: &str) {
    check_keys(opened, name);
    let store = &opened.store;
    let expected = expected(name);
    let kinds: BTreeMap<&str, usize> = expected.iter().fold(BTreeMap::new(), |mut kinds, line| {
        *kinds.entry(line["type"].as_str().unwrap()).or_default() += 1;
        kinds
    });
    let checked = ["message", "query_message", "queue", "search_offset", "store"];
    assert!(kinds.keys().copied().eq(checked), "lines of each kind, and of no other: {kinds:?}");
    let of = |kind: &'static str| expected.iter().filter(move |line| line["type"] == kind);
    for line in of("store") {
        assert_eq!(store.log_bounds(), (LogOffset(int(line, "minPhyOffset")), LogOffset(int(line, "maxPhyOffset"))));
    }
    let mut queues = Vec::new();
    for line in of("queue") {
        let (topic, queue_id) = (line["topic"].as_str().unwrap(), int(line, "queueId") as i32);
        let queue = store.find_queue(topic, queue_id).unwrap_or_else(|| panic!("{topic} {queue_id} is missing"));
        let bounds = store.bounds(queue);
        assert_eq!((bounds.min, bounds.max), (int(line, "minOffset"), int(line, "maxOffset")), "{topic} {queue_id}");
        let mut units = Vec::new();
        while (units.len() as i64) < bounds.max - bounds.min {
            let before = units.len();
            units.extend(store.units(queue, bounds.min + before as i64).map(|unit| (unit.offset.0, i64::from(unit.size), unit.tags_code)));
            assert!(units.len() > before, "{topic} {queue_id} has a hole");
        }
        let told: Vec<_> = line["cq_phy_size_tagsCode"]
            .as_array()
            .unwrap()
            .iter()
            .map(|unit| {
                let field = |at: usize| unit[at].as_i64().unwrap();
                (field(0), field(1), field(2))
            })
            .collect();
        assert_eq!(units, told, "{topic} {queue_id}");
        queues.push((topic.to_owned(), queue_id));
    }
    let found: Vec<_> = store.topics().into_iter().flat_map(|(topic, ids)| ids.into_iter().map(move |id| (topic.clone(), id))).collect();
    let with_messages: Vec<_> =
        found.into_iter().filter(|(topic, id)| store.bounds(store.find_queue(topic, *id).unwrap()).max > 0).collect();
    queues.sort();
    assert_eq!(with_messages, queues, "no queue but these has messages");
    for line in of("message") {
        let record = store.record(LogOffset(int(line, "commitLogOffset"))).unwrap_or_else(|| panic!("{line}"));
        assert_eq!((record.len() as i64, i64::from(body_crc(record))), (int(line, "size"), int(line, "record_crc32")), "{line}");
        assert_eq!(as_told(&RecordView::parse(record).unwrap()), *line);
    }
    for line in of("search_offset") {
        let queue = store.find_queue(line["topic"].as_str().unwrap(), int(line, "queueId") as i32).unwrap();
        let boundary = if line["boundaryType"] == "UPPER" { Boundary::Upper } else { Boundary::Lower };
        assert_eq!(store.search_by_time(queue, Timestamp(int(line, "timestamp")), boundary), int(line, "offset"), "{line}");
    }
}

/// A message as the Java broker tells it.
fn as_told(record: &RecordView<'_>) -> Value {
    let text = |bytes: &[u8]| std::str::from_utf8(bytes).unwrap().to_owned();
    let properties: serde_json::Map<_, _> =
        properties::iter(record.properties()).map(|(name, value)| (text(name), text(value).into())).collect();
    let host = |host: SocketAddr| match host {
        SocketAddr::V4(host) => host.to_string(),
        // Java writes all eight groups.
        SocketAddr::V6(host) => format!("[{}]:{}", host.ip().segments().map(|group| format!("{group:x}")).join(":"), host.port()),
    };
    json!({
        "type": "message",
        "topic": record.topic(),
        "queueId": record.queue_id(),
        "queueOffset": record.queue_offset(),
        "commitLogOffset": record.physical_offset(),
        "size": record.total_size(),
        "magic": format!("{:x}", record.magic()),
        "offsetMsgId": record.offset_message_id().to_string(),
        "storeTimestamp": record.store_timestamp(),
        "bornTimestamp": record.born_timestamp(),
        "bornHost": host(record.born_host()),
        "storeHost": host(record.store_host()),
        "bodyCRC": record.body_crc(),
        "flag": record.flag(),
        "sysFlag": record.sys_flag(),
        "reconsumeTimes": record.reconsume_times(),
        "preparedTransactionOffset": record.prepared_transaction_offset(),
        "tagsHash": tags_code(record.property(names::TAGS)),
        "properties": properties,
        "bodyLen": record.body().len(),
        "body_hex": record.body().iter().map(|byte| format!("{byte:02x}")).collect::<String>(),
        "record_crc32": body_crc(record.bytes()),
    })
}

/// Looks every key up that the Java broker was asked for.
fn check_keys(opened: &mut Opened, name: &str) {
    for line in expected(name).iter().filter(|line| line["type"] == "query_message") {
        let found = opened.find(line["topic"].as_str().unwrap(), line["key"].as_str().unwrap());
        let mut told: Vec<_> = line["commitLogOffsets"].as_array().unwrap().iter().map(|offset| offset.as_i64().unwrap()).collect();
        // After a crash Java puts the last message of its index in a second time and shows it twice; we show it once.
        told.dedup();
        assert_eq!(kit::places(&found), told, "{line}");
    }
}

/// The files of an index, the oldest first.
fn index_files(root: &Path) -> Vec<Vec<u8>> {
    let mut paths: Vec<_> = std::fs::read_dir(root.join("index")).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

#[test]
fn an_index_that_was_removed_is_built_anew_byte_for_byte_as_java_builds_it() {
    let dir = tempfile::tempdir().unwrap();
    unpack("clean", dir.path());
    let java = index_files(dir.path());
    std::fs::remove_dir_all(dir.path().join("index")).unwrap();
    let mut opened = kit::open(config(dir.path()));
    check_keys(&mut opened, "clean");
    opened.store.close().unwrap();
    let ours = index_files(dir.path());
    assert_eq!(ours.len(), java.len());
    for (number, (ours, java)) in ours.iter().zip(&java).enumerate() {
        assert!(ours == java, "file {number} differs");
    }
}

#[test]
fn an_index_that_java_wrote_stays_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    unpack("clean", dir.path());
    let before = index_files(dir.path());
    let mut opened = kit::open(config(dir.path()));
    check_keys(&mut opened, "clean");
    opened.store.close().unwrap();
    assert!(index_files(dir.path()) == before);
}

#[test]
fn a_closed_store_holds_what_java_says() {
    let dir = tempfile::tempdir().unwrap();
    unpack("clean", dir.path());
    let mut opened = kit::open(config(dir.path()));
    assert!(opened.recovered.clean && opened.recovered.cut.is_none(), "{:?}", opened.recovered);
    check(&mut opened, "clean");
}

#[test]
fn a_killed_store_holds_what_java_says() {
    let dir = tempfile::tempdir().unwrap();
    unpack("crashed", dir.path());
    let mut opened = kit::open(config(dir.path()));
    assert!(!opened.recovered.clean && opened.recovered.cut.is_none(), "{:?}", opened.recovered);
    check(&mut opened, "crashed");
}

#[test]
fn a_damaged_store_is_cut_where_java_cuts_it_and_what_is_cut_off_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    unpack("torn", dir.path());
    let before = std::fs::read(dir.path().join("commitlog/00000000000000131072")).unwrap();
    let mut opened = kit::open(config(dir.path()));
    check(&mut opened, "torn");
    let cut = opened.recovered.cut.clone().unwrap();
    assert_eq!((cut.at, cut.bytes, cut.saved.len()), (190_854, 191_977 - 190_854, 1));
    let saved = std::fs::read(&cut.saved[0]).unwrap();
    assert_eq!(saved, before[190_854 - 131_072..191_977 - 131_072]);
    let after = std::fs::read(dir.path().join("commitlog/00000000000000131072")).unwrap();
    assert!(after[190_854 - 131_072..].iter().all(|byte| *byte == 0), "nothing of it is left to come back");
}

#[test]
fn opening_again_after_either_stop_changes_nothing() {
    for name in ["clean", "crashed", "torn"] {
        let dir = tempfile::tempdir().unwrap();
        unpack(name, dir.path());
        drop(kit::open(config(dir.path())));
        let mut opened = kit::open(config(dir.path()));
        assert_eq!(opened.recovered.cut, None, "{name}");
        check(&mut opened, name);
        opened.store.close().unwrap();
        let mut opened = kit::open(config(dir.path()));
        assert!(opened.recovered.clean && opened.recovered.scanned_records == 0, "{:?}", opened.recovered);
        check(&mut opened, name);
    }
}

#[test]
fn queues_that_were_removed_are_built_anew_from_the_log() {
    for name in ["clean", "crashed"] {
        let dir = tempfile::tempdir().unwrap();
        unpack(name, dir.path());
        std::fs::remove_dir_all(dir.path().join("consumequeue")).unwrap();
        check(&mut kit::open(config(dir.path())), name);
    }
}

#[test]
fn a_store_goes_on_where_java_stopped() {
    let dir = tempfile::tempdir().unwrap();
    unpack("crashed", dir.path());
    let mut opened = kit::open(config(dir.path()));
    let queue = opened.store.find_queue("GT_normal1", 0).unwrap();
    let max = opened.store.bounds(queue).max;
    let end = opened.store.log_bounds().1;
    let placed = opened.send("GT_normal1", 0, "from another broker");
    assert_eq!((placed.queue_offset, placed.offset), (max, end));
}

#[test]
fn other_file_sizes_than_the_configured_ones_are_named() {
    let dir = tempfile::tempdir().unwrap();
    unpack("clean", dir.path());
    let error = store::Store::open(StoreConfig::new(dir.path()), std::sync::Arc::new(|| {})).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("00000000000000000000: 131072 bytes, where mappedFileSizeCommitLog says 1073741824"), "{text}");
}
