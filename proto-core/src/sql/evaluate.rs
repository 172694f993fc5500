//! The plain reading of an expression, message by message. It is slow and short: what is compiled for speed has to agree with it.

use super::{
    number::parse_double,
    tree::{Expression, Ordered, TextTest},
    value::{EvaluationError, Value, compare, compare_doubles, equal},
};

type Evaluated<'a> = Result<Value<'a>, EvaluationError>;

impl Expression {
    /// What the expression comes to for a message whose properties `property` finds. The message matches if that is `Value::Bool(true)`.
    /// Plugins are not asked: of what they would say nothing is known.
    ///
    /// # Errors
    /// [`EvaluationError`]: the message does not match.
    pub fn evaluate<'a>(&'a self, property: &impl Fn(&str) -> Option<&'a [u8]>) -> Evaluated<'a> {
        self.evaluate_with(property, &|_, _| None)
    }

    /// The same with plugins: `call` says what the plugin of a name makes of the message, given an argument.
    ///
    /// # Errors
    /// [`EvaluationError`]: the message does not match.
    pub fn evaluate_with<'a>(
        &'a self,
        property: &impl Fn(&str) -> Option<&'a [u8]>,
        call: &impl Fn(&str, &str) -> Option<bool>,
    ) -> Evaluated<'a> {
        let evaluate = |operand: &'a Self| operand.evaluate_with(property, call);
        let text_of = |name: &str| property(name).map_or(Value::Null, Value::Text);
        match self {
            Self::Constant(constant) => Ok(constant.value()),
            Self::Property(name) => Ok(text_of(name)),
            Self::Truth(name) => Ok(property(name).map_or(Value::Null, |_| Value::Bool(false))),
            Self::Negative(operand) => evaluate(operand).map(negative),
            Self::Not(operand) => Ok(match evaluate(operand)? {
                Value::Bool(value) => Value::Bool(!value),
                _ => Value::Null,
            }),
            Self::And(operands) => first_decides(operands, evaluate, false),
            Self::Or(operands) => first_decides(operands, evaluate, true),
            Self::Equal(operands) => equal(evaluate(&operands.0)?, evaluate(&operands.1)?),
            Self::Order(operator, operands) => {
                let left = evaluate(&operands.0)?;
                ordered(left, *operator, || evaluate(&operands.1))
            }
            Self::Between { not, operands } => {
                let [value, low, high] = &**operands;
                let value = evaluate(value)?;
                let (below, above) = if *not { (Ordered::Less, Ordered::Greater) } else { (Ordered::GreaterOrEqual, Ordered::LessOrEqual) };
                // Of the two halves the first decides, if it can, as in AND and in OR.
                let lower = ordered(value, below, || evaluate(low))?;
                if lower == Value::Bool(*not) {
                    return Ok(lower);
                }
                let upper = ordered(value, above, || evaluate(high))?;
                Ok(if upper == Value::Bool(*not) || lower != Value::Null { upper } else { Value::Null })
            }
            Self::In { not, property: name, texts } => Ok(match property(name) {
                Some(value) => Value::Bool(texts.iter().any(|text| text.as_bytes() == value) != *not),
                None => Value::Null,
            }),
            Self::Search { test, not, operand, text } => {
                if text.is_empty() {
                    return Ok(Value::Bool(false));
                }
                Ok(Value::Bool(match evaluate(operand)? {
                    Value::Text(value) => test.finds(value, text.as_bytes()) != *not,
                    _ => false,
                }))
            }
            Self::Call { plugin, argument } => Ok(call(plugin, argument).map_or(Value::Null, Value::Bool)),
        }
    }
}

/// A comparison; the right side is looked at if the left one is there.
fn ordered<'a>(left: Value<'a>, operator: Ordered, right: impl FnOnce() -> Evaluated<'a>) -> Evaluated<'a> {
    if left == Value::Null {
        return Ok(Value::Null);
    }
    let order = match (left, right()?) {
        (_, Value::Null) => return Ok(Value::Null),
        // Text has no order: both sides have to be numbers.
        (Value::Text(left), Value::Text(right)) => {
            let doubles = parse_double(left).zip(parse_double(right)).ok_or(EvaluationError)?;
            compare_doubles(doubles.0, doubles.1)
        }
        (left, right) => compare(left, right)?,
    };
    Ok(Value::Bool(operator.holds(order)))
}

/// Operands from left to right until one is `decisive`; without one, the result is known only if all operands are.
fn first_decides<'a>(operands: &'a [Expression], evaluate: impl Fn(&'a Expression) -> Evaluated<'a>, decisive: bool) -> Evaluated<'a> {
    let mut unknown = false;
    for operand in operands {
        match evaluate(operand)? {
            Value::Bool(value) if value == decisive => return Ok(Value::Bool(decisive)),
            Value::Bool(_) => {}
            _ => unknown = true,
        }
    }
    Ok(if unknown { Value::Null } else { Value::Bool(!decisive) })
}

const fn negative(value: Value<'_>) -> Value<'_> {
    match value {
        Value::Int(value) => Value::Int(value.wrapping_neg()),
        Value::Long(value) => Value::Long(value.wrapping_neg()),
        Value::Double(value) => Value::Double(-value),
        Value::Null | Value::Bool(_) | Value::Text(_) => Value::Null,
    }
}

impl TextTest {
    /// Whether `value` has `text` where the test wants it.
    #[must_use]
    pub fn finds(self, value: &[u8], text: &[u8]) -> bool {
        match self {
            Self::Contains => memchr::memmem::find(value, text).is_some(),
            Self::StartsWith => value.starts_with(text),
            Self::EndsWith => value.ends_with(text),
        }
    }
}
