//! What happened, as oracles read it.

use crate::names::{Key, Name, Queue, Spot};

/// A record that a broker's storage has taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Where it lies in its queue.
    pub spot: Spot,
    /// Where it begins in the log.
    pub place: i64,
    /// Where it ends in the log.
    pub end: i64,
    /// Whose message it is; `None` if it is not one of a simulated producer.
    pub key: Option<Key>,
    /// How often it has failed.
    pub times: i32,
    /// The topic and queue that a delayed message waits for.
    pub real: Option<(Name, i32)>,
    /// The tags code of its unit: for delayed messages the moment of delivery.
    pub tags_code: i64,
    /// When it was stored, by the broker's wall clock.
    pub stored_at: i64,
}

/// Something that happened in a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// A broker's storage took a record.
    Stored {
        /// The broker.
        broker: Name,
        /// The record.
        record: Record,
    },
    /// A producer heard that its message is stored.
    Acked {
        /// The message.
        key: Key,
        /// Where it is said to lie.
        spot: Spot,
        /// Its place in the log, as its id says.
        place: i64,
    },
    /// A producer gave up: whether the message is stored is not known.
    GaveUp {
        /// The message.
        key: Key,
    },
    /// A consumer begins to read a queue.
    Began {
        /// Its group.
        group: Name,
        /// The client.
        client: Name,
        /// The queue.
        queue: Queue,
        /// The first offset it reads.
        from: i64,
        /// Whether it has this from a file of its own, not from the broker.
        local: bool,
    },
    /// A pull has brought messages to a consumer.
    Pulled {
        /// Its group.
        group: Name,
        /// The client.
        client: Name,
        /// The queue.
        queue: Queue,
        /// The offset that it asked for.
        from: i64,
        /// The offsets of what came.
        offsets: Vec<i64>,
        /// Where it is to go on.
        next: i64,
    },
    /// A consumer tells how far it has come.
    Commits {
        /// Its group.
        group: Name,
        /// The client.
        client: Name,
        /// The queue.
        queue: Queue,
        /// The offset.
        offset: i64,
    },
    /// An application begins with a message of an orderly queue.
    Taken {
        /// The group.
        group: Name,
        /// The client.
        client: Name,
        /// Where the message came from.
        spot: Spot,
        /// The message.
        key: Key,
    },
    /// An application is done with a message, well or not.
    Handled {
        /// The group.
        group: Name,
        /// The client.
        client: Name,
        /// Number of the client's reading of the queue: no message comes twice in one.
        reading: u64,
        /// Where the message came from.
        spot: Spot,
        /// The message.
        key: Key,
        /// How often it has failed before.
        times: i32,
        /// Whether the application could handle it.
        well: bool,
        /// What is wrong with it as the application sees it, if anything.
        damage: Option<String>,
    },
    /// A broker's process has begun.
    Started {
        /// The broker.
        broker: Name,
    },
    /// A broker's process has ended.
    Ended {
        /// The broker.
        broker: Name,
        /// Where its log ends now.
        kept: i64,
        /// How many bytes behind that are lost.
        lost: i64,
        /// Whether its machine has lost its power.
        dark: bool,
    },
    /// A broker begins to save the offsets of groups, as they are now.
    SaveBegan {
        /// The broker.
        broker: Name,
    },
    /// The save that began first has come to its end, and well.
    Saved {
        /// The broker.
        broker: Name,
    },
    /// A broker is told how far a group has come.
    CommitAsked {
        /// The group.
        group: Name,
        /// The queue.
        queue: Queue,
        /// The offset.
        offset: i64,
    },
    /// A broker has taken a group's offset.
    OffsetNoted {
        /// The group.
        group: Name,
        /// The queue.
        queue: Queue,
        /// The offset.
        offset: i64,
    },
    /// A broker has told where a group is, or that it does not know.
    OffsetTold {
        /// The group.
        group: Name,
        /// The queue.
        queue: Queue,
        /// The offset.
        offset: Option<i64>,
    },
    /// A broker has locked queues for a client.
    Locked {
        /// The broker.
        broker: Name,
        /// The group.
        group: Name,
        /// The client.
        client: Name,
        /// The queues, as the client hears.
        queues: Vec<Queue>,
    },
    /// A client has given locks back.
    Unlocked {
        /// The broker.
        broker: Name,
        /// The group.
        group: Name,
        /// The client.
        client: Name,
        /// The queues.
        queues: Vec<Queue>,
    },
    /// A broker says that a message is stored.
    SendAnswered {
        /// The broker.
        broker: Name,
    },
    /// A broker is asked to take a failed message back.
    ReturnAsked {
        /// The broker.
        broker: Name,
        /// The group.
        group: Name,
        /// Where the message lies in the log.
        place: i64,
        /// The delay level that the client asks for; 0 leaves it to the broker.
        level: i32,
        /// How often the message may fail.
        limit: i32,
    },
    /// The broker has done with it what it does at once.
    ReturnDone {
        /// The broker.
        broker: Name,
    },
    /// A broker has answered that.
    ReturnAnswered {
        /// The broker.
        broker: Name,
        /// The group.
        group: Name,
        /// Where the message lies in the log.
        place: i64,
        /// Whether it has taken it.
        ok: bool,
    },
    /// A pull waits at a broker although there is something for it.
    Overlooked {
        /// The group.
        group: Name,
        /// The queue.
        queue: Queue,
        /// The first offset that the pull wants.
        from: i64,
        /// One more than the last that can be read.
        end: i64,
    },
    /// A pull waits at a broker although its time is over.
    Overdue {
        /// The group.
        group: Name,
        /// The queue.
        queue: Queue,
        /// The first offset that the pull wants.
        from: i64,
    },
    /// A group has changed, and not all its members were told at once.
    NotTold {
        /// The broker.
        broker: Name,
        /// The group.
        group: Name,
    },
    /// A producer sends a message, or sends it again.
    Sent {
        /// The message.
        key: Key,
    },
    /// A machine is woken again and again and has nothing to do.
    Spins {
        /// Whose machine.
        who: Name,
    },
    /// A consumer's process has begun.
    Joined {
        /// Its group.
        group: Name,
        /// The client.
        client: Name,
    },
    /// A consumer's process has ended, or is told to end.
    Left {
        /// Its group.
        group: Name,
        /// The client.
        client: Name,
    },
    /// Something goes wrong or is over: for a while not everything is as it should be.
    Disturbed {
        /// How many more things are wrong from now on than before.
        more: i32,
    },
    /// All faults are over.
    Calm,
    /// Somebody has set a broker's clock.
    ClockSet {
        /// The broker.
        broker: Name,
        /// By how many milliseconds.
        by: i64,
    },
    /// Everything is at rest; who reads what.
    AtRest {
        /// The group.
        group: Name,
        /// The client.
        client: Name,
        /// The queues that it reads.
        reads: Vec<Queue>,
        /// The queues that it knows of.
        sees: Vec<Queue>,
        /// Whether it shares them with the others of its group.
        shared: bool,
    },
}
