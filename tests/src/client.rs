//! Clients as tests drive them: each call is one request over the cluster's network.

use proto_core::{command::Flag, encode::EncodeExt};

use crate::{
    cluster::{Cluster, NodeId},
    network::HostId,
    packet::{Packet, request, response},
};

/// A client with one connection to each node that it has spoken to.
#[derive(Clone, Copy, Debug)]
pub struct TestClient {
    host: HostId,
}

impl TestClient {
    /// Joins a cluster.
    pub fn new(cluster: &mut Cluster) -> Self {
        Self { host: cluster.add_client() }
    }

    /// Sends a request and leaves it on its way; the number tells its answer apart.
    pub fn post(&self, cluster: &mut Cluster, node: NodeId, code: i32, header: &impl EncodeExt, body: &[u8]) -> i32 {
        self.write(cluster, node, code, 0, header, body)
    }

    /// Sends a request that may not be answered; an answer fails the test.
    pub fn tell(&self, cluster: &mut Cluster, node: NodeId, code: i32, header: &impl EncodeExt, body: &[u8]) {
        self.write(cluster, node, code, Flag::ONEWAY, header, body);
        cluster.drive();
    }

    /// Sends a request and runs the cluster until its answer is there.
    ///
    /// # Panics
    /// If the cluster comes to rest without an answer.
    #[track_caller]
    pub fn call(&self, cluster: &mut Cluster, node: NodeId, code: i32, header: &impl EncodeExt, body: &[u8]) -> Packet {
        let opaque = self.post(cluster, node, code, header, body);
        cluster.drive();
        self.answer(cluster, opaque).unwrap_or_else(|| panic!("no answer to request {code} at {:?}", cluster.now()))
    }

    /// The answer to a posted request, once it is there.
    pub fn answer(&self, cluster: &mut Cluster, opaque: i32) -> Option<Packet> {
        cluster.mailbox(self.host).answers.remove(&opaque)
    }

    /// The answer to a posted request, left in its place.
    pub fn peek<'a>(&self, cluster: &'a mut Cluster, opaque: i32) -> Option<&'a Packet> {
        cluster.mailbox(self.host).answers.get(&opaque)
    }

    /// Announces a request that is written raw: whether its answer will be awaited.
    pub fn expect_answer(&self, cluster: &mut Cluster, opaque: i32, flag: Flag) {
        if !flag.is_oneway() {
            cluster.mailbox(self.host).awaited.insert(opaque);
        }
    }

    /// The next request that a machine has sent to this client.
    pub fn next_request(&self, cluster: &mut Cluster) -> Option<Packet> {
        cluster.mailbox(self.host).requests.pop_front()
    }

    /// Answers a request that a machine has sent to this client, and lets the machine take it in.
    pub fn respond(&self, cluster: &mut Cluster, node: NodeId, asked: &Packet, code: i32, body: &[u8]) {
        self.write_raw(cluster, node, response(code, asked.opaque, body));
        cluster.drive();
    }

    /// Whether the connection to a node stands.
    pub fn is_connected(&self, cluster: &mut Cluster, node: NodeId) -> bool {
        cluster.mailbox(self.host).ends.contains_key(&node)
    }

    /// Breaks the connection to a node off, as a killed process does.
    pub fn disconnect(&self, cluster: &mut Cluster, node: NodeId) {
        if let Some(end) = cluster.mailbox(self.host).ends.remove(&node) {
            let now = cluster.now().mono;
            cluster.network.close(now, end);
            cluster.drive();
        }
    }

    /// Sends bytes as they are.
    pub fn write_raw(&self, cluster: &mut Cluster, node: NodeId, bytes: Vec<u8>) {
        let end = match cluster.mailbox(self.host).ends.get(&node) {
            Some(end) => *end,
            None => {
                let end = cluster.dial(self.host, node).expect("the node listens");
                cluster.mailbox(self.host).ends.insert(node, end);
                end
            }
        };
        let now = cluster.now().mono;
        cluster.network.send(now, end, bytes);
    }

    fn write(&self, cluster: &mut Cluster, node: NodeId, code: i32, flag: i32, header: &impl EncodeExt, body: &[u8]) -> i32 {
        let mailbox = cluster.mailbox(self.host);
        let opaque = mailbox.next_opaque;
        mailbox.next_opaque += 1;
        if flag & Flag::ONEWAY == 0 {
            mailbox.awaited.insert(opaque);
        }
        self.write_raw(cluster, node, request(code, opaque, Flag(flag), header, body));
        opaque
    }
}

impl From<TestClient> for HostId {
    fn from(client: TestClient) -> Self {
        client.host
    }
}
