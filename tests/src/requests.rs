//! The requests that clients make, with the fields that the Java client sends, written here by hand: a mistake in the typed headers of the
//! code under test cannot hide in its own mirror.

use std::{borrow::Cow, collections::BTreeMap};

use proto_core::{
    code::RequestCode,
    encode::{EncodeExt, ExtWriter},
    properties,
    record::RecordView,
};

use crate::{
    client::TestClient,
    cluster::{Cluster, NodeId},
    packet::{Fields, Packet},
};

/// A message to send; what is left at its default is what a plain producer sends.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// Its topic.
    pub topic: &'a str,
    /// The queue that the producer chose.
    pub queue: i32,
    /// Its body.
    pub body: &'a str,
    /// Its properties.
    pub properties: &'a [(&'a str, &'a str)],
    /// How often it has failed, if a consumer sends it back as a message of its own.
    pub reconsume_times: i32,
    /// How often it may fail, if its sender says so.
    pub max_reconsume_times: Option<i32>,
    /// Whether the body holds several messages.
    pub batch: bool,
}

impl<'a> Message<'a> {
    /// A message without properties in queue 0.
    #[must_use]
    pub const fn new(topic: &'a str, body: &'a str) -> Self {
        Self { topic, queue: 0, body, properties: &[], reconsume_times: 0, max_reconsume_times: None, batch: false }
    }

    /// The same in another queue.
    #[must_use]
    pub const fn in_queue(self, queue: i32) -> Self {
        Self { queue, ..self }
    }

    /// The same with properties.
    #[must_use]
    pub const fn with(self, properties: &'a [(&'a str, &'a str)]) -> Self {
        Self { properties, ..self }
    }
}

impl Message<'_> {
    /// The fields of request 310.
    #[must_use]
    pub fn fields(&self) -> Vec<(&'static str, Cow<'static, str>)> {
        let properties: String = self.properties.iter().map(|(name, value)| format!("{name}\u{1}{value}\u{2}")).collect();
        let mut fields: Vec<(&'static str, Cow<'static, str>)> = vec![
            ("a", "producers".into()),
            ("b", self.topic.to_owned().into()),
            ("c", "TBW102".into()),
            ("d", "4".into()),
            ("e", self.queue.to_string().into()),
            ("f", "0".into()),
            ("g", "1700000000000".into()),
            ("h", "0".into()),
            ("i", properties.into()),
            ("j", self.reconsume_times.to_string().into()),
            ("k", "false".into()),
        ];
        fields.extend(self.max_reconsume_times.map(|max| ("l", max.to_string().into())));
        fields.push(("m", self.batch.to_string().into()));
        fields.push(("n", "broker-a".into()));
        fields
    }
}

impl EncodeExt for Message<'_> {
    fn encode_ext(&self, out: &mut ExtWriter<'_>) {
        self.fields().iter().for_each(|(name, value)| out.text(name, value));
    }
}

/// A pull.
#[derive(Clone, Copy, Debug)]
pub struct Pull<'a> {
    /// The consumer's group.
    pub group: &'a str,
    /// The topic.
    pub topic: &'a str,
    /// The queue.
    pub queue: i32,
    /// The first offset that is wanted.
    pub from: i64,
    /// At most so many messages.
    pub max: i32,
    /// The expression; `None` means the one in the group's heartbeat.
    pub tags: Option<&'a str>,
    /// Its language, `TAG` or `SQL92`.
    pub language: &'a str,
    /// How many milliseconds the broker may hold the pull; 0 is not at all.
    pub suspend: i64,
    /// An offset to commit along the way.
    pub commit: Option<i64>,
    /// Version of the subscription that the consumer has.
    pub sub_version: i64,
}

impl<'a> Pull<'a> {
    /// Everything from an offset on, now.
    #[must_use]
    pub const fn new(group: &'a str, topic: &'a str, from: i64) -> Self {
        Self { group, topic, queue: 0, from, max: 32, tags: Some("*"), language: "TAG", suspend: 0, commit: None, sub_version: 0 }
    }

    /// The same with other tags.
    #[must_use]
    pub const fn tagged(self, tags: &'a str) -> Self {
        Self { tags: Some(tags), ..self }
    }

    /// The same with an expression of SQL92.
    #[must_use]
    pub const fn matching(self, expression: &'a str) -> Self {
        Self { tags: Some(expression), language: "SQL92", ..self }
    }

    /// The same by what the group's heartbeat of this version wants.
    #[must_use]
    pub const fn as_subscribed(self, sub_version: i64) -> Self {
        Self { tags: None, sub_version, ..self }
    }

    /// The same, but it may be held.
    #[must_use]
    pub const fn held_for(self, suspend: i64) -> Self {
        Self { suspend, ..self }
    }

    /// The same for another queue.
    #[must_use]
    pub const fn in_queue(self, queue: i32) -> Self {
        Self { queue, ..self }
    }
}

impl Pull<'_> {
    /// The fields of request 11.
    #[must_use]
    pub fn fields(&self) -> Vec<(&'static str, Cow<'static, str>)> {
        let commit = i64::from(self.commit.is_some());
        let suspend = if self.suspend > 0 { 2 } else { 0 };
        let subscription = if self.tags.is_some() { 4 } else { 0 };
        let mut fields: Vec<(&'static str, Cow<'static, str>)> = vec![
            ("consumerGroup", self.group.to_owned().into()),
            ("topic", self.topic.to_owned().into()),
            ("queueId", self.queue.to_string().into()),
            ("queueOffset", self.from.to_string().into()),
            ("maxMsgNums", self.max.to_string().into()),
            ("sysFlag", (commit | suspend | subscription).to_string().into()),
            ("commitOffset", self.commit.unwrap_or(0).to_string().into()),
            ("suspendTimeoutMillis", self.suspend.to_string().into()),
        ];
        fields.extend(self.tags.map(|tags| ("subscription", tags.to_owned().into())));
        fields.push(("subVersion", self.sub_version.to_string().into()));
        fields.push(("expressionType", self.language.to_owned().into()));
        fields.push(("maxMsgBytes", "262144".into()));
        fields
    }
}

impl EncodeExt for Pull<'_> {
    fn encode_ext(&self, out: &mut ExtWriter<'_>) {
        self.fields().iter().for_each(|(name, value)| out.text(name, value));
    }
}

/// A heartbeat's content.
#[derive(Clone, Copy, Debug)]
pub struct Heartbeat<'a> {
    /// The client's id.
    pub client: &'a str,
    /// The group it consumes in.
    pub group: &'a str,
    /// Topic and expression of each subscription.
    pub subscriptions: &'a [(&'a str, &'a str)],
    /// The language of the expressions, `TAG` or `SQL92`.
    pub language: &'a str,
    /// Version of the subscriptions.
    pub version: i64,
    /// `CLUSTERING` or `BROADCASTING`.
    pub model: &'a str,
}

impl<'a> Heartbeat<'a> {
    /// A clustering consumer.
    #[must_use]
    pub const fn consumer(client: &'a str, group: &'a str, subscriptions: &'a [(&'a str, &'a str)]) -> Self {
        Self { client, group, subscriptions, language: "TAG", version: 1, model: "CLUSTERING" }
    }

    /// The same with expressions of SQL92, in this version.
    #[must_use]
    pub const fn in_sql(self, version: i64) -> Self {
        Self { language: "SQL92", version, ..self }
    }

    /// Its body.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let subscription = |(topic, expression): &(&str, &str)| {
            let tags: Vec<&str> = expression.split("||").map(str::trim).filter(|tag| *tag != "*").collect();
            serde_json::json!({
                "classFilterMode": false, "codeSet": [], "expressionType": self.language,
                "subString": expression, "subVersion": self.version, "tagsSet": tags, "topic": topic,
            })
        };
        let body = serde_json::json!({
            "clientID": self.client,
            "consumerDataSet": [{
                "consumeFromWhere": "CONSUME_FROM_FIRST_OFFSET", "consumeType": "CONSUME_PASSIVELY", "groupName": self.group,
                "messageModel": self.model, "subscriptionDataSet": self.subscriptions.iter().map(subscription).collect::<Vec<_>>(),
                "unitMode": false,
            }],
            "heartbeatFingerprint": 0, "producerDataSet": [], "withoutSub": false,
        });
        body.to_string().into_bytes()
    }
}

/// A record as it came back.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// The topic it lies in.
    pub topic: String,
    /// Its queue.
    pub queue: i32,
    /// Its offset in the queue.
    pub offset: i64,
    /// Its place in the log.
    pub place: i64,
    /// When it was stored.
    pub stored_at: i64,
    /// Its body.
    pub body: String,
    /// Its properties.
    pub properties: BTreeMap<String, String>,
    /// How often it has failed.
    pub times: i32,
}

impl Packet {
    /// The records in the body of an answer to a pull.
    ///
    /// # Panics
    /// If there is something else in it, or a checksum does not hold.
    #[must_use]
    pub fn records(&self) -> Vec<Stored> {
        let mut records = Vec::new();
        let mut rest = self.body.as_slice();
        while let Some(size) = rest.first_chunk::<4>() {
            let (record, after) = rest.split_at(u32::from_be_bytes(*size) as usize);
            let view = RecordView::parse(record).expect("an answer holds whole records");
            view.verify_crc().expect("a body is what was sent");
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("tests send text");
            records.push(Stored {
                topic: view.topic().to_owned(),
                queue: view.queue_id(),
                offset: view.queue_offset(),
                place: view.physical_offset(),
                stored_at: view.store_timestamp(),
                body: text(view.body()),
                properties: properties::iter(view.properties()).map(|(name, value)| (text(name), text(value))).collect(),
                times: view.reconsume_times(),
            });
            rest = after;
        }
        records
    }

    /// The bodies of [`Self::records`].
    #[must_use]
    pub fn bodies(&self) -> Vec<String> {
        self.records().into_iter().map(|record| record.body).collect()
    }
}

impl TestClient {
    /// Sends a message and waits for its answer.
    #[track_caller]
    pub fn send(&self, cluster: &mut Cluster, broker: NodeId, message: &Message<'_>) -> Packet {
        self.call(cluster, broker, RequestCode::SendMessageV2.code(), message, message.body.as_bytes())
    }

    /// Pulls and waits for the answer.
    #[track_caller]
    pub fn pull(&self, cluster: &mut Cluster, broker: NodeId, pull: &Pull<'_>) -> Packet {
        self.call(cluster, broker, RequestCode::PullMessage.code(), pull, b"")
    }

    /// Leaves a pull at the broker.
    pub fn post_pull(&self, cluster: &mut Cluster, broker: NodeId, pull: &Pull<'_>) -> i32 {
        let opaque = self.post(cluster, broker, RequestCode::PullMessage.code(), pull, b"");
        cluster.drive();
        opaque
    }

    /// Tells a broker who this client is.
    #[track_caller]
    pub fn heartbeat(&self, cluster: &mut Cluster, broker: NodeId, heartbeat: &Heartbeat<'_>) -> Packet {
        self.call(cluster, broker, RequestCode::HeartBeat.code(), &Fields(&[]), &heartbeat.to_json())
    }

    /// Asks with a few fields and no body.
    #[track_caller]
    pub fn ask(&self, cluster: &mut Cluster, node: NodeId, code: RequestCode, fields: &[(&str, &str)]) -> Packet {
        self.call(cluster, node, code.code(), &Fields(fields), b"")
    }
}
