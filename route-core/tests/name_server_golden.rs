//! What brokers, clients and tools asked a Java name server, asked again.

use std::collections::BTreeSet;

use proto_core::{Command, Frame, FrameDecoder, frame::Decoded};
use route_core::{
    Millis, Now, Output, Peer, PeerId, Timestamp,
    name_server::{NameServer, NameServerConfig},
    output::ReplyBody,
};
use serde_json::Value;

fn bytes(hex: &Value) -> Vec<u8> {
    let hex = hex.as_str().expect("a hex text");
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex digits")).collect()
}

fn frame(bytes: &[u8]) -> Frame<'_> {
    match FrameDecoder::default().decode(bytes) {
        Ok(Decoded::Frame { frame, len }) if len == bytes.len() => frame,
        other => panic!("not one frame: {other:?}"),
    }
}

fn header(frame: Frame<'_>) -> Value {
    serde_json::from_slice(frame.header).expect("a JSON header")
}

/// Our answer as the bytes that would leave; a save is durable at once.
fn answer(server: &mut NameServer, command: &Command<'_>) -> Vec<u8> {
    let now = Now { mono: Millis(1), wall: Timestamp(1) };
    server.handle_request(now, Peer { id: PeerId(1), addr: ([127, 0, 0, 1], 4000).into(), from_here: false }, command);
    loop {
        match server.poll_output().expect("an answer") {
            Output::Reply { to: PeerId(1), opaque, reply } => {
                let mut out = Vec::new();
                reply.encode_header(opaque, &mut out);
                if let ReplyBody::Bytes(body) = &reply.body {
                    out.extend_from_slice(body);
                }
                return out;
            }
            Output::Persist { ticket, .. } => server.handle_persisted(now, ticket, Ok(())),
            Output::Notice { .. } => {}
            other => panic!("unexpected: {other:?}"),
        }
    }
}

/// What must be equal of two answers with this request's code: everything, but for what depends on the topics that the recording
/// broker had made by then.
fn comparable(code: i64, frame: Frame<'_>) -> (Value, Vec<u8>) {
    let mut header = header(frame);
    let mut body = frame.body.to_vec();
    match code {
        // How many topics there were.
        205 => header["extFields"]["wipeTopicCount"] = "some".into(),
        327 => header["extFields"]["addTopicCount"] = "some".into(),
        // Which topics there were; the shape stays.
        206 => {
            let list: Value = serde_json::from_slice(&body).expect("JSON");
            let names: BTreeSet<_> = list["topicList"].as_array().expect("a list").iter().map(Value::is_string).collect();
            assert_eq!(list.as_object().expect("an object").len(), 1);
            body = format!("{names:?}").into_bytes();
        }
        _ => {}
    }
    (header, body)
}

#[test]
fn every_recorded_request_is_answered_as_the_java_name_server_answered_it() {
    let now = Now { mono: Millis(0), wall: Timestamp(0) };
    let mut server = NameServer::new(now, NameServerConfig::default(), None).expect("there is no file to be wrong");
    let mut seen = BTreeSet::new();
    for line in include_str!("golden/name_server.jsonl").lines() {
        let exchange: Value = serde_json::from_str(line).expect("JSON");
        let code = exchange["code"].as_i64().expect("a code");
        let request = bytes(&exchange["request"]);
        let ours = answer(&mut server, &Command::decode(frame(&request)).expect("a command"));
        let java = bytes(&exchange["response"]);
        let ((our_header, our_body), (java_header, java_body)) = (comparable(code, frame(&ours)), comparable(code, frame(&java)));
        assert_eq!(our_header, java_header, "header of the answer to {code}");
        assert_eq!(String::from_utf8_lossy(&our_body), String::from_utf8_lossy(&java_body), "body of the answer to {code}");
        seen.insert(code);
    }
    assert_eq!(Vec::from_iter(seen), [100, 101, 102, 103, 104, 105, 106, 205, 206, 216, 327]);
}
