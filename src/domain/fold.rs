//! Folding of text that people type, so that `  Cíta ` and `CITA` are the same, on whatever phone they were typed.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::{canonical_combining_class, decompose_compatible};
use unicode_properties::UnicodeEmoji;

/// Folds a text: case, accents and the forms of letters go; single blanks stand between words.
///
/// - Case as in Unicode's full case folding: `ß` is `ss`, `ς` is `σ`, `İ` and `ı` are `i`.
/// - Compatible letters become one (NFKD): full-width and mathematical letters, ligatures. Accents go, also in Greek and
///   Cyrillic; so do the points of Hebrew and Arabic. The vowel signs of Thai and of India, and the voicing of kana, tell
///   words apart and stay.
/// - All apostrophes become `'`.
/// - Invisible characters go: joiners, soft hyphens, marks of direction, variation selectors. So do an emoji's skin tone and
///   the keycap of a digit. A joiner between two emoji stays, because they are one picture.
pub fn fold(text: &str) -> String {
    let mut folded = Folded { text: String::with_capacity(text.len()), blank: false };
    if text.is_ascii() {
        text.bytes().for_each(|byte| folded.push_ascii(byte));
        return folded.text;
    }
    let letters: Vec<char> = text.chars().filter(|c| *c == ZERO_WIDTH_JOINER || !is_ignored(*c)).collect();
    for (at, letter) in letters.iter().enumerate() {
        let is_picture = |at: Option<usize>| at.and_then(|at| letters.get(at)).is_some_and(|c| is_emoji(*c));
        match *letter {
            ZERO_WIDTH_JOINER if is_picture(at.checked_sub(1)) && is_picture(Some(at + 1)) => folded.push(*letter),
            ZERO_WIDTH_JOINER => {}
            letter if is_emoji(letter) => folded.push(letter),
            letter if is_apostrophe(letter) => folded.push('\''),
            letter => decompose_compatible(letter, |part| {
                if !is_accent(part) && !is_ignored(part) {
                    folded.push_letter(part);
                }
            }),
        }
    }
    // Syllables of Hangul and voiced kana were taken apart, too.
    if folded.text.is_ascii() { folded.text } else { folded.text.nfc().collect() }
}

/// Whether a character is an emoji; ASCII is not, although digits can become keycaps.
pub fn is_emoji(letter: char) -> bool {
    !letter.is_ascii() && letter.is_emoji_char()
}

/// Whether a character is an apostrophe, or is typed for one.
pub const fn is_apostrophe(letter: char) -> bool {
    matches!(
        letter,
        '\'' | '`'
            | '\u{b4}'
            | '\u{2b9}'
            | '\u{2bb}'
            | '\u{2bc}'
            | '\u{384}'
            | '\u{1fbd}'
            | '\u{1fbf}'
            | '\u{2018}'
            | '\u{2019}'
            | '\u{201b}'
            | '\u{2032}'
            | '\u{ff07}'
            | '\u{ff40}'
    )
}

/// Whether a character is invisible, or only changes the looks of the one before it: Unicode's default ignorable
/// characters, control characters, keycaps and the skin tones of emoji.
pub fn is_ignored(letter: char) -> bool {
    matches!(
        letter,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{20e3}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{1f3fb}'..='\u{1f3ff}' | '\u{e0000}'..='\u{e0fff}'
    ) || (letter.is_control() && !letter.is_whitespace())
}

const ZERO_WIDTH_JOINER: char = '\u{200d}';

/// Whether a combining mark is an accent, which people leave out, by its combining class: strokes through a letter (1),
/// points of Hebrew and Arabic (10 to 36), marks above and below (200 to 240). The other classes are signs that belong to a
/// word in Indic, Thai, Lao, Tibetan and Japanese writing.
fn is_accent(mark: char) -> bool {
    matches!(canonical_combining_class(mark), 1 | 10..=36 | 200..=240)
}

/// A text being folded. A blank is written when a further letter follows.
struct Folded {
    text: String,
    blank: bool,
}

impl Folded {
    fn push_ascii(&mut self, byte: u8) {
        match char::from(byte) {
            '`' => self.push('\''),
            letter if letter.is_whitespace() => self.blank = true,
            letter if letter.is_control() => {}
            letter => self.push(letter.to_ascii_lowercase()),
        }
    }

    /// Writes a letter in the one case: a capital of its small letter, made small. This is how `ß`, `ς` and `ı` fold.
    fn push_letter(&mut self, letter: char) {
        if letter.is_ascii() {
            return self.push_ascii(letter as u8);
        }
        if letter.is_whitespace() {
            self.blank = true;
            return;
        }
        if is_apostrophe(letter) {
            return self.push('\'');
        }
        let capitals = letter.to_lowercase().flat_map(char::to_uppercase);
        for small in capitals.flat_map(char::to_lowercase) {
            match without_stroke(small) {
                Some(plain) => plain.chars().for_each(|plain| self.push(plain)),
                None => self.push(small),
            }
        }
    }

    fn push(&mut self, letter: char) {
        if std::mem::take(&mut self.blank) && !self.text.is_empty() {
            self.text.push(' ');
        }
        self.text.push(letter);
    }
}

/// Latin letters that Unicode does not take apart, and that people write without their stroke or as two letters.
const fn without_stroke(small: char) -> Option<&'static str> {
    Some(match small {
        'đ' | 'ð' => "d",
        'ħ' => "h",
        'ł' => "l",
        'ø' => "o",
        'ŧ' => "t",
        'æ' => "ae",
        'œ' => "oe",
        'þ' => "th",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(texts: &[&str], expect: &str) {
        for text in texts {
            assert_eq!(fold(text), expect, "{text:?}");
        }
    }

    #[test]
    fn case_accents_and_blanks_fold() {
        check(&["  CÍTA\u{a0} médica\n", "CI\u{301}TA\tMEDICA", "cita\u{3000}médica"], "cita medica");
        check(&["ARRÊT", "arre\u{302}t"], "arret");
        check(&["", "  ", "\u{200b}\u{feff}"], "");
        check(&["Hola, qué tal?"], "hola, que tal?");
    }

    #[test]
    fn letters_of_all_of_unicode_fold() {
        check(&["Straße", "STRASSE", "straẞe"], "strasse");
        check(&["Programați", "PROGRAMAŢI", "programat\u{326}i"], "programati");
        check(&["știu", "ŞTIU"], "stiu");
        check(&["ķert", "ĶERT"], "kert");
        check(&["Hủy lịch hẹn", "HỦY LỊCH HẸN", "hu\u{309}y li\u{323}ch he\u{323}n"], "huy lich hen");
        check(&["Đồng ý", "ĐỒNG Ý"], "dong y");
        check(&["Ακύρωση", "ΑΚΥΡΩΣΗ", "ακυρωση"], "ακυρωση");
        check(&["ραντεβούς", "ΡΑΝΤΕΒΟΥΣ"], "ραντεβουσ");
        check(&["Ещё", "ЕЩЕ", "еще"], "еще");
        check(&["ＣＩＴＡ", "𝐂𝐢𝐭𝐚", "ⓒⓘⓣⓐ"], "cita");
        check(&["İPTAL", "iptal", "IPTAL", "ıptal"], "iptal");
        check(&["ﬁn", "FIN"], "fin");
        check(&["Łódź", "LODZ"], "lodz");
        check(&["Ærø", "aero"], "aero");
        check(&["شُكْرًا", "شكرا"], "شكرا");
        check(&["שָׁלוֹם", "שלום"], "שלום");
    }

    #[test]
    fn signs_that_tell_words_apart_stay() {
        assert_ne!(fold("ガス"), fold("カス"));
        assert_ne!(fold("यहाँ"), fold("यह"));
        assert_ne!(fold("ไม่"), fold("ไม"));
        check(&["ｷｬﾝｾﾙ", "キャンセル"], "キャンセル");
        check(&["취소", "취소"], "취소");
    }

    #[test]
    fn apostrophes_are_one() {
        for sign in ['\'', '’', '‘', 'ʼ', '`', '´', '′', '＇', '‛'] {
            check(&[&format!("I can{sign}t")], "i can't");
        }
    }

    #[test]
    fn what_cannot_be_seen_goes() {
        let unseen = "\u{200b}\u{200c}\u{200d}\u{2060}\u{feff}\u{ad}\u{200e}\u{200f}\u{202a}\u{202c}\u{fe0f}\u{0}";
        for sign in unseen.chars() {
            check(&[&format!("ci{sign}ta"), &format!("{sign}cita{sign}")], "cita");
        }
        check(&["👍", "👍🏽", "👍\u{fe0f}", "👍\u{200d}"], "👍");
        check(&["❤", "❤️"], "❤");
        check(&["1️⃣"], "1");
        check(&["👩🏽‍⚕️", "👩‍⚕"], "👩\u{200d}⚕");
        check(&["ℹ️"], "ℹ");
    }

    proptest! {
        #[test]
        fn folding_twice_changes_nothing_more(text in "\\PC{0,40}") {
            let folded = fold(&text);
            prop_assert_eq!(fold(&folded), folded);
        }

        #[test]
        fn capitals_and_small_letters_are_the_same(text in "[a-zA-Z \u{c0}-\u{17f}\u{386}-\u{3ce}\u{400}-\u{45f}\u{1ea0}-\u{1ef9}]{0,30}") {
            prop_assert_eq!(fold(&text.to_uppercase()), fold(&text));
            prop_assert_eq!(fold(&text.to_lowercase()), fold(&text));
        }
    }
}
