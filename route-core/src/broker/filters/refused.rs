//! Which groups have asked for what cannot be used, so that an operator hears of each of them, and of none with every heartbeat.

use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use indexmap::IndexMap;

/// The expressions that were refused last, by group and topic; of an expression its hash.
#[derive(Debug, Default)]
pub(super) struct Refused {
    groups: IndexMap<Box<str>, IndexMap<Box<str>, u64, FixedState>, FixedState>,
    len: usize,
}

impl Refused {
    /// A group's expression for a topic is refused. Tells whether that is news. At most `limit` are remembered; then it begins anew.
    pub(super) fn is_news(&mut self, group: &str, topic: &str, expression: &str, limit: usize) -> bool {
        let hash = FixedState::default().hash_one(expression);
        if let Some(known) = self.groups.get_mut(group).and_then(|topics| topics.get_mut(topic)) {
            return std::mem::replace(known, hash) != hash;
        }
        if self.len >= limit {
            *self = Self::default();
        }
        self.groups.entry(group.into()).or_default().insert(topic.into(), hash);
        self.len += 1;
        true
    }

    /// What the group wants of a topic can be used now.
    pub(super) fn forget(&mut self, group: &str, topic: &str) {
        if let Some(topics) = self.groups.get_mut(group)
            && topics.swap_remove(topic).is_some()
        {
            self.len -= 1;
            if topics.is_empty() {
                self.groups.swap_remove(group);
            }
        }
    }

    /// The group is gone.
    pub(super) fn forget_group(&mut self, group: &str) {
        if let Some(topics) = self.groups.swap_remove(group) {
            self.len -= topics.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_group_is_news_once_until_it_wants_something_else_or_has_left() {
        let mut refused = Refused::default();
        assert!(refused.is_news("G", "T", "a >", 9) && !refused.is_news("G", "T", "a >", 9));
        assert!(refused.is_news("H", "T", "a >", 9) && refused.is_news("G", "U", "a >", 9));
        assert!(refused.is_news("G", "T", "b >", 9));
        refused.forget("G", "T");
        assert!(refused.is_news("G", "T", "b >", 9));
        refused.forget_group("G");
        assert!(refused.is_news("G", "T", "b >", 9) && refused.is_news("G", "U", "a >", 9) && !refused.is_news("H", "T", "a >", 9));
    }

    #[test]
    fn it_keeps_no_more_than_it_may() {
        let mut refused = Refused::default();
        for number in 0..10 {
            assert!(refused.is_news(&number.to_string(), "T", "a >", 3));
            assert!(refused.len <= 3 && refused.groups.len() == refused.len);
        }
    }
}
