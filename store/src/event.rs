//! The store's work beside the loop, and what it has to say to it.

use std::sync::Arc;

use route_core::{
    output::Ticket,
    storage::{
        LogOffset,
        keys::{Found, QueryTicket},
    },
};

/// Something became durable, or cannot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreEvent {
    /// The log is on disk up to here.
    Durable(LogOffset),
    /// The log could not be brought to disk. The store takes no writes any more, until it is opened anew; reads go on.
    FlushFailed(String),
    /// The save of a table is done, or why it failed.
    Persisted(Ticket, Result<(), String>),
    /// A look-up is done, or why it failed.
    Found(QueryTicket, Result<Found, String>),
}

/// Who does the work that waits for the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Background {
    /// Threads of the store.
    Threads,
    /// Whoever holds the store, step by step: a simulation, whose time is a value.
    Stepped,
}

/// Called by the store's threads when there is an event to [poll](crate::Store::poll_event); wakes the loop. It must not block.
pub type Notifier = Arc<dyn Fn() + Send + Sync>;
