//! The filter of SQL92 expressions, compiled once for all the messages that it will judge.
//!
//! [`proto_core::sql`] says what an expression means; here it becomes a list of steps that is gone through without allocation, over the
//! few properties that the expression names: one look over the stored bytes picks them out, the others are passed over.

use proto_core::{
    record::peek,
    sql::{self, SqlError},
};
use smallvec::SmallVec;

use super::{Candidate, MessageFilter, Verdicts};
use program::{Compiled, Program, Stack};
use wanted::Found;

mod compile;
mod program;
mod real_topic;
mod wanted;

pub use real_topic::RealTopicFilter;

/// Delivers messages for which an expression is true. What is false, unknown for want of a property, or an error is withheld.
#[derive(Clone, Debug)]
pub struct SqlFilter {
    compiled: Compiled,
}

impl SqlFilter {
    /// The filter of an expression.
    ///
    /// # Errors
    /// [`SqlError`] says what is wrong with it, as Java does.
    pub fn parse(expression: &str) -> Result<Self, SqlError> {
        Ok(Self { compiled: compile::compile(&sql::parse(expression)?) })
    }

    /// Whether a message with these stored properties passes.
    #[must_use]
    pub fn passes(&self, properties: &[u8]) -> bool {
        match &self.compiled {
            Compiled::Fixed(verdict) => *verdict,
            Compiled::Program(program) => judge(program, properties, &mut SmallVec::new(), &mut SmallVec::new()),
        }
    }

    /// Whether the message of a record passes. A record that cannot be read has no properties.
    #[must_use]
    pub fn passes_record(&self, record: &[u8]) -> bool {
        self.passes(peek::properties(record).unwrap_or_default())
    }
}

impl MessageFilter for SqlFilter {
    fn needs_record(&self) -> bool {
        matches!(self.compiled, Compiled::Program(_))
    }

    fn matches(&self, batch: &[Candidate<'_>], verdicts: &mut Verdicts) {
        match &self.compiled {
            Compiled::Fixed(true) => (0..batch.len()).for_each(|index| verdicts.deliver(index)),
            Compiled::Fixed(false) => {}
            Compiled::Program(program) => {
                // One room for values serves the whole batch.
                let (mut found, mut stack) = (SmallVec::new(), SmallVec::new());
                for (index, candidate) in batch.iter().enumerate() {
                    if let Some(properties) = candidate.record.and_then(peek::properties)
                        && judge(program, properties, &mut found, &mut stack)
                    {
                        verdicts.deliver(index);
                    }
                }
            }
        }
    }
}

fn judge<'a>(program: &'a Program, properties: &'a [u8], found: &mut Found<'a>, stack: &mut Stack<'a>) -> bool {
    program.wanted.pick(properties, found);
    program.run(found, stack).is_ok_and(|value| value == sql::Value::Bool(true))
}

#[cfg(test)]
mod tests;
