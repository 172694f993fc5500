//! Why a request is turned down: the code and the text of its answer.

use std::borrow::Cow;

use proto_core::code::ResponseCode;

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
}

impl From<Refusal> for Reply {
    fn from(refusal: Refusal) -> Self {
        Self::error(refusal.code, refusal.remark)
    }
}
