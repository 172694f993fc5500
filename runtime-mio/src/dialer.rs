//! Outgoing connections: names are resolved beside the loop, addresses are tried one after the other, and all of it has a time limit.

use std::{
    collections::VecDeque,
    io,
    net::{SocketAddr, ToSocketAddrs},
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
};

use mio::Waker;
use route_core::time::Millis;

/// A dial that is under way: kept with its connection while the connection is being made.
#[derive(Debug)]
pub(crate) struct Dial {
    /// What the machine asked for.
    pub(crate) address: Arc<str>,
    /// Addresses that are left to be tried.
    pub(crate) rest: VecDeque<SocketAddr>,
    /// When it has failed.
    pub(crate) deadline: Millis,
}

/// A dial whose addresses are known, or why they are not.
#[derive(Debug)]
pub(crate) struct Resolved {
    pub(crate) machine: usize,
    pub(crate) address: Arc<str>,
    pub(crate) outcome: Result<VecDeque<SocketAddr>, String>,
}

/// Turns `host:port` into addresses. Literal addresses need no thread; names are looked up by one that is started with the first of them.
#[derive(Debug)]
pub(crate) struct Resolver {
    waker: Arc<Waker>,
    thread: Option<Lookups>,
    limit: usize,
}

impl Resolver {
    pub(crate) const fn new(waker: Arc<Waker>, limit: usize) -> Self {
        Self { waker, thread: None, limit }
    }

    /// Resolves at once what needs no lookup; otherwise the outcome comes from [`Self::poll`] after the waker.
    pub(crate) fn resolve(&mut self, machine: usize, address: Arc<str>) -> Option<Resolved> {
        if let Some(literal) = literal(&address) {
            return Some(Resolved { machine, address, outcome: Ok([literal].into()) });
        }
        let failed = |why: String| Some(Resolved { machine, address: address.clone(), outcome: Err(why) });
        let sender = match &self.thread {
            Some((sender, _)) => sender,
            None => match start(self.waker.clone(), self.limit) {
                Ok(thread) => &self.thread.insert(thread).0,
                Err(error) => return failed(format!("no thread for name lookups: {error}")),
            },
        };
        match sender.try_send((machine, address.clone())) {
            Ok(()) => None,
            Err(TrySendError::Full(_)) => failed("too many names are being looked up".to_owned()),
            Err(TrySendError::Disconnected(_)) => failed("the thread for name lookups is gone".to_owned()),
        }
    }

    /// The next lookup that has ended.
    pub(crate) fn poll(&mut self) -> Option<Resolved> {
        self.thread.as_ref()?.1.try_recv().ok()
    }
}

/// `ip:port`; an IPv6 address may come without brackets, as Java writes it.
fn literal(address: &str) -> Option<SocketAddr> {
    if let Ok(addr) = address.parse() {
        return Some(addr);
    }
    let (host, port) = address.rsplit_once(':')?;
    Some(SocketAddr::new(host.parse().ok()?, port.parse().ok()?))
}

/// Questions to the thread and its answers.
type Lookups = (SyncSender<(usize, Arc<str>)>, Receiver<Resolved>);

fn start(waker: Arc<Waker>, limit: usize) -> io::Result<Lookups> {
    let (questions, asked) = sync_channel::<(usize, Arc<str>)>(limit);
    let (answered, answers) = sync_channel(limit);
    std::thread::Builder::new().name("petrel-names".to_owned()).spawn(move || {
        while let Ok((machine, address)) = asked.recv() {
            let outcome = match address.to_socket_addrs() {
                Ok(addrs) => Ok(addrs.collect::<VecDeque<_>>()),
                Err(error) => Err(format!("the name cannot be resolved: {error}")),
            };
            if answered.send(Resolved { machine, address, outcome }).is_err() || waker.wake().is_err() {
                return;
            }
        }
    })?;
    Ok((questions, answers))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literal_addresses_need_no_lookup() {
        assert_eq!(literal("127.0.0.1:9876"), Some(([127, 0, 0, 1], 9876).into()));
        assert_eq!(literal("[::1]:9876"), "[::1]:9876".parse().ok());
        assert_eq!(literal("0:0:0:0:0:0:0:1:9876"), "[::1]:9876".parse().ok());
        assert_eq!(literal("localhost:9876"), None);
        assert_eq!(literal("127.0.0.1"), None);
    }
}
