//! What becomes of a message that a consumer could not handle: again after a while, or dead.

/// The first level of a consumer's first retry: level 3 is 10 s in the default scale.
const FIRST_RETRY_LEVEL: i32 = 3;

/// What becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryDecision {
    /// It goes to `%DLQ%group`, without delay.
    DeadLetter,
    /// It goes to `%RETRY%group` after the time of this delay level (clamped to the scale by whoever stores it; 0 is at once).
    Retry {
        /// Delay level, from 1.
        delay_level: i32,
    },
}

/// The limits of one group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// How often a message may come again: the client's own limit if it named one, else the group's `retryMaxTimes`.
    pub max_reconsume_times: i32,
}

impl RetryPolicy {
    /// Clients from version 3.4.9 on name their own limit (ordinal in Java's list of releases).
    pub const OWN_LIMIT_VERSION: i32 = 121;

    /// The policy for a request: the client's limit counts only from [`Self::OWN_LIMIT_VERSION`] on.
    #[must_use]
    pub fn for_request(group_retry_max_times: i32, client_version: i32, client_limit: Option<i32>) -> Self {
        let own = client_limit.filter(|_| client_version >= Self::OWN_LIMIT_VERSION);
        Self { max_reconsume_times: own.unwrap_or(group_retry_max_times) }
    }

    /// Decides for `CONSUMER_SEND_MSG_BACK`: `reconsume_times` as stored with the message, `delay_level` as the client asks
    /// (0: by the number of attempts, negative: dead at once). The rules are those of Java's `AbstractSendMessageProcessor`.
    #[must_use]
    pub fn on_send_back(self, reconsume_times: i32, delay_level: i32) -> RetryDecision {
        if delay_level < 0 || reconsume_times >= self.max_reconsume_times {
            return RetryDecision::DeadLetter;
        }
        let by_attempts = FIRST_RETRY_LEVEL.saturating_add(reconsume_times.max(0));
        RetryDecision::Retry { delay_level: if delay_level == 0 { by_attempts } else { delay_level } }
    }

    /// Whether a message that a client itself sends to its `%RETRY%` topic is dead. `reconsume_times` already counts this attempt.
    /// A group that consumes in order has retried on its own side: what it sends is dead.
    ///
    /// Java knows such a group by its locks alone, but a broker that has been started again holds none, and in a cluster any broker may be
    /// asked. Clients tell it by the delay level, too: a consumer in order asks for level 3 + `reconsume_times`, any other for one less.
    #[must_use]
    pub const fn is_dead_on_send(self, reconsume_times: i32, delay_level: i32, holds_locks: bool) -> bool {
        let in_order = delay_level == FIRST_RETRY_LEVEL.saturating_add(reconsume_times);
        let last = self.max_reconsume_times;
        holds_locks || reconsume_times > last || reconsume_times == last && in_order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULT: RetryPolicy = RetryPolicy { max_reconsume_times: 16 };

    #[test]
    fn sixteen_retries_climb_from_level_3_to_18_and_the_next_is_dead() {
        let levels: Vec<_> = (0..17).map(|times| DEFAULT.on_send_back(times, 0)).collect();
        let expected = (3..=18).map(|delay_level| RetryDecision::Retry { delay_level }).chain([RetryDecision::DeadLetter]);
        assert_eq!(levels, expected.collect::<Vec<_>>());
    }

    #[test]
    fn a_level_that_the_client_asks_for_counts() {
        assert_eq!(DEFAULT.on_send_back(0, 1), RetryDecision::Retry { delay_level: 1 });
    }

    #[test]
    fn a_negative_level_is_dead_at_once() {
        assert_eq!(DEFAULT.on_send_back(0, -1), RetryDecision::DeadLetter);
    }

    #[test]
    fn the_clients_own_limit_counts_from_version_3_4_9_on() {
        assert_eq!(RetryPolicy::for_request(16, 121, Some(2)).max_reconsume_times, 2);
        assert_eq!(RetryPolicy::for_request(16, 120, Some(2)).max_reconsume_times, 16);
        assert_eq!(RetryPolicy::for_request(16, 513, None).max_reconsume_times, 16);
    }

    #[test]
    fn a_direct_send_may_reach_the_limit_and_dies_beyond_it() {
        assert!(!DEFAULT.is_dead_on_send(16, 18, false));
        assert!(DEFAULT.is_dead_on_send(17, 19, false));
    }

    #[test]
    fn what_an_ordered_group_sends_to_its_retry_topic_is_dead() {
        assert!(DEFAULT.is_dead_on_send(0, 3, true));
    }

    #[test]
    fn an_ordered_group_is_known_by_its_delay_level_where_it_holds_no_lock() {
        assert!(DEFAULT.is_dead_on_send(16, 19, false));
        assert!(!DEFAULT.is_dead_on_send(15, 18, false), "it has an attempt left");
    }
}
