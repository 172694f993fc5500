//! Whole runs: clusters work and suffer, and no oracle objects.

use std::rc::Rc;

use petrel_sim::{
    client::consumer::{GroupPlan, Style},
    oracle::Oracles,
    scenario::Scenario,
    world::World,
};

fn check(seed: u64) {
    let scenario = Scenario::draw(seed);
    if let Err(violation) = World::start(&scenario, Oracles::new(&scenario), false).run() {
        panic!("{violation:?}\n{scenario}\nfor a trace: cargo run --release -p petrel-sim -- --seed {seed}");
    }
}

#[test]
fn these_seeds_have_nothing_to_object_to() {
    // The last ones have shown mistakes of the simulator's own.
    (1..=5).chain([7_700_010, 123_001_631, 124_001_415]).for_each(check);
}

#[test]
fn neither_has_one_that_nobody_has_seen_before() {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let seed = now.map_or(0, |since| since.as_nanos() as u64);
    println!("seed {seed}");
    check(seed);
}

#[test]
fn groups_that_a_plugin_filters_get_what_it_lets_pass_and_nothing_else() {
    let mut scenario = Scenario::draw(3);
    for (group, _) in &mut scenario.groups {
        *group = Rc::new(GroupPlan { filtered: true, style: Style::Concurrent, ..(**group).clone() });
    }
    let mut runs = Vec::new();
    for _ in 0..2 {
        let mut world = World::start(&scenario, Oracles::new(&scenario), true);
        let tally = world.run().unwrap_or_else(|violation| panic!("{violation:?}\n{scenario}"));
        let judged: u64 = world.plugins().list().iter().map(|plugin| plugin.messages).sum();
        let fuel: u64 = world.plugins().list().iter().map(|plugin| plugin.fuel).sum();
        assert!(judged > 100 && fuel > judged, "the plugin was asked: {judged} messages, {fuel} steps");
        runs.push((tally, judged, fuel, world.trace().to_vec()));
    }
    assert!(runs[0] == runs[1], "two runs of one scenario differ");
}

#[test]
fn the_same_seed_is_the_same_run() {
    let run = |seed| {
        let scenario = Scenario::draw(seed);
        let mut world = World::start(&scenario, Oracles::new(&scenario), true);
        let tally = world.run();
        (tally, world.trace().to_vec())
    };
    assert!(run(7) == run(7), "two runs of one seed differ");
}
