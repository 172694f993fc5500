//! One connection: its socket, what is half read, what is half written, and when something last moved.

use std::{
    borrow::Cow,
    io,
    net::{IpAddr, SocketAddr},
};

use mio::net::TcpStream;
use route_core::time::Millis;

use crate::{dialer::Dial, inbox::Inbox, limits::NetLimits, write_queue::WriteQueue};

/// A connection of one machine.
#[derive(Debug)]
pub(crate) struct Connection<L> {
    pub(crate) stream: TcpStream,
    pub(crate) addr: SocketAddr,
    /// Whether it came from this machine.
    pub(crate) from_here: bool,
    /// Number of the machine that it belongs to.
    pub(crate) machine: usize,
    /// Present while a dial is under way; the connection speaks to nobody yet.
    pub(crate) dial: Option<Dial>,
    pub(crate) inbox: Inbox,
    pub(crate) outbox: WriteQueue<L>,
    /// The poll has told of bytes that have not been read to their end.
    pub(crate) readable: bool,
    /// The poll has told that the peer closed its side.
    pub(crate) end_seen: bool,
    /// Whether it stands in the list of those to be read.
    pub(crate) in_ready: bool,
    /// Whether it stands in the list of those to be written.
    pub(crate) in_touched: bool,
    /// The last write was not taken whole; the poll tells when to go on.
    pub(crate) blocked: bool,
    /// Too much waits for it: nothing is read until it has taken most of that.
    pub(crate) paused: bool,
    /// Its machine wants it closed, for this reason, when what waits has left, or at this moment.
    pub(crate) closing: Option<(Cow<'static, str>, Millis)>,
    last_read: Millis,
    last_write: Millis,
}

impl<L: AsRef<[u8]>> Connection<L> {
    pub(crate) fn new(now: Millis, stream: TcpStream, addr: SocketAddr, machine: usize, dial: Option<Dial>) -> Self {
        Self {
            from_here: dial.is_none() && is_from_here(addr.ip(), stream.local_addr().map(|local| local.ip())),
            stream,
            addr,
            machine,
            dial,
            inbox: Inbox::default(),
            outbox: WriteQueue::new(),
            readable: false,
            end_seen: false,
            in_ready: false,
            in_touched: false,
            blocked: false,
            paused: false,
            closing: None,
            last_read: now,
            last_write: now,
        }
    }

    pub(crate) fn note_read(&mut self, now: Millis) {
        self.last_read = now;
    }

    pub(crate) fn note_write(&mut self, now: Millis) {
        self.last_write = now;
    }

    /// Whether frames may be taken from it.
    pub(crate) fn takes_frames(&self) -> bool {
        !self.paused && self.closing.is_none() && self.dial.is_none()
    }

    /// Why it is to be closed by now, if it is.
    pub(crate) fn overdue(&self, now: Millis, limits: &NetLimits) -> Option<Cow<'static, str>> {
        if let Some((reason, until)) = &self.closing
            && now >= *until
        {
            return Some(reason.clone());
        }
        if !self.outbox.is_empty() && now.saturating_sub(self.last_write) >= limits.stalled {
            let (waiting, secs) = (self.outbox.waiting(), limits.stalled.0 / 1000);
            return Some(format!("it has taken none of the {waiting} bytes that wait for it for {secs} s").into());
        }
        let idle = now.saturating_sub(self.last_read.max(self.last_write));
        if limits.idle > Millis::ZERO && idle >= limits.idle && self.dial.is_none() {
            return Some(format!("nothing has moved on it for {} s", limits.idle.0 / 1000).into());
        }
        None
    }
}

/// Whether a connection has this machine at both ends. A system takes in no packet from elsewhere that bears an address of its own, so who has the
/// address that was connected to is here; who is here and has another of this machine's addresses counts as elsewhere.
fn is_from_here(remote: IpAddr, local: io::Result<IpAddr>) -> bool {
    let remote = remote.to_canonical();
    remote.is_loopback() || local.is_ok_and(|local| local.to_canonical() == remote)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_the_address_that_was_connected_to_or_a_loopback_one_is_here() {
        let from = |remote: &str, local: &str| is_from_here(remote.parse().unwrap(), Ok(local.parse().unwrap()));
        assert!(from("127.0.0.1", "127.0.0.1") && from("127.0.0.2", "127.0.0.1") && from("::ffff:127.0.0.1", "::ffff:127.0.0.1"));
        assert!(from("10.0.0.7", "10.0.0.7") && from("::ffff:10.0.0.7", "10.0.0.7") && from("fe80::1", "fe80::1"));
        assert!(!from("10.0.0.8", "10.0.0.7") && !from("10.0.0.8", "127.0.0.1"));
        assert!(!is_from_here("10.0.0.7".parse().unwrap(), Err(io::ErrorKind::NotConnected.into())));
    }
}
