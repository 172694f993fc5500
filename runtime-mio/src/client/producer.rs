//! Sending messages one by one, round robin over the queues of a topic.

use proto_core::{
    Text,
    code::RequestCode,
    headers::{DecodeExt, SendMessageRequest, SendMessageResponse},
    ids::UniqueIdGenerator,
    names::AUTO_CREATE_TOPIC,
    properties::{self, NAME_VALUE_SEPARATOR, PROPERTY_SEPARATOR, PropertiesWriter, names},
};
use tracing::debug;

use super::{
    connection::{Connection, Timeouts},
    error::ClientError,
    name_servers::NameServers,
    queues::{NEW_TOPIC_QUEUES, Queue, writable_queues},
};
use crate::clock::Clock;

/// The group under which messages are sent.
const GROUP: &str = "petrel_producer";

/// What is sent; the body comes apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    properties: PropertiesWriter,
}

impl Message {
    /// A message without tag, keys and properties.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a property; tag and keys are `TAGS` and `KEYS` of [`names`].
    ///
    /// # Errors
    /// [`ClientError::Property`] for an empty name or value, and for what would break the stored form.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), ClientError> {
        let separates = |byte: u8| byte == NAME_VALUE_SEPARATOR || byte == PROPERTY_SEPARATOR;
        let reason = if name.is_empty() {
            "it has no name"
        } else if value.is_empty() {
            "it has no value"
        } else if name.bytes().chain(value.bytes()).any(separates) {
            "the characters 1 and 2 separate properties and cannot be in one"
        } else if self.properties.len() + name.len() + value.len() + 2 > properties::MAX_LEN - Self::RESERVED {
            "all properties together must have less than 32 KiB"
        } else {
            self.properties.put(name, value.as_bytes());
            return Ok(());
        };
        Err(ClientError::Property { name: name.to_owned(), reason })
    }

    /// Room for what is added when the message is sent: `UNIQ_KEY` and `WAIT`.
    const RESERVED: usize = 128;
}

/// Where a message went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// The queue.
    pub queue: Queue,
    /// Offset in the queue.
    pub offset: i64,
    /// The producer's id of the message.
    pub unique_id: String,
    /// The broker's id of the message.
    pub offset_id: String,
}

/// Sends to one topic.
#[derive(Debug)]
pub struct Producer {
    topic: String,
    queues: Vec<Queue>,
    next: usize,
    connections: Vec<Connection>,
    timeouts: Timeouts,
    clock: Clock,
    ids: Option<UniqueIdGenerator>,
    properties: PropertiesWriter,
}

impl Producer {
    /// Asks where the topic lives. Brokers are called with the first message for them.
    ///
    /// # Errors
    /// Any [`ClientError`]; [`ClientError::NoQueue`] if nothing may be written.
    pub fn new(name_servers: &mut NameServers, topic: &str, timeouts: Timeouts) -> Result<Self, ClientError> {
        let queues = writable_queues(&name_servers.route_to_send(topic)?);
        if queues.is_empty() {
            return Err(ClientError::NoQueue { topic: topic.to_owned(), wanted: "written" });
        }
        debug!("topic {topic} has {} queues that can be written", queues.len());
        Ok(Self {
            topic: topic.to_owned(),
            queues,
            next: 0,
            connections: Vec::new(),
            timeouts,
            clock: Clock::new(),
            ids: None,
            properties: PropertiesWriter::new(),
        })
    }

    /// Lets the next message go to the queue of this number among all that may be written, counted round and round. Many producers that
    /// send a message each would otherwise all send it to the first.
    #[must_use]
    pub fn beginning_at(self, number: u64) -> Self {
        let next = usize::try_from(number % self.queues.len() as u64).unwrap_or_default();
        Self { next, ..self }
    }

    /// Sends a message to the next queue and waits for the broker's answer.
    ///
    /// # Errors
    /// Any [`ClientError`]. [`ClientError::Refused`] with one of the codes 10 to 12 means that the message is stored but that the
    /// disk or the slave was waited for in vain.
    pub fn send(&mut self, message: &Message, body: &[u8]) -> Result<Sent, ClientError> {
        let queue = self.queues[self.next].clone();
        self.next = (self.next + 1) % self.queues.len();
        let connection = connection_to(&mut self.connections, &queue.address, self.timeouts)?;
        let now = self.clock.now().wall.0;
        let ids = self.ids.get_or_insert_with(|| id_generator(connection, now));
        let unique_id = ids.next_id(now);
        self.properties.start(message.properties.as_bytes());
        self.properties.put(names::UNIQ_KEY, unique_id.as_str().as_bytes());
        self.properties.put(names::WAIT, b"true");
        let header = SendMessageRequest {
            producer_group: Text::plain(GROUP),
            topic: Text::plain(&self.topic),
            default_topic: Text::plain(AUTO_CREATE_TOPIC),
            default_topic_queue_nums: NEW_TOPIC_QUEUES,
            queue_id: queue.id,
            born_timestamp: now,
            // Every part came in as text.
            properties: std::str::from_utf8(self.properties.as_bytes()).ok().map(Text::plain),
            reconsume_times: Some(0),
            broker_name: Some(Text::plain(&queue.broker)),
            ..SendMessageRequest::default()
        };
        let (id, offset, offset_id) = connection.call(RequestCode::SendMessageV2, &header, body, |answer| {
            let header = SendMessageResponse::decode_ext(&answer.ext)?;
            Ok((header.queue_id, header.queue_offset, header.msg_id.to_cow().into_owned()))
        })?;
        Ok(Sent { queue: Queue { id, ..queue }, offset, unique_id: unique_id.as_str().to_owned(), offset_id })
    }
}

/// The connection to a broker, which is called if it is not there yet.
fn connection_to<'a>(connections: &'a mut Vec<Connection>, address: &str, timeouts: Timeouts) -> Result<&'a mut Connection, ClientError> {
    let at = match connections.iter().position(|connection| connection.peer() == address) {
        Some(at) => at,
        None => {
            connections.push(Connection::connect(address, timeouts)?);
            connections.len() - 1
        }
    };
    Ok(&mut connections[at])
}

/// Ids that differ from those of other processes on this machine by process, and from earlier processes of that number by time.
pub(super) fn id_generator(connection: &Connection, now: i64) -> UniqueIdGenerator {
    #[expect(clippy::cast_possible_truncation, reason = "any bits of the time serve as a hash")]
    UniqueIdGenerator::new(connection.local_ip(), std::process::id(), now as i32, 0)
}
