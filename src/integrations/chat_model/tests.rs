//! Requests, answers and history. `tests/it/voice/chat_client.rs` tests the client against a server.

use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use serde_json::{Map, json};

use super::turn::recent;
use super::*;

fn completion(message: &Value) -> Vec<u8> {
    json!({"choices": [{"message": message, "finish_reason": "stop"}]}).to_string().into_bytes()
}

fn call(arguments: &str) -> Result<Answer, ChatError> {
    let calls = json!([{"id": "call_1", "type": "function", "function": {"name": "book", "arguments": arguments}}]);
    wire::answer(&completion(&json!({"role": "assistant", "content": null, "tool_calls": calls})))
}

#[test]
fn turns_are_kept_as_they_are_documented() {
    let stored = json!([
        {"role": "user", "text": "¿Tienen hora?"},
        {"role": "assistant", "text": "", "calls": [{"id": "call_1", "name": "free_slots", "arguments": {"day": "tue"}}]},
        {"role": "tool", "call_id": "call_1", "text": "[\"10:00\"]"},
        {"role": "assistant", "text": "A las diez."},
    ]);
    let turns: Vec<Turn> = serde_json::from_value(stored.clone()).unwrap();
    assert_eq!(serde_json::to_value(&turns).unwrap(), stored);

    let request = Request { system: "Be kind.", messages: &turns, max_tokens: Some(50), ..Request::default() };
    let body = wire::body("m", &request, false);
    assert_eq!(
        body,
        json!({"model": "m", "max_tokens": 50, "messages": [
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": "¿Tienen hora?"},
            {"role": "assistant", "content": null, "tool_calls": [
                {"id": "call_1", "type": "function", "function": {"name": "free_slots", "arguments": "{\"day\":\"tue\"}"}}
            ]},
            {"role": "tool", "tool_call_id": "call_1", "content": "[\"10:00\"]"},
            {"role": "assistant", "content": "A las diez."},
        ]})
    );
    assert_eq!(wire::body("m", &request, true)["max_completion_tokens"], 50);
}

#[test]
fn the_oldest_turns_are_left_out_with_what_hangs_on_them() {
    let turns: Vec<Turn> = (0..HISTORY_MAX_TURNS + 5).map(|n| Turn::user(n.to_string())).collect();
    assert_eq!(recent(&turns), &turns[5..]);
    let long = Turn::user("x".repeat(HISTORY_MAX_BYTES - 3));
    let asked = ToolCall { id: "1".into(), name: "look".into(), arguments: Map::new() };
    let turns = [
        long,
        Turn::Assistant { text: String::new(), calls: vec![asked] },
        Turn::Tool { call_id: "1".into(), text: "x".repeat(HISTORY_MAX_BYTES - 4) },
        Turn::user("and?"),
    ];
    assert_eq!(recent(&turns), &turns[3..], "a tool's answer does not come without its call");
    assert_eq!(recent(&turns[..1]).len(), 1);
    assert!(recent(&[Turn::user("x".repeat(HISTORY_MAX_BYTES + 1))]).is_empty());
}

#[test]
fn answers_are_parsed_before_anybody_sees_them() {
    let text = wire::answer(&completion(&json!({"role": "assistant", "content": "Hola"}))).unwrap();
    assert_eq!(text, Answer { text: "Hola".into(), calls: Vec::new(), cut: false });
    let refusal = wire::answer(&completion(&json!({"content": null, "refusal": "I cannot."}))).unwrap();
    assert_eq!(refusal.text, "I cannot.");
    let answer = call(r#"{"day":"tue"}"#).unwrap();
    assert_eq!((answer.calls[0].name.as_str(), answer.calls[0].arguments["day"].as_str()), ("book", Some("tue")));
    assert!(call("").unwrap().calls[0].arguments.is_empty());

    let long = "x".repeat(TEXT_MAX_BYTES + 1);
    let many = vec![json!({"id": "1", "function": {"name": "a", "arguments": "{}"}}); CALLS_MAX + 1];
    for bad in [
        b"<html>".to_vec(),
        b"{}".to_vec(),
        br#"{"choices": []}"#.to_vec(),
        completion(&json!({"content": "  "})),
        completion(&json!({"content": long})),
        completion(&json!({"content": 7})),
        completion(&json!({"tool_calls": many})),
    ] {
        assert!(matches!(wire::answer(&bad), Err(ChatError::Garbled(_))));
    }
    for bad in ["[1]", "{\"day\":", "\"tue\"", &format!("{{\"a\":\"{}\"}}", "x".repeat(ARGUMENTS_MAX_BYTES))] {
        assert!(matches!(call(bad), Err(ChatError::Garbled(_))), "{bad:.40}");
    }
}

#[test]
fn a_digest_keeps_to_its_form_or_is_none() {
    let good = r#"{"sentiment": "negative", "score": -0.5, "summary": "Quería hora.\n\nNo había.\nAdiós."}"#;
    let digest = digest::parse(good).unwrap();
    assert_eq!((digest.sentiment, digest.score), (Sentiment::Negative, -0.5));
    assert_eq!(digest.summary, "Quería hora.\nNo había.");
    assert_eq!(digest::parse(&format!("```json\n{good}\n```")).unwrap(), digest);
    for bad in [
        "The caller was happy.",
        r#"{"sentiment": "furious", "score": -1, "summary": "a"}"#,
        r#"{"sentiment": "positive", "score": 1.5, "summary": "a"}"#,
        r#"{"sentiment": "positive", "score": -0.5, "summary": "a"}"#,
        r#"{"sentiment": "neutral", "score": 0, "summary": " \n "}"#,
        r#"{"sentiment": "neutral", "summary": "a"}"#,
    ] {
        assert!(matches!(digest::parse(bad), Err(ChatError::Garbled(_))), "{bad}");
    }
}

#[test]
fn a_key_that_the_server_repeats_is_hidden() {
    let body = br#"{"error": {"message": "the key sk-tests\n may not use this model", "code": 403}}"#;
    let error = error::refusal(StatusCode::FORBIDDEN, &HeaderMap::new(), body, &"sk-tests".into());
    let message = "the key ••••  may not use this model".to_owned();
    assert_eq!(error, ChatError::Refused { status: 403, message });
    let html = error::refusal(StatusCode::BAD_GATEWAY, &HeaderMap::new(), b"<html>", &"sk-tests".into());
    assert_eq!(html, ChatError::Refused { status: 502, message: String::new() });
}
