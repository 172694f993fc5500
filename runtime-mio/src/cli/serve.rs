//! `petrel standalone`, `petrel namesrv` and `petrel broker`.

use std::io::{self, Write};

use thiserror::Error;
use tracing::{info, warn};

use super::{
    Role, ServerArgs,
    assemble::{assemble, data_folder},
    greeting,
};
use crate::{
    config::{Config, ConfigError, Place, Remark, Surroundings},
    data_folder::{self, DataFolderError},
    server::{Server, StartError},
};

/// Why a server does not serve, or no longer.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The configuration cannot be worked with.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The folder for its data cannot be used.
    #[error(transparent)]
    DataFolder(#[from] DataFolderError),
    /// The server could not be started.
    #[error(transparent)]
    Start(#[from] StartError),
    /// It could not go on, or not be closed as it should.
    #[error("{0}")]
    Run(io::Error),
    /// The configuration could not be printed.
    #[error("cannot write the output: {0}")]
    Output(io::Error),
}

/// Serves until a signal ends it, or prints what would be in effect.
pub(super) fn run(role: &Role) -> Result<(), ServeError> {
    let mut config = Config::new(role.place(), Surroundings::detect());
    let plan = assemble(role, &mut config);
    for remark in config.take_remarks() {
        match remark {
            Remark::Warning(text) => warn!("{text}"),
            Remark::Info(text) => info!("{text}"),
        }
    }
    let plan = plan?;
    if role.args().print {
        return print(&config, role.args().all).map_err(ServeError::Output);
    }
    if plan.broker.as_ref().is_some_and(|broker| broker.machine.name_servers.is_empty()) {
        warn!("no name server is set: clients cannot find this broker (-n, NAMESRV_ADDR or namesrvAddr)");
    }
    let name = plan.broker.as_ref().map(|broker| broker.machine.name.clone());
    let ports = Server::bind(plan)?;
    let data = data_folder(role, &config);
    if let Some(folder) = data {
        data_folder::prepare(folder)?;
    }
    let server = ports.open()?;
    let lines = greeting::lines(server.serving(), name.as_deref(), data);
    // The server is of use even if nobody reads where it listens.
    let _ = io::stdout().write_all(lines.as_bytes()).and_then(|()| io::stdout().flush());
    server.run().map_err(ServeError::Run)
}

/// Prints the keys that say something about what is served. The others have no effect: if they are wanted too, each is a comment.
fn print(config: &Config, all: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for (key, value) in config.iter() {
        let mark = match key.status.counts() {
            true => "",
            false if all => "# no effect: ",
            false => continue,
        };
        // Only what would be read differently is escaped, as Java's own writer does it.
        writeln!(out, "{mark}{}={}", key.name, value.replace('\\', "\\\\"))?;
    }
    out.flush()
}

impl Role {
    pub(super) const fn place(&self) -> Place {
        match self {
            Self::Standalone(_) => Place::Standalone,
            Self::Namesrv(_) => Place::NameServer,
            Self::Broker(_) => Place::Broker,
        }
    }

    pub(super) const fn args(&self) -> &ServerArgs {
        match self {
            Self::Standalone(args) => &args.server,
            Self::Namesrv(args) => &args.server,
            Self::Broker(args) => &args.server,
        }
    }
}
