//! The commands of the shell that serve nobody: clients (`petrel produce`, `petrel consume`, `petrel bench`) and what looks at a data
//! folder (`petrel store`) or changes what plugins a broker has (`petrel plugin`).
//!
//! Each is a struct of arguments and a function that runs to its end; what goes wrong comes back as one line.

pub mod bench;
pub mod consume;
pub mod plugin;
pub mod produce;
mod stop;
pub mod store;
mod unpacked;

use std::{io, time::Duration};

use thiserror::Error;

use crate::client::{ClientError, default_name_servers};

/// Why a command ended early; the process ends with status 1, after a signal with 130.
#[derive(Debug, Error)]
pub enum CommandError {
    /// A request came to nothing.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// Arguments that do not fit together or cannot be read; the text says which.
    #[error("{0}")]
    Usage(String),
    /// Standard input or a file cannot be read.
    #[error("cannot read {what}: {source}")]
    Input {
        /// What was read.
        what: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// A line of standard input could not be sent.
    #[error("line {number} of standard input: {source}")]
    Line {
        /// The line, from 1.
        number: u64,
        /// Why not.
        source: ClientError,
    },
    /// A signal came before all was done; the text says what was.
    #[error("interrupted: {0}")]
    Interrupted(String),
    /// Standard output cannot be written.
    #[error("cannot write the output: {0}")]
    Output(io::Error),
    /// There was nothing to do or to show; the text says what is missing.
    #[error("{0}")]
    Nothing(String),
    /// The system refuses something else.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system says.
        source: io::Error,
    },
}

/// Where the cluster is.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ClusterArgs {
    /// Name servers, HOST:PORT, several with a semicolon between them [default: NAMESRV_ADDR or 127.0.0.1:9876]
    #[arg(short = 'n', long = "namesrv", value_name = "HOST:PORT")]
    pub name_servers: Option<String>,
}

impl ClusterArgs {
    /// The list that was given, or where name servers usually are.
    #[must_use]
    pub fn list(&self) -> String {
        self.name_servers.clone().unwrap_or_else(default_name_servers)
    }
}

/// Reads an argument that counts messages.
fn count(text: &str) -> Result<u64, String> {
    text.parse().ok().filter(|count| *count > 0).ok_or_else(|| "a whole number from 1 on is needed".to_owned())
}

/// Reads an argument in seconds, with a decimal point or not.
fn seconds(text: &str) -> Result<Duration, String> {
    text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).ok_or_else(|| "seconds are needed".to_owned())
}
