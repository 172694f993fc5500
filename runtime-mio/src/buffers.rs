//! Memory for bytes on their way in and out: shared while a connection is busy, given back when it is idle.

/// Buffers that are used again, so that busy connections allocate nothing and idle ones own nothing.
#[derive(Debug)]
pub struct BufferPool {
    free: Vec<Vec<u8>>,
    keep: usize,
    largest: usize,
}

impl BufferPool {
    /// A pool that keeps at most `keep` buffers of at most `largest` bytes each.
    #[must_use]
    pub const fn new(keep: usize, largest: usize) -> Self {
        Self { free: Vec::new(), keep, largest }
    }

    /// An empty buffer, with capacity if one was given back.
    #[must_use]
    pub fn take(&mut self) -> Vec<u8> {
        self.free.pop().unwrap_or_default()
    }

    /// Takes a buffer back. One that has grown beyond the limit is freed instead: a single large frame must not stay in memory.
    pub fn give(&mut self, mut buffer: Vec<u8>) {
        if self.free.len() < self.keep && (1..=self.largest).contains(&buffer.capacity()) {
            buffer.clear();
            self.free.push(buffer);
        }
    }

    /// How many buffers lie ready.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.free.len()
    }

    /// Whether none lies ready.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.free.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_used_again_empty() {
        let mut pool = BufferPool::new(2, 1024);
        pool.give(vec![1; 100]);
        let again = pool.take();
        assert!(again.is_empty() && again.capacity() >= 100);
        assert_eq!(pool.take().capacity(), 0);
    }

    #[test]
    fn what_is_too_large_or_too_many_is_freed() {
        let mut pool = BufferPool::new(1, 1024);
        pool.give(vec![0; 2048]);
        assert!(pool.is_empty());
        pool.give(vec![0; 10]);
        pool.give(vec![0; 10]);
        assert_eq!(pool.len(), 1);
    }
}
