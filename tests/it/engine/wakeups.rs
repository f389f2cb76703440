//! Events from inside are decided at once. The clock stands still here, so the sweep, which comes every second, never
//! comes: what is decided was woken.

use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use recado::domain::{Clock, Timestamp, TokenScope};
use recado::emulators::twilio::{Fault, FaultKind};
use recado::http::api::{hash_of_token, new_token};
use recado::store::NewApiToken;
use secrecy::ExposeSecret;
use serde_json::json;

use crate::faults::inside::{Inside, PUBLIC_URL, encode, posted};
use crate::faults::rig::{ACCOUNT, OURS, Provider, TOKEN, customer};
use crate::support::wait::eventually;
use crate::support::webhook::{Twilio, message_sid, sign};

const WITHIN: Duration = Duration::from_secs(20);
const RULES: &str = r#"
rule("echo").on("inbound_sms").then(|e| reply(`re ${e.body}`));
rule("shipped").on("order_shipped").then(|e| send_sms(e.data.to, "On its way"));
"#;

struct Scene {
    inside: Inside,
    provider: Provider,
    _loops: Box<dyn std::any::Any>,
}

impl Scene {
    /// A server whose tenant has just received a text, so that its events are cached.
    async fn start() -> Self {
        let provider = Provider::start(1).await;
        provider.order(Fault::always(FaultKind::CallbacksLost));
        let clock = Clock::simulated(Timestamp::parse("2026-11-21T10:00:00Z").expect("it is a time"));
        let inside = Inside::at(&provider.url, clock, RULES).await;
        let loops = Box::new(recado::app::start_loops(&inside.engine));
        let scene = Self { inside, provider, _loops: loops };
        scene.text(1).await;
        scene.provider.wait_taken(1).await;
        scene
    }

    async fn text(&self, number: usize) {
        let target = "/api/twilio/demo/sms";
        let form = Twilio::new(PUBLIC_URL, ACCOUNT, TOKEN).inbound(
            &message_sid(number as u128),
            &customer(number),
            OURS,
            "hola",
        );
        let signature = sign(TOKEN, &format!("{PUBLIC_URL}{target}"), &form);
        assert_eq!(self.inside.answer(posted(target, encode(&form), Some(&signature))).await.0, 200);
    }

    async fn reaches(&self, number: usize) {
        eventually(WITHIN, || async {
            let count = self.provider.carrier.count_to(&customer(number));
            if count == 1 { Ok(()) } else { Err(count) }
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_from_the_api_is_decided_at_once() {
    let scene = Scene::start().await;
    let demo = scene.inside.directory.now().by_slug("demo").expect("it is made").id;
    let token = new_token().expect("there is chance");
    let hash = hash_of_token(token.expose_secret());
    let new = NewApiToken { name: "shop", scope: TokenScope::Full, hash: &hash, expires_at: None };
    scene.inside.store.add_api_token(demo, new).await.expect("it can be kept");
    for (number, key) in [(10, None), (11, Some("k1")), (12, None)] {
        let body = json!({"kind": "order_shipped", "data": {"to": customer(number)}}).to_string();
        let mut request = Request::post("/api/v1/events").header("content-type", "application/json");
        request = request.header("authorization", format!("Bearer {}", token.expose_secret()));
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let (status, _) = scene.inside.answer(request.body(Body::from(body)).expect("a request of ours")).await;
        assert_eq!(status, 202);
        scene.reaches(number).await;
        // Between texts as well as alone.
        scene.text(number + 20).await;
        scene.reaches(number + 20).await;
    }
}
