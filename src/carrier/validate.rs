//! What Twilio checks before it takes a message, and its words for what is wrong.

use std::net::IpAddr;

use reqwest::Url;

use crate::domain::phone::Phone;
use crate::twilio::form::Params;

/// Twilio's code and message of a refusal; the HTTP status is 400.
#[derive(Debug, PartialEq, Eq)]
pub struct Refusal {
    pub code: u32,
    pub message: String,
}

const BODY_MAX_CHARS: usize = 1600;
const MEDIA_MAX: usize = 10;
const WHATSAPP: &str = "whatsapp:";

/// Numbers that fail on purpose, after <https://www.twilio.com/docs/iam/test-credentials>.
const FAILING_TO: [(&str, u32, &str); 5] = [
    ("+15005550001", 21211, "The 'To' number +15005550001 is not a valid phone number."),
    ("+15005550002", 21612, "The 'To' phone number +15005550002 is not currently reachable."),
    ("+15005550003", 21408, "Permission to send an SMS has not been enabled for the region of +15005550003."),
    ("+15005550004", 21610, "Attempt to send to unsubscribed recipient."),
    ("+15005550009", 21614, "'To' number +15005550009 is not a valid mobile number."),
];
const FAILING_FROM: [(&str, u32, &str); 3] = [
    ("+15005550001", 21212, "The 'From' number +15005550001 is not a valid phone number."),
    ("+15005550007", 21606, "The 'From' phone number +15005550007 is not a message-capable Twilio number."),
    ("+15005550008", 21611, "This 'From' number has exceeded the maximum number of queued messages."),
];

pub fn check(form: &Params) -> Result<(), Refusal> {
    let to = form.filled("To").ok_or_else(|| refusal(21604, "A 'To' phone number is required."))?;
    check_to(to)?;
    if let Some(from) = form.filled("From") {
        check_from(from)?;
        if from.starts_with(WHATSAPP) != to.starts_with(WHATSAPP) {
            return Err(refusal(21910, "Invalid From and To pair. From and To should be of the same channel."));
        }
    } else if form.filled("MessagingServiceSid").is_none() {
        return Err(refusal(21603, "A 'From' phone number is required."));
    }
    check_content(form)?;
    form.filled("StatusCallback").map_or(Ok(()), check_callback)
}

fn check_to(to: &str) -> Result<(), Refusal> {
    if let Some((_, code, message)) = FAILING_TO.iter().find(|(number, ..)| *number == to) {
        return Err(refusal(*code, message));
    }
    match Phone::parse(to.strip_prefix(WHATSAPP).unwrap_or(to)) {
        Ok(_) => Ok(()),
        Err(_) => Err(refusal(21211, &format!("The 'To' number {to} is not a valid phone number."))),
    }
}

fn check_from(from: &str) -> Result<(), Refusal> {
    if let Some((_, code, message)) = FAILING_FROM.iter().find(|(number, ..)| *number == from) {
        return Err(refusal(*code, message));
    }
    let short_code = (3..=8).contains(&from.len()) && from.bytes().all(|b| b.is_ascii_digit());
    let name = from.len() <= 11 && from.bytes().all(|b| b.is_ascii_alphanumeric() || b == b' ');
    let named = name && from.bytes().any(|b| b.is_ascii_alphabetic());
    if short_code || named || Phone::parse(from.strip_prefix(WHATSAPP).unwrap_or(from)).is_ok() {
        return Ok(());
    }
    let message =
        format!("The 'From' number {from} is not a valid phone number, shortcode, or alphanumeric sender ID.");
    Err(refusal(21212, &message))
}

fn check_content(form: &Params) -> Result<(), Refusal> {
    let body = form.get("Body").unwrap_or_default();
    let media = form.all("MediaUrl").count();
    if body.chars().count() > BODY_MAX_CHARS {
        return Err(refusal(21617, "The concatenated message body exceeds the 1600 character limit."));
    }
    if media > MEDIA_MAX {
        return Err(refusal(21623, "Number of media files exceeds allowed limit."));
    }
    let template = form.filled("ContentSid").is_some();
    if body.is_empty() && media == 0 && !template {
        return Err(refusal(21602, "Message body is required."));
    }
    let variables = form.filled("ContentVariables").unwrap_or("{}");
    match serde_json::from_str::<serde_json::Map<_, _>>(variables) {
        Ok(_) => Ok(()),
        Err(_) => Err(refusal(21656, "The ContentVariables Parameter is invalid.")),
    }
}

/// Unlike Twilio, this carrier stays on the machine.
fn check_callback(url: &str) -> Result<(), Refusal> {
    let Ok(parsed) = Url::parse(url) else {
        return Err(refusal(21609, &format!("The 'StatusCallback' URL {url} is not a valid URL.")));
    };
    let host = parsed.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let loopback = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    if loopback && parsed.scheme() == "http" {
        return Ok(());
    }
    Err(refusal(
        21609,
        "The built-in carrier calls back loopback addresses only: use http://127.0.0.1 as the public URL.",
    ))
}

fn refusal(code: u32, message: &str) -> Refusal {
    Refusal { code, message: message.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks a good message with some fields changed; an empty value drops the field.
    fn check_changed(changes: &[(&str, &str)], expect: Option<u32>) {
        let good = [("To", "+34600111222"), ("From", "+34911222333"), ("Body", "hola")];
        let kept = good.iter().filter(|(key, _)| changes.iter().all(|(changed, _)| changed != key));
        let form: Params = kept.chain(changes).copied().collect();
        assert_eq!(check(&form).err().map(|refusal| refusal.code), expect, "{changes:?}");
    }

    #[test]
    fn messages_are_checked_as_twilio_does() {
        check_changed(&[], None);
        check_changed(&[("To", "")], Some(21604));
        check_changed(&[("To", "600111222")], Some(21211));
        check_changed(&[("To", "+15005550004")], Some(21610));
        check_changed(&[("From", "")], Some(21603));
        check_changed(&[("From", ""), ("MessagingServiceSid", "MG1")], None);
        check_changed(&[("From", "+1")], Some(21212));
        check_changed(&[("From", "12345")], None);
        check_changed(&[("From", "Clinica Sol")], None);
        check_changed(&[("From", "whatsapp:+34911222333")], Some(21910));
        check_changed(&[("From", "whatsapp:+34911222333"), ("To", "whatsapp:+34600111222")], None);
        check_changed(&[("Body", "")], Some(21602));
        check_changed(&[("Body", ""), ("MediaUrl", "https://a/1")], None);
        check_changed(&[("Body", ""), ("ContentSid", "HX1"), ("ContentVariables", r#"{"1":"Ana"}"#)], None);
        check_changed(&[("Body", ""), ("ContentSid", "HX1"), ("ContentVariables", "[1]")], Some(21656));
        check_changed(&[("Body", &"é".repeat(1600))], None);
        check_changed(&[("Body", &"é".repeat(1601))], Some(21617));
        check_changed(&[("MediaUrl", "https://a/1"); 11], Some(21623));
    }

    #[test]
    fn callbacks_stay_on_the_machine() {
        for good in ["http://127.0.0.1:8080/s", "http://localhost/s", "http://[::1]:9/s", "http://127.8.8.8/s"] {
            check_changed(&[("StatusCallback", good)], None);
        }
        for bad in [
            "nonsense",
            "https://example.com/s",
            "http://10.0.0.1/s",
            "http://127.0.0.1.example.com/s",
            "file:///etc/passwd",
        ] {
            check_changed(&[("StatusCallback", bad)], Some(21609));
        }
    }
}
