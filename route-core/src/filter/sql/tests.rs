use std::collections::BTreeMap;

use proptest::prelude::*;
use proto_core::sql::{EvaluationError, Expression, Ordered, Value};
use serde_json::Value as Json;

use super::{
    program::{Number, Step},
    *,
};

/// What Java 5.5.0 made of expressions; see `proto_core::sql`.
const RECORDED: &str = include_str!("../../../../proto-core/tests/golden/sql92.jsonl");

type Message = BTreeMap<String, String>;

/// What the compiled expression comes to; `None` if it is fixed.
fn run(compiled: &Compiled, message: &Message) -> Option<&'static str> {
    let Compiled::Program(program) = compiled else { return None };
    let mut found = Found::new();
    program.wanted.pick(b"", &mut found);
    for (name, value) in message {
        let mut names = program.wanted.clone();
        let number = usize::from(names.number(name));
        if number < found.len() {
            found[number] = Some(value.as_bytes());
        }
    }
    Some(name_of(program.run(&found, &mut Stack::new())))
}

fn name_of(value: Result<Value<'_>, EvaluationError>) -> &'static str {
    match value {
        Ok(Value::Bool(true)) => "true",
        Ok(Value::Bool(false)) => "false",
        Ok(Value::Null) => "null",
        Ok(_) => "a value",
        Err(EvaluationError) => "error",
    }
}

fn plain(expression: &Expression, message: &Message) -> &'static str {
    name_of(expression.evaluate(&|name| message.get(name).map(String::as_bytes)))
}

fn steps(text: &str) -> Vec<Step> {
    match compile::compile(&sql::parse(text).unwrap()) {
        Compiled::Program(program) => program.steps,
        Compiled::Fixed(verdict) => panic!("{text} is always {verdict}"),
    }
}

fn fixed(text: &str) -> Option<bool> {
    match SqlFilter::parse(text).unwrap().compiled {
        Compiled::Fixed(verdict) => Some(verdict),
        Compiled::Program(_) => None,
    }
}

fn stored(properties: &[(&str, &str)]) -> Vec<u8> {
    properties.iter().flat_map(|(name, value)| format!("{name}\u{1}{value}\u{2}").into_bytes()).collect()
}

#[test]
fn compiled_expressions_come_to_what_they_come_to_in_java() {
    let mut lines = RECORDED.lines().map(|line| serde_json::from_str::<Json>(line).unwrap());
    let messages: Vec<Message> = serde_json::from_value(lines.next().unwrap()["messages"].take()).unwrap();
    for line in lines.filter(|line| line["results"].is_array()) {
        let text = line["expr"].as_str().unwrap();
        let filter = SqlFilter::parse(text).unwrap();
        for (message, recorded) in messages.iter().zip(line["results"].as_array().unwrap()) {
            match (&filter.compiled, run(&filter.compiled, message)) {
                (_, Some(result)) => assert_eq!(result, recorded, "{text} for {message:?}"),
                (Compiled::Fixed(verdict), _) => assert_eq!(*verdict, recorded == "true", "{text} for {message:?}"),
                _ => unreachable!(),
            }
        }
    }
}

#[test]
fn a_message_passes_if_the_expression_is_true_for_it_and_not_if_it_is_unknown_or_an_error() {
    let filter = SqlFilter::parse("n BETWEEN 3 AND 9 AND color IN ('red', 'blue')").unwrap();
    assert!(filter.passes(&stored(&[("TAGS", "a"), ("n", "5"), ("color", "red")])));
    assert!(!filter.passes(&stored(&[("n", "10"), ("color", "red")])));
    assert!(!filter.passes(&stored(&[("n", "5")])));
    assert!(!filter.passes(&stored(&[("n", "five"), ("color", "red")])));
    assert!(!filter.passes(b""));
}

#[test]
fn a_batch_is_judged_message_by_message_and_what_has_left_the_log_is_withheld() {
    let records: Vec<Vec<u8>> = [("1", "x"), ("7", "y"), ("8", "x")].iter().map(|(n, c)| record(&stored(&[("n", n), ("c", c)]))).collect();
    let mut batch: Vec<_> = records.iter().map(|record| Candidate { tags_code: 0, record: Some(record) }).collect();
    batch.push(Candidate { tags_code: 0, record: None });
    let delivered = |text: &str| {
        let filter = SqlFilter::parse(text).unwrap();
        let mut verdicts = Verdicts::default();
        verdicts.reset(batch.len());
        filter.matches(&batch, &mut verdicts);
        (0..batch.len()).filter(|index| verdicts.delivers(*index)).collect::<Vec<_>>()
    };
    assert_eq!(delivered("n > 5"), [1, 2]);
    assert_eq!(delivered("n > 5 AND c = 'x'"), [2]);
    assert_eq!(delivered("n IS NULL"), Vec::<usize>::new());
    assert_eq!(delivered("1 = 1"), [0, 1, 2, 3]);
}

/// A record of which only the properties matter.
fn record(properties: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 84];
    bytes[4..8].copy_from_slice(&proto_core::record::MAGIC_V1.to_be_bytes());
    bytes.extend([0, 0, 0, 0]);
    bytes.push(1);
    bytes.push(b'T');
    bytes.extend(u16::try_from(properties.len()).unwrap().to_be_bytes());
    bytes.extend(properties);
    bytes
}

#[test]
fn what_is_the_same_for_all_messages_needs_no_record() {
    assert_eq!(fixed("TRUE"), Some(true));
    assert_eq!(fixed("NOT (5 > 3.5) OR 'a' = 'b'"), Some(false));
    assert_eq!(fixed("NULL"), Some(false));
    assert_eq!(fixed("'x' = 5"), Some(false));
    assert_eq!(fixed("1 = 2 AND a > 3"), Some(false));
    assert_eq!(fixed("1 = 1 OR a > 3"), Some(true));
    assert_eq!(fixed("a > 3 AND 1 = 2"), None);
    assert!(!SqlFilter::parse("1 = 1").unwrap().needs_record());
    assert!(SqlFilter::parse("a = 1").unwrap().needs_record());
}

#[test]
fn a_property_compared_with_a_constant_is_one_step_on_whatever_side_it_stands() {
    assert_eq!(steps("a > 3"), [Step::Order(0, Ordered::Greater, Number::Int(3))]);
    assert_eq!(steps("-3 <= a"), [Step::Order(0, Ordered::GreaterOrEqual, Number::Int(-3))]);
    assert_eq!(steps("a IS NULL"), [Step::Missing(0)]);
    assert_eq!(steps("TRUE AND a = 'x' AND NOT FALSE"), [Step::EqualText(0, 0)]);
    assert_eq!(
        steps("a = 1 AND b = 2"),
        [Step::EqualNumber(0, Number::Int(1)), Step::SkipIf(false, 4), Step::EqualNumber(1, Number::Int(2)), Step::Join(false)]
    );
}

#[test]
fn what_java_does_not_look_at_can_make_no_error() {
    let a = stored(&[("a", "5"), ("b", "x")]);
    let passes = |text: &str| SqlFilter::parse(text).unwrap().passes(&a);
    assert!(passes("a = 5 OR b > 3"));
    assert!(!passes("b > 3 OR a = 5"));
    assert!(passes("NOT (a = 4 AND b > 3)"));
    assert!(!passes("NOT (b > 3 AND a = 4)"));
    // A missing property is not compared with what cannot be computed.
    assert!(passes("(none > -(b > 3)) OR a = 5"));
    assert!(!passes("(a > -(b > 3)) OR a = 5"));
}

/// Pieces of which random expressions are made.
const PIECES: &[&str] = &[
    "a",
    "a",
    "b",
    "c",
    "5",
    "-3",
    "2147483648",
    "1.5",
    "'x'",
    "'5'",
    "''",
    "TRUE",
    "FALSE",
    "NULL",
    "AND",
    "OR",
    "NOT",
    "NOT",
    "(",
    ")",
    "=",
    "<>",
    ">",
    "<=",
    "IS NULL",
    "IS NOT NULL",
    "BETWEEN 1 AND",
    "NOT BETWEEN b AND",
    "IN ('x', '5')",
    "NOT IN ('a','b','c','d','e','5')",
    "CONTAINS 'x'",
    "NOT ENDSWITH '5'",
    "CONTAINS ''",
    "+",
    "-",
];

/// Text that mostly is an expression.
fn expression() -> impl Strategy<Value = String> {
    let operand = prop::sample::select(vec![
        "a",
        "b",
        "c",
        "5",
        "-3",
        "7L",
        "2147483648",
        "1.5",
        "'x'",
        "'5'",
        "TRUE",
        "FALSE",
        "NULL",
        "-a",
        "-(b > 2)",
        "+c",
    ]);
    let sign = prop::sample::select(vec!["=", "<>", "<", "<=", ">", ">="]);
    let leaf = prop_oneof![
        (operand.clone(), sign, operand.clone()).prop_map(|(left, sign, right)| format!("{left} {sign} {right}")),
        (
            operand.clone(),
            prop::sample::select(vec![
                "IS NULL",
                "IS NOT NULL",
                "CONTAINS 'x'",
                "NOT STARTSWITH '5'",
                "ENDSWITH ''",
                "IN ('x')",
                "NOT IN ('5', 'x')"
            ])
        )
            .prop_map(|(operand, test)| format!("{operand} {test}")),
        (operand.clone(), operand.clone(), operand.clone(), any::<bool>())
            .prop_map(|(value, low, high, not)| format!("{value} {}BETWEEN {low} AND {high}", if not { "NOT " } else { "" })),
        operand.prop_map(str::to_owned),
    ];
    leaf.prop_recursive(6, 40, 4, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(left, right)| format!("({left}) AND ({right})")),
            (inner.clone(), inner.clone(), inner.clone()).prop_map(|(a, b, c)| format!("({a}) OR {b} OR ({c})")),
            (inner.clone(), inner.clone()).prop_map(|(left, right)| format!("({left}) = ({right})")),
            (inner.clone(), inner.clone()).prop_map(|(left, right)| format!("-({left}) BETWEEN a AND -({right})")),
            inner.clone().prop_map(|inner| format!("NOT ({inner})")),
            inner.prop_map(|inner| format!("({inner}) CONTAINS 'x' IS NULL")),
        ]
    })
}

fn message() -> impl Strategy<Value = Message> {
    let value = prop::sample::select(vec!["5", "-3", "x", "1.5", "true", "FALSE", "2147483648", "NaN", "1e3", "x5", " 7 "]);
    prop::collection::btree_map(
        prop::sample::select(vec!["a".to_owned(), "b".to_owned(), "c".to_owned(), "d".to_owned()]),
        value.prop_map(str::to_owned),
        0..4,
    )
}

fn agrees(text: &str, message: &Message) -> Result<(), TestCaseError> {
    let Ok(expression) = sql::parse(text) else { return Ok(()) };
    let meant = plain(&expression, message);
    let compiled = compile::compile(&expression);
    match (&compiled, run(&compiled, message)) {
        (_, Some(result)) => prop_assert_eq!(result, meant, "{} for {:?}", text, message),
        (Compiled::Fixed(verdict), None) => prop_assert_eq!(*verdict, meant == "true", "{} for {:?}", text, message),
        (Compiled::Program(_), None) => prop_assert!(false, "a program says something"),
    }
    let properties: Vec<(&str, &str)> = message.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    prop_assert_eq!(SqlFilter { compiled }.passes(&stored(&properties)), meant == "true", "{} for {:?}", text, message);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_compiled_expression_agrees_with_the_plain_reading(text in expression(), message in message()) {
        agrees(&text, &message)?;
    }

    #[test]
    fn random_pieces_agree_too(pieces in prop::collection::vec(prop::sample::select(PIECES), 1..16), message in message()) {
        agrees(&pieces.join(" "), &message)?;
    }

    #[test]
    fn no_properties_make_a_panic(properties in prop::collection::vec(prop::sample::select(b"abx5\x01\x02".to_vec()), 0..40)) {
        let filter = SqlFilter::parse("a = 5 OR ab > 3 OR NOT (x IN ('a') AND b CONTAINS 'x')").unwrap();
        let _ = filter.passes(&properties);
    }
}
