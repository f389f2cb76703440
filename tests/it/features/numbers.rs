//! Numbers are searched, bought with all webhooks set in the same step, listed, repaired and released.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use reqwest::Method as Verb;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::cli::{self, Ran};
use crate::faults::rig::{self, ACCOUNT, OURS, Provider, TOKEN};
use crate::support::http_client;
use crate::support::server::Server;

const NOT_FOR_SALE: &str = "+15005550000";
const NO_NUMBER: &str = "+15005550001";

/// A proxy to the provider that counts purchases and can lose their responses.
struct Wire {
    to: String,
    purchases: AtomicUsize,
    /// The next purchase is made, but its response is lost.
    lose: AtomicBool,
    /// The next purchase does not reach the provider, and no error is returned.
    swallow: AtomicBool,
}

impl Wire {
    async fn start(provider: &Provider) -> (Arc<Self>, String) {
        let wire = Arc::new(Self {
            to: provider.url.clone(),
            purchases: AtomicUsize::new(0),
            lose: AtomicBool::new(false),
            swallow: AtomicBool::new(false),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port can be bound");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let router = axum::Router::new().fallback(pass).with_state(wire.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.expect("serves until the test ends") });
        (wire, url)
    }
}

async fn pass(State(wire): State<Arc<Wire>>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let is_purchase = method == Method::POST && uri.path().ends_with("/IncomingPhoneNumbers.json");
    let lost = || (StatusCode::INTERNAL_SERVER_ERROR, "lost").into_response();
    if is_purchase && wire.swallow.swap(false, Ordering::SeqCst) {
        return lost();
    }
    let mut request = http_client().request(method, format!("{}{uri}", wire.to)).body(body);
    for name in [header::AUTHORIZATION, header::CONTENT_TYPE] {
        if let Some(value) = headers.get(&name) {
            request = request.header(name, value);
        }
    }
    let answer = request.send().await.expect("the provider answers");
    let status = answer.status();
    let text = answer.text().await.expect("a text");
    if is_purchase && status.is_success() {
        wire.purchases.fetch_add(1, Ordering::SeqCst);
        if wire.lose.swap(false, Ordering::SeqCst) {
            return lost();
        }
    }
    (status, [(header::CONTENT_TYPE, "application/json")], text).into_response()
}

/// A server, its provider, and the proxy between them.
struct Shop {
    server: Server,
    provider: Provider,
    wire: Arc<Wire>,
    base: String,
    token: String,
}

impl Shop {
    async fn open(budget: &str) -> Self {
        let provider = Provider::start(1).await;
        let (wire, base) = Wire::start(&provider).await;
        let server = Server::start(rig::options(&base).env("NUMBERS_BUDGET", budget)).await;
        let token = ["tenant", "token", "add", "demo", "--name", "test", "--json"];
        let made = cli::run(&mut rig::recado(&server, &token)).json();
        let token = made["token"].as_str().expect("a token").to_owned();
        Self { server, provider, wire, base, token }
    }

    fn command(&self, args: &[&str]) -> std::process::Command {
        let mut command = rig::recado(&self.server, &[&["numbers"], args].concat());
        command.env("TWILIO_API_BASE", &self.base).env("NUMBERS_BUDGET", "2").env("APP_URL", self.server.url());
        command
    }

    fn run(&self, args: &[&str]) -> Ran {
        cli::run(&mut self.command(args))
    }

    fn list(&self) -> Vec<Value> {
        self.run(&["list", "--json"]).json().as_array().expect("an array").clone()
    }

    fn listed(&self, number: &str) -> Value {
        self.list().into_iter().find(|one| one["number"] == number).unwrap_or_default()
    }

    async fn ask(&self, verb: Verb, path: &str, body: Option<Value>, key: &str) -> (u16, Value) {
        let mut request =
            http_client().request(verb, format!("{}/api/v1/{path}", self.server.url())).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        if !key.is_empty() {
            request = request.header("idempotency-key", key);
        }
        let response = request.send().await.expect("the server answers");
        (response.status().as_u16(), response.json().await.expect("JSON"))
    }

    /// The provider's record of a number.
    async fn at_provider(&self, number: &str) -> Option<Value> {
        let url = format!("{}/2010-04-01/Accounts/{ACCOUNT}/IncomingPhoneNumbers.json", self.provider.url);
        let answer = http_client().get(url).basic_auth(ACCOUNT, Some(TOKEN)).send().await.expect("it answers");
        let page: Value = answer.json().await.expect("JSON");
        let numbers = page["incoming_phone_numbers"].as_array().expect("numbers").clone();
        numbers.into_iter().find(|one| one["phone_number"] == number)
    }

    /// Points a number's calls elsewhere, as in the console.
    async fn misdirect(&self, number: &str) {
        let sid = self.at_provider(number).await.expect("it is there")["sid"].as_str().expect("a SID").to_owned();
        let url = format!("{}/2010-04-01/Accounts/{ACCOUNT}/IncomingPhoneNumbers/{sid}.json", self.provider.url);
        let request = http_client().post(url).basic_auth(ACCOUNT, Some(TOKEN));
        let request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        let answer = request.body("VoiceUrl=https%3A%2F%2Felsewhere.example%2Fvoice").send().await.expect("it answers");
        assert_eq!(answer.status(), 200);
    }

    /// A number that a search finds.
    fn on_offer(&self) -> String {
        let found = self.run(&["search", "es", "--kind", "mobile", "--limit", "2", "--json"]).json();
        assert_eq!(found.as_array().map(Vec::len), Some(2), "{found}");
        found[0]["number"].as_str().expect("a number").to_owned()
    }

    fn bought(&self) -> usize {
        self.wire.purchases.load(Ordering::SeqCst)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_is_found_bought_and_has_all_its_webhooks_at_once() {
    let shop = Shop::open("2").await;
    let number = shop.on_offer();
    assert!(number.starts_with("+346"), "{number}");
    shop.run(&["buy", &number]).fails(1, &["costs", "nothing was bought"]);
    assert_eq!(shop.bought(), 0);
    let bought = shop.run(&["buy", &number, "--yes", "--name", "Recepción", "--json"]).json();
    assert_eq!((&bought["bought"], &bought["points_here"]), (&json!(true), &json!(true)));
    assert_eq!(bought["sends"], json!(["sms", "voice"]));
    let there = shop.at_provider(&number).await.expect("it was bought");
    let url = shop.server.url();
    for (field, end) in [
        ("voice_url", "answer"),
        ("voice_fallback_url", "fallback"),
        ("status_callback", "status"),
        ("sms_url", "sms#rc=3&rp=all"),
    ] {
        assert_eq!(there[field], format!("{url}/api/twilio/demo/{end}"), "{there}");
    }
    assert_eq!((&there["voice_method"], &there["friendly_name"]), (&json!("POST"), &json!("Recepción")));
    // A repeat costs nothing.
    assert_eq!(shop.run(&["buy", &number, "--yes", "--json"]).json()["bought"], false);
    assert_eq!(shop.bought(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_the_budget_nothing_is_bought_and_refusals_say_what_to_do() {
    let shop = Shop::open("2").await;
    for (number, says) in [(NOT_FOR_SALE, "search again"), (NO_NUMBER, "recado numbers search"), (OURS, "installation")]
    {
        shop.run(&["buy", number, "--yes"]).fails(1, &[says]);
        // A claim without a purchase is gone.
        assert_eq!(shop.listed(number)["sends"].as_array().map_or(0, Vec::len), 0);
    }
    shop.run(&["search", "US", "--area-code", "533"]).fails(1, &["that area"]);
    shop.run(&["search", "XX"]).fails(1, &["no such numbers in XX"]);
    for number in ["+34600990101", "+34600990102"] {
        shop.run(&["buy", number, "--yes"]).ok();
    }
    shop.run(&["buy", "+34600990103", "--yes"]).fails(1, &["has 2 numbers", "NUMBERS_BUDGET"]);
    let body = json!({"number": "+34600990103", "confirm": true});
    let (status, problem) = shop.ask(Verb::POST, "numbers", Some(body), "").await;
    assert_eq!((status, problem["code"].as_str()), (409, Some("over_budget")));
    assert_eq!(shop.bought(), 2);
    assert!(shop.at_provider("+34600990103").await.is_none());
    assert_eq!(shop.listed("+34600990103"), Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purchase_whose_response_is_lost_is_paid_once() {
    let shop = Shop::open("2").await;
    let number = "+34600990201";
    let body = |confirm: bool| Some(json!({"number": number, "confirm": confirm}));
    let (status, problem) = shop.ask(Verb::POST, "numbers", body(false), "").await;
    assert_eq!((status, problem["code"].as_str()), (422, Some("not_confirmed")));
    // The request was lost, and the outcome is unknown.
    shop.wire.swallow.store(true, Ordering::SeqCst);
    let (status, problem) = shop.ask(Verb::POST, "numbers", body(true), "k1").await;
    assert_eq!((status, problem["code"].as_str()), (502, Some("outcome_unknown")), "{problem}");
    // Now it is made, but the response is lost: the list decides.
    shop.wire.lose.store(true, Ordering::SeqCst);
    let (status, bought) = shop.ask(Verb::POST, "numbers", body(true), "k1").await;
    assert_eq!((status, &bought["points_here"]), (201, &json!(true)), "{bought}");
    let again = shop.ask(Verb::POST, "numbers", body(true), "k1").await;
    assert_eq!(again, (201, bought));
    let (status, other) = shop.ask(Verb::POST, "numbers", body(true), "k2").await;
    assert_eq!((status, &other["bought"]), (200, &json!(false)));
    assert_eq!(shop.bought(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_after_the_purchase_is_repaired() {
    let shop = Shop::open("2").await;
    let number = "+34600990301";
    let ran = cli::run(shop.command(&["buy", number, "--yes"]).env("RECADO_ABORT_AT", "number_bought:1"));
    assert_ne!(ran.code, Some(0), "{ran:?}");
    assert_eq!(shop.bought(), 1);
    assert_eq!(shop.listed(number)["sends"], json!(["voice"]));
    let repaired = shop.run(&["configure", number, "--json"]).json();
    assert_eq!((&repaired["sends"], &repaired["points_here"]), (&json!(["sms", "voice"]), &json!(true)));
    assert_eq!(shop.bought(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_are_listed_with_whether_they_are_active_and_point_here() {
    let shop = Shop::open("2").await;
    let (number, ghost) = ("+34600990401", "+34600990402");
    shop.run(&["buy", number, "--yes"]).ok();
    cli::run(&mut rig::recado(&shop.server, &["tenant", "set", "demo", "--sms", ghost])).ok();
    let agent = ["agents", "add", "Lucia", "--number", number];
    cli::run(&mut rig::recado(&shop.server, &agent)).ok();
    let one = shop.listed(number);
    assert_eq!((&one["active"], &one["points_here"], &one["agent"]), (&json!(true), &json!(true), &json!("Lucia")));
    assert_eq!(shop.listed(ghost)["active"], false);
    assert_eq!((&shop.listed(OURS)["active"], &shop.listed(OURS)["shared"]), (&json!(false), &json!(true)));

    shop.misdirect(number).await;
    let one = shop.listed(number);
    assert_eq!((&one["points_here"], &one["sms"]["here"]), (&json!(false), &json!(true)));
    assert_eq!(one["voice"], json!({"here": false, "to": "https://elsewhere.example/voice"}));
    let text = shop.run(&["list"]).ok();
    assert!(text.contains("calls: go to https://elsewhere.example/voice, not here"), "{text}");
    let (status, page) = shop.ask(Verb::GET, "numbers", None, "").await;
    assert_eq!(status, 200);
    assert!(page["items"].as_array().is_some_and(|items| items.contains(&one)), "{page}");
    let path = format!("numbers/{number}/configure");
    let (status, repaired) = shop.ask(Verb::POST, &path, Some(json!({})), "").await;
    assert_eq!((status, &repaired["points_here"]), (200, &json!(true)));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_tenants_number_is_out_of_reach() {
    let shop = Shop::open("2").await;
    let (number, spare) = ("+34600990501", "+34600990502");
    cli::run(&mut rig::recado(&shop.server, &["tenant", "add", "other"])).ok();
    shop.run(&["buy", number, "--yes", "--tenant", "other"]).ok();
    shop.run(&["buy", spare, "--yes", "--tenant", "other"]).ok();
    cli::run(&mut rig::recado(&shop.server, &["tenant", "set", "other", "--remove-sender", spare])).ok();
    for number in [number, spare] {
        assert_eq!(shop.listed(number), Value::Null);
        let body = Some(json!({"number": number, "confirm": true}));
        let (status, problem) = shop.ask(Verb::POST, "numbers", body, "").await;
        assert_eq!((status, problem["code"].as_str()), (409, Some("taken")), "{problem}");
        let (status, _) = shop.ask(Verb::DELETE, &format!("numbers/{number}?confirm=true"), None, "").await;
        assert_eq!(status, 404);
        shop.run(&["configure", number]).fails(1, &["has no number"]);
        assert!(shop.at_provider(number).await.is_some());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_is_released_after_its_uses_are_listed() {
    let shop = Shop::open("2").await;
    let (one, two) = ("+34600990601", "+34600990602");
    for number in [one, two] {
        shop.run(&["buy", number, "--yes"]).ok();
    }
    cli::run(&mut rig::recado(&shop.server, &["agents", "add", "Lucia", "--number", one])).ok();
    shop.run(&["release", one]).fails(1, &["Lucia takes its calls", "sends sms by it", "nothing was given back"]);
    assert!(shop.at_provider(one).await.is_some());
    let said = shop.run(&["release", one, "--yes"]).ok();
    assert!(said.contains("was given back") && said.contains("Lucia names it still"), "{said}");
    assert!(shop.at_provider(one).await.is_none());
    assert_eq!(shop.listed(one), Value::Null);
    shop.run(&["release", one, "--yes"]).fails(1, &["has no number"]);

    let path = format!("numbers/{two}");
    let (status, problem) = shop.ask(Verb::DELETE, &path, None, "").await;
    assert_eq!((status, problem["code"].as_str()), (409, Some("not_confirmed")));
    assert!(shop.at_provider(two).await.is_some());
    let (status, released) = shop.ask(Verb::DELETE, &format!("{path}?confirm=true"), None, "").await;
    assert_eq!((status, &released["was_active"]), (200, &json!(true)), "{released}");
    assert!(shop.at_provider(two).await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn buying_and_giving_back_does_not_go_round_the_budget() {
    let shop = Shop::open("2").await;
    for _ in 0..2 {
        let number = shop.on_offer();
        shop.run(&["buy", &number, "--yes"]).ok();
        shop.run(&["release", &number, "--yes"]).ok();
    }
    assert!(shop.list().iter().all(|one| one["number"] == OURS), "it has none");
    let number = shop.on_offer();
    let says = ["has 0 numbers and has bought and given back 2 within 30 days", "counts for 30 days"];
    shop.run(&["buy", &number, "--yes"]).fails(1, &says);
    let (status, problem) = shop.ask(Verb::POST, "numbers", Some(json!({"number": number, "confirm": true})), "").await;
    assert_eq!((status, problem["code"].as_str()), (409, Some("over_budget")), "{problem}");
    assert_eq!(shop.bought(), 2);
    // A purchase that is refused counts for nothing.
    assert!(shop.at_provider(&number).await.is_none());
}
