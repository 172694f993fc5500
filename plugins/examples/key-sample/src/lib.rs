//! Delivers a share of the messages, chosen by a hash of their first key, so that all messages of one key are delivered or none: the argument is
//! a percentage, `10` or `0.5`. Messages without a key are told apart by the producer's id.

use petrel_plugin_sdk::{Filter, Message};

/// Messages of a million that are delivered.
struct KeySample(u64);

impl Filter for KeySample {
    fn new(argument: &str) -> Result<Self, String> {
        match argument.trim().trim_end_matches('%').parse::<f64>() {
            Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(Self((percent * 10_000.0) as u64)),
            _ => Err(format!("'{argument}' is no percentage between 0 and 100")),
        }
    }

    fn matches(&self, message: &Message<'_>) -> bool {
        let key = message.keys().next().or_else(|| message.property("UNIQ_KEY")).unwrap_or_default();
        hash(key) % 1_000_000 < self.0
    }
}

/// FNV-1a, mixed once more, since its low digits of short keys are alike.
fn hash(key: &str) -> u64 {
    let fnv = key.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let mixed = (fnv ^ (fnv >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    mixed ^ (mixed >> 32)
}

petrel_plugin_sdk::filter!(KeySample);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn about_as_many_keys_are_taken_as_the_share_says() {
        let taken = (0..100_000).filter(|n| hash(&format!("order-{n}")) % 1_000_000 < 100_000).count();
        assert!((9_500..10_500).contains(&taken), "{taken}");
    }

    #[test]
    fn what_is_no_percentage_is_refused() {
        for argument in ["", "ten", "-1", "101", "NaN"] {
            assert!(KeySample::new(argument).is_err(), "{argument}");
        }
        assert_eq!(KeySample::new("0.5%").map(|sample| sample.0), Ok(5_000));
    }
}
