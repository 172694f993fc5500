//! How far the log has come, told by its one writer to the threads that sync it, without a lock.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering, fence};

/// A state of the log that was true at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Position {
    /// One past the last byte of the log; as it is told, of what is committed.
    pub(crate) written: i64,
    /// Store time of the last record.
    pub(crate) written_time: i64,
    /// The units of all records before this are in their queues.
    pub(crate) dispatched: i64,
    /// Where the record begins that ends at `dispatched`; -1 if nothing is known about it.
    pub(crate) last_dispatched: i64,
    /// Store time of that record.
    pub(crate) dispatched_time: i64,
}

/// A [`Position`] that one thread writes and others read whole (a sequence lock).
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// Odd while the fields are being written.
    sequence: AtomicU64,
    fields: [AtomicI64; 5],
}

impl Progress {
    /// Tells a new state. Only one thread may do so.
    pub(crate) fn tell(&self, position: &Position) {
        let sequence = self.sequence.load(Ordering::Relaxed);
        self.sequence.store(sequence.wrapping_add(1), Ordering::Relaxed);
        fence(Ordering::Release);
        let Position { written, written_time, dispatched, last_dispatched, dispatched_time } = *position;
        for (field, value) in self.fields.iter().zip([written, written_time, dispatched, last_dispatched, dispatched_time]) {
            field.store(value, Ordering::Relaxed);
        }
        self.sequence.store(sequence.wrapping_add(2), Ordering::Release);
    }

    /// The last state told. What the writer did before it told is seen by whoever reads it here.
    pub(crate) fn read(&self) -> Position {
        loop {
            let before = self.sequence.load(Ordering::Acquire);
            let [written, written_time, dispatched, last_dispatched, dispatched_time] =
                self.fields.each_ref().map(|field| field.load(Ordering::Relaxed));
            fence(Ordering::Acquire);
            if before.is_multiple_of(2) && self.sequence.load(Ordering::Relaxed) == before {
                return Position { written, written_time, dispatched, last_dispatched, dispatched_time };
            }
            std::hint::spin_loop();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_reader_never_sees_half_a_change() {
        let progress = Arc::new(Progress::default());
        let writer = Arc::clone(&progress);
        let thread = std::thread::spawn(move || {
            for at in 0..200_000 {
                let (written, dispatched) = (at, at);
                writer.tell(&Position { written, written_time: at, dispatched, last_dispatched: at, dispatched_time: at });
            }
        });
        while !thread.is_finished() {
            let Position { written, written_time, dispatched, last_dispatched, dispatched_time } = progress.read();
            assert!([written_time, dispatched, last_dispatched, dispatched_time].iter().all(|field| *field == written));
        }
        thread.join().unwrap();
        assert_eq!(progress.read().written, 199_999);
    }
}
