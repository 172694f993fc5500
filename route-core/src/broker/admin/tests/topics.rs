use super::*;

/// The fields of a request for a topic.
pub(super) fn wanted<'a>(topic: &'a str, queues: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![
        ("topic", topic),
        ("defaultTopic", "TBW102"),
        ("readQueueNums", queues),
        ("writeQueueNums", queues),
        ("perm", "6"),
        ("topicFilterType", "SINGLE_TAG"),
        ("topicSysFlag", "0"),
    ]
}

fn topic(scene: &mut Scene, topic: &str) -> Answered {
    scene.ask(RequestCode::GetTopicConfig, &[("topic", topic), ("lo", "true")], "")
}

#[test]
fn a_topic_is_made_with_its_attributes() {
    let mut scene = Scene::new();
    let mut fields = wanted("T", "2");
    fields.extend([("attributes", "+message.type=FIFO"), ("order", "true")]);
    assert_eq!(scene.ask(RequestCode::UpdateAndCreateTopic, &fields, "").outcome(), (ResponseCode::Success, ""));
    assert_eq!(
        topic(&mut scene, "T").body,
        concat!(
            r#"{"attributes":{"message.type":"FIFO"},"order":true,"perm":6,"readQueueNums":2,"#,
            r#""topicFilterType":"SINGLE_TAG","topicName":"T","topicSysFlag":0,"writeQueueNums":2}"#
        )
    );
}

#[test]
fn wrong_requests_for_topics_are_refused() {
    let mut scene = Scene::new();
    let mut refused = |fields: &[(&str, &str)]| {
        let answer = scene.ask(RequestCode::UpdateAndCreateTopic, fields, "");
        (answer.code, answer.remark)
    };
    assert_eq!(refused(&wanted("a.b", "1")).0, ResponseCode::InvalidParameter);
    let mut fields = wanted("T", "1");
    fields.push(("topicFilterType", "NO_TAG"));
    assert_eq!(refused(&fields), (ResponseCode::SystemError, "topicFilterType = [NO_TAG] value invalid".to_owned()));
    let mut fields = wanted("T", "1");
    fields.push(("attributes", "colour=red"));
    assert_eq!(refused(&fields), (ResponseCode::SystemError, "add/alter attribute format is wrong: colour".to_owned()));
}

#[test]
fn several_topics_are_made_at_once_even_if_one_of_them_is_there() {
    let mut scene = Scene::new();
    scene.make_topic("T", "4");
    let config =
        |name: &str| format!(r#"{{"perm":6,"readQueueNums":4,"topicFilterType":"SINGLE_TAG","topicName":"{name}","writeQueueNums":4}}"#);
    let body = format!(r#"{{"topicConfigList":[{},{}]}}"#, config("T"), config("U"));
    assert_eq!(scene.ask(RequestCode::UpdateAndCreateTopicList, &[], &body).code, ResponseCode::Success);
    assert_eq!(topic(&mut scene, "U").code, ResponseCode::Success);
}

#[test]
fn a_deleted_topic_takes_its_queues_and_offsets_along() {
    let mut scene = Scene::new();
    scene.make_topic("T", "4");
    scene.make_group("G");
    scene.store("T", 0, 1_000);
    let fields = [("consumerGroup", "G"), ("topic", "T"), ("queueId", "0"), ("commitOffset", "1")];
    scene.ask(RequestCode::UpdateConsumerOffset, &fields, "");
    assert_eq!(scene.ask(RequestCode::DeleteTopicInBroker, &[("topic", "T")], "").code, ResponseCode::Success);
    assert_eq!(topic(&mut scene, "T").outcome(), (ResponseCode::TopicNotExist, "No topic in this broker. topic: T"));
    assert_eq!(scene.broker.offsets.query("T", "G", 0), None);
    assert_eq!(scene.broker.storage().find_queue("T", 0), None);
    assert_eq!(scene.ask(RequestCode::DeleteTopicInBroker, &[("topic", "T")], "").code, ResponseCode::Success);
}

#[test]
fn a_deletion_is_acknowledged_when_neither_the_topic_nor_its_offsets_can_come_back() {
    for [first, second] in [[Table::Topics, Table::ConsumerOffsets], [Table::ConsumerOffsets, Table::Topics]] {
        let mut scene = Scene::new();
        scene.make_topic("T", "4");
        scene.make_group("G");
        let fields = [("consumerGroup", "G"), ("topic", "T"), ("queueId", "0"), ("commitOffset", "1")];
        scene.ask(RequestCode::UpdateConsumerOffset, &fields, "");
        scene.post_as(1, RequestCode::DeleteTopicInBroker, &[("topic", "T")], "");
        let outputs: Vec<_> = std::iter::from_fn(|| scene.broker.poll_output()).collect();
        let mut save = |wanted: Table| {
            let ticket = outputs.iter().find_map(|output| match output {
                Output::Persist { ticket, table, .. } if *table == wanted => Some(*ticket),
                _ => None,
            });
            scene.broker.handle_persisted(scene.now, ticket.expect("both tables are saved"), Ok(()));
            std::iter::from_fn(|| scene.broker.poll_output()).filter(|output| matches!(output, Output::Reply { .. })).count()
        };
        assert!(!outputs.iter().any(|output| matches!(output, Output::Reply { .. })));
        assert_eq!((save(first), save(second)), (0, 1), "{first:?} was saved first");
    }
}

#[test]
fn topics_of_the_broker_itself_are_not_deleted() {
    let answer = Scene::new().ask(RequestCode::DeleteTopicInBroker, &[("topic", "TBW102")], "");
    assert_eq!(answer.outcome(), (ResponseCode::InvalidParameter, "The topic[TBW102] is conflict with system topic."));
}

#[test]
fn all_topics_are_listed_whole_or_page_by_page() {
    let mut scene = Scene::new();
    for name in ["T3", "T1", "T2"] {
        scene.make_topic(name, "1");
    }
    let all = scene.ask(RequestCode::GetAllTopicConfig, &[], "");
    assert_eq!(all.field("totalTopicNum"), "16");
    assert_eq!(all.body.matches("topicName").count(), 16);
    let version = scene.broker.topics.version();
    let version = String::from_utf8(json::to_vec(version, Dialect::Default)).unwrap().replace('"', "'");
    let fields = [("topicSeq", "10"), ("dataVersion", version.as_str()), ("maxTopicNum", "2")];
    let page = scene.ask(RequestCode::GetAllTopicConfig, &fields, "");
    let names: Vec<_> = page.body.split("\"topicName\":\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert_eq!(names, ["T3", "TBW102"]);
}
