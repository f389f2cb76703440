//! Rules that wait, end to end: a webhook in, time passes, a message out.

use std::sync::Arc;
use std::time::Duration;

use recado::app;
use recado::domain::{Clock, Timestamp};
use recado::pipeline::Pipeline;
use recado::store::Listed;
use recado::store::entity::event;
use tokio::task::JoinSet;

use crate::faults::inside::{Inside, PUBLIC_URL, encode, posted};
use crate::faults::rig::{ACCOUNT, OURS, Provider, TOKEN, customer};
use crate::support::wait::eventually;
use crate::support::webhook::{Twilio, message_sid, sign};

/// How long the loops may take for what is due.
const DONE_WITHIN: Duration = Duration::from_secs(20);
const HOUR: Duration = Duration::from_secs(3_600);
const MINUTE: Duration = Duration::from_secs(60);
/// A Saturday.
const START: &str = "2026-11-21T08:00:00Z";

/// The program with its loops on a clock of the test's, beside a provider.
struct World {
    provider: Provider,
    inside: Inside,
    clock: Clock,
    loops: JoinSet<()>,
}

impl World {
    async fn start(rules: &str) -> Self {
        let clock = Clock::simulated(Timestamp::parse(START).expect("it is a time"));
        let provider = Provider::start(1).await;
        let inside = Inside::at(&provider.url, clock.clone(), rules).await;
        let loops = app::start_loops(&inside.pipeline);
        Self { provider, inside, clock, loops }
    }

    /// The loops end, as a server that is stopped.
    async fn down(&mut self) {
        self.loops.shutdown().await;
    }

    fn up(&mut self) {
        self.loops = app::start_loops(&self.inside.pipeline);
    }

    fn pipeline(&self) -> &Arc<Pipeline> {
        &self.inside.pipeline
    }

    async fn text(&self, number: usize, body: &str) {
        let twilio = Twilio::new("http://127.0.0.1:1", ACCOUNT, TOKEN);
        let sid = message_sid(number as u128 + 1);
        let form = twilio.inbound(&sid, &customer(number), OURS, body);
        let path = "/api/twilio/demo/sms";
        let signature = sign(TOKEN, &format!("{PUBLIC_URL}{path}"), &form);
        let (status, _) = self.inside.answer(posted(path, encode(&form), Some(&signature))).await;
        assert_eq!(status, 200);
    }

    fn tenant(&self) -> recado::domain::TenantId {
        self.pipeline().directory.now().by_slug("demo").expect("it is there").id
    }

    async fn timers(&self) -> usize {
        self.pipeline().store.timers(None, 100).await.expect("they can be read").len()
    }

    /// Waits until so many timers are pending.
    async fn pending(&self, count: usize) {
        eventually(DONE_WITHIN, || async {
            let timers = self.timers().await;
            if timers == count { Ok(()) } else { Err(timers) }
        })
        .await;
    }

    /// The texts that were sent, once there are so many.
    async fn sent(&self, count: u64) -> Vec<String> {
        self.provider.wait_taken(count).await;
        self.provider.sent().into_iter().map(|message| message.body).collect()
    }

    async fn events(&self, kind: &str) -> Vec<event::Model> {
        let events = self.pipeline().store.events(self.tenant(), 10_000).await.expect("they can be read");
        events.into_iter().filter(|event| event.kind == kind).collect()
    }

    /// Waits until so many events of a kind are there and everything is decided.
    async fn decided(&self, kind: &str, count: usize) -> Vec<event::Model> {
        eventually(DONE_WITHIN, || async {
            let events = self.events(kind).await;
            let open = events.iter().filter(|event| event.handled_us.is_none()).count();
            if events.len() == count && open == 0 { Ok(events) } else { Err((events.len(), open)) }
        })
        .await
    }

    async fn verdict(&self, event: &event::Model) -> String {
        let id = recado::domain::EventId::new(event.id);
        let (_, trace) = self.pipeline().store.trace(self.tenant(), id).await.unwrap().expect("it is decided");
        let trace: recado::rules::Trace = serde_json::from_str(&trace).expect("a trace");
        trace.rules.iter().map(|rule| rule.verdict.to_string()).collect::<Vec<_>>().join("; ")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_waits_and_answers_when_its_time_has_come() {
    let world = World::start(
        "rule(\"later\").on(\"inbound_sms\").keyword(\"wait\").after(\"2h\").then(|e| reply(`now ${e.rest}`));",
    )
    .await;
    world.text(1, "Wait for me").await;
    world.pending(1).await;
    let [event] = &world.decided("inbound_sms", 1).await[..] else { panic!("one text") };
    assert!(world.verdict(event).await.starts_with("waits until 2026-11-21T10:00:0"));
    world.clock.advance(2 * HOUR - MINUTE);
    world.pending(1).await;
    world.clock.advance(2 * MINUTE);
    assert_eq!(world.sent(1).await, ["now for me"]);
    world.pending(0).await;
    let [timer] = &world.decided("timer", 1).await[..] else { panic!("one timer") };
    assert_eq!(world.verdict(timer).await, "fired");
    let listed = world.pipeline().store.messages(world.tenant(), None, 10).await.unwrap();
    let origins = listed.iter().filter_map(|listed| match listed {
        Listed::Message(message) => Some(message.origin.as_str()),
        Listed::Send(_) => None,
    });
    assert!(origins.into_iter().any(|origin| origin == "business"), "what is sent later, the business starts");
}
