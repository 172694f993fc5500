//! Why a client's request came to nothing.

use std::io;

use proto_core::{
    CommandError, FrameError,
    code::{RequestCode, ResponseCode},
    command::Command,
    headers::FieldError,
    json::JsonError,
    record::RecordError,
};
use thiserror::Error;

/// One line for the user: what was asked, of whom, and what went wrong.
#[derive(Debug, Error)]
pub enum ClientError {
    /// The text is no list of addresses.
    #[error("{0:?} is no address: HOST:PORT is needed, several with a semicolon between them")]
    BadAddress(String),
    /// Nobody answers the call.
    #[error("cannot connect to {address}: {source}")]
    Connect {
        /// Who was called.
        address: String,
        /// What the system says.
        source: io::Error,
    },
    /// No name server answers the call.
    #[error(
        "cannot connect to {address}: {source}; is a name server running there? Start one with `petrel standalone`, or name another \
         with -n HOST:PORT or NAMESRV_ADDR"
    )]
    NoNameServer {
        /// Who was called.
        address: String,
        /// What the system says.
        source: io::Error,
    },
    /// A socket failed.
    #[error("connection to {peer}: {source}")]
    Io {
        /// The other end.
        peer: String,
        /// What the system says.
        source: io::Error,
    },
    /// The other end hung up.
    #[error("{peer} closed the connection")]
    Closed {
        /// The other end.
        peer: String,
    },
    /// No answer came.
    #[error("{peer} did not answer {} within {millis} ms", request.name())]
    TimedOut {
        /// The other end.
        peer: String,
        /// What was asked.
        request: RequestCode,
        /// How long the answer was awaited, in ms.
        millis: u128,
    },
    /// Nothing has come for long.
    #[error("{peer} has answered nothing for {millis} ms")]
    Silent {
        /// The other end.
        peer: String,
        /// For how long, in ms.
        millis: u128,
    },
    /// What came cannot be cut into frames.
    #[error("{peer} does not speak RocketMQ: {source}")]
    Frame {
        /// The other end.
        peer: String,
        /// What is wrong.
        source: FrameError,
    },
    /// A frame came whose header cannot be read.
    #[error("{peer} sent a header that cannot be read: {source}")]
    Header {
        /// The other end.
        peer: String,
        /// What is wrong.
        source: CommandError,
    },
    /// The answer is no.
    #[error("{} failed with {}: {remark}", request.name(), code_name(*code))]
    Refused {
        /// What was asked.
        request: RequestCode,
        /// The code of the answer.
        code: i32,
        /// The first line of its remark.
        remark: String,
    },
    /// A field of an answer is no number.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// The body of an answer is not the JSON that was awaited.
    #[error("the answer to {} cannot be read: {source}", request.name())]
    Body {
        /// What was asked.
        request: RequestCode,
        /// What is wrong.
        source: JsonError,
    },
    /// A pulled message cannot be read.
    #[error("a message of queue {queue} cannot be read: {source}")]
    Record {
        /// The queue, `broker/number`.
        queue: String,
        /// What is wrong.
        source: RecordError,
    },
    /// The topic has no queue that may be used so.
    #[error("topic {topic} has no queue that can be {wanted}")]
    NoQueue {
        /// The topic.
        topic: String,
        /// `written` or `read`.
        wanted: &'static str,
    },
    /// An expression that names no tag.
    #[error("{0:?} names no tag: a tag is needed, or several with || between them")]
    Tags(String),
    /// A property that cannot be stored.
    #[error("property {name:?} cannot be sent: {reason}")]
    Property {
        /// Its name.
        name: String,
        /// Why not.
        reason: &'static str,
    },
}

impl ClientError {
    /// The error in an answer other than success.
    #[must_use]
    pub fn refused(request: RequestCode, answer: &Command<'_>) -> Self {
        let remark = answer.remark.map(|remark| remark.to_cow().into_owned()).unwrap_or_default();
        let line = remark.lines().next().unwrap_or_default();
        Self::Refused { request, code: answer.code, remark: if line.is_empty() { "no remark".to_owned() } else { line.to_owned() } }
    }

    /// Whether the other end is away or out of reach, so that it may help to try again later.
    #[must_use]
    pub const fn is_lost_connection(&self) -> bool {
        use ClientError::{Closed, Connect, Io, NoNameServer, Silent, TimedOut};
        matches!(self, Connect { .. } | NoNameServer { .. } | Io { .. } | Closed { .. } | TimedOut { .. } | Silent { .. })
    }

    /// Whether a name server said that it does not know the topic.
    #[must_use]
    pub fn is_unknown_topic(&self) -> bool {
        matches!(self, Self::Refused { request: RequestCode::GetRouteinfoByTopic, code, .. } if *code == ResponseCode::TopicNotExist.code())
    }
}

/// The name of a response code, with its number.
#[must_use]
pub fn code_name(code: i32) -> String {
    ResponseCode::from_code(code).map_or_else(|| format!("code {code}"), |known| format!("{} ({code})", known.name()))
}
