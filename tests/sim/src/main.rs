//! `petrel-sim`: runs one seed after the other and says what went wrong, if anything did.

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use clap::Parser;
use petrel_sim::{
    mutation::Mutation,
    oracle::{Oracles, Violation},
    scenario::Scenario,
    shrink::shrink,
    world::{Tally, World},
};

/// Runs clusters in virtual time, one seed after the other, and watches them.
#[derive(Debug, Parser)]
struct Args {
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many seeds; with neither this nor --minutes, one.
    #[arg(long)]
    runs: Option<u64>,
    /// How many minutes of real time.
    #[arg(long)]
    minutes: Option<f64>,
    /// Lets every broker make this mistake.
    #[arg(long, value_parser = mutation)]
    mutation: Option<Mutation>,
    /// Print the whole trace of a run that fails, not only its end.
    #[arg(long)]
    whole: bool,
    /// Leave a run that fails as it was drawn; else faults, clients and messages are left out as long as it still fails.
    #[arg(long)]
    as_drawn: bool,
}

fn mutation(name: &str) -> Result<Mutation, String> {
    let found = Mutation::ALL.into_iter().find(|mutation| format!("{mutation:?}") == name);
    found.ok_or_else(|| format!("there is no {name}, but {:?}", Mutation::ALL))
}

/// Runs that are tried to make one smaller that fails.
const SHRINK_RUNS: usize = 200;

/// Lines of a trace that are printed.
const TRACE_LINES: usize = 60;

fn main() -> ExitCode {
    let args = Args::parse();
    let limit = args.minutes.map(|minutes| Duration::from_secs_f64(minutes * 60.0));
    let runs = args.runs.unwrap_or(if limit.is_some() { u64::MAX } else { 1 });
    let begin = Instant::now();
    let (mut done, mut steps, mut hours, mut failed) = (0, 0, 0.0, 0);
    for seed in args.seed..args.seed.saturating_add(runs) {
        if limit.is_some_and(|limit| begin.elapsed() > limit) {
            break;
        }
        let scenario = Scenario { mutation: args.mutation, ..Scenario::draw(seed) };
        match World::start(&scenario, Oracles::new(&scenario), false).run() {
            Ok(Tally { steps: more, span, .. }) => {
                steps += more;
                hours += span.0 as f64 / 3_600_000.0;
            }
            Err(violation) => {
                failed += 1;
                println!("seed {seed}: {}: at {}: {}", violation.oracle, violation.at.0, violation.what);
                if args.as_drawn {
                    report(&scenario, &violation, args.whole);
                } else {
                    let (scenario, violation) = shrink(&scenario, &violation, SHRINK_RUNS);
                    println!("smaller, with less of everything:");
                    report(&scenario, &violation, args.whole);
                }
            }
        }
        done += 1;
    }
    let took = begin.elapsed().as_secs_f64();
    println!(
        "{done} runs, {failed} failed; {steps} events, {hours:.1} hours of cluster time in {took:.1} s ({:.0} times real time)",
        hours * 3600.0 / took
    );
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn report(scenario: &Scenario, violation: &Violation, whole: bool) {
    let mut world = World::start(scenario, Oracles::new(scenario), true);
    let again = world.run();
    println!("{scenario}");
    let trace = world.trace();
    let shown = if whole { trace } else { &trace[trace.len().saturating_sub(TRACE_LINES)..] };
    println!("{}", shown.join("\n"));
    println!("seed {}: {}: at {}: {}", scenario.seed, violation.oracle, violation.at.0, violation.what);
    if again.as_ref() != Err(violation) {
        println!("and the same seed did not go the same way: {again:?}");
    }
}
