//! The tables that a Java broker has saved are read as it meant them, and what is saved here reads the same.

use std::sync::Arc;

use proto_core::{bloom::BloomFilter, delay::DelayLevels};
use route_core::{
    Millis, Now, Storage, Timestamp,
    broker::{
        delay::DelaySchedule,
        filters::{FilterLimits, FilterTable},
        groups::GroupTable,
        offsets::OffsetTable,
        topics::{SystemTopics, TopicTable},
    },
    filter::Candidate,
    plugins::NoPlugins,
    storage::memory::MemoryStorage,
};

const NOW: Timestamp = Timestamp(1_000);
const SYSTEM: SystemTopics<'static> = SystemTopics {
    cluster: "GoldenCluster",
    broker: "broker-g1",
    auto_create: true,
    default_queue_nums: 8,
    cluster_topic: true,
    broker_topic: true,
    trace_topic: None,
};

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

/// Lines without their commas, sorted: tables of Java's have no order.
fn lines(text: &str) -> Vec<&str> {
    let mut lines: Vec<_> = text.lines().map(|line| line.trim_end_matches(',')).collect();
    lines.sort_unstable();
    lines
}

#[test]
fn the_offsets_of_a_java_broker_are_read_and_written_as_it_writes_them() {
    let saved = include_str!("golden/config/consumerOffset.json");
    let mut offsets = OffsetTable::new(NOW, 100);
    offsets.load(saved.as_bytes()).unwrap();
    assert_eq!(offsets.query("GT_normal1", "CG_sql1", 3), Some(31));
    assert_eq!(offsets.query_pull("GT_normal1", "CG_sql1", 1), Some(30));
    assert_eq!(offsets.query("%RETRY%CG_fail1", "CG_fail1", 0), Some(6));
    assert_eq!(offsets.version().timestamp, 1_795_376_104_917);
    assert!(!offsets.take_dirty(), "what was just read needs no save");
    assert_eq!(lines(&text(offsets.snapshot().to_bytes())), lines(saved));
}

#[test]
fn offsets_survive_a_save() {
    let mut offsets = OffsetTable::new(NOW, 100);
    offsets.commit(NOW, "T", "G", 0, 7);
    offsets.commit(NOW, "T", "G", 12, 9);
    offsets.note_pull(Millis(0), ("T", "G"), 1, None, 5);
    let mut again = OffsetTable::new(NOW, 100);
    again.load(&offsets.snapshot().to_bytes()).unwrap();
    let found = [0, 12, 1].map(|queue_id| again.query("T", "G", queue_id));
    assert_eq!((found, again.query_pull("T", "G", 1)), ([Some(7), Some(9), None], Some(5)));
}

#[test]
fn the_delay_levels_of_a_java_broker_go_on_where_it_stopped() {
    let saved = include_str!("golden/config/delayOffset.json");
    let mut storage = MemoryStorage::default();
    let now = Now { mono: Millis(0), wall: NOW };
    let mut schedule = DelaySchedule::new(now, &DelayLevels::default(), &mut storage);
    schedule.load(saved.as_bytes()).unwrap();
    assert_eq!([1, 4, 5, 18].map(|level| schedule.offset(level)), [Some(1), Some(3), Some(0), Some(0)]);
    let mut again = DelaySchedule::new(now, &DelayLevels::default(), &mut storage);
    again.load(&schedule.to_file(NOW)).unwrap();
    assert_eq!(again.offset(4), Some(3));
    assert_eq!(again.version().counter, 5);
    assert_eq!(storage.topics().len(), 1);
}

#[test]
fn the_topics_of_a_java_broker_are_read_and_written_as_it_writes_them() {
    let saved = include_str!("golden/config/topics.json");
    let mut topics = TopicTable::new(NOW, &SYSTEM, 100);
    topics.load(saved.as_bytes()).unwrap();
    assert_eq!(topics.get("GT_v61").unwrap().config().write_queue_nums, 2);
    assert_eq!(topics.version().counter, 13);
    assert!(!topics.take_dirty(), "what was just read needs no save");
    // Java kept its timer off, so it has no topic for it.
    let timer = "rmq_sys_wheel_timer";
    let mut written = text(topics.snapshot(None).to_bytes());
    let start = written.find(&format!("\t\t\"{timer}\"")).unwrap();
    let end = start + written[start..].find("\n\t\t}").unwrap() + "\n\t\t}".len();
    written.replace_range(start..end, "");
    let written: Vec<_> = lines(&written).into_iter().filter(|line| !line.is_empty()).collect();
    assert_eq!(written, lines(saved));
}

#[test]
fn a_template_that_was_saved_makes_no_topics_once_automatic_creation_is_off() {
    let saved = include_str!("golden/config/topics.json");
    let mut topics = TopicTable::new(NOW, &SystemTopics { auto_create: false, ..SYSTEM }, 100);
    topics.load(saved.as_bytes()).unwrap();
    assert_eq!(topics.get("TBW102").unwrap().config().perm, 6);
    assert!(topics.create_on_send(NOW, "T", "TBW102", 4, 0).is_err());
}

#[test]
fn the_groups_of_a_java_broker_are_read_and_written_as_it_writes_them() {
    let saved = include_str!("golden/config/subscriptionGroup.json");
    let mut groups = GroupTable::new(NOW, true, 100);
    groups.load(saved.as_bytes()).unwrap();
    assert_eq!(groups.version().counter, 3);
    assert!(!groups.take_dirty(), "what was just read needs no save");
    assert_eq!(lines(&text(groups.snapshot().to_bytes())), lines(saved));
}

#[test]
fn what_a_group_may_not_read_survives_a_save() {
    let mut groups = GroupTable::new(NOW, true, 100);
    groups.set_may_read(NOW, "G", "T", false).unwrap();
    let mut again = GroupTable::new(NOW, true, 100);
    again.load(&groups.snapshot().to_bytes()).unwrap();
    assert!(!again.may_read("G", "T"));
}

#[test]
fn a_file_that_is_no_table_is_refused_and_leaves_the_table_as_it_is() {
    let mut offsets = OffsetTable::new(NOW, 100);
    offsets.commit(NOW, "T", "G", 0, 7);
    assert!(offsets.load(b"{\"offsetTable\":{\"T@G\":{0:8").is_err());
    assert_eq!(offsets.query("T", "G", 0), Some(7));
    assert!(TopicTable::new(NOW, &SYSTEM, 100).load(b"").is_err());
}

/// A record of which only the properties matter.
fn record(properties: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 84];
    bytes[4..8].copy_from_slice(&proto_core::record::MAGIC_V1.to_be_bytes());
    bytes.extend([0, 0, 0, 0, 1, b'T']);
    bytes.extend(u16::try_from(properties.len()).unwrap().to_be_bytes());
    bytes.extend(properties);
    bytes
}

#[test]
fn the_filters_of_a_java_broker_are_read_and_written_as_it_writes_them() {
    let saved = include_str!("golden/config/consumerFilter.json");
    let mut filters =
        FilterTable::new(FilterLimits { filters: 10, bytes: 1000 }, BloomFilter::new(20, 32), Millis(86_400_000), Arc::new(NoPlugins));
    filters.load(NOW, saved.as_bytes()).unwrap();
    let filter = filters.get("CG_sql1", "GT_normal1").unwrap();
    assert_eq!((filter.version(), filter.dead()), (1_795_376_198_103, Some(Timestamp(1_795_376_228_822))));
    let passes = |properties: &[u8]| filter.filter().matches_one(Candidate { tags_code: 0, record: Some(&record(properties)) });
    assert!(passes(b"num\x0151\x02TAGS\x01TagA\x02") && !passes(b"num\x0150\x02TAGS\x01TagA\x02"));
    assert_eq!(text(filters.to_file()), saved);
}
