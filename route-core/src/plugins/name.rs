//! Names of plugins: they are names of files, and stand in expressions.

use thiserror::Error;

/// Longest name, in characters.
pub const MAX_LEN: usize = 64;

/// A name that no plugin may have.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NameError {
    /// There is none.
    #[error("a plugin has a name")]
    Empty,
    /// It is too long.
    #[error("a plugin's name has {MAX_LEN} characters at most, not {0}")]
    TooLong(usize),
    /// It has something in it that has no place in a name.
    #[error("a plugin's name is made of letters, digits, '-' and '_', and has no '{0}'")]
    Character(char),
}

/// Whether a plugin may be called this.
///
/// # Errors
/// [`NameError`]
pub fn validate(name: &str) -> Result<(), NameError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    match (name.len(), name.chars().find(|c| !allowed(*c))) {
        (0, _) => Err(NameError::Empty),
        (_, Some(c)) => Err(NameError::Character(c)),
        (len, _) if len > MAX_LEN => Err(NameError::TooLong(len)),
        _ => Ok(()),
    }
}

/// A name and what follows it behind a `:`, which is the argument, empty if there is none: so clients and operators name a plugin.
#[must_use]
pub fn split_argument(text: &str) -> (&str, &str) {
    let (name, argument) = text.split_once(':').unwrap_or((text, ""));
    (name.trim(), argument)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_no_path_in_it_and_ends_somewhere() {
        assert_eq!(validate("json-fields_2"), Ok(()));
        assert_eq!(validate(""), Err(NameError::Empty));
        assert_eq!(validate("../x"), Err(NameError::Character('.')));
        assert_eq!(validate("a/b"), Err(NameError::Character('/')));
        assert_eq!(validate("a:b"), Err(NameError::Character(':')));
        assert_eq!(validate(&"n".repeat(65)), Err(NameError::TooLong(65)));
    }

    #[test]
    fn an_argument_follows_the_first_colon_as_it_is() {
        assert_eq!(split_argument("gray"), ("gray", ""));
        assert_eq!(split_argument(" gray : 10:20 "), ("gray", " 10:20 "));
    }
}
