//! The chat client against the emulator, over a real loopback connection.

use std::time::Duration;

use recado::domain::Clock;
use recado::integrations::chat_model::{ANSWER_MAX_BYTES, Answer, Chat, ChatError, Request, Sentiment, Tool, Turn};
use recado::integrations::http;
use secrecy::SecretString;
use serde_json::json;

use crate::support::chat_model::{ChatModelEmulator, Reply};

const KEY: &str = "sk-of-the-tests";
const LONG: Duration = Duration::from_secs(30);

struct World {
    api: ChatModelEmulator,
    base: String,
}

impl World {
    async fn new() -> Self {
        let api = ChatModelEmulator::new(KEY, Clock::system());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}/v1", listener.local_addr().unwrap());
        let router = api.router();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { api, base }
    }

    fn chat(&self, key: Option<&str>) -> Chat {
        Chat::new(http::client().unwrap(), &self.base, key.map(SecretString::from), "model-1").unwrap()
    }

    async fn ask(&self, turns: &[Turn], deadline: Duration) -> Result<Answer, ChatError> {
        self.chat(Some(KEY)).ask(Request { messages: turns, ..Request::default() }, deadline).await
    }
}

#[tokio::test]
async fn a_conversation_with_a_tool() {
    let world = World::new().await;
    let tools =
        [Tool { name: "free_slots".into(), description: "Free times".into(), parameters: json!({"type": "object"}) }];
    let mut turns = vec![Turn::user("¿Hora el martes?")];
    world.api.then(Duration::ZERO, Reply::Tools(vec![("free_slots".into(), r#"{"day":"tue"}"#.into())]));
    let chat = world.chat(Some(KEY));
    let base = Request { system: "Be brief.", tools: &tools, ..Request::default() };
    let answer = chat.ask(Request { messages: &turns, ..base }, LONG).await.unwrap();
    assert_eq!((answer.calls.len(), answer.calls[0].name.as_str()), (1, "free_slots"));
    let call_id = answer.calls[0].id.clone();
    turns.push(answer.into());
    assert!(matches!(
        chat.ask(Request { messages: &turns, ..base }, LONG).await,
        Err(ChatError::Refused { status: 400, .. })
    ));
    turns.push(Turn::Tool { call_id, text: "10:00".into() });
    let answer = chat.ask(Request { messages: &turns, ..base }, LONG).await.unwrap();
    assert_eq!((answer.text.as_str(), answer.calls.len()), ("You said: 10:00", 0));
    let asked = world.api.requests();
    assert_eq!((asked.len(), &asked[1]["model"]), (2, &json!("model-1")));
    assert_eq!(asked[0]["tools"][0]["function"]["name"], "free_slots");
    assert_eq!(asked[1]["messages"].as_array().unwrap().len(), 4);
}

#[tokio::test]
async fn every_failure_has_its_name_and_none_has_the_key() {
    let world = World::new().await;
    let turns = [Turn::user("hola")];
    let status = |status, code, retry_after_s| Reply::Status { status, code, retry_after_s };
    for (reply, expect) in [
        (status(429, "rate_limit_exceeded", Some(7)), ChatError::RateLimited(Some(Duration::from_secs(7)))),
        (status(429, "rate_limit_exceeded", None), ChatError::RateLimited(None)),
        (
            status(429, "insufficient_quota", Some(7)),
            ChatError::Refused { status: 429, message: "ordered by a test".into() },
        ),
        (status(500, "server_error", None), ChatError::Refused { status: 500, message: "ordered by a test".into() }),
        (Reply::Raw("<html>".into()), ChatError::Garbled("it is no chat completion".into())),
    ] {
        world.api.then(Duration::ZERO, reply);
        assert_eq!(world.ask(&turns, LONG).await.unwrap_err(), expect);
    }
    world.api.then(Duration::ZERO, Reply::Raw("x".repeat(ANSWER_MAX_BYTES + 1)));
    assert!(matches!(world.ask(&turns, LONG).await, Err(ChatError::Garbled(_))));
    world.api.then(Duration::ZERO, Reply::Hang);
    let soon = Duration::from_millis(50);
    assert_eq!(world.ask(&turns, soon).await.unwrap_err(), ChatError::TimedOut(soon));

    let request = Request { messages: &turns, ..Request::default() };
    assert_eq!(world.chat(None).ask(request, LONG).await.unwrap_err(), ChatError::NotConfigured);
    let wrong = world.chat(Some("sk-wrong"));
    let error = wrong.ask(request, LONG).await.unwrap_err();
    assert_eq!(error, ChatError::Unauthorized);
    assert!(!format!("{error} {error:?} {wrong:?}").contains("sk-wrong"));
    let nobody = Chat::new(http::client().unwrap(), "http://127.0.0.1:9/v1", Some(KEY.into()), "m").unwrap();
    assert!(matches!(nobody.ask(request, LONG).await, Err(ChatError::Lost(_))));
    assert!(matches!(world.ask(&[], LONG).await, Err(ChatError::Unfit(_))));
}

#[tokio::test]
async fn a_call_is_digested_in_one_request() {
    let world = World::new().await;
    let chat = world.chat(Some(KEY));
    let digest = chat.digest("caller: hola\nagent: dígame\ncaller: gracias", LONG).await.unwrap();
    assert_eq!((digest.sentiment, digest.score), (Sentiment::Neutral, 0.0));
    assert_eq!(digest.summary, "caller: hola\ncaller: gracias");
    assert_eq!(world.api.requests().len(), 1);
    world.api.then(Duration::ZERO, Reply::Text("It went well.".into()));
    assert!(matches!(chat.digest("caller: hola", LONG).await, Err(ChatError::Garbled(_))));
}
