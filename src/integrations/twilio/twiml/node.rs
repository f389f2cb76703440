//! An XML element and its rendering: the only place where text becomes XML.

use std::fmt::Display;
use std::io::{self, Write};

use quick_xml::Writer;
use quick_xml::escape::escape;
use quick_xml::events::{BytesDecl, BytesStart, BytesText, Event};

/// An element: its text is followed by its children. Names are constants; texts and values are untrusted.
#[derive(Debug)]
pub(super) struct Node {
    name: &'static str,
    attributes: Vec<(&'static str, String)>,
    text: String,
    children: Vec<Self>,
}

impl Node {
    pub(super) const fn new(name: &'static str) -> Self {
        Self { name, attributes: Vec::new(), text: String::new(), children: Vec::new() }
    }

    pub(super) fn text(mut self, text: &str) -> Self {
        text.clone_into(&mut self.text);
        self
    }

    pub(super) fn attribute(mut self, name: &'static str, value: Option<impl Display>) -> Self {
        self.attributes.extend(value.map(|value| (name, value.to_string())));
        self
    }

    /// Adds an attribute with one of Twilio's fixed values.
    pub(super) fn value(self, name: &'static str, value: Option<impl Into<&'static str>>) -> Self {
        self.attribute(name, value.map(Into::into))
    }

    /// Adds an attribute with several values, separated by blanks.
    pub(super) fn values<V: Copy + Into<&'static str>>(self, name: &'static str, values: &[V]) -> Self {
        let values: Vec<&'static str> = values.iter().map(|value| (*value).into()).collect();
        self.attribute(name, (!values.is_empty()).then(|| values.join(" ")))
    }

    pub(super) fn children(mut self, children: impl IntoIterator<Item = Self>) -> Self {
        self.children.extend(children);
        self
    }

    /// Renders a document; `None` if it would be longer than `max_bytes`.
    pub(super) fn document(&self, max_bytes: usize) -> Option<String> {
        let mut writer = Writer::new(Bounded { bytes: Vec::new(), max_bytes });
        // The size limit is the only source of errors.
        writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None))).ok()?;
        self.write(&mut writer).ok()?;
        Some(String::from_utf8(writer.into_inner().bytes).expect("names and texts are UTF-8, and are not cut"))
    }

    fn write(&self, writer: &mut Writer<Bounded>) -> io::Result<()> {
        let mut start = BytesStart::new(self.name);
        for (name, value) in &self.attributes {
            start.push_attribute((name.as_bytes(), escaped(value).as_bytes()));
        }
        if self.text.is_empty() && self.children.is_empty() {
            return writer.write_event(Event::Empty(start));
        }
        writer.write_event(Event::Start(start.borrow()))?;
        writer.write_event(Event::Text(BytesText::from_escaped(escaped(&self.text))))?;
        for child in &self.children {
            child.write(writer)?;
        }
        writer.write_event(Event::End(start.to_end()))
    }
}

/// Escapes text for element content and attributes.
fn escaped(text: &str) -> String {
    let valid: String = text.chars().filter(|c| is_xml_char(*c)).collect();
    // XML parsers normalize raw tabs and line ends: to blanks in attributes, and carriage returns to line feeds.
    escape(valid).replace('\t', "&#9;").replace('\n', "&#10;").replace('\r', "&#13;")
}

/// True for the characters that XML allows (<https://www.w3.org/TR/xml/#charsets>); surrogates are no `char`.
const fn is_xml_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..)
}

/// A buffer that fails when it would exceed its limit.
struct Bounded {
    bytes: Vec<u8>,
    max_bytes: usize,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() > self.max_bytes - self.bytes.len() {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
