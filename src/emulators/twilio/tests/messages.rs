//! Customers, numbers and consent.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use super::*;

/// A request to a webhook.
struct Posted {
    params: Params,
    token: String,
}

/// A webhook with these answers in order, the last one from then on; returns its URL, and the requests with a valid
/// signature.
async fn webhook(answers: &'static [(u16, &'static str, &'static str)]) -> (String, mpsc::UnboundedReceiver<Posted>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let (sender, posted) = mpsc::unbounded_channel();
    let (signed, next) = (base.clone(), Arc::new(AtomicUsize::new(0)));
    let receive = move |uri: Uri, headers: HeaderMap, body: Bytes| async move {
        let params = Params::parse(&body).unwrap();
        let url = format!("{signed}{}", uri.path_and_query().unwrap());
        let header = headers["X-Twilio-Signature"].to_str().unwrap();
        assert!(signature::verify(header, &[TOKEN], &url, signature::Body::Form(&params)));
        let token = headers["I-Twilio-Idempotency-Token"].to_str().unwrap().to_owned();
        sender.send(Posted { params, token }).unwrap();
        let turn = next.fetch_add(1, Ordering::Relaxed).min(answers.len() - 1);
        let (status, content_type, text) = answers[turn];
        (StatusCode::from_u16(status).unwrap(), [("content-type", content_type)], text)
    };
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/in", post(receive))).await });
    (format!("{base}/in?a=1"), posted)
}

const EMPTY: (u16, &str, &str) = (200, "text/xml", "<Response/>");

impl World {
    /// An emulator with one number, whose messages go to `url`.
    async fn at(url: &str) -> Self {
        let world = Self::new().await;
        world.take_messages(FROM, url);
        world
    }

    fn take_messages(&self, number: &str, url: &str) {
        let url = Some(url.to_owned());
        let (account_sid, number, label) = (SID.to_owned(), number.to_owned(), "demo".to_owned());
        let number = NumberConfig {
            account_sid,
            number,
            label,
            sms_url: url.clone(),
            whatsapp_url: url,
            ..NumberConfig::default()
        };
        self.carrier.set_numbers(vec![number]);
    }

    async fn text(&self, text: Value) -> Value {
        let response = self.post("/carrier/texts", &text).await;
        assert_eq!(response.status(), 201, "{text}");
        response.json::<Value>().await.unwrap()["message"].clone()
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> reqwest::Response {
        http::client().unwrap().post(format!("{}{path}", self.base)).json(body).send().await.unwrap()
    }

    async fn feed(&self, query: &str) -> Value {
        let url = format!("{}/carrier/feed?{query}", self.base);
        http::client().unwrap().get(url).send().await.unwrap().json().await.unwrap()
    }

    /// Waits for the result of an inbound message's webhook.
    async fn outcome(&self, sid: &str) -> Value {
        let mut changes = self.carrier.0.changes.subscribe();
        loop {
            changes.mark_unchanged();
            if let Some(outcome) = self.carrier.0.store().find(sid).and_then(|message| message.webhook.clone()) {
                return serde_json::to_value(outcome).unwrap();
            }
            changes.changed().await.unwrap();
        }
    }
}

fn hola() -> Value {
    json!({"from": TO, "to": FROM, "channel": "sms", "body": "hola"})
}

#[tokio::test]
async fn a_customers_text_is_posted_signed_and_tried_again_as_the_url_asks() {
    let (url, mut posted) = webhook(&[(500, "text/plain", "no"), (503, "text/plain", "no"), EMPTY]).await;
    let world = World::at(&format!("{url}#rc=3&rp=5xx")).await;
    let taken = world.text(hola()).await;
    assert_eq!(taken["webhook"], Value::Null, "it is under way");
    let sid = taken["sid"].as_str().unwrap();
    assert_eq!(world.outcome(sid).await, json!({"status": 200, "attempts": 3, "error": null}));
    let tries = [(); 3].map(|()| posted.try_recv().unwrap());
    assert!(tries.iter().all(|one| one.token == tries[0].token && one.params == tries[0].params));
    let read = crate::integrations::twilio::inbound::InboundMessage::parse(&tries[0].params).unwrap();
    assert_eq!((read.message_sid.as_str(), read.body.as_str(), read.from.value.as_str()), (sid, "hola", TO));
    assert_eq!((read.to.value.as_str(), read.account_sid.as_str(), read.num_segments), (FROM, SID, 1));
}

#[tokio::test]
async fn a_webhook_that_fails_leaves_twilio_s_code() {
    let (refuses, _posted) = webhook(&[(403, "text/plain", "no")]).await;
    let (no_twiml, _posted) = webhook(&[(200, "application/json", "{}")]).await;
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let nobody = format!("http://{nobody}/");
    for (url, expect) in [
        (refuses.as_str(), json!({"status": 403, "attempts": 1, "error": 11217})),
        (no_twiml.as_str(), json!({"status": 200, "attempts": 1, "error": 12300})),
        (nobody.as_str(), json!({"status": null, "attempts": 2, "error": 11205})),
        ("http://example.com/", json!({"status": null, "attempts": 0, "error": 11200})),
    ] {
        let world = World::at(url).await;
        let taken = world.text(hola()).await;
        assert_eq!(world.outcome(taken["sid"].as_str().unwrap()).await, expect, "{url}");
    }
}

#[tokio::test]
async fn twiml_is_obeyed() {
    const TWIML: &str = "<Response><Message>uno</Message><Message to=\"+34600999888\">dos</Message></Response>";
    let (url, _posted) = webhook(&[(200, "text/xml", TWIML)]).await;
    let world = World::at(&url).await;
    let taken = world.text(hola()).await;
    world.outcome(taken["sid"].as_str().unwrap()).await;
    let replies: Vec<_> = world.carrier.messages().into_iter().skip(1).collect();
    let seen: Vec<_> = replies.iter().map(|reply| (reply.to.as_str(), reply.body.as_str())).collect();
    assert_eq!(seen, [(TO, "uno"), ("+34600999888", "dos")]);
    assert!(
        replies.iter().all(|reply| reply.direction == Direction::OutboundReply && reply.from.as_deref() == Some(FROM))
    );
}

#[tokio::test]
async fn texts_are_checked_before_they_are_taken() {
    let (url, _posted) = webhook(&[EMPTY]).await;
    let world = World::at(&url).await;
    let with = |change: Value| {
        let mut text = hola();
        text.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        text
    };
    for (change, status) in [
        (json!({"from": "600111222"}), 400),
        (json!({"body": ""}), 400),
        (json!({"body": "x".repeat(4097)}), 400),
        (json!({"button": {"text": "a", "payload": "b"}}), 400),
        (json!({"reply_to": "SM1"}), 400),
        (json!({"to": "+34911999999"}), 404),
        (json!({"channel": "fax"}), 422),
        (json!({"surprise": 1}), 422),
    ] {
        let response = world.post("/carrier/texts", &with(change.clone())).await;
        assert_eq!(response.status(), status, "{change}");
    }
    let only_texts = NumberConfig { account_sid: SID.into(), number: FROM.into(), ..NumberConfig::default() };
    world.carrier.set_numbers(vec![only_texts]);
    assert_eq!(world.post("/carrier/texts", &hola()).await.status(), 409);
    assert!(world.carrier.messages().is_empty());
}

#[tokio::test]
async fn a_stop_is_answered_and_holds_until_start() {
    let (url, _posted) = webhook(&[EMPTY]).await;
    let world = World::at(&url).await;
    let stop = json!({"from": TO, "to": FROM, "channel": "sms", "body": "Stop"});
    world.text(stop.clone()).await;
    world.text(stop).await;
    let refused = world.send("hola").await;
    assert!(matches!(&refused, Err(SendError::Refused { code: Some(21610), .. })), "{refused:?}");
    assert_eq!(world.carrier.count_to(TO), 1, "the second is not answered: {:?}", world.carrier.messages());
    world.text(json!({"from": TO, "to": FROM, "channel": "sms", "body": "START"})).await;
    world.send("hola").await.unwrap();
}

#[tokio::test]
async fn whatsapp_closes_after_a_day() {
    let (incoming, _posted) = webhook(&[EMPTY]).await;
    let (url, mut callbacks) = receiver().await;
    let world = World::at(&incoming).await;
    let send = || {
        let from = From::Number(format!("whatsapp:{FROM}"));
        let message = NewMessage::text(from, format!("whatsapp:{TO}"), "hola");
        let message = NewMessage { status_callback: Some(url.clone()), ..message };
        let world = &world;
        async move { world.client.create_message(&world.account, &message).await.unwrap() }
    };
    let closed = send().await;
    let reported = callbacks.recv().await.unwrap();
    assert_eq!((reported.status.as_str(), reported.error_code), ("undelivered", Some(63016)));
    let found = world.client.fetch_message(&world.account, &closed.sid).await.unwrap().unwrap();
    assert_eq!((found.status.as_str(), found.error_code), ("undelivered", Some(63016)));
    let chat = json!({"from": TO, "to": FROM, "channel": "whatsapp", "body": "hola", "profile_name": "Ana"});
    world.text(chat).await;
    send().await;
    assert_eq!(callbacks.recv().await.unwrap().status, "sent");
    assert_eq!(callbacks.recv().await.unwrap().status, "delivered");
    world.clock.advance(Duration::from_secs(24 * 3_600));
    send().await;
    assert_eq!(callbacks.recv().await.unwrap().error_code, Some(63016));
}

#[tokio::test]
async fn what_is_read_early_is_told_after_its_delivery() {
    let (url, mut callbacks) = receiver().await;
    let world = World::with(|config| config.callback_delay_ms = 1_000).await;
    let (ours, theirs) = (format!("whatsapp:{FROM}"), format!("whatsapp:{TO}"));
    world.carrier.add_inbound(Inbound { from: theirs.clone(), to: ours.clone(), ..Inbound::default() });
    let message = NewMessage::text(From::Number(ours), theirs, "hola");
    let message = NewMessage { status_callback: Some(url), ..message };
    let created = world.client.create_message(&world.account, &message).await.unwrap();
    let read = format!("/carrier/messages/{}/read", created.sid);
    assert_eq!(world.post(&read, &json!({})).await.status(), 204);
    for status in ["sent", "delivered", "read"] {
        assert!(callbacks.is_empty());
        world.clock.advance(Duration::from_secs(1));
        assert_eq!(callbacks.recv().await.unwrap().status, status);
    }
    assert_eq!(world.post(&read, &json!({})).await.status(), 204);
    world.carrier.wait_callbacks().await;
    assert!(callbacks.is_empty(), "once is enough");
    assert_eq!(world.post("/carrier/messages/SM0/read", &json!({})).await.status(), 404);
    let text = world.send("hola").await.unwrap();
    assert_eq!(world.post(&format!("/carrier/messages/{}/read", text.sid), &json!({})).await.status(), 409);
}

#[tokio::test]
async fn the_feed_tells_what_came_and_what_changed() {
    let world = World::with(|config| config.callback_delay_ms = 1_000).await;
    let waits = tokio::spawn({
        let base = world.base.clone();
        async move {
            let url = format!("{base}/carrier/feed?customer=%2B34600111222&wait_ms=30000");
            http::client().unwrap().get(url).send().await.unwrap().json::<Value>().await.unwrap()
        }
    });
    let other = NewMessage { to: "+34600999888".into(), ..message("not for them") };
    world.client.create_message(&world.account, &other).await.unwrap();
    let created = world.send("hola").await.unwrap();
    let feed = waits.await.unwrap();
    assert_eq!(feed["messages"].as_array().unwrap().len(), 1, "{feed}");
    let seen = &feed["messages"][0];
    let expect = [("sid", created.sid.as_str()), ("direction", "outbound"), ("channel", "sms"), ("status", "queued")];
    for (name, value) in expect.into_iter().chain([("from", FROM), ("to", TO), ("body", "hola")]) {
        assert_eq!(seen[name], value, "{name}");
    }
    let after = feed["seq"].as_u64().unwrap();
    let nothing = world.feed(&format!("after={after}&customer=%2B34600111222")).await;
    assert_eq!(nothing["messages"], json!([]));
    world.clock.advance(Duration::from_secs(1));
    let changed = world.feed(&format!("wait_ms=30000&customer=%2B34600111222&after={after}")).await;
    assert_eq!(changed["messages"][0]["status"], "sent");
    let all = world.feed("customer=%2B34600111222").await;
    assert_eq!(all["messages"].as_array().unwrap().len(), 1, "a message stands once, as it is now");

    for number in 0..450 {
        world.carrier.add_inbound(Inbound {
            from: "+34600777666".into(),
            to: FROM.into(),
            body: number.to_string(),
            ..Inbound::default()
        });
    }
    let (mut bodies, mut after) = (Vec::new(), 0);
    for count in [200, 200, 50] {
        let page = world.feed(&format!("customer=%2B34600777666&after={after}")).await;
        let messages = page["messages"].as_array().unwrap();
        assert_eq!(messages.len(), count);
        bodies.extend(messages.iter().map(|message| message["body"].as_str().unwrap().to_owned()));
        after = page["seq"].as_u64().unwrap();
    }
    assert_eq!(bodies, (0..450).map(|number| number.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn strangers_pages_do_not_reach_the_carriers_own_routes() {
    let world = World::at("http://127.0.0.1:1/").await;
    let http = http::client().unwrap();
    let numbers = || http.get(format!("{}/carrier/numbers", world.base));
    let shown: Value = numbers().send().await.unwrap().json().await.unwrap();
    let url = "http://127.0.0.1:1/";
    let expect = json!([{"number": FROM, "account_sid": SID, "label": "demo", "sms_url": url, "whatsapp_url": url,
                         "voice_url": null}]);
    assert_eq!(shown, expect);
    assert_eq!(numbers().header("origin", "http://127.0.0.1").send().await.unwrap().status(), 403);
    assert_eq!(numbers().header("host", "evil.example.com").send().await.unwrap().status(), 403);
    let order = || http.post(format!("{}/carrier/faults", world.base)).body(r#"{"fault": "throttle"}"#);
    assert_eq!(order().header("content-type", "text/plain").send().await.unwrap().status(), 415);
    assert_eq!(order().send().await.unwrap().status(), 415);
    assert!(world.carrier.0.faults.all().is_empty());
    assert!(listen("0.0.0.0:0".parse().unwrap()).await.is_err());
}

#[tokio::test]
async fn callbacks_that_come_late_hold_up_no_others() {
    let (url, mut callbacks) = receiver().await;
    let world = World::new().await;
    world.carrier.add_fault(Fault { delay_ms: Some(60_000), ..Fault::times(FaultKind::CallbacksLate, 1) }).unwrap();
    let send = || async {
        let message = NewMessage { status_callback: Some(url.clone()), ..message("hola") };
        world.client.create_message(&world.account, &message).await.unwrap().sid
    };
    let (late, other) = (send().await, send().await);
    for _ in 0..2 {
        assert_eq!(callbacks.recv().await.unwrap().message_sid, other);
    }
    assert!(callbacks.is_empty());
    world.clock.advance(Duration::from_secs(60));
    for status in ["sent", "delivered"] {
        let reported = callbacks.recv().await.unwrap();
        assert_eq!((reported.message_sid.as_str(), reported.status.as_str()), (late.as_str(), status));
    }
    world.carrier.wait_callbacks().await;
}

#[tokio::test]
async fn a_scheduled_message_leaves_in_time_unless_it_is_canceled() {
    let (url, mut callbacks) = receiver().await;
    let world = World::new().await;
    let schedule = || async {
        let at = world.clock.now().plus(Duration::from_secs(3_600)).to_string();
        let form = [
            ("To", TO),
            ("MessagingServiceSid", "MG1"),
            ("Body", "later"),
            ("ScheduleType", "fixed"),
            ("SendAt", at.as_str()),
            ("StatusCallback", url.as_str()),
        ];
        world.form("Messages.json", &form).await["sid"].as_str().unwrap().to_owned()
    };
    let (leaves, stays) = (schedule().await, schedule().await);
    let canceled = world.form(&format!("Messages/{stays}.json"), &[("Status", "canceled")]).await;
    assert_eq!(canceled["status"], "canceled");
    assert_eq!(callbacks.recv().await.unwrap().status, "canceled");
    world.clock.advance(Duration::from_secs(3_599));
    assert!(callbacks.is_empty());
    world.clock.advance(Duration::from_secs(1));
    for status in ["sent", "delivered"] {
        let reported = callbacks.recv().await.unwrap();
        assert_eq!((reported.message_sid.as_str(), reported.status.as_str()), (leaves.as_str(), status));
    }
    world.carrier.wait_callbacks().await;
    let found = world.client.fetch_message(&world.account, &stays).await.unwrap().unwrap();
    assert_eq!(found.status, "canceled");
}

impl World {
    /// Posts a form as the account; returns the answer.
    async fn form(&self, path: &str, fields: &[(&str, &str)]) -> Value {
        let url = format!("{}/2010-04-01/Accounts/{SID}/{path}", self.base);
        let request = http::client().unwrap().post(url).basic_auth(SID, Some(TOKEN)).form(fields);
        request.send().await.unwrap().json().await.unwrap()
    }
}

#[tokio::test]
async fn a_fallback_is_called_with_the_error() {
    let (fallback, mut posted) = webhook(&[EMPTY]).await;
    let world = World::at("http://127.0.0.1:1/").await;
    let url = format!("{}/2010-04-01/Accounts/{SID}/IncomingPhoneNumbers.json", world.base);
    let listed = http::client().unwrap().get(url).basic_auth(SID, Some(TOKEN)).send().await.unwrap();
    let sid = listed.json::<Value>().await.unwrap()["incoming_phone_numbers"][0]["sid"].clone();
    let number = format!("IncomingPhoneNumbers/{}.json", sid.as_str().unwrap());
    let refused = world.form(&number, &[("SmsFallbackUrl", "http://10.0.0.1/")]).await;
    assert_eq!(refused["code"], 21502);
    world.form(&number, &[("SmsFallbackUrl", &fallback)]).await;
    let taken = world.text(hola()).await;
    let outcome = world.outcome(taken["sid"].as_str().unwrap()).await;
    assert_eq!(outcome, json!({"status": 200, "attempts": 3, "error": null}));
    let posted = posted.try_recv().unwrap().params;
    assert_eq!((posted.get("ErrorCode"), posted.get("ErrorUrl")), (Some("11205"), Some("http://127.0.0.1:1/")));
}

#[tokio::test]
async fn the_test_number_sends_nothing_unless_the_account_has_it() {
    const TEST: &str = "+15005550006";
    let (url, mut callbacks) = receiver().await;
    let world = World::with(|config| config.strict = true).await;
    let send = || async {
        let from_test = NewMessage::text(From::Number(TEST.into()), TO, "hola");
        let message = NewMessage { status_callback: Some(url.clone()), ..from_test };
        world.client.create_message(&world.account, &message).await.unwrap()
    };
    assert_eq!(send().await.status, "queued");
    world.carrier.wait_callbacks().await;
    assert!(callbacks.is_empty());
    let refused = world.send("hola").await;
    assert!(matches!(&refused, Err(SendError::Refused { code: Some(21606), .. })), "{refused:?}");
    world.take_messages(TEST, "http://127.0.0.1:1/");
    send().await;
    assert_eq!(callbacks.recv().await.unwrap().status, "sent");
}
