//! `petrel store`: looks at a data folder that no broker works on, and makes anew what is derived from its log.

mod check;
pub(super) mod dump;
mod rebuild;
mod show;
pub(super) mod watch;

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use ::store::{
    OpenError, StoreConfig,
    examine::{Examination, ExamineConfig},
    rebuild::RebuildError,
};
use thiserror::Error;

use crate::{
    config::{Config, ConfigError, Origin, Place, Surroundings, settings::BrokerSettings},
    data_folder,
};

/// Look at a data folder that no broker works on: what is in it, whether it is whole, its messages; rebuild queues and index
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Exit status: 0 if all is well, 1 if something is damaged or has to be made anew, 2 if the folder cannot be read or worked on.")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum Command {
    /// Show files, offsets, times, topics, queues and tables in short
    #[command(after_help = "\
Examples:
  petrel store inspect petrel-data
  petrel store inspect /var/lib/rocketmq/store --json | jq 'select(.type == \"queue\")'")]
    Inspect(FolderArgs),
    /// Hold every message against its checksum, and queues, index and tables against the messages; change nothing
    #[command(after_help = "\
Examples:
  petrel store verify petrel-data
  petrel store verify -c broker.conf")]
    Verify(FolderArgs),
    /// Print messages as JSON, one in a line
    #[command(after_help = "\
Examples:
  petrel store dump petrel-data --topic Greetings --max 10
  petrel store dump petrel-data --key order-4711
  petrel store dump petrel-data --from 2026-11-22T19:30 --to 2026-11-22T19:45")]
    Dump(dump::Args),
    /// Make queues and index anew from the log; what was there goes when the new stands
    #[command(after_help = "\
Examples:
  petrel store rebuild petrel-data
  petrel store rebuild -c broker.conf --index

A folder whose broker has sizes of files or delay levels of its own needs its broker.conf. If the process dies on the way, the next start makes
the rest; what was there before is in before-rebuild until then.")]
    Rebuild(rebuild::Args),
}

/// Which folder, and how its files were configured.
#[derive(Clone, Debug, clap::Args)]
struct FolderArgs {
    /// The data folder; without it storePathRootDir of the configuration
    #[arg(value_name = "DIR", required_unless_present = "config")]
    dir: Option<PathBuf>,
    /// The broker.conf of the folder's broker: sizes of files, another folder for the log; without it the files tell
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print JSON, one object in a line
    #[arg(long)]
    json: bool,
}

/// Why a folder cannot be looked at; the process ends with status 2.
#[derive(Debug, Error)]
pub enum StoreCommandError {
    /// The folder cannot be read, or somebody works on it.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Queues and index could not be made anew.
    #[error(transparent)]
    Rebuild(#[from] RebuildError),
    /// The configuration cannot be worked with.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The output cannot be written.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
}

/// Does what is asked for.
///
/// # Errors
/// [`StoreCommandError`]
pub fn run(args: &Args) -> Result<ExitCode, StoreCommandError> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let done = match &args.command {
        Command::Inspect(folder) => show::run(folder, &mut out),
        Command::Verify(folder) => check::run(folder, &mut out),
        Command::Dump(args) => dump::run(args, &mut out),
        Command::Rebuild(args) => rebuild::run(args, &mut out),
    };
    let done = done.and_then(|well| Ok(out.flush().map(|()| well)?));
    match done {
        Ok(true) => Ok(ExitCode::SUCCESS),
        Ok(false) => Ok(ExitCode::FAILURE),
        // Whoever reads has seen enough.
        Err(StoreCommandError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        Err(error) => Err(error),
    }
}

impl FolderArgs {
    fn examine(&self) -> Result<Examination, StoreCommandError> {
        Ok(Examination::open(self.settings()?)?)
    }

    fn settings(&self) -> Result<ExamineConfig, StoreCommandError> {
        Ok(match self.store_config()? {
            None => ExamineConfig { root: data_folder::store_in(self.dir.clone().unwrap_or_default()), ..ExamineConfig::default() },
            Some(store) => ExamineConfig {
                commit_log: Some(store.commit_log_dir()),
                mapped_file_size_commit_log: Some(store.mapped_file_size_commit_log),
                mapped_file_size_consume_queue: Some(store.mapped_file_size_consume_queue),
                index_shape: Some((store.max_hash_slot_num, store.max_index_num)),
                enabled_append_prop_crc: store.enabled_append_prop_crc,
                without_index: !store.message_index_enable,
                root: store.store_path_root_dir,
                disk: store.disk,
            },
        })
    }

    /// The store's part of the configuration, if one is given.
    fn store_config(&self) -> Result<Option<StoreConfig>, StoreCommandError> {
        let Some(file) = &self.config else { return Ok(None) };
        let mut config = Config::new(Place::Broker, Surroundings::detect());
        config.read(file)?;
        if let Some(dir) = &self.dir {
            let root = data_folder::store_in(dir.clone());
            config.set("storePathRootDir", root.to_string_lossy(), Origin::Flag("DIR"))?;
        }
        Ok(Some(BrokerSettings::new(&config)?.store))
    }
}
