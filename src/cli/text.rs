//! Text for terminals. What customers wrote may contain control sequences.

use crate::domain::Timestamp;
use crate::integrations::twilio::codes;

/// Makes text safe for one line: control and bidirectional characters become U+FFFD.
pub fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\n' | '\r' | '\t' => ' ',
            c => harmless(c),
        })
        .collect()
}

/// Makes text safe, line by line. The result has at least one line.
pub fn lines(text: &str) -> Vec<String> {
    text.replace("\r\n", "\n").split(['\n', '\u{2028}', '\u{2029}']).map(one_line).collect()
}

/// Replaces control and bidirectional characters by U+FFFD.
fn harmless(c: char) -> char {
    match c {
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
        c if c.is_control() => '\u{fffd}',
        c => c,
    }
}

/// At most `max` characters on one line, with an ellipsis where text was cut.
pub fn short(text: &str, max: usize) -> String {
    let line = one_line(text);
    match line.char_indices().nth(max) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
}

/// A time in UTC, to the second.
pub fn time(at: Timestamp) -> String {
    at.to_utc().format("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// A time in UTC, to the millisecond, for things that happen within one second.
pub fn exact_time(at: Timestamp) -> String {
    at.to_utc().format("%Y-%m-%d %H:%M:%S%.3fZ").to_string()
}

/// A provider's error code with its meaning and a remedy.
pub fn code(code: i64) -> String {
    let known = u32::try_from(code).ok().and_then(codes::lookup);
    match known {
        Some(known) => format!("{code}: {}; {}", known.meaning, known.remedy),
        None => format!("{code}: see https://www.twilio.com/docs/api/errors/{code}"),
    }
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
    }

    #[test]
    fn codes_say_what_helps() {
        assert!(code(21610).contains("opted out"));
        assert!(code(1).contains("errors/1"));
        assert!(code(-1).contains("errors/-1"));
    }
}
