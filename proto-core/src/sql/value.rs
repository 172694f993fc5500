//! What the parts of an expression come to, and how Java compares such values.

use std::cmp::Ordering;

use super::number::{parse_double, parse_int, parse_long};

/// A value: of a property (text or nothing), of a constant, or a result.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// Nothing: a property that the message does not have, `NULL`, or a result that is not known for want of one.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number of 32 bits.
    Int(i32),
    /// A larger whole number.
    Long(i64),
    /// A number with a fraction.
    Double(f64),
    /// Text; the bytes of a property as they are stored.
    Text(&'a [u8]),
}

/// Equal as Java's `equals` has it: same kind, same value; NaN equals itself, zeros of different sign do not.
impl PartialEq for Value<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(left), Self::Bool(right)) => left == right,
            (Self::Int(left), Self::Int(right)) => left == right,
            (Self::Long(left), Self::Long(right)) => left == right,
            (Self::Double(left), Self::Double(right)) => compare_doubles(*left, *right).is_eq(),
            (Self::Text(left), Self::Text(right)) => left == right,
            _ => false,
        }
    }
}

/// A message on which an expression comes to nothing, because Java throws there: text that is no number where one is needed. Such a
/// message does not match, whatever the expression says around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the values of this message cannot be compared as the expression wants")]
pub struct EvaluationError;

/// `left = right`: true, false or [`Value::Null`]. Nothing is equal to nothing; nothing is not equal to something, but only if it stands right.
///
/// # Errors
/// The values cannot be brought to one kind.
#[inline]
pub fn equal<'a>(left: Value<'a>, right: Value<'a>) -> Result<Value<'static>, EvaluationError> {
    match (left, right) {
        (Value::Null, Value::Null) => Ok(Value::Bool(true)),
        (Value::Null, _) => Ok(Value::Null),
        (_, Value::Null) => Ok(Value::Bool(false)),
        _ => compare(left, right).map(|order| Value::Bool(order.is_eq())),
    }
}

/// The order of two values that are there. Text becomes the kind of the other side, a whole number becomes as wide as the other side
/// needs it; kinds that have nothing in common count as less.
///
/// # Errors
/// A text is not of the other side's kind, or a truth value stands left of a text, which Java trips over.
#[inline]
pub fn compare(left: Value<'_>, right: Value<'_>) -> Result<Ordering, EvaluationError> {
    Ok(match (left, right) {
        (Value::Text(left), Value::Text(right)) => left.cmp(right),
        (Value::Bool(left), Value::Bool(right)) => left.cmp(&right),
        (Value::Bool(_), Value::Text(_)) => return Err(EvaluationError),
        (Value::Text(left), Value::Bool(right)) => left.eq_ignore_ascii_case(b"true").cmp(&right),
        (Value::Text(left), right) => compare_numbers(number_like(left, right)?, right),
        (left, Value::Text(right)) => compare_numbers(left, number_like(right, left)?),
        (left, right) => compare_numbers(left, right),
    })
}

/// A text as a number of the kind that `other` has.
fn number_like<'a>(text: &[u8], other: Value<'_>) -> Result<Value<'a>, EvaluationError> {
    match other {
        Value::Int(_) => parse_int(text).map(Value::Int),
        Value::Long(_) => parse_long(text).map(Value::Long),
        Value::Double(_) => parse_double(text).map(Value::Double),
        Value::Null | Value::Bool(_) | Value::Text(_) => None,
    }
    .ok_or(EvaluationError)
}

#[expect(clippy::cast_precision_loss, reason = "so does Java")]
fn compare_numbers(left: Value<'_>, right: Value<'_>) -> Ordering {
    match (left, right) {
        (Value::Int(left), Value::Int(right)) => left.cmp(&right),
        (Value::Int(left), Value::Long(right)) => i64::from(left).cmp(&right),
        (Value::Long(left), Value::Int(right)) => left.cmp(&i64::from(right)),
        (Value::Long(left), Value::Long(right)) => left.cmp(&right),
        (Value::Int(left), Value::Double(right)) => compare_doubles(f64::from(left), right),
        (Value::Double(left), Value::Int(right)) => compare_doubles(left, f64::from(right)),
        (Value::Long(left), Value::Double(right)) => compare_doubles(left as f64, right),
        (Value::Double(left), Value::Long(right)) => compare_doubles(left, right as f64),
        (Value::Double(left), Value::Double(right)) => compare_doubles(left, right),
        _ => Ordering::Less,
    }
}

/// `Double.compare`: the zeros are two numbers, and NaN, of which there is one, is the greatest.
pub(super) fn compare_doubles(left: f64, right: f64) -> Ordering {
    match (left.is_nan(), right.is_nan()) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Greater,
        (false, true) => Ordering::Less,
        (false, false) => left.total_cmp(&right),
    }
}
