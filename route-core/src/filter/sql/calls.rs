//! Expressions that call plugins: each plugin is asked for many messages at once, and for none that is decided without it.

use std::sync::Arc;

use proto_core::{record::peek, sql::Value};
use smallvec::SmallVec;

use super::program::{Halt, Program};
use crate::filter::{Candidate, MessageFilter, Verdicts};

/// A batch on its way through a program with calls.
pub(super) struct Rounds<'a> {
    program: &'a Program,
    plugins: &'a [Arc<dyn MessageFilter>],
    batch: &'a [Candidate<'a>],
    /// What the calls have said so far: all calls of the first message, then all of the next.
    said: Vec<Option<bool>>,
    /// For each call the messages that wait for its word.
    awaited: Vec<Vec<usize>>,
}

impl<'a> Rounds<'a> {
    /// A batch before anybody has been asked; `plugins` are those that the program calls, by the numbers of the calls.
    pub(super) fn new(program: &'a Program, plugins: &'a [Arc<dyn MessageFilter>], batch: &'a [Candidate<'a>]) -> Self {
        let said = vec![None; plugins.len() * batch.len()];
        Self { program, plugins, batch, said, awaited: vec![Vec::new(); plugins.len()] }
    }

    /// Decides for all messages. Every round brings each message that is left one word further, so that there are no more of them than
    /// calls.
    pub(super) fn judge(mut self, verdicts: &mut Verdicts) {
        let mut left: Vec<usize> = (0..self.batch.len()).collect();
        while !left.is_empty() {
            self.go_on(&left, verdicts);
            left.clear();
            for number in 0..self.plugins.len() {
                self.ask(number);
                left.append(&mut self.awaited[number]);
            }
            left.sort_unstable();
        }
    }

    /// Goes through the program for these messages, as far as it goes.
    fn go_on(&mut self, messages: &[usize], verdicts: &mut Verdicts) {
        let (mut found, mut stack) = (SmallVec::new(), SmallVec::new());
        let calls = self.plugins.len();
        for &index in messages {
            let Some(properties) = self.batch[index].record.and_then(peek::properties) else { continue };
            self.program.wanted.pick(properties, &mut found);
            match self.program.run(&found, &self.said[index * calls..][..calls], &mut stack) {
                Ok(Value::Bool(true)) => verdicts.deliver(index),
                Ok(_) | Err(Halt::Error) => {}
                Err(Halt::Awaits(number)) => self.awaited[usize::from(number)].push(index),
            }
        }
    }

    /// Asks one plugin for all messages that wait for it.
    fn ask(&mut self, number: usize) {
        let waiting = &self.awaited[number];
        if waiting.is_empty() {
            return;
        }
        let candidates: Vec<_> = waiting.iter().map(|&index| self.batch[index]).collect();
        let mut verdicts = Verdicts::default();
        verdicts.reset(candidates.len());
        self.plugins[number].matches(&candidates, &mut verdicts);
        for (nth, index) in waiting.iter().enumerate() {
            self.said[index * self.plugins.len() + number] = Some(verdicts.delivers(nth));
        }
    }
}
