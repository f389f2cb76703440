//! Forms in Twilio's format, `application/x-www-form-urlencoded`.

use std::fmt::Write;
use std::ops::Range;

/// Decoded pairs in their original order; keys may repeat. One buffer holds all text.
///
/// The caller limits the body's size; [`Params::parse`] limits the number of pairs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params {
    text: String,
    /// Positions of each key and its value in `text`.
    pairs: Vec<(Range<usize>, Range<usize>)>,
}

/// Why a form is invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParamsError {
    #[error("the form has more than {} fields: send fewer", Params::MAX_PAIRS)]
    TooMany,
    #[error("the form is not UTF-8 (field number {field}): encode it as UTF-8 before percent-encoding")]
    NotUtf8 { field: usize },
}

impl Params {
    /// Twilio sends 20 to 60.
    pub const MAX_PAIRS: usize = 400;

    /// Decodes a form body or a query. `+` is a blank; a `%` that starts no escape stays as it is (WHATWG URL).
    pub fn parse(body: &[u8]) -> Result<Self, ParamsError> {
        let mut text = Vec::with_capacity(body.len());
        let mut pairs = Vec::with_capacity(32);
        for pair in body.split(|b| *b == b'&').filter(|pair| !pair.is_empty()) {
            if pairs.len() == Self::MAX_PAIRS {
                return Err(ParamsError::TooMany);
            }
            let (key, value) = match pair.iter().position(|b| *b == b'=') {
                Some(at) => (&pair[..at], &pair[at + 1..]),
                None => (pair, &[][..]),
            };
            let start = text.len();
            decode_into(&mut text, key);
            let middle = text.len();
            decode_into(&mut text, value);
            pairs.push((start..middle, middle..text.len()));
        }
        let text = String::from_utf8(text).map_err(|error| ParamsError::NotUtf8 {
            field: 1 + pairs.iter().take_while(|(_, value)| value.end <= error.utf8_error().valid_up_to()).count(),
        })?;
        // All of it can be UTF-8 although a field is not: half a character ends one field, the other half begins the
        // next.
        let split =
            pairs.iter().position(|(key, value)| !text.is_char_boundary(key.end) || !text.is_char_boundary(value.end));
        match split {
            Some(at) => Err(ParamsError::NotUtf8 { field: at + 1 }),
            None => Ok(Self { text, pairs }),
        }
    }

    /// Appends a pair.
    pub fn push(&mut self, key: &str, value: &str) {
        let start = self.text.len();
        self.text.push_str(key);
        let middle = self.text.len();
        self.text.push_str(value);
        self.pairs.push((start..middle, middle..self.text.len()));
    }

    /// Returns the first value of `key`.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.iter().find(|(name, _)| *name == key).map(|(_, value)| value)
    }

    /// Returns the first value of `key` unless it is empty: Twilio sends many empty fields.
    pub fn filled(&self, key: &str) -> Option<&str> {
        self.get(key).filter(|value| !value.is_empty())
    }

    /// Returns every value of `key`, in order.
    pub fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.iter().filter(move |(name, _)| *name == key).map(|(_, value)| value)
    }

    /// Returns the pairs in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(key, value)| (&self.text[key.clone()], &self.text[value.clone()]))
    }

    /// Counts the pairs.
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// True if there are no pairs.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// Encodes the pairs as a body.
    pub fn encode(&self) -> String {
        let mut encoded = String::with_capacity(self.text.len() * 3 / 2 + self.pairs.len() * 2);
        for (key, value) in self.iter() {
            if !encoded.is_empty() {
                encoded.push('&');
            }
            encode_into(&mut encoded, key);
            encoded.push('=');
            encode_into(&mut encoded, value);
        }
        encoded
    }
}

impl<K: AsRef<str>, V: AsRef<str>> FromIterator<(K, V)> for Params {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        let mut params = Self::default();
        pairs.into_iter().for_each(|(key, value)| params.push(key.as_ref(), value.as_ref()));
        params
    }
}

fn decode_into(text: &mut Vec<u8>, mut encoded: &[u8]) {
    while let Some((&first, rest)) = encoded.split_first() {
        let escape = match (first, rest) {
            (b'%', [high, low, ..]) => hex_digit(*high).zip(hex_digit(*low)),
            _ => None,
        };
        text.push(match (first, escape) {
            (_, Some((high, low))) => high << 4 | low,
            (b'+', _) => b' ',
            _ => first,
        });
        encoded = if escape.is_some() { &rest[2..] } else { rest };
    }
}

const fn hex_digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

fn encode_into(encoded: &mut String, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'*' => encoded.push(char::from(byte)),
            b' ' => encoded.push('+'),
            // Writing to a String cannot fail.
            _ => _ = write!(encoded, "%{byte:02X}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(body: &str, expect: &[(&str, &str)]) {
        let params = Params::parse(body.as_bytes()).unwrap();
        assert_eq!(params.iter().collect::<Vec<_>>(), expect, "{body}");
    }

    #[test]
    fn forms_decode() {
        check("", &[]);
        check("a=1&b=2&a=3", &[("a", "1"), ("b", "2"), ("a", "3")]);
        check("Body=&To=%2B1", &[("Body", ""), ("To", "+1")]);
        check("Body=a+b%20c%2Bd", &[("Body", "a b c+d")]);
        check("&&a&=b&c=d=e", &[("a", ""), ("", "b"), ("c", "d=e")]);
        check("a=100%&b=%zz&c=%4", &[("a", "100%"), ("b", "%zz"), ("c", "%4")]);
        check("Body=h%C3%A9llo+%F0%9F%91%8B", &[("Body", "héllo 👋")]);
        check("a=%00%26%3D", &[("a", "\0&=")]);
    }

    #[test]
    fn what_is_not_utf8_is_refused_with_its_field() {
        assert_eq!(Params::parse(b"a=1&b=%FF&c=2"), Err(ParamsError::NotUtf8 { field: 2 }));
        assert_eq!(Params::parse(b"a=\xff"), Err(ParamsError::NotUtf8 { field: 1 }));
        // é in two halves, in two fields.
        assert_eq!(Params::parse(b"a=%C3&%A9=1"), Err(ParamsError::NotUtf8 { field: 1 }));
        assert_eq!(Params::parse(b"a=%C3"), Err(ParamsError::NotUtf8 { field: 1 }));
    }

    #[test]
    fn the_number_of_fields_is_bounded() {
        let body = vec!["a=1"; Params::MAX_PAIRS].join("&");
        assert_eq!(Params::parse(body.as_bytes()).unwrap().len(), Params::MAX_PAIRS);
        assert_eq!(Params::parse(format!("{body}&b=2").as_bytes()), Err(ParamsError::TooMany));
    }

    #[test]
    fn values_are_found() {
        let params = Params::parse(b"a=1&b=&a=2").unwrap();
        assert_eq!(
            (params.get("a"), params.get("b"), params.filled("b"), params.get("c")),
            (Some("1"), Some(""), None, None)
        );
        assert_eq!(params.all("a").collect::<Vec<_>>(), ["1", "2"]);
    }

    proptest! {
        #[test]
        fn what_is_encoded_decodes(pairs in proptest::collection::vec(("\\PC{1,8}", "\\PC{0,20}"), 0..12)) {
            let params: Params = pairs.iter().map(|(key, value)| (key, value)).collect();
            prop_assert_eq!(Params::parse(params.encode().as_bytes()).unwrap(), params);
        }

        #[test]
        fn no_bytes_make_it_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Params::parse(&body);
        }
    }
}
