//! The name server as its peers see it: requests in, answers out.

use proto_core::{
    ExtFields, Flag, SerializeType, Text,
    bodies::{DataVersion, KvConfigSerializeWrapper, RegisterBrokerBody, TopicConfig, TopicConfigAndMappingSerializeWrapper},
    code::ResponseCode,
    json::{self, Dialect},
};

use super::*;
use crate::{
    output::{ReplyBody, ReplyHeader, Table},
    time::Timestamp,
};

const BROKER: u64 = 1;
const CLIENT: u64 = 2;

fn now(ms: u64) -> Now {
    Now { mono: Millis(ms), wall: Timestamp(0) }
}

fn peer(id: u64) -> Peer {
    Peer { id: PeerId(id), addr: ([10, 0, 0, 1], 4000).into(), from_here: false }
}

fn server(config: NameServerConfig) -> NameServer {
    NameServer::new(now(0), config, None).expect("there is no file to be wrong")
}

fn command<'a>(code: RequestCode, ext: &[(&'a str, &'a str)], body: &'a [u8]) -> Command<'a> {
    let mut fields = ExtFields::default();
    for (name, value) in ext {
        assert!(fields.push(Text::plain(name), Some(Text::plain(value))));
    }
    Command {
        code: code.code(),
        language: None,
        version: 513,
        opaque: 7,
        flag: Flag(0),
        remark: None,
        ext: fields,
        serialize: SerializeType::Json,
        body,
    }
}

fn drain(server: &mut NameServer) -> Vec<Output> {
    std::iter::from_fn(|| server.poll_output()).filter(|output| !matches!(output, Output::Notice { .. })).collect()
}

fn ask_command(server: &mut NameServer, at: u64, from: u64, command: &Command<'_>) -> Reply {
    server.handle_request(now(at), peer(from), command);
    match drain(server).pop() {
        Some(Output::Reply { to, opaque: 7, reply }) if to == PeerId(from) => reply,
        other => panic!("not an answer: {other:?}"),
    }
}

fn ask(server: &mut NameServer, code: RequestCode, ext: &[(&str, &str)]) -> Reply {
    ask_command(server, 0, CLIENT, &command(code, ext, b""))
}

fn body_of(reply: &Reply) -> &str {
    match &reply.body {
        ReplyBody::Bytes(bytes) => std::str::from_utf8(bytes).expect("text"),
        other => panic!("no body: {other:?}"),
    }
}

fn field_of<'a>(reply: &'a Reply, name: &str) -> Option<&'a str> {
    match &reply.header {
        ReplyHeader::Fields(fields) => fields.iter().find(|(known, _)| *known == name).map(|(_, value)| &**value),
        _ => None,
    }
}

fn topics(names: &[&str], counter: i64) -> Vec<u8> {
    let wrapper = TopicConfigAndMappingSerializeWrapper {
        data_version: DataVersion { counter, ..DataVersion::default() },
        topic_config_table: names.iter().map(|name| ((*name).to_owned(), TopicConfig::new(*name, 4, 6))).collect(),
        ..Default::default()
    };
    json::to_vec(&RegisterBrokerBody { filter_server_list: None, topic_config_serialize_wrapper: wrapper }, Dialect::Default)
}

const MASTER: [(&str, &str); 5] =
    [("brokerName", "b"), ("brokerAddr", "h:1"), ("clusterName", "C"), ("haServerAddr", "h:2"), ("brokerId", "0")];

fn register(server: &mut NameServer, at: u64) -> Reply {
    let body = topics(&["T", "U"], 0);
    ask_command(server, at, BROKER, &command(RequestCode::RegisterBroker, &MASTER, &body))
}

fn has_route(server: &mut NameServer) -> bool {
    ask(server, RequestCode::GetRouteinfoByTopic, &[("topic", "T")]).code == ResponseCode::Success
}

/// Runs the machine as a loop would: woken whenever it wants to be.
fn run_until(server: &mut NameServer, end: u64) {
    while let Some(due) = server.poll_timeout().filter(|due| due.0 <= end) {
        server.handle_timeout(Now { mono: due, ..now(0) });
    }
}

#[test]
fn a_registration_is_answered_with_empty_fields_and_makes_a_route() {
    let mut server = server(NameServerConfig::default());
    let reply = register(&mut server, 0);
    assert_eq!(reply.code, ResponseCode::Success);
    assert!(matches!(reply.header, ReplyHeader::Empty));
    assert_eq!(reply.body_len(), 0, "no ordered topics are configured");
    assert!(has_route(&mut server));
}

#[test]
fn an_unknown_topic_is_answered_with_the_text_that_clients_know() {
    let reply = ask(&mut server(NameServerConfig::default()), RequestCode::GetRouteinfoByTopic, &[("topic", "T")]);
    assert_eq!(reply.code, ResponseCode::TopicNotExist);
    let expected = "No topic route info in name server for the topic: T\n\
        See https://rocketmq.apache.org/docs/bestPractice/06FAQ for further details.";
    assert_eq!(reply.remark.as_deref(), Some(expected));
}

#[test]
fn routes_have_quoted_keys_for_newer_clients_and_bare_ones_for_older() {
    let mut server = server(NameServerConfig::default());
    register(&mut server, 0);
    let route = |server: &mut NameServer, version, ext: &[(&str, &str)]| {
        let command = Command { version, ..command(RequestCode::GetRouteinfoByTopic, ext, b"") };
        body_of(&ask_command(server, 0, CLIENT, &command)).to_owned()
    };
    let plain = [("topic", "T")];
    assert!(route(&mut server, 401, &plain).contains(r#""brokerAddrs":{"0":"h:1"}"#));
    assert!(route(&mut server, 400, &plain).contains(r#""brokerAddrs":{0:"h:1"}"#));
    let standard = [("topic", "T"), ("acceptStandardJsonOnly", "true")];
    assert!(route(&mut server, 400, &standard).contains(r#""brokerAddrs":{"0":"h:1"}"#));
}

#[test]
fn a_route_is_narrowed_to_the_zone_of_the_client() {
    let mut server = server(NameServerConfig::default());
    let mut ext = MASTER.to_vec();
    ext.push(("__ZONE_NAME", "east"));
    let body = topics(&["T", "U"], 0);
    ask_command(&mut server, 0, BROKER, &command(RequestCode::RegisterBroker, &ext, &body));
    let brokers = |server: &mut NameServer, mode, zone| {
        let ext = [("topic", "T"), ("__ZONE_MODE", mode), ("__ZONE_NAME", zone)];
        body_of(&ask(server, RequestCode::GetRouteinfoByTopic, &ext)).contains("brokerAddrs")
    };
    assert!(brokers(&mut server, "true", "EAST"));
    assert!(!brokers(&mut server, "true", "west"));
    assert!(brokers(&mut server, "true", " "));
    assert!(brokers(&mut server, "false", "west"));
}

#[test]
fn no_route_is_told_before_brokers_had_time_to_register() {
    let mut server = server(NameServerConfig { need_wait_for_service: true, ..NameServerConfig::default() });
    register(&mut server, 0);
    let request = command(RequestCode::GetRouteinfoByTopic, &[("topic", "T")], b"");
    assert_eq!(ask_command(&mut server, 44_999, CLIENT, &request).remark.as_deref(), Some("name server not ready"));
    assert_eq!(ask_command(&mut server, 45_000, CLIENT, &request).code, ResponseCode::Success);
}

#[test]
fn a_body_with_a_wrong_checksum_is_refused() {
    let mut server = server(NameServerConfig::default());
    let body = topics(&["T", "U"], 0);
    let mut ext = MASTER.to_vec();
    ext.push(("bodyCrc32", "1"));
    let reply = ask_command(&mut server, 0, BROKER, &command(RequestCode::RegisterBroker, &ext, &body));
    assert_eq!((reply.code, reply.remark.as_deref()), (ResponseCode::SystemError, Some("crc32 not match")));
    let crc = proto_core::record::body_crc(&body).to_string();
    ext.pop();
    ext.push(("bodyCrc32", &crc));
    assert_eq!(ask_command(&mut server, 0, BROKER, &command(RequestCode::RegisterBroker, &ext, &body)).code, ResponseCode::Success);
}

#[test]
fn a_registration_that_cannot_be_taken_is_answered_with_the_text_of_java() {
    let mut server = server(NameServerConfig::default());
    let one = topics(&["T"], 0);
    let reply = ask_command(&mut server, 0, BROKER, &command(RequestCode::RegisterBroker, &MASTER, &one));
    assert_eq!((reply.code, reply.remark.as_deref()), (ResponseCode::SystemError, Some("register broker failed")));
    let without_id = ask_command(&mut server, 0, BROKER, &command(RequestCode::RegisterBroker, &MASTER[..4], &one));
    assert_eq!(without_id.remark.as_deref(), Some("register broker failed"));
    let broken = ask_command(&mut server, 0, BROKER, &command(RequestCode::RegisterBroker, &MASTER, b"{"));
    assert_eq!(broken.code, ResponseCode::SystemError);
}

#[test]
fn a_broker_of_before_3_0_11_sends_the_bare_topic_table() {
    let mut server = server(NameServerConfig::default());
    let body = br#"{"dataVersion":{"counter":1,"timestamp":2},"topicConfigTable":{"T":{"topicName":"T"},"U":{"topicName":"U"}}}"#;
    let command = Command { version: 36, ..command(RequestCode::RegisterBroker, &MASTER, body) };
    assert_eq!(ask_command(&mut server, 0, BROKER, &command).code, ResponseCode::Success);
    assert!(has_route(&mut server));
}

#[test]
fn a_compressed_registration_is_read() {
    let part = |text: &[u8]| [&u32::try_from(text.len()).expect("short").to_be_bytes(), text].concat();
    let version = part(br#"{"counter":1,"stateVersion":0,"timestamp":2}"#);
    let topics = [2u32.to_be_bytes().to_vec(), part(b"T 8 8 6 SINGLE_TAG"), part(b"U 1 1 4 SINGLE_TAG")].concat();
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::Write::write_all(&mut encoder, &[version, topics, part(b"[]"), vec![0; 4]].concat()).expect("memory takes all");
    let body = encoder.finish().expect("memory takes all");
    let mut server = server(NameServerConfig::default());
    let mut ext = MASTER.to_vec();
    ext.push(("compressed", "true"));
    assert_eq!(ask_command(&mut server, 0, BROKER, &command(RequestCode::RegisterBroker, &ext, &body)).code, ResponseCode::Success);
    let reply = ask(&mut server, RequestCode::GetRouteinfoByTopic, &[("topic", "U")]);
    assert!(body_of(&reply).contains(r#""perm":4,"readQueueNums":1"#));
    let broken = ask_command(&mut server, 0, BROKER, &command(RequestCode::RegisterBroker, &ext, &body[1..]));
    assert_eq!(broken.code, ResponseCode::SystemError);
}

#[test]
fn a_silent_broker_leaves_the_routes_after_two_minutes_and_its_connection_is_closed() {
    let mut server = server(NameServerConfig::default());
    register(&mut server, 0);
    run_until(&mut server, 120_000);
    assert!(has_route(&mut server));
    run_until(&mut server, 125_000);
    assert!(drain(&mut server).iter().any(|output| matches!(output, Output::Close { peer: PeerId(BROKER), .. })));
    assert!(!has_route(&mut server));
}

#[test]
fn a_broker_that_says_how_long_it_may_be_silent_is_taken_at_its_word() {
    let mut server = server(NameServerConfig::default());
    let mut ext = MASTER.to_vec();
    ext.push(("heartbeatTimeoutMillis", "10000"));
    let body = topics(&["T", "U"], 0);
    ask_command(&mut server, 0, BROKER, &command(RequestCode::RegisterBroker, &ext, &body));
    run_until(&mut server, 15_000);
    assert!(!has_route(&mut server));
}

#[test]
fn heartbeats_and_questions_for_the_version_keep_a_broker_alive() {
    for (code, body) in [(RequestCode::BrokerHeartbeat, &b""[..]), (RequestCode::QueryDataVersion, b"{}")] {
        let mut server = server(NameServerConfig::default());
        register(&mut server, 0);
        run_until(&mut server, 100_000);
        ask_command(&mut server, 100_000, BROKER, &command(code, &MASTER, body));
        run_until(&mut server, 200_000);
        assert!(has_route(&mut server), "{code:?}");
    }
}

#[test]
fn a_long_pause_of_the_name_server_does_not_flap_routes() {
    let mut server = server(NameServerConfig::default());
    register(&mut server, 0);
    run_until(&mut server, 30_000);
    // The process stood still for ten minutes; the scan comes before the heartbeats that wait in the sockets.
    server.handle_timeout(now(630_000));
    assert!(has_route(&mut server));
    register(&mut server, 630_001);
    run_until(&mut server, 700_000);
    assert!(has_route(&mut server));
}

#[test]
fn a_broker_leaves_with_its_connection() {
    let mut server = server(NameServerConfig::default());
    register(&mut server, 0);
    server.handle_disconnected(now(1), PeerId(CLIENT));
    assert!(has_route(&mut server));
    server.handle_disconnected(now(1), PeerId(BROKER));
    assert!(!has_route(&mut server));
}

#[test]
fn the_end_of_an_old_connection_does_not_remove_a_broker_that_has_come_back() {
    let mut server = server(NameServerConfig::default());
    register(&mut server, 0);
    let body = topics(&["T", "U"], 0);
    ask_command(&mut server, 1, 9, &command(RequestCode::RegisterBroker, &MASTER, &body));
    server.handle_disconnected(now(2), PeerId(BROKER));
    assert!(has_route(&mut server));
}

#[test]
fn a_broker_unregisters_itself() {
    let mut server = server(NameServerConfig::default());
    register(&mut server, 0);
    let reply = ask(&mut server, RequestCode::UnregisterBroker, &MASTER);
    assert_eq!(reply.code, ResponseCode::Success);
    assert!(!has_route(&mut server));
    run_until(&mut server, 10_000);
    assert_eq!(server.poll_timeout(), None, "nobody is left to look after");
}

#[test]
fn an_unregistration_of_nobody_is_a_success() {
    let mut server = server(NameServerConfig::default());
    assert_eq!(ask(&mut server, RequestCode::UnregisterBroker, &MASTER).code, ResponseCode::Success);
}

#[test]
fn an_old_node_that_rejoins_is_answered_with_an_empty_success_and_not_routed_to() {
    let mut server = server(NameServerConfig::default());
    let of_state = |state: i64| {
        String::from_utf8(topics(&["T", "U"], 0)).expect("text").replace(r#""stateVersion":0"#, &format!(r#""stateVersion":{state}"#))
    };
    let body = of_state(2);
    ask_command(&mut server, 0, BROKER, &command(RequestCode::RegisterBroker, &MASTER, body.as_bytes()));
    let mut old = MASTER;
    old[1] = ("brokerAddr", "old:1");
    let body = of_state(1);
    let reply = ask_command(&mut server, 0, 9, &command(RequestCode::RegisterBroker, &old, body.as_bytes()));
    assert_eq!(reply.code, ResponseCode::Success);
    assert!(!body_of(&ask(&mut server, RequestCode::GetRouteinfoByTopic, &[("topic", "T")])).contains("old:1"));
    server.handle_disconnected(now(1), PeerId(9));
    assert!(has_route(&mut server));
}

#[test]
fn a_slave_learns_its_master() {
    let mut server = server(NameServerConfig::default());
    register(&mut server, 0);
    let slave = [("brokerName", "b"), ("brokerAddr", "h:5"), ("clusterName", "C"), ("haServerAddr", "h:6"), ("brokerId", "1")];
    let body = topics(&["T", "U"], 0);
    let reply = ask_command(&mut server, 0, 9, &command(RequestCode::RegisterBroker, &slave, &body));
    assert_eq!((field_of(&reply, "masterAddr"), field_of(&reply, "haServerAddr")), (Some("h:1"), Some("h:2")));
}

#[test]
fn a_kv_change_is_answered_when_it_is_on_disk() {
    let mut server = server(NameServerConfig::default());
    let put = [("namespace", "ns"), ("key", "k"), ("value", "v")];
    server.handle_request(now(0), peer(CLIENT), &command(RequestCode::PutKvConfig, &put, b""));
    let outputs = drain(&mut server);
    let [Output::Persist { ticket, table: Table::KvConfig, content }] = &outputs[..] else { panic!("not a save: {outputs:?}") };
    let saved: KvConfigSerializeWrapper = json::from_slice(&content.clone().into_bytes()).expect("the file");
    assert_eq!(saved.config_table["ns"]["k"], "v");
    server.handle_persisted(now(5), *ticket, Ok(()));
    let outputs = drain(&mut server);
    let [Output::Reply { to: PeerId(CLIENT), opaque: 7, reply }] = &outputs[..] else { panic!("not an answer: {outputs:?}") };
    assert_eq!(reply.code, ResponseCode::Success);
}

#[test]
fn a_kv_configuration_is_read_back_from_its_file() {
    let file = br#"{"configTable":{"ns":{"k":"v"}}}"#;
    let mut server = NameServer::new(now(0), NameServerConfig::default(), Some(file)).expect("it is a good file");
    let reply = ask(&mut server, RequestCode::GetKvConfig, &[("namespace", "ns"), ("key", "k")]);
    assert_eq!(field_of(&reply, "value"), Some("v"));
    assert_eq!(body_of(&ask(&mut server, RequestCode::GetKvlistByNamespace, &[("namespace", "ns")])), r#"{"table":{"k":"v"}}"#);
    assert!(NameServer::new(now(0), NameServerConfig::default(), Some(b"no json")).is_err());
}

#[test]
fn what_the_kv_configuration_does_not_have_is_said_in_the_words_of_java() {
    let mut server = server(NameServerConfig::default());
    let reply = ask(&mut server, RequestCode::GetKvConfig, &[("namespace", "ns"), ("key", "k")]);
    assert_eq!((reply.code, reply.remark.as_deref()), (ResponseCode::QueryNotFound, Some("No config item, Namespace: ns Key: k")));
    let reply = ask(&mut server, RequestCode::GetKvlistByNamespace, &[("namespace", "ns")]);
    assert_eq!((reply.code, reply.remark.as_deref()), (ResponseCode::QueryNotFound, Some("No config item, Namespace: ns")));
    let reply = ask(&mut server, RequestCode::PutKvConfig, &[("key", "k"), ("value", "v")]);
    assert_eq!((reply.code, reply.remark.as_deref()), (ResponseCode::SystemError, Some("namespace or key is null")));
    assert_eq!(ask(&mut server, RequestCode::DeleteKvConfig, &[("namespace", "ns"), ("key", "k")]).code, ResponseCode::Success);
}

#[test]
fn ordered_topics_are_told_to_brokers_and_if_enabled_to_clients() {
    let file = Some(&br#"{"configTable":{"ORDER_TOPIC_CONFIG":{"T":"b:4"}}}"#[..]);
    for enabled in [false, true] {
        let config = NameServerConfig { order_message_enable: enabled, ..NameServerConfig::default() };
        let mut server = NameServer::new(now(0), config, file).expect("it is a good file");
        assert_eq!(body_of(&register(&mut server, 0)), r#"{"table":{"T":"b:4"}}"#);
        let reply = ask(&mut server, RequestCode::GetRouteinfoByTopic, &[("topic", "T")]);
        assert_eq!(body_of(&reply).contains(r#""orderTopicConf":"b:4""#), enabled);
    }
}

#[test]
fn brokers_are_told_of_no_ordered_topics_if_the_operator_does_not_want_it() {
    let config = NameServerConfig { return_order_topic_config_to_broker: false, ..NameServerConfig::default() };
    let file = br#"{"configTable":{"ORDER_TOPIC_CONFIG":{"T":"b:4"}}}"#;
    let mut server = NameServer::new(now(0), config, Some(file)).expect("it is a good file");
    assert_eq!(register(&mut server, 0).body_len(), 0);
}

#[test]
fn the_version_of_a_table_is_compared_and_told() {
    let mut server = server(NameServerConfig::default());
    register(&mut server, 0);
    let same = br#"{"counter":0,"stateVersion":0,"timestamp":0}"#;
    let reply = ask_command(&mut server, 0, BROKER, &command(RequestCode::QueryDataVersion, &MASTER, same));
    assert_eq!(field_of(&reply, "changed"), Some("false"));
    assert_eq!(body_of(&reply).as_bytes(), same);
    let newer = br#"{"counter":1,"stateVersion":0,"timestamp":0}"#;
    let reply = ask_command(&mut server, 0, BROKER, &command(RequestCode::QueryDataVersion, &MASTER, newer));
    assert_eq!(field_of(&reply, "changed"), Some("true"));
    let unknown = [("clusterName", "C"), ("brokerAddr", "unknown:1")];
    let reply = ask_command(&mut server, 0, BROKER, &command(RequestCode::QueryDataVersion, &unknown, newer));
    assert_eq!((field_of(&reply, "changed"), reply.body_len()), (Some("true"), 0));
}

#[test]
fn write_permission_changes_are_counted() {
    let mut server = server(NameServerConfig::default());
    register(&mut server, 0);
    let broker = [("brokerName", "b")];
    assert_eq!(field_of(&ask(&mut server, RequestCode::WipeWritePermOfBroker, &broker), "wipeTopicCount"), Some("2"));
    assert!(body_of(&ask(&mut server, RequestCode::GetRouteinfoByTopic, &[("topic", "T")])).contains(r#""perm":4"#));
    assert_eq!(field_of(&ask(&mut server, RequestCode::AddWritePermOfBroker, &broker), "addTopicCount"), Some("2"));
    assert!(body_of(&ask(&mut server, RequestCode::GetRouteinfoByTopic, &[("topic", "T")])).contains(r#""perm":6"#));
}

#[test]
fn topics_are_added_and_deleted_one_by_one() {
    let mut server = server(NameServerConfig::default());
    register(&mut server, 0);
    let body = br#"{"queueDatas":[{"brokerName":"b","readQueueNums":1,"writeQueueNums":1,"perm":6}]}"#;
    ask_command(&mut server, 0, CLIENT, &command(RequestCode::RegisterTopicInNamesrv, &[("topic", "N")], body));
    assert_eq!(body_of(&ask(&mut server, RequestCode::GetAllTopicListFromNameserver, &[])), r#"{"topicList":["N","T","U"]}"#);
    ask(&mut server, RequestCode::DeleteTopicInNamesrv, &[("topic", "T"), ("clusterName", "C")]);
    assert_eq!(body_of(&ask(&mut server, RequestCode::GetTopicsByCluster, &[("cluster", "C")])), r#"{"topicList":["N","U"]}"#);
}

#[test]
fn lists_that_the_operator_has_disabled_are_refused() {
    let config = NameServerConfig { enable_all_topic_list: false, enable_topic_list: false, ..NameServerConfig::default() };
    let mut server = server(config);
    for code in [
        RequestCode::GetAllTopicListFromNameserver,
        RequestCode::GetTopicsByCluster,
        RequestCode::GetUnitTopicList,
        RequestCode::GetHasUnitSubTopicList,
        RequestCode::GetHasUnitSubUnunitTopicList,
    ] {
        let reply = ask(&mut server, code, &[]);
        assert_eq!((reply.code, reply.remark.as_deref()), (ResponseCode::SystemError, Some("disable")), "{code:?}");
    }
    assert_eq!(body_of(&ask(&mut server, RequestCode::GetSystemTopicListFromNs, &[])), r#"{"topicList":[]}"#);
}

#[test]
fn members_of_a_broker_are_listed_by_id() {
    let mut server = server(NameServerConfig::default());
    register(&mut server, 0);
    let reply = ask(&mut server, RequestCode::GetBrokerMemberGroup, &MASTER);
    let expected = r#"{"brokerMemberGroup":{"brokerAddrs":{0:"h:1"},"brokerName":"b","cluster":"C"}}"#;
    assert_eq!(body_of(&reply), expected);
}

#[test]
fn members_hear_of_a_new_lowest_id_if_the_operator_wants_it() {
    for wanted in [false, true] {
        let mut server = server(NameServerConfig { notify_min_broker_id_changed: wanted, ..NameServerConfig::default() });
        let body = topics(&["T", "U"], 0);
        for (addr, id) in [("h:6", "6"), ("h:5", "5")] {
            let ext = [("brokerName", "b"), ("brokerAddr", addr), ("clusterName", "C"), ("brokerId", id), ("enableActingMaster", "true")];
            server.handle_request(now(0), peer(BROKER), &command(RequestCode::RegisterBroker, &ext, &body));
        }
        let dialed = drain(&mut server).iter().any(|output| matches!(output, Output::Dial { address } if **address == *"h:6"));
        assert_eq!(dialed, wanted);
        server.handle_dialed(now(1), "h:6", Ok(PeerId(30)));
        let told = drain(&mut server).into_iter().find_map(|output| match output {
            Output::Request { to: PeerId(30), request, .. } => Some((request.code, request.oneway)),
            _ => None,
        });
        assert_eq!(told, wanted.then_some((RequestCode::NotifyMinBrokerIdChange, true)));
    }
}

#[test]
fn a_connection_that_nobody_wants_is_closed() {
    let mut server = server(NameServerConfig::default());
    server.handle_dialed(now(1), "h:6", Ok(PeerId(30)));
    assert!(matches!(&drain(&mut server)[..], [Output::Close { peer: PeerId(30), .. }]));
    server.handle_dialed(now(1), "h:6", Err("refused"));
    assert!(drain(&mut server).is_empty());
}

#[test]
fn a_oneway_request_is_never_answered() {
    let mut server = server(NameServerConfig::default());
    for code in [RequestCode::GetBrokerClusterInfo, RequestCode::SendMessage] {
        let oneway = Command { flag: Flag(Flag::ONEWAY), ..command(code, &[], b"") };
        server.handle_request(now(0), peer(CLIENT), &oneway);
    }
    let put = [("namespace", "ns"), ("key", "k"), ("value", "v")];
    let oneway = Command { flag: Flag(Flag::ONEWAY), ..command(RequestCode::PutKvConfig, &put, b"") };
    server.handle_request(now(0), peer(CLIENT), &oneway);
    let outputs = drain(&mut server);
    let [Output::Persist { ticket, .. }] = &outputs[..] else { panic!("more than a save: {outputs:?}") };
    server.handle_persisted(now(1), *ticket, Ok(()));
    assert!(drain(&mut server).is_empty());
}

#[test]
fn what_is_not_served_is_said_so() {
    let mut server = server(NameServerConfig::default());
    let reply = ask(&mut server, RequestCode::SendMessage, &[]);
    assert_eq!((reply.code, reply.remark.as_deref()), (ResponseCode::RequestCodeNotSupported, Some(" request type 10 not supported")));
    let unknown = Command { code: 999_999, ..command(RequestCode::SendMessage, &[], b"") };
    assert_eq!(ask_command(&mut server, 0, CLIENT, &unknown).code, ResponseCode::RequestCodeNotSupported);
}
