//! The words of a text, folded: what keywords, opt-outs and answers are compared by.

use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};
use unicode_segmentation::UnicodeSegmentation;

use super::fold::{fold, is_apostrophe, is_emoji, is_ignored};

/// A word, and where it stands in the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    pub folded: String,
    /// The first byte in the text as written.
    pub start: usize,
    /// The byte after the last.
    pub end: usize,
    /// No blank separates it from the word before: in Chinese, Japanese, Thai and their like, words are not told apart.
    pub glued: bool,
}

/// Returns the words of a text, at most `most` of them.
///
/// Words end where Unicode says so (UAX #29), with a few exceptions: a point, a colon or an underscore parts letters
/// (`cita.hoy`, `_cita_`), every sign that is typed for an apostrophe joins them, and a zero-width space does, too. An emoji
/// is a word; other signs belong to no word. In writing without blanks, a word is one character, or a run of katakana, that
/// is [`Word::glued`] to the one before.
///
/// A text of signs only, such as `?!`, has its parts between blanks for words.
pub fn words(text: &str, most: usize) -> Vec<Word> {
    let mut words = if text.is_ascii() { ascii_words(text, most) } else { unicode_words(text, most) };
    if words.is_empty() {
        let parts = text.split_whitespace().map(|part| {
            let start = part.as_ptr() as usize - text.as_ptr() as usize;
            Word { folded: fold(part), start, end: start + part.len(), glued: false }
        });
        words.extend(parts.filter(|part| !part.folded.is_empty()).take(most));
    }
    words
}

/// Folds a text word by word, without the signs between words: `¡Cita,hoy!` becomes `cita hoy`.
pub fn fold_words(text: &str) -> String {
    join(&words(text, usize::MAX))
}

/// Writes words with blanks between them, except where they are glued.
pub fn join(words: &[Word]) -> String {
    let mut text = String::new();
    for word in words {
        if !text.is_empty() && !word.glued {
            text.push(' ');
        }
        text.push_str(&word.folded);
    }
    text
}

/// Returns what stands behind a word that ends at `end`, without the signs next to it; empty if no word follows.
pub fn rest_after(text: &str, end: usize) -> &str {
    let rest = text[end..].trim_start_matches(|c: char| !c.is_alphanumeric() && !c.is_whitespace()).trim();
    let has_word = if rest.is_ascii() { !ascii_words(rest, 1).is_empty() } else { !unicode_words(rest, 1).is_empty() };
    if has_word { rest } else { "" }
}

/// Whether `words` contain `wanted` one after the other. Nothing is contained nowhere.
pub fn contains(words: &[Word], wanted: &[Word]) -> bool {
    let same = |(one, other): (&Word, &Word)| one.folded == other.folded;
    !wanted.is_empty() && words.windows(wanted.len()).any(|part| part.iter().zip(wanted).all(same))
}

/// The words of an ASCII text: the same as [`unicode_words`] gives, without a look into its tables.
fn ascii_words(text: &str, most: usize) -> Vec<Word> {
    let bytes = text.as_bytes();
    let mut words = Vec::new();
    let mut at = 0;
    while at < bytes.len() && words.len() < most {
        if !bytes[at].is_ascii_alphanumeric() {
            at += 1;
            continue;
        }
        let start = at;
        while at < bytes.len() && (bytes[at].is_ascii_alphanumeric() || joins(bytes, at)) {
            at += 1;
        }
        words.push(Word { folded: fold(&text[start..at]), start, end: at, glued: false });
    }
    words
}

/// Whether the sign at `at` joins the letters or digits around it.
fn joins(bytes: &[u8], at: usize) -> bool {
    let around = at.checked_sub(1).and_then(|before| Some((bytes[before], *bytes.get(at + 1)?)));
    around.is_some_and(|(before, after)| match bytes[at] {
        b'`' => before.is_ascii_alphabetic() && after.is_ascii_alphabetic(),
        b'\'' => {
            (before.is_ascii_alphabetic() && after.is_ascii_alphabetic())
                || (before.is_ascii_digit() && after.is_ascii_digit())
        }
        b'.' | b',' | b';' => before.is_ascii_digit() && after.is_ascii_digit(),
        _ => false,
    })
}

fn unicode_words(text: &str, most: usize) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    let mut joint = Joint::default();
    for (start, segment) in text.split_word_bound_indices() {
        if segment.chars().all(|c| is_apostrophe(c) || is_ignored(c)) {
            joint.extend(start, segment, words.last());
            continue;
        }
        for (start, piece) in pieces(start, segment) {
            let folded = fold(piece);
            if !folded.chars().any(is_of_word) {
                continue;
            }
            let end = start + piece.len();
            let adjoins = |last: &Word| last.end == start || joint.ends_at == Some(start);
            let glued = words.last().is_some_and(|last| adjoins(last) && is_unspaced(&last.folded, &folded));
            let joins = |last: &Word| !glued && joint.joins(&last.folded, start, &folded);
            if let Some(last) = words.last_mut().filter(|last| joins(last)) {
                last.end = end;
                last.folded = fold(&text[last.start..end]);
            } else if words.len() == most {
                return words;
            } else {
                words.push(Word { folded, start, end, glued });
            }
        }
        joint = Joint::default();
    }
    words
}

/// What stands behind a word and may join it to the next, where Unicode ends the word: signs that are typed for an
/// apostrophe, and zero-width spaces.
#[derive(Default)]
struct Joint {
    /// Where the next word would begin.
    ends_at: Option<usize>,
    apostrophes: usize,
}

impl Joint {
    fn extend(&mut self, start: usize, segment: &str, last: Option<&Word>) {
        let follows = self.ends_at == Some(start) || last.is_some_and(|word| word.end == start);
        self.ends_at = follows.then_some(start + segment.len());
        self.apostrophes += segment.chars().filter(|c| is_apostrophe(*c)).count();
    }

    fn joins(&self, before: &str, start: usize, after: &str) -> bool {
        let part = if self.apostrophes == 0 { char::is_alphanumeric } else { char::is_alphabetic };
        self.ends_at == Some(start) && self.apostrophes < 2 && before.ends_with(part) && after.starts_with(part)
    }
}

/// Parts a segment at the signs that stand between two letters, where Unicode keeps them together. Points between digits stay.
fn pieces(start: usize, segment: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut before = None;
    let mut chars = segment.chars().peekable();
    let is_end = move |c: char| {
        let last = before.replace(c);
        chars.next();
        let between_digits = last.is_some_and(char::is_numeric) && chars.peek().is_some_and(|next| next.is_numeric());
        is_connector(c) || (is_point_or_colon(c) && !between_digits)
    };
    let parts = segment.split(is_end).filter(|part| !part.is_empty());
    parts.map(move |part| (start + (part.as_ptr() as usize - segment.as_ptr() as usize), part))
}

/// Points and colons, in all their widths.
const fn is_point_or_colon(c: char) -> bool {
    matches!(c, '.' | ':' | '\u{2024}' | '\u{2027}' | '\u{fe13}' | '\u{fe52}' | '\u{fe55}' | '\u{ff0e}' | '\u{ff1a}')
}

/// Underscores of all kinds, and the narrow blank that Unicode counts among them.
const fn is_connector(c: char) -> bool {
    matches!(
        c,
        '_' | '\u{202f}' | '\u{203f}'..='\u{2040}' | '\u{2054}' | '\u{fe33}'..='\u{fe34}' | '\u{fe4d}'..='\u{fe4f}' | '\u{ff3f}'
    )
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || is_emoji(c) || c.general_category() == GeneralCategory::OtherSymbol
}

/// Whether both sides of a boundary are written without blanks.
fn is_unspaced(before: &str, after: &str) -> bool {
    let unspaced = |c: char| {
        matches!(
            c,
            '\u{e00}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{2e80}'..='\u{2fdf}' | '\u{3005}'..='\u{3007}'
                | '\u{3040}'..='\u{30ff}' | '\u{31f0}'..='\u{31ff}' | '\u{3400}'..='\u{4dbf}'
                | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}'
        )
    };
    before.ends_with(unspaced) && after.starts_with(unspaced)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, expect: &str) {
        let words: Vec<String> = words(text, usize::MAX).into_iter().map(|word| word.folded).collect();
        assert_eq!(words.join("|"), expect, "{text:?}");
    }

    #[test]
    fn words_end_at_signs() {
        check("¡CITA,hoy! ¿vale?", "cita|hoy|vale");
        check("cita.hoy:mañana;ok/no-si (y) _cursiva_ *negrita*", "cita|hoy|manana|ok|no|si|y|cursiva|negrita");
        check("“hola”…adiós", "hola|adios");
        check("ｃｉｔａ，ｈｏｙ．ａ：ｂ", "cita|hoy|a|b");
        check("a las 10:30, o 1.500,50", "a|las|10|30|o|1.500,50");
        check("a las 10.30 sí", "a|las|10.30|si");
        check("", "");
        check("opt-out", "opt|out");
    }

    #[test]
    fn apostrophes_and_what_cannot_be_seen_join() {
        for text in ["can't", "can’t", "can`t", "can´t", "canʼt", "can\u{200b}'t", "c\u{ad}an\u{200d}’t", "ＣＡＮ＇Ｔ"]
        {
            check(text, "can't");
        }
        check("ci\u{200b}ta ci\u{2060}ta \u{200f}cita\u{feff}", "cita|cita|cita");
        check("'hola' `adiós` ´sí´", "hola|adios|si");
        check("col·lecció d’avui", "col·leccio|d'avui");
    }

    #[test]
    fn emoji_are_words_and_other_signs_are_none() {
        check("👍🏽👍gracias❤️!!", "👍|👍|gracias|❤");
        check("👩🏽‍⚕️ 🇪🇸🇲🇽 1️⃣", "👩\u{200d}⚕|🇪🇸|🇲🇽|1");
        check("?!  ...", "?!|...");
        check("hola :)", "hola");
    }

    #[test]
    fn writing_without_blanks_is_taken_character_by_character() {
        let glued = |text: &str| join(&words(text, usize::MAX));
        check("取消预约,谢谢", "取|消|预|约|谢|谢");
        assert_eq!(glued("取消预约,谢谢 OK的"), "取消预约 谢谢 ok 的");
        check("キャンセルお願い", "キャンセル|お|願|い");
        assert_eq!(glued("ยกเลิกนัด ครับ"), "ยกเลิกนัด ครับ");
        assert_eq!(glued("취소 해주세요"), "취소 해주세요");
    }

    #[test]
    fn what_stands_behind_a_word() {
        let rest = |text: &str| rest_after(text, words(text, 1)[0].end).to_owned();
        assert_eq!(rest("CITA,hoy"), "hoy");
        assert_eq!(rest("cita: mañana a las 10, ¿vale?"), "mañana a las 10, ¿vale?");
        assert_eq!(rest("PAY +5 €"), "+5 €");
        for nothing in ["hola", "¡hola!", "hola !", "hola :)", "hola👍", "hola \u{200b}"] {
            assert_eq!(rest(nothing), "", "{nothing}");
        }
        assert_eq!(rest("hola 👍"), "👍");
    }

    #[test]
    fn words_are_found_one_after_the_other() {
        let all = |text: &str| words(text, usize::MAX);
        assert!(contains(&all("¿A qué hora, por favor?"), &all("QUE HORA")));
        assert!(contains(&all("我想取消预约"), &all("取消")));
        assert!(!contains(&all("a la hora que digas"), &all("que hora")));
        assert!(!contains(&all("precioso"), &all("precio")));
        assert!(!contains(&all("hola"), &all("")));
    }

    proptest! {
        #[test]
        fn the_short_way_of_ascii_gives_the_same(text in "[ -~\n]{0,40}") {
            prop_assert_eq!(ascii_words(&text, usize::MAX), unicode_words(&text, usize::MAX));
        }

        #[test]
        fn words_lie_in_the_text_in_order(text in "\\PC{0,40}", most in 0usize..5) {
            let all = words(&text, usize::MAX);
            for word in &all {
                prop_assert_eq!(fold(&text[word.start..word.end]), word.folded.clone());
                rest_after(&text, word.end);
            }
            prop_assert!(all.windows(2).all(|pair| pair[0].end <= pair[1].start));
            prop_assert_eq!(&words(&text, most)[..], &all[..most.min(all.len())]);
        }

        #[test]
        fn joined_words_have_the_same_words(text in "[a-z ,'’á取消ア👍ก0-9]{0,20}") {
            let joined = fold_words(&text);
            prop_assert_eq!(fold_words(&joined), joined);
        }
    }
}
