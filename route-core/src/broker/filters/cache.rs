//! Expressions that were compiled lately: consumers that carry theirs in each pull do not have it compiled each time.

use std::sync::Arc;

use foldhash::fast::FixedState;
use indexmap::IndexMap;
use proto_core::sql::SqlError;

use crate::filter::sql::SqlFilter;

/// As many as Java remembers.
const LIMIT: usize = 100;

/// Expressions and what came of them, the least recently wanted first.
#[derive(Debug, Default)]
pub(super) struct ExpressionCache {
    known: IndexMap<Box<str>, Result<Arc<SqlFilter>, SqlError>, FixedState>,
}

impl ExpressionCache {
    /// The filter of an expression, and whether it was compiled just now.
    pub(super) fn compile(&mut self, expression: &str) -> (Result<Arc<SqlFilter>, SqlError>, bool) {
        if let Some(at) = self.known.get_index_of(expression) {
            let last = self.known.len() - 1;
            self.known.move_index(at, last);
            return (self.known[last].clone(), false);
        }
        let compiled = SqlFilter::parse(expression).map(Arc::new);
        if self.known.len() == LIMIT {
            self.known.shift_remove_index(0);
        }
        self.known.insert(expression.into(), compiled.clone());
        (compiled, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_is_compiled_once_while_it_is_in_use() {
        let mut cache = ExpressionCache::default();
        let (first, fresh) = cache.compile("a = 0");
        assert!(fresh);
        for number in 1..500 {
            assert!(cache.compile(&format!("a = {number}")).1);
            let (again, fresh) = cache.compile("a = 0");
            assert!(!fresh && Arc::ptr_eq(&first.clone().unwrap(), &again.unwrap()));
        }
        assert_eq!(cache.known.len(), LIMIT);
        assert!(cache.compile("a = 1").1, "what nobody has wanted for long is forgotten");
    }

    #[test]
    fn a_refusal_is_remembered_too() {
        let mut cache = ExpressionCache::default();
        let (refused, _) = cache.compile("a >");
        let (again, fresh) = cache.compile("a >");
        assert!(!fresh);
        assert_eq!(again.unwrap_err(), refused.unwrap_err());
    }
}
