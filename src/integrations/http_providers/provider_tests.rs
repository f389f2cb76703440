//! The meaning of a provider's answers and callbacks.

use std::time::Duration;

use serde_json::json;

use super::*;
use crate::integrations::http_providers::file;
use crate::integrations::http_providers::file::ProviderContext;

const DESCRIBED: &str = r#"
[[provider]]
name = "india"
prefixes = ["+91"]
sender = "RECADO"
url = "https://sms.example.com/send?key={{env.KEY}}"
content_type = "form"
body = "to={{to}}&text={{text}}"
"#;

fn described(more: &str) -> Provider {
    let client = Client::new(Vec::new()).unwrap();
    let secret = |_: &str| Some("s3cr et".into());
    let context = ProviderContext { secret: &secret, client: &client };
    let mut read = file::parse(&format!("{DESCRIBED}{more}"), "p.toml", &context).unwrap();
    read.remove(0).0
}

const MESSAGE: Values<'static> =
    Values { to: "+919876543210", from: "RECADO", text: "the whole message", id: "id-1", callback: "https://x/c" };

fn answered(more: &str, status: u16, body: &str) -> Result<Accepted, SendFailure> {
    let status = StatusCode::from_u16(status).unwrap();
    let answer = Answer { status, retry_after: Some(Duration::from_secs(7)), body: Ok(body.as_bytes().to_vec()) };
    described(more).classify(&answer, &MESSAGE)
}

#[test]
fn what_is_taken_has_the_providers_id_or_ours() {
    let taken = |more: &str, body: &str| answered(more, 200, body).map(|taken| (taken.sid, taken.status));
    assert_eq!(taken("", "whatever"), Ok(("id-1".to_owned(), DeliveryStatus::Sent)));
    assert_eq!(taken("id = \"/a/id\"", r#"{"a":{"id":7}}"#), Ok(("7".to_owned(), DeliveryStatus::Sent)));
    let reports = "id = \"OK:(.+)\"\ncallback = { status = \"s\", sent = [\"a\"] }";
    assert_eq!(taken(reports, "OK:x1"), Ok(("x1".to_owned(), DeliveryStatus::Queued)));
}

/// It said yes. A repeat could be a second message, so it counts as sent, with a doubt for people.
#[test]
fn what_is_taken_without_the_id_that_is_described_is_doubtful() {
    for body in ["{}", r#"{"id":""}"#, r#"{"id":null}"#, "OK"] {
        let taken = answered("id = \"/id\"", 200, body).expect(body);
        assert_eq!(taken.sid, "id-1", "{body}");
        assert!(
            taken.doubt.is_some_and(|doubt| doubt.contains("'india'") && doubt.contains("without an id")),
            "{body}"
        );
    }
    assert_eq!(answered("id = \"/id\"", 200, r#"{"id":"a"}"#).map(|taken| taken.doubt), Ok(None));
}

#[test]
fn each_answer_is_sorted_by_what_may_be_done_next() {
    let busy = FailureKind::Busy { retry_after: Some(Duration::from_secs(7)) };
    let with_id = "id = \"/id\"";
    // A provider that knows a repeat by its id: the repeat says more.
    let with_id_once = "id = \"/id\"\nidempotent = true";
    let by_body = "success = { status = [200], body = \"^OK\" }";
    let no_503 = "retry = { status = [429, 420] }";
    for (more, status, body, what) in [
        ("", 429, "", busy),
        ("", 503, "", busy),
        (no_503, 420, "", busy),
        (no_503, 503, "", FailureKind::Unknown),
        ("", 401, "", FailureKind::Credentials),
        ("", 403, "", FailureKind::Credentials),
        ("", 400, "", FailureKind::Refused),
        ("", 404, "", FailureKind::Refused),
        ("", 302, "", FailureKind::Refused),
        ("", 204, "", FailureKind::Refused),
        (by_body, 200, "ERROR 5", FailureKind::Refused),
        ("", 408, "", FailureKind::Unknown),
        ("", 500, "", FailureKind::Unknown),
        ("", 504, "", FailureKind::Unknown),
        (with_id_once, 200, "{}", FailureKind::Unknown),
        (with_id_once, 200, "no JSON", FailureKind::Unknown),
    ] {
        let not = answered(more, status, body).expect_err(body);
        assert_eq!((not.kind, not.http_status), (what, Some(status)), "{status} {more}: {}", not.detail);
        assert!(not.detail.starts_with("provider 'india' "), "{}", not.detail);
    }
    // The body was lost after the head: only descriptions that read the body depend on it.
    let lost = |more: &str, status: StatusCode| {
        described(more).classify(&Answer { status, retry_after: None, body: Err("cut".to_owned()) }, &MESSAGE)
    };
    assert!(lost("", StatusCode::OK).is_ok());
    for (more, status) in [(with_id, StatusCode::OK), (by_body, StatusCode::OK), ("", StatusCode::BAD_GATEWAY)] {
        assert_eq!(lost(more, status).unwrap_err().kind, FailureKind::Unknown, "{more}");
    }
    assert_eq!(lost("", StatusCode::BAD_REQUEST).unwrap_err().kind, FailureKind::Refused);
}

#[test]
fn what_it_says_is_kept_without_secrets_and_without_the_message() {
    let more = "error = \"/why\"\nerror_code = \"/code\"";
    let body = json!({"code": 12, "why": "key s3cr et (s3cr%20et) may\n not say 'the whole message'"}).to_string();
    let not = answered(more, 400, &body).unwrap_err();
    assert_eq!(not.code, Some(12));
    assert_eq!(
        not.detail,
        "provider 'india' refused the message (400 Bad Request): key •••• (••••) may not say '••••'"
    );
    let long = answered("", 400, &"x\u{7}".repeat(10_000)).unwrap_err();
    assert!(long.detail.chars().count() < 300 && !long.detail.contains('\u{7}'), "{}", long.detail);
    assert!(!format!("{:?}", described("")).contains("s3cr"));
}

#[test]
fn callbacks_are_read_by_their_patterns() {
    let provider = described(
        "callback = { id = \"/m/id\", status = \"state\", error_code = \"/m/code\", delivered = [\"DELIVRD\"], failed = [\"REJECTD\"] }",
    );
    let report = |body: Value| provider.status_report(&body);
    assert_eq!(
        report(json!({"state": "delivrd", "m": {"id": 7}})),
        Ok(StatusReport { sid: Some("7".to_owned()), status: DeliveryStatus::Delivered, error_code: None })
    );
    assert_eq!(
        report(json!({"state": "REJECTD", "m": {"code": "34"}})),
        Ok(StatusReport { sid: None, status: DeliveryStatus::Failed, error_code: Some(34) })
    );
    assert_eq!(report(json!({"state": "ACCEPTD"})), Err(CallbackError::UnknownStatus("ACCEPTD".to_owned())));
    assert_eq!(report(json!({"other": 1})), Err(CallbackError::NoStatus("/state".to_owned())));
    assert_eq!(described("").status_report(&json!({})), Err(CallbackError::NotDescribed("india".to_owned())));
}
