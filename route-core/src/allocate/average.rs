//! `AVG` and `AVG_BY_CIRCLE`: even shares, in blocks or dealt like cards.

use crate::filter::{QueueAllocator, QueueName};

/// `AVG`: consecutive blocks; when queues do not divide evenly the first clients get one more.
#[derive(Clone, Copy, Debug, Default)]
pub struct Average;

impl Average {
    /// The name that clients use.
    pub const NAME: &'static str = "AVG";
}

/// The client whose block holds item `index` of `items`, when blocks differ by one at most and the larger come first.
pub(super) fn block_owner(index: usize, items: usize, clients: usize) -> Option<usize> {
    let small = items.checked_div(clients)?;
    let larger = items % clients;
    let in_larger = larger * (small + 1);
    if index < in_larger { Some(index / (small + 1)) } else { Some(larger + (index - in_larger) / small) }
}

impl QueueAllocator for Average {
    fn name(&self) -> &str {
        Self::NAME
    }

    fn allocate(&self, queues: &[QueueName<'_>], clients: &[&str]) -> Vec<Option<usize>> {
        (0..queues.len()).map(|index| block_owner(index, queues.len(), clients.len())).collect()
    }
}

/// `AVG_BY_CIRCLE`: queue `n` goes to client `n` modulo their number, which spreads the queues of one broker over all clients.
#[derive(Clone, Copy, Debug, Default)]
pub struct AverageByCircle;

impl AverageByCircle {
    /// The name that clients use.
    pub const NAME: &'static str = "AVG_BY_CIRCLE";
}

impl QueueAllocator for AverageByCircle {
    fn name(&self) -> &str {
        Self::NAME
    }

    fn allocate(&self, queues: &[QueueName<'_>], clients: &[&str]) -> Vec<Option<usize>> {
        (0..queues.len()).map(|index| index.checked_rem(clients.len())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUEUES: [QueueName<'static>; 8] = {
        let mut queues = [QueueName { topic: "T", broker_name: "b", queue_id: 0 }; 8];
        let mut n = 0;
        while n < 8 {
            queues[n].queue_id = n as i32;
            n += 1;
        }
        queues
    };

    #[test]
    fn the_first_clients_get_the_larger_blocks() {
        assert_eq!(Average.allocate(&QUEUES, &["a", "b", "c"]), [0, 0, 0, 1, 1, 1, 2, 2].map(Some));
    }

    #[test]
    fn more_clients_than_queues_leave_the_last_clients_without() {
        assert_eq!(Average.allocate(&QUEUES[..2], &["a", "b", "c"]), [0, 1].map(Some));
        assert_eq!(AverageByCircle.allocate(&QUEUES[..2], &["a", "b", "c"]), [0, 1].map(Some));
    }

    #[test]
    fn without_clients_nobody_owns_a_queue() {
        assert_eq!(Average.allocate(&QUEUES[..2], &[]), [None, None]);
        assert_eq!(AverageByCircle.allocate(&QUEUES[..2], &[]), [None, None]);
    }

    #[test]
    fn the_circle_deals_queues_one_by_one() {
        assert_eq!(AverageByCircle.allocate(&QUEUES, &["a", "b", "c"]), [0, 1, 2, 0, 1, 2, 0, 1].map(Some));
    }
}
