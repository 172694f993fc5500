//! The broker as a state machine, composed of small machines that can each be read, tested and used alone.

pub mod attributes;
pub mod locks;
pub mod members;
pub mod producers;
pub mod retry;
