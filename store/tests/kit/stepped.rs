//! A store on a simulated disk whose work beside the loop is done by the test, in virtual time.

use std::{path::Path, sync::Arc, time::Duration};

use route_core::{
    Now, Storage, Timestamp,
    storage::{AppendError, QueueBounds},
    time::Millis,
};
use store::{
    Store, StoreConfig,
    simulation::{SimulatedDisk, Work},
};

use super::message;

/// When the messages of these tests are written.
pub(crate) const WRITTEN: i64 = 1_700_000_000_000;
/// A body that makes a file of the log full after a few.
pub(crate) const BODY: usize = 900;

/// A store whose work beside the loop is done by the test.
pub(crate) struct Bench {
    pub(crate) disk: SimulatedDisk,
    pub(crate) store: Store,
    pub(crate) now: Now,
    pub(crate) sent: usize,
}

impl Bench {
    pub(crate) fn on(disk: &SimulatedDisk, config: StoreConfig) -> Self {
        disk.set_time(Timestamp(WRITTEN));
        let (store, _) = Store::open_simulated(disk, config, Arc::new(|| {})).unwrap();
        Self { disk: disk.clone(), store, now: Now { mono: Millis(0), wall: Timestamp(WRITTEN) }, sent: 0 }
    }

    pub(crate) fn new(config: StoreConfig) -> Self {
        Self::on(&SimulatedDisk::new(1), config)
    }

    /// Time passes, for both clocks.
    pub(crate) fn pass(&mut self, millis: u64) {
        self.now.mono = self.now.mono + Millis(millis);
        self.now.wall = self.now.wall.plus(Millis(millis));
    }

    pub(crate) fn try_send(&mut self, topic: &str, queue_id: i32) -> Result<(), AppendError> {
        let queue = self.store.open_queue(topic, queue_id);
        let body = format!("{:0>BODY$}", self.sent);
        self.store.append(self.now.wall, queue, &message(topic, queue_id, &body))?;
        self.store.commit().unwrap();
        self.sent += 1;
        Ok(())
    }

    /// So many messages, to two queues in turn.
    pub(crate) fn send(&mut self, count: usize) {
        for index in 0..count {
            self.try_send("T", (index % 2) as i32).unwrap();
        }
    }

    /// All that was written is on disk.
    pub(crate) fn settle(&mut self) {
        self.pass(20_000);
        self.store.step(Work::Flush(Duration::from_millis(self.now.mono.0)));
    }

    /// One turn of the loop, with all that was asked for in the one before.
    pub(crate) fn turn(&mut self) {
        self.store.step(Work::Look);
        self.store.step(Work::Clean);
        self.store.handle_wake(self.now);
        if self.store.poll_timeout().is_some_and(|at| at <= self.now.mono) {
            self.store.handle_timeout(self.now);
        }
        self.store.clean();
    }

    /// So much goes on as does in five minutes.
    pub(crate) fn clean(&mut self) {
        for _ in 0..3000 {
            self.pass(100);
            self.turn();
        }
    }

    pub(crate) fn bounds(&self, queue_id: i32) -> QueueBounds {
        self.store.bounds(self.store.find_queue("T", queue_id).unwrap())
    }

    pub(crate) fn log_start(&self) -> i64 {
        self.store.log_bounds().0.0
    }

    pub(crate) fn files(&self, dir: &str) -> Vec<String> {
        let below = |path: &Path| path.strip_prefix(dir).ok().map(|name| name.display().to_string());
        self.disk.files().iter().filter_map(|(path, _)| below(path)).collect()
    }
}
