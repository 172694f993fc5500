use super::*;

/// A heartbeat of one consumer with one subscription.
pub(super) fn beat(scene: &mut Scene, peer: u64, client: &str, group: &str, topic: &str) -> Answered {
    let body = format!(
        concat!(
            r#"{{"clientID":"{}","consumerDataSet":[{{"consumeFromWhere":"CONSUME_FROM_LAST_OFFSET","consumeType":"CONSUME_PASSIVELY","#,
            r#""groupName":"{}","messageModel":"CLUSTERING","subscriptionDataSet":[{{"classFilterMode":false,"codeSet":[],"#,
            r#""expressionType":"TAG","subString":"*","subVersion":1,"tagsSet":[],"topic":"{}"}}],"unitMode":false}}],"#,
            r#""heartbeatFingerprint":0,"producerDataSet":[{{"groupName":"P"}}],"withoutSub":false}}"#
        ),
        client, group, topic
    );
    scene.ask_as(peer, RequestCode::HeartBeat, &[], &body)
}

fn clients(scene: &mut Scene, group: &str) -> Answered {
    scene.ask(RequestCode::GetConsumerListByGroup, &[("consumerGroup", group)], "")
}

fn lock(scene: &mut Scene, code: RequestCode, client: &str, queues: &[i32]) -> Answered {
    let queues: Vec<_> = queues.iter().map(|id| format!(r#"{{"brokerName":"broker-a","queueId":{id},"topic":"T"}}"#)).collect();
    let body = format!(r#"{{"clientId":"{client}","consumerGroup":"G","mqSet":[{}],"onlyThisBroker":false}}"#, queues.join(","));
    scene.ask(code, &[], &body)
}

#[test]
fn a_heartbeat_makes_group_and_retry_topic_and_lists_its_client() {
    let mut scene = Scene::new();
    let answer = beat(&mut scene, 1, "c1", "G", "T");
    assert_eq!(answer.code, ResponseCode::Success);
    assert_eq!((answer.field("IS_SUPPORT_HEART_BEAT_V2"), answer.field("IS_SUB_CHANGE")), ("true", "true"));
    assert_eq!(clients(&mut scene, "G").body, r#"{"consumerIdList":["c1"]}"#);
    assert!(scene.broker.groups.get("G").is_some());
    let retry = scene.broker.topics.get("%RETRY%G").unwrap().config();
    assert_eq!((retry.read_queue_nums, retry.perm, retry.order), (1, 6, false));
}

#[test]
fn a_heartbeat_that_is_refused_leaves_neither_group_nor_retry_topic_behind() {
    let mut config = BrokerConfig::default();
    config.limits.members.members = 1;
    let mut scene = Scene::with(config);
    assert_eq!(beat(&mut scene, 1, "c1", "G", "T").code, ResponseCode::Success);
    let refused = beat(&mut scene, 2, "c2", "H", "T");
    assert_eq!(refused.outcome(), (ResponseCode::SystemError, "the table of clients is full: 1 members"));
    assert!(scene.broker.groups.get("H").is_none());
    assert!(scene.broker.topics.get("%RETRY%H").is_none());
}

#[test]
fn a_group_whose_retry_topic_has_no_room_is_not_made() {
    let mut config = BrokerConfig::default();
    config.limits.topics = 0;
    let mut scene = Scene::with(config);
    let refused = beat(&mut scene, 1, "c1", "G", "T");
    assert_eq!(refused.outcome(), (ResponseCode::SystemError, "the broker has its limit of 0 topics"));
    assert!(scene.broker.groups.get("G").is_none());
}

#[test]
fn the_retry_topic_of_an_ordered_topics_consumers_is_ordered() {
    let mut scene = Scene::new();
    let mut fields = topics::wanted("T", "4");
    fields.push(("order", "true"));
    scene.ask(RequestCode::UpdateAndCreateTopic, &fields, "");
    beat(&mut scene, 1, "c1", "G", "T");
    assert!(scene.broker.topics.get("%RETRY%G").unwrap().config().order);
    let short = r#"{"clientID":"c1","consumerDataSet":[{"groupName":"G"}],"heartbeatFingerprint":7,"withoutSub":true}"#;
    scene.ask(RequestCode::HeartBeat, &[], short);
    assert!(scene.broker.topics.get("%RETRY%G").unwrap().config().order, "subscriptions that are left out change nothing");
}

#[test]
fn a_group_without_retry_queues_has_no_retry_topic() {
    let mut scene = Scene::new();
    scene.ask(RequestCode::UpdateAndCreateSubscriptiongroup, &[], r#"{"groupName":"G","retryQueueNums":0}"#);
    beat(&mut scene, 1, "c1", "G", "T");
    assert!(scene.broker.topics.get("%RETRY%G").is_none());
}

#[test]
fn a_group_that_may_not_be_made_is_left_out() {
    let mut scene = Scene::new();
    assert_eq!(beat(&mut scene, 1, "c1", "a group", "T").code, ResponseCode::Success);
    assert_eq!(clients(&mut scene, "a group").outcome(), (ResponseCode::SystemError, "no consumer for this group, a group"));
}

#[test]
fn a_heartbeat_of_the_c_client_is_understood() {
    let mut scene = Scene::new();
    let body = concat!(
        r#"{"clientID":"c","consumerDataSet":[{"consumeFromWhere":0,"consumeType":1,"groupName":"G","messageModel":1,"#,
        r#""subscriptionDataSet":[{"codeSet":["65"],"subString":"A","subVersion":"5","tagsSet":["A"],"topic":"T"}]}]}"#,
        "\n"
    );
    assert_eq!(scene.ask(RequestCode::HeartBeat, &[], body).code, ResponseCode::Success);
    let subscription = scene.broker.consumers.group("G").unwrap().subscription("T").unwrap();
    assert_eq!(subscription.data().sub_version, 5);
}

#[test]
fn a_client_that_leaves_is_no_longer_listed() {
    let mut scene = Scene::new();
    beat(&mut scene, 1, "c1", "G", "T");
    beat(&mut scene, 2, "c2", "G", "T");
    scene.ask_as(1, RequestCode::UnregisterClient, &[("clientID", "c1"), ("consumerGroup", "G"), ("producerGroup", "P")], "");
    assert_eq!(clients(&mut scene, "G").body, r#"{"consumerIdList":["c2"]}"#);
    assert_eq!(scene.broker.producers.group("P").unwrap().len(), 1);
    scene.broker.handle_disconnected(scene.now, PeerId(2));
    assert_eq!(clients(&mut scene, "G").code, ResponseCode::SystemError);
}

#[test]
fn subscriptions_by_tag_may_start_and_those_by_sql_may_not() {
    let mut scene = Scene::new();
    let mut check = |body: &str| scene.ask(RequestCode::CheckClientConfig, &[], body).code;
    assert_eq!(check(""), ResponseCode::Success);
    assert_eq!(check("{}"), ResponseCode::Success);
    assert_eq!(check(r#"{"subscriptionData":{"expressionType":"TAG","subString":"*","topic":"T"}}"#), ResponseCode::Success);
    assert_eq!(check(r#"{"subscriptionData":{"expressionType":"SQL92","subString":"a>1","topic":"T"}}"#), ResponseCode::SystemError);
}

#[test]
fn queues_are_locked_by_one_client_and_freed_by_it() {
    let mut scene = Scene::new();
    assert_eq!(
        lock(&mut scene, RequestCode::LockBatchMq, "a", &[0]).body,
        r#"{"lockOKMQSet":[{"brokerName":"broker-a","queueId":0,"topic":"T"}]}"#
    );
    assert_eq!(
        lock(&mut scene, RequestCode::LockBatchMq, "b", &[0, 1]).body,
        r#"{"lockOKMQSet":[{"brokerName":"broker-a","queueId":1,"topic":"T"}]}"#
    );
    assert_eq!(lock(&mut scene, RequestCode::UnlockBatchMq, "a", &[0, 1]).outcome(), (ResponseCode::Success, ""));
    assert_eq!(
        lock(&mut scene, RequestCode::LockBatchMq, "c", &[0, 1]).body,
        r#"{"lockOKMQSet":[{"brokerName":"broker-a","queueId":0,"topic":"T"}]}"#
    );
}

#[test]
fn the_consumers_of_a_group_are_told_with_their_subscriptions() {
    let mut scene = Scene::new();
    beat(&mut scene, 1, "c1", "G", "T");
    let answer = scene.ask(RequestCode::GetConsumerConnectionList, &[("consumerGroup", "G")], "");
    assert_eq!(
        answer.body,
        concat!(
            r#"{"connectionSet":[{"clientAddr":"10.0.0.1:40000","clientId":"c1","language":"JAVA","version":513}],"#,
            r#""consumeFromWhere":"CONSUME_FROM_LAST_OFFSET","consumeType":"CONSUME_PASSIVELY","messageModel":"CLUSTERING","#,
            r#""subscriptionTable":{"T":{"classFilterMode":false,"codeSet":[],"expressionType":"TAG","subString":"*","#,
            r#""subVersion":1,"tagsSet":[],"topic":"T"}}}"#
        )
    );
    let answer = scene.ask(RequestCode::GetConsumerConnectionList, &[("consumerGroup", "H")], "");
    assert_eq!(answer.outcome(), (ResponseCode::ConsumerNotOnline, "the consumer group[H] not online"));
}

#[test]
fn the_producers_of_a_group_are_told() {
    let mut scene = Scene::new();
    beat(&mut scene, 1, "c1", "G", "T");
    let answer = scene.ask(RequestCode::GetProducerConnectionList, &[("producerGroup", "P")], "");
    assert_eq!(answer.body, r#"{"connectionSet":[{"clientAddr":"10.0.0.1:40000","clientId":"c1","language":"JAVA","version":513}]}"#);
    let answer = scene.ask(RequestCode::GetProducerConnectionList, &[("producerGroup", "Q")], "");
    assert_eq!(answer.outcome(), (ResponseCode::SystemError, "the producer group[Q] not exist"));
}

#[test]
fn what_a_group_wants_of_a_topic_is_told() {
    let mut scene = Scene::new();
    beat(&mut scene, 1, "c1", "G", "T");
    let answer = scene.ask(RequestCode::QuerySubscriptionByConsumer, &[("group", "G"), ("topic", "T")], "");
    assert!(answer.body.starts_with(r#"{"group":"G","subscriptionData":{"classFilterMode":false,"#), "{}", answer.body);
    let answer = scene.ask(RequestCode::QuerySubscriptionByConsumer, &[("group", "G"), ("topic", "U")], "");
    assert_eq!(answer.body, r#"{"group":"G","topic":"U"}"#);
}

#[test]
fn a_client_that_is_still_heard_of_in_one_role_keeps_its_connection() {
    let mut scene = Scene::new();
    beat(&mut scene, 1, "c1", "G", "T");
    let closes_at = |scene: &mut Scene, secs: u64| {
        scene.now.mono = Millis::from_secs(secs);
        scene.broker.handle_timeout(scene.now);
        std::iter::from_fn(|| scene.broker.poll_output()).filter(|output| matches!(output, Output::Close { .. })).count()
    };
    scene.now.mono = Millis::from_secs(100);
    scene.ask(RequestCode::HeartBeat, &[], r#"{"clientID":"c1","producerDataSet":[{"groupName":"P"}]}"#);
    assert_eq!(closes_at(&mut scene, 130), 0);
    assert_eq!(clients(&mut scene, "G").code, ResponseCode::SystemError, "the consumer is gone");
    assert_eq!(closes_at(&mut scene, 240), 1);
}
