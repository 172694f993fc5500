//! What a plugin can do wrong, in words for its operator.

use thiserror::Error;
use wasmtime::Trap;

use crate::{contract::CONTRACT_VERSION, limits::Limits};

/// Why a file is not taken as a plugin.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LoadError {
    /// Longer than a plugin may be.
    #[error("the file has {size} bytes, and a plugin may have {limit}")]
    TooLarge {
        /// Its bytes.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// Compiling it would take too long.
    #[error(
        "compiling it would take too long: its instructions, functions, and variables at branches come to {effort}, and may to {limit} \
        (limit: compile); a build for size has less"
    )]
    Effort {
        /// What they come to.
        effort: u64,
        /// The limit.
        limit: u64,
    },
    /// It does not begin as WebAssembly does.
    #[error("the file is no WebAssembly: neither a component nor a module")]
    NotWasm,
    /// A module of which no component can be made.
    #[error("no component can be made of the module: {0}")]
    Module(String),
    /// wasmtime does not take it.
    #[error("the component does not compile: {0}")]
    Compile(String),
    /// It wants what nobody gives it.
    #[error("the component imports {0}, and plugins are offered no imports: build it without a system interface (wasm32-unknown-unknown)")]
    Imports(String),
    /// It is something else.
    #[error(
        "the component exports {found}, and neither petrel:plugin/filtering@{CONTRACT_VERSION} nor petrel:plugin/allocating@{CONTRACT_VERSION}"
    )]
    World {
        /// The beginning of what it exports.
        found: String,
    },
    /// It was made for another contract.
    #[error(
        "the plugin keeps version {theirs} of the contract, and this host serves {CONTRACT_VERSION} and older versions that begin alike"
    )]
    Version {
        /// Its version.
        theirs: String,
    },
    /// An exported function has other parameters or results than the contract says, or is not there.
    #[error("the plugin's function '{function}' is not as the contract has it: {why}")]
    Function {
        /// The function.
        function: &'static str,
        /// What wasmtime says of it.
        why: String,
    },
    /// It wants what this host does not know.
    #[error("the plugin wants parts of messages that this host does not know (bits {0:#x}): it was made for a newer one")]
    Wants(u32),
    /// It fails before it has been asked anything.
    #[error("the plugin does not start: {0}")]
    Start(Failure),
}

/// What a plugin ran into, or what it answered, in words.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{words}")]
pub struct Failure {
    words: String,
    cause: Cause,
}

/// What kind of failure it was, for who counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// It did what WebAssembly forbids.
    Trap,
    /// It wanted more than a plugin has.
    Limit,
    /// It answered what is no answer, or is not there.
    Other,
}

/// A plugin wants more memory or larger tables than it may have.
#[derive(Debug, Error)]
#[error("{0}")]
pub(crate) struct OutOfBounds(pub(crate) String);

impl Failure {
    /// A failure in these words.
    pub(crate) fn new(words: impl Into<String>) -> Self {
        Self { words: words.into(), cause: Cause::Other }
    }

    /// What wasmtime's error means, with the limit named if it is one.
    pub(crate) fn of(error: &wasmtime::Error, limits: &Limits) -> Self {
        let (cause, words) = match error.downcast_ref::<Trap>() {
            Some(Trap::OutOfFuel) => (Cause::Limit, format!("it made {} steps in one call without an answer (limit: fuel)", limits.fuel)),
            Some(Trap::StackOverflow) => (Cause::Limit, format!("its calls nest deeper than {} bytes (limit: stack)", limits.stack)),
            Some(trap @ Trap::MemoryOutOfBounds) => (
                Cause::Trap,
                format!("it trapped: {trap} (so ends also the stack that compilers keep in memory, when calls nest too deep)"),
            ),
            Some(trap) => (Cause::Trap, format!("it trapped: {trap}")),
            None => {
                let cause = if error.downcast_ref::<OutOfBounds>().is_some() { Cause::Limit } else { Cause::Other };
                (cause, first_words(&error.root_cause().to_string(), limits.text))
            }
        };
        Self { words, cause }
    }

    pub(crate) const fn cause(&self) -> Cause {
        self.cause
    }
}

/// A text without its end if it is long.
pub(crate) fn first_words(text: &str, limit: usize) -> String {
    let end = (0..=limit.min(text.len())).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    text[..end].to_owned()
}
