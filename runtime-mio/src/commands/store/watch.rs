//! What is told while a folder is looked at: findings as they come, and a bar on a terminal.

use std::io::{self, IsTerminal, Write};

use ::store::examine::{Finding, Watch};
use indicatif::{ProgressBar, ProgressStyle};
use proto_core::json::{self, Dialect};
use serde::Serialize;

/// Writes findings to `out` and shows how far the work is on a terminal.
pub(in crate::commands) struct Teller<'a> {
    pub(super) out: &'a mut dyn Write,
    pub(super) json: bool,
    bar: ProgressBar,
    /// The first error of `out`.
    failed: Option<io::Error>,
    pub(super) count: u64,
}

/// A finding as an object of JSON.
#[derive(Serialize)]
struct Row<'a> {
    r#type: &'static str,
    severity: &'static str,
    part: &'static str,
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<u64>,
    what: &'a str,
}

impl<'a> Teller<'a> {
    pub(in crate::commands) fn new(out: &'a mut dyn Write, json: bool) -> Self {
        let bar = if io::stderr().is_terminal() { ProgressBar::new(0) } else { ProgressBar::hidden() };
        if let Ok(style) = ProgressStyle::with_template("{bar:40} {percent}% {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left") {
            bar.set_style(style);
        }
        Self { out, json, bar, failed: None, count: 0 }
    }

    /// Takes the bar off the terminal.
    ///
    /// # Errors
    /// If a finding could not be written.
    pub(in crate::commands) fn finish(self) -> io::Result<()> {
        self.bar.finish_and_clear();
        self.failed.map_or(Ok(()), Err)
    }
}

impl Watch for Teller<'_> {
    fn progress(&mut self, done: u64, total: u64) {
        self.bar.set_length(total);
        self.bar.set_position(done);
    }

    fn found(&mut self, finding: Finding) {
        self.count += 1;
        let Finding { severity, part, path, at, what } = &finding;
        let line = if self.json {
            let path = path.display().to_string();
            line_of(&Row { r#type: "finding", severity: severity.name(), part: part.name(), path, at: *at, what })
        } else {
            format!("{finding}\n").into_bytes()
        };
        let written = self.bar.suspend(|| self.out.write_all(&line).and_then(|()| self.out.flush()));
        if let Err(error) = written {
            self.failed.get_or_insert(error);
        }
    }
}

/// A value as one line of JSON.
pub(in crate::commands) fn line_of(value: &impl Serialize) -> Vec<u8> {
    let mut line = json::to_vec(value, Dialect::Default);
    line.push(b'\n');
    line
}
