//! The schedule against a list that is gone through from the start each time.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    /// A message so many ms from now.
    Store {
        wait: i64,
        /// It tells the time that it asks for.
        tells: bool,
        by_java: bool,
    },
    /// One of the messages that wait is taken back.
    Recall {
        which: usize,
    },
    /// Time passes.
    Wait {
        millis: u64,
    },
    /// Somebody sets the wall clock.
    SetClock {
        by: i64,
    },
    /// One turn, which may not be enough for all that is due.
    Turn {
        most: usize,
    },
    Save,
    /// The process is killed; the next one begins with what was saved last.
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (1..20_000_i64, any::<bool>(), any::<bool>()).prop_map(|(wait, tells, by_java)| Step::Store { wait, tells, by_java }),
        2 => any::<usize>().prop_map(|which| Step::Recall { which }),
        6 => (0..5_000_u64).prop_map(|millis| Step::Wait { millis }),
        1 => (-30_000..30_000_i64).prop_map(|by| Step::SetClock { by }),
        4 => (0..6_usize).prop_map(|most| Step::Turn { most }),
        2 => Just(Step::Save),
        1 => Just(Step::Crash),
    ]
}

/// What is known of a message.
#[derive(Clone, Debug, Default)]
struct Known {
    out: i64,
    /// It may come from then on.
    due: i64,
    key: String,
    recalled: bool,
    came: u32,
    /// How often it had come when the progress was saved last.
    came_at_save: u32,
    /// How often a crash has made it forgotten that it came.
    forgotten: u32,
}

struct Run {
    scene: Scene,
    now: Now,
    known: BTreeMap<i64, Known>,
    saved: Option<Vec<u8>>,
    /// The clock was set: when a recall comes to its time is not foretold then.
    clock_set: bool,
}

impl Run {
    fn new(in_memory: usize) -> Self {
        let scene = Scene::with(TimerConfig { in_memory, ..TimerConfig::default() });
        Self { scene, now: at(0), known: BTreeMap::new(), saved: None, clock_set: false }
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::Store { wait, tells, by_java } => {
                let out = self.rounded(wait);
                let key = format!("k{}", self.known.len());
                let deliver = tells.then(|| self.now.wall.0 + wait - START);
                let offset = self.scene.store(self.now, Timed { out, key: &key, recalls: "", deliver, by_java });
                self.known.insert(offset, Known { out, due: deliver.unwrap_or(out + 1_000), key, ..Known::default() });
            }
            Step::Recall { which } => {
                let now = self.now.wall.0 - START;
                let mut waiting: Vec<_> = self.known.values_mut().filter(|known| known.came == 0 && known.out > now).collect();
                if waiting.is_empty() {
                    return;
                }
                let index = which % waiting.len();
                let known = &mut *waiting[index];
                known.recalled = true;
                let recalls = format!("T+{}", known.key);
                let out = known.out;
                self.scene.store(self.now, Timed { out, recalls: &recalls, ..Timed::default() });
            }
            Step::Wait { millis } => {
                self.now = Now { mono: self.now.mono + Millis(millis), wall: self.now.wall.plus(Millis(millis)) };
            }
            Step::SetClock { by } => {
                self.now.wall = Timestamp(self.now.wall.0 + by);
                self.clock_set = true;
            }
            Step::Turn { most } => self.turn(most),
            Step::Save => {
                self.saved = Some(self.scene.schedule.to_file(self.now.wall));
                for known in self.known.values_mut() {
                    known.came_at_save = known.came;
                }
            }
            Step::Crash => {
                self.scene.restart(self.now, self.saved.as_deref());
                for known in self.known.values_mut() {
                    known.forgotten += known.came - known.came_at_save;
                    // They may come once more, and that is not forgotten a second time.
                    known.came_at_save = known.came;
                }
            }
        }
    }

    /// Ms after the start at which a message comes that is to come in `wait` ms, less the precision.
    fn rounded(&self, wait: i64) -> i64 {
        self.scene.config.rules.floor(self.now.wall.0 + wait - 1) - START
    }

    fn turn(&mut self, most: usize) {
        for offset in self.scene.turn(self.now, most) {
            let known = self.known.get_mut(&offset).expect("a message that was stored");
            assert!(known.due <= self.now.wall.0 - START, "early: {known:?} at {}", self.now.wall.0 - START);
            known.came += 1;
        }
    }

    /// Lets all come, and looks at what came how often.
    fn end(mut self) {
        for _ in 0..3 {
            self.take(&Step::Wait { millis: 60_000 });
            while self.scene.schedule.is_time(self.now) {
                self.turn(5);
            }
        }
        assert_eq!(self.scene.schedule.waiting(), 0);
        assert_eq!(self.scene.schedule.poll_timeout(), None);
        for (offset, known) in &self.known {
            let least = u32::from(!known.recalled);
            assert!(known.came >= least, "lost: {offset} {known:?}");
            assert!(known.came <= 1 + known.forgotten, "twice: {offset} {known:?}");
            if known.recalled && !self.clock_set {
                assert_eq!(known.came, 0, "recalled: {offset} {known:?}");
            }
        }
    }
}

proptest! {
    #[test]
    fn every_message_comes_at_its_time_and_again_only_after_a_crash(
        in_memory in prop_oneof![1..6_usize, Just(1000)],
        steps in proptest::collection::vec(step(), 1..120),
    ) {
        let mut run = Run::new(in_memory);
        steps.iter().for_each(|step| run.take(step));
        run.end();
    }
}
