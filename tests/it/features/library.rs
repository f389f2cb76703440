//! The library's rules as a business enables them, end to end on a simulated clock: booking, reminders, answers, review
//! links, and the SMS after a failed WhatsApp message.

mod moves;

use std::path::Path;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request};
use recado::app;
use recado::domain::{Clock, TenantId, Timestamp, TokenScope};
use recado::store::NewApiToken;
use recado::store::rows::event;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::faults::inside::{Inside, PUBLIC_URL, encode, posted};
use crate::faults::rig::{ACCOUNT, OURS, Provider, TOKEN};
use crate::support::replace_tenant;
use crate::support::wait::eventually;
use crate::support::webhook::{Twilio, message_sid, sign};

const WITHIN: Duration = Duration::from_secs(20);
const HOUR: Duration = Duration::from_secs(3_600);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
/// A Saturday.
const START: &str = "2026-11-21T08:00:00Z";
const MONDAY: &str = "2026-11-23T10:00:00Z";
const ANA: &str = "+34600111222";

/// A business with library rules, its provider, and the messages so far.
struct Shop {
    provider: Provider,
    inside: Inside,
    clock: Clock,
    token: String,
    said: u128,
    _loops: JoinSet<()>,
}

impl Shop {
    async fn open(rules: &str, blueprints: Value) -> Self {
        let clock = Clock::simulated(Timestamp::parse(START).expect("it is a time"));
        let provider = Provider::start(1).await;
        let inside = Inside::at(&provider.url, clock.clone(), rules).await;
        for folder in ["appointments", "delivery", "reviews"] {
            copy(&Path::new("rules").join(folder), &inside.installation.config.rules_dir.join(folder));
        }
        inside.pipeline.replace_rules(inside.installation.load_rules());
        let token = recado::http::api::new_token().expect("there is chance").expose_secret().to_owned();
        let loops = app::start_loops(&inside.engine);
        let shop = Self { provider, inside, clock, token, said: 0, _loops: loops };
        shop.set("blueprints", blueprints).await;
        let hash = recado::http::api::hash_of_token(&shop.token);
        shop.inside
            .store
            .add_api_token(
                shop.tenant(),
                NewApiToken { name: "test", scope: TokenScope::Full, hash: &hash, expires_at: None },
            )
            .await
            .expect("it can be added");
        shop
    }

    fn tenant(&self) -> TenantId {
        self.inside.directory.now().by_slug("demo").expect("it is there").id
    }

    /// Changes one of the business's settings.
    async fn set(&self, name: &str, value: Value) {
        let store = &self.inside.store;
        let (_, tenants, _) = store.directory().await.expect("it can be read");
        let mut tenant = tenants.into_iter().find(|tenant| tenant.slug == "demo").expect("it is there");
        let mut settings: Value = serde_json::from_str(&tenant.settings).expect("JSON");
        settings[name] = value;
        tenant.settings = settings.to_string();
        replace_tenant(store, tenant).await.expect("it can be changed");
        self.inside.directory.refresh().await.expect("it can be read");
    }

    async fn api(&self, path: &str, body: Value) -> Value {
        let request = Request::post(format!("/api/v1/{path}"))
            .header("authorization", format!("Bearer {}", self.token))
            .header("content-type", "application/json");
        let (status, answer) =
            self.inside.answer(request.body(Body::from(body.to_string())).expect("a request of ours")).await;
        assert!((200..300).contains(&status), "{path}: {status} {}", String::from_utf8_lossy(&answer));
        serde_json::from_slice(&answer).expect("JSON")
    }

    /// Books over the API; returns the appointment's path.
    async fn book(&self, starts_at: &str) -> String {
        let wanted = json!({"phone": ANA, "service": "cut", "starts_at": starts_at});
        let booked = self.api("appointments", wanted).await;
        format!("appointments/{}", booked["id"].as_str().expect("an id"))
    }

    /// The customer writes.
    async fn text(&mut self, channel: &str, body: &str) {
        self.said += 1;
        self.hear_from(ANA, self.said, channel, body).await;
    }

    /// A person writes; `number` makes their message unique.
    async fn hear_from(&self, who: &str, number: u128, channel: &str, body: &str) {
        let prefix = if channel == "whatsapp" { "whatsapp:" } else { "" };
        let twilio = Twilio::new("http://127.0.0.1:1", ACCOUNT, TOKEN);
        let (from, to) = (format!("{prefix}{who}"), format!("{prefix}{OURS}"));
        let form = twilio.inbound(&message_sid(number), &from, &to, body);
        let path = format!("/api/twilio/demo/{channel}");
        let signature = sign(TOKEN, &format!("{PUBLIC_URL}{path}"), &form);
        assert_eq!(self.inside.answer(posted(&path, encode(&form), Some(&signature))).await.0, 200);
    }

    async fn events(&self, kind: &str) -> Vec<event::Model> {
        let events = self.inside.store.events(self.tenant(), 10_000).await.expect("they can be read");
        events.into_iter().filter(|event| event.kind == kind).collect()
    }

    /// Waits until this many events of a kind exist and are decided.
    async fn decided(&self, kind: &str, count: usize) -> Vec<event::Model> {
        eventually(WITHIN, || async {
            self.sweep();
            let events = self.events(kind).await;
            let open = events.iter().filter(|event| event.handled_us.is_none()).count();
            if events.len() == count && open == 0 { Ok(events) } else { Err((events.len(), open)) }
        })
        .await
    }

    async fn timers(&self, count: usize) {
        eventually(WITHIN, || async {
            let timers = self.inside.store.timers(None, 100).await.expect("they can be read").len();
            if timers == count { Ok(()) } else { Err(timers) }
        })
        .await;
    }

    /// The texts sent by SMS, in order, once there are this many.
    async fn texts(&self, count: usize) -> Vec<String> {
        self.texts_to(ANA, count).await
    }

    async fn texts_to(&self, who: &str, count: usize) -> Vec<String> {
        eventually(WITHIN, || async {
            self.sweep();
            let texts = self.texts_now_to(who);
            if texts.len() == count { Ok(texts) } else { Err(texts) }
        })
        .await
    }

    /// The sweep, which follows the clock, finds work without a wake-up.
    fn sweep(&self) {
        self.clock.advance(SECOND);
    }

    fn texts_now(&self) -> Vec<String> {
        self.texts_now_to(ANA)
    }

    fn texts_now_to(&self, who: &str) -> Vec<String> {
        let sent = self.provider.sent().into_iter();
        sent.filter(|message| message.to == who).map(|message| message.body).collect()
    }

    /// Opens the page of a review link, or sends its form with the page's own token.
    async fn visit(&self, method: Method, path: &str, form: &str) -> (u16, String) {
        let (rules, now) = (self.inside.pipeline.rules(), self.clock.now());
        let event = path.strip_prefix("/r/").and_then(|token| rules.links().event(token, now));
        let form = match event {
            Some(event) if method == Method::POST => format!("form={}&{form}", rules.links().form_token(event, now)),
            _ => form.to_owned(),
        };
        let request = Request::builder().method(method).uri(path).header("content-type", FORM);
        let request = request.body(Body::from(form)).expect("a request of ours");
        let (status, page) = self.inside.answer(request).await;
        (status, String::from_utf8(page).expect("UTF-8"))
    }
}

const FORM: &str = "application/x-www-form-urlencoded";

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("the folder is ours");
    for entry in std::fs::read_dir(from).expect("the library is there") {
        let path = entry.expect("it can be read").path();
        std::fs::copy(&path, to.join(path.file_name().expect("it has a name"))).expect("it can be copied");
    }
}

fn all() -> Value {
    json!({
        "appointment booked": {}, "appointment moved": {}, "appointment cancelled": {}, "reminder 24h": {},
        "reminder 2h": {}, "appointment confirm": {}, "appointment cancel": {}, "appointment move": {},
        "review request": {"review_url": "https://reviews.example/?a=1&b=\"2\"", "min_score": 4},
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_visit_from_its_booking_to_its_review() {
    let mut shop = Shop::open("", all()).await;
    let path = shop.book(MONDAY).await;
    let booked = "Demo: your appointment (cut) is on Mon 23 Nov at 10:00. Reply X to cancel it.";
    assert_eq!(shop.texts(1).await, [booked]);
    shop.timers(2).await;
    shop.clock.advance(26 * HOUR + MINUTE);
    let reminder =
        "Demo: you have an appointment on Mon 23 Nov at 10:00. Reply C to confirm, M to move it, X to cancel.";
    assert_eq!(shop.texts(2).await[1], reminder);
    shop.text("sms", "C").await;
    assert_eq!(shop.texts(3).await[2], "Thank you, see you on Mon 23 Nov at 10:00.");
    shop.decided("appointment_confirmed", 1).await;
    shop.timers(1).await;
    shop.clock.advance(22 * HOUR);
    assert_eq!(shop.texts(4).await[3], "Demo: see you at 10:00.");
    shop.clock.advance(3 * HOUR);
    shop.api(&format!("{path}/complete"), json!({})).await;
    shop.timers(1).await;
    assert_eq!(shop.texts_now().len(), 4, "not before two hours have gone");
    shop.clock.advance(2 * HOUR + MINUTE);
    let asked = shop.texts(5).await.remove(4);
    assert!(asked.starts_with("Demo: how was it? Tell us in a few seconds: http://127.0.0.1:1/r/"), "{asked}");

    // A second visit within 90 days: no second request.
    let path = shop.book("2026-11-24T10:00:00Z").await;
    shop.texts(6).await;
    shop.api(&format!("{path}/complete"), json!({})).await;
    shop.decided("appointment_completed", 2).await;
    shop.clock.advance(2 * HOUR + MINUTE);
    shop.timers(0).await;
    shop.decided("timer", 4).await;
    assert_eq!(shop.texts_now().len(), 6, "{:?}", shop.texts_now());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_x_cancels_and_ends_what_was_planned() {
    let mut shop = Shop::open("", all()).await;
    shop.book(MONDAY).await;
    shop.texts(1).await;
    shop.timers(2).await;
    shop.text("sms", "X").await;
    shop.decided("appointment_cancelled", 1).await;
    shop.timers(0).await;
    let gone = "Your appointment on Mon 23 Nov at 10:00 is cancelled. Write to us whenever you like.";
    assert_eq!(shop.texts(2).await[1], gone);
    shop.text("sms", "X").await;
    shop.decided("inbound_sms", 2).await;
    assert_eq!(shop.events("appointment_cancelled").await.len(), 1, "there is none any more");
    // The customer is told when staff cancel.
    let path = shop.book(MONDAY).await;
    shop.texts(3).await;
    shop.api(&format!("{path}/cancel"), json!({})).await;
    let text = "Demo: your appointment on Mon 23 Nov at 10:00 is cancelled.";
    assert_eq!(shop.texts(4).await[3], text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_send_that_waits_for_the_morning_is_dropped_if_outdated() {
    let shop = Shop::open("", all()).await;
    shop.set("quiet", json!({"all": "21:00-09:00"})).await;
    shop.clock.advance(14 * HOUR);
    let path = shop.book(MONDAY).await;
    shop.decided("appointment_booked", 1).await;
    shop.api(&format!("{path}/cancel"), json!({})).await;
    shop.decided("appointment_cancelled", 1).await;
    assert_eq!(shop.texts_now(), Vec::<String>::new(), "it is night");
    shop.clock.advance(12 * HOUR);
    assert_eq!(shop.texts(1).await, ["Demo: your appointment on Mon 23 Nov at 10:00 is cancelled."]);
}

const ASK: &str = "rule(\"ask\").on(\"inbound_sms\").keyword(\"ASK\").then(|e| reply(review_link()));";

#[tokio::test(flavor = "multi_thread")]
async fn a_link_counts_each_step_once_and_no_scanner_scores() {
    let mut shop = Shop::open(ASK, all()).await;
    let mut paths = Vec::new();
    for number in 1..=2 {
        shop.text("sms", "ASK").await;
        let link = shop.texts(number).await.remove(number - 1);
        paths.push(link.strip_prefix(PUBLIC_URL).expect("it is ours").to_owned());
    }
    let (low, high) = (&paths[0], &paths[1]);
    assert_ne!(low, high);
    // A visit without a score is no answer.
    shop.visit(Method::HEAD, low, "").await;
    assert!(shop.events("review_opened").await.is_empty());
    for _ in 0..3 {
        let (status, page) = shop.visit(Method::GET, low, "").await;
        assert_eq!((status, page.matches("name=\"score\"").count()), (200, 5));
    }
    shop.visit(Method::GET, &format!("{low}?score=5"), "").await;
    assert_eq!(shop.decided("review_opened", 1).await.len(), 1);
    assert!(shop.events("review_scored").await.is_empty());
    for bad in ["", "score=0", "score=6", "score=x", "feedback=cold"] {
        let (status, page) = shop.visit(Method::POST, low, bad).await;
        assert_eq!((status, page.matches("name=\"score\"").count()), (200, 5), "{bad}");
    }
    // Below the minimum score the answer stays internal; the first score counts.
    for score in ["2", "5"] {
        let (_, page) = shop.visit(Method::POST, low, &format!("score={score}")).await;
        assert!(page.contains("<textarea") && !page.contains("reviews.example"), "{page}");
    }
    let hostile = "feedback=%3Cscript%3Ealert(1)%3C/script%3E%00%1b+cold";
    for _ in 0..2 {
        let (status, page) = shop.visit(Method::POST, low, hostile).await;
        assert_eq!((status, page.contains("textarea"), page.contains("script")), (200, false, false));
    }
    let [scored] = &shop.decided("review_scored", 1).await[..] else { panic!("one score") };
    assert!(scored.contact_id.is_some());
    assert_eq!(serde_json::from_str::<Value>(&scored.data).expect("JSON")["score"], 2);
    let [feedback] = &shop.decided("review_feedback", 1).await[..] else { panic!("one word") };
    let feedback: Value = serde_json::from_str(&feedback.data).expect("JSON");
    assert_eq!((&feedback["text"], &feedback["score"]), (&json!("<script>alert(1)</script> cold"), &json!(2)));
    // From the minimum score on, the public page follows, its address escaped.
    let (_, page) = shop.visit(Method::POST, high, "score=4").await;
    assert!(page.contains("href=\"https://reviews.example/?a=1&amp;b=&quot;2&quot;\""), "{page}");
    shop.decided("review_scored", 2).await;
    // Other tokens do not open it.
    let cut = &high[..high.len() - 1];
    for wrong in ["/r/x", cut, &format!("{cut}{}", if high.ends_with('A') { "Q" } else { "A" }), "/r/%00"] {
        assert_eq!(shop.visit(Method::GET, wrong, "").await.0, 404, "{wrong}");
        assert_eq!(shop.visit(Method::POST, wrong, "score=5").await.0, 404, "{wrong}");
    }
    assert_eq!(shop.visit(Method::POST, high, &"x".repeat(40_000)).await.0, 400);
    shop.clock.advance(91 * 24 * HOUR);
    assert_eq!(shop.visit(Method::GET, high, "").await.0, 404, "its time is over");
}

const PREFER: &str = r#"
rule("prefers").on("inbound_whatsapp").keyword("PREFER").then(|e| set_field("prefers", "whatsapp"));
rule("now").on("inbound_whatsapp").keyword("NOW").then(|e| notify(e.contact, "now"));
rule("later").on("inbound_whatsapp").keyword("LATER").then(|e| notify(e.contact, "later").in("25h"));
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_whatsapp_refuses_is_sent_as_sms_once() {
    let mut shop = Shop::open(PREFER, json!({})).await;
    shop.text("whatsapp", "PREFER").await;
    shop.decided("inbound_whatsapp", 1).await;
    // Here the session window is open; the provider has not seen the customer's message, and reports so later.
    shop.text("whatsapp", "NOW").await;
    shop.provider.wait_taken(1).await;
    let taken = shop.provider.sent().remove(0);
    assert_eq!((taken.to.as_str(), taken.body.as_str()), ("whatsapp:+34600111222", "now"));
    let url = taken.status_callback.expect("it asks for reports");
    let twilio = Twilio::new("http://127.0.0.1:1", ACCOUNT, TOKEN);
    for status in ["sent", "failed", "undelivered", "failed"] {
        let code = if status == "sent" { 0 } else { 63016 };
        let form = twilio.status(&taken.sid, status, &format!("whatsapp:{OURS}"), &taken.to, code);
        let path = url.strip_prefix(PUBLIC_URL).and_then(|path| path.split('#').next()).expect("it is ours");
        let signature = sign(TOKEN, &format!("{PUBLIC_URL}{path}"), &form);
        assert_eq!(shop.inside.answer(posted(path, encode(&form), Some(&signature))).await.0, 200);
    }
    assert_eq!(shop.texts(1).await, ["now"]);
    let [wanted] = &shop.decided("fallback_wanted", 1).await[..] else { panic!("one of them") };
    assert!(wanted.data.contains("63016"), "{}", wanted.data);
    // Planned while the window was open, and due when it is closed: the gate blocks it.
    shop.text("whatsapp", "LATER").await;
    shop.decided("inbound_whatsapp", 3).await;
    shop.clock.advance(25 * HOUR + MINUTE);
    assert_eq!(shop.texts(2).await, ["now", "later"]);
    let wanted = shop.decided("fallback_wanted", 2).await;
    assert!(wanted.iter().any(|event| event.data.contains("24 hours")), "the gate's reason is kept");
    assert_eq!(shop.texts_now().len(), 2, "each went out once");
}
