//! Plugins of Petrel in Rust: implement [`Filter`] or [`Allocator`], name the type in [`filter!`] or [`allocator!`], and build the crate as a
//! `cdylib` for `wasm32-unknown-unknown`. What comes out is what `petrel plugin install` takes.
//!
//! ```
//! use petrel_plugin_sdk::{Filter, Message};
//!
//! /// Delivers messages whose property `amount` is at least the argument of the subscription.
//! struct BigOrders(u64);
//!
//! impl Filter for BigOrders {
//!     fn new(argument: &str) -> Result<Self, String> {
//!         argument.parse().map(Self).map_err(|_| format!("'{argument}' is no number"))
//!     }
//!
//!     fn matches(&self, message: &Message<'_>) -> bool {
//!         message.property("amount").and_then(|amount| amount.parse().ok()).is_some_and(|amount: u64| amount >= self.0)
//!     }
//! }
//!
//! petrel_plugin_sdk::filter!(BigOrders);
//! # fn main() {}
//! ```
//!
//! A plugin has no clock, no randomness, no files and no network, so it says the same of the same message every time. One that panics fails on the
//! message at hand, which then goes as the operator's policy says. It may keep what it learns in a `static`, but is started anew after a failure.

#[doc(hidden)]
#[allow(unsafe_code, reason = "the sandbox's door: numbers from outside are places in memory")]
pub mod abi;
mod allocator;
mod batch;
mod filter;

pub use allocator::{Allocator, Client, Queue};
pub use batch::{Batch, Message, Properties};
pub use filter::{Filter, Subscriptions, Wants};

#[doc(hidden)]
pub const fn is_filter<F: Filter>() {}

#[doc(hidden)]
pub const fn is_allocator<A: Allocator>() {}

/// Exports a [`Filter`] as the plugin that this crate is. Once in a crate.
#[macro_export]
macro_rules! filter {
    ($filter:ty) => {
        const _: () = $crate::is_filter::<$filter>();

        // Elsewhere, in the tests of the crate, nothing is exported.
        #[cfg(target_arch = "wasm32")]
        #[doc(hidden)]
        #[allow(unsafe_code, reason = "exports of a plugin have names of their own")]
        mod petrel_plugin_exports {
            #[allow(unused_imports, reason = "the filter may be named by any path")]
            use super::*;

            std::thread_local! {
                static SUBSCRIPTIONS: $crate::Subscriptions<$filter> = const { $crate::Subscriptions::new() };
            }

            #[unsafe(export_name = "petrel:plugin/filtering@1.0.0#version")]
            extern "C" fn version() -> usize {
                $crate::abi::answer_text(env!("CARGO_PKG_VERSION"))
            }

            #[unsafe(export_name = "petrel:plugin/filtering@1.0.0#wants")]
            extern "C" fn wants() -> u32 {
                <$filter as $crate::Filter>::WANTS.bits()
            }

            #[unsafe(export_name = "petrel:plugin/filtering@1.0.0#validate")]
            unsafe extern "C" fn validate(at: usize, len: usize) -> usize {
                // SAFETY: the host put the argument there.
                let argument = unsafe { $crate::abi::text(at, len) };
                $crate::abi::answer_verdict(SUBSCRIPTIONS.with(|subscriptions| subscriptions.validate(argument)))
            }

            #[unsafe(export_name = "petrel:plugin/filtering@1.0.0#matches")]
            unsafe extern "C" fn matches(at: usize, len: usize) -> u64 {
                // SAFETY: the host put the batch there.
                let batch = $crate::Batch::new(unsafe { $crate::abi::bytes(at, len) });
                $crate::abi::answer_bits(SUBSCRIPTIONS.with(|subscriptions| subscriptions.judge(&batch)))
            }

            #[unsafe(no_mangle)]
            extern "C" fn cabi_realloc(_old: usize, _old_len: usize, align: usize, len: usize) -> usize {
                $crate::abi::room(align, len)
            }
        }
    };
}

/// Exports an [`Allocator`] as the plugin that this crate is. Once in a crate.
#[macro_export]
macro_rules! allocator {
    ($allocator:ty) => {
        const _: () = $crate::is_allocator::<$allocator>();

        // Elsewhere, in the tests of the crate, nothing is exported.
        #[cfg(target_arch = "wasm32")]
        #[doc(hidden)]
        #[allow(unsafe_code, reason = "exports of a plugin have names of their own")]
        mod petrel_plugin_exports {
            #[allow(unused_imports, reason = "the allocator may be named by any path")]
            use super::*;

            #[unsafe(export_name = "petrel:plugin/allocating@1.0.0#version")]
            extern "C" fn version() -> usize {
                $crate::abi::answer_text(env!("CARGO_PKG_VERSION"))
            }

            #[unsafe(export_name = "petrel:plugin/allocating@1.0.0#validate")]
            unsafe extern "C" fn validate(at: usize, len: usize) -> usize {
                // SAFETY: the host put the argument there.
                let argument = unsafe { $crate::abi::text(at, len) };
                $crate::abi::answer_verdict(<$allocator as $crate::Allocator>::new(argument).map(drop))
            }

            #[unsafe(export_name = "petrel:plugin/allocating@1.0.0#allocate")]
            unsafe extern "C" fn allocate(
                group: usize,
                group_len: usize,
                argument: usize,
                argument_len: usize,
                queues: usize,
                queue_count: usize,
                clients: usize,
                client_count: usize,
            ) -> usize {
                // SAFETY: the host put all four there.
                let ((group, argument), (queues, clients)) = unsafe {
                    (
                        ($crate::abi::text(group, group_len), $crate::abi::text(argument, argument_len)),
                        ($crate::abi::queues(queues, queue_count), $crate::abi::clients(clients, client_count)),
                    )
                };
                let allocator = <$allocator as $crate::Allocator>::new(argument);
                $crate::abi::answer_owners(allocator.and_then(|allocator| allocator.allocate(group, &queues, &clients)))
            }

            #[unsafe(no_mangle)]
            extern "C" fn cabi_realloc(_old: usize, _old_len: usize, align: usize, len: usize) -> usize {
                $crate::abi::room(align, len)
            }
        }
    };
}
