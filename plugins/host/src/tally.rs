//! Which messages a plugin had no answer for, told in few lines that leave none of them out: the first at once, those that follow in sums.

use std::fmt;

/// Queues that one line names.
const PLACES: usize = 8;

/// Ticks between two lines at most, however long it goes on.
const LONGEST_PAUSE: u32 = 64;

/// Messages of one queue that one group reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Who reads; empty if nobody said it.
    pub(crate) group: String,
    pub(crate) topic: String,
    pub(crate) queue: i32,
    /// The lowest offset.
    pub(crate) first: i64,
    /// The highest offset; not all between them need to be meant.
    pub(crate) last: i64,
    /// How many they are.
    pub(crate) messages: u64,
}

/// Messages, by the queues in which they lie.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sum {
    places: Vec<Place>,
    /// Messages of queues that are not named.
    elsewhere: u64,
}

/// What is still to be told.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    sum: Sum,
    /// Ticks between the last line and the next; none if it is long ago.
    pause: u32,
    left: u32,
}

impl Tally {
    /// There are some more. Answers what is to be told now.
    pub(crate) fn note(&mut self, place: Place) -> Option<Sum> {
        self.sum.add(place);
        if self.pause > 0 {
            return None;
        }
        (self.pause, self.left) = (1, 1);
        self.take()
    }

    /// Some time has passed. Answers what is to be told now.
    pub(crate) fn tick(&mut self) -> Option<Sum> {
        self.left = self.left.saturating_sub(1);
        if self.left > 0 {
            return None;
        }
        let sum = self.take();
        self.pause = if sum.is_some() { (2 * self.pause).min(LONGEST_PAUSE) } else { 0 };
        self.left = self.pause;
        sum
    }

    /// All that has not been told yet.
    pub(crate) fn take(&mut self) -> Option<Sum> {
        let sum = std::mem::take(&mut self.sum);
        (!sum.places.is_empty()).then_some(sum)
    }
}

impl Sum {
    fn add(&mut self, place: Place) {
        let same = |known: &&mut Place| known.queue == place.queue && known.topic == place.topic && known.group == place.group;
        if let Some(known) = self.places.iter_mut().find(same) {
            (known.first, known.last) = (known.first.min(place.first), known.last.max(place.last));
            known.messages += place.messages;
        } else if self.places.len() < PLACES {
            self.places.push(place);
        } else {
            self.elsewhere += place.messages;
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { group, topic, queue, first, last, messages } = self;
        if first == last {
            write!(f, "message {first}")?;
        } else {
            write!(f, "{messages} messages from {first} to {last}")?;
        }
        write!(f, " of queue {queue} of {topic}")?;
        if group.is_empty() { Ok(()) } else { write!(f, " for group {group}") }
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, place) in self.places.iter().enumerate() {
            write!(f, "{}{place}", if nth > 0 { ", " } else { "" })?;
        }
        if self.elsewhere > 0 { write!(f, ", and {} of other queues", self.elsewhere) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(queue: i32, first: i64, last: i64, messages: u64) -> Place {
        Place { group: "readers".to_owned(), topic: "Orders".to_owned(), queue, first, last, messages }
    }

    fn words(sum: Option<Sum>) -> String {
        sum.map_or_else(|| "nothing".to_owned(), |sum| sum.to_string())
    }

    #[test]
    fn the_first_is_told_at_once_and_the_others_in_one_line_with_their_range() {
        let mut tally = Tally::default();
        assert_eq!(words(tally.note(at(0, 7, 7, 1))), "message 7 of queue 0 of Orders for group readers");
        assert_eq!(words(tally.note(at(0, 9, 12, 3))), "nothing");
        assert_eq!(words(tally.note(at(1, 3, 3, 1))), "nothing");
        assert_eq!(words(tally.note(at(0, 8, 20, 5))), "nothing");
        let told = "8 messages from 8 to 20 of queue 0 of Orders for group readers, message 3 of queue 1 of Orders for group readers";
        assert_eq!(words(tally.tick()), told);
        assert_eq!((words(tally.tick()), words(tally.take())), ("nothing".to_owned(), "nothing".to_owned()));
    }

    #[test]
    fn the_longer_it_goes_on_the_rarer_are_the_lines_until_it_is_over() {
        let mut tally = Tally::default();
        assert!(tally.note(at(0, 0, 0, 1)).is_some());
        let mut told = Vec::new();
        for tick in 1..400 {
            assert!(tally.note(at(0, tick, tick, 1)).is_none());
            if tally.tick().is_some() {
                told.push(tick);
            }
        }
        assert_eq!(told, [1, 3, 7, 15, 31, 63, 127, 191, 255, 319, 383]);
        (0..200).for_each(|_| drop(tally.tick()));
        assert!(tally.note(at(0, 500, 500, 1)).is_some());
    }

    #[test]
    fn queues_that_a_line_has_no_room_for_are_counted() {
        let mut tally = Tally::default();
        drop(tally.note(at(0, 0, 0, 1)));
        (0..12).for_each(|queue| drop(tally.note(at(queue, 5, 6, 2))));
        let told = words(tally.take());
        assert!(told.contains("of queue 7") && !told.contains("of queue 8") && told.ends_with(", and 8 of other queues"), "{told}");
    }
}
