//! The rare requests: membership, offsets, locks, topics, groups and their statistics.

use proto_core::{Command, code::RequestCode};

use super::{Asked, Broker};
use crate::{output::Reply, storage::Storage, time::Now};

impl<S: Storage> Broker<S> {
    /// Everything but sends and pulls. What is not served answers "request code not supported".
    pub(super) fn handle_rare(&mut self, now: Now, asked: Asked, code: RequestCode, command: &Command<'_>) {
        let _ = (now, command);
        self.reply(asked, Reply::not_supported(code.code()));
    }
}
