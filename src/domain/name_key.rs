//! The key by which the name of a service or of a member of staff is found: `  María ` and `MARIA` are one name.
//!
//! Rows hold these keys, so this function stays as it is. To compare what people write, use [`super::fold`].

/// Returns the key of a name: lower case, no accents, trimmed, single blanks between words.
///
/// It covers Latin letters (Latin-1, Latin Extended-A). Other letters only change to lower case.
pub fn name_key(name: &str) -> String {
    let mut key = String::with_capacity(name.len());
    for word in name.split_whitespace() {
        if !key.is_empty() {
            key.push(' ');
        }
        for letter in word.chars() {
            if letter.is_ascii() {
                key.push(letter.to_ascii_lowercase());
            } else if !is_combining(letter) {
                letter
                    .to_lowercase()
                    .filter(|lower| !is_combining(*lower))
                    .for_each(|lower| push_plain(&mut key, lower));
            }
        }
    }
    key
}

const fn is_combining(letter: char) -> bool {
    matches!(letter, '\u{300}'..='\u{36f}')
}

fn push_plain(key: &mut String, lower: char) {
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
        other => return key.push(other),
    };
    key.push_str(plain);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of running installations hold these keys.
    #[test]
    fn keys_stay_as_rows_hold_them() {
        for (name, key) in [
            ("  CÍTA\u{a0} médica\n", "cita medica"),
            ("e\u{301}tat", "etat"),
            ("Straße", "strasse"),
            ("İstanbul", "istanbul"),
            ("Andrei Șerban", "andrei șerban"),
            ("Андрей", "андрей"),
            ("D’Ana", "d’ana"),
        ] {
            assert_eq!(name_key(name), key);
        }
    }
}
