//! Phone numbers in E.164.
//!
//! | file | what it does |
//! |---|---|
//! | [`human`] | reads one number as people write it |
//! | [`in_text`] | finds the numbers in a text |
//! | [`plan`] | what numbers a country has |
//! | [`variants`] | the forms of one number |
//! | [`letters`] | the characters that people write numbers with |
//!
//! The provider's numbers are in E.164 already: [`Phone::parse`] takes them without any of this.

pub mod human;
pub mod in_text;
mod letters;
pub mod plan;
mod variants;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};

pub use human::NotANumber;
pub use plan::Country;

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

    /// Reads a number as a person writes it; see [`human`]. Without a country code it is of the home country.
    pub fn parse_human(text: &str, home: Option<Country>) -> Result<Self, NotANumber> {
        human::read(text, home)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key for look-ups, which is the same for all [forms](variants) of one number.
    pub fn key(&self) -> String {
        variants::key(&self.0)
    }

    /// The number for logs: `+34•••••1222` keeps the first three and the last four characters.
    pub fn masked(&self) -> String {
        mask(&self.0)
    }

    /// The country by the numbering plans; `None` if none knows the number, and several countries share its code.
    pub fn country(&self) -> Option<Country> {
        Country::of_subscriber(self)
    }

    /// A warning if the national numbering plan does not know this number. It is never a reason to refuse it.
    pub fn numbering_warning(&self) -> Option<&'static str> {
        human::owner_of(self).is_none().then_some("the national numbering plan has no such number")
    }
}

/// See [`crate::domain::make_tables`]. The expressions of each country are made at their first use.
pub(super) fn make_tables() {
    plan::make_tables();
    human::make_tables();
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
    }

    #[test]
    fn the_forms_of_a_number_fold_to_one_customer() {
        assert_eq!(key("+5511987654321"), key("+551187654321"));
        assert_eq!(key("+5215512345678"), key("+525512345678"));
        assert_ne!(key("+5511987654321"), key("+5521987654321"));
        assert_eq!(key("+5491123456789"), key("+541123456789"));
        assert_eq!(key("+541123456789"), "+5491123456789");
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
