//! The oracles bite: each mistake that a broker can be made to make is caught, by the oracle that is there for it.

use std::rc::Rc;

use petrel_sim::{
    client::{
        consumer::{GroupPlan, Model, Style},
        producer::ProducerPlan,
    },
    mutation::Mutation,
    oracle::{Oracles, Violation},
    process::End,
    scenario::{BrokerPlan, Fault, Host, Moment, Scenario},
    shrink::shrink,
    world::World,
};
use petrel_tests::network::Conditions;
use route_core::{Millis, broker::config::FlushMode};

/// Seeds that are tried until one shows the mistake.
const SEEDS: u64 = 4;

fn group(name: &str, style: Style, failing_one_in: u32) -> (Rc<GroupPlan>, usize) {
    let plan = GroupPlan {
        group: name.into(),
        topics: vec!["Orders".into()],
        style,
        model: Model::Clustering,
        max_reconsume_times: 2,
        filtered: false,
        work: Millis(300),
        failing_one_in,
        failing_seed: 5,
    };
    (Rc::new(plan), 2)
}

/// A little of everything in two minutes: delays, failures, dead letters, order, members that come and go, a broker that dies twice, once while its disk is slow.
fn busy(seed: u64, mutation: Option<Mutation>) -> Scenario {
    let producer = |number, keyed, delayed_one_in| ProducerPlan {
        number,
        topic: "Orders".into(),
        count: 400,
        pause: Millis(500),
        keyed,
        delayed_one_in,
        delay_levels: 3,
    };
    let mut scenario = Scenario {
        seed,
        network: Conditions { latency: Millis(2), jitter: Millis(20), keeps: true, ..Conditions::steady(Millis(2)) },
        name_servers: 1,
        brokers: vec![BrokerPlan {
            flush: FlushMode::Sync,
            delay_levels: "1s 2s 3s 4s 5s",
            queues: 4,
            on_disk: mutation == Some(Mutation::SyncsIgnored),
        }],
        producers: vec![producer(0, true, 0), producer(1, false, 4)],
        groups: vec![group("shared", Style::Concurrent, 5), group("orderly", Style::Orderly, 10)],
        faults: vec![
            (Millis::from_secs(50), Fault::Stop(0, Millis::from_secs(5))),
            (Millis::from_secs(60), Fault::Dark(Host::Consumer(2), Millis::from_secs(8))),
            (Millis::from_secs(75), Fault::Ambush(0, Moment::Delivered, End::Killed, Millis::from_secs(2))),
            (Millis::from_secs(92), Fault::SlowDisk(0, Millis::from_secs(2), Millis::from_secs(10))),
            (Millis::from_secs(95), Fault::Ambush(0, Moment::Acknowledged, End::Dark, Millis::from_secs(2))),
        ],
        mutation,
        span: Millis::from_secs(120),
        patience: Millis::from_secs(600),
    };
    if mutation == Some(Mutation::FoundNotKept) {
        // Power comes and goes, faster than tables are saved.
        let dark = |second| (Millis::from_secs(second), Fault::Dark(Host::Broker(0), Millis(200)));
        scenario.faults.extend((93..100).map(dark));
    }
    scenario
}

fn run(scenario: &Scenario) -> Result<(), Violation> {
    World::start(scenario, Oracles::new(scenario), false).run().map(|_| ())
}

/// The oracle that is to catch a mistake.
fn watchman(mutation: Mutation) -> &'static str {
    use Mutation::*;
    match mutation {
        OneAttemptMore | AttemptNotCounted | LevelsDoNotClimb | DeadLetterTwice | ReturnForgotten => {
            "failed messages come again by their policy"
        }
        LostWakeUp | PullForgotten | NotTold | Restless => "nobody waits or works for nothing",
        CommitEarly | CommitForgotten | OffsetTooLow | FoundNotKept => "offsets neither run ahead nor back",
        LockShared | LockTooShort => "a locked queue has one owner",
        DelayEarly | DelayLate | DelayedTwice | DelayedElsewhere | DelayedDropped => "delayed messages come in time, once",
        AckedTooEarly | SyncsIgnored | TailForgotten => "what is acknowledged is stored",
        StoredTwice => "a message is stored as often as it was sent",
        MemberLeftOut => "queues are shared out",
        Swapped | Skipped | Repeated => "a reading skips nothing",
        KeysLost => "every group gets every message",
    }
}

#[test]
fn a_broker_that_makes_no_mistake_passes() {
    for seed in 1..=SEEDS {
        let scenario = busy(seed, None);
        run(&scenario).unwrap_or_else(|violation| panic!("{violation:?}\n{scenario}"));
    }
}

#[test]
fn neither_has_the_shipped_store_anything_to_hide() {
    for seed in 1..=SEEDS {
        let mut scenario = busy(seed, None);
        scenario.brokers[0].on_disk = true;
        run(&scenario).unwrap_or_else(|violation| panic!("{violation:?}\n{scenario}"));
    }
}

#[test]
fn every_mistake_is_caught() {
    let mut missed = Vec::new();
    for mutation in Mutation::ALL {
        let mut seen = (1..=SEEDS).filter_map(|seed| run(&busy(seed, Some(mutation))).err()).map(|violation| violation.oracle);
        if !seen.any(|oracle| oracle == watchman(mutation)) {
            missed.push(format!("{mutation:?} is not seen by {:?}", watchman(mutation)));
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

#[test]
fn a_run_that_fails_is_made_smaller_and_fails_in_the_same_way() {
    let scenario = busy(1, Some(Mutation::DeadLetterTwice));
    let violation = run(&scenario).expect_err("dead letters are stored twice");
    let (small, failed) = shrink(&scenario, &violation, 40);
    assert_eq!(failed.oracle, violation.oracle);
    assert_eq!(run(&small).expect_err("it fails again"), failed);
    assert!(small.faults.is_empty() && small.groups.len() == 1, "nothing of that is needed for a dead letter: {small}");
}
