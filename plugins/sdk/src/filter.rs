//! What a filter of messages is.

use std::{cell::RefCell, ops::BitOr};

use crate::batch::{Batch, Message};

/// Parts of messages that are copied into the sandbox; the rest of a message is always there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wants(u32);

impl Wants {
    /// Neither bodies nor properties: times, numbers and sizes suffice.
    pub const NOTHING: Self = Self(0);
    /// Bodies.
    pub const BODY: Self = Self(1);
    /// Properties, with tags and keys.
    pub const PROPERTIES: Self = Self(2);
    /// Both.
    pub const BODY_AND_PROPERTIES: Self = Self(3);

    /// As the contract counts them.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }
}

impl BitOr for Wants {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Decides which messages a subscription gets.
pub trait Filter: Sized {
    /// What it looks at. Not wanted, bodies and properties are empty.
    const WANTS: Wants = Wants::PROPERTIES;

    /// The filter of a subscription with this argument, empty if the client gave none. Made once and used for many batches.
    ///
    /// # Errors
    /// Why the argument is none that it understands. The client that sent it reads that.
    fn new(argument: &str) -> Result<Self, String>;

    /// Whether the message is to be delivered.
    fn matches(&self, message: &Message<'_>) -> bool;
}

/// Filters by the arguments of the subscriptions that use them: those used last are kept.
#[derive(Debug)]
pub struct Subscriptions<F> {
    kept: RefCell<Vec<(String, F)>>,
}

impl<F> Default for Subscriptions<F> {
    fn default() -> Self {
        Self::new()
    }
}

impl<F> Subscriptions<F> {
    /// Filters that are kept.
    const MOST: usize = 64;

    /// None yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { kept: RefCell::new(Vec::new()) }
    }
}

impl<F: Filter> Subscriptions<F> {
    /// Whether there is a filter of this argument.
    ///
    /// # Errors
    /// What [`Filter::new`] says.
    pub fn validate(&self, argument: &str) -> Result<(), String> {
        F::new(argument).map(drop)
    }

    /// Judges a batch: a bit for each of its messages, the lowest for the first.
    ///
    /// # Panics
    /// If the filter refuses the argument, as it may once a new version has come.
    pub fn judge(&self, batch: &Batch<'_>) -> u64 {
        let argument = batch.argument();
        let mut kept = self.kept.borrow_mut();
        match kept.iter().position(|(known, _)| known == argument) {
            Some(0) => {}
            Some(at) => kept[..=at].rotate_right(1),
            None => {
                let filter = F::new(argument).unwrap_or_else(|refusal| panic!("{refusal}"));
                kept.truncate(Self::MOST - 1);
                kept.insert(0, (argument.to_owned(), filter));
            }
        }
        let filter = &kept[0].1;
        batch.messages().zip(0..u64::BITS).fold(0, |bits, (message, nth)| bits | u64::from(filter.matches(&message)) << nth)
    }
}
