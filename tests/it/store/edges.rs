//! The edges of promises, each from both sides: opt-outs across channels and providers, what counts for the gate, limits,
//! keys. The figures are written out, so that a constant that changes is noticed.

use std::sync::Arc;
use std::time::Duration;

use recado::domain::opt_out::OptOutWord;
use recado::domain::{
    Action, CallBody, Channel, DeliveryStatus, Firing, Origin, Phone, Route, Send, SendBody, SendQueue, Timestamp,
};
use recado::store::{AttemptResult, Begun, ClaimRequest, Claimed, Decided, Gate, NewInbound, OptOutKeyword};

use super::{ACCOUNT, ANA, Bench, LUIS, OURS, on_both};

const DAY_S: u64 = 86_400;

fn sent(sid: &str) -> AttemptResult {
    AttemptResult::Sent { sid: sid.to_owned(), status: DeliveryStatus::Queued }
}

fn word(word: OptOutWord) -> OptOutKeyword {
    OptOutKeyword { word, text: "x".to_owned(), only_if_opted_out: false, confirmation: None }
}

impl Bench {
    /// Claims what is due along a route.
    async fn claim_along(&self, route: Route, stop_ends_calls: bool) -> Vec<Claimed> {
        self.store.clock().advance(Duration::from_millis(1));
        let request = ClaimRequest {
            queue: SendQueue::new(self.tenant, route),
            account_sid: ACCOUNT.to_owned(),
            limit: 100,
            judge: Arc::new(|_, _| Gate::Pass),
            recent_within: Duration::from_secs(600),
            stop_ends_calls,
            has_budget: false,
        };
        self.store.writer().claim(request).await.expect("it can be claimed").sends
    }

    /// Plans and claims a call, and says whether the customer counts as opted out of it. Ends it.
    async fn call_is_refused(&self, sid: &str, to: &str, stop_ends_calls: bool) -> bool {
        let (event, contact) = self.received(sid, to, "ring me").await;
        let body = SendBody::Call(CallBody { say: Some("hola".to_owned()), ..CallBody::default() });
        let to = Phone::parse(to).expect("a number").into();
        let send = Send { channel: Channel::Voice, to, reply: false, fallback: None, body };
        self.decide(event, contact, vec![self.action(event, contact, 0, Action::Send(send))]).await;
        let claimed = self.claim_along(Route::Twilio, stop_ends_calls).await;
        let [one] = claimed.as_slice() else { panic!("{claimed:?}") };
        self.end(one, AttemptResult::Failed, Some(21211)).await;
        one.facts.opted_out
    }

    /// Sends a message of this origin now.
    async fn sent_from(&self, sid: &str, to: &str, origin: Origin) -> Claimed {
        let (event, contact) = self.received(sid, to, "hola").await;
        let mut send = self.send(event, contact, 0, to, "hola");
        send.origin = origin;
        self.decide(event, contact, vec![send]).await;
        let claimed = self.claim().await;
        let [one] = claimed.as_slice() else { panic!("{claimed:?}") };
        self.end(one, sent(&format!("{sid}out")), None).await;
        one.clone()
    }

    /// A keyword on a channel.
    async fn wishes(&self, sid: &str, channel: Channel, from: &str, keyword: OptOutWord) {
        let text = self.text(sid, from, "x");
        let inbound = NewInbound::new(self.tenant, channel, text.from, text.data, self.now(), 1, Some(word(keyword)));
        self.store.writer().ingest(inbound).await.expect("it can be stored");
    }
}

#[tokio::test]
async fn a_stop_by_message_ends_calls_only_where_it_is_set() {
    on_both(|bench| async move {
        assert!(!bench.call_is_refused("SM1", ANA, true).await, "she has not opted out");
        bench.wished("SM2", ANA, word(OptOutWord::Stop)).await;
        assert!(!bench.call_is_refused("SM3", ANA, false).await, "off by default: a STOP is about messages");
        assert!(bench.call_is_refused("SM4", ANA, true).await);
        assert!(!bench.call_is_refused("SM5", LUIS, true).await, "another customer's");
        bench.wished("SM6", ANA, word(OptOutWord::Start)).await;
        assert!(!bench.call_is_refused("SM7", ANA, true).await);
    })
    .await;
}

#[tokio::test]
async fn a_start_lifts_no_do_not_call() {
    on_both(|bench| async move {
        let phone = Phone::parse(ANA).unwrap();
        bench.store.set_do_not_call(bench.tenant, &phone, true).await.unwrap();
        assert!(!bench.under_way("SM1", ANA).await.facts.opted_out, "messages may go on");
        assert!(!bench.call_is_refused("SM2", LUIS, false).await, "another customer's");
        bench.wished("SM3", ANA, word(OptOutWord::Stop)).await;
        bench.wished("SM4", ANA, word(OptOutWord::Start)).await;
        assert!(bench.call_is_refused("SM5", ANA, false).await, "a person set it, and a person lifts it");
        assert!(bench.call_is_refused("SM6", ANA, true).await);
        bench.store.set_do_not_call(bench.tenant, &phone, false).await.unwrap();
        assert!(!bench.call_is_refused("SM7", ANA, false).await);
    })
    .await;
}

#[tokio::test]
async fn a_stop_holds_on_its_own_channel_and_a_start_too() {
    on_both(|bench| async move {
        bench.wishes("SM1", Channel::WhatsApp, ANA, OptOutWord::Stop).await;
        let first = bench.sent_from("SM2", ANA, Origin::Answer).await;
        assert!(!first.facts.opted_out, "the text messages go on");
        bench.wishes("SM3", Channel::Sms, ANA, OptOutWord::Stop).await;
        bench.wishes("SM4", Channel::WhatsApp, ANA, OptOutWord::Start).await;
        assert!(
            bench.sent_from("SM5", ANA, Origin::Answer).await.facts.opted_out,
            "a START elsewhere does not lift it"
        );
        bench.wishes("SM6", Channel::Sms, ANA, OptOutWord::Start).await;
        assert!(!bench.sent_from("SM7", ANA, Origin::Answer).await.facts.opted_out);
    })
    .await;
}

/// 21610 is Twilio's code. The code of another provider may mean anything.
#[tokio::test]
async fn the_21610_of_another_provider_opts_nobody_out() {
    on_both(|bench| async move {
        let route = Route::Provider("india".into());
        let (event, contact) = bench.received("SM1", ANA, "hola").await;
        let mut send = bench.send(event, contact, 0, ANA, "hola");
        send.route = Some(route.clone());
        bench.decide(event, contact, vec![send]).await;
        let claimed = bench.claim_along(route, false).await;
        assert!(bench.end(&claimed[0], AttemptResult::Failed, Some(21610)).await);
        let next = bench.under_way("SM2", ANA).await;
        assert!(!next.facts.opted_out);
        assert!(bench.end(&next, AttemptResult::Failed, Some(21610)).await);
        assert!(bench.under_way("SM3", ANA).await.facts.opted_out, "Twilio's own does");
    })
    .await;
}

#[tokio::test]
async fn the_loop_guard_counts_what_was_sent_by_itself_within_its_window() {
    on_both(|bench| async move {
        for (number, origin) in [Origin::Manual, Origin::System, Origin::Manual].into_iter().enumerate() {
            let one = bench.sent_from(&format!("SM{number}"), ANA, origin).await;
            assert_eq!(one.facts.recent, 0, "{origin:?} before it does not count");
        }
        assert_eq!(bench.sent_from("SM10", ANA, Origin::Answer).await.facts.recent, 0);
        let answered = bench.now();
        bench.pass(60);
        assert_eq!(bench.sent_from("SM11", ANA, Origin::Business).await.facts.recent, 1);
        assert_eq!(bench.sent_from("SM12", ANA, Origin::Manual).await.facts.recent, 2);
        // A claim takes a millisecond of this clock.
        let edge = answered.plus(Duration::from_secs(600)).since(bench.now());
        bench.store.clock().advance(edge.saturating_sub(Duration::from_millis(2)));
        assert_eq!(bench.sent_from("SM13", ANA, Origin::Manual).await.facts.recent, 2, "just within ten minutes");
        bench.store.clock().advance(Duration::from_millis(2));
        assert_eq!(bench.sent_from("SM14", ANA, Origin::Manual).await.facts.recent, 1, "the answer is older");
    })
    .await;
}

#[tokio::test]
async fn the_frequency_cap_counts_what_the_business_started_within_a_day() {
    on_both(|bench| async move {
        let started = async |sid: &str| bench.sent_from(sid, ANA, Origin::Business).await.facts.started;
        assert_eq!(started("SM1").await, 0);
        bench.sent_from("SM2", ANA, Origin::Answer).await;
        bench.sent_from("SM3", ANA, Origin::Manual).await;
        assert_eq!(started("SM4").await, 1, "only what the business started");
        bench.pass(DAY_S - 60);
        assert_eq!(started("SM5").await, 2, "nearly a day later");
        bench.pass(61);
        assert_eq!(started("SM6").await, 1, "the first two are a day old");
    })
    .await;
}

#[tokio::test]
async fn an_idempotency_key_is_kept_for_24_hours() {
    on_both(|bench| async move {
        let (store, tenant) = (&bench.store, bench.tenant);
        let begin = async || store.begin_idempotent(tenant, "k", "hash").await.unwrap();
        let Begun::Work { id } = begin().await else { panic!("it is new") };
        store.end_idempotent(tenant, "k", Some((201, "{}"))).await.unwrap();
        let done = Begun::Done { status: 201, body: "{}".to_owned() };
        for wait in [1, 60, 3_600, DAY_S - 1 - 1 - 60 - 3_600] {
            bench.pass(wait);
            assert_eq!(begin().await, done, "after {wait} s more");
        }
        bench.pass(2);
        let Begun::Work { id: new } = begin().await else { panic!("a day has passed") };
        assert_ne!(new, id);
    })
    .await;
}

#[tokio::test]
async fn a_rule_limit_counts_a_run_at_its_exact_edge() {
    on_both(|bench| async move {
        let decide = async |sid: &str, since: Timestamp| {
            let (event, contact) = bench.received(sid, ANA, "hola").await;
            let firings = vec![Firing { rule: "hello".to_owned(), at: bench.now(), times: 1, since }];
            let decided = Decided { firings, ..bench.decided(event, contact, vec![]) };
            let at = decided.at;
            let receipt = bench.store.writer().decided(vec![decided]).await.expect("it can be written");
            (receipt.overtaken == 0, at)
        };
        let (ran, first) = decide("SM1", super::START).await;
        assert!(ran);
        assert!(!decide("SM2", first).await.0, "a run at the beginning of the span counts");
        assert!(decide("SM3", first.plus(Duration::from_micros(1))).await.0, "one before it does not");
    })
    .await;
}

#[tokio::test]
async fn nothing_remembers_the_runs_of_rules_for_an_erased_customer() {
    on_both(|bench| async move {
        bench.remembers("SM1", ANA).await;
        bench.remembers("SM2", LUIS).await;
        let (_, ana) = bench.received("SM3", ANA, "hola").await;
        let (_, luis) = bench.received("SM4", LUIS, "hola").await;
        let runs = async || bench.store.firings(bench.tenant, &[ana, luis], super::START, None).await.unwrap();
        assert_eq!(runs().await.len(), 2);
        bench.store.erase_contact(bench.tenant, ANA).await.unwrap();
        let left = runs().await;
        assert!(!left.contains_key(&ana) && left.contains_key(&luis), "{left:?}");
    })
    .await;
}

/// An opt-out of one sender, at the provider, is none of another sender's.
#[tokio::test]
async fn a_refusal_of_one_sender_leaves_others_and_a_start_lifts_it() {
    on_both(|bench| async move {
        let refused = bench.under_way("SM1", ANA).await;
        assert!(bench.end(&refused, AttemptResult::Failed, Some(21610)).await);
        assert_eq!(refused.send.sender, OURS);
        assert!(bench.sent_from("SM2", ANA, Origin::Answer).await.facts.opted_out);
        bench.wished("SM3", ANA, word(OptOutWord::Start)).await;
        assert!(!bench.sent_from("SM4", ANA, Origin::Answer).await.facts.opted_out, "she wrote START");
    })
    .await;
}

/// YES is an answer to a question, except from a customer who has opted out.
#[tokio::test]
async fn a_word_that_counts_only_after_an_opt_out_is_a_message_before_it() {
    on_both(|bench| async move {
        let yes = || OptOutKeyword { text: "yes".to_owned(), only_if_opted_out: true, ..word(OptOutWord::Start) };
        let opted_in = async || bench.event_kinds().await.iter().filter(|kind| *kind == "opted_in").count();
        bench.wished("SM1", ANA, yes()).await;
        assert_eq!(opted_in().await, 0);
        bench.wished("SM2", ANA, word(OptOutWord::Stop)).await;
        bench.wished("SM3", ANA, yes()).await;
        assert_eq!(opted_in().await, 1);
        assert!(!bench.under_way("SM4", ANA).await.facts.opted_out);
    })
    .await;
}
