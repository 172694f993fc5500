//! Expressions of tags: `*`, `TagA`, `TagA || TagB`.

use std::collections::BTreeSet;

use thiserror::Error;

use crate::{bodies::SubscriptionData, hash::java_string_hash};

/// Expression type of tags.
pub const TAG: &str = "TAG";
/// Expression type of SQL92.
pub const SQL92: &str = "SQL92";
/// Expression type of plugins, which only Petrel knows: `name` or `name:argument`.
pub const WASM: &str = "WASM";

/// An expression that names no tag at all, such as `||`. The text is Java's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("subString split error")]
pub struct SplitError;

/// What a tag expression wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TagExpression {
    /// The tags; empty means all messages.
    pub tags: BTreeSet<String>,
    /// Their Java hashes.
    pub codes: BTreeSet<i32>,
}

impl TagExpression {
    /// Reads an expression; missing, empty and `*` mean everything.
    ///
    /// # Errors
    /// [`SplitError`] if it names no tag.
    pub fn parse(expression: Option<&str>) -> Result<Self, SplitError> {
        let Some(expression) = expression.filter(|text| !is_all(text)) else {
            return Ok(Self::default());
        };
        let mut parsed = Self::default();
        for tag in tags(expression) {
            parsed.tags.insert(tag.to_owned());
            parsed.codes.insert(java_string_hash(tag));
        }
        if parsed.tags.is_empty() { Err(SplitError) } else { Ok(parsed) }
    }
}

/// The tags that an expression names, in its order.
pub fn tags(expression: &str) -> impl Iterator<Item = &str> {
    expression.split("||").map(|tag| tag.trim_matches(|c| c <= ' ')).filter(|tag| !tag.is_empty())
}

/// Whether an expression of tags means everything.
#[must_use]
pub fn is_all(expression: &str) -> bool {
    expression.is_empty() || expression == SubscriptionData::SUB_ALL
}

/// The subscription that a client would send for this expression of tags. `sub_version` is left 0.
///
/// # Errors
/// [`SplitError`] if it names no tag.
pub fn tag_subscription(topic: &str, expression: Option<&str>) -> Result<SubscriptionData, SplitError> {
    let TagExpression { tags, codes } = TagExpression::parse(expression)?;
    let sub_string = expression.filter(|text| !is_all(text)).unwrap_or(SubscriptionData::SUB_ALL);
    Ok(SubscriptionData {
        topic: topic.to_owned(),
        sub_string: Some(sub_string.to_owned()),
        tags_set: tags,
        code_set: codes,
        ..SubscriptionData::default()
    })
}
