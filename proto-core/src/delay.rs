//! The levels of delay that a broker offers, from its configuration text.

use nom::{
    IResult, Parser,
    character::complete::{multispace0, multispace1, one_of, u64},
    combinator::all_consuming,
    multi::separated_list1,
    sequence::{delimited, pair},
};
use thiserror::Error;

/// Java's levels, 1 to 18.
pub const DEFAULT: &str = "1s 5s 10s 30s 1m 2m 3m 4m 5m 6m 7m 8m 9m 10m 20m 30m 1h 2h";

/// The delays of [`DEFAULT`] in ms.
pub const DEFAULT_MILLIS: [i64; 18] = [
    1_000, 5_000, 10_000, 30_000, 60_000, 120_000, 180_000, 240_000, 300_000, 360_000, 420_000, 480_000, 540_000, 600_000, 1_200_000,
    1_800_000, 3_600_000, 7_200_000,
];

/// The levels of delay; level n is counted from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DelayLevels {
    millis: Vec<i64>,
}

/// Why a text names no levels.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DelayLevelsError {
    /// Something that is not a number with one of the units s, m, h and d.
    #[error("delay levels are numbers with the unit s, m, h or d; this is none: {0:?}")]
    Malformed(String),
    /// A delay that no clock reaches.
    #[error("delay level {0} is longer than can be counted in ms")]
    TooLong(usize),
    /// More levels than queues can be numbered for.
    #[error("{0} delay levels are more than the {MAX_LEVELS} that there may be")]
    TooMany(usize),
}

/// More levels than anyone has use for: each one is a queue.
pub const MAX_LEVELS: usize = 1024;

impl DelayLevels {
    /// Reads levels such as `1s 5s 10s 1m 2h 1d`.
    ///
    /// # Errors
    /// [`DelayLevelsError`] names what is wrong.
    pub fn parse(text: &str) -> Result<Self, DelayLevelsError> {
        let (_, levels) = grammar(text).map_err(|error| {
            let rest = match &error {
                nom::Err::Error(error) | nom::Err::Failure(error) => error.input,
                nom::Err::Incomplete(_) => text,
            };
            DelayLevelsError::Malformed(rest.chars().take(40).collect())
        })?;
        if levels.len() > MAX_LEVELS {
            return Err(DelayLevelsError::TooMany(levels.len()));
        }
        let millis = levels.into_iter().enumerate().map(|(at, (count, unit))| {
            let unit = match unit {
                's' => 1_000,
                'm' => 60_000,
                'h' => 3_600_000,
                _ => 86_400_000,
            };
            i64::try_from(count).ok().and_then(|count| count.checked_mul(unit)).ok_or(DelayLevelsError::TooLong(at + 1))
        });
        Ok(Self { millis: millis.collect::<Result<_, _>>()? })
    }

    /// The highest level.
    #[must_use]
    pub fn max_level(&self) -> i32 {
        // At most MAX_LEVELS, which fits.
        i32::try_from(self.millis.len()).unwrap_or(i32::MAX)
    }

    /// The level that counts when `level` is asked for: the highest one for all above it.
    #[must_use]
    pub fn clamp(&self, level: i32) -> i32 {
        level.min(self.max_level())
    }

    /// The delay of a level in ms; `None` for levels that are not there, 0 among them.
    #[must_use]
    pub fn millis(&self, level: i32) -> Option<i64> {
        self.millis.get(usize::try_from(level).ok()?.checked_sub(1)?).copied()
    }

    /// Level and delay in ms, in order.
    pub fn iter(&self) -> impl Iterator<Item = (i32, i64)> {
        (1..).zip(self.millis.iter().copied())
    }
}

impl Default for DelayLevels {
    fn default() -> Self {
        Self { millis: DEFAULT_MILLIS.to_vec() }
    }
}

/// The queue of [`crate::names::SCHEDULE_TOPIC`] in which a level's messages wait.
#[must_use]
pub const fn queue_id(level: i32) -> i32 {
    level - 1
}

/// The level whose messages wait in a queue.
#[must_use]
pub const fn level_of_queue(queue_id: i32) -> i32 {
    queue_id + 1
}

fn grammar(text: &str) -> IResult<&str, Vec<(u64, char)>> {
    let level = pair(u64, one_of("smhd"));
    all_consuming(delimited(multispace0, separated_list1(multispace1, level), multispace0)).parse(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_text_is_the_default_table() {
        assert_eq!(DelayLevels::parse(DEFAULT), Ok(DelayLevels::default()));
    }

    #[test]
    fn a_level_above_the_highest_is_the_highest() {
        let levels = DelayLevels::parse("1s 2m 3h 1d").unwrap();
        assert_eq!(levels.clamp(99), 4);
        assert_eq!(levels.clamp(2), 2);
        assert_eq!(levels.millis(4), Some(86_400_000));
        assert_eq!(levels.millis(5), None);
        assert_eq!(levels.millis(0), None);
        assert_eq!(levels.millis(-1), None);
    }

    #[test]
    fn what_is_no_level_is_named() {
        assert_eq!(DelayLevels::parse("1s 5x"), Err(DelayLevelsError::Malformed("5x".to_owned())));
        assert_eq!(DelayLevels::parse("9223372036854775807d"), Err(DelayLevelsError::TooLong(1)));
        assert!(DelayLevels::parse("").is_err());
    }
}
