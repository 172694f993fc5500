//! Gives the queues of a topic to the clients in turn.

use petrel_plugin_sdk::{Allocator, Client, Queue};

struct InTurn;

impl Allocator for InTurn {
    fn new(_argument: &str) -> Result<Self, String> {
        Ok(Self)
    }

    fn allocate(&self, _group: &str, queues: &[Queue<'_>], clients: &[Client<'_>]) -> Result<Vec<usize>, String> {
        Ok((0..queues.len()).map(|queue| queue % clients.len()).collect())
    }
}

petrel_plugin_sdk::allocator!(InTurn);
