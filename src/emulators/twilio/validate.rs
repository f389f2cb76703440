//! Twilio's validation of new messages, with its error messages.

use std::net::IpAddr;
use std::time::Duration;

use reqwest::Url;

use crate::domain::channel::AddressKind;
use crate::domain::phone::Phone;
use crate::domain::{Channel, Timestamp, WhatsAppId};
use crate::integrations::twilio::form::Params;

/// Twilio's code and message of a refusal.
#[derive(Debug, PartialEq, Eq)]
pub struct Refusal {
    pub http_status: u16,
    pub code: u32,
    pub message: String,
}

impl Refusal {
    /// Creates a refusal with HTTP 400.
    pub const fn new(code: u32, message: String) -> Self {
        Self { http_status: 400, code, message }
    }

    /// Refuses with Twilio's 404 for a resource.
    pub fn not_found(path: &str) -> Self {
        Self { http_status: 404, code: 20404, message: format!("The requested resource {path} was not found") }
    }
}

/// The sender of test credentials: its messages are not delivered.
pub const TEST_SENDER: &str = "+15005550006";
/// Prefix of the other test numbers.
const TEST_NUMBERS: &str = "+1500555";
const BODY_MAX_CHARS: usize = 1600;
/// The most blanks in a row in a template's variable.
const VARIABLE_BLANKS_MAX: usize = 4;
/// Limits of a message's schedule (<https://www.twilio.com/docs/api/errors/35114>).
const SCHEDULE_MIN: Duration = Duration::from_secs(15 * 60);
const SCHEDULE_MAX: Duration = Duration::from_secs(35 * 24 * 3_600);
const MEDIA_MAX: usize = 10;
/// Range of a validity period, in seconds (<https://www.twilio.com/docs/api/errors/90007>).
const VALIDITY_S: std::ops::RangeInclusive<u32> = 1..=36_000;

/// Numbers that fail on purpose, from <https://www.twilio.com/docs/iam/test-credentials>.
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

/// Checks the form of a new message.
pub fn check(form: &Params, now: Timestamp) -> Result<(), Refusal> {
    let to = form.filled("To").ok_or_else(|| refusal(21604, "A 'To' phone number is required."))?;
    check_to(to)?;
    if let Some(from) = form.filled("From") {
        check_from(from)?;
        if Channel::of_address(from).0 != Channel::of_address(to).0 {
            return Err(refusal(21910, "Invalid From and To pair. From and To should be of the same channel."));
        }
        if from == to {
            let (code, text) = match Channel::of_address(to).0 {
                Channel::Sms => (21266, "'To' and 'From' number cannot be the same."),
                _ => (63031, "Channel message cannot have the same From and To."),
            };
            return Err(refusal(code, &format!("{text} Both are {to}.")));
        }
    } else if form.filled("MessagingServiceSid").is_none() {
        return Err(refusal(21603, "A 'From' phone number is required."));
    }
    check_content(form)?;
    check_options(form)?;
    send_at(form, now)?;
    form.filled("StatusCallback").map_or(Ok(()), check_callback)
}

/// Returns when a scheduled message is sent; `None` for a message that is sent at once.
///
/// After <https://www.twilio.com/docs/messaging/features/message-scheduling>.
pub fn send_at(form: &Params, now: Timestamp) -> Result<Option<Timestamp>, Refusal> {
    let (at, kind) = match (form.filled("SendAt"), form.filled("ScheduleType")) {
        (None, None) => return Ok(None),
        (None, Some(_)) => return Err(refusal(35111, "The 'SendAt' timestamp is missing.")),
        (Some(at), kind) => (at, kind),
    };
    if kind != Some("fixed") {
        return Err(refusal(35113, "The 'ScheduleType' must be fixed."));
    }
    if form.filled("MessagingServiceSid").is_none() {
        return Err(refusal(35118, "A 'MessagingServiceSid' is required to schedule a message."));
    }
    let due = Timestamp::parse(at).ok().filter(|due| {
        let ahead = due.since(now);
        (SCHEDULE_MIN..=SCHEDULE_MAX).contains(&ahead)
    });
    due.map(Some).ok_or_else(|| {
        refusal(35114, "Scheduling does not support this timestamp: 15 minutes to 35 days ahead, in ISO 8601.")
    })
}

fn check_to(to: &str) -> Result<(), Refusal> {
    if let Some((_, code, message)) = FAILING_TO.iter().find(|(number, ..)| *number == to) {
        return Err(refusal(*code, message));
    }
    let (channel, bare) = Channel::of_address(to);
    let hides_number = channel.spec().address == AddressKind::PhoneOrWhatsAppId && WhatsAppId::parse(bare).is_ok();
    if hides_number || Phone::parse(bare).is_ok() {
        return Ok(());
    }
    Err(refusal(21211, &format!("The 'To' number {to} is not a valid phone number.")))
}

fn check_from(from: &str) -> Result<(), Refusal> {
    if let Some((_, code, message)) = FAILING_FROM.iter().find(|(number, ..)| *number == from) {
        return Err(refusal(*code, message));
    }
    if from.starts_with(TEST_NUMBERS) && from != TEST_SENDER {
        return Err(refusal(21606, &format!("The 'From' phone number {from} is not a message-capable Twilio number.")));
    }
    let short_code = (3..=8).contains(&from.len()) && from.bytes().all(|b| b.is_ascii_digit());
    let name = from.len() <= 11 && from.bytes().all(|b| b.is_ascii_alphanumeric() || b == b' ');
    let named = name && from.bytes().any(|b| b.is_ascii_alphabetic());
    let (channel, bare) = Channel::of_address(from);
    if short_code || named || channel.is_sender(bare) {
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
    let variables = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(variables);
    variables.map_err(|_| invalid_variables())?.values().try_for_each(check_variable)
}

fn invalid_variables() -> Refusal {
    refusal(21656, "The ContentVariables Parameter is invalid.")
}

/// Checks the value of a template's variable, after <https://www.twilio.com/docs/api/errors/21656> and 21658: neither null nor
/// empty, no line break, no tab, at most four blanks in a row, at most 1,600 characters.
fn check_variable(value: &serde_json::Value) -> Result<(), Refusal> {
    let text = match value {
        serde_json::Value::Null => return Err(invalid_variables()),
        serde_json::Value::String(text) => text,
        _ => return Ok(()),
    };
    let gap = " ".repeat(VARIABLE_BLANKS_MAX + 1);
    if text.trim().is_empty() || text.contains(['\n', '\r', '\t']) || text.contains(&gap) {
        return Err(invalid_variables());
    }
    if text.chars().count() > BODY_MAX_CHARS {
        return Err(refusal(21658, "Parameter exceeded character limit."));
    }
    Ok(())
}

/// Checks the parameters that have a range of their own. <https://www.twilio.com/docs/api/errors/90014>
fn check_options(form: &Params) -> Result<(), Refusal> {
    if let Some(period) = form.get("ValidityPeriod").filter(|period| !period.is_empty()) {
        match period.parse::<u32>() {
            Ok(seconds) if VALIDITY_S.contains(&seconds) => {}
            Ok(0) | Err(_) => {
                return Err(refusal(90014, &format!("Validity Period should be a positive integer, not {period}.")));
            }
            Ok(_) => {
                let text = format!("Invalid validity period value {period}: it is 1 to {} seconds.", VALIDITY_S.end());
                return Err(refusal(90007, &text));
            }
        }
    }
    match form.filled("SmartEncoded") {
        None | Some("true" | "false" | "True" | "False") => Ok(()),
        Some(other) => Err(refusal(20001, &format!("SmartEncoded is true or false, not {other}."))),
    }
}

fn check_callback(url: &str) -> Result<(), Refusal> {
    check_loopback(url).map_err(|why| refusal(21609, &format!("The 'StatusCallback' URL {url} is not valid: {why}.")))
}

/// Checks a URL: unlike Twilio, the emulator only calls this machine.
pub fn check_loopback(url: &str) -> Result<(), &'static str> {
    let parsed = Url::parse(url).map_err(|_| "it is no URL")?;
    let host = parsed.host_str().unwrap_or_default();
    if is_loopback_host(host) && parsed.scheme() == "http" {
        return Ok(());
    }
    Err("the built-in carrier calls loopback addresses only; use http://127.0.0.1 as the public URL")
}

/// True if a host name can only be this machine.
pub fn is_loopback_host(host: &str) -> bool {
    let host = host.trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn refusal(code: u32, message: &str) -> Refusal {
    Refusal::new(code, message.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        Timestamp::parse("2026-11-21T08:00:00Z").unwrap()
    }

    /// Checks a valid message with some fields changed; an empty value removes the field.
    fn check_changed(changes: &[(&str, &str)], expect: Option<u32>) {
        let good = [("To", "+34600111222"), ("From", "+34911222333"), ("Body", "hola")];
        let unchanged = good.iter().filter(|(key, _)| changes.iter().all(|(changed, _)| changed != key));
        let form: Params = unchanged.chain(changes).copied().collect();
        assert_eq!(check(&form, now()).err().map(|refusal| refusal.code), expect, "{changes:?}");
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
        check_changed(&[("From", TEST_SENDER)], None);
        check_changed(&[("From", "+15005550005")], Some(21606));
        check_changed(&[("From", "Clinica Sol")], None);
        check_changed(&[("From", "whatsapp:+34911222333")], Some(21910));
        check_changed(&[("From", "whatsapp:+34911222333"), ("To", "whatsapp:+34600111222")], None);
        check_changed(&[("To", "+34911222333")], Some(21266));
        check_changed(&[("From", "whatsapp:+34600111222"), ("To", "whatsapp:+34600111222")], Some(63031));
        check_changed(&[("ValidityPeriod", "1"), ("SmartEncoded", "true")], None);
        check_changed(&[("ValidityPeriod", "36000")], None);
        for bad in ["0", "-1", "soon", "1.5"] {
            check_changed(&[("ValidityPeriod", bad)], Some(90014));
        }
        check_changed(&[("ValidityPeriod", "36001")], Some(90007));
        check_changed(&[("SmartEncoded", "maybe")], Some(20001));
        check_changed(&[("Body", "")], Some(21602));
        check_changed(&[("Body", ""), ("MediaUrl", "https://a/1")], None);
        check_changed(&[("Body", ""), ("ContentSid", "HX1"), ("ContentVariables", r#"{"1":"Ana"}"#)], None);
        check_changed(&[("Body", ""), ("ContentSid", "HX1"), ("ContentVariables", "[1]")], Some(21656));
        for (value, code) in [
            ("Ana", None),
            ("a    b", None),
            ("", Some(21656)),
            (" ", Some(21656)),
            ("a\\nb", Some(21656)),
            ("a\\tb", Some(21656)),
            ("a     b", Some(21656)),
            (&*"é".repeat(1601), Some(21658)),
        ] {
            let variables = format!(r#"{{"1":"Ana","2":"{value}"}}"#);
            check_changed(&[("Body", ""), ("ContentSid", "HX1"), ("ContentVariables", &variables)], code);
        }
        check_changed(&[("Body", ""), ("ContentSid", "HX1"), ("ContentVariables", r#"{"1":null}"#)], Some(21656));
        check_changed(&[("Body", &"é".repeat(1600))], None);
        check_changed(&[("Body", &"é".repeat(1601))], Some(21617));
        check_changed(&[("MediaUrl", "https://a/1"); 11], Some(21623));
    }

    #[test]
    fn schedules_are_checked() {
        let check_at = |at: &str, expect| {
            let service = ("MessagingServiceSid", "MG1");
            check_changed(&[service, ("ScheduleType", "fixed"), ("SendAt", at)], expect);
        };
        check_at("2026-11-21T08:15:00Z", None);
        check_at("2026-11-21T09:30:00+01:00", None);
        check_at("2026-12-26T08:00:00Z", None);
        for bad in ["2026-11-21T08:14:59Z", "2026-12-26T08:00:01Z", "2026-11-20T08:00:00Z", "tomorrow"] {
            check_at(bad, Some(35114));
        }
        check_changed(&[("ScheduleType", "fixed"), ("SendAt", "2026-11-21T09:00:00Z")], Some(35118));
        check_changed(&[("ScheduleType", "fixed")], Some(35111));
        check_changed(&[("SendAt", "2026-11-21T09:00:00Z")], Some(35113));
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
