//! RocketMQ's message store on disk: a memory-mapped commit log with consume queues, one writer, durable in the background.
//!
//! The loop owns a [`Store`] and calls it through [`route_core::Storage`]; nothing in there waits for the disk. Threads of the
//! store bring the log to disk, prepare its next bytes and save tables; what they have to say comes back as [`StoreEvent`]s.
#![deny(unsafe_code)]

mod ahead;
mod checkpoint;
mod commit_log;
mod config;
mod consume_queue;
mod disk;
mod dispatch;
mod error;
mod event;
mod flusher;
mod folder;
mod mapping;
mod offset_journal;
mod open;
mod progress;
mod queues;
mod recovery;
mod store;
mod tables;

pub use config::{FlushDiskType, StoreConfig};
pub use error::OpenError;
pub use event::{Notifier, StoreEvent};
pub use mapping::LogSlice;
pub use offset_journal::NotedOffset;
pub use recovery::{Cut, Recovered};
pub use store::Store;
pub use tables::{TableError, TablePaths, Tables};
