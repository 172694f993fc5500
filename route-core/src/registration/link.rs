//! The link to one name server: connected or not, what it was told, what it has to be told next.

use std::{collections::BTreeSet, sync::Arc};

use crate::{output::PeerId, time::Millis};

/// Topics that a name server does not know the present state of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Untold {
    /// It knows all.
    #[default]
    Nothing,
    /// Some topics are new or have changed.
    Some(BTreeSet<Arc<str>>),
    /// Everything: it may know nothing of this broker.
    All,
}

impl Untold {
    /// Above this it is simpler to tell everything.
    const MAX_NAMES: usize = 128;

    fn add(&mut self, names: &[Arc<str>]) {
        match self {
            Self::Nothing => *self = Self::Some(names.iter().cloned().collect()),
            Self::Some(known) => known.extend(names.iter().cloned()),
            Self::All => return,
        }
        if matches!(self, Self::Some(names) if names.len() > Self::MAX_NAMES) {
            *self = Self::All;
        }
    }
}

/// What to do for a link now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Open a connection.
    Dial,
    /// Register with everything or with some topics.
    Register {
        /// Whom.
        peer: PeerId,
        /// Whether the name server has already accepted a registration on this connection.
        known: bool,
        /// What to tell.
        what: Untold,
    },
    /// Take the registration back.
    Unregister {
        /// Whom.
        peer: PeerId,
    },
    /// The name server does not answer: give the connection up.
    GiveUp {
        /// Which.
        peer: PeerId,
    },
}

#[derive(Debug)]
enum Phase {
    /// Not connected, next attempt at that moment.
    Down { retry: Millis },
    /// The outcome of a dial is awaited.
    Dialing,
    /// Connected.
    Up(Up),
    /// Nothing will be done any more.
    Ended,
}

#[derive(Debug)]
struct Up {
    peer: PeerId,
    known: bool,
    /// Set while a request is under way: when to stop waiting for its answer. One is under way at a time, as Java name servers
    /// work on requests of one connection in parallel and would apply them in any order.
    answer_due: Option<Millis>,
    next_full: Millis,
    untold: Untold,
}

/// How long things take.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// From one full registration to the next.
    pub period: Millis,
    /// How long an answer may take.
    pub timeout: Millis,
}

/// One link.
#[derive(Debug)]
pub struct Link {
    phase: Phase,
    pace: Pace,
    /// Attempts since the last accepted registration.
    failures: u32,
    leaving: bool,
}

impl Link {
    /// Pause before the first new attempt; it doubles with each failure.
    pub const MIN_BACK_OFF: Millis = Millis(500);
    /// The longest pause between two attempts.
    pub const MAX_BACK_OFF: Millis = Millis::from_secs(10);
    /// How long a name server may take to answer that it let this broker go; a shutdown does not wait longer.
    pub const FAREWELL: Millis = Millis(500);

    /// A link that wants to be dialled at `now`.
    #[must_use]
    pub const fn new(now: Millis, pace: Pace) -> Self {
        Self { phase: Phase::Down { retry: now }, pace, failures: 0, leaving: false }
    }

    /// The connection, while there is one.
    #[must_use]
    pub const fn peer(&self) -> Option<PeerId> {
        match &self.phase {
            Phase::Up(up) => Some(up.peer),
            _ => None,
        }
    }

    /// Whether the name server has accepted a registration on this connection.
    #[must_use]
    pub const fn is_known(&self) -> bool {
        matches!(&self.phase, Phase::Up(up) if up.known)
    }

    /// Whether the outcome of a dial is awaited.
    #[must_use]
    pub const fn is_dialing(&self) -> bool {
        matches!(self.phase, Phase::Dialing)
    }

    /// Whether nothing will happen any more.
    #[must_use]
    pub const fn has_ended(&self) -> bool {
        matches!(self.phase, Phase::Ended)
    }

    /// Attempts that failed since the last success.
    #[must_use]
    pub const fn failures(&self) -> u32 {
        self.failures
    }

    /// The connection stands: everything is to be told.
    pub fn handle_connected(&mut self, now: Millis, peer: PeerId) {
        self.phase = Phase::Up(Up { peer, known: false, answer_due: None, next_full: now, untold: Untold::All });
    }

    /// The dial failed, or the connection is gone.
    pub fn handle_lost(&mut self, now: Millis) {
        if self.leaving {
            self.phase = Phase::Ended;
            return;
        }
        let doubled = Self::MIN_BACK_OFF.0 << self.failures.min(16);
        self.failures = self.failures.saturating_add(1);
        self.phase = Phase::Down { retry: now + Millis(doubled.min(Self::MAX_BACK_OFF.0)) };
    }

    /// The name server answered the registration, or the farewell.
    pub fn handle_answered(&mut self, now: Millis, accepted: bool) {
        let Phase::Up(up) = &mut self.phase else { return };
        up.answer_due = None;
        if self.leaving {
            return;
        }
        if accepted {
            up.known = true;
            self.failures = 0;
        } else {
            // It may have forgotten this broker: the next word is everything, but not at once, for it would be refused again.
            up.known = false;
            up.untold = Untold::All;
            up.next_full = now + Self::MAX_BACK_OFF;
        }
    }

    /// Topics are new or have changed.
    pub fn handle_topics_changed(&mut self, names: &[Arc<str>]) {
        if let Phase::Up(up) = &mut self.phase {
            up.untold.add(names);
        }
    }

    /// What was told last was not all that was to be told.
    pub fn handle_told_too_little(&mut self) {
        if let Phase::Up(up) = &mut self.phase {
            up.untold = Untold::All;
        }
    }

    /// This broker goes away; what is under way is not waited for.
    pub fn handle_shutdown(&mut self) {
        self.leaving = true;
        match &mut self.phase {
            Phase::Up(up) => up.answer_due = None,
            _ => self.phase = Phase::Ended,
        }
    }

    /// When [`Self::poll_step`] has something to do that it does not have now.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Millis> {
        match &self.phase {
            Phase::Down { retry } => Some(*retry),
            Phase::Up(up) => up.answer_due.or(Some(up.next_full)),
            Phase::Dialing | Phase::Ended => None,
        }
    }

    /// What is to be done now. To be asked until there is nothing.
    #[must_use]
    pub fn poll_step(&mut self, now: Millis) -> Option<Step> {
        match &mut self.phase {
            Phase::Down { retry } if *retry <= now => {
                self.phase = Phase::Dialing;
                Some(Step::Dial)
            }
            Phase::Up(up) => {
                let peer = up.peer;
                if let Some(due) = up.answer_due {
                    if now < due {
                        return None;
                    }
                    self.handle_lost(now);
                    return Some(Step::GiveUp { peer });
                }
                if self.leaving {
                    return self.leave(now, peer);
                }
                let due = up.next_full <= now;
                let what = match (&up.untold, due, up.known) {
                    (_, true, _) => Untold::All,
                    // Refused before: everything, but not before its time.
                    (_, false, false) | (Untold::Nothing, false, true) => return None,
                    (_, false, true) => std::mem::take(&mut up.untold),
                };
                if what == Untold::All {
                    up.next_full = now + self.pace.period;
                    up.untold = Untold::Nothing;
                }
                up.answer_due = Some(now + self.pace.timeout);
                Some(Step::Register { peer, known: up.known, what })
            }
            _ => None,
        }
    }

    fn leave(&mut self, now: Millis, peer: PeerId) -> Option<Step> {
        let Phase::Up(up) = &mut self.phase else { return None };
        // `known` has done its service: from here it says that the farewell is still to be sent.
        if std::mem::take(&mut up.known) {
            up.answer_due = Some(now + Self::FAREWELL);
            return Some(Step::Unregister { peer });
        }
        self.phase = Phase::Ended;
        Some(Step::GiveUp { peer })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace { period: Millis::from_secs(30), timeout: Millis::from_secs(24) };
    const PEER: PeerId = PeerId(1);
    const ALL: Step = Step::Register { peer: PEER, known: false, what: Untold::All };
    const AGAIN: Step = Step::Register { peer: PEER, known: true, what: Untold::All };

    fn topics(names: &[&str]) -> Vec<Arc<str>> {
        names.iter().map(|name| Arc::from(*name)).collect()
    }

    fn some(names: &[&str]) -> Step {
        Step::Register { peer: PEER, known: true, what: Untold::Some(topics(names).into_iter().collect()) }
    }

    /// A link whose first registration was accepted at time zero.
    fn known() -> Link {
        let mut link = Link::new(Millis::ZERO, PACE);
        assert_eq!(link.poll_step(Millis::ZERO), Some(Step::Dial));
        link.handle_connected(Millis::ZERO, PEER);
        assert_eq!(link.poll_step(Millis::ZERO), Some(ALL));
        link.handle_answered(Millis::ZERO, true);
        assert_eq!(link.poll_step(Millis::ZERO), None);
        link
    }

    #[test]
    fn everything_is_told_again_after_each_period() {
        let mut link = known();
        assert_eq!(link.poll_timeout(), Some(PACE.period));
        assert_eq!(link.poll_step(Millis(29_999)), None);
        assert_eq!(link.poll_step(PACE.period), Some(AGAIN));
    }

    #[test]
    fn a_changed_topic_is_told_at_once() {
        let mut link = known();
        link.handle_topics_changed(&topics(&["T"]));
        assert_eq!(link.poll_step(Millis(1)), Some(some(&["T"])));
    }

    #[test]
    fn changes_during_a_request_wait_for_its_answer_and_go_out_together() {
        let mut link = known();
        link.handle_topics_changed(&topics(&["T"]));
        assert_eq!(link.poll_step(Millis(1)), Some(some(&["T"])));
        link.handle_topics_changed(&topics(&["U"]));
        link.handle_topics_changed(&topics(&["T", "V"]));
        assert_eq!(link.poll_step(Millis(2)), None);
        link.handle_answered(Millis(3), true);
        assert_eq!(link.poll_step(Millis(3)), Some(some(&["T", "U", "V"])));
    }

    #[test]
    fn more_changed_topics_than_are_worth_listing_become_everything() {
        let mut link = known();
        let names: Vec<String> = (0..=Untold::MAX_NAMES).map(|n| n.to_string()).collect();
        link.handle_topics_changed(&names.iter().map(|name| Arc::from(name.as_str())).collect::<Vec<_>>());
        assert_eq!(link.poll_step(Millis(1)), Some(AGAIN));
    }

    #[test]
    fn pauses_between_dials_grow_up_to_a_limit() {
        let mut link = Link::new(Millis::ZERO, PACE);
        let mut now = Millis::ZERO;
        let mut pauses = Vec::new();
        for _ in 0..8 {
            assert_eq!(link.poll_step(now), Some(Step::Dial));
            link.handle_lost(now);
            let retry = link.poll_timeout().unwrap();
            pauses.push(retry.saturating_sub(now).0);
            now = retry;
        }
        assert_eq!(pauses, [500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000, 10_000]);
    }

    #[test]
    fn an_accepted_registration_makes_the_pauses_short_again() {
        let mut link = known();
        link.handle_lost(Millis(7));
        assert_eq!(link.poll_timeout(), Some(Millis(7) + Link::MIN_BACK_OFF));
    }

    #[test]
    fn a_new_connection_is_told_everything() {
        let mut link = known();
        link.handle_lost(Millis(7));
        assert_eq!(link.poll_step(Millis(507)), Some(Step::Dial));
        link.handle_connected(Millis(508), PEER);
        assert_eq!(link.poll_step(Millis(508)), Some(ALL));
    }

    #[test]
    fn who_does_not_answer_in_time_is_given_up_and_dialled_again() {
        let mut link = known();
        assert_eq!(link.poll_step(PACE.period), Some(AGAIN));
        let due = PACE.period + PACE.timeout;
        assert_eq!(link.poll_timeout(), Some(due));
        assert_eq!(link.poll_step(due), Some(Step::GiveUp { peer: PEER }));
        assert_eq!(link.poll_step(due), None);
        assert_eq!(link.poll_step(due + Link::MIN_BACK_OFF), Some(Step::Dial));
    }

    #[test]
    fn a_refusal_is_followed_by_everything_but_not_at_once() {
        let mut link = known();
        link.handle_topics_changed(&topics(&["T"]));
        assert_eq!(link.poll_step(Millis(1)), Some(some(&["T"])));
        link.handle_answered(Millis(2), false);
        link.handle_topics_changed(&topics(&["U"]));
        assert_eq!(link.poll_step(Millis(2)), None);
        assert_eq!(link.poll_step(Millis(2) + Link::MAX_BACK_OFF), Some(ALL));
    }

    #[test]
    fn a_leaving_broker_says_so_and_waits_a_moment_for_the_answer() {
        let mut link = known();
        link.handle_shutdown();
        assert_eq!(link.poll_step(Millis(5)), Some(Step::Unregister { peer: PEER }));
        assert_eq!(link.poll_timeout(), Some(Millis(5) + Link::FAREWELL));
        link.handle_answered(Millis(6), true);
        assert_eq!(link.poll_step(Millis(6)), Some(Step::GiveUp { peer: PEER }));
        assert!(link.has_ended());
    }

    #[test]
    fn a_leaving_broker_does_not_wait_for_ever() {
        let mut link = known();
        link.handle_shutdown();
        assert_eq!(link.poll_step(Millis(5)), Some(Step::Unregister { peer: PEER }));
        assert_eq!(link.poll_step(Millis(5) + Link::FAREWELL), Some(Step::GiveUp { peer: PEER }));
        assert!(link.has_ended());
    }

    #[test]
    fn a_leaving_broker_that_is_not_connected_is_done_at_once() {
        let mut link = Link::new(Millis::ZERO, PACE);
        assert_eq!(link.poll_step(Millis::ZERO), Some(Step::Dial));
        link.handle_shutdown();
        assert!(link.has_ended());
        assert_eq!(link.poll_timeout(), None);
    }

    #[test]
    fn a_registration_under_way_does_not_hold_a_leaving_broker_up() {
        let mut link = known();
        assert_eq!(link.poll_step(PACE.period), Some(AGAIN));
        link.handle_shutdown();
        assert_eq!(link.poll_step(PACE.period), Some(Step::Unregister { peer: PEER }));
    }
}
