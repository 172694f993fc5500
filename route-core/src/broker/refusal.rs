//! Why a request is turned down: the code and the text of its answer.

use std::borrow::Cow;

use proto_core::{code::ResponseCode, names::FAQ_SUFFIX};

use crate::output::Reply;

/// A request that a small machine turns down; whoever asked it answers with this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The response code.
    pub code: ResponseCode,
    /// The remark; clients and tools match on some of them.
    pub remark: Cow<'static, str>,
}

impl Refusal {
    /// A refusal with its text.
    #[must_use]
    pub fn new(code: ResponseCode, remark: impl Into<Cow<'static, str>>) -> Self {
        Self { code, remark: remark.into() }
    }

    /// A parameter that is out of bounds (code 29).
    #[must_use]
    pub fn invalid(remark: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ResponseCode::InvalidParameter, remark)
    }

    /// What Java reports of an exception (code 1).
    #[must_use]
    pub fn system(remark: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ResponseCode::SystemError, remark)
    }

    /// A topic that does not exist and may not be made by using it (code 17).
    #[must_use]
    pub fn topic_missing(topic: &str) -> Self {
        Self::new(ResponseCode::TopicNotExist, format!("topic[{topic}] not exist, apply first please!{FAQ_SUFFIX}"))
    }

    /// A group that does not exist and may not be made by using it (code 26).
    #[must_use]
    pub fn group_missing(group: &str) -> Self {
        Self::new(ResponseCode::SubscriptionGroupNotExist, format!("subscription group not exist, {group} {FAQ_SUFFIX}"))
    }
}

impl From<Refusal> for Reply {
    fn from(refusal: Refusal) -> Self {
        Self::error(refusal.code, refusal.remark)
    }
}
