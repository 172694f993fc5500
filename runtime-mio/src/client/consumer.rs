//! Reading a topic: all its queues at once, with or without a group that remembers how far it came.

use std::{
    collections::BTreeMap,
    ops::ControlFlow,
    time::{Duration, Instant},
};

use proto_core::{
    ExtFields, Text,
    bodies::{
        ConsumeFromWhere, ConsumeType, ConsumerData, GetConsumerListByGroupResponseBody, HeartbeatData, MessageModel, SubscriptionData,
    },
    code::{RequestCode, ResponseCode},
    headers::{
        DecodeExt, GetConsumerListByGroupRequest, GetMaxOffsetRequest, GetMaxOffsetResponse, GetMinOffsetRequest, GetMinOffsetResponse,
        PullMessageRequest, QueryConsumerOffsetRequest, QueryConsumerOffsetResponse, SearchOffsetRequest, SearchOffsetResponse,
        UnregisterClientRequest, UpdateConsumerOffsetRequest,
    },
    json::{self, Dialect},
    names::TOOLS_CONSUMER_GROUP,
    record::RecordView,
    subscription::{self, TagExpression, tag_subscription},
    sys_flag::pull,
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};
use tracing::debug;

use super::{
    connection::{Connection, Timeouts},
    error::ClientError,
    name_servers::NameServers,
    queues::{Queue, readable_queues},
    reader::Reader,
};
use crate::clock::Clock;

/// Where reading begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// With the oldest message.
    First,
    /// With the next message to come.
    Last,
    /// With this offset in every queue.
    Offset(i64),
    /// With the first message that was stored at this time, ms since 1970, or later.
    Timestamp(i64),
}

/// Which messages are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter {
    /// Those with one of these tags, `a || b`.
    Tags(String),
    /// Those for which this expression of SQL92 is true; the broker judges it.
    Sql(String),
}

/// How far queues have been read: the next offset by name of the broker and number of the queue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places(BTreeMap<(String, i32), i64>);

/// What is read, and by whom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// The group whose offsets are used and kept. Without one nothing is left behind at the broker.
    pub group: Option<String>,
    /// Which messages are wanted; nothing means all.
    pub filter: Option<Filter>,
    /// Where to begin; nothing means the group's offset, or the oldest message if it has none.
    pub start: Option<Start>,
    /// Where to go on in queues that have been read before, whatever else is said. A queue that is new since then is read from the
    /// group's offset or its oldest message.
    pub places: Places,
}

/// Most messages of one pull.
const BATCH: i32 = 32;
/// How long a broker may hold a pull, as with Java's clients.
const SUSPEND: Duration = Duration::from_secs(15);
/// How long an answer to a pull may take, as with Java's clients.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often brokers hear that the group's member is there; they forget it after 120 s.
const HEARTBEAT: Duration = Duration::from_secs(30);

/// Reads one topic.
#[derive(Debug)]
pub struct Consumer {
    topic: String,
    group: String,
    /// Whether the group is one of the user's, so that it has members and offsets.
    is_member: bool,
    client_id: String,
    subscription: SubscriptionData,
    tags: TagExpression,
    connections: Vec<Connection>,
    /// Each with the index of its connection.
    readers: Vec<(usize, Reader)>,
    next_heartbeat: Instant,
}

impl Consumer {
    /// Finds the queues, joins the group and finds where to begin. Nothing is pulled yet.
    ///
    /// # Errors
    /// Any [`ClientError`]; [`ClientError::NoQueue`] if nothing may be read, [`ClientError::Tags`] for an expression without a tag.
    pub fn new(name_servers: &mut NameServers, topic: &str, reading: Reading, timeouts: Timeouts) -> Result<Self, ClientError> {
        let (mut subscription, tags) = subscribe(topic, reading.filter.as_ref())?;
        let now = Clock::new().now().wall.0;
        subscription.sub_version = now;
        let queues = readable_queues(&name_servers.route(topic)?);
        if queues.is_empty() {
            return Err(ClientError::NoQueue { topic: topic.to_owned(), wanted: "read" });
        }
        let mut connections: Vec<Connection> = Vec::new();
        for queue in &queues {
            if !connections.iter().any(|connection| connection.peer() == queue.address) {
                connections.push(Connection::connect(&queue.address, timeouts)?);
            }
        }
        let ip = connections[0].local_ip();
        let mut consumer = Self {
            topic: topic.to_owned(),
            is_member: reading.group.is_some(),
            group: reading.group.unwrap_or_else(|| TOOLS_CONSUMER_GROUP.to_owned()),
            client_id: format!("{ip}@{}#{now}", std::process::id()),
            subscription,
            tags,
            connections,
            readers: Vec::with_capacity(queues.len()),
            next_heartbeat: Instant::now(),
        };
        consumer.beat_if_due()?;
        for queue in queues {
            let at = consumer.connections.iter().position(|connection| connection.peer() == queue.address).unwrap_or_default();
            let place = reading.places.0.get(&(queue.broker.clone(), queue.id)).copied();
            let next = match place {
                Some(place) => place,
                None if reading.places.0.is_empty() => consumer.first_offset(at, &queue, reading.start)?,
                None => consumer.first_offset(at, &queue, None)?,
            };
            debug!("queue {queue} is read from offset {next}");
            let committed = if place.is_none() { Some(next) } else { None };
            consumer.readers.push((at, Reader::new(queue, next, committed, Instant::now())));
        }
        Ok(consumer)
    }

    /// How far all queues have been read, so that another consumer can go on there.
    #[must_use]
    pub fn places(&self) -> Places {
        Places(self.readers.iter().map(|(_, reader)| ((reader.queue.broker.clone(), reader.queue.id), reader.next)).collect())
    }

    /// The queues that are read.
    pub fn queues(&self) -> impl Iterator<Item = &Queue> {
        self.readers.iter().map(|(_, reader)| &reader.queue)
    }

    /// How many other members the group has at the first broker: they share out all queues among the members, while this one reads
    /// every queue whatever the others do.
    ///
    /// # Errors
    /// Any [`ClientError`].
    pub fn other_members(&mut self) -> Result<usize, ClientError> {
        if !self.is_member {
            return Ok(0);
        }
        let request = RequestCode::GetConsumerListByGroup;
        let header = GetConsumerListByGroupRequest { consumer_group: Text::plain(&self.group) };
        let list: GetConsumerListByGroupResponseBody = self.connections[0]
            .call(request, &header, b"", |answer| json::from_slice(answer.body).map_err(|source| ClientError::Body { request, source }))?;
        Ok(list.consumer_id_list.iter().filter(|id| **id != self.client_id).count())
    }

    /// Waits up to `wait` for messages and hands them to `each`, those of a queue in order. What `each` has seen counts as consumed; a
    /// break leaves the rest unread, and only [`close`](Self::close) may follow it. Returns how many messages it was. A signal ends
    /// the wait early.
    ///
    /// # Errors
    /// Any [`ClientError`].
    pub fn poll(&mut self, wait: Duration, mut each: impl FnMut(&Queue, &RecordView<'_>) -> ControlFlow<()>) -> Result<u64, ClientError> {
        self.beat_if_due()?;
        let now = Instant::now();
        for (at, reader) in &mut self.readers {
            if reader.is_due(now) {
                let opaque = post_pull(&mut self.connections[*at], &self.topic, &self.group, &self.subscription, reader)?;
                reader.sent(opaque, now);
            } else if reader.is_late(now, PATIENCE) {
                let peer = self.connections[*at].peer().to_owned();
                return Err(ClientError::TimedOut { peer, request: RequestCode::PullMessage, millis: PATIENCE.as_millis() });
            }
        }
        // Answers may have come together with those of earlier requests.
        let mut handed = self.take_answers(&mut each)?;
        if handed == 0 {
            let due = self.readers.iter().filter_map(|(_, reader)| reader.due()).min();
            let wait = due.map_or(wait, |due| wait.min(due.saturating_duration_since(now)));
            for at in readable(&self.connections, wait)? {
                self.connections[at].receive(Duration::ZERO)?;
            }
            handed = self.take_answers(&mut each)?;
        }
        Ok(handed)
    }

    fn take_answers(&mut self, each: &mut dyn FnMut(&Queue, &RecordView<'_>) -> ControlFlow<()>) -> Result<u64, ClientError> {
        let (mut handed, mut flow) = (0, ControlFlow::Continue(()));
        let now = Instant::now();
        for (at, connection) in self.connections.iter_mut().enumerate() {
            connection.drain(|command| {
                let mine = |(of, reader): &&mut (usize, Reader)| *of == at && reader.awaits(command.opaque);
                let Some((_, reader)) = self.readers.iter_mut().find(mine).filter(|_| command.flag.is_response() && flow.is_continue())
                else {
                    return Ok(());
                };
                let (count, then) = reader.take(now, command, &self.tags, each)?;
                (handed, flow) = (handed + count, then);
                Ok(())
            })?;
        }
        Ok(handed)
    }

    /// Tells the brokers how far the group has come, without waiting for them.
    ///
    /// # Errors
    /// [`ClientError::Io`].
    pub fn commit(&mut self) -> Result<(), ClientError> {
        for (at, reader) in self.readers.iter_mut().filter(|(_, reader)| self.is_member && reader.committed != Some(reader.next)) {
            self.connections[*at].tell(RequestCode::UpdateConsumerOffset, &offset_to_commit(&self.topic, &self.group, reader), b"")?;
            reader.committed = Some(reader.next);
        }
        Ok(())
    }

    /// Keeps the group's offsets, with the brokers' word for it, and leaves the group.
    ///
    /// # Errors
    /// Any [`ClientError`]; the offsets that could be kept are kept.
    pub fn close(mut self) -> Result<(), ClientError> {
        if !self.is_member {
            return Ok(());
        }
        let mut result = Ok(());
        for (at, reader) in &self.readers {
            let header = offset_to_commit(&self.topic, &self.group, reader);
            result = result.and(self.connections[*at].call(RequestCode::UpdateConsumerOffset, &header, b"", |_| Ok(())));
        }
        for connection in &mut self.connections {
            let header = UnregisterClientRequest {
                client_id: Text::plain(&self.client_id),
                consumer_group: Some(Text::plain(&self.group)),
                producer_group: None,
            };
            result = result.and(connection.call(RequestCode::UnregisterClient, &header, b"", |_| Ok(())));
        }
        result
    }

    fn beat_if_due(&mut self) -> Result<(), ClientError> {
        let now = Instant::now();
        if !self.is_member || now < self.next_heartbeat {
            return Ok(());
        }
        let is_first = self.readers.is_empty();
        let data = ConsumerData {
            consume_from_where: Some(ConsumeFromWhere::ConsumeFromFirstOffset),
            consume_type: Some(ConsumeType::ConsumeActively),
            group_name: self.group.clone(),
            message_model: Some(MessageModel::Clustering),
            subscription_data_set: vec![self.subscription.clone()],
            unit_mode: false,
        };
        let heartbeat = HeartbeatData { client_id: self.client_id.clone(), consumer_data_set: vec![data], ..HeartbeatData::default() };
        let body = json::to_vec(&heartbeat, Dialect::Default);
        for connection in &mut self.connections {
            // Later ones are answered among the pulls, where nobody waits for them.
            if is_first {
                connection.call(RequestCode::HeartBeat, &ExtFields::present(), &body, |_| Ok(()))?;
            } else {
                connection.post(RequestCode::HeartBeat, &ExtFields::present(), &body)?;
            }
        }
        self.next_heartbeat = now + HEARTBEAT;
        Ok(())
    }

    fn first_offset(&mut self, at: usize, queue: &Queue, start: Option<Start>) -> Result<i64, ClientError> {
        let connection = &mut self.connections[at];
        let (topic, broker_name) = (Text::plain(&self.topic), Some(Text::plain(&queue.broker)));
        let queue_id = queue.id;
        match start {
            Some(Start::Offset(offset)) => Ok(offset),
            Some(Start::Last) => {
                let header = GetMaxOffsetRequest { topic, queue_id, broker_name, ..GetMaxOffsetRequest::default() };
                connection.call(RequestCode::GetMaxOffset, &header, b"", |answer| Ok(GetMaxOffsetResponse::decode_ext(&answer.ext)?.offset))
            }
            Some(Start::Timestamp(timestamp)) => {
                let header = SearchOffsetRequest { topic, queue_id, timestamp, boundary_type: None, broker_name };
                let read = |answer: &proto_core::Command<'_>| Ok(SearchOffsetResponse::decode_ext(&answer.ext)?.offset);
                connection.call(RequestCode::SearchOffsetByTimestamp, &header, b"", read)
            }
            None if self.is_member => {
                let consumer_group = Text::plain(&self.group);
                let header =
                    QueryConsumerOffsetRequest { consumer_group, topic, queue_id, set_zero_if_not_found: Some(false), broker_name };
                let read = |answer: &proto_core::Command<'_>| Ok(QueryConsumerOffsetResponse::decode_ext(&answer.ext)?.offset);
                match connection.call(RequestCode::QueryConsumerOffset, &header, b"", read) {
                    Ok(Some(offset)) => Ok(offset),
                    Err(ClientError::Refused { code, .. }) if code == ResponseCode::QueryNotFound.code() => {
                        self.first_offset(at, queue, Some(Start::First))
                    }
                    Ok(None) => self.first_offset(at, queue, Some(Start::First)),
                    Err(error) => Err(error),
                }
            }
            Some(Start::First) | None => {
                let header = GetMinOffsetRequest { topic, queue_id, broker_name };
                connection.call(RequestCode::GetMinOffset, &header, b"", |answer| Ok(GetMinOffsetResponse::decode_ext(&answer.ext)?.offset))
            }
        }
    }
}

/// The subscription for a filter, and the tags that are to be looked at again here.
fn subscribe(topic: &str, filter: Option<&Filter>) -> Result<(SubscriptionData, TagExpression), ClientError> {
    let tags = match filter {
        Some(Filter::Sql(expression)) => {
            let subscription = SubscriptionData {
                topic: topic.to_owned(),
                expression_type: Some(subscription::SQL92.to_owned()),
                sub_string: Some(expression.clone()),
                ..SubscriptionData::default()
            };
            return Ok((subscription, TagExpression::default()));
        }
        Some(Filter::Tags(expression)) => Some(expression.as_str()),
        None => None,
    };
    let no_tag = |_| ClientError::Tags(tags.unwrap_or_default().to_owned());
    Ok((tag_subscription(topic, tags).map_err(no_tag)?, TagExpression::parse(tags).map_err(no_tag)?))
}

fn post_pull(
    connection: &mut Connection,
    topic: &str,
    group: &str,
    subscription: &SubscriptionData,
    reader: &Reader,
) -> Result<i32, ClientError> {
    let header = PullMessageRequest {
        consumer_group: Text::plain(group),
        topic: Text::plain(topic),
        queue_id: reader.queue.id,
        queue_offset: reader.next,
        max_msg_nums: BATCH,
        sys_flag: pull::SUSPEND | pull::SUBSCRIPTION,
        suspend_timeout_millis: i64::try_from(SUSPEND.as_millis()).unwrap_or(i64::MAX),
        subscription: subscription.sub_string.as_deref().map(Text::plain),
        sub_version: subscription.sub_version,
        expression_type: subscription.expression_type.as_deref().map(Text::plain),
        broker_name: Some(Text::plain(&reader.queue.broker)),
        ..PullMessageRequest::default()
    };
    connection.post(RequestCode::PullMessage, &header, b"")
}

fn offset_to_commit<'a>(topic: &'a str, group: &'a str, reader: &'a Reader) -> UpdateConsumerOffsetRequest<'a> {
    UpdateConsumerOffsetRequest {
        consumer_group: Text::plain(group),
        topic: Text::plain(topic),
        queue_id: Some(reader.queue.id),
        commit_offset: Some(reader.next),
        broker_name: Some(Text::plain(&reader.queue.broker)),
    }
}

/// The connections on which something has come, or an end, after waiting up to `wait` for the first.
fn readable(connections: &[Connection], wait: Duration) -> Result<Vec<usize>, ClientError> {
    let mut sockets: Vec<PollFd<'_>> = connections.iter().map(|connection| PollFd::new(connection.stream(), PollFlags::IN)).collect();
    let wait = Timespec { tv_sec: i64::try_from(wait.as_secs()).unwrap_or(i64::MAX), tv_nsec: wait.subsec_nanos().into() };
    match poll(&mut sockets, Some(&wait)) {
        Ok(_) => Ok((0..sockets.len()).filter(|&at| !sockets[at].revents().is_empty()).collect()),
        Err(Errno::INTR) => Ok(Vec::new()),
        Err(error) => Err(ClientError::Io { peer: connections[0].peer().to_owned(), source: error.into() }),
    }
}
