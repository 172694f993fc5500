//! RocketMQ's message store on disk: a commit log and consume queues that are read as memory, one writer, durable in the background.
//!
//! The loop owns a [`Store`] and calls it through [`route_core::Storage`]; nothing in there waits for the disk. Threads of the
//! store bring the log to disk, prepare its next bytes and save tables; what they have to say comes back as [`StoreEvent`]s.
//!
//! ```
//! use std::sync::Arc;
//!
//! use route_core::{Storage, Timestamp, storage::{NewMessage, TagsCode}};
//! use store::{Store, StoreConfig};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let folder = tempfile::tempdir()?;
//! let config = || StoreConfig { mapped_file_size_commit_log: 1 << 20, ..StoreConfig::new(folder.path()) };
//! // The notifier wakes the loop, which then asks `poll_event`.
//! let (mut store, recovered) = Store::open(config(), Arc::new(|| {}))?;
//! assert_eq!(recovered.log_end, 0);
//!
//! let queue = store.open_queue("TopicTest", 3);
//! let placed = store.append(Timestamp(1_700_000_000_000), queue, &NewMessage {
//!     topic: "TopicTest",
//!     queue_id: 3,
//!     flag: 0,
//!     sys_flag: 0,
//!     born_timestamp: 1_699_999_999_990,
//!     born_host: "127.0.0.1:50000".parse()?,
//!     store_host: "127.0.0.1:10911".parse()?,
//!     reconsume_times: 0,
//!     prepared_transaction_offset: 0,
//!     body: b"Hello",
//!     properties: b"",
//!     tags_code: TagsCode::Hash(0),
//! })?;
//! assert_eq!(placed.queue_offset, 0);
//! // Once in a turn of the loop: what was appended outlives the process from here on.
//! store.commit()?;
//! store.close()?;
//!
//! let (store, recovered) = Store::open(config(), Arc::new(|| {}))?;
//! assert!(recovered.clean);
//! let queue = store.find_queue("TopicTest", 3).expect("it was found on disk");
//! let unit = store.units(queue, 0).next().expect("one message is there");
//! assert_eq!(store.record(unit.offset).map(|record| &record[88..93]), Some(&b"Hello"[..]));
//! # Ok(())
//! # }
//! ```
#![deny(unsafe_code)]

mod ahead;
mod catch_up;
mod checked_units;
mod checkpoint;
mod cleaning;
mod commit_log;
mod config;
mod consume_queue;
mod disk;
mod dispatch;
mod doubts;
mod errands;
mod error;
mod event;
pub mod examine;
mod expiry;
mod flusher;
mod folder;
mod held_saves;
mod index;
mod log_walk;
mod map_budget;
mod mapping;
mod mending;
mod offset_journal;
mod old_records;
mod open;
mod page_cost;
mod priority;
mod progress;
mod queue_ends;
mod queues;
pub mod rebuild;
mod recovery;
mod recycling;
pub mod simulation;
mod staged;
mod store;
mod sync_size;
mod tables;
mod whole_record;

pub use config::{FlushDiskType, StoreConfig, StoreDisk};
pub use error::OpenError;
pub use event::{Notifier, StoreEvent};
pub use expiry::{DeleteWhen, ExpiryPolicy};
pub use mapping::{LogSlice, prefetch};
pub use offset_journal::NotedOffset;
pub use recovery::{Cut, Recovered};
pub use store::Store;
pub use tables::{BadBak, TableError, TablePaths, Tables};
