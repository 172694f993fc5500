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
    plugins,
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
    #[error("cannot listen on {addr}: {source}{}", hint(.source, .flag))]
    Port {
        /// The address.
        addr: SocketAddr,
        /// What the system says.
        source: io::Error,
        /// The flag that sets the port.
        flag: &'static str,
    },
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// The broker cannot be started over it.
    #[error(transparent)]
    Broker(#[from] BrokerStartError),
    /// Plugins cannot be run.
    #[error("{0}")]
    Plugins(String),
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

fn hint(source: &io::Error, flag: &str) -> String {
    match source.kind() {
        io::ErrorKind::AddrInUse => format!("; stop who listens there, or choose another port with {flag}"),
        io::ErrorKind::PermissionDenied => format!("; ports below 1024 need privileges, choose another one with {flag}"),
        io::ErrorKind::AddrNotAvailable => "; bindAddress names an address that this machine does not have".to_owned(),
        _ => String::new(),
    }
}

/// A process whose ports are open, and that has left nothing on disk yet. Early clients wait instead of being refused.
#[derive(Debug)]
pub struct BoundServer {
    event_loop: EventLoop<LogSlice>,
    serving: Serving,
    name_server: Option<NameServerSettings>,
    broker: Option<BrokerSettings>,
}

impl BoundServer {
    /// Opens what is on disk, recovers it and starts the machines.
    ///
    /// # Errors
    /// [`StartError`]
    pub fn open(mut self) -> Result<Server, StartError> {
        let waker = self.event_loop.waker();
        let notifier: Notifier = Arc::new(move || {
            // Only fails when the loop is gone, and then there is nobody to wake.
            drop(waker.wake());
        });
        if let Some(NameServerSettings { machine, kv_config_path, live, .. }) = self.name_server {
            let now = self.event_loop.now();
            let started =
                NameServerMachine::start(now, machine, live, &kv_config_path, notifier.clone()).map_err(StartError::NameServer)?;
            self.event_loop.add(Box::new(started));
        }
        if let Some(BrokerSettings { machine, mut store, live, .. }) = self.broker {
            store.settings_path = Some(live.file().to_owned());
            let root = store.store_path_root_dir.clone();
            let (store, recovered) = Store::open(store, notifier.clone())?;
            let plugins = plugins::room(&root, notifier).map_err(StartError::Plugins)?;
            let started = BrokerMachine::start(self.event_loop.now(), machine, live, store, &recovered, plugins)?;
            self.event_loop.add(Box::new(started));
        }
        Ok(Server { event_loop: self.event_loop, serving: self.serving })
    }
}

impl Server {
    /// Opens ports and store.
    ///
    /// # Errors
    /// [`StartError`]
    pub fn open(plan: Plan) -> Result<Self, StartError> {
        Self::bind(plan)?.open()
    }

    /// Opens the ports alone: a mistake shows at once, whatever has to be recovered, and nothing has been touched then.
    ///
    /// # Errors
    /// [`StartError`]
    pub fn bind(plan: Plan) -> Result<BoundServer, StartError> {
        let connections = plan.limits.connections.min(descriptors_for_connections());
        let limits = NetLimits { connections, ..plan.limits };
        let failed = |what| move |source| StartError::System { what, source };
        let mut event_loop = EventLoop::new(Clock::new(), limits).map_err(failed("no poll"))?;
        event_loop.catch_signals().map_err(failed("signals cannot be caught"))?;
        let mut serving = Serving::default();
        let Plan { name_server, mut broker, .. } = plan;
        // Machines are numbered in the order in which they are added.
        let mut number = 0;
        if let Some(NameServerSettings { listen, .. }) = &name_server {
            let flag = if broker.is_some() { "--namesrv-port" } else { "--listen-port" };
            serving.name_server = Some(listen_on(&mut event_loop, *listen, number, flag)?);
            number += 1;
        }
        if let Some(settings) = &mut broker {
            bind_broker(&mut event_loop, settings, number, &mut serving)?;
        }
        Ok(BoundServer { event_loop, serving, name_server, broker })
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

fn listen_on(event_loop: &mut Loop, addr: SocketAddr, machine: usize, flag: &'static str) -> Result<SocketAddr, StartError> {
    event_loop.listen(addr, machine).map_err(|source| StartError::Port { addr, source, flag })
}

fn bind_broker(event_loop: &mut Loop, settings: &mut BrokerSettings, number: usize, serving: &mut Serving) -> Result<(), StartError> {
    let machine = &mut settings.machine;
    let bound = listen_on(event_loop, settings.listen, number, "--listen-port")?;
    machine.address.set_port(bound.port());
    if let Some(name_server) = serving.name_server {
        let chosen = |address: &Arc<str>| match address.strip_suffix(":0") {
            Some(host) => format!("{host}:{}", name_server.port()).into(),
            None => address.clone(),
        };
        machine.name_servers = machine.name_servers.iter().map(chosen).collect();
    }
    if let Some(vip) = settings.vip_listen {
        match event_loop.listen(vip, number) {
            Ok(bound) => serving.vip = Some(bound),
            Err(why) => warn!("no connections of clients with vipChannelEnabled: cannot listen on {vip}: {why}"),
        }
    }
    serving.broker = Some(bound);
    serving.broker_address = Some(machine.address);
    serving.store = Some(settings.store.store_path_root_dir.clone());
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
