//! The bits that stand for a group's filter in the bit map of a message, as Java's broker computes them. They are part of
//! `consumerFilter.json`.
//!
//! ```
//! use proto_core::bloom::BloomFilter;
//!
//! assert_eq!(BloomFilter::new(20, 32).positions("group_a#TopicTest"), [85, 53, 80]);
//! ```

/// The shape of a bit map: how many bits, and how many of them a text sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BloomFilter {
    hashes: i32,
    bits: i32,
}

impl BloomFilter {
    /// A bit map that `texts` (`expectConsumerNumUseFilter`) may set bits in while at most `error_percent`
    /// (`maxErrorRateOfBloomFilter`) of the questions are answered yes by mistake. What no map can have counts as the nearest that one can.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "rounded, and saturating as in Java")]
    pub fn new(error_percent: i32, texts: i32) -> Self {
        let rate = f64::from(error_percent.clamp(1, 99)) / 100.0;
        let log = |base: f64, value: f64| value.ln() / base.ln();
        let hashes = log(0.5, rate).ceil() as i32;
        let bits = (f64::from(texts.max(1)) * log(2.0, 1.0 / rate) * log(2.0, std::f64::consts::E)).ceil();
        Self { hashes, bits: 8 * (bits / 8.0).ceil().min(f64::from(i32::MAX / 8)) as i32 }
    }

    /// Bits of the map, a multiple of 8.
    #[must_use]
    pub const fn bits(&self) -> i32 {
        self.bits
    }

    /// The bits that `text` sets, one for each hash, in the order of the hashes.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "the halves of the hash are what is wanted")]
    pub fn positions(&self, text: &str) -> Vec<i32> {
        let hash = murmur3_low(text.as_bytes());
        let (first, second) = (hash as i32, (hash >> 32) as i32);
        let combined = (1..=self.hashes).map(|number| first.wrapping_add(number.wrapping_mul(second)));
        combined.map(|hash| if hash < 0 { !hash } else { hash } % self.bits).collect()
    }
}

/// The lower half of MurmurHash3 for 64-bit machines with 128 bits of result and seed 0.
fn murmur3_low(bytes: &[u8]) -> u64 {
    const C1: u64 = 0x87c3_7b91_1142_53d5;
    const C2: u64 = 0x4cf5_ad43_2745_937f;
    let mix_low = |block: u64| block.wrapping_mul(C1).rotate_left(31).wrapping_mul(C2);
    let mix_high = |block: u64| block.wrapping_mul(C2).rotate_left(33).wrapping_mul(C1);
    let (mut low, mut high) = (0_u64, 0_u64);
    let (blocks, tail) = bytes.as_chunks::<16>();
    for block in blocks {
        let block = u128::from_le_bytes(*block);
        low ^= mix_low(block as u64);
        low = low.rotate_left(27).wrapping_add(high).wrapping_mul(5).wrapping_add(0x52dc_e729);
        high ^= mix_high((block >> 64) as u64);
        high = high.rotate_left(31).wrapping_add(low).wrapping_mul(5).wrapping_add(0x3849_5ab5);
    }
    let mut last = [0; 16];
    last[..tail.len()].copy_from_slice(tail);
    let last = u128::from_le_bytes(last);
    // Nothing is mixed to nothing, so that an empty half changes nothing.
    high ^= mix_high((last >> 64) as u64);
    low ^= mix_low(last as u64);
    let len = bytes.len() as u64;
    low ^= len;
    high ^= len;
    low = low.wrapping_add(high);
    high = high.wrapping_add(low);
    finish(low).wrapping_add(finish(high))
}

const fn finish(mut hash: u64) -> u64 {
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_known_one() {
        assert_eq!(murmur3_low(b"hello"), 0xcbd8_a7b3_41bd_9b02);
        assert_eq!(murmur3_low(b""), 0);
    }

    #[test]
    fn a_shape_that_no_map_can_have_becomes_the_nearest() {
        assert_eq!(BloomFilter::new(0, 0), BloomFilter::new(1, 1));
        assert_eq!(BloomFilter::new(1000, -5), BloomFilter::new(99, 1));
        assert!(BloomFilter::new(1, i32::MAX).positions("G#T").iter().all(|&bit| bit >= 0));
    }
}
