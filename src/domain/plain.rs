//! Characters that are safe in a line of text.

/// Whether a character is neither a control character nor one that changes the direction of writing. The bidirectional
/// controls of Unicode's UAX #9 can make a line look like another.
pub fn is_plain(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{61C}' | '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}
