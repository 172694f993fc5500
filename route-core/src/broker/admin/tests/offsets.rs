use proto_core::bodies::ConsumerOffsetSerializeWrapper;

use super::*;

fn queue<'a>(group: &'a str, topic: &'a str, queue_id: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![("consumerGroup", group), ("topic", topic), ("queueId", queue_id)]
}

fn commit(scene: &mut Scene, offset: &str) -> Answered {
    let mut fields = queue("G", "T", "0");
    fields.push(("commitOffset", offset));
    scene.ask(RequestCode::UpdateConsumerOffset, &fields, "")
}

fn scene() -> Scene {
    let mut scene = Scene::new();
    scene.make_topic("T", "4");
    scene.make_group("G");
    scene
}

#[test]
fn a_committed_offset_is_answered_and_journaled() {
    let mut scene = scene();
    (0..7).for_each(|_| scene.store("T", 0, 1_000));
    assert_eq!(commit(&mut scene, "7").outcome(), (ResponseCode::Success, ""));
    assert_eq!(scene.ask(RequestCode::QueryConsumerOffset, &queue("G", "T", "0"), "").offset, Some(7));
    commit(&mut scene, "7");
    let noted = scene.broker.storage().noted();
    assert_eq!(noted, [(crate::storage::OffsetTableKind::Consumer, "T@G".to_owned(), 0, 7)]);
}

#[test]
fn of_a_commit_behind_the_end_of_its_queue_only_the_end_counts() {
    let mut scene = scene();
    commit(&mut scene, "7");
    assert_eq!(scene.ask(RequestCode::QueryConsumerOffset, &queue("G", "T", "0"), "").offset, Some(0), "the queue has no message");
    (0..3).for_each(|_| scene.store("T", 0, 1_000));
    assert_eq!(commit(&mut scene, "7").outcome(), (ResponseCode::Success, ""));
    assert_eq!(scene.ask(RequestCode::QueryConsumerOffset, &queue("G", "T", "0"), "").offset, Some(3));
}

#[test]
fn commits_of_what_does_not_exist_are_refused() {
    let mut scene = scene();
    let commit = |scene: &mut Scene, group, topic| {
        let mut fields = queue(group, topic, "0");
        fields.push(("commitOffset", "1"));
        let answer = scene.ask(RequestCode::UpdateConsumerOffset, &fields, "");
        (answer.code, answer.remark)
    };
    assert_eq!(commit(&mut scene, "H", "T"), (ResponseCode::SubscriptionGroupNotExist, "Group H not exist!".to_owned()));
    assert_eq!(commit(&mut scene, "G", "U"), (ResponseCode::TopicNotExist, "Topic U not exist!".to_owned()));
}

#[test]
fn commits_for_queues_that_the_topic_does_not_have_are_refused() {
    let mut scene = scene();
    for queue_id in ["-7", "4", "70000"] {
        let mut fields = queue("G", "T", queue_id);
        fields.push(("commitOffset", "1"));
        let answer = scene.ask(RequestCode::UpdateConsumerOffset, &fields, "");
        assert_eq!(answer.code, ResponseCode::InvalidParameter);
        assert!(answer.remark.starts_with(&format!("queueId[{queue_id}] is illegal")), "{}", answer.remark);
    }
}

#[test]
fn commits_without_queue_or_offset_are_refused() {
    let mut scene = scene();
    let without_queue = [("consumerGroup", "G"), ("topic", "T"), ("commitOffset", "1")];
    let answer = scene.ask(RequestCode::UpdateConsumerOffset, &without_queue, "");
    assert_eq!(answer.outcome(), (ResponseCode::InvalidParameter, "QueueId is null, topic is T"));
    let answer = scene.ask(RequestCode::UpdateConsumerOffset, &queue("G", "T", "0"), "");
    assert_eq!(answer.outcome(), (ResponseCode::InvalidParameter, "Offset is null, topic is T"));
}

#[test]
fn a_new_group_begins_at_zero_where_the_first_message_is_still_there() {
    let mut scene = scene();
    scene.store("T", 1, 1_000);
    assert_eq!(scene.ask(RequestCode::QueryConsumerOffset, &queue("G", "T", "1"), "").offset, Some(0));
    let answer = scene.ask(RequestCode::QueryConsumerOffset, &queue("G", "T", "2"), "");
    assert_eq!(answer.outcome(), (ResponseCode::QueryNotFound, "Not found, V3_0_6_SNAPSHOT maybe this group consumer boot first"));
}

#[test]
fn a_new_group_decides_itself_when_the_first_message_is_far_back() {
    let mut scene = scene();
    scene.store("T", 1, 1_000);
    scene.broker.config.read_limits.memory_window = 10;
    let answer = scene.ask(RequestCode::QueryConsumerOffset, &queue("G", "T", "1"), "");
    assert_eq!(answer.code, ResponseCode::QueryNotFound);
}

#[test]
fn a_client_may_ask_not_to_begin_at_zero() {
    let mut scene = scene();
    scene.store("T", 1, 1_000);
    let mut fields = queue("G", "T", "1");
    fields.push(("setZeroIfNotFound", "false"));
    let answer = scene.ask(RequestCode::QueryConsumerOffset, &fields, "");
    assert_eq!(answer.outcome(), (ResponseCode::QueryNotFound, "Not found, do not set to zero, maybe this group boot first"));
}

#[test]
fn a_pending_reset_is_answered_and_shields_itself_from_commits() {
    let mut scene = scene();
    commit(&mut scene, "70");
    assert!(scene.broker.offsets.assign_reset("T", "G", 0, 10));
    assert_eq!(scene.ask(RequestCode::QueryConsumerOffset, &queue("G", "T", "0"), "").offset, Some(10));
    assert_eq!(commit(&mut scene, "71").outcome(), (ResponseCode::Success, "Offset has been previously reset"));
    assert_eq!(scene.ask(RequestCode::QueryConsumerOffset, &queue("G", "T", "0"), "").offset, Some(10));
}

#[test]
fn the_ends_of_a_queue_and_moments_in_it_are_answered() {
    let mut scene = Scene::new();
    for at in [1_000, 2_000, 3_000] {
        scene.store("T", 0, at);
    }
    let mut ask = |code, extra: &[(&str, &str)]| {
        let mut fields = vec![("topic", "T"), ("queueId", "0")];
        fields.extend(extra);
        scene.ask(code, &fields, "").offset.unwrap()
    };
    assert_eq!(ask(RequestCode::GetMaxOffset, &[]), 3);
    assert_eq!(ask(RequestCode::GetMaxOffset, &[("committed", "false")]), 3);
    assert_eq!(ask(RequestCode::GetMinOffset, &[]), 0);
    assert_eq!(ask(RequestCode::SearchOffsetByTimestamp, &[("timestamp", "2500")]), 2);
    assert_eq!(ask(RequestCode::SearchOffsetByTimestamp, &[("timestamp", "2500"), ("boundaryType", "upper")]), 1);
}

#[test]
fn a_queue_that_is_not_there_is_empty() {
    let mut scene = Scene::new();
    let fields = [("topic", "nowhere"), ("queueId", "9"), ("timestamp", "5")];
    for code in [RequestCode::GetMaxOffset, RequestCode::GetMinOffset, RequestCode::SearchOffsetByTimestamp] {
        assert_eq!(scene.ask(code, &fields, "").offset, Some(0));
    }
    assert_eq!(scene.ask(RequestCode::GetEarliestMsgStoretime, &fields, "").field("timestamp"), "-1");
    assert!(scene.broker.storage().topics().iter().all(|(topic, _)| topic != "nowhere"), "asking makes no queue");
}

#[test]
fn the_age_of_a_queue_is_that_of_its_first_message() {
    let mut scene = Scene::new();
    scene.store("T", 0, 1_234);
    scene.store("T", 0, 5_678);
    let answer = scene.ask(RequestCode::GetEarliestMsgStoretime, &[("topic", "T"), ("queueId", "0")], "");
    assert_eq!(answer.field("timestamp"), "1234");
}

#[test]
fn a_message_is_found_by_its_place_and_nothing_by_another() {
    let mut scene = Scene::new();
    scene.store("T", 0, 1_000);
    assert_eq!(scene.ask(RequestCode::ViewMessageById, &[("offset", "0"), ("topic", "T")], "").places, [0]);
    let answer = scene.ask(RequestCode::ViewMessageById, &[("offset", "999")], "");
    assert_eq!(answer.outcome(), (ResponseCode::SystemError, "can not find message by the offset, 999"));
}

#[test]
fn the_bounds_of_each_queue_of_a_topic_are_told() {
    let mut scene = Scene::new();
    scene.make_topic("T", "2");
    scene.store("T", 1, 1_234);
    let answer = scene.ask(RequestCode::GetTopicStatsInfo, &[("topic", "T")], "");
    assert_eq!(
        answer.body,
        concat!(
            r#"{"offsetTable":{{"brokerName":"broker-a","queueId":0,"topic":"T"}:{"lastUpdateTimestamp":0,"maxOffset":0,"minOffset":0},"#,
            r#"{"brokerName":"broker-a","queueId":1,"topic":"T"}:{"lastUpdateTimestamp":1234,"maxOffset":1,"minOffset":0}},"#,
            r#""topicPutTps":0.0}"#
        )
    );
    let answer = scene.ask(RequestCode::GetTopicStatsInfo, &[("topic", "U")], "");
    assert_eq!(answer.outcome(), (ResponseCode::TopicNotExist, "topic[U] not exist"));
}

#[test]
fn how_far_a_group_is_behind_is_told() {
    let mut scene = scene();
    scene.make_topic("T", "1");
    for at in [1_000, 2_000, 3_000] {
        scene.store("T", 0, at);
    }
    commit(&mut scene, "2");
    let expected = concat!(
        r#"{"consumeTps":0.0,"offsetTable":{{"brokerName":"broker-a","queueId":0,"topic":"T"}:"#,
        r#"{"brokerOffset":3,"consumerOffset":2,"lastTimestamp":2000,"pullOffset":2}}}"#
    );
    for fields in [vec![], vec![("topic", "T")], vec![("topicList", "T;gone;")]] {
        let mut all = vec![("consumerGroup", "G")];
        all.extend(fields);
        assert_eq!(scene.ask(RequestCode::GetConsumeStats, &all, "").body, expected);
    }
    assert_eq!(scene.ask(RequestCode::GetConsumeStats, &[("consumerGroup", "H")], "").body, r#"{"consumeTps":0.0,"offsetTable":{}}"#);
}

#[test]
fn an_online_group_is_not_behind_in_what_it_has_unsubscribed_from() {
    let mut scene = scene();
    (0..2).for_each(|_| scene.store("T", 0, 1_000));
    commit(&mut scene, "2");
    membership::beat(&mut scene, 1, "c1", "G", "U");
    let answer = scene.ask(RequestCode::GetConsumeStats, &[("consumerGroup", "G")], "");
    assert_eq!(answer.body, r#"{"consumeTps":0.0,"offsetTable":{}}"#);
    let answer = scene.ask(RequestCode::GetConsumeStats, &[("consumerGroup", "G"), ("topicList", "T;")], "");
    assert!(answer.body.contains(r#""consumerOffset":2"#));
}

#[test]
fn topics_and_groups_are_found_by_offsets_and_by_subscription() {
    let mut scene = scene();
    commit(&mut scene, "2");
    membership::beat(&mut scene, 1, "c1", "Z", "T");
    let answer = scene.ask(RequestCode::QueryTopicConsumeByWho, &[("topic", "T")], "");
    assert_eq!(answer.body, r#"{"groupList":["G","Z"]}"#);
    let answer = scene.ask(RequestCode::QueryTopicsByConsumer, &[("group", "G")], "");
    assert_eq!(answer.body, r#"{"brokerAddr":"127.0.0.1:10911","topicList":["T"]}"#);
}

#[test]
fn what_is_noted_in_the_turn_of_a_save_is_in_the_table_that_is_saved() {
    let mut scene = scene();
    (0..7).for_each(|_| scene.store("T", 0, 1_000));
    commit(&mut scene, "3");
    scene.now.mono = Millis::from_secs(60);
    scene.broker.handle_timeout(scene.now);
    let mut fields = queue("G", "T", "0");
    fields.push(("commitOffset", "5"));
    // A loop takes requests before it looks for what there is to do. Storage forgets notes that are older than the save.
    scene.post_as(1, RequestCode::UpdateConsumerOffset, &fields, "");
    let saved = std::iter::from_fn(|| scene.broker.poll_output()).find_map(|output| match output {
        Output::Persist { table: Table::ConsumerOffsets, content, .. } => Some(content.into_bytes()),
        _ => None,
    });
    let saved: ConsumerOffsetSerializeWrapper = json::from_table(&saved.expect("the table is saved")).unwrap();
    assert_eq!(saved.offset_table["T@G"][&0], 5);
}

/// What 308 tells of queue 0 and the others.
fn corrections(scene: &mut Scene, compared: &str, without: &str) -> String {
    let fields = [("topic", "T"), ("compareGroup", compared), ("filterGroups", without)];
    scene.ask(RequestCode::QueryCorrectionOffset, &fields, "").body
}

#[test]
fn the_least_offset_of_all_groups_is_told_and_that_a_group_is_behind_all_others() {
    let mut scene = scene();
    (0..7).for_each(|_| scene.store("T", 0, 1_000));
    for (group, offset) in [("G", "5"), ("H", "3"), ("I", "4")] {
        scene.make_group(group);
        let mut fields = queue(group, "T", "0");
        fields.push(("commitOffset", offset));
        assert_eq!(scene.ask(RequestCode::UpdateConsumerOffset, &fields, "").code, ResponseCode::Success);
    }
    assert_eq!(corrections(&mut scene, "G", ""), r#"{"correctionOffsets":{0:3}}"#);
    assert_eq!(corrections(&mut scene, "G", "H,none"), r#"{"correctionOffsets":{0:4}}"#);
    assert_eq!(corrections(&mut scene, "H", "H"), r#"{"correctionOffsets":{0:9223372036854775807}}"#);
    assert_eq!(corrections(&mut scene, "G", "G,H,I"), r#"{"correctionOffsets":{}}"#);
    assert_eq!(corrections(&mut scene, "H", ""), r#"{"correctionOffsets":{0:3}}"#, "nothing was forgotten");
}
