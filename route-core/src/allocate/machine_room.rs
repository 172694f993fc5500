//! `MACHINE_ROOM`: only the queues of the rooms that a group names, shared out evenly.

use super::average::block_owner;
use crate::filter::{QueueAllocator, QueueName};

/// Takes the queues whose broker is called `room@name` with `room` among the group's rooms; the others stay without an owner.
#[derive(Clone, Debug, Default)]
pub struct MachineRoom {
    rooms: Vec<String>,
}

impl MachineRoom {
    /// The name that clients use.
    pub const NAME: &'static str = "MACHINE_ROOM";

    /// An allocator for the queues of `rooms` (Java's `consumeridcs`).
    #[must_use]
    pub const fn new(rooms: Vec<String>) -> Self {
        Self { rooms }
    }

    fn takes(&self, queue: &QueueName<'_>) -> bool {
        queue
            .broker_name
            .split_once('@')
            .is_some_and(|(room, name)| !name.is_empty() && !name.contains('@') && self.rooms.iter().any(|ours| ours == room))
    }
}

impl QueueAllocator for MachineRoom {
    fn name(&self) -> &str {
        Self::NAME
    }

    fn allocate(&self, queues: &[QueueName<'_>], clients: &[&str]) -> Vec<Option<usize>> {
        let taken = queues.iter().filter(|queue| self.takes(queue)).count();
        let Some(each) = taken.checked_div(clients.len()) else {
            return vec![None; queues.len()];
        };
        let dealt = each * clients.len();
        let mut nth = 0;
        queues
            .iter()
            .map(|queue| {
                if !self.takes(queue) {
                    return None;
                }
                let index = nth;
                nth += 1;
                // Equal blocks first; what is left over goes to the first clients, one each.
                if index < dealt { block_owner(index, dealt, clients.len()) } else { Some(index - dealt) }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_of_no_room_or_of_two_is_left_alone() {
        let queue = |broker_name| QueueName { topic: "T", broker_name, queue_id: 0 };
        let queues = [queue("plain"), queue("room1@a"), queue("room1@a@b"), queue("room1@"), queue("room2@a")];
        let allocator = MachineRoom::new(vec!["room1".to_owned()]);
        assert_eq!(allocator.allocate(&queues, &["c"]), [None, Some(0), None, None, None]);
    }
}
