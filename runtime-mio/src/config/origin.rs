//! Who has set a value.

use std::{fmt, path::Path, sync::Arc};

/// Who has set a value; later ones win.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// RocketMQ's default.
    Default,
    /// What `standalone` sets to be of use at once.
    Standalone,
    /// A line of a file.
    File(Arc<Path>, usize),
    /// A variable of the environment.
    Environment(&'static str),
    /// A flag of the command line.
    Flag(&'static str),
    /// A request while the process runs.
    Request,
}

impl Origin {
    /// Whether somebody wanted the value, as opposed to a default.
    #[must_use]
    pub const fn is_chosen(&self) -> bool {
        !matches!(self, Self::Default | Self::Standalone)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Standalone => f.write_str("default of standalone"),
            Self::File(path, line) => write!(f, "{}:{line}", path.display()),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Flag(name) => f.write_str(name),
            Self::Request => f.write_str("request"),
        }
    }
}
