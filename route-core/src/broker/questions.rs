//! Questions to clients that they have to answer: who waits for which answer, and until when.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    output::PeerId,
    time::{Millis, Now},
};

/// Questions under way, each with what is to be done when it is over.
///
/// A question ends once: by the client's answer, by the end of its connection, or when its time is over.
#[derive(Debug)]
pub struct QuestionTable<T> {
    open: BTreeMap<(PeerId, i32), (Millis, T)>,
    deadlines: BTreeSet<(Millis, PeerId, i32)>,
    limit: usize,
}

impl<T> QuestionTable<T> {
    /// A table for at most `limit` questions.
    #[must_use]
    pub const fn new(limit: usize) -> Self {
        Self { open: BTreeMap::new(), deadlines: BTreeSet::new(), limit }
    }

    /// Whether so many more questions have a place.
    #[must_use]
    pub fn has_room_for(&self, questions: usize) -> bool {
        questions <= self.limit.saturating_sub(self.open.len())
    }

    /// How many questions there may be.
    #[must_use]
    pub const fn limit(&self) -> usize {
        self.limit
    }

    /// A question went out under this number. Whether there is room is for the caller to ask before.
    pub fn handle_asked(&mut self, to: PeerId, opaque: i32, deadline: Millis, then: T) {
        debug_assert!(self.has_room_for(1), "the caller has asked");
        if let Some((before, _)) = self.open.insert((to, opaque), (deadline, then)) {
            self.deadlines.remove(&(before, to, opaque));
        }
        self.deadlines.insert((deadline, to, opaque));
    }

    /// A client has answered: what to do, if it was asked this.
    pub fn handle_answer(&mut self, from: PeerId, opaque: i32) -> Option<T> {
        let (deadline, then) = self.open.remove(&(from, opaque))?;
        self.deadlines.remove(&(deadline, from, opaque));
        Some(then)
    }

    /// A connection is gone: nothing that was asked on it will be answered.
    pub fn handle_disconnected(&mut self, peer: PeerId) -> Vec<T> {
        let asked: Vec<i32> = self.open.range((peer, i32::MIN)..=(peer, i32::MAX)).map(|((_, opaque), _)| *opaque).collect();
        asked.into_iter().filter_map(|opaque| self.handle_answer(peer, opaque)).collect()
    }

    /// The next question whose time is over.
    pub fn pop_overdue(&mut self, now: Now) -> Option<T> {
        let &(deadline, to, opaque) = self.deadlines.first()?;
        if deadline <= now.mono { self.handle_answer(to, opaque) } else { None }
    }

    /// When the first question's time is over.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Millis> {
        self.deadlines.first().map(|(deadline, _, _)| *deadline)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Now {
        Now { mono: Millis(millis), ..Now::default() }
    }

    fn table() -> QuestionTable<&'static str> {
        let mut table = QuestionTable::new(3);
        table.handle_asked(PeerId(1), 7, Millis(200), "late");
        table.handle_asked(PeerId(1), 8, Millis(100), "soon");
        table.handle_asked(PeerId(2), 7, Millis(300), "other");
        table
    }

    #[test]
    fn an_answer_ends_the_question_with_its_number_on_its_connection_once() {
        let mut table = table();
        assert_eq!(table.handle_answer(PeerId(2), 8), None);
        assert_eq!(table.handle_answer(PeerId(1), 7), Some("late"));
        assert_eq!(table.handle_answer(PeerId(1), 7), None);
        assert_eq!(table.handle_answer(PeerId(2), 7), Some("other"));
    }

    #[test]
    fn questions_are_over_in_the_order_of_their_deadlines() {
        let mut table = table();
        assert_eq!(table.poll_timeout(), Some(Millis(100)));
        assert_eq!(table.pop_overdue(at(99)), None);
        assert_eq!(table.pop_overdue(at(200)), Some("soon"));
        assert_eq!(table.pop_overdue(at(200)), Some("late"));
        assert_eq!(table.pop_overdue(at(200)), None);
        assert_eq!(table.poll_timeout(), Some(Millis(300)));
    }

    #[test]
    fn a_connection_that_ends_takes_its_questions_with_it() {
        let mut table = table();
        assert_eq!(table.handle_disconnected(PeerId(1)), ["late", "soon"]);
        assert_eq!(table.poll_timeout(), Some(Millis(300)));
    }

    #[test]
    fn a_full_table_has_room_again_when_an_answer_has_come() {
        let mut table = table();
        assert!(!table.has_room_for(1));
        table.handle_answer(PeerId(1), 8);
        assert!(table.has_room_for(1) && !table.has_room_for(2));
    }

    #[test]
    fn a_number_that_is_used_again_stands_for_the_later_question() {
        let mut table = QuestionTable::new(3);
        table.handle_asked(PeerId(1), 7, Millis(100), "first");
        table.handle_asked(PeerId(1), 7, Millis(200), "second");
        assert_eq!(table.poll_timeout(), Some(Millis(200)));
        assert_eq!(table.handle_answer(PeerId(1), 7), Some("second"));
        assert_eq!(table.poll_timeout(), None);
    }
}
