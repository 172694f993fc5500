//! The command line.

use std::process::ExitCode;

use clap::Parser;
use runtime_mio::cli::Cli;

fn main() -> ExitCode {
    match Cli::parse().run() {
        Ok(code) => code,
        Err(error) => {
            error.to_string().lines().for_each(|line| eprintln!("petrel: {line}"));
            error.exit_code()
        }
    }
}
