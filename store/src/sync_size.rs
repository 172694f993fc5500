//! Whether space of the log is filled with zeros before messages come there.
//!
//! Of space that is only allocated the file system has to note, with each sync, how far it has been written: one or two waits for the disk more than
//! where zeros lie already, but the zeros have to be written, too. For a sync that brings a few messages to disk they are the smaller part; for one of
//! hundreds, the disk has better to do.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// From so many bytes in a sync on, space is not filled any more …
const LARGE: u64 = 160 << 10;
/// … and from here down it is again.
const SMALL: u64 = 112 << 10;
/// A sync changes the mean by so much of what it differs.
const WEIGHT: u64 = 16;

/// How many bytes a sync of the log brings to disk, of late. Told by the one who syncs.
#[derive(Debug, Default)]
pub(crate) struct SyncSize(AtomicU64);

impl SyncSize {
    /// A sync of so many bytes is done. Only one thread may tell.
    pub(crate) fn note(&self, bytes: u64) {
        let mean = self.0.load(Ordering::Relaxed);
        self.0.store(mean - mean / WEIGHT + bytes / WEIGHT, Ordering::Relaxed);
    }

    fn mean(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Decides.
#[derive(Debug)]
pub(crate) struct Filling {
    size: Arc<SyncSize>,
    pays: bool,
}

impl Filling {
    /// Nothing has been synced yet: it pays.
    pub(crate) const fn new(size: Arc<SyncSize>) -> Self {
        Self { size, pays: true }
    }

    /// Whether the next bytes are to be filled.
    pub(crate) fn pays(&mut self) -> bool {
        let mean = self.size.mean();
        self.pays = if self.pays { mean < LARGE } else { mean <= SMALL };
        self.pays
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_pays_for_small_syncs_only() {
        let size = Arc::new(SyncSize::default());
        let mut filling = Filling::new(Arc::clone(&size));
        let mut after = |bytes: u64, syncs: usize| {
            (0..syncs).for_each(|_| size.note(bytes));
            filling.pays()
        };
        assert!(after(0, 0), "nothing is known");
        assert!(after(1400, 1000));
        assert!(after(700 << 10, 2), "two large ones in between say little");
        assert!(!after(700 << 10, 20));
        assert!(!after(140 << 10, 1000), "neither large nor small: it stays as it was");
        assert!(after(80 << 10, 1000));
        assert!(after(140 << 10, 1000));
    }
}
