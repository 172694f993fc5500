//! Plugins that do wrong: each is refused or contained with words that name it, the limit and the message, and the others go on.

mod support;

use support::{
    EVERY_SECOND, FilterText, TAKES_ALL, allocator, allocator_whose_realloc, delivered, filter_of, info, load, messages, set_of,
};

use petrel_plugin_host::{Limits, LoadError, PluginEngine, PluginSet};
use route_core::{
    filter::QueueName,
    plugins::{GroupClient, PluginRefusal, Plugins, Share},
};

fn refusal(file: &[u8]) -> String {
    load(file).expect_err("no plugin").to_string()
}

#[test]
fn what_is_no_webassembly_is_refused() {
    for file in [&b""[..], b"\0as", b"#!/bin/sh\nrm -rf /\n", &[0xff; 4096]] {
        assert_eq!(load(file).unwrap_err(), LoadError::NotWasm);
    }
}

#[test]
fn a_cut_or_damaged_component_is_refused() {
    let whole = petrel_plugin_host::component_of(&FilterText::default().wasm()).unwrap().into_owned();
    assert!(load(&whole).is_ok());
    let cut = refusal(&whole[..whole.len() - 1]);
    assert!(cut.contains("does not compile"), "{cut}");
    for end in (0..whole.len() / 2).step_by(7) {
        assert!(!refusal(&whole[..end]).is_empty(), "cut at {end}");
    }
}

#[test]
fn a_module_that_is_cut_or_damaged_anywhere_is_refused_or_taken_and_nothing_else_happens() {
    let whole = std::fs::read(support::built().join("key_sample.wasm")).unwrap();
    assert!(load(&whole).is_ok());
    for end in (0..whole.len()).step_by(97).chain(whole.len() - 97..whole.len()) {
        let error = refusal(&whole[..end]);
        assert!(!error.is_empty(), "cut at {end}");
    }
    // Flips that leave a valid module are many, and each of these is compiled: what makes components has to take all, what runs them a few.
    for (nth, at) in (0..whole.len()).step_by(211).enumerate() {
        let mut damaged = whole.clone();
        damaged[at] ^= 1 << (nth % 8);
        let made = petrel_plugin_host::component_of(&damaged);
        if made.is_ok() && nth % 16 == 0 {
            drop(load(&damaged));
        }
    }
}

#[test]
fn what_a_module_says_of_its_contract_itself_is_not_believed() {
    let mut file = FilterText::default().wasm();
    for (name, content) in
        [("component-type", &b"\xff\xff"[..]), ("component-type:petrel", &[0; 40]), ("producers", &[9; 9]), ("name", &[1; 3])]
    {
        let name_len = u8::try_from(name.len()).unwrap();
        let len = u8::try_from(1 + name.len() + content.len()).unwrap();
        file.extend([0, len, name_len]);
        file.extend(name.bytes());
        file.extend(content);
    }
    assert!(load(&file).is_ok());
}

#[test]
fn modules_of_odd_shapes_are_refused_with_words() {
    let matches = r#"(func (export "petrel:plugin/filtering@1.0.0#matches") (param i32 i32) (result i64) (i64.const 0))"#;
    for text in [
        format!(r#"(module (memory (export "memory") i64 1) {matches})"#),
        format!(r#"(module (memory (export "memory") 1 2 shared) {matches})"#),
        format!(r#"(module (memory 1) (memory (export "memory") 1) {matches})"#),
        format!(r#"(module (func (export "memory")) {matches})"#),
        format!(r#"(module (memory (export "memory") 1) (func (export "cabi_realloc")) {matches})"#),
        r#"(module (memory (export "petrel:plugin/filtering@1.0.0#matches") 1))"#.to_owned(),
        r#"(module (memory (export "memory") 1) (global (export "petrel:plugin/filtering@1.0.0#matches") i32 (i32.const 0)))"#.to_owned(),
        r#"(module (memory (export "memory") 1) (func (export "petrel:plugin/filtering@1.0.0#") (param v128)))"#.to_owned(),
    ] {
        assert!(!refusal(&wat::parse_str(&text).unwrap()).is_empty(), "{text}");
    }
}

#[test]
fn a_file_longer_than_a_plugin_may_be_is_refused_unread() {
    let limit = Limits::default().file;
    assert_eq!(refusal(&vec![0; limit + 1]), format!("the file has {} bytes, and a plugin may have {limit}", limit + 1));
}

#[test]
fn a_component_of_another_world_is_refused_by_what_it_exports() {
    let error = refusal(
        &wat::parse_str(r#"(component (component $c) (instance $i (instantiate $c)) (export "wasi:cli/run@0.2.0" (instance $i)))"#)
            .unwrap(),
    );
    assert!(error.contains("exports wasi:cli/run@0.2.0, and neither petrel:plugin/filtering@1.0.0"), "{error}");
    let error = refusal(&wat::parse_str(r#"(module (func (export "main")))"#).unwrap());
    assert!(error.contains("exports main"), "{error}");
    assert!(refusal(&wat::parse_str("(module)").unwrap()).contains("exports nothing"));
}

#[test]
fn a_plugin_of_another_version_is_refused_with_both() {
    let other = r#"(module (memory (export "memory") 1) (func (export "petrel:plugin/filtering@2.1.0#matches")))"#;
    let error = refusal(&wat::parse_str(other).unwrap());
    assert!(error.contains("version 2.1.0") && error.contains("1.0.0"), "{error}");
}

#[test]
fn imports_are_refused_by_name() {
    let wanting = r#"(component (import "wasi:clocks/wall-clock@0.2.0" (instance (export "now" (func)))))"#;
    let error = refusal(&wat::parse_str(wanting).unwrap());
    assert!(error.contains("imports wasi:clocks/wall-clock@0.2.0"), "{error}");
    let module = r#"(module (import "env" "open" (func)) (memory (export "memory") 1)
        (func (export "petrel:plugin/filtering@1.0.0#matches") (param i32 i32) (result i64) (i64.const 0)))"#;
    let error = refusal(&wat::parse_str(module).unwrap());
    assert!(error.contains("imports env.open"), "{error}");
    let error = refusal(&wat::parse_str(r#"(module (import "env" "f" (func)))"#).unwrap());
    assert!(error.contains("imports env.f"), "also where nothing is exported: {error}");
}

#[test]
fn a_missing_function_and_one_of_another_shape_are_named() {
    let module = r#"(module (memory (export "memory") 1)
        (func (export "petrel:plugin/filtering@1.0.0#matches") (param i32 i32) (result i64) (i64.const 0)))"#;
    let error = refusal(&wat::parse_str(module).unwrap());
    assert!(error.contains("petrel:plugin/filtering@1.0.0"), "{error}");
    let empty = r#"(component (component $c) (instance $i (instantiate $c)) (export "petrel:plugin/filtering@1.0.0" (instance $i)))"#;
    let error = refusal(&wat::parse_str(empty).unwrap());
    assert!(error.contains("'version'"), "{error}");
}

#[test]
fn a_plugin_that_fails_at_its_start_is_refused_with_the_reason() {
    let trapping = FilterText { module: "(func $bad unreachable) (start $bad)", ..FilterText::default() };
    let error = refusal(&trapping.wasm());
    assert!(error.contains("does not start") && error.contains("unreachable"), "{error}");
    let endless = FilterText { module: "(func $bad (loop $l (br $l))) (start $bad)", ..FilterText::default() };
    let error = refusal(&endless.wasm());
    assert!(error.contains("(limit: fuel)"), "{error}");
    let greedy = r#"(module (memory (export "memory") 1000)
        (func (export "petrel:plugin/filtering@1.0.0#matches") (param i32 i32) (result i64) (i64.const 0)))"#;
    assert!(load(&wat::parse_str(greedy).unwrap()).is_err());
}

#[test]
fn a_plugin_that_wants_what_this_host_does_not_know_is_refused() {
    let newer = FilterText { wants: "(i32.const 9)", ..FilterText::default() };
    assert_eq!(load(&newer.wasm()).unwrap_err(), LoadError::Wants(8));
}

/// A filter whose `matches` does wrong: what is said of it, with messages from offset 100 on.
fn failure(text: &FilterText) -> String {
    let set = set_of(&text.wasm(), "withhold");
    assert!(delivered(&*filter_of(&set), &messages(3)).is_empty());
    let info = info(&set);
    assert!(info.failures > 0);
    info.last_error
}

#[test]
fn an_endless_loop_ends_with_its_fuel() {
    assert_eq!(
        failure(&FilterText::that_matches("(loop $l (br $l)) (i64.const 0)")),
        "at message 100 of queue 3 of TopicTest: it made 625000 steps in one call without an answer (limit: fuel)"
    );
}

#[test]
fn a_memory_bomb_meets_the_limit_of_memory() {
    let error = failure(&FilterText::that_matches("(loop $l (drop (memory.grow (i32.const 16))) (br $l)) (i64.const 0)"));
    assert!(
        error.starts_with("at message 100 of queue 3 of TopicTest: it wants ") && error.ends_with("and may have 33554432 (limit: memory)"),
        "{error}"
    );
}

#[test]
fn a_table_bomb_meets_the_limit_of_tables() {
    let bomb = FilterText {
        module: "(table $t 1 funcref)",
        matches: "(drop (table.grow $t (ref.null func) (i32.const 20000))) (i64.const 0)",
        ..FilterText::default()
    };
    assert!(failure(&bomb).ends_with("(limit: table_elements)"), "{}", failure(&bomb));
}

#[test]
fn deep_recursion_meets_the_limit_of_the_stack() {
    let error = failure(&FilterText::that_matches("(call $matches (local.get 0) (local.get 1))"));
    assert_eq!(error, "at message 100 of queue 3 of TopicTest: its calls nest deeper than 262144 bytes (limit: stack)");
}

#[test]
fn a_trap_is_told_with_its_kind() {
    let error = failure(&FilterText::that_matches("unreachable"));
    assert!(error.contains("it trapped: ") && error.contains("unreachable"), "{error}");
    let error = failure(&FilterText::that_matches("(i64.load (i32.const -8))"));
    assert!(error.contains("out of bounds"), "{error}");
}

#[test]
fn bits_for_messages_that_are_not_there_say_nothing() {
    let set = set_of(&FilterText::that_matches("(i64.const -1)").wasm(), "withhold");
    assert_eq!(delivered(&*filter_of(&set), &messages(67)), (0..67).collect::<Vec<_>>());
    assert_eq!(info(&set).failures, 0);
}

#[test]
fn a_place_for_the_batch_that_is_none_is_refused_by_the_host() {
    for place in ["-16", "2621440", "2621439"] {
        // Texts that are empty, as the argument is, may have any place.
        let realloc = format!("(select (i32.const {place}) (i32.const 4096) (local.get 3))");
        let error = failure(&FilterText { realloc: realloc.leak(), ..FilterText::default() });
        assert!(error.contains("realloc return"), "{place}: {error}");
    }
}

#[test]
fn places_that_overlap_or_are_null_harm_nobody_but_the_plugin() {
    for place in ["0", "8", "64", "2097144"] {
        // Names of queues and clients, and the lists of them, are all written over one another: what it then answers is a partition or none.
        match allocated_by(&allocator_whose_realloc(&[0, 1, 1, 0], &format!("(i32.const {place})"))) {
            Ok(owners) => assert!(owners.len() == QUEUES.len() && owners.iter().all(|owner| *owner < 2), "{place}: {owners:?}"),
            Err(refusal) => assert!(refusal.to_string().contains("'it'"), "{place}: {refusal}"),
        }
        let realloc = format!("(i32.const {place})").leak();
        let text = FilterText { realloc, ..FilterText::that_matches(FAILS_ON_101) };
        let set = set_of(&text.wasm(), "withhold");
        let filter = set.filter("it", "an argument").unwrap();
        assert!(delivered(&*filter, &messages(3)).len() <= 3);
        assert_eq!(info(&set).state, "active");
    }
    for place in ["-8", "2621440", "3"] {
        let error = allocated_by(&allocator_whose_realloc(&[0, 1, 1, 0], &format!("(i32.const {place})"))).unwrap_err().to_string();
        assert!(error.contains("realloc return") || error.contains("unaligned") || error.contains("not aligned"), "{place}: {error}");
    }
}

#[test]
fn a_file_that_would_keep_the_compiler_at_work_is_refused_before_it_is_compiled() {
    let branches = "(if (local.get 0) (then (local.set 1 (local.get 2))))".repeat(10_000);
    let module = format!("(func (local{}) {branches})", " i32".repeat(1000)).leak();
    let error = refusal(&FilterText { module, ..FilterText::default() }.wasm());
    assert!(error.contains("(limit: compile)") && error.contains("8000000"), "{error}");
    let many = "(func)".repeat(40_000).leak();
    let error = refusal(&FilterText { module: many, ..FilterText::default() }.wasm());
    assert!(error.contains("(limit: compile)"), "{error}");
}

#[test]
fn a_text_that_lies_outside_of_the_memory_is_not_read() {
    for (at, len) in [("-16", "1"), ("900", "-1")] {
        let validate = format!(
            "(i32.store8 (i32.const 32) (i32.const 1)) (i32.store (i32.const 36) (i32.const {at})) (i32.store (i32.const 40) (i32.const {len}))
            (i32.const 32)"
        );
        let set = set_of(&FilterText { validate: validate.leak(), ..FilterText::default() }.wasm(), "withhold");
        let error = set.filter("it", "x").unwrap_err().to_string();
        assert!(error.contains("out of bounds"), "{error}");
    }
}

/// Traps on a batch in which a message has offset 101, and delivers the others.
const FAILS_ON_101: &str = "(local $n i32)
    (loop $next
        (if (i64.eq (i64.load (i32.add (i32.add (local.get 0) (i32.const 40)) (i32.mul (local.get $n) (i32.const 64)))) (i64.const 101)) (then unreachable))
        (local.set $n (i32.add (local.get $n) (i32.const 1)))
        (br_if $next (i32.lt_u (local.get $n) (i32.load (i32.add (local.get 0) (i32.const 8))))))
    (i64.const -1)";

#[test]
fn one_message_that_a_plugin_fails_on_takes_no_others_with_it() {
    let text = FilterText::that_matches(FAILS_ON_101);
    let withhold = set_of(&text.wasm(), "withhold");
    assert_eq!(delivered(&*filter_of(&withhold), &messages(5)), [0, 2, 3, 4]);
    assert!(info(&withhold).last_error.starts_with("at message 101 of queue 3 of TopicTest: it trapped"), "{}", info(&withhold).last_error);
    let deliver = set_of(&text.wasm(), "deliver");
    assert_eq!(delivered(&*filter_of(&deliver), &messages(5)), [0, 1, 2, 3, 4]);
}

#[test]
fn a_filter_that_fails_too_often_in_a_row_is_switched_off_and_says_so() {
    let set = set_of(&FilterText::that_matches("unreachable").wasm(), "withhold,disable-after=3");
    let filter = filter_of(&set);
    let before = set.revision();
    for batch in 1..=3 {
        assert_eq!(info(&set).state, "active", "before batch {batch}");
        assert!(delivered(&*filter, &messages(2)).is_empty());
    }
    assert_eq!(info(&set).state, "disabled");
    assert_ne!(set.revision(), before);
    assert_eq!(set.filter("it", "").unwrap_err(), PluginRefusal::Disabled("it".to_owned()));
    let calls = info(&set).calls;
    assert!(delivered(&*filter, &messages(2)).is_empty());
    assert_eq!(info(&set).calls, calls, "it is asked no more");
    assert!(set.set_enabled("it", true));
    assert!(set.filter("it", "").is_ok());
}

#[test]
fn a_failure_is_told_with_the_group_that_reads_and_the_argument_that_it_gives() {
    let set = set_of(&FilterText::that_matches("unreachable").wasm(), "withhold");
    let filter = set.filter("it", "x > 1").unwrap().for_group("readers").expect("it tells of failures");
    assert!(delivered(&*filter, &messages(2)).is_empty());
    let (error, begin) =
        (info(&set).last_error, "at message 100 of queue 3 of TopicTest for group readers, with the argument 'x > 1': it trapped");
    assert!(error.starts_with(begin), "{error}");
}

#[test]
fn each_message_that_goes_by_policy_is_counted_be_it_asked_for_or_not() {
    for (policy, passes) in [("withhold", 0), ("deliver", 20)] {
        let set = set_of(&FilterText::that_matches("unreachable").wasm(), policy);
        let filter = filter_of(&set);
        assert_eq!(delivered(&*filter, &messages(20)).len(), passes);
        assert_eq!(info(&set).by_policy, 20, "{policy}");
        set.set_enabled("it", false);
        assert_eq!(delivered(&*filter, &messages(20)).len(), passes);
        assert_eq!(info(&set).by_policy, 40, "{policy}, switched off");
    }
}

#[test]
fn traps_and_limits_are_counted_apart_and_calls_are_timed() {
    let told = |matches| {
        let set = PluginSet::timed(|| 7);
        set.install("it", load(&FilterText::that_matches(matches).wasm()).unwrap(), "withhold".parse().unwrap(), true).unwrap();
        delivered(&*filter_of(&set), &messages(1));
        let info = info(&set);
        (info.calls, info.failures, info.traps, info.limits)
    };
    assert_eq!(told(EVERY_SECOND), (1, 0, 0, 0));
    assert_eq!(told("unreachable"), (1, 1, 1, 0));
    assert_eq!(told("(loop $l (br $l)) (i64.const 0)"), (1, 1, 0, 1));
    assert_eq!(told("(loop $l (drop (memory.grow (i32.const 16))) (br $l)) (i64.const 0)"), (1, 1, 0, 1));
    assert_eq!(told("(call $matches (local.get 0) (local.get 1))"), (1, 1, 0, 1));
}

#[test]
fn a_plugin_that_was_never_loaded_since_it_is_switched_off_is_told_to_be_so() {
    let set = PluginSet::new();
    set.note_disabled("it").unwrap();
    assert_eq!((info(&set).state.as_str(), info(&set).last_error.as_str()), ("disabled", ""));
    assert_eq!(set.filter("it", "").unwrap_err(), PluginRefusal::Disabled("it".to_owned()));
    set.refuse("it", "it is broken").unwrap();
    assert_eq!((info(&set).state.as_str(), info(&set).last_error.as_str()), ("refused", "it is broken"));
    set.install("it", load(&FilterText::default().wasm()).unwrap(), "withhold".parse().unwrap(), true).unwrap();
    assert_eq!((info(&set).state.as_str(), info(&set).last_error.as_str()), ("active", ""));
}

#[test]
fn a_plugin_that_fails_always_costs_less_with_each_batch_until_it_is_switched_off() {
    let set = set_of(&FilterText::that_matches("(loop $l (br $l)) (i64.const 0)").wasm(), "deliver,disable-after=16");
    let filter = filter_of(&set);
    let (mut before, mut all) = (u64::MAX, set.fuel("it").unwrap());
    for batch in 0..16 {
        assert_eq!(delivered(&*filter, &messages(64)).len(), 64);
        let used = set.fuel("it").unwrap() - all;
        assert!(used <= before && (batch > 6 || used < before), "batch {batch}: {used} after {before}");
        (before, all) = (used, all + used);
    }
    assert_eq!(info(&set).state, "disabled");
    assert!(all < 20_000_000, "{all}");
}

#[test]
fn a_batch_of_which_each_message_has_its_answer_alone_is_no_failure() {
    // A hundred thousand steps for each message: more than a call has for 64 of them.
    let heavy = "(local $n i32) (local.set $n (i32.mul (i32.load (i32.add (local.get 0) (i32.const 8))) (i32.const 20000)))
        (loop $l (local.set $n (i32.sub (local.get $n) (i32.const 1))) (br_if $l (local.get $n))) (i64.const -1)";
    let set = set_of(&FilterText::that_matches(heavy).wasm(), "withhold,disable-after=1");
    assert_eq!(delivered(&*filter_of(&set), &messages(64)).len(), 64);
    assert_eq!((info(&set).state.as_str(), info(&set).failures, info(&set).limits), ("active", 1, 1));
}

#[test]
fn a_good_answer_between_failures_is_a_clean_record() {
    let set = set_of(&FilterText::that_matches(FAILS_ON_101).wasm(), "withhold,disable-after=2");
    let filter = filter_of(&set);
    for _ in 0..5 {
        delivered(&*filter, &messages(5));
        delivered(&*filter, &messages(1));
    }
    assert_eq!(info(&set).state, "active");
}

#[test]
fn an_argument_that_a_plugin_refuses_is_refused_in_its_words() {
    let refusing = FilterText {
        validate: "(i32.store8 (i32.const 32) (i32.const 1)) (i32.store (i32.const 36) (i32.const 905)) (i32.store (i32.const 40) (i32.const 2)) (i32.const 32)",
        ..FilterText::default()
    };
    let set = set_of(&refusing.wasm(), "withhold");
    let error = set.filter("it", "what?").unwrap_err().to_string();
    assert_eq!(error, "the plugin 'it' refuses the argument 'what?': no");
}

#[test]
fn a_broken_plugin_harms_no_other_and_no_version_before_it() {
    let engine = PluginEngine::new(Limits::default(), None).unwrap();
    let set = PluginSet::new();
    let bad = FilterText::that_matches("(loop $l (br $l)) (i64.const 0)").wasm();
    set.install("bad", engine.load(&bad).unwrap(), "withhold".parse().unwrap(), true).unwrap();
    set.install("good", engine.load(&FilterText::default().wasm()).unwrap(), "withhold".parse().unwrap(), true).unwrap();
    let (bad, good) = (set.filter("bad", "").unwrap(), set.filter("good", "").unwrap());
    assert!(delivered(&*bad, &messages(4)).is_empty());
    assert_eq!(delivered(&*good, &messages(4)), [0, 2]);
    set.refuse("good", &engine.load(b"junk").unwrap_err().to_string()).unwrap();
    assert_eq!(delivered(&*good, &messages(4)), [0, 2]);
    assert_eq!(set.list()[1].last_error, "the file is no WebAssembly: neither a component nor a module");
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    let set = PluginSet::new();
    for name in ["", "../up", "a/b", "a b", "\u{e9}", &"x".repeat(65)] {
        assert!(set.install(name, load(&FilterText::default().wasm()).unwrap(), "deliver".parse().unwrap(), true).is_err(), "{name}");
        assert!(set.list().is_empty());
    }
}

#[test]
fn the_same_batch_takes_the_same_fuel() {
    let text = FilterText { wants: "(i32.const 3)", validate: TAKES_ALL, matches: EVERY_SECOND, ..FilterText::default() };
    let used = |_| {
        let set = set_of(&text.wasm(), "withhold");
        delivered(&*filter_of(&set), &messages(200));
        set.fuel("it")
    };
    let runs: Vec<_> = (0..3).map(used).collect();
    assert!(runs[0] > Some(0) && runs.iter().all(|run| *run == runs[0]), "{runs:?}");
}

const QUEUES: [QueueName<'static>; 3] = [
    QueueName { topic: "T", broker_name: "a", queue_id: 0 },
    QueueName { topic: "T", broker_name: "a", queue_id: 1 },
    QueueName { topic: "T", broker_name: "b", queue_id: 0 },
];

fn shared_out(owners: &[u32]) -> Result<Vec<usize>, PluginRefusal> {
    allocated_by(&allocator(owners))
}

fn allocated_by(file: &[u8]) -> Result<Vec<usize>, PluginRefusal> {
    let set = set_of(file, "withhold");
    let clients = [GroupClient { id: "one", properties: &[("language", "JAVA")] }, GroupClient { id: "two", properties: &[] }];
    set.allocator("it", "")?.allocate(&Share { group: "G", queues: &QUEUES, clients: &clients })
}

#[test]
fn an_allocation_gives_each_queue_one_owner() {
    assert_eq!(shared_out(&[1, 0, 1]).unwrap(), [1, 0, 1]);
}

#[test]
fn an_allocation_with_queues_missing_or_too_many_is_not_believed() {
    for (owners, count) in [(&[0, 1][..], 2), (&[0, 1, 0, 1], 4), (&[], 0)] {
        let error = shared_out(owners).unwrap_err().to_string();
        assert_eq!(error, format!("the plugin 'it' failed: it named owners of {count} queues, and there are 3"));
    }
}

#[test]
fn an_allocation_to_clients_that_are_not_there_is_not_believed() {
    let error = shared_out(&[0, 2, 1]).unwrap_err().to_string();
    assert_eq!(error, "the plugin 'it' failed: it gives queue 1 of T on a to client 2, and there are 2");
}

#[test]
fn a_plugin_of_one_kind_is_not_taken_for_the_other() {
    let (filter, shares) = (set_of(&FilterText::default().wasm(), "deliver"), set_of(&allocator(&[]), "deliver"));
    assert_eq!(filter.allocator("it", "").unwrap_err().to_string(), "the plugin 'it' is no allocator");
    assert_eq!(shares.filter("it", "").unwrap_err().to_string(), "the plugin 'it' is no filter");
    assert!(matches!(filter.filter("other", ""), Err(PluginRefusal::NotInstalled(_))));
}
