//! What defaults depend on: the machine and its environment, read once.

use std::{
    net::{IpAddr, Ipv4Addr, UdpSocket},
    path::PathBuf,
};

/// Facts about the machine.
#[derive(Clone, Debug)]
pub struct Host {
    /// Processors that the process may use.
    pub processors: usize,
    /// Bytes of memory of the machine.
    pub memory: u64,
    /// The user's home folder.
    pub home: PathBuf,
    /// The machine's name.
    pub name: String,
    /// The address that other machines reach this one by.
    pub address: IpAddr,
    /// Environment `NAMESRV_ADDR`.
    pub name_servers: String,
    /// Environment `ROCKETMQ_HOME`.
    pub rocketmq_home: String,
}

impl Host {
    /// The machine this process runs on.
    #[must_use]
    pub fn here() -> Self {
        let variable = |name| std::env::var(name).unwrap_or_default();
        let home = variable("HOME");
        let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
        Self {
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            memory: memory(),
            home: if home.is_empty() { ".".into() } else { home.into() },
            name: if name.is_empty() || name == "localhost" || name == "(none)" { "petrel".to_owned() } else { name },
            address: outward_address().unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            name_servers: variable("NAMESRV_ADDR"),
            rocketmq_home: variable("ROCKETMQ_HOME"),
        }
    }

    /// A path in the home folder, as text.
    #[must_use]
    pub fn in_home(&self, path: &str) -> String {
        self.home.join(path).display().to_string()
    }

    #[cfg(test)]
    pub(crate) fn example() -> Self {
        Self {
            processors: 4,
            memory: 8 << 30,
            home: "/home/me".into(),
            name: "box".to_owned(),
            address: IpAddr::V4(Ipv4Addr::new(10, 0, 0, 7)),
            name_servers: String::new(),
            rocketmq_home: String::new(),
        }
    }
}

#[cfg(target_os = "linux")]
fn memory() -> u64 {
    let info = rustix::system::sysinfo();
    info.totalram.saturating_mul(info.mem_unit.into())
}

/// Where the system is not asked: enough for small machines.
#[cfg(not(target_os = "linux"))]
fn memory() -> u64 {
    4 << 30
}

/// The address of the interface that routes outward. Connecting a datagram socket only asks the routing table; nothing is sent.
fn outward_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    // An address of the documentation range: it is routed like any other outside one.
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
    socket.local_addr().ok().map(|addr| addr.ip()).filter(|ip| !ip.is_unspecified())
}
