//! An element of a document, and how it is written: the one place where text becomes XML.

use std::fmt::Display;
use std::io::{self, Write};

use quick_xml::Writer;
use quick_xml::escape::escape;
use quick_xml::events::{BytesDecl, BytesStart, BytesText, Event};

use crate::integrations::twilio::words::{MachineDetection, Method, RecordingEvent, Word};

/// Text and children come in this order. Names are ours, texts and values anybody's.
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

    pub(super) fn word(self, name: &'static str, word: Option<impl Word>) -> Self {
        self.attribute(name, word.map(Word::as_str))
    }

    /// Several in one attribute, with blanks between them.
    pub(super) fn words(self, name: &'static str, words: &[impl Word]) -> Self {
        let words: Vec<_> = words.iter().map(|word| word.as_str()).collect();
        self.attribute(name, (!words.is_empty()).then(|| words.join(" ")))
    }

    pub(super) fn status_callback(self, url: Option<&str>, method: Option<Method>, events: &[impl Word]) -> Self {
        self.attribute("statusCallback", url).word("statusCallbackMethod", method).words("statusCallbackEvent", events)
    }

    pub(super) fn recording_callback(
        self,
        url: Option<&str>,
        method: Option<Method>,
        events: &[RecordingEvent],
    ) -> Self {
        self.attribute("recordingStatusCallback", url)
            .word("recordingStatusCallbackMethod", method)
            .words("recordingStatusCallbackEvent", events)
    }

    pub(super) fn machine_detection(self, detection: Option<&MachineDetection>) -> Self {
        let Some(detection) = detection else { return self };
        self.word("machineDetection", Some(detection.detect))
            .attribute("machineDetectionTimeout", detection.timeout_s)
            .attribute("machineDetectionSpeechThreshold", detection.speech_threshold_ms)
            .attribute("machineDetectionSpeechEndThreshold", detection.speech_end_threshold_ms)
            .attribute("machineDetectionSilenceTimeout", detection.silence_timeout_ms)
            .attribute("amdStatusCallback", detection.status_callback.as_ref())
            .word("amdStatusCallbackMethod", detection.status_callback_method)
    }

    pub(super) fn children(mut self, children: impl IntoIterator<Item = Self>) -> Self {
        self.children.extend(children);
        self
    }

    /// As a document of its own; `None` where it would be longer than `max_bytes`.
    pub(super) fn document(&self, max_bytes: usize) -> Option<String> {
        let mut writer = Writer::new(Bounded { bytes: Vec::new(), max_bytes });
        // The buffer refuses what is too much, and nothing else.
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

/// Text as it may stand in XML, between tags and in attributes.
fn escaped(text: &str) -> String {
    let kept: String = text.chars().filter(|c| is_xml_char(*c)).collect();
    // A reader makes blanks of tabs and line ends in attributes, and line feeds of carriage returns everywhere.
    escape(kept).replace('\t', "&#9;").replace('\n', "&#10;").replace('\r', "&#13;")
}

/// <https://www.w3.org/TR/xml/#charsets>; surrogates are no `char`.
const fn is_xml_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..)
}

/// Takes so many bytes and fails on more.
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
