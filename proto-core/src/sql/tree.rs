//! An expression as a tree.

use std::fmt;

use super::value::Value;

/// A constant as written.
#[derive(Clone, Debug, PartialEq)]
pub enum Constant {
    /// `NULL`
    Null,
    /// `TRUE` or `FALSE`
    Bool(bool),
    /// A whole number of 32 bits.
    Int(i32),
    /// A larger whole number.
    Long(i64),
    /// A number with a point or an exponent.
    Double(f64),
    /// A text in quotes, without them.
    Text(Box<str>),
}

impl Constant {
    /// The constant as a value.
    #[must_use]
    pub const fn value(&self) -> Value<'_> {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(*value),
            Self::Int(value) => Value::Int(*value),
            Self::Long(value) => Value::Long(*value),
            Self::Double(value) => Value::Double(*value),
            Self::Text(value) => Value::Text(value.as_bytes()),
        }
    }
}

/// Operators that need an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ordered {
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

impl Ordered {
    /// Whether operands in this order satisfy the operator.
    #[must_use]
    #[inline]
    pub const fn holds(self, order: std::cmp::Ordering) -> bool {
        match self {
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
        }
    }

    /// The operator that says the same with its operands exchanged.
    #[must_use]
    pub const fn mirrored(self) -> Self {
        match self {
            Self::Less => Self::Greater,
            Self::LessOrEqual => Self::GreaterOrEqual,
            Self::Greater => Self::Less,
            Self::GreaterOrEqual => Self::LessOrEqual,
        }
    }
}

/// Where a text is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextTest {
    /// `CONTAINS`
    Contains,
    /// `STARTSWITH`
    StartsWith,
    /// `ENDSWITH`
    EndsWith,
}

/// A node. What [is boolean](Self::is_boolean) comes to true, false or nothing; the rest to any value.
#[derive(Clone, Debug, PartialEq)]
pub enum Expression {
    /// A constant.
    Constant(Constant),
    /// The value of a property: text, or nothing.
    Property(Box<str>),
    /// A property where a truth value is needed: text is false.
    Truth(Box<str>),
    /// `- operand`: of what is no number, nothing.
    Negative(Box<Self>),
    /// `NOT operand`
    Not(Box<Self>),
    /// Operands joined by `AND`, in the order in which they are looked at.
    And(Vec<Self>),
    /// Operands joined by `OR`.
    Or(Vec<Self>),
    /// `=`, and `IS NULL` with a constant at the right; `<>` and `IS NOT NULL` are [`Self::Not`] of it.
    Equal(Box<(Self, Self)>),
    /// `<`, `<=`, `>`, `>=`.
    Order(Ordered, Box<(Self, Self)>),
    /// `value BETWEEN low AND high`
    Between {
        /// Whether `NOT BETWEEN` is meant.
        not: bool,
        /// Value and bounds.
        operands: Box<[Self; 3]>,
    },
    /// `property IN (…)`
    In {
        /// Whether `NOT IN` is meant.
        not: bool,
        /// The property.
        property: Box<str>,
        /// What it is compared with.
        texts: Vec<Box<str>>,
    },
    /// `operand CONTAINS 'text'` and the like; the `NOT` of it is false for nothing too.
    Search {
        /// Where to look.
        test: TextTest,
        /// Whether `NOT CONTAINS` is meant.
        not: bool,
        /// What is searched.
        operand: Box<Self>,
        /// What for.
        text: Box<str>,
    },
    /// `wasm('plugin', 'argument')`: what a plugin says of the message, true or false.
    Call {
        /// Name of the plugin.
        plugin: Box<str>,
        /// What it is given; empty if the expression leaves it out.
        argument: Box<str>,
    },
}

impl Expression {
    /// Whether it comes to true, false or nothing, and to no other value.
    #[must_use]
    pub const fn is_boolean(&self) -> bool {
        match self {
            Self::Constant(constant) => matches!(constant, Constant::Null | Constant::Bool(_)),
            Self::Property(_) | Self::Negative(_) => false,
            _ => true,
        }
    }
}

/// As Java prints it in errors.
impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Constant(constant) => constant.fmt(f),
            Self::Property(name) | Self::Truth(name) => f.write_str(name),
            Self::Negative(operand) => write!(f, "(- {operand})"),
            Self::Not(operand) => write!(f, "(NOT {operand})"),
            Self::And(operands) => write_chain(f, operands, "&&"),
            Self::Or(operands) => write_chain(f, operands, "||"),
            Self::Equal(operands) => write!(f, "({} == {})", operands.0, operands.1),
            Self::Order(operator, operands) => {
                let sign = match operator {
                    Ordered::Less => "<",
                    Ordered::LessOrEqual => "<=",
                    Ordered::Greater => ">",
                    Ordered::GreaterOrEqual => ">=",
                };
                write!(f, "({} {sign} {})", operands.0, operands.1)
            }
            Self::Between { not, operands } => {
                let [value, low, high] = &**operands;
                if *not {
                    write!(f, "(({value} < {low}) || ({value} > {high}))")
                } else {
                    write!(f, "(({value} >= {low}) && ({value} <= {high}))")
                }
            }
            Self::In { not, property, texts } => {
                write!(f, "{property} {} ( ", if *not { "NOT IN" } else { "IN" })?;
                for (index, text) in texts.iter().enumerate() {
                    write!(f, "{}{text}", if index == 0 { "" } else { ", " })?;
                }
                f.write_str(" )")
            }
            Self::Search { test, not, operand, .. } => {
                let word = match test {
                    TextTest::Contains => "CONTAINS",
                    TextTest::StartsWith => "STARTSWITH",
                    TextTest::EndsWith => "ENDSWITH",
                };
                write!(f, "({}{word} {operand})", if *not { "NOT " } else { "" })
            }
            Self::Call { plugin, argument } => write!(f, "wasm('{}', '{}')", plugin.replace('\'', "''"), argument.replace('\'', "''")),
        }
    }
}

/// A chain is a tree that grows to the left: `((a && b) && c)`.
fn write_chain(f: &mut fmt::Formatter<'_>, operands: &[Expression], sign: &str) -> fmt::Result {
    for _ in 1..operands.len() {
        f.write_str("(")?;
    }
    for (index, operand) in operands.iter().enumerate() {
        match index {
            0 => write!(f, "{operand}")?,
            _ => write!(f, " {sign} {operand})")?,
        }
    }
    Ok(())
}

impl fmt::Display for Constant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("NULL"),
            Self::Bool(true) => f.write_str("TRUE"),
            Self::Bool(false) => f.write_str("FALSE"),
            Self::Int(value) => write!(f, "{value}"),
            Self::Long(value) => write!(f, "{value}"),
            Self::Double(value) => f.write_str(&crate::json::double_text(*value)),
            Self::Text(value) => write!(f, "'{}'", value.replace('\'', "''")),
        }
    }
}
