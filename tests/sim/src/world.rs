//! A run: everybody is started, works, and is watched.

use std::{net::SocketAddr, rc::Rc};

use petrel_tests::{
    Cluster, NodeId,
    network::{Conditions, Network},
};
use route_core::{
    Millis,
    broker::config::BrokerConfig,
    name_server::{NameServer, config::NameServerConfig},
};

use crate::{
    client::{
        Client,
        consumer::{Consumer, GroupPlan},
        producer::{Producer, ProducerPlan},
    },
    journal::Journal,
    names::Name,
    oracle::{self, Oracles, Violation},
    process::{BrokerProcess, empty_disk},
};

/// What a run is made of.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The seed of all chance in it.
    pub seed: u64,
    /// The network.
    pub network: Conditions,
    /// How many name servers.
    pub name_servers: usize,
    /// The brokers' settings; names, addresses and name servers are filled in.
    pub brokers: Vec<BrokerConfig>,
    /// The producers.
    pub producers: Vec<ProducerPlan>,
    /// The consumer groups, and how many members each has.
    pub groups: Vec<(GroupPlan, usize)>,
    /// How long it may take until everything has come to rest.
    pub patience: Millis,
}

/// How a run went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Events.
    pub steps: u64,
    /// Time in the cluster.
    pub span: Millis,
    /// Facts that the oracles saw.
    pub facts: u64,
}

/// A run under way.
pub struct World {
    cluster: Cluster,
    journal: Journal,
    producers: Vec<NodeId>,
    consumers: Vec<NodeId>,
    oracles: Oracles,
    patience: Millis,
    tally: Tally,
    trace: Vec<String>,
}

impl World {
    /// Starts everybody.
    ///
    /// # Panics
    /// If a broker does not take its configuration.
    #[must_use]
    pub fn start(scenario: &Scenario, traced: bool) -> Self {
        let journal = Journal::new(traced);
        let mut cluster = Cluster::on(Network::with(scenario.network, scenario.seed));
        let now = cluster.now();
        let mut servers = Vec::new();
        for number in 0..scenario.name_servers {
            let address = address(1, number, 9876);
            servers.push(Name::from(address.to_string()));
            let machine = NameServer::new(now, NameServerConfig::default(), None).expect("without tables nothing can be damaged");
            cluster.start(address, Box::new(machine));
        }
        for (number, config) in scenario.brokers.iter().enumerate() {
            let mut config = config.clone();
            config.name = format!("broker-{}", letter(number)).into();
            config.address = address(2, number, 10911);
            config.name_servers = servers.iter().map(|server| server.as_ref().into()).collect();
            config.seed = scenario.seed ^ number as u64;
            let disk = empty_disk(&config, &journal);
            let machine = BrokerProcess::start(now, config.clone(), disk, 0);
            cluster.start(config.address, Box::new(machine));
        }
        let servers: Rc<[Name]> = servers.into();
        let mut producers = Vec::new();
        for plan in &scenario.producers {
            let seed = scenario.seed ^ (1 << 32) ^ u64::from(plan.number);
            let role = Producer::new(now, plan.clone(), servers.clone(), journal.clone(), seed);
            let address = address(3, usize::from(plan.number), 50_000);
            producers.push(cluster.start(address, Box::new(Client::start(now, role))));
        }
        let mut consumers = Vec::new();
        let groups: Vec<Rc<GroupPlan>> = scenario.groups.iter().map(|(plan, _)| Rc::new(plan.clone())).collect();
        for (plan, (_, members)) in groups.iter().zip(&scenario.groups) {
            for member in 0..*members {
                let number = consumers.len();
                let seed = scenario.seed ^ (2 << 32) ^ number as u64;
                let client = Name::from(format!("{}-{member}", plan.group));
                let role = Consumer::new(plan.clone(), client, servers.clone(), journal.clone(), seed);
                let client = Client::start(now, role);
                consumers.push(cluster.start(address(4, number, 50_000), Box::new(client)));
            }
        }
        let oracles = Oracles::new(vec![Box::new(oracle::Acked::default()), Box::new(oracle::Delivered::new(groups))]);
        Self { cluster, journal, producers, consumers, oracles, patience: scenario.patience, tally: Tally::default(), trace: Vec::new() }
    }

    /// Runs until all is sent and everything has come to rest.
    ///
    /// # Errors
    /// What an oracle saw that must not be.
    pub fn run(&mut self) -> Result<Tally, Violation> {
        while !(self.all_is_sent() && self.oracles.are_at_rest() && self.all_are_idle()) {
            if self.cluster.now().mono > self.patience {
                break;
            }
            self.pass(Millis::from_secs(1))?;
        }
        self.pass(Millis::from_secs(20))?;
        self.oracles.see_rest(self.cluster.now())?;
        self.tally.span = self.cluster.now().mono;
        Ok(self.tally)
    }

    /// The lines of the trace, if it was asked for.
    #[must_use]
    pub fn trace(&self) -> &[String] {
        &self.trace
    }

    /// Lets time pass and looks at what happens in it.
    fn pass(&mut self, span: Millis) -> Result<(), Violation> {
        let horizon = self.cluster.now().mono + span;
        while self.cluster.step(horizon) {
            self.tally.steps += 1;
            self.look()?;
        }
        self.cluster.advance(horizon.saturating_sub(self.cluster.now().mono));
        Ok(())
    }

    fn look(&mut self) -> Result<(), Violation> {
        let now = self.cluster.now();
        self.trace.extend(self.journal.take_lines().into_iter().map(|line| format!("{:>10} {line}", now.mono.0)));
        for fact in self.journal.take_facts() {
            self.tally.facts += 1;
            self.oracles.see(now, &fact)?;
        }
        Ok(())
    }

    fn all_is_sent(&mut self) -> bool {
        let cluster = &mut self.cluster;
        self.producers.iter().all(|node| cluster.machine::<Client<Producer>>(*node).role().is_done())
    }

    fn all_are_idle(&mut self) -> bool {
        let cluster = &mut self.cluster;
        self.consumers.iter().all(|node| cluster.machine::<Client<Consumer>>(*node).role().is_idle())
    }
}

fn address(net: u8, number: usize, port: u16) -> SocketAddr {
    let host = u8::try_from(number + 1).expect("a few hundred hosts of a kind at most");
    SocketAddr::from(([10, 0, net, host], port))
}

fn letter(number: usize) -> char {
    char::from(b'a' + u8::try_from(number % 26).unwrap_or(0))
}
