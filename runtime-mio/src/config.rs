//! Configuration: RocketMQ's keys with their names, types and defaults, files that set them, and the settings that come of them.

pub mod file;
pub mod host;
pub mod keys;
pub mod settings;
pub mod values;

use std::{fmt, path::PathBuf, sync::Arc};

use thiserror::Error;

/// Where a value was set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A line of a file.
    Line {
        /// The file as it was named.
        file: Arc<str>,
        /// Counted from 1.
        line: usize,
    },
    /// A flag of the command line.
    Flag(&'static str),
    /// What this command takes where RocketMQ has another default.
    Command,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line { file, line } => write!(f, "{file}:{line}"),
            Self::Flag(flag) => f.write_str(flag),
            Self::Command => f.write_str("default of this command"),
        }
    }
}

/// Why a configuration cannot be used. One line each, naming place, key and value.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file is not in the format of properties.
    #[error("{file}:{line}: {what}")]
    Syntax {
        /// The file.
        file: Arc<str>,
        /// Counted from 1; 0 if it is not known.
        line: usize,
        /// What is wrong.
        what: String,
    },
    /// A value is not of its key's type, or out of its range.
    #[error("{origin}: {key}={value}: expected {expected}")]
    Malformed {
        /// Where it was set.
        origin: Origin,
        /// The key.
        key: &'static str,
        /// The value.
        value: String,
        /// What it should have been.
        expected: String,
    },
    /// A value asks for something that is not there and that must not be missing silently.
    #[error("{origin}: {key}={value} is refused: {why}")]
    Refused {
        /// Where it was set.
        origin: Origin,
        /// The key.
        key: &'static str,
        /// The value.
        value: String,
        /// Why.
        why: String,
    },
    /// A program error: settings were made from a key that the table does not have.
    #[error("there is no key {0}")]
    NoSuchKey(&'static str),
}
