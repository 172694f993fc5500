//! The log: single lines on standard error, so that standard output stays for what commands print.

use std::io::{self, IsTerminal};

use tracing::level_filters::LevelFilter;

/// Starts the log of the process. Only the first call counts.
pub fn start(level: LevelFilter) {
    // A log that nobody reads any more (`petrel standalone 2>&1 | head`) is no reason to end a broker.
    let lines = tracing_subscriber::fmt().compact().with_max_level(level).with_target(false).log_internal_errors(false);
    // An error means that somebody has started a log before, as tests of the same process do.
    let _ = lines.with_ansi(io::stderr().is_terminal()).with_writer(io::stderr).try_init();
}
