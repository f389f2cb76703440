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

/// A piece of a text with `{name}` and `{name|text without a value}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    Literal(&'a str),
    Placeholder {
        /// The name, trimmed; never empty.
        name: &'a str,
        /// The text for when there is no value.
        otherwise: Option<&'a str>,
        /// The whole, with its braces.
        written: &'a str,
    },
}

/// Splits a text at its `{placeholders}`. Braces without a name between them are literal.
pub fn pieces(text: &str) -> Vec<Piece<'_>> {
    let (mut pieces, mut literal_from, mut from) = (Vec::new(), 0, 0);
    while let Some(open) = text[from..].find('{').map(|at| from + at) {
        from = open + 1;
        let Some(end) = text[from..].find(['{', '}']).map(|at| from + at).filter(|end| text[*end..].starts_with('}'))
        else {
            continue;
        };
        let inner = &text[from..end];
        let (name, otherwise) = inner.split_once('|').map_or((inner, None), |(name, text)| (name, Some(text)));
        if name.trim().is_empty() || name.contains(char::is_control) {
            continue;
        }
        pieces.push(Piece::Literal(&text[literal_from..open]));
        pieces.push(Piece::Placeholder { name: name.trim(), otherwise, written: &text[open..=end] });
        (literal_from, from) = (end + 1, end + 1);
    }
    pieces.push(Piece::Literal(&text[literal_from..]));
    pieces
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
    fn a_text_is_cut_into_pieces_at_its_names() {
        fn show(piece: Piece<'_>) -> String {
            match piece {
                Piece::Literal(literal) => literal.to_owned(),
                Piece::Placeholder { name, otherwise, written } => format!("<{name} {otherwise:?} {written}>"),
            }
        }
        let check = |text: &str, expect: &str| {
            assert_eq!(pieces(text).into_iter().map(show).collect::<String>(), expect, "{text}");
        };
        check("{name}, on { day }.", "<name None {name}>, on <day None { day }>.");
        check("{city|here} {city|}", "<city Some(\"here\") {city|here}> <city Some(\"\") {city|}>");
        check("{ {day}} {} { x", "{ <day None {day}>} {} { x");
        check("{a\nb} ñ{é}", "{a\nb} ñ<é None {é}>");
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
