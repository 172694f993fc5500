//! The figures of transactions.

use serde::{Deserialize, Serialize};

use super::{DataVersion, Table};

/// How many half messages of a topic are undecided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TransactionMetric {
    /// Half messages. Java's can be less than 0, since it counts what it has not begun, too.
    pub count: i64,
    /// When that has last changed, ms since 1970.
    pub time_stamp: i64,
}

/// `config/transactionMetrics`, which has no ending.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TransactionMetricsSerializeWrapper {
    /// Version of the table; each half message that begins or ends is a change.
    pub data_version: DataVersion,
    /// By topic.
    pub transaction_count: Table<String, TransactionMetric>,
}
