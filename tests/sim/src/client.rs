//! Simulated clients: state machines that decide what the official Java client decides, over the same requests and with the same times.
//!
//! A client is a [`Role`] on top of [`Remoting`], which knows connections and calls; together they are a machine of the cluster.

use std::any::Any;

use bytes::Bytes;
use petrel_tests::{Machine, Packet};
use proto_core::Command;
use route_core::{
    Millis, Now, Output, Peer, PeerId, Reply,
    output::{ReplyBody, Ticket},
};

pub mod agenda;
pub mod consumer;
pub mod producer;
pub mod remoting;
pub mod routes;

use remoting::{Answer, Remoting};

/// What a client does with its connections.
pub trait Role {
    /// What a call was made for.
    type Tag;

    /// The process starts.
    fn handle_start(&mut self, now: Now, net: &mut Remoting<Self::Tag>);

    /// A call has ended.
    fn handle_answer(&mut self, now: Now, net: &mut Remoting<Self::Tag>, tag: Self::Tag, answer: Answer);

    /// A broker has told something.
    fn handle_told(&mut self, now: Now, net: &mut Remoting<Self::Tag>, told: &Packet);

    /// Time has passed.
    fn handle_timeout(&mut self, now: Now, net: &mut Remoting<Self::Tag>);

    /// When it wants to be woken.
    fn poll_timeout(&self) -> Option<Millis>;
}

/// A client's process.
#[derive(Debug)]
pub struct Client<R: Role> {
    net: Remoting<R::Tag>,
    role: R,
}

impl<R: Role> Client<R> {
    /// Starts a client.
    pub fn start(now: Now, mut role: R) -> Self {
        let mut net = Remoting::default();
        role.handle_start(now, &mut net);
        Self { net, role }
    }

    /// What it does.
    pub const fn role(&self) -> &R {
        &self.role
    }

    /// Does something with it, for example stop it.
    pub fn act<T>(&mut self, act: impl FnOnce(&mut R, &mut Remoting<R::Tag>) -> T) -> T {
        act(&mut self.role, &mut self.net)
    }

    fn settle(&mut self, now: Now) {
        while let Some((tag, answer)) = self.net.poll_ended() {
            self.role.handle_answer(now, &mut self.net, tag, answer);
        }
    }
}

impl<R: Role + 'static> Machine for Client<R> {
    fn handle_connected(&mut self, _now: Now, _peer: Peer) {}

    fn handle_dialed(&mut self, now: Now, address: &str, outcome: Option<Peer>) {
        self.net.handle_dialed(address, outcome.map(|peer| peer.id));
        self.settle(now);
    }

    fn handle_command(&mut self, now: Now, _peer: Peer, command: &Command<'_>) {
        let packet = Packet::own(command);
        if packet.flag.is_response() {
            self.net.handle_response(packet);
        } else {
            self.role.handle_told(now, &mut self.net, &packet);
        }
        self.settle(now);
    }

    fn handle_disconnected(&mut self, now: Now, peer: PeerId) {
        self.net.handle_disconnected(peer);
        self.settle(now);
    }

    /// Clients save nothing through the cluster.
    fn handle_persisted(&mut self, _now: Now, _ticket: Ticket) {}

    fn configure(&mut self, _now: Now, _asked: Option<(PeerId, i32)>, _properties: &Bytes) {}

    fn handle_timeout(&mut self, now: Now) {
        self.net.handle_timeout(now);
        self.settle(now);
        self.role.handle_timeout(now, &mut self.net);
        self.settle(now);
    }

    fn poll_timeout(&self) -> Option<Millis> {
        [self.net.poll_timeout(), self.role.poll_timeout()].into_iter().flatten().min()
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.net.poll_output()
    }

    fn take_body(&mut self, reply: Reply) -> Vec<u8> {
        match reply.body {
            ReplyBody::Bytes(bytes) => bytes.to_vec(),
            ReplyBody::Empty | ReplyBody::Records(_) => Vec::new(),
        }
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}
