//! The version of a table, by which name servers see that a broker's topics changed.

use serde::{Deserialize, Serialize};

/// The version of a table. Two versions are equal if all three members are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct DataVersion {
    /// Changes so far.
    pub counter: i64,
    /// Term of the broker that made the change; 0 without a controller.
    pub state_version: i64,
    /// Time of the last change, ms since 1970.
    pub timestamp: i64,
}

impl DataVersion {
    /// The version of a table that has just been made.
    #[must_use]
    pub const fn new(timestamp: i64) -> Self {
        Self { counter: 0, state_version: 0, timestamp }
    }

    /// The version after one more change, made at `timestamp` by the broker of term `state_version`.
    #[must_use]
    pub const fn next(self, state_version: i64, timestamp: i64) -> Self {
        Self { counter: self.counter.wrapping_add(1), state_version, timestamp }
    }
}

impl PartialOrd for DataVersion {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for DataVersion {
    /// By term, then by count, then by time.
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let key = |it: &Self| (it.state_version, it.counter, it.timestamp);
        key(self).cmp(&key(other))
    }
}
