use super::*;
use crate::broker::admin::tests::membership::beat;

fn reset<'a>(queue: &'a str, offset: &'a str, timestamp: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![("topic", "T"), ("group", "G"), ("queueId", queue), ("offset", offset), ("timestamp", timestamp), ("isForce", "true")]
}

fn pull(from: &str, sys_flag: &str) -> Vec<(&'static str, String)> {
    let fields = [
        ("consumerGroup", "G"),
        ("topic", "T"),
        ("queueId", "0"),
        ("queueOffset", from),
        ("maxMsgNums", "32"),
        ("sysFlag", sys_flag),
        ("commitOffset", "0"),
        ("suspendTimeoutMillis", "15000"),
        ("subscription", "*"),
        ("subVersion", "0"),
    ];
    fields.map(|(name, value)| (name, value.to_owned())).to_vec()
}

/// Two queues with messages stored at 1000, 2000 and 3000 in the first one; the group has read them all.
fn scene() -> Scene {
    let mut scene = Scene::new();
    scene.make_topic("T", "2");
    scene.make_group("G");
    for at in [1_000, 2_000, 3_000] {
        scene.store("T", 0, at);
    }
    for queue in ["0", "1"] {
        let fields = [("consumerGroup", "G"), ("topic", "T"), ("queueId", queue), ("commitOffset", if queue == "0" { "3" } else { "0" })];
        scene.ask(RequestCode::UpdateConsumerOffset, &fields, "");
    }
    scene
}

fn committed(scene: &Scene) -> (Option<i64>, Option<i64>) {
    (scene.broker.offsets.query("T", "G", 0), scene.broker.offsets.query("T", "G", 1))
}

#[test]
fn a_group_is_set_to_a_moment_in_all_queues() {
    let mut scene = scene();
    let answer = scene.ask(RequestCode::InvokeBrokerToResetOffset, &reset("-1", "-1", "1500"), "");
    let both = concat!(
        r#"{"offsetTable":{{"brokerName":"broker-a","queueId":0,"topic":"T"}:1,"#,
        r#"{"brokerName":"broker-a","queueId":1,"topic":"T"}:0}}"#
    );
    assert_eq!((answer.code, answer.body.as_str()), (ResponseCode::Success, both));
    assert_eq!(committed(&scene), (Some(1), Some(0)));
}

#[test]
fn a_moment_before_all_time_is_the_end_of_the_queue() {
    let mut scene = scene();
    scene.ask(RequestCode::InvokeBrokerToResetOffset, &reset("0", "0", "-1"), "");
    assert_eq!(committed(&scene).0, Some(0), "an offset comes first");
    scene.ask(RequestCode::InvokeBrokerToResetOffset, &reset("0", "-1", "-1"), "");
    assert_eq!(committed(&scene).0, Some(3));
}

#[test]
fn an_offset_that_the_queue_does_not_have_is_refused() {
    let mut scene = scene();
    let answer = scene.ask(RequestCode::InvokeBrokerToResetOffset, &reset("0", "5", "0"), "");
    assert_eq!(answer.outcome(), (ResponseCode::SystemError, "Target offset 5 not in consume queue range [0-3]"));
    let answer = scene.ask(RequestCode::InvokeBrokerToResetOffset, &reset("7", "-1", "0"), "");
    assert_eq!(answer.outcome(), (ResponseCode::SystemError, "queueId[7] is illegal, topic[T] has 2 queues"));
    assert_eq!(committed(&scene), (Some(3), Some(0)));
}

#[test]
fn a_topic_or_group_that_does_not_exist_is_named() {
    let mut scene = Scene::new();
    let answer = scene.ask(RequestCode::InvokeBrokerToResetOffset, &reset("-1", "-1", "0"), "");
    assert_eq!(answer.outcome(), (ResponseCode::TopicNotExist, "Topic T does not exist"));
    scene.make_topic("T", "1");
    let answer = scene.ask(RequestCode::InvokeBrokerToResetOffset, &reset("-1", "-1", "0"), "");
    assert_eq!(answer.outcome(), (ResponseCode::SubscriptionGroupNotExist, "Group G does not exist"));
}

/// What pulls have been answered: codes and offsets to go on from.
fn pulled(scene: &mut Scene, fields: &[(&'static str, String)]) -> Vec<(ResponseCode, i64)> {
    let mut ext = ExtFields::present();
    assert!(fields.iter().all(|(name, value)| ext.push(Text::plain(name), Some(Text::plain(value)))));
    let command = Command {
        code: RequestCode::PullMessage.code(),
        language: Some(proto_core::code::LanguageCode::Java),
        version: 513,
        opaque: 1,
        flag: Flag(0),
        remark: None,
        ext,
        serialize: SerializeType::Json,
        body: b"",
    };
    let addr = SocketAddr::from(([10, 0, 0, 1], 40_000));
    scene.broker.handle_request(scene.now, Peer { id: PeerId(1), addr, from_here: false }, &command);
    answers(scene)
}

fn answers(scene: &mut Scene) -> Vec<(ResponseCode, i64)> {
    let mut answers = Vec::new();
    while let Some(output) = scene.broker.poll_output() {
        match output {
            Output::Reply { reply: Reply { code, header: ReplyHeader::Pull(header), .. }, .. } => {
                answers.push((code, header.next_begin_offset))
            }
            Output::Persist { ticket, .. } => scene.broker.handle_persisted(scene.now, ticket, Ok(())),
            _ => {}
        }
    }
    answers
}

#[test]
fn the_next_pull_is_sent_where_the_group_was_set_to_and_commits_before_it_are_ignored() {
    let mut scene = scene();
    scene.ask(RequestCode::InvokeBrokerToResetOffset, &reset("0", "1", "0"), "");
    let late = [("consumerGroup", "G"), ("topic", "T"), ("queueId", "0"), ("commitOffset", "3")];
    scene.ask(RequestCode::UpdateConsumerOffset, &late, "");
    assert_eq!(pulled(&mut scene, &pull("3", "4")), [(ResponseCode::PullOffsetMoved, 1)]);
    assert_eq!(pulled(&mut scene, &pull("1", "4")), [(ResponseCode::Success, 3)]);
}

#[test]
fn a_pull_that_waits_is_sent_there_at_once() {
    let mut scene = scene();
    assert_eq!(pulled(&mut scene, &pull("3", "6")), [], "it waits for a message");
    let fields = reset("0", "1", "0");
    let mut ext = ExtFields::present();
    assert!(fields.iter().all(|(name, value)| ext.push(Text::plain(name), Some(Text::plain(value)))));
    let command = Command {
        code: RequestCode::InvokeBrokerToResetOffset.code(),
        language: None,
        version: 513,
        opaque: 2,
        flag: Flag(0),
        remark: None,
        ext,
        serialize: SerializeType::Json,
        body: b"",
    };
    let addr = SocketAddr::from(([10, 0, 0, 2], 40_000));
    scene.broker.handle_request(scene.now, Peer { id: PeerId(2), addr, from_here: false }, &command);
    assert_eq!(answers(&mut scene), [(ResponseCode::PullOffsetMoved, 1)]);
}

/// A scene whose groups are set back by their clients.
fn client_scene() -> Scene {
    let mut scene = scene();
    scene.broker.config.use_server_side_reset_offset = false;
    scene
}

#[test]
fn without_the_servers_own_way_each_member_is_told_where_to_go() {
    let mut scene = client_scene();
    let answer = scene.ask(RequestCode::InvokeBrokerToResetOffset, &reset("-1", "-1", "1500"), "");
    let offline = "Consumer not online, so can not reset offset, Group: G Topic: T Timestamp: 1500";
    assert_eq!(answer.outcome(), (ResponseCode::ConsumerNotOnline, offline));
    beat(&mut scene, 5, "c1", "G", "T");
    beat(&mut scene, 6, "c2", "G", "T");
    scene.pushed.clear();
    let answer = scene.ask(RequestCode::InvokeBrokerToResetOffset, &reset("-1", "-1", "1500"), "");
    assert_eq!(answer.code, ResponseCode::Success);
    let told = RequestCode::ResetConsumerClientOffset;
    assert_eq!(scene.pushed, [(5, told), (6, told)]);
    assert_eq!(committed(&scene), (Some(3), Some(0)), "the members commit when they have gone there");
}

#[test]
fn without_force_a_group_is_only_set_back() {
    let mut scene = client_scene();
    beat(&mut scene, 5, "c1", "G", "T");
    let commit = [("consumerGroup", "G"), ("topic", "T"), ("queueId", "0"), ("commitOffset", "1")];
    scene.ask(RequestCode::UpdateConsumerOffset, &commit, "");
    let mut fields = reset("-1", "-1", "2500");
    fields.retain(|(name, _)| *name != "isForce");
    let answer = scene.ask(RequestCode::InvokeBrokerToResetOffset, &fields, "");
    assert!(answer.body.contains(r#""queueId":0,"topic":"T"}:1"#), "{}", answer.body);
}

#[test]
fn a_group_that_has_never_been_here_cannot_be_set_back_by_its_clients() {
    let mut scene = Scene::new();
    scene.broker.config.use_server_side_reset_offset = false;
    scene.make_topic("T", "1");
    let answer = scene.ask(RequestCode::InvokeBrokerToResetOffset, &reset("-1", "-1", "0"), "");
    assert_eq!(answer.outcome(), (ResponseCode::SystemError, "THe consumer group <G> not exist"));
}
