//! Work on very many queues or topics, on several threads: they mostly wait for the disk.

use std::{panic::resume_unwind, thread};

use crate::event::Background;

/// So many threads.
const THREADS: usize = 32;
/// For fewer items it is not worth while to start one.
const LEAST_SHARE: usize = 256;

/// Has `work` done on all items, in shares. Answers what came of each share, in order.
pub(super) fn in_shares<T: Send, R: Send>(items: &mut [T], background: Background, work: impl Fn(&mut [T]) -> R + Sync) -> Vec<R> {
    let share = match background {
        Background::Threads => items.len().div_ceil(THREADS).max(LEAST_SHARE),
        Background::Stepped => items.len(),
    };
    if items.len() <= share {
        return vec![work(items)];
    }
    let work = &work;
    thread::scope(|scope| {
        let shares: Vec<_> = items.chunks_mut(share).map(|items| scope.spawn(move || work(items))).collect();
        shares.into_iter().map(|share| share.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_item_has_its_work_done_once_and_the_answers_come_in_order() {
        for (background, count) in [(Background::Threads, 10_001), (Background::Threads, 3), (Background::Stepped, 10_001)] {
            let mut items: Vec<_> = (0..count).collect();
            let work = |items: &mut [i32]| {
                let before = items.to_vec();
                items.iter_mut().for_each(|item| *item += 1);
                before
            };
            let answers = in_shares(&mut items, background, work);
            assert_eq!(answers.len() > 1, background == Background::Threads && count > 3);
            assert_eq!(answers.concat(), (0..count).collect::<Vec<_>>());
            assert_eq!(items, (1..=count).collect::<Vec<_>>());
        }
    }
}
