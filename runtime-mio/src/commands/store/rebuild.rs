//! `petrel store rebuild`

use std::io::Write;

use ::store::{
    Recovered,
    examine::Watch as _,
    rebuild::{RebuildParts, Rebuilt, rebuild},
};
use serde::Serialize;

use super::{
    FolderArgs, StoreCommandError,
    watch::{Teller, line_of},
};

/// What to make anew.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    folder: FolderArgs,
    /// Only the consume queues
    #[arg(long, conflicts_with = "index")]
    queues: bool,
    /// Only the index of keys
    #[arg(long)]
    index: bool,
}

/// What was done as an object of JSON.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    r#type: &'static str,
    log_start: i64,
    log_end: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    queues: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    index_end: Option<i64>,
    cut_bytes: u64,
    saved: Vec<String>,
}

/// Answers `false` if the log had a damaged end, which was cut off.
pub(super) fn run(args: &Args, out: &mut dyn Write) -> Result<bool, StoreCommandError> {
    let config = match args.folder.store_config()? {
        Some(config) => config,
        None => args.folder.examine()?.told_config()?,
    };
    let parts = RebuildParts { queues: !args.index, index: !args.queues };
    let json = args.folder.json;
    let mut teller = Teller::new(out, json);
    let done = rebuild(config, parts, &mut |done, total| teller.progress(done, total));
    teller.finish()?;
    let Rebuilt { recovered: Recovered { log_start, log_end, queues, cut, .. }, index_end } = done?;
    let (cut_at, cut_bytes) = cut.as_ref().map_or((log_end, 0), |cut| (cut.at, cut.bytes));
    let saved: Vec<_> = cut.iter().flat_map(|cut| &cut.saved).map(|path| path.display().to_string()).collect();
    if json {
        let queues = parts.queues.then_some(queues);
        out.write_all(&line_of(&Row { r#type: "rebuilt", log_start, log_end, queues, index_end, cut_bytes, saved }))?;
        return Ok(cut.is_none());
    }
    if cut.is_some() {
        writeln!(out, "the log ended with {cut_bytes} bytes that are no message; cut off at {cut_at}, kept in {}", saved.join(", "))?;
    }
    if parts.queues {
        writeln!(out, "{queues} queues made anew from the log, {log_start} to {log_end}")?;
    }
    if let Some(end) = index_end {
        writeln!(out, "the index made anew from the log, {log_start} to {end}")?;
    }
    Ok(cut.is_none())
}
