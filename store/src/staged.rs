//! The end of the log, as far as it has been appended but not handed to the system: records lie here side by side until all of a loop's
//! turn go with one call.

/// So many bytes wait at most, or one record that is longer. They fit into a processor's own cache with all else that a turn touches.
const STAGED: usize = 256 << 10;

/// Bytes that wait. What is appended is written into [`Staged::spare`] and then [taken in](Staged::advance).
#[derive(Debug)]
pub(crate) struct Staged {
    space: Box<[u8]>,
    len: usize,
}

impl Default for Staged {
    fn default() -> Self {
        Self { space: vec![0; STAGED].into(), len: 0 }
    }
}

impl Staged {
    /// What waits.
    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        self.space.get(..self.len).unwrap_or_default()
    }

    /// How much waits.
    #[inline]
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// Whether `len` bytes more have room.
    #[inline]
    pub(crate) fn has_room(&self, len: usize) -> bool {
        len <= self.space.len() - self.len
    }

    /// Makes room for `len` bytes where nothing waits.
    #[cold]
    pub(crate) fn make_room(&mut self, len: usize) {
        if self.len == 0 && self.space.len() < len {
            self.space = vec![0; len.next_power_of_two()].into();
        }
    }

    /// The next `len` bytes, to be written; empty if they have no room.
    #[inline]
    pub(crate) fn spare(&mut self, len: usize) -> &mut [u8] {
        self.space.get_mut(self.len..self.len + len).unwrap_or_default()
    }

    /// Takes the first `len` spare bytes in.
    #[inline]
    pub(crate) fn advance(&mut self, len: usize) {
        self.len = (self.len + len).min(self.space.len());
    }

    /// All that waited has gone its way. Space for an unusually long record goes, too.
    pub(crate) fn clear(&mut self) {
        self.len = 0;
        if self.space.len() > STAGED {
            *self = Self::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_in_lies_side_by_side_until_it_goes() {
        let mut staged = Staged::default();
        for part in [&b"first "[..], b"second"] {
            assert!(staged.has_room(part.len()));
            staged.spare(part.len()).copy_from_slice(part);
            staged.advance(part.len());
        }
        assert_eq!((staged.bytes(), staged.len()), (&b"first second"[..], 12));
        staged.clear();
        assert_eq!((staged.bytes(), staged.len()), (&b""[..], 0));
    }

    #[test]
    fn room_for_a_long_record_comes_and_goes() {
        let mut staged = Staged::default();
        assert!(staged.has_room(STAGED) && !staged.has_room(STAGED + 1));
        assert!(staged.spare(STAGED + 1).is_empty(), "who has not asked gets nothing");
        staged.make_room(STAGED + 1);
        assert_eq!(staged.spare(STAGED + 1).len(), STAGED + 1);
        staged.advance(STAGED + 1);
        staged.clear();
        assert!(!staged.has_room(STAGED + 1));
    }
}
