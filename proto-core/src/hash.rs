//! Java's hash of a string, which stands for a tag in consume queues.

/// `String.hashCode()` of Java: over UTF-16 units, wrapping.
#[must_use]
pub fn java_string_hash(text: &str) -> i32 {
    // An ASCII byte is a unit; four at a time break the chain of multiplications.
    if text.is_ascii() {
        let (quads, rest) = text.as_bytes().as_chunks::<4>();
        let mut hash = 0i32;
        for &[a, b, c, d] in quads {
            let quad = i32::from(a) * 29_791 + i32::from(b) * 961 + i32::from(c) * 31 + i32::from(d);
            hash = hash.wrapping_mul(923_521).wrapping_add(quad);
        }
        return rest.iter().fold(hash, |hash, &byte| step(hash, u16::from(byte)));
    }
    text.encode_utf16().fold(0, step)
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
}
