//! Requests that another page makes a browser send (CSRF), and sessions that it plants: no route that changes something takes
//! them. Programs have tokens, webhooks signatures, and the one form for customers a token of its own and its origin.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Method, Request, header};
use recado::domain::{Clock, Timestamp};
use serde_json::Value;
use tower::ServiceExt;

use super::inside::{Inside, PUBLIC_URL, encode, posted};
use super::rig::{ACCOUNT, ECHO, OURS, TOKEN, customer};
use crate::support::webhook::{Twilio, message_sid, sign};
use crate::support::{replace_tenant, source};

const FORM: &str = "application/x-www-form-urlencoded";
const EVIL: &str = "https://evil.example";
const START: Timestamp = Timestamp::from_unix_us(1_800_000_000_000_000);
const DOCUMENT_MAX_BYTES: usize = 4 * 1024 * 1024;

/// An answer: its status, headers and text.
struct Answered {
    status: u16,
    headers: HeaderMap,
    text: String,
}

async fn ask(inside: &Inside, request: Request<Body>) -> Answered {
    let response = inside.router.clone().oneshot(request).await.expect("the router itself cannot fail");
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let bytes = to_bytes(response.into_body(), DOCUMENT_MAX_BYTES).await.expect("it is short");
    Answered { status, headers, text: String::from_utf8_lossy(&bytes).into_owned() }
}

/// A request as a browser sends it for a page of another origin, with a cookie that the page has planted.
fn forged(method: &str, path: &str, body: &str) -> Request<Body> {
    Request::builder()
        .method(method)
        .uri(path)
        .header(header::CONTENT_TYPE, FORM)
        .header(header::ORIGIN, EVIL)
        .header("sec-fetch-site", "cross-site")
        .header(header::COOKIE, "session=planted; recado=planted; token=planted")
        .body(Body::from(body.to_owned()))
        .expect("a path of ours")
}

/// A path without its parameters' braces.
fn filled(path: &str) -> String {
    let nil = uuid::Uuid::nil().to_string();
    let parts = path.split('/').map(|part| match part {
        "{slug}" => "demo",
        "{channel}" => "sms",
        part if part.starts_with('{') => nil.as_str(),
        part => part,
    });
    parts.collect::<Vec<_>>().join("/")
}

async fn stored(inside: &Inside) -> usize {
    let tenant = inside.directory.now().by_slug("demo").expect("it is there").id;
    let events = inside.store.events(tenant, 100).await.expect("they can be read").len();
    let messages = inside.store.messages(tenant, None, 100).await.expect("they can be read").len();
    let calls = inside.store.call_page(tenant, &recado::store::CallFilter { limit: 100, ..Default::default() }).await;
    let customers = inside.store.customer_page(tenant, None, 100).await.expect("they can be read").len();
    events + messages + calls.expect("they can be read").len() + customers
}

#[tokio::test(flavor = "multi_thread")]
async fn no_operation_of_the_api_takes_a_request_without_its_token() {
    let inside = Inside::at("http://127.0.0.1:1", Clock::system(), ECHO).await;
    let description = ask(&inside, Request::get("/api/openapi.json").body(Body::empty()).unwrap()).await;
    let description: Value = serde_json::from_str(&description.text).expect("JSON");
    let mut tried = 0;
    for (path, operations) in description["paths"].as_object().expect("an object") {
        for method in ["post", "put", "patch", "delete"] {
            if operations.get(method).is_none() {
                continue;
            }
            for body in ["phone=%2B34600111222&name=x", "{\"phone\": \"+34600111222\"}", ""] {
                let answered = ask(&inside, forged(&method.to_uppercase(), &filled(path), body)).await;
                assert_eq!(answered.status, 401, "{method} {path} {body}: {}", answered.text);
                assert!(!answered.headers.contains_key(header::SET_COOKIE), "{method} {path}");
                tried += 1;
            }
        }
    }
    assert!(tried > 60, "{tried}");
    assert_eq!(stored(&inside).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_webhook_takes_an_unsigned_form() {
    let inside = Inside::at("http://127.0.0.1:1", Clock::system(), ECHO).await;
    let router = std::fs::read_to_string(source::top().join("src/http/router.rs")).expect("it is there");
    let listed = router.split(".route(\"").skip(1).filter_map(|rest| rest.split_once('"'));
    let mut paths: Vec<String> =
        listed.filter(|(path, _)| path.starts_with("/api/")).map(|(path, _)| filled(path)).collect();
    paths.extend(["sms", "whatsapp", "rcs"].map(|channel| format!("/api/twilio/demo/{channel}")));
    paths.push("/api/whatsapp/webhook".to_owned());
    assert!(paths.len() > 20, "{paths:?}");
    let twilio = Twilio::new(PUBLIC_URL, ACCOUNT, TOKEN);
    let mut form = twilio.inbound(&message_sid(1), &customer(1), OURS, "hola");
    for (name, value) in [("CallSid", "CA00000000000000000000000000000001"), ("CallStatus", "ringing")] {
        form.push((name.to_owned(), value.to_owned()));
    }
    let body = encode(&form);
    for path in &paths {
        for request in [forged("POST", path, &body), forged("GET", &format!("{path}?{body}"), "")] {
            let method = request.method().clone();
            let answered = ask(&inside, request).await;
            assert!((400..500).contains(&answered.status), "{method} {path}: {} {}", answered.status, answered.text);
            assert!(!answered.headers.contains_key(header::SET_COOKIE), "{method} {path}");
        }
    }
    assert_eq!(stored(&inside).await, 0);
}

/// Nothing to fix a session to: no page knows one.
#[tokio::test(flavor = "multi_thread")]
async fn no_page_sets_a_cookie_or_depends_on_one() {
    let inside = Inside::at("http://127.0.0.1:1", Clock::system(), ECHO).await;
    for path in ["/health", "/ready", "/docs", "/docs/", "/docs/start", "/docs/style.css", "/api/docs/", "/r/x", "/x"] {
        let plain = ask(&inside, Request::get(path).body(Body::empty()).unwrap()).await;
        let planted = ask(&inside, forged("GET", path, "")).await;
        assert!(!plain.headers.contains_key(header::SET_COOKIE), "{path}");
        assert!(!planted.headers.contains_key(header::SET_COOKIE), "{path}");
        assert_eq!(plain.status, planted.status, "{path}");
    }
}

/// A business with two review links, on the test's clock.
struct Reviews {
    inside: Inside,
    clock: Clock,
}

impl Reviews {
    async fn open() -> Self {
        let clock = Clock::simulated(START);
        Self { inside: Inside::at("http://127.0.0.1:1", clock.clone(), ECHO).await, clock }
    }

    /// The path of a review link for a new message.
    async fn link(&self, number: u128) -> String {
        let form = Twilio::new(PUBLIC_URL, ACCOUNT, TOKEN).inbound(&message_sid(number), &customer(1), OURS, "hola");
        let signature = sign(TOKEN, &format!("{PUBLIC_URL}/api/twilio/demo/sms"), &form);
        let taken = ask(&self.inside, posted("/api/twilio/demo/sms", encode(&form), Some(&signature))).await;
        assert_eq!(taken.status, 200, "{}", taken.text);
        let newest = &self.events().await[0];
        let url = self.inside.pipeline.rules().links().url(recado::domain::EventId::new(newest.id));
        url.strip_prefix(PUBLIC_URL).expect("it is ours").to_owned()
    }

    async fn events(&self) -> Vec<recado::store::rows::event::Model> {
        let tenant = self.inside.directory.now().by_slug("demo").expect("it is there").id;
        self.inside.store.events(tenant, 100).await.expect("they can be read")
    }

    /// How many scores and feedbacks are stored.
    async fn answers(&self) -> usize {
        let kinds = ["review_scored", "review_feedback"];
        self.events().await.iter().filter(|event| kinds.contains(&event.kind.as_str())).count()
    }

    /// Opens a page; gives the token of its form.
    async fn page(&self, path: &str) -> String {
        let page = ask(&self.inside, Request::get(path).body(Body::empty()).unwrap()).await;
        assert_eq!(
            page.headers[header::REFERRER_POLICY],
            "same-origin",
            "so that browsers name the origin of its form"
        );
        form_token(&page.text).expect("the page has a form").to_owned()
    }

    async fn post(&self, path: &str, body: &str, headers: &[(&str, &str)]) -> Answered {
        let request = Request::builder().method(Method::POST).uri(path).header(header::CONTENT_TYPE, FORM);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        ask(&self.inside, request.body(Body::from(body.to_owned())).expect("a path of ours")).await
    }
}

/// The token in the form of a review page.
fn form_token(page: &str) -> Option<&str> {
    page.split_once("name=\"form\" value=\"")?.1.split_once('"').map(|(token, _)| token)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_other_page_answers_a_review_for_the_customer() {
    let reviews = Reviews::open().await;
    let (path, other) = (reviews.link(1).await, reviews.link(2).await);
    let (token, others) = (reviews.page(&path).await, reviews.page(&other).await);
    let with = |token: &str, what: &str| format!("form={token}&{what}");
    // Without a token of this page the form is shown anew, and can be sent again.
    let cut = &token[..token.len() - 1];
    for forged in ["score=1".to_owned(), with("", "score=1"), with(&others, "score=1"), with(cut, "score=1")] {
        let answered = reviews.post(&path, &forged, &[]).await;
        assert_eq!(answered.status, 403, "{forged}");
        assert_eq!(answered.text.matches("name=\"score\"").count(), 5, "{forged}: {}", answered.text);
        assert!(form_token(&answered.text).is_some(), "{forged}");
    }
    // With a good token, but from another page. The answer has no token of a form.
    let null: &[(&str, &str)] = &[("origin", "null"), ("sec-fetch-site", "cross-site")];
    for headers in [
        &[("origin", EVIL)] as &[(&str, &str)],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site"), ("origin", "http://other.127.0.0.1:1")],
        &[("origin", "null")],
        null,
        &[("origin", EVIL), ("sec-fetch-site", "same-origin")],
    ] {
        for what in ["score=1", "feedback=bad"] {
            let answered = reviews.post(&path, &with(&token, what), headers).await;
            assert_eq!(answered.status, 403, "{headers:?}");
            assert!(form_token(&answered.text).is_none(), "{headers:?}: {}", answered.text);
        }
    }
    assert_eq!(reviews.answers().await, 0);

    // The customer's own browser, newer and older, and a page that was open for a while.
    reviews.clock.advance(Duration::from_secs(86_399));
    let own = [("origin", PUBLIC_URL), ("sec-fetch-site", "same-origin")];
    let scored = reviews.post(&path, &with(&token, "score=2"), &own).await;
    assert_eq!((scored.status, reviews.answers().await), (200, 1), "{}", scored.text);
    let next = form_token(&scored.text).expect("it asks what could be better").to_owned();
    reviews.clock.advance(Duration::from_secs(1));
    let stale = reviews.post(&other, &with(&others, "score=2"), &own).await;
    assert_eq!((stale.status, reviews.answers().await), (403, 1), "it was open for a day");
    let said = reviews.post(&path, &with(&next, "feedback=cold"), &[("origin", PUBLIC_URL)]).await;
    assert_eq!((said.status, reviews.answers().await), (200, 2));
    let plain = form_token(&stale.text).expect("a new form").to_owned();
    assert_eq!(reviews.post(&other, &with(&plain, "score=5"), &[]).await.status, 200, "no header at all");
    assert_eq!(reviews.answers().await, 3);
}

/// The name of a business is the only text on these pages that somebody else writes.
const NAME: &str = "\"><script>document.title='ran'</script><img src=x onerror=\"document.title='ran'\">";

#[tokio::test(flavor = "multi_thread")]
async fn the_name_of_a_business_is_text_on_every_page_of_a_review() {
    let reviews = Reviews::open().await;
    let store = &reviews.inside.store;
    let (_, rows, _) = store.directory().await.expect("it can be read");
    let mut demo = rows.into_iter().find(|row| row.slug == "demo").expect("it is made");
    demo.name = NAME.to_owned();
    replace_tenant(store, demo).await.expect("it can be changed");
    reviews.inside.directory.refresh().await.expect("it can be read");
    let path = reviews.link(1).await;
    let get = async |path: &str| ask(&reviews.inside, Request::get(path).body(Body::empty()).expect("ours")).await;
    let first = get(&path).await;
    let form = form_token(&first.text).expect("a form").to_owned();
    let low = reviews.post(&path, &format!("form={form}&score=2"), &[]).await;
    let other = reviews.post(&path, &format!("form={form}&score=2"), &[("origin", EVIL)]).await;
    let wrong = get("/r/%3Cscript%3E").await;
    for page in [&first, &low, &other, &wrong] {
        let policy = page.headers[header::CONTENT_SECURITY_POLICY].to_str().expect("it is ASCII");
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        assert!(!page.text.contains("<script") && !page.text.contains("<img"), "{}", page.text);
    }
    assert!(first.text.contains("&lt;script&gt;"), "the name is shown: {}", first.text);
}
