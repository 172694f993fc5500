//! Random work on a simulated disk, and at many moments of it the question what a crash would leave.
//!
//! A [`Run`] works with a store and remembers in a [`Model`] what it put there and what it was promised. Each moment that the disk
//! kept is crashed, opened again, and judged by [`verdict`].
#![allow(dead_code, reason = "the test and the example use their parts")]

mod model;
mod run;
mod verdict;

use std::{fmt, sync::Arc};

use route_core::random::Random;
use store::{
    FlushDiskType, Store, StoreConfig,
    simulation::{Crash, SimulatedDisk},
};

pub(crate) use run::Run;

/// What is explored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// All chance comes from here.
    pub(crate) seed: u64,
    /// Steps of work.
    pub(crate) steps: u32,
    /// A moment is kept before one in so many operations of the disk.
    pub(crate) one_in: u32,
    /// How the store is opened.
    pub(crate) start: Start,
    /// The steps begin with a store that was closed in order and has just been opened again.
    pub(crate) restarted: bool,
}

/// What was looked at.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) runs: u64,
    pub(crate) operations: u64,
    pub(crate) messages: u64,
    pub(crate) crash_points: u64,
    pub(crate) second_crashes: u64,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { runs, operations, messages, crash_points, second_crashes } = self;
        write!(
            f,
            "{crash_points} crash points, {second_crashes} crashes during recovery, in {runs} runs with {messages} messages and {operations} operations of the disk"
        )
    }
}

/// Where it went wrong, and how it came to that.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) plan: Plan,
    pub(crate) what: String,
    pub(crate) moment: String,
    pub(crate) trace: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Plan { seed, start, .. } = self.plan;
        let from = self.trace.len().saturating_sub(40);
        writeln!(f, "seed {seed}, {start:?}: {}", self.what)?;
        writeln!(f, "crash before operation {}", self.moment)?;
        writeln!(f, "the last of {} steps before it:", self.trace.len())?;
        self.trace[from..].iter().try_for_each(|step| writeln!(f, "  {step}"))
    }
}

/// Files so small that there are many of them.
pub(crate) fn config(flush: FlushDiskType) -> StoreConfig {
    StoreConfig {
        mapped_file_size_commit_log: 16 << 10,
        mapped_file_size_consume_queue: 30 * 20,
        max_hash_slot_num: 50,
        max_index_num: 200,
        flush_disk_type: flush,
        ..StoreConfig::new("/data")
    }
}

/// What a start does with its queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Start {
    /// When an append counts as done.
    pub(crate) flush: FlushDiskType,
    /// It looks at each queue when it is used, as if there were very many.
    pub(crate) puts_off: bool,
    /// Its records end with a checksum over all of them, and recovery goes by that alone.
    pub(crate) trailers: bool,
}

pub(crate) fn open(disk: &SimulatedDisk, start: Start) -> Result<Store, String> {
    let mut config = config(start.flush);
    config.enabled_append_prop_crc = start.trailers;
    config.force_verify_prop_crc = start.trailers;
    if start.puts_off {
        config.look_at_all_queues = 0;
    }
    let opened = Store::open_simulated(disk, config, Arc::new(|| {}));
    opened.map(|(store, _)| store).map_err(|error| format!("the store does not open: {error}"))
}

/// Does all that a plan says. `prepare` may make the disk worse than it should be.
pub(crate) fn explore(plan: Plan, prepare: impl Fn(&SimulatedDisk), counts: &mut Counts) -> Result<(), Box<Failure>> {
    let disk = SimulatedDisk::new(plan.seed);
    prepare(&disk);
    let mut random = Random::new(plan.seed ^ 0x5EED);
    let mut run = Run::begin(&disk, plan.start, plan.seed).map_err(|what| failure(plan, what, "of the start", &[]))?;
    if plan.restarted {
        let again = run.send(3).and_then(|()| run.close_and_open());
        again.map_err(|what| failure(plan, what, "of the second start", run.trace()))?;
    }
    disk.watch(plan.one_in);
    counts.runs += 1;
    for _ in 0..plan.steps {
        let before = run.model().clone();
        run.step().map_err(|what| failure(plan, what, "none", run.trace()))?;
        for moment in disk.take_moments() {
            for crash in [Crash::Kill, Crash::PowerLoss] {
                let after = moment.after(crash, random.next_u64());
                counts.crash_points += 1;
                let promise = verdict::Promise { crash, start: plan.start, before: &before, after: run.model(), gone_on: false };
                verdict::judge(&after, &promise, &mut random, &mut counts.second_crashes)
                    .map_err(|what| failure(plan, format!("{crash:?}: {what}"), &moment.operation, run.trace()))?;
            }
        }
    }
    counts.operations += disk.operations();
    counts.messages += run.model().sent.len() as u64;
    Ok(())
}

fn failure(plan: Plan, what: String, moment: &str, trace: &[String]) -> Box<Failure> {
    Box::new(Failure { plan, what, moment: moment.to_owned(), trace: trace.to_vec() })
}
