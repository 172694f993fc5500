//! `MACHINE_ROOM_NEARBY-…`: a queue stays in its own room as long as a client lives there.

use std::collections::{BTreeMap, BTreeSet};

use crate::filter::{QueueAllocator, QueueName};

/// Knows in which room brokers and clients stand.
pub trait MachineRoomResolver {
    /// The room of the broker that holds the queue.
    fn broker_deploy_in<'a>(&self, queue: &QueueName<'a>) -> &'a str;

    /// The room of a client, told from its id.
    fn consumer_deploy_in<'a>(&self, client: &'a str) -> &'a str;
}

/// Rooms by naming habit: what stands before the first separator in the broker's name and in the client's id.
#[derive(Clone, Copy, Debug)]
pub struct PrefixRooms {
    /// What ends the room's name.
    pub separator: char,
}

impl PrefixRooms {
    fn room<'a>(&self, name: &'a str) -> &'a str {
        name.split_once(self.separator).map_or(name, |(room, _)| room)
    }
}

impl MachineRoomResolver for PrefixRooms {
    fn broker_deploy_in<'a>(&self, queue: &QueueName<'a>) -> &'a str {
        self.room(queue.broker_name)
    }

    fn consumer_deploy_in<'a>(&self, client: &'a str) -> &'a str {
        self.room(client)
    }
}

/// Lets another allocator share each room's queues among that room's clients, and the queues of rooms without a client among all.
#[derive(Debug)]
pub struct MachineRoomNearby<A, R> {
    name: String,
    inner: A,
    rooms: R,
}

impl<A: QueueAllocator, R: MachineRoomResolver> MachineRoomNearby<A, R> {
    /// The name up to that of the inner allocator.
    pub const PREFIX: &'static str = "MACHINE_ROOM_NEARBY-";

    /// Wraps `inner`.
    #[must_use]
    pub fn new(inner: A, rooms: R) -> Self {
        Self { name: format!("{}{}", Self::PREFIX, inner.name()), inner, rooms }
    }
}

impl<A: QueueAllocator, R: MachineRoomResolver> QueueAllocator for MachineRoomNearby<A, R> {
    fn name(&self) -> &str {
        &self.name
    }

    fn allocate(&self, queues: &[QueueName<'_>], clients: &[&str]) -> Vec<Option<usize>> {
        let mut clients_of: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (index, client) in clients.iter().enumerate() {
            clients_of.entry(self.rooms.consumer_deploy_in(client)).or_default().push(index);
        }
        let everybody: Vec<usize> = (0..clients.len()).collect();
        let rooms: BTreeSet<&str> = queues.iter().map(|queue| self.rooms.broker_deploy_in(queue)).collect();
        let mut owners = vec![None; queues.len()];
        for room in rooms {
            let here: Vec<usize> = (0..queues.len()).filter(|at| self.rooms.broker_deploy_in(&queues[*at]) == room).collect();
            let members = clients_of.get(room).unwrap_or(&everybody);
            let names: Vec<_> = here.iter().map(|at| queues[*at]).collect();
            let ids: Vec<_> = members.iter().map(|at| clients[*at]).collect();
            for (at, owner) in here.into_iter().zip(self.inner.allocate(&names, &ids)) {
                owners[at] = owner.and_then(|owner| members.get(owner).copied());
            }
        }
        owners
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::allocate::Average;

    const NEARBY: PrefixRooms = PrefixRooms { separator: '-' };

    #[test]
    fn queues_of_a_room_without_clients_are_shared_by_all() {
        let queue = |broker_name, queue_id| QueueName { topic: "T", broker_name, queue_id };
        let queues = [queue("room1-a", 0), queue("room1-a", 1), queue("room9-c", 0), queue("room9-c", 1)];
        let owners = MachineRoomNearby::new(Average, NEARBY).allocate(&queues, &["room1-x", "room2-y"]);
        assert_eq!(owners, [Some(0), Some(0), Some(0), Some(1)]);
    }

    #[test]
    fn its_name_carries_that_of_the_inner_allocator() {
        assert_eq!(MachineRoomNearby::new(Average, NEARBY).name(), "MACHINE_ROOM_NEARBY-AVG");
    }
}
