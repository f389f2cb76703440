//! The characters that people write numbers with, and their plain forms.

/// The code points of the zeros of decimal digits that people write numbers with; nine more follow each. Among them are
/// the Arabic-Indic (U+0660), Persian (U+06F0), Devanagari (U+0966) and full-width ones (U+FF10).
const ZEROS: &[u32] = &[
    0x0030, 0x0660, 0x06F0, 0x07C0, 0x0966, 0x09E6, 0x0A66, 0x0AE6, 0x0B66, 0x0BE6, 0x0C66, 0x0CE6, 0x0D66, 0x0DE6,
    0x0E50, 0x0ED0, 0x0F20, 0x1040, 0x1090, 0x17E0, 0x1810, 0x1946, 0x19D0, 0x1A80, 0x1A90, 0x1B50, 0x1BB0, 0x1C40,
    0x1C50, 0xA620, 0xA8D0, 0xA900, 0xA9D0, 0xA9F0, 0xAA50, 0xABF0, 0xFF10, 0x1D7CE, 0x1D7D8, 0x1D7E2, 0x1D7EC,
    0x1D7F6,
];

/// The plain form of a character: an ASCII digit, `+`, blank, `-`, `.`, `/` or bracket; `None` for what cannot be seen.
/// Any other character is its own form.
pub(super) fn plain(c: char) -> Option<char> {
    if c.is_ascii_graphic() {
        return Some(c);
    }
    if is_invisible(c) {
        return None;
    }
    Some(match c {
        '＋' | '﹢' | '⁺' => '+',
        '\u{2010}'..='\u{2015}'
        | '\u{2043}'
        | '\u{2053}'
        | '\u{207B}'
        | '\u{2212}'
        | '\u{30FC}'
        | '\u{301C}'
        | '﹘'
        | '﹣'
        | '－'
        | '～'
        | '∼' => '-',
        '·' | '•' | '‧' | '∙' | '⋅' | '・' | '･' | '．' | '。' | '․' => '.',
        '／' | '⁄' | '∕' => '/',
        '（' | '⁽' | '﹙' | '［' => '(',
        '）' | '⁾' | '﹚' | '］' => ')',
        '：' => ':',
        '，' => ',',
        '；' => ';',
        '＃' => '#',
        '×' | 'ｘ' => 'x',
        '’' | '‘' => '\'',
        '“' | '”' => '"',
        _ if c.is_whitespace() => ' ',
        _ => digit(c).unwrap_or(c),
    })
}

fn digit(c: char) -> Option<char> {
    let point = u32::from(c);
    let zero = ZEROS.iter().find(|zero| (**zero..**zero + 10).contains(&point))?;
    char::from_digit(point - zero, 10)
}

/// Marks of direction, joiners, soft hyphens, variation selectors and the frame of a keycap.
const fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{00AD}' | '\u{034F}' | '\u{061C}' | '\u{115F}' | '\u{1160}' | '\u{180B}'..='\u{180E}'
        | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{20E3}' | '\u{3164}'
        | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF9}'..='\u{FFFB}' | '\u{E0000}'..='\u{E007F}'
    )
}
