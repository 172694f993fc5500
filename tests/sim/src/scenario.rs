//! What a run is made of: a value, so that it can be drawn from a seed, printed, and made smaller.

use std::{fmt, rc::Rc};

use petrel_tests::network::Conditions;
use route_core::{Millis, broker::config::FlushMode};

use crate::{
    client::{consumer::GroupPlan, producer::ProducerPlan},
    mutation::Mutation,
    process::End,
};

mod draw;

/// A broker's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerPlan {
    /// What an acknowledgement waits for.
    pub flush: FlushMode,
    /// `messageDelayLevel`
    pub delay_levels: &'static str,
    /// Queues of a topic that it makes.
    pub queues: i32,
    /// Whether its log lies in the shipped store on a simulated disk, not in memory: slower, with its recovery after every crash.
    pub on_disk: bool,
}

/// Somebody with an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Host {
    /// A name server.
    Names(usize),
    /// A broker.
    Broker(usize),
    /// A producer.
    Producer(usize),
    /// A member of a group, counted over all groups.
    Consumer(usize),
}

/// A bad moment for a broker to die.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// A message was stored.
    Stored,
    /// A message was acknowledged.
    Acknowledged,
    /// A delayed message was delivered.
    Delivered,
    /// A failed message was taken back.
    TakenBack,
    /// A group's offset was noted.
    OffsetNoted,
    /// The offsets of groups began to be saved.
    SaveBegan,
    /// They were saved.
    Saved,
}

/// Something that goes wrong, or that somebody does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A process is killed and started again later.
    Kill(Host, Millis),
    /// A machine loses its power and has it back later.
    Dark(Host, Millis),
    /// A broker's process ends the next time that something happens to it, and is started again later.
    Ambush(usize, Moment, End, Millis),
    /// A consumer is told to stop, and is started again later.
    Stop(usize, Millis),
    /// Nothing passes between two hosts for a while.
    Cut(Host, Host, Millis),
    /// Nothing passes from one host to another for a while.
    CutWay(Host, Host, Millis),
    /// All connections of a host break.
    Reset(Host),
    /// A host does nothing for a while.
    Pause(Host, Millis),
    /// Somebody sets a host's clock, by so many milliseconds.
    Clock(Host, i64),
    /// A broker's disk takes up to so long for everything, for a while.
    SlowDisk(usize, Millis, Millis),
    /// A broker's saves of tables fail for a while.
    FullDisk(usize, Millis),
    /// A broker's disk refuses a flush; the broker is started again later.
    BadDisk(usize, Millis),
    /// The network is slow and loses much for a while.
    Storm(Conditions, Millis),
}

/// What a run is made of.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// The seed of all chance in it.
    pub seed: u64,
    /// The network.
    pub network: Conditions,
    /// How many name servers.
    pub name_servers: usize,
    /// The brokers.
    pub brokers: Vec<BrokerPlan>,
    /// The producers.
    pub producers: Vec<ProducerPlan>,
    /// The consumer groups, and how many members each has.
    pub groups: Vec<(Rc<GroupPlan>, usize)>,
    /// What goes wrong, and when.
    pub faults: Vec<(Millis, Fault)>,
    /// A mistake that every broker makes, to see that it is caught.
    pub mutation: Option<Mutation>,
    /// How long producers may send and things may go wrong.
    pub span: Millis,
    /// How long it may take from then on until everything has come to rest.
    pub patience: Millis,
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}, {} name servers, {:?}", self.seed, self.name_servers, self.network)?;
        for (number, broker) in self.brokers.iter().enumerate() {
            writeln!(f, "  broker {number}: {broker:?}")?;
        }
        for producer in &self.producers {
            writeln!(f, "  {producer:?}")?;
        }
        for (group, members) in &self.groups {
            writeln!(f, "  {members} x {group:?}")?;
        }
        for (at, fault) in &self.faults {
            writeln!(f, "  at {}: {fault:?}", at.0)?;
        }
        write!(f, "  for {} s, then at rest within {} s", self.span.0 / 1000, self.patience.0 / 1000)
    }
}
