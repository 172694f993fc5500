//! The filter of tag expressions: `TagA || TagB`.

use proto_core::{
    bodies::SubscriptionData,
    hash::java_string_hash,
    subscription::{self, SplitError},
};
use smallvec::SmallVec;

use super::{Candidate, MessageFilter, Verdicts};

/// Delivers messages whose tag has one of some hashes. Tags with equal hashes pass together; the client looks at the text again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagFilter {
    /// Sorted. Groups name a tag or two, so that a pull allocates nothing for them.
    codes: SmallVec<[i32; 4]>,
}

impl TagFilter {
    /// The filter of an expression; `None` if it lets everything pass.
    ///
    /// # Errors
    /// [`SplitError`] if it names no tag, like `||`.
    pub fn parse(expression: &str) -> Result<Option<Self>, SplitError> {
        if subscription::is_all(expression) {
            return Ok(None);
        }
        let mut codes: SmallVec<_> = subscription::tags(expression).map(java_string_hash).collect();
        codes.sort_unstable();
        codes.dedup();
        if codes.is_empty() { Err(SplitError) } else { Ok(Some(Self { codes })) }
    }

    /// A filter that no message passes: for expressions that nobody here can judge.
    #[must_use]
    pub fn nothing() -> Self {
        Self { codes: SmallVec::new() }
    }

    /// The filter of a subscription by tags as a heartbeat brings it; `None` if it lets everything pass. The hashes are computed from
    /// the expression: those that the C++ client sends along are wrong. They count only where the expression cannot be read.
    #[must_use]
    pub fn of(subscription: &SubscriptionData) -> Option<Self> {
        if subscription.class_filter_mode {
            return None;
        }
        let expression = subscription.sub_string.as_deref().unwrap_or_default();
        Self::parse(expression).unwrap_or_else(|_| Some(Self { codes: subscription.code_set.iter().copied().collect() }))
    }

    /// Whether a message with this tags code passes.
    #[must_use]
    pub fn passes(&self, tags_code: i64) -> bool {
        // Java narrows the code too: hashes of tags have 32 bits and are stored sign-extended.
        #[expect(clippy::cast_possible_truncation, reason = "narrowing is the rule")]
        let code = tags_code as i32;
        match *self.codes {
            [only] => only == code,
            ref codes => codes.binary_search(&code).is_ok(),
        }
    }
}

impl MessageFilter for TagFilter {
    fn needs_record(&self) -> bool {
        false
    }

    fn steps(&self) -> usize {
        // A look-up in a sorted list; a long one is memory all the same.
        self.codes.len().div_ceil(4).max(1)
    }

    fn matches(&self, batch: &[Candidate<'_>], verdicts: &mut Verdicts) {
        for (index, _) in batch.iter().enumerate().filter(|(_, candidate)| self.passes(candidate.tags_code)) {
            verdicts.deliver(index);
        }
    }
}

#[cfg(test)]
mod tests {
    use proto_core::hash::tags_code;

    use super::*;

    fn delivered(filter: &TagFilter, tags: &[Option<&str>]) -> Vec<usize> {
        let batch: Vec<_> = tags.iter().map(|tag| Candidate { tags_code: tags_code(*tag), record: None }).collect();
        let mut verdicts = Verdicts::default();
        verdicts.reset(batch.len());
        filter.matches(&batch, &mut verdicts);
        (0..batch.len()).filter(|index| verdicts.delivers(*index)).collect()
    }

    #[test]
    fn an_expression_for_everything_needs_no_filter() {
        assert_eq!(TagFilter::parse("*"), Ok(None));
        assert_eq!(TagFilter::parse(""), Ok(None));
    }

    #[test]
    fn an_expression_that_names_no_tag_is_an_error() {
        assert_eq!(TagFilter::parse("||"), Err(SplitError));
    }

    #[test]
    fn messages_with_one_of_the_tags_are_delivered() {
        let filter = TagFilter::parse(" TagB || TagA ").unwrap().unwrap();
        assert_eq!(delivered(&filter, &[Some("TagA"), None, Some("TagC"), Some("TagB")]), [0, 3]);
    }

    #[test]
    fn a_tag_with_a_negative_hash_is_found_by_its_sign_extended_code() {
        let tag = "a tag whose hash is negative";
        assert!(tags_code(Some(tag)) < 0);
        assert_eq!(delivered(&TagFilter::parse(tag).unwrap().unwrap(), &[Some(tag)]), [0]);
    }

    #[test]
    fn tags_with_equal_hashes_pass_together() {
        assert_eq!(delivered(&TagFilter::parse("Aa").unwrap().unwrap(), &[Some("BB")]), [0]);
    }

    #[test]
    fn a_batch_longer_than_a_word_of_bits_is_judged_to_its_end() {
        let filter = TagFilter::parse("TagA").unwrap().unwrap();
        let mut tags = vec![None; 130];
        tags[129] = Some("TagA");
        assert_eq!(delivered(&filter, &tags), [129]);
    }

    #[test]
    fn a_subscription_is_judged_by_its_expression_whatever_hashes_the_client_sent() {
        let subscription =
            |text: &str| SubscriptionData { sub_string: Some(text.to_owned()), code_set: [42].into(), ..SubscriptionData::default() };
        assert_eq!(TagFilter::of(&subscription("*")), None);
        let filter = TagFilter::of(&subscription("TagA")).unwrap();
        assert!(filter.passes(tags_code(Some("TagA"))) && !filter.passes(42));
    }

    #[test]
    fn nothing_passes_the_filter_for_nothing() {
        assert!(delivered(&TagFilter::nothing(), &[None, Some("TagA")]).is_empty());
    }
}
