//! Why a configuration cannot be worked with: one line for each mistake, naming file, line and key.

use std::path::PathBuf;

use thiserror::Error;

use super::origin::Origin;

/// Why there is no configuration.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: {why}", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the system says.
        why: String,
    },
    /// A line is not what a properties file may hold.
    #[error("{}:{line}: this line is no key=value, or has a broken escape", file.display())]
    Malformed {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// A value that its key does not take.
    #[error("{origin}: {key}={} is not {expected}", shown(value))]
    Value {
        /// Who set it.
        origin: Origin,
        /// The key.
        key: String,
        /// The value.
        value: String,
        /// What its key takes.
        expected: String,
    },
    /// A value that would promise what is not served.
    #[error("{origin}: {key}={} asks for {promise}, which Petrel does not serve; only {key}={standard} is taken", shown(value))]
    Promise {
        /// Who set it.
        origin: Origin,
        /// The key.
        key: String,
        /// The value.
        value: String,
        /// What it promises.
        promise: &'static str,
        /// The only value that is taken.
        standard: String,
    },
    /// Several mistakes, each in a line of its own.
    #[error("{}", lines(.0))]
    Several(Vec<ConfigError>),
}

/// Most characters of a value that stand in an error.
const SHOWN: usize = 200;

/// A value as a line can hold it: control characters escaped, a long one cut.
fn shown(value: &str) -> String {
    let mut text = String::new();
    for c in value.chars().take(SHOWN) {
        if c.is_control() {
            text.extend(c.escape_default());
        } else {
            text.push(c);
        }
    }
    if value.chars().nth(SHOWN).is_some() {
        text.push_str(&format!("… ({} bytes)", value.len()));
    }
    text
}

fn lines(errors: &[ConfigError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

impl ConfigError {
    /// All mistakes that were made, so that they can be mended at once.
    pub(crate) fn all(outcomes: impl IntoIterator<Item = Result<(), Self>>) -> Result<(), Self> {
        let mut errors = Vec::new();
        for error in outcomes.into_iter().filter_map(Result::err) {
            match error {
                Self::Several(several) => errors.extend(several),
                one => errors.push(one),
            }
        }
        match errors.len() {
            0 => Ok(()),
            1 => errors.pop().map_or(Ok(()), Err),
            _ => Err(Self::Several(errors)),
        }
    }
}
