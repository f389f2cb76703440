//! Wraps and cuts text to the columns of a terminal.

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::cli::text;

/// The most characters of one grapheme. Existing flags and families have fewer.
const GRAPHEME_MAX_CHARS: usize = 12;

/// The narrowest line has room for any grapheme.
const LETTER_MAX_COLUMNS: usize = 2;

const EMOJI_SELECTOR: char = '\u{fe0f}';
/// Characters below it are letters, which combine in other ways.
const EMOJI_FIRST: char = '\u{1f000}';

pub fn width(text: &str) -> usize {
    text.width()
}

/// Wraps a text between words, or within words that are too long, into lines of at most `columns` (two at least).
/// Control characters are replaced.
pub fn wrap(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(LETTER_MAX_COLUMNS);
    text::lines(text).iter().flat_map(|line| wrap_line(line, columns)).collect()
}

fn wrap_line(text: &str, columns: usize) -> Vec<String> {
    let (mut lines, mut line) = (Vec::new(), String::new());
    for letter in letters(text) {
        if push(&mut line, &letter, columns) {
            continue;
        }
        if letter == " " {
            // The space ends the line and would not show.
            lines.push(std::mem::take(&mut line));
            continue;
        }
        let rest = match line.rfind(' ') {
            Some(at) => line.split_off(at + 1),
            None => String::new(),
        };
        lines.push(std::mem::replace(&mut line, rest).trim_end_matches(' ').to_owned());
        if !push(&mut line, &letter, columns) {
            lines.push(std::mem::replace(&mut line, letter));
        }
    }
    lines.push(line);
    lines
}

/// Adds a grapheme to a line with room for it. The whole line is measured, because a grapheme may change the width of
/// the one before it.
fn push(line: &mut String, letter: &str, columns: usize) -> bool {
    let end = line.len();
    line.push_str(letter);
    let fits = line.width() <= columns;
    if !fits {
        line.truncate(end);
    }
    fits
}

/// Breaks a text at exactly `columns`, so that the first break does not depend on the text after it.
pub fn fold(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(LETTER_MAX_COLUMNS);
    let mut lines = Vec::new();
    for text in text::lines(text) {
        let mut line = String::new();
        for letter in letters(&text) {
            if !push(&mut line, &letter, columns) {
                lines.push(std::mem::replace(&mut line, letter));
            }
        }
        lines.push(line);
    }
    lines
}

/// Cuts one line to at most `columns`, with an ellipsis where text was cut.
pub fn cut(text: &str, columns: usize) -> String {
    let line = text::one_line(text);
    let whole: String = letters(&line).collect();
    if whole.width() <= columns {
        return whole;
    }
    let mut shortened = String::new();
    for letter in letters(&line) {
        if !push(&mut shortened, &letter, columns.saturating_sub(1)) {
            break;
        }
    }
    shortened + "…"
}

/// The graphemes that take room, each with a limited number of characters.
///
/// Terminals disagree about the width of composed emoji (families, flags, skin tones, selectors). One that counts
/// otherwise than this code shifts the rest of the row and leaves remains on the screen. Composed emoji are therefore
/// shown by their parts.
fn letters(text: &str) -> impl Iterator<Item = String> {
    let whole = text.graphemes(true).flat_map(|letter| {
        let is_emoji = letter.chars().any(|c| c >= EMOJI_FIRST);
        let parts: Vec<String> = if is_emoji {
            letter.chars().filter_map(part).map(String::from).collect()
        } else {
            vec![letter.chars().filter(|&c| c != EMOJI_SELECTOR).take(GRAPHEME_MAX_CHARS).collect()]
        };
        // No line may be too narrow for a grapheme: one that is wider than each of its parts is shown by its parts,
        // too.
        match parts.as_slice() {
            [whole] if whole.width() > LETTER_MAX_COLUMNS => whole.chars().map(narrow).map(String::from).collect(),
            _ => parts,
        }
    });
    whole.filter(|letter| letter.width() > 0)
}

/// Replaces the few letters that are wider than two columns, such as U+17D8 with three.
fn narrow(c: char) -> char {
    if c.width().unwrap_or(0) > LETTER_MAX_COLUMNS { char::REPLACEMENT_CHARACTER } else { c }
}

/// How a part of a composed emoji is shown: a flag by the country's letters, a skin tone by nothing.
fn part(c: char) -> Option<char> {
    match c {
        '\u{1f1e6}'..='\u{1f1ff}' => char::from_u32(u32::from(c) - 0x1f1e6 + u32::from('A')),
        '\u{1f3fb}'..='\u{1f3ff}' => None,
        c => Some(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_stay_whole_where_they_can() {
        assert_eq!(wrap("¿En qué podemos ayudarte?", 12), ["¿En qué", "podemos", "ayudarte?"]);
        assert_eq!(wrap("a\n\nb", 12), ["a", "", "b"]);
        assert_eq!(wrap("https://example.com/x", 8), ["https://", "example.", "com/x"]);
        assert_eq!(wrap("ab cd", 2), ["ab", "cd"]);
        assert_eq!(wrap("", 5), [""]);
    }

    #[test]
    fn wide_letters_take_two_columns() {
        assert_eq!(wrap("日本語テキスト", 5), ["日本", "語テ", "キス", "ト"]);
        assert_eq!(wrap("👍👍👍", 4), ["👍👍", "👍"]);
        assert_eq!(wrap("👨‍👩‍👧 🇪🇸 👍🏽 ❤\u{fe0f} क्‍ष", 20), ["👨👩👧 ES 👍 ❤ क्‍ष"]);
        assert_eq!(cut("日本語", 4), "日…");
        assert_eq!(cut("日本語", 6), "日本語");
    }

    #[test]
    fn a_letter_with_a_thousand_marks_is_cut() {
        let letter = format!("e{}", "\u{301}".repeat(1000));
        assert_eq!(wrap(&letter, 10)[0].chars().count(), GRAPHEME_MAX_CHARS);
    }

    #[test]
    fn a_letter_wider_than_two_columns_is_shown_by_its_parts() {
        assert_eq!(wrap("𘠀ெ", 2), ["𘠀", "ெ"]);
        assert_eq!(fold("𘠀ெ", 2), ["𘠀", "ெ"]);
        assert_eq!(wrap("\u{17d8}", 2), ["\u{fffd}"]);
    }

    proptest! {
        #[test]
        fn no_line_is_too_wide_and_control_characters_are_replaced(text in any::<String>(), columns in 2usize..40) {
            for line in wrap(&text, columns).into_iter().chain(fold(&text, columns)).chain([cut(&text, columns)]) {
                prop_assert!(line.width() <= columns, "{line:?}");
                prop_assert!(!line.chars().any(char::is_control));
            }
        }

        #[test]
        fn no_letter_is_lost(text in "[a-zñé日👍 ]{0,80}", columns in 2usize..40) {
            let bare = |text: &str| text.replace(' ', "");
            prop_assert_eq!(bare(&wrap(&text, columns).concat()), bare(&text));
            prop_assert_eq!(fold(&text, columns).concat(), text);
        }
    }
}
