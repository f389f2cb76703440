//! Content lines of a calendar file (RFC 5545, 3.1): unfolds them and takes them apart.
//!
//! Lines are unfolded as bytes, because programs fold inside a letter. Each byte is read once. A line that is not a content
//! line is reported and left out; the reader goes on behind it.

use std::borrow::Cow;

use super::fields::short;

/// Times never contain a colon, but zone names do: `DTSTART;TZID=(UTC+01:00) Madrid:20261201T100000`.
const TIMES: [&str; 5] = ["DTSTART", "DTEND", "RECURRENCE-ID", "EXDATE", "RDATE"];

/// A content line with the number of its first line in the file, counted from 1.
#[derive(Clone, Debug)]
pub(super) struct Property {
    pub line: usize,
    /// In capital letters.
    pub name: String,
    /// Names in capital letters; values without quotation marks.
    pub params: Vec<(String, String)>,
    /// As it is in the file, with its escapes.
    pub value: String,
}

impl Property {
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// A line that cannot be taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BadLine {
    pub line: usize,
    /// The name of its property, if it has one.
    pub name: Option<String>,
    pub why: String,
}

/// The unfolded lines of a file with their numbers. Blank lines are skipped, also within a folded line.
pub(super) fn unfolded(bytes: &[u8]) -> impl Iterator<Item = (usize, Cow<'_, [u8]>)> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut raw = bytes
        .split(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .zip(1usize..)
        .filter(|(line, _)| !line.is_empty())
        .peekable();
    std::iter::from_fn(move || {
        let (first, number) = raw.next()?;
        let mut line = Cow::Borrowed(first);
        while let Some((rest, _)) = raw.next_if(|(next, _)| matches!(next[0], b' ' | b'\t')) {
            line.to_mut().extend_from_slice(&rest[1..]);
        }
        Some((number, line))
    })
}

/// Takes a line apart. Bytes that are not UTF-8 become `�`.
pub(super) fn property(line: usize, bytes: &[u8]) -> Result<Property, BadLine> {
    let text = String::from_utf8_lossy(bytes);
    let name_end = text.find([';', ':']).unwrap_or(text.len());
    let name = text[..name_end].trim().to_ascii_uppercase();
    let is_name =
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    if !is_name {
        return Err(BadLine { line, name: None, why: format!("'{}' is not a property", short(&text)) });
    }
    let bad = |why: &str| BadLine { line, name: Some(name.clone()), why: why.to_owned() };
    let rest = &text[name_end..];
    let is_time = TIMES.contains(&name.as_str());
    let colon =
        value_at(rest, is_time).ok_or_else(|| bad("it has no value: a ':' is missing, or a '\"' is not closed"))?;
    let mut params = Vec::new();
    for param in split(&rest[..colon], ';').skip(1) {
        let (key, value) =
            param.split_once('=').ok_or_else(|| bad(&format!("its parameter '{}' has no value", short(param))))?;
        params.push((key.trim().to_ascii_uppercase(), value.trim().trim_matches('"').to_owned()));
    }
    Ok(Property { line, params, value: rest[colon + 1..].to_owned(), name })
}

/// The colon before the value: the first one outside of quotation marks, or the last one for a time.
fn value_at(text: &str, is_time: bool) -> Option<usize> {
    let mut quoted = false;
    let mut colons = text.char_indices().filter(|(_, c)| {
        quoted ^= *c == '"';
        *c == ':' && !quoted
    });
    let first = colons.next()?.0;
    // A parameter with a colon is not quoted only where its value begins with a bracket.
    let last = is_time && text[..first].contains("=(");
    Some(if last { colons.last().map_or(first, |(at, _)| at) } else { first })
}

/// The parts of a text between separators outside of quotation marks.
fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    text.split(move |c| {
        quoted ^= c == '"';
        c == separator && !quoted
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &[u8]) -> Vec<(usize, String)> {
        unfolded(text).map(|(number, line)| (number, String::from_utf8_lossy(&line).into_owned())).collect()
    }

    #[test]
    fn lines_are_unfolded_before_their_letters_are_read() {
        let folded = b"\xef\xbb\xbf\r\n\r\nA:caf\xc3\r\n \xa9 x\n\ty\n\n  z\rw\r\nB:1";
        assert_eq!(lines(folded), [(3, "A:café xy z\rw".to_owned()), (8, "B:1".to_owned())]);
        assert_eq!(lines(b"A:\xf1"), [(1, "A:\u{fffd}".to_owned())]);
        assert_eq!(lines(b""), []);
    }

    #[test]
    fn a_line_has_a_name_parameters_and_a_value() {
        let check = |text: &str, params: &[(&str, &str)], value: &str| {
            let read = property(1, text.as_bytes()).unwrap();
            let given: Vec<(&str, &str)> =
                read.params.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
            assert_eq!((given.as_slice(), read.value.as_str()), (params, value), "{text}");
        };
        check("dtstart;tzid=Europe/Madrid:20261201T100000", &[("TZID", "Europe/Madrid")], "20261201T100000");
        check(
            "DTSTART; TZID=\"(UTC+01:00) A, B\" ; VALUE=DATE-TIME:1",
            &[("TZID", "(UTC+01:00) A, B"), ("VALUE", "DATE-TIME")],
            "1",
        );
        check("DTSTART;TZID=(UTC+01:00) Madrid:1", &[("TZID", "(UTC+01:00) Madrid")], "1");
        check("ATTENDEE;CN=\"a;b:c\":mailto:x@example.com", &[("CN", "a;b:c")], "mailto:x@example.com");
        check("SUMMARY:", &[], "");
        check("X-A:b;c=\"d", &[], "b;c=\"d");
    }

    #[test]
    fn a_line_that_is_none_says_why() {
        let check = |text: &str, name: Option<&str>, says: &str| {
            let bad = property(7, text.as_bytes()).unwrap_err();
            assert_eq!((bad.line, bad.name.as_deref()), (7, name), "{text}");
            assert!(bad.why.contains(says), "{text}: {}", bad.why);
        };
        check("hello", Some("HELLO"), "no value");
        check("two words", None, "not a property");
        check(":x", None, "not a property");
        check("DTEND;TZID=\"Europe/Madrid:20261201T100000", Some("DTEND"), "not closed");
        check("X-PLACE;VALUE=URI;X-TITLE=Mayor 1\\; 28013 Madrid:geo:1,2", Some("X-PLACE"), "28013 Madrid");
    }
}
