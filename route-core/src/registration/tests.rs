//! What name servers get to hear, and what is made of their answers.

use proto_core::{
    ExtFields, Flag, SerializeType, Text,
    bodies::{DataVersion, TopicConfig},
};

use super::*;
use crate::time::Timestamp;

/// Topics of a broker, by name.
struct Topics(Vec<&'static str>);

impl TopicSource for Topics {
    fn all_topics(&self) -> TopicConfigAndMappingSerializeWrapper {
        self.some_topics(&self.0.iter().map(|name| Arc::from(*name)).collect())
    }

    fn some_topics(&self, names: &BTreeSet<Arc<str>>) -> TopicConfigAndMappingSerializeWrapper {
        TopicConfigAndMappingSerializeWrapper {
            data_version: DataVersion::new(5),
            topic_config_table: names.iter().map(|name| (name.to_string(), TopicConfig::new(&**name, 4, 6))).collect(),
            ..Default::default()
        }
    }
}

fn now(ms: u64) -> Now {
    Now { mono: Millis(ms), wall: Timestamp(0) }
}

fn config(name_servers: &str) -> RegistrationConfig {
    RegistrationConfig {
        name_servers: RegistrationConfig::addresses(name_servers),
        broker_name: "broker-a".to_owned(),
        broker_addr: "127.0.0.2:20911".to_owned(),
        ha_server_addr: "192.0.2.2:20912".to_owned(),
        ..RegistrationConfig::default()
    }
}

/// What came out, with registrations as the topics that they name.
fn drain(registration: &mut Registration) -> Vec<String> {
    let show = |output| match output {
        Output::Dial { address } => format!("dial {address}"),
        Output::Close { peer, .. } => format!("close {}", peer.0),
        Output::Notice { text, .. } => text,
        Output::Request { to, request, .. } if request.code == RequestCode::RegisterBroker => {
            let body: RegisterBrokerBody = json::from_slice(&request.body).expect("a body");
            let topics: Vec<_> = body.topic_config_serialize_wrapper.topic_config_table.into_keys().collect();
            format!("register {} {}", to.0, topics.join(","))
        }
        Output::Request { to, request, .. } => format!("{} {}", request.code.name(), to.0),
        other => format!("{other:?}"),
    };
    std::iter::from_fn(|| registration.poll_output()).map(show).collect()
}

fn answer<'a>(opaque: i32, code: ResponseCode, ext: &[(&'a str, &'a str)], body: &'a [u8]) -> Command<'a> {
    let mut fields = ExtFields::default();
    for (name, value) in ext {
        assert!(fields.push(Text::plain(name), Some(Text::plain(value))));
    }
    Command {
        code: code.code(),
        language: None,
        version: 513,
        opaque,
        flag: Flag(Flag::RESPONSE),
        remark: None,
        ext: fields,
        serialize: SerializeType::Json,
        body,
    }
}

/// Connected with one name server on connection 1 and accepted by it.
fn registered(topics: &Topics) -> Registration {
    let mut registration = Registration::new(config("ns:9876"));
    registration.handle_start(now(0), topics);
    assert!(registration.handle_dialed(now(0), "ns:9876", Ok(PeerId(1)), topics));
    registration.handle_response(now(0), PeerId(1), &answer(1, ResponseCode::Success, &[], b""), topics);
    drain(&mut registration);
    registration
}

#[test]
fn a_list_of_name_servers_is_split_at_semicolons() {
    let split = |list| RegistrationConfig::addresses(list).iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(split(" a:1; b:2 ;;a:1"), ["a:1", "b:2"]);
    assert!(split("").is_empty());
}

#[test]
fn every_name_server_is_told_everything_once_it_is_connected() {
    let topics = Topics(vec!["T", "U"]);
    let mut registration = Registration::new(config("ns1:9876;ns2:9876"));
    registration.handle_start(now(0), &topics);
    assert_eq!(drain(&mut registration), ["dial ns1:9876", "dial ns2:9876"]);
    registration.handle_dialed(now(1), "ns2:9876", Ok(PeerId(2)), &topics);
    assert_eq!(drain(&mut registration), ["register 2 T,U"]);
}

#[test]
fn one_name_server_that_is_away_is_dialled_again_and_mentioned_once() {
    let topics = Topics(vec!["T", "U"]);
    let mut registration = Registration::new(config("ns:9876"));
    registration.handle_start(now(0), &topics);
    drain(&mut registration);
    registration.handle_dialed(now(1), "ns:9876", Err("refused"), &topics);
    assert_eq!(drain(&mut registration), ["name server ns:9876 cannot be reached: refused"]);
    let retry = registration.poll_timeout().expect("a new attempt");
    registration.handle_timeout(Now { mono: retry, ..now(0) }, &topics);
    registration.handle_dialed(Now { mono: retry, ..now(0) }, "ns:9876", Err("refused"), &topics);
    assert_eq!(drain(&mut registration), ["dial ns:9876"]);
}

#[test]
fn a_dial_of_somebody_else_is_left_to_him() {
    let topics = Topics(Vec::new());
    let mut registration = registered(&topics);
    assert!(!registration.handle_dialed(now(1), "other:1", Ok(PeerId(9)), &topics));
    assert!(!registration.handle_disconnected(now(1), PeerId(9)));
}

#[test]
fn the_request_has_the_fields_that_java_sends() {
    let topics = Topics(vec!["T", "U"]);
    let mut registration = Registration::new(config("ns:9876"));
    registration.handle_start(now(0), &topics);
    registration.handle_dialed(now(0), "ns:9876", Ok(PeerId(1)), &topics);
    let request = std::iter::from_fn(|| registration.poll_output()).find_map(|output| match output {
        Output::Request { request, .. } => Some(request),
        _ => None,
    });
    let request = request.expect("a registration");
    let crc = proto_core::record::body_crc(&request.body).to_string();
    let expected = [
        ("bodyCrc32", crc.as_str()),
        ("brokerAddr", "127.0.0.2:20911"),
        ("brokerId", "0"),
        ("brokerName", "broker-a"),
        ("clusterName", "DefaultCluster"),
        ("compressed", "false"),
        ("enableActingMaster", "false"),
        ("haServerAddr", "192.0.2.2:20912"),
    ];
    let fields = request.fields.expect("fields");
    assert_eq!(fields.iter().map(|(name, value)| (*name, &**value)).collect::<Vec<_>>(), expected);
    assert!(request.body.starts_with(br#"{"filterServerList":[],"topicConfigSerializeWrapper":{"dataVersion":{"counter":0,"#));
}

#[test]
fn a_broker_that_may_be_acted_for_says_how_long_it_may_be_silent() {
    let config = RegistrationConfig { enable_slave_acting_master: true, zone_name: Some("east".to_owned()), ..config("ns:9876") };
    let fields = register(&config, Bytes::new()).fields.expect("fields");
    assert!(fields.contains(&("enableActingMaster", "true".into())));
    assert!(fields.contains(&("heartbeatTimeoutMillis", "10000".into())));
    assert!(fields.contains(&("__ZONE_NAME", "east".into())));
}

#[test]
fn a_table_of_one_topic_is_announced_by_an_empty_registration() {
    let topics = Topics(vec!["only"]);
    let mut registration = Registration::new(config("ns:9876"));
    registration.handle_start(now(0), &topics);
    registration.handle_dialed(now(0), "ns:9876", Ok(PeerId(1)), &topics);
    assert_eq!(drain(&mut registration), ["dial ns:9876", "register 1 "]);
    registration.handle_response(now(1), PeerId(1), &answer(1, ResponseCode::Success, &[], b""), &topics);
    assert_eq!(drain(&mut registration), ["registered with name server ns:9876", "register 1 only"]);
}

#[test]
fn a_new_topic_is_told_at_once_and_alone() {
    let topics = Topics(vec!["T", "U", "New"]);
    let mut registration = registered(&topics);
    registration.handle_topics_changed(now(1), &["New".into()], &topics);
    assert_eq!(drain(&mut registration), ["register 1 New"]);
}

#[test]
fn the_period_is_kept_between_ten_seconds_and_a_minute() {
    for (period, kept) in [(1, 10_000), (30_000, 30_000), (600_000, 60_000)] {
        let topics = Topics(Vec::new());
        let mut registration = Registration::new(RegistrationConfig { period: Millis(period), ..config("ns:9876") });
        registration.handle_start(now(0), &topics);
        registration.handle_dialed(now(0), "ns:9876", Ok(PeerId(1)), &topics);
        registration.handle_response(now(0), PeerId(1), &answer(1, ResponseCode::Success, &[], b""), &topics);
        assert_eq!(registration.poll_timeout(), Some(Millis(kept)));
    }
}

#[test]
fn an_answer_tells_the_ordered_topics() {
    let topics = Topics(Vec::new());
    let mut registration = registered(&topics);
    registration.handle_timeout(now(30_000), &topics);
    let response = answer(2, ResponseCode::Success, &[], br#"{"table":{"T":"broker-a:2"}}"#);
    let result = registration.handle_response(now(30_001), PeerId(1), &response, &topics).expect("it is accepted");
    assert_eq!(result.order_topics, Some([("T".to_owned(), "broker-a:2".to_owned())].into()));
}

#[test]
fn an_answer_to_nothing_that_was_asked_is_ignored() {
    let topics = Topics(Vec::new());
    let mut registration = registered(&topics);
    let stale = answer(1, ResponseCode::Success, &[], b"");
    assert_eq!(registration.handle_response(now(1), PeerId(1), &stale, &topics), None);
    assert_eq!(registration.handle_response(now(1), PeerId(9), &stale, &topics), None);
}

#[test]
fn a_refusal_is_reported_with_its_reason() {
    let topics = Topics(Vec::new());
    let mut registration = registered(&topics);
    registration.handle_timeout(now(30_000), &topics);
    drain(&mut registration);
    let refusal = Command { remark: Some(Text::plain("register broker failed")), ..answer(2, ResponseCode::SystemError, &[], b"") };
    assert_eq!(registration.handle_response(now(30_001), PeerId(1), &refusal, &topics), None);
    assert_eq!(drain(&mut registration), ["name server ns:9876 refuses this broker with code 1: register broker failed"]);
}

#[test]
fn a_shutdown_takes_the_registration_back_and_ends() {
    let topics = Topics(Vec::new());
    let mut registration = registered(&topics);
    registration.handle_shutdown(now(5), &topics);
    assert_eq!(drain(&mut registration), ["UNREGISTER_BROKER 1"]);
    assert!(!registration.has_ended());
    registration.handle_response(now(6), PeerId(1), &answer(2, ResponseCode::Success, &[], b""), &topics);
    assert_eq!(drain(&mut registration), ["close 1"]);
    assert!(registration.has_ended());
}

#[test]
fn a_lost_connection_is_dialled_again_and_everything_told_anew() {
    let topics = Topics(vec!["T", "U"]);
    let mut registration = registered(&topics);
    assert!(registration.handle_disconnected(now(100), PeerId(1)));
    registration.handle_timeout(now(600), &topics);
    registration.handle_dialed(now(601), "ns:9876", Ok(PeerId(2)), &topics);
    assert_eq!(drain(&mut registration), ["name server ns:9876 has closed the connection", "dial ns:9876", "register 2 T,U"]);
}
