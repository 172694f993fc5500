use std::{borrow::Cow, net::SocketAddr};

use proto_core::{Flag, SerializeType, Text, code::ResponseCode, ext::ExtFields};

use super::*;
use crate::{
    broker::config::BrokerConfig,
    output::{Output, Peer, PeerId},
    storage::{NewMessage, TagsCode, memory::MemoryStorage},
    time::{Millis, Timestamp},
};

mod groups;
mod inspection;
mod lookup;
mod membership;
mod offsets;
mod plugins;
mod reset_offset;
mod runtime_info;
mod send_back;
mod settings;
mod topics;

/// A broker over a log in memory, and what it told its clients on its own.
struct Scene {
    broker: Broker<MemoryStorage>,
    now: Now,
    pushed: Vec<(u64, RequestCode)>,
    /// Changes of settings that the broker has asked for.
    wanted: Vec<Bytes>,
    /// What comes of the next one.
    configured: Option<Result<BrokerConfig, Refusal>>,
    /// Whether who asks sits at the broker's machine.
    from_here: bool,
}

/// An answer as a test looks at it.
struct Answered {
    code: ResponseCode,
    remark: String,
    fields: Vec<(&'static str, String)>,
    offset: Option<i64>,
    body: String,
    places: Vec<i64>,
}

impl Answered {
    /// Code and remark.
    fn outcome(&self) -> (ResponseCode, &str) {
        (self.code, &self.remark)
    }

    fn field(&self, name: &str) -> &str {
        self.fields.iter().find(|(field, _)| *field == name).map_or("", |(_, value)| value)
    }
}

impl Scene {
    fn new() -> Self {
        Self::with(BrokerConfig::default())
    }

    fn with(config: BrokerConfig) -> Self {
        let now = Now { mono: Millis(0), wall: Timestamp(1_000) };
        let broker = Broker::new(now, config, MemoryStorage::default()).unwrap();
        Self { broker, now, pushed: Vec::new(), wanted: Vec::new(), configured: None, from_here: false }
    }

    /// What connection 1 is answered.
    fn ask(&mut self, code: RequestCode, fields: &[(&str, &str)], body: &str) -> Answered {
        self.ask_as(1, code, fields, body)
    }

    /// A request of a connection; what follows from it is still to come.
    fn post_as(&mut self, peer: u64, code: RequestCode, fields: &[(&str, &str)], body: &str) {
        let mut ext = ExtFields::present();
        assert!(fields.iter().all(|(name, value)| ext.push(Text::plain(name), Some(Text::plain(value)))));
        let command = Command {
            code: code.code(),
            language: Some(proto_core::code::LanguageCode::Java),
            version: 513,
            opaque: 77,
            flag: Flag(0),
            remark: None,
            ext,
            serialize: SerializeType::Json,
            body: body.as_bytes(),
        };
        let addr = SocketAddr::from(([10, 0, 0, 1], 40_000));
        self.broker.handle_request(self.now, Peer { id: PeerId(peer), addr, from_here: self.from_here }, &command);
    }

    /// What a connection is answered; saves that the answer waits for succeed.
    fn ask_as(&mut self, peer: u64, code: RequestCode, fields: &[(&str, &str)], body: &str) -> Answered {
        self.post_as(peer, code, fields, body);
        let mut answer = None;
        while let Some(output) = self.broker.poll_output() {
            match output {
                Output::Reply { to, opaque, reply } => {
                    assert_eq!((to, opaque), (PeerId(peer), 77));
                    assert!(answer.replace(answered(reply)).is_none(), "one request, one answer");
                }
                Output::Persist { ticket, .. } => self.broker.handle_persisted(self.now, ticket, Ok(())),
                Output::Request { to, request, .. } => self.pushed.push((to.0, request.code)),
                Output::Configure { asked, properties } => {
                    let outcome = self.configured.take().expect("a test that changes settings says what comes of it");
                    self.wanted.push(properties);
                    self.broker.handle_configured(self.now, asked, outcome);
                }
                Output::ChangePlugin { .. } => panic!("no test here changes plugins"),
                Output::Dial { .. } | Output::Close { .. } | Output::Notice { .. } => {}
            }
        }
        answer.expect("every request is answered")
    }

    fn store(&mut self, topic: &str, queue_id: i32, at: i64) {
        self.store_with(topic, queue_id, at, "");
    }

    fn store_with(&mut self, topic: &str, queue_id: i32, at: i64, properties: &str) {
        let queue = self.broker.storage_mut().open_queue(topic, queue_id);
        let host = SocketAddr::from(([127, 0, 0, 1], 10911));
        let message = NewMessage {
            topic,
            queue_id,
            flag: 0,
            sys_flag: 0,
            born_timestamp: 0,
            born_host: host,
            store_host: host,
            reconsume_times: 0,
            prepared_transaction_offset: 0,
            body: b"body",
            properties: properties.as_bytes(),
            tags_code: TagsCode::Hash(0),
        };
        self.broker.storage_mut().append(Timestamp(at), queue, &message).unwrap();
    }

    fn make_topic(&mut self, topic: &str, queues: &str) {
        let made = self.ask(RequestCode::UpdateAndCreateTopic, &topics::wanted(topic, queues), "");
        assert_eq!(made.code, ResponseCode::Success, "{}", made.remark);
    }

    fn make_group(&mut self, group: &str) {
        let body = format!(r#"{{"groupName":"{group}"}}"#);
        let made = self.ask(RequestCode::UpdateAndCreateSubscriptiongroup, &[], &body);
        assert_eq!(made.code, ResponseCode::Success, "{}", made.remark);
    }
}

fn answered(reply: Reply) -> Answered {
    let (fields, offset) = match reply.header {
        ReplyHeader::Fields(fields) => (fields.into_iter().map(|(name, value)| (name, value.into_owned())).collect(), None),
        ReplyHeader::Offset(offset) => (Vec::new(), Some(offset)),
        _ => (Vec::new(), None),
    };
    let (body, places) = match reply.body {
        ReplyBody::Empty => (String::new(), Vec::new()),
        ReplyBody::Bytes(bytes) => (String::from_utf8(bytes.to_vec()).unwrap(), Vec::new()),
        ReplyBody::Records(ranges) => (String::new(), ranges.iter().map(|range| range.offset.0).collect()),
    };
    let remark = reply.remark.map(Cow::into_owned).unwrap_or_default();
    Answered { code: reply.code, remark, fields, offset, body, places }
}

#[test]
fn a_request_that_is_not_served_says_so() {
    let answer = Scene::new().ask(RequestCode::PopMessage, &[], "");
    assert_eq!(answer.outcome(), (ResponseCode::RequestCodeNotSupported, " request type 200050 not supported"));
}

#[test]
fn a_body_that_is_no_json_is_an_error_of_the_request_alone() {
    let mut scene = Scene::new();
    assert_eq!(scene.ask(RequestCode::HeartBeat, &[], "{\"clientID").code, ResponseCode::SystemError);
    assert_eq!(scene.ask(RequestCode::LockBatchMq, &[], "").code, ResponseCode::SystemError);
}

#[test]
fn a_connection_that_was_dialled_for_nothing_is_closed() {
    let mut scene = Scene::new();
    scene.broker.handle_dialed(scene.now, "10.0.0.9:9876", Ok(PeerId(5)));
    let outputs: Vec<_> = std::iter::from_fn(|| scene.broker.poll_output()).collect();
    assert!(matches!(&outputs[..], [Output::Close { peer: PeerId(5), .. }]), "{outputs:?}");
}

#[test]
fn a_page_begins_anew_when_the_caller_has_seen_another_version() {
    let current = DataVersion { counter: 3, state_version: 0, timestamp: 9 };
    let seen = r#"{"counter":3,"stateVersion":0,"timestamp":9}"#;
    assert_eq!(page(None, None, None, &current), None);
    assert_eq!(page(Some(40), Some(seen), Some(20), &current), Some((40, 20)));
    assert_eq!(page(Some(40), Some(""), Some(20), &current), Some((0, 20)));
    assert_eq!(page(Some(40), Some(r#"{"counter":2,"stateVersion":0,"timestamp":9}"#), Some(9_999), &current), Some((0, 2_000)));
    assert_eq!(page(Some(-5), Some(seen), Some(-1), &current), Some((0, 0)));
}
