//! What is done to the cluster, and how it is made good again.

use petrel_tests::network::Conditions;
use route_core::Millis;

use super::World;
use crate::{
    fact::Fact,
    names::Name,
    process::{End, disk::Pace},
    scenario::{Fault, Host, Moment},
};

/// Time between the moment a consumer is told to stop and the end of its process.
const STOPPING: Millis = Millis::from_secs(1);

/// Something to do to the cluster.
#[derive(Clone, Copy, Debug)]
pub(super) enum Act {
    Begin(Fault),
    Start(Host),
    End(Host),
    Heal(Host, Host),
    HealWay(Host, Host),
    SetPace(usize, Pace),
    SetNetwork(Conditions),
    /// A host that was paused goes on.
    Resume(Host),
}

impl Act {
    /// How many more things are wrong once it is done.
    const fn more(self) -> i32 {
        match self {
            Self::Begin(Fault::Reset(_) | Fault::Clock(..) | Fault::Ambush(..)) | Self::End(_) => 0,
            Self::Begin(_) => 1,
            Self::Start(_) | Self::Heal(..) | Self::HealWay(..) | Self::SetPace(..) | Self::SetNetwork(_) | Self::Resume(_) => -1,
        }
    }
}

/// A broker that is to die at the next moment of a kind.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ambush {
    broker: usize,
    moment: Moment,
    end: End,
    down: Millis,
}

/// The broker that a fact is about, if it is a moment at which brokers may be made to die.
fn moment(fact: &Fact) -> Option<(&Name, Moment)> {
    match fact {
        Fact::Stored { broker, record } => {
            let delivered = record.real.as_ref().is_some_and(|(topic, _)| *topic == record.spot.queue.topic);
            Some((broker, if delivered { Moment::Delivered } else { Moment::Stored }))
        }
        Fact::SendAnswered { broker } => Some((broker, Moment::Acknowledged)),
        Fact::ReturnAnswered { broker, ok: true, .. } => Some((broker, Moment::TakenBack)),
        Fact::OffsetNoted { queue, .. } => Some((&queue.broker, Moment::OffsetNoted)),
        Fact::SaveBegan { broker } => Some((broker, Moment::SaveBegan)),
        Fact::Saved { broker } => Some((broker, Moment::Saved)),
        _ => None,
    }
}

impl World {
    /// A fact may be the moment that somebody waits for.
    pub(super) fn spring(&mut self, fact: &Fact) {
        let Some((broker, moment)) = moment(fact) else { return };
        let waiting = |ambush: &Ambush| ambush.moment == moment && *self.brokers[ambush.broker].config.name == **broker;
        let Some(index) = self.ambushes.iter().position(waiting) else { return };
        let Ambush { broker, end, down, .. } = self.ambushes.remove(index);
        self.journal.line(|| format!("* broker {broker} ends: {end:?} at {moment:?}"));
        self.journal.note(Fact::Disturbed { more: 1 });
        self.end(Host::Broker(broker), end);
        self.plan_after(down, Act::Start(Host::Broker(broker)));
    }

    pub(super) fn plan(&mut self, at: Millis, act: Act) {
        self.acts.insert((at, self.planned), act);
        self.planned += 1;
    }

    fn plan_after(&mut self, wait: Millis, act: Act) {
        let at = self.cluster.now().mono + wait;
        self.plan(at, act);
    }

    pub(super) fn act(&mut self, act: Act) {
        self.journal.line(|| format!("* {act:?}"));
        self.journal.note(Fact::Disturbed { more: act.more() });
        match act {
            Act::Begin(fault) => self.begin_fault(fault),
            Act::Start(host) => self.begin(host),
            Act::End(host) => self.end(host, End::Killed),
            Act::Heal(a, b) => self.cluster.heal(self.node(a), self.node(b)),
            Act::HealWay(from, to) => {
                let (now, from, to) = (self.cluster.now().mono, self.node(from).into(), self.node(to).into());
                self.cluster.network_mut().heal_way(now, from, to);
            }
            Act::SetPace(number, pace) => self.act_on_broker(number, |broker, _| broker.set_pace(pace)),
            Act::Resume(host) => {
                for other in self.hosts().into_iter().filter(|other| *other != host) {
                    self.cluster.heal(self.node(host), self.node(other));
                }
            }
            Act::SetNetwork(conditions) => self.cluster.network_mut().set_conditions(conditions),
        }
    }

    fn begin_fault(&mut self, fault: Fault) {
        match fault {
            Fault::Kill(host, down) => {
                self.end(host, End::Killed);
                self.plan_after(down, Act::Start(host));
            }
            Fault::Dark(host, down) => {
                self.end(host, End::Dark);
                self.plan_after(down, Act::Start(host));
            }
            Fault::Ambush(broker, moment, end, down) => self.ambushes.push(Ambush { broker, moment, end, down }),
            Fault::Stop(consumer, down) => {
                self.stop_consumer(consumer);
                self.plan_after(STOPPING, Act::End(Host::Consumer(consumer)));
                self.plan_after(STOPPING + down, Act::Start(Host::Consumer(consumer)));
            }
            Fault::Cut(a, b, span) => {
                self.cluster.cut(self.node(a), self.node(b));
                self.plan_after(span, Act::Heal(a, b));
            }
            Fault::CutWay(from, to, span) => {
                let (one, other) = (self.node(from).into(), self.node(to).into());
                self.cluster.network_mut().cut_way(one, other);
                self.plan_after(span, Act::HealWay(from, to));
            }
            Fault::Reset(host) => {
                let (now, host) = (self.cluster.now().mono, self.node(host).into());
                let network = self.cluster.network_mut();
                for end in network.ends_of(host) {
                    network.reset(now, end);
                }
            }
            Fault::Pause(host, span) => self.pause(host, span),
            Fault::Clock(host, by) => self.set_clock(host, by),
            Fault::SlowDisk(broker, longest, span) => {
                self.act_on_broker(broker, |broker, _| broker.set_pace(Pace { longest, saves_fail: false }));
                self.plan_after(span, Act::SetPace(broker, Pace::default()));
            }
            Fault::FullDisk(broker, span) => {
                self.act_on_broker(broker, |broker, _| broker.set_pace(Pace { saves_fail: true, ..Pace::default() }));
                self.plan_after(span, Act::SetPace(broker, Pace::default()));
            }
            Fault::BadDisk(broker, span) => {
                self.act_on_broker(broker, |broker, now| broker.fail_flush(now));
                self.brokers[broker].bad_disk = true;
                self.plan_after(span, Act::End(Host::Broker(broker)));
                self.plan_after(span + STOPPING, Act::Start(Host::Broker(broker)));
            }
            Fault::Storm(conditions, span) => {
                self.cluster.network_mut().set_conditions(conditions);
                self.plan_after(span, Act::SetNetwork(self.scenario.network));
            }
        }
    }

    /// A process that does nothing takes nothing from the network either: all waits for it.
    fn pause(&mut self, host: Host, span: Millis) {
        if !self.is_up(host) {
            return;
        }
        self.pause_clock(host, self.cluster.now().mono + span);
        for other in self.hosts().into_iter().filter(|other| *other != host) {
            self.cluster.cut(self.node(host), self.node(other));
        }
        self.plan_after(span, Act::Resume(host));
    }

    /// All faults are over: whoever is down is started, whatever is cut is healed, producers begin nothing more.
    pub(super) fn calm(&mut self) {
        self.acts.clear();
        self.ambushes.clear();
        self.journal.line(|| "* all faults are over".to_owned());
        self.journal.note(Fact::Calm);
        let network = Conditions { loss_one_in: 0, ..self.scenario.network };
        self.cluster.network_mut().set_conditions(network);
        let hosts = self.hosts();
        for (index, a) in hosts.iter().enumerate() {
            for b in &hosts[index + 1..] {
                self.cluster.heal(self.node(*a), self.node(*b));
            }
        }
        for number in 0..self.brokers.len() {
            self.act_on_broker(number, |broker, _| broker.set_pace(Pace::default()));
            if self.brokers[number].bad_disk {
                self.end(Host::Broker(number), End::Killed);
            }
        }
        for number in 0..self.consumers.len() {
            if self.consumers[number].stopping {
                self.end(Host::Consumer(number), End::Killed);
            }
        }
        for host in hosts {
            self.begin(host);
            self.pause_clock(host, Millis::ZERO);
        }
        self.stop_producers();
    }
}
