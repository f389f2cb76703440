//! STOP while sends are queued and in flight: nothing leaves after the STOP is committed.

use std::sync::Arc;
use std::time::Duration;

use recado::domain::{Clock, Route, SendLimits, SendQueue, Timestamp};
use recado::engine::sending::circuit::AccountFailure;
use recado::engine::wakeups::Speed;
use recado::store::rows::action;
use recado::store::{ClaimRequest, Claimed, SEND_WITHIN};
use recado::tenants::Tenant;
use tokio::task::JoinSet;

use super::inside::{Inside, PUBLIC_URL, encode, posted};
use super::rig::{self, ACCOUNT, Dice, ECHO, Look, OURS, Provider, TOKEN, customer};
use crate::support::server::Server;
use crate::support::wait::eventually;
use crate::support::webhook::{Twilio, message_sid, sign};

/// Customers that ask for many messages and then write STOP, each at another moment.
const CUSTOMERS: usize = 40;
const MANY: usize = 20;
/// The time between the last look at the opt-outs and the provider's clock: a connection, and a busy machine.
const ON_THE_WIRE: Duration = Duration::from_millis(100);
const SETTLED_WITHIN: Duration = Duration::from_secs(60);

const RULES: &str = "rule(\"many\").on(\"inbound_sms\").keyword(\"MANY\").then(|e| {
    for n in 0..20 { reply(`n ${n}`) }
});\n";

#[tokio::test(flavor = "multi_thread")]
async fn nothing_leaves_after_a_stop() {
    let provider = Provider::start(26).await;
    let options = rig::options(&provider.url).file("rules/echo.rhai", RULES);
    let server = Server::start(options).await;
    let twilio = rig::twilio(&server);
    let (dice, clock) = (Dice::new(26), Clock::system());
    let mut cut_off = 0;
    for number in 0..CUSTOMERS {
        let from = customer(number);
        // A word that the provider answers itself, and words that we confirm.
        let word = *dice.pick(&["STOP", "Baja", "please stop texting me!", "No me escriban más 🙏🏽"]);
        let sid = |n: usize| message_sid((number * 10 + n) as u128);
        let many = twilio.inbound(&sid(0), &from, OURS, "many");
        assert_eq!(rig::post(&twilio, &many).await, Some(200));
        rig::taken_to(&provider, &from, dice.below(MANY / 2)).await;
        let stop = twilio.inbound(&sid(1), &from, OURS, word);
        assert_eq!(rig::post(&twilio, &stop).await, Some(200));
        let answered = clock.now();
        let look = Look::into(server.folder()).await;
        eventually(SETTLED_WITHIN, || look.open()).await;
        let sent: Vec<_> = provider.sent().into_iter().filter(|message| message.to == from).collect();
        let (ours, queued): (Vec<_>, Vec<_>) = sent.iter().partition(|message| message.body.contains("START"));
        assert_eq!(ours.len(), usize::from(word != "STOP"), "{word}: {ours:?}");
        let late: Vec<_> = queued.iter().filter(|message| message.created_at > answered.plus(ON_THE_WIRE)).collect();
        assert!(late.is_empty(), "the {word} of customer {number} was answered at {answered}, but then left {late:?}");
        cut_off += MANY - queued.len();
    }
    eprintln!("{cut_off} of {} sends were cut off", MANY * CUSTOMERS);
    assert!(cut_off > MANY, "the STOPs came in the midst of it");
    let look = Look::into(server.folder()).await;
    let blocked = look.actions().await.into_iter().filter(|action| action.state == "blocked");
    let reasons: Vec<_> = blocked.map(|action| action.reason.unwrap_or_default()).collect();
    assert_eq!(reasons.len(), cut_off);
    assert!(reasons.iter().all(|reason| reason.contains("opted out")), "{reasons:?}");
}

/// A server without the loop that sends, so that a test may come between a claim and its attempt.
struct Race {
    provider: Provider,
    inside: Inside,
    demo: Arc<Tenant>,
    _deciding: JoinSet<()>,
}

impl Race {
    async fn begin() -> Self {
        let provider = Provider::start(26).await;
        let clock = Clock::simulated(Timestamp::parse("2026-11-21T08:00:00Z").expect("it is a time"));
        let inside = Inside::at(&provider.url, clock, ECHO).await;
        let demo = inside.installation.directory.now().by_slug("demo").expect("it is made").clone();
        let pipeline = inside.pipeline.clone();
        let mut deciding = JoinSet::new();
        deciding.spawn(async move { pipeline.dispatch(Speed::Fast).await });
        Self { provider, inside, demo, _deciding: deciding }
    }

    async fn text(&self, sid: u128, from: &str, body: &str) {
        let form = Twilio::new(PUBLIC_URL, ACCOUNT, TOKEN).inbound(&message_sid(sid), from, OURS, body);
        let path = "/api/twilio/demo/sms";
        let signature = sign(TOKEN, &format!("{PUBLIC_URL}{path}"), &form);
        assert_eq!(self.inside.answer(posted(path, encode(&form), Some(&signature))).await.0, 200);
    }

    /// Waits until nothing is undecided, then claims what is due, as the sending loop does.
    async fn claim(&self) -> Vec<Claimed> {
        let store = &self.inside.installation.store;
        let decided = || async {
            let backlog = store.backlog(100).await.expect("it can be counted");
            if backlog.events == 0 { Ok(()) } else { Err(backlog) }
        };
        eventually(SETTLED_WITHIN, decided).await;
        // Planned sends count up from now in microseconds, so that they have an order.
        self.inside.installation.clock.advance(Duration::from_millis(1));
        let gate = recado::app::gate(&self.inside.installation);
        let recent_within = gate.limits().loop_guard_window;
        let (none, zone) = (recado::time::QuietRules::default(), self.demo.zone);
        let judge: recado::store::Judge = Arc::new(move |candidate, now| {
            gate.judge(
                candidate,
                now,
                &recado::time::Quiet { installation: &none, tenant: &none, zone },
                &SendLimits::default(),
            )
        });
        let request = ClaimRequest {
            queue: SendQueue::new(self.demo.id, Route::Twilio),
            account_sid: ACCOUNT.to_owned(),
            limit: 100,
            judge,
            recent_within,
            stop_ends_calls: false,
            has_budget: false,
        };
        store.writer().claim(request).await.expect("it can be claimed").sends
    }

    async fn attempt(&self, claimed: Claimed) {
        let target = self.inside.pipeline.target(self.demo.clone(), Route::Twilio).expect("it has an account");
        self.inside.pipeline.attempt(&target, claimed).await;
    }

    async fn row(&self, of: &Claimed) -> action::Model {
        let action = self.inside.installation.store.action(self.demo.id, of.send.id).await;
        action.expect("it can be read").expect("it is there")
    }

    /// The messages that the provider has taken: recipient and text.
    fn sent(&self) -> Vec<(String, String)> {
        self.provider.sent().into_iter().map(|message| (message.to, message.body)).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_claimed_when_a_stop_comes_does_not_leave() {
    let race = Race::begin().await;
    let (ana, luis) = (customer(1), customer(2));
    race.text(1, &ana, "hola").await;
    race.text(2, &luis, "hola").await;
    let claimed = race.claim().await;
    assert_eq!(claimed.len(), 2, "the gate has let both pass");
    race.text(3, &ana, "Baja").await;
    for one in claimed.clone() {
        race.attempt(one).await;
    }
    assert_eq!(race.sent(), [(luis, "re hola".to_owned())], "the STOP is of one customer");
    let anas = claimed.iter().find(|one| one.send.recipient == ana).expect("it was claimed");
    let row = race.row(anas).await;
    assert_eq!(row.state, "planned", "it goes back to the gate");
    assert!(row.reason.clone().is_some_and(|reason| reason.contains("STOP")), "{row:?}");

    // The gate blocks it, and then lets the confirmation of the STOP pass.
    let blocked = race.claim().await;
    assert!(blocked.is_empty(), "{blocked:?}");
    assert_eq!(race.row(anas).await.state, "blocked");
    for one in race.claim().await {
        race.attempt(one).await;
    }
    let to_ana: Vec<_> = race.sent().into_iter().filter(|(to, _)| *to == ana).collect();
    assert!(matches!(to_ana.as_slice(), [(_, text)] if text.contains("START")), "{to_ana:?}");
}

/// Another node may have taken the send over meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_claimed_too_long_ago_does_not_leave() {
    let race = Race::begin().await;
    race.text(1, &customer(1), "hola").await;
    let claimed = race.claim().await.remove(0);
    race.inside.installation.clock.advance(SEND_WITHIN + Duration::from_millis(1));
    race.attempt(claimed.clone()).await;
    assert_eq!(race.sent(), []);
    let row = race.row(&claimed).await;
    assert_eq!((row.state.as_str(), row.tries), ("planned", 1), "{row:?}");
    let again = race.claim().await.remove(0);
    race.attempt(again).await;
    assert_eq!((race.sent().len(), race.row(&claimed).await.state.as_str()), (1, "sent"));
}

/// A send that does not leave says nothing of the account, because the provider was not asked.
#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_leave_closes_no_circuit() {
    let race = Race::begin().await;
    let circuits = &race.inside.circuits;
    race.text(1, &customer(1), "hola").await;
    let claimed = race.claim().await.remove(0);
    race.text(2, &customer(1), "STOP").await;
    circuits.record(ACCOUNT, Some(AccountFailure::Credentials), race.inside.installation.clock.now());
    race.attempt(claimed).await;
    assert_eq!(circuits.paused(), 1);
    assert_eq!(race.sent(), []);
}
