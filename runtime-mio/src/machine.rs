//! The loop's view of a machine: the verbs that all machines share, and the effects that belong to a machine's own disk.
//!
//! One loop drives several machines. Each connection belongs to exactly one: the machine whose listener took it, or that dialled it.

pub mod broker;
pub mod name_server;

use std::sync::Arc;

use bytes::Bytes;
use proto_core::Command;
use route_core::{
    output::{Output, Peer, PeerId, PluginChange, Reply, Table, Ticket},
    storage::LogRange,
    table_content::TableContent,
    time::{Millis, Now},
};

/// A machine with its disk, as the loop sees it. Object safe, so that one loop can hold different ones.
pub trait Machine {
    /// Bytes of the log that stay readable while the value lives.
    type Slice: AsRef<[u8]>;

    /// A request has come on a connection of this machine.
    fn handle_request(&mut self, now: Now, peer: Peer, command: &Command<'_>);

    /// A response to one of the machine's own requests has come.
    fn handle_response(&mut self, now: Now, peer: PeerId, command: &Command<'_>);

    /// A connection is gone; nothing more comes from it or goes to it.
    fn handle_disconnected(&mut self, now: Now, peer: PeerId);

    /// A dial has ended: a connection, or the reason why there is none.
    fn handle_dialed(&mut self, now: Now, address: &str, outcome: Result<PeerId, String>);

    /// The waker was used: the machine's disk threads may have reported something.
    fn handle_wake(&mut self, now: Now);

    /// The process is to end: say goodbye to peers and save what must be saved.
    fn handle_shutdown(&mut self, now: Now);

    /// The moment that [`Self::poll_timeout`] announced has come.
    fn handle_timeout(&mut self, now: Now);

    /// When the machine wants to be woken next.
    fn poll_timeout(&self) -> Option<Millis>;

    /// The next thing to do, until there is none.
    fn poll_output(&mut self) -> Option<Output>;

    /// Takes an answer back once its bytes are made.
    fn recycle(&mut self, reply: Reply);

    /// Bytes of the log, uncopied; `None` if they are no longer there.
    fn slice(&self, range: LogRange) -> Option<Self::Slice>;

    /// Starts to save a table; the ticket comes back through the machine's own disk thread and [`Self::handle_wake`].
    fn persist(&mut self, now: Now, ticket: Ticket, table: Table, content: TableContent);

    /// Changes settings as a request wants it; the machine hears of the outcome before this returns.
    fn configure(&mut self, now: Now, asked: Option<(PeerId, i32)>, properties: &Bytes);

    /// Changes what plugins are installed; the machine hears of the outcome after a wake at the latest. Only brokers have any.
    fn change_plugin(&mut self, _now: Now, _asked: Option<(PeerId, i32)>, _name: Arc<str>, _change: PluginChange) {}

    /// After [`Self::handle_shutdown`]: whether all is saved and everybody has been told.
    fn has_ended(&self) -> bool;

    /// All requests of this turn have been taken: what they appended may go to disk in one flush.
    fn end_turn(&mut self);

    /// The loop has ended, with all said and saved or because the goodbye took too long: what is still in memory goes to disk, and the
    /// machine's threads end. No verb is called after it.
    ///
    /// # Errors
    /// One line that says what could not be brought to its end.
    fn close(self: Box<Self>) -> Result<(), String>;
}
