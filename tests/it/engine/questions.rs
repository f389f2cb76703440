//! Questions in quiet hours and questions that are never sent, with the real rules, gate and timers on a simulated clock.

use std::time::Duration;

use recado::app;
use recado::domain::{Clock, ContactId, Event, EventId, EventKind, Phone, TenantId, Timestamp};
use serde_json::json;
use tokio::task::JoinSet;

use crate::faults::inside::{Inside, PUBLIC_URL, encode, posted};
use crate::faults::rig::{ACCOUNT, OURS, Provider, TOKEN};
use crate::support::wait::eventually;
use crate::support::webhook::{Twilio, message_sid, sign};

const ANA: &str = "+34600111222";
const WITHIN: Duration = Duration::from_secs(30);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
/// Half past ten in the evening in Madrid.
const EVENING: &str = "2026-11-21T21:30:00Z";
/// Nine in Madrid, when the quiet hours end.
const MORNING: &str = "2026-11-22T08:00:00Z";

const RULES: &str = r#"
rule("checkup").on("checkup_due").then(|e| ask("well", "Is all well?", "2h", "sms"))
    .on_answer("well", |e, answer| { note(`answered ${answer}`); reply("Thank you.") })
    .on_silence("well", |e| note("silent"))
    .on_unsent("well", |e| note(`never sent: ${e.data.unsent}`));
rule("other").on("inbound_sms").then(|e| reply(`other ${e.body}`));
"#;

struct Scene {
    provider: Provider,
    inside: Inside,
    clock: Clock,
    said: u128,
    _loops: JoinSet<()>,
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).expect("a constant")
}

impl Scene {
    async fn open() -> Self {
        let clock = Clock::simulated(at(EVENING));
        let provider = Provider::start(1).await;
        let quiet = ("QUIET_HOURS", "all=21:00-09:00".to_owned());
        let inside = Inside::with(&provider.url, clock.clone(), RULES, &[quiet]).await;
        let loops = app::start_loops(&inside.engine);
        Self { provider, inside, clock, said: 0, _loops: loops }
    }

    fn tenant(&self) -> TenantId {
        self.inside.directory.now().by_slug("demo").expect("it is there").id
    }

    async fn ana(&self) -> ContactId {
        let (contact, _) = self
            .inside
            .store
            .whose(self.tenant(), &Phone::parse(ANA).expect("a number").into())
            .await
            .expect("it can be read");
        contact.expect("she has written")
    }

    async fn says(&mut self, body: &str) {
        self.said += 1;
        let form = Twilio::new(PUBLIC_URL, ACCOUNT, TOKEN).inbound(&message_sid(self.said), ANA, OURS, body);
        let path = "/api/twilio/demo/sms";
        let signature = sign(TOKEN, &format!("{PUBLIC_URL}{path}"), &form);
        assert_eq!(self.inside.answer(posted(path, encode(&form), Some(&signature))).await.0, 200);
    }

    /// The business's own event, about Ana.
    async fn checkup(&self) {
        let event = Event {
            id: self.inside.store.ids().next(),
            tenant: self.tenant(),
            kind: EventKind::parse("checkup_due").expect("a kind"),
            channel: None,
            contact: Some(self.ana().await),
            occurred_at: self.clock.now(),
            dedupe_key: None,
            depth: 0,
            data: json!({}),
        };
        self.inside.store.add_event(&event, vec![], false).await.expect("it can be stored");
    }

    fn texts(&self) -> Vec<String> {
        self.provider.sent().into_iter().map(|message| message.body).collect()
    }

    async fn notes(&self) -> Vec<String> {
        let (store, tenant) = (&self.inside.store, self.tenant());
        let mut notes = Vec::new();
        for event in store.events(tenant, 1_000).await.expect("they can be read") {
            let actions = store.actions_of(tenant, EventId::new(event.id)).await.expect("they can be read");
            for action in actions.into_iter().filter(|action| action.kind == "note") {
                let note: serde_json::Value = serde_json::from_str(&action.payload).expect("JSON");
                notes.push(note["text"].as_str().expect("a text").to_owned());
            }
        }
        notes
    }

    /// Goes on in small steps until the texts are these.
    async fn until_texts(&self, expect: &[&str]) {
        eventually(WITHIN, || async {
            self.clock.advance(Duration::from_millis(500));
            self.inside.pipeline.sweep_once().await.expect("it can be read");
            let texts = self.texts();
            if texts == expect { Ok(()) } else { Err(texts) }
        })
        .await;
    }

    async fn until_noted(&self, expect: &str) {
        eventually(WITHIN, || async {
            self.clock.advance(Duration::from_millis(500));
            self.inside.pipeline.sweep_once().await.expect("it can be read");
            let notes = self.notes().await;
            if notes.iter().any(|note| note.contains(expect)) { Ok(()) } else { Err(notes) }
        })
        .await;
    }

    /// Waits until nothing is left to decide now.
    async fn settled(&self) {
        eventually(WITHIN, || async {
            self.clock.advance(Duration::from_millis(500));
            self.inside.pipeline.sweep_once().await.expect("it can be read");
            let ahead = self.inside.store.ahead().await.expect("it can be read");
            if ahead.open == 0 { Ok(()) } else { Err(ahead.open) }
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_waits_for_the_morning_has_its_time_from_then_on() {
    let mut scene = Scene::open().await;
    scene.says("hola").await;
    scene.until_texts(&["other hola"]).await;
    scene.checkup().await;
    scene.settled().await;
    scene.clock.advance(HOUR * 5);
    scene.settled().await;
    assert_eq!(scene.notes().await, [""; 0], "nothing was asked, so nobody is silent");
    scene.says("yes").await;
    scene.until_texts(&["other hola", "other yes"]).await;
    assert_eq!(scene.notes().await, [""; 0], "it answers nothing that the customer has seen");
    scene.clock.set(at(MORNING));
    scene.until_texts(&["other hola", "other yes", "Is all well?"]).await;
    scene.clock.advance(HOUR + MINUTE * 50);
    scene.settled().await;
    assert_eq!(scene.notes().await, [""; 0], "its two hours are not over");
    scene.clock.advance(MINUTE * 15);
    scene.until_noted("silent").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_after_the_morning_is_one() {
    let mut scene = Scene::open().await;
    scene.says("hola").await;
    scene.until_texts(&["other hola"]).await;
    scene.checkup().await;
    scene.settled().await;
    scene.clock.set(at(MORNING));
    scene.until_texts(&["other hola", "Is all well?"]).await;
    scene.settled().await;
    scene.says("Fine").await;
    scene.until_noted("answered fine").await;
    scene.clock.advance(HOUR * 5);
    scene.settled().await;
    assert_eq!(scene.notes().await.len(), 1, "an answered question has no silence");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_to_somebody_who_has_left_is_never_sent_and_no_silence() {
    let mut scene = Scene::open().await;
    scene.clock.set(at(MORNING));
    scene.says("STOP").await;
    scene.settled().await;
    scene.checkup().await;
    scene.until_noted("never sent: the customer has opted out of sms").await;
    scene.clock.advance(HOUR * 5);
    scene.settled().await;
    let notes = scene.notes().await;
    assert!(notes.len() == 1 && !notes[0].contains("silent"), "{notes:?}");
}
