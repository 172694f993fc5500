//! A broker whose disk fails when it is told to: `failing_disk BROKER.CONF FAULTS`.
//!
//! The file FAULTS says what happens from now on, a line each: `fail sync commitlog` makes syncs of all whose path holds `commitlog` fail,
//! `hang sync commitlog` keeps them from coming back while that line is there. Operations are `sync`, `erase`, `write` and `allocate`.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::ExitCode,
    thread,
    time::Duration,
};

use runtime_mio::{
    config::{Config, Place, Surroundings},
    logging,
    server::{Plan, Server},
};
use store::simulation::{FailingDisk, Operation};
use tracing::level_filters::LevelFilter;

/// How often an operation that hangs looks whether it still does.
const LOOK: Duration = Duration::from_millis(2);

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(conf), Some(faults)) = (arguments.next(), arguments.next()) else {
        eprintln!("failing_disk BROKER.CONF FAULTS");
        return ExitCode::FAILURE;
    };
    match serve(&conf, faults) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("failing_disk: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(conf: &Path, faults: PathBuf) -> Result<(), Box<dyn std::error::Error>> {
    logging::start(LevelFilter::INFO);
    let mut config = Config::new(Place::Broker, Surroundings::detect());
    config.read(conf)?;
    config.judge()?;
    let mut plan = Plan::broker(&config)?;
    if let Some(broker) = &mut plan.broker {
        broker.store.disk = FailingDisk::new(move |operation, path| before(&faults, operation, path)).into();
    }
    Ok(Server::open(plan)?.run()?)
}

/// What the file says about an operation: it may go on, fail or hang.
fn before(faults: &Path, operation: Operation, path: &Path) -> io::Result<()> {
    loop {
        let said = fs::read_to_string(faults).unwrap_or_default();
        let name = format!("{operation:?}").to_lowercase();
        let path = path.to_string_lossy();
        let fault = said.lines().find_map(|line| {
            let mut words = line.split_whitespace();
            let fault = words.next()?;
            (words.next()? == name && path.contains(words.next()?)).then_some(fault)
        });
        match fault {
            Some("fail") => return Err(io::Error::other("the disk was told to fail")),
            Some("hang") => thread::sleep(LOOK),
            _ => return Ok(()),
        }
    }
}
