//! A run: everybody is started, works, suffers, and is watched.

use std::{collections::BTreeMap, rc::Rc, sync::Arc};

use petrel_tests::{Cluster, network::Network};
use route_core::{
    Millis,
    plugins::{NoPlugins, Plugins},
};

use crate::{
    client::{Client, consumer::Consumer, producer::Producer},
    journal::Journal,
    names::Name,
    oracle::{Oracles, Violation},
    plugins,
    process::clock::OwnClock,
    scenario::Scenario,
};

mod faults;
mod hosts;

use faults::{Act, Ambush};
use hosts::{BrokerSlot, ConsumerSlot, NamesSlot};

/// Once all faults are over, it takes at most this long until everybody knows of everybody: registrations, routes and heartbeats come
/// every half minute, one after the other, and then queues are shared out.
const SETTLING: Millis = Millis::from_secs(180);

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
    scenario: Scenario,
    cluster: Cluster,
    journal: Journal,
    servers: Rc<[Name]>,
    names: Vec<NamesSlot>,
    brokers: Vec<BrokerSlot>,
    producers: Vec<petrel_tests::NodeId>,
    consumers: Vec<ConsumerSlot>,
    /// What is done to the cluster, and when.
    acts: BTreeMap<(Millis, u64), Act>,
    planned: u64,
    ambushes: Vec<Ambush>,
    oracles: Oracles,
    tally: Tally,
    trace: Vec<String>,
    /// What the brokers have installed.
    plugins: Arc<dyn Plugins>,
}

impl World {
    /// Starts everybody.
    #[must_use]
    pub fn start(scenario: &Scenario, oracles: Oracles, traced: bool) -> Self {
        let mut world = Self {
            cluster: Cluster::on(Network::with(scenario.network, scenario.seed)),
            journal: Journal::new(traced),
            servers: hosts::name_server_addresses(scenario.name_servers),
            names: Vec::new(),
            brokers: Vec::new(),
            producers: Vec::new(),
            consumers: Vec::new(),
            acts: BTreeMap::new(),
            planned: 0,
            ambushes: Vec::new(),
            oracles,
            tally: Tally::default(),
            trace: Vec::new(),
            plugins: if scenario.groups.iter().any(|(plan, _)| plan.filtered) {
                Arc::new(plugins::installed())
            } else {
                Arc::new(NoPlugins)
            },
            scenario: scenario.clone(),
        };
        world.start_everybody();
        for (at, fault) in &scenario.faults {
            world.plan(*at, Act::Begin(*fault));
        }
        world
    }

    /// What the brokers have installed.
    pub fn plugins(&self) -> &dyn Plugins {
        &*self.plugins
    }

    /// Runs until all is sent, all faults are over and everything has come to rest.
    ///
    /// # Errors
    /// What an oracle saw that must not be.
    pub fn run(&mut self) -> Result<Tally, Violation> {
        self.pass(self.scenario.span)?;
        self.calm();
        let deadline = self.cluster.now().mono + self.scenario.patience;
        while self.cluster.now().mono < deadline && !(self.all_is_sent() && self.oracles.are_at_rest() && self.all_are_idle()) {
            self.pass(Millis::from_secs(5))?;
        }
        self.pass(SETTLING)?;
        self.note_rest();
        self.look()?;
        self.oracles.see_rest(self.cluster.now())?;
        self.tally.span = self.cluster.now().mono;
        Ok(self.tally)
    }

    /// The lines of the trace, if it was asked for.
    #[must_use]
    pub fn trace(&self) -> &[String] {
        &self.trace
    }

    /// Lets time pass, does what is planned for it, and looks at all that happens in it.
    fn pass(&mut self, span: Millis) -> Result<(), Violation> {
        let horizon = self.cluster.now().mono + span;
        while let Some((&(at, number), _)) = self.acts.first_key_value()
            && at <= horizon
        {
            self.step_until(at)?;
            if let Some(act) = self.acts.remove(&(at, number)) {
                self.act(act);
                self.look()?;
            }
        }
        self.step_until(horizon)
    }

    fn step_until(&mut self, horizon: Millis) -> Result<(), Violation> {
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
        loop {
            let facts = self.journal.take_facts();
            if facts.is_empty() {
                return Ok(());
            }
            for fact in &facts {
                self.tally.facts += 1;
                self.oracles.see(now, fact)?;
            }
            if !self.ambushes.is_empty() {
                facts.iter().for_each(|fact| self.spring(fact));
            }
        }
    }

    fn all_is_sent(&mut self) -> bool {
        let cluster = &mut self.cluster;
        self.producers.iter().all(|node| cluster.machine::<OwnClock<Client<Producer>>>(*node).machine().role().is_done())
    }

    fn all_are_idle(&mut self) -> bool {
        let cluster = &mut self.cluster;
        let up = self.consumers.iter().filter(|slot| slot.up);
        up.into_iter().all(|slot| cluster.machine::<OwnClock<Client<Consumer>>>(slot.node).machine().role().is_idle())
    }
}
