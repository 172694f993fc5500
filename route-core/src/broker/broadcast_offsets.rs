//! How far each client of a broadcasting group has come, as its pulls tell (`enableBroadcastOffsetStore`).
//!
//! Such clients keep their offsets themselves, and a client that goes from a broker to a proxy or back begins anew there. So the broker
//! remembers what they have pulled, for a while, and sends them there when they come another way. For a client that nobody remembers the
//! least of all counts, which is committed every few seconds under the name `group@broadcast`.

use std::{collections::BTreeMap, sync::Arc};

use foldhash::fast::FixedState;
use indexmap::IndexMap;

use super::members::NAME_MAX_LEN;
use crate::time::{Millis, Now};

/// Time between two commits of what all clients of a group have read.
const SCAN_INTERVAL: Millis = Millis::from_secs(5);

/// What a client is reckoned to take beside its name, in bytes.
const CLIENT_BYTES: usize = 128;

/// What a queue of a client is reckoned to take.
const QUEUE_BYTES: usize = 48;

/// How long clients are remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BroadcastConfig {
    /// `enableBroadcastOffsetStore`: whether they are at all.
    pub enabled: bool,
    /// `broadcastOffsetExpireSecond`: without a pull, if the client is not connected.
    pub expire: Millis,
    /// `broadcastOffsetExpireMaxSecond`: without a pull, if it is.
    pub expire_max: Millis,
}

impl Default for BroadcastConfig {
    fn default() -> Self {
        Self { enabled: true, expire: Millis::from_secs(120), expire_max: Millis::from_secs(300) }
    }
}

/// Who reads a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reader {
    /// The client's id.
    pub client: Arc<str>,
    /// Whether a proxy reads for it.
    pub by_proxy: bool,
}

/// The queue of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The group.
    pub group: &'a str,
    /// Number of the queue.
    pub queue_id: i32,
}

/// Where a reader begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// Where it says.
    AsAsked,
    /// It is to be sent somewhere: here, or where a new client begins.
    At(Option<i64>),
}

/// The least that the clients of a group have read of a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Least {
    /// The topic.
    pub topic: Box<str>,
    /// The name under which the group's offset is committed.
    pub group: Box<str>,
    /// Number of the queue.
    pub queue_id: i32,
    /// The offset.
    pub offset: i64,
}

#[derive(Debug)]
struct Progress {
    heard: Millis,
    by_proxy: bool,
    queues: BTreeMap<i32, i64>,
}

type Clients = IndexMap<Arc<str>, Progress, FixedState>;

/// All clients of broadcasting groups that have pulled lately.
#[derive(Debug)]
pub struct BroadcastOffsets {
    /// By group and topic.
    groups: IndexMap<Box<str>, IndexMap<Box<str>, Clients, FixedState>, FixedState>,
    bytes: usize,
    limit: usize,
    config: BroadcastConfig,
    next_scan: Option<Millis>,
}

/// The name under which the least of a broadcasting group's offsets is kept among those of other groups.
#[must_use]
pub fn broadcast_group(group: &str) -> String {
    format!("{group}@broadcast")
}

impl BroadcastOffsets {
    /// Nobody is remembered yet. What is remembered may take `limit` bytes; who finds no room is sent nowhere.
    #[must_use]
    pub fn new(config: BroadcastConfig, limit: usize) -> Self {
        Self { groups: IndexMap::default(), bytes: 0, limit, config, next_scan: None }
    }

    /// From now on other rules count.
    pub const fn set_config(&mut self, config: BroadcastConfig) {
        self.config = config;
    }

    /// Whether readers are remembered.
    #[must_use]
    pub const fn is_enabled(&self) -> bool {
        self.config.enabled
    }

    /// Where a reader that asks for `from` is to begin: a proxy that knows nothing asks for less than 0.
    #[must_use]
    pub fn begin(&self, place: Place<'_>, reader: &Reader, from: i64) -> Begin {
        let clients = self.groups.get(place.group).and_then(|topics| topics.get(place.topic));
        let known = clients.and_then(|clients| clients.get(&reader.client));
        let known_by_proxy = known.map_or(reader.by_proxy, |known| known.by_proxy);
        if known_by_proxy == reader.by_proxy && !(known_by_proxy && from < 0) {
            return Begin::AsAsked;
        }
        Begin::At(known.and_then(|known| known.queues.get(&place.queue_id).copied()))
    }

    /// A reader was answered that asked for this offset, or was sent there.
    pub fn note(&mut self, now: Now, place: Place<'_>, reader: &Reader, offset: i64) {
        if offset < 0 || reader.client.len() > NAME_MAX_LEN {
            return;
        }
        let clients = self.groups.get_mut(place.group).and_then(|topics| topics.get_mut(place.topic));
        if let Some(known) = clients.and_then(|clients| clients.get_mut(&reader.client)) {
            (known.heard, known.by_proxy) = (now.mono, reader.by_proxy);
            if let Some(pulled) = known.queues.get_mut(&place.queue_id) {
                *pulled = offset.max(*pulled);
            } else if self.bytes + QUEUE_BYTES <= self.limit {
                self.bytes += QUEUE_BYTES;
                known.queues.insert(place.queue_id, offset);
            }
            return;
        }
        let bytes = bytes_of(&reader.client, place.group, place.topic) + QUEUE_BYTES;
        if self.bytes + bytes > self.limit {
            return;
        }
        self.bytes += bytes;
        let progress = Progress { heard: now.mono, by_proxy: reader.by_proxy, queues: BTreeMap::from([(place.queue_id, offset)]) };
        let topics = self.groups.entry(place.group.into()).or_default();
        topics.entry(place.topic.into()).or_default().insert(Arc::clone(&reader.client), progress);
        self.next_scan.get_or_insert(now.mono + SCAN_INTERVAL);
    }

    /// If it is time, forgets who has not pulled for too long and tells what the others have read at least. `connected` tells for a group
    /// which of its clients are.
    pub fn handle_timeout<C: Fn(&str) -> bool>(&mut self, now: Now, connected: impl Fn(&str) -> C) -> Vec<Least> {
        if self.next_scan.is_none_or(|at| now.mono < at) {
            return Vec::new();
        }
        let mut all = Vec::new();
        let (config, bytes) = (self.config, &mut self.bytes);
        self.groups.retain(|group, topics| {
            let is_connected = connected(group);
            topics.retain(|topic, clients| {
                let mut least = BTreeMap::<i32, i64>::new();
                clients.retain(|client, progress| {
                    let silent = now.mono.saturating_sub(progress.heard);
                    let connected = is_connected(client);
                    if connected || silent < config.expire {
                        for (&queue_id, &offset) in &progress.queues {
                            least.entry(queue_id).and_modify(|least| *least = offset.min(*least)).or_insert(offset);
                        }
                    }
                    let stays = silent < if connected { config.expire_max } else { config.expire };
                    if !stays {
                        *bytes -= bytes_of(client, group, topic) + progress.queues.len() * QUEUE_BYTES;
                    }
                    stays
                });
                let name: Box<str> = broadcast_group(group).into();
                let of_queue = |(queue_id, offset)| Least { topic: topic.clone(), group: name.clone(), queue_id, offset };
                all.extend(least.into_iter().map(of_queue));
                !clients.is_empty()
            });
            !topics.is_empty()
        });
        self.next_scan = (!self.groups.is_empty()).then(|| now.mono + SCAN_INTERVAL);
        all
    }

    /// A topic is deleted.
    pub fn remove_topic(&mut self, topic: &str) {
        self.remove(|_, of_topic| of_topic == topic);
    }

    /// A group is deleted.
    pub fn remove_group(&mut self, group: &str) {
        self.remove(|of_group, _| of_group == group);
    }

    fn remove(&mut self, goes: impl Fn(&str, &str) -> bool) {
        let bytes = &mut self.bytes;
        self.groups.retain(|group, topics| {
            topics.retain(|topic, clients| {
                let goes = goes(group, topic);
                if goes {
                    let of_client =
                        |(client, progress): (&Arc<str>, &Progress)| bytes_of(client, group, topic) + progress.queues.len() * QUEUE_BYTES;
                    *bytes -= clients.iter().map(of_client).sum::<usize>();
                }
                !goes
            });
            !topics.is_empty()
        });
    }

    /// When [`Self::handle_timeout`] has something to look at.
    #[must_use]
    pub const fn poll_timeout(&self) -> Option<Millis> {
        self.next_scan
    }
}

/// What a client is reckoned to take without its queues.
const fn bytes_of(client: &str, group: &str, topic: &str) -> usize {
    client.len() + group.len() + topic.len() + CLIENT_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place<'static> = Place { topic: "T", group: "G", queue_id: 0 };

    fn at(secs: u64) -> Now {
        Now { mono: Millis::from_secs(secs), ..Now::default() }
    }

    fn offsets() -> BroadcastOffsets {
        BroadcastOffsets::new(BroadcastConfig::default(), 100_000)
    }

    fn direct(client: &str) -> Reader {
        Reader { client: client.into(), by_proxy: false }
    }

    fn proxied(client: &str) -> Reader {
        Reader { client: client.into(), by_proxy: true }
    }

    fn least(offsets: &mut BroadcastOffsets, secs: u64, connected: &[&str]) -> Vec<(i32, i64)> {
        let all = offsets.handle_timeout(at(secs), |_| |client: &str| connected.contains(&client));
        all.into_iter().map(|least| (least.queue_id, least.offset)).collect()
    }

    #[test]
    fn a_client_that_goes_to_a_proxy_and_back_goes_on_where_it_was() {
        let mut offsets = offsets();
        assert_eq!(offsets.begin(PLACE, &direct("c"), 0), Begin::AsAsked);
        offsets.note(at(0), PLACE, &direct("c"), 11);
        assert_eq!(offsets.begin(PLACE, &direct("c"), 11), Begin::AsAsked);
        assert_eq!(offsets.begin(PLACE, &proxied("c"), -1), Begin::At(Some(11)));
        offsets.note(at(1), PLACE, &proxied("c"), 11);
        assert_eq!(offsets.begin(PLACE, &proxied("c"), 11), Begin::AsAsked);
        offsets.note(at(2), PLACE, &proxied("c"), 15);
        assert_eq!(offsets.begin(PLACE, &direct("c"), 11), Begin::At(Some(15)));
    }

    #[test]
    fn a_new_client_of_a_proxy_is_sent_where_new_ones_begin_and_one_that_asks_for_a_place_is_not() {
        let mut offsets = offsets();
        assert_eq!(offsets.begin(PLACE, &proxied("c"), -1), Begin::At(None));
        assert_eq!(offsets.begin(PLACE, &proxied("c"), 5), Begin::AsAsked);
        offsets.note(at(0), PLACE, &proxied("other"), 5);
        assert_eq!(offsets.begin(PLACE, &proxied("c"), -1), Begin::At(None));
        assert_eq!(offsets.begin(Place { queue_id: 1, ..PLACE }, &proxied("other"), -1), Begin::At(None));
    }

    #[test]
    fn the_least_of_all_is_told_every_five_seconds() {
        let mut offsets = offsets();
        offsets.note(at(0), PLACE, &direct("a"), 7);
        offsets.note(at(0), PLACE, &direct("b"), 4);
        offsets.note(at(0), Place { queue_id: 1, ..PLACE }, &direct("b"), 9);
        assert_eq!(offsets.poll_timeout(), Some(Millis::from_secs(5)));
        assert_eq!(least(&mut offsets, 4, &[]), []);
        assert_eq!(least(&mut offsets, 5, &[]), [(0, 4), (1, 9)]);
        offsets.note(at(6), PLACE, &direct("b"), 3);
        assert_eq!(least(&mut offsets, 10, &[]), [(0, 4), (1, 9)], "a client that reads again has read it all the same");
    }

    #[test]
    fn who_is_gone_is_forgotten_sooner_than_who_is_connected() {
        let mut offsets = offsets();
        offsets.note(at(0), PLACE, &direct("gone"), 4);
        offsets.note(at(0), PLACE, &direct("quiet"), 7);
        assert_eq!(least(&mut offsets, 119, &["quiet"]), [(0, 4)]);
        assert_eq!(least(&mut offsets, 125, &["quiet"]), [(0, 7)]);
        assert_eq!(least(&mut offsets, 300, &["quiet"]), [(0, 7)]);
        assert_eq!((offsets.poll_timeout(), offsets.bytes), (None, 0));
        assert_eq!(offsets.begin(PLACE, &proxied("quiet"), 5), Begin::AsAsked);
    }

    #[test]
    fn what_is_remembered_is_limited_and_makes_room_when_it_is_deleted() {
        let mut offsets = BroadcastOffsets::new(BroadcastConfig::default(), bytes_of("a", "G", "T") + QUEUE_BYTES);
        offsets.note(at(0), PLACE, &direct("a"), 7);
        offsets.note(at(0), PLACE, &direct("b"), 4);
        offsets.note(at(0), Place { queue_id: 1, ..PLACE }, &direct("a"), 3);
        assert_eq!(least(&mut offsets, 5, &[]), [(0, 7)]);
        offsets.remove_group("other");
        offsets.remove_topic("T");
        offsets.note(at(6), PLACE, &direct("b"), 4);
        assert_eq!(least(&mut offsets, 10, &[]), [(0, 4)]);
        offsets.remove_group("G");
        assert_eq!(offsets.bytes, 0);
    }
}
