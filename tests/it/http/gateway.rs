//! Sends by another provider, and requests of rules. The binary is real; the gateway runs in the test's process.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, Request, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use recado::domain::{Clock, TokenScope};
use recado::http::api::{hash_of_token, new_token};
use recado::store::NewApiToken;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::cli::{command, run};
use crate::faults::inside::Inside;
use crate::faults::rig::{self, Look, OURS, Provider, post, recado, twilio};
use crate::support::http_client;
use crate::support::server::{Server, ServerOptions};
use crate::support::wait::eventually;
use crate::support::webhook::{fields, message_sid};

/// A number in India, which the gateway takes; and one in Spain, which Twilio takes.
const INDIAN: &str = "+919876543210";
const SPANISH: &str = "+34600111222";
const KEY: &str = "s3cretKeyInTheDotEnvFile";
const TOKEN: &str = "s3cretTokenInTheEnvironment";
const WITHIN: Duration = Duration::from_secs(30);

/// A request that the gateway received.
#[derive(Clone, Debug)]
struct Asked {
    method: Method,
    target: String,
    headers: HeaderMap,
    body: String,
}

impl Asked {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// A gateway that answers with these statuses in order, and then repeats the last one.
#[derive(Clone)]
struct Gateway {
    asked: Arc<Mutex<Vec<Asked>>>,
    answers: Arc<Mutex<Vec<u16>>>,
    url: String,
}

impl Gateway {
    async fn answering(answers: &[u16]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port can be bound");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let gateway = Self { asked: Arc::default(), answers: Arc::new(Mutex::new(answers.to_vec())), url };
        let router = Router::new().fallback(take).with_state(gateway.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.expect("serves until the test ends") });
        gateway
    }

    fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("no test panics within").clone()
    }

    /// Sets the status of all further answers.
    fn answer(&self, status: u16) {
        *self.answers.lock().expect("no test panics within") = vec![status];
    }

    async fn wait_asked(&self, count: usize) -> Vec<Asked> {
        eventually(WITHIN, || async {
            let asked = self.asked();
            if asked.len() >= count { Ok(asked) } else { Err(asked.len()) }
        })
        .await
    }

    /// Returns its description for `PROVIDERS_FILE`, with one more line.
    fn described(&self, more: &str) -> String {
        let url = &self.url;
        format!(
            r#"
[[provider]]
name = "india"
prefixes = ["+91"]
sender = "RECADO"
url = "{url}/send?key={{{{env.INDIA_KEY}}}}"
headers = {{ Authorization = "Bearer {{{{env.INDIA_TOKEN}}}}" }}
content_type = "json"
body = '{{"to": "{{{{to}}}}", "from": "{{{{from}}}}", "text": "{{{{text}}}}", "ref": "{{{{id}}}}", "callback": "{{{{callback}}}}"}}'
id = "/id"
error = "/message"
{more}
[provider.callback]
id = "/id"
status = "state"
sent = ["SENT"]
delivered = ["DELIVERED"]
failed = ["FAILED"]
error_code = "/code"
"#
        )
    }
}

/// The callback that an eager gateway sends before its response.
const EARLY: &str = "early";

async fn take(State(gateway): State<Gateway>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let body = String::from_utf8(body.to_vec()).expect("UTF-8");
    let id = {
        let mut asked = gateway.asked.lock().expect("no test panics within");
        asked.push(Asked { method, target: uri.to_string(), headers: headers.clone(), body: body.clone() });
        asked.len()
    };
    if body.contains(EARLY) {
        let message: Value = serde_json::from_str(&body).expect("JSON");
        let answer = http_client().post(message["callback"].as_str().expect("a URL"));
        let answer = answer.json(&json!({"id": format!("gw-{id}"), "state": "DELIVERED"})).send().await;
        assert_eq!(answer.expect("an answer").status(), 204);
    }
    let mut answers = gateway.answers.lock().expect("no test panics within");
    let status = if answers.len() > 1 { answers.remove(0) } else { answers[0] };
    // Some gateways repeat our credentials in their error texts.
    let said = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let body = json!({"id": format!("gw-{id}"), "message": format!("no, {said} {uri}")}).to_string();
    (StatusCode::from_u16(status).expect("a status"), body).into_response()
}

fn options(twilio: &Provider, described: &str) -> ServerOptions {
    rig::options(&twilio.url)
        .env("INDIA_TOKEN", TOKEN)
        .env("LOG_LEVEL", "trace")
        .file(".env", format!("PROVIDERS_FILE=gateways.toml\nOUTBOUND_ALLOW=127.0.0.1\nINDIA_KEY={KEY}\n"))
        .file("gateways.toml", described)
}

/// Runs a command with the server's environment variable; returns its JSON.
fn ask(server: &Server, args: &[&str]) -> Value {
    run(recado(server, args).env("INDIA_TOKEN", TOKEN)).json()
}

async fn write(server: &Server, sid: u128, from: &str, body: &str) {
    let twilio = twilio(server);
    assert_eq!(post(&twilio, &twilio.inbound(&message_sid(sid), from, OURS, body)).await, Some(200));
}

/// Waits until the newest message to a number has this status; returns the message.
async fn outgoing(server: &Server, to: &str, status: &str) -> Value {
    eventually(WITHIN, || async {
        let messages = ask(server, &["messages", "--contact", to, "--json"]);
        let newest =
            messages.as_array().expect("an array").iter().find(|message| message["direction"] == "out").cloned();
        newest.filter(|message| message["status"] == status).ok_or(messages)
    })
    .await
}

async fn state(server: &Server, to: &str, wanted: &str) {
    let look = Look::into(server.folder()).await;
    eventually(WITHIN, || async {
        let actions = look.actions().await;
        let mine =
            actions.into_iter().filter(|action| action.recipient.as_deref() == Some(to)).max_by_key(|a| a.planned_us);
        let mine = mine.map(|action| (action.state, action.reason));
        if mine.as_ref().is_some_and(|(state, _)| state == wanted) { Ok(()) } else { Err(mine) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sms_to_a_prefix_go_through_the_generic_provider_and_come_back_delivered() {
    let (twilio, gateway) = (Provider::start(1).await, Gateway::answering(&[202]).await);
    let mut server = Server::start(options(&twilio, &gateway.described(""))).await;
    write(&server, 1, INDIAN, "namasté \"}&\n{{env.INDIA_KEY}}").await;
    write(&server, 2, SPANISH, "hola").await;
    let asked = gateway.wait_asked(1).await;
    twilio.wait_taken(1).await;
    let (sent, body) = (&asked[0], asked[0].json());
    assert_eq!((&sent.method, sent.target.as_str()), (&Method::POST, format!("/send?key={KEY}").as_str()));
    assert_eq!(sent.header("authorization"), format!("Bearer {TOKEN}"));
    assert_eq!(sent.header("content-type"), "application/json");
    let text = "re namasté \"}&\n{{env.INDIA_KEY}}";
    assert_eq!((&body["to"], &body["from"], &body["text"]), (&json!(INDIAN), &json!("RECADO"), &json!(text)));
    assert_eq!(twilio.carrier.count_to(INDIAN), 0, "Twilio was not asked");
    assert_eq!(twilio.carrier.count_to(SPANISH), 1, "and what is Twilio's went through Twilio");

    // The delivery comes back: in disorder, twice, as JSON, as a form and in a query.
    let message = outgoing(&server, INDIAN, "queued").await;
    assert_eq!((&message["provider_sid"], &message["from"]), (&json!("gw-1"), &json!("RECADO")));
    let (callback, client) = (body["callback"].as_str().expect("a URL"), http_client());
    let id = body["ref"].as_str().expect("an id");
    assert!(callback.starts_with(&format!("{}/api/providers/india/demo/{id}/", server.url())), "{callback}");
    let report_state = |state: &str| client.post(callback).json(&json!({"id": "gw-1", "state": state})).send();
    assert_eq!(report_state("sent").await.expect("an answer").status(), 204);
    let form = client.post(callback).form(&fields(&[("id", "gw-1"), ("state", "DELIVERED")])).send();
    assert_eq!(form.await.expect("an answer").status(), 204);
    for state in ["DELIVERED", "SENT", "FAILED", "NEWLY INVENTED"] {
        assert_eq!(report_state(state).await.expect("an answer").status(), 204, "{state}");
    }
    let query = client.get(format!("{callback}?id=gw-1&state=DELIVERED")).send();
    assert_eq!(query.await.expect("an answer").status(), 204);
    outgoing(&server, INDIAN, "delivered").await;
    assert_eq!(client.post(callback).body("{}").send().await.expect("an answer").status(), 400, "it has no status");

    // Each change of the URL makes the callback invalid.
    let mac = callback.rsplit('/').next().expect("it ends with its proof");
    let other = message_sid(7).to_lowercase();
    for forged in [
        callback.replace(mac, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
        callback.replace(id, "01a1fd78-860c-7000-8000-000000000000"),
        callback.replace("/demo/", "/other/"),
        callback.replace("/india/", &format!("/{other}/")),
    ] {
        let refused =
            client.post(&forged).json(&json!({"id": "x", "state": "FAILED"})).send().await.expect("an answer");
        assert_eq!(refused.status(), 403, "{forged}");
    }
    outgoing(&server, INDIAN, "delivered").await;

    let why = ask(&server, &["explain", "gw-1", "--json"]);
    assert_eq!((&why["actions"][0]["route"], &why["actions"][0]["state"]), (&json!("provider:india"), &json!("sent")));
    assert!(server.stop().await.success());
    nothing_secret_is_kept(&server);
}

/// Checks that no secret is in the database, the log or the output of `explain`.
fn nothing_secret_is_kept(server: &Server) {
    for entry in std::fs::read_dir(server.folder()).expect("the folder can be read").flatten() {
        let files = if entry.path().is_dir() {
            std::fs::read_dir(entry.path()).expect("it can be read").flatten().map(|entry| entry.path()).collect()
        } else {
            vec![entry.path()]
        };
        for file in files.iter().filter(|file| file.is_file() && !file.ends_with(".env")) {
            let bytes = std::fs::read(file).expect("it can be read");
            for secret in [KEY, TOKEN] {
                let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
                assert!(!found, "{secret} stands in {}", file.display());
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_was_lost_is_settled_by_the_callback_and_nothing_is_sent_twice() {
    let (twilio, gateway) = (Provider::start(2).await, Gateway::answering(&[500, 200]).await);
    let mut server = Server::start(options(&twilio, &gateway.described(""))).await;
    write(&server, 1, INDIAN, "one").await;
    state(&server, INDIAN, "unknown").await;
    // The next send waits behind it, so that neither overtakes the other.
    write(&server, 2, INDIAN, "two").await;
    let body = gateway.wait_asked(1).await[0].json();
    // The send outlives the process, and its reconciliation falls due meanwhile.
    assert!(server.stop().await.success());
    server.start_again().await;
    let callback = body["callback"].as_str().expect("a URL");
    let answer = http_client().post(callback).json(&json!({"id": "gw-1", "state": "DELIVERED"})).send().await;
    assert_eq!(answer.expect("an answer").status(), 204);
    let asked = gateway.wait_asked(2).await;
    state(&server, INDIAN, "sent").await;
    let texts: Vec<_> = asked.iter().map(|asked| asked.json()["text"].clone()).collect();
    assert_eq!(texts, ["re one", "re two"]);
    let look = Look::into(server.folder()).await;
    assert_eq!(look.count("actions WHERE state = 'sent'").await, 2);
    // The gateway's error text contained our credentials.
    assert!(server.log().contains("(500 Internal Server Error: no, Bearer •••• /send?key=••••)"), "{}", server.log());
    assert!(server.stop().await.success());
    nothing_secret_is_kept(&server);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_before_the_answer_is_joined() {
    let (twilio, gateway) = (Provider::start(7).await, Gateway::answering(&[500, 200]).await);
    let server = Server::start(options(&twilio, &gateway.described("idempotent = true"))).await;
    for number in 0..2u128 {
        write(&server, number, INDIAN, EARLY).await;
        gateway.wait_asked(number as usize + 1).await;
        outgoing(&server, INDIAN, "delivered").await;
        state(&server, INDIAN, "sent").await;
    }
    let look = Look::into(server.folder()).await;
    eventually(WITHIN, || look.open()).await;
    assert_eq!(gateway.asked().len(), 2, "once each, even where the answer was an error");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_died_after_sending_does_not_send_again() {
    let (twilio, gateway) = (Provider::start(8).await, Gateway::answering(&[200]).await);
    let mut server =
        Server::start(options(&twilio, &gateway.described("")).env("RECADO_ABORT_AT", "after-send:1")).await;
    write(&server, 1, INDIAN, "one").await;
    let body = gateway.wait_asked(1).await[0].json();
    server.ended().await;
    server.unset_env("RECADO_ABORT_AT");
    server.start_again().await;
    state(&server, INDIAN, "unknown").await;
    // Another route works meanwhile, so that the reconciliation has had its turns.
    write(&server, 2, SPANISH, "hola").await;
    twilio.wait_taken(1).await;
    let callback = body["callback"].as_str().expect("a URL");
    let answer = http_client().post(callback).json(&json!({"id": "gw-1", "state": "SENT"})).send().await;
    assert_eq!(answer.expect("an answer").status(), 204);
    state(&server, INDIAN, "sent").await;
    assert_eq!(gateway.asked().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn sends_of_a_removed_provider_wait() {
    let (twilio, gateway) = (Provider::start(9).await, Gateway::answering(&[503]).await);
    let described = gateway.described("");
    let mut server = Server::start(options(&twilio, &described)).await;
    write(&server, 1, INDIAN, "one").await;
    gateway.wait_asked(1).await;
    server.stop().await;
    gateway.answer(200);
    let before = gateway.asked().len();
    let file = server.folder().join("gateways.toml");
    std::fs::write(&file, "").expect("it can be written");
    server.start_again().await;
    write(&server, 2, SPANISH, "hola").await;
    twilio.wait_taken(1).await;
    let events = ask(&server, &["messages", "--contact", INDIAN, "--json"]);
    let id = events[0]["id"].as_str().expect("an id").to_owned();
    let why = ask(&server, &["explain", &id, "--json"]);
    let reason = why["actions"][0]["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("PROVIDERS_FILE describes no provider 'india'"), "{why}");
    assert_eq!(gateway.asked().len(), before);
    server.stop().await;
    std::fs::write(&file, described).expect("it can be written");
    server.start_again().await;
    state(&server, INDIAN, "sent").await;
}

#[test]
fn an_error_in_a_description_names_file_provider_and_field() {
    let folder = tempfile::TempDir::new().expect("a temporary folder can be made");
    let described = "[[provider]]\nname = \"india\"\nprefixes = [\"91\"]\nsender = \"RECADO\"\n\
        url = \"https://sms.example.com/send?key={{env.NOWHERE}}&text={{text}}\"\nmethod = \"GET\"\n";
    std::fs::write(folder.path().join(".env"), "PROVIDERS_FILE=p.toml\n").expect("it can be written");
    std::fs::write(folder.path().join("p.toml"), described).expect("it can be written");
    let said = format!("{:?}", run(&mut command(folder.path(), &["config"])));
    for words in [
        "Some(1)",
        "LISTEN = 127.0.0.1:8000",
        "provider 'india', prefixes: '91' is no prefix",
        "url: NOWHERE is not set",
    ] {
        assert!(said.contains(words), "{words:?} is not in {said}");
    }
    assert!(run(&mut command(folder.path(), &["config", "--providers"])).ok().contains("# [[provider]]"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idempotent_provider_is_asked_again_with_the_same_id() {
    let (twilio, gateway) = (Provider::start(3).await, Gateway::answering(&[500, 200]).await);
    let server = Server::start(options(&twilio, &gateway.described("idempotent = true"))).await;
    write(&server, 1, INDIAN, "one").await;
    let asked = gateway.wait_asked(2).await;
    assert_eq!(asked[0].json(), asked[1].json());
    state(&server, INDIAN, "sent").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_is_down_harms_nobody_else_and_loses_nothing() {
    let (twilio, gateway) = (Provider::start(4).await, Gateway::answering(&[503]).await);
    let server = Server::start(options(&twilio, &gateway.described("rate = 100"))).await;
    for number in 0..20u128 {
        write(&server, number, &format!("+9198765432{number:02}"), "one").await;
    }
    gateway.wait_asked(1).await;
    for number in 0..5u128 {
        write(&server, 100 + number, &format!("+3460011100{number}"), "hola").await;
    }
    twilio.wait_taken(5).await;
    let look = Look::into(server.folder()).await;
    let waiting = "actions WHERE state IN ('planned', 'sending') AND route = 'provider:india'";
    assert_eq!(look.count(waiting).await, 20);
    gateway.answer(200);
    eventually(Duration::from_secs(60), || look.open()).await;
    assert_eq!(look.count("actions WHERE state = 'sent' AND route = 'provider:india'").await, 20);
    let taken = gateway.asked();
    let last_of_each: std::collections::BTreeSet<_> =
        taken.iter().map(|asked| asked.json()["to"].to_string()).collect();
    assert_eq!(last_of_each.len(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_chooses_its_own_route() {
    let (twilio, gateway) = (Provider::start(5).await, Gateway::answering(&[200]).await);
    let server = Server::start(options(&twilio, &gateway.described(""))).await;
    let set =
        |args: &[&str]| run(recado(&server, &[&["tenant", "set", "demo"], args].concat()).env("INDIA_TOKEN", TOKEN));
    let refused = format!("{:?}", set(&["--route", "+91=nobody"]));
    assert!(refused.contains("there are: twilio, india"), "{refused}");
    assert!(set(&["--route", "+91=twilio", "--route", "+3460=india"]).ok().contains("+91 goes through twilio"));
    let sent = ask(&server, &["send", "--to", INDIAN, "--json", "by Twilio"]);
    assert_eq!(sent["state"], "sent");
    assert_eq!(twilio.carrier.count_to(INDIAN), 1);
    ask(&server, &["send", "--to", SPANISH, "--json", "by the gateway"]);
    assert_eq!(gateway.wait_asked(1).await[0].json()["to"], SPANISH);
    set(&["--route", "+91="]).ok();
    ask(&server, &["send", "--to", INDIAN, "--json", "by the gateway, too"]);
    assert_eq!(gateway.wait_asked(2).await[1].json()["to"], INDIAN);
}

const REQUESTS: &str = r##"
rule("order").on("inbound_sms").keyword("ORDER").then(|e| {
    http_request(#{ url: `${e.rest}/orders?token=inTheQuery`, headers: #{ "X-Kind": "order" },
                    json: #{ from: e.contact.phone, words: e.words } });
});
rule("put").on("inbound_sms").keyword("PUT").then(|e| http_request(#{ method: "put", url: `${e.rest}/a`, body: "x" }));
"##;

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_makes_a_request_once_and_repeats_only_what_may_be() {
    let (twilio, gateway) = (Provider::start(6).await, Gateway::answering(&[200, 500, 500, 200]).await);
    let options = rig::options(&twilio.url).env("OUTBOUND_ALLOW", "127.0.0.1").file("rules/echo.rhai", REQUESTS);
    let server = Server::start(options).await;
    write(&server, 1, SPANISH, &format!("order {}", gateway.url)).await;
    let first = gateway.wait_asked(1).await.remove(0);
    assert_eq!((&first.method, first.target.as_str()), (&Method::POST, "/orders?token=inTheQuery"));
    assert_eq!((first.header("x-kind"), first.header("content-type")), ("order", "application/json"));
    assert_eq!(first.json()["from"], SPANISH);
    assert!(first.header("user-agent").starts_with("recado/"));
    let look = Look::into(server.folder()).await;
    eventually(WITHIN, || look.open()).await;
    let why = run(&mut recado(&server, &["explain", "last"])).ok();
    assert!(why.contains("http_request") && why.contains("/orders?…") && !why.contains("inTheQuery"), "{why}");

    // A POST that may have succeeded is not repeated. A PUT is repeated, with the same key.
    write(&server, 2, "+34600111001", &format!("order {}", gateway.url)).await;
    gateway.wait_asked(2).await;
    eventually(WITHIN, || look.open()).await;
    assert_eq!(look.count("actions WHERE kind = 'http_request' AND state = 'failed' AND tries = 1").await, 1);
    write(&server, 3, "+34600111002", &format!("put {}", gateway.url)).await;
    let asked = gateway.wait_asked(4).await;
    let keys: Vec<_> = asked.iter().map(|asked| asked.header("idempotency-key")).collect();
    assert_eq!(keys[2], keys[3]);
    assert!(keys[0] != keys[1] && keys[1] != keys[2] && keys.iter().all(|key| key.len() == 36), "{keys:?}");
    assert_eq!(asked[3].method, Method::PUT);
}

/// No sweep runs here: only the wake-up of the request can make the message leave.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_of_the_api_wakes_the_queue_that_it_is_in() {
    let gateway = Gateway::answering(&[200]).await;
    let folder = tempfile::TempDir::new().expect("a temporary folder can be made");
    let file = folder.path().join("gateways.toml");
    let described = gateway.described("").replace("{{env.INDIA_KEY}}", KEY).replace("{{env.INDIA_TOKEN}}", TOKEN);
    std::fs::write(&file, described).expect("the folder is ours");
    let more = [("PROVIDERS_FILE", file.display().to_string()), ("OUTBOUND_ALLOW", "127.0.0.1".to_owned())];
    let inside = Inside::with("http://127.0.0.1:1", Clock::system(), "", &more).await;
    let demo = inside.installation.directory.now().by_slug("demo").cloned().expect("it is made at the start");
    let token = new_token().expect("the machine has random bytes");
    let hash = hash_of_token(token.expose_secret());
    inside
        .installation
        .store
        .add_api_token(demo.id, NewApiToken { name: "test", scope: TokenScope::Full, hash: &hash, expires_at: None })
        .await
        .expect("it can be kept");
    let performing = inside.pipeline.clone();
    tokio::spawn(async move { performing.perform().await });
    let body = json!({"channel": "sms", "to": INDIAN, "text": "namasté"}).to_string();
    let request = Request::post("/api/v1/messages")
        .header("authorization", format!("Bearer {}", token.expose_secret()))
        .header("content-type", "application/json");
    let (status, answer) = inside.answer(request.body(body.into()).expect("a request")).await;
    assert_eq!(status, 202, "{}", String::from_utf8_lossy(&answer));
    assert_eq!(gateway.wait_asked(1).await[0].json()["text"], "namasté");
}
