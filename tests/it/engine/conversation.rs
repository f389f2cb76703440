//! Conversations, limits and later sends, with the real server: over signed webhooks, across restarts and SIGKILL.

use std::time::Duration;

use recado::domain::{Channel, Clock, ContactId, Event, EventKind, TenantId, Timestamp};
use serde_json::json;

use crate::faults::rig::{self, Dice, Look, OURS, Provider};
use crate::support::server::Server;
use crate::support::wait::eventually;
use crate::support::webhook::message_sid;

const ANA: &str = "+34600111222";
/// The library's rule for moves.
const MOVES: &str = include_str!("../../../rules/appointments/move.rhai");
const WITHIN: Duration = Duration::from_secs(30);

const RULES: &str = r#"
rule("booking").on("inbound_sms", "inbound_whatsapp").keyword("BOOK")
    .then(|e| ask("day", "Which day?", "24h", #{ word: e.body }))
    .on_answer("day", |e, answer| {
        if answer in ["monday", "tuesday"] { ask("hour", "At what time?", "24h", #{ day: answer }) }
    })
    .on_answer("hour", |e, answer| {
        if number(answer) == () { return false; }
        reply(`${e.question.state.day} at ${answer}`)
    })
    .on_silence("day", |e| send_sms(e.contact, `nobody answered ${e.question.state.word}`));
rule("other").on("inbound_sms", "inbound_whatsapp").when("is not BOOK", |e| e.body != "BOOK")
    .then(|e| reply(`other ${e.body}`));
rule("once").on("inbound_sms").keyword("ONCE").limit(1, "4h").then(|e| reply(`once ${e.rest}`));
rule("later").on("inbound_sms").keyword("LATER").then(|e| reply("later").in("3s"));
"#;

/// A server with these rules, its provider, and the number of texts so far.
struct Scene {
    provider: Provider,
    server: Server,
    said: u128,
}

impl Scene {
    fn prepare(provider: Provider) -> Self {
        let options = rig::options(&provider.url).file("rules/echo.rhai", RULES).env("TWILIO_WHATSAPP_NUMBER", OURS);
        Self { provider, server: Server::prepare(options), said: 0 }
    }

    async fn start() -> Self {
        let mut scene = Self::prepare(Provider::start(1).await);
        scene.server.start_again().await;
        scene
    }

    async fn restart(&mut self) {
        self.server.kill();
        self.server.start_again().await;
    }

    /// Posts a text of the customer, by SMS or WhatsApp.
    async fn hear(&mut self, channel: Channel, body: &str) {
        self.said += 1;
        let (prefix, path) = match channel {
            Channel::WhatsApp => ("whatsapp:", "/api/twilio/demo/whatsapp"),
            _ => ("", "/api/twilio/demo/sms"),
        };
        let (from, to) = (format!("{prefix}{ANA}"), format!("{prefix}{OURS}"));
        let twilio = rig::twilio(&self.server);
        let form = twilio.inbound(&message_sid(self.said), &from, &to, body);
        let answer = twilio.post(path, &form).await.expect("it answers");
        assert_eq!(answer.status().as_u16(), 200, "{body}");
    }

    /// Posts a text by SMS, and waits until all answers have left.
    async fn says(&mut self, body: &str) -> Vec<String> {
        self.says_on(Channel::Sms, body).await
    }

    async fn says_on(&mut self, channel: Channel, body: &str) -> Vec<String> {
        let before = self.texts().len();
        self.hear(channel, body).await;
        let look = Look::into(self.server.folder()).await;
        eventually(WITHIN, || look.open()).await;
        self.texts().split_off(before)
    }

    fn texts(&self) -> Vec<String> {
        self.provider.sent().into_iter().map(|message| message.body).collect()
    }

    async fn questions(&self) -> String {
        let look = Look::into(self.server.folder()).await;
        look.text_or_number("SELECT coalesce(group_concat(channel || ' ' || name, ', '), '') FROM questions").await
    }

    async fn silences(&self) -> i64 {
        Look::into(self.server.folder()).await.count("timers WHERE purpose = 'silence'").await
    }

    /// The event of the open question's timer.
    async fn silence(&self) -> Event {
        let look = Look::into(self.server.folder()).await;
        let payload = look.text_or_number("SELECT payload FROM timers WHERE purpose = 'silence'").await;
        let mut data: serde_json::Value = serde_json::from_str(&payload).expect("it is JSON");
        data["timer"] = json!({"rule": "booking", "purpose": "silence", "due": "2026-11-21T08:00:00Z"});
        let id = |text: String| uuid::Uuid::parse_str(&text).expect("an id");
        let store = rig::open(self.server.folder()).await;
        let sql = "SELECT lower(hex(tenant_id)) FROM timers WHERE purpose = 'silence'";
        let tenant = TenantId::new(id(look.text_or_number(sql).await));
        let sql = "SELECT lower(hex(contact_id)) FROM timers WHERE purpose = 'silence'";
        let contact = ContactId::new(id(look.text_or_number(sql).await));
        Event {
            id: store.ids().next(),
            tenant,
            kind: EventKind::TIMER,
            channel: None,
            contact: Some(contact),
            occurred_at: Timestamp::from_unix_us(0),
            dedupe_key: None,
            depth: 0,
            data,
        }
    }

    async fn happens(&self, event: &Event) -> Vec<String> {
        let before = self.texts().len();
        let event = Event { id: rig::open(self.server.folder()).await.ids().next(), ..event.clone() };
        rig::open(self.server.folder()).await.add_event(&event, vec![], false).await.expect("it can be stored");
        let look = Look::into(self.server.folder()).await;
        eventually(WITHIN, || look.open()).await;
        self.texts().split_off(before)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_goes_on_across_restarts() {
    let mut scene = Scene::start().await;
    assert_eq!(scene.says("BOOK").await, ["Which day?"]);
    assert_eq!((scene.questions().await.as_str(), scene.silences().await), ("sms day", 1));
    scene.restart().await;
    assert_eq!(scene.says("what?").await, ["other what?"], "it fits nothing and goes to the other rules");
    assert_eq!(scene.says("Monday").await, ["At what time?"], "nobody else is asked");
    assert_eq!((scene.questions().await.as_str(), scene.silences().await), ("sms hour", 1));
    scene.restart().await;
    assert_eq!(scene.says("10").await, ["monday at 10"]);
    assert_eq!((scene.questions().await.as_str(), scene.silences().await), ("", 0));
    assert_eq!(scene.says("10").await, ["other 10"]);
    let shown = rig::recado(&scene.server, &["explain", &message_sid(3)]).output().expect("it runs");
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    for words in [
        "+ booking: answered: this answers its question \"day\"",
        "asks \"hour\" on sms, until 20",
        "- other: not asked: this answers a question of \"booking\"",
    ] {
        assert!(shown.contains(words), "{words}\n{shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_offered_is_meant_after_a_restart() {
    let provider = Provider::start(1).await;
    let options = rig::options(&provider.url).file("rules/echo.rhai", MOVES);
    let mut scene = Scene { provider, server: Server::prepare(options), said: 0 };
    scene.server.start_again().await;
    let soon = Clock::system().now().plus(Duration::from_secs(5 * 24 * 3_600)).to_string();
    for args in [
        &["tenant", "set", "demo", "--hours", "daily 00:00-24:00", "--enable", "appointment move"][..],
        &["appointments", "add", "--customer", ANA, "--service", "cut", "--starts-at", &soon],
    ] {
        let done = rig::recado(&scene.server, args).output().expect("it runs");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
    scene.restart().await;
    let offer = scene.says("M").await.remove(0);
    let second = offer.split_once(", 2: ").and_then(|(_, rest)| rest.split_once(", 3: ")).expect("three times").0;
    let (date, time) = second.rsplit_once(' ').expect("a date and a time");
    assert_eq!((scene.questions().await.as_str(), scene.silences().await), ("sms when", 1));
    scene.restart().await;
    assert_eq!(scene.says("2").await, [format!("Your appointment is now on {date} at {time}.")]);
    assert_eq!((scene.questions().await.as_str(), scene.silences().await), ("", 0));
    let look = Look::into(scene.server.folder()).await;
    assert_eq!(look.count("events WHERE kind = 'appointment_moved'").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_ends_a_question_and_an_answer_ends_its_silence() {
    let mut scene = Scene::start().await;
    scene.says("BOOK").await;
    let silence = scene.silence().await;
    assert_eq!(scene.happens(&silence).await, ["nobody answered BOOK"]);
    assert_eq!((scene.questions().await.as_str(), scene.silences().await), ("", 0));
    assert_eq!(scene.happens(&silence).await, [""; 0], "told twice, it is done once");
    assert_eq!(scene.says("monday").await, ["other monday"]);
    scene.says("BOOK").await;
    let silence = scene.silence().await;
    scene.says("BOOK").await;
    assert_eq!(scene.happens(&silence).await, [""; 0], "the question was replaced, and asked anew");
    assert_eq!((scene.questions().await.as_str(), scene.silences().await), ("sms day", 1), "one at a time");
    scene.hear(Channel::Sms, "STOP").await;
    eventually(WITHIN, || async {
        let open = scene.questions().await;
        if open.is_empty() { Ok(()) } else { Err(open) }
    })
    .await;
    assert_eq!(scene.silences().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_channel_has_a_question_of_its_own() {
    let mut scene = Scene::start().await;
    scene.says("BOOK").await;
    assert_eq!(scene.says_on(Channel::WhatsApp, "BOOK").await, ["Which day?"]);
    assert_eq!(scene.silences().await, 2);
    assert_eq!(scene.says_on(Channel::WhatsApp, "tuesday").await, ["At what time?"]);
    assert_eq!(scene.says("9").await, ["other 9"], "by SMS the day is asked for still");
    assert_eq!(scene.says_on(Channel::WhatsApp, "9").await, ["tuesday at 9"]);
    assert_eq!(scene.questions().await, "sms day");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_holds_for_messages_that_come_together_and_after_a_restart() {
    let mut scene = Scene::start().await;
    for word in ["a", "b", "c", "d", "e"] {
        scene.hear(Channel::Sms, &format!("ONCE {word}")).await;
    }
    let look = Look::into(scene.server.folder()).await;
    eventually(WITHIN, || look.open()).await;
    let once = |scene: &Scene| scene.texts().into_iter().filter(|text| text.starts_with("once")).collect::<Vec<_>>();
    assert_eq!(once(&scene), ["once a"]);
    scene.restart().await;
    assert_eq!(scene.says("ONCE more").await, ["other ONCE more"]);
    assert_eq!(look.count("rule_firings").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_leaves_later_waits_for_its_time_and_outlives_a_restart() {
    let mut scene = Scene::start().await;
    scene.hear(Channel::Sms, "LATER").await;
    let look = Look::into(scene.server.folder()).await;
    let planned = "actions WHERE rule = 'later' AND state = 'planned' AND tries = 0";
    eventually(WITHIN, || async {
        let count = look.count(planned).await;
        if count == 1 { Ok(()) } else { Err(count) }
    })
    .await;
    let (due, begun) = ("SELECT due_us FROM actions WHERE rule = 'later'", "SELECT decided_us FROM rule_runs");
    let micros = |text: String| text.parse::<i64>().expect("a number");
    let (due, begun) = (micros(look.text_or_number(due).await), micros(look.text_or_number(begun).await));
    assert!((2_000_000..=3_000_000).contains(&(due - begun)), "{}", due - begun);
    scene.restart().await;
    scene.provider.wait_taken(2).await;
    eventually(WITHIN, || look.open()).await;
    let tried = micros(look.text_or_number("SELECT tried_us FROM actions WHERE rule = 'later'").await);
    assert!(tried >= due, "it left {} µs too early", due - tried);
    assert_eq!(scene.texts(), ["other LATER", "later"]);
}

/// Posts webhooks, repeated until they are answered, to a server that dies at one of their commits. Gives whether it died
/// there; otherwise it was killed later.
async fn killed_in_a_conversation(seed: u64) -> bool {
    let dice = Dice::new(seed);
    let mut scene = Scene::prepare(Provider::start(seed).await);
    let (points, bodies) = (["before-commit", "after-commit"], ["BOOK", "what?", "monday", "10"]);
    let expected = [vec!["Which day?"], vec!["other what?"], vec!["At what time?"], vec!["monday at 10"]];
    let deadly = dice.below(bodies.len());
    let point = format!("{}:{}", dice.pick(&points), dice.between(1, 5));
    let mut at_the_point = false;
    for (number, (body, expected)) in bodies.iter().zip(&expected).enumerate() {
        scene.server.kill();
        scene.server.unset_env("RECADO_ABORT_AT");
        if number == deadly {
            scene.server.set_env("RECADO_ABORT_AT", &point);
        }
        scene.server.spawn();
        let before = scene.texts().len();
        let ready = scene.server.ready_or_ended().await.is_ok();
        let form = |server: &Server| {
            let twilio = rig::twilio(server);
            let form = twilio.inbound(&message_sid(number as u128 + 1), ANA, OURS, body);
            (twilio, form)
        };
        if ready {
            let (twilio, form) = form(&scene.server);
            rig::post(&twilio, &form).await;
            if number == deadly {
                // The server dies at its abort point. If it never gets there, it is killed.
                let _ =
                    tokio::time::timeout(Duration::from_secs(2), scene.provider.carrier.wait_taken(before as u64 + 1))
                        .await;
            }
        }
        if number == deadly {
            at_the_point = !scene.server.is_running();
            scene.server.kill();
            scene.server.unset_env("RECADO_ABORT_AT");
            scene.server.start_again().await;
            let (twilio, form) = form(&scene.server);
            assert_eq!(rig::post(&twilio, &form).await, Some(200), "seed {seed}");
        }
        let look = Look::into(scene.server.folder()).await;
        eventually(WITHIN, || look.open()).await;
        assert_eq!(scene.texts().split_off(before), *expected, "seed {seed}, killed at {point} of {deadly}");
    }
    assert_eq!((scene.questions().await.as_str(), scene.silences().await), ("", 0), "seed {seed}");
    at_the_point
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_with_an_open_question_it_goes_on_where_it_was() {
    let run = |seed| tokio::spawn(killed_in_a_conversation(seed));
    let mut died = 0;
    for pair in (1..=8).collect::<Vec<u64>>().chunks(2) {
        for one in pair.iter().map(|seed| run(*seed)).collect::<Vec<_>>() {
            died += usize::from(one.await.expect("as said above"));
        }
    }
    assert!(died > 0, "the server died at its abort point in {died} of 8 runs");
}
