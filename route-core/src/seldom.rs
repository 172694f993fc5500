//! Something that may be done now and then, however often there is a cause: a line in the log about a flood.

use crate::time::Millis;

/// Allows something once in a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seldom {
    span: Millis,
    /// When it was last allowed.
    last: Option<Millis>,
}

impl Seldom {
    /// At most once in `span`, and the first time at once.
    #[must_use]
    pub const fn new(span: Millis) -> Self {
        Self { span, last: None }
    }

    /// Whether it may be done now; then not again for a while.
    pub fn allows(&mut self, now: Millis) -> bool {
        let allowed = self.last.is_none_or(|last| now.saturating_sub(last) >= self.span);
        if allowed {
            self.last = Some(now);
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_time_is_allowed_and_the_next_only_after_the_span() {
        let mut seldom = Seldom::new(Millis(1000));
        assert!(seldom.allows(Millis(0)));
        assert!(!seldom.allows(Millis(999)));
        assert!(seldom.allows(Millis(1000)));
        assert!(!seldom.allows(Millis(1001)));
    }
}
