//! Why an expression is refused, in the words of Java.

use std::fmt::{self, Write as _};

use thiserror::Error;

use super::{MAX_CALLS, MAX_LEN, MAX_NESTING};

/// An expression that cannot be used. The text of each kind is what a Java broker answers, class of the exception included; of Java's lists
/// of what it would have expected instead, none is given.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SqlError {
    /// No token begins with these characters.
    #[error(
        "org.apache.rocketmq.filter.parser.TokenMgrError: Lexical error at line {line}, column {column}.  Encountered: {found} after : \"{after}\""
    )]
    Lexical {
        /// Line of the character that does not fit, counted from 1.
        line: usize,
        /// Its column, counted from 1; a tab ends at a multiple of 8.
        column: usize,
        /// The character and its code, or the end.
        found: String,
        /// What was read before it.
        after: String,
    },
    /// A token that may not stand here.
    #[error("org.apache.rocketmq.filter.parser.ParseException: Encountered \"{found}\" at line {line}, column {column}.")]
    Syntax {
        /// Kind and text of the token.
        found: String,
        /// Where it begins.
        line: usize,
        /// Where it begins.
        column: usize,
    },
    /// Something that is neither true nor false where that is needed.
    #[error("org.apache.rocketmq.filter.parser.ParseException: Expression will not result in a boolean value: {0}")]
    NotBoolean(String),
    /// A whole number beyond 64 bits.
    #[error("java.lang.NumberFormatException: For input string: \"{0}\"")]
    TooLarge(String),
    /// A decimal number beyond a double.
    #[error("java.lang.RuntimeException: {0} is greater than 1.7976931348623157E308")]
    GreaterThanDouble(String),
    /// A decimal number that is zero, written like that or by rounding.
    #[error("java.lang.RuntimeException: {0} is less than 4.9E-324")]
    LessThanDouble(String),
    /// An operand of `<` and its like that is no number.
    #[error("java.lang.RuntimeException: Value '{0}' cannot be compared.")]
    NotOrdered(String),
    /// `NULL` as an operand of `=` or `<>`.
    #[error("java.lang.RuntimeException: '{0}' cannot be compared.")]
    NullOperand(String),
    /// Constants of kinds that are never equal.
    #[error("java.lang.RuntimeException: '{left}' cannot be compared with '{right}'")]
    Incomparable {
        /// What stands left.
        left: String,
        /// What stands right.
        right: String,
    },
    /// `BETWEEN` with `NULL` as a bound.
    #[error("java.lang.RuntimeException: Illegal values of between, values can not be null!")]
    NullBound,
    /// `BETWEEN` that no value passes.
    #[error("java.lang.RuntimeException: Illegal values of between, left value({low}) must less than or equal to right value({high})")]
    BoundsSwapped {
        /// The lower bound.
        low: String,
        /// The upper one.
        high: String,
    },
    /// `BETWEEN` with a bound that cannot be read as the kind of the other.
    #[error("java.lang.RuntimeException: java.lang.NumberFormatException: For input string: \"{0}\"")]
    UnlikeBounds(String),
    /// `BETWEEN 'text' AND TRUE`, which Java's comparison trips over.
    #[error(
        "java.lang.ClassCastException: class java.lang.Boolean cannot be cast to class java.lang.String (java.lang.Boolean and java.lang.String are in module java.base of loader 'bootstrap')"
    )]
    BooleanBound,
    /// `IN` of something that is no property.
    #[error("java.lang.RuntimeException: Expected a property for In expression, got: {0}")]
    NotProperty(String),
    /// Longer than [`MAX_LEN`].
    #[error("the expression has {0} bytes, and no more than {MAX_LEN} are allowed; split the subscription or use tags")]
    TooLong(usize),
    /// Deeper than [`MAX_NESTING`].
    #[error("the expression nests deeper than {MAX_NESTING} levels; take parentheses out")]
    TooDeep,
    /// More calls of plugins than [`MAX_CALLS`].
    #[error("the expression calls plugins more than {MAX_CALLS} times; let one plugin decide more, or split the subscription")]
    TooManyCalls,
}

/// Characters of an expression that an error repeats at most.
const SHOWN: usize = 256;

/// What an error repeats of an expression: all of it, or its beginning.
pub(super) fn shown(part: impl fmt::Display) -> String {
    let mut beginning = Beginning { text: String::new(), room: SHOWN };
    match write!(beginning, "{part}") {
        Ok(()) => beginning.text,
        Err(_) => beginning.text + "...",
    }
}

/// Takes text until there is enough, and refuses the rest: what is printed may be much longer than what was read.
struct Beginning {
    text: String,
    room: usize,
}

impl fmt::Write for Beginning {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            self.room = self.room.checked_sub(1).ok_or(fmt::Error)?;
            self.text.push(c);
        }
        Ok(())
    }
}
