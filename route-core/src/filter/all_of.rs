//! Several filters of which each has its say.

use std::sync::Arc;

use super::{Candidate, MessageFilter, Verdicts};

/// Delivers what all of some filters deliver. They are asked in their order, each for what those before it have let pass.
#[derive(Clone, Debug)]
pub struct AllOf {
    filters: Vec<Arc<dyn MessageFilter>>,
}

impl AllOf {
    /// The filter that takes what all of these take; of none, everything.
    #[must_use]
    pub const fn new(filters: Vec<Arc<dyn MessageFilter>>) -> Self {
        Self { filters }
    }
}

impl MessageFilter for AllOf {
    fn needs_record(&self) -> bool {
        self.filters.iter().any(|filter| filter.needs_record())
    }

    fn steps(&self) -> usize {
        self.filters.iter().map(|filter| filter.steps()).sum()
    }

    fn matches(&self, batch: &[Candidate<'_>], verdicts: &mut Verdicts) {
        let mut left: Vec<usize> = (0..batch.len()).collect();
        let (mut judged, mut said) = (Vec::with_capacity(batch.len()), Verdicts::default());
        for filter in &self.filters {
            judged.clear();
            judged.extend(left.iter().map(|&index| batch[index]));
            said.reset(judged.len());
            if !judged.is_empty() {
                filter.matches(&judged, &mut said);
            }
            let mut nth = 0..;
            left.retain(|_| nth.next().is_some_and(|nth| said.delivers(nth)));
        }
        left.into_iter().for_each(|index| verdicts.deliver(index));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Takes tags codes that a number divides, and notes what it was asked.
    #[derive(Debug)]
    struct Divided(i64, Mutex<Vec<Vec<i64>>>);

    impl MessageFilter for Divided {
        fn needs_record(&self) -> bool {
            self.0 == 3
        }

        fn matches(&self, batch: &[Candidate<'_>], verdicts: &mut Verdicts) {
            self.1.lock().unwrap().push(batch.iter().map(|candidate| candidate.tags_code).collect());
            for (index, candidate) in batch.iter().enumerate().filter(|(_, candidate)| candidate.tags_code % self.0 == 0) {
                assert!(candidate.record.is_none());
                verdicts.deliver(index);
            }
        }
    }

    fn batch() -> Vec<Candidate<'static>> {
        (0..100).map(|tags_code| Candidate { tags_code, record: None }).collect()
    }

    fn delivered(filter: &AllOf) -> Vec<usize> {
        let mut verdicts = Verdicts::default();
        verdicts.reset(100);
        filter.matches(&batch(), &mut verdicts);
        (0..100).filter(|index| verdicts.delivers(*index)).collect()
    }

    #[test]
    fn what_all_deliver_is_delivered_and_the_next_is_asked_for_what_is_left_alone() {
        let (two, three) = (Arc::new(Divided(2, Mutex::default())), Arc::new(Divided(3, Mutex::default())));
        let both = AllOf::new(vec![two.clone(), three.clone()]);
        assert_eq!(delivered(&both), (0..100).step_by(6).collect::<Vec<_>>());
        assert_eq!(two.1.lock().unwrap()[0].len(), 100);
        assert_eq!(*three.1.lock().unwrap(), [(0..100).step_by(2).collect::<Vec<_>>()]);
        assert!(both.needs_record());
    }

    #[test]
    fn where_nothing_is_left_nobody_is_asked() {
        let (nothing, never) = (Arc::new(Divided(1000, Mutex::default())), Arc::new(Divided(1, Mutex::default())));
        let filter = AllOf::new(vec![nothing.clone(), never.clone()]);
        assert!(!filter.matches_one(Candidate { tags_code: 5, record: None }));
        assert!(never.1.lock().unwrap().is_empty());
        assert!(!filter.needs_record());
    }

    #[test]
    fn of_no_filters_everything_passes() {
        assert_eq!(delivered(&AllOf::new(Vec::new())).len(), 100);
    }
}
