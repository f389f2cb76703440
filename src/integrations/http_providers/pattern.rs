//! Finds a value in an answer, by a JSON pointer or a regular expression.

use regex::{Regex, RegexBuilder};
use serde_json::Value;

/// Limit of a pattern's text.
pub const PATTERN_MAX_CHARS: usize = 500;
/// Limit of a compiled expression. Matching takes linear time for every expression.
const REGEX_MAX_BYTES: usize = 1024 * 1024;
/// Limit of a found value; longer ones count as missing.
pub const FOUND_MAX_CHARS: usize = 200;

/// The place of a value in a response.
#[derive(Clone, Debug)]
pub enum Pattern {
    /// `/messages/0/id` (RFC 6901)
    Pointer(String),
    /// `id=([0-9]+)`: the first group.
    Regex(Regex),
}

/// Why a pattern is invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    #[error("it has over {PATTERN_MAX_CHARS} letters")]
    TooLong,
    #[error("'{0}' is no regular expression: {1}")]
    Regex(String, String),
    #[error(
        "'{0}' has no group: put brackets around the value, as in id=([0-9]+), or write a JSON pointer such as /id"
    )]
    NoGroup(String),
}

impl Pattern {
    /// Parses a pattern; one that begins with `/` is a JSON pointer.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        if text.chars().count() > PATTERN_MAX_CHARS {
            return Err(PatternError::TooLong);
        }
        if text.starts_with('/') {
            return Ok(Self::Pointer(text.to_owned()));
        }
        let regex = regex(text)?;
        if regex.captures_len() < 2 {
            return Err(PatternError::NoGroup(text.to_owned()));
        }
        Ok(Self::Regex(regex))
    }

    /// Returns the value in an answer.
    pub fn find(&self, body: &str) -> Option<String> {
        let found = match self {
            Self::Pointer(pointer) => at(&serde_json::from_str(body).ok()?, pointer)?,
            Self::Regex(regex) => regex.captures(body)?.get(1)?.as_str().trim().to_owned(),
        };
        let good = !found.is_empty() && found.chars().count() <= FOUND_MAX_CHARS;
        good.then_some(found)
    }
}

/// Returns a text, number or boolean; nested values count as missing.
pub fn at(json: &Value, pointer: &str) -> Option<String> {
    match json.pointer(pointer)? {
        Value::String(text) => Some(text.trim().to_owned()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Compiles a regular expression within the limits.
pub fn regex(text: &str) -> Result<Regex, PatternError> {
    if text.chars().count() > PATTERN_MAX_CHARS {
        return Err(PatternError::TooLong);
    }
    let wrong = |error: regex::Error| {
        let said = error.to_string();
        PatternError::Regex(text.to_owned(), said.lines().last().unwrap_or_default().trim().to_owned())
    };
    RegexBuilder::new(text).size_limit(REGEX_MAX_BYTES).build().map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found() {
        let check = |pattern: &str, body: &str, expect: Option<&str>| {
            assert_eq!(Pattern::parse(pattern).unwrap().find(body).as_deref(), expect, "{pattern} in {body}");
        };
        check("/messages/0/id", r#"{"messages":[{"id":"abc"}]}"#, Some("abc"));
        check("/id", r#"{"id":42}"#, Some("42"));
        check("/id", r#"{"id":{"x":1}}"#, None);
        check("/id", r#"{"id":""}"#, None);
        check("/id", "OK 42", None);
        check("^OK ([0-9]+)", "OK 42\n", Some("42"));
        check("^OK ([0-9]+)", "ERR 42", None);
        check("(.*)", &"x".repeat(FOUND_MAX_CHARS + 1), None);
    }

    #[test]
    fn slips_are_named() {
        let wrong = |text: &str| Pattern::parse(text).unwrap_err().to_string();
        assert!(wrong("OK [0-9]+").contains("no group"));
        assert!(
            wrong("OK ([0-9]+").contains("no regular expression: error: unclosed group"),
            "{}",
            wrong("OK ([0-9]+")
        );
        assert!(wrong("(?:a{9999}){9999}").contains("no regular expression"));
        assert!(wrong(&"x".repeat(PATTERN_MAX_CHARS + 1)).contains("letters"));
    }
}
