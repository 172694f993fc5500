//! The cluster: hosts on one network under one clock, driven event by event.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::SocketAddr,
};

use bytes::Bytes;
use proto_core::{
    Command,
    frame::{Decoded, FrameDecoder},
};
use route_core::{
    Millis, Now, Output, Peer, PeerId, Timestamp,
    output::{Table, Ticket},
};

use crate::{
    machine::Machine,
    network::{Arrival, End, HostId, Network},
    packet::Packet,
};

/// What the wall clock shows at first when the steady one shows zero.
const EPOCH: i64 = 1_700_000_000_000;
/// More events than any scenario has without time passing, or in one [`Cluster::drive`].
const LIVELOCK: usize = 200_000;
/// How many notices of a node are kept.
const NOTICES: usize = 1000;

/// A machine's place in the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeId(pub(crate) HostId);

struct Node {
    address: SocketAddr,
    /// `None` while the process is down.
    machine: Option<Box<dyn Machine>>,
    inbound: BTreeMap<PeerId, (Peer, Vec<u8>)>,
    /// What the machine has put on disk; it outlives the process.
    tables: BTreeMap<Table, Bytes>,
    /// Saves that a slow disk has not confirmed.
    unconfirmed: VecDeque<Ticket>,
    slow_disk: bool,
    notices: VecDeque<String>,
}

/// A client's side of its connections.
#[derive(Debug)]
pub(crate) struct Mailbox {
    address: SocketAddr,
    pub(crate) ends: BTreeMap<NodeId, End>,
    inbound: BTreeMap<PeerId, Vec<u8>>,
    pub(crate) awaited: BTreeSet<i32>,
    pub(crate) answers: BTreeMap<i32, Packet>,
    pub(crate) requests: VecDeque<Packet>,
    pub(crate) next_opaque: i32,
}

enum Host {
    Node(Node),
    Client(Mailbox),
}

/// Machines and clients on one network, under one clock.
pub struct Cluster {
    now: Now,
    /// What the wall clock would have shown at the zero of the steady one.
    epoch: Timestamp,
    pub(crate) network: Network,
    hosts: Vec<Host>,
}

impl Default for Cluster {
    fn default() -> Self {
        Self::new(Millis(1))
    }
}

impl Cluster {
    /// An empty cluster whose network delays everything by `latency`.
    #[must_use]
    pub fn new(latency: Millis) -> Self {
        Self::on(Network::new(latency))
    }

    /// An empty cluster on a network.
    #[must_use]
    pub fn on(network: Network) -> Self {
        let now = Now { mono: Millis::ZERO, wall: Timestamp(EPOCH) };
        Self { now, epoch: now.wall, network, hosts: Vec::new() }
    }

    /// The present.
    #[must_use]
    pub const fn now(&self) -> Now {
        self.now
    }

    /// Somebody sets the wall clock, forwards or back; the steady one goes on.
    pub fn set_wall_clock(&mut self, wall: Timestamp) {
        self.epoch = Timestamp(wall.0.saturating_sub_unsigned(self.now.mono.0));
        self.now.wall = wall;
    }

    /// Starts a machine that listens on `address`.
    pub fn start(&mut self, address: SocketAddr, machine: Box<dyn Machine>) -> NodeId {
        let node = NodeId(HostId(self.hosts.len()));
        self.hosts.push(Host::Node(Node {
            address,
            machine: Some(machine),
            inbound: BTreeMap::new(),
            tables: BTreeMap::new(),
            unconfirmed: VecDeque::new(),
            slow_disk: false,
            notices: VecDeque::new(),
        }));
        self.drain(node);
        node
    }

    /// Ends a machine's process: its connections break, its tables stay.
    pub fn kill(&mut self, node: NodeId) -> BTreeMap<Table, Bytes> {
        let now = self.now.mono;
        for end in self.network.ends_of(node.0) {
            self.network.close(now, end);
        }
        self.stop(node)
    }

    /// Takes a machine's host its power: nobody is told of the connections that break.
    pub fn power_off(&mut self, node: NodeId) -> BTreeMap<Table, Bytes> {
        self.network.darken(node.0);
        self.stop(node)
    }

    fn stop(&mut self, node: NodeId) -> BTreeMap<Table, Bytes> {
        let state = self.node(node);
        state.machine = None;
        state.inbound.clear();
        state.unconfirmed.clear();
        state.tables.clone()
    }

    /// Starts a new process in the place of one that was killed or lost its power.
    pub fn restart(&mut self, node: NodeId, machine: Box<dyn Machine>) {
        self.network.light(node.0);
        self.node(node).machine = Some(machine);
        self.drain(node);
    }

    /// A new client; it connects to a node with its first request.
    pub(crate) fn add_client(&mut self) -> HostId {
        let host = HostId(self.hosts.len());
        let address = SocketAddr::from(([10, 0, 0, u8::try_from(host.0).unwrap_or(u8::MAX)], 50_000));
        self.hosts.push(Host::Client(Mailbox {
            address,
            ends: BTreeMap::new(),
            inbound: BTreeMap::new(),
            awaited: BTreeSet::new(),
            answers: BTreeMap::new(),
            requests: VecDeque::new(),
            next_opaque: 1,
        }));
        host
    }

    pub(crate) fn mailbox(&mut self, host: HostId) -> &mut Mailbox {
        match &mut self.hosts[host.0] {
            Host::Client(mailbox) => mailbox,
            Host::Node(_) => panic!("host {} is no client", host.0),
        }
    }

    /// The machine of a node, as its own type.
    ///
    /// # Panics
    /// If it is down or of another type.
    pub fn machine<M: 'static>(&mut self, node: NodeId) -> &mut M {
        let machine = self.node(node).machine.as_mut().expect("the process is up");
        machine.as_any().downcast_mut().expect("the machine has this type")
    }

    /// Does something to a machine and then whatever it asks for.
    pub fn poke<M: 'static>(&mut self, node: NodeId, poke: impl FnOnce(&mut M, Now)) {
        let now = self.now;
        poke(self.machine(node), now);
        self.drain(node);
    }

    /// What a node has saved last under this name.
    #[must_use]
    pub fn saved(&self, node: NodeId, table: Table) -> Option<&Bytes> {
        match &self.hosts[node.0.0] {
            Host::Node(node) => node.tables.get(&table),
            Host::Client(_) => None,
        }
    }

    /// From now on the node's disk confirms no save until it is fast again.
    pub fn set_slow_disk(&mut self, node: NodeId, slow: bool) {
        self.node(node).slow_disk = slow;
        if !slow {
            self.drain(node);
        }
    }

    /// What the node has said for its operator, oldest first.
    pub fn notices(&mut self, node: NodeId) -> Vec<String> {
        self.node(node).notices.iter().cloned().collect()
    }

    /// Nothing passes between a client or node and a node any more; neither is told.
    pub fn cut(&mut self, a: impl Into<HostId>, b: impl Into<HostId>) {
        self.network.cut(a.into(), b.into());
    }

    /// Ends a [`Self::cut`].
    pub fn heal(&mut self, a: impl Into<HostId>, b: impl Into<HostId>) {
        self.network.heal(self.now.mono, a.into(), b.into());
    }

    /// The network, to make it worse or better.
    pub const fn network_mut(&mut self) -> &mut Network {
        &mut self.network
    }

    /// The next event that is due by `horizon`: an arrival or a node's timer. `false` if there is none.
    ///
    /// Bounded: one event and what its machine asks for.
    pub fn step(&mut self, horizon: Millis) -> bool {
        let timer = self.next_timer();
        let arrival = self.network.next_due();
        let Some(due) = [timer.map(|(at, _)| at), arrival].into_iter().flatten().min().filter(|due| *due <= horizon) else {
            return false;
        };
        self.set_clock(due.max(self.now.mono));
        match self.network.pop_due(self.now.mono) {
            Some(arrival) => self.deliver(arrival),
            None => {
                if let Some((_, node)) = timer {
                    let now = self.now;
                    if let Some(machine) = &mut self.node(node).machine {
                        machine.handle_timeout(now);
                    }
                    self.drain(node);
                }
            }
        }
        true
    }

    /// Runs until nothing is on its way any more. Timers go off if their time comes meanwhile.
    ///
    /// # Panics
    /// If that never happens.
    pub fn drive(&mut self) {
        for _ in 0..LIVELOCK {
            let Some(due) = self.network.next_due() else { return };
            self.step(due.max(self.now.mono));
        }
        panic!("no rest after {LIVELOCK} events at {:?}", self.now);
    }

    /// Lets time pass, with everything that happens in it.
    ///
    /// # Panics
    /// If events never let time pass.
    pub fn advance(&mut self, span: Millis) {
        let horizon = self.now.mono + span;
        let (mut idle, mut last) = (0, self.now.mono);
        while self.step(horizon) {
            idle = if self.now.mono == last { idle + 1 } else { 0 };
            last = self.now.mono;
            assert!(idle < LIVELOCK, "time stands still at {:?}", self.now);
        }
        self.set_clock(horizon);
    }

    fn set_clock(&mut self, mono: Millis) {
        self.now = Now { mono, wall: self.epoch.plus(mono) };
    }

    fn next_timer(&self) -> Option<(Millis, NodeId)> {
        let timer = |(index, host): (usize, &Host)| match host {
            Host::Node(Node { machine: Some(machine), .. }) => Some((machine.poll_timeout()?, NodeId(HostId(index)))),
            _ => None,
        };
        self.hosts.iter().enumerate().filter_map(timer).min()
    }

    fn node(&mut self, node: NodeId) -> &mut Node {
        match &mut self.hosts[node.0.0] {
            Host::Node(node) => node,
            Host::Client(_) => panic!("host {} is no node", node.0.0),
        }
    }

    /// The address that the other end shows: a node's own, or the client's with a port for each connection.
    fn seen_from(&self, end: End) -> SocketAddr {
        match &self.hosts[end.host.0] {
            Host::Node(node) => node.address,
            Host::Client(client) => {
                let port = client.address.port() + u16::try_from(end.peer.0 % 10_000).unwrap_or(0);
                SocketAddr::new(client.address.ip(), port)
            }
        }
    }

    fn listener(&self, address: &str) -> Option<HostId> {
        let address: SocketAddr = address.parse().ok()?;
        self.hosts.iter().position(|host| matches!(host, Host::Node(node) if node.address == address && node.machine.is_some())).map(HostId)
    }

    /// Opens a connection from a client.
    pub(crate) fn dial(&mut self, from: HostId, to: NodeId) -> Option<End> {
        let address = self.node(to).address.to_string();
        let listener = self.listener(&address);
        self.network.dial(self.now.mono, from, listener, &address)
    }

    fn deliver(&mut self, arrival: Arrival) {
        let host = match &arrival {
            Arrival::Connected { to, .. } | Arrival::Dialed { to, .. } | Arrival::Bytes { to, .. } | Arrival::Closed { to } => to.host,
            Arrival::Refused { to, .. } => *to,
        };
        // The process that it is for has ended meanwhile.
        if let Arrival::Connected { to, .. } | Arrival::Dialed { to, .. } = &arrival
            && !self.network.is_open(*to)
        {
            return;
        }
        match self.hosts[host.0] {
            Host::Node(_) => self.deliver_to_node(NodeId(host), arrival),
            Host::Client(_) => self.deliver_to_client(host, arrival),
        }
    }

    fn deliver_to_node(&mut self, id: NodeId, arrival: Arrival) {
        let now = self.now;
        let peer = match &arrival {
            Arrival::Connected { to, from } => Some(Peer { id: to.peer, addr: self.seen_from(*from), from_here: false }),
            Arrival::Dialed { to, other, .. } => Some(Peer { id: to.peer, addr: self.seen_from(*other), from_here: false }),
            _ => None,
        };
        let node = self.node(id);
        let Some(machine) = &mut node.machine else { return };
        match (arrival, peer) {
            (Arrival::Connected { .. }, Some(peer)) => {
                node.inbound.insert(peer.id, (peer, Vec::new()));
                machine.handle_connected(now, peer);
            }
            (Arrival::Dialed { address, .. }, Some(peer)) => {
                node.inbound.insert(peer.id, (peer, Vec::new()));
                machine.handle_dialed(now, &address, Some(peer));
            }
            (Arrival::Refused { address, .. }, _) => machine.handle_dialed(now, &address, None),
            (Arrival::Bytes { to, bytes }, _) => return self.read(id, to, &bytes),
            (Arrival::Closed { to }, _) => {
                if node.inbound.remove(&to.peer).is_some() {
                    machine.handle_disconnected(now, to.peer);
                }
                self.network.forget(to);
            }
            _ => {}
        }
        self.drain(id);
    }

    /// Hands every whole frame to the machine; a stream that is none of RocketMQ's closes the connection.
    fn read(&mut self, id: NodeId, end: End, bytes: &[u8]) {
        let now = self.now;
        let Some((peer, mut buffer)) = self.node(id).inbound.remove(&end.peer) else { return };
        buffer.extend_from_slice(bytes);
        let mut read = 0;
        loop {
            let (decoded, len) = match FrameDecoder::default().decode(&buffer[read..]) {
                Ok(Decoded::Incomplete { .. }) => break,
                Ok(Decoded::Frame { frame, len }) => (Command::decode(frame).ok(), len),
                Err(_) => (None, 0),
            };
            let Some(command) = decoded else { return self.hang_up(id, end) };
            let node = self.node(id);
            node.inbound.entry(end.peer).or_insert((peer, Vec::new()));
            let Some(machine) = &mut node.machine else { return };
            machine.handle_command(now, peer, &command);
            self.drain(id);
            // The machine may have closed the connection on this command.
            if self.node(id).inbound.remove(&end.peer).is_none() {
                return;
            }
            read += len;
        }
        buffer.drain(..read);
        self.node(id).inbound.insert(end.peer, (peer, buffer));
    }

    fn hang_up(&mut self, id: NodeId, end: End) {
        let now = self.now;
        self.network.close(now.mono, end);
        let node = self.node(id);
        node.inbound.remove(&end.peer);
        if let Some(machine) = &mut node.machine {
            machine.handle_disconnected(now, end.peer);
        }
        self.drain(id);
    }

    fn deliver_to_client(&mut self, host: HostId, arrival: Arrival) {
        let mailbox = self.mailbox(host);
        match arrival {
            Arrival::Dialed { to, .. } => {
                mailbox.inbound.entry(to.peer).or_default();
            }
            Arrival::Closed { to } => {
                mailbox.inbound.remove(&to.peer);
                mailbox.ends.retain(|_, end| *end != to);
                self.network.forget(to);
            }
            Arrival::Bytes { to, bytes } => mailbox.read(to.peer, &bytes),
            Arrival::Connected { .. } | Arrival::Refused { .. } => {}
        }
    }

    /// Does everything that a machine asks for, until it asks for nothing more.
    fn drain(&mut self, id: NodeId) {
        for _ in 0..LIVELOCK {
            let now = self.now;
            let node = self.node(id);
            let Some(machine) = &mut node.machine else { return };
            let Some(output) = machine.poll_output() else {
                let ticket = if node.slow_disk { None } else { node.unconfirmed.pop_front() };
                let Some(ticket) = ticket else { return };
                machine.handle_persisted(now, ticket);
                continue;
            };
            self.act(id, output);
        }
        panic!("a machine asks without end at {:?}", self.now);
    }

    fn act(&mut self, id: NodeId, output: Output) {
        let now = self.now;
        let end = |peer| End { host: id.0, peer };
        match output {
            Output::Reply { to, opaque, reply } => {
                let mut frame = Vec::new();
                reply.encode_header(opaque, &mut frame);
                if let Some(machine) = &mut self.node(id).machine {
                    frame.extend_from_slice(&machine.take_body(reply));
                }
                self.network.send(now.mono, end(to), frame);
            }
            Output::Request { to, opaque, request } => {
                let mut frame = Vec::new();
                request.encode_header(opaque, &mut frame);
                frame.extend_from_slice(&request.body);
                self.network.send(now.mono, end(to), frame);
            }
            Output::Dial { address } => {
                let listener = self.listener(&address);
                self.network.dial(now.mono, id.0, listener, &address);
            }
            Output::Close { peer, .. } => {
                self.network.close(now.mono, end(peer));
                let node = self.node(id);
                if node.inbound.remove(&peer).is_some()
                    && let Some(machine) = &mut node.machine
                {
                    machine.handle_disconnected(now, peer);
                }
            }
            Output::Persist { ticket, table, content } => {
                let node = self.node(id);
                node.tables.insert(table, content.into_bytes());
                node.unconfirmed.push_back(ticket);
            }
            Output::Configure { asked, properties } => {
                if let Some(machine) = &mut self.node(id).machine {
                    machine.configure(now, asked, &properties);
                }
            }
            Output::ChangePlugin { asked, name, .. } => {
                if let Some(machine) = &mut self.node(id).machine {
                    machine.refuse_plugin(now, asked, &name);
                }
            }
            Output::Notice { text, .. } => {
                let notices = &mut self.node(id).notices;
                if notices.len() == NOTICES {
                    notices.pop_front();
                }
                notices.push_back(text);
            }
        }
    }
}

impl Mailbox {
    fn read(&mut self, peer: PeerId, bytes: &[u8]) {
        let Some(mut buffer) = self.inbound.remove(&peer) else { return };
        buffer.extend_from_slice(bytes);
        let mut read = 0;
        while let Ok(Decoded::Frame { frame, len }) = FrameDecoder::default().decode(&buffer[read..]) {
            let packet = Packet::own(&Command::decode(frame).expect("a machine writes commands that decode"));
            if packet.flag.is_response() {
                assert!(self.awaited.remove(&packet.opaque), "an answer that nobody awaits: {packet:?}");
                self.answers.insert(packet.opaque, packet);
            } else {
                self.requests.push_back(packet);
            }
            read += len;
        }
        buffer.drain(..read);
        self.inbound.insert(peer, buffer);
    }
}

impl From<NodeId> for HostId {
    fn from(node: NodeId) -> Self {
        node.0
    }
}
