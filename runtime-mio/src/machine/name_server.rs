//! The name server with its one file, as the loop drives it.

use std::{marker::PhantomData, path::Path};

use bytes::Bytes;
use proto_core::Command;
use route_core::{
    name_server::{NameServer, NameServerConfig},
    output::{Output, Peer, PeerId, Reply, Table, Ticket},
    storage::LogRange,
    table_content::TableContent,
    time::{Millis, Now},
};
use store::{Notifier, TablePaths, Tables};

use super::Machine;
use crate::config::{LiveConfig, settings};

/// A name server with the file of its KV configuration. It has no log; `L` is the slice type of the loop that it runs in.
pub struct NameServerMachine<L> {
    name_server: NameServer,
    tables: Tables,
    live: LiveConfig,
    /// Saves that were started and have not come back.
    saving: usize,
    slices: PhantomData<fn() -> L>,
}

impl<L> NameServerMachine<L> {
    /// Starts a name server.
    ///
    /// # Errors
    /// One line that names the file and what is wrong with it.
    pub fn start(now: Now, config: NameServerConfig, live: LiveConfig, kv_config: &Path, notifier: Notifier) -> Result<Self, String> {
        let failed = |why: &dyn std::fmt::Display| format!("{}: {why}", kv_config.display());
        let folder = kv_config.parent().unwrap_or(Path::new("."));
        let paths = TablePaths::in_dir(folder).with(Table::KvConfig, kv_config).with(Table::Settings, live.file());
        let tables = Tables::open(paths, notifier).map_err(|error| failed(&error))?;
        let start = |content: Option<&[u8]>| NameServer::new(now, config.clone(), content).map_err(|error| error.to_string());
        let loaded = tables.load(Table::KvConfig, |content| start(Some(content))).map_err(|error| error.to_string())?;
        let name_server = match loaded {
            Some(name_server) => name_server,
            None => start(None)?,
        };
        Ok(Self { name_server, tables, live, saving: 0, slices: PhantomData })
    }
}

impl<L: AsRef<[u8]>> Machine for NameServerMachine<L> {
    type Slice = L;

    fn handle_request(&mut self, now: Now, peer: Peer, command: &Command<'_>) {
        self.name_server.handle_request(now, peer, command);
    }

    fn handle_response(&mut self, _now: Now, _peer: PeerId, _command: &Command<'_>) {
        // All that a name server says by itself is oneway.
    }

    fn handle_disconnected(&mut self, now: Now, peer: PeerId) {
        self.name_server.handle_disconnected(now, peer);
    }

    fn handle_dialed(&mut self, now: Now, address: &str, outcome: Result<PeerId, String>) {
        self.name_server.handle_dialed(now, address, outcome.as_ref().copied().map_err(String::as_str));
    }

    fn handle_wake(&mut self, now: Now) {
        while let Some((ticket, result)) = self.tables.poll_saved() {
            self.saving = self.saving.saturating_sub(1);
            self.name_server.handle_persisted(now, ticket, result);
        }
    }

    fn handle_shutdown(&mut self, _now: Now) {
        // Routes are told again by their brokers, and what administrators changed is already on its way to the file.
    }

    fn handle_timeout(&mut self, now: Now) {
        self.name_server.handle_timeout(now);
    }

    fn poll_timeout(&self) -> Option<Millis> {
        self.name_server.poll_timeout()
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.name_server.poll_output()
    }

    fn recycle(&mut self, _reply: Reply) {}

    fn slice(&self, _range: LogRange) -> Option<L> {
        None
    }

    fn persist(&mut self, now: Now, ticket: Ticket, table: Table, content: TableContent) {
        let content = if table == Table::Settings { self.live.merged(&content.into_bytes()).map(Into::into) } else { Ok(content) };
        match content {
            Ok(content) => {
                self.saving += 1;
                self.tables.save(ticket, table, content);
            }
            Err(why) => self.name_server.handle_persisted(now, ticket, Err(why)),
        }
    }

    fn configure(&mut self, now: Now, asked: Option<(PeerId, i32)>, properties: &Bytes) {
        let outcome = self.live.change(properties).map(|()| settings::changed_name_server(&self.live));
        self.name_server.handle_configured(now, asked, outcome);
    }

    fn has_ended(&self) -> bool {
        self.saving == 0
    }

    fn end_turn(&mut self) {}

    fn close(self: Box<Self>) -> Result<(), String> {
        self.tables.close();
        Ok(())
    }
}
