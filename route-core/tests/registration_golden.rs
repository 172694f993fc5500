//! A broker of ours with the topics of the recorded one sends the registrations that the Java broker sent.

use std::{collections::BTreeSet, sync::Arc};

use proto_core::{
    FrameDecoder,
    bodies::{RegisterBrokerBody, TopicConfigAndMappingSerializeWrapper},
    frame::Decoded,
    json,
};
use route_core::{
    Millis, Now, Output, PeerId, Timestamp,
    output::Request,
    registration::{Registration, RegistrationConfig, TopicSource},
};
use serde_json::Value;

/// The topics that one recorded registration named.
struct Recorded(TopicConfigAndMappingSerializeWrapper);

impl TopicSource for Recorded {
    fn all_topics(&self) -> TopicConfigAndMappingSerializeWrapper {
        self.0.clone()
    }

    fn some_topics(&self, names: &BTreeSet<Arc<str>>) -> TopicConfigAndMappingSerializeWrapper {
        let mut some = self.0.clone();
        some.topic_config_table.retain(|name, _| names.contains(name.as_str()));
        some
    }
}

const NOW: Now = Now { mono: Millis(0), wall: Timestamp(0) };

/// Header and body of a frame; the number of the request is not compared.
fn parts(frame: &[u8]) -> (Value, Vec<u8>) {
    let Ok(Decoded::Frame { frame, .. }) = FrameDecoder::default().decode(frame) else { panic!("not a frame") };
    let mut header: Value = serde_json::from_slice(frame.header).expect("JSON");
    header["opaque"] = 0.into();
    (header, frame.body.to_vec())
}

fn recorded(code: i64) -> Vec<(Value, Vec<u8>)> {
    include_str!("golden/name_server.jsonl")
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"))
        .filter(|exchange| exchange["code"] == code)
        .map(|exchange| {
            let hex = exchange["request"].as_str().expect("a hex text");
            let bytes: Vec<u8> =
                (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex digits")).collect();
            parts(&bytes)
        })
        .collect()
}

fn topics(body: &[u8]) -> Recorded {
    let body: RegisterBrokerBody = json::from_slice(body).expect("a body");
    Recorded(body.topic_config_serialize_wrapper)
}

/// The one request that comes out, as it would leave.
fn request(registration: &mut Registration) -> (Value, Vec<u8>) {
    let requests: Vec<(i32, Request)> = std::iter::from_fn(|| registration.poll_output())
        .filter_map(|output| match output {
            Output::Request { opaque, request, .. } => Some((opaque, request)),
            _ => None,
        })
        .collect();
    let [(opaque, request)] = &requests[..] else { panic!("not one request: {requests:?}") };
    let mut bytes = Vec::new();
    request.encode_header(*opaque, &mut bytes);
    bytes.extend_from_slice(&request.body);
    parts(&bytes)
}

fn accept(registration: &mut Registration, opaque: i32, topics: &Recorded) {
    let response = proto_core::Command {
        code: 0,
        language: None,
        version: 513,
        opaque,
        flag: proto_core::Flag(1),
        remark: None,
        ext: proto_core::ExtFields::default(),
        serialize: proto_core::SerializeType::Json,
        body: b"",
    };
    assert!(registration.handle_response(NOW, PeerId(1), &response, topics).is_some());
}

#[test]
fn full_and_incremental_registrations_and_the_farewell_are_those_of_the_java_broker() {
    let registrations = recorded(103);
    let [full, increments @ ..] = &registrations[..] else { panic!("nothing was recorded") };
    let mut registration = Registration::new(RegistrationConfig {
        name_servers: RegistrationConfig::addresses("ns:9876"),
        broker_name: "broker-a".to_owned(),
        broker_addr: "127.0.0.2:20911".to_owned(),
        ha_server_addr: "192.0.2.2:20912".to_owned(),
        ..RegistrationConfig::default()
    });
    let all = topics(&full.1);
    registration.handle_start(NOW, &all);
    registration.handle_dialed(NOW, "ns:9876", Ok(PeerId(1)), &all);
    assert_eq!(&request(&mut registration), full);
    accept(&mut registration, 1, &all);

    assert_eq!(increments.len(), 2);
    for (increment, opaque) in increments.iter().zip(2..) {
        let table = topics(&increment.1);
        let names: Vec<Arc<str>> = table.0.topic_config_table.keys().map(|name| Arc::from(name.as_str())).collect();
        registration.handle_topics_changed(NOW, &names, &table);
        assert_eq!(&request(&mut registration), increment);
        accept(&mut registration, opaque, &table);
    }

    registration.handle_shutdown(NOW, &all);
    assert_eq!(request(&mut registration), recorded(104)[0]);
}
