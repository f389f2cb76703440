//! Headers from a provider description or a rule.

use reqwest::header::{HeaderName, HeaderValue};

/// Limit of headers of one call.
pub const HEADERS_MAX: usize = 20;
/// Limit of a header's value.
pub const VALUE_MAX_BYTES: usize = 4_096;

/// Headers of the connection itself (RFC 9110, RFC 9112): a second or different value would split the request in two.
const OF_THE_CONNECTION: [&str; 11] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
];

/// Why a header is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    #[error("'{0}' is no name of a header: letters, digits and dashes")]
    Name(String),
    #[error("the header '{0}' is the connection's own: leave it out")]
    OfTheConnection(String),
    /// The text leaves out the value, which may be secret.
    #[error(
        "the header '{0}' has a value with a line break or another control character in it, or one of over {VALUE_MAX_BYTES} bytes"
    )]
    Value(String),
}

/// Parses a name.
pub fn name(text: &str) -> Result<HeaderName, HeaderError> {
    let lower = text.to_ascii_lowercase();
    if OF_THE_CONNECTION.contains(&lower.as_str()) || lower.starts_with("proxy-") {
        return Err(HeaderError::OfTheConnection(lower));
    }
    lower.parse().map_err(|_| HeaderError::Name(text.chars().take(60).collect()))
}

/// Parses a value and marks it as sensitive, so that no library logs it.
pub fn value(name: &HeaderName, text: &str) -> Result<HeaderValue, HeaderError> {
    let wrong = || HeaderError::Value(name.to_string());
    let mut value = HeaderValue::from_bytes(text.as_bytes()).map_err(|_| wrong())?;
    if value.len() > VALUE_MAX_BYTES {
        return Err(wrong());
    }
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_split_a_request_is_refused() {
        for good in ["Authorization", "X-Api-Key", "accept", "content-type"] {
            assert!(name(good).is_ok(), "{good}");
        }
        for bad in [
            "Host",
            "Content-Length",
            "TRANSFER-ENCODING",
            "Connection",
            "Proxy-Authorization",
            "",
            "a b",
            "a:b",
            "a\r\nb",
        ] {
            assert!(name(bad).is_err(), "{bad}");
        }
        let key = name("x-key").unwrap();
        for bad in ["a\r\nHost: evil", "a\nb", "\0", &"x".repeat(VALUE_MAX_BYTES + 1)] {
            let error = value(&key, bad).unwrap_err();
            assert!(!error.to_string().contains("evil"), "{error}");
        }
        assert!(!format!("{:?}", value(&key, "s3cret").unwrap()).contains("s3cret"));
    }
}
