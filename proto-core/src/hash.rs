//! Java's hash of a string, which stands for a tag in consume queues.

/// `String.hashCode()` of Java: over UTF-16 units, wrapping.
#[must_use]
pub fn java_string_hash(text: &str) -> i32 {
    let mut hash = JavaStringHash::default();
    hash.write(text);
    hash.finish()
}

/// [`java_string_hash`] of a text that comes in pieces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JavaStringHash(i32);

impl JavaStringHash {
    /// Takes in the next piece.
    pub fn write(&mut self, text: &str) {
        // An ASCII byte is a unit; four at a time break the chain of multiplications.
        if text.is_ascii() {
            let (quads, rest) = text.as_bytes().as_chunks::<4>();
            for &[a, b, c, d] in quads {
                let quad = i32::from(a) * 29_791 + i32::from(b) * 961 + i32::from(c) * 31 + i32::from(d);
                self.0 = self.0.wrapping_mul(923_521).wrapping_add(quad);
            }
            self.0 = rest.iter().fold(self.0, |hash, &byte| step(hash, u16::from(byte)));
        } else {
            self.0 = text.encode_utf16().fold(self.0, step);
        }
    }

    /// The hash of all pieces.
    #[must_use]
    pub const fn finish(self) -> i32 {
        self.0
    }
}

const fn step(hash: i32, unit: u16) -> i32 {
    hash.wrapping_mul(31).wrapping_add(unit as i32)
}

/// What stands in a consume-queue unit for a tag: its hash, sign-extended; 0 without one.
#[must_use]
pub fn tags_code(tags: Option<&str>) -> i64 {
    tags.map_or(0, |tags| i64::from(java_string_hash(tags)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_cut_for_ascii_gives_the_same_as_the_rule() {
        let text = "The quick brown fox jumps over the lazy dog";
        for end in 0..=text.len() {
            assert_eq!(java_string_hash(&text[..end]), text[..end].encode_utf16().fold(0, step));
        }
    }

    #[test]
    fn pieces_hash_like_the_whole() {
        let text = "order-tag-很长#the quick brown fox";
        for (at, _) in text.char_indices() {
            let mut hash = JavaStringHash::default();
            hash.write(&text[..at]);
            hash.write(&text[at..]);
            assert_eq!(hash.finish(), java_string_hash(text), "split at {at}");
        }
    }
}
