//! What the harness needs of a machine: the verbs that all of them share, under one roof for boxes of different kinds.

use std::{any::Any, net::IpAddr, path::PathBuf};

use bytes::Bytes;
use proto_core::Command;
use route_core::{
    Millis, Now, Output, Peer, PeerId, Reply, Storage,
    broker::{Broker, refusal::Refusal},
    name_server::NameServer,
    output::{ReplyBody, Ticket},
    plugins::PluginRefusal,
};
use runtime_mio::config::{Config, LiveConfig, Place, Surroundings, settings};

/// A name server or a broker as the cluster drives it.
pub trait Machine {
    /// Somebody connected.
    fn handle_connected(&mut self, now: Now, peer: Peer);

    /// An own attempt to connect has ended.
    fn handle_dialed(&mut self, now: Now, address: &str, outcome: Option<Peer>);

    /// A command came: a request, or the response to one of our own.
    fn handle_command(&mut self, now: Now, peer: Peer, command: &Command<'_>);

    /// A connection is gone.
    fn handle_disconnected(&mut self, now: Now, peer: PeerId);

    /// A table is on disk.
    fn handle_persisted(&mut self, now: Now, ticket: Ticket);

    /// Somebody wants settings to be changed.
    fn configure(&mut self, now: Now, asked: Option<(PeerId, i32)>, properties: &Bytes);

    /// Somebody wants plugins to be changed, which tests do by hand; only brokers are asked.
    fn refuse_plugin(&mut self, _now: Now, _asked: Option<(PeerId, i32)>, _name: &str) {}

    /// Time has passed.
    fn handle_timeout(&mut self, now: Now);

    /// When it wants to be woken.
    fn poll_timeout(&self) -> Option<Millis>;

    /// What it wants done.
    fn poll_output(&mut self) -> Option<Output>;

    /// Takes the bytes of an answer's body out of its storage, and the answer back.
    fn take_body(&mut self, reply: Reply) -> Vec<u8>;

    /// The machine itself, for a test that looks inside.
    fn as_any(&mut self) -> &mut dyn Any;
}

impl Machine for NameServer {
    /// A name server learns of a connection by its first request.
    fn handle_connected(&mut self, _now: Now, _peer: Peer) {}

    fn handle_dialed(&mut self, now: Now, address: &str, outcome: Option<Peer>) {
        Self::handle_dialed(self, now, address, outcome.map(|peer| peer.id).ok_or("nobody listens there"));
    }

    fn handle_command(&mut self, now: Now, peer: Peer, command: &Command<'_>) {
        // Its own requests are all oneway: there is no response to take.
        if !command.flag.is_response() {
            self.handle_request(now, peer, command);
        }
    }

    fn handle_disconnected(&mut self, now: Now, peer: PeerId) {
        Self::handle_disconnected(self, now, peer);
    }

    fn handle_persisted(&mut self, now: Now, ticket: Ticket) {
        Self::handle_persisted(self, now, ticket, Ok(()));
    }

    fn configure(&mut self, now: Now, asked: Option<(PeerId, i32)>, properties: &Bytes) {
        let outcome = changed(Place::NameServer, properties).map(|live| settings::changed_name_server(&live));
        self.handle_configured(now, asked, outcome);
    }

    fn handle_timeout(&mut self, now: Now) {
        Self::handle_timeout(self, now);
    }

    fn poll_timeout(&self) -> Option<Millis> {
        Self::poll_timeout(self)
    }

    fn poll_output(&mut self) -> Option<Output> {
        Self::poll_output(self)
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

impl<S: Storage + 'static> Machine for Broker<S> {
    fn handle_connected(&mut self, _now: Now, _peer: Peer) {}

    fn handle_dialed(&mut self, now: Now, address: &str, outcome: Option<Peer>) {
        Self::handle_dialed(self, now, address, outcome.map(|peer| peer.id).ok_or("nobody listens there"));
    }

    fn handle_command(&mut self, now: Now, peer: Peer, command: &Command<'_>) {
        if command.flag.is_response() {
            self.handle_response(now, peer.id, command);
        } else {
            self.handle_request(now, peer, command);
        }
    }

    fn handle_disconnected(&mut self, now: Now, peer: PeerId) {
        Self::handle_disconnected(self, now, peer);
    }

    fn handle_persisted(&mut self, now: Now, ticket: Ticket) {
        Self::handle_persisted(self, now, ticket, Ok(()));
    }

    fn configure(&mut self, now: Now, asked: Option<(PeerId, i32)>, properties: &Bytes) {
        let outcome = changed(Place::Broker, properties).map(|live| settings::changed_machine(&live));
        self.handle_configured(now, asked, outcome);
    }

    fn refuse_plugin(&mut self, now: Now, asked: Option<(PeerId, i32)>, name: &str) {
        let refusal = PluginRefusal::NoPlugins(name.to_owned());
        self.handle_plugin_changed(now, asked, Err(Refusal::system(refusal.to_string())));
    }

    fn handle_timeout(&mut self, now: Now) {
        Self::handle_timeout(self, now);
    }

    fn poll_timeout(&self) -> Option<Millis> {
        Self::poll_timeout(self)
    }

    fn poll_output(&mut self) -> Option<Output> {
        Self::poll_output(self)
    }

    fn take_body(&mut self, reply: Reply) -> Vec<u8> {
        let body = match &reply.body {
            ReplyBody::Empty => Vec::new(),
            ReplyBody::Bytes(bytes) => bytes.to_vec(),
            ReplyBody::Records(ranges) => {
                let slices = ranges.iter().map(|range| self.storage().slice(*range).expect("what was found is still there"));
                slices.flat_map(|slice| slice.as_ref().to_vec()).collect()
            }
        };
        self.recycle(reply);
        body
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}

/// RocketMQ's defaults with this change of them: whatever a machine was started with, nothing else remains of it.
fn changed(place: Place, properties: &Bytes) -> Result<LiveConfig, Refusal> {
    let surroundings = Surroundings {
        host_name: Some("broker-a".to_owned()),
        local_address: IpAddr::from([127, 0, 0, 1]),
        processors: 4,
        memory: 1 << 34,
        home: PathBuf::from("/home/someone"),
        environment: |_| None,
        look_up: |name| Err(format!("nobody knows {name}")),
    };
    let mut live = LiveConfig::new(&Config::new(place, surroundings), place);
    live.change(properties).map(|()| live)
}
