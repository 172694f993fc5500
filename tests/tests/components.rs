//! Plugins as WebAssembly components under a cluster in virtual time: they are bounded by steps and not by a clock, so that a run with them is as
//! repeatable as any other.

use std::{fs, path::Path, sync::Arc};

use petrel_tests::{
    pair::Pair,
    requests::{Heartbeat, Message, Pull},
};
use plugin_host::{Limits, PluginEngine, PluginSet, Policy};
use proto_core::code::ResponseCode;

/// A broker with the filter `begins`, whose calls may take so many steps.
fn scene(fuel: u64, policy: &str) -> (Pair, PluginSet) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("interop/plugins/begins.wasm");
    let engine = PluginEngine::new(Limits { fuel, ..Limits::default() }, None).expect("an engine");
    let plugin = engine.load(&fs::read(file).expect("a file")).expect("a plugin");
    let installed = PluginSet::new();
    let policy: Policy = policy.parse().expect("a policy");
    installed.install("begins", plugin, policy, true).expect("room");
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
