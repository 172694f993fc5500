//! An expression as a list of steps over a stack of values.

use memchr::memmem::Finder;
use proto_core::sql::{EvaluationError, Ordered, TextTest, Value, compare, equal, parse_double, parse_int, parse_long};
use smallvec::SmallVec;

use super::wanted::{Found, Wanted};

/// Values that are worked on; an expression without parentheses needs two.
pub(super) type Stack<'a> = SmallVec<[Value<'a>; 8]>;

/// What came of an expression.
#[derive(Clone, Debug)]
pub(super) enum Compiled {
    /// The same for every message.
    Fixed(bool),
    /// It depends on the message.
    Program(Box<Program>),
}

/// The steps of an expression and what they refer to.
#[derive(Clone, Debug, Default)]
pub(super) struct Program {
    pub(super) wanted: Wanted,
    pub(super) steps: Vec<Step>,
    pub(super) texts: Vec<Box<[u8]>>,
    pub(super) lists: Vec<TextList>,
    pub(super) searches: Vec<Search>,
    pub(super) calls: Vec<Call>,
}

/// A plugin that is asked, and what it is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) plugin: Box<str>,
    pub(super) argument: Box<str>,
}

/// Why the steps came to no end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Halt {
    /// The expression comes to nothing for this message.
    Error,
    /// What goes on from here depends on what this call says.
    Awaits(u16),
}

impl From<EvaluationError> for Halt {
    fn from(_: EvaluationError) -> Self {
        Self::Error
    }
}

/// A number that the expression has written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    Int(i32),
    Long(i64),
    Double(f64),
}

/// One step. What takes a value takes the topmost one; what comes of it is put in its place. Steps on properties put a value on top.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Step {
    /// Nothing on top.
    Null,
    /// A truth value on top.
    Bool(bool),
    /// A number on top.
    Number(Number),
    /// A text on top, by its number.
    Text(u16),
    /// The expression comes to nothing for this message.
    Fail,
    /// A property's value.
    Property(u16),
    /// A property where a truth value is needed.
    Truth(u16),
    /// Whether a property is missing.
    Missing(u16),
    /// A property compared with a number.
    Order(u16, Ordered, Number),
    /// A property that equals a number.
    EqualNumber(u16, Number),
    /// A property that equals a text, by its number.
    EqualText(u16, u16),
    /// A property that equals a truth value.
    EqualBool(u16, bool),
    /// A property that is in a list, or is not.
    In(u16, u16, bool),
    /// A property with a text in it, or without.
    Search(u16, u16),
    /// What a call says of the message.
    Call(u16),
    /// Takes two values and compares them.
    OrderBoth(Ordered),
    /// Takes two values; whether they are equal.
    EqualBoth,
    /// What is true becomes false and the other way round.
    Not,
    /// Whatever is on top becomes nothing: what has been computed could only have failed.
    BecomeNull,
    /// Whatever is on top becomes false.
    BecomeFalse,
    /// Goes on at a step if this is on top.
    SkipIf(bool, u32),
    /// Goes on at a step if nothing is on top.
    SkipIfNull(u32),
    /// Takes two operands of AND (false decides) or OR (true decides), of which the first has not decided.
    Join(bool),
}

/// The texts of an `IN`.
#[derive(Clone, Debug)]
pub(super) struct TextList {
    sorted: Box<[Box<[u8]>]>,
}

impl TextList {
    pub(super) fn new(texts: &[Box<str>]) -> Self {
        let mut sorted: Vec<Box<[u8]>> = texts.iter().map(|text| text.as_bytes().into()).collect();
        sorted.sort_unstable();
        sorted.dedup();
        Self { sorted: sorted.into() }
    }

    fn contains(&self, value: &[u8]) -> bool {
        if self.sorted.len() <= 4 {
            return self.sorted.iter().any(|text| **text == *value);
        }
        self.sorted.binary_search_by(|text| (**text).cmp(value)).is_ok()
    }
}

/// A text that is looked for.
#[derive(Clone, Debug)]
pub(super) struct Search {
    finder: Finder<'static>,
    test: TextTest,
    not: bool,
}

impl Search {
    pub(super) fn new(test: TextTest, text: &str, not: bool) -> Self {
        Self { finder: Finder::new(text).into_owned(), test, not }
    }

    fn passes(&self, value: &[u8]) -> bool {
        let found = match self.test {
            TextTest::Contains => self.finder.find(value).is_some(),
            TextTest::StartsWith => value.starts_with(self.finder.needle()),
            TextTest::EndsWith => value.ends_with(self.finder.needle()),
        };
        found != self.not
    }
}

impl Number {
    const fn value(self) -> Value<'static> {
        match self {
            Self::Int(value) => Value::Int(value),
            Self::Long(value) => Value::Long(value),
            Self::Double(value) => Value::Double(value),
        }
    }

    /// The order of a property's value and this number; the text has to be a number of its kind.
    fn compared_with(self, text: &[u8]) -> Result<std::cmp::Ordering, EvaluationError> {
        match self {
            Self::Int(number) => parse_int(text).map(|value| value.cmp(&number)).ok_or(EvaluationError),
            Self::Long(number) => parse_long(text).map(|value| value.cmp(&number)).ok_or(EvaluationError),
            Self::Double(number) => {
                let value = parse_double(text).ok_or(EvaluationError)?;
                compare(Value::Double(value), Value::Double(number))
            }
        }
    }
}

impl Program {
    /// What the expression comes to for a message with these values, of which the calls have `said` so much by their numbers.
    pub(super) fn run<'a>(&'a self, found: &Found<'a>, said: &[Option<bool>], stack: &mut Stack<'a>) -> Result<Value<'a>, Halt> {
        stack.clear();
        let property = |number: u16| found.get(usize::from(number)).copied().flatten();
        let mut next = 0;
        while let Some(step) = self.steps.get(next) {
            next += 1;
            let value = match *step {
                Step::Null => Value::Null,
                Step::Bool(value) => Value::Bool(value),
                Step::Number(number) => number.value(),
                Step::Text(text) => Value::Text(&self.texts[usize::from(text)]),
                Step::Fail => return Err(Halt::Error),
                Step::Property(number) => property(number).map_or(Value::Null, Value::Text),
                Step::Truth(number) => property(number).map_or(Value::Null, |_| Value::Bool(false)),
                Step::Missing(number) => Value::Bool(property(number).is_none()),
                Step::Order(number, operator, bound) => {
                    known(property(number), |value| bound.compared_with(value).map(|order| operator.holds(order)))?
                }
                Step::EqualNumber(number, other) => {
                    known(property(number), |value| other.compared_with(value).map(std::cmp::Ordering::is_eq))?
                }
                Step::EqualText(number, text) => known(property(number), |value| Ok(value == &*self.texts[usize::from(text)]))?,
                Step::EqualBool(number, other) => known(property(number), |value| Ok(value.eq_ignore_ascii_case(b"true") == other))?,
                Step::In(number, list, not) => known(property(number), |value| Ok(self.lists[usize::from(list)].contains(value) != not))?,
                Step::Search(number, search) => {
                    Value::Bool(property(number).is_some_and(|value| self.searches[usize::from(search)].passes(value)))
                }
                Step::Call(number) => match said.get(usize::from(number)) {
                    Some(&Some(said)) => Value::Bool(said),
                    _ => return Err(Halt::Awaits(number)),
                },
                Step::OrderBoth(operator) => {
                    let (right, left) = (take(stack), take(stack));
                    order_both(left, operator, right)?
                }
                Step::EqualBoth => {
                    let (right, left) = (take(stack), take(stack));
                    equal(left, right)?
                }
                Step::Not => match take(stack) {
                    Value::Bool(value) => Value::Bool(!value),
                    _ => Value::Null,
                },
                Step::BecomeNull => {
                    take(stack);
                    Value::Null
                }
                Step::BecomeFalse => {
                    take(stack);
                    Value::Bool(false)
                }
                Step::SkipIf(value, to) => {
                    if stack.last() == Some(&Value::Bool(value)) {
                        next = to as usize;
                    }
                    continue;
                }
                Step::SkipIfNull(to) => {
                    if stack.last() == Some(&Value::Null) {
                        next = to as usize;
                    }
                    continue;
                }
                Step::Join(decisive) => {
                    let (second, first) = (take(stack), take(stack));
                    if second == Value::Bool(decisive) || first != Value::Null { second } else { Value::Null }
                }
            };
            stack.push(value);
        }
        Ok(take(stack))
    }
}

/// What a step on a property says if it is there; without it, nothing is known.
#[inline]
fn known<'a>(value: Option<&[u8]>, says: impl FnOnce(&[u8]) -> Result<bool, EvaluationError>) -> Result<Value<'a>, EvaluationError> {
    value.map_or(Ok(Value::Null), |value| says(value).map(Value::Bool))
}

/// The topmost value. Steps are laid out so that there always is one.
fn take<'a>(stack: &mut Stack<'a>) -> Value<'a> {
    stack.pop().unwrap_or(Value::Null)
}

fn order_both(left: Value<'_>, operator: Ordered, right: Value<'_>) -> Result<Value<'static>, EvaluationError> {
    let order = match (left, right) {
        (Value::Null, _) | (_, Value::Null) => return Ok(Value::Null),
        (Value::Text(left), Value::Text(right)) => {
            let (left, right) = parse_double(left).zip(parse_double(right)).ok_or(EvaluationError)?;
            compare(Value::Double(left), Value::Double(right))?
        }
        (left, right) => compare(left, right)?,
    };
    Ok(Value::Bool(operator.holds(order)))
}
