//! Crashes a store on a simulated disk at very many moments: `cargo run --release -p petrel-store --example crash_points -- --help`.
//!
//! Prints the seed of each failure with the way to it, and a closing line of counts.

#[path = "../tests/crash/mod.rs"]
mod crash;

use std::{
    process::ExitCode,
    time::{SystemTime, UNIX_EPOCH},
};

use clap::Parser;
use crash::{Counts, Plan, Start, explore};
use store::FlushDiskType;

/// Crashes a store on a simulated disk at very many moments, and checks what every start after that finds.
#[derive(Debug, Parser)]
struct Args {
    /// So many crash points at least.
    #[arg(long, default_value_t = 100_000)]
    points: u64,
    /// The first seed [default: from the clock].
    #[arg(long)]
    seed: Option<u64>,
}

fn main() -> ExitCode {
    let Args { points, seed } = Args::parse();
    let from_clock = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
    let first = seed.unwrap_or_else(from_clock);
    println!("seed {first}, at least {points} crash points");
    let (mut counts, mut failed) = (Counts::default(), 0);
    for seed in first.. {
        if counts.crash_points >= points {
            break;
        }
        let flush = if seed % 2 == 0 { FlushDiskType::AsyncFlush } else { FlushDiskType::SyncFlush };
        if let Err(failure) = explore(
            Plan { seed, steps: 400, one_in: 4, start: Start { flush, puts_off: seed % 4 < 2, trailers: seed % 3 == 0 }, restarted: false },
            |_| {},
            &mut counts,
        ) {
            eprintln!("{failure}");
            failed += 1;
            if failed == 5 {
                break;
            }
        }
    }
    println!("{counts}; {failed} failed");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
