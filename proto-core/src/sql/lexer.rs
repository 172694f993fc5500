//! Tokens of an expression, one at a time: what is never asked for is never read, as in Java.

use nom::{
    IResult, Parser,
    branch::alt,
    bytes::complete::{tag, take_till, take_until, take_while, take_while1},
    character::complete::{char, digit0, digit1, one_of},
    combinator::{opt, value},
    error::Error,
    multi::fold_many0,
    sequence::{delimited, pair},
};

use super::{
    error::{SqlError, shown},
    position::{self, Position},
};

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Not,
    And,
    Or,
    Between,
    In,
    True,
    False,
    Null,
    Is,
    Contains,
    StartsWith,
    EndsWith,
    Decimal,
    Floating,
    Text,
    Name,
    Equal,
    Unequal,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    Open,
    Comma,
    Close,
    Plus,
    Minus,
    End,
}

impl Kind {
    /// How Java names the kind in its errors.
    const fn image(self) -> &'static str {
        match self {
            Self::Not => "\"NOT\"",
            Self::And => "\"AND\"",
            Self::Or => "\"OR\"",
            Self::Between => "\"BETWEEN\"",
            Self::In => "\"IN\"",
            Self::True => "\"TRUE\"",
            Self::False => "\"FALSE\"",
            Self::Null => "\"NULL\"",
            Self::Is => "\"IS\"",
            Self::Contains => "\"CONTAINS\"",
            Self::StartsWith => "\"STARTSWITH\"",
            Self::EndsWith => "\"ENDSWITH\"",
            Self::Decimal => "<DECIMAL_LITERAL>",
            Self::Floating => "<FLOATING_POINT_LITERAL>",
            Self::Text => "<STRING_LITERAL>",
            Self::Name => "<ID>",
            Self::Equal => "\"=\"",
            Self::Unequal => "\"<>\"",
            Self::Greater => "\">\"",
            Self::GreaterOrEqual => "\">=\"",
            Self::Less => "\"<\"",
            Self::LessOrEqual => "\"<=\"",
            Self::Open => "\"(\"",
            Self::Comma => "\",\"",
            Self::Close => "\")\"",
            Self::Plus => "\"+\"",
            Self::Minus => "\"-\"",
            Self::End => "<EOF>",
        }
    }

    /// A word as keyword, in any letter case, or as the name of a property.
    fn of_word(word: &str) -> Self {
        const KEYWORDS: [(&str, Kind); 12] = [
            ("NOT", Kind::Not),
            ("AND", Kind::And),
            ("OR", Kind::Or),
            ("BETWEEN", Kind::Between),
            ("IN", Kind::In),
            ("TRUE", Kind::True),
            ("FALSE", Kind::False),
            ("NULL", Kind::Null),
            ("IS", Kind::Is),
            ("CONTAINS", Kind::Contains),
            ("STARTSWITH", Kind::StartsWith),
            ("ENDSWITH", Kind::EndsWith),
        ];
        KEYWORDS.iter().find(|(keyword, _)| keyword.eq_ignore_ascii_case(word)).map_or(Self::Name, |(_, kind)| *kind)
    }
}

/// A token and where it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind,
    /// As it is written.
    pub(super) text: &'a str,
    at: usize,
}

/// Cuts tokens off an expression.
#[derive(Clone, Debug)]
pub(super) struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// The next token; [`Kind::End`] again and again at the end.
    pub(super) fn next(&mut self) -> Result<Token<'a>, SqlError> {
        let rest = &self.text[self.at..];
        let rest = skipped(rest).map_or(rest, |(rest, ())| rest);
        let at = self.text.len() - rest.len();
        if rest.is_empty() {
            self.at = at;
            return Ok(Token { kind: Kind::End, text: "", at });
        }
        let (after, (kind, text)) = token(rest).map_err(|_| self.no_token(at))?;
        self.at = self.text.len() - after.len();
        Ok(Token { kind, text, at })
    }

    /// The error for a token that may not stand where it does.
    pub(super) fn unexpected(&self, token: Token<'_>) -> SqlError {
        if token.kind == Kind::End {
            let Position { line, column } = position::of_last(self.text);
            return SqlError::Syntax { found: Kind::End.image().to_owned(), line, column };
        }
        let Position { line, column } = position::of(self.text, token.at);
        let found = format!(" {} \"{} \"", token.kind.image(), escaped(&shown(token.text)));
        SqlError::Syntax { found, line, column }
    }

    /// The error for characters of which no token can be made.
    fn no_token(&self, at: usize) -> SqlError {
        let rest = &self.text[at..];
        // Beyond its first character goes only what may still become a fraction, a comment or a text.
        let second = rest.char_indices().nth(1).filter(|_| rest.starts_with(['.', '/']));
        let endless = rest.starts_with('\'') || rest.starts_with("/*") || rest == "." || rest == "/";
        if endless {
            let Position { line, column } = position::behind(self.text);
            let after = if rest.chars().count() > 1 { escaped(&shown(rest)) } else { String::new() };
            return SqlError::Lexical { line, column, found: "<EOF>".to_owned(), after };
        }
        let wrong = second.map_or(0, |(second, _)| second);
        let Position { line, column } = position::of(self.text, at + wrong);
        let unit = rest[wrong..].encode_utf16().next().unwrap_or_default();
        let found = format!("\"{}\" ({unit}),", escaped_unit(unit));
        SqlError::Lexical { line, column, found, after: escaped(&rest[..wrong]) }
    }
}

/// White space and comments. A line comment at the end of the text without a line separator is none, but two minus signs.
fn skipped(input: &str) -> IResult<&str, ()> {
    let space = take_while1(|c| matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{c}'));
    let line = written((tag("--"), take_till(|c| c == '\n' || c == '\r'), one_of("\n\r")));
    let block = delimited(tag("/*"), take_until("*/"), tag("*/"));
    fold_many0(alt((space, line, block)), || (), |(), _| ()).parse(input)
}

fn token(input: &str) -> IResult<&str, (Kind, &str)> {
    alt((word, text, number, symbol)).parse(input)
}

fn word(input: &str) -> IResult<&str, (Kind, &str)> {
    let first = |c: char| c.is_ascii_alphabetic() || c == '_' || c == '$';
    let later = move |c: char| first(c) || c.is_ascii_digit();
    written(pair(take_while1(first), take_while(later))).map(|word| (Kind::of_word(word), word)).parse(input)
}

/// A text in quotes; two quotes stand for one.
fn text(input: &str) -> IResult<&str, (Kind, &str)> {
    let quoted = delimited(char('\''), take_till(|c| c == '\''), char('\''));
    written(pair(quoted, fold_many0(delimited(char('\''), take_till(|c| c == '\''), char('\'')), || (), |(), _| ())))
        .map(|text| (Kind::Text, text))
        .parse(input)
}

fn number(input: &str) -> IResult<&str, (Kind, &str)> {
    let exponent = || (one_of("eE"), opt(one_of("+-")), digit1);
    let floating = alt((
        written((digit1, char('.'), digit0, opt(exponent()))),
        written((char('.'), digit1, opt(exponent()))),
        written((digit1, exponent())),
    ));
    let decimal = alt((tag("0"), written((one_of("123456789"), digit0, opt(one_of("lL"))))));
    alt((floating.map(|text| (Kind::Floating, text)), decimal.map(|text| (Kind::Decimal, text)))).parse(input)
}

fn symbol(input: &str) -> IResult<&str, (Kind, &str)> {
    let kind = alt((
        value(Kind::Equal, tag("=")),
        value(Kind::Unequal, tag("<>")),
        value(Kind::GreaterOrEqual, tag(">=")),
        value(Kind::Greater, tag(">")),
        value(Kind::LessOrEqual, tag("<=")),
        value(Kind::Less, tag("<")),
        value(Kind::Open, tag("(")),
        value(Kind::Comma, tag(",")),
        value(Kind::Close, tag(")")),
        value(Kind::Plus, tag("+")),
        value(Kind::Minus, tag("-")),
    ));
    consumed(kind, input)
}

/// The text that a parser takes, whatever it makes of it. By length: `nom::combinator::recognize` goes by addresses, and what is left of
/// a text that was taken to its end does not always lie at its end.
fn written<'a, O>(
    mut parser: impl Parser<&'a str, Output = O, Error = Error<&'a str>>,
) -> impl FnMut(&'a str) -> IResult<&'a str, &'a str> {
    move |input| consumed(|input| parser.parse(input), input).map(|(rest, (_, text))| (rest, text))
}

fn consumed<'a, O>(mut parser: impl Parser<&'a str, Output = O, Error = Error<&'a str>>, input: &'a str) -> IResult<&'a str, (O, &'a str)> {
    let (rest, output) = parser.parse(input)?;
    Ok((rest, (output, &input[..input.len() - rest.len()])))
}

/// Text as Java's errors print it.
fn escaped(text: &str) -> String {
    text.encode_utf16().map(escaped_unit).collect()
}

fn escaped_unit(unit: u16) -> String {
    match char::from_u32(u32::from(unit)) {
        Some('\0') => String::new(),
        Some('\u{8}') => "\\b".to_owned(),
        Some('\t') => "\\t".to_owned(),
        Some('\n') => "\\n".to_owned(),
        Some('\u{c}') => "\\f".to_owned(),
        Some('\r') => "\\r".to_owned(),
        Some(c @ ('"' | '\'' | '\\')) => format!("\\{c}"),
        Some(c @ ' '..='~') => c.to_string(),
        _ => format!("\\u{unit:04x}"),
    }
}
