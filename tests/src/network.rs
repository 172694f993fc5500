//! The network: connections that carry bytes with a delay, in order, until somebody cuts them.

use std::collections::{BTreeMap, BTreeSet};

use route_core::{Millis, PeerId, random::Random};

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

/// How long things take, and what becomes of what cannot pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conditions {
    /// Everything takes this long at least.
    pub latency: Millis,
    /// And up to this much longer, drawn each time.
    pub jitter: Millis,
    /// One packet in so many is lost and sent again, which takes [`Self::resend`] more; 0 if none is.
    pub loss_one_in: u32,
    /// How much longer a packet takes that was lost at first.
    pub resend: Millis,
    /// How long it takes to find out that somebody who should be connected to does not answer.
    pub connect_timeout: Millis,
    /// Whether what cannot pass waits until it can, as TCP makes it, or is gone.
    pub keeps: bool,
}

impl Conditions {
    /// Everything takes the same time, and what cannot pass is gone.
    #[must_use]
    pub const fn steady(latency: Millis) -> Self {
        Self { latency, jitter: Millis::ZERO, loss_one_in: 0, resend: Millis::ZERO, connect_timeout: latency, keeps: false }
    }
}

/// All connections and everything that is on its way.
#[derive(Debug)]
pub struct Network {
    conditions: Conditions,
    random: Random,
    /// When the last thing on its way to an end arrives: nothing overtakes it.
    last_due: BTreeMap<End, Millis>,
    /// What waits for a way to open, in its order.
    kept: BTreeMap<(HostId, HostId), Vec<Arrival>>,
    /// Hosts without power: they do not even say that they know nothing of a connection.
    dark: BTreeSet<HostId>,
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
        Self::with(Conditions::steady(latency), 0)
    }

    /// A network whose chances are those of a seed.
    #[must_use]
    pub fn with(conditions: Conditions, seed: u64) -> Self {
        Self {
            conditions,
            random: Random::new(seed),
            last_due: BTreeMap::new(),
            kept: BTreeMap::new(),
            dark: BTreeSet::new(),
            links: BTreeMap::new(),
            under_way: BTreeMap::new(),
            cut: BTreeSet::new(),
            next_peer: 1,
            next_arrival: 0,
        }
    }

    /// From now on things take as long as this says.
    pub const fn set_conditions(&mut self, conditions: Conditions) {
        self.conditions = conditions;
    }

    /// Connects `from` to `to`, if `to` listens; both learn the outcome after the delay.
    pub fn dial(&mut self, now: Millis, from: HostId, to: Option<HostId>, address: &str) -> Option<End> {
        let answers = |to: &HostId| !self.is_cut(from, *to) && !self.is_cut(*to, from) && !self.dark.contains(to);
        let Some(to) = to.filter(answers) else {
            let after = if to.is_some() { self.conditions.connect_timeout } else { self.conditions.latency };
            self.post_at(now + after, Arrival::Refused { to: from, address: address.to_owned() });
            return None;
        };
        let (here, there) = (self.open_end(from), self.open_end(to));
        self.links.insert(here, there);
        self.links.insert(there, here);
        self.post(now, Arrival::Connected { to: there, from: here });
        self.post(now, Arrival::Dialed { to: here, other: there, address: address.to_owned() });
        Some(here)
    }

    /// Sends bytes from one end to the other. If the way is cut, they are lost silently or wait, as the conditions say. A host that knows
    /// nothing of the connection says so, unless it is dark.
    pub fn send(&mut self, now: Millis, from: End, bytes: Vec<u8>) {
        let Some(&to) = self.links.get(&from) else { return };
        if self.links.contains_key(&to) || self.is_cut(from.host, to.host) {
            self.carry(now, from.host, to.host, Arrival::Bytes { to, bytes });
        } else if !self.dark.contains(&to.host) {
            self.carry(now, to.host, from.host, Arrival::Closed { to: from });
        }
    }

    /// Closes an end; the other one learns it after the delay, unless the way there is cut.
    pub fn close(&mut self, now: Millis, end: End) {
        if let Some(other) = self.links.remove(&end) {
            self.carry(now, end.host, other.host, Arrival::Closed { to: other });
        }
    }

    /// Something on the way breaks a connection off: both ends learn it.
    pub fn reset(&mut self, now: Millis, end: End) {
        if let Some(&other) = self.links.get(&end) {
            self.post(now, Arrival::Closed { to: end });
            self.post(now, Arrival::Closed { to: other });
        }
    }

    /// A host loses its power: its ends are gone, and nobody is told. Until [`Self::light`] it answers nothing.
    pub fn darken(&mut self, host: HostId) {
        self.dark.insert(host);
        self.links.retain(|end, _| end.host != host);
        self.kept.retain(|(from, to), _| *from != host && *to != host);
    }

    /// A host has its power back.
    pub fn light(&mut self, host: HostId) {
        self.dark.remove(&host);
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
        self.cut_way(a, b);
        self.cut_way(b, a);
    }

    /// Nothing passes from one host to another any more; what goes the other way does.
    pub fn cut_way(&mut self, from: HostId, to: HostId) {
        self.cut.insert((from, to));
        let links = &self.links;
        let stopped = self.under_way.extract_if(.., |_, arrival| match arrival {
            Arrival::Bytes { to: end, .. } | Arrival::Closed { to: end } => {
                end.host == to && links.get(end).is_some_and(|other| other.host == from)
            }
            _ => false,
        });
        let stopped: Vec<_> = stopped.map(|(_, arrival)| arrival).collect();
        if self.conditions.keeps {
            self.kept.entry((from, to)).or_default().extend(stopped);
        }
    }

    /// What was cut passes again in both directions.
    pub fn heal(&mut self, now: Millis, a: HostId, b: HostId) {
        self.heal_way(now, a, b);
        self.heal_way(now, b, a);
    }

    /// What was cut passes again in this direction.
    pub fn heal_way(&mut self, now: Millis, from: HostId, to: HostId) {
        self.cut.remove(&(from, to));
        for arrival in self.kept.remove(&(from, to)).unwrap_or_default() {
            self.post(now, arrival);
        }
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
        self.last_due.remove(&end);
    }

    fn is_cut(&self, from: HostId, to: HostId) -> bool {
        self.cut.contains(&(from, to))
    }

    fn open_end(&mut self, host: HostId) -> End {
        let peer = PeerId(self.next_peer);
        self.next_peer += 1;
        End { host, peer }
    }

    /// Puts something on its way from one host to another, or where it waits for the way to open.
    fn carry(&mut self, now: Millis, from: HostId, to: HostId, arrival: Arrival) {
        if !self.is_cut(from, to) {
            self.post(now, arrival);
        } else if self.conditions.keeps {
            self.kept.entry((from, to)).or_default().push(arrival);
        }
    }

    fn post(&mut self, now: Millis, arrival: Arrival) {
        let Conditions { latency, jitter, loss_one_in, resend, .. } = self.conditions;
        let mut delay = latency;
        if jitter > Millis::ZERO {
            delay = delay + Millis(u64::from(self.random.below(u32::try_from(jitter.0 + 1).unwrap_or(u32::MAX))));
        }
        if loss_one_in > 0 && self.random.below(loss_one_in) == 0 {
            delay = delay + resend;
        }
        let due = now + delay;
        let (Arrival::Connected { to, .. } | Arrival::Dialed { to, .. } | Arrival::Bytes { to, .. } | Arrival::Closed { to }) = &arrival
        else {
            return self.post_at(due, arrival);
        };
        let last = self.last_due.entry(*to).or_default();
        *last = due.max(*last);
        let due = *last;
        self.post_at(due, arrival);
    }

    fn post_at(&mut self, due: Millis, arrival: Arrival) {
        self.under_way.insert((due, self.next_arrival), arrival);
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
        network.heal(Millis(15), A, B);
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
