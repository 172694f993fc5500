//! What a machine wants the world to do.

use std::{borrow::Cow, net::SocketAddr, sync::Arc};

use bytes::Bytes;
use proto_core::{
    Flag,
    code::{RequestCode, ResponseCode},
    encode::{EncodeExt, ExtWriter, Head, encode_frame},
    ids::OffsetMessageId,
};
use smallvec::SmallVec;

use crate::{
    storage::{LogOffset, LogRange},
    table_content::TableContent,
};

/// A connection, numbered by the runtime; numbers are never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(pub u64);

/// Who is speaking: the connection and the address at its other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The connection.
    pub id: PeerId,
    /// Its remote address, as records and error texts show it.
    pub addr: SocketAddr,
    /// Whether a process of this machine is at the other end. The connection says it, which has the same address at both ends then, or a loopback
    /// one; no setting does, since the address that a broker is known by may be that of a gateway for everybody.
    pub from_here: bool,
}

/// An answer that waits for something, and whom it is for.
#[derive(Debug)]
pub struct ParkedReply {
    /// Whom it goes to.
    pub to: PeerId,
    /// The number of the request.
    pub opaque: i32,
    /// What to say when the wait is over.
    pub reply: Reply,
}

impl From<ParkedReply> for Output {
    fn from(ParkedReply { to, opaque, reply }: ParkedReply) -> Self {
        Self::Reply { to, opaque, reply }
    }
}

impl Output {
    /// Closes a connection that was dialled and is not needed any more.
    #[must_use]
    pub const fn unwanted(peer: PeerId) -> Self {
        Self::Close { peer, reason: Cow::Borrowed("it was dialled, and by now nobody needs it") }
    }
}

/// One thing to do. Drained with `poll_output` until it is empty, in this order.
#[derive(Debug)]
pub enum Output {
    /// Answer a request.
    Reply {
        /// Whom.
        to: PeerId,
        /// The number of the request.
        opaque: i32,
        /// The answer; [`Reply::encode_header`] makes its bytes.
        reply: Reply,
    },
    /// Send a request of our own on a connection that exists.
    Request {
        /// Whom.
        to: PeerId,
        /// Our number for it; a response with this number comes back through `handle_response`.
        opaque: i32,
        /// What to ask.
        request: Request,
    },
    /// Open a connection; the outcome comes back through `handle_dialed`.
    Dial {
        /// `host:port`.
        address: Arc<str>,
    },
    /// Close a connection, after what was already written to it has left.
    Close {
        /// Which.
        peer: PeerId,
        /// For the log line.
        reason: Cow<'static, str>,
    },
    /// Put a table on disk, whole. `handle_persisted` brings the ticket back when it is durable.
    Persist {
        /// Number of this save.
        ticket: Ticket,
        /// Which table.
        table: Table,
        /// The file's new content.
        content: TableContent,
    },
    /// Change settings as a request wants it; `handle_configured` brings back what has come of it.
    Configure {
        /// Whom the answer goes to, and under which number; `None` if nobody waits for one.
        asked: Option<(PeerId, i32)>,
        /// The keys with their new values, a properties file.
        properties: Bytes,
    },
    /// Change what plugins are installed; `handle_plugin_changed` brings back what has come of it.
    ChangePlugin {
        /// Whom the answer goes to, and under which number; `None` if nobody waits for one.
        asked: Option<(PeerId, i32)>,
        /// Name of the plugin.
        name: Arc<str>,
        /// What is to become of it.
        change: PluginChange,
    },
    /// Something an operator wants to read in the log.
    Notice {
        /// How bad it is.
        level: NoticeLevel,
        /// One line that names peer and cause.
        text: String,
    },
}

/// The number of a save; answers that depend on it wait for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// The tables that a machine keeps on disk, each a file of RocketMQ's; nearly all are JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// `config/topics.json`
    Topics,
    /// `config/subscriptionGroup.json`
    SubscriptionGroups,
    /// `config/consumerOffset.json`
    ConsumerOffsets,
    /// `config/delayOffset.json`. What it calls delivered must be on disk before it is.
    DelayOffsets,
    /// `config/timercheck`, which is binary. What it calls delivered must be on disk before it is.
    TimerCheckpoint,
    /// `config/consumerFilter.json`
    ConsumerFilters,
    /// `config/messageRequestMode.json`
    RequestModes,
    /// `config/transactionMetrics`
    TransactionMetrics,
    /// `config/plugins.json`, which is Petrel's own
    Bindings,
    /// The name server's `kvConfig.json`
    KvConfig,
    /// The settings that requests have changed, a properties file: of a broker `broker.conf` or `config/broker.properties`, of a name server
    /// likewise. What else stands in the file stays.
    Settings,
}

/// What is to become of a plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PluginChange {
    /// It is to be this, if this can be used.
    Install {
        /// Its file.
        file: Bytes,
        /// What becomes of messages that it fails on, in the host's words; empty leaves that as it is.
        policy: Box<str>,
    },
    /// It may be used again.
    Enable,
    /// It may not be used, and stays.
    Disable,
    /// It is to be gone.
    Remove,
}

/// How bad a notice is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NoticeLevel {
    /// Somebody must act.
    Error,
    /// Somebody should look.
    Warn,
    /// Good to know.
    Info,
    /// For debugging.
    Debug,
}

/// An answer as a value. Its bytes are made once, straight into the connection's write buffer.
#[derive(Debug)]
pub struct Reply {
    /// The response code.
    pub code: ResponseCode,
    /// Error text or status name; clients match on some of them.
    pub remark: Option<Cow<'static, str>>,
    /// The typed response header.
    pub header: ReplyHeader,
    /// The body.
    pub body: ReplyBody,
}

/// The response headers; the frequent ones are typed and allocate nothing.
#[derive(Debug)]
pub enum ReplyHeader {
    /// No `extFields` member at all.
    Absent,
    /// An empty `extFields` object, where clients read it without looking.
    Empty,
    /// Answer to a send.
    Send(SendReply),
    /// Answer to a pull.
    Pull(PullReply),
    /// One field that holds an offset: queries of offsets.
    Offset(i64),
    /// Any other fields, in this order.
    Fields(Vec<(&'static str, Cow<'static, str>)>),
}

/// Header of an answer to a send.
#[derive(Debug)]
pub struct SendReply {
    /// What refused sends carry too: region and trace switch.
    pub region: Arc<str>,
    /// Value of `TRACE_ON`.
    pub trace_on: bool,
    /// Absent if nothing was stored.
    pub stored: Option<SendStored>,
}

/// Where a sent message was stored, as its producer is told.
#[derive(Debug)]
pub struct SendStored {
    /// Address part of the message ids.
    pub store_host: SocketAddr,
    /// One log offset for each message: several for a batch.
    pub offsets: SmallVec<[LogOffset; 1]>,
    /// Queue number in the topic.
    pub queue_id: i32,
    /// Queue offset of the first message.
    pub queue_offset: i64,
    /// The client's unique key; Java answers it as `transactionId`.
    pub transaction_id: UniqueKey,
    /// What takes a timed message back.
    pub recall_handle: Option<Box<str>>,
}

/// A message's unique key, inline: 32 or 56 hexadecimal digits as clients make them, longer ones are not mirrored.
pub type UniqueKey = SmallVec<[u8; 64]>;

/// Header of an answer to a pull.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PullReply {
    /// Broker id to pull from next time.
    pub suggest_which_broker_id: i64,
    /// Offset to pull from next.
    pub next_begin_offset: i64,
    /// First offset of the queue.
    pub min_offset: i64,
    /// One past the last offset of the queue.
    pub max_offset: i64,
    /// The topic's system flag.
    pub topic_sys_flag: i32,
    /// The group's system flag.
    pub group_sys_flag: i32,
}

/// The body of an answer.
#[derive(Debug, Default)]
pub enum ReplyBody {
    /// None.
    #[default]
    Empty,
    /// Ready bytes, usually JSON.
    Bytes(Bytes),
    /// Stored records, to be sent from the log without a copy. The list goes back to the machine with `recycle`.
    Records(Vec<LogRange>),
}

/// A request of our own: to a client (all oneway) or to a name server.
#[derive(Debug)]
pub struct Request {
    /// What is asked.
    pub code: RequestCode,
    /// Whether no response is wanted.
    pub oneway: bool,
    /// The header's fields; `None` leaves `extFields` out.
    pub fields: Option<Vec<(&'static str, Cow<'static, str>)>>,
    /// The body.
    pub body: Bytes,
}

impl Reply {
    /// A bare success.
    #[must_use]
    pub const fn ok() -> Self {
        Self { code: ResponseCode::Success, remark: None, header: ReplyHeader::Absent, body: ReplyBody::Empty }
    }

    /// An error with its text.
    #[must_use]
    pub fn error(code: ResponseCode, remark: impl Into<Cow<'static, str>>) -> Self {
        Self { code, remark: Some(remark.into()), header: ReplyHeader::Absent, body: ReplyBody::Empty }
    }

    /// A success with a body.
    #[must_use]
    pub const fn with_body(body: Bytes) -> Self {
        Self { code: ResponseCode::Success, remark: None, header: ReplyHeader::Absent, body: ReplyBody::Bytes(body) }
    }

    /// The protocol's answer to a code that is not served (Java's text, leading space included).
    #[must_use]
    pub fn not_supported(code: i32) -> Self {
        Self::error(ResponseCode::RequestCodeNotSupported, format!(" request type {code} not supported"))
    }

    /// Appends the answer's frame up to its body, which follows with [`Self::body_len`] bytes.
    pub fn encode_header(&self, opaque: i32, out: &mut Vec<u8>) {
        let head = Head { code: self.code.code(), opaque, flag: Flag(Flag::RESPONSE), remark: self.remark.as_deref() };
        let ext = if matches!(self.header, ReplyHeader::Absent) { None } else { Some(&self.header) };
        encode_frame(out, &head, ext, self.body_len());
    }

    /// Length of the body in bytes.
    #[must_use]
    pub fn body_len(&self) -> usize {
        match &self.body {
            ReplyBody::Empty => 0,
            ReplyBody::Bytes(bytes) => bytes.len(),
            ReplyBody::Records(ranges) => ranges.iter().map(|range| range.len as usize).sum(),
        }
    }
}

impl EncodeExt for ReplyHeader {
    fn encode_ext(&self, out: &mut ExtWriter<'_>) {
        match self {
            Self::Absent | Self::Empty => {}
            Self::Send(send) => send.encode_ext(out),
            Self::Pull(pull) => pull.encode_ext(out),
            Self::Offset(offset) => out.number("offset", *offset),
            Self::Fields(fields) => fields.iter().for_each(|(name, value)| out.text(name, value)),
        }
    }
}

impl EncodeExt for SendReply {
    fn encode_ext(&self, out: &mut ExtWriter<'_>) {
        if let Some(stored) = &self.stored {
            out.number("queueId", stored.queue_id.into());
            if let Ok(id) = str::from_utf8(&stored.transaction_id)
                && !id.is_empty()
            {
                out.text("transactionId", id);
            }
            out.ascii("msgId", |out| {
                for (index, offset) in stored.offsets.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    OffsetMessageId { host: stored.store_host, offset: offset.0 }.write(out);
                }
            });
            out.number("queueOffset", stored.queue_offset);
            if let Some(handle) = &stored.recall_handle {
                out.text("recallHandle", handle);
            }
        }
        out.boolean("TRACE_ON", self.trace_on);
        out.text("MSG_REGION", &self.region);
    }
}

impl EncodeExt for PullReply {
    fn encode_ext(&self, out: &mut ExtWriter<'_>) {
        out.number("suggestWhichBrokerId", self.suggest_which_broker_id);
        out.number("groupSysFlag", self.group_sys_flag.into());
        out.number("nextBeginOffset", self.next_begin_offset);
        out.number("maxOffset", self.max_offset);
        out.number("minOffset", self.min_offset);
        out.number("topicSysFlag", self.topic_sys_flag.into());
    }
}

impl Request {
    /// Appends the request's frame up to its body.
    pub fn encode_header(&self, opaque: i32, out: &mut Vec<u8>) {
        let flag = Flag(if self.oneway { Flag::ONEWAY } else { 0 });
        let head = Head { code: self.code.code(), opaque, flag, remark: None };
        encode_frame(out, &head, self.fields.as_ref().map(|fields| Fields(fields)).as_ref(), self.body.len());
    }
}

/// Fields as they are listed.
struct Fields<'a>(&'a [(&'static str, Cow<'static, str>)]);

impl EncodeExt for Fields<'_> {
    fn encode_ext(&self, out: &mut ExtWriter<'_>) {
        self.0.iter().for_each(|(name, value)| out.text(name, value));
    }
}
