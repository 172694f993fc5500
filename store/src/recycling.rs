//! Whether old pages of the log give their memory to new ones.
//!
//! The system keeps what was written in memory for as long as there is any, which is right for whoever reads it. Where [fresh memory is
//! dear](crate::page_cost) and nobody reads far behind the end, the log goes on in memory that it has: pages that are on disk and lie well behind
//! leave the page cache, and the next ones are made of what they leave.

use std::ops::Range;

/// So many bytes behind the end of the log stay in any case, for consumers that keep up.
const KEPT: i64 = 512 << 20;
/// Nothing goes until so many bytes have been written since somebody read behind that.
const UNDISTURBED: u64 = 1 << 30;

/// What the log tells.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Told {
    /// Its end.
    pub(crate) end: i64,
    /// So many bytes were written since the start.
    pub(crate) written: u64,
    /// Fresh memory is dear.
    pub(crate) dear: bool,
    /// Somebody has read [far behind](is_far) its end since it was told last.
    pub(crate) read_far: bool,
}

/// Decides.
#[derive(Debug)]
pub(crate) struct Recycling {
    /// So many bytes are written before anything goes.
    after: u64,
    /// What lies before this is left as it is, or gone.
    passed: i64,
    /// When somebody read far behind the end last, in bytes written.
    read_far: Option<u64>,
}

/// Whether a place lies so far behind the end of the log that it might go.
#[inline]
pub(crate) const fn is_far(offset: i64, end: i64) -> bool {
    offset < end - KEPT
}

impl Recycling {
    /// Nothing goes before `after` bytes have been written.
    pub(crate) const fn new(after: u64) -> Self {
        Self { after, passed: 0, read_far: None }
    }

    /// The log has come further. Answers what may leave the memory.
    pub(crate) fn handle_progress(&mut self, told: Told) -> Option<Range<i64>> {
        if told.read_far {
            self.read_far = Some(told.written);
        }
        let from = self.passed;
        self.passed = from.max(told.end - KEPT);
        let undisturbed = self.read_far.is_none_or(|at| told.written.saturating_sub(at) >= UNDISTURBED);
        (told.dear && told.written >= self.after && undisturbed && from < self.passed).then_some(from..self.passed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: i64 = 1 << 20;

    fn told(mib: i64) -> Told {
        Told { end: mib * MIB, written: mib.unsigned_abs() << 20, dear: true, read_far: false }
    }

    fn recycling() -> Recycling {
        let mut recycling = Recycling::new(2048 << 20);
        assert_eq!(recycling.handle_progress(told(2047)), None);
        recycling
    }

    #[test]
    fn what_is_written_after_so_much_goes_when_it_lies_behind() {
        let mut recycling = recycling();
        assert_eq!(recycling.handle_progress(told(2049)), Some(1535 * MIB..1537 * MIB), "what lay behind before stays for later readers");
        assert_eq!(recycling.handle_progress(told(2049)), None);
        assert_eq!(recycling.handle_progress(told(2060)), Some(1537 * MIB..1548 * MIB));
    }

    #[test]
    fn nothing_goes_where_memory_is_at_hand() {
        let mut recycling = recycling();
        assert_eq!(recycling.handle_progress(Told { dear: false, ..told(3000) }), None);
        assert_eq!(recycling.handle_progress(told(3001)), Some(2488 * MIB..2489 * MIB), "nor later what was passed then");
    }

    #[test]
    fn nothing_goes_while_somebody_reads_far_behind() {
        let mut recycling = recycling();
        assert_eq!(recycling.handle_progress(Told { read_far: true, ..told(3000) }), None);
        assert_eq!(recycling.handle_progress(told(4023)), None);
        assert_eq!(recycling.handle_progress(told(4024)), Some(3511 * MIB..3512 * MIB));
        assert!(is_far(3511 * MIB, 4024 * MIB) && !is_far(3512 * MIB, 4024 * MIB));
    }
}
