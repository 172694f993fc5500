//! Plugins as WebAssembly components under a cluster in virtual time: they are bounded by steps and not by a clock, so that a run with them is as
//! repeatable as any other.

use std::{fs, path::Path, sync::Arc};

use petrel_tests::{
    packet::Fields,
    pair::Pair,
    requests::{Heartbeat, Message, Pull},
};
use plugin_host::{Limits, PluginEngine, PluginSet, Policy};
use proto_core::code::{RequestCode, ResponseCode};
use route_core::plugins::Plugins;
use serde_json::{Value, json};

/// A broker with the filter `begins` and the allocator `last`, whose calls may take so many steps.
fn scene(fuel: u64, policy: &str) -> (Pair, PluginSet) {
    let engine = PluginEngine::new(Limits { fuel, ..Limits::default() }, None).expect("an engine");
    let installed = PluginSet::new();
    let policy: Policy = policy.parse().expect("a policy");
    for name in ["begins", "last"] {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("interop/plugins/{name}.wasm"));
        let plugin = engine.load(&fs::read(file).expect("a file")).expect("a plugin");
        installed.install(name, plugin, policy, true).expect("room");
    }
    let pair = Pair::with(|config| config.property_filter = true);
    pair.plugins().add_real(Arc::new(installed.clone()));
    (pair, installed)
}

/// What a consumer of `wasm('begins', 'b')` gets of a hundred messages, and the steps that it took.
fn run(fuel: u64, policy: &str) -> (Vec<String>, u64) {
    let (mut pair, installed) = scene(fuel, policy);
    let client = pair.client();
    for number in 0..100 {
        let body = format!("{}{number}", ["a", "b", "c"][number % 3]);
        client.send(&mut pair.cluster, pair.broker, &Message::new("Orders", &body)).expect(ResponseCode::Success);
    }
    let subscriptions = [("Orders", "wasm('begins', 'b')")];
    let heartbeat = Heartbeat::consumer("c1", "readers", &subscriptions).in_sql(1);
    client.heartbeat(&mut pair.cluster, pair.broker, &heartbeat).expect(ResponseCode::Success);
    let (mut bodies, mut from) = (Vec::new(), 0);
    while from < 100 {
        let pulled = client.pull(&mut pair.cluster, pair.broker, &Pull::new("readers", "Orders", from).as_subscribed(1));
        bodies.extend(pulled.bodies());
        from = pulled.number("nextBeginOffset");
    }
    (bodies, installed.fuel("begins").expect("it is installed"))
}

#[test]
fn a_component_filters_and_takes_the_same_steps_each_time() {
    let (bodies, fuel) = run(1_000_000, "deliver");
    let expected: Vec<_> = (0..100).filter(|number| number % 3 == 1).map(|number| format!("b{number}")).collect();
    assert_eq!(bodies, expected);
    assert!(fuel > 0);
    assert_eq!(run(1_000_000, "deliver"), (bodies, fuel));
}

#[test]
fn what_becomes_of_messages_that_a_component_fails_on_is_the_policys_and_the_consumer_goes_on() {
    // Not enough for any call, not even for one message.
    assert_eq!(run(11, "withhold").0, Vec::<String>::new());
    assert_eq!(run(11, "deliver").0.len(), 100);
}

/// How many of a topic's four queues each of two members gets, with this strategy.
fn shared_out(pair: &mut Pair, strategy: &str) -> [usize; 2] {
    let client = pair.client();
    client.send(&mut pair.cluster, pair.broker, &Message::new("Orders", "a")).expect(ResponseCode::Success);
    for id in ["c1", "c2"] {
        let member = pair.client();
        member.heartbeat(&mut pair.cluster, pair.broker, &Heartbeat::consumer(id, "readers", &[("Orders", "*")]));
    }
    ["c1", "c2"].map(|id| {
        let body =
            json!({"clientId": id, "consumerGroup": "readers", "messageModel": "CLUSTERING", "strategyName": strategy, "topic": "Orders"});
        let code = RequestCode::QueryAssignment.code();
        let answer = client.call(&mut pair.cluster, pair.broker, code, &Fields(&[]), body.to_string().as_bytes());
        let body: Value = serde_json::from_slice(&answer.expect(ResponseCode::Success).body).expect("JSON");
        body["messageQueueAssignments"].as_array().expect("a list").len()
    })
}

#[test]
fn a_component_shares_out_queues_by_the_argument_that_a_client_names_and_takes_the_same_steps_each_time() {
    let run = || {
        let (mut pair, installed) = scene(1_000_000, "deliver");
        assert_eq!(shared_out(&mut pair, "last"), [0, 4]);
        assert_eq!(shared_out(&mut pair, "last:first"), [4, 0]);
        installed.fuel("last").expect("it is installed")
    };
    let fuel = run();
    assert!(fuel > 0);
    assert_eq!(run(), fuel);
}

#[test]
fn where_an_allocator_runs_into_a_limit_everybody_gets_the_average() {
    let (mut pair, installed) = scene(30, "deliver");
    assert_eq!(shared_out(&mut pair, "last"), [2, 2]);
    assert_eq!(installed.list().iter().find(|plugin| plugin.name == "last").map(|plugin| plugin.limits), Some(2));
}

#[test]
fn what_plugins_have_done_stands_among_the_brokers_figures() {
    let (mut pair, _) = scene(1_000_000, "deliver");
    shared_out(&mut pair, "last");
    let client = pair.client();
    let answer = client.ask(&mut pair.cluster, pair.broker, RequestCode::GetBrokerRuntimeInfo, &[]).expect(ResponseCode::Success);
    let body: Value = serde_json::from_slice(&answer.body).expect("JSON");
    let told = |key: &str| body["table"][key].as_str().unwrap_or("nothing").to_owned();
    assert_eq!(told("plugin_begins_state"), "active");
    assert_eq!((told("plugin_last_calls"), told("plugin_last_limits"), told("plugin_last_traps")), ("2".into(), "0".into(), "0".into()));
    assert_ne!(told("plugin_last_fuel"), "0");
}
