//! What a consumer is to do.

use route_core::{Millis, random::Random};

use crate::{
    names::{Key, Name},
    plugins,
};

/// How the application takes messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// `MessageListenerConcurrently`
    Concurrent,
    /// `MessageListenerOrderly`
    Orderly,
}

/// Who of a group gets a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Model {
    /// One member.
    Clustering,
    /// Every member, once and without a second try.
    Broadcasting,
}

/// What all members of a group have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupPlan {
    /// The group's name.
    pub group: Name,
    /// The topics it subscribes to; its retry topic comes on top.
    pub topics: Vec<Name>,
    /// How messages are taken.
    pub style: Style,
    /// Who gets them.
    pub model: Model,
    /// `maxReconsumeTimes`; -1 is the client's default.
    pub max_reconsume_times: i32,
    /// Whether the group is [filtered by a plugin](crate::plugins) and gets even messages alone.
    pub filtered: bool,
    /// The longest time that the application takes for a message.
    pub work: Millis,
    /// One message in so many is one that the application cannot handle at first; 0 if it can handle all.
    pub failing_one_in: u32,
    /// Which of them these are.
    pub failing_seed: u64,
}

impl GroupPlan {
    /// Whether a message is for the group.
    #[must_use]
    pub const fn wants(&self, key: Key) -> bool {
        !self.filtered || plugins::is_even(key)
    }

    /// How often the application fails with a message before it can handle it. Some it can never handle.
    #[must_use]
    pub fn failures(&self, key: Key) -> i32 {
        if self.failing_one_in == 0 {
            return 0;
        }
        let mut random = Random::new(self.failing_seed ^ u64::from(key.producer) << 32 ^ u64::from(key.number));
        if random.below(self.failing_one_in) > 0 {
            return 0;
        }
        match random.below(4) {
            0 => i32::MAX,
            times => i32::try_from(times).unwrap_or(1),
        }
    }

    /// How often a message may fail before it is dead.
    #[must_use]
    pub const fn limit(&self) -> i32 {
        match (self.max_reconsume_times, self.style) {
            (-1, Style::Concurrent) => 16,
            (-1, Style::Orderly) => i32::MAX,
            (times, _) => times,
        }
    }

    /// Whether the application can ever handle a message before it is dead.
    #[must_use]
    pub fn dies(&self, key: Key) -> bool {
        self.model == Model::Clustering && self.failures(key) > self.limit()
    }
}
