//! Each fault that the carrier offers, ordered over HTTP: a customer writes, and the ledger records the outcome.

use std::time::Duration;

use recado::domain::Clock;
use recado::emulators::twilio::{CarrierConfig, NumberConfig};
use serde_json::{Value, json};

use super::rig::{self, ACCOUNT, Look, OURS, Provider, TOKEN, customer};
use crate::support::http_client;
use crate::support::server::Server;
use crate::support::wait::eventually;

/// A try that hangs is given up after 15 s, reconciled, and sent again.
const SETTLED_WITHIN: Duration = Duration::from_secs(60);
/// Longer than the grace of an unknown send.
const LATE_MS: u64 = 3_000;

/// A provider with one number, whose texts go to a server that answers each.
struct World {
    provider: Provider,
    server: Server,
    look: Look,
}

impl World {
    async fn new() -> Self {
        let provider = Provider::with(CarrierConfig::new(ACCOUNT, TOKEN, Clock::system())).await;
        let server = Server::start(rig::options(&provider.url)).await;
        provider.carrier.set_numbers(vec![NumberConfig {
            account_sid: ACCOUNT.to_owned(),
            number: OURS.to_owned(),
            label: "demo".to_owned(),
            sms_url: Some(format!("{}/api/twilio/demo/sms", server.url())),
            ..NumberConfig::default()
        }]);
        let look = Look::into(server.folder()).await;
        Self { provider, server, look }
    }

    async fn post(&self, path: &str, body: &Value) {
        let answer = http_client().post(format!("{}{path}", self.provider.url)).json(body).send().await;
        let status = answer.expect("the carrier answers").status();
        assert_eq!(status, 201, "{path} {body}");
    }

    /// Posts a customer's text under a fault.
    async fn writes(&self, fault: &Value, from: &str) {
        self.post("/carrier/faults", fault).await;
        let text = json!({"from": from, "to": OURS, "channel": "sms", "body": "hola"});
        self.post("/carrier/texts", &text).await;
    }

    /// The state, the message's status and the outcomes of the tries of the one send to a customer.
    async fn verdict(&self, to: &str) -> Result<(String, String, Vec<String>), String> {
        let actions: Vec<_> =
            self.look.actions().await.into_iter().filter(|action| action.recipient.as_deref() == Some(to)).collect();
        let [action] = actions.as_slice() else { return Err(format!("{} sends to {to}", actions.len())) };
        let message = self.look.messages().await.into_iter().find(|message| message.id == action.id);
        let status = message.map(|message| message.status).unwrap_or_default();
        let mut tries: Vec<_> = self.look.attempts().await;
        tries.retain(|one| one.action_id == action.id);
        tries.sort_by_key(|one| one.n);
        let outcomes = tries.into_iter().map(|one| one.outcome.unwrap_or_default()).collect();
        Ok((action.state.clone(), status, outcomes))
    }

    /// Waits until the send to a customer has this state and its message this status.
    async fn settled(&self, to: &str, state: &str, status: &str) -> Vec<String> {
        eventually(SETTLED_WITHIN, || async {
            let (is, message_status, tries) = self.verdict(to).await?;
            // A callback may settle a send whose answer is still awaited. The try is stored afterwards.
            let closed = !tries.is_empty() && tries.iter().all(|outcome| !outcome.is_empty());
            if is == state && message_status == status && closed {
                Ok(tries)
            } else {
                Err(format!("{is} {message_status} {tries:?}"))
            }
        })
        .await
    }

    /// Counts the messages to a customer that the provider took.
    fn taken(&self, to: &str) -> usize {
        self.provider.carrier.count_to(to)
    }
}

/// The possible outcomes of an unknown try: its callback settled it, or the provider's list.
const FOUND: [&str; 2] = ["unknown", "adopted"];

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_of_the_answer_has_its_verdict() {
    let world = World::new().await;
    // The try under the fault ends in one of these. Another follows if the provider has not taken it.
    let cases: [(&str, &[&str], bool); 9] = [
        ("throttle", &["retry"], true),
        ("unavailable_503", &["retry"], true),
        ("error_500", &["never_taken"], true),
        ("drop_before_accept", &["never_taken"], true),
        ("hang", &["never_taken"], true),
        ("error_500_after_accept", &FOUND, false),
        ("drop_after_accept", &FOUND, false),
        ("hang_after_accept", &FOUND, false),
        ("drip", &FOUND, false),
    ];
    for (number, (fault, outcomes, again)) in cases.into_iter().enumerate() {
        let to = customer(number);
        world.writes(&json!({"fault": fault, "times": 1}), &to).await;
        let tries = world.settled(&to, "sent", "delivered").await;
        eprintln!("{fault}: {tries:?}");
        assert!(outcomes.contains(&tries[0].as_str()), "{fault}: {tries:?}");
        assert_eq!(tries[1..], ["sent"][..usize::from(again)], "{fault}");
        assert_eq!(world.taken(&to), 1, "{fault}: once");
    }
    assert_eq!(world.provider.carrier.taken(), cases.len() as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_lost_answer_and_lost_callbacks_the_list_decides() {
    let world = World::new().await;
    for (number, fault) in ["error_500_after_accept", "drop_after_accept"].into_iter().enumerate() {
        let to = customer(number);
        world.post("/carrier/faults", &json!({"fault": "callbacks_lost", "times": 1})).await;
        world.writes(&json!({"fault": fault, "times": 1}), &to).await;
        let adopted = eventually(SETTLED_WITHIN, || async {
            let (state, _, tries) = world.verdict(&to).await?;
            if state == "sent" { Ok(tries) } else { Err(format!("{state} {tries:?}")) }
        });
        assert_eq!(adopted.await, ["adopted"], "{fault}");
        assert_eq!(world.taken(&to), 1, "{fault}: once");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_of_the_callbacks_has_its_verdict() {
    let world = World::new().await;
    let cases = ["callbacks_doubled", "callbacks_reordered", "callbacks_before_answer", "callbacks_late"];
    for (number, fault) in cases.into_iter().enumerate() {
        let to = customer(number);
        world.writes(&json!({"fault": fault, "times": 1, "delay_ms": LATE_MS}), &to).await;
        let tries = world.settled(&to, "sent", "delivered").await;
        assert_eq!((tries.len(), world.taken(&to)), (1, 1), "{fault}: {tries:?}");
    }
    let to = customer(cases.len());
    world.writes(&json!({"fault": "callbacks_lost", "times": 1}), &to).await;
    assert_eq!(world.settled(&to, "sent", "queued").await, ["sent"], "nobody has told more");
    world.provider.carrier.wait_callbacks().await;
    assert_eq!((world.settled(&to, "sent", "queued").await.len(), world.taken(&to)), (1, 1));
    assert!(!world.server.log().contains("does not have"), "a callback did not find its send");
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_credentials_make_the_send_wait_untaken() {
    let world = World::new().await;
    let to = customer(0);
    world.writes(&json!({"fault": "unauthorized"}), &to).await;
    let tries = eventually(SETTLED_WITHIN, || async {
        let (state, _, tries) = world.verdict(&to).await?;
        if state == "planned" && tries == ["retry"] { Ok(tries) } else { Err(format!("{state} {tries:?}")) }
    });
    assert_eq!(tries.await.len(), 1);
    assert_eq!(world.taken(&to), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_at_the_provider_is_never_sent_to() {
    let world = World::new().await;
    let (to, text) =
        (customer(0), |from: &str, body: &str| json!({"from": from, "to": OURS, "channel": "sms", "body": body}));
    world.post("/carrier/texts", &text(&to, "STOP")).await;
    // Recado leaves the answer to the provider, which it comes from.
    eventually(SETTLED_WITHIN, || async {
        let stops = world.look.count("opt_outs").await;
        if stops == 1 && world.taken(&to) == 1 { Ok(()) } else { Err(format!("{stops} opt-outs")) }
    })
    .await;
    assert_eq!(world.provider.carrier.taken(), 0, "of ours nothing");
    // Only the provider knows of this one.
    let other = customer(1);
    world.post("/carrier/inbound", &json!({"from": other, "to": OURS, "body": "STOP"})).await;
    world.post("/carrier/texts", &text(&other, "hola")).await;
    let refused = eventually(SETTLED_WITHIN, || async {
        let (state, _, tries) = world.verdict(&other).await?;
        if ["failed", "blocked"].contains(&state.as_str()) { Ok(tries) } else { Err(state) }
    });
    assert_eq!(refused.await.len(), 1, "21610 is not tried again");
    assert_eq!(world.taken(&other), 0);
}
