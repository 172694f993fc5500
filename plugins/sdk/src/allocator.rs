//! What an allocation of queues is.

/// A queue of the topic that is shared out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queue<'a> {
    /// Its topic.
    pub topic: &'a str,
    /// The broker that has it.
    pub broker_name: &'a str,
    /// Its number in the topic on that broker.
    pub queue_id: i32,
}

/// A member of the group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client<'a> {
    /// Its id, by which the other members know it: `ip@process` in the Java client, unless it was given an instance name.
    pub id: &'a str,
    /// What else is known of it, by name: `address`, `language`, `version`. Empty for one that the broker has not heard of.
    pub properties: Vec<(&'a str, &'a str)>,
}

impl<'a> Client<'a> {
    /// What is known of it under a name.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<&'a str> {
        self.properties.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }
}

/// Shares the queues of a topic among the clients of a group.
pub trait Allocator: Sized {
    /// The allocator with this argument, empty if none was given. Made for each question, since they are rare.
    ///
    /// # Errors
    /// Why the argument is none that it understands. Who binds or names the plugin reads that.
    fn new(argument: &str) -> Result<Self, String>;

    /// For each queue the index of the client that owns it. Both lists come sorted and are never empty. Every member asks for itself: equal lists
    /// have to get equal answers.
    ///
    /// # Errors
    /// Why there is no answer; everybody then gets an average share.
    fn allocate(&self, group: &str, queues: &[Queue<'_>], clients: &[Client<'_>]) -> Result<Vec<usize>, String>;
}
