//! Text from outside, made safe for a line, a terminal or a log: the one sanitiser.
//!
//! Control characters move a terminal's cursor, and line breaks begin a line that looks like the program's own. The
//! bidirectional controls of Unicode's UAX #9 can make a line look like another.

use std::borrow::Cow;
use std::fmt::Write as _;

/// What stands for a character that is not shown.
const REPLACEMENT: char = '\u{fffd}';

/// Whether a character is neither a control character nor one that changes the direction or the order of writing.
pub fn is_plain(c: char) -> bool {
    !c.is_control()
        && !matches!(c,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

/// Makes text safe for one line: line breaks and tabs become blanks, other characters that are not plain U+FFFD.
pub fn one_line(text: &str) -> String {
    text.chars().map(|c| if matches!(c, '\n' | '\r' | '\t') { ' ' } else { shown(c) }).collect()
}

/// Makes text safe, line by line. The result has at least one line.
pub fn lines(text: &str) -> Vec<String> {
    text.replace("\r\n", "\n").split(['\n', '\u{2028}', '\u{2029}']).map(one_line).collect()
}

/// Makes the program's own output safe, which may have several lines.
pub fn block(text: &str) -> Cow<'_, str> {
    if text.chars().all(|c| c == '\n' || is_plain(c)) {
        return Cow::Borrowed(text);
    }
    let keeps = |c| matches!(c, '\n' | '\t');
    Cow::Owned(text.chars().map(|c| if keeps(c) { c } else { shown(c) }).collect())
}

/// At most `max` characters on one line, with an ellipsis where text was cut.
pub fn short(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        Some((at, _)) => format!("{}…", one_line(&text[..at])),
        None => one_line(text),
    }
}

/// Escapes the characters that JSON allows within a text and that are not plain. The value stays the same.
pub fn json(text: &str) -> Cow<'_, str> {
    if text.chars().all(|c| c == '\n' || is_plain(c)) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        // A line break stands between the values, never within one.
        if c == '\n' || is_plain(c) {
            escaped.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing into a string does not fail.
                let _ = write!(escaped, "\\u{unit:04x}");
            }
        }
    }
    Cow::Owned(escaped)
}

fn shown(c: char) -> char {
    if is_plain(c) { c } else { REPLACEMENT }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_do_not_reach_the_terminal() {
        assert_eq!(one_line("a\n\u{1b}[2Jb\u{202e}c\u{85}"), "a \u{fffd}[2Jb\u{fffd}c\u{fffd}");
        assert_eq!(one_line("\u{200f}a\u{2028}b"), "\u{fffd}a\u{fffd}b");
        assert_eq!(lines("a\r\nb\u{2028}\u{9b}2J\n"), ["a", "b", "\u{fffd}2J", ""]);
        assert_eq!(short("ñandú", 3), "ñan…");
        assert_eq!(short("ñandú", 5), "ñandú");
        assert_eq!(block("a\tb\n\u{9d}0;x\u{7}"), "a\tb\n\u{fffd}0;x\u{fffd}");
    }

    #[test]
    fn every_character_that_moves_a_terminal_is_replaced() {
        let moving =
            (0..=0x10_ffff).filter_map(char::from_u32).filter(|c| c.is_control() || "\u{202e}\u{2066}".contains(*c));
        for c in moving {
            let text = format!("a{c}b");
            assert!(one_line(&text).chars().all(is_plain), "{c:?}");
            assert!(lines(&text).iter().all(|line| line.chars().all(is_plain)), "{c:?}");
            assert!(block(&text).chars().all(|c| is_plain(c) || c == '\n' || c == '\t'), "{c:?}");
        }
    }

    #[test]
    fn json_keeps_its_value() {
        let value = serde_json::json!({"a\u{9b}": "b\u{202e}\u{7f}\u{2028}\u{85}\n\u{feff}ñ"});
        for text in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
            let escaped = json(&text);
            assert!(escaped.chars().all(|c| is_plain(c) || c == '\n'), "{escaped:?}");
            assert_eq!(serde_json::from_str::<serde_json::Value>(&escaped).unwrap(), value);
        }
        assert!(matches!(json("{}"), Cow::Borrowed(_)));
    }
}
