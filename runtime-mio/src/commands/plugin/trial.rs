//! `petrel plugin test`: a filter over messages that are stored, before anybody installs it.

use std::{
    io::{self, Write},
    ops::ControlFlow,
    path::PathBuf,
    time::{Duration, Instant},
};

use ::store::examine::{Examination, ExamineConfig, Selection};
use indexmap::IndexMap;
use plugin_host::{Limits, PluginEngine, PluginSet, Policy};
use proto_core::{hash::tags_code, properties::names::TAGS, record::RecordView};
use route_core::{
    filter::{Candidate, MessageFilter, Verdicts},
    plugins::Plugins,
};

use super::read;
use crate::{
    commands::{
        CommandError,
        store::{dump::time, watch::Teller},
    },
    data_folder,
};

/// Messages that a broker judges at once.
const BATCH: usize = 64;

/// Where a plugin is installed for the time of its trial.
const NAME: &str = "trial";

/// Arguments of `petrel plugin test`.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// The file, a WebAssembly component
    file: PathBuf,
    /// The data folder, of which no broker may be at work
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The topic
    #[arg(long)]
    topic: String,
    /// What the filter is given
    #[arg(long, default_value = "")]
    argument: String,
    /// Only messages stored at this time or later: ms since 1970, or a date and time of day in UTC
    #[arg(long, value_name = "TIME", value_parser = time)]
    from: Option<i64>,
    /// Only messages stored at this time or earlier
    #[arg(long, value_name = "TIME", value_parser = time)]
    to: Option<i64>,
    /// End after this many messages
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    max: Option<u64>,
    /// Print where each message lies that the filter lets pass
    #[arg(long)]
    matches: bool,
}

/// Judges stored messages and prints what came of it.
pub(super) fn run(out: &mut impl Write, args: &Args) -> Result<(), CommandError> {
    let wrong = |error: String| CommandError::Usage(format!("{}: {error}", args.file.display()));
    let engine = PluginEngine::new(Limits::default(), None).map_err(|error| wrong(error.to_string()))?;
    let plugin = engine.load(&read(&args.file)?).map_err(|error| wrong(error.to_string()))?;
    let installed = PluginSet::new();
    // A trial is to show each failure, whatever becomes of the messages.
    let policy = Policy { disable_after: None, ..Policy::default() };
    installed.install(NAME, plugin, policy, true).map_err(|error| wrong(error.to_string()))?;
    let filter = installed.filter(NAME, &args.argument).map_err(|error| wrong(error.to_string()))?;

    let mut trial = Trial { filter: &*filter, show: args.matches, judged: 0, passed: 0, spent: Duration::ZERO };
    walk(out, args, &mut trial)?;
    let Trial { judged, passed, spent, .. } = trial;
    let each = |total: u128| if judged == 0 { 0 } else { total / u128::from(judged) };
    let fuel = installed.fuel(NAME).unwrap_or(0);
    let summary = format!("{passed} of {judged} messages pass, {} ns and {} fuel each", each(spent.as_nanos()), each(u128::from(fuel)));
    writeln!(out, "{summary}").map_err(CommandError::Output)?;
    for info in installed.list().into_iter().filter(|info| info.failures > 0) {
        writeln!(out, "{} calls failed, the last one: {}", info.failures, info.last_error).map_err(CommandError::Output)?;
    }
    Ok(())
}

/// Shows the filter all messages that are asked for, in batches of one queue as a broker does.
fn walk(out: &mut impl Write, args: &Args, trial: &mut Trial<'_>) -> Result<(), CommandError> {
    let unreadable = |error: ::store::OpenError| CommandError::Usage(error.to_string());
    let config = ExamineConfig { root: data_folder::store_in(args.data.clone()), ..ExamineConfig::default() };
    let examination = Examination::open(config).map_err(unreadable)?;
    let selection = Selection { topic: Some(args.topic.clone()), queue_id: None, from: args.from, to: args.to, key: None };
    let mut errors = io::stderr();
    let mut teller = Teller::new(&mut errors, false);
    let mut queues: IndexMap<i32, Vec<Vec<u8>>> = IndexMap::new();
    let mut left = args.max.unwrap_or(u64::MAX);
    let mut failed = None;
    let done = examination.messages(&selection, &mut teller, &mut |record| {
        let batch = queues.entry(record.queue_id()).or_default();
        batch.push(record.bytes().to_vec());
        if batch.len() == BATCH {
            failed = trial.judge(out, &std::mem::take(batch)).err();
        }
        left -= 1;
        if left == 0 || failed.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    teller.finish().map_err(CommandError::Output)?;
    done.map_err(unreadable)?;
    let rest = failed.map_or(Ok(()), Err).and_then(|()| queues.values().try_for_each(|batch| trial.judge(out, batch)));
    rest.map_err(CommandError::Output)
}

struct Trial<'a> {
    filter: &'a dyn MessageFilter,
    show: bool,
    judged: u64,
    passed: u64,
    spent: Duration,
}

impl Trial<'_> {
    fn judge(&mut self, out: &mut impl Write, records: &[Vec<u8>]) -> io::Result<()> {
        let batch: Vec<_> = records.iter().map(|record| Candidate { tags_code: code(record), record: Some(record) }).collect();
        let mut verdicts = Verdicts::default();
        verdicts.reset(batch.len());
        let begun = Instant::now();
        self.filter.matches(&batch, &mut verdicts);
        self.spent += begun.elapsed();
        self.judged += records.len() as u64;
        for (_, record) in records.iter().enumerate().filter(|(index, _)| verdicts.delivers(*index)) {
            self.passed += 1;
            if let (true, Ok(record)) = (self.show, RecordView::parse(record)) {
                writeln!(out, "queue {} offset {}", record.queue_id(), record.queue_offset())?;
            }
        }
        Ok(())
    }
}

/// The tags code that the queue has for a message.
fn code(record: &[u8]) -> i64 {
    RecordView::parse(record).map_or(0, |record| tags_code(record.property(TAGS)))
}
