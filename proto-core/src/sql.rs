//! The language of SQL92 filters: `price > 10 AND color IN ('red', 'blue')`.
//!
//! A text becomes an [`Expression`], a tree that says what its operators mean; [`Expression::evaluate`] is the plain reading of it, message
//! by message. Grammar, checks, the order in which they come and the texts of errors are those of Java's `SelectorParser`, which reads
//! only as far as it must: what follows a complete expression is ignored. One thing is Petrel's own: `wasm('name', 'argument')` asks a plugin, and
//! stands wherever a truth value may.
//!
//! ```
//! use proto_core::sql::{self, Value};
//!
//! let expression = sql::parse("a BETWEEN 3 AND 9 AND color IS NOT NULL")?;
//! let message = |name: &str| match name {
//!     "a" => Some(&b"5"[..]),
//!     "color" => Some(&b"red"[..]),
//!     _ => None,
//! };
//! assert_eq!(expression.evaluate(&message), Ok(Value::Bool(true)));
//! assert_eq!(sql::parse("a > 'x'").unwrap_err().to_string(), "java.lang.RuntimeException: Value ''x'' cannot be compared.");
//! # Ok::<_, sql::SqlError>(())
//! ```

mod error;
mod evaluate;
mod grammar;
mod lexer;
mod number;
mod position;
mod tree;
mod value;

pub use error::SqlError;
pub use number::{parse_double, parse_int, parse_long};
pub use tree::{Constant, Expression, Ordered, TextTest};
pub use value::{EvaluationError, Value, compare, equal};

/// Longest expression in bytes. Java sets no limit; every consumer's expression stays in memory and in a file.
pub const MAX_LEN: usize = 16 * 1024;

/// How deep an expression may nest: parentheses, signs, `NOT`, and operators whose operand is a result. Chains of `AND` and of `OR` may be as
/// long as they like. Java has no such limit and runs out of stack.
pub const MAX_NESTING: u16 = 64;

/// How many plugins an expression may call.
pub const MAX_CALLS: usize = 8;

/// Reads an expression.
///
/// # Errors
/// [`SqlError`] with the text by which a Java broker refuses it.
pub fn parse(text: &str) -> Result<Expression, SqlError> {
    if text.len() > MAX_LEN {
        return Err(SqlError::TooLong(text.len()));
    }
    grammar::parse(text)
}

#[cfg(test)]
mod tests;
