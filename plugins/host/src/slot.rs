//! The place of one plugin: what is installed there now, and what it has done. Filters and allocators that were handed out hold the place, so
//! that a new version serves them from its first batch on.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use proto_core::record::peek;
use route_core::{
    filter::{Candidate, Verdicts},
    plugins::{PluginInfo, PluginRefusal, Share},
};

use crate::{
    contract::Kind,
    counters::{Clock, Counters},
    failure::{Failure, first_words},
    packing::Batch,
    plugin::{Asked, LoadedPlugin, Warm},
    policy::{OnFailure, Policy},
    tally::{Place, Sum, Tally},
};

/// The place of one plugin.
#[derive(Debug)]
pub(crate) struct Slot {
    name: String,
    state: Mutex<State>,
    /// Counts what clients should hear of: this plugin was switched off.
    revision: std::sync::Arc<AtomicU64>,
    /// What some calls are timed with.
    clock: Option<Clock>,
}

/// What is at the place, behind its lock: the broker's loop asks, others look.
#[derive(Debug, Default)]
struct State {
    plugin: Option<LoadedPlugin>,
    /// The instance that answers; after a failure there is none until the next call.
    warm: Option<Warm>,
    batch: Batch,
    policy: Policy,
    disabled: bool,
    /// Why the file that lies there is not used, if it is not.
    refused: String,
    last_failure: String,
    failures_in_a_row: u32,
    counters: Counters,
    tally: Tally,
}

/// Who asks a filter.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asker<'a> {
    /// The group that reads; empty if nobody has said it.
    pub(crate) group: &'a str,
    /// What its subscription gives the plugin.
    pub(crate) argument: &'a str,
}

/// The messages of a batch that went as the policy says.
#[derive(Default)]
struct Unanswered {
    place: Option<Place>,
}

impl Unanswered {
    fn add(&mut self, group: &str, record: &[u8]) {
        let offset = peek::queue_offset(record);
        let place = self.place.get_or_insert_with(|| Place {
            group: first_words(group, 255),
            topic: String::from_utf8_lossy(peek::parts(record).map_or(&[], |parts| parts.topic)).into_owned(),
            queue: peek::queue_id(record),
            first: offset,
            last: offset,
            messages: 0,
        });
        (place.first, place.last) = (place.first.min(offset), place.last.max(offset));
        place.messages += 1;
    }
}

impl Slot {
    pub(crate) fn new(name: &str, revision: std::sync::Arc<AtomicU64>, clock: Option<Clock>) -> Self {
        Self { name: name.to_owned(), state: Mutex::default(), revision, clock }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a plugin here. Counters begin anew, since it is another one.
    pub(crate) fn put(&self, plugin: LoadedPlugin, policy: Policy, disabled: bool) {
        let state = State { plugin: Some(plugin), policy, disabled, ..State::default() };
        self.replace(state);
    }

    /// What was there is given back when nobody waits for the lock any more, and what it still has to tell is told.
    fn replace(&self, state: State) {
        let mut old = std::mem::replace(&mut *self.state(), state);
        let left = old.tally.take();
        self.tell(&old, left);
    }

    /// Notes that a file was not taken; what was there stays.
    pub(crate) fn refuse(&self, why: String) {
        let mut state = self.state();
        state.refused = why;
        // Without a version before, it is no more than refused.
        state.disabled &= state.plugin.is_some();
    }

    /// Notes that a plugin lies there which nobody has loaded, since it is switched off.
    pub(crate) fn note_disabled(&self) {
        self.state().disabled = true;
    }

    /// Takes the plugin away. Filters of it that are still held go on by its policy.
    pub(crate) fn clear(&self) {
        let policy = self.state().policy;
        self.replace(State { policy, ..State::default() });
    }

    /// Switches it on or off; on, it begins with a clean record.
    pub(crate) fn set_enabled(&self, enabled: bool) {
        let mut state = self.state();
        state.disabled = !enabled;
        state.failures_in_a_row = 0;
    }

    pub(crate) fn set_policy(&self, policy: Policy) {
        self.state().policy = policy;
    }

    /// Whether a plugin of this kind is here and at work.
    pub(crate) fn serves(&self, wanted: Kind) -> Result<(), PluginRefusal> {
        let state = self.state();
        let name = || self.name.clone();
        if state.disabled {
            return Err(PluginRefusal::Disabled(name()));
        }
        let Some(plugin) = &state.plugin else {
            let why = format!("its file is not taken: {}", state.refused);
            return Err(if state.refused.is_empty() {
                PluginRefusal::NotInstalled(name())
            } else {
                PluginRefusal::Failed { name: name(), why }
            });
        };
        if plugin.kind() != wanted {
            return Err(PluginRefusal::WrongKind { name: name(), wanted: wanted.world() });
        }
        Ok(())
    }

    /// Asks the plugin about an argument.
    pub(crate) fn validate(&self, argument: &str) -> Result<(), PluginRefusal> {
        let mut state = self.state();
        let answer = state.ask(|warm, _, plugin| warm.validate(argument, plugin.limits().fuel));
        let text = state.plugin.as_ref().map_or(0, |plugin| plugin.limits().text);
        match answer {
            Ok(Ok(())) => Ok(()),
            Ok(Err(words)) => {
                let argument = first_words(argument, 100);
                Err(PluginRefusal::Argument { name: self.name.clone(), argument, why: first_words(&words, text) })
            }
            Err(failure) => {
                tracing::warn!(plugin = self.name, argument = first_words(argument, 100), %failure, "a plugin failed on the argument of a subscription");
                Err(PluginRefusal::Failed { name: self.name.clone(), why: failure.to_string() })
            }
        }
    }

    /// Judges a batch; messages for which there is no answer go as the policy says.
    pub(crate) fn judge(&self, asker: Asker<'_>, candidates: &[Candidate<'_>], verdicts: &mut Verdicts) {
        let mut state = self.state();
        let mut from = 0;
        while from < candidates.len() {
            from += self.judge_some(&mut state, asker, from, &candidates[from..], verdicts);
        }
    }

    /// Judges as many as one call takes, and says how many that were.
    fn judge_some(&self, state: &mut State, asker: Asker<'_>, from: usize, candidates: &[Candidate<'_>], verdicts: &mut Verdicts) -> usize {
        let argument = asker.argument;
        let mut unanswered = Unanswered::default();
        let limits = match &state.plugin {
            Some(plugin) if !state.disabled => *plugin.limits(),
            _ => {
                for (nth, candidate) in candidates.iter().enumerate() {
                    state.by_policy(asker, candidate, from + nth, verdicts, &mut unanswered);
                }
                self.note_unanswered(state, unanswered);
                return candidates.len();
            }
        };
        let passed = state.pack(argument, candidates);
        if state.batch.len() == 0 {
            return passed;
        }
        let fuel = limits.fuel_after(state.failures_in_a_row);
        let failure = match state.work(self.clock, state.batch.len(), |warm, batch, _| warm.matches(batch, fuel)) {
            Ok(answer) => {
                verdicts.deliver_all(from, state.batch.by_candidate(answer));
                state.failures_in_a_row = 0;
                return passed;
            }
            Err(failure) => failure,
        };
        // Nobody knows which of them it was. Each is asked for alone, so that one message that a plugin cannot read does not take others with it.
        let several = state.batch.len() > 1;
        let (mut failed, mut first) = (0, (0, failure));
        for (nth, candidate) in candidates[..passed].iter().enumerate() {
            if failed >= limits.failures_per_batch || !several {
                state.by_policy(asker, candidate, from + nth, verdicts, &mut unanswered);
                continue;
            }
            state.pack(argument, std::slice::from_ref(candidate));
            if state.batch.len() == 0 {
                continue;
            }
            match state.work(None, 0, |warm, batch, _| warm.matches(batch, fuel / 8)) {
                Ok(answer) => verdicts.deliver_all(from + nth, state.batch.by_candidate(answer)),
                Err(failure) => {
                    if failed == 0 {
                        first = (nth, failure);
                    }
                    failed += 1;
                    state.by_policy(asker, candidate, from + nth, verdicts, &mut unanswered);
                }
            }
        }
        if several && failed == 0 {
            // All have their answer: they were too many at once.
            state.failures_in_a_row = 0;
        } else {
            let mut at = Unanswered::default();
            at.add(asker.group, candidates[first.0].record.unwrap_or_default());
            state.note_failure(asker, at.place.as_ref(), &first.1);
            self.note_unanswered(state, unanswered);
            self.disable_if_due(state);
        }
        passed
    }

    /// Tells of messages that went as the policy says, now or with others.
    fn note_unanswered(&self, state: &mut State, unanswered: Unanswered) {
        if let Some(place) = unanswered.place {
            state.counters.by_policy += place.messages;
            let due = state.tally.note(place);
            self.tell(state, due);
        }
    }

    fn tell(&self, state: &State, sum: Option<Sum>) {
        let Some(sum) = sum else { return };
        let (plugin, policy, last_failure, messages) = (&self.name, state.policy.to_string(), &state.last_failure, sum.to_string());
        let in_a_row = state.failures_in_a_row;
        tracing::warn!(
            plugin,
            messages,
            policy,
            in_a_row,
            last_failure,
            "a plugin had no answer for messages, which went as its policy says"
        );
    }

    /// Tells what has come together since the last line, when it is time for another; called about once a second.
    pub(crate) fn tick(&self) {
        let mut state = self.state();
        let due = state.tally.tick();
        self.tell(&state, due);
    }

    fn disable_if_due(&self, state: &mut State) {
        let in_a_row = state.failures_in_a_row;
        if state.policy.disable_after.is_some_and(|most| in_a_row >= most.get()) {
            state.disabled = true;
            let rest = state.tally.take();
            self.tell(state, rest);
            self.revision.fetch_add(1, Ordering::Relaxed);
            tracing::error!(
                plugin = self.name,
                in_a_row,
                "a plugin is switched off, since it failed too often in a row; subscriptions to it are refused"
            );
        }
    }

    /// The owners of the queues.
    pub(crate) fn allocate(&self, argument: &str, share: &Share<'_>) -> Result<Vec<usize>, PluginRefusal> {
        self.serves(Kind::Allocator)?;
        let mut state = self.state();
        match state.work(self.clock, 0, |warm, _, plugin| warm.allocate(argument, share, plugin.limits())) {
            Ok(owners) => {
                state.failures_in_a_row = 0;
                Ok(owners)
            }
            Err(failure) => {
                state.failures_in_a_row = state.failures_in_a_row.saturating_add(1);
                state.last_failure = format!("for group {}: {failure}", share.group);
                tracing::warn!(plugin = self.name, group = share.group, queues = share.queues.len(), %failure, "a plugin failed to share out queues");
                self.disable_if_due(&mut state);
                Err(PluginRefusal::Failed { name: self.name.clone(), why: failure.to_string() })
            }
        }
    }

    /// What an operator is told of it; nothing of a place where nothing is.
    pub(crate) fn info(&self) -> Option<PluginInfo> {
        let state = self.state();
        let counters = state.counters;
        let (nanos_per_call, nanos_per_message) = counters.nanos();
        let info = PluginInfo {
            by_policy: counters.by_policy,
            calls: counters.calls,
            failures: counters.failures,
            fuel: counters.fuel,
            limits: counters.limits,
            messages: counters.messages,
            nanos_per_call,
            nanos_per_message,
            traps: counters.traps,
            name: self.name.clone(),
            policy: state.policy.to_string(),
            last_error: if state.refused.is_empty() { state.last_failure.clone() } else { state.refused.clone() },
            ..PluginInfo::default()
        };
        match &state.plugin {
            None if state.disabled => Some(PluginInfo { state: "disabled".to_owned(), ..info }),
            None if state.refused.is_empty() => None,
            None => Some(PluginInfo { state: "refused".to_owned(), ..info }),
            Some(plugin) => Some(PluginInfo {
                digest: plugin.digest().to_owned(),
                kind: plugin.kind().to_string(),
                size: plugin.size() as u64,
                state: if state.disabled { "disabled" } else { "active" }.to_owned(),
                version: plugin.version().to_owned(),
                ..info
            }),
        }
    }

    /// All the fuel that it has used.
    pub(crate) fn fuel(&self) -> u64 {
        self.state().counters.fuel
    }
}

impl State {
    fn pack(&mut self, argument: &str, candidates: &[Candidate<'_>]) -> usize {
        let Some(plugin) = &self.plugin else { return candidates.len() };
        self.batch.pack(argument, plugin.wants(), candidates, plugin.limits())
    }

    /// Has the plugin judge so many messages, or none and share out queues; counts and times that.
    fn work<T>(
        &mut self,
        clock: Option<Clock>,
        messages: usize,
        question: impl FnOnce(&mut Warm, &Batch, &LoadedPlugin) -> Asked<T>,
    ) -> Result<T, Failure> {
        let begun = self.counters.begin(messages, clock);
        let answer = self.ask(question);
        if let (Some(begun), Some(clock)) = (begun, clock) {
            self.counters.end(messages, clock().saturating_sub(begun));
        }
        answer
    }

    /// Asks the warm instance, or a new one. After a failure the instance is gone.
    fn ask<T>(&mut self, question: impl FnOnce(&mut Warm, &Batch, &LoadedPlugin) -> Asked<T>) -> Result<T, Failure> {
        let Some(plugin) = &mut self.plugin else { return Err(Failure::new("it is not installed any more")) };
        let warm = match self.warm.take() {
            Some(warm) => Ok(warm),
            None => plugin.warm(),
        };
        let answer = warm.and_then(|mut warm| {
            let (answer, fuel) = question(&mut warm, &self.batch, plugin);
            self.counters.note_fuel(fuel);
            if answer.is_ok() {
                self.warm = Some(warm);
            }
            answer
        });
        if let Err(failure) = &answer {
            self.counters.note(failure);
        }
        answer
    }

    fn note_failure(&mut self, asker: Asker<'_>, at: Option<&Place>, failure: &Failure) {
        self.failures_in_a_row = self.failures_in_a_row.saturating_add(1);
        let with =
            if asker.argument.is_empty() { String::new() } else { format!(", with the argument '{}'", first_words(asker.argument, 100)) };
        self.last_failure = format!("at {}{with}: {failure}", at.map(Place::to_string).unwrap_or_default());
    }

    /// Lets a message for which there is no answer go as the policy says.
    fn by_policy(&self, asker: Asker<'_>, candidate: &Candidate<'_>, index: usize, verdicts: &mut Verdicts, unanswered: &mut Unanswered) {
        let Some(record) = candidate.record else { return };
        unanswered.add(asker.group, record);
        if self.policy.on_failure == OnFailure::Deliver {
            verdicts.deliver(index);
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut state = std::mem::take(&mut *self.state());
        let rest = state.tally.take();
        self.tell(&state, rest);
    }
}
