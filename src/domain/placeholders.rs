//! Texts with placeholders: how they are split, and how values are escaped for their target.

use std::borrow::Cow;

/// The target of a value, which determines its escaping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escaping {
    /// No escaping.
    Plain,
    /// The path or query of a URL, or the value of a form field: percent-encoded (RFC 3986).
    Url,
    /// Within the quotes of a JSON string (RFC 8259).
    Json,
    /// HTML, between tags and in quoted attributes (OWASP's rules 1 and 2).
    Html,
}

impl Escaping {
    /// Escapes a value.
    pub fn escape(self, value: &str) -> Cow<'_, str> {
        match self {
            Self::Plain => Cow::Borrowed(value),
            Self::Url => Cow::Owned(percent_encode(value)),
            Self::Json => {
                // The quotes around the string are part of the template.
                let quoted = serde_json::Value::from(value).to_string();
                Cow::Owned(quoted[1..quoted.len() - 1].to_owned())
            }
            Self::Html => Cow::Owned(escape_html(value)),
        }
    }
}

/// A part of a text with placeholders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Segment<'a> {
    /// The text before, between and after the placeholders; it may be empty.
    Literal(&'a str),
    Placeholder {
        /// The name, trimmed.
        name: &'a str,
        /// Position behind the opening braces.
        at: usize,
    },
}

/// A placeholder without its closing braces; holds the position behind the opening ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unclosed(pub usize);

/// Splits a text at its `{{placeholders}}`: literal, placeholder, literal and so on. An unclosed one is the last item.
pub fn split(text: &str) -> impl Iterator<Item = Result<Segment<'_>, Unclosed>> {
    let mut segments = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let at = text.len() - after.len();
        segments.push(Ok(Segment::Literal(before)));
        let Some((name, behind)) = after.split_once("}}") else {
            segments.push(Err(Unclosed(at)));
            return segments.into_iter();
        };
        segments.push(Ok(Segment::Placeholder { name: name.trim(), at }));
        rest = behind;
    }
    segments.push(Ok(Segment::Literal(rest)));
    segments.into_iter()
}

/// Replaces `{name}` by its value. Names without a value stay as they are, and placeholders in values are not replaced.
pub fn fill<'a>(text: &str, value: impl Fn(&str) -> Option<&'a str>) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let found = after.split_once('}').and_then(|(name, behind)| Some((value(name)?, behind)));
        rest = match found {
            Some((value, behind)) => {
                filled.push_str(value);
                behind
            }
            None => {
                filled.push('{');
                after
            }
        };
    }
    filled + rest
}

/// Escapes text for HTML.
pub fn escape_html(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// Encodes all but the unreserved characters (RFC 3986).
pub fn percent_encode(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
        encoded
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_split_at_placeholders() {
        let placeholder = |name, at| Ok(Segment::Placeholder { name, at });
        let check = |text, expect: &[_]| assert_eq!(split(text).collect::<Vec<_>>(), expect, "{text}");
        check("", &[Ok(Segment::Literal(""))]);
        check(
            "a {{ b }}{{c}}",
            &[
                Ok(Segment::Literal("a ")),
                placeholder("b", 4),
                Ok(Segment::Literal("")),
                placeholder("c", 11),
                Ok(Segment::Literal("")),
            ],
        );
        check("a {{b", &[Ok(Segment::Literal("a ")), Err(Unclosed(4))]);
    }

    #[test]
    fn names_are_replaced_and_values_are_not_templates() {
        let value = |name: &str| [("name", "{day}"), ("day", "Monday")].into_iter().find(|(known, _)| *known == name);
        let check = |text: &str, expect: &str| assert_eq!(fill(text, |name| Some(value(name)?.1)), expect, "{text}");
        check("{name}, on {day}", "{day}, on Monday");
        check("{other} {name} {", "{other} {day} {");
        check("{ {day}", "{ Monday");
        check("", "");
    }

    #[test]
    fn values_are_escaped_for_their_target() {
        let check = |escaping: Escaping, expect: &str| assert_eq!(escaping.escape("<a href=\"ñ\">'&"), expect);
        check(Escaping::Plain, "<a href=\"ñ\">'&");
        check(Escaping::Url, "%3Ca%20href%3D%22%C3%B1%22%3E%27%26");
        check(Escaping::Json, "<a href=\\\"ñ\\\">'&");
        check(Escaping::Html, "&lt;a href=&quot;ñ&quot;&gt;&#39;&amp;");
    }
}
