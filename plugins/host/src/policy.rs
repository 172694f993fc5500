//! What becomes of messages that a plugin fails on.

use std::{fmt, num::NonZeroU32, str::FromStr};

use thiserror::Error;

/// What becomes of a message for which there is no answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// The consumer gets it.
    #[default]
    Deliver,
    /// The consumer does not get it.
    Withhold,
}

/// What an operator wants of a plugin that fails. Its text is `deliver` or `withhold`, and perhaps `,disable-after=N`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// What becomes of the messages.
    pub on_failure: OnFailure,
    /// After how many failed calls in a row the plugin is switched off. Subscriptions that name it are then refused with a message that says so.
    pub disable_after: Option<NonZeroU32>,
}

impl Default for Policy {
    /// Nothing is lost for a plugin's sake, and one that always fails does not cost its fuel for ever.
    fn default() -> Self {
        Self { on_failure: OnFailure::Deliver, disable_after: NonZeroU32::new(16) }
    }
}

/// A text that is no policy.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("'{0}' is no policy: write deliver or withhold, and perhaps ,disable-after=N behind it with N of at least 1")]
pub struct PolicyError(String);

impl FromStr for Policy {
    type Err = PolicyError;

    fn from_str(text: &str) -> Result<Self, PolicyError> {
        let error = || PolicyError(text.chars().take(80).collect());
        let (word, rest) = text.split_once(',').map_or((text, None), |(word, rest)| (word, Some(rest)));
        let on_failure = match word.trim() {
            "deliver" => OnFailure::Deliver,
            "withhold" => OnFailure::Withhold,
            _ => return Err(error()),
        };
        let number = |rest: &str| rest.trim().strip_prefix("disable-after=").and_then(|number| number.parse().ok());
        let disable_after = rest.map(|rest| number(rest).ok_or_else(error)).transpose()?;
        Ok(Self { on_failure, disable_after })
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.on_failure {
            OnFailure::Deliver => "deliver",
            OnFailure::Withhold => "withhold",
        })?;
        self.disable_after.map_or(Ok(()), |count| write!(f, ",disable-after={count}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_read_as_it_is_written() {
        for text in ["deliver", "withhold", "deliver,disable-after=16", "withhold,disable-after=1"] {
            assert_eq!(text.parse::<Policy>().unwrap().to_string(), text);
        }
        assert_eq!("withhold , disable-after=3".parse::<Policy>().unwrap().to_string(), "withhold,disable-after=3");
    }

    #[test]
    fn what_is_no_policy_is_named() {
        for text in ["", "drop", "deliver,", "deliver,disable-after=0", "deliver,disable-after=-1", "deliver,after=3"] {
            assert!(text.parse::<Policy>().unwrap_err().to_string().starts_with(&format!("'{text}' is no policy")), "{text}");
        }
    }
}
