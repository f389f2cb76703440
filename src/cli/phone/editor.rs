//! A text editor of one field. The cursor stands between graphemes.

use unicode_segmentation::{GraphemeCursor, UnicodeSegmentation};

/// The longest text, in characters, as for a text message.
pub const TEXT_MAX_CHARS: usize = 1600;

#[derive(Clone, Debug, Default)]
pub struct Editor {
    text: String,
    /// The cursor as a byte offset, between two graphemes.
    cursor: usize,
}

impl Editor {
    /// Creates an editor with the cursor at the end.
    pub fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        Self { cursor: text.len(), text }
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    pub const fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// The text before the cursor.
    pub fn before(&self) -> &str {
        &self.text[..self.cursor]
    }

    /// Empties the editor and returns its text.
    pub fn take(&mut self) -> String {
        self.cursor = 0;
        std::mem::take(&mut self.text)
    }

    /// Inserts text as typed or pasted: line ends become one kind, other control characters are dropped. Returns
    /// `false` if the text was cut at the limit.
    pub fn insert(&mut self, typed: &str) -> bool {
        let typed = typed.replace("\r\n", "\n").replace(['\r', '\u{2028}', '\u{2029}'], "\n").replace('\t', " ");
        let room = TEXT_MAX_CHARS.saturating_sub(self.text.chars().count());
        let mut fits = typed.chars().filter(|&c| c == '\n' || !c.is_control());
        let taken: String = fits.by_ref().take(room).collect();
        self.text.insert_str(self.cursor, &taken);
        self.cursor += taken.len();
        // A combining mark may join two graphemes, so the cursor moves to the next boundary.
        self.cursor = self.border(self.cursor);
        fits.next().is_none()
    }

    pub fn backspace(&mut self) {
        let end = self.cursor;
        self.left();
        self.text.replace_range(self.cursor..end, "");
    }

    pub fn delete(&mut self) {
        let next = self.next();
        self.text.replace_range(self.cursor..next, "");
    }

    /// Deletes from the cursor back to the start of a word.
    pub fn delete_word(&mut self) {
        let end = self.cursor;
        self.word_left();
        self.text.replace_range(self.cursor..end, "");
    }

    /// Deletes from the start to the cursor.
    pub fn delete_before(&mut self) {
        self.text.replace_range(..self.cursor, "");
        self.cursor = 0;
    }

    /// Deletes from the cursor to the end.
    pub fn delete_after(&mut self) {
        self.text.truncate(self.cursor);
    }

    pub fn left(&mut self) {
        self.cursor = self.before().grapheme_indices(true).next_back().map_or(0, |(at, _)| at);
    }

    pub fn right(&mut self) {
        self.cursor = self.next();
    }

    pub fn word_left(&mut self) {
        self.cursor = self.before().unicode_word_indices().next_back().map_or(0, |(at, _)| at);
    }

    pub fn word_right(&mut self) {
        let after = &self.text[self.cursor..];
        let word = after.unicode_word_indices().next();
        self.cursor += word.map_or(after.len(), |(at, word)| at + word.len());
    }

    /// Moves to the start of the line.
    pub fn home(&mut self) {
        self.cursor = self.before().rfind('\n').map_or(0, |at| at + 1);
    }

    /// Moves to the end of the line.
    pub fn end(&mut self) {
        let after = &self.text[self.cursor..];
        self.cursor += after.find('\n').unwrap_or(after.len());
    }

    /// Moves a line up; returns `false` on the first line.
    pub fn up(&mut self) -> bool {
        let Some(end) = self.before().rfind('\n') else { return false };
        let column = self.before()[end + 1..].graphemes(true).count();
        self.cursor = end;
        self.home();
        self.go_to_column(column);
        true
    }

    /// Moves a line down; returns `false` on the last line.
    pub fn down(&mut self) -> bool {
        let Some(end) = self.text[self.cursor..].find('\n') else { return false };
        let column = self.before().rsplit('\n').next().unwrap_or_default().graphemes(true).count();
        self.cursor += end + 1;
        self.go_to_column(column);
        true
    }

    /// Moves from the start of a line to a column, within the line.
    fn go_to_column(&mut self, column: usize) {
        let line = self.text[self.cursor..].split('\n').next().unwrap_or_default();
        self.cursor += line.grapheme_indices(true).nth(column).map_or(line.len(), |(at, _)| at);
    }

    fn next(&self) -> usize {
        self.cursor + self.text[self.cursor..].graphemes(true).next().map_or(0, str::len)
    }

    /// The grapheme boundary at or after `at`.
    fn border(&self, at: usize) -> usize {
        let mut cursor = GraphemeCursor::new(at, self.text.len(), true);
        match cursor.is_boundary(&self.text, 0) {
            Ok(false) => cursor.next_boundary(&self.text, 0).ok().flatten().unwrap_or(self.text.len()),
            _ => at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The text with the cursor as `|`.
    fn shown(editor: &Editor) -> String {
        format!("{}|{}", editor.before(), &editor.text()[editor.before().len()..])
    }

    #[test]
    fn letters_are_what_people_take_for_letters() {
        let mut editor = Editor::new("ñe\u{301}👨‍👩‍👧🇪🇸");
        editor.left();
        editor.left();
        assert_eq!(shown(&editor), "ñe\u{301}|👨‍👩‍👧🇪🇸");
        editor.delete();
        assert_eq!(shown(&editor), "ñe\u{301}|🇪🇸");
        editor.backspace();
        assert_eq!(shown(&editor), "ñ|🇪🇸");
        editor.right();
        assert_eq!(shown(&editor), "ñ🇪🇸|");
    }

    #[test]
    fn words_and_lines() {
        let mut editor = Editor::new("uno dos\ntres cuatro");
        editor.word_left();
        assert_eq!(shown(&editor), "uno dos\ntres |cuatro");
        editor.up();
        assert_eq!(shown(&editor), "uno d|os\ntres cuatro");
        assert!(!editor.up());
        editor.down();
        assert_eq!(shown(&editor), "uno dos\ntres |cuatro");
        editor.home();
        assert_eq!(shown(&editor), "uno dos\n|tres cuatro");
        editor.end();
        editor.delete_word();
        assert_eq!(shown(&editor), "uno dos\ntres |");
        editor.delete_before();
        assert_eq!(shown(&editor), "|");
    }

    #[test]
    fn pasted_text_is_made_harmless_and_short() {
        let mut editor = Editor::default();
        assert!(editor.insert("a\r\nb\u{1b}[31m\tc\u{7}"));
        assert_eq!(editor.text(), "a\nb[31m c");
        assert!(!editor.insert(&"x".repeat(TEXT_MAX_CHARS)));
        assert_eq!(editor.text().chars().count(), TEXT_MAX_CHARS);
    }

    proptest! {
        #[test]
        fn the_cursor_never_leaves_the_text(text in "\\PC{0,12}", more in "[\\PC\n]{0,6}", moves in proptest::collection::vec(0u8..13, 0..40)) {
            let mut editor = Editor::new(text);
            for step in moves {
                match step {
                    0 => editor.left(),
                    1 => editor.right(),
                    2 => editor.word_left(),
                    3 => editor.word_right(),
                    4 => editor.home(),
                    5 => editor.end(),
                    6 => drop(editor.up()),
                    7 => drop(editor.down()),
                    8 => editor.backspace(),
                    9 => editor.delete(),
                    10 => editor.delete_word(),
                    11 => drop(editor.insert("\u{301}")),
                    _ => drop(editor.insert(&more)),
                }
                prop_assert!(editor.text().is_char_boundary(editor.before().len()));
            }
        }
    }
}
