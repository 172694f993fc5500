//! The network: connections that carry bytes with a delay, in order, until somebody cuts them.

use std::collections::{BTreeMap, BTreeSet};

use route_core::{Millis, PeerId};

/// Somebody with an address: a node or a client, numbered together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostId(pub usize);

/// One end of a connection, as its host knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct End {
    /// Whose end it is.
    pub host: HostId,
    /// The number under which that host knows the connection.
    pub peer: PeerId,
}

/// What reaches an end after its delay.
#[derive(Debug, PartialEq, Eq)]
pub enum Arrival {
    /// Somebody connected.
    Connected {
        /// The accepting end.
        to: End,
        /// Who connected.
        from: End,
    },
    /// The own attempt to connect succeeded.
    Dialed {
        /// The end that dialed.
        to: End,
        /// Whom it reached.
        other: End,
        /// The address that was dialed.
        address: String,
    },
    /// The own attempt to connect failed.
    Refused {
        /// Who dialed.
        to: HostId,
        /// The address that was dialed.
        address: String,
    },
    /// Bytes.
    Bytes {
        /// Where they arrive.
        to: End,
        /// What came.
        bytes: Vec<u8>,
    },
    /// The other end has closed.
    Closed {
        /// The end that learns it.
        to: End,
    },
}

/// All connections and everything that is on its way.
#[derive(Debug)]
pub struct Network {
    latency: Millis,
    /// The other end of each end that is open.
    links: BTreeMap<End, End>,
    under_way: BTreeMap<(Millis, u64), Arrival>,
    /// From whom to whom nothing passes.
    cut: BTreeSet<(HostId, HostId)>,
    next_peer: u64,
    next_arrival: u64,
}

impl Network {
    /// A network in which everything takes `latency`.
    #[must_use]
    pub fn new(latency: Millis) -> Self {
        Self { latency, links: BTreeMap::new(), under_way: BTreeMap::new(), cut: BTreeSet::new(), next_peer: 1, next_arrival: 0 }
    }

    /// Connects `from` to `to`, if `to` listens; both learn the outcome after the delay.
    pub fn dial(&mut self, now: Millis, from: HostId, to: Option<HostId>, address: &str) -> Option<End> {
        let reached = to.filter(|to| !self.is_cut(from, *to) && !self.is_cut(*to, from));
        let Some(to) = reached else {
            self.post(now, Arrival::Refused { to: from, address: address.to_owned() });
            return None;
        };
        let (here, there) = (self.open_end(from), self.open_end(to));
        self.links.insert(here, there);
        self.links.insert(there, here);
        self.post(now, Arrival::Connected { to: there, from: here });
        self.post(now, Arrival::Dialed { to: here, other: there, address: address.to_owned() });
        Some(here)
    }

    /// Sends bytes from one end to the other. On a cut connection they are lost silently, as with a half-open peer.
    pub fn send(&mut self, now: Millis, from: End, bytes: Vec<u8>) {
        if let Some(&to) = self.links.get(&from)
            && !self.is_cut(from.host, to.host)
        {
            self.post(now, Arrival::Bytes { to, bytes });
        }
    }

    /// Closes an end; the other one learns it after the delay, unless the way there is cut.
    pub fn close(&mut self, now: Millis, end: End) {
        if let Some(other) = self.links.remove(&end)
            && !self.is_cut(end.host, other.host)
        {
            self.post(now, Arrival::Closed { to: other });
        }
    }

    /// Whether this end is open.
    #[must_use]
    pub fn is_open(&self, end: End) -> bool {
        self.links.contains_key(&end)
    }

    /// Every open end of a host.
    #[must_use]
    pub fn ends_of(&self, host: HostId) -> Vec<End> {
        self.links.keys().filter(|end| end.host == host).copied().collect()
    }

    /// Nothing passes between two hosts in either direction any more, and neither is told.
    pub fn cut(&mut self, a: HostId, b: HostId) {
        self.cut.extend([(a, b), (b, a)]);
        let cut = &self.cut;
        let links = &self.links;
        self.under_way.retain(|_, arrival| match arrival {
            Arrival::Bytes { to, .. } | Arrival::Closed { to } => links.get(to).is_none_or(|from| !cut.contains(&(from.host, to.host))),
            _ => true,
        });
    }

    /// What was cut passes again.
    pub fn heal(&mut self, a: HostId, b: HostId) {
        self.cut.remove(&(a, b));
        self.cut.remove(&(b, a));
    }

    /// When the next arrival is due.
    #[must_use]
    pub fn next_due(&self) -> Option<Millis> {
        self.under_way.first_key_value().map(|((due, _), _)| *due)
    }

    /// Takes the next arrival that is due by `now`.
    pub fn pop_due(&mut self, now: Millis) -> Option<Arrival> {
        if self.next_due()? > now {
            return None;
        }
        self.under_way.pop_first().map(|(_, arrival)| arrival)
    }

    /// Takes an end off whose host has learnt that the connection is gone.
    pub fn forget(&mut self, end: End) {
        self.links.remove(&end);
    }

    fn is_cut(&self, from: HostId, to: HostId) -> bool {
        self.cut.contains(&(from, to))
    }

    fn open_end(&mut self, host: HostId) -> End {
        let peer = PeerId(self.next_peer);
        self.next_peer += 1;
        End { host, peer }
    }

    fn post(&mut self, now: Millis, arrival: Arrival) {
        self.under_way.insert((now + self.latency, self.next_arrival), arrival);
        self.next_arrival += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: HostId = HostId(0);
    const B: HostId = HostId(1);

    fn connected() -> (Network, End, End) {
        let mut network = Network::new(Millis(5));
        let here = network.dial(Millis::ZERO, A, Some(B), "b:1").unwrap();
        let Some(Arrival::Connected { to, .. }) = network.pop_due(Millis(5)) else { panic!("nobody connected") };
        assert!(matches!(network.pop_due(Millis(5)), Some(Arrival::Dialed { .. })));
        (network, here, to)
    }

    #[test]
    fn bytes_arrive_in_order_after_the_delay() {
        let (mut network, here, there) = connected();
        network.send(Millis(10), here, vec![1]);
        network.send(Millis(10), here, vec![2]);
        assert_eq!(network.pop_due(Millis(14)), None);
        assert_eq!(network.pop_due(Millis(15)), Some(Arrival::Bytes { to: there, bytes: vec![1] }));
        assert_eq!(network.pop_due(Millis(15)), Some(Arrival::Bytes { to: there, bytes: vec![2] }));
    }

    #[test]
    fn a_cut_loses_what_is_under_way_and_tells_nobody() {
        let (mut network, here, there) = connected();
        network.send(Millis(10), here, vec![1]);
        network.cut(A, B);
        network.send(Millis(10), there, vec![2]);
        assert_eq!(network.next_due(), None);
        assert!(network.is_open(here));
        network.heal(A, B);
        network.send(Millis(20), here, vec![3]);
        assert_eq!(network.pop_due(Millis(25)), Some(Arrival::Bytes { to: there, bytes: vec![3] }));
    }

    #[test]
    fn dialing_a_host_behind_a_cut_is_refused() {
        let mut network = Network::new(Millis(5));
        network.cut(A, B);
        assert_eq!(network.dial(Millis::ZERO, A, Some(B), "b:1"), None);
        assert_eq!(network.pop_due(Millis(5)), Some(Arrival::Refused { to: A, address: "b:1".into() }));
    }

    #[test]
    fn closing_one_end_reaches_the_other() {
        let (mut network, here, there) = connected();
        network.close(Millis(10), here);
        assert_eq!(network.pop_due(Millis(15)), Some(Arrival::Closed { to: there }));
    }
}
