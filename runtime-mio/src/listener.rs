//! A listening socket that never spins: when the process is out of descriptors it waits a second before it tries again.

use std::{io, net::SocketAddr};

use mio::net::{TcpListener, TcpStream};
use route_core::time::Millis;

/// Pause after a failure to take a connection.
const PAUSE: Millis = Millis(1000);

/// A listening socket of one machine.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) socket: TcpListener,
    pub(crate) addr: SocketAddr,
    /// Number of the machine that its connections belong to.
    pub(crate) machine: usize,
    /// The poll has told of connections that have not been taken yet.
    pub(crate) pending: bool,
    /// Not before this moment.
    pub(crate) resume: Option<Millis>,
}

/// What became of an attempt to take a connection.
#[derive(Debug)]
pub(crate) enum Accepted {
    /// A connection.
    Connection(TcpStream, SocketAddr),
    /// None is waiting.
    Empty,
    /// None can be taken for now, for this reason.
    Paused(io::Error),
}

impl Listener {
    pub(crate) fn new(socket: TcpListener, addr: SocketAddr, machine: usize) -> Self {
        Self { socket, addr, machine, pending: false, resume: None }
    }

    /// Whether connections may be waiting and may be taken.
    pub(crate) fn ready(&mut self, now: Millis) -> bool {
        if self.resume.is_some_and(|at| at <= now) {
            self.resume = None;
            self.pending = true;
        }
        self.pending && self.resume.is_none()
    }

    /// Takes one connection. Failures that concern only that connection are passed over.
    pub(crate) fn accept(&mut self, now: Millis) -> Accepted {
        loop {
            match self.socket.accept() {
                Ok((stream, addr)) => return Accepted::Connection(stream, addr),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.pending = false;
                    return Accepted::Empty;
                }
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    self.resume = Some(now + PAUSE);
                    return Accepted::Paused(error);
                }
            }
        }
    }
}

/// Whether only the connection that was to be taken has failed, and the next one may succeed.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::NetworkDown
            | io::ErrorKind::TimedOut
    )
}
