//! Whole runs: a cluster works, and no oracle objects.

use petrel_sim::{
    client::{
        consumer::{GroupPlan, Model, Style},
        producer::ProducerPlan,
    },
    world::{Scenario, World},
};
use petrel_tests::network::Conditions;
use route_core::{Millis, broker::config::BrokerConfig};

/// One of each, and a network that takes its time.
fn smallest(seed: u64) -> Scenario {
    Scenario {
        seed,
        network: Conditions { latency: Millis(1), jitter: Millis(40), keeps: true, ..Conditions::steady(Millis(1)) },
        name_servers: 1,
        brokers: vec![BrokerConfig::default()],
        producers: vec![ProducerPlan {
            number: 0,
            topic: "Orders".into(),
            count: 200,
            pause: Millis(300),
            keyed: false,
            delayed_one_in: 0,
            delay_levels: 0,
        }],
        groups: vec![(
            GroupPlan {
                group: "readers".into(),
                topics: vec!["Orders".into()],
                style: Style::Concurrent,
                model: Model::Clustering,
                max_reconsume_times: -1,
                work: Millis(50),
                failing_one_in: 0,
                failing_seed: 0,
            },
            1,
        )],
        patience: Millis::from_secs(600),
    }
}

#[test]
fn a_producer_and_a_consumer_come_to_their_end() {
    for seed in 0..20 {
        let mut world = World::start(&smallest(seed), true);
        if let Err(violation) = world.run() {
            panic!("seed {seed}: {violation:?}\n{}", world.trace().join("\n"));
        }
    }
}

#[test]
fn the_same_seed_is_the_same_run() {
    let run = |seed| {
        let mut world = World::start(&smallest(seed), true);
        let tally = world.run().expect("nothing is wrong");
        (tally, world.trace().join("\n"))
    };
    assert_eq!(run(7), run(7));
    assert_ne!(run(7).1, run(8).1);
}
