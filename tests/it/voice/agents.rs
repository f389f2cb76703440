//! Voice agents are configured over HTTP and answer the calls of their numbers.

use reqwest::Method;
use serde_json::{Value, json};

use super::caller::{Caller, TwimlResponse, options};
use crate::cli;
use crate::faults::rig;
use crate::support::http_client;
use crate::support::server::{Server, ServerOptions};

const NUMBERS: [&str; 3] = ["+34911990001", "+34911990002", "+34911990003"];
const RULES: &str = r#"
rule("desk").on("call_input").when("is Lucia's", |e| e.call.agent == "Lucia").then(|e| { say("We open at nine."); hangup() });
rule("meanwhile").on("call_input").when("is Max's", |e| e.call.agent == "Max").then(|e| { say("We call you back."); hangup() });
"#;

/// A server and a token of its demo tenant.
pub struct Api {
    pub server: Server,
    pub token: String,
}

impl Api {
    pub async fn start(options: ServerOptions) -> Self {
        let server = Server::start(options).await;
        let token = Self::token(&server, "demo");
        Self { server, token }
    }

    pub fn token(server: &Server, slug: &str) -> String {
        let made = cli::run(&mut rig::recado(server, &["tenant", "token", "add", slug, "--name", "test", "--json"]));
        made.json()["token"].as_str().expect("a token").to_owned()
    }

    /// The status and the body; `null` if there is none.
    pub async fn ask(&self, token: &str, method: Method, path: &str, body: Option<&Value>) -> (u16, Value) {
        let url = format!("{}/api/v1/{path}", self.server.url());
        let mut request = http_client().request(method, url).bearer_auth(token);
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.expect("it answers");
        let status = response.status().as_u16();
        (status, serde_json::from_slice(&response.bytes().await.expect("a body")).unwrap_or_default())
    }

    pub async fn get(&self, path: &str) -> (u16, Value) {
        self.ask(&self.token, Method::GET, path, None).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        self.ask(&self.token, Method::POST, path, Some(body)).await
    }

    async fn put(&self, name: &str, agent: &Value) -> (u16, Value) {
        self.ask(&self.token, Method::PUT, &format!("agents/{name}"), Some(agent)).await
    }

    async fn names(&self, token: &str) -> Vec<String> {
        let (status, listed) = self.ask(token, Method::GET, "agents", None).await;
        assert_eq!(status, 200, "{listed}");
        let name = |one: &Value| one["name"].as_str().expect("a name").to_owned();
        listed["items"].as_array().expect("a list").iter().map(name).collect()
    }
}

/// Calls a number.
async fn ring(server: &Server, call: u128, number: &str) -> (Caller, TwimlResponse) {
    let ana = Caller { to: number.to_owned(), ..Caller::new(server, call) };
    let twiml = ana.posts("/api/twilio/voice", &[]).await;
    assert_eq!(twiml.status, 200, "{twiml:?}");
    (ana, twiml)
}

#[tokio::test]
async fn agents_of_the_three_modes_are_made_over_http_and_answer_calls() {
    // ElevenLabs is not called before a stream opens.
    let live =
        [("ELEVENLABS_API_BASE", "http://127.0.0.1:1"), ("ELEVENLABS_API_KEY", "k"), ("ELEVENLABS_AGENT_ID", "a")];
    let options = live.into_iter().fold(options(RULES), |options, (name, value)| options.env(name, value));
    let api = Api::start(options).await;
    let senders = NUMBERS.map(|number| ["--sms", number]).concat();
    cli::run(&mut rig::recado(&api.server, &[&["tenant", "set", "demo"], &senders[..]].concat())).ok();

    // Mode script: its rule hears what the caller says.
    let lucia = json!({"number": NUMBERS[0], "greeting": "Aquí Lucia de {name}", "language": "es-ES",
        "voice": "Polly.Lucia", "mode": "script"});
    let (status, made) = api.put("Lucia", &lucia).await;
    assert_eq!((status, &made["name"], &made["lacks"]), (201, &json!("Lucia"), &Value::Null), "{made}");
    let (ana, twiml) = ring(&api.server, 1, NUMBERS[0]).await;
    assert_eq!(&twiml.verbs()[..3], ["Response", "Gather", "Say"], "{}", twiml.document);
    for part in ["Aquí Lucia de Demo", "voice=\"Polly.Lucia\"", "language=\"es-ES\""] {
        twiml.says(part);
    }
    let ended = ana.answers(&twiml, &[("SpeechResult", "When do you open?")]).await;
    ended.says("We open at nine.");
    assert_eq!(ended.verbs(), ["Response", "Say", "Hangup"]);

    // Mode model without a key: that is reported, and the script answers meanwhile.
    let max = json!({"number": NUMBERS[1], "greeting": "Max here", "mode": "model", "instructions": "A cut costs 20."});
    let (status, made) = api.put("Max", &max).await;
    assert_eq!(status, 201, "{made}");
    let lacks = made["lacks"].as_str().expect("it says so");
    assert!(lacks.contains("OPENAI_API_KEY") && lacks.contains("meanwhile"), "{lacks}");
    let (ana, twiml) = ring(&api.server, 2, NUMBERS[1]).await;
    twiml.says("Max here");
    ana.answers(&twiml, &[("SpeechResult", "What is a cut?")]).await.says("We call you back.");
    // The command reports it, too.
    let add = cli::run(&mut rig::recado(&api.server, &["agents", "add", "Max", "--mode", "model"])).ok();
    assert!(add.contains("OPENAI_API_KEY"), "{add}");
    let listed = cli::run(&mut rig::recado(&api.server, &["agents", "list", "--json"])).json();
    let of = |name: &str| listed["agents"].as_array().expect("a list").iter().find(|one| one["name"] == name).cloned();
    assert_eq!(of("Max").expect("it is there")["lacks"], made["lacks"], "as the API says it");
    assert_eq!(of("Lucia").expect("it is there").get("lacks"), Some(&Value::Null), "as the API says it: {listed}");

    // Mode stream.
    let (status, made) = api.put("Live", &json!({"number": NUMBERS[2], "mode": "stream"})).await;
    assert_eq!((status, &made["lacks"]), (201, &Value::Null), "{made}");
    let (_, twiml) = ring(&api.server, 3, NUMBERS[2]).await;
    assert_eq!(twiml.verbs(), ["Response", "Connect", "Stream", "Redirect"], "{}", twiml.document);
    let url = twiml.attribute("url").expect("a URL");
    assert!(url.contains("/api/twilio/stream/"), "{url}");
}

#[tokio::test]
async fn an_agent_is_replaced_listed_and_removed_by_its_own_tenant_only() {
    let api = Api::start(options("")).await;
    cli::run(&mut rig::recado(&api.server, &["tenant", "add", "other"])).ok();
    let other = Api::token(&api.server, "other");
    let agent = json!({"number": rig::OURS, "greeting": "Hello", "language": "en-GB"});
    assert_eq!(api.put("Eva%20Sol", &agent).await.0, 201);
    let (status, changed) = api.put("Eva%20Sol", &json!({"number": rig::OURS, "greeting": "Good day"})).await;
    assert_eq!((status, &changed["language"]), (200, &Value::Null), "what is not named is gone: {changed}");
    ring(&api.server, 1, rig::OURS).await.1.says("Good day");
    assert_eq!(api.names(&api.token).await, ["Eva Sol"]);
    let shown = cli::run(&mut rig::recado(&api.server, &["agents", "list", "--tenant", "demo"])).ok();
    assert!(shown.contains("Eva Sol: calls of"), "{shown}");

    // Another tenant's token finds nothing, and a request without one is refused.
    assert!(api.names(&other).await.is_empty());
    for method in [Method::GET, Method::DELETE] {
        assert_eq!(api.ask(&other, method, "agents/Eva%20Sol", None).await.0, 404);
    }
    assert_eq!(api.ask("recado_x", Method::GET, "agents", None).await.0, 401);

    // An invalid agent is refused with what is valid.
    let wrong = [
        ("Max", json!({"mode": "robot"}), 422, "not_such_body", "`script`, `model`, `stream`"),
        ("Max", json!({"number": "911 11 11 11"}), 422, "not_e164", "+"),
        ("Max", json!({"number": "+34911990009"}), 422, "not_your_number", "recado tenant set demo --sms +34911990009"),
        ("Max", json!({"number": rig::OURS}), 409, "number_taken", "'Eva Sol'"),
        ("Max", json!({"voice": "<Polly>"}), 422, "bad_agent", "letters, digits"),
        ("Max", json!({"greeting": "x".repeat(501)}), 422, "bad_agent", "500 characters"),
        ("%20Max", json!({}), 422, "bad_agent", "1 to 80 characters"),
        ("Max", json!({"nmae": "x"}), 422, "not_such_body", "unknown field `nmae`"),
    ];
    for (name, agent, status, code, says) in wrong {
        let (got, problem) = api.put(name, &agent).await;
        assert_eq!((got, problem["code"].as_str()), (status, Some(code)), "{agent}: {problem}");
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains(says)), "{problem}");
    }
    assert_eq!(api.names(&api.token).await, ["Eva Sol"]);

    let remove = async || api.ask(&api.token, Method::DELETE, "agents/Eva%20Sol", None).await.0;
    assert_eq!((remove().await, remove().await), (204, 404));
    ring(&api.server, 2, rig::OURS).await.1.says("Hello, you have called Demo.");
}

/// Concurrent changes are all kept, because each changes the current list. A token has at most 16 requests open.
#[tokio::test]
async fn agents_that_are_added_concurrently_are_all_kept() {
    let api = Api::start(options("")).await;
    let made = (0..16).map(|n| {
        let api = &api;
        async move { api.put(&format!("A{n}"), &json!({})).await.0 }
    });
    let made = futures_util::future::join_all(made).await;
    assert!(made.iter().all(|status| *status == 201), "{made:?}");
    assert_eq!(api.names(&api.token).await.len(), 16);
}
