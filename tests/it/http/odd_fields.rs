//! One odd field never loses a message, a call or a status: it is left out, and the event names it.

use std::time::Duration;

use serde_json::Value;

use crate::faults::rig::{self, ACCOUNT, Look, OURS, customer};
use crate::support::server::Server;
use crate::support::wait::eventually;
use crate::support::webhook::{Form, fields, message_sid, with};

const WITHIN: Duration = Duration::from_secs(20);

async fn events(look: &Look, kind: &str) -> Vec<Value> {
    let events = look.events().await.into_iter().filter(|event| event.kind == kind);
    events.map(|event| serde_json::from_str(&event.data).expect("it is JSON")).collect()
}

#[tokio::test]
async fn a_message_with_an_odd_field_is_kept_without_it() {
    let server = Server::start(rig::options("http://127.0.0.1:1")).await;
    let twilio = rig::twilio(&server);
    let long = "x".repeat(3_000);
    type Change<'a> = (Vec<(&'a str, &'a str)>, Vec<&'a str>);
    let odd: Vec<Change<'_>> = vec![
        (vec![("NumMedia", "11")], vec!["NumMedia"]),
        (vec![("NumMedia", "-3")], vec!["NumMedia"]),
        (vec![("NumMedia", "1")], vec!["MediaUrl0"]),
        (vec![("NumMedia", "1"), ("MediaUrl0", "data:x")], vec!["MediaUrl0"]),
        (vec![("NumMedia", "1"), ("MediaUrl0", "https://a/1"), ("MediaContentType0", "?")], vec!["MediaContentType0"]),
        (vec![("Latitude", "91"), ("Longitude", "0")], vec!["Latitude"]),
        (vec![("Latitude", "north"), ("Longitude", "NaN")], vec!["Latitude", "Longitude"]),
        (vec![("ProfileName", &long)], vec!["ProfileName"]),
        (vec![("ButtonText", &long), ("ButtonPayload", "ok")], vec!["ButtonText"]),
        (vec![("OptOutType", "PAUSE")], vec!["OptOutType"]),
        (vec![("NumSegments", "two")], vec!["NumSegments"]),
        (vec![("MessagingServiceSid", "none")], vec!["MessagingServiceSid"]),
        (vec![("OriginalRepliedMessageSid", "?")], vec!["OriginalRepliedMessageSid"]),
        (vec![("SmsStatus", "teleported"), ("BrandNewField", "of any kind")], vec![]),
    ];
    for (number, (changes, _)) in odd.iter().enumerate() {
        let form = twilio.inbound(&message_sid(number as u128), &customer(number), OURS, &format!("text {number}"));
        let form = changes.iter().fold(form, |form, (name, value)| with(form, name, value));
        assert_eq!(rig::post(&twilio, &form).await, Some(200), "{changes:?}");
    }
    let look = Look::into(server.folder()).await;
    let stored = events(&look, "inbound_sms").await;
    assert_eq!(stored.len(), odd.len());
    for (number, (changes, dropped)) in odd.iter().enumerate() {
        let text = format!("text {number}");
        let event = stored.iter().find(|event| event["body"] == text.as_str()).expect("it is stored");
        let named: Vec<&str> =
            event["dropped"].as_array().into_iter().flatten().filter_map(|name| name.as_str()).collect();
        assert_eq!(&named, dropped, "{changes:?}");
    }
    // What identifies the message is another matter.
    for (name, bad) in [("From", ""), ("To", "+34 9"), ("MessageSid", "SM1"), ("AccountSid", "AC1")] {
        let form = with(twilio.inbound(&message_sid(900), &customer(1), OURS, "hola"), name, bad);
        assert!(matches!(rig::post(&twilio, &form).await, Some(400 | 403)), "{name}={bad}");
    }
}

#[tokio::test]
async fn a_call_or_a_status_with_an_odd_field_is_taken_without_it() {
    let server = Server::start(rig::options("http://127.0.0.1:1")).await;
    let twilio = rig::twilio(&server);
    let call = |more: &[(&str, &str)]| -> Form {
        let form = fields(&[
            ("CallSid", &format!("CA{:032x}", 5)),
            ("AccountSid", ACCOUNT),
            ("From", &customer(1)),
            ("To", OURS),
            ("CallStatus", "in-progress"),
            ("Direction", "inbound"),
        ]);
        more.iter().fold(form, |form, (name, value)| with(form, name, value))
    };
    let post = async |path: &str, form: &Form| {
        let answer = twilio.post(path, form).await.expect("it answers");
        (answer.status().as_u16(), answer.text().await.expect("a text"))
    };
    let long = "x".repeat(3_000);
    let odd = [("CallStatus", "dreaming"), ("CallerName", long.as_str()), ("ForwardedFrom", "a b")];
    let (status, document) = post("/api/twilio/demo/answer", &call(&odd)).await;
    assert!(status == 200 && document.contains("<Response>"), "{status} {document}");
    let heard = [("SpeechResult", "from nine to five"), ("Confidence", "rather"), ("Digits", "one")];
    assert_eq!(post("/api/twilio/demo/gather?turn=1", &call(&heard)).await.0, 200);
    let look = Look::into(server.folder()).await;
    let input = eventually(WITHIN, || async {
        let input = events(&look, "call_input").await;
        input.first().cloned().ok_or(input)
    })
    .await;
    assert_eq!((input["speech"].as_str(), input["confidence"].as_f64()), (Some("from nine to five"), None));
    assert_eq!(input["dropped"], serde_json::json!(["Digits", "Confidence"]));
    for odd in [
        &[("CallStatus", "dreaming")][..],
        &[("CallStatus", "")],
        &[("CallStatus", "completed"), ("CallDuration", "long"), ("SequenceNumber", "?"), ("Timestamp", "now")],
    ] {
        assert_eq!(post("/api/twilio/demo/status", &call(odd)).await.0, 200, "{odd:?}");
    }
    assert_eq!(look.text_or_number("SELECT status FROM calls").await, "completed");
    let about = format!("/api/twilio/demo/messages/{}/status", uuid::Uuid::from_u128(1));
    let reported = twilio.status(&message_sid(1), "teleported", OURS, &customer(1), 0);
    for odd in [("ErrorCode", "E7"), ("RawDlrDoneDate", "soon"), ("From", "a b"), ("MessageStatus", "")] {
        assert_eq!(post(&about, &with(reported.clone(), odd.0, odd.1)).await.0, 200, "{odd:?}");
    }
}
