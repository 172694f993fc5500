//! How much a plugin may have. Every number is per plugin, and each is named in the message that tells of it.

use route_core::plugins::shelf::PluginShelf;

/// Limits of a plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of its file; a shelf takes no longer ones.
    pub file: usize,
    /// What compiling it takes, in instructions: an ordinary plugin has some ten thousand, and this many take some seconds.
    pub compile: u64,
    /// Bytes of its memory.
    pub memory: usize,
    /// Elements of its tables.
    pub table_elements: usize,
    /// Bytes of its calls' stack.
    pub stack: usize,
    /// Steps of one call, in wasmtime's fuel: about one for each instruction. A limit that counts steps and not time gives every machine the
    /// same answer. A message that is asked for alone, since its batch has failed, has an eighth; and each failed batch in a row leaves the next
    /// one half as much, so that a plugin that fails always does not keep everybody waiting until it is switched off.
    pub fuel: u64,
    /// Bytes of one call; a batch that grows longer becomes several, and one message is always taken.
    pub batch_bytes: usize,
    /// Bytes of a body that was decompressed for it; a longer one comes as it was sent.
    pub body: usize,
    /// Bytes of a text that it answers. What is longer is cut.
    pub text: usize,
    /// Messages of a failed call that may fail again when they are asked for one by one; the others then go as the policy says.
    pub failures_per_batch: usize,
}

impl Limits {
    /// Steps of a batch after so many failed ones in a row.
    pub(crate) const fn fuel_after(&self, failures: u32) -> u64 {
        self.fuel >> if failures < 6 { failures } else { 6 }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            file: PluginShelf::MAX_LEN as usize,
            compile: 8_000_000,
            memory: 32 << 20,
            table_elements: 16_384,
            stack: 256 << 10,
            fuel: 5_000_000,
            batch_bytes: 1 << 20,
            body: 1 << 20,
            text: 1024,
            failures_per_batch: 3,
        }
    }
}
