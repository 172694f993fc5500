use proto_core::code::ResponseCode;

use super::*;

const NOW: Timestamp = Timestamp(1_000);
const SYSTEM: SystemTopics<'static> = SystemTopics {
    cluster: "DefaultCluster",
    broker: "broker-a",
    trace_topic: None,
    auto_create: true,
    default_queue_nums: 8,
    cluster_topic: true,
    broker_topic: true,
};
const RETRY: NewTopic = NewTopic { queue_nums: 1, perm: 6, order: false, sys_flag: 0 };

fn table() -> TopicTable {
    TopicTable::new(NOW, &SYSTEM, 100)
}

fn attributes(pairs: &[(&str, &str)]) -> attributes::Attributes {
    pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()
}

#[test]
fn a_broker_makes_its_own_topics_at_its_start() {
    let topics = table();
    let list: Vec<_> = topics.configs().map(|config| (config.topic_name.as_str(), config.write_queue_nums, config.perm)).collect();
    assert_eq!(
        list,
        [
            ("SELF_TEST_TOPIC", 1, 6),
            ("TBW102", 8, 7),
            ("BenchmarkTest", 1024, 6),
            ("DefaultCluster", 16, 7),
            ("broker-a", 1, 7),
            ("OFFSET_MOVED_EVENT", 1, 6),
            ("SCHEDULE_TOPIC_XXXX", 18, 6),
            ("DefaultCluster_REPLY_TOPIC", 1, 6),
            ("rmq_sys_REVIVE_LOG_DefaultCluster", 8, 6),
            ("rmq_sys_SYNC_BROKER_MEMBER_broker-a", 1, 1),
            ("RMQ_SYS_TRANS_HALF_TOPIC", 1, 6),
            ("RMQ_SYS_TRANS_OP_HALF_TOPIC", 1, 6),
            ("rmq_sys_wheel_timer", 1, 6),
        ]
    );
}

#[test]
fn the_first_send_makes_a_topic_from_its_template() {
    let mut topics = table();
    let config = topics.create_on_send(NOW, "T", "TBW102", 4, 0).unwrap().config();
    assert_eq!((config.read_queue_nums, config.write_queue_nums, config.perm), (4, 4, 6));
    assert!(topics.take_dirty());
    assert_eq!(topics.take_changed(), ["T".into()]);
    assert_eq!(topics.version().counter, 1);
}

#[test]
fn a_new_topic_has_no_more_queues_than_its_template_and_none_less_than_zero() {
    let mut topics = table();
    assert_eq!(topics.create_on_send(NOW, "T", "TBW102", 100, 0).unwrap().config().write_queue_nums, 8);
    assert_eq!(topics.create_on_send(NOW, "U", "TBW102", -4, 0).unwrap().config().write_queue_nums, 0);
}

#[test]
fn a_template_that_hands_nothing_on_makes_no_topic() {
    let mut topics = table();
    assert_eq!(topics.create_on_send(NOW, "T", "BenchmarkTest", 4, 0).unwrap_err(), CreateError::NoTemplate);
    assert_eq!(topics.create_on_send(NOW, "T", "nowhere", 4, 0).unwrap_err(), CreateError::NoTemplate);
    let mut closed = TopicTable::new(NOW, &SystemTopics { auto_create: false, ..SYSTEM }, 100);
    assert_eq!(closed.create_on_send(NOW, "T", "TBW102", 4, 0).unwrap_err(), CreateError::NoTemplate);
}

#[test]
fn a_topic_that_is_there_is_not_made_again() {
    let mut topics = table();
    topics.create_on_send(NOW, "T", "TBW102", 4, 0).unwrap();
    assert_eq!(topics.create_on_send(NOW, "T", "nowhere", 1, 0).unwrap().config().write_queue_nums, 4);
    assert_eq!(topics.version().counter, 1);
}

#[test]
fn a_full_table_refuses_new_topics() {
    let mut topics = TopicTable::new(NOW, &SYSTEM, 14);
    topics.create_on_send(NOW, "T", "TBW102", 4, 0).unwrap();
    assert_eq!(topics.open(NOW, "%RETRY%G", RETRY).unwrap_err(), CreateError::Full { limit: 14 });
    let refusal = topics.create_or_update(NOW, TopicConfig::new("U", 1, 6)).unwrap_err();
    assert_eq!((refusal.code, &*refusal.remark), (ResponseCode::SystemError, "the broker has its limit of 14 topics"));
    assert_eq!(topics.create_or_update(NOW, TopicConfig::new("T", 1, 6)), Ok(true));
}

#[test]
fn a_retry_topic_gets_more_queues_but_never_less_and_follows_its_consumers_in_order() {
    let mut topics = table();
    topics.open(NOW, "%RETRY%G", RETRY).unwrap();
    let config = topics.open(NOW, "%RETRY%G", NewTopic { queue_nums: 9, order: true, ..RETRY }).unwrap().config();
    assert_eq!((config.read_queue_nums, config.write_queue_nums, config.order), (9, 9, true));
    assert_eq!(topics.version().counter, 3);
    let config = topics.open(NOW, "%RETRY%G", NewTopic { order: true, ..RETRY }).unwrap().config();
    assert_eq!(config.write_queue_nums, 9);
    assert_eq!(topics.version().counter, 3);
    let config = topics.open(NOW, "%RETRY%G", NewTopic { queue_nums: i32::MAX, order: true, ..RETRY }).unwrap().config();
    assert_eq!(config.write_queue_nums, QUEUES_LIMIT);
}

#[test]
fn an_operator_creates_and_changes_a_topic_once() {
    let mut topics = table();
    assert_eq!(topics.create_or_update(NOW, TopicConfig::new("T", 4, 6)), Ok(true));
    assert_eq!(topics.create_or_update(NOW, TopicConfig::new("T", 4, 6)), Ok(false));
    let config = TopicConfig { read_queue_nums: 8, write_queue_nums: 3, ..TopicConfig::new("T", 4, 6) };
    assert_eq!(topics.create_or_update(NOW, config), Ok(true));
    assert_eq!(topics.get("T").unwrap().config().write_queue_nums, 3);
    assert_eq!(topics.version().counter, 2);
}

#[test]
fn attributes_are_altered_and_stay_through_a_change_without_any() {
    let mut topics = table();
    let config = TopicConfig { attributes: attributes(&[("+message.type", "FIFO")]), ..TopicConfig::new("T", 4, 6) };
    topics.create_or_update(NOW, config).unwrap();
    topics.create_or_update(NOW, TopicConfig::new("T", 8, 6)).unwrap();
    assert_eq!(topics.get("T").unwrap().config().attributes, attributes(&[("message.type", "FIFO")]));
}

#[test]
fn wrong_topics_are_refused_with_javas_texts() {
    let mut topics = table();
    let mut refused = |config| topics.create_or_update(NOW, config).unwrap_err();
    let cases = [
        (TopicConfig::new("", 4, 6), ResponseCode::InvalidParameter, "The specified topic is blank."),
        (TopicConfig::new("TBW102", 4, 6), ResponseCode::InvalidParameter, "The topic[TBW102] is conflict with system topic."),
        (TopicConfig::new("broker-a", 4, 6), ResponseCode::InvalidParameter, "The topic[broker-a] is conflict with system topic."),
        (
            TopicConfig { attributes: attributes(&[("+message.type", "MIXED")]), ..TopicConfig::new("T", 4, 6) },
            ResponseCode::InvalidParameter,
            "MIXED message type is not supported.",
        ),
        (
            TopicConfig { attributes: attributes(&[("+colour", "red")]), ..TopicConfig::new("T", 4, 6) },
            ResponseCode::SystemError,
            "unsupported key: colour",
        ),
        (TopicConfig::new("T", 65_537, 6), ResponseCode::InvalidParameter, "a topic of 65537 queues is beyond the limit of 65536"),
    ];
    for (config, code, remark) in cases {
        let refusal = refused(config);
        assert_eq!((refusal.code, &*refusal.remark), (code, remark));
    }
}

#[test]
fn a_deleted_topic_is_gone_and_an_unknown_one_changes_nothing() {
    let mut topics = table();
    topics.create_on_send(NOW, "T", "TBW102", 4, 0).unwrap();
    assert!(topics.delete(NOW, "T").unwrap().is_some());
    assert!(topics.get("T").is_none());
    assert!(topics.take_changed().is_empty());
    let version = *topics.version();
    assert!(topics.delete(NOW, "T").unwrap().is_none());
    assert_eq!(*topics.version(), version);
    assert_eq!(topics.delete(NOW, "SELF_TEST_TOPIC").unwrap_err().code, ResponseCode::InvalidParameter);
    assert_eq!(topics.delete(NOW, " ").unwrap_err().remark, "The specified topic is blank.");
}

#[test]
fn topics_that_only_the_log_knows_get_as_many_queues_as_it_shows() {
    let mut topics = table();
    topics.create_on_send(NOW, "T", "TBW102", 4, 0).unwrap();
    topics.recover(NOW, [("T", &[0, 7][..]), ("U", &[0, 2, 5][..])]);
    assert_eq!(topics.get("T").unwrap().config().write_queue_nums, 4);
    let config = topics.get("U").unwrap().config();
    assert_eq!((config.read_queue_nums, config.write_queue_nums, config.perm), (6, 6, 6));
}

#[test]
fn a_topic_becomes_ordered_by_the_name_server_and_stays_so() {
    let mut topics = table();
    topics.create_on_send(NOW, "T", "TBW102", 4, 0).unwrap();
    topics.set_ordered(NOW, ["T", "unknown"]);
    assert!(topics.get("T").unwrap().config().order);
    topics.set_ordered(NOW, ["T"]);
    topics.set_ordered(NOW, []);
    assert!(topics.get("T").unwrap().config().order);
    assert_eq!(topics.version().counter, 2);
}

#[test]
fn the_text_of_a_topic_is_javas() {
    let config = TopicConfig { attributes: attributes(&[("message.type", "FIFO")]), ..TopicConfig::new("T", 4, 6) };
    assert_eq!(
        java_text(&config),
        "TopicConfig [topicName=T, readQueueNums=4, writeQueueNums=4, perm=RW-, topicFilterType=SINGLE_TAG, topicSysFlag=0, \
         order=false, attributes={message.type=FIFO}]"
    );
}

#[test]
fn a_save_that_is_under_way_keeps_the_topics_as_they_were() {
    let mut table = table();
    table.open(NOW, "%RETRY%G", NewTopic::plain(1, 0)).unwrap();
    let (before, snapshot) = (table.snapshot(None).to_bytes(), table.snapshot(None));
    table.set_ordered(NOW, ["%RETRY%G"]);
    table.widen(NOW, "%RETRY%G", 4);
    table.set_auto_create(None);
    assert_eq!(snapshot.to_bytes(), before);
    assert_ne!(table.snapshot(None).to_bytes(), before);
    table.delete(NOW, "%RETRY%G").unwrap();
    assert_eq!(snapshot.to_bytes(), before);
}
