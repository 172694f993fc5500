use std::{collections::BTreeMap, sync::Mutex};

use proptest::prelude::*;
use proto_core::sql::{self, EvaluationError, Expression, Ordered};
use serde_json::Value as Json;

use super::{
    program::{Halt, Number, Stack, Step},
    wanted::Found,
    *,
};
use crate::plugins::{NoPlugins, PluginAllocator};

/// What Java 5.5.0 made of expressions; see `proto_core::sql`.
const RECORDED: &str = include_str!("../../../../proto-core/tests/golden/sql92.jsonl");

type Message = BTreeMap<String, String>;

/// One plugin, `has`: whether a message has the property that its argument names. It notes how many messages it was asked for each time.
#[derive(Debug, Default)]
struct Has(Arc<Mutex<Vec<usize>>>);

#[derive(Debug)]
struct HasProperty(String, Arc<Mutex<Vec<usize>>>);

impl Plugins for Has {
    fn filter(&self, name: &str, argument: &str) -> Result<Arc<dyn MessageFilter>, PluginRefusal> {
        match name {
            "has" => Ok(Arc::new(HasProperty(argument.to_owned(), Arc::clone(&self.0)))),
            _ => Err(PluginRefusal::NotInstalled(name.to_owned())),
        }
    }

    fn allocator(&self, name: &str, _argument: &str) -> Result<Arc<dyn PluginAllocator>, PluginRefusal> {
        Err(PluginRefusal::NotInstalled(name.to_owned()))
    }
}

impl MessageFilter for HasProperty {
    fn needs_record(&self) -> bool {
        true
    }

    fn matches(&self, batch: &[Candidate<'_>], verdicts: &mut Verdicts) {
        self.1.lock().unwrap().push(batch.len());
        for (index, candidate) in batch.iter().enumerate() {
            let properties = candidate.record.and_then(peek::properties).expect("only what is there is asked about");
            if proto_core::properties::find(properties, &self.0).is_some() {
                verdicts.deliver(index);
            }
        }
    }
}

fn filter(text: &str) -> SqlFilter {
    SqlFilter::new(&sql::parse(text).unwrap(), &NoPlugins).unwrap()
}

/// Whether a message with these stored properties passes.
fn passes(filter: &SqlFilter, properties: &[u8]) -> bool {
    filter.matches_one(Candidate { tags_code: 0, record: Some(&record(properties)) })
}

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
    let said: Vec<_> = program.calls.iter().map(|call| Some(message.contains_key(&*call.argument))).collect();
    let result = program.run(&found, &said, &mut Stack::new());
    Some(name_of(result.map_err(|halt| if halt == Halt::Error { EvaluationError } else { panic!("all have spoken: {halt:?}") })))
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
    name_of(expression.evaluate_with(&|name| message.get(name).map(String::as_bytes), &|_, argument| Some(message.contains_key(argument))))
}

fn steps(text: &str) -> Vec<Step> {
    match compile::compile(&sql::parse(text).unwrap()) {
        Compiled::Program(program) => program.steps,
        Compiled::Fixed(verdict) => panic!("{text} is always {verdict}"),
    }
}

fn fixed(text: &str) -> Option<bool> {
    match *filter(text).compiled {
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
        let filter = filter(text);
        for (message, recorded) in messages.iter().zip(line["results"].as_array().unwrap()) {
            match (&*filter.compiled, run(&filter.compiled, message)) {
                (_, Some(result)) => assert_eq!(result, recorded, "{text} for {message:?}"),
                (Compiled::Fixed(verdict), _) => assert_eq!(*verdict, recorded == "true", "{text} for {message:?}"),
                _ => unreachable!(),
            }
        }
    }
}

#[test]
fn a_message_passes_if_the_expression_is_true_for_it_and_not_if_it_is_unknown_or_an_error() {
    let filter = filter("n BETWEEN 3 AND 9 AND color IN ('red', 'blue')");
    assert!(passes(&filter, &stored(&[("TAGS", "a"), ("n", "5"), ("color", "red")])));
    assert!(!passes(&filter, &stored(&[("n", "10"), ("color", "red")])));
    assert!(!passes(&filter, &stored(&[("n", "5")])));
    assert!(!passes(&filter, &stored(&[("n", "five"), ("color", "red")])));
    assert!(!passes(&filter, b""));
}

#[test]
fn a_batch_is_judged_message_by_message_and_what_has_left_the_log_is_withheld() {
    let records: Vec<Vec<u8>> = [("1", "x"), ("7", "y"), ("8", "x")].iter().map(|(n, c)| record(&stored(&[("n", n), ("c", c)]))).collect();
    let mut batch: Vec<_> = records.iter().map(|record| Candidate { tags_code: 0, record: Some(record) }).collect();
    batch.push(Candidate { tags_code: 0, record: None });
    let delivered = |text: &str| {
        let filter = filter(text);
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

#[test]
fn a_plugin_is_asked_once_for_all_messages_of_a_batch_on_which_it_depends() {
    let records: Vec<_> =
        (0..40).map(|n| record(&stored(&[("n", &n.to_string()), (if n % 2 == 0 { "even" } else { "odd" }, "1")]))).collect();
    let batch: Vec<_> = records.iter().map(|record| Candidate { tags_code: 0, record: Some(record) }).collect();
    let asked = |text: &str| {
        let has = Has::default();
        let filter = SqlFilter::new(&sql::parse(text).unwrap(), &has).unwrap();
        let mut verdicts = Verdicts::default();
        verdicts.reset(batch.len());
        filter.matches(&batch, &mut verdicts);
        let delivered: Vec<_> = (0..batch.len()).filter(|index| verdicts.delivers(*index)).collect();
        (delivered, std::mem::take(&mut *has.0.lock().unwrap()))
    };
    assert_eq!(asked("n >= 30 AND wasm('has', 'even')"), (vec![30, 32, 34, 36, 38], vec![10]));
    assert_eq!(asked("wasm('has', 'odd') AND n < 4"), (vec![1, 3], vec![40]));
    assert_eq!(asked("n > 36 OR NOT wasm('has', 'n')"), (vec![37, 38, 39], vec![37]));
    // The second call waits for the first, and the same call is not made twice.
    assert_eq!(asked("wasm('has', 'even') AND wasm('has', 'n') AND WASM('has', 'even') AND n = 6"), (vec![6], vec![40, 20]));
    assert_eq!(asked("n > 50 AND wasm('has', 'n')"), (vec![], vec![]));
}

#[test]
fn an_expression_that_calls_what_is_not_installed_is_refused() {
    let refused = SqlFilter::new(&sql::parse("n > 3 AND wasm('gone')").unwrap(), &Has::default());
    assert_eq!(refused.err(), Some(PluginRefusal::NotInstalled("gone".to_owned())));
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
    assert!(!filter("1 = 1").needs_record());
    assert!(filter("a = 1").needs_record());
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
    let passes = |text: &str| passes(&filter(text), &a);
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
    "wasm('has', 'a')",
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
        "wasm('has', 'b')",
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
        prop::sample::select(vec!["wasm('has', 'a')", "wasm('has', 'b')", "NOT wasm('has', 'c')", "wasm('has')"]).prop_map(str::to_owned),
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
    let Ok(filter) = SqlFilter::new(&expression, &Has::default()) else { panic!("{text} calls nothing else") };
    match (&*filter.compiled, run(&filter.compiled, message)) {
        (_, Some(result)) => prop_assert_eq!(result, meant, "{} for {:?}", text, message),
        (Compiled::Fixed(verdict), None) => prop_assert_eq!(*verdict, meant == "true", "{} for {:?}", text, message),
        (Compiled::Program(_), None) => prop_assert!(false, "a program says something"),
    }
    let properties: Vec<(&str, &str)> = message.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    prop_assert_eq!(passes(&filter, &stored(&properties)), meant == "true", "{} for {:?}", text, message);
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
        let filter = filter("a = 5 OR ab > 3 OR NOT (x IN ('a') AND b CONTAINS 'x')");
        let _ = passes(&filter, &properties);
    }
}
