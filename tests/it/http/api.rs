//! The REST API of the real binary, over HTTP.

use std::process::Command;

use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::cli::{command, run};
use crate::support::server::{Server, ServerOptions};
use crate::support::wait::eventually;
use crate::support::{http_client, python};

const ANA: &str = "+34600111222";
const RULE: &str = r#"rule("shipped").on("order_shipped").then(|e| send_sms(e.contact, `On its way: ${e.data.parcel}`));
"#;

/// A server with two tenants, and a token of each.
struct Api {
    server: Server,
    token: String,
    other: String,
}

impl Api {
    async fn start() -> Self {
        let server =
            Server::start(ServerOptions::default().env("METRICS_LISTEN", "off").file("rules/shipped.rhai", RULE)).await;
        run(&mut command(server.folder(), &["tenant", "add", "other"])).ok();
        let token = Self::token(&server, "demo");
        let other = Self::token(&server, "other");
        Self { server, token, other }
    }

    fn token(server: &Server, slug: &str) -> String {
        let made = run(&mut command(server.folder(), &["tenant", "token", "add", slug, "--name", "test", "--json"]));
        made.json()["token"].as_str().expect("a token").to_owned()
    }

    async fn ask(&self, token: &str, method: Method, path: &str, body: Option<&Value>, key: &str) -> Response {
        let url = format!("{}/api/v1/{path}", self.server.url());
        let mut request = http_client().request(method, url).bearer_auth(token);
        if let Some(body) = body {
            request = request.json(body);
        }
        if !key.is_empty() {
            request = request.header("idempotency-key", key);
        }
        request.send().await.expect("the server answers")
    }

    async fn get(&self, path: &str) -> Value {
        self.ask(&self.token, Method::GET, path, None, "").await.json().await.expect("JSON")
    }

    /// A customer without their history, as changes and lists show them.
    async fn customer(&self, path: &str) -> Value {
        let mut whole = self.get(path).await;
        assert!(whole["history"].is_array(), "{whole}");
        whole.as_object_mut().expect("an object").remove("history");
        whole
    }

    async fn post(&self, path: &str, body: &Value, key: &str) -> (u16, Value) {
        let response = self.ask(&self.token, Method::POST, path, Some(body), key).await;
        (response.status().as_u16(), response.json().await.expect("JSON"))
    }
}

#[tokio::test]
async fn customers_are_made_listed_in_pages_and_changed() {
    let api = Api::start().await;
    let mut ids = Vec::new();
    for n in 0..5 {
        let phone = format!("+3460011122{n}");
        let (status, made) = api.post("customers", &json!({"phone": phone, "tags": ["new"]}), "").await;
        assert_eq!((status, &made["phone"], &made["tags"]), (201, &json!(phone), &json!(["new"])));
        ids.push(made["id"].clone());
    }
    let (status, problem) = api.post("customers", &json!({"phone": "+34600111220"}), "").await;
    assert_eq!((status, problem["code"].as_str()), (409, Some("customer_exists")));
    let (status, problem) = api.post("customers", &json!({"phone": "600 111 222"}), "").await;
    assert_eq!((status, problem["code"].as_str()), (422, Some("not_e164")));

    let (mut seen, mut page) = (Vec::new(), api.get("customers?limit=2").await);
    loop {
        seen.extend(page["items"].as_array().expect("items").iter().map(|item| item["id"].clone()));
        let Some(next) = page["next"].as_str() else { break };
        page = api.get(&format!("customers?limit=2&after={next}")).await;
    }
    assert_eq!(seen, ids, "each once, by age");

    let path = format!("customers/{}", ids[0].as_str().expect("an id"));
    let change = json!({"name": "Ana", "tags": ["vip"], "fields": {"size": 38}});
    let changed: Value = api.ask(&api.token, Method::PATCH, &path, Some(&change), "").await.json().await.expect("JSON");
    assert_eq!((&changed["name"], &changed["tags"]), (&json!("Ana"), &json!(["vip"])));
    assert_eq!(api.customer(&path).await, changed);
    let change = json!({"fields": {"size": null}});
    let changed: Value = api.ask(&api.token, Method::PATCH, &path, Some(&change), "").await.json().await.expect("JSON");
    assert_eq!((&changed["fields"]["size"], &changed["name"]), (&Value::Null, &json!("Ana")));
}

#[tokio::test]
async fn a_customer_and_their_do_not_call_flag_are_stored_together_or_not_at_all() {
    let api = Api::start().await;
    let database = rusqlite::Connection::open(api.server.folder().join("data/recado.db")).expect("it is SQLite");
    let (_, ana) = api.post("customers", &json!({"phone": ANA}), "").await;
    let refuse = "CREATE TRIGGER refuse BEFORE INSERT ON opt_out_history BEGIN SELECT RAISE(ABORT, 'refused'); END";
    database.execute_batch(refuse).expect("a trigger can be made");

    let body = json!({"phone": "+34600333444", "name": "Luis", "do_not_call": true});
    assert_eq!(api.post("customers", &body, "key").await.0, 503);
    assert_eq!(api.get("customers").await["items"], json!([ana]), "no customer without the flag");
    let path = format!("customers/{}", ana["id"].as_str().expect("an id"));
    let change = json!({"name": "Ana", "do_not_call": true});
    let refused = api.ask(&api.token, Method::PATCH, &path, Some(&change), "").await;
    assert_eq!(refused.status(), 503);
    assert_eq!(api.customer(&path).await, ana, "no change without the flag");

    database.execute_batch("DROP TRIGGER refuse").expect("it is there");
    assert_eq!(api.post("customers", &body, "key").await.0, 201, "the same request again");
    let changed: Value = api.ask(&api.token, Method::PATCH, &path, Some(&change), "").await.json().await.expect("JSON");
    assert_eq!(changed["name"], json!("Ana"));
    let flags = "SELECT count(*) FROM opt_outs WHERE channel = 'voice' AND active";
    assert_eq!(database.query_row(flags, [], |row| row.get::<_, i64>(0)).expect("a count"), 2);
}

#[tokio::test]
async fn a_message_and_an_event_go_the_way_of_all_others() {
    let api = Api::start().await;
    let (_, ana) = api.post("customers", &json!({"phone": ANA}), "").await;
    let (status, accepted) = api.post("messages", &json!({"channel": "sms", "to": ANA, "text": "Hola"}), "").await;
    assert_eq!(status, 202);
    let event = json!({"kind": "order_shipped", "customer": ana["id"], "data": {"parcel": "P1"}});
    assert_eq!(api.post("events", &event, "").await.0, 202);
    let texts = eventually(std::time::Duration::from_secs(30), || async {
        let listed = api.get("messages").await;
        let items = listed["items"].as_array().expect("items").clone();
        if items.len() == 2 { Ok(items) } else { Err(items) }
    })
    .await;
    assert_eq!((&texts[0]["body"], &texts[1]["body"]), (&json!("On its way: P1"), &json!("Hola")));
    assert_eq!(texts[1]["id"], accepted["id"]);
    let (status, problem) = api.post("events", &json!({"kind": "inbound_sms"}), "").await;
    assert_eq!((status, problem["code"].as_str()), (422, Some("bad_kind")), "no message can be made up");
}

#[tokio::test]
async fn a_damaged_row_is_shown_without_what_cannot_be_read() {
    let api = Api::start().await;
    let database = rusqlite::Connection::open(api.server.folder().join("data/recado.db")).expect("it is SQLite");
    assert_eq!(api.post("messages", &json!({"channel": "sms", "to": ANA, "text": "Hola"}), "").await.0, 202);
    let sent = eventually(std::time::Duration::from_secs(30), || async {
        let listed = api.get("messages").await;
        if listed["items"][0]["id"].is_string() { Ok(listed["items"][0].clone()) } else { Err(listed) }
    })
    .await;
    database
        .execute_batch("UPDATE messages SET extra = ''; UPDATE events SET data = '{'")
        .expect("they can be damaged");
    assert_eq!(api.get("messages").await["items"][0]["body"], "Hola");
    assert_eq!(api.get(&format!("messages/{}", sent["id"].as_str().expect("an id"))).await["body"], "Hola");
    let events = api.get("events").await;
    // The delivery's event may come later, undamaged.
    let manual = events["items"].as_array().expect("a list").iter().find(|event| event["kind"] == "manual");
    assert_eq!(manual.expect("it is listed")["data"], Value::Null, "{events}");
}

#[tokio::test]
async fn a_key_makes_a_request_once_however_often_it_comes() {
    let api = Api::start().await;
    let body = json!({"channel": "sms", "to": ANA, "text": "Hola"});
    let answers = futures_util::future::join_all((0..20).map(|_| api.post("messages", &body, "k1"))).await;
    let ids: std::collections::BTreeSet<String> = answers
        .iter()
        .filter(|(status, _)| *status == 202)
        .map(|(_, answer)| answer["id"].as_str().expect("an id").to_owned())
        .collect();
    assert_eq!(ids.len(), 1, "{answers:?}");
    assert!(answers.iter().all(|(status, _)| [202, 409].contains(status)), "{answers:?}");
    let again = api.ask(&api.token, Method::POST, "messages", Some(&body), "k1").await;
    assert_eq!(again.headers().get("idempotency-replayed").map(|value| value.as_bytes()), Some(&b"true"[..]));
    let (status, problem) = api.post("messages", &json!({"channel": "sms", "to": ANA, "text": "Other"}), "k1").await;
    assert_eq!((status, problem["code"].as_str()), (422, Some("key_reused")));
    let theirs = api.ask(&api.other, Method::POST, "messages", Some(&body), "k1").await;
    assert_eq!(theirs.status(), 202, "another tenant's keys are its own");
    let events = api.get("events").await;
    let by_hand = events["items"].as_array().expect("items").iter().filter(|event| event["kind"] == "manual").count();
    assert_eq!(by_hand, 1);
}

#[tokio::test]
async fn a_token_opens_one_tenant_until_it_is_revoked() {
    let api = Api::start().await;
    let (_, ana) = api.post("customers", &json!({"phone": ANA}), "").await;
    let (_, accepted) = api.post("messages", &json!({"channel": "sms", "to": ANA, "text": "Hola"}), "").await;
    let nobody = uuid::Uuid::nil();
    let own = |path: &str, id: &Value| format!("{path}/{}", id.as_str().expect("an id"));
    for (path, id) in [("customers", &ana["id"]), ("messages", &accepted["id"]), ("events", &ana["id"])] {
        let theirs = api.ask(&api.other, Method::GET, &own(path, id), None, "").await;
        let none = api.ask(&api.other, Method::GET, &format!("{path}/{nobody}"), None, "").await;
        assert_eq!(theirs.status(), 404);
        assert_eq!(theirs.text().await.expect("text"), none.text().await.expect("text"), "the same words");
    }
    let change = json!({"name": "Mallory"});
    let theirs = api.ask(&api.other, Method::PATCH, &own("customers", &ana["id"]), Some(&change), "").await;
    assert_eq!(theirs.status(), 404);
    let about = json!({"kind": "order_shipped", "customer": ana["id"], "data": {}});
    let theirs = api.ask(&api.other, Method::POST, "events", Some(&about), "").await;
    assert_eq!(theirs.status(), 422);
    for token in ["", "recado_", "recado_AAAA", &api.token[1..]] {
        let refused = api.ask(token, Method::GET, "customers", None, "").await;
        assert_eq!(refused.status(), 401);
        assert_eq!(refused.headers().get("www-authenticate").map(|value| value.as_bytes()), Some(&b"Bearer"[..]));
    }
    let tokens = run(&mut command(api.server.folder(), &["tenant", "token", "list", "demo", "--json"])).json();
    let id = tokens[0]["id"].as_str().expect("an id").to_owned();
    run(&mut command(api.server.folder(), &["tenant", "token", "revoke", "other", &id])).fails(1, &["no token"]);
    run(&mut command(api.server.folder(), &["tenant", "token", "revoke", "demo", &id])).ok();
    assert_eq!(api.ask(&api.token, Method::GET, "customers", None, "").await.status(), 401);
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_as_a_problem() {
    let api = Api::start().await;
    let send = async |content_type: &str, body: String| {
        let url = format!("{}/api/v1/customers", api.server.url());
        let request = http_client().post(url).bearer_auth(&api.token).header("content-type", content_type);
        let response = request.body(body).send().await.expect("the server answers");
        let kind = response.headers().get("content-type").map(|value| value.as_bytes().to_vec());
        assert_eq!(kind.as_deref(), Some(&b"application/problem+json"[..]));
        response.status().as_u16()
    };
    assert_eq!(send("text/plain", "{}".to_owned()).await, 415);
    assert_eq!(send("application/json", "{".to_owned()).await, 400);
    assert_eq!(send("application/json", "{}".to_owned()).await, 422);
    // Deeper than any stack: refused for its type where a list or an object may not stand, else as what cannot be read.
    assert_eq!(send("application/json", format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000))).await, 422);
    for deep in ["{\"name\":", "{\"fields\":{\"a\":"] {
        let status = send("application/json", format!("{deep}{}", "{\"a\":".repeat(40_000))).await;
        assert!([400, 422].contains(&status), "{deep}: {status}");
    }
    assert_eq!(send("application/json", r#"{"phone":"+34600111222","nme":"x"}"#.to_owned()).await, 422);
    assert_eq!(send("application/json", format!("\"{}\"", "x".repeat(300 * 1024))).await, 413);
    assert_eq!(api.ask(&api.token, Method::GET, "customers?limit=0", None, "").await.status(), 400);
    assert_eq!(api.ask(&api.token, Method::GET, "customers/x", None, "").await.status(), 400);
    assert_eq!(api.ask(&api.token, Method::GET, "nothing", None, "").await.status(), 404);
    assert_eq!(api.ask(&api.token, Method::DELETE, "customers", None, "").await.status(), 405);
}

/// The description is valid, and generated requests get only responses that it names.
#[tokio::test]
async fn the_description_is_true() {
    let api = Api::start().await;
    api.post("customers", &json!({"phone": ANA, "name": "Ana"}), "").await;
    let url = format!("{}/api/openapi.json", api.server.url());
    let description = http_client().get(&url).send().await.expect("an answer").text().await.expect("text");
    let file = api.server.folder().join("openapi.json");
    std::fs::write(&file, description).expect("a file can be written");
    let valid =
        Command::new(python()).args(["-m", "openapi_spec_validator"]).arg(&file).output().expect("it can be run");
    let said = String::from_utf8_lossy(&valid.stdout).chars().take(2_000).collect::<String>();
    assert!(valid.status.success(), "{said}");
    let cases = std::env::var("API_CASES").unwrap_or_else(|_| "25".to_owned());
    let authorization = format!("Authorization: Bearer {}", api.token);
    let tested = Command::new(python().with_file_name("schemathesis"))
        .args(["run", &url, "-H", &authorization, "-n", &cases, "--seed", "2026", "--no-color"])
        // A valid body may still ask for the impossible: an unknown customer, or a key that was used before.
        .args(["--exclude-checks", "positive_data_acceptance"])
        .current_dir(api.server.folder())
        .output()
        .expect("it can be run");
    assert!(tested.status.success(), "{}", String::from_utf8_lossy(&tested.stdout));
    assert!(!api.server.log().contains("panicked"), "{}", api.server.log());
}

#[tokio::test]
async fn appointments_are_booked_moved_and_ended() {
    let api = Api::start().await;
    let (status, _) = api.post("staff", &json!({"name": "Eva", "hours": "mon-fri 09:00-14:00"}), "").await;
    assert_eq!(status, 200);
    // A Tuesday.
    let cut = json!({"phone": ANA, "service": "cut", "staff": "Eva", "starts_at": "2030-12-03T10:00:00Z"});
    let (status, booked) = api.post("appointments", &cut, "b1").await;
    assert_eq!((status, &booked["state"], &booked["ends_at"]), (201, &json!("booked"), &json!("2030-12-03T10:30:00Z")));
    assert_eq!(api.post("appointments", &cut, "b1").await.1, booked, "the same answer, and no second one");
    let (status, problem) = api.post("appointments", &cut, "b2").await;
    assert_eq!((status, problem["code"].as_str()), (409, Some("slot_taken")));

    let id = booked["id"].as_str().expect("an id");
    let to = json!({"starts_at": "2030-12-03T11:00", "version": 1});
    let path = format!("appointments/{id}");
    let moved: Value = api.ask(&api.token, Method::PATCH, &path, Some(&to), "").await.json().await.expect("JSON");
    assert_eq!((&moved["starts_at"], &moved["version"]), (&json!("2030-12-03T11:00:00Z"), &json!(2)));
    let stale = api.ask(&api.token, Method::PATCH, &path, Some(&to), "").await;
    assert_eq!(stale.status(), 409, "it has been changed meanwhile");
    assert_eq!(api.post("appointments", &cut, "b3").await.0, 201, "its old time is free");
    for (step, status, state) in
        [("confirm", 200, "confirmed"), ("cancel", 200, "cancelled"), ("cancel", 200, "cancelled")]
    {
        let (got, one) = api.post(&format!("{path}/{step}"), &json!({}), "").await;
        assert_eq!((got, one["state"].as_str()), (status, Some(state)));
    }
    let (status, problem) = api.post(&format!("{path}/complete"), &json!({}), "").await;
    assert_eq!((status, problem["code"].as_str()), (409, Some("not_possible")));

    let page = api.get("appointments?limit=1&from=2030-12-03T00:00:00Z").await;
    let next = page["next"].as_str().expect("there is another");
    let rest = api.get(&format!("appointments?limit=1&from=2030-12-03T00:00:00Z&after={next}")).await;
    assert_eq!((&rest["items"][0]["id"], &rest["next"]), (&booked["id"], &Value::Null), "by when they begin");
    let theirs = api.ask(&api.other, Method::GET, &path, None, "").await;
    assert_eq!(theirs.status(), 404);
    let events = api.get("events?limit=200").await;
    let of = |kind: &str| events["items"].as_array().expect("items").iter().filter(|one| one["kind"] == kind).count();
    let kinds = ["appointment_booked", "appointment_moved", "appointment_confirmed", "appointment_cancelled"];
    assert_eq!(kinds.map(of), [2, 1, 1, 1]);
}
