//! The command line.

use std::process::ExitCode;

use clap::Parser;
use runtime_mio::cli::Cli;

fn main() -> ExitCode {
    match Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("petrel: {error}");
            ExitCode::FAILURE
        }
    }
}
