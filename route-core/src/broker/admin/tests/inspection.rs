use proto_core::bodies::{ConsumeStatsList, ProducerTableInfo, QueryConsumeQueueResponseBody, QueryConsumeTimeSpanBody};

use super::*;

fn commit(scene: &mut Scene, topic: &str, group: &str, offset: &str) {
    let fields = [("consumerGroup", group), ("topic", topic), ("queueId", "0"), ("commitOffset", offset)];
    let answer = scene.ask(RequestCode::UpdateConsumerOffset, &fields, "");
    assert_eq!(answer.code, ResponseCode::Success, "{}", answer.remark);
}

/// A topic with three messages in its first queue, of which `G` has read two.
fn scene() -> Scene {
    let mut scene = Scene::new();
    scene.make_topic("T", "2");
    scene.make_group("G");
    (1..4).for_each(|second| scene.store("T", 0, second * 1_000));
    commit(&mut scene, "T", "G", "2");
    scene
}

#[test]
fn slaves_are_told_all_offsets_in_the_form_for_requests() {
    let mut scene = scene();
    let offsets = scene.ask(RequestCode::GetAllConsumerOffset, &[], "").body;
    assert!(offsets.contains(r#""groupTopicMap":{"G":["T"]},"offsetTable":{"T@G":{0:2}},"pullOffsetTable":{}"#), "{offsets}");
    let delays = scene.ask(RequestCode::GetAllDelayOffset, &[], "").body;
    assert!(delays.contains(r#""offsetTable":{1:0,2:0,"#), "{delays}");
}

#[test]
fn the_age_of_what_a_group_has_to_read_is_told_by_queue() {
    let mut scene = scene();
    scene.now.wall = Timestamp(10_000);
    let answer = scene.ask(RequestCode::QueryConsumeTimeSpan, &[("topic", "T"), ("group", "G")], "");
    let body: QueryConsumeTimeSpanBody = json::from_slice(answer.body.as_bytes()).unwrap();
    let [used, unused] = &body.consume_time_span_set[..] else { panic!("{body:?}") };
    let times = (used.min_time_stamp, used.max_time_stamp, used.consume_time_stamp, used.delay_time);
    assert_eq!(times, (1_000, 3_000, 2_000, 7_000));
    assert_eq!(used.min_time_stamp_str, "1970-01-01#00:00:01:000");
    assert_eq!((unused.min_time_stamp, unused.max_time_stamp, unused.consume_time_stamp, unused.delay_time), (-1, -1, -1, 0));
    let missing = scene.ask(RequestCode::QueryConsumeTimeSpan, &[("topic", "U"), ("group", "G")], "");
    assert_eq!(missing.outcome(), (ResponseCode::TopicNotExist, "topic[U] not exist"));
}

#[test]
fn the_topics_of_the_broker_itself_are_listed() {
    let topics = Scene::new().ask(RequestCode::GetSystemTopicListFromBroker, &[], "").body;
    for topic in ["TBW102", "SCHEDULE_TOPIC_XXXX", "broker-a", "DefaultCluster_REPLY_TOPIC", "rmq_sys_wheel_timer"] {
        assert_eq!(topics.matches(&format!("\"{topic}\"")).count(), 1, "{topic} in {topics}");
    }
}

#[test]
fn the_progress_of_all_groups_is_told_with_what_they_have_not_read() {
    let mut scene = scene();
    let mut ask = |ordered| {
        let answer = scene.ask(RequestCode::GetBrokerConsumeStats, &[("isOrder", ordered)], "");
        json::from_slice::<ConsumeStatsList>(answer.body.as_bytes()).unwrap()
    };
    let list = ask("false");
    assert_eq!((list.broker_addr.as_deref(), list.total_diff), (Some("127.0.0.1:10911"), 1));
    let group = list.consume_stats_list.iter().find_map(|of_group| of_group.get("G")).unwrap();
    assert_eq!((group.len(), group[0].offset_table.len()), (1, 2));
    assert!(list.consume_stats_list.iter().any(|of_group| of_group.get("TOOLS_CONSUMER").is_some_and(Vec::is_empty)));
    let ordered = ask("true");
    assert_eq!(ordered.total_diff, 0, "no topic is ordered");
}

#[test]
fn units_of_a_queue_are_shown_as_they_lie_there() {
    let mut scene = scene();
    let mut ask = |topic, index, count| {
        let fields = [("topic", topic), ("queueId", "0"), ("index", index), ("count", count)];
        scene.ask(RequestCode::QueryConsumeQueue, &fields, "")
    };
    let answer = ask("T", "1", "10");
    assert_eq!(answer.outcome(), (ResponseCode::Success, "not set any response code"));
    let body: QueryConsumeQueueResponseBody = json::from_slice(answer.body.as_bytes()).unwrap();
    let units = body.queue_data.unwrap();
    assert_eq!((body.min_queue_index, body.max_queue_index, units.len()), (0, 3, 2));
    assert_eq!(units[1].physic_offset, units[0].physic_offset + i64::from(units[0].physic_size));
    assert!(!ask("T", "0", "1").body.contains("filterData"));
    assert_eq!(ask("T", "0", "-1").body.matches("physicSize").count(), 0);
    assert_eq!(ask("T", "3", "1").outcome(), (ResponseCode::Success, "Index 3 of 0@T is not exist!"));
    assert_eq!(ask("U", "0", "1").outcome(), (ResponseCode::SystemError, "0@U is not exist!"));
}

#[test]
fn a_look_into_a_queue_tells_what_a_group_wants_of_it() {
    let mut scene = scene();
    let fields = [("topic", "T"), ("queueId", "0"), ("index", "0"), ("count", "1"), ("consumerGroup", "G")];
    let body = scene.ask(RequestCode::QueryConsumeQueue, &fields, "").body;
    assert!(body.contains(r#""filterData":"G@T is not online!""#), "{body}");
    membership::beat(&mut scene, 1, "c1", "G", "T");
    let body = scene.ask(RequestCode::QueryConsumeQueue, &fields, "").body;
    assert!(body.contains(r#""filterData":"null""#) && body.contains(r#""subscriptionData":{"#), "{body}");
}

#[test]
fn all_producers_are_listed_with_their_last_heartbeat() {
    let mut scene = Scene::new();
    membership::beat(&mut scene, 1, "c1", "G", "T");
    scene.now = Now { mono: Millis(5_000), wall: Timestamp(90_000) };
    let answer = scene.ask(RequestCode::GetAllProducerInfo, &[], "");
    let info: ProducerTableInfo = json::from_slice(answer.body.as_bytes()).unwrap();
    let producer = &info.data["P"][0];
    assert_eq!((&*producer.client_id, &*producer.remote_ip, producer.last_update_timestamp), ("c1", "/10.0.0.1:40000", 85_000));
}

#[test]
fn queues_of_topics_that_nobody_has_configured_go_when_somebody_asks() {
    let mut scene = scene();
    scene.store("Stray", 0, 1_000);
    assert_eq!(scene.ask(RequestCode::CleanUnusedTopic, &[], "").code, ResponseCode::Success);
    let left: Vec<_> = scene.broker.storage().topics().into_iter().map(|(topic, _)| topic).collect();
    assert!(left.contains(&"T".to_owned()) && !left.contains(&"Stray".to_owned()), "{left:?}");
}
