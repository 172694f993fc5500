//! What a process serves: a name server, a broker, or both in one loop.

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc};

use store::{LogSlice, Notifier, OpenError, Store};
use thiserror::Error;
use tracing::warn;

use crate::{
    clock::Clock,
    config::settings::{BrokerSettings, NameServerSettings},
    event_loop::EventLoop,
    limits::NetLimits,
    machine::{
        broker::{BrokerMachine, BrokerStartError},
        name_server::NameServerMachine,
    },
};

/// Descriptors that connections leave to the store, if there are that many; otherwise a quarter of all.
const DESCRIPTORS_FOR_FILES: usize = 4096;

/// What is to be served. With both, the broker registers with the name server over the network like any other.
#[derive(Debug, Default)]
pub struct Plan {
    /// Limits of the loop.
    pub limits: NetLimits,
    /// A name server.
    pub name_server: Option<NameServerSettings>,
    /// A broker.
    pub broker: Option<BrokerSettings>,
}

/// A process that is ready to serve: its ports are open and its store is recovered.
#[derive(Debug)]
pub struct Server {
    event_loop: EventLoop<LogSlice>,
    serving: Serving,
}

/// Where it serves, with the ports that the system chose if 0 was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Serving {
    /// The name server's port.
    pub name_server: Option<SocketAddr>,
    /// The broker's port.
    pub broker: Option<SocketAddr>,
    /// The broker's port for clients with `vipChannelEnabled`.
    pub vip: Option<SocketAddr>,
    /// What clients are told to connect to.
    pub broker_address: Option<SocketAddr>,
    /// The store.
    pub store: Option<PathBuf>,
}

/// Why a process cannot serve. One line each that says what to do.
#[derive(Debug, Error)]
pub enum StartError {
    /// A port cannot be listened on.
    #[error("cannot listen on {addr}: {source}{}", hint(.source, .key))]
    Port {
        /// The address.
        addr: SocketAddr,
        /// What the system says.
        source: io::Error,
        /// The key that sets the port.
        key: &'static str,
    },
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// The broker cannot be started over it.
    #[error(transparent)]
    Broker(#[from] BrokerStartError),
    /// The name server cannot be started.
    #[error("{0}")]
    NameServer(String),
    /// The system refuses something else.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system says.
        source: io::Error,
    },
}

fn hint(source: &io::Error, key: &str) -> String {
    match source.kind() {
        io::ErrorKind::AddrInUse => format!("; stop who listens there, or choose another port with {key}"),
        io::ErrorKind::PermissionDenied => format!("; ports below 1024 need privileges, choose another one with {key}"),
        io::ErrorKind::AddrNotAvailable => "; bindAddress names an address that this machine does not have".to_owned(),
        _ => String::new(),
    }
}

impl Server {
    /// Opens ports and store.
    ///
    /// # Errors
    /// [`StartError`]
    pub fn open(plan: Plan) -> Result<Self, StartError> {
        let connections = plan.limits.connections.min(descriptors_for_connections());
        let limits = NetLimits { connections, ..plan.limits };
        let failed = |what| move |source| StartError::System { what, source };
        let mut event_loop = EventLoop::new(Clock::new(), limits).map_err(failed("no poll"))?;
        event_loop.catch_signals().map_err(failed("signals cannot be caught"))?;
        let waker = event_loop.waker();
        let notifier: Notifier = Arc::new(move || {
            // Only fails when the loop is gone, and then there is nobody to wake.
            drop(waker.wake());
        });
        let mut serving = Serving::default();
        if let Some(settings) = plan.name_server {
            let key = if plan.broker.is_some() { "namesrvAddr" } else { "listenPort" };
            serving.name_server = Some(open_name_server(&mut event_loop, settings, notifier.clone(), key)?);
        }
        if let Some(settings) = plan.broker {
            open_broker(&mut event_loop, settings, notifier, &mut serving)?;
        }
        Ok(Self { event_loop, serving })
    }

    /// Where it serves.
    #[must_use]
    pub const fn serving(&self) -> &Serving {
        &self.serving
    }

    /// Serves until a signal ends it; then everything is flushed, saved and told goodbye.
    ///
    /// # Errors
    /// The poll fails, or the store cannot be closed as it should.
    pub fn run(mut self) -> io::Result<()> {
        self.event_loop.run()
    }
}

type Loop = EventLoop<LogSlice>;

fn open_name_server(
    event_loop: &mut Loop,
    settings: NameServerSettings,
    notifier: Notifier,
    key: &'static str,
) -> Result<SocketAddr, StartError> {
    let NameServerSettings { machine, kv_config_path, listen } = settings;
    let started = NameServerMachine::start(event_loop.now(), machine, &kv_config_path, notifier).map_err(StartError::NameServer)?;
    let number = event_loop.add(Box::new(started));
    event_loop.listen(listen, number).map_err(|source| StartError::Port { addr: listen, source, key })
}

fn open_broker(event_loop: &mut Loop, settings: BrokerSettings, notifier: Notifier, serving: &mut Serving) -> Result<(), StartError> {
    let BrokerSettings { mut machine, store, listen, vip_listen } = settings;
    // The port is taken before the log is recovered: a mistake shows at once, and early clients wait instead of being refused.
    let number = event_loop.machines();
    let bound = event_loop.listen(listen, number).map_err(|source| StartError::Port { addr: listen, source, key: "listenPort" })?;
    machine.address.set_port(bound.port());
    if let Some(name_server) = serving.name_server {
        let chosen = |address: &Arc<str>| match address.strip_suffix(":0") {
            Some(host) => format!("{host}:{}", name_server.port()).into(),
            None => address.clone(),
        };
        machine.name_servers = machine.name_servers.iter().map(chosen).collect();
    }
    if let Some(vip) = vip_listen {
        match event_loop.listen(vip, number) {
            Ok(bound) => serving.vip = Some(bound),
            Err(why) => warn!("no connections of clients with vipChannelEnabled: cannot listen on {vip}: {why}"),
        }
    }
    serving.broker = Some(bound);
    serving.broker_address = Some(machine.address);
    serving.store = Some(store.store_path_root_dir.clone());
    let (store, recovered) = Store::open(store, notifier)?;
    let started = BrokerMachine::start(event_loop.now(), machine, store, &recovered)?;
    event_loop.add(Box::new(started));
    Ok(())
}

/// Lets the process have as many descriptors as its user may, and returns how many of them connections may take: the rest is for the
/// files of the store, which must never be missing because a crowd is at the door.
fn descriptors_for_connections() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if limit.current < limit.maximum
        && let Err(why) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })
    {
        warn!("no more than {:?} connections and files: {why}", limit.current);
    }
    let allowed = getrlimit(Resource::Nofile).current.map_or(usize::MAX, |allowed| usize::try_from(allowed).unwrap_or(usize::MAX));
    allowed - (allowed / 4).min(DESCRIPTORS_FOR_FILES)
}
