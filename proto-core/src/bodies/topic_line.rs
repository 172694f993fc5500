//! A topic as one line of text, as compressed registrations carry it: `name read write perm filterType attributes`.

use nom::{
    IResult, Parser,
    bytes::complete::{is_not, tag},
    character::complete::i32,
    combinator::opt,
    sequence::preceded,
};
use thiserror::Error;

use super::{Table, TopicConfig, TopicFilterType};
use crate::json::{self, Dialect};

/// A line that is none; the text is its beginning.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("no line of a topic: {0:?}")]
pub struct TopicLineError(pub String);

impl TopicConfig {
    /// Reads a line. It holds neither order nor system flag, so these have their defaults; attributes may be missing, and such
    /// as make no sense are dropped, as Java does.
    ///
    /// # Errors
    /// [`TopicLineError`] if one of the first five words is missing or wrong.
    pub fn from_line(line: &str) -> Result<Self, TopicLineError> {
        let (_, topic) = grammar(line).map_err(|_| TopicLineError(line.chars().take(60).collect()))?;
        Ok(topic)
    }

    /// The topic's line, attributes included even if there are none.
    #[must_use]
    pub fn to_line(&self) -> String {
        // JSON of text is text; the default stands for a case that cannot be.
        let attributes = String::from_utf8(json::to_vec(&self.attributes, Dialect::Default)).unwrap_or_default();
        let filter = self.topic_filter_type.name();
        format!("{} {} {} {} {filter} {attributes}", self.topic_name, self.read_queue_nums, self.write_queue_nums, self.perm)
    }
}

fn grammar(line: &str) -> IResult<&str, TopicConfig> {
    let number = || preceded(tag(" "), i32);
    let filter = preceded(tag(" "), is_not(" ")).map_opt(TopicFilterType::from_name);
    let attributes = opt(preceded(tag(" "), is_not(" ")));
    let (rest, (name, read_queue_nums, write_queue_nums, perm, topic_filter_type, attributes)) =
        (is_not(" "), number(), number(), number(), filter, attributes).parse(line)?;
    let attributes: Table<String, String> = attributes.and_then(|text: &str| json::from_slice(text.as_bytes()).ok()).unwrap_or_default();
    let topic_name = name.to_owned();
    Ok((rest, TopicConfig { topic_name, read_queue_nums, write_queue_nums, perm, topic_filter_type, attributes, ..TopicConfig::default() }))
}
