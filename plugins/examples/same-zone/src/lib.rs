//! Gives queues to clients in the same zone first, so that messages seldom cross between zones; queues of a zone without clients are shared by all.
//! A broker's zone is its name up to the first `-` (`zone1-broker-a`), or up to what the argument says instead; a client's zone is its unit name, the
//! end of its id (`…@zone1`).

use std::collections::BTreeMap;

use petrel_plugin_sdk::{Allocator, Client, Queue};

struct SameZone {
    /// What ends the zone in a broker's name.
    end: String,
}

impl Allocator for SameZone {
    fn new(argument: &str) -> Result<Self, String> {
        Ok(Self { end: if argument.is_empty() { "-" } else { argument }.to_owned() })
    }

    fn allocate(&self, _group: &str, queues: &[Queue<'_>], clients: &[Client<'_>]) -> Result<Vec<usize>, String> {
        let mut zones: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (index, client) in clients.iter().enumerate() {
            let zone = client.id.rsplit('@').next().unwrap_or_default();
            zones.entry(zone).or_default().push(index);
        }
        let everybody: Vec<usize> = (0..clients.len()).collect();
        // Who got how many: the next queue of a zone goes to the one there that has the fewest.
        let mut held = vec![0_usize; clients.len()];
        let mut owner_of = |queue: &Queue<'_>| {
            let zone = queue.broker_name.split(&self.end).next().unwrap_or_default();
            let near = zones.get(zone).unwrap_or(&everybody);
            let owner = near.iter().copied().min_by_key(|&client| held[client]).unwrap_or_default();
            held[owner] += 1;
            owner
        };
        Ok(queues.iter().map(&mut owner_of).collect())
    }
}

petrel_plugin_sdk::allocator!(SameZone);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queues_stay_in_their_zone_and_those_of_an_empty_zone_even_things_out() {
        let queue = |broker_name, queue_id| Queue { topic: "T", broker_name, queue_id };
        let queues = [queue("z1-a", 0), queue("z1-a", 1), queue("z1-a", 2), queue("z2-a", 0), queue("z3-a", 0), queue("z3-a", 1)];
        let clients = ["1@x@z1", "2@x@z1", "3@x@z2"].map(|id| Client { id, properties: Vec::new() });
        assert_eq!(SameZone::new("").unwrap().allocate("G", &queues, &clients).unwrap(), [0, 1, 0, 2, 1, 2]);
    }

    #[test]
    fn names_may_end_their_zone_otherwise() {
        let queues = ["z1.a", "z2.a", "z2.b"].map(|broker_name| Queue { topic: "T", broker_name, queue_id: 0 });
        let clients = ["1@x@z1", "2@x@z2"].map(|id| Client { id, properties: Vec::new() });
        assert_eq!(SameZone::new(".").unwrap().allocate("G", &queues, &clients).unwrap(), [0, 1, 1]);
    }
}
