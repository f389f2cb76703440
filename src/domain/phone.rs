//! Phone numbers in E.164.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};

use super::send_limits::Country;

/// An E.164 number: `+` and 8 to 15 digits, the first not zero (ITU-T E.164 allows 15 at most).
///
/// `Debug` and [`Phone::masked`] hide the middle, because numbers go to logs.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Phone(String);

/// A text that is not an E.164 number.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is not an E.164 number: write + and the country code, then the number, 8 to 15 digits in all, such as +34600111222"
)]
pub struct NotE164(String);

impl Phone {
    /// Parses `+` and digits, nothing else.
    pub fn parse(text: &str) -> Result<Self, NotE164> {
        let digits = text.strip_prefix('+').unwrap_or_default();
        let good =
            (8..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
        if good { Ok(Self(text.to_owned())) } else { Err(NotE164(text.chars().take(40).collect())) }
    }

    /// Parses a number as people write it: blanks, dots, dashes and brackets are dropped, and `00` becomes `+`.
    pub fn parse_human(text: &str) -> Result<Self, NotE164> {
        let bare: String =
            text.chars().filter(|c| !matches!(c, ' ' | '\u{a0}' | '-' | '.' | '(' | ')' | '/')).collect();
        let bare = bare.strip_prefix("00").map_or_else(|| bare.clone(), |rest| format!("+{rest}"));
        Self::parse(&bare).map_err(|_| NotE164(text.chars().take(40).collect()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key for look-ups, which is the same for all forms of one mobile number.
    ///
    /// A Brazilian mobile is `+55`, two digits of area and eight or, with the ninth digit, nine digits. A Mexican mobile had
    /// a `1` after `+52`. Networks and WhatsApp report either form.
    pub fn key(&self) -> String {
        let n = self.0.as_str();
        if n.len() == 14 && n.starts_with("+55") && n.as_bytes()[5] == b'9' {
            return format!("{}{}", &n[..5], &n[6..]);
        }
        if n.len() == 14 && n.starts_with("+521") {
            return format!("+52{}", &n[4..]);
        }
        n.to_owned()
    }

    /// The number for logs: `+34•••••1222` keeps the first three and the last four characters.
    pub fn masked(&self) -> String {
        mask(&self.0)
    }

    /// The country by the numbering plan; `None` if no plan knows the number.
    pub fn country(&self) -> Option<Country> {
        phonenumber::parse(None, &self.0).ok()?.country().id()?.as_ref().parse().ok()
    }

    /// A warning if the national numbering plan does not know this number. It is never a reason to refuse it.
    pub fn numbering_warning(&self) -> Option<String> {
        match phonenumber::parse(None, &self.0) {
            Err(error) => Some(format!("no numbering plan knows this number: {error}")),
            Ok(number) if !number.is_valid() => Some("the national numbering plan has no such number".to_owned()),
            Ok(_) => None,
        }
    }
}

/// Hides the middle of a text that may be a number or an address.
pub fn mask(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    if chars.len() < 9 {
        return "•".repeat(chars.len());
    }
    let (head, tail) = (&chars[..3], &chars[chars.len() - 4..]);
    head.iter().chain(std::iter::repeat_n(&'•', chars.len() - 7)).chain(tail).collect()
}

/// Masks possible numbers in a text, such as a provider's error message: runs of eight or more digits.
pub fn mask_numbers(text: &str) -> String {
    const DIGITS_MIN: usize = 8;
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let digits = rest[start..].len() - rest[start..].trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (run, after) = rest[start..].split_at(digits);
        masked.push_str(&rest[..start]);
        masked.push_str(&if digits < DIGITS_MIN { run.to_owned() } else { mask(run) });
        rest = after;
    }
    masked.push_str(rest);
    masked
}

impl fmt::Display for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

impl FromStr for Phone {
    type Err = NotE164;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl<'de> Deserialize<'de> for Phone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> String {
        Phone::parse(text).unwrap().key()
    }

    #[test]
    fn numbers_within_a_text_are_masked() {
        let said = "HTTP 400, 21211: The 'To' number +34600111222 is not valid (whatsapp:+34600111222), see 21211";
        let masked = "HTTP 400, 21211: The 'To' number +346••••1222 is not valid (whatsapp:+346••••1222), see 21211";
        assert_eq!(mask_numbers(said), masked);
        assert_eq!(mask_numbers("á 12345678"), "á ••••••••");
    }

    #[test]
    fn only_e164_passes() {
        for good in ["+34600111222", "+14155238886", "+12345678", "+123456789012345"] {
            assert!(Phone::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "+",
            "34600111222",
            "+1234567",
            "+1234567890123456",
            "+0346001112",
            "+34 600111222",
            "+34６00111222",
            "whatsapp:+34600111222",
        ] {
            assert!(Phone::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(Phone::parse_human("0034 600-11.12 22").unwrap().as_str(), "+34600111222");
    }

    #[test]
    fn brazil_and_mexico_fold_to_one_customer() {
        assert_eq!(key("+5511987654321"), key("+551187654321"));
        assert_eq!(key("+5215512345678"), key("+525512345678"));
        assert_ne!(key("+5511987654321"), key("+5521987654321"));
        // A Brazilian landline has eight digits and does not begin with nine: nothing is taken from it.
        assert_eq!(key("+551133334444"), "+551133334444");
        assert_eq!(key("+34600111222"), "+34600111222");
    }

    #[test]
    fn masks_keep_no_whole_number() {
        assert_eq!(Phone::parse("+34600111222").unwrap().masked(), "+34•••••1222");
        assert_eq!(mask("1234"), "••••");
    }
}
