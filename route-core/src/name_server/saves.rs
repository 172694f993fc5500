//! Answers that wait for a table to be on disk.
//!
//! One save is under way at a time. What changes meanwhile goes out together with the next one, so that a flood of changes
//! costs a save per disk write and not one per change.

use crate::output::{PeerId, Reply, Ticket};

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

/// The save under way, and who waits for it and for the next.
#[derive(Debug, Default)]
pub struct Saves {
    last: u64,
    under_way: Option<(Ticket, Vec<Parked>)>,
    dirty: bool,
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

    /// The number of a save that is to be started now with the table's present content, if one is.
    #[must_use]
    pub fn poll_save(&mut self) -> Option<Ticket> {
        if !self.dirty || self.under_way.is_some() {
            return None;
        }
        self.dirty = false;
        self.last += 1;
        let ticket = Ticket(self.last);
        self.under_way = Some((ticket, std::mem::take(&mut self.waiting)));
        Some(ticket)
    }

    /// A save is durable: these may be answered. A number that is not awaited releases nobody.
    #[must_use]
    pub fn handle_persisted(&mut self, ticket: Ticket) -> Vec<Parked> {
        match self.under_way.take() {
            Some((awaited, parked)) if awaited == ticket => parked,
            other => {
                self.under_way = other;
                Vec::new()
            }
        }
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
        let mut saves = Saves::default();
        saves.handle_changed(parked(1));
        let ticket = saves.poll_save().unwrap();
        assert_eq!(peers(&saves.handle_persisted(ticket)), [1]);
        assert_eq!(saves.poll_save(), None);
    }

    #[test]
    fn changes_during_a_save_share_the_next_one() {
        let mut saves = Saves::default();
        saves.handle_changed(parked(1));
        let first = saves.poll_save().unwrap();
        saves.handle_changed(parked(2));
        saves.handle_changed(parked(3));
        assert_eq!(saves.poll_save(), None);
        assert_eq!(peers(&saves.handle_persisted(first)), [1]);
        let second = saves.poll_save().unwrap();
        assert_eq!(peers(&saves.handle_persisted(second)), [2, 3]);
    }

    #[test]
    fn a_number_that_nobody_awaits_releases_nobody() {
        let mut saves = Saves::default();
        saves.handle_changed(parked(1));
        let ticket = saves.poll_save().unwrap();
        assert!(saves.handle_persisted(Ticket(ticket.0 + 1)).is_empty());
        assert_eq!(peers(&saves.handle_persisted(ticket)), [1]);
    }

    #[test]
    fn who_has_left_is_not_answered() {
        let mut saves = Saves::default();
        saves.handle_changed(parked(1));
        saves.handle_changed(parked(2));
        let ticket = saves.poll_save().unwrap();
        saves.handle_disconnected(PeerId(1));
        assert_eq!(peers(&saves.handle_persisted(ticket)), [2]);
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
