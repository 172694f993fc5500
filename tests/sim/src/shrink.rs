//! A run that fails, made smaller: faults, clients and messages are left out as long as the same oracle still objects.

use std::rc::Rc;

use route_core::Millis;

use crate::{
    client::{consumer::GroupPlan, producer::ProducerPlan},
    oracle::{Oracles, Violation},
    scenario::{Fault, Host, Scenario},
    world::World,
};

/// Tries the scenarios that are a little smaller than one that fails, as long as any of them fails in the same way, at most `runs` of
/// them. Answers the smallest that was found and what is wrong there.
#[must_use]
pub fn shrink(scenario: &Scenario, violation: &Violation, mut runs: usize) -> (Scenario, Violation) {
    let mut best = (scenario.clone(), violation.clone());
    // Where the last success was: what did not help before will hardly help now.
    let mut from = 0;
    loop {
        let candidates = smaller(&best.0, best.1.at);
        let count = candidates.len();
        let mut found = None;
        for (index, candidate) in candidates.into_iter().enumerate().cycle().skip(from).take(count) {
            if runs == 0 {
                return best;
            }
            runs -= 1;
            let failed = World::start(&candidate, Oracles::new(&candidate), false).run().err();
            if let Some(failed) = failed.filter(|failed| failed.oracle == violation.oracle) {
                found = Some((index, (candidate, failed)));
                break;
            }
        }
        let Some((index, next)) = found else { return best };
        (from, best) = (index, next);
    }
}

/// All scenarios with a little less in them, those with much less first.
fn smaller(scenario: &Scenario, failed_at: Millis) -> Vec<Scenario> {
    let mut all = Vec::new();
    let mut add = |change: &dyn Fn(&mut Scenario)| {
        let mut candidate = scenario.clone();
        change(&mut candidate);
        let mut faults = std::mem::take(&mut candidate.faults);
        faults.retain(|(_, fault)| is_there(fault, scenario, &candidate));
        candidate.faults = faults;
        if candidate != *scenario {
            all.push(candidate);
        }
    };
    let faults = scenario.faults.len();
    add(&|it| it.faults.clear());
    add(&|it| it.faults.truncate(faults / 2));
    add(&|it| drop(it.faults.drain(..faults / 2)));
    for index in (0..faults).rev() {
        add(&|it| {
            it.faults.remove(index);
        });
    }
    add(&|it| it.span = it.span.min(failed_at + Millis::from_secs(1)));
    add(&|it| it.span = Millis(it.span.0 / 2));
    add(&|it| it.groups.truncate(it.groups.len().max(2) - 1));
    add(&|it| it.producers.truncate(it.producers.len().max(2) - 1));
    add(&|it| it.brokers.truncate(it.brokers.len().max(2) - 1));
    add(&|it| it.name_servers = 1);
    for index in 0..scenario.groups.len() {
        add(&|it| it.groups[index].1 = (it.groups[index].1 - 1).max(1));
        add(&|it| it.groups[index].0 = Rc::new(GroupPlan { filtered: false, ..(*it.groups[index].0).clone() }));
        add(&|it| it.groups[index].0 = Rc::new(GroupPlan { failing_one_in: 0, ..(*it.groups[index].0).clone() }));
    }
    for index in 0..scenario.producers.len() {
        let plan = |it: &Scenario| it.producers[index].clone();
        add(&|it| it.producers[index] = ProducerPlan { count: plan(it).count / 2, ..plan(it) });
        add(&|it| it.producers[index] = ProducerPlan { delayed_one_in: 0, ..plan(it) });
    }
    for index in 0..scenario.brokers.len() {
        add(&|it| it.brokers[index].queues = (it.brokers[index].queues / 2).max(1));
        add(&|it| it.brokers[index].on_disk = false);
    }
    add(&|it| it.network.loss_one_in = 0);
    add(&|it| it.network.jitter = Millis::ZERO);
    all
}

/// Whether those whom a fault concerns are the same in both scenarios.
fn is_there(fault: &Fault, before: &Scenario, after: &Scenario) -> bool {
    let is_there = |host: Host| match host {
        Host::Names(number) => number < after.name_servers,
        Host::Broker(number) => number < after.brokers.len(),
        Host::Producer(number) => number < after.producers.len(),
        Host::Consumer(number) => {
            let members = |scenario: &Scenario| scenario.groups.iter().flat_map(|(_, members)| 0..*members).count();
            number < members(after) && (members(before) == members(after) || before.groups.starts_with(&after.groups))
        }
    };
    match *fault {
        Fault::Kill(host, _) | Fault::Dark(host, _) | Fault::Reset(host) | Fault::Pause(host, _) | Fault::Clock(host, _) => is_there(host),
        Fault::Cut(a, b, _) | Fault::CutWay(a, b, _) => is_there(a) && is_there(b),
        Fault::Stop(number, _) => is_there(Host::Consumer(number)),
        Fault::Ambush(number, ..) | Fault::SlowDisk(number, ..) | Fault::FullDisk(number, _) | Fault::BadDisk(number, _) => {
            is_there(Host::Broker(number))
        }
        Fault::Storm(..) => true,
    }
}
