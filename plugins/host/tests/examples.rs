//! The examples of `plugins/examples`, built as their page says and run as a broker would.

mod support;

use std::{path::Path, process::Command};

use petrel_plugin_host::PluginSet;
use route_core::{
    filter::QueueName,
    plugins::{GroupClient, Plugins, Share},
};
use support::{built, delivered, examples, load, message};

/// A set with one example under the name `it`.
fn example(file: &str) -> PluginSet {
    set_of(&std::fs::read(built().join(file)).unwrap())
}

fn set_of(file: &[u8]) -> PluginSet {
    let set = PluginSet::new();
    set.install("it", load(file).unwrap(), "withhold".parse().unwrap(), true).unwrap();
    set
}

fn bodies(bodies: &[&str]) -> Vec<Vec<u8>> {
    bodies.iter().zip(0..).map(|(body, offset)| message(offset, body.as_bytes(), "")).collect()
}

#[test]
fn what_a_new_project_begins_with_does_what_it_says() {
    let set = example("big_orders.wasm");
    let messages: Vec<_> = (0..4).map(|n| message(n, b"", &format!("amount\u{1}{}\u{2}", n * 50))).collect();
    assert_eq!(delivered(&*set.filter("it", "100").unwrap(), &messages), [2, 3]);
    assert_eq!(set.filter("it", "much").unwrap_err().to_string(), "the plugin 'it' refuses the argument 'much': 'much' is no number");
    assert_eq!(owners(&example("in_turn.wasm"), "", &["a", "b", "c"])[..6], [0, 1, 2, 0, 1, 2]);
}

#[test]
fn json_fields_are_looked_for_in_the_body() {
    let set = example("json_field.wasm");
    let messages = bodies(&[
        r#"{"order":{"status":"paid","amount":12}}"#,
        r#"{"order":{"status":"open","amount":12}}"#,
        "not JSON",
        r#"{"order":{"status":"paid"}}"#,
        r#"{"order":{"status":"paid","amount":13}}"#,
    ]);
    assert_eq!(delivered(&*set.filter("it", "order.status=paid").unwrap(), &messages), [0, 3, 4]);
    assert_eq!(delivered(&*set.filter("it", "order.status=paid,order.amount!=13").unwrap(), &messages), [0]);
    let error = set.filter("it", "paid").unwrap_err().to_string();
    assert_eq!(error, "the plugin 'it' refuses the argument 'paid': 'paid' is no condition: write field=value or field!=value");
    assert_eq!(set.list()[0].failures, 0);
}

#[test]
fn bodies_are_held_against_a_schema() {
    let set = example("schema_check.wasm");
    let messages = bodies(&[r#"{"id":1,"name":"a"}"#, r#"{"id":"1","name":"a"}"#, r#"{"id":2}"#, r#"{"id":3,"name":"a","note":4}"#]);
    assert_eq!(delivered(&*set.filter("it", "id:number,name:string,note?:string").unwrap(), &messages), [0]);
    assert_eq!(delivered(&*set.filter("it", "id:number").unwrap(), &messages), [0, 2, 3]);
}

#[test]
fn a_sample_takes_all_messages_of_a_key_or_none() {
    let set = example("key_sample.wasm");
    let keyed = |n: i64| message(n, b"", &format!("KEYS\u{1}order-{}\u{2}", n % 500));
    let messages: Vec<_> = (0..1000).map(keyed).collect();
    let taken = delivered(&*set.filter("it", "10").unwrap(), &messages);
    assert!((60..140).contains(&taken.len()), "{}", taken.len());
    let (first, second): (Vec<usize>, Vec<usize>) = taken.into_iter().partition(|&index| index < 500);
    assert_eq!(first, second.into_iter().map(|index| index - 500).collect::<Vec<_>>());
    assert_eq!(delivered(&*set.filter("it", "100").unwrap(), &messages).len(), 1000);
    assert!(set.filter("it", "101").is_err());
}

/// Who owns the queues of two brokers in two zones, by the ids of their clients.
fn owners(set: &PluginSet, argument: &str, ids: &[&str]) -> Vec<usize> {
    let queue = |n: i32| QueueName { topic: "T", broker_name: if n < 8 { "z1-a" } else { "z2-a" }, queue_id: n % 8 };
    let queues: Vec<_> = (0..16).map(queue).collect();
    let clients: Vec<_> = ids.iter().map(|id| GroupClient { id, properties: &[("language", "JAVA"), ("version", "V5_3_0")] }).collect();
    set.allocator("it", argument).unwrap().allocate(&Share { group: "G", queues: &queues, clients: &clients }).unwrap()
}

#[test]
fn canaries_get_their_share_of_the_queues() {
    let set = example("gray_release.wasm");
    let clients = ["10.0.0.1@1", "10.0.0.2@1", "10.0.0.3@1@canary"];
    assert_eq!(owners(&set, "", &clients), [0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 2, 2]);
    assert_eq!(owners(&set, "25", &clients), [0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 2, 2, 2, 2]);
    let error = set.allocator("it", "all").unwrap_err().to_string();
    assert_eq!(error, "the plugin 'it' refuses the argument 'all': 'all' is no share: write a number of percent from 1 to 99");
}

#[test]
fn queues_go_to_clients_of_their_zone() {
    let owners = owners(&example("same_zone.wasm"), "", &["10.0.0.1@1@z1", "10.0.0.2@1@z1", "10.0.0.3@1@z2"]);
    assert_eq!(owners, [0, 1, 0, 1, 0, 1, 0, 1, 2, 2, 2, 2, 2, 2, 2, 2]);
}

#[test]
fn a_filter_in_c_keeps_the_same_contract() {
    let names = ["clang", "clang-19", "clang-20", "clang-18", "clang-17", "clang-16"];
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("priority.wasm");
    let source = examples().join("c/priority.c");
    let build = |name: &&str| {
        let mut clang = Command::new(name);
        clang.args(["--target=wasm32", "-mbulk-memory", "-std=c11", "-Wall", "-Wextra", "-Werror", "-O2", "-nostdlib", "-Wl,--no-entry"]);
        let Ok(output) = clang.arg("-o").arg(&file).arg(&source).output() else { return false };
        let said = String::from_utf8_lossy(&output.stderr);
        let lacks = |words| said.contains(words);
        let able = !lacks("unable to execute command") && !lacks("No available targets") && !lacks("unknown target");
        assert!(output.status.success() || !able, "{said}");
        able
    };
    if !names.iter().any(build) {
        // C compilers for WebAssembly come with the system or not at all; the Rust examples need none. `.ci/run` counts this as skipped.
        eprintln!("SKIP the plugin in C: no clang with wasm32 and wasm-ld is there");
        return;
    }
    let set = set_of(&std::fs::read(&file).unwrap());
    let with = |n: i64, properties: &str| message(n, b"", properties);
    let messages = [
        with(0, "TAGS\u{1}A\u{2}priority\u{1}5\u{2}"),
        with(1, "priority\u{1}50"),
        with(2, "xpriority\u{1}50\u{2}"),
        with(3, "priority\u{1}4\u{2}"),
        with(4, "priority\u{1}high\u{2}"),
        with(5, ""),
    ];
    assert_eq!(delivered(&*set.filter("it", "5").unwrap(), &messages), [0, 1]);
    let error = set.filter("it", "high").unwrap_err().to_string();
    assert_eq!(error, "the plugin 'it' refuses the argument 'high': the argument is a number of 1 to 9 digits");
    assert_eq!(set.list()[0].version, "1.0.0");
}
