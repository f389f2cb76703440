//! Refuses forms that were cut anew under the signature of another one.
//!
//! Twilio signs keys and values one after the other, without separators
//! (<https://www.twilio.com/docs/usage/webhooks/webhooks-security>). Who has captured a signed form can move the borders
//! between its keys and values and keep the signature: `MessageSid=SM…NumMedia0` hides a field and makes a new message of
//! an old one, and a text that says `From+34…` becomes a sender. A form that is cut anew is told by what it must contain:
//!
//! - Its keys are cut out of values, or contain other keys. Keys have the shape of Twilio's, and none comes twice.
//! - What identifies it is still there in its exact shape: [`super::inbound`] and [`super::voice`] demand it.
//! - What is hidden stands in another value or key: the name of a field that is missing, or a field with its value. Only
//!   the customer's own text may contain the like, and only where no other field can be hidden in it.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use regex::Regex;

use super::form::Params;

/// The webhook's kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormKind {
    /// A message, or a status of one.
    Message,
    /// A call. A voice client may add parameters with names of its own.
    Call,
}

/// The form does not tell what Twilio signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecutError {
    #[error("the form has a field with the name '{}', which is none of Twilio's: send the form as Twilio signed it", shown(.0))]
    Name(String),
    #[error("the form has the field {} twice: send each field once", shown(.0))]
    Twice(String),
    #[error("the form's field {} holds another field: send the form as Twilio signed it", shown(.0))]
    Holds(String),
}

/// The longest name of a field.
const NAME_MAX_BYTES: usize = 64;

/// Who writes the value of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writer {
    /// Twilio: an id, a number, a word, an address, a place.
    Machine,
    /// A person.
    Person,
}

/// The known fields. Those of media have their number behind them.
const FIELDS: [(Writer, &[&str]); 3] = [
    (
        Writer::Machine,
        &[
            "AccountSid",
            "AddOns",
            "AnsweredBy",
            "ApiVersion",
            "AvgQueueTime",
            "ButtonType",
            "CallDuration",
            "CallSid",
            "CallStatus",
            "CallToken",
            "CallbackSource",
            "Called",
            "CalledVia",
            "Caller",
            "ChannelInstallSid",
            "ChannelMetadata",
            "ChannelPrefix",
            "ChannelStatusCode",
            "ChannelToAddress",
            "Confidence",
            "CurrentQueueSize",
            "DialBridged",
            "DialCallDuration",
            "DialCallSid",
            "DialCallStatus",
            "Digits",
            "Direction",
            "Duration",
            "ErrorCode",
            "ErrorUrl",
            "EventType",
            "ExternalUserId",
            "FinishedOnKey",
            "Forwarded",
            "ForwardedFrom",
            "FrequentlyForwarded",
            "From",
            "Language",
            "Latitude",
            "Longitude",
            "MachineDetectionDuration",
            "MaxQueueSize",
            "MessageSid",
            "MessageStatus",
            "MessageType",
            "MessagingServiceSid",
            "NumMedia",
            "NumSegments",
            "OptOutType",
            "OriginalRepliedMessageSender",
            "OriginalRepliedMessageSid",
            "ParentCallSid",
            "QueuePosition",
            "QueueResult",
            "QueueSid",
            "QueueTime",
            "RawDlrDoneDate",
            "RecordingChannels",
            "RecordingDuration",
            "RecordingSid",
            "RecordingSource",
            "RecordingStartTime",
            "RecordingStatus",
            "RecordingTrack",
            "RecordingUrl",
            "ReferralCtwaClid",
            "ReferralMediaContentType",
            "ReferralMediaId",
            "ReferralMediaUrl",
            "ReferralNumMedia",
            "ReferralSourceId",
            "ReferralSourceType",
            "ReferralSourceUrl",
            "SequenceNumber",
            "SipResponseCode",
            "SmsMessageSid",
            "SmsSid",
            "SmsStatus",
            "StirPassportToken",
            "StirVerstat",
            "Timestamp",
            "To",
            "WaId",
            "msg",
        ],
    ),
    (
        Writer::Person,
        &[
            "Address",
            "Body",
            "ButtonPayload",
            "ButtonText",
            "CallerName",
            "ChannelStatusMessage",
            "ErrorMessage",
            "InteractiveData",
            "Label",
            "ListId",
            "ListTitle",
            "ProfileName",
            "ReferralBody",
            "ReferralHeadline",
            "SpeechResult",
            "StableSpeechResult",
            "UnstableSpeechResult",
        ],
    ),
    (
        Writer::Machine,
        &[
            "CalledCity",
            "CalledCountry",
            "CalledState",
            "CalledZip",
            "CallerCity",
            "CallerCountry",
            "CallerState",
            "CallerZip",
            "FromCity",
            "FromCountry",
            "FromState",
            "FromZip",
            "ToCity",
            "ToCountry",
            "ToState",
            "ToZip",
        ],
    ),
];

static WRITERS: LazyLock<HashMap<&'static str, Writer>> =
    LazyLock::new(|| FIELDS.iter().flat_map(|(writer, names)| names.iter().map(|name| (*name, *writer))).collect());

/// Names that no person writes by chance: of several words.
static LONG_NAMES: LazyLock<Regex> = LazyLock::new(|| names(|name| humps(name) > 1));
/// All names.
static ALL_NAMES: LazyLock<Regex> = LazyLock::new(|| names(|_| true));
/// A SID with its name, which no person writes.
static SID_FIELD: LazyLock<Regex> = LazyLock::new(|| pattern("Sid[A-Z]{2}[0-9a-f]{32}"));
/// Other fields with a value of their own shape.
static WHOLE_FIELD: LazyLock<Regex> = LazyLock::new(|| {
    pattern("ApiVersion[0-9]{4}-|NumMedia[0-9]|NumSegments[0-9]|SmsStatusreceived|(?:Message|Sms|Call)Status[a-z]")
});
/// A sender or recipient with its address.
static ADDRESS_FIELD: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"(?:From|To|Called|Caller)(?:\+[0-9]{4}|[0-9]{5}|(?:whatsapp|rcs|messenger|client|sip):)")
});
/// The same, and what can be the next field.
static ADDRESS_AND_FIELD: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?:From|To|Called|Caller)(?:(?:whatsapp|rcs|messenger|client|sip):)?",
        r"(?:\+?[0-9]{3,}|[A-Za-z]{2}\.[0-9]+)[A-Z]",
    ))
});

fn pattern(text: &str) -> Regex {
    // The patterns are constants, and a test uses each.
    Regex::new(text).expect("a constant pattern is valid")
}

/// A pattern of the chosen names, the longest first.
fn names(chosen: impl Fn(&str) -> bool) -> Regex {
    let mut names: Vec<String> = WRITERS.keys().filter(|name| chosen(name)).map(|name| (*name).to_owned()).collect();
    names.extend(["MediaContentType[0-9]".to_owned(), "MediaUrl[0-9]".to_owned()]);
    names.sort_unstable_by_key(|name| std::cmp::Reverse(name.len()));
    pattern(&names.join("|"))
}

fn humps(name: &str) -> usize {
    name.bytes().filter(u8::is_ascii_uppercase).count()
}

/// Checks that a signed form was not cut anew.
///
/// # Errors
/// Returns an error that names the field.
pub fn check(params: &Params, kind: FormKind) -> Result<(), RecutError> {
    let mut seen: HashSet<&str> = HashSet::with_capacity(params.len());
    for (name, _) in params.iter() {
        if !is_name(name, kind) {
            return Err(RecutError::Name(name.to_owned()));
        }
        if !seen.insert(name) {
            return Err(RecutError::Twice(name.to_owned()));
        }
    }
    match params.iter().find(|(name, value)| holds_another(name, value, &seen)) {
        Some((name, _)) => Err(RecutError::Holds(name.to_owned())),
        None => Ok(()),
    }
}

/// Whether a text can be the name of a field: a known one, or one that Twilio may add, of several words.
fn is_name(name: &str, kind: FormKind) -> bool {
    let shape = name.len() <= NAME_MAX_BYTES
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
    let known = || writer(name).is_some();
    let several_words = || name.starts_with(|c: char| c.is_ascii_uppercase()) && humps(name) > 1;
    shape && (kind == FormKind::Call || known() || several_words())
}

fn writer(name: &str) -> Option<Writer> {
    let of_media = || {
        let bare = name.strip_prefix("MediaContentType").or_else(|| name.strip_prefix("MediaUrl"))?;
        bare.bytes().all(|b| b.is_ascii_digit()).then_some(Writer::Machine)
    };
    WRITERS.get(name).copied().or_else(of_media)
}

/// Whether a field hides another one, in its value or, if it is not known, in its name.
fn holds_another(name: &str, value: &str, present: &HashSet<&str>) -> bool {
    let is_missing = |found: regex::Match<'_>| !present.contains(found.as_str());
    let writer = writer(name);
    if writer.is_none() && name_holds_another(name, present) {
        return true;
    }
    // Every name has a capital letter, but for one.
    if !value.bytes().any(|b| b.is_ascii_uppercase()) {
        return false;
    }
    if continues_name(name, value, present) {
        return true;
    }
    let document = (value.starts_with('{') && value.ends_with('}')) || name.ends_with("Token");
    if SID_FIELD.is_match(value) || (!document && LONG_NAMES.find_iter(value).any(is_missing)) {
        return true;
    }
    match writer {
        _ if document => false,
        Some(Writer::Person) if name == "Body" || name == "SpeechResult" => ADDRESS_AND_FIELD.is_match(value),
        Some(Writer::Machine) if is_closed(name) && ALL_NAMES.find_iter(value).any(is_missing) => true,
        _ => ADDRESS_FIELD.is_match(value) || WHOLE_FIELD.is_match(value),
    }
}

/// Whether a value begins with the rest of a missing field's name, which the provider's values follow: `From` and `CountryES`
/// are `FromCountry` and `ES`. Places and ids have no small letters, unlike a sender's name such as `CityBank`.
fn continues_name(name: &str, value: &str, present: &HashSet<&str>) -> bool {
    let is_missing = |longer: &&&str| !present.contains(**longer);
    let rest = |longer: &&str| value.strip_prefix(longer.strip_prefix(name).filter(|rest| !rest.is_empty())?);
    let rests = WRITERS.keys().filter(is_missing).filter_map(rest);
    rests.into_iter().any(|rest| !rest.bytes().any(|b| b.is_ascii_lowercase()))
}

/// Whether an unknown name is that of a missing field with its value. A longer name of several words is a new one.
fn name_holds_another(name: &str, present: &HashSet<&str>) -> bool {
    let is_missing = |found: &regex::Match<'_>| !present.contains(found.as_str());
    let begins = ALL_NAMES.find(name).filter(|found| found.start() == 0 && is_missing(found));
    let is_word = |rest: &str| {
        let mut letters = rest.chars();
        letters.next().is_some_and(|c| c.is_ascii_uppercase()) && letters.next().is_some_and(|c| c.is_ascii_lowercase())
    };
    begins.is_some_and(|found| found.as_str() == "Body" || !is_word(&name[found.end()..]))
        || LONG_NAMES.find_iter(name).any(|found| found.start() > 0 && is_missing(&found))
}

/// Whether the values of a field are of a closed shape, without words that could be names by chance.
fn is_closed(name: &str) -> bool {
    !["Url", "City", "State", "Country", "Zip", "Metadata"].iter().any(|open| name.contains(open))
}

fn shown(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(NAME_MAX_BYTES).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SID: &str = "SM0123456789abcdef0123456789abcdef";
    const OTHER: &str = "SM00000000000000000000000000000009";

    fn check_as(kind: FormKind, pairs: &[(&str, &str)]) -> Result<(), RecutError> {
        check(&pairs.iter().copied().collect(), kind)
    }

    fn message(body: &str) -> Vec<(&str, &str)> {
        vec![
            ("AccountSid", "AC00000000000000000000000000000001"),
            ("ApiVersion", "2010-04-01"),
            ("Body", body),
            ("From", "+34600111222"),
            ("FromCountry", "ES"),
            ("MessageSid", SID),
            ("NumMedia", "0"),
            ("NumSegments", "1"),
            ("SmsMessageSid", SID),
            ("SmsSid", SID),
            ("SmsStatus", "received"),
            ("To", "+34911222333"),
        ]
    }

    fn with<'a>(body: &'a str, name: &'a str, value: &'a str) -> Vec<(&'a str, &'a str)> {
        let mut form = message(body);
        form.retain(|(known, _)| *known != name);
        form.push((name, value));
        form
    }

    #[test]
    fn genuine_forms_pass() {
        for form in [
            &include_bytes!("../../../tests/data/twilio/inbound_sms.form")[..],
            include_bytes!("../../../tests/data/twilio/inbound_whatsapp_button.form"),
            include_bytes!("../../../tests/data/twilio/inbound_whatsapp_location.form"),
            include_bytes!("../../../tests/data/twilio/inbound_mms.form"),
            include_bytes!("../../../tests/data/twilio/inbound_stop.form"),
            include_bytes!("../../../tests/data/twilio/status_whatsapp_undelivered.form"),
        ] {
            assert_eq!(check(&Params::parse(form).unwrap(), FormKind::Message), Ok(()));
        }
        for form in [
            &include_bytes!("../../../tests/data/twilio/call_inbound.form")[..],
            include_bytes!("../../../tests/data/twilio/call_gathered_digits.form"),
            include_bytes!("../../../tests/data/twilio/call_gathered_speech.form"),
            include_bytes!("../../../tests/data/twilio/call_completed.form"),
            include_bytes!("../../../tests/data/twilio/call_dialled.form"),
            include_bytes!("../../../tests/data/twilio/call_queue_wait.form"),
        ] {
            assert_eq!(check(&Params::parse(form).unwrap(), FormKind::Call), Ok(()));
        }
        for body in [
            "From +34600111222 to you",
            "hiFrom+15551234567",
            "NumMedia=11 and MessageSid are in the form",
            "To 3 or To Anna: the Label on the Address",
            "My McDonald's FromCountry ES",
            "NumMedia0 NumSegments1",
        ] {
            assert_eq!(check_as(FormKind::Message, &message(body)), Ok(()), "{body}");
        }
        assert_eq!(check_as(FormKind::Message, &with("x", "NewThing", "a new value")), Ok(()), "Twilio adds fields");
        assert_eq!(check_as(FormKind::Call, &with("x", "agent", "ana")), Ok(()), "a voice client's own parameter");
    }

    #[test]
    fn forms_that_were_cut_anew_are_refused() {
        let hidden = "xFrom+34600111222FromCountryES";
        let (longer, other) = (format!("{SID}NumMedia0"), format!("yMessageSid{OTHER}"));
        let swallowed = format!("hiFrom+34600111222FromCountryESMessageSid{SID}NumMedia0");
        for form in [
            with("STOP", "MessageSid", &longer),
            with("STOP", "From+34600111222FromCountry", "ES"),
            with("STOP", "carmen", ""),
            with("STOP", "Carmen", ""),
            with("STOP", "1", "2"),
            with("STOP", "FromZ", hidden),
            with("STOP", "FromCity", hidden),
            with("STOP", "Label", hidden),
            with(&swallowed, "From", "+34999999999"),
            with("STOP", "ButtonPayloadX", &other),
            with("hiButtonPayloadconfirm-42", "NumMedia", "0"),
            with("STOP", "ToZ", "To+34911222333"),
            with("STOP", "NumSegments", "1OptOutTypeSTOP"),
            with("STOP", "OptOutTypeSTOPx", ""),
        ] {
            assert!(check_as(FormKind::Message, &form).is_err(), "{form:?}");
        }
        for (name, value) in [("From", "CountryES"), ("To", "CityMADRID"), ("From", "Zip28001")] {
            let mut form = with("STOP", name, value);
            form.retain(|(known, _)| *known != "FromCountry");
            assert_eq!(check_as(FormKind::Message, &form), Err(RecutError::Holds(name.to_owned())), "{value}");
        }
        assert_eq!(check_as(FormKind::Message, &with("hola", "From", "CityBank")), Ok(()), "a sender with a name");
        let mut twice = message("STOP");
        twice.push(("Body", "STOP"));
        assert_eq!(check_as(FormKind::Message, &twice), Err(RecutError::Twice("Body".to_owned())));
        let mut without = message("x");
        without.retain(|(name, _)| *name != "Body");
        without.retain(|(name, _)| *name != "ApiVersion");
        without.push(("ApiVersion", "2010-04-01Bodyhola"));
        assert!(check_as(FormKind::Message, &without).is_err());
    }

    #[test]
    fn texts_of_errors_are_short_and_plain() {
        let name = format!("a\n{}", "x".repeat(10_000));
        let error = check_as(FormKind::Call, &[(&name, "")]).unwrap_err().to_string();
        assert!(error.len() < 300 && !error.contains('\n'), "{error}");
    }
}
