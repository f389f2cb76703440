//! Formats a mail as bytes: headers and encodings. No text can become a header.

use std::time::{Duration, SystemTime};

use lettre::Address;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message, MultiPart, SinglePart};
use reqwest::Url;

use super::{BODY_BYTES, Mail, SUBJECT_CHARS};
use crate::domain::Timestamp;
use crate::domain::plain::is_plain;

/// Limit of a link in a header, in bytes: a line has at most 998 (RFC 5322, 2.1.1).
const LINK_BYTES: usize = 900;

/// A formatted mail.
#[derive(Clone, Debug)]
pub struct MimeMessage {
    pub from: Address,
    pub to: Address,
    /// The Message-ID without its angle brackets.
    pub id: String,
    pub bytes: Vec<u8>,
}

/// Formats the mail as a message of RFC 5322.
///
/// # Errors
/// Why the mail cannot be a message.
pub fn write(mail: &Mail, now: Timestamp) -> Result<MimeMessage, String> {
    // Stricter rules have checked it already.
    let to: Address =
        mail.to.as_str().parse().map_err(|_| "the recipient is no e-mail address: correct it".to_owned())?;
    let from = mail.from.email.clone();
    for (what, text) in [("text", &mail.text), ("HTML", mail.html.as_ref().unwrap_or(&mail.text))] {
        if text.len() > BODY_BYTES {
            return Err(format!("the {what} has {} bytes, and {BODY_BYTES} is the most: shorten it", text.len()));
        }
    }
    let subject = line(&mail.subject);
    if subject.chars().count() > SUBJECT_CHARS {
        return Err(format!("the subject has more than {SUBJECT_CHARS} characters: shorten it"));
    }
    let id = format!("{}@{}", mail.id, from.domain());
    let mut builder = Message::builder()
        .message_id(Some(format!("<{id}>")))
        .date(SystemTime::UNIX_EPOCH + Duration::from_micros(now.unix_us().max(0).unsigned_abs()))
        .from(named(&mail.from))
        .to(Mailbox::new(None, to.clone()))
        .subject(subject)
        // Automatic responders do not answer such a message (RFC 3834).
        .raw_header(HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".into()));
    if let Some(reply_to) = &mail.reply_to {
        builder = builder.reply_to(named(reply_to));
    }
    if let Some(url) = &mail.unsubscribe {
        builder = builder.raw_header(unsubscribe(url)?);
    }
    let text = SinglePart::builder().header(ContentType::TEXT_PLAIN).body(lines(&mail.text));
    let message = match &mail.html {
        None => builder.singlepart(text),
        Some(html) => {
            let html = SinglePart::builder().header(ContentType::TEXT_HTML).body(lines(html));
            builder.multipart(MultiPart::alternative().singlepart(text).singlepart(html))
        }
    };
    let bytes = message.map_err(|error| error.to_string())?.formatted();
    Ok(MimeMessage { from, to, id, bytes })
}

fn named(mailbox: &Mailbox) -> Mailbox {
    let name = mailbox.name.as_deref().map(line).filter(|name| !name.is_empty());
    Mailbox::new(name, mailbox.email.clone())
}

/// Returns one line: characters that end it, or change its direction, become spaces. So no text can become a header. The
/// beginning of an encoded word (`=?`, RFC 2047) is broken up: a reader would show what it encodes instead of it.
fn line(text: &str) -> String {
    let plain: String = text.chars().map(|c| if is_plain(c) { c } else { ' ' }).collect();
    plain.split_whitespace().collect::<Vec<_>>().join(" ").replace("=?", "= ?")
}

/// Returns lines with uniform ends and no control characters but tabs.
fn lines(text: &str) -> String {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect()
}

fn unsubscribe(url: &Url) -> Result<HeaderValue, String> {
    let link = format!("<{url}>");
    if link.len() > LINK_BYTES {
        return Err(format!("the link to unsubscribe has more than {LINK_BYTES} bytes"));
    }
    // A URL is ASCII without spaces, so it needs no encoding.
    let name = HeaderName::new_from_ascii_str("List-Unsubscribe");
    Ok(HeaderValue::dangerous_new_pre_encoded(name, link.clone(), link))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ActionId, EmailAddress};

    fn mail() -> Mail {
        Mail {
            id: ActionId::new(uuid::Uuid::from_u128(7)),
            from: Mailbox::new(Some("Sol".into()), "hola@sol.example".parse().unwrap()),
            to: EmailAddress::parse("ana@example.com").unwrap(),
            subject: "Hola".into(),
            text: "Buenos días".into(),
            html: None,
            reply_to: None,
            unsubscribe: None,
        }
    }

    fn text(mail: &Mail) -> String {
        let at = Timestamp::parse("2026-11-21T08:00:00Z").unwrap();
        String::from_utf8(write(mail, at).unwrap().bytes).unwrap()
    }

    #[test]
    fn a_letter_has_what_receivers_look_for() {
        let text = text(&mail());
        for header in [
            "Message-ID: <00000000-0000-0000-0000-000000000007@sol.example>\r\n",
            "Date: Sat, 21 Nov 2026 08:00:00 +0000\r\n",
            "From: Sol <hola@sol.example>\r\n",
            "To: ana@example.com\r\n",
            "Auto-Submitted: auto-generated\r\n",
            "MIME-Version: 1.0\r\n",
        ] {
            assert!(text.contains(header), "{header}{text}");
        }
        assert!(text.is_ascii() && text.lines().all(|line| line.len() < 998));
    }

    #[test]
    fn an_encoded_word_of_a_customer_is_shown_as_it_is() {
        let word = "=?utf-8?B?WW91ciBiYW5r?=";
        let from = Mailbox::new(Some(word.into()), "hola@sol.example".parse().unwrap());
        for subject in [word.to_owned(), format!("Re: {word}"), format!("{word} día"), "==?utf-8?Q?x?=".to_owned()] {
            let text = text(&Mail { subject, from: from.clone(), ..mail() });
            let headers = text.split("\r\n\r\n").next().unwrap();
            assert!(!headers.contains("=?utf-8?B?WW91") && !headers.contains("=?utf-8?Q?x?="), "{headers}");
        }
    }

    #[test]
    fn no_text_becomes_a_header() {
        let evil = "x\r\nBcc: evil@example.com\r\n\r\nbody\u{202E}\0";
        let reply_to = Mailbox::new(Some(evil.into()), "a@b.example".parse().unwrap());
        let evil_from = Mailbox::new(Some(evil.into()), "hola@sol.example".parse().unwrap());
        let mime = text(&Mail {
            subject: evil.into(),
            reply_to: Some(reply_to),
            from: evil_from,
            text: evil.into(),
            ..mail()
        });
        let (head, body) = mime.split_once("\r\n\r\n").unwrap();
        let names =
            head.split("\r\n").filter(|line| !line.starts_with(' ')).map(|line| line.split(':').next().unwrap());
        let expect = "Message-ID Date From To Subject Auto-Submitted Reply-To MIME-Version Content-Type Content-Transfer-Encoding";
        assert_eq!(names.collect::<Vec<_>>(), expect.split(' ').collect::<Vec<_>>(), "{head}");
        assert!(!head.contains('\u{202E}') && body.contains("Bcc: evil"), "{mime}");
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let refused = |mail: Mail| write(&mail, Timestamp::from_unix_us(0)).unwrap_err();
        assert!(refused(Mail { subject: "é".repeat(201), ..mail() }).contains("subject"));
        assert!(refused(Mail { text: "x".repeat(BODY_BYTES + 1), ..mail() }).contains("100000"));
        assert!(refused(Mail { html: Some("x".repeat(BODY_BYTES + 1)), ..mail() }).contains("HTML"));
        let long = Url::parse(&format!("https://a.example/{}", "x".repeat(LINK_BYTES))).unwrap();
        assert!(refused(Mail { unsubscribe: Some(long), ..mail() }).contains("unsubscribe"));
    }
}
