//! Consumers by group, and what each group has subscribed to, as their heartbeats tell.

use std::{collections::VecDeque, sync::Arc};

use foldhash::fast::FixedState;
use indexmap::{IndexMap, IndexSet};
use proto_core::bodies::{ConsumeFromWhere, ConsumeType, MessageModel, SubscriptionData};
use thiserror::Error;

use super::members::{Client, Group, JoinError, MemberLimits, Members};
use crate::{
    output::{Peer, PeerId},
    time::{Millis, Now},
};

mod room;
mod subscription;

use room::Room;
pub use room::{NoRoom, SubscriptionLimits};
pub use subscription::Subscription;

/// Topics that one group may subscribe to.
pub const SUBSCRIPTIONS_LIMIT: usize = 4_096;

/// One group of a heartbeat.
#[derive(Debug)]
pub struct Registration<'a> {
    /// Name of the group.
    pub group: &'a str,
    /// How its messages reach it.
    pub consume_type: ConsumeType,
    /// Shared or broadcast.
    pub message_model: MessageModel,
    /// Where a group without offsets begins; the broker only passes it on.
    pub consume_from_where: ConsumeFromWhere,
    /// What it subscribes to; `None` if the heartbeat left that out.
    pub subscriptions: Option<Vec<SubscriptionData>>,
    /// Hash of the client's subscriptions; 0 from clients that send none.
    pub fingerprint: i32,
    /// Whether members are told of changes: the group's `notifyConsumerIdsChangedEnable` and the broker's.
    pub notify: bool,
}

/// What a heartbeat led to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Registered {
    /// Whether the client should send its subscriptions in full next time.
    pub resend_subscriptions: bool,
}

/// A heartbeat that could not be taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RegisterError {
    /// The client cannot join the group.
    #[error(transparent)]
    Join(#[from] JoinError),
    /// Too many subscriptions.
    #[error("a group may subscribe to {SUBSCRIPTIONS_LIMIT} topics, not to {0}")]
    Subscriptions(usize),
    /// The subscriptions are larger than may be kept.
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
}

/// What a group's members have in common.
#[derive(Debug)]
pub struct ConsumerGroup {
    consume_type: ConsumeType,
    message_model: MessageModel,
    consume_from_where: ConsumeFromWhere,
    fingerprint: i32,
    notify: bool,
    subscriptions: IndexMap<Box<str>, Arc<Subscription>, FixedState>,
}

impl ConsumerGroup {
    /// How messages reach the group, as its latest heartbeat says.
    #[must_use]
    pub const fn consume_type(&self) -> ConsumeType {
        self.consume_type
    }

    /// Shared or broadcast.
    #[must_use]
    pub const fn message_model(&self) -> MessageModel {
        self.message_model
    }

    /// Where the group begins without offsets.
    #[must_use]
    pub const fn consume_from_where(&self) -> ConsumeFromWhere {
        self.consume_from_where
    }

    /// What the group wants of a topic. Cloning the `Arc` keeps it for a pull that waits.
    #[must_use]
    pub fn subscription(&self, topic: &str) -> Option<&Arc<Subscription>> {
        self.subscriptions.get(topic)
    }

    /// Whether each of its members gets all messages, and has them pushed.
    #[must_use]
    pub fn is_pushed_to_all(&self) -> bool {
        self.message_model == MessageModel::Broadcasting && self.consume_type == ConsumeType::ConsumePassively
    }

    /// All its subscriptions.
    pub fn subscriptions(&self) -> impl Iterator<Item = &Arc<Subscription>> {
        self.subscriptions.values()
    }

    /// Takes in the subscriptions of a heartbeat: topics come and go, and a newer subscription of a topic replaces an older one.
    /// Tells whether a topic came or went.
    fn subscribe(&mut self, subscriptions: Vec<SubscriptionData>) -> bool {
        let mut changed = false;
        let mut named: IndexSet<Box<str>, FixedState> = IndexSet::default();
        for data in subscriptions {
            named.insert(data.topic.as_str().into());
            match self.subscriptions.get_mut(data.topic.as_str()) {
                Some(known) => {
                    if data.sub_version > known.data().sub_version {
                        *known = Arc::new(Subscription::new(data));
                    }
                }
                None => {
                    self.subscriptions.insert(data.topic.as_str().into(), Arc::new(Subscription::new(data)));
                    changed = true;
                }
            }
        }
        let before = self.subscriptions.len();
        self.subscriptions.retain(|topic, _| named.contains(topic));
        changed || self.subscriptions.len() != before
    }
}

/// All groups that have a consumer connected.
#[derive(Debug)]
pub struct ConsumerTable {
    members: Members,
    groups: IndexMap<Arc<str>, ConsumerGroup, FixedState>,
    /// Groups whose members are to be told that something changed.
    to_notify: IndexSet<Arc<str>, FixedState>,
    /// Members of the group whose turn it is.
    round: VecDeque<(PeerId, Arc<str>)>,
    /// Groups whose last member has left.
    vanished: IndexSet<Arc<str>, FixedState>,
    room: Room,
    /// How many groups push messages to all of their members.
    pushed_to_all: usize,
}

impl ConsumerTable {
    /// A table of limited size, whose members are forgotten after `expiry` without a heartbeat (`channelExpiredTimeout`), and for
    /// subscriptions of limited size.
    #[must_use]
    pub fn new(members: MemberLimits, expiry: Millis, subscriptions: SubscriptionLimits) -> Self {
        Self {
            members: Members::new(members, expiry),
            groups: IndexMap::default(),
            to_notify: IndexSet::default(),
            round: VecDeque::new(),
            vanished: IndexSet::default(),
            room: Room::new(subscriptions),
            pushed_to_all: 0,
        }
    }

    /// From now on members may be silent for so long.
    pub const fn set_expiry(&mut self, expiry: Millis) {
        self.members.set_expiry(expiry);
    }

    /// Whether [`Self::register`] would take in a group of a heartbeat.
    ///
    /// # Errors
    /// The limit that is reached.
    pub fn check(&self, peer: PeerId, client: Client<'_>, registration: &Registration<'_>) -> Result<(), RegisterError> {
        if let Some(subscriptions) = &registration.subscriptions {
            if subscriptions.len() > SUBSCRIPTIONS_LIMIT {
                return Err(RegisterError::Subscriptions(subscriptions.len()));
            }
            let bytes = subscriptions.iter().map(SubscriptionData::kept_bytes).sum();
            self.room.check(registration.group, peer, bytes)?;
        }
        Ok(self.members.check(registration.group, peer, client)?)
    }

    /// One group of a heartbeat. The group's settings follow its latest heartbeat; what members have to be told of comes out of
    /// [`Self::poll_notification`].
    ///
    /// # Errors
    /// A limit is reached; nothing was taken in.
    pub fn register(
        &mut self,
        now: Now,
        peer: Peer,
        client: Client<'_>,
        registration: Registration<'_>,
    ) -> Result<Registered, RegisterError> {
        self.check(peer.id, client, &registration)?;
        let mut changed = self.members.join(now, registration.group, peer, client)?;
        let known = self.groups.contains_key(registration.group);
        if !known {
            self.groups.insert(
                registration.group.into(),
                ConsumerGroup {
                    consume_type: registration.consume_type,
                    message_model: registration.message_model,
                    consume_from_where: registration.consume_from_where,
                    fingerprint: registration.fingerprint,
                    notify: registration.notify,
                    subscriptions: IndexMap::default(),
                },
            );
        }
        let Some(group) = self.groups.get_mut(registration.group) else { return Ok(Registered::default()) };
        // A broker that was started again knows none of the subscriptions that a client leaves out: it has to ask for them.
        let unknown = registration.subscriptions.is_none() && !known;
        let resend_subscriptions = registration.fingerprint == 0 || unknown || group.fingerprint != registration.fingerprint;
        let was_pushed_to_all = known && group.is_pushed_to_all();
        group.consume_type = registration.consume_type;
        group.message_model = registration.message_model;
        self.pushed_to_all = self.pushed_to_all - usize::from(was_pushed_to_all) + usize::from(group.is_pushed_to_all());
        group.consume_from_where = registration.consume_from_where;
        group.fingerprint = registration.fingerprint;
        group.notify = registration.notify;
        if let Some(subscriptions) = registration.subscriptions {
            changed |= group.subscribe(subscriptions);
            // Of a topic whose subscription is older than the known one, the known one stays.
            let bytes = group.subscriptions.values().map(|subscription| subscription.data().kept_bytes()).sum();
            self.room.take(registration.group, peer.id, bytes);
        }
        if changed {
            self.note_change(registration.group);
        }
        Ok(Registered { resend_subscriptions })
    }

    /// A consumer says that it leaves.
    pub fn unregister(&mut self, group: &str, peer: PeerId) {
        if self.members.leave(group, peer) {
            self.note_departure(group);
        }
    }

    /// A connection is gone.
    pub fn handle_disconnected(&mut self, peer: PeerId) {
        self.round.retain(|(to, _)| *to != peer);
        for group in self.members.leave_all(peer) {
            self.note_departure(&group);
        }
    }

    /// Drops consumers that have fallen silent; returns the connections on which no consumer is left, to be closed.
    #[must_use]
    pub fn handle_timeout(&mut self, now: Now) -> Vec<PeerId> {
        let expired = self.members.handle_timeout(now);
        for (group, _) in &expired {
            self.note_departure(group);
        }
        let mut silent: Vec<_> = expired.into_iter().map(|(_, peer)| peer).filter(|&peer| !self.members.knows(peer)).collect();
        silent.sort_unstable();
        silent.dedup();
        silent
    }

    /// Whether a connection is a consumer of any group.
    #[must_use]
    pub fn knows(&self, peer: PeerId) -> bool {
        self.members.knows(peer)
    }

    /// When [`Self::handle_timeout`] has something to look at.
    #[must_use]
    pub const fn poll_timeout(&self) -> Option<Millis> {
        self.members.poll_timeout()
    }

    /// The next member that is to be told (`NOTIFY_CONSUMER_IDS_CHANGED`) that its group has changed. Several changes since the last
    /// call are told once.
    pub fn poll_notification(&mut self) -> Option<(PeerId, Arc<str>)> {
        loop {
            if let Some(next) = self.round.pop_front() {
                return Some(next);
            }
            let group = self.to_notify.pop()?;
            if let Some(members) = self.members.group(&group) {
                self.round.extend(members.keys().map(|&peer| (peer, Arc::clone(&group))));
            }
        }
    }

    /// The next group that has lost its last member since the last call and has none yet.
    pub fn poll_vanished(&mut self) -> Option<Arc<str>> {
        while let Some(group) = self.vanished.pop() {
            if !self.groups.contains_key(&group) {
                return Some(group);
            }
        }
        None
    }

    /// A group with a consumer connected.
    #[must_use]
    pub fn group(&self, group: &str) -> Option<&ConsumerGroup> {
        self.groups.get(group)
    }

    /// Whether a group pushes messages to all of its members. Costs nothing while no group does.
    #[must_use]
    pub fn is_pushed_to_all(&self, group: &str) -> bool {
        self.pushed_to_all > 0 && self.groups.get(group).is_some_and(ConsumerGroup::is_pushed_to_all)
    }

    /// All groups that have a consumer connected.
    pub fn groups(&self) -> impl Iterator<Item = (&str, &ConsumerGroup)> {
        self.groups.iter().map(|(name, group)| (&**name, group))
    }

    /// The connections of a group.
    #[must_use]
    pub fn members(&self, group: &str) -> Option<&Group> {
        self.members.group(group)
    }

    /// The ids of a group's clients, each once: members share queues by this list, and a client that has reconnected while its old
    /// connection lingers would be given two shares.
    #[must_use]
    pub fn client_ids(&self, group: &str) -> Vec<Arc<str>> {
        let members = self.members.group(group).into_iter().flat_map(Group::values);
        let ids: IndexSet<Arc<str>, FixedState> = members.map(|member| Arc::clone(&member.client_id)).collect();
        ids.into_iter().collect()
    }

    /// The groups that subscribe to a topic.
    pub fn groups_of(&self, topic: &str) -> impl Iterator<Item = &str> {
        self.groups.iter().filter(move |(_, group)| group.subscriptions.contains_key(topic)).map(|(name, _)| &**name)
    }

    fn note_departure(&mut self, group: &str) {
        self.note_change(group);
        if self.members.group(group).is_none() {
            self.room.free(group);
            if let Some((name, group)) = self.groups.swap_remove_entry(group) {
                self.pushed_to_all -= usize::from(group.is_pushed_to_all());
                self.vanished.insert(name);
            }
            self.to_notify.swap_remove(group);
        }
    }

    fn note_change(&mut self, group: &str) {
        if let Some((name, group)) = self.groups.get_key_value(group)
            && group.notify
            && group.message_model != MessageModel::Broadcasting
        {
            self.to_notify.insert(Arc::clone(name));
        }
    }
}

#[cfg(test)]
mod tests;
