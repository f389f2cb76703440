//! Rules that wait, end to end: a webhook in, time passes, a message out.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use recado::app;
use recado::domain::{Clock, Timestamp};
use recado::engine::pipeline::Pipeline;
use recado::engine::wakeups::Speed;
use recado::store::Store;
use recado::store::rows::event;
use recado::tenants::Directory;
use tokio::task::JoinSet;

use crate::faults::inside::{Inside, PUBLIC_URL, encode, posted};
use crate::faults::rig::{ACCOUNT, OURS, Provider, TOKEN, customer};
use crate::support::wait::eventually;
use crate::support::webhook::{Twilio, message_sid, sign};

/// How long the loops may take for due timers.
const DONE_WITHIN: Duration = Duration::from_secs(20);
/// How long they may take for some hundred customers.
const LONG_WITHIN: Duration = Duration::from_secs(120);
const HOUR: Duration = Duration::from_secs(3_600);
const MINUTE: Duration = Duration::from_secs(60);
/// A Saturday.
const START: &str = "2026-11-21T08:00:00Z";

/// The program with its loops on a clock of the test's, beside a provider.
pub struct World {
    provider: Provider,
    inside: Inside,
    pub clock: Clock,
    loops: JoinSet<()>,
}

impl World {
    pub async fn start(rules: &str) -> Self {
        let clock = Clock::simulated(Timestamp::parse(START).expect("it is a time"));
        let provider = Provider::start(1).await;
        let inside = Inside::at(&provider.url, clock.clone(), rules).await;
        let loops = app::start_loops(&inside.engine);
        Self { provider, inside, clock, loops }
    }

    /// Stops the loops, as a server does.
    pub async fn down(&mut self) {
        self.loops.shutdown().await;
    }

    pub fn up(&mut self) {
        self.loops = app::start_loops(&self.inside.engine);
    }

    pub fn store(&self) -> &Store {
        &self.inside.store
    }

    pub fn directory(&self) -> &Directory {
        &self.inside.directory
    }

    pub fn pipeline(&self) -> &Arc<Pipeline> {
        &self.inside.pipeline
    }

    pub async fn text(&self, number: usize, body: &str) {
        let twilio = Twilio::new("http://127.0.0.1:1", ACCOUNT, TOKEN);
        let sid = message_sid(number as u128 + 1);
        let form = twilio.inbound(&sid, &customer(number), OURS, body);
        let path = "/api/twilio/demo/sms";
        let signature = sign(TOKEN, &format!("{PUBLIC_URL}{path}"), &form);
        let (status, _) = self.inside.answer(posted(path, encode(&form), Some(&signature))).await;
        assert_eq!(status, 200);
    }

    pub fn tenant(&self) -> recado::domain::TenantId {
        self.directory().now().by_slug("demo").expect("it is there").id
    }

    pub async fn timers(&self) -> usize {
        self.store().timers(None, 100).await.expect("they can be read").len()
    }

    /// Waits until so many timers are pending.
    pub async fn pending(&self, count: usize) {
        eventually(DONE_WITHIN, || async {
            let timers = self.timers().await;
            if timers == count { Ok(()) } else { Err(timers) }
        })
        .await;
    }

    /// Waits until `count` texts were sent, and gives them.
    pub async fn sent(&self, count: u64) -> Vec<String> {
        self.provider.wait_taken(count).await;
        self.provider.sent().into_iter().map(|message| message.body).collect()
    }

    pub async fn events(&self, kind: &str) -> Vec<event::Model> {
        let events = self.store().events(self.tenant(), 10_000).await.expect("they can be read");
        events.into_iter().filter(|event| event.kind == kind).collect()
    }

    /// Waits until so many events of a kind are there and everything is decided.
    pub async fn decided(&self, kind: &str, count: usize) -> Vec<event::Model> {
        eventually(DONE_WITHIN, || async {
            let events = self.events(kind).await;
            let open = events.iter().filter(|event| event.handled_us.is_none()).count();
            if events.len() == count && open == 0 { Ok(events) } else { Err((events.len(), open)) }
        })
        .await
    }

    pub async fn verdict(&self, event: &event::Model) -> String {
        let id = recado::domain::EventId::new(event.id);
        let (_, trace) = self.store().trace(self.tenant(), id).await.unwrap().expect("it is decided");
        let trace: recado::rules::Trace = serde_json::from_str(&trace).expect("a trace");
        trace.rules.iter().map(|rule| rule.result.to_string()).collect::<Vec<_>>().join("; ")
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
    let timer = recado::domain::EventId::new(timer.id);
    let actions = world.store().actions_of(world.tenant(), timer).await.unwrap();
    assert_eq!(actions[0].origin, "business", "what is sent later, the business starts");
}

const DAILY: &str = "rule(\"daily\").cron(\"0 9 * * *\").then(|e| send_sms(\"+34600999999\", \"good morning\"));";

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_fires_at_its_times_and_makes_up_for_one() {
    let mut world = World::start(DAILY).await;
    world.pending(1).await;
    world.clock.advance(HOUR - MINUTE);
    world.pending(1).await;
    assert!(world.events("timer").await.is_empty(), "08:59 is not 09:00");
    world.clock.advance(2 * MINUTE);
    world.decided("timer", 1).await;
    assert_eq!(world.sent(1).await, ["good morning"]);
    let [next] = &world.store().timers(None, 10).await.unwrap()[..] else { panic!("one schedule, one row") };
    assert_eq!(next.due, Timestamp::parse("2026-11-22T09:00:00Z").unwrap());
    world.down().await;
    world.clock.advance(75 * HOUR);
    world.up();
    world.decided("timer", 2).await;
    world.pending(1).await;
    let [next] = &world.store().timers(None, 10).await.unwrap()[..] else { panic!("one schedule, one row") };
    assert_eq!(next.due, Timestamp::parse("2026-11-25T09:00:00Z").unwrap(), "three were missed, one is made up for");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_can_make_up_for_all_or_for_none() {
    let rules = format!(
        "{} {}",
        DAILY.replace("\"daily\")", "\"all\").missed(\"all\")"),
        DAILY.replace("\"daily\")", "\"none\").missed(\"skip\")")
    );
    let mut world = World::start(&rules).await;
    world.pending(2).await;
    world.down().await;
    world.clock.advance(3 * 24 * HOUR);
    world.up();
    let events = world.decided("timer", 4).await;
    let mut verdicts = Vec::new();
    for event in &events {
        verdicts.push(world.verdict(event).await);
    }
    verdicts.sort();
    let skipped = "skipped: due 2026-11-21T09:00:00Z, found 71 h 0 min later";
    assert_eq!(verdicts, ["fired", "fired", "fired", skipped], "what is skipped says so");
    world.pending(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn for_each_meets_every_customer_that_passes_once() {
    let rules = "rule(\"knows\").on(\"inbound_sms\").keyword(\"member\").then(|e| tag(\"member\"));
        rule(\"news\").cron(\"0 9 * * *\").for_each(\"contacts\", |c| c.tag(\"member\"))
            .then(|e| note(`news for ${e.contact.phone}`));";
    let world = World::start(rules).await;
    world.pending(1).await;
    // More than a page.
    let count = recado::rules::PAGE_CONTACTS + 20;
    for number in 0..count {
        world.text(number, if number % 2 == 0 { "member" } else { "other" }).await;
    }
    eventually(LONG_WITHIN, || async {
        let open = world.events("inbound_sms").await.into_iter().filter(|event| event.handled_us.is_none()).count();
        if open == 0 { Ok(()) } else { Err(open) }
    })
    .await;
    world.clock.advance(HOUR + MINUTE);
    let events = eventually(LONG_WITHIN, || async {
        let events = world.events("timer").await;
        let met = events.iter().filter(|event| event.contact_id.is_some()).count();
        let open = events.iter().filter(|event| event.handled_us.is_none()).count();
        if met == count / 2 && open == 0 && world.timers().await == 1 { Ok(events) } else { Err((met, open)) }
    })
    .await;
    let mut met: Vec<_> = events.iter().filter_map(|event| event.contact_id).collect();
    met.sort();
    met.dedup();
    assert_eq!(met.len(), count / 2);
    let (mut passed, mut of) = (0, 0);
    for page in events.iter().filter(|event| event.contact_id.is_none()) {
        let said = world.verdict(page).await;
        let numbers: Vec<usize> = said.split(' ').filter_map(|word| word.parse().ok()).collect();
        let [some, all] = numbers[..] else { panic!("{said}") };
        assert!(all <= recado::rules::PAGE_CONTACTS, "{said}");
        (passed, of) = (passed + some, of + all);
    }
    assert_eq!((passed, of), (count / 2, count), "all pages together");
    let one = events.iter().find(|event| event.contact_id.is_some()).expect("there are many");
    assert_eq!(world.verdict(one).await, "fired");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_rule_plans_anew_what_is_pending() {
    let rule = |name: &str, span: &str| {
        format!("rule(\"{name}\").on(\"inbound_sms\").after(\"{span}\").then(|e| reply(`{name} ${{e.body}}`));\n")
    };
    let mut world = World::start(&[rule("moved", "2h"), rule("gone", "2h"), rule("past", "2h")].concat()).await;
    world.text(1, "a").await;
    world.pending(3).await;
    world.clock.advance(HOUR);
    world.down().await;
    let changed = [rule("moved", "3h"), rule("past", "30m")].concat();
    world.inside.pipeline.replace_rules(world.inside.rules(&changed));
    world.up();
    let left = eventually(DONE_WITHIN, || async {
        let left = world.store().timers(None, 10).await.unwrap();
        if left.len() == 1 && left[0].timing == "after 3h" { Ok(left) } else { Err(left.len()) }
    })
    .await;
    let due = left[0].due.since(Timestamp::parse(START).unwrap());
    assert!(due >= 3 * HOUR && due < 3 * HOUR + MINUTE, "it counts from the text: {due:?}");
    world.clock.advance(2 * HOUR + MINUTE);
    assert_eq!(world.sent(1).await, ["moved a"]);
    world.decided("timer", 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_rule_that_comes_before_something_is_planned_for_what_is_known() {
    let begins = "rule(\"begins\").on(\"inbound_sms\").then(|e| emit(\"offered\", #{ ends: e.body }));\n";
    let mut world = World::start(begins).await;
    world.text(1, "2026-11-23T08:00:00Z").await;
    world.text(2, "2026-11-21T20:00:00Z").await;
    world.decided("offered", 2).await;
    world.down().await;
    let remind =
        "rule(\"remind\").on(\"offered\").before(\"1d\", \"data.ends\").then(|e| note(`until ${e.data.ends}`));\n";
    world.inside.pipeline.replace_rules(world.inside.rules(&format!("{begins}{remind}")));
    world.up();
    world.pending(1).await;
    world.clock.advance(24 * HOUR + MINUTE);
    let [event] = &world.decided("timer", 1).await[..] else { panic!("one was early enough") };
    assert_eq!(world.verdict(event).await, "fired");
}

/// A server that stops drops its round. The tenants of the round are taken again.
#[tokio::test(flavor = "multi_thread")]
async fn a_round_of_deciding_that_is_dropped_loses_nobody() {
    let mut world = World::start("rule(\"hi\").on(\"inbound_sms\").then(|e| reply(e.body));\n").await;
    world.down().await;
    world.text(1, "a").await;
    let dispatch = world.pipeline().dispatch(Speed::Fast);
    assert!(dispatch.now_or_never().is_none(), "it is in the middle of it");
    world.up();
    assert_eq!(world.sent(1).await, ["a"]);
}
