//! Characters that may stand in a line that people read.

/// Neither a control character nor one that turns the direction of writing, by which a line can be made to look like
/// another (the bidirectional controls of Unicode's UAX #9).
pub fn is_plain(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{61C}' | '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}
