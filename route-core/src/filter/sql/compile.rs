//! From a tree to steps. What does not depend on the message is computed here, as far as that changes no result and hides no error.

use proto_core::sql::{Constant, EvaluationError, Expression, Ordered, Value};

use super::{
    program::{Call, Compiled, Number, Program, Search, Stack, Step, TextList},
    wanted::Found,
};

/// Compiles an expression.
pub(super) fn compile(expression: &Expression) -> Compiled {
    if let Some(value) = fixed(expression) {
        return Compiled::Fixed(value == Ok(Value::Bool(true)));
    }
    let mut program = Program::default();
    program.emit(expression);
    if program.wanted.is_empty() && program.calls.is_empty() {
        // What depended on the message was never reached, as in `FALSE AND a > 3`.
        let value = program.run(&Found::new(), &[], &mut Stack::new());
        return Compiled::Fixed(value.is_ok_and(|value| value == Value::Bool(true)));
    }
    Compiled::Program(Box::new(program))
}

/// The value of an expression that is the same for every message.
fn fixed(expression: &Expression) -> Option<Result<Value<'_>, EvaluationError>> {
    (!depends_on_message(expression)).then(|| expression.evaluate(&|_| None))
}

fn depends_on_message(expression: &Expression) -> bool {
    match expression {
        Expression::Constant(_) => false,
        Expression::Property(_) | Expression::Truth(_) | Expression::In { .. } | Expression::Call { .. } => true,
        Expression::Negative(operand) | Expression::Not(operand) => depends_on_message(operand),
        Expression::Search { operand, text, .. } => !text.is_empty() && depends_on_message(operand),
        Expression::And(operands) | Expression::Or(operands) => operands.iter().any(depends_on_message),
        Expression::Equal(operands) | Expression::Order(_, operands) => depends_on_message(&operands.0) || depends_on_message(&operands.1),
        Expression::Between { operands, .. } => operands.iter().any(depends_on_message),
    }
}

/// An operand of a comparison, if it is a property or a number: those get steps of their own.
enum Simple {
    Property(u16),
    Number(Number),
}

impl Program {
    /// Appends the steps that put the value of `expression` on top.
    fn emit(&mut self, expression: &Expression) {
        if let Some(value) = fixed(expression) {
            return self.emit_fixed(value);
        }
        match expression {
            // Constants read no property, so they are above.
            Expression::Constant(constant) => self.emit_fixed(Ok(constant.value())),
            Expression::Property(name) => {
                let number = self.wanted.number(name);
                self.steps.push(Step::Property(number));
            }
            Expression::Truth(name) => {
                let number = self.wanted.number(name);
                self.steps.push(Step::Truth(number));
            }
            // Of what depends on the message nothing is a number: no text, no truth value.
            Expression::Negative(operand) => match &**operand {
                Expression::Property(_) => self.steps.push(Step::Null),
                operand => {
                    self.emit(operand);
                    self.steps.push(Step::BecomeNull);
                }
            },
            Expression::Not(operand) => {
                self.emit(operand);
                self.steps.push(Step::Not);
            }
            Expression::And(operands) => self.emit_chain(operands, false),
            Expression::Or(operands) => self.emit_chain(operands, true),
            Expression::Equal(operands) => self.emit_equal(&operands.0, &operands.1),
            Expression::Order(operator, operands) => self.emit_order(&operands.0, *operator, &operands.1),
            Expression::Between { not, operands } => self.emit_between(operands, *not),
            Expression::In { not, property, texts } => {
                let (number, list) = (self.wanted.number(property), index(self.lists.len()));
                self.lists.push(TextList::new(texts));
                self.steps.push(Step::In(number, list, *not));
            }
            Expression::Search { test, not, operand, text } => match &**operand {
                Expression::Property(name) => {
                    let (number, search) = (self.wanted.number(name), index(self.searches.len()));
                    self.searches.push(Search::new(*test, text, *not));
                    self.steps.push(Step::Search(number, search));
                }
                // Only properties and constants are texts.
                operand => {
                    self.emit(operand);
                    self.steps.push(Step::BecomeFalse);
                }
            },
            Expression::Call { plugin, argument } => {
                let call = Call { plugin: plugin.clone(), argument: argument.clone() };
                let number = self.calls.iter().position(|known| *known == call).unwrap_or_else(|| {
                    self.calls.push(call);
                    self.calls.len() - 1
                });
                self.steps.push(Step::Call(index(number)));
            }
        }
    }

    fn emit_fixed(&mut self, value: Result<Value<'_>, EvaluationError>) {
        let step = match value {
            Err(EvaluationError) => Step::Fail,
            Ok(Value::Null) => Step::Null,
            Ok(Value::Bool(value)) => Step::Bool(value),
            Ok(Value::Int(value)) => Step::Number(Number::Int(value)),
            Ok(Value::Long(value)) => Step::Number(Number::Long(value)),
            Ok(Value::Double(value)) => Step::Number(Number::Double(value)),
            Ok(Value::Text(text)) => Step::Text(self.text(text)),
        };
        self.steps.push(step);
    }

    /// The number of a text.
    fn text(&mut self, text: &[u8]) -> u16 {
        self.texts.push(text.into());
        index(self.texts.len() - 1)
    }

    /// Operands of AND or OR from left to right until one is `decisive`.
    fn emit_chain(&mut self, operands: &[Expression], decisive: bool) {
        let mut skips = Vec::new();
        let mut first = true;
        for operand in operands {
            let value = fixed(operand);
            // What can neither decide nor be unknown says nothing.
            if value == Some(Ok(Value::Bool(!decisive))) {
                continue;
            }
            if !first {
                skips.push(self.steps.len());
                self.steps.push(Step::SkipIf(decisive, 0));
            }
            self.emit(operand);
            if !std::mem::take(&mut first) {
                self.steps.push(Step::Join(decisive));
            }
            // Nothing behind this is ever looked at.
            if matches!(value, Some(Ok(Value::Bool(_)) | Err(_))) {
                break;
            }
        }
        if first {
            self.steps.push(Step::Bool(!decisive));
        }
        for skip in skips {
            self.steps[skip] = Step::SkipIf(decisive, self.end());
        }
    }

    fn emit_equal(&mut self, left: &Expression, right: &Expression) {
        let step = match (left, fixed(right)) {
            (Expression::Property(name), Some(Ok(value))) => {
                let number = self.wanted.number(name);
                match value {
                    Value::Null => Step::Missing(number),
                    Value::Bool(value) => Step::EqualBool(number, value),
                    Value::Int(value) => Step::EqualNumber(number, Number::Int(value)),
                    Value::Long(value) => Step::EqualNumber(number, Number::Long(value)),
                    Value::Double(value) => Step::EqualNumber(number, Number::Double(value)),
                    Value::Text(text) => Step::EqualText(number, self.text(text)),
                }
            }
            _ => {
                self.emit(left);
                self.emit(right);
                Step::EqualBoth
            }
        };
        self.steps.push(step);
    }

    fn emit_order(&mut self, left: &Expression, operator: Ordered, right: &Expression) {
        match (self.simple(left), self.simple(right)) {
            (Some(Simple::Property(property)), Some(Simple::Number(number))) => self.steps.push(Step::Order(property, operator, number)),
            (Some(Simple::Number(number)), Some(Simple::Property(property))) => {
                self.steps.push(Step::Order(property, operator.mirrored(), number));
            }
            (_, right_side) => {
                self.emit(left);
                // What is not there is not compared: then the right side may not fail.
                let skip = self.steps.len();
                if right_side.is_none() {
                    self.steps.push(Step::SkipIfNull(0));
                }
                self.emit(right);
                self.steps.push(Step::OrderBoth(operator));
                if right_side.is_none() {
                    self.steps[skip] = Step::SkipIfNull(self.end());
                }
            }
        }
    }

    /// `value >= low AND value <= high`, or `value < low OR value > high`.
    fn emit_between(&mut self, [value, low, high]: &[Expression; 3], not: bool) {
        let (below, above) = if not { (Ordered::Less, Ordered::Greater) } else { (Ordered::GreaterOrEqual, Ordered::LessOrEqual) };
        if self.simple(value).is_none() {
            // The negative of something that is no number is nothing, and compares to nothing.
            return self.emit(value);
        }
        self.emit_order(value, below, low);
        let skip = self.steps.len();
        self.steps.push(Step::SkipIf(not, 0));
        self.emit_order(value, above, high);
        self.steps.push(Step::Join(not));
        self.steps[skip] = Step::SkipIf(not, self.end());
    }

    fn simple(&mut self, expression: &Expression) -> Option<Simple> {
        match expression {
            Expression::Property(name) => Some(Simple::Property(self.wanted.number(name))),
            Expression::Constant(Constant::Null | Constant::Bool(_) | Constant::Text(_)) => None,
            other => match fixed(other)? {
                Ok(Value::Int(value)) => Some(Simple::Number(Number::Int(value))),
                Ok(Value::Long(value)) => Some(Simple::Number(Number::Long(value))),
                Ok(Value::Double(value)) => Some(Simple::Number(Number::Double(value))),
                _ => None,
            },
        }
    }

    /// The number of the step that comes next.
    fn end(&self) -> u32 {
        u32::try_from(self.steps.len()).unwrap_or(u32::MAX)
    }
}

/// A number in one of the program's lists. Expressions are shorter than 64 KiB, so that no list is longer.
fn index(at: usize) -> u16 {
    u16::try_from(at).unwrap_or(u16::MAX)
}
