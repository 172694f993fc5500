//! All connections, and the effects of machines on them.

use std::{
    collections::VecDeque,
    io::{self, Read},
    net::SocketAddr,
    sync::Arc,
};

use mio::{
    Interest, Registry, Token,
    net::{TcpListener, TcpStream},
};
use proto_core::code::ResponseCode;
use route_core::{
    output::{NoticeLevel, Output, PeerId, Reply, ReplyBody, Request},
    time::{Millis, Now},
};
use tracing::{debug, error, info, warn};

use crate::{
    buffers::BufferPool,
    connection::Connection,
    dialer::{Dial, Resolved, Resolver},
    limits::NetLimits,
    listener::{Accepted, Listener},
    machine::Machine,
    peer_table::PeerTable,
};

/// Tokens from here up belong to listeners and to the loop itself; no [`PeerId`] reaches them.
pub(crate) const FIRST_LISTENER: usize = usize::MAX - 1024;

/// Buffers that are kept for connections that are busy in turn.
pub(crate) const POOLED: usize = 256;

/// Larger buffers are freed after use.
pub(crate) const POOLED_BYTES: usize = 64 * 1024;

/// How often connections are looked at for idleness.
const SCAN: Millis = Millis(1000);

/// Sockets and what waits on them.
#[derive(Debug)]
pub(crate) struct Net<L> {
    registry: Registry,
    limits: NetLimits,
    pub(crate) connections: PeerTable<Connection<L>>,
    listeners: Vec<Listener>,
    pool: BufferPool,
    /// Connections with bytes to read.
    pub(crate) ready: VecDeque<PeerId>,
    /// Connections with bytes to write.
    touched: Vec<PeerId>,
    /// Connections that are gone; their machines have not been told yet.
    lost: VecDeque<(usize, PeerId)>,
    /// Dials that have ended; their machines have not been told yet.
    dialed: VecDeque<(usize, Arc<str>, Result<PeerId, String>)>,
    /// Dials that are under way.
    dialing: Vec<PeerId>,
    resolver: Resolver,
    /// Memory of all inboxes.
    inbound: usize,
    slices: Vec<L>,
    next_scan: Millis,
    /// When somebody was last turned away with a log line about it.
    turned_away: Option<Millis>,
}

/// What a machine is to be told about its connections.
#[derive(Debug)]
pub(crate) enum News {
    /// A connection is gone.
    Lost(usize, PeerId),
    /// A dial has ended.
    Dialed(usize, Arc<str>, Result<PeerId, String>),
}

impl<L: AsRef<[u8]>> Net<L> {
    pub(crate) fn new(registry: Registry, resolver: Resolver, limits: NetLimits) -> Self {
        Self {
            registry,
            limits,
            connections: PeerTable::new(),
            listeners: Vec::new(),
            pool: BufferPool::new(POOLED, POOLED_BYTES),
            ready: VecDeque::new(),
            touched: Vec::new(),
            lost: VecDeque::new(),
            dialed: VecDeque::new(),
            dialing: Vec::new(),
            resolver,
            inbound: 0,
            slices: Vec::new(),
            next_scan: SCAN,
            turned_away: None,
        }
    }

    pub(crate) const fn limits(&self) -> &NetLimits {
        &self.limits
    }

    /// Listens for connections of a machine. Returns the address, with its port if the system chose it.
    pub(crate) fn listen(&mut self, addr: SocketAddr, machine: usize) -> io::Result<SocketAddr> {
        let mut socket = TcpListener::bind(addr)?;
        // Asking once more only changes the length of the queue, which mio does not let us choose: a crowd that comes at once must fit.
        rustix::net::listen(&socket, self.limits.backlog)?;
        let addr = socket.local_addr()?;
        let token = Token(FIRST_LISTENER + self.listeners.len());
        self.registry.register(&mut socket, token, Interest::READABLE)?;
        self.listeners.push(Listener::new(socket, addr, machine));
        Ok(addr)
    }

    /// Takes no more connections.
    pub(crate) fn stop_listening(&mut self) {
        self.listeners.clear();
    }

    /// The poll has told of new connections.
    pub(crate) fn handle_acceptable(&mut self, token: Token) {
        if let Some(listener) = token.0.checked_sub(FIRST_LISTENER).and_then(|at| self.listeners.get_mut(at)) {
            listener.pending = true;
        }
    }

    /// The poll has told of a connection.
    pub(crate) fn handle_event(&mut self, now: Millis, event: &mio::event::Event) {
        let peer = PeerId(event.token().0 as u64);
        let dialing = self.connections.get(peer).is_some_and(|connection| connection.dial.is_some());
        if dialing && (event.is_writable() || event.is_error() || event.is_write_closed()) {
            self.finish_dial(now, peer);
        }
        let Some(connection) = self.connections.get_mut(peer).filter(|connection| connection.dial.is_none()) else { return };
        if event.is_readable() || event.is_read_closed() || event.is_error() {
            connection.readable = true;
            connection.end_seen |= event.is_read_closed() || event.is_error();
            self.want_read(peer);
        }
        if event.is_writable() {
            let Some(connection) = self.connections.get_mut(peer) else { return };
            connection.blocked = false;
            if !connection.outbox.is_empty() {
                self.touch(peer);
            }
        }
    }

    /// Takes waiting connections. Returns whether more may be waiting.
    pub(crate) fn accept(&mut self, now: Millis) -> bool {
        let mut more = false;
        for at in 0..self.listeners.len() {
            for _ in 0..self.limits.accepts_at_once {
                let listener = &mut self.listeners[at];
                if !listener.ready(now) {
                    break;
                }
                let machine = listener.machine;
                match listener.accept(now) {
                    Accepted::Connection(stream, addr) => self.take_in(now, stream, addr, machine),
                    Accepted::Empty => {}
                    Accepted::Paused(why) => error!(listener = %listener.addr, "no connection can be accepted for a while: {why}"),
                }
            }
            more |= self.listeners[at].ready(now);
        }
        more
    }

    fn take_in(&mut self, now: Millis, stream: TcpStream, addr: SocketAddr, machine: usize) {
        if self.connections.len() >= self.limits.connections {
            // One line a second says it; a crowd at the door must not fill the log as well.
            if self.turned_away.is_none_or(|at| now.saturating_sub(at) >= Millis(1000)) {
                warn!(peer = %addr, "turned away: there are {} connections, as many as are allowed", self.connections.len());
                self.turned_away = Some(now);
            }
            return;
        }
        if let Err(why) = stream.set_nodelay(true) {
            debug!(peer = %addr, "no TCP_NODELAY: {why}");
        }
        match self.register(Connection::new(now, stream, addr, machine, None)) {
            Ok(peer) => debug!(peer = %addr, id = peer.0, "connected"),
            Err(why) => warn!(peer = %addr, "turned away: {why}"),
        }
    }

    fn register(&mut self, connection: Connection<L>) -> io::Result<PeerId> {
        let Some(peer) = self.connections.insert(connection) else {
            return Err(io::Error::other("no number for the connection"));
        };
        let Some(connection) = self.connections.get_mut(peer) else { return Err(io::ErrorKind::NotFound.into()) };
        // Edge triggered, both directions once and for all: no call per message only to say what we wait for.
        let token = Token(peer.0 as usize);
        if let Err(why) = self.registry.register(&mut connection.stream, token, Interest::READABLE | Interest::WRITABLE) {
            self.connections.remove(peer);
            return Err(why);
        }
        Ok(peer)
    }

    /// Puts a connection in the list of those to be read, unless it stands there.
    pub(crate) fn want_read(&mut self, peer: PeerId) {
        if let Some(connection) = self.connections.get_mut(peer)
            && !connection.in_ready
        {
            connection.in_ready = true;
            self.ready.push_back(peer);
        }
    }

    /// Reads from the socket of a connection.
    pub(crate) fn read(&mut self, peer: PeerId, room: &mut [u8]) -> io::Result<usize> {
        self.connections.get_mut(peer).ok_or(io::ErrorKind::NotConnected)?.stream.read(room)
    }

    /// The memory of an inbox has changed. Returns whom to cut off if all together hold too much.
    pub(crate) fn note_inbound(&mut self, before: usize, after: usize) -> Option<PeerId> {
        self.inbound = (self.inbound + after).saturating_sub(before);
        if self.inbound <= self.limits.inbound {
            return None;
        }
        self.connections.iter().max_by_key(|(_, connection)| connection.inbox.memory()).map(|(peer, _)| peer)
    }

    /// Carries out what a machine wants. Bytes are only queued here; [`Self::flush`] writes them.
    pub(crate) fn apply(&mut self, now: Now, at: usize, machine: &mut dyn Machine<Slice = L>, output: Output) {
        match output {
            Output::Reply { to, opaque, reply } => self.queue_reply(machine, to, opaque, reply),
            Output::Request { to, opaque, request } => self.queue_request(to, opaque, request),
            Output::Dial { address } => self.dial(now.mono, at, address),
            Output::Close { peer, reason } => {
                let until = now.mono + self.limits.linger;
                if let Some(connection) = self.connections.get_mut(peer) {
                    connection.closing.get_or_insert((reason, until));
                    self.touch(peer);
                }
            }
            Output::Persist { ticket, table, content } => machine.persist(now, ticket, table, content),
            Output::Configure { asked, properties } => machine.configure(now, asked, &properties),
            Output::ChangePlugin { asked, name, change } => machine.change_plugin(now, asked, name, change),
            Output::Notice { level, text } => notice(level, &text),
        }
    }

    fn queue_reply(&mut self, machine: &mut dyn Machine<Slice = L>, to: PeerId, opaque: i32, mut reply: Reply) {
        let Some(connection) = self.connections.get_mut(to) else { return machine.recycle(reply) };
        if let ReplyBody::Records(ranges) = &reply.body {
            self.slices.extend(ranges.iter().map_while(|range| machine.slice(*range)));
            if self.slices.len() < ranges.len() {
                self.slices.clear();
                machine.recycle(reply);
                reply = Reply::error(ResponseCode::SystemError, "the messages were removed while they were about to be sent");
            }
        }
        let outbox = &mut connection.outbox;
        outbox.encode(&mut self.pool, |out| reply.encode_header(opaque, out));
        match &reply.body {
            ReplyBody::Empty => {}
            ReplyBody::Bytes(body) => outbox.push_body(&mut self.pool, body.clone()),
            ReplyBody::Records(_) => self.slices.drain(..).for_each(|slice| outbox.push_slice(slice)),
        }
        machine.recycle(reply);
        self.touch(to);
    }

    fn queue_request(&mut self, to: PeerId, opaque: i32, request: Request) {
        let Some(connection) = self.connections.get_mut(to) else { return };
        connection.outbox.encode(&mut self.pool, |out| request.encode_header(opaque, out));
        connection.outbox.push_body(&mut self.pool, request.body);
        self.touch(to);
    }

    /// Puts a connection in the list of those to be written, unless it stands there. Who lets too much wait is paused, who lets
    /// far too much wait is cut off.
    fn touch(&mut self, peer: PeerId) {
        let Some(connection) = self.connections.get_mut(peer) else { return };
        if !connection.in_touched {
            connection.in_touched = true;
            self.touched.push(peer);
        }
        connection.paused |= connection.outbox.waiting() > self.limits.high_water;
        if connection.outbox.in_memory() > self.limits.outbound {
            let held = connection.outbox.in_memory() >> 20;
            self.cut(peer, &format!("it does not read: {held} MiB are kept for it"));
        }
    }

    /// Writes to every connection that something was queued for, one call each as a rule.
    pub(crate) fn flush(&mut self, now: Millis) {
        let mut touched = std::mem::take(&mut self.touched);
        for peer in touched.drain(..) {
            let Some(connection) = self.connections.get_mut(peer) else { continue };
            connection.in_touched = false;
            if !connection.blocked && connection.dial.is_none() && !connection.outbox.is_empty() {
                match connection.outbox.write_to(&mut connection.stream, &mut self.pool) {
                    Ok(written) => {
                        connection.blocked = written.blocked;
                        if written.bytes > 0 {
                            connection.note_write(now);
                        }
                    }
                    Err(why) => {
                        self.drop_connection(peer, &format!("writing failed: {why}"));
                        continue;
                    }
                }
            }
            let waiting = connection.outbox.waiting();
            if waiting == 0
                && let Some((reason, _)) = connection.closing.take()
            {
                info!(peer = %connection.addr, "connection closed: {reason}");
                self.forget(peer);
            } else if connection.paused && waiting < self.limits.low_water {
                connection.paused = false;
                if connection.readable {
                    self.want_read(peer);
                }
            }
        }
        // The list keeps its memory for the next turn.
        self.touched = touched;
    }

    /// Closes a connection for a reason that an operator should see.
    pub(crate) fn cut(&mut self, peer: PeerId, reason: &str) {
        if let Some(connection) = self.connections.get(peer) {
            warn!(peer = %connection.addr, "connection closed: {reason}");
        }
        self.forget(peer);
    }

    /// Closes a connection that the peer or the network has ended.
    pub(crate) fn drop_connection(&mut self, peer: PeerId, reason: &str) {
        if let Some(connection) = self.connections.get(peer) {
            debug!(peer = %connection.addr, "connection closed: {reason}");
        }
        self.forget(peer);
    }

    fn forget(&mut self, peer: PeerId) {
        let Some(mut connection) = self.connections.remove(peer) else { return };
        self.inbound = self.inbound.saturating_sub(connection.inbox.memory());
        connection.inbox.release(&mut self.pool);
        if let Err(why) = self.registry.deregister(&mut connection.stream) {
            debug!(peer = %connection.addr, "not deregistered: {why}");
        }
        match connection.dial {
            Some(dial) => {
                self.dialing.retain(|dialing| *dialing != peer);
                self.dialed.push_back((connection.machine, dial.address, Err("closed while being dialled".to_owned())));
            }
            None => self.lost.push_back((connection.machine, peer)),
        }
    }

    /// Whether machines are to be told something.
    pub(crate) fn has_news(&self) -> bool {
        !self.lost.is_empty() || !self.dialed.is_empty()
    }

    /// The next thing that a machine is to be told.
    pub(crate) fn poll_news(&mut self) -> Option<News> {
        if let Some((machine, peer)) = self.lost.pop_front() {
            return Some(News::Lost(machine, peer));
        }
        self.dialed.pop_front().map(|(machine, address, outcome)| News::Dialed(machine, address, outcome))
    }

    fn dial(&mut self, now: Millis, machine: usize, address: Arc<str>) {
        if self.dialing.len() >= self.limits.dials {
            return self.dialed.push_back((machine, address, Err("too many dials are under way".to_owned())));
        }
        if let Some(resolved) = self.resolver.resolve(machine, address) {
            self.handle_resolved(now, resolved);
        }
    }

    /// Takes the name lookups that have ended.
    pub(crate) fn handle_lookups(&mut self, now: Millis) {
        while let Some(resolved) = self.resolver.poll() {
            self.handle_resolved(now, resolved);
        }
    }

    fn handle_resolved(&mut self, now: Millis, Resolved { machine, address, outcome }: Resolved) {
        match outcome {
            Ok(rest) => {
                let dial = Dial { address, rest, deadline: now + self.limits.dial };
                self.try_next(now, machine, dial, "the name has no address".to_owned());
            }
            Err(why) => self.dialed.push_back((machine, address, Err(why))),
        }
    }

    /// Tries the addresses of a dial until one can be waited for.
    fn try_next(&mut self, now: Millis, machine: usize, mut dial: Dial, mut why: String) {
        while let Some(addr) = dial.rest.pop_front() {
            match TcpStream::connect(addr) {
                Ok(stream) => {
                    let address = dial.address.clone();
                    match self.register(Connection::new(now, stream, addr, machine, Some(dial))) {
                        Ok(peer) => self.dialing.push(peer),
                        Err(error) => self.dialed.push_back((machine, address, Err(error.to_string()))),
                    }
                    return;
                }
                Err(error) => why = error.to_string(),
            }
        }
        self.dialed.push_back((machine, dial.address, Err(why)));
    }

    /// The connection that a dial waits for stands, or has failed.
    fn finish_dial(&mut self, now: Millis, peer: PeerId) {
        let Some(connection) = self.connections.get_mut(peer) else { return };
        let failure = match connection.stream.take_error() {
            Ok(None) => match connection.stream.peer_addr() {
                Ok(_) => None,
                // Not there yet: the poll tells again.
                Err(error) if error.kind() == io::ErrorKind::NotConnected => return,
                Err(error) => Some(error),
            },
            Ok(Some(error)) | Err(error) => Some(error),
        };
        let Some(dial) = connection.dial.take() else { return };
        self.dialing.retain(|dialing| *dialing != peer);
        let machine = connection.machine;
        match failure {
            None => {
                if let Err(why) = connection.stream.set_nodelay(true) {
                    debug!(peer = %connection.addr, "no TCP_NODELAY: {why}");
                }
                connection.note_read(now);
                self.dialed.push_back((machine, dial.address, Ok(peer)));
            }
            Some(error) => {
                self.connections.remove(peer);
                self.try_next(now, machine, dial, error.to_string());
            }
        }
    }

    /// When [`Self::handle_timeout`] has something to do.
    pub(crate) fn poll_timeout(&self) -> Option<Millis> {
        let scan = (!self.connections.is_empty()).then_some(self.next_scan);
        let dial = self.dialing.iter().filter_map(|peer| Some(self.connections.get(*peer)?.dial.as_ref()?.deadline)).min();
        let accept = self.listeners.iter().filter_map(|listener| listener.resume).min();
        [scan, dial, accept].into_iter().flatten().min()
    }

    /// Gives up dials that take too long and closes connections on which nothing moves.
    pub(crate) fn handle_timeout(&mut self, now: Millis) {
        let late = |net: &Self, peer: &PeerId| {
            net.connections.get(*peer).and_then(|connection| connection.dial.as_ref()).is_some_and(|dial| dial.deadline <= now)
        };
        while let Some(at) = self.dialing.iter().position(|peer| late(self, peer)) {
            let peer = self.dialing.swap_remove(at);
            if let Some(connection) = self.connections.remove(peer)
                && let Some(dial) = connection.dial
            {
                let why = format!("no answer from {} within {} ms", connection.addr, self.limits.dial.0);
                self.dialed.push_back((connection.machine, dial.address, Err(why)));
            }
        }
        if now < self.next_scan {
            return;
        }
        self.next_scan = now + SCAN;
        let overdue: Vec<_> =
            self.connections.iter().filter_map(|(peer, connection)| Some((peer, connection.overdue(now, &self.limits)?))).collect();
        for (peer, reason) in overdue {
            self.cut(peer, &reason);
        }
    }

    /// Whether bytes wait to be written on any connection. It goes over all of them: the loop asks when the process is to end, and never
    /// before.
    pub(crate) fn has_unsent(&self) -> bool {
        self.connections.iter().any(|(_, connection)| !connection.outbox.is_empty())
    }

    /// Whether the next turn has something to do without any event.
    pub(crate) fn is_busy(&self) -> bool {
        !self.ready.is_empty() || !self.touched.is_empty() || self.has_news()
    }
}

/// Puts a machine's line into the log.
pub(crate) fn notice(level: NoticeLevel, text: &str) {
    match level {
        NoticeLevel::Error => error!("{text}"),
        NoticeLevel::Warn => warn!("{text}"),
        NoticeLevel::Info => info!("{text}"),
        NoticeLevel::Debug => debug!("{text}"),
    }
}
