//! The ext fields of a header: a small list of names and texts, borrowed from the frame.

use smallvec::SmallVec;

use crate::text::Text;

/// Ext fields in the order in which they came. A null value is kept as `None`, as Java keeps it.
#[derive(Clone, Debug, Default)]
pub struct ExtFields<'a> {
    fields: SmallVec<[(Text<'a>, Option<Text<'a>>); 20]>,
}

impl<'a> ExtFields<'a> {
    /// More fields than any client sends; a header with more is refused.
    pub const LIMIT: usize = 512;

    /// Appends a field. `false` if [`Self::LIMIT`] is reached and nothing was appended.
    #[must_use]
    pub fn push(&mut self, name: Text<'a>, value: Option<Text<'a>>) -> bool {
        let fits = self.fields.len() < Self::LIMIT;
        if fits {
            self.fields.push((name, value));
        }
        fits
    }

    /// The value of a field, if it is there and not null. The last of equal names wins, as in a Java map.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Text<'a>> {
        self.fields.iter().rev().find(|(key, _)| key.as_plain() == Some(name)).and_then(|(_, value)| *value)
    }

    /// All fields in the order in which they came.
    pub fn iter(&self) -> impl Iterator<Item = &(Text<'a>, Option<Text<'a>>)> {
        self.fields.iter()
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
}
