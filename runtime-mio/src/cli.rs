//! The command line of `petrel`.

mod assemble;
mod greeting;
mod serve;

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Args, Parser, Subcommand, ValueEnum};
use tracing::level_filters::LevelFilter;

use crate::{
    commands::{CommandError, bench, consume, plugin, produce, store},
    config::table,
};
pub use serve::ServeError;

/// A message broker that speaks Apache RocketMQ's protocol and keeps its files
#[derive(Debug, Parser)]
#[command(name = "petrel", version, after_help = EXAMPLES, infer_subcommands = true)]
pub struct Cli {
    #[command(flatten)]
    log: LogArgs,
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  petrel standalone                        name server and broker in one process, data in ./petrel-data
  petrel produce Greetings hello           send a message
  petrel consume Greetings --group readers print messages, and go on where the group stopped
  petrel broker -n ns1:9876 -c broker.conf a broker of a cluster, configured as in RocketMQ";

#[derive(Debug, Args)]
#[command(next_help_heading = "Logging")]
struct LogArgs {
    /// Log more: -v for connections and decisions, -vv also for every request of the commands that are clients
    #[arg(short, long, action = clap::ArgAction::Count, global = true, conflicts_with_all = ["quiet", "level"])]
    verbose: u8,
    /// Log errors only
    #[arg(short, long, global = true, conflicts_with = "level")]
    quiet: bool,
    /// What to log [default: info for servers, warn for other commands]
    #[arg(long = "log-level", value_name = "LEVEL", global = true)]
    level: Option<Level>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Level {
    Off,
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve a name server and a broker in one process
    #[command(mut_arg("data", |data| data.help("The folder for all data [default: ./petrel-data]")), after_help = "\
Examples:
  petrel standalone
  petrel standalone --data /var/lib/petrel -c broker.conf
  petrel standalone --listen-port 20911 --namesrv-port 19876")]
    Standalone(StandaloneArgs),
    /// Serve a name server
    #[command(mut_arg("data", |data| data.help("The folder for all data [default: ~, or what kvConfigPath says]")), after_help = "\
Examples:
  petrel namesrv
  petrel namesrv -c namesrv.conf --listen-port 19876")]
    Namesrv(NamesrvArgs),
    /// Serve a broker that registers with name servers
    #[command(mut_arg("data", |data| data.help("The folder for all data, with the store in its folder store [default: ~, or what storePathRootDir says]")), after_help = "\
Examples:
  petrel broker -n 10.0.0.1:9876
  petrel broker -n '10.0.0.1:9876;10.0.0.2:9876' -c broker.conf
  petrel broker -c broker.conf -p")]
    Broker(BrokerArgs),
    #[command(after_help = "\
Examples:
  petrel produce Greetings hello
  petrel produce Greetings - --tag news --property price=42 < lines.txt
  petrel produce Greetings --size 1024 --count 100000")]
    Produce(produce::Args),
    #[command(after_help = "\
Examples:
  petrel consume Greetings
  petrel consume Greetings --group readers --count 10
  petrel consume Greetings --sql \"price > 10 AND region = 'eu'\" --from 2026-11-22T19:30 --json")]
    Consume(consume::Args),
    #[command(after_help = "\
Examples:
  petrel bench produce --connections 16 --size 1024
  petrel bench consume --duration 10")]
    Bench(bench::Args),
    Store(store::Args),
    Plugin(plugin::Args),
    /// Print the section of COMPATIBILITY.md about configuration
    #[command(hide = true)]
    ConfigTable,
}

/// What every server takes.
#[derive(Clone, Debug, Default, Args)]
struct ServerArgs {
    /// A file of RocketMQ's keys (broker.conf, namesrv.conf)
    #[arg(short, long = "config", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print the configuration that would be in effect, as properties, and end
    #[arg(short, long)]
    pub print: bool,
    /// With --print: all known keys, those without effect as comments
    #[arg(long, requires = "print")]
    pub all: bool,
    /// The folder for all data
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// The port to listen on; 0 lets the system choose
    #[arg(long, value_name = "PORT")]
    pub listen_port: Option<u16>,
}

/// Arguments of `petrel standalone`.
#[derive(Clone, Debug, Default, Args)]
struct StandaloneArgs {
    /// What every server takes.
    #[command(flatten)]
    pub server: ServerArgs,
    /// The name server's port; 0 lets the system choose
    #[arg(long, value_name = "PORT")]
    pub namesrv_port: Option<u16>,
}

/// Arguments of `petrel namesrv`.
#[derive(Clone, Debug, Default, Args)]
struct NamesrvArgs {
    /// What every server takes.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// Arguments of `petrel broker`.
#[derive(Clone, Debug, Default, Args)]
struct BrokerArgs {
    /// What every server takes.
    #[command(flatten)]
    pub server: ServerArgs,
    /// Name servers, HOST:PORT, several with a semicolon between them [default: NAMESRV_ADDR, or namesrvAddr of the file]
    #[arg(short = 'n', long = "namesrv", value_name = "HOST:PORT")]
    pub name_servers: Option<String>,
}

/// Which server is asked for.
#[derive(Clone, Debug)]
enum Role {
    /// Both in one process.
    Standalone(StandaloneArgs),
    /// A name server.
    Namesrv(NamesrvArgs),
    /// A broker.
    Broker(BrokerArgs),
}

/// Why the process ends early: one line.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// A server could not be started, or could not go on.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// A client's command ended early.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// A data folder cannot be looked at.
    #[error(transparent)]
    Store(#[from] store::StoreCommandError),
    /// Standard output cannot be written.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
}

impl CliError {
    /// The status with which the process ends.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        match self {
            // 1 says that the folder was read and is not well.
            Self::Store(_) => ExitCode::from(2),
            // As shells say it of a process that SIGINT has ended.
            Self::Command(CommandError::Interrupted(_)) => ExitCode::from(130),
            _ => ExitCode::FAILURE,
        }
    }
}

impl Cli {
    /// Does what is asked for. Answers the status with which the process is to end.
    ///
    /// # Errors
    /// [`CliError`]
    pub fn run(self) -> Result<ExitCode, CliError> {
        crate::logging::start(self.log.level(self.command.is_server()));
        match self.command {
            Command::Standalone(args) => serve::run(&Role::Standalone(args))?,
            Command::Namesrv(args) => serve::run(&Role::Namesrv(args))?,
            Command::Broker(args) => serve::run(&Role::Broker(args))?,
            Command::Produce(args) => produce::run(args)?,
            Command::Consume(args) => consume::run(args)?,
            Command::Bench(args) => bench::run(args)?,
            Command::Plugin(args) => plugin::run(args)?,
            Command::Store(args) => return Ok(store::run(&args)?),
            Command::ConfigTable => io::stdout().write_all(table::markdown().as_bytes())?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Command {
    const fn is_server(&self) -> bool {
        matches!(self, Self::Standalone(_) | Self::Namesrv(_) | Self::Broker(_))
    }
}

impl LogArgs {
    const fn level(&self, server: bool) -> LevelFilter {
        match (self.level, self.verbose) {
            (Some(Level::Off), _) => LevelFilter::OFF,
            (Some(Level::Error), _) => LevelFilter::ERROR,
            (Some(Level::Warn), _) => LevelFilter::WARN,
            (Some(Level::Info), _) => LevelFilter::INFO,
            (Some(Level::Debug), _) | (None, 1) => LevelFilter::DEBUG,
            (Some(Level::Trace), _) | (None, 2..) => LevelFilter::TRACE,
            (None, 0) if self.quiet => LevelFilter::ERROR,
            (None, 0) if server => LevelFilter::INFO,
            (None, 0) => LevelFilter::WARN,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn level(arguments: &[&str]) -> LevelFilter {
        let cli = Cli::try_parse_from(arguments).expect("arguments");
        cli.log.level(cli.command.is_server())
    }

    #[test]
    fn the_arguments_do_not_contradict_each_other() {
        Cli::command().debug_assert();
    }

    #[test]
    fn servers_log_more_than_other_commands_unless_told_otherwise() {
        assert_eq!(level(&["petrel", "standalone"]), LevelFilter::INFO);
        assert_eq!(level(&["petrel", "config-table"]), LevelFilter::WARN);
        assert_eq!(level(&["petrel", "-q", "standalone"]), LevelFilter::ERROR);
        assert_eq!(level(&["petrel", "standalone", "-vv"]), LevelFilter::TRACE);
        assert_eq!(level(&["petrel", "namesrv", "--log-level", "off"]), LevelFilter::OFF);
    }

    #[test]
    fn loud_and_quiet_exclude_each_other() {
        assert!(Cli::try_parse_from(["petrel", "-q", "-v", "standalone"]).is_err());
    }
}
