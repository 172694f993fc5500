//! The plugin of a run: WebAssembly by which some groups are filtered. It is bounded by steps and not by time, so that a run with it is as repeatable as
//! any other.

use std::sync::OnceLock;

use plugin_host::{Limits, PluginEngine, PluginSet, Policy};

use crate::names::Key;

/// The filter's name.
pub const EVEN: &str = "even";

/// Lets messages pass whose body ends with an even digit, as that of every second message of a producer does. `wit/filter.wit` tells what lies where.
const TEXT: &str = r#"(module
    (memory (export "memory") 40)
    (data (i32.const 900) "1.0.0")
    (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 4096))
    (func (export "petrel:plugin/filtering@1.0.0#version") (result i32)
        (i32.store (i32.const 16) (i32.const 900)) (i32.store (i32.const 20) (i32.const 5)) (i32.const 16))
    (func (export "petrel:plugin/filtering@1.0.0#wants") (result i32) (i32.const 1))
    (func (export "petrel:plugin/filtering@1.0.0#validate") (param i32 i32) (result i32)
        (i32.store8 (i32.const 32) (i32.const 0)) (i32.const 32))
    (func (export "petrel:plugin/filtering@1.0.0#matches") (param $batch i32) (param i32) (result i64)
        (local $index i32) (local $entry i32) (local $last i32) (local $answer i64)
        (local.set $entry (i32.add (local.get $batch) (i32.load (local.get $batch))))
        (loop $next
            (local.set $last (i32.add (i32.load offset=48 (local.get $entry)) (i32.sub (i32.load offset=44 (local.get $entry)) (i32.const 1))))
            (if (i32.eqz (i32.and (i32.load8_u (i32.add (local.get $batch) (local.get $last))) (i32.const 1))) (then
                (local.set $answer (i64.or (local.get $answer) (i64.shl (i64.const 1) (i64.extend_i32_u (local.get $index)))))))
            (local.set $index (i32.add (local.get $index) (i32.const 1)))
            (local.set $entry (i32.add (local.get $entry) (i32.load offset=4 (local.get $batch))))
            (br_if $next (i32.lt_u (local.get $index) (i32.load offset=8 (local.get $batch)))))
        (local.get $answer)))"#;

/// What [`EVEN`] says of a message.
#[must_use]
pub const fn is_even(key: Key) -> bool {
    key.number.is_multiple_of(2)
}

/// What the brokers of one run have installed.
///
/// # Panics
/// If the plugin is none.
#[must_use]
pub fn installed() -> PluginSet {
    static ENGINE: OnceLock<PluginEngine> = OnceLock::new();
    let engine = ENGINE.get_or_init(|| PluginEngine::new(Limits::default(), None).expect("plugins run on this machine"));
    let plugin = engine.load(&wat::parse_str(TEXT).expect("the text is WebAssembly")).expect("it is a plugin");
    let installed = PluginSet::new();
    installed.install(EVEN, plugin, Policy::default(), true).expect("there is room");
    installed
}
