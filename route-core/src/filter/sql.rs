//! The filter of SQL92 expressions, compiled once for all the messages that it will judge.
//!
//! [`proto_core::sql`] says what an expression means; here it becomes a list of steps that is gone through without allocation, over the
//! few properties that the expression names: one look over the stored bytes picks them out, the others are passed over.
//!
//! An expression with `wasm('name', 'argument')` is gone through in rounds: each message as far as the answers of plugins allow, then each plugin
//! is asked once for all the messages that wait for it. So plugins see batches, and only messages on which it depends what they say.

use std::sync::Arc;

use proto_core::{
    record::peek,
    sql::{Expression, Value},
};
use smallvec::SmallVec;

use super::{Candidate, MessageFilter, Verdicts, for_group};
use crate::plugins::{PluginRefusal, Plugins};
use calls::Rounds;
use program::{Compiled, Program};

mod calls;
mod compile;
mod program;
mod real_topic;
mod wanted;

pub use real_topic::RealTopicFilter;

/// Delivers messages for which an expression is true. What is false, unknown for want of a property, or an error is withheld.
#[derive(Clone, Debug)]
pub struct SqlFilter {
    compiled: Arc<Compiled>,
    /// The plugins that the program calls, by the numbers of the calls.
    plugins: Vec<Arc<dyn MessageFilter>>,
}

impl SqlFilter {
    /// The filter of an expression.
    ///
    /// # Errors
    /// [`PluginRefusal`]: a plugin that it calls is not to be had, or refuses its argument.
    pub fn new(expression: &Expression, plugins: &dyn Plugins) -> Result<Self, PluginRefusal> {
        let compiled = compile::compile(expression);
        let called = match &compiled {
            Compiled::Program(program) => program.calls.iter().map(|call| plugins.filter(&call.plugin, &call.argument)).collect(),
            Compiled::Fixed(_) => Ok(Vec::new()),
        };
        Ok(Self { compiled: Arc::new(compiled), plugins: called? })
    }

    /// Whether it calls plugins.
    #[must_use]
    pub const fn calls_plugins(&self) -> bool {
        !self.plugins.is_empty()
    }
}

impl MessageFilter for SqlFilter {
    fn needs_record(&self) -> bool {
        matches!(*self.compiled, Compiled::Program(_))
    }

    fn steps(&self) -> usize {
        match &*self.compiled {
            Compiled::Fixed(_) => 1,
            Compiled::Program(program) => program.steps.len() + self.plugins.iter().map(|plugin| plugin.steps()).sum::<usize>(),
        }
    }

    fn matches(&self, batch: &[Candidate<'_>], verdicts: &mut Verdicts) {
        match &*self.compiled {
            Compiled::Fixed(true) => (0..batch.len()).for_each(|index| verdicts.deliver(index)),
            Compiled::Fixed(false) => {}
            Compiled::Program(program) if self.plugins.is_empty() => judge(program, batch, verdicts),
            Compiled::Program(program) => Rounds::new(program, &self.plugins, batch).judge(verdicts),
        }
    }

    fn for_group(&self, group: &str) -> Option<Arc<dyn MessageFilter>> {
        let of_group = |plugin: &Arc<dyn MessageFilter>| for_group(Arc::clone(plugin), group);
        let plugins = || self.plugins.iter().map(of_group).collect();
        self.calls_plugins().then(|| Arc::new(Self { compiled: Arc::clone(&self.compiled), plugins: plugins() }) as _)
    }
}

/// Goes through the program for each message. One room for values serves the whole batch.
fn judge(program: &Program, batch: &[Candidate<'_>], verdicts: &mut Verdicts) {
    let (mut found, mut stack) = (SmallVec::new(), SmallVec::new());
    for (index, candidate) in batch.iter().enumerate() {
        if let Some(properties) = candidate.record.and_then(peek::properties) {
            program.wanted.pick(properties, &mut found);
            if program.run(&found, &[], &mut stack).is_ok_and(|value| value == Value::Bool(true)) {
                verdicts.deliver(index);
            }
        }
    }
}

#[cfg(test)]
mod tests;
