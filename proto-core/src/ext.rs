//! The ext fields of a header: a small list of names and texts, borrowed from the frame.

use smallvec::SmallVec;

use crate::text::Text;

/// Ext fields in the order in which they came. A null value is kept as `None`, as Java keeps it.
///
/// The list is kept small, since every command carries one: names and values are slices of the header, and which of them carry
/// escapes stands in two words.
#[derive(Clone, Debug, Default)]
pub struct ExtFields<'a> {
    fields: SmallVec<[(&'a str, Option<&'a str>); 16]>,
    escaped_names: u64,
    escaped_values: u64,
    present: bool,
}

impl<'a> ExtFields<'a> {
    /// More fields than any client sends; a header with more is refused.
    pub const LIMIT: usize = 64;

    /// A list that is there but empty, as in `"extFields":{}`; the default is a list that is not there at all.
    #[must_use]
    pub fn present() -> Self {
        Self { present: true, ..Self::default() }
    }

    /// Begins anew with a list that is there but empty.
    #[inline]
    pub(crate) fn restart(&mut self) {
        self.fields.clear();
        (self.escaped_names, self.escaped_values, self.present) = (0, 0, true);
    }

    /// Appends a field. `false` if [`Self::LIMIT`] is reached and nothing was appended.
    #[must_use]
    #[inline]
    pub fn push(&mut self, name: Text<'a>, value: Option<Text<'a>>) -> bool {
        let at = self.fields.len();
        if at >= Self::LIMIT {
            return false;
        }
        self.escaped_names |= u64::from(name.is_escaped()) << at;
        self.escaped_values |= u64::from(value.is_some_and(|text| text.is_escaped())) << at;
        self.fields.push((name.raw(), value.map(|text| text.raw())));
        self.present = true;
        true
    }

    /// Appends a field whose name and value carry no escapes.
    #[inline(always)]
    pub(crate) fn push_plain(&mut self, name: &'a str, value: &'a str) -> bool {
        let fits = self.fields.len() < Self::LIMIT;
        if fits {
            self.fields.push((name, Some(value)));
        }
        fits
    }

    /// The value of a field, if it is there and not null. The last of equal names wins, as in a Java map.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Text<'a>> {
        self.iter().rev().find(|(key, _)| key == name).and_then(|(_, value)| value)
    }

    /// All fields in the order in which they came.
    #[inline]
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (Text<'a>, Option<Text<'a>>)> {
        let (escaped_names, escaped_values) = (self.escaped_names, self.escaped_values);
        self.fields.iter().enumerate().map(move |(at, &(name, value))| {
            let text = |raw, escaped: u64| if escaped >> at & 1 == 1 { Text::escaped(raw) } else { Text::plain(raw) };
            (text(name, escaped_names), value.map(|raw| text(raw, escaped_values)))
        })
    }

    /// Number of fields.
    #[must_use]
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Whether there is no field at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Whether the header has ext fields, be they empty; some Java clients need them to be there.
    #[must_use]
    pub fn is_present(&self) -> bool {
        self.present
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_equal_names_counts() {
        let mut ext = ExtFields::default();
        assert!(ext.push(Text::plain("a"), Some(Text::plain("1"))));
        assert!(ext.push(Text::escaped(r"\u0061"), Some(Text::escaped(r"\u0032"))));
        assert_eq!(ext.get("a").unwrap(), "2");
        assert!(ext.push(Text::plain("a"), None));
        assert_eq!(ext.get("a"), None);
    }

    #[test]
    fn a_field_beyond_the_limit_is_not_taken() {
        let mut ext = ExtFields::default();
        for _ in 0..ExtFields::LIMIT {
            assert!(ext.push(Text::plain("a"), None));
        }
        assert!(!ext.push(Text::plain("b"), None));
        assert_eq!(ext.len(), ExtFields::LIMIT);
    }
}
