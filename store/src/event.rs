//! What the store's threads have to say to the loop.

use std::sync::Arc;

use route_core::{output::Ticket, storage::LogOffset};

/// Something became durable, or cannot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreEvent {
    /// The log is on disk up to here.
    Durable(LogOffset),
    /// The log could not be brought to disk. The store takes no writes any more, until it is opened anew; reads go on.
    FlushFailed(String),
    /// The save of a table is done, or why it failed.
    Persisted(Ticket, Result<(), String>),
}

/// Called by the store's threads when there is an event to [poll](crate::Store::poll_event); wakes the loop. It must not block.
pub type Notifier = Arc<dyn Fn() + Send + Sync>;
