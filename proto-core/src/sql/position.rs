//! Lines and columns as the generated lexer of Java counts them: in UTF-16 units, tabs to multiples of 8.

/// A place in an expression, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) line: usize,
    pub(super) column: usize,
}

/// The place of the character that begins at byte `at`.
pub(super) fn of(text: &str, at: usize) -> Position {
    let end = text[at..].chars().next().map_or(at, |c| at + c.len_utf8());
    let mut position = scan(&text[..end]);
    // Of a pair of units the first one is meant.
    if text[at..end].chars().any(|c| c.len_utf16() == 2) {
        position.column -= 1;
    }
    position
}

/// The place of the last character, where Java sees the end of an expression; line 0 if there is none.
pub(super) fn of_last(text: &str) -> Position {
    scan(text)
}

/// The place behind the last character, where Java sees a token that never ends.
pub(super) fn behind(text: &str) -> Position {
    let last = scan(text);
    if text.ends_with(['\n', '\r']) { Position { line: last.line + 1, column: 0 } } else { Position { column: last.column + 1, ..last } }
}

/// The place of the last unit of `text`.
fn scan(text: &str) -> Position {
    if text.is_empty() {
        return Position { line: 0, column: 0 };
    }
    let mut position = Position { line: 1, column: 0 };
    let mut before = None;
    for c in text.chars() {
        // A line ends with its separator; of "\r\n" the second half still belongs to it.
        if before == Some('\n') || (before == Some('\r') && c != '\n') {
            position = Position { line: position.line + 1, column: 0 };
        }
        position.column = match c {
            '\t' => (position.column / 8 + 1) * 8,
            c => position.column + c.len_utf16(),
        };
        before = Some(c);
    }
    position
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str, part: &str) -> (usize, usize) {
        let Position { line, column } = of(text, text.find(part).unwrap());
        (line, column)
    }

    #[test]
    fn lines_end_with_either_separator_or_both() {
        assert_eq!(at("a\nb", "b"), (2, 1));
        assert_eq!(at("a\rb", "b"), (2, 1));
        assert_eq!(at("a\r\nb", "b"), (2, 1));
        assert_eq!(at("a\n\nb", "b"), (3, 1));
    }

    #[test]
    fn a_tab_ends_at_a_multiple_of_eight() {
        assert_eq!(at("a\tb", "\t"), (1, 8));
        assert_eq!(at("a\tb", "b"), (1, 9));
    }

    #[test]
    fn characters_outside_the_basic_plane_take_two_columns() {
        assert_eq!(at("'\u{1f600}' b", "\u{1f600}"), (1, 2));
        assert_eq!(at("'\u{1f600}' b", "b"), (1, 6));
    }

    #[test]
    fn the_end_lies_on_the_last_character_or_behind_it() {
        assert_eq!(of_last(""), Position { line: 0, column: 0 });
        assert_eq!(of_last("a >"), Position { line: 1, column: 3 });
        assert_eq!(behind("'ab"), Position { line: 1, column: 4 });
        assert_eq!(behind("'ab\n"), Position { line: 2, column: 0 });
    }
}
