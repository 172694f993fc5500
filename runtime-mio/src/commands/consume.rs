//! `petrel consume`: the messages of a topic, one per line.

mod backoff;
mod line;
mod session;

use std::{
    io::{self, BufWriter, Write},
    sync::atomic::AtomicBool,
    time::Duration,
};

use proto_core::names::{validate_group, validate_topic};

use super::{ClusterArgs, CommandError, stop, store::dump::time};
use crate::client::{Filter, NameServers, Start, Timeouts};
use session::Session;

/// Print the messages of a topic as they come
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The topic; one that is not there yet is waited for, and so is a broker that goes away
    pub topic: String,
    /// Go on where this group stopped, and keep how far it comes, once a second and at the end. All queues are read, even if the group has
    /// other members. Every message is printed at least once: what came after the last keeping comes again if this process is killed.
    /// Without a group nothing is kept
    #[arg(long)]
    pub group: Option<String>,
    /// Only messages with this tag; several with || between them
    #[arg(long = "tag", value_name = "EXPR", conflicts_with = "sql")]
    pub tags: Option<String>,
    /// Only messages for whose properties this expression of SQL92 is true, such as "price > 10 AND region = 'eu'"
    #[arg(long, value_name = "EXPR", value_parser = sql)]
    pub sql: Option<String>,
    /// Where to begin: first, last (only what comes from now on), an offset in every queue, or a time of storing: a date and time of day in
    /// UTC such as 2026-11-22T19:30, or ms since 1970 (a number from 100000000000 on) [default: where the group stopped, else first]
    #[arg(long = "from", value_name = "WHERE", value_parser = start, allow_negative_numbers = true)]
    pub start: Option<Start>,
    /// Stop after this many messages
    #[arg(long, value_parser = super::count, allow_negative_numbers = true)]
    pub count: Option<u64>,
    /// Stop when nothing has come for this many seconds
    #[arg(long, value_name = "SECONDS", value_parser = super::seconds, allow_negative_numbers = true)]
    pub timeout: Option<Duration>,
    /// Print each message as one object of JSON with all that is known of it, in a line, as petrel store dump does
    #[arg(long)]
    pub json: bool,
    /// Where the cluster is.
    #[command(flatten)]
    pub cluster: ClusterArgs,
}

/// Numbers from here on are times: as an offset it is out of reach, as a time it is in 1973.
const FIRST_TIME: i64 = 100_000_000_000;

fn start(text: &str) -> Result<Start, String> {
    match (text, text.parse::<i64>()) {
        ("first", _) => Ok(Start::First),
        ("last", _) => Ok(Start::Last),
        (_, Ok(time)) if time >= FIRST_TIME => Ok(Start::Timestamp(time)),
        (_, Ok(offset)) if offset >= 0 => Ok(Start::Offset(offset)),
        (_, Ok(_)) => Err("an offset is 0 or more".to_owned()),
        (text, Err(_)) => time(text).map(Start::Timestamp).map_err(|why| format!("first, last, an offset, {why}")),
    }
}

fn sql(text: &str) -> Result<String, String> {
    let parsed = proto_core::sql::parse(text);
    parsed.map(|_| text.to_owned()).map_err(|why| {
        let why = why.to_string();
        let line = why.lines().next().unwrap_or_default();
        // RocketMQ's texts begin with the class of the error.
        line.split_once("Exception: ").map_or(line, |(_, text)| text).to_owned()
    })
}

/// Prints messages until the count, the time-out, SIGINT, SIGTERM, or the end of whoever reads the output; then the group's offsets
/// are kept and the group is left.
///
/// # Errors
/// [`CommandError`]; what has been printed is not printed again to the same group if the brokers can still be reached.
pub fn run(args: Args) -> Result<(), CommandError> {
    let stop = stop::on_signals()?;
    read_all(&args, &stop, &mut BufWriter::new(io::stdout().lock()), &mut io::stderr())
}

fn read_all(args: &Args, stop: &AtomicBool, out: &mut impl Write, notes: &mut impl Write) -> Result<(), CommandError> {
    validate_topic(&args.topic).map_err(|error| CommandError::Usage(error.to_string()))?;
    if let Some(group) = &args.group {
        validate_group(group).map_err(|error| CommandError::Usage(error.to_string()))?;
    }
    let name_servers = NameServers::new(&args.cluster.list(), Timeouts::default())?;
    let filter = args.tags.clone().map(Filter::Tags).or_else(|| args.sql.clone().map(Filter::Sql));
    Session::new(args, stop, name_servers, filter, out, notes).run()
}

#[cfg(test)]
mod tests;
