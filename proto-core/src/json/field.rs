//! Which member a key means.

/// Finds members by key for one object: exactly, or else without regard to letter case, `_` and `-`, or else without a leading
/// `is`, as fastjson matches smartly.
#[derive(Debug)]
pub(super) struct Fields {
    names: &'static [&'static str],
    /// Members mostly come in order: the next one is tried first.
    next: usize,
    seen: u64,
}

impl Fields {
    pub(super) const fn new(names: &'static [&'static str]) -> Self {
        Self { names, next: 0, seen: 0 }
    }

    /// The member's own name, if the key means one that has not come yet.
    pub(super) fn find(&mut self, key: &str) -> Option<&'static str> {
        let at = self.position(key)?;
        self.next = at + 1;
        // A struct with more members than bits would let serde refuse its doubles.
        let bit = 1u64.checked_shl(u32::try_from(at).unwrap_or(u32::MAX)).unwrap_or(0);
        if self.seen & bit != 0 {
            return None;
        }
        self.seen |= bit;
        Some(self.names[at])
    }

    fn position(&self, key: &str) -> Option<usize> {
        if self.names.get(self.next) == Some(&key) {
            return Some(self.next);
        }
        let by = |matches: &dyn Fn(&str) -> bool| self.names.iter().position(|name| matches(name));
        by(&|name| name == key).or_else(|| by(&|name| alike(name, key))).or_else(|| {
            let bare = key.strip_prefix("is")?;
            by(&|name| alike(name, bare))
        })
    }
}

fn alike(name: &str, key: &str) -> bool {
    letters(name).eq(letters(key))
}

fn letters(text: &str) -> impl Iterator<Item = u8> {
    text.bytes().filter(|byte| !matches!(byte, b'_' | b'-')).map(|byte| byte.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: &[&str] = &["brokerName", "force", "topic"];

    #[test]
    fn a_key_matches_without_regard_to_case_and_separators() {
        for key in ["brokerName", "broker_name", "BROKERNAME", "broker-Name"] {
            assert_eq!(Fields::new(NAMES).find(key), Some("brokerName"), "{key}");
        }
        assert_eq!(Fields::new(NAMES).find("isForce"), Some("force"));
        assert_eq!(Fields::new(NAMES).find("brokerNames"), None);
    }

    #[test]
    fn a_member_that_comes_again_is_not_found_again() {
        let mut fields = Fields::new(NAMES);
        assert_eq!(fields.find("topic"), Some("topic"));
        assert_eq!(fields.find("Topic"), None);
    }
}
