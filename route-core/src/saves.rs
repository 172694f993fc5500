//! Answers that wait for a table to be on disk.
//!
//! One save is under way at a time. What changes meanwhile goes out together with the next one, so that a flood of changes
//! costs a save per disk write and not one per change.

use proto_core::code::ResponseCode;

use crate::output::{Output, PeerId, Reply, Ticket};

/// An answer and whom it is for.
#[derive(Debug)]
pub struct Parked {
    /// Whom.
    pub to: PeerId,
    /// The number of the request.
    pub opaque: i32,
    /// What to say once the change is durable.
    pub reply: Reply,
}

/// Numbers the saves of one machine.
#[derive(Debug, Default)]
pub struct Tickets(u64);

impl Tickets {
    fn next(&mut self) -> Ticket {
        self.0 += 1;
        Ticket(self.0)
    }
}

impl Parked {
    /// The answer after its save has ended: as it was, or that the change could not be saved.
    #[must_use]
    pub fn settle(self, saved: &Result<(), String>) -> Output {
        let reply = match saved {
            Ok(()) => self.reply,
            Err(why) => Reply::error(ResponseCode::SystemError, format!("the change could not be saved: {why}")),
        };
        Output::Reply { to: self.to, opaque: self.opaque, reply }
    }
}

/// The save of one table that is under way, and who waits for it and for the next.
#[derive(Debug, Default)]
pub struct Saves {
    under_way: Option<(Ticket, Vec<Parked>)>,
    dirty: bool,
    /// The last save failed: what it held is to be tried again.
    failed: bool,
    waiting: Vec<Parked>,
}

impl Saves {
    /// Answers that wait at most; a change beyond it is refused before it is made.
    pub const MAX_PARKED: usize = 4096;

    /// Whether a change may be made now, so that its answer has a place to wait.
    #[must_use]
    pub fn has_room(&self) -> bool {
        let sent = self.under_way.as_ref().map_or(0, |(_, parked)| parked.len());
        sent + self.waiting.len() < Self::MAX_PARKED
    }

    /// The table has changed; `parked` is answered once that is durable.
    pub fn handle_changed(&mut self, parked: Option<Parked>) {
        self.dirty = true;
        self.waiting.extend(parked);
    }

    /// Lets an answer wait for what has changed so far, of which there may be nothing: then it is given back.
    pub fn wait(&mut self, parked: Parked) -> Option<Parked> {
        match &mut self.under_way {
            _ if self.dirty => self.waiting.push(parked),
            Some((_, waiting)) => waiting.push(parked),
            None => return Some(parked),
        }
        None
    }

    /// The number of a save that is to be started now with the table's present content, if one is.
    #[must_use]
    pub fn poll_save(&mut self, tickets: &mut Tickets) -> Option<Ticket> {
        if !self.dirty || self.under_way.is_some() {
            return None;
        }
        self.dirty = false;
        let ticket = tickets.next();
        self.under_way = Some((ticket, std::mem::take(&mut self.waiting)));
        Some(ticket)
    }

    /// A save has ended: those who waited for it may be answered. A number that is not awaited releases nobody. After a failure the table
    /// waits for its next change or for [`Self::handle_retry`], so that a full disk is not asked in a circle.
    #[must_use]
    pub fn handle_persisted(&mut self, ticket: Ticket, saved: bool) -> Vec<Parked> {
        match self.under_way.take() {
            Some((awaited, parked)) if awaited == ticket => {
                self.failed = !saved;
                parked
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
        let sent = self.under_way.iter_mut().map(|(_, parked)| parked);
        for parked in sent.chain([&mut self.waiting]) {
            parked.retain(|parked| parked.to != peer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parked(peer: u64) -> Option<Parked> {
        Some(Parked { to: PeerId(peer), opaque: 1, reply: Reply::ok() })
    }

    fn peers(parked: &[Parked]) -> Vec<u64> {
        parked.iter().map(|parked| parked.to.0).collect()
    }

    #[test]
    fn an_answer_waits_until_its_save_is_durable() {
        let (mut saves, mut tickets) = (Saves::default(), Tickets::default());
        saves.handle_changed(parked(1));
        let ticket = saves.poll_save(&mut tickets).unwrap();
        assert_eq!(peers(&saves.handle_persisted(ticket, true)), [1]);
        assert_eq!(saves.poll_save(&mut tickets), None);
    }

    #[test]
    fn changes_during_a_save_share_the_next_one() {
        let (mut saves, mut tickets) = (Saves::default(), Tickets::default());
        saves.handle_changed(parked(1));
        let first = saves.poll_save(&mut tickets).unwrap();
        saves.handle_changed(parked(2));
        saves.handle_changed(parked(3));
        assert_eq!(saves.poll_save(&mut tickets), None);
        assert_eq!(peers(&saves.handle_persisted(first, true)), [1]);
        let second = saves.poll_save(&mut tickets).unwrap();
        assert_eq!(peers(&saves.handle_persisted(second, true)), [2, 3]);
    }

    #[test]
    fn an_answer_without_a_change_waits_for_no_save() {
        let (mut saves, mut tickets) = (Saves::default(), Tickets::default());
        assert!(parked(1).is_some_and(|parked| saves.wait(parked).is_some()));
        saves.handle_changed(None);
        let ticket = saves.poll_save(&mut tickets).unwrap();
        assert!(parked(2).is_some_and(|parked| saves.wait(parked).is_none()));
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
    fn a_number_that_nobody_awaits_releases_nobody() {
        let (mut saves, mut tickets) = (Saves::default(), Tickets::default());
        saves.handle_changed(parked(1));
        let ticket = saves.poll_save(&mut tickets).unwrap();
        assert!(saves.handle_persisted(Ticket(ticket.0 + 1), true).is_empty());
        assert_eq!(peers(&saves.handle_persisted(ticket, true)), [1]);
    }

    #[test]
    fn who_has_left_is_not_answered() {
        let (mut saves, mut tickets) = (Saves::default(), Tickets::default());
        saves.handle_changed(parked(1));
        saves.handle_changed(parked(2));
        let ticket = saves.poll_save(&mut tickets).unwrap();
        saves.handle_disconnected(PeerId(1));
        assert_eq!(peers(&saves.handle_persisted(ticket, true)), [2]);
    }

    #[test]
    fn places_to_wait_are_limited() {
        let mut saves = Saves::default();
        for peer in 0..Saves::MAX_PARKED as u64 {
            assert!(saves.has_room());
            saves.handle_changed(parked(peer));
        }
        assert!(!saves.has_room());
    }
}
