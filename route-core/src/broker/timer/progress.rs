//! Which timers are done, in a few numbers.
//!
//! Timers come in the order of their keys, so "all before this key" says it all: but for those that were stored later with a time before it,
//! after the wall clock was set back for instance. The units from the first of these on are a span of their own, with a key of its own.

use super::window::TimerKey;

/// Spans that are told apart, as many as the clock was set back without having caught up since. Of more, two become one, and messages that
/// were delivered in between may come twice.
const SPANS: usize = 64;

/// Units from an offset on, up to the next span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    /// The first unit.
    pub(super) from: i64,
    /// All units of the span with a key before this one are done, and no other.
    pub(super) before: TimerKey,
}

/// What was read of the queue, and what of that is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Progress {
    /// All units before this offset have been read.
    pub(super) read: i64,
    /// By `from`; there is always one.
    spans: Vec<Span>,
}

impl Progress {
    /// The units before `read` are done if their key is before `before`.
    pub(super) fn new(read: i64, before: TimerKey) -> Self {
        Self { read, spans: vec![Span { from: 0, before }] }
    }

    /// As it was saved; `None` for what cannot be.
    pub(super) fn of_spans(read: i64, spans: Vec<Span>) -> Option<Self> {
        let ordered = spans.windows(2).all(|pair| pair[0].from < pair[1].from);
        (ordered && (1..=SPANS).contains(&spans.len()) && read >= 0).then_some(Self { read, spans })
    }

    pub(super) fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// Whether a unit that has been read is done.
    pub(super) fn is_done(&self, key: TimerKey) -> bool {
        let span = self.spans.iter().rev().find(|span| span.from <= key.offset);
        span.is_some_and(|span| key < span.before)
    }

    /// Whether all of a time are done in the span of a unit. Only then a recall is: it counts until the last message of its time has come.
    pub(super) fn is_time_done(&self, key: TimerKey) -> bool {
        let span = self.spans.iter().rev().find(|span| span.from <= key.offset);
        span.is_some_and(|span| TimerKey::end_of(key.at) <= span.before)
    }

    /// The next unit has been read.
    pub(super) fn read_next(&mut self, key: TimerKey) {
        if let Some(last) = self.spans.last()
            && key < last.before
        {
            let late = Span { from: self.read, before: TimerKey::FIRST };
            match self.spans.last_mut() {
                // Nothing was read of the last span.
                Some(last) if last.from >= self.read => *last = late,
                _ => self.spans.push(late),
            }
            if self.spans.len() > SPANS {
                self.merge_two();
            }
        }
        self.read += 1;
    }

    /// Units that cannot be read are left out.
    pub(super) fn skip_to(&mut self, offset: i64) {
        self.read = self.read.max(offset);
    }

    /// All that have been read with a key before `key` are done.
    pub(super) fn done_before(&mut self, key: TimerKey) {
        for span in &mut self.spans {
            span.before = span.before.max(key);
        }
        // The earlier of two that say the same stays.
        self.spans.dedup_by(|later, earlier| later.before == earlier.before);
    }

    /// The log ends here: what lay behind is gone, and what comes there now is new.
    pub(super) fn cut(&mut self, end: i64) {
        self.read = self.read.min(end);
        let first = self.spans.first().copied();
        self.spans.retain(|span| span.from < end);
        if self.spans.is_empty() {
            self.spans.extend(first.map(|span| Span { from: 0, ..span }));
        }
    }

    /// The smallest key that may not be done.
    pub(super) fn first_open(&self) -> TimerKey {
        self.spans.iter().map(|span| span.before).min().unwrap_or(TimerKey::FIRST)
    }

    /// Makes the two oldest spans one. What is done in only one of them counts as not done.
    fn merge_two(&mut self) {
        let second = self.spans.remove(1);
        if let Some(first) = self.spans.first_mut() {
            first.before = first.before.min(second.before);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    fn key(at: i64, offset: i64) -> TimerKey {
        TimerKey { at: Timestamp(at), offset }
    }

    #[test]
    fn what_comes_in_order_needs_one_span() {
        let mut progress = Progress::new(0, TimerKey::FIRST);
        for (offset, at) in [5, 3, 9].into_iter().enumerate() {
            progress.read_next(key(at, offset as i64));
        }
        progress.done_before(key(5, 0).next());
        assert_eq!((progress.spans().len(), progress.read), (1, 3));
        assert!(progress.is_done(key(3, 1)) && progress.is_done(key(5, 0)) && !progress.is_done(key(9, 2)));
    }

    #[test]
    fn a_unit_with_a_time_that_is_over_begins_a_span_until_it_is_done() {
        let mut progress = Progress::new(0, TimerKey::FIRST);
        progress.read_next(key(5, 0));
        progress.done_before(key(5, 0).next());
        progress.read_next(key(3, 1));
        progress.read_next(key(4, 2));
        assert!(progress.is_done(key(5, 0)) && !progress.is_done(key(3, 1)) && !progress.is_done(key(4, 2)));
        progress.done_before(key(3, 1).next());
        assert!(progress.is_done(key(3, 1)) && !progress.is_done(key(4, 2)));
        progress.read_next(key(9, 3));
        progress.done_before(key(9, 3).next());
        assert_eq!(progress.spans().len(), 1);
    }

    #[test]
    fn of_too_many_spans_none_says_done_of_what_is_not() {
        let mut progress = Progress::new(0, TimerKey::FIRST);
        progress.read_next(key(1000, 0));
        progress.done_before(key(1000, 0).next());
        // The clock goes back again and again, and nothing more comes.
        for offset in 1..200 {
            progress.read_next(key(1000 - offset, offset));
            progress.done_before(key(1000 - offset, offset));
            assert!((1..=offset).all(|offset| !progress.is_done(key(1000 - offset, offset))), "{offset}");
            assert!(progress.spans().len() <= SPANS);
        }
    }

    #[test]
    fn what_lies_behind_a_cut_is_new_when_it_comes_again() {
        let mut progress = Progress::new(0, TimerKey::FIRST);
        for offset in 0..4 {
            progress.read_next(key(offset, offset));
        }
        progress.done_before(key(3, 3).next());
        progress.cut(2);
        assert_eq!(progress.read, 2);
        progress.read_next(key(1, 2));
        assert!(!progress.is_done(key(1, 2)) && progress.is_done(key(1, 1)));
    }
}
