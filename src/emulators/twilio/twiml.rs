//! TwiML in the answer to a message webhook: its messages are sent as replies.
//!
//! After <https://www.twilio.com/docs/messaging/twiml>.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

const NO_XML: u32 = 12100;
const NO_RESPONSE: u32 = 12102;
const UNKNOWN_VERB: u32 = 12200;
const WRONG_CONTENT_TYPE: u32 = 12300;
/// Limit of replies in one document.
const REPLIES_MAX: usize = 10;

/// A message in the answer to a webhook.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    pub body: String,
    pub media: Vec<String>,
    /// Recipient instead of the sender.
    pub to: Option<String>,
    /// Sender instead of the recipient.
    pub from: Option<String>,
    pub status_callback: Option<String>,
}

/// Returns the messages of an answer, or Twilio's code if the answer is invalid.
pub fn replies(content_type: &str, body: &[u8]) -> Result<Vec<Reply>, u32> {
    let text = std::str::from_utf8(body).map_err(|_| NO_XML)?;
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    match content_type.split(';').next().unwrap_or_default().trim() {
        "text/plain" => Ok(vec![Reply { body: text.trim().to_owned(), ..Reply::default() }]),
        "text/xml" | "application/xml" | "text/html" => parse(text),
        _ => Err(WRONG_CONTENT_TYPE),
    }
}

fn parse(text: &str) -> Result<Vec<Reply>, u32> {
    let mut reader = Reader::from_str(text);
    reader.config_mut().expand_empty_elements = true;
    let (mut path, mut replies): (Vec<String>, Vec<Reply>) = (Vec::new(), Vec::new());
    let mut seen_response = false;
    loop {
        match reader.read_event().map_err(|_| NO_XML)? {
            Event::Start(start) => {
                let name = String::from_utf8_lossy(start.name().as_ref()).into_owned();
                open(&path, &name, &start, &mut replies)?;
                seen_response = true;
                path.push(name);
            }
            Event::End(_) => {
                path.pop();
            }
            Event::Text(part) => add(&path, &mut replies, &part.decode().map_err(|_| NO_XML)?),
            Event::CData(part) => add(&path, &mut replies, &part.decode().map_err(|_| NO_XML)?),
            Event::GeneralRef(part) => {
                let name = part.decode().map_err(|_| NO_XML)?;
                let numbered = part.resolve_char_ref().map_err(|_| NO_XML)?.map(String::from);
                let named = || quick_xml::escape::resolve_predefined_entity(&name).map(str::to_owned);
                add(&path, &mut replies, &numbered.or_else(named).ok_or(NO_XML)?);
            }
            Event::Eof if path.is_empty() && seen_response => break,
            Event::Eof => return Err(if seen_response { NO_XML } else { NO_RESPONSE }),
            _ => {}
        }
    }
    for reply in &mut replies {
        reply.body = reply.body.trim().to_owned();
    }
    replies.retain(|reply| !reply.body.is_empty() || !reply.media.is_empty());
    Ok(replies)
}

fn open(path: &[String], name: &str, start: &BytesStart, replies: &mut Vec<Reply>) -> Result<(), u32> {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    match (path.as_slice(), name) {
        ([], "Response") | (["Response", "Message"], "Body") => {}
        ([], _) => return Err(NO_RESPONSE),
        (["Response"], "Message") if replies.len() < REPLIES_MAX => {
            let attribute = |name: &str| {
                let found = start.try_get_attribute(name).ok().flatten()?;
                let value = String::from_utf8_lossy(&found.value).into_owned();
                quick_xml::escape::unescape(&value)
                    .ok()
                    .map(|value| value.into_owned())
                    .filter(|value| !value.is_empty())
            };
            let (to, from) = (attribute("to"), attribute("from"));
            replies.push(Reply { to, from, status_callback: attribute("statusCallback"), ..Reply::default() });
        }
        (["Response", "Message"], "Media") => {
            if let Some(reply) = replies.last_mut() {
                reply.media.push(String::new());
            }
        }
        _ => return Err(UNKNOWN_VERB),
    }
    Ok(())
}

fn add(path: &[String], replies: &mut [Reply], text: &str) {
    let Some(reply) = replies.last_mut() else { return };
    match path.last().map(String::as_str) {
        Some("Message" | "Body") => reply.body.push_str(text),
        Some("Media") => {
            if let Some(url) = reply.media.last_mut() {
                url.push_str(text.trim());
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: Result<&[&str], u32>) {
        let found = replies("text/xml; charset=utf-8", text.as_bytes());
        let bodies = found.map(|found| found.into_iter().map(|reply| reply.body).collect::<Vec<_>>());
        assert_eq!(bodies, expect.map(|bodies| bodies.iter().map(ToString::to_string).collect()), "{text}");
    }

    #[test]
    fn documents_are_understood_or_refused_with_twilio_s_code() {
        check("", Ok(&[]));
        check("<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response/>", Ok(&[]));
        check("<Response><Message>Hola &amp; adi&#243;s</Message></Response>", Ok(&["Hola & adiós"]));
        check(
            "<Response><Message><Body><![CDATA[a<b]]></Body></Message> <Message>2</Message></Response>",
            Ok(&["a<b", "2"]),
        );
        check("<Response><Message></Message></Response>", Ok(&[]));
        check("<Reply/>", Err(NO_RESPONSE));
        check("hola", Err(NO_RESPONSE));
        check("<Response><Message>", Err(NO_XML));
        check("<Response></Message></Response>", Err(NO_XML));
        check("<Response>&nope;</Response>", Err(NO_XML));
        check("<Response><Dial>1</Dial></Response>", Err(UNKNOWN_VERB));
    }

    #[test]
    fn a_reply_may_go_elsewhere_and_carry_media() {
        let text = "<Response><Message to=\"+34600111333\" from='+34911222333' statusCallback=\"http://127.0.0.1/s?a=1&amp;b=2\">\
                    <Body>x</Body><Media> https://example.com/a.jpg </Media></Message></Response>";
        let found = replies("text/xml", text.as_bytes()).unwrap();
        let expect = Reply {
            body: "x".into(),
            media: vec!["https://example.com/a.jpg".into()],
            to: Some("+34600111333".into()),
            from: Some("+34911222333".into()),
            status_callback: Some("http://127.0.0.1/s?a=1&b=2".into()),
        };
        assert_eq!(found, [expect]);
    }

    #[test]
    fn the_content_type_decides() {
        let bodies = |content_type: &str| {
            replies(content_type, b" hola ").map(|found| found.into_iter().map(|reply| reply.body).collect::<Vec<_>>())
        };
        assert_eq!(bodies("text/plain"), Ok(vec!["hola".to_owned()]));
        assert_eq!(bodies("application/json"), Err(WRONG_CONTENT_TYPE));
        assert_eq!(bodies(""), Err(WRONG_CONTENT_TYPE));
    }
}
