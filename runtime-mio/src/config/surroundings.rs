//! What the defaults need to know of the machine.

use std::{
    env,
    net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs, UdpSocket},
    path::PathBuf,
    thread,
};

/// The machine, as the defaults see it. Tests make one up.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// Its name, if it has one.
    pub host_name: Option<String>,
    /// The address from which it reaches others.
    pub local_address: IpAddr,
    /// Processors that this process may use.
    pub processors: i64,
    /// Bytes of memory.
    pub memory: u64,
    /// The home folder.
    pub home: PathBuf,
    /// Variables of the environment that are set.
    pub environment: fn(&str) -> Option<String>,
    /// The address of the host with this name, or why there is none.
    pub look_up: fn(&str) -> Result<IpAddr, String>,
}

impl Surroundings {
    /// This machine.
    #[must_use]
    pub fn detect() -> Self {
        let processors = thread::available_parallelism().map_or(1, |number| i64::try_from(number.get()).unwrap_or(1));
        Self {
            host_name: host_name(),
            local_address: outward_address().unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            processors,
            memory: memory(),
            home: env::var_os("HOME").map_or_else(|| PathBuf::from("."), PathBuf::from),
            environment: |name| env::var(name).ok().filter(|value| !value.trim().is_empty()),
            look_up,
        }
    }
}

/// The first address of a host, one of IPv4 if it has any: that is what most clients can reach.
fn look_up(name: &str) -> Result<IpAddr, String> {
    let found: Vec<_> = (name, 0).to_socket_addrs().map_err(|why| why.to_string())?.map(|address| address.ip()).collect();
    found.iter().find(|ip| ip.is_ipv4()).or(found.first()).copied().ok_or_else(|| "it has no address".to_owned())
}

fn host_name() -> Option<String> {
    let name = rustix::system::uname().nodename().to_str().ok()?.trim().to_owned();
    (!name.is_empty() && name != "(none)" && !name.contains(char::is_whitespace)).then_some(name)
}

/// The address of the interface that packets to the outside would leave by. Connecting a datagram socket only asks the routing
/// table; nothing is sent.
fn outward_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect(SocketAddr::from(([192, 0, 2, 1], 9))).ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_unspecified()).then_some(address)
}

fn memory() -> u64 {
    let info = rustix::system::sysinfo();
    u64::from(info.mem_unit).max(1).saturating_mul(info.totalram)
}

#[cfg(test)]
impl Surroundings {
    /// A machine that is the same everywhere.
    pub(super) fn made_up() -> Self {
        Self {
            host_name: Some("petrel-host".to_owned()),
            local_address: IpAddr::V4(Ipv4Addr::new(10, 0, 0, 7)),
            processors: 4,
            memory: 10_000_000_000,
            home: PathBuf::from("/home/someone"),
            environment: |_| None,
            look_up: |name| match name {
                "broker.example.org" => Ok(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 9))),
                _ => Err("nobody knows it".to_owned()),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_processors_memory_and_an_address() {
        let here = Surroundings::detect();
        assert!(here.processors > 0 && here.memory > 1 << 20 && !here.local_address.is_unspecified(), "{here:?}");
    }
}
