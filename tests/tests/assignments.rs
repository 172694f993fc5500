//! Queues shared out by the broker, for consumers that leave it to it: who gets which, by which strategy, and what is known of other brokers.

use std::collections::{BTreeMap, BTreeSet};

use petrel_tests::{
    NodeId, TestClient,
    packet::{Fields, Packet},
    pair::Pair,
    plugins::TestPlugin,
    requests::{Heartbeat, Message},
};
use proto_core::code::{RequestCode, ResponseCode};
use route_core::{Millis, output::Table};

const IDS: [&str; 3] = ["c1", "c2", "c3"];

/// Two brokers with 4 queues of `Orders` each.
fn scene() -> (Pair, [NodeId; 2]) {
    let mut pair = Pair::new();
    let second = pair.add_broker("broker-b", "10.1.0.2:10911");
    let brokers = [pair.broker, second];
    let client = pair.client();
    for broker in brokers {
        client.send(&mut pair.cluster, broker, &Message::new("Orders", "x")).expect(ResponseCode::Success);
    }
    pair.cluster.advance(Millis(100));
    (pair, brokers)
}

fn join(pair: &mut Pair, brokers: &[NodeId], ids: &[&str]) -> Vec<TestClient> {
    ids.iter()
        .map(|id| {
            let client = pair.client();
            let heartbeat = Heartbeat::consumer(id, "readers", &[("Orders", "*")]);
            for broker in brokers {
                client.heartbeat(&mut pair.cluster, *broker, &heartbeat).expect(ResponseCode::Success);
            }
            client
        })
        .collect()
}

fn ask(pair: &mut Pair, client: TestClient, broker: NodeId, id: &str, topic: &str, strategy: Option<&str>, model: &str) -> Packet {
    let body = serde_json::json!({
        "clientId": id, "consumerGroup": "readers", "messageModel": model, "strategyName": strategy, "topic": topic,
    });
    client.call(&mut pair.cluster, broker, RequestCode::QueryAssignment.code(), &Fields(&[]), body.to_string().as_bytes())
}

/// The queues in an answer; `None` if it leaves them out.
fn queues(answer: Packet) -> Option<BTreeSet<(String, i64)>> {
    let body: serde_json::Value = serde_json::from_slice(&answer.expect(ResponseCode::Success).body).expect("JSON");
    let assigned = body.get("messageQueueAssignments")?.as_array().expect("a list");
    let queue = |assigned: &serde_json::Value| {
        assert_eq!((&assigned["mode"], &assigned["messageQueue"]["topic"]), (&"PULL".into(), &"Orders".into()));
        let queue = &assigned["messageQueue"];
        (queue["brokerName"].as_str().expect("a name").to_owned(), queue["queueId"].as_i64().expect("a number"))
    };
    let queues: BTreeSet<_> = assigned.iter().map(queue).collect();
    assert_eq!(queues.len(), assigned.len(), "no queue comes twice");
    Some(queues)
}

/// What each of the clients is told by one of the brokers.
fn shares(pair: &mut Pair, brokers: &[NodeId], strategy: &str) -> BTreeMap<&'static str, BTreeSet<(String, i64)>> {
    let client = pair.client();
    let mut asked = |(nth, id): (usize, &&'static str)| {
        let answer = ask(pair, client, brokers[nth % brokers.len()], id, "Orders", Some(strategy), "CLUSTERING");
        (*id, queues(answer).expect("they are shared out"))
    };
    IDS.iter().enumerate().map(&mut asked).collect()
}

fn is_partition(shares: &BTreeMap<&str, BTreeSet<(String, i64)>>) -> bool {
    let all: BTreeSet<_> = shares.values().flatten().collect();
    all.len() == 8 && shares.values().map(BTreeSet::len).sum::<usize>() == 8
}

#[test]
fn every_strategy_shares_the_queues_of_all_brokers_whichever_of_them_is_asked() {
    let (mut pair, brokers) = scene();
    join(&mut pair, &brokers, &IDS);
    for strategy in ["AVG", "AVG_BY_CIRCLE", "CONSISTENT_HASH"] {
        let shares = shares(&mut pair, &brokers, strategy);
        assert!(is_partition(&shares), "{strategy}: {shares:?}");
    }
    let named = |broker: &str, ids: &[i64]| ids.iter().map(|id| (broker.to_owned(), *id)).collect::<BTreeSet<_>>();
    let shares = shares(&mut pair, &brokers, "AVG");
    assert_eq!(shares["c1"], named("broker-a", &[0, 1, 2]));
    assert_eq!(shares["c3"], named("broker-b", &[2, 3]));
}

#[test]
fn who_leaves_hands_its_queues_to_the_others() {
    let (mut pair, brokers) = scene();
    let clients = join(&mut pair, &brokers, &IDS);
    assert!(is_partition(&shares(&mut pair, &brokers, "AVG")));
    brokers.iter().for_each(|broker| clients[1].disconnect(&mut pair.cluster, *broker));
    let shares = shares(&mut pair, &brokers, "AVG");
    assert!(shares["c2"].is_empty() && is_partition(&shares), "{shares:?}");
}

#[test]
fn who_broadcasts_gets_all_queues_and_who_is_unknown_none() {
    let (mut pair, brokers) = scene();
    let client = join(&mut pair, &brokers[..1], &IDS)[0];
    let all = queues(ask(&mut pair, client, brokers[0], "c1", "Orders", Some("AVG"), "BROADCASTING"));
    assert_eq!(all.map(|queues| queues.len()), Some(8));
    let none = queues(ask(&mut pair, client, brokers[0], "stranger", "Orders", Some("AVG"), "CLUSTERING"));
    assert_eq!(none, Some(BTreeSet::new()));
    // The second broker has not heard of the group yet: the client keeps what it has.
    let unknown = ask(&mut pair, client, brokers[1], "c1", "Orders", Some("AVG"), "CLUSTERING");
    assert_eq!(unknown.text(), "{}");
    let unknown = ask(&mut pair, client, brokers[0], "c1", "Nowhere", Some("AVG"), "CLUSTERING");
    assert_eq!(unknown.text(), "{}");
}

#[test]
fn without_a_name_server_a_broker_shares_out_its_own_queues() {
    let mut pair = Pair::with(|config| config.name_servers.clear());
    let broker = pair.broker;
    let client = join(&mut pair, &[broker], &IDS)[0];
    client.send(&mut pair.cluster, broker, &Message::new("Orders", "x")).expect(ResponseCode::Success);
    let own = queues(ask(&mut pair, client, broker, "c1", "Orders", None, "CLUSTERING"));
    assert_eq!(own.map(|queues| queues.len()), Some(2));
}

#[test]
fn a_name_server_that_dies_is_no_reason_to_forget_where_queues_are() {
    let (mut pair, brokers) = scene();
    join(&mut pair, &brokers, &IDS);
    let before = shares(&mut pair, &brokers, "AVG");
    let names = pair.names;
    pair.cluster.kill(names);
    pair.cluster.advance(Millis::from_secs(40));
    assert_eq!(shares(&mut pair, &brokers, "AVG"), before);
}

#[test]
fn a_strategy_that_nobody_knows_is_refused_so_that_the_client_shares_out_itself() {
    let (mut pair, brokers) = scene();
    let client = join(&mut pair, &brokers, &IDS)[0];
    let refused = ask(&mut pair, client, brokers[0], "c1", "Orders", Some("GRAY"), "CLUSTERING").expect(ResponseCode::SystemError);
    assert!(refused.remark.is_some_and(|remark| remark.contains("'GRAY'")));
}

#[test]
fn a_plugin_shares_out_by_its_name_and_the_average_steps_in_where_it_fails() {
    let (mut pair, brokers) = scene();
    join(&mut pair, &brokers, &IDS);
    pair.plugins().install("GRAY", TestPlugin::LastTakesAll);
    let by_plugin = shares(&mut pair, &brokers, "GRAY");
    assert_eq!((by_plugin["c1"].len(), by_plugin["c2"].len(), by_plugin["c3"].len()), (0, 0, 8));
    pair.plugins().install("GRAY", TestPlugin::Fails);
    assert_eq!(shares(&mut pair, &brokers, "GRAY"), shares(&mut pair, &brokers, "AVG"));
    let notices = pair.cluster.notices(brokers[0]);
    let told = notices.iter().filter(|text| text.contains("readers") && text.contains("'GRAY' failed: it was told to"));
    assert_eq!(told.count(), 1, "{notices:?}");
    pair.plugins().install("GRAY", TestPlugin::BodyEnds);
    let client = pair.client();
    let refused = ask(&mut pair, client, brokers[0], "c1", "Orders", Some("GRAY"), "CLUSTERING").expect(ResponseCode::SystemError);
    assert!(refused.remark.is_some_and(|remark| remark.contains("no allocator")));
}

#[test]
fn where_the_broker_is_told_to_share_nothing_out_each_is_told_of_all_queues() {
    let mut pair = Pair::with(|config| config.server_load_balancer = false);
    let broker = pair.broker;
    let client = join(&mut pair, &[broker], &IDS)[0];
    client.send(&mut pair.cluster, broker, &Message::new("Orders", "x")).expect(ResponseCode::Success);
    let all = queues(ask(&mut pair, client, broker, "c1", "Orders", Some("AVG"), "CLUSTERING"));
    assert_eq!(all.map(|queues| queues.len()), Some(4));
}

fn set_mode(pair: &mut Pair, client: TestClient, topic: &str, group: &str, mode: &str) -> Packet {
    let body = serde_json::json!({"consumerGroup": group, "mode": mode, "popShareQueueNum": 0, "topic": topic});
    client.call(&mut pair.cluster, pair.broker, RequestCode::SetMessageRequestMode.code(), &Fields(&[]), body.to_string().as_bytes())
}

#[test]
fn the_mode_pull_is_taken_and_kept_and_pop_is_refused() {
    let (mut pair, _) = scene();
    let client = pair.client();
    set_mode(&mut pair, client, "Orders", "readers", "PULL").expect(ResponseCode::Success);
    let saved: serde_json::Value =
        serde_json::from_slice(pair.cluster.saved(pair.broker, Table::RequestModes).expect("saved before the answer")).expect("JSON");
    assert_eq!(saved["messageRequestModeMap"]["Orders"]["readers"]["mode"], "PULL");
    set_mode(&mut pair, client, "Orders", "readers", "POP").expect(ResponseCode::RequestCodeNotSupported);
    set_mode(&mut pair, client, "%RETRY%readers", "readers", "PULL").expect(ResponseCode::NoPermission);
    set_mode(&mut pair, client, "Nowhere", "readers", "PULL").expect(ResponseCode::TopicNotExist);
    pair.restart_broker();
    let client = pair.client();
    let all = client.ask(&mut pair.cluster, pair.broker, RequestCode::GetAllMessageRequestMode, &[]).expect(ResponseCode::Success);
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&all.body).expect("JSON"), saved);
}
