//! Whole runs: clusters work and suffer, and no oracle objects.

use petrel_sim::{oracle::Oracles, scenario::Scenario, world::World};

fn check(seed: u64) {
    let scenario = Scenario::draw(seed);
    if let Err(violation) = World::start(&scenario, Oracles::new(&scenario), false).run() {
        panic!("{violation:?}\n{scenario}\nfor a trace: cargo run --release -p petrel-sim -- --seed {seed}");
    }
}

#[test]
fn these_seeds_have_nothing_to_object_to() {
    (1..=5).for_each(check);
}

#[test]
fn neither_has_one_that_nobody_has_seen_before() {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let seed = now.map_or(0, |since| since.as_nanos() as u64);
    println!("seed {seed}");
    check(seed);
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
