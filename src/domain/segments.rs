//! The segments of a text message, counted as Twilio counts them. Their number decides the price.
//!
//! GSM-7 (3GPP TS 23.038) has 160 septets in one segment, 153 in each of several; one letter beyond it makes the whole
//! message UCS-2, with 70 and 67 units of 16 bits. Neither an escape and its letter nor a surrogate pair is ever split.
//! The alphabet and the counts are those of Twilio's `sms-segments-calculator` 1.3.0, with one difference: that one also
//! keeps composed letters whole (flags, skin tones), and so sometimes counts one segment more.

/// The encoding of a text message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Gsm7,
    Ucs2,
}

/// The size of a text message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segments {
    pub encoding: Encoding,
    /// Septets or 16-bit units.
    pub units: usize,
    /// The number of segments, at least one.
    pub segments: usize,
}

/// Counts the segments of a text, without Twilio's smart encoding, which replaces letters that cost more.
pub fn count(text: &str) -> Segments {
    if text.chars().all(|letter| gsm7_units(letter).is_some()) {
        fill(Encoding::Gsm7, 160, 153, text.chars().filter_map(gsm7_units))
    } else {
        fill(Encoding::Ucs2, 70, 67, text.chars().map(char::len_utf16))
    }
}

/// Fills segments of `several` units without splitting a letter, unless all letters fit into `single` units.
fn fill(encoding: Encoding, single: usize, several: usize, letters: impl Iterator<Item = usize>) -> Segments {
    let (mut units, mut segments, mut filled) = (0, 1, 0);
    for letter in letters {
        units += letter;
        if filled + letter > several {
            segments += 1;
            filled = 0;
        }
        filled += letter;
    }
    Segments { encoding, units, segments: if units <= single { 1 } else { segments } }
}

/// Replaces letters beyond GSM-7 by ones within it, as Twilio does with `SmartEncoded`.
/// <https://www.twilio.com/docs/messaging/services/smart-encoding-char-list>
pub fn smart_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for letter in text.chars() {
        match smart(letter) {
            Some(plain) => encoded.push_str(plain),
            None => encoded.push(letter),
        }
    }
    encoded
}

/// The replacement of a letter; `None` if it stays.
const fn smart(letter: char) -> Option<&'static str> {
    Some(match letter {
        '«' | '»' | '“' | '”' | '„' | '‟' | 'ʺ' | 'ˮ' | '❝' | '❞' | '〝' | '〞' | '＂' => "\"",
        '‘' | '’' | '‛' | 'ʻ' | 'ʼ' | 'ʽ' | 'ʹ' | 'ˈ' | 'ˊ' | 'ˋ' | '❛' | '❜' | '´' | '`' | '＇' => {
            "'"
        }
        '‐' | '‑' | '‒' | '–' | '—' | '―' | '⁃' | '﹣' | '－' => "-",
        '⁄' | '∕' | '／' | '÷' => "/",
        '‚' | '﹐' | '，' => ",",
        '…' => "...",
        '¼' => "1/4",
        '½' => "1/2",
        '¾' => "3/4",
        '！' => "!",
        '？' => "?",
        '：' => ":",
        '；' => ";",
        '\t' | '\u{a0}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}' => " ",
        '\u{200b}' | '\u{feff}' | '\u{2060}' => "",
        _ => return None,
    })
}

/// The septets of a letter; `None` if GSM-7 lacks it.
const fn gsm7_units(letter: char) -> Option<usize> {
    match letter {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '\n' | '\r' | ' ' => Some(1),
        '!' | '"' | '#' | '$' | '%' | '&' | '\'' | '(' | ')' | '*' | '+' | ',' | '-' | '.' | '/' => Some(1),
        ':' | ';' | '<' | '=' | '>' | '?' | '@' | '_' => Some(1),
        '¡' | '¿' | '£' | '¥' | '§' | '¤' => Some(1),
        'à' | 'è' | 'é' | 'ì' | 'ò' | 'ù' | 'ä' | 'ö' | 'ü' | 'å' | 'æ' | 'ø' | 'ñ' | 'ß' => Some(1),
        'Ä' | 'Ö' | 'Ü' | 'Å' | 'Æ' | 'Ø' | 'Ñ' | 'É' | 'Ç' => Some(1),
        'Δ' | 'Φ' | 'Γ' | 'Λ' | 'Ω' | 'Π' | 'Ψ' | 'Σ' | 'Θ' | 'Ξ' => Some(1),
        // After an escape.
        '^' | '{' | '}' | '[' | ']' | '~' | '|' | '\\' | '€' | '\u{c}' => Some(2),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, encoding: Encoding, units: usize, segments: usize) {
        assert_eq!(count(text), Segments { encoding, units, segments }, "{} letters", text.chars().count());
    }

    #[test]
    fn gsm7_is_counted() {
        use Encoding::Gsm7;
        check("", Gsm7, 0, 1);
        check("Hola, ¿qué tal? ñ Ç\r\n", Gsm7, 21, 1);
        check(&"a".repeat(160), Gsm7, 160, 1);
        check(&"a".repeat(161), Gsm7, 161, 2);
        check(&"a".repeat(306), Gsm7, 306, 2);
        check(&"a".repeat(307), Gsm7, 307, 3);
        check(&"€".repeat(80), Gsm7, 160, 1);
        check(&"€".repeat(81), Gsm7, 162, 2);
        // 153 is odd: an escape is not split, so a segment holds 76 of them.
        check(&"€".repeat(152), Gsm7, 304, 2);
        check(&"€".repeat(153), Gsm7, 306, 3);
        check(&format!("{}€{}", "a".repeat(152), "a".repeat(151)), Gsm7, 305, 2);
        check(&format!("{}€{}", "a".repeat(152), "a".repeat(152)), Gsm7, 306, 3);
    }

    #[test]
    fn one_letter_beyond_gsm7_makes_it_ucs2() {
        use Encoding::Ucs2;
        for letter in ["ç", "á", "í", "ó", "ú", "\t", "`", "“", "\u{a0}", "日"] {
            check(letter, Ucs2, 1, 1);
        }
        check(&"á".repeat(70), Ucs2, 70, 1);
        check(&"á".repeat(71), Ucs2, 71, 2);
        check(&"á".repeat(134), Ucs2, 134, 2);
        check(&"á".repeat(135), Ucs2, 135, 3);
        check(&"👋".repeat(35), Ucs2, 70, 1);
        // 67 is odd: a surrogate pair is not split, so a segment holds 33 of them.
        check(&"👋".repeat(66), Ucs2, 132, 2);
        check(&"👋".repeat(67), Ucs2, 134, 3);
    }

    #[test]
    fn smart_encoding_makes_typographic_texts_gsm7() {
        let text = "“It’s\u{a0}5–6 …” ½";
        assert_eq!(smart_encode(text), "\"It's 5-6 ...\" 1/2");
        assert_eq!(count(&smart_encode(text)).encoding, Encoding::Gsm7);
        assert_eq!(smart_encode("añó 👋"), "añó 👋", "what has no like stays");
    }

    #[test]
    fn the_whole_alphabet_is_there() {
        let all = (0..=0x10_ffff).filter_map(char::from_u32);
        let (one, two) = all.filter_map(gsm7_units).fold((0, 0), |(one, two), units| match units {
            1 => (one + 1, two),
            _ => (one, two + 1),
        });
        // 128 places, less the escape itself; ten behind it.
        assert_eq!((one, two), (127, 10));
    }
}
