//! A conversation model on the line: what it is given, and what its faults cost a caller.

use std::time::{Duration, Instant};

use recado::domain::Clock;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::caller::{ANA, Caller, TwimlResponse, options};
use crate::cli;
use crate::faults::rig::{self, Look};
use crate::support::chat_model::{ChatModelEmulator, Reply};
use crate::support::server::{Server, ServerOptions};
use crate::support::wait::eventually;

const WITHIN: Duration = Duration::from_secs(30);
const KEY: &str = "sk-test";
const RULES: &str = r#"
rule("ended").on("call_completed").then(|e| note(`${e.data.sentiment} ${e.data.summary} ${e.data.transcript.len()}`));
rule("left").on("message_left").then(|e| note(`left: ${e.body}`));
rule("stop").on("call_input").keyword("stop").then(|e| { say("Bye"); hangup() });
"#;

/// A chat API on a port of its own, and a server that uses it.
pub struct Scene {
    pub chat: ChatModelEmulator,
    pub server: Server,
}

impl Scene {
    async fn start() -> Self {
        Self::with(options(RULES)).await
    }

    pub async fn with(options: ServerOptions) -> Self {
        let chat = ChatModelEmulator::new(KEY, Clock::system());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port can be bound");
        let base = format!("http://{}/v1", listener.local_addr().expect("it is bound"));
        let router = chat.router();
        tokio::spawn(async move { axum::serve(listener, router).await.expect("it serves until the test ends") });
        let options = options.env("OPENAI_BASE_URL", base).env("OPENAI_API_KEY", KEY);
        Self { chat, server: Server::start(options).await }
    }

    /// Follows the document again and again, as the provider does, until the answer is no hold response.
    pub async fn follow_hold_responses(&self, ana: &Caller, mut twiml: TwimlResponse) -> TwimlResponse {
        for _ in 0..20 {
            if twiml.attribute("action").is_some() || !twiml.document.contains("/wait?") {
                return twiml;
            }
            twiml = ana.answers(&twiml, &[]).await;
        }
        panic!("nothing was said but words of patience: {twiml:?}");
    }
}

#[tokio::test]
async fn a_conversation_model_answers_a_caller_until_they_hang_up() {
    let scene = Scene::start().await;
    let ana = Caller::new(&scene.server, 1);
    let twiml = ana.posts("/api/twilio/demo/answer", &[]).await;
    twiml.says("Hello, you have called Demo.");
    let twiml = ana
        .posts("/api/twilio/demo/gather?turn=1", &[("SpeechResult", "What are your hours?"), ("Confidence", "0.9")])
        .await;
    let twiml = scene.follow_hold_responses(&ana, twiml).await;
    twiml.says("You said: What are your hours?");
    assert_eq!(&twiml.verbs()[..3], ["Response", "Gather", "Say"], "{}", twiml.document);
    let twiml = ana.answers(&twiml, &[("SpeechResult", "Thanks")]).await;
    let twiml = scene.follow_hold_responses(&ana, twiml).await;
    twiml.says("You said: Thanks");
    // The second request contains the first question and its answer.
    let asked = scene.chat.requests();
    let messages = asked.last().expect("it was asked")["messages"].as_array().expect("a list").clone();
    let said: Vec<&str> = messages[1..].iter().filter_map(|message| message["content"].as_str()).collect();
    assert_eq!(said, ["What are your hours?", "You said: What are your hours?", "Thanks"]);
    assert!(messages[0]["content"].as_str().is_some_and(|system| system.contains("You answer the telephone for Demo")));
    // A rule with that keyword comes before the model.
    ana.answers(&twiml, &[("SpeechResult", "stop")]).await.says("Bye");
    assert_eq!(scene.chat.requests().len(), 2);
}

#[tokio::test]
async fn the_end_of_a_call_comes_with_its_transcript_sentiment_and_summary() {
    let scene = Scene::start().await;
    let ana = Caller::new(&scene.server, 1);
    ana.posts("/api/twilio/demo/answer", &[]).await;
    let twiml = ana.posts("/api/twilio/demo/gather?turn=1", &[("SpeechResult", "I love it")]).await;
    scene.follow_hold_responses(&ana, twiml).await;
    let digest = json!({"sentiment": "positive", "score": 0.8, "summary": "Likes it.\nWants nothing."});
    scene.chat.then(Duration::ZERO, Reply::Text(digest.to_string()));
    for _ in 0..3 {
        ana.posts("/api/twilio/demo/status", &[("CallStatus", "completed"), ("CallDuration", "9")]).await;
    }
    let note = "\"0.8 Likes it.\\nWants nothing. 3\"";
    let look = Look::into(scene.server.folder()).await;
    eventually(WITHIN, || async {
        let notes = look.text_or_number("SELECT coalesce(group_concat(new, '|'), '') FROM contact_history").await;
        if notes == note { Ok(()) } else { Err(notes) }
    })
    .await;
    let calls = cli::run(&mut rig::recado(&scene.server, &["calls", "--json"])).json();
    assert_eq!(calls[0]["summary"], "Likes it.\nWants nothing.");
    assert_eq!(calls[0]["sentiment"], 0.8);
}

/// Whatever the model does, each webhook is answered within the budget and some slack, and the call ends well.
#[tokio::test]
async fn a_model_that_is_slow_hangs_or_fails_keeps_no_caller_waiting() {
    let scene = Scene::start().await;
    let slow = (Duration::from_secs(5), Reply::Text("At nine.".into()));
    let broken = Reply::Status { status: 500, code: "server_error", retry_after_s: None };
    let cases = [
        (slow, "At nine."),
        ((Duration::ZERO, broken), "We are sorry"),
        ((Duration::ZERO, Reply::Raw("<html>".into())), "We are sorry"),
        ((Duration::ZERO, Reply::Hang), "We are sorry"),
    ];
    for (number, ((delay, reply), expected)) in cases.into_iter().enumerate() {
        let ana = Caller::new(&scene.server, number as u128);
        ana.posts("/api/twilio/demo/answer", &[]).await;
        scene.chat.then(delay, reply);
        let said = [("SpeechResult", "When?")];
        let mut twiml = ana.posts("/api/twilio/demo/gather?turn=1", &said).await;
        if twiml.document.contains("/wait?") {
            // The provider repeats the webhook while the model is asked.
            let again = ana.posts("/api/twilio/demo/gather?turn=1", &said).await;
            assert!(again.document.contains("/wait?") || again.document.contains(expected), "{}", again.document);
        }
        let begun = Instant::now();
        let mut rounds = 0;
        while twiml.document.contains("/wait?") {
            assert!(rounds > 0 || twiml.document.contains("One moment, please."), "{}", twiml.document);
            assert!(begun.elapsed() < Duration::from_secs(60), "nothing else is ever said");
            twiml = ana.answers(&twiml, &[]).await;
            rounds += 1;
        }
        twiml.says(expected);
        // The provider's repeat of the last question hears the same.
        let again = ana.posts("/api/twilio/demo/wait?turn=2&round=9", &[]).await;
        assert_eq!(again, twiml);
    }
}

#[tokio::test]
async fn a_model_has_the_tools_hands_over_to_a_person_and_leaves_messages() {
    let scene = Scene::start().await;
    let ana = Caller::new(&scene.server, 1);
    ana.posts("/api/twilio/demo/answer", &[]).await;
    let tools = vec![("leave_message".to_owned(), json!({"message": "Call me <back>"}).to_string())];
    scene.chat.then(Duration::ZERO, Reply::Tools(tools));
    scene.chat.then(Duration::ZERO, Reply::Text("I have told them.".into()));
    let twiml = ana.posts("/api/twilio/demo/gather?turn=1", &[("SpeechResult", "Tell them to call me")]).await;
    scene.follow_hold_responses(&ana, twiml).await.says("I have told them.");
    let look = Look::into(scene.server.folder()).await;
    eventually(WITHIN, || async {
        let notes = look.text_or_number("SELECT coalesce(group_concat(new, '|'), '') FROM contact_history").await;
        if notes == "\"left: Call me <back>\"" { Ok(()) } else { Err(notes) }
    })
    .await;
    let tool = scene.chat.requests().last().expect("it was asked")["messages"].clone();
    assert!(tool.to_string().contains(r#"{\"left\":true}"#), "{tool}");
    // No person is configured to be handed over to; later one is.
    let person = || Reply::Tools(vec![("hand_over_to_person".to_owned(), "{}".to_owned())]);
    scene.chat.then(Duration::ZERO, person());
    let twiml = ana.posts("/api/twilio/demo/gather?turn=2", &[("SpeechResult", "A person")]).await;
    scene.follow_hold_responses(&ana, twiml).await.says("We are sorry");
    cli::run(&mut rig::recado(&scene.server, &["agents", "default", "--person", "+34600999888"])).ok();
    let next = std::sync::atomic::AtomicU32::new(2);
    eventually(WITHIN, || async {
        let ana = Caller::new(&scene.server, next.fetch_add(1, std::sync::atomic::Ordering::Relaxed).into());
        ana.posts("/api/twilio/demo/answer", &[]).await;
        scene.chat.then(Duration::ZERO, person());
        let twiml = ana.posts("/api/twilio/demo/gather?turn=1", &[("SpeechResult", "A person")]).await;
        let twiml = scene.follow_hold_responses(&ana, twiml).await;
        if twiml.text("Number").as_deref() == Some("+34600999888") { Ok(()) } else { Err(twiml) }
    })
    .await;
}

/// Each tool works with a token, for the customer who is named, and none works without.
#[tokio::test]
async fn a_voice_agent_calls_its_tools_over_http_with_a_token() {
    let mut server = rig::migrated(options(RULES));
    let run = |args: &[&str]| cli::run(&mut rig::recado(&server, args)).ok();
    run(&["tenant", "set", "demo", "--hours", "mon-sun 00:00-24:00"]);
    run(&["services", "add", "cut", "--minutes", "30"]);
    run(&["staff", "add", "Marta"]);
    let token = run(&["tenant", "token", "add", "demo", "--name", "agent"]);
    let token = token.split_whitespace().find(|word| word.starts_with("recado_")).expect("a token").to_owned();
    server.start_again().await;
    let client = crate::support::http_client();
    let call = async |tool: &str, body: Value, token: &str| {
        let request = client.post(format!("{}/api/agent/{tool}", server.url())).bearer_auth(token).json(&body);
        let answer = request.send().await.expect("it answers");
        (answer.status().as_u16(), answer.json::<Value>().await.expect("JSON"))
    };
    assert_eq!(call("free_slots", json!({"phone": ANA, "service": "cut"}), "recado_wrong").await.0, 401);
    let (status, slots) = call("free_slots", json!({"phone": ANA, "service": "cut"}), &token).await;
    assert_eq!(status, 200, "{slots}");
    let at = |n: usize| slots["slots"][n]["starts_at"].as_str().expect("a time").to_owned();
    let (status, booked) =
        call("book_appointment", json!({"phone": ANA, "service": "cut", "starts_at": at(3), "name": "Ana"}), &token)
            .await;
    assert_eq!((status, booked["booked"]["starts_at"].as_str()), (200, Some(at(3).as_str())), "{booked}");
    let (_, customer) = call("find_customer", json!({"phone": ANA}), &token).await;
    assert_eq!(customer["name"], "Ana");
    assert_eq!(customer["appointments"][0]["service"], "cut");
    let (status, moved) = call("move_appointment", json!({"phone": ANA, "starts_at": at(6)}), &token).await;
    assert_eq!((status, moved["appointment"]["starts_at"].as_str()), (200, Some(at(6).as_str())), "{moved}");
    // Other customers cannot change it, and a taken time is refused.
    let (status, _) = call("cancel_appointment", json!({"phone": "+34600999111"}), &token).await;
    assert_eq!(status, 422);
    let taken = json!({"phone": "+34600999111", "service": "cut", "staff": "Marta", "starts_at": at(6)});
    assert_eq!(call("book_appointment", taken, &token).await.0, 409);
    let (status, cancelled) = call("cancel_appointment", json!({"phone": ANA}), &token).await;
    assert_eq!((status, cancelled["appointment"]["state"].as_str()), (200, Some("cancelled")), "{cancelled}");
    let (status, _) = call("leave_message", json!({"phone": ANA, "message": "Call me"}), &token).await;
    assert_eq!(status, 200);
    let look = Look::into(server.folder()).await;
    eventually(WITHIN, || async {
        let left = look.count("contact_history WHERE new = '\"left: Call me\"'").await;
        if left == 1 { Ok(()) } else { Err(left) }
    })
    .await;
}
