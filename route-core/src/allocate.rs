//! The allocations that official clients know, decided here exactly as they would decide themselves, so that one group may mix
//! members that ask the broker with members that share out on their own.
//!
//! Rules and names are those of the Java client's `AllocateMessageQueueStrategy` classes; vectors computed by it are the tests.

mod average;
mod consistent_hash;
mod machine_room;
mod machine_room_nearby;

pub use average::{Average, AverageByCircle};
pub use consistent_hash::ConsistentHash;
pub use machine_room::MachineRoom;
pub use machine_room_nearby::{MachineRoomNearby, MachineRoomResolver, PrefixRooms};

use crate::filter::QueueAllocator;

/// The allocators that need no configuration, by the name that a client sends when it asks the broker for its share
/// (`strategyName` of `QUERY_ASSIGNMENT`).
#[must_use]
pub fn by_name(name: &str) -> Option<&'static dyn QueueAllocator> {
    static CONSISTENT_HASH: ConsistentHash = ConsistentHash::new(ConsistentHash::VIRTUAL_NODES);
    match name {
        Average::NAME => Some(&Average),
        AverageByCircle::NAME => Some(&AverageByCircle),
        ConsistentHash::NAME => Some(&CONSISTENT_HASH),
        _ => None,
    }
}
