//! Crashes a store on a simulated disk at very many moments: `--points N` (default 100000), `--seed N` (default from the clock).
//!
//! Prints the seed of each failure with the way to it, and a closing line of counts.

#[path = "../tests/crash/mod.rs"]
mod crash;

use std::{
    process::ExitCode,
    time::{SystemTime, UNIX_EPOCH},
};

use crash::{Counts, Plan, Start, explore};
use store::FlushDiskType;

fn argument(name: &str) -> Option<u64> {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    arguments.nth(1)?.parse().ok()
}

fn main() -> ExitCode {
    let from_clock = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
    let (points, first) = (argument("--points").unwrap_or(100_000), argument("--seed").unwrap_or(from_clock));
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
