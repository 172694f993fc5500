//! Gives the canaries of a group a share of the queues, at least one, and the others the rest: a new version of a consumer sees a share of the
//! messages, however many instances of it there are. A canary is a client with the unit name `canary`, so that its id ends with `@canary`. The
//! argument is their share in percent, 10 if it is left out.

use petrel_plugin_sdk::{Allocator, Client, Queue};

struct GrayRelease {
    percent: usize,
}

impl Allocator for GrayRelease {
    fn new(argument: &str) -> Result<Self, String> {
        let percent = if argument.is_empty() { Ok(10) } else { argument.parse() };
        match percent {
            Ok(percent @ 1..=99) => Ok(Self { percent }),
            _ => Err(format!("'{argument}' is no share: write a number of percent from 1 to 99")),
        }
    }

    fn allocate(&self, _group: &str, queues: &[Queue<'_>], clients: &[Client<'_>]) -> Result<Vec<usize>, String> {
        let (canaries, others): (Vec<usize>, Vec<usize>) = (0..clients.len()).partition(|&client| clients[client].id.ends_with("@canary"));
        if canaries.is_empty() || others.is_empty() || queues.len() < 2 {
            return Ok((0..queues.len()).map(|queue| queue % clients.len()).collect());
        }
        // The last queues, so that those of the others do not move when canaries come and go.
        let first = queues.len() - (queues.len() * self.percent).div_ceil(100);
        let owner = |queue: usize| if queue < first { others[queue % others.len()] } else { canaries[(queue - first) % canaries.len()] };
        Ok((0..queues.len()).map(owner).collect())
    }
}

petrel_plugin_sdk::allocator!(GrayRelease);

#[cfg(test)]
mod tests {
    use super::*;

    fn shared_out(argument: &str, queues: i32, ids: &[&str]) -> Vec<usize> {
        let queues: Vec<_> = (0..queues).map(|queue_id| Queue { topic: "T", broker_name: "a", queue_id }).collect();
        let clients: Vec<_> = ids.iter().map(|id| Client { id, properties: Vec::new() }).collect();
        GrayRelease::new(argument).unwrap().allocate("G", &queues, &clients).unwrap()
    }

    #[test]
    fn canaries_get_a_tenth_and_no_less_than_a_queue() {
        assert_eq!(shared_out("", 4, &["1@a", "2@a", "3@a@canary"]), [0, 1, 0, 2]);
        let many = shared_out("", 40, &["1@a", "2@a@canary", "3@a@canary"]);
        assert_eq!(many.iter().filter(|&&owner| owner != 0).count(), 4);
    }

    #[test]
    fn the_argument_is_their_share() {
        assert_eq!(shared_out("50", 4, &["1@a", "2@a@canary"]), [0, 0, 1, 1]);
        assert_eq!(shared_out("1", 4, &["1@a", "2@a@canary"]), [0, 0, 0, 1]);
        assert!(["0", "100", "a tenth"].iter().all(|argument| GrayRelease::new(argument).is_err()));
    }

    #[test]
    fn without_canaries_or_with_nobody_else_all_share_alike() {
        assert_eq!(shared_out("", 4, &["1", "2"]), [0, 1, 0, 1]);
        assert_eq!(shared_out("", 2, &["1@canary", "2@canary"]), [0, 1]);
    }
}
