//! How the simulator calls things: messages by who made them, queues by where they are.

use std::{fmt, rc::Rc, str::FromStr};

use proto_core::bodies::MessageQueue;

/// A text that many facts share.
pub type Name = Rc<str>;

/// A message as its producer made it. What becomes of it later (retries, dead letters, copies) keeps this key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Number of the producer.
    pub producer: u16,
    /// Number of the message among those of its producer.
    pub number: u32,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "m{}-{}", self.producer, self.number)
    }
}

impl FromStr for Key {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (producer, number) = text.strip_prefix('m').and_then(|rest| rest.split_once('-')).ok_or(())?;
        Ok(Self { producer: producer.parse().map_err(|_| ())?, number: number.parse().map_err(|_| ())? })
    }
}

/// A queue of a topic on one broker. Queues sort by topic, broker and number, as clients sort them before they share them out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Queue {
    /// The topic.
    pub topic: Name,
    /// The broker's name.
    pub broker: Name,
    /// Number of the queue in the topic.
    pub id: i32,
}

impl Queue {
    /// As bodies of requests name it.
    #[must_use]
    pub fn to_body(&self) -> MessageQueue {
        MessageQueue { broker_name: self.broker.to_string(), queue_id: self.id, topic: self.topic.to_string() }
    }
}

impl From<&MessageQueue> for Queue {
    fn from(queue: &MessageQueue) -> Self {
        Self { topic: queue.topic.as_str().into(), broker: queue.broker_name.as_str().into(), id: queue.queue_id }
    }
}

impl fmt::Display for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.topic, self.broker, self.id)
    }
}

/// A place in a queue.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Spot {
    /// The queue.
    pub queue: Queue,
    /// The offset in it.
    pub offset: i64,
}

impl fmt::Display for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.queue, self.offset)
    }
}
