//! A small seeded generator (SplitMix64): the only source of chance in the machines, so that a seed replays a run.

/// The generator's state.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// A generator that always gives the same numbers for the same seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `bound`; 0 if `bound` is 0.
    pub fn below(&mut self, bound: u32) -> u32 {
        // The high half of a 32x32-bit product is unbiased enough for choosing among a few queues.
        u32::try_from(((self.next_u64() >> 32) * u64::from(bound)) >> 32).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_choices_and_all_stay_below_the_bound() {
        let (mut a, mut b) = (Random::new(42), Random::new(42));
        for _ in 0..1000 {
            let choice = a.below(7);
            assert!(choice < 7);
            assert_eq!(choice, b.below(7));
        }
        assert_eq!(a.below(0), 0);
    }
}
