//! Every allocation that the Java client computed, computed again.

use std::collections::BTreeMap;

use route_core::{
    allocate::{Average, AverageByCircle, ConsistentHash, MachineRoom, MachineRoomNearby, PrefixRooms},
    filter::{QueueAllocator, QueueName},
};
use serde_json::Value;

fn vectors(kind: &str) -> Vec<Value> {
    include_str!("golden/allocate.jsonl")
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("the vectors are JSON"))
        .filter(|vector| vector["kind"] == kind)
        .collect()
}

fn strings(value: &Value) -> Vec<&str> {
    value.as_array().expect("a list").iter().map(|item| item.as_str().expect("of strings")).collect()
}

fn allocator(vector: &Value) -> Box<dyn QueueAllocator> {
    match vector["strategy"].as_str().expect("a strategy") {
        "AVG" => Box::new(Average),
        "AVG_BY_CIRCLE" => Box::new(AverageByCircle),
        "CONSISTENT_HASH" => {
            Box::new(ConsistentHash::new(vector["virtualNodes"].as_u64().expect("a number of nodes").try_into().expect("small")))
        }
        "MACHINE_ROOM" => Box::new(MachineRoom::new(strings(&vector["consumeridcs"]).into_iter().map(str::to_owned).collect())),
        "MACHINE_ROOM_NEARBY" => Box::new(MachineRoomNearby::new(Average, PrefixRooms { separator: '-' })),
        other => panic!("a strategy without an allocator: {other}"),
    }
}

#[test]
fn every_allocator_shares_out_as_the_java_client_does() {
    let vectors = vectors("allocate");
    assert!(vectors.len() > 100);
    for vector in &vectors {
        let queues: Vec<_> = strings(&vector["queues"])
            .into_iter()
            .map(|queue| {
                let (rest, queue_id) = queue.rsplit_once('/').expect("topic/broker/queue");
                let (topic, broker_name) = rest.split_once('/').expect("topic/broker/queue");
                QueueName { topic, broker_name, queue_id: queue_id.parse().expect("a number") }
            })
            .collect();
        let clients = strings(&vector["cids"]);
        let allocator = allocator(vector);
        assert_eq!(allocator.name(), vector["name"], "{vector}");
        let owners = allocator.allocate(&queues, &clients);
        assert_eq!(owners.len(), queues.len(), "{vector}");
        for (client, expected) in vector["result_index"].as_object().expect("a map") {
            let of_client: Vec<_> = (0..queues.len())
                .filter(|queue| owners[*queue].is_some_and(|owner| clients[owner] == client))
                .map(|queue| Value::from(queue as u64))
                .collect();
            // Where Java throws (nothing to share, nobody to share with) nobody owns anything here.
            let mut expected = expected.as_array().cloned().unwrap_or_default();
            expected.sort_by_key(Value::as_u64);
            assert_eq!(of_client, expected, "{client} in {vector}");
        }
    }
}

#[test]
fn the_ring_routes_queues_as_the_java_one_does() {
    let vectors = vectors("consistent_hash");
    assert_eq!(vectors.len(), 3);
    for vector in &vectors {
        let nodes = strings(&vector["nodes"]);
        let allocator = ConsistentHash::new(vector["virtualNodes"].as_u64().expect("a number").try_into().expect("small"));
        let route: BTreeMap<_, _> = vector["route"].as_object().expect("a map").iter().collect();
        for queue_id in 0..24 {
            let queue = QueueName { topic: "T", broker_name: "b", queue_id };
            let owner = allocator.allocate(&[queue], &nodes)[0].expect("an owner");
            assert_eq!(route[&format!("MessageQueue [topic=T, brokerName=b, queueId={queue_id}]")].as_str(), Some(nodes[owner]));
        }
    }
}
