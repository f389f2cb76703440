//! Twilio's forms, valid and invalid.

use super::*;

const INBOUND: &[u8] = include_bytes!("../../../../tests/data/twilio/call_inbound.form");
const SPEECH: &[u8] = include_bytes!("../../../../tests/data/twilio/call_gathered_speech.form");
const DIGITS: &[u8] = include_bytes!("../../../../tests/data/twilio/call_gathered_digits.form");
const COMPLETED: &[u8] = include_bytes!("../../../../tests/data/twilio/call_completed.form");
const BUSY: &[u8] = include_bytes!("../../../../tests/data/twilio/call_busy.form");
const DIALLED: &[u8] = include_bytes!("../../../../tests/data/twilio/call_dialled.form");
const WAITING: &[u8] = include_bytes!("../../../../tests/data/twilio/call_queue_wait.form");
const LEFT: &[u8] = include_bytes!("../../../../tests/data/twilio/call_queue_left.form");

const CALL: &str = "CA0123456789abcdef0123456789abcdef";
const RECORDING_SID: &str = "RE0123456789abcdef0123456789abcdef";
const ACCOUNT: &str = "AC00000000000000000000000000000001";

fn form(bytes: &[u8]) -> Params {
    Params::parse(bytes).unwrap()
}

/// A form with one field replaced or removed.
fn changed(bytes: &[u8], field: &str, value: Option<&str>) -> Params {
    let params = form(bytes);
    let unchanged = params.iter().filter(|(key, _)| *key != field);
    unchanged.chain(value.map(|value| (field, value))).collect()
}

#[test]
fn a_call_is_read() {
    let call = CallRequest::parse(&form(INBOUND)).unwrap();
    assert_eq!((call.call_sid.as_str(), call.account_sid.as_str()), (CALL, ACCOUNT));
    assert_eq!((call.from.to_string(), call.to.to_string()), ("+34600111222".into(), "+34911222333".into()));
    assert_eq!((call.status.known, call.status.raw.as_str()), (Some(CallStatus::Ringing), "ringing"));
    assert_eq!(call.direction.unwrap().known, Some(Direction::Inbound));
    assert_eq!(call.forwarded_from.unwrap().value, "+34911000111");
    assert_eq!(call.caller_name.as_deref(), Some("Ana </Say><Dial>"));
    assert_eq!(call.stir_verstat.as_deref(), Some("TN-Validation-Passed-A"));
    assert_eq!((call.api_version.as_deref(), call.parent_call_sid, call.answered_by), (Some("2010-04-01"), None, None));
}

#[test]
fn callers_need_no_number() {
    let call = |from: Option<&str>| CallRequest::parse(&changed(INBOUND, "From", from)).unwrap();
    for (from, withheld) in [
        ("+34600111222", false),
        ("client:ana", false),
        ("sip:ana@example.com", false),
        ("whatsapp:+34600111222", false),
        ("+266696687", true),
        ("+7378742833", true),
        ("Anonymous", true),
        ("sip:anonymous@anonymous.invalid", true),
    ] {
        let call = call(Some(from));
        assert_eq!((call.from.to_string().as_str(), call.is_withheld()), (from, withheld));
    }
    assert!(call(None).is_withheld() && call(Some("")).is_withheld());
    assert!(!format!("{:?}", call(Some("+34600111222"))).contains("34600111222"), "numbers do not go to logs whole");
}

#[test]
fn what_was_gathered_is_read() {
    let gathered = |params: &Params| Gathered::parse(params);
    let speech = gathered(&form(SPEECH));
    assert_eq!(speech.speech.as_deref(), Some("quiero cambiar mi cita, por favor"));
    assert_eq!((speech.confidence, speech.digits), (Some(0.91872), None));
    let digits = gathered(&form(DIGITS));
    assert_eq!((digits.digits.as_deref(), digits.speech, digits.confidence), (Some("2*"), None, None));
    assert_eq!(gathered(&form(INBOUND)), Gathered::default());
    assert_eq!(gathered(&changed(DIGITS, "Digits", Some(""))), Gathered::default());
    assert_eq!(gathered(&changed(SPEECH, "SpeechResult", Some("a\0b"))).speech.as_deref(), Some("a\u{fffd}b"));
}

#[test]
fn callbacks_are_read() {
    let callback = CallCallback::parse(&form(COMPLETED)).unwrap();
    assert_eq!((callback.call_sid.as_str(), callback.status.known), (CALL, Some(CallStatus::Completed)));
    assert_eq!((callback.duration_s, callback.sequence_number), (Some(63), Some(3)));
    assert_eq!(callback.timestamp.unwrap().to_rfc3339(), "2026-11-21T08:01:03+00:00");
    assert_eq!((callback.sip_response_code, callback.recording_duration_s), (Some(200), Some(61)));
    assert_eq!(callback.recording_sid.as_deref(), Some(RECORDING_SID));
    assert!(callback.recording_url.unwrap().ends_with(RECORDING_SID));
    assert_eq!(callback.callback_source.as_deref(), Some("call-progress-events"));
    assert_eq!(callback.answered_by.unwrap().known, Some(AnsweredBy::Human));
    assert_eq!(callback.direction.unwrap().known, Some(Direction::OutboundApi));
    let busy = CallCallback::parse(&form(BUSY)).unwrap();
    assert_eq!((busy.status.known, busy.duration_s, busy.error_code), (Some(CallStatus::Busy), Some(0), None));
    let failed = changed(BUSY, "ErrorCode", Some("13224"));
    assert_eq!(CallCallback::parse(&failed).unwrap().error_code, Some(13224));
    let bare: Params = [("CallSid", CALL), ("AccountSid", ACCOUNT), ("CallStatus", "paused")].into_iter().collect();
    let bare = CallCallback::parse(&bare).unwrap();
    assert_eq!((bare.status.raw.as_str(), bare.status.known, bare.from), ("paused", None, None), "a new word is kept");
}

#[test]
fn what_came_of_verbs_is_read() {
    let dialled = Dialled::parse(&form(DIALLED));
    assert_eq!((dialled.status.known, dialled.bridged), (Some(CallStatus::NoAnswer), Some(false)));
    assert_eq!((dialled.call_sid.as_deref(), dialled.duration_s), (Some("CA00000000000000000000000000000002"), None));
    let answered = Dialled::parse(&changed(DIALLED, "DialBridged", Some("true")));
    assert_eq!(answered.bridged, Some(true));

    let waiting = Queued::parse(&form(WAITING));
    assert_eq!((waiting.position, waiting.time_s, waiting.average_time_s), (Some(2), Some(35), Some(70)));
    assert_eq!((waiting.current_size, waiting.result), (Some(4), None));
    let left = Queued::parse(&form(LEFT));
    assert_eq!((left.result.unwrap().known, left.time_s), (Some(QueueResult::Leave), Some(48)));
    assert!(left.queue_sid.unwrap().starts_with("QU"));
}

#[test]
fn what_identifies_a_call_must_be_right() {
    fn check<T: std::fmt::Debug>(
        parse: fn(&Params) -> Result<T, FormError>,
        bytes: &[u8],
        field: &str,
        bad: &[Option<&str>],
    ) {
        for value in bad {
            assert_eq!(parse(&changed(bytes, field, *value)).unwrap_err().field, field, "{value:?}");
        }
    }
    let long = "1".repeat(limits::BODY_MAX_BYTES + 1);
    let long = Some(long.as_str());
    for field in ["CallSid", "AccountSid"] {
        let cut = format!("{CALL}CallStatusringing");
        let bad = [None, Some(""), Some("CA/../1"), Some("CA1"), Some(cut.as_str()), long];
        check(CallRequest::parse, INBOUND, field, &bad);
        check(CallCallback::parse, BUSY, field, &bad);
    }
    check(CallRequest::parse, INBOUND, "CallSid", &[Some(RECORDING_SID)]);
    check(CallRequest::parse, INBOUND, "To", &[None, Some(""), Some("+34x"), long]);
    check(CallRequest::parse, INBOUND, "From", &[Some("+34600111222FromCountryES"), long]);
}

/// The call stays, whatever a field says that does not identify it.
#[test]
fn a_field_that_is_not_usable_is_left_out_and_named() {
    let long = "1".repeat(limits::BODY_MAX_BYTES + 1);
    let long = long.as_str();
    for (field, bad) in [("CallStatus", long), ("CallerName", long), ("ForwardedFrom", "a b"), ("ParentCallSid", "CA1")]
    {
        let call = CallRequest::parse(&changed(INBOUND, field, Some(bad))).unwrap();
        assert_eq!(call.dropped, [field]);
    }
    assert_eq!(CallRequest::parse(&changed(INBOUND, "CallStatus", None)).unwrap().status, Reported::default());
    let new = CallRequest::parse(&changed(INBOUND, "CallStatus", Some("paused"))).unwrap();
    assert_eq!((new.status.raw.as_str(), new.dropped.len()), ("paused", 0), "a new word is kept");
    for bad in ["1.1", "-0.1", "NaN", "sure"] {
        let gathered = Gathered::parse(&changed(SPEECH, "Confidence", Some(bad)));
        assert_eq!((gathered.confidence, gathered.dropped), (None, vec!["Confidence".to_owned()]), "{bad}");
        assert_eq!(gathered.speech.as_deref(), Some("quiero cambiar mi cita, por favor"));
    }
    for bad in [long, "two", "1 2", "1Directioninbound"] {
        assert_eq!(Gathered::parse(&changed(DIGITS, "Digits", Some(bad))).digits, None, "{bad}");
    }
    let speech = Gathered::parse(&changed(SPEECH, "SpeechResult", Some(long))).speech.unwrap();
    assert_eq!(speech.len(), limits::BODY_MAX_BYTES);
    for field in ["CallDuration", "SequenceNumber", "SipResponseCode", "ErrorCode", "Timestamp"] {
        for bad in ["x", "-1", "99999999999"] {
            let callback = CallCallback::parse(&changed(COMPLETED, field, Some(bad))).unwrap();
            assert_eq!(callback.status.known, Some(CallStatus::Completed), "{field}={bad}");
        }
    }
    for bad in [None, Some(long)] {
        assert_eq!(Dialled::parse(&changed(DIALLED, "DialCallStatus", bad)).status, Reported::default());
    }
    for bad in ["1.5", "99999999999", "-1"] {
        assert_eq!(Dialled::parse(&changed(DIALLED, "DialCallDuration", Some(bad))).duration_s, None);
        assert_eq!(Queued::parse(&changed(WAITING, "QueuePosition", Some(bad))).position, None);
    }
}

#[test]
fn every_value_is_written_and_read_as_twilio_does() {
    fn check<T: VariantArray + Copy + Into<&'static str> + FromStr>(expect: &[&str]) {
        let texts: Vec<&'static str> = T::VARIANTS.iter().map(|value| (*value).into()).collect();
        assert_eq!(texts, expect);
        let read = texts.iter().filter_map(|text| text.parse::<T>().ok()).map(Into::into);
        assert_eq!(read.collect::<Vec<&'static str>>(), expect);
    }
    check::<CallStatus>(&[
        "queued",
        "initiated",
        "ringing",
        "in-progress",
        "completed",
        "busy",
        "no-answer",
        "failed",
        "canceled",
    ]);
    check::<Direction>(&["inbound", "outbound-api", "outbound-dial"]);
    check::<AnsweredBy>(&[
        "human",
        "machine_start",
        "machine_end_beep",
        "machine_end_silence",
        "machine_end_other",
        "fax",
        "unknown",
    ]);
    check::<QueueResult>(&[
        "bridged",
        "bridging-in-process",
        "error",
        "hangup",
        "leave",
        "redirected",
        "redirected-from-bridged",
        "queue-full",
        "system-error",
    ]);
    let last: Vec<&str> =
        CallStatus::VARIANTS.iter().filter(|status| status.is_final()).map(|status| (*status).into()).collect();
    assert_eq!(last, ["completed", "busy", "no-answer", "failed", "canceled"]);
}
