//! Records whose queue offset makes a jump, while all queues are built anew from the whole log. Nothing covers that field by a checksum:
//! believed blindly, one flipped bit in it would shift all messages behind it, or empty the queue. The next record of the queue tells.

use std::io;

use route_core::storage::{QueueId, QueueUnit};

use super::{
    QueueTable,
    place::{Lost, Placing},
};

/// A unit that is not put in place yet.
#[derive(Debug)]
pub(super) struct Held {
    /// What its record says.
    offset: i64,
    unit: QueueUnit,
    /// What damage had taken up to there.
    lost: Lost,
}

impl Held {
    /// Whether to believe it in a queue that ends at `expected`, if the next record of the queue says to have the offset `next`.
    fn is_believed(&self, expected: i64, next: Option<i64>) -> bool {
        match next {
            // Its topic was removed and made again, unless the old one goes on.
            _ if self.offset == 0 => next != Some(expected + 1),
            Some(next) => next > self.offset,
            None => self.offset - expected <= self.lost.units,
        }
    }
}

impl QueueTable {
    /// Puts a unit in place while the queues are built anew from the whole log; one that would make a jump waits for the next of its queue.
    pub(super) fn put_in_whole(&mut self, queue: QueueId, offset: i64, unit: &QueueUnit, lost: Lost) -> io::Result<bool> {
        if let Some(held) = self.held.swap_remove(&queue.0) {
            self.settle(queue, &held, Some(offset))?;
        }
        let target = self.get_mut(queue).map_err(io::Error::other)?;
        if target.has_units() && (offset > target.max() || offset == 0) {
            self.held.insert(queue.0, Held { offset, unit: *unit, lost });
            return Ok(true);
        }
        self.put_now(queue, offset, unit, lost)
    }

    /// The log has ended: no record comes that could tell more.
    ///
    /// # Errors
    /// Those of the operating system.
    pub(crate) fn settle_held(&mut self) -> io::Result<()> {
        while let Some((queue, held)) = self.held.pop() {
            self.settle(QueueId(queue), &held, None)?;
        }
        Ok(())
    }

    fn settle(&mut self, queue: QueueId, held: &Held, next: Option<i64>) -> io::Result<()> {
        let expected = self.get_mut(queue).map_err(io::Error::other)?.max();
        let offset = if held.is_believed(expected, next) {
            held.offset
        } else {
            let (topic, queue_id) = self.place_of(queue).unwrap_or_default();
            let (at, offset) = (held.unit.offset.0, held.offset);
            tracing::error!(at, topic, queue_id, offset, expected, "a record's queue offset is wrong; it is put where it follows");
            expected
        };
        self.put_now(queue, offset, &held.unit, held.lost).map(drop)
    }

    fn put_now(&mut self, queue: QueueId, offset: i64, unit: &QueueUnit, lost: Lost) -> io::Result<bool> {
        let Some((topic, queue_id)) = self.name_of(queue) else { return Ok(true) };
        let placing = Placing { log_start: self.log_start.get(), whole: true, lost };
        placing.put(self.get_mut(queue).map_err(io::Error::other)?, (&topic, queue_id), offset, unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(offset: i64, lost: i64) -> Held {
        Held { offset, unit: QueueUnit::decode(&[0; QueueUnit::LEN]), lost: Lost { at: None, units: lost } }
    }

    #[test]
    fn a_jump_is_believed_if_the_queue_goes_on_behind_it() {
        assert!(held(45, 0).is_believed(37, Some(46)) && !held(45, 0).is_believed(37, Some(38)));
        assert!(held(45, 8).is_believed(37, None) && !held(45, 7).is_believed(37, None), "the last one, by what damage has taken");
    }

    #[test]
    fn a_new_beginning_is_believed_unless_the_old_queue_goes_on() {
        assert!(held(0, 0).is_believed(32, Some(1)) && held(0, 0).is_believed(32, None) && !held(0, 0).is_believed(32, Some(33)));
    }
}
