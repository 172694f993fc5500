//! What a file holds: as it is read now, and as it would be after a loss of power.

use std::{
    collections::BTreeSet,
    ops::Range,
    sync::{Arc, Weak},
};

use route_core::{Timestamp, random::Random};

use crate::{disk::PAGE, mapping::Mapping};

/// A page in bytes.
const PAGE_LEN: usize = PAGE as usize;
/// What a disk writes whole.
const SECTOR: usize = 512;

/// The content of a file. Its bytes are shared by all snapshots until one of them changes.
#[derive(Debug, Default)]
pub(super) struct Content {
    now: Arc<Vec<u8>>,
    durable: Arc<Vec<u8>>,
    /// Pages in which the two may differ and which the next sync writes.
    dirty: BTreeSet<usize>,
    /// Where space is allocated up to.
    pub(super) allocated: u64,
    /// When its length or its space changed last.
    pub(super) modified: Timestamp,
    /// The mapping that is written to, and how much of it stands in `now`.
    writer: Weak<Mapping>,
    taken: usize,
}

impl Clone for Content {
    fn clone(&self) -> Self {
        let Self { now, durable, dirty, allocated, modified, writer: _, taken: _ } = self;
        let (now, durable, dirty) = (now.clone(), durable.clone(), dirty.clone());
        Self { now, durable, dirty, allocated: *allocated, modified: *modified, writer: Weak::new(), taken: 0 }
    }
}

impl Content {
    /// An empty file.
    pub(super) fn made_at(time: Timestamp) -> Self {
        Self { modified: time, ..Self::default() }
    }

    /// Takes in what was written through the mapping.
    pub(super) fn take_in(&mut self) {
        if let Some(mapping) = self.writer.upgrade() {
            self.take_published(mapping.bytes());
        }
    }

    /// The same, from the final bytes of the mapping.
    pub(super) fn take_published(&mut self, published: &[u8]) {
        if published.len() > self.taken {
            let range = self.taken..published.len();
            self.write(&published[range.clone()], range.start);
            self.taken = range.end;
        }
    }

    /// A mapping that is written to begins with the content as it is.
    pub(super) fn mapped(&mut self, mapping: &Arc<Mapping>) {
        self.taken = mapping.published();
        self.writer = Arc::downgrade(mapping);
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.now
    }

    pub(super) fn len(&self) -> usize {
        self.now.len()
    }

    pub(super) fn set_len(&mut self, len: usize) {
        if len < self.now.len() {
            self.dirty.split_off(&len.div_ceil(PAGE_LEN));
            self.allocated = self.allocated.min(len as u64);
        }
        Arc::make_mut(&mut self.now).resize(len, 0);
    }

    pub(super) fn write(&mut self, bytes: &[u8], at: usize) {
        let end = at + bytes.len();
        let now = Arc::make_mut(&mut self.now);
        if end > now.len() {
            now.resize(end, 0);
        }
        now[at..end].copy_from_slice(bytes);
        self.dirty.extend(pages(&(at..end)));
        self.allocated = self.allocated.max(end as u64);
    }

    pub(super) fn erase(&mut self, range: Range<usize>) {
        let range = range.start..range.end.min(self.now.len());
        if !range.is_empty() {
            Arc::make_mut(&mut self.now)[range.clone()].fill(0);
            self.dirty.extend(pages(&range));
        }
    }

    /// The first page at or behind `from` that is not all zero; its part in front of `from` is left out.
    pub(super) fn next_data(&self, from: usize) -> Option<Range<usize>> {
        let rest = self.now.get(from..)?;
        let at = from + rest.iter().position(|byte| *byte != 0)?;
        let page = at - at % PAGE_LEN;
        Some(page.max(from)..(page + PAGE_LEN).min(self.now.len()))
    }

    /// Makes some of it durable, and the length.
    pub(super) fn sync(&mut self, range: Range<usize>) {
        if self.durable.len() != self.now.len() {
            Arc::make_mut(&mut self.durable).resize(self.now.len(), 0);
        }
        for page in pages(&range) {
            if self.dirty.remove(&page) {
                self.write_back(page);
            }
        }
    }

    /// A sync that failed: the pages count as clean although they never reached the disk.
    pub(super) fn fail_sync(&mut self, range: &Range<usize>) {
        self.dirty.retain(|page| !pages(range).contains(page));
    }

    /// The system writes a page on its own account.
    pub(super) fn write_back_some(&mut self, random: &mut Random) {
        let count = u32::try_from(self.dirty.len()).unwrap_or(u32::MAX);
        if let Some(&page) = self.dirty.iter().nth(random.below(count) as usize)
            && self.durable.len() == self.now.len()
        {
            self.write_back(page);
        }
    }

    fn write_back(&mut self, page: usize) {
        let range = page * PAGE_LEN..((page + 1) * PAGE_LEN).min(self.now.len());
        if let (Some(from), Some(to)) = (self.now.get(range.clone()), Arc::make_mut(&mut self.durable).get_mut(range)) {
            to.copy_from_slice(from);
        }
    }

    /// The content after a loss of power.
    pub(super) fn after_power_loss(&self, random: &mut Random) -> Self {
        let mut shared = Arc::clone(&self.durable);
        if self.durable.len() == self.now.len() && self.dirty.is_empty() {
            return Self { now: Arc::clone(&shared), durable: shared, allocated: self.allocated, ..Self::default() };
        }
        let durable = Arc::make_mut(&mut shared);
        if durable.len() != self.now.len() && random.below(2) == 0 {
            durable.resize(self.now.len(), 0);
        }
        for &page in &self.dirty {
            let range = page * PAGE_LEN..((page + 1) * PAGE_LEN).min(durable.len()).min(self.now.len());
            if range.is_empty() {
                continue;
            }
            match random.below(3) {
                0 => {}
                1 => durable[range.clone()].copy_from_slice(&self.now[range]),
                _ => {
                    for start in range.clone().step_by(SECTOR) {
                        let sector = start..(start + SECTOR).min(range.end);
                        if random.below(2) == 0 {
                            durable[sector.clone()].copy_from_slice(&self.now[sector]);
                        }
                    }
                }
            }
        }
        let allocated = self.allocated.min(durable.len() as u64);
        Self { now: Arc::clone(&shared), durable: shared, allocated, ..Self::default() }
    }

    /// The content after the process was killed: what is durable of it has not changed.
    pub(super) fn after_kill(&self) -> Self {
        self.clone()
    }

    /// Damages it, durably.
    pub(super) fn damage(&mut self, damage: impl Fn(&mut Vec<u8>)) {
        damage(Arc::make_mut(&mut self.now));
        damage(Arc::make_mut(&mut self.durable));
    }
}

/// The pages that a range touches.
fn pages(range: &Range<usize>) -> Range<usize> {
    range.start / PAGE_LEN..range.end.div_ceil(PAGE_LEN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: &[u8]) -> Content {
        let mut content = Content::default();
        content.write(bytes, 0);
        content
    }

    #[test]
    fn what_is_synced_survives_and_what_is_not_may_be_torn() {
        let mut content = of(&[1; 2 * PAGE_LEN]);
        content.sync(0..PAGE_LEN);
        let mut torn = 0;
        for seed in 0..50 {
            let after = content.after_power_loss(&mut Random::new(seed));
            assert_eq!(after.bytes()[..PAGE_LEN], [1; PAGE_LEN]);
            let second = &after.bytes()[PAGE_LEN..];
            torn += usize::from(second.contains(&0) && second.contains(&1));
        }
        assert!(torn > 0);
    }

    #[test]
    fn pages_of_a_failed_sync_are_lost_although_the_next_one_succeeds() {
        let mut content = of(&[1; PAGE_LEN]);
        content.sync(0..0);
        content.fail_sync(&(0..PAGE_LEN));
        content.sync(0..PAGE_LEN);
        assert_eq!(content.bytes(), [1; PAGE_LEN]);
        assert_eq!(content.after_power_loss(&mut Random::new(1)).bytes(), [0; PAGE_LEN]);
    }

    #[test]
    fn data_is_found_page_by_page() {
        let mut content = of(&[0; 3 * PAGE_LEN]);
        content.write(&[1], PAGE_LEN + 5);
        assert_eq!(content.next_data(0), Some(PAGE_LEN..2 * PAGE_LEN));
        assert_eq!(content.next_data(PAGE_LEN + 3), Some(PAGE_LEN + 3..2 * PAGE_LEN));
        assert_eq!(content.next_data(PAGE_LEN + 6), None);
    }
}
