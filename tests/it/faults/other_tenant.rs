//! Every route of the REST API that names something, asked by another tenant: a real id gives what an invented one gives.

use std::collections::BTreeSet;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::rig::{self, Provider, customer};
use crate::cli;
use crate::support::http_client;
use crate::support::server::Server;
use crate::support::wait::eventually;
use crate::voice::agents::Api;
use crate::voice::caller::{ANA, Caller};

const WITHIN: Duration = Duration::from_secs(30);
const DESK: &str = "rule(\"desk\").on(\"call_received\").then(|e| { say(\"The desk speaks\"); hangup() });\n";
const AGENT: &str = "Lucia";
/// The owner's number. The installation's own is no secret: tenants without numbers send from it.
const NUMBER: &str = "+34911990001";
const LISTS: [&str; 10] =
    ["tenant", "customers", "messages", "calls", "events", "campaigns", "agents", "appointments", "services", "staff"];

#[tokio::test(flavor = "multi_thread")]
async fn no_route_tells_another_tenants_id_from_an_invented_one() {
    let provider = Provider::start(13).await;
    let server = Server::start(rig::options(&provider.url).file("rules/desk.rhai", DESK)).await;
    cli::run(&mut rig::recado(&server, &["tenant", "add", "other", "--name", "Other"])).ok();
    cli::run(&mut rig::recado(&server, &["tenant", "set", "demo", "--sms", NUMBER])).ok();
    let other = Api::token(&server, "other");
    let owner = Api { token: Api::token(&server, "demo"), server };
    fill(&owner, &provider).await;
    let mut ids = BTreeSet::from([AGENT.to_owned(), NUMBER.to_owned()]);
    let before = snapshot(&owner).await;
    collect(&before, &mut ids);
    assert!(ids.iter().filter(|id| Uuid::parse_str(id).is_ok()).count() >= 6, "{ids:?}");
    assert!(ids.iter().any(|id| id.starts_with("CA")), "{ids:?}");

    let mut asked = 0;
    for operation in operations(&owner).await {
        for id in &ids {
            let real = operation.ask(&owner, &other, id).await;
            let none = operation.ask(&owner, &other, &invented(id)).await;
            assert_eq!(real, none, "{operation:?} {id}");
            assert!(real.0 != 401 && real.0 < 500, "{operation:?} {id}: {real:?}");
            asked += 1;
        }
    }
    assert!(asked >= 300, "{asked} questions");
    assert_eq!(snapshot(&owner).await, before, "nothing of the owner's has changed");
}

/// One of each thing that has an id.
async fn fill(owner: &Api, provider: &Provider) {
    let made = async |path: &str, body: Value| {
        let (status, made) = owner.post(path, &body).await;
        assert!((200..300).contains(&status), "{path}: {status} {made}");
        made
    };
    let ana = made("customers", json!({"phone": ANA, "name": "Ana"})).await;
    made("messages", json!({"channel": "sms", "to": ANA, "text": "Hola"})).await;
    made("events", json!({"kind": "order_shipped", "customer": ana["id"], "data": {}})).await;
    made("staff", json!({"name": "Eva", "hours": "mon-fri 09:00-14:00"})).await;
    made("services", json!({"name": "cut", "minutes": 30})).await;
    let starts = "2030-12-03T10:00:00Z";
    made("appointments", json!({"phone": ANA, "service": "cut", "starts_at": starts})).await;
    let plan = json!({"sms": "Hola {name}", "audience": {"tag": "member"}});
    let campaign = made("campaigns", json!({"name": "spring", "plan": plan})).await;
    let members = format!("campaigns/{}/members", campaign["id"].as_str().expect("an id"));
    made(&members, json!({"members": [{"phone": customer(1)}]})).await;
    let agent = json!({"greeting": "Hola", "language": "es-ES", "voice": "Polly.Lucia", "mode": "script"});
    let (status, agent) = owner.ask(&owner.token, Method::PUT, &format!("agents/{AGENT}"), Some(&agent)).await;
    assert_eq!(status, 201, "{agent}");
    let caller = Caller { to: NUMBER.to_owned(), ..Caller::new(&owner.server, 1) };
    caller.posts("/api/twilio/demo/answer", &[]).await.says("The desk speaks");
    provider.wait_taken(1).await;
    provider.carrier.wait_callbacks().await;
    let look = rig::Look::into(owner.server.folder()).await;
    eventually(WITHIN, || look.open()).await;
}

/// All that the owner sees.
async fn snapshot(owner: &Api) -> Vec<Value> {
    let mut seen = Vec::new();
    for list in LISTS {
        let (status, shown) = owner.get(list).await;
        assert_eq!(status, 200, "{list}: {shown}");
        seen.push(shown);
    }
    seen
}

/// Takes the ids out of what is shown.
fn collect(shown: &[Value], ids: &mut BTreeSet<String>) {
    for one in shown {
        match one {
            Value::String(text) if Uuid::parse_str(text).is_ok() || text.starts_with("CA") => {
                ids.insert(text.clone());
            }
            Value::Array(items) => collect(items, ids),
            Value::Object(fields) => collect(&fields.values().cloned().collect::<Vec<_>>(), ids),
            _ => {}
        }
    }
}

/// An id of the same form that stands for nothing. Ids are ordered by time: this one stands beside the real one.
fn invented(id: &str) -> String {
    match Uuid::parse_str(id) {
        Ok(id) => Uuid::from_u128(id.as_u128() ^ 0xffff).to_string(),
        Err(_) if id == AGENT => "Lusia".to_owned(),
        Err(_) => format!("{}9999", &id[..id.len() - 4]),
    }
}

/// An operation of the API, with the one parameter that takes the id.
#[derive(Debug)]
struct Operation {
    method: Method,
    /// Below `/api/v1/`, with `{}` for the id.
    target: String,
    /// With `ID` for the id.
    body: Option<String>,
}

impl Operation {
    /// The status and the body of the answer, in which the id is left out.
    async fn ask(&self, owner: &Api, token: &str, id: &str) -> (u16, String) {
        let id_in_url = id.replace('+', "%2B");
        let url = format!("{}/api/v1/{}", owner.server.url(), self.target.replace("{}", &id_in_url));
        let mut request = http_client().request(self.method.clone(), url).bearer_auth(token);
        if let Some(body) = &self.body {
            let kind = if body.starts_with('{') { "application/json" } else { "text/csv" };
            request = request.header("content-type", kind).body(body.replace("ID", id));
        }
        let response = request.send().await.expect("it answers");
        let status = response.status().as_u16();
        let text = response.text().await.expect("a text");
        (status, text.replace(id, "ID"))
    }
}

/// Every operation that takes an id in its path, its query or its body.
async fn operations(owner: &Api) -> Vec<Operation> {
    let url = format!("{}/api/openapi.json", owner.server.url());
    let description: Value = http_client().get(url).send().await.expect("it answers").json().await.expect("JSON");
    let mut found = Vec::new();
    for (path, operations) in description["paths"].as_object().expect("an object") {
        let Some(path) = path.strip_prefix("/api/v1/") else { continue };
        for (method, operation) in operations.as_object().expect("an object") {
            let method: Method = method.to_uppercase().parse().expect("a method");
            let body = (method != Method::GET && method != Method::DELETE).then(|| body_of(path).to_owned());
            let in_body = body.as_ref().is_some_and(|body| body.contains("ID"));
            let confirmed = if method == Method::DELETE && path.starts_with("numbers") { "?confirm=true" } else { "" };
            if path.contains('{') || in_body {
                found.push(Operation { method: method.clone(), target: filled(path) + confirmed, body: body.clone() });
            }
            let none = Vec::new();
            for parameter in operation["parameters"].as_array().unwrap_or(&none) {
                let name = parameter["name"].as_str().expect("a name");
                if parameter["in"] == "query" && method == Method::GET && !path.starts_with("numbers") {
                    let target = format!("{}?{name}={{}}", filled(path));
                    found.push(Operation { method: method.clone(), target, body: None });
                }
            }
        }
    }
    assert!(found.len() >= 40, "{}", found.len());
    found
}

fn filled(path: &str) -> String {
    let parts = path.split('/').map(|part| match part {
        "{step}" => "cancel",
        part if part.starts_with('{') => "{}",
        part => part,
    });
    parts.collect::<Vec<_>>().join("/")
}

/// A body that the operation takes, so that the id is what it is refused for.
fn body_of(path: &str) -> &'static str {
    match path {
        "customers/{id}" => r#"{"name": "Mallory", "do_not_call": true}"#,
        "customers/{id}/notes" => r#"{"text": "Mallory was here"}"#,
        "events" => r#"{"kind": "order_shipped", "customer": "ID", "data": {}}"#,
        "campaigns/{id}/state" => r#"{"state": "cancelled"}"#,
        "campaigns/{id}/members" => r#"{"members": [{"phone": "+34600999888"}]}"#,
        "campaigns/{id}/members/import" => "phone,name\n+34600999888,Mallory\n",
        "appointments/{id}" => r#"{"starts_at": "2030-12-03T12:00:00Z"}"#,
        "agents/{name}" => r#"{"greeting": "Hi", "language": "en-US", "voice": "Polly.Joanna", "mode": "script"}"#,
        _ => "{}",
    }
}
