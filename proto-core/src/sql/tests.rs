use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::Value as Json;

use super::*;

/// What Java 5.5.0 made of 177 expressions: errors, or results for four messages.
const RECORDED: &str = include_str!("../../tests/golden/sql92.jsonl");

fn recorded() -> impl Iterator<Item = Json> {
    RECORDED.lines().map(|line| serde_json::from_str(line).unwrap())
}

fn evaluate(expression: &Expression, message: &BTreeMap<String, String>) -> &'static str {
    match expression.evaluate(&|name| message.get(name).map(String::as_bytes)) {
        Ok(Value::Bool(true)) => "true",
        Ok(Value::Bool(false)) => "false",
        Ok(Value::Null) => "null",
        Ok(_) => "a value",
        Err(EvaluationError) => "error",
    }
}

fn refusal(text: &str) -> String {
    parse(text).expect_err(text).to_string()
}

#[test]
fn expressions_come_to_what_they_come_to_in_java() {
    let mut lines = recorded();
    let messages: Vec<BTreeMap<String, String>> = serde_json::from_value(lines.next().unwrap()["messages"].take()).unwrap();
    let mut seen = 0;
    for line in lines.filter(|line| line["results"].is_array()) {
        let text = line["expr"].as_str().unwrap();
        let expression = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let results: Vec<_> = messages.iter().map(|message| evaluate(&expression, message)).collect();
        assert_eq!(Json::from(results), line["results"], "{text}");
        seen += messages.len();
    }
    assert_eq!(seen, 568);
}

#[test]
fn expressions_are_refused_in_the_words_of_java() {
    let mut seen = 0;
    for line in recorded().filter(|line| line["error"].is_string()) {
        assert_eq!(refusal(line["expr"].as_str().unwrap()), line["error"].as_str().unwrap(), "{}", line["expr"]);
        seen += 1;
    }
    assert_eq!(seen, 52);
}

#[test]
fn what_is_wrong_first_is_what_a_client_reads() {
    assert_eq!(refusal("a > 'x' AND"), "java.lang.RuntimeException: Value ''x'' cannot be compared.");
    assert_eq!(refusal("a > 'x' #"), "java.lang.RuntimeException: Value ''x'' cannot be compared.");
    assert!(refusal("a > 3 #").contains("Lexical error at line 1, column 7.  Encountered: \"#\" (35), after : \"\""));
    assert!(refusal("+(a > )").contains("Encountered \" \"+\" \"+ \"\" at line 1, column 1."));
}

#[test]
fn what_follows_an_expression_is_not_even_read() {
    assert!(parse("a > 3 b #").is_ok());
    assert!(parse("a > 3 --no comment without an end of line").is_ok());
}

#[test]
fn operands_that_make_no_sense_are_refused() {
    let cases = [
        ("TRUE = 5", "java.lang.RuntimeException: 'TRUE' cannot be compared with '5'"),
        ("a BETWEEN NULL AND 5", "java.lang.RuntimeException: Illegal values of between, values can not be null!"),
        ("a BETWEEN 'x' AND 5", "java.lang.RuntimeException: java.lang.NumberFormatException: For input string: \"x\""),
        ("-5", "org.apache.rocketmq.filter.parser.ParseException: Expression will not result in a boolean value: (- 5)"),
        ("a AND 5", "org.apache.rocketmq.filter.parser.ParseException: Expression will not result in a boolean value: 5"),
        ("(a = 1 OR b) > 5", "java.lang.RuntimeException: Value '((a == 1) || b)' cannot be compared."),
        ("(a AND b AND c) > 5", "java.lang.RuntimeException: Value '((a && b) && c)' cannot be compared."),
        ("(a IN ('x', 'y')) > 5", "java.lang.RuntimeException: Value 'a IN ( x, y )' cannot be compared."),
        ("(a NOT BETWEEN 1 AND 1.5e9) > 5", "java.lang.RuntimeException: Value '((a < 1) || (a > 1.5E9))' cannot be compared."),
        ("(a CONTAINS 'x') IN ('y')", "java.lang.RuntimeException: Expected a property for In expression, got: (CONTAINS a)"),
        ("'it''s' > 5", "java.lang.RuntimeException: Value ''it''s'' cannot be compared."),
    ];
    for (text, error) in cases {
        assert_eq!(refusal(text), error, "{text}");
    }
}

#[test]
fn characters_that_begin_no_token_are_shown_with_their_codes() {
    assert!(refusal("a = é").ends_with("Lexical error at line 1, column 5.  Encountered: \"\\u00e9\" (233), after : \"\""));
    assert!(refusal("a = 😀").ends_with("Encountered: \"\\ud83d\" (55357), after : \"\""));
    assert!(refusal("a =\n/ 2").ends_with("Lexical error at line 2, column 2.  Encountered: \" \" (32), after : \"/\""));
    assert!(refusal("a > .").ends_with("Lexical error at line 1, column 6.  Encountered: <EOF> after : \"\""));
    assert!(refusal("a = 'x\n").ends_with("Lexical error at line 2, column 0.  Encountered: <EOF> after : \"\\\'x\\n\""));
}

#[test]
fn a_call_names_a_plugin_and_its_argument_and_stands_for_a_truth_value() {
    let call = |plugin: &str, argument: &str| Expression::Call { plugin: plugin.into(), argument: argument.into() };
    assert_eq!(parse("wasm('json', 'it''s')"), Ok(call("json", "it's")));
    assert_eq!(parse("WASM ( 'json' )"), Ok(call("json", "")));
    assert_eq!(parse("wasm('json', 'x')").unwrap().to_string(), "wasm('json', 'x')");
    assert_eq!(parse("wasm = 'x'"), parse("wasm='x'"), "a property may still be called that");
    let both = parse("a = 1 AND NOT wasm('p', 'q')").unwrap();
    let message = |_: &str| Some(&b"1"[..]);
    assert_eq!(both.evaluate_with(&message, &|plugin, argument| Some((plugin, argument) != ("p", "q"))), Ok(Value::Bool(true)));
    assert_eq!(both.evaluate(&message), Ok(Value::Null), "nobody is asked");
}

#[test]
fn a_call_that_is_none_is_refused_where_it_goes_wrong() {
    assert!(refusal("wasm(json)").contains("Encountered \" <ID> \"json \"\" at line 1, column 6."));
    assert!(refusal("wasm()").contains("Encountered \" \")\" \") \"\" at line 1, column 6."));
    assert!(refusal("wasm('a', 'b', 'c')").contains("Encountered \" \",\" \", \"\" at line 1, column 14."));
    assert!(refusal("wasm('a') > 5").contains("cannot be compared"));
    assert_eq!(parse(&["wasm('a')"; MAX_CALLS + 1].join(" OR ")), Err(SqlError::TooManyCalls));
}

#[test]
fn chains_are_as_long_as_the_text_allows() {
    let text = vec!["a=1"; MAX_LEN / 7].join(" OR ");
    let expression = parse(&text).unwrap();
    assert_eq!(evaluate(&expression, &[("a".to_owned(), "1".to_owned())].into()), "true");
    assert_eq!(parse(&"x".repeat(MAX_LEN + 1)), Err(SqlError::TooLong(MAX_LEN + 1)));
}

#[test]
fn nesting_has_a_limit_in_whatever_way_it_comes() {
    let half = MAX_LEN / 2;
    let deep = [
        "(".repeat(half),
        "NOT ".repeat(half / 4),
        "- ".repeat(half),
        "+".repeat(half),
        format!("a{}", " = TRUE".repeat(1000)),
        format!("a{}", " IS NULL".repeat(1000)),
        format!("a{}", " CONTAINS 'x'".repeat(1000)),
        format!("{}a{}", "-(".repeat(800), " BETWEEN 1 AND 2)".repeat(800)),
    ];
    for text in deep {
        assert_eq!(parse(&text), Err(SqlError::TooDeep), "{}", &text[..40]);
    }
    assert!(parse(&format!("{}a{}", "(".repeat(60), ")".repeat(60))).is_ok());
}

#[test]
fn an_error_repeats_only_the_beginning_of_a_long_expression() {
    // Each BETWEEN prints its value twice: printed in full, this would be longer than any memory.
    let levels = 25;
    let text = format!("({}a{}) > 5", "-(".repeat(levels), " BETWEEN 1 AND 2)".repeat(levels));
    assert!(refusal(&format!("{text} IN ('x')")).len() < 1000);
    assert!(refusal(&format!("'{}", "x".repeat(10_000))).len() < 1000);
}

/// Pieces of which random expressions are made; many orders of them are expressions.
const PIECES: &[&str] = &[
    "a",
    "b",
    "$c_1",
    "5",
    "-3",
    "2147483648",
    "1.5",
    ".5e-3",
    "'x'",
    "'5'",
    "''",
    "TRUE",
    "FALSE",
    "NULL",
    "AND",
    "OR",
    "NOT",
    "(",
    ")",
    "=",
    "<>",
    ">",
    "<=",
    "IS NULL",
    "IS NOT NULL",
    "BETWEEN",
    "NOT BETWEEN",
    "IN ('x', '5')",
    "CONTAINS 'x'",
    "wasm('p'",
    "wasm",
    ",",
    "NOT ENDSWITH '5'",
    "+",
    "-",
    "/*c*/",
    "--",
    "\n",
    "'",
    "é",
];

proptest! {
    #[test]
    fn no_expression_and_no_message_makes_a_panic(pieces in prop::collection::vec(prop::sample::select(PIECES), 0..24), value in "[-+0-9.eExpfNa ]{0,8}") {
        let text = pieces.join(" ");
        match parse(&text) {
            Ok(expression) => {
                let message: BTreeMap<_, _> = [("a".to_owned(), value), ("b".to_owned(), "x".to_owned())].into();
                prop_assert_ne!(evaluate(&expression, &message), "a value", "{}", text);
            }
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }

    #[test]
    fn no_text_makes_a_panic(text in "\\PC{0,40}|[ -~\t\n\r]{0,40}") {
        let _ = parse(&text);
    }
}
