//! Folding of text that people type, so that `  Cíta ` and `CITA` are the same word.

/// Folds a text: lower case, no accents, trimmed, single blanks between words.
///
/// It covers Latin letters (Latin-1, Latin Extended-A). Other letters only change to lower case.
pub fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !folded.is_empty() {
            folded.push(' ');
        }
        for letter in word.chars() {
            if letter.is_ascii() {
                folded.push(letter.to_ascii_lowercase());
            } else if !is_combining(letter) {
                letter
                    .to_lowercase()
                    .filter(|lower| !is_combining(*lower))
                    .for_each(|lower| push_plain(&mut folded, lower));
            }
        }
    }
    folded
}

/// Folds a text and removes the punctuation around it: `¡Hola!` becomes `hola`.
pub fn fold_word(text: &str) -> String {
    fold(text).trim_matches(|c: char| !c.is_alphanumeric()).to_owned()
}

const fn is_combining(letter: char) -> bool {
    matches!(letter, '\u{300}'..='\u{36f}')
}

fn push_plain(folded: &mut String, lower: char) {
    let plain = match lower {
        'à' | 'á' | 'â' | 'ã' | 'ä' | 'å' | 'ā' | 'ă' | 'ą' => "a",
        'ç' | 'ć' | 'ĉ' | 'ċ' | 'č' => "c",
        'ď' | 'đ' | 'ð' => "d",
        'è' | 'é' | 'ê' | 'ë' | 'ē' | 'ĕ' | 'ė' | 'ę' | 'ě' => "e",
        'ĝ' | 'ğ' | 'ġ' | 'ģ' => "g",
        'ì' | 'í' | 'î' | 'ï' | 'ĩ' | 'ī' | 'ĭ' | 'į' | 'ı' => "i",
        'ł' | 'ĺ' | 'ļ' | 'ľ' => "l",
        'ñ' | 'ń' | 'ņ' | 'ň' => "n",
        'ò' | 'ó' | 'ô' | 'õ' | 'ö' | 'ø' | 'ō' | 'ŏ' | 'ő' => "o",
        'ŕ' | 'ř' => "r",
        'ś' | 'ŝ' | 'ş' | 'š' => "s",
        'ß' => "ss",
        'ţ' | 'ť' => "t",
        'ù' | 'ú' | 'û' | 'ü' | 'ũ' | 'ū' | 'ŭ' | 'ů' | 'ű' | 'ų' => "u",
        'ý' | 'ÿ' => "y",
        'ź' | 'ż' | 'ž' => "z",
        'æ' => "ae",
        'œ' => "oe",
        other => return folded.push(other),
    };
    folded.push_str(plain);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_accents_and_blanks_fold() {
        assert_eq!(fold("  CÍTA\u{a0} médica\n"), "cita medica");
        assert_eq!(fold("ARRÊT"), "arret");
        assert_eq!(fold("e\u{301}tat"), "etat");
        assert_eq!(fold("Straße"), "strasse");
        assert_eq!(fold_word("¡Hola!"), "hola");
        assert_eq!(fold("İstanbul"), "istanbul");
    }
}
