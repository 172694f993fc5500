//! Whatever peers send, in whatever order they come and go, a name server keeps its promises.

use proptest::prelude::*;
use proto_core::{Command, ExtFields, Flag, SerializeType, Text, code::RequestCode};
use route_core::{
    Millis, Now, Output, Peer, PeerId, Timestamp,
    name_server::{NameServer, NameServerConfig},
    output::ReplyBody,
};

const PEERS: u64 = 4;

#[derive(Clone, Debug)]
enum Step {
    Request { peer: u64, code: i32, fields: Vec<(&'static str, String)>, body: Vec<u8>, version: i32, oneway: bool },
    Disconnect { peer: u64 },
    Sleep { millis: u64 },
}

fn served() -> impl Strategy<Value = i32> {
    prop::sample::select(vec![
        100, 101, 102, 103, 103, 103, 103, 104, 105, 106, 205, 206, 216, 217, 219, 224, 304, 311, 322, 327, 901, 904, 10,
    ])
}

/// Names from a small stock, so that requests meet, and now and then anything.
fn value(name: &'static str) -> BoxedStrategy<String> {
    let stock: &'static [&'static str] = match name {
        "brokerId" => &["0", "1", "2", "-1", "9223372036854775807", "x"],
        "brokerAddr" => &["h:1", "h:2", "h:3"],
        "brokerName" => &["a", "b"],
        "clusterName" | "cluster" => &["C", "D"],
        "topic" => &["T", "U", "V"],
        "heartbeatTimeoutMillis" => &["0", "1000", "-5", "99999999999999999999"],
        _ => &["true", "false", "k", ""],
    };
    prop_oneof![9 => prop::sample::select(stock).prop_map(str::to_owned), 1 => ".{0,12}".prop_map(String::from)].boxed()
}

const NAMES: [&str; 14] = [
    "brokerId",
    "brokerAddr",
    "brokerName",
    "clusterName",
    "cluster",
    "topic",
    "heartbeatTimeoutMillis",
    "enableActingMaster",
    "namespace",
    "key",
    "value",
    "__ZONE_NAME",
    "__ZONE_MODE",
    "compressed",
];

fn fields() -> impl Strategy<Value = Vec<(&'static str, String)>> {
    NAMES
        .map(|name| prop::option::weighted(if name == "compressed" { 0.05 } else { 0.9 }, value(name).prop_map(move |value| (name, value))))
        .to_vec()
        .prop_map(|fields| fields.into_iter().flatten().collect())
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    let topics = prop::collection::vec(prop::sample::select(vec!["T", "U", "V"]), 0..3);
    let registration = (topics, 0..3i64, 0..2i64).prop_map(|(topics, counter, state)| {
        let table: Vec<String> = topics.iter().map(|topic| format!(r#""{topic}":{{"topicName":"{topic}"}}"#)).collect();
        let version = format!(r#"{{"counter":{counter},"stateVersion":{state},"timestamp":1}}"#);
        let wrapper = format!(r#"{{"dataVersion":{version},"topicConfigTable":{{{}}}}}"#, table.join(","));
        format!(r#"{{"filterServerList":[],"topicConfigSerializeWrapper":{wrapper}}}"#).into_bytes()
    });
    prop_oneof![
        8 => registration,
        1 => Just(br#"{"queueDatas":[{"brokerName":"a","perm":6}],"counter":1}"#.to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..40),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let request = (0..PEERS, served(), fields(), body(), prop_oneof![Just(513), Just(400), any::<i32>()], prop::bool::weighted(0.1));
    prop_oneof![
        8 => request.prop_map(|(peer, code, fields, body, version, oneway)| Step::Request { peer, code, fields, body, version, oneway }),
        1 => (0..PEERS).prop_map(|peer| Step::Disconnect { peer }),
        1 => (0..200_000u64).prop_map(|millis| Step::Sleep { millis }),
    ]
}

/// A server under test, with the world around it.
struct World {
    server: NameServer,
    now: u64,
    log: Vec<String>,
    answers: usize,
}

impl World {
    fn new() -> Self {
        let config = NameServerConfig { notify_min_broker_id_changed: true, support_acting_master: true, ..NameServerConfig::default() };
        let server = NameServer::new(Self::at(0), config, None).expect("there is no file to be wrong");
        Self { server, now: 0, log: Vec::new(), answers: 0 }
    }

    fn at(ms: u64) -> Now {
        Now { mono: Millis(ms), wall: Timestamp(0) }
    }

    fn run(&mut self, step: &Step) {
        match step {
            Step::Request { peer, code, fields, body, version, oneway } => self.request(*peer, *code, fields, body, *version, *oneway),
            Step::Disconnect { peer } => self.server.handle_disconnected(Self::at(self.now), PeerId(*peer)),
            Step::Sleep { millis } => self.sleep(*millis),
        }
        self.drain();
    }

    fn request(&mut self, peer: u64, code: i32, fields: &[(&'static str, String)], body: &[u8], version: i32, oneway: bool) {
        let mut ext = ExtFields::default();
        for (name, value) in fields {
            assert!(ext.push(Text::plain(name), Some(Text::plain(value))));
        }
        let flag = Flag(if oneway { Flag::ONEWAY } else { 0 });
        let command = Command { code, language: None, version, opaque: 1, flag, remark: None, ext, serialize: SerializeType::Json, body };
        let before = self.answers;
        let peer = Peer { id: PeerId(peer), addr: ([127, 0, 0, 1], 1).into(), from_here: false };
        self.server.handle_request(Self::at(self.now), peer, &command);
        self.drain();
        assert_eq!(self.answers - before, usize::from(!oneway), "one answer to each request that wants one: {command:?}");
    }

    fn sleep(&mut self, millis: u64) {
        let end = self.now + millis;
        while let Some(due) = self.server.poll_timeout().filter(|due| due.0 <= end) {
            self.server.handle_timeout(Self::at(due.0));
            assert!(self.server.poll_timeout() != Some(due), "a timeout that is served is over");
        }
        self.now = end;
    }

    fn drain(&mut self) {
        while let Some(output) = self.server.poll_output() {
            self.log.push(format!("{output:?}"));
            match output {
                Output::Reply { .. } => self.answers += 1,
                Output::Persist { ticket, .. } => self.server.handle_persisted(Self::at(self.now), ticket, Ok(())),
                Output::Dial { address } => self.server.handle_dialed(Self::at(self.now), &address, Err("away")),
                _ => {}
            }
        }
    }

    /// The body of an answer that needs no fields.
    fn ask(&mut self, code: RequestCode) -> String {
        let command = Command {
            code: code.code(),
            language: None,
            version: 513,
            opaque: 1,
            flag: Flag(0),
            remark: None,
            ext: ExtFields::default(),
            serialize: SerializeType::Json,
            body: b"",
        };
        self.server.handle_request(
            Self::at(self.now),
            Peer { id: PeerId(99), addr: ([127, 0, 0, 1], 1).into(), from_here: false },
            &command,
        );
        match self.server.poll_output() {
            Some(Output::Reply { reply, .. }) => match reply.body {
                ReplyBody::Bytes(bytes) => String::from_utf8(bytes.to_vec()).expect("text"),
                other => panic!("no body: {other:?}"),
            },
            other => panic!("no answer: {other:?}"),
        }
    }
}

proptest! {
    #[test]
    fn every_request_is_answered_once_and_the_same_inputs_give_the_same_outputs(steps in prop::collection::vec(step(), 0..60)) {
        let logs = [World::new(), World::new()].map(|mut world| {
            steps.iter().for_each(|step| world.run(step));
            world.log
        });
        prop_assert_eq!(&logs[0], &logs[1]);
    }

    #[test]
    fn nothing_is_left_when_all_connections_are_gone(steps in prop::collection::vec(step(), 0..60)) {
        let mut world = World::new();
        steps.iter().for_each(|step| world.run(step));
        (0..PEERS).for_each(|peer| world.run(&Step::Disconnect { peer }));
        prop_assert_eq!(world.ask(RequestCode::GetBrokerClusterInfo), r#"{"brokerAddrTable":{},"clusterAddrTable":{}}"#);
        prop_assert_eq!(world.ask(RequestCode::GetAllTopicListFromNameserver), r#"{"topicList":[]}"#);
    }

    #[test]
    fn who_falls_silent_is_gone_after_its_time(steps in prop::collection::vec(step(), 0..40)) {
        let mut world = World::new();
        steps.iter().for_each(|step| world.run(step));
        world.run(&Step::Sleep { millis: 130_000 });
        prop_assert_eq!(world.ask(RequestCode::GetBrokerClusterInfo), r#"{"brokerAddrTable":{},"clusterAddrTable":{}}"#);
    }
}
