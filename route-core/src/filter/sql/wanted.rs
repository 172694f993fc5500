//! The properties that an expression reads, and how they are picked out of a record.

use proto_core::properties;
use smallvec::SmallVec;

/// The values of the wanted properties, by their numbers.
pub(super) type Found<'a> = SmallVec<[Option<&'a [u8]>; 8]>;

/// Names of properties, numbered in the order in which they are asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted {
    names: Vec<Box<[u8]>>,
    /// Bit n: some name has n bytes; the highest bit stands for all that are longer. Most properties of a message are passed over by it.
    lengths: u64,
    /// Numbers of the names, sorted by name: for expressions with more of them than one compares one by one.
    sorted: Vec<u16>,
}

/// Up to so many names are compared one by one.
const FEW: usize = 8;

impl Wanted {
    /// The number of a name.
    pub(super) fn number(&mut self, name: &str) -> u16 {
        let at = match self.sorted.binary_search_by(|&number| (*self.names[usize::from(number)]).cmp(name.as_bytes())) {
            Ok(at) => return self.sorted[at],
            Err(at) => at,
        };
        // An expression is shorter than 64 KiB, so that it has fewer names than that.
        let number = u16::try_from(self.names.len()).unwrap_or(u16::MAX);
        self.sorted.insert(at, number);
        self.names.push(name.as_bytes().into());
        self.lengths |= 1 << name.len().min(63);
        number
    }

    /// Whether no property is wanted.
    pub(super) const fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Picks the values out of stored properties; of equal names the last one counts.
    pub(super) fn pick<'a>(&self, stored: &'a [u8], found: &mut Found<'a>) {
        found.clear();
        found.resize(self.names.len(), None);
        for (name, value) in properties::iter(stored) {
            if self.lengths >> name.len().min(63) & 1 == 1
                && let Some(number) = self.find(name)
            {
                found[number] = Some(value);
            }
        }
    }

    fn find(&self, name: &[u8]) -> Option<usize> {
        if self.names.len() <= FEW {
            return self.names.iter().position(|wanted| **wanted == *name);
        }
        let at = self.sorted.binary_search_by(|&number| (*self.names[usize::from(number)]).cmp(name)).ok()?;
        Some(usize::from(self.sorted[at]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picked<'a>(names: &[&str], stored: &'a str) -> Vec<Option<&'a str>> {
        let mut wanted = Wanted::default();
        for (number, name) in names.iter().enumerate() {
            assert_eq!(usize::from(wanted.number(name)), number);
        }
        let mut found = Found::new();
        wanted.pick(stored.as_bytes(), &mut found);
        found.iter().map(|value| value.map(|value| std::str::from_utf8(value).unwrap())).collect()
    }

    #[test]
    fn wanted_properties_are_picked_and_the_others_passed_over() {
        assert_eq!(picked(&["b", "x", "a"], "a\u{1}1\u{2}aa\u{1}2\u{2}b\u{1}3\u{2}"), [Some("3"), None, Some("1")]);
    }

    #[test]
    fn of_equal_names_the_last_one_counts() {
        assert_eq!(picked(&["a"], "a\u{1}1\u{2}b\u{1}2\u{2}a\u{1}3"), [Some("3")]);
    }

    #[test]
    fn a_name_has_one_number_however_often_it_is_asked_for() {
        let mut wanted = Wanted::default();
        assert_eq!(["b", "a", "b", "c", "a"].map(|name| wanted.number(name)), [0, 1, 0, 2, 1]);
    }

    #[test]
    fn many_names_and_long_ones_are_found_too() {
        let names: Vec<String> = (0..100).map(|number| "n".repeat(number + 1)).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let stored = format!("{}\u{1}x\u{2}n\u{1}y\u{2}", "n".repeat(90));
        let found = picked(&names, &stored);
        assert_eq!((found[0], found[89], found.iter().flatten().count()), (Some("y"), Some("x"), 2));
    }
}
