//! The broker as a state machine, composed of small machines that can each be read, tested and used alone.

pub mod attributes;
pub mod consumers;
pub mod delay;
pub mod groups;
pub mod locks;
pub mod members;
pub mod offsets;
pub mod producers;
pub mod refusal;
pub mod retry;
pub mod topics;
