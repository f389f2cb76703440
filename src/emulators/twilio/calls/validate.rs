//! Twilio's validation of new calls, with its error messages.

use std::time::Duration;

use super::super::method::Method;
use super::super::validate::{Refusal, TEST_SENDER, check_loopback};
use super::order::Source;
use super::party::Party;
use super::plan::{Amd, Plan, TIME_LIMIT};
use super::report::{EVENTS, Report};
use crate::domain::phone::Phone;
use crate::integrations::twilio::form::Params;

/// Limit of TwiML in a request's parameter.
const TWIML_MAX_CHARS: usize = 4_000;
const SEND_DIGITS_MAX: usize = 32;
/// Default, in seconds.
const TIMEOUT: u64 = 60;
const TIMEOUT_MAX: u64 = 600;
/// Test numbers, of which all but the valid one fail.
const TEST_NUMBERS: &str = "+1500555";

/// Numbers that fail on purpose, from <https://www.twilio.com/docs/iam/test-credentials>.
const FAILING_TO: [(&str, u32, &str); 4] = [
    ("+15005550001", 21217, "The phone number +15005550001 does not appear to be valid."),
    ("+15005550002", 21214, "The 'To' phone number +15005550002 cannot be reached."),
    ("+15005550003", 21215, "The account is not authorized to call +15005550003: enable the region first."),
    ("+15005550004", 21216, "The account is not allowed to call +15005550004."),
];

fn refusal(code: u32, message: impl Into<String>) -> Refusal {
    Refusal::new(code, message.into())
}

/// Checks the two addresses of a new call.
pub fn addresses(form: &Params) -> Result<(String, String), Refusal> {
    let to = form.filled("To").ok_or_else(|| refusal(21201, "No 'To' number is specified."))?;
    let from = form.filled("From").ok_or_else(|| refusal(21213, "Caller phone number is required ('From')."))?;
    if let Some((_, code, message)) = FAILING_TO.iter().find(|(number, ..)| *number == to) {
        return Err(refusal(*code, *message));
    }
    let named = ["client:", "sip:"].iter().any(|prefix| to.starts_with(prefix) && to.len() > prefix.len());
    if !named && Phone::parse(to).is_err() {
        return Err(refusal(21211, format!("The phone number you are attempting to call, {to}, is not valid.")));
    }
    if from == "+15005550001" || (Phone::parse(from).is_err() && !from.starts_with("client:")) {
        return Err(refusal(21212, format!("The caller ID {from} is not a valid phone number.")));
    }
    if from.starts_with(TEST_NUMBERS) && from != TEST_SENDER {
        return Err(not_ours(from));
    }
    Ok((from.to_owned(), to.to_owned()))
}

/// Refuses a sender that the account does not own.
pub fn not_ours(from: &str) -> Refusal {
    refusal(21210, format!("The source phone number {from} is not a number of this account, nor verified for it."))
}

/// Reads the parameters of a new call; `party` is the called person.
pub fn plan(form: &Params, party: Party) -> Result<Plan, Refusal> {
    let first = source(form)?.ok_or_else(|| refusal(21205, "Url parameter is required, or Twiml."))?;
    let mut plan = Plan::new(first, party);
    if let Some(url) = form.filled("FallbackUrl") {
        check_url(url, 21205, "FallbackUrl")?;
        plan.fallback = Some((url.to_owned(), method(form, "FallbackMethod")?));
    }
    if let Some(url) = form.filled("StatusCallback") {
        check_url(url, 21609, "StatusCallback")?;
        plan.report =
            Some(Report { url: url.to_owned(), method: method(form, "StatusCallbackMethod")?, events: events(form)? });
    }
    plan.timeout = Duration::from_secs(number(form, "Timeout", 1..=TIMEOUT_MAX)?.unwrap_or(TIMEOUT));
    plan.time_limit = number(form, "TimeLimit", 1..=TIME_LIMIT.as_secs())?.map_or(TIME_LIMIT, Duration::from_secs);
    plan.amd = amd(form)?;
    if let Some(digits) = form.filled("SendDigits") {
        let keys = digits.chars().all(|key| matches!(key, '0'..='9' | '*' | '#' | 'w' | 'W'));
        if !keys || digits.len() > SEND_DIGITS_MAX {
            return Err(refusal(20001, format!("SendDigits are 0 to 9, *, # and w, {SEND_DIGITS_MAX} at most.")));
        }
        plan.send_digits = Some(digits.to_owned());
    }
    if form.filled("Record") == Some("true") {
        let callback = form.filled("RecordingStatusCallback");
        callback.map_or(Ok(()), |url| check_url(url, 21609, "RecordingStatusCallback"))?;
        let method = method(form, "RecordingStatusCallbackMethod")?;
        plan.record = Some(callback.map(|url| (url.to_owned(), method)));
    }
    Ok(plan)
}

/// Reads `Url` and `Twiml`; `Url` takes precedence.
pub fn source(form: &Params) -> Result<Option<Source>, Refusal> {
    if let Some(url) = form.filled("Url") {
        check_url(url, 21205, "Url")?;
        return Ok(Some(Source::url(url, method(form, "Method")?)));
    }
    let Some(twiml) = form.filled("Twiml") else { return Ok(None) };
    if twiml.chars().count() > TWIML_MAX_CHARS {
        return Err(refusal(32018, format!("The Twiml parameter has {TWIML_MAX_CHARS} letters at most.")));
    }
    Ok(Some(Source::Twiml(twiml.to_owned())))
}

fn amd(form: &Params) -> Result<Option<Amd>, Refusal> {
    let to_the_end = match form.filled("MachineDetection") {
        None => return Ok(None),
        Some("Enable") => false,
        Some("DetectMessageEnd") => true,
        Some(other) => {
            return Err(refusal(20001, format!("MachineDetection is Enable or DetectMessageEnd, not {other}.")));
        }
    };
    let mut reports_to = None;
    if form.filled("AsyncAmd") == Some("true")
        && let Some(url) = form.filled("AsyncAmdStatusCallback")
    {
        check_url(url, 21609, "AsyncAmdStatusCallback")?;
        reports_to = Some((url.to_owned(), method(form, "AsyncAmdStatusCallbackMethod")?));
    }
    Ok(Some(Amd { to_the_end, reports_to }))
}

/// Reads events: repeated parameters, or one value with blanks, as in TwiML.
pub fn events(form: &Params) -> Result<Vec<&'static str>, Refusal> {
    let mut events = Vec::new();
    for named in form.all("StatusCallbackEvent").flat_map(str::split_whitespace) {
        let known = EVENTS.iter().find(|event| **event == named);
        events.push(
            *known.ok_or_else(|| refusal(21626, format!("There is no event '{named}': {}.", EVENTS.join(", "))))?,
        );
    }
    if events.is_empty() {
        events.push("completed");
    }
    Ok(events)
}

fn method(form: &Params, key: &str) -> Result<Method, Refusal> {
    match form.filled(key) {
        None | Some("POST") => Ok(Method::Post),
        Some("GET") => Ok(Method::Get),
        Some(other) => Err(refusal(20001, format!("{key} is GET or POST, not {other}."))),
    }
}

fn number(form: &Params, key: &str, range: std::ops::RangeInclusive<u64>) -> Result<Option<u64>, Refusal> {
    let Some(text) = form.filled(key) else { return Ok(None) };
    let good = text.parse().ok().filter(|number| range.contains(number));
    let wrong = || refusal(20001, format!("{key} is {} to {}, not {text}.", range.start(), range.end()));
    good.map(Some).ok_or_else(wrong)
}

fn check_url(url: &str, code: u32, key: &str) -> Result<(), Refusal> {
    check_loopback(url).map_err(|why| refusal(code, format!("{key} {url} is not valid: {why}.")))
}
