//! What an examination has to say.

use std::{fmt, path::PathBuf};

/// How bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Good to know; nothing is wrong, or the next start puts it right by itself.
    Note,
    /// Something derived from the log is wrong or missing, or a copy is: it can be made anew.
    Repairable,
    /// Messages or tables are damaged.
    Damage,
}

impl Severity {
    /// One word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Repairable => "repairable",
            Self::Damage => "damage",
        }
    }
}

/// The part of a store that is spoken of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The folder itself: lock, abort file, checkpoint.
    Folder,
    /// The commit log.
    Log,
    /// The consume queues.
    Queues,
    /// The index of keys.
    Index,
    /// Topics, groups, offsets.
    Tables,
}

impl Part {
    /// One word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Folder => "folder",
            Self::Log => "log",
            Self::Queues => "queues",
            Self::Index => "index",
            Self::Tables => "tables",
        }
    }
}

/// Something that was found, with the place of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What it is about.
    pub part: Part,
    /// The file or folder.
    pub path: PathBuf,
    /// The byte in the file, if it is about one.
    pub at: Option<u64>,
    /// What is the matter, and what becomes of it.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { severity, part: _, path, at, what } = self;
        write!(f, "{}: {}", severity.name(), path.display())?;
        if let Some(at) = at {
            write!(f, " at byte {at}")?;
        }
        write!(f, ": {what}")
    }
}

/// Who is told while long work goes on.
pub trait Watch {
    /// So many bytes of so many are done.
    fn progress(&mut self, done: u64, total: u64) {
        let _ = (done, total);
    }

    /// Something was found.
    fn found(&mut self, finding: Finding);
}

impl Watch for Vec<Finding> {
    fn found(&mut self, finding: Finding) {
        self.push(finding);
    }
}
