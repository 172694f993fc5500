//! Recorded conversations: what a client said to Java is said to the machines, and every answer is compared with Java's.
//!
//! Not compared are moments, places in the log and the numbers of machines; everything else has to be equal.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    net::SocketAddr,
    path::Path,
};

use proto_core::{
    Command,
    code::RequestCode,
    ext::ExtFields,
    frame::{Decoded, FrameDecoder},
    ids::OffsetMessageId,
    json,
    text::Text,
};
use route_core::{Millis, Timestamp};
use serde_json::Value;

use crate::{
    client::TestClient,
    cluster::{Cluster, NodeId},
    packet::Packet,
    requests::Stored,
};

/// The requests whose answers carry messages.
const ANSWERED_WITH_RECORDS: [RequestCode; 4] =
    [RequestCode::PullMessage, RequestCode::LitePullMessage, RequestCode::QueryMessage, RequestCode::ViewMessageById];

/// One line of a recording.
#[derive(Debug)]
struct Line {
    at: u64,
    connection: u64,
    to_names: bool,
    what: What,
}

#[derive(Debug)]
enum What {
    Connected,
    Closed,
    Said(Vec<u8>),
    Answered(Packet),
    /// A request of the broker's own.
    Asked(Packet),
    /// The client's answer to the last one.
    Confirmed(Packet),
}

/// A recorded conversation.
#[derive(Debug)]
pub struct Conversation {
    lines: Vec<Line>,
    keys_by_broker: bool,
    woke_late: bool,
}

/// A request of the recording and what became of it.
#[derive(Debug)]
struct Exchange {
    client: TestClient,
    opaque: i32,
    code: i32,
    expected: Packet,
}

impl Conversation {
    /// Reads one of `tests/golden`.
    ///
    /// # Panics
    /// If there is no such recording.
    #[must_use]
    pub fn read(name: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(name).with_extension("jsonl");
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self { lines: text.lines().map(read_line).collect(), keys_by_broker: false, woke_late: false }
    }

    /// The same for a client that leaves the unique keys of its messages to the broker, so that they cannot be equal.
    #[must_use]
    pub fn with_keys_by_broker(self) -> Self {
        Self { keys_by_broker: true, ..self }
    }

    /// The same where Java was slow to wake pulls that waited, and so gave them more than the message that woke them: the first of those
    /// messages will do.
    #[must_use]
    pub fn with_late_wakings(self) -> Self {
        Self { woke_late: true, ..self }
    }

    /// Says everything to a cluster at the recorded times and returns what differs, one difference a line.
    ///
    /// # Panics
    /// If a recorded place of a message was never told to the client.
    pub fn replay(&self, cluster: &mut Cluster, names: NodeId, broker: NodeId) -> String {
        let mut clients = BTreeMap::new();
        let mut exchanges: Vec<Exchange> = Vec::new();
        let mut asked: BTreeSet<(u64, i32)> = BTreeSet::new();
        let mut told: BTreeSet<(u64, i32)> = BTreeSet::new();
        let mut codes = BTreeMap::new();
        let start = self.lines.first().map_or(0, |line| line.at);
        let begun = cluster.now().mono;
        if let Some(wall) = self.begun_at() {
            cluster.set_wall_clock(wall);
        }
        for line in &self.lines {
            let due = begun + Millis(line.at - start);
            cluster.advance(due.saturating_sub(cluster.now().mono));
            let node = if line.to_names { names } else { broker };
            let client = *clients.entry(line.connection).or_insert_with(|| TestClient::new(cluster));
            match &line.what {
                What::Connected => {}
                What::Closed => client.disconnect(cluster, node),
                What::Said(frame) => {
                    let (code, opaque) = say(cluster, client, node, frame, &exchanges);
                    codes.insert((line.connection, opaque), code);
                }
                What::Answered(packet) => exchanges.push(Exchange {
                    client,
                    opaque: packet.opaque,
                    code: codes.get(&(line.connection, packet.opaque)).copied().unwrap_or(0),
                    expected: packet.clone(),
                }),
                What::Confirmed(packet) => {
                    let code = self.asked_code(line.connection, packet.opaque);
                    loop {
                        match client.next_request(cluster) {
                            Some(request) if request.code == code => {
                                client.respond(cluster, node, &request, packet.code, &packet.body);
                                break;
                            }
                            Some(request) => drop(told.insert((line.connection, request.code))),
                            None => panic!("connection {} has nothing to confirm: nobody has asked it {code}", line.connection),
                        }
                    }
                }
                What::Asked(packet) if self.is_confirmed(line.connection, packet.opaque) => {}
                What::Asked(packet) => {
                    asked.insert((line.connection, packet.code));
                }
            }
        }
        cluster.advance(Millis::from_secs(30));
        let mut differences = String::new();
        for exchange in &exchanges {
            let found = exchange.client.peek(cluster, exchange.opaque).cloned();
            self.compare(exchange, found.as_ref(), &mut differences);
        }
        for (connection, code) in asked {
            while let Some(request) = clients[&connection].next_request(cluster) {
                told.insert((connection, request.code));
            }
            if !told.contains(&(connection, code)) {
                let _ = writeln!(differences, "connection {connection} was never asked {code}");
            }
        }
        differences
    }

    /// Whether the client has answered this request of the broker's.
    fn is_confirmed(&self, connection: u64, opaque: i32) -> bool {
        let confirms = |what: &What| matches!(what, What::Confirmed(packet) if packet.opaque == opaque);
        self.lines.iter().any(|line| line.connection == connection && confirms(&line.what))
    }

    /// The code of the broker's request that the client has answered with this number.
    fn asked_code(&self, connection: u64, opaque: i32) -> i32 {
        let asked = self.lines.iter().filter(|line| line.connection == connection).find_map(|line| match &line.what {
            What::Asked(packet) if packet.opaque == opaque => Some(packet.code),
            _ => None,
        });
        asked.unwrap_or_else(|| panic!("connection {connection} answers {opaque}, which nobody has asked"))
    }

    /// What the clock showed when the recording began: each sent message carries the moment at which it was made.
    fn begun_at(&self) -> Option<Timestamp> {
        let start = self.lines.first()?.at;
        self.lines.iter().find_map(|line| {
            let What::Said(frame) = &line.what else { return None };
            let made: i64 = packet(frame).fields.get("g")?.parse().ok()?;
            Some(Timestamp(made.saturating_sub_unsigned(line.at - start)))
        })
    }

    fn compare(&self, exchange: &Exchange, found: Option<&Packet>, differences: &mut String) {
        let Exchange { code, opaque, expected, .. } = exchange;
        let mut differs = |what: &str, expected: &dyn std::fmt::Debug, found: &dyn std::fmt::Debug| {
            let _ = writeln!(differences, "request {code} number {opaque}, {what}: Java {expected:?}, here {found:?}");
        };
        let Some(found) = found else { return differs("answer", expected, &"none") };
        if expected.code != found.code {
            return differs("code", &(expected.code, &expected.remark), &(found.code, &found.remark));
        }
        let (java, here) = (remark(*code, expected), remark(*code, found));
        if java != here {
            differs("remark", &java, &here);
        }
        if self.woke_late && RequestCode::PullMessage.code() == *code {
            let (java, here) = (self.records(expected), self.records(found));
            if !here.is_empty() && java.len() > here.len() && java.starts_with(&here) {
                return;
            }
        }
        let (java, here) = (self.fields(expected), self.fields(found));
        if java != here || expected.has_fields != found.has_fields {
            differs("fields", &expected.has_fields.then_some(java), &found.has_fields.then_some(here));
        }
        if found.code == 0 && RequestCode::from_code(*code).is_some_and(|code| ANSWERED_WITH_RECORDS.contains(&code)) {
            let (java, here) = (self.records(expected), self.records(found));
            if java != here {
                differs("messages", &java, &here);
            }
        } else {
            let (java, here) = (body(expected), body(found));
            if java != here {
                differs("body", &java, &here);
            }
        }
    }

    /// The fields without what cannot be equal; of message ids only how many there are.
    fn fields(&self, packet: &Packet) -> BTreeMap<String, String> {
        let fields = packet.fields.iter().map(|(name, value)| {
            let value = match name.as_str() {
                "msgId" => format!("{} ids", value.split(',').count()),
                "timestamp" | "indexLastUpdateTimestamp" => "a moment".to_owned(),
                // The recorded broker held topics of which the conversation says nothing.
                "wipeTopicCount" | "addTopicCount" => "a count".to_owned(),
                "indexLastUpdatePhyoffset" => "a place".to_owned(),
                "transactionId" if self.keys_by_broker => "a key".to_owned(),
                _ => value.clone(),
            };
            (name.clone(), value)
        });
        fields.collect()
    }

    /// The messages without moments and places; the origin of a retried message is a place.
    fn records(&self, packet: &Packet) -> Vec<Stored> {
        let mut records = packet.records();
        for record in &mut records {
            record.place = 0;
            record.stored_at = 0;
            for (name, what) in [("ORIGIN_MESSAGE_ID", "an id"), ("TIMER_DEQUEUE_MS", "a moment")] {
                if let Some(value) = record.properties.get_mut(name) {
                    *value = what.to_owned();
                }
            }
            if self.keys_by_broker
                && let Some(key) = record.properties.get_mut("UNIQ_KEY")
            {
                *key = "a key".to_owned();
            }
        }
        records
    }
}

fn read_line(line: &str) -> Line {
    let value: Value = serde_json::from_str(line).expect("a recording is JSON lines");
    let what = match value["event"].as_str() {
        Some("connect") => What::Connected,
        Some(_) => What::Closed,
        None => {
            let body = match (value["text"].as_str(), value["hex"].as_str()) {
                (Some(text), _) => text.as_bytes().to_vec(),
                (None, Some(hex)) => unhex(hex),
                (None, None) => Vec::new(),
            };
            // Headers in the binary form stand there as they came, with the lengths before them.
            let frame = match value["frame"].as_str() {
                Some(head) => [unhex(head), body].concat(),
                None => frame(&value["header"].to_string(), &body),
            };
            let packet = packet(&frame);
            match (value["dir"] == "c2s", packet.flag.is_response()) {
                (true, false) => What::Said(frame),
                (true, true) => What::Confirmed(packet),
                (false, true) => What::Answered(packet),
                (false, false) => What::Asked(packet),
            }
        }
    };
    let number = |name: &str| value[name].as_u64().expect("a number");
    Line { at: number("t_ms"), connection: number("conn"), to_names: value["to"] == "namesrv", what }
}

fn unhex(hex: &str) -> Vec<u8> {
    (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[at * 2..at * 2 + 2], 16).expect("hex")).collect()
}

fn frame(header: &str, body: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    let len = |len: usize| u32::try_from(len).expect("frames are small").to_be_bytes();
    frame.extend(len(4 + header.len() + body.len()));
    frame.extend(len(header.len()));
    frame.extend(header.as_bytes());
    frame.extend(body);
    frame
}

fn packet(frame: &[u8]) -> Packet {
    match FrameDecoder::default().decode(frame) {
        Ok(Decoded::Frame { frame, .. }) => Packet::own(&Command::decode(frame).expect("Java's headers decode")),
        other => panic!("not a frame: {other:?}"),
    }
}

/// Sends a recorded request; a place in Java's log becomes the same message's place in ours.
fn say(cluster: &mut Cluster, client: TestClient, node: NodeId, frame: &[u8], exchanges: &[Exchange]) -> (i32, i32) {
    let said = packet(frame);
    let bytes = match RequestCode::from_code(said.code) {
        Some(RequestCode::ConsumerSendMsgBack) => {
            let place = said.number("offset");
            let ours = our_place(cluster, exchanges, place).unwrap_or_else(|| panic!("nobody was told of the message at {place}"));
            with_fields(frame, &[("offset", ours)])
        }
        Some(RequestCode::ViewMessageById) => {
            let place = said.number("offset");
            let ours = our_sent_place(cluster, exchanges, place).unwrap_or_else(|| panic!("nobody has sent the message at {place}"));
            with_fields(frame, &[("offset", ours)])
        }
        Some(RequestCode::EndTransaction) => {
            let (queue_offset, place) = our_half(cluster, exchanges, said.field("msgId")).expect("the half message was sent here too");
            with_fields(frame, &[("tranStateTableOffset", queue_offset), ("commitLogOffset", place)])
        }
        _ => frame.to_vec(),
    };
    client.expect_answer(cluster, said.opaque, said.flag);
    client.write_raw(cluster, node, bytes);
    (said.code, said.opaque)
}

/// A recorded request with other numbers in some of its fields.
fn with_fields(frame: &[u8], changed: &[(&str, i64)]) -> Vec<u8> {
    let Ok(Decoded::Frame { frame, .. }) = FrameDecoder::default().decode(frame) else { panic!("recorded frames are whole") };
    let command = Command::decode(frame).expect("Java's headers decode");
    let changed: Vec<_> = changed.iter().map(|(name, number)| (*name, number.to_string())).collect();
    let mut ext = ExtFields::present();
    for (name, value) in command.ext.iter() {
        let other = changed.iter().find(|(changed, _)| name == *changed).map(|(_, number)| Text::plain(number));
        assert!(ext.push(name, other.or(value)), "as many fields as before fit");
    }
    let mut bytes = Vec::new();
    Command { ext, ..command }.encode(&mut bytes).expect("as long as before");
    bytes
}

/// Where our broker has put the message that Java put at `place`, as it has told its producer.
fn our_sent_place(cluster: &mut Cluster, exchanges: &[Exchange], place: i64) -> Option<i64> {
    let offsets = |packet: &Packet| -> Vec<i64> {
        let ids = packet.fields.get("msgId").map_or("", String::as_str);
        ids.split(',').filter_map(|id| Some(OffsetMessageId::parse(id).ok()?.offset)).collect()
    };
    exchanges.iter().find_map(|exchange| {
        let at = offsets(&exchange.expected).iter().position(|offset| *offset == place)?;
        offsets(exchange.client.peek(cluster, exchange.opaque)?).get(at).copied()
    })
}

/// Offset and place of the half message with this key, as our broker has told them to its producer.
fn our_half(cluster: &mut Cluster, exchanges: &[Exchange], key: &str) -> Option<(i64, i64)> {
    let sent = exchanges.iter().find(|exchange| exchange.expected.fields.get("transactionId").is_some_and(|id| id == key))?;
    let answer = sent.client.peek(cluster, sent.opaque)?;
    let id = OffsetMessageId::parse(answer.field("msgId")).expect("a message id");
    Some((answer.number("queueOffset"), id.offset))
}

/// Finds a message that Java had at `place` among what our broker has answered so far.
fn our_place(cluster: &mut Cluster, exchanges: &[Exchange], place: i64) -> Option<i64> {
    let is_pull = |exchange: &&Exchange| exchange.code == RequestCode::PullMessage.code();
    let wanted = exchanges.iter().filter(is_pull).flat_map(|exchange| exchange.expected.records()).find(|record| record.place == place)?;
    for exchange in exchanges.iter().filter(is_pull) {
        let Some(answer) = exchange.client.peek(cluster, exchange.opaque) else { continue };
        let same = |record: &Stored| (&record.body, record.times) == (&wanted.body, wanted.times);
        if let Some(ours) = answer.records().into_iter().find(same) {
            return Some(ours.place);
        }
    }
    None
}

/// The remark, up to the client's address. Java leaves placeholders in some successes; only those of pulls say something.
fn remark(code: i32, packet: &Packet) -> Option<&str> {
    let speaks = packet.code != 0 || matches!(RequestCode::from_code(code), Some(RequestCode::PullMessage | RequestCode::LitePullMessage));
    let remark = packet.remark.as_deref().filter(|_| speaks)?;
    Some(remark.split_once(" Producer: ").map_or(remark, |(text, _)| text))
}

/// JSON as a value, lists of names and queues in order.
fn body(packet: &Packet) -> Value {
    if packet.body.is_empty() {
        return Value::Null;
    }
    let mut value: Value = json::from_slice(&packet.body).unwrap_or_else(|error| panic!("{}: {error}", packet.text()));
    for list in ["consumerIdList", "lockOKMQSet"] {
        if let Some(items) = value.get_mut(list).and_then(Value::as_array_mut) {
            items.sort_by_key(Value::to_string);
        }
    }
    hide_moments(&mut value);
    value
}

/// Moments, places, rates and addresses of clients differ from one run to the next.
fn hide_moments(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields.iter_mut() {
                match name.as_str() {
                    "lastUpdateTimestamp" | "lastTimestamp" if value.as_i64() != Some(0) => *value = "a moment".into(),
                    "physicOffset" => *value = "a place".into(),
                    "topicPutTps" => *value = "a rate".into(),
                    "clientAddr" => *value = "an address".into(),
                    _ => hide_moments(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(hide_moments),
        _ => {}
    }
}

/// The address under which the recorded broker told clients to reach it.
#[must_use]
pub fn recorded_broker() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 2], 20911))
}
