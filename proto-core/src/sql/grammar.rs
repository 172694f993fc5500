//! The grammar, level by level from `OR` down to constants, and the checks that Java makes on the way.
//!
//! It is read by hand on top of the [lexer](super::lexer): which error a client sees depends on how far Java has looked when it gives up.

use super::{
    MAX_CALLS, MAX_NESTING,
    error::{SqlError, shown},
    lexer::{Kind, Lexer, Token},
    number::parse_long,
    tree::{Constant, Expression, Ordered, TextTest},
    value::{Value, compare},
};

/// An expression and how deep its tree is.
struct Node {
    expression: Expression,
    depth: u16,
}

type Parsed = Result<Node, SqlError>;

struct Parser<'a> {
    lexer: Lexer<'a>,
    /// Tokens that were looked at and not taken; never more than two.
    ahead: [Option<Token<'a>>; 2],
    nesting: u16,
    calls: usize,
}

/// Reads an expression; what follows it is ignored.
pub(super) fn parse(text: &str) -> Result<Expression, SqlError> {
    let mut parser = Parser { lexer: Lexer::new(text), ahead: [None; 2], nesting: 0, calls: 0 };
    let node = parser.or()?;
    as_boolean(node).map(|node| node.expression)
}

impl<'a> Parser<'a> {
    fn peek(&mut self) -> Result<Token<'a>, SqlError> {
        match self.ahead[0] {
            Some(token) => Ok(token),
            None => Ok(*self.ahead[0].insert(self.lexer.next()?)),
        }
    }

    fn peek_second(&mut self) -> Result<Token<'a>, SqlError> {
        self.peek()?;
        match self.ahead[1] {
            Some(token) => Ok(token),
            None => Ok(*self.ahead[1].insert(self.lexer.next()?)),
        }
    }

    fn take(&mut self) -> Result<Token<'a>, SqlError> {
        let token = self.peek()?;
        self.ahead = [self.ahead[1], None];
        Ok(token)
    }

    fn expect(&mut self, kind: Kind) -> Result<Token<'a>, SqlError> {
        let token = self.take()?;
        if token.kind == kind { Ok(token) } else { Err(self.lexer.unexpected(token)) }
    }

    fn or(&mut self) -> Parsed {
        let mut left = self.and()?;
        while self.peek()?.kind == Kind::Or {
            self.take()?;
            let right = self.and()?;
            left = chain(left, right, false)?;
        }
        Ok(left)
    }

    fn and(&mut self) -> Parsed {
        let mut left = self.equality()?;
        while self.peek()?.kind == Kind::And {
            self.take()?;
            let right = self.equality()?;
            left = chain(left, right, true)?;
        }
        Ok(left)
    }

    fn equality(&mut self) -> Parsed {
        let mut left = self.comparison()?;
        loop {
            left = match self.peek()?.kind {
                Kind::Equal => {
                    self.take()?;
                    equal(left, self.comparison()?)?
                }
                Kind::Unequal => {
                    self.take()?;
                    negated(equal(left, self.comparison()?)?)?
                }
                Kind::Is => {
                    let not = self.peek_second()?.kind != Kind::Null;
                    self.take()?;
                    if not {
                        self.expect(Kind::Not)?;
                    }
                    self.expect(Kind::Null)?;
                    let null = Node { expression: Expression::Constant(Constant::Null), depth: 1 };
                    let is_null = pair(left, null, Expression::Equal)?;
                    if not { negated(is_null)? } else { is_null }
                }
                _ => return Ok(left),
            };
        }
    }

    fn comparison(&mut self) -> Parsed {
        let mut left = self.unary()?;
        loop {
            let token = self.peek()?;
            let not = token.kind == Kind::Not;
            let kind = if not { self.peek_second()?.kind } else { token.kind };
            let operator = match kind {
                Kind::Less | Kind::LessOrEqual | Kind::Greater | Kind::GreaterOrEqual if !not => kind,
                Kind::Contains | Kind::StartsWith | Kind::EndsWith | Kind::Between | Kind::In => kind,
                // Only a comparison can follow NOT here.
                _ if not => return Err(self.lexer.unexpected(token)),
                _ => return Ok(left),
            };
            self.take()?;
            if not {
                self.take()?;
            }
            left = self.compared(left, operator, not)?;
        }
    }

    /// The rest of a comparison, of which the left side and the operator have been read. Apart from the loop above, which every level of
    /// nesting passes, so that a level costs little stack.
    fn compared(&mut self, left: Node, operator: Kind, not: bool) -> Parsed {
        match operator {
            Kind::Less => ordered(left, Ordered::Less, self.unary()?),
            Kind::LessOrEqual => ordered(left, Ordered::LessOrEqual, self.unary()?),
            Kind::Greater => ordered(left, Ordered::Greater, self.unary()?),
            Kind::GreaterOrEqual => ordered(left, Ordered::GreaterOrEqual, self.unary()?),
            Kind::Contains => search(left, TextTest::Contains, not, self.text()?),
            Kind::StartsWith => search(left, TextTest::StartsWith, not, self.text()?),
            Kind::EndsWith => search(left, TextTest::EndsWith, not, self.text()?),
            Kind::Between => {
                let low = self.unary()?;
                self.expect(Kind::And)?;
                between(left, low, self.unary()?, not)
            }
            _ => {
                let texts = self.list()?;
                is_in(&left, texts, not)
            }
        }
    }

    /// `('a', 'b')`
    fn list(&mut self) -> Result<Vec<Box<str>>, SqlError> {
        self.expect(Kind::Open)?;
        let mut texts = vec![self.text()?];
        while self.peek()?.kind == Kind::Comma {
            self.take()?;
            texts.push(self.text()?);
        }
        self.expect(Kind::Close)?;
        Ok(texts)
    }

    fn unary(&mut self) -> Parsed {
        if self.nesting == MAX_NESTING {
            return Err(SqlError::TooDeep);
        }
        self.nesting += 1;
        let token = self.peek()?;
        let node = match token.kind {
            Kind::Plus => {
                self.take()?;
                // Java reads the operand on trial first: if it is none, the sign is what may not stand here.
                self.unary().map_err(|error| match error {
                    SqlError::Syntax { .. } => self.lexer.unexpected(token),
                    error => error,
                })?
            }
            Kind::Minus => {
                self.take()?;
                let operand = self.unary()?;
                deeper(operand, |operand| Expression::Negative(Box::new(operand)))?
            }
            Kind::Not => {
                self.take()?;
                let operand = self.unary()?;
                negated(as_boolean(operand)?)?
            }
            _ => self.primary()?,
        };
        self.nesting -= 1;
        Ok(node)
    }

    fn primary(&mut self) -> Parsed {
        let token = self.take()?;
        let expression = match token.kind {
            Kind::Open => {
                let node = self.or()?;
                self.expect(Kind::Close)?;
                return Ok(node);
            }
            // Java would take this for a property and ignore what follows.
            Kind::Name if token.text.eq_ignore_ascii_case("wasm") && self.peek()?.kind == Kind::Open => self.call()?,
            Kind::Name => Expression::Property(token.text.into()),
            Kind::Text => Expression::Constant(Constant::Text(unquoted(token.text))),
            Kind::Decimal => Expression::Constant(decimal(token.text)?),
            Kind::Floating => Expression::Constant(floating(token.text)?),
            Kind::True => Expression::Constant(Constant::Bool(true)),
            Kind::False => Expression::Constant(Constant::Bool(false)),
            Kind::Null => Expression::Constant(Constant::Null),
            _ => return Err(self.lexer.unexpected(token)),
        };
        Ok(Node { expression, depth: 1 })
    }

    /// `('plugin')` or `('plugin', 'argument')`, behind the name of the function.
    fn call(&mut self) -> Result<Expression, SqlError> {
        self.calls += 1;
        if self.calls > MAX_CALLS {
            return Err(SqlError::TooManyCalls);
        }
        self.expect(Kind::Open)?;
        let plugin = self.text()?;
        let mut argument = Box::default();
        if self.peek()?.kind == Kind::Comma {
            self.take()?;
            argument = self.text()?;
        }
        self.expect(Kind::Close)?;
        Ok(Expression::Call { plugin, argument })
    }

    fn text(&mut self) -> Result<Box<str>, SqlError> {
        self.expect(Kind::Text).map(|token| unquoted(token.text))
    }
}

/// A text literal without its quotes; two quotes inside stand for one.
fn unquoted(literal: &str) -> Box<str> {
    literal[1..literal.len() - 1].replace("''", "'").into()
}

fn decimal(literal: &str) -> Result<Constant, SqlError> {
    let digits = literal.trim_end_matches(['l', 'L']);
    let number = parse_long(digits.as_bytes()).ok_or_else(|| SqlError::TooLarge(shown(digits)))?;
    Ok(i32::try_from(number).map_or(Constant::Long(number), Constant::Int))
}

fn floating(literal: &str) -> Result<Constant, SqlError> {
    match literal.parse::<f64>() {
        Ok(number) if number.is_infinite() => Err(SqlError::GreaterThanDouble(shown(literal))),
        Ok(number) if number > 0.0 => Ok(Constant::Double(number)),
        _ => Err(SqlError::LessThanDouble(shown(literal))),
    }
}

/// A node over one other.
fn deeper(node: Node, over: impl FnOnce(Expression) -> Expression) -> Parsed {
    let depth = one_more(node.depth)?;
    Ok(Node { expression: over(node.expression), depth })
}

/// A node over two others.
fn pair(left: Node, right: Node, over: impl FnOnce(Box<(Expression, Expression)>) -> Expression) -> Parsed {
    let depth = one_more(left.depth.max(right.depth))?;
    Ok(Node { expression: over(Box::new((left.expression, right.expression))), depth })
}

/// Trees that grow without parentheses, like `a = b = c`, are limited too: whoever walks them needs stack.
const fn one_more(depth: u16) -> Result<u16, SqlError> {
    if depth < MAX_NESTING { Ok(depth + 1) } else { Err(SqlError::TooDeep) }
}

fn as_boolean(node: Node) -> Parsed {
    match node.expression {
        Expression::Property(name) => Ok(Node { expression: Expression::Truth(name), depth: node.depth }),
        expression if expression.is_boolean() => Ok(Node { expression, depth: node.depth }),
        other => Err(SqlError::NotBoolean(shown(&other))),
    }
}

fn negated(node: Node) -> Parsed {
    deeper(node, |operand| Expression::Not(Box::new(operand)))
}

/// `left AND right` or `left OR right`; what is joined already takes one operand more.
fn chain(left: Node, right: Node, and: bool) -> Parsed {
    let (left, right) = (as_boolean(left)?, as_boolean(right)?);
    let depth = left.depth.max(one_more(right.depth)?);
    let expression = match (left.expression, and) {
        (Expression::And(mut operands), true) => {
            operands.push(right.expression);
            Expression::And(operands)
        }
        (Expression::Or(mut operands), false) => {
            operands.push(right.expression);
            Expression::Or(operands)
        }
        (left_operand, _) => {
            let operands = vec![left_operand, right.expression];
            let depth = depth.max(one_more(left.depth)?);
            let expression = if and { Expression::And(operands) } else { Expression::Or(operands) };
            return Ok(Node { expression, depth });
        }
    };
    Ok(Node { expression, depth })
}

fn equal(left: Node, right: Node) -> Parsed {
    for side in [&left, &right] {
        if side.expression == Expression::Constant(Constant::Null) {
            return Err(SqlError::NullOperand(side.expression.to_string()));
        }
    }
    if let (Expression::Constant(Constant::Bool(_)), Expression::Constant(constant)) = (&left.expression, &right.expression)
        && !matches!(constant, Constant::Bool(_))
    {
        let (left, right) = (left.expression.to_string(), shown(&right.expression));
        return Err(SqlError::Incomparable { left, right });
    }
    pair(left, right, Expression::Equal)
}

fn check_ordered(operand: &Expression) -> Result<(), SqlError> {
    match operand {
        Expression::Constant(Constant::Int(_) | Constant::Long(_) | Constant::Double(_)) => Ok(()),
        Expression::Property(_) | Expression::Negative(_) => Ok(()),
        other => Err(SqlError::NotOrdered(shown(other))),
    }
}

fn ordered(left: Node, operator: Ordered, right: Node) -> Parsed {
    check_ordered(&left.expression)?;
    check_ordered(&right.expression)?;
    pair(left, right, |operands| Expression::Order(operator, operands))
}

fn search(operand: Node, test: TextTest, not: bool, text: Box<str>) -> Parsed {
    deeper(operand, |operand| Expression::Search { test, not, operand: Box::new(operand), text })
}

fn is_in(left: &Node, texts: Vec<Box<str>>, not: bool) -> Parsed {
    let Expression::Property(property) = &left.expression else {
        return Err(SqlError::NotProperty(shown(&left.expression)));
    };
    Ok(Node { expression: Expression::In { not, property: property.clone(), texts }, depth: 1 })
}

/// `value BETWEEN low AND high`; the bounds are compared if they are constants and not negated.
fn between(value: Node, low: Node, high: Node, not: bool) -> Parsed {
    if let (Expression::Constant(low), Expression::Constant(high)) = (&low.expression, &high.expression)
        && !not
    {
        check_bounds(low, high)?;
    }
    for operand in [&value, &low, &high] {
        check_ordered(&operand.expression)?;
    }
    let depth = one_more(value.depth.max(low.depth).max(high.depth))?;
    let operands = Box::new([value.expression, low.expression, high.expression]);
    Ok(Node { expression: Expression::Between { not, operands }, depth })
}

fn check_bounds(low: &Constant, high: &Constant) -> Result<(), SqlError> {
    match (low, high) {
        (Constant::Null, _) | (_, Constant::Null) => return Err(SqlError::NullBound),
        (Constant::Text(_), Constant::Bool(_)) => return Err(SqlError::BooleanBound),
        _ => {}
    }
    match compare(high.value(), low.value()) {
        Ok(order) if order.is_lt() => Err(SqlError::BoundsSwapped { low: plain(low), high: plain(high) }),
        Ok(_) => Ok(()),
        Err(_) => {
            let text = [low, high].into_iter().find(|bound| matches!(bound.value(), Value::Text(_)));
            Err(SqlError::UnlikeBounds(text.map(plain).unwrap_or_default()))
        }
    }
}

/// A constant as Java's `%s` prints it.
fn plain(constant: &Constant) -> String {
    match constant {
        Constant::Text(text) => shown(text),
        Constant::Bool(value) => value.to_string(),
        number => number.to_string(),
    }
}
