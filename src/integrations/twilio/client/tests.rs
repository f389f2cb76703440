//! The client against a fake server on loopback, which records the requests and answers as told.

use std::collections::VecDeque;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use parking_lot::Mutex;

use super::*;
use crate::integrations::twilio::types::Method;

const BASE: &str = "/2010-04-01/Accounts/AC1";

#[derive(Clone, Default)]
struct Twilio {
    answers: Arc<Mutex<VecDeque<(u16, String)>>>,
    /// `METHOD target body`
    asked: Arc<Mutex<Vec<String>>>,
}

impl Twilio {
    /// Creates a server that gives these answers in order.
    async fn answering<const N: usize>(answers: [(u16, &str); N]) -> (Self, Client) {
        let twilio = Self::default();
        *twilio.answers.lock() = answers.map(|(status, body)| (status, body.to_owned())).into();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(answer).with_state(twilio.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (twilio, Client::new(http::client().unwrap(), &base).unwrap())
    }

    #[track_caller]
    fn assert_asked(&self, expect: &[&str]) {
        assert_eq!(*self.asked.lock(), expect);
    }
}

async fn answer(State(twilio): State<Twilio>, request: Request) -> (StatusCode, String) {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 100_000).await.unwrap();
    let asked = format!("{} {} {}", head.method, head.uri, String::from_utf8_lossy(&body));
    twilio.asked.lock().push(asked.trim_end().to_owned());
    let (status, body) = twilio.answers.lock().pop_front().expect("an answer for each request");
    (StatusCode::from_u16(status).unwrap(), body)
}

fn account() -> Account {
    Account { sid: "AC1".into(), token: "t".into() }
}

fn hang_up() -> NewCall {
    NewCall::new("+34911222333", "+34600111222", Instructions::Twiml("<Response/>".into()))
}

#[tokio::test]
async fn a_call_begins_is_seen_and_ends() {
    let call = r#"{"sid":"CA1","status":"queued","direction":"outbound-api"}"#;
    let (twilio, client) =
        Twilio::answering([(201, call), (200, call), (404, r#"{"code":20404,"message":"none"}"#), (200, call)]).await;
    let created = client.create_call(&account(), &hang_up()).await.unwrap();
    assert_eq!((created.sid.as_str(), created.status.as_str()), ("CA1", "queued"));
    assert_eq!(client.fetch_call(&account(), "CA1").await.unwrap().unwrap().direction, "outbound-api");
    assert_eq!(client.fetch_call(&account(), "CA2/..").await, Ok(None));
    assert_eq!(client.update_call(&account(), "CA1", &CallUpdate::Complete).await.unwrap().sid, "CA1");
    twilio.assert_asked(&[
        &format!("POST {BASE}/Calls.json To=%2B34600111222&From=%2B34911222333&Twiml=%3CResponse%2F%3E"),
        &format!("GET {BASE}/Calls/CA1.json"),
        &format!("GET {BASE}/Calls/CA2%2F...json"),
        &format!("POST {BASE}/Calls/CA1.json Status=completed"),
    ]);
}

#[tokio::test]
async fn a_call_that_is_not_taken_says_what_to_do() {
    let (_, client) = Twilio::answering([
        (400, r#"{"code":21215,"message":"Account not authorized to call +34906000000","status":400}"#),
        (400, r#"{"code":21220,"message":"Call is not in-progress","status":400}"#),
        (500, r#"{"code":20500,"message":"oops"}"#),
        (201, "<html>"),
    ])
    .await;
    let refused = client.create_call(&account(), &hang_up()).await.unwrap_err();
    assert!(matches!(refused, SendError::Refused { code: Some(21215), .. }), "{refused:?}");
    assert!(refused.to_string().contains("Geo permissions"), "{refused}");
    let over = client.update_call(&account(), "CA1", &CallUpdate::Cancel).await.unwrap_err();
    assert!(matches!(over, SendError::Refused { code: Some(21220), .. }), "{over:?}");
    for why in ["a failure after it may have been taken", "an answer that cannot be read"] {
        let unknown = client.create_call(&account(), &hang_up()).await.unwrap_err();
        assert!(matches!(unknown, SendError::Unknown { .. }), "{why}: {unknown:?}");
    }
}

#[tokio::test]
async fn calls_are_listed_whole_or_not_at_all() {
    let next = format!("{BASE}/Calls.json?Page=1&PageToken=PACA1");
    let first = format!(r#"{{"calls":[{{"sid":"CA2","status":"busy"}}],"next_page_uri":"{next}"}}"#);
    let last = r#"{"calls":[{"sid":"CA1","status":"completed"}],"next_page_uri":null}"#;
    let elsewhere = r#"{"calls":[],"next_page_uri":"//evil.example/2010-04-01/Accounts/AC1"}"#;
    let (twilio, client) =
        Twilio::answering([(200, &first), (200, last), (200, &first), (200, &first), (200, elsewhere)]).await;
    let filter = CallFilter { status: Some("busy".into()), ..CallFilter::default() };
    let calls = client.list_calls(&account(), &filter, 2).await.unwrap();
    assert_eq!(calls.calls.iter().map(|call| call.sid.as_str()).collect::<Vec<_>>(), ["CA2", "CA1"]);
    twilio.assert_asked(&[&format!("GET {BASE}/Calls.json?PageSize=1000&Status=busy"), &format!("GET {next}")]);
    let long = client.list_calls(&account(), &filter, 2).await;
    assert_eq!(long, Err(ListError::TooLong { max_pages: 2 }));
    let led_away = client.list_calls(&account(), &filter, 2).await;
    assert!(matches!(led_away, Err(ListError::Unreadable { .. })), "{led_away:?}");
}

#[tokio::test]
async fn numbers_are_found_and_bought() {
    let found = r#"{"uri":"x","available_phone_numbers":[{"phone_number":"+34911000111","friendly_name":"911 00 01 11",
        "locality":null,"region":"Madrid","iso_country":"ES","address_requirements":"local","beta":false,
        "capabilities":{"voice":true,"SMS":true,"MMS":false}}]}"#;
    let bought = r#"{"sid":"PN1","phone_number":"+34911000111","voice_url":"https://a/voice","sms_url":null,
        "capabilities":{"voice":true,"sms":true,"mms":false,"fax":false}}"#;
    let gone = r#"{"code":21422,"message":"+34911000111 is not available","status":400}"#;
    let empty = r#"{"available_phone_numbers":[]}"#;
    let (twilio, client) = Twilio::answering([(200, found), (200, empty), (201, bought), (400, gone)]).await;
    let search = Search {
        area_code: Some("415".into()),
        contains: Some("34911******".into()),
        in_region: Some("Madrid".into()),
        near_number: Some("+34911".into()),
        distance_miles: Some(50),
        sms_enabled: Some(true),
        mms_enabled: Some(false),
        voice_enabled: Some(true),
        limit: Some(5),
        ..Search::new("ES", NumberKind::Mobile)
    };
    let [number] = client.search_numbers(&account(), &search).await.unwrap().try_into().unwrap();
    assert_eq!((number.region.as_str(), number.address_requirements.as_str()), ("Madrid", "local"));
    assert_eq!(number.capabilities, Capabilities { voice: true, sms: true, mms: false });
    assert_eq!(client.search_numbers(&account(), &Search::new("US", NumberKind::TollFree)).await, Ok(vec![]));
    let settings = NumberSettings {
        voice_url: Some("https://a/voice".into()),
        voice_method: Some(Method::Post),
        voice_fallback_url: Some("https://a/fallback".into()),
        sms_url: Some("https://a/sms".into()),
        status_callback: Some("https://a/status".into()),
        bundle_sid: Some("BU1".into()),
        ..NumberSettings::default()
    };
    let bought = client.buy_number(&account(), "+34911000111", &settings).await.unwrap();
    assert_eq!(
        (bought.sid.as_str(), bought.voice_url.as_str(), bought.sms_url.as_str()),
        ("PN1", "https://a/voice", "")
    );
    assert!(bought.capabilities.voice);
    let gone = client.buy_number(&account(), "+34911000111", &NumberSettings::default()).await.unwrap_err();
    assert!(gone.to_string().contains("search again"), "{gone}");
    twilio.assert_asked(&[
        &format!(
            "GET {BASE}/AvailablePhoneNumbers/ES/Mobile.json?AreaCode=415&Contains=34911******&InRegion=Madrid\
             &NearNumber=%2B34911&Distance=50&SmsEnabled=true&MmsEnabled=false&VoiceEnabled=true&PageSize=5"
        ),
        &format!("GET {BASE}/AvailablePhoneNumbers/US/TollFree.json"),
        &format!(
            "POST {BASE}/IncomingPhoneNumbers.json PhoneNumber=%2B34911000111&VoiceUrl=https%3A%2F%2Fa%2Fvoice\
             &VoiceMethod=POST&VoiceFallbackUrl=https%3A%2F%2Fa%2Ffallback&StatusCallback=https%3A%2F%2Fa%2Fstatus\
             &SmsUrl=https%3A%2F%2Fa%2Fsms&BundleSid=BU1"
        ),
        &format!("POST {BASE}/IncomingPhoneNumbers.json PhoneNumber=%2B34911000111"),
    ]);
}

#[tokio::test]
async fn numbers_are_configured_and_released() {
    let none = r#"{"code":20404,"message":"not found"}"#;
    let empty_url = r#"{"code":21502,"message":"VoiceUrl is not valid"}"#;
    let (twilio, client) = Twilio::answering([
        (200, r#"{"sid":"PN1","phone_number":"+34911000111","voice_url":"","sms_application_sid":null}"#),
        (400, empty_url),
        (204, ""),
        (404, none),
        (503, ""),
    ])
    .await;
    let settings = NumberSettings { voice_url: Some(String::new()), ..NumberSettings::default() };
    let number = client.configure_number(&account(), "PN1", &settings).await.unwrap();
    assert_eq!((number.voice_url.as_str(), number.sms_application_sid.as_str()), ("", ""));
    let refused = client.configure_number(&account(), "PN1", &settings).await.unwrap_err();
    assert!(matches!(refused, LookupError::Refused { code: Some(21502), .. }), "{refused:?}");
    assert_eq!(client.release_number(&account(), "PN1").await, Ok(()));
    assert_eq!(client.release_number(&account(), "PN1").await, Err(LookupError::NotFound));
    assert_eq!(client.release_number(&account(), "PN1").await, Err(LookupError::Busy { http_status: 503 }));
    let configure = format!("POST {BASE}/IncomingPhoneNumbers/PN1.json VoiceUrl=");
    let release = format!("DELETE {BASE}/IncomingPhoneNumbers/PN1.json");
    twilio.assert_asked(&[&configure, &configure, &release, &release, &release]);
}

#[test]
fn bases_are_checked() {
    let client = |base: &str| Client::new(http::client().unwrap(), base);
    assert!(client("https://api.twilio.com").is_ok());
    assert!(client("http://127.0.0.1:4010/").is_ok());
    for bad in ["", "api.twilio.com", "ftp://api.twilio.com", "https://api.twilio.com/2010", "https://a.b/?x=1"] {
        assert!(client(bad).is_err(), "{bad}");
    }
    let account = Account { sid: "AC1/../x".into(), token: "secret".into() };
    let url = client("https://api.twilio.com").unwrap().url(&account, &["Messages.json"]);
    assert_eq!(url.as_str(), "https://api.twilio.com/2010-04-01/Accounts/AC1%2F..%2Fx/Messages.json");
    assert!(!format!("{account:?}").contains("secret"));
}
