//! Expressions that were compiled lately: consumers that carry theirs in each pull do not have it compiled each time.

use foldhash::fast::FixedState;
use indexmap::IndexMap;

use super::{Compiled, FilterError};

/// As many as Java remembers.
const LIMIT: usize = 100;

/// Expressions of one language and what came of them, the least recently wanted first.
#[derive(Debug, Default)]
pub(super) struct ExpressionCache {
    known: IndexMap<Box<str>, Result<Compiled, FilterError>, FixedState>,
}

impl ExpressionCache {
    /// What becomes of an expression, and whether it was compiled just now.
    pub(super) fn find_or(
        &mut self,
        expression: &str,
        compile: impl FnOnce(&str) -> Result<Compiled, FilterError>,
    ) -> (Result<Compiled, FilterError>, bool) {
        if let Some(at) = self.known.get_index_of(expression) {
            let last = self.known.len() - 1;
            self.known.move_index(at, last);
            return (self.known[last].clone(), false);
        }
        let compiled = compile(expression);
        if self.known.len() == LIMIT {
            self.known.shift_remove_index(0);
        }
        self.known.insert(expression.into(), compiled.clone());
        (compiled, true)
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        self.known.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{broker::filters::compile_sql, plugins::NoPlugins};

    fn sql(cache: &mut ExpressionCache, expression: &str) -> (Result<Compiled, FilterError>, bool) {
        cache.find_or(expression, |expression| compile_sql(expression, &NoPlugins))
    }

    #[test]
    fn an_expression_is_compiled_once_while_it_is_in_use() {
        let mut cache = ExpressionCache::default();
        let (first, fresh) = sql(&mut cache, "a = 0");
        assert!(fresh);
        for number in 1..500 {
            assert!(sql(&mut cache, &format!("a = {number}")).1);
            let (again, fresh) = sql(&mut cache, "a = 0");
            assert!(!fresh && Arc::ptr_eq(&first.clone().unwrap().filter, &again.unwrap().filter));
        }
        assert_eq!(cache.known.len(), LIMIT);
        assert!(sql(&mut cache, "a = 1").1, "what nobody has wanted for long is forgotten");
    }

    #[test]
    fn a_refusal_is_remembered_too() {
        let mut cache = ExpressionCache::default();
        let (refused, _) = sql(&mut cache, "a >");
        let (again, fresh) = sql(&mut cache, "a >");
        assert!(!fresh);
        assert_eq!(again.unwrap_err(), refused.unwrap_err());
    }
}
