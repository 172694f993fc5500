//! What a benchmark found, for people and for programs.

use std::{collections::BTreeMap, fmt};

use proto_core::json::{self, Dialect};
use serde::Serialize;

use super::{Args, What, load::Tally};
use crate::client::code_name;

/// The figures. As JSON it is one object with these members.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    command: &'static str,
    connections: u16,
    window: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    batch: Option<i32>,
    seconds: f64,
    messages: u64,
    messages_per_second: u64,
    megabytes_per_second: f64,
    p50_us: u64,
    p99_us: u64,
    p999_us: u64,
    max_us: u64,
    /// Answers other than success, by code.
    failures: BTreeMap<String, u64>,
    #[serde(skip)]
    remarks: BTreeMap<String, String>,
    #[serde(skip)]
    as_json: bool,
}

impl Report {
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rates, rounded")]
    pub(super) fn new(args: &Args, tally: &Tally) -> Self {
        let seconds = tally.elapsed.as_secs_f64().max(1e-9);
        let rate = |amount: u64| amount as f64 / seconds;
        let tenths = |value: f64| (value * 10.0).round() / 10.0;
        let quantile = |part| tally.latency.value_at_quantile(part);
        let sends = args.what == What::Produce;
        Self {
            command: args.what.name(),
            connections: args.connections,
            window: args.window,
            size: sends.then_some(args.size),
            batch: (!sends).then_some(args.batch),
            seconds: tenths(seconds),
            messages: tally.messages,
            messages_per_second: rate(tally.messages).round() as u64,
            megabytes_per_second: tenths(rate(tally.bytes) / 1e6),
            p50_us: quantile(0.5),
            p99_us: quantile(0.99),
            p999_us: quantile(0.999),
            max_us: tally.latency.max(),
            failures: tally.failures.iter().map(|(code, (count, _))| (code_name(*code), *count)).collect(),
            remarks: tally.failures.iter().map(|(code, (_, remark))| (code_name(*code), remark.clone())).collect(),
            as_json: args.json,
        }
    }
}

impl fmt::Display for Report {
    /// Lines for people, or the JSON object if that was asked for; without a line break at the end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.as_json {
            return f.write_str(&String::from_utf8_lossy(&json::to_vec(self, Dialect::Standard)));
        }
        let Self { command, connections, window, seconds, messages, .. } = self;
        let amount = self.size.map_or_else(|| format!("batch {}", self.batch.unwrap_or_default()), |size| format!("{size} bytes"));
        writeln!(f, "{command}: {connections} connections, window {window}, {amount}, {messages} messages in {seconds} s")?;
        writeln!(f, "rate:    {} msg/s, {} MB/s", self.messages_per_second, self.megabytes_per_second)?;
        write!(f, "latency: p50 {} us, p99 {} us, p99.9 {} us, max {} us", self.p50_us, self.p99_us, self.p999_us, self.max_us)?;
        for (code, count) in &self.failures {
            let remark = self.remarks.get(code).map_or("", String::as_str);
            write!(f, "\nfailed:  {count} with {code}: {remark}")?;
        }
        Ok(())
    }
}
