//! `CONSISTENT_HASH`: a member that comes or goes moves only the queues next to it on the ring.

use std::io::Write as _;

use md5::{Digest as _, Md5};

use crate::filter::{QueueAllocator, QueueName};

/// Places each client several times on a ring of 32-bit hashes; a queue belongs to the first place at or after its own hash.
#[derive(Clone, Copy, Debug)]
pub struct ConsistentHash {
    virtual_nodes: u32,
}

impl ConsistentHash {
    /// The name that clients use.
    pub const NAME: &'static str = "CONSISTENT_HASH";

    /// Places on the ring for each client, as the Java client has it by default.
    pub const VIRTUAL_NODES: u32 = 10;

    /// An allocator with `virtual_nodes` places for each client.
    #[must_use]
    pub const fn new(virtual_nodes: u32) -> Self {
        Self { virtual_nodes }
    }
}

impl Default for ConsistentHash {
    fn default() -> Self {
        Self::new(Self::VIRTUAL_NODES)
    }
}

/// The first four bytes of the MD5, most significant first, as Java's `MD5Hash` takes them.
fn ring_hash(key: &[u8]) -> u32 {
    let [a, b, c, d, ..]: [u8; 16] = Md5::digest(key).into();
    u32::from_be_bytes([a, b, c, d])
}

impl QueueAllocator for ConsistentHash {
    fn name(&self) -> &str {
        Self::NAME
    }

    fn allocate(&self, queues: &[QueueName<'_>], clients: &[&str]) -> Vec<Option<usize>> {
        let mut key = Vec::new();
        let mut ring = Vec::with_capacity(clients.len() * self.virtual_nodes as usize);
        for (index, client) in clients.iter().enumerate() {
            for node in 0..self.virtual_nodes {
                key.clear();
                // Writing to a Vec cannot fail.
                let _ = write!(key, "{client}-{node}");
                ring.push((ring_hash(&key), index));
            }
        }
        // Java puts the places into a map one by one: of two places with the same hash the later one stays.
        ring.sort_by_key(|(hash, index)| (*hash, std::cmp::Reverse(*index)));
        ring.dedup_by_key(|(hash, _)| *hash);
        let owner_of = |hash: u32| {
            let at = ring.partition_point(|(place, _)| *place < hash);
            ring.get(at).or(ring.first()).map(|(_, index)| *index)
        };
        queues
            .iter()
            .map(|queue| {
                key.clear();
                let QueueName { topic, broker_name, queue_id } = queue;
                // The text of Java's MessageQueue is the key.
                let _ = write!(key, "MessageQueue [topic={topic}, brokerName={broker_name}, queueId={queue_id}]");
                owner_of(ring_hash(&key))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leaving_client_moves_only_its_own_queues() {
        let queues: Vec<_> = (0..64).map(|queue_id| QueueName { topic: "T", broker_name: "b", queue_id }).collect();
        let before = ConsistentHash::default().allocate(&queues, &["a", "b", "c"]);
        let after = ConsistentHash::default().allocate(&queues, &["a", "b"]);
        for (before, after) in before.into_iter().zip(after) {
            assert!(before == after || before == Some(2));
        }
    }

    #[test]
    fn an_empty_ring_owns_nothing() {
        let queue = QueueName { topic: "T", broker_name: "b", queue_id: 0 };
        assert_eq!(ConsistentHash::default().allocate(&[queue], &[]), [None]);
        assert_eq!(ConsistentHash::new(0).allocate(&[queue], &["a"]), [None]);
    }
}
