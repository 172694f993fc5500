//! A scenario from a seed.

use std::rc::Rc;

use petrel_tests::network::Conditions;
use route_core::{Millis, broker::config::FlushMode, random::Random};

use super::{BrokerPlan, Fault, Host, Moment, Scenario};
use crate::{
    client::{
        consumer::{GroupPlan, Model, Style},
        producer::ProducerPlan,
    },
    process::End,
};

/// RocketMQ's own levels, and some that let a message run through all its attempts in minutes.
const LEVELS: [&str; 3] = [
    "1s 5s 10s 30s 1m 2m 3m 4m 5m 6m 7m 8m 9m 10m 20m 30m 1h 2h",
    "1s 2s 3s 4s 5s 6s 7s 8s 9s 10s 12s 14s 16s 18s 20s 25s 30s 40s",
    "1s 3s 2s 20s 1s",
];

/// The stream of chance that decides about disks.
const DISKS: u64 = 5 << 40;

/// The stream of chance that decides about plugins.
const PLUGINS: u64 = 6 << 40;

const TOPICS: [&str; 2] = ["Orders", "Trades"];

impl Scenario {
    /// The scenario of a seed.
    #[must_use]
    pub fn draw(seed: u64) -> Self {
        let mut draw = Draw(Random::new(seed));
        let network = draw.network();
        let name_servers = draw.from(1, 3);
        let delay_levels = draw.one_of(&LEVELS);
        let mut disks = Draw(Random::new(seed ^ DISKS));
        let brokers: Vec<_> = (0..draw.from(1, 3)).map(|_| BrokerPlan { on_disk: disks.one_in(4), ..draw.broker(delay_levels) }).collect();
        let span = Millis::from_secs(draw.from(60, 1800) as u64);
        let producers: Vec<_> = (0..draw.from(1, 3)).map(|number| draw.producer(number)).collect();
        let mut plugins = Draw(Random::new(seed ^ PLUGINS));
        let groups: Vec<_> = (0..draw.from(1, 3))
            .map(|number| {
                let plan = draw.group(number, seed);
                // What orderly groups pass over would have to be told to the oracle of order.
                let filtered = plugins.one_in(6) && plan.style == Style::Concurrent;
                let plan = GroupPlan { filtered, ..plan };
                (Rc::new(plan), draw.from(1, 4))
            })
            .collect();
        let consumers = groups.iter().map(|(_, members)| members).sum();
        let hosts = Hosts { names: name_servers, brokers: brokers.len(), producers: producers.len(), consumers };
        let count = if draw.one_in(4) { 0 } else { draw.from(1, 10) };
        let mut faults: Vec<_> = (0..count).map(|_| (draw.millis(0, span.0), draw.fault(&hosts))).collect();
        faults.sort_by_key(|(at, _)| *at);
        Self {
            seed,
            network,
            name_servers,
            brokers,
            producers,
            groups,
            faults,
            mutation: None,
            span,
            patience: Millis::from_secs(8 * 3600),
        }
    }
}

/// How many there are of each.
struct Hosts {
    names: usize,
    brokers: usize,
    producers: usize,
    consumers: usize,
}

struct Draw(Random);

impl Draw {
    /// A number between two, both included.
    fn from(&mut self, least: usize, most: usize) -> usize {
        least + self.0.below(u32::try_from(most - least + 1).unwrap_or(u32::MAX)) as usize
    }

    fn millis(&mut self, least: u64, most: u64) -> Millis {
        Millis(least + u64::from(self.0.below(u32::try_from(most - least + 1).unwrap_or(u32::MAX))))
    }

    fn one_in(&mut self, count: u32) -> bool {
        self.0.below(count) == 0
    }

    fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.from(0, choices.len() - 1)]
    }

    fn network(&mut self) -> Conditions {
        Conditions {
            latency: self.millis(1, 20),
            jitter: self.millis(0, 100),
            loss_one_in: self.one_of(&[0, 0, 100, 20]),
            resend: self.millis(200, 600),
            connect_timeout: Millis::from_secs(3),
            keeps: true,
        }
    }

    fn storm(&mut self) -> Conditions {
        Conditions {
            latency: self.millis(5, 200),
            jitter: self.millis(0, 2_000),
            loss_one_in: self.from(2, 20) as u32,
            resend: self.millis(200, 4_000),
            connect_timeout: Millis::from_secs(3),
            keeps: true,
        }
    }

    fn broker(&mut self, delay_levels: &'static str) -> BrokerPlan {
        let flush = if self.one_in(2) { FlushMode::Sync } else { FlushMode::Async };
        BrokerPlan { flush, delay_levels, queues: self.from(1, 8) as i32, on_disk: false }
    }

    fn producer(&mut self, number: usize) -> ProducerPlan {
        ProducerPlan {
            number: u16::try_from(number).unwrap_or(u16::MAX),
            topic: self.one_of(&TOPICS).into(),
            count: self.from(20, 600) as u32,
            pause: self.millis(20, 3_000),
            keyed: self.one_in(3),
            delayed_one_in: self.one_of(&[0, 0, 10, 3]),
            delay_levels: self.from(3, 5) as u32,
        }
    }

    fn group(&mut self, number: usize, seed: u64) -> GroupPlan {
        let model = if self.one_in(5) { Model::Broadcasting } else { Model::Clustering };
        let style = if model == Model::Clustering && self.one_in(3) { Style::Orderly } else { Style::Concurrent };
        let topics = if self.one_in(3) { TOPICS.map(Into::into).to_vec() } else { vec![self.one_of(&TOPICS).into()] };
        // An orderly consumer without a limit would try a message for ever that it cannot handle.
        let has_limit = style == Style::Orderly || self.one_in(2);
        GroupPlan {
            group: format!("group-{number}").into(),
            topics,
            style,
            model,
            max_reconsume_times: if has_limit { self.from(0, 3) as i32 } else { -1 },
            filtered: false,
            work: self.millis(0, 400),
            failing_one_in: self.one_of(&[0, 50, 10, 3]),
            failing_seed: seed ^ number as u64,
        }
    }

    fn names(&mut self, hosts: &Hosts) -> Host {
        Host::Names(self.from(0, hosts.names - 1))
    }

    fn broker_of(&mut self, hosts: &Hosts) -> usize {
        self.from(0, hosts.brokers - 1)
    }

    fn consumer_of(&mut self, hosts: &Hosts) -> usize {
        self.from(0, hosts.consumers - 1)
    }

    fn client(&mut self, hosts: &Hosts) -> Host {
        if self.one_in(3) { Host::Producer(self.from(0, hosts.producers - 1)) } else { Host::Consumer(self.consumer_of(hosts)) }
    }

    fn server(&mut self, hosts: &Hosts) -> Host {
        if self.one_in(3) { self.names(hosts) } else { Host::Broker(self.broker_of(hosts)) }
    }

    fn any(&mut self, hosts: &Hosts) -> Host {
        if self.one_in(2) { self.client(hosts) } else { self.server(hosts) }
    }

    fn fault(&mut self, hosts: &Hosts) -> Fault {
        // Some last a moment, some longer than every time-out of the protocol.
        let longest = self.one_of(&[2_000, 20_000, 90_000, 300_000]);
        let span = self.millis(100, longest);
        match self.from(0, 19) {
            0 | 1 => Fault::Kill(self.any(hosts), span),
            2 | 3 => Fault::Dark(self.any(hosts), span),
            4 | 5 => Fault::Stop(self.consumer_of(hosts), span),
            6 => Fault::Cut(self.client(hosts), self.server(hosts), span),
            7 => Fault::Cut(Host::Broker(self.broker_of(hosts)), self.names(hosts), span),
            8 => Fault::CutWay(self.client(hosts), self.server(hosts), span),
            9 => Fault::CutWay(self.server(hosts), self.client(hosts), span),
            10 => Fault::Reset(self.any(hosts)),
            11 => Fault::Pause(self.any(hosts), span),
            12 => {
                let by = self.millis(1, 600_000).0.cast_signed();
                Fault::Clock(self.any(hosts), if self.one_in(2) { by } else { -by })
            }
            13 => Fault::SlowDisk(self.broker_of(hosts), self.millis(1, 9_000), span),
            14 if self.one_in(2) => Fault::FullDisk(self.broker_of(hosts), span),
            14 => Fault::BadDisk(self.broker_of(hosts), span),
            15 => Fault::Storm(self.storm(), span),
            _ => {
                let moment = self.one_of(&[
                    Moment::Stored,
                    Moment::Acknowledged,
                    Moment::Delivered,
                    Moment::TakenBack,
                    Moment::OffsetNoted,
                    Moment::SaveBegan,
                    Moment::Saved,
                ]);
                let end = self.one_of(&[End::Killed, End::Dark]);
                Fault::Ambush(self.broker_of(hosts), moment, end, span)
            }
        }
    }
}
