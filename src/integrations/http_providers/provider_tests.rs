//! What a provider's answers mean, and what its callbacks say.

use std::time::Duration;

use serde_json::json;

use super::*;
use crate::integrations::http_providers::file;
use crate::integrations::http_providers::file::Means;

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
    let means = Means { secret: &secret, client: &client };
    let mut read = file::parse(&format!("{DESCRIBED}{more}"), "p.toml", &means).unwrap();
    read.remove(0).0
}

const MESSAGE: Values<'static> =
    Values { to: "+919876543210", from: "RECADO", text: "the whole message", id: "id-1", callback: "https://x/c" };

fn answered(more: &str, status: u16, body: &str) -> Result<Taken, NotTaken> {
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

#[test]
fn each_answer_is_sorted_by_what_may_be_done_next() {
    let busy = Failure::Busy { retry_after: Some(Duration::from_secs(7)) };
    let with_id = "id = \"/id\"";
    let by_body = "success = { status = [200], body = \"^OK\" }";
    let no_503 = "retry = { status = [429, 420] }";
    for (more, status, body, what) in [
        ("", 429, "", busy),
        ("", 503, "", busy),
        (no_503, 420, "", busy),
        (no_503, 503, "", Failure::Unknown),
        ("", 401, "", Failure::Credentials),
        ("", 403, "", Failure::Credentials),
        ("", 400, "", Failure::Refused),
        ("", 404, "", Failure::Refused),
        ("", 302, "", Failure::Refused),
        ("", 204, "", Failure::Refused),
        (by_body, 200, "ERROR 5", Failure::Refused),
        ("", 408, "", Failure::Unknown),
        ("", 500, "", Failure::Unknown),
        ("", 504, "", Failure::Unknown),
        (with_id, 200, "{}", Failure::Unknown),
        (with_id, 200, "no JSON", Failure::Unknown),
    ] {
        let not = answered(more, status, body).expect_err(body);
        assert_eq!((not.what, not.http_status), (what, Some(status)), "{status} {more}: {}", not.detail);
        assert!(not.detail.starts_with("provider 'india' "), "{}", not.detail);
    }
    // The head came, the body was lost: what it would have said is needed only where it is asked for.
    let lost = |more: &str, status: StatusCode| {
        described(more).classify(&Answer { status, retry_after: None, body: Err("cut".to_owned()) }, &MESSAGE)
    };
    assert!(lost("", StatusCode::OK).is_ok());
    for (more, status) in [(with_id, StatusCode::OK), (by_body, StatusCode::OK), ("", StatusCode::BAD_GATEWAY)] {
        assert_eq!(lost(more, status).unwrap_err().what, Failure::Unknown, "{more}");
    }
    assert_eq!(lost("", StatusCode::BAD_REQUEST).unwrap_err().what, Failure::Refused);
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
    let told = |body: Value| provider.told(&body);
    assert_eq!(
        told(json!({"state": "delivrd", "m": {"id": 7}})),
        Ok(Told { sid: Some("7".to_owned()), status: DeliveryStatus::Delivered, error_code: None })
    );
    assert_eq!(
        told(json!({"state": "REJECTD", "m": {"code": "34"}})),
        Ok(Told { sid: None, status: DeliveryStatus::Failed, error_code: Some(34) })
    );
    assert_eq!(told(json!({"state": "ACCEPTD"})), Err(CallbackError::UnknownStatus("ACCEPTD".to_owned())));
    assert_eq!(told(json!({"other": 1})), Err(CallbackError::NoStatus("/state".to_owned())));
    assert_eq!(described("").told(&json!({})), Err(CallbackError::NotDescribed("india".to_owned())));
}
