//! STOP while sends are queued and under way: nothing leaves after the STOP is committed.

use std::time::Duration;

use recado::domain::Clock;

use super::rig::{self, Dice, Look, OURS, Provider, customer};
use crate::support::server::Server;
use crate::support::wait::eventually;
use crate::support::webhook::message_sid;

/// Customers who ask for many messages and then write STOP, each at another moment.
const CUSTOMERS: usize = 40;
const MANY: usize = 20;
/// From the last look at the opt-outs to the provider's clock lies a connection and a busy machine.
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
        // The provider's own word, which it answers itself, and one that we confirm.
        let word = *dice.pick(&["STOP", "Baja"]);
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
        assert_eq!(ours.len(), usize::from(word == "Baja"), "{word}: {ours:?}");
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
