//! A call's TwiML document, parsed as strictly as by Twilio: unknown content is an error.
//!
//! After <https://www.twilio.com/docs/voice/twiml> and the error dictionary.

use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use super::schema::{self, Rule};

/// Twilio's code for a document that is no XML.
pub const NO_XML: u32 = 12100;
const WRONG_VERSION: u32 = 12101;
const NO_RESPONSE: u32 = 12102;
/// Twilio's code for a document against the schema.
pub const AGAINST_SCHEMA: u32 = 12200;
const WRONG_CONTENT_TYPE: u32 = 12300;
/// Limit of elements in one document.
const ELEMENTS_MAX: usize = 1_000;
const DEPTH_MAX: usize = 8;

/// Why a document is invalid: Twilio's code, and a message with the position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub code: u32,
    pub why: String,
}

impl Fault {
    /// Creates a fault.
    pub fn new(code: u32, why: impl Into<String>) -> Self {
        Self { code, why: why.into() }
    }
}

/// A verb, a noun, or a child of one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Element {
    pub name: String,
    attributes: Vec<(String, String)>,
    pub children: Vec<Element>,
    /// All text within, including that of speech markup.
    text: String,
}

impl Element {
    /// Creates an element without attributes.
    pub fn named(name: &str, text: &str) -> Self {
        Self { name: name.to_owned(), text: text.to_owned(), ..Self::default() }
    }

    /// Returns an attribute's value unless it is empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// True if the attribute is present, even if empty.
    pub fn has(&self, name: &str) -> bool {
        self.attributes.iter().any(|(known, _)| known == name)
    }

    /// Returns a number, which the schema has checked.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.get(name)?.parse().ok()
    }

    /// True if the attribute is `true`.
    pub fn is_true(&self, name: &str) -> bool {
        self.get(name) == Some("true")
    }

    /// Returns the text, trimmed.
    pub fn text(&self) -> &str {
        self.text.trim()
    }
}

/// Parses the verbs of an answer.
pub fn parse(content_type: &str, body: &[u8]) -> Result<Vec<Element>, Fault> {
    match content_type.split(';').next().unwrap_or_default().trim() {
        "text/xml" | "application/xml" | "text/html" => {}
        other => return Err(Fault::new(WRONG_CONTENT_TYPE, format!("the content type is '{other}', not text/xml"))),
    }
    let text = std::str::from_utf8(body).map_err(|error| Fault::new(NO_XML, error.to_string()))?;
    parse_text(text)
}

/// Parses a document without checking its content type.
pub fn parse_text(text: &str) -> Result<Vec<Element>, Fault> {
    if let Some(c) = text.chars().find(|c| !is_xml(*c)) {
        return Err(Fault::new(NO_XML, format!("U+{:04X} may not stand in XML", u32::from(c))));
    }
    Parser { open: Vec::new(), response: None, elements: 0 }.run(text)
}

/// True for the characters of XML 1.0.
const fn is_xml(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

fn no_xml(error: impl std::fmt::Display) -> Fault {
    Fault::new(NO_XML, error.to_string())
}

struct Parser {
    open: Vec<(&'static Rule, Element)>,
    response: Option<Element>,
    elements: usize,
}

impl Parser {
    fn run(mut self, text: &str) -> Result<Vec<Element>, Fault> {
        let mut reader = Reader::from_str(text);
        reader.config_mut().expand_empty_elements = true;
        loop {
            let at = reader.buffer_position();
            match reader.read_event().map_err(no_xml)? {
                Event::Decl(declaration) => {
                    if at != 0 {
                        return Err(Fault::new(NO_XML, "the XML declaration does not stand first"));
                    }
                    if declaration.version().map_err(no_xml)?.as_ref() != b"1.0" {
                        return Err(Fault::new(WRONG_VERSION, "the XML version is not 1.0"));
                    }
                }
                Event::Start(start) => self.start(&start)?,
                Event::End(_) => self.end(),
                Event::Text(part) => self.add(&part.xml10_content().map_err(no_xml)?)?,
                Event::CData(part) => self.add(&part.xml10_content().map_err(no_xml)?)?,
                Event::GeneralRef(part) => {
                    let name = part.decode().map_err(no_xml)?;
                    let numbered = part.resolve_char_ref().map_err(no_xml)?;
                    if let Some(c) = numbered.filter(|c| !is_xml(*c)) {
                        return Err(Fault::new(NO_XML, format!("U+{:04X} may not stand in XML", u32::from(c))));
                    }
                    let known = || quick_xml::escape::resolve_predefined_entity(&name).map(str::to_owned);
                    let text = numbered.map(String::from).or_else(known);
                    self.add(&text.ok_or_else(|| no_xml(format!("&{name}; is not known")))?)?;
                }
                Event::DocType(_) => return Err(Fault::new(NO_XML, "a document type may not be declared")),
                Event::Eof if !self.open.is_empty() => return Err(no_xml("it ends within an element")),
                Event::Eof => {
                    let response = self.response.ok_or_else(|| no_xml("it is empty"))?;
                    return Ok(response.children);
                }
                Event::Comment(_) | Event::PI(_) | Event::Empty(_) => {}
            }
        }
    }

    fn start(&mut self, start: &BytesStart) -> Result<(), Fault> {
        let name = String::from_utf8_lossy(start.name().as_ref()).into_owned();
        let rule = match self.open.last() {
            None if self.response.is_some() => return Err(no_xml("more than one element stands outermost")),
            None if name == schema::RESPONSE.name => &schema::RESPONSE,
            None => return Err(Fault::new(NO_RESPONSE, format!("<{name}> stands where <Response> must"))),
            Some((outer, _)) => schema::child(outer, &name)
                .ok_or_else(|| Fault::new(AGAINST_SCHEMA, format!("<{name}> may not stand in <{}>", outer.name)))?,
        };
        self.elements += 1;
        if self.elements > ELEMENTS_MAX || self.open.len() >= DEPTH_MAX {
            return Err(Fault::new(AGAINST_SCHEMA, "it has too many elements"));
        }
        let mut element = Element { name, ..Element::default() };
        for attribute in start.attributes() {
            let attribute = attribute.map_err(no_xml)?;
            let key = String::from_utf8_lossy(attribute.key.as_ref()).into_owned();
            let value = attribute.normalized_value(XmlVersion::Explicit1_0).map_err(no_xml)?.into_owned();
            if let Some(c) = value.chars().find(|c| !is_xml(*c)) {
                return Err(Fault::new(NO_XML, format!("U+{:04X} may not stand in XML", u32::from(c))));
            }
            schema::check(rule, &key, &value).map_err(|why| Fault::new(AGAINST_SCHEMA, why))?;
            element.attributes.push((key, value));
        }
        self.open.push((rule, element));
        Ok(())
    }

    fn end(&mut self) {
        // The XML reader checks that end tags match.
        let Some((_, element)) = self.open.pop() else { return };
        match self.open.last_mut() {
            None => self.response = Some(element),
            // Speech markup is not a verb: its text is spoken.
            Some((outer, parent)) if outer.name == "Say" || schema::is_markup(outer) => parent.text += &element.text,
            Some((_, parent)) => parent.children.push(element),
        }
    }

    fn add(&mut self, text: &str) -> Result<(), Fault> {
        let blank = text.chars().all(char::is_whitespace);
        match self.open.last_mut() {
            Some((rule, element)) if rule.text => element.text += text,
            Some((rule, _)) if !blank => {
                Err(Fault::new(AGAINST_SCHEMA, format!("no text may stand in <{}>", rule.name)))?;
            }
            None if !blank => Err(match self.response {
                Some(_) => no_xml("text stands after <Response>"),
                None => Fault::new(NO_RESPONSE, "text stands where <Response> must"),
            })?,
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: Result<&[(&str, &str)], u32>) {
        let found = parse("text/xml; charset=utf-8", text.as_bytes());
        let verbs = found.map(|verbs| verbs.into_iter().map(|verb| (verb.name.clone(), verb.text().to_owned())));
        let verbs = verbs.map(Vec::from_iter).map_err(|fault| fault.code);
        let expect =
            expect.map(|verbs| verbs.iter().map(|(name, text)| (name.to_string(), text.to_string())).collect());
        assert_eq!(verbs, expect, "{text}");
    }

    #[test]
    fn verbs_are_read_and_nothing_else() {
        check("<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response/>", Ok(&[]));
        check(
            "<Response><Say>Hola &amp; adi&#243;s</Say><Hangup/></Response>",
            Ok(&[("Say", "Hola & adiós"), ("Hangup", "")]),
        );
        check("<Response><Say>a <break time=\"1s\"/><emphasis>b</emphasis></Say></Response>", Ok(&[("Say", "a b")]));
        check("<Response><Say><![CDATA[</Say><Dial>]]></Say></Response>", Ok(&[("Say", "</Say><Dial>")]));
        for (text, code) in [
            ("", NO_XML),
            ("hola", NO_RESPONSE),
            ("<Reply/>", NO_RESPONSE),
            ("<Response>", NO_XML),
            ("<Response/><Response/>", NO_XML),
            ("<Response></Say></Response>", NO_XML),
            ("<Response><Say>&nope;</Say></Response>", NO_XML),
            ("<Response><Say>\u{1}</Say></Response>", NO_XML),
            ("<Response><Say>&#1;</Say></Response>", NO_XML),
            (" <?xml version=\"1.0\"?><Response/>", NO_XML),
            ("<!DOCTYPE a [<!ENTITY b \"c\">]><Response/>", NO_XML),
            ("<?xml version=\"1.1\"?><Response/>", WRONG_VERSION),
            ("<Response>hola</Response>", AGAINST_SCHEMA),
            ("<Response><Shout>hola</Shout></Response>", AGAINST_SCHEMA),
            ("<Response><Say volume=\"11\">hola</Say></Response>", AGAINST_SCHEMA),
            ("<Response><Say><Dial>1</Dial></Say></Response>", AGAINST_SCHEMA),
            ("<Response><Gather><Record/></Gather></Response>", AGAINST_SCHEMA),
            ("<Response><Gather timeout=\"soon\"/></Response>", AGAINST_SCHEMA),
            ("<Response><Redirect method=\"PUT\">/a</Redirect></Response>", AGAINST_SCHEMA),
            ("<Response><Say loop=\"1\" loop=\"2\">a</Say></Response>", NO_XML),
        ] {
            check(text, Err(code));
        }
    }

    #[test]
    fn the_content_type_is_xml() {
        for (content_type, good) in [("application/xml", true), ("text/html", true), ("text/plain", false), ("", false)]
        {
            let parsed = parse(content_type, b"<Response/>").map_err(|fault| fault.code);
            assert_eq!(parsed, if good { Ok(Vec::new()) } else { Err(WRONG_CONTENT_TYPE) }, "{content_type}");
        }
    }

    #[test]
    fn attributes_are_read_with_their_kinds() {
        let text =
            "<Response><Gather input='dtmf speech' timeout='3' finishOnKey='' action='/a?b=1&amp;c=2'/></Response>";
        let verbs = parse_text(text).unwrap();
        let gather = &verbs[0];
        assert_eq!((gather.get("action"), gather.number("timeout")), (Some("/a?b=1&c=2"), Some(3)));
        assert!(gather.has("finishOnKey") && gather.get("finishOnKey").is_none() && !gather.has("hints"));
    }
}
