//! Connections by number: a slab whose numbers are never used twice.

use route_core::PeerId;

/// A table from [`PeerId`] to `T`. A number is the place in the table (low half) and how often that place has been used (high half),
/// so an answer that comes late for a closed connection finds nothing instead of its successor.
#[derive(Debug)]
pub struct PeerTable<T> {
    places: Vec<Place<T>>,
    free: Vec<u32>,
    len: usize,
}

#[derive(Debug)]
struct Place<T> {
    uses: u32,
    value: Option<T>,
}

impl<T> PeerTable<T> {
    /// An empty table.
    #[must_use]
    pub const fn new() -> Self {
        Self { places: Vec::new(), free: Vec::new(), len: 0 }
    }

    /// Puts a value under a new number. `None` if all four thousand million places are taken.
    pub fn insert(&mut self, value: T) -> Option<PeerId> {
        let at = match self.free.pop() {
            Some(at) => at,
            None => {
                let at = u32::try_from(self.places.len()).ok()?;
                self.places.push(Place { uses: 0, value: None });
                at
            }
        };
        let place = &mut self.places[at as usize];
        place.uses += 1;
        place.value = Some(value);
        self.len += 1;
        Some(PeerId(u64::from(place.uses) << 32 | u64::from(at)))
    }

    /// The value under a number, if it is still there.
    #[must_use]
    pub fn get(&self, id: PeerId) -> Option<&T> {
        let (uses, at) = split(id);
        self.places.get(at).filter(|place| place.uses == uses)?.value.as_ref()
    }

    /// The value under a number, to be changed.
    pub fn get_mut(&mut self, id: PeerId) -> Option<&mut T> {
        let (uses, at) = split(id);
        self.places.get_mut(at).filter(|place| place.uses == uses)?.value.as_mut()
    }

    /// Takes a value out.
    pub fn remove(&mut self, id: PeerId) -> Option<T> {
        let (uses, at) = split(id);
        let place = self.places.get_mut(at).filter(|place| place.uses == uses)?;
        let value = place.value.take()?;
        self.len -= 1;
        // A place that has been used so often that its count would start anew is left empty for good.
        if uses < u32::MAX - 1
            && let Ok(at) = u32::try_from(at)
        {
            self.free.push(at);
        }
        Some(value)
    }

    /// Number of values.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All values with their numbers, in the order of their places.
    pub fn iter(&self) -> impl Iterator<Item = (PeerId, &T)> {
        self.places.iter().enumerate().filter_map(|(at, place)| {
            let value = place.value.as_ref()?;
            Some((PeerId(u64::from(place.uses) << 32 | at as u64), value))
        })
    }
}

impl<T> Default for PeerTable<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// Uses and place of a number.
const fn split(id: PeerId) -> (u32, usize) {
    ((id.0 >> 32) as u32, (id.0 & 0xFFFF_FFFF) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_never_given_again() {
        let mut table = PeerTable::new();
        let first = table.insert("first").unwrap();
        assert_eq!(table.remove(first), Some("first"));
        let second = table.insert("second").unwrap();
        assert_ne!(first, second);
        assert_eq!((table.get(first), table.get(second)), (None, Some(&"second")));
        assert_eq!((table.remove(first), table.len()), (None, 1));
    }

    #[test]
    fn a_number_that_was_never_given_finds_nothing() {
        let mut table = PeerTable::<()>::new();
        assert_eq!(table.get_mut(PeerId(0)), None);
        assert_eq!(table.remove(PeerId(u64::MAX)), None);
        assert!(table.is_empty());
    }

    #[test]
    fn all_values_are_seen_with_their_numbers() {
        let mut table = PeerTable::new();
        let ids: Vec<_> = (0..3).map(|value| table.insert(value).unwrap()).collect();
        table.remove(ids[1]);
        let seen: Vec<_> = table.iter().collect();
        assert_eq!(seen, [(ids[0], &0), (ids[2], &2)]);
    }
}
