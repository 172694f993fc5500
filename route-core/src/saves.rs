//! The saves of one table: when it goes to disk, and which answers wait for that.
//!
//! A machine has one [`Saves`] for each table that it keeps: the broker ten of them (`broker/tables.rs`), the name server one for its
//! keys. It calls [`Saves::handle_changed`] when a request has changed the table, [`Saves::poll_save`] when its outputs are drained, to put
//! out `Output::Persist` with the number that it gets, and [`Saves::handle_persisted`] when the world brings that number back.
//!
//! One save is under way at a time. What changes meanwhile goes out together with the next one, so that a flood of changes
//! costs a save per disk write and not one per change.

use proto_core::code::ResponseCode;

use crate::output::{Output, ParkedReply, PeerId, Reply, Table, Ticket};

/// Numbers the saves of one machine.
#[derive(Debug, Default)]
pub struct Tickets(u64);

impl Tickets {
    fn next(&mut self) -> Ticket {
        self.0 += 1;
        Ticket(self.0)
    }
}

/// An answer that waits for a save.
#[derive(Debug)]
pub struct Waiting {
    /// The answer.
    pub parked: ParkedReply,
    /// The tables whose saves it waits for after this one.
    pub then: &'static [Table],
}

impl Waiting {
    /// The answer after a save that has failed: the change is made, and nobody can promise that it stays.
    #[must_use]
    pub fn fail(self, why: &str) -> Output {
        let reply = Reply::error(ResponseCode::SystemError, format!("the change could not be saved: {why}"));
        ParkedReply { reply, ..self.parked }.into()
    }
}

/// The save of one table that is under way, and who waits for it and for the next.
#[derive(Debug, Default)]
pub struct Saves {
    /// The save that was started last and who waits for it.
    under_way: Option<(Ticket, Vec<Waiting>)>,
    /// The table has changed since.
    dirty: bool,
    /// The last save failed: what it held is to be tried again.
    failed: bool,
    /// Who waits for the next save.
    waiting: Vec<Waiting>,
}

impl Saves {
    /// Answers that may wait for one table.
    pub const MAX_WAITING: usize = 4096;

    /// Whether one more answer has a place to wait. Who finds none should refuse the change before it is made.
    #[must_use]
    pub fn has_room(&self) -> bool {
        let under_way = self.under_way.as_ref().map_or(0, |(_, waiting)| waiting.len());
        under_way + self.waiting.len() < Self::MAX_WAITING
    }

    /// The table has changed; what is given leaves once that is durable.
    pub fn handle_changed(&mut self, answer: Option<Waiting>) {
        self.dirty = true;
        self.waiting.extend(answer);
    }

    /// Lets an answer wait for what has changed so far, of which there may be nothing: then it is given back. What the last save did not
    /// bring to disk is tried again for it: who repeats a change that was refused so changes nothing, and must not hear of success all the
    /// same.
    pub fn wait(&mut self, answer: Waiting) -> Option<Waiting> {
        self.handle_retry();
        match &mut self.under_way {
            _ if self.dirty => self.waiting.push(answer),
            Some((_, waiting)) => waiting.push(answer),
            None => return Some(answer),
        }
        None
    }

    /// The number of a save that is to be started now with the table's present content, if one is.
    #[must_use]
    pub fn poll_save(&mut self, tickets: &mut Tickets) -> Option<Ticket> {
        if !self.dirty || self.under_way.is_some() {
            return None;
        }
        (self.dirty, self.failed) = (false, false);
        let ticket = tickets.next();
        self.under_way = Some((ticket, std::mem::take(&mut self.waiting)));
        Some(ticket)
    }

    /// A save has ended, well (`saved`) or not: gives back who waited for it, to be answered accordingly. A number that is not awaited
    /// releases nobody. After a failure the table waits for its next change or for [`Self::handle_retry`], so that a full disk is not asked in a
    /// circle.
    #[must_use]
    pub fn handle_persisted(&mut self, ticket: Ticket, saved: bool) -> Vec<Waiting> {
        match self.under_way.take() {
            Some((awaited, waiting)) if awaited == ticket => {
                self.failed = !saved;
                waiting
            }
            other => {
                self.under_way = other;
                Vec::new()
            }
        }
    }

    /// Some time has passed, or the process is to end: a save that failed is tried again.
    pub fn handle_retry(&mut self) {
        self.dirty |= std::mem::take(&mut self.failed);
    }

    /// Whether nothing is under way and nothing is to be saved.
    #[must_use]
    pub const fn is_idle(&self) -> bool {
        self.under_way.is_none() && !self.dirty
    }

    /// A connection is gone: nobody there waits any more.
    pub fn handle_disconnected(&mut self, peer: PeerId) {
        let under_way = self.under_way.iter_mut().map(|(_, waiting)| waiting);
        for waiting in under_way.chain([&mut self.waiting]) {
            waiting.retain(|answer| answer.parked.to != peer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(peer: u64) -> Option<Waiting> {
        Some(Waiting { parked: ParkedReply { to: PeerId(peer), opaque: 1, reply: Reply::ok() }, then: &[] })
    }

    fn peers(waiting: &[Waiting]) -> Vec<u64> {
        waiting.iter().map(|answer| answer.parked.to.0).collect()
    }

    #[test]
    fn an_answer_waits_until_its_save_is_durable() {
        let (mut saves, mut tickets) = (Saves::default(), Tickets::default());
        saves.handle_changed(answer(1));
        let ticket = saves.poll_save(&mut tickets).unwrap();
        assert_eq!(peers(&saves.handle_persisted(ticket, true)), [1]);
        assert_eq!(saves.poll_save(&mut tickets), None);
    }

    #[test]
    fn changes_during_a_save_share_the_next_one() {
        let (mut saves, mut tickets) = (Saves::default(), Tickets::default());
        saves.handle_changed(answer(1));
        let first = saves.poll_save(&mut tickets).unwrap();
        saves.handle_changed(answer(2));
        saves.handle_changed(answer(3));
        assert_eq!(saves.poll_save(&mut tickets), None);
        assert_eq!(peers(&saves.handle_persisted(first, true)), [1]);
        let second = saves.poll_save(&mut tickets).unwrap();
        assert_eq!(peers(&saves.handle_persisted(second, true)), [2, 3]);
    }

    #[test]
    fn an_answer_without_a_change_waits_for_no_save() {
        let (mut saves, mut tickets) = (Saves::default(), Tickets::default());
        assert!(answer(1).is_some_and(|answer| saves.wait(answer).is_some()));
        saves.handle_changed(None);
        let ticket = saves.poll_save(&mut tickets).unwrap();
        assert!(answer(2).is_some_and(|answer| saves.wait(answer).is_none()));
        assert_eq!(peers(&saves.handle_persisted(ticket, true)), [2]);
    }

    #[test]
    fn a_save_that_failed_is_tried_again_when_told_and_not_before() {
        let (mut saves, mut tickets) = (Saves::default(), Tickets::default());
        saves.handle_changed(None);
        let ticket = saves.poll_save(&mut tickets).unwrap();
        assert!(saves.handle_persisted(ticket, false).is_empty());
        assert_eq!(saves.poll_save(&mut tickets), None);
        saves.handle_retry();
        let again = saves.poll_save(&mut tickets).unwrap();
        assert!(saves.handle_persisted(again, true).is_empty());
        saves.handle_retry();
        assert_eq!(saves.poll_save(&mut tickets), None);
    }

    #[test]
    fn an_answer_without_a_change_waits_for_what_a_failed_save_has_left() {
        let (mut saves, mut tickets) = (Saves::default(), Tickets::default());
        saves.handle_changed(answer(1));
        let ticket = saves.poll_save(&mut tickets).unwrap();
        assert_eq!(peers(&saves.handle_persisted(ticket, false)), [1]);
        assert!(answer(2).is_some_and(|answer| saves.wait(answer).is_none()));
        let again = saves.poll_save(&mut tickets).unwrap();
        assert_eq!(peers(&saves.handle_persisted(again, true)), [2]);
        assert!(answer(3).is_some_and(|answer| saves.wait(answer).is_some()));
    }

    #[test]
    fn a_number_that_nobody_awaits_releases_nobody() {
        let (mut saves, mut tickets) = (Saves::default(), Tickets::default());
        saves.handle_changed(answer(1));
        let ticket = saves.poll_save(&mut tickets).unwrap();
        assert!(saves.handle_persisted(Ticket(ticket.0 + 1), true).is_empty());
        assert_eq!(peers(&saves.handle_persisted(ticket, true)), [1]);
    }

    #[test]
    fn who_has_left_is_not_answered() {
        let (mut saves, mut tickets) = (Saves::default(), Tickets::default());
        saves.handle_changed(answer(1));
        saves.handle_changed(answer(2));
        let ticket = saves.poll_save(&mut tickets).unwrap();
        saves.handle_disconnected(PeerId(1));
        assert_eq!(peers(&saves.handle_persisted(ticket, true)), [2]);
    }

    #[test]
    fn places_to_wait_are_limited() {
        let mut saves = Saves::default();
        for peer in 0..Saves::MAX_WAITING as u64 {
            assert!(saves.has_room());
            saves.handle_changed(answer(peer));
        }
        assert!(!saves.has_room());
    }
}
