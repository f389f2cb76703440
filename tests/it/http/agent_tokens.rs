//! Tokens for voice agents: their access, and the effect of a repeated request.

use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::cli;
use crate::faults::rig::{self, Look};
use crate::support::http_client;
use crate::voice::agents::Api;
use crate::voice::caller::{ANA, Caller, options};

/// Calls a tool with a token and, unless it is empty, an idempotency key.
async fn tool(api: &Api, token: &str, tool: &str, body: &Value, key: &str) -> Response {
    let url = format!("{}/api/agent/{tool}", api.server.url());
    let mut request = http_client().post(url).bearer_auth(token).json(body);
    if !key.is_empty() {
        request = request.header("idempotency-key", key);
    }
    request.send().await.expect("it answers")
}

#[tokio::test]
async fn an_agents_token_opens_its_tools_and_nothing_else() {
    let api = Api::start(options("")).await;
    let run = |args: &[&str]| cli::run(&mut rig::recado(&api.server, args));
    let made = run(&["tenant", "token", "add", "demo", "--name", "voice", "--scope", "agent", "--json"]).json();
    assert_eq!(made["scope"], "agent");
    let agent = made["token"].as_str().expect("a token");
    let free =
        run(&["tenant", "token", "add", "demo", "--name", "chat", "--scope", "agent_any_number", "--json"]).json();
    let free = free["token"].as_str().expect("a token");
    let body = json!({"phone": ANA});
    for token in [free, &api.token] {
        assert_eq!(tool(&api, token, "find_customer", &body, "").await.status(), 200);
    }
    // Nobody is on the line yet, and then Ana is, and Ana alone.
    let asked = async |phone: &str| {
        let answer = tool(&api, agent, "find_customer", &json!({"phone": phone}), "").await;
        let status = answer.status().as_u16();
        (status, answer.json::<Value>().await.expect("JSON")["code"].as_str().map(str::to_owned))
    };
    let refused = (403, Some("not_on_the_line".to_owned()));
    assert_eq!(asked(ANA).await, refused);
    let ana = Caller::new(&api.server, 1);
    ana.posts("/api/twilio/demo/answer", &[]).await;
    assert_eq!(asked(ANA).await, (200, None));
    assert_eq!(asked("+34600999777").await, refused);
    ana.posts("/api/twilio/demo/status", &[("CallStatus", "completed")]).await;
    assert_eq!(asked(ANA).await, refused, "the call is over");
    let everything = [
        (Method::GET, "customers"),
        (Method::GET, "messages"),
        (Method::GET, "calls"),
        (Method::POST, "calls"),
        (Method::POST, "messages"),
        (Method::GET, "events"),
        (Method::GET, "campaigns"),
        (Method::GET, "agents"),
        (Method::PUT, "agents/Max"),
        (Method::DELETE, "agents/Max"),
        (Method::GET, "appointments"),
        (Method::GET, "numbers"),
        (Method::GET, "staff"),
    ];
    for (method, path) in everything {
        let (status, problem) = api.ask(agent, method.clone(), path, Some(&json!({}))).await;
        assert_eq!((status, problem["code"].as_str()), (403, Some("wrong_scope")), "{method} {path}: {problem}");
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("/api/agent/ alone")), "{problem}");
    }
    let listed = run(&["tenant", "token", "list", "demo"]).ok();
    assert!(listed.contains("voice, for /api/agent/ alone"), "{listed}");
    run(&["tenant", "token", "add", "demo", "--name", "x", "--scope", "all"]).fails(2, &["full", "agent"]);
    let id = made["id"].as_str().expect("an id");
    run(&["tenant", "token", "revoke", "demo", id]).ok();
    assert_eq!(tool(&api, agent, "find_customer", &body, "").await.status(), 401);
    assert_eq!(api.ask(free, Method::GET, "customers", None).await.0, 403);
}

#[tokio::test]
async fn a_tool_that_writes_does_so_once_a_key() {
    let mut server = rig::migrated(options(""));
    let run = |args: &[&str]| cli::run(&mut rig::recado(&server, args)).ok();
    run(&["tenant", "set", "demo", "--hours", "mon-sun 00:00-24:00"]);
    run(&["services", "add", "cut", "--minutes", "30"]);
    run(&["staff", "add", "Marta"]);
    server.start_again().await;
    let token = Api::token(&server, "demo");
    let api = Api { server, token };
    let slots = json!({"phone": ANA, "service": "cut"});
    let free = async |key: &str| {
        let answer = tool(&api, &api.token, "free_slots", &slots, key).await;
        answer.json::<Value>().await.expect("JSON")["slots"][0]["starts_at"].as_str().expect("a time").to_owned()
    };
    // A tool that only reads is called again.
    let first = free("look").await;
    let book = json!({"phone": ANA, "service": "cut", "starts_at": first, "name": "Ana"});
    let booked = tool(&api, &api.token, "book_appointment", &book, "b1").await;
    assert_eq!(booked.status(), 200);
    let booked = booked.text().await.expect("a text");
    let again = tool(&api, &api.token, "book_appointment", &book, "b1").await;
    assert_eq!(again.headers().get("idempotency-replayed").map(|value| value.as_bytes()), Some(&b"true"[..]));
    assert_eq!((again.status().as_u16(), again.text().await.expect("a text")), (200, booked));
    assert_eq!(tool(&api, &api.token, "book_appointment", &book, "b2").await.status(), 409, "another request");
    assert_ne!(free("look").await, first);
    let message = |text: &str| json!({"phone": ANA, "message": text});
    for _ in 0..3 {
        assert_eq!(tool(&api, &api.token, "leave_message", &message("Call me"), "m1").await.status(), 200);
    }
    let reused = tool(&api, &api.token, "leave_message", &message("Do not"), "m1").await;
    assert_eq!(reused.status(), 422);
    let look = Look::into(api.server.folder()).await;
    assert_eq!(look.count("appointments").await, 1);
    assert_eq!(look.count("events WHERE kind = 'message_left'").await, 1);
}
