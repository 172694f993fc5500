//! Plugins written out as text, and messages for them.
#![allow(dead_code, reason = "each test file uses its part")]

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, OnceLock},
};

use petrel_plugin_host::{Limits, LoadError, LoadedPlugin, PluginEngine, PluginSet, Policy};
use proto_core::record::RecordFields;
use route_core::{
    filter::{Candidate, MessageFilter, Verdicts},
    plugins::{PluginInfo, Plugins},
};

/// A filter that does this for each of its functions. What a call is given lies at 4096; texts are told at 16.
pub(crate) struct FilterText {
    pub(crate) module: &'static str,
    pub(crate) wants: &'static str,
    pub(crate) validate: &'static str,
    pub(crate) matches: &'static str,
    pub(crate) realloc: &'static str,
}

/// Every second message.
pub(crate) const EVERY_SECOND: &str = "(i64.const 0x5555555555555555)";
/// Takes each argument.
pub(crate) const TAKES_ALL: &str = "(i32.store8 (i32.const 32) (i32.const 0)) (i32.const 32)";

impl Default for FilterText {
    fn default() -> Self {
        Self { module: "", wants: "(i32.const 2)", validate: TAKES_ALL, matches: EVERY_SECOND, realloc: "(i32.const 4096)" }
    }
}

impl FilterText {
    pub(crate) fn that_matches(matches: &'static str) -> Self {
        Self { matches, ..Self::default() }
    }

    pub(crate) fn wasm(&self) -> Vec<u8> {
        let Self { module, wants, validate, matches, realloc } = self;
        let text = format!(
            r#"(module
                (memory (export "memory") 40)
                (data (i32.const 900) "0.1.0no")
                (func $answer (param i32 i32) (result i32)
                    (i32.store (i32.const 16) (local.get 0)) (i32.store (i32.const 20) (local.get 1)) (i32.const 16))
                (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) {realloc})
                (func (export "petrel:plugin/filtering@1.0.0#version") (result i32) (call $answer (i32.const 900) (i32.const 5)))
                (func (export "petrel:plugin/filtering@1.0.0#wants") (result i32) {wants})
                (func (export "petrel:plugin/filtering@1.0.0#validate") (param i32 i32) (result i32) {validate})
                (func $matches (export "petrel:plugin/filtering@1.0.0#matches") (param i32 i32) (result i64) {matches})
                {module})"#
        );
        wat::parse_str(text).expect("the text of a test is WebAssembly")
    }
}

/// Memory in the order in which it is asked for.
const IN_ORDER: &str = "(local.set 4 (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
                (global.set $free (i32.add (local.get 4) (local.get 3)))
                (local.get 4)";

/// An allocator that answers with `owners` numbers which lie at 64.
pub(crate) fn allocator(owners: &[u32]) -> Vec<u8> {
    allocator_whose_realloc(owners, IN_ORDER)
}

/// The same, with the place of what it is given said by `realloc`.
pub(crate) fn allocator_whose_realloc(owners: &[u32], realloc: &str) -> Vec<u8> {
    let bytes: String = owners.iter().flat_map(|owner| owner.to_le_bytes()).map(|byte| format!("\\{byte:02x}")).collect();
    let text = format!(
        r#"(module
            (memory (export "memory") 40)
            (global $free (mut i32) (i32.const 4096))
            (data (i32.const 900) "0.1.0")
            (data (i32.const 64) "{bytes}")
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (local i32) {realloc})
            (func (export "petrel:plugin/allocating@1.0.0#version") (result i32)
                (i32.store (i32.const 16) (i32.const 900)) (i32.store (i32.const 20) (i32.const 5)) (i32.const 16))
            (func (export "petrel:plugin/allocating@1.0.0#validate") (param i32 i32) (result i32)
                (i32.store8 (i32.const 32) (i32.const 0)) (i32.const 32))
            (func (export "petrel:plugin/allocating@1.0.0#allocate") (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
                (i32.store8 (i32.const 32) (i32.const 0)) (i32.store (i32.const 36) (i32.const 64)) (i32.store (i32.const 40) (i32.const {}))
                (global.set $free (i32.const 4096))
                (i32.const 32)))"#,
        owners.len(),
    );
    wat::parse_str(text).expect("the text of a test is WebAssembly")
}

pub(crate) fn load(file: &[u8]) -> Result<LoadedPlugin, LoadError> {
    PluginEngine::new(Limits::default(), None).expect("an engine").load(file)
}

/// A set with one plugin, `it`.
pub(crate) fn set_of(file: &[u8], policy: &str) -> PluginSet {
    let set = PluginSet::new();
    let policy: Policy = policy.parse().expect("a policy");
    set.install("it", load(file).expect("a plugin"), policy, true).expect("room");
    set
}

pub(crate) fn filter_of(set: &PluginSet) -> Arc<dyn MessageFilter> {
    set.filter("it", "").expect("a filter")
}

pub(crate) fn info(set: &PluginSet) -> PluginInfo {
    set.list().remove(0)
}

/// A stored message.
pub(crate) fn message(queue_offset: i64, body: &[u8], properties: &str) -> Vec<u8> {
    message_with(queue_offset, body, properties, 0)
}

/// A stored message with these bits of the system flag.
pub(crate) fn message_with(queue_offset: i64, body: &[u8], properties: &str, sys_flag: i32) -> Vec<u8> {
    let host = "10.0.0.1:1000".parse().expect("an address");
    let fields = RecordFields {
        topic: "TopicTest",
        queue_id: 3,
        flag: 5,
        queue_offset,
        physical_offset: 0,
        sys_flag,
        born_timestamp: 1_700_000_000_000,
        born_host: host,
        store_timestamp: 1_700_000_000_007,
        store_host: host,
        reconsume_times: 2,
        prepared_transaction_offset: 0,
        body,
        properties: properties.as_bytes(),
    };
    let mut bytes = vec![0; 200 + body.len() + properties.len()];
    let len = fields.encode_into(&mut bytes).expect("room");
    bytes.truncate(len);
    bytes
}

/// Messages with offsets from 100 on.
pub(crate) fn messages(count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|n| message(100 + n as i64, format!("body {n}").as_bytes(), "TAGS\u{1}TagA\u{2}")).collect()
}

/// Which of the messages are delivered.
pub(crate) fn delivered(filter: &dyn MessageFilter, messages: &[Vec<u8>]) -> Vec<usize> {
    let batch: Vec<_> = messages.iter().map(|record| Candidate { tags_code: 7, record: Some(record) }).collect();
    let mut verdicts = Verdicts::default();
    verdicts.reset(batch.len());
    filter.matches(&batch, &mut verdicts);
    (0..batch.len()).filter(|&index| verdicts.delivers(index)).collect()
}

pub(crate) fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples")
}

/// The folder of the examples' `.wasm` files, built once for all tests.
pub(crate) fn built() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("examples");
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--release", "--locked"]).current_dir(examples()).env("CARGO_TARGET_DIR", &target);
        // Flags of the tests' own build are none of the plugins'.
        cargo.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
        let output = cargo.output().expect("cargo runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        target.join("wasm32-unknown-unknown/release")
    })
}
