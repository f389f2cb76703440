//! Calls: each turn is stored once, statuses move forward only, each end makes its events once.

use recado::domain::call::{CallState, Dial};
use recado::domain::event::CallData;
use recado::domain::{
    Action, CallBody, CallDirection, CallId, CallStatus, Channel, DeliveryStatus, EventKind, Phone, Send, SendBody,
    Step, TenantId,
};
use recado::store::{
    AttemptResult, CallFilter, CallReport, CallResult, Caller, Claimed, Leg, LegReport, NewTurn, OperatorDecision,
    Reported, TurnAnswer, Turned,
};

use super::{ANA, Bench, Duration, LUIS, on_both};

/// The number that callers are put through to.
const STAFF: &str = "+34600999888";

fn all() -> CallFilter {
    CallFilter { limit: 10, ..CallFilter::default() }
}

fn dial() -> Step {
    Step::Dial(Dial { number: STAFF.to_owned(), ..Dial::default() })
}

pub fn caller(tenant: TenantId, sid: &str, from: &str, status: CallStatus) -> Caller {
    Caller {
        tenant,
        account: Some("AC1".to_owned()),
        sid: sid.to_owned(),
        direction: CallDirection::In,
        peer: from.to_owned(),
        phone: Phone::parse(from).ok(),
        number: super::OURS.to_owned(),
        action: None,
        status,
        answered_by: None,
    }
}

impl Bench {
    fn asked_in(&self, sid: &str, key: &str, said: &str) -> NewTurn {
        NewTurn {
            caller: caller(self.tenant, sid, ANA, CallStatus::InProgress),
            kind: if said.is_empty() { EventKind::CALL_RECEIVED } else { EventKind::CALL_INPUT },
            key: key.to_owned(),
            data: CallData { body: said.to_owned(), speech: said.to_owned(), ..CallData::default() },
            at: self.now(),
        }
    }

    fn call_report(&self, sid: &str, status: CallStatus, tell_later: bool) -> CallReport {
        CallReport {
            caller: caller(self.tenant, sid, ANA, status),
            duration_s: Some(7),
            recording: None,
            error_code: None,
            detail: None,
            silence_is_missed: false,
            tell_later,
            at: self.now(),
        }
    }

    /// A provider's report of the leg that a call dialled last.
    fn leg_report(&self, call: &str, leg: Option<&str>, status: CallStatus) -> LegReport {
        let leg = Leg { sid: leg.map(str::to_owned), status, duration_s: None, at: self.now() };
        LegReport { tenant: self.tenant, call: call.to_owned(), turn: None, leg }
    }

    /// Stores a first turn whose answer dials.
    async fn dialled(&self, sid: &str) -> CallId {
        let turned = self.store.writer().turn(self.asked_in(sid, "answer", "")).await.expect("it can be stored");
        let Turned::New { call, n, .. } = turned else { panic!("it is new: {turned:?}") };
        let steps = vec![Step::say("One moment"), dial()];
        let answer = TurnAnswer { call: call.id, n, steps, how: "rules", took_ms: 1, state: CallState::default() };
        self.store.writer().said(self.tenant, answer).await.expect("it can be written");
        call.id
    }

    /// A customer calls, is put through, says something, gets an answer, and hangs up.
    pub async fn called(&self, sid: &str, said: &str) {
        for (key, said) in [("answer", ""), ("after:1", said)] {
            let mut turn = self.asked_in(sid, key, said);
            if key == "after:1" {
                (turn.data.outcome, turn.data.leg_s) = (Some("completed".to_owned()), Some(5));
                turn.data.leg_sid = Some(format!("{sid}leg"));
            }
            let turned = self.store.writer().turn(turn).await.expect("it can be stored");
            let Turned::New { event, call, n, .. } = turned else { panic!("it is new: {turned:?}") };
            let answer = TurnAnswer {
                call: call.id,
                n,
                steps: if said.is_empty() { vec![dial()] } else { vec![Step::say(said)] },
                how: "rules",
                took_ms: 3,
                state: CallState { vars: [("said".to_owned(), said.into())].into(), ..CallState::default() },
            };
            let decided = self.decided(event.id, event.contact.expect("the number is one"), vec![]);
            let decided = recado::store::Decided { answer: Some(answer), ..decided };
            self.store.writer().decided(vec![decided]).await.expect("it can be written");
        }
        let report = self.store.writer().call(self.call_report(sid, CallStatus::Completed, false)).await;
        assert_eq!(report.expect("it can be stored"), Reported::Ended);
    }
}

impl Bench {
    /// A claimed call of ours, after a customer's message.
    async fn ringing(&self, sid: &str, to: &str) -> Claimed {
        let (event, contact) = self.received(sid, to, "ring me").await;
        let body = SendBody::Call(CallBody { say: Some("hola".to_owned()), ..CallBody::default() });
        let to = Phone::parse(to).expect("a number").into();
        let send = Send { channel: Channel::Voice, to, reply: false, fallback: None, body };
        self.decide(event, contact, vec![self.action(event, contact, 0, Action::Send(send))]).await;
        self.claim().await.remove(0)
    }
}

#[tokio::test]
async fn a_turn_is_stored_once_and_a_repeat_gets_its_answer() {
    on_both(|bench| async move {
        let Turned::New { call, n, .. } = bench.store.writer().turn(bench.asked_in("CA1", "answer", "")).await.unwrap()
        else {
            panic!("it is new");
        };
        let repeat = bench.store.writer().turn(bench.asked_in("CA1", "answer", "")).await.unwrap();
        assert!(matches!(repeat, Turned::Repeat { n: 1, answer: None, .. }), "{repeat:?}");
        let answer = TurnAnswer {
            call: call.id,
            n,
            steps: vec![Step::say("hola"), Step::Hangup],
            how: "rules",
            took_ms: 1,
            state: CallState::default(),
        };
        bench.store.writer().said(bench.tenant, answer).await.unwrap();
        let repeat = bench.store.writer().turn(bench.asked_in("CA1", "answer", "")).await.unwrap();
        let Turned::Repeat { answer: Some(steps), .. } = repeat else { panic!("it was answered: {repeat:?}") };
        assert_eq!(steps, [Step::say("hola"), Step::Hangup]);
        // A report of another tenant's webhook is refused.
        let other = bench.other().await;
        let foreign = other.store.writer().turn(other.asked_in("CA1", "after:1", "x")).await.unwrap();
        assert!(matches!(foreign, Turned::Foreign), "{foreign:?}");
        let foreign = other.store.writer().call(other.call_report("CA1", CallStatus::Completed, false)).await.unwrap();
        assert_eq!(foreign, Reported::Foreign);
        assert_eq!(bench.store.call_page(bench.tenant, &all()).await.unwrap().len(), 1);
        assert!(other.store.call_page(other.tenant, &all()).await.unwrap().is_empty());
        // Another account may sign any id: it takes nothing from this tenant.
        let forged = NewTurn {
            caller: Caller { account: Some("AC2".to_owned()), ..other.asked_in("CA1", "answer", "").caller },
            ..other.asked_in("CA1", "answer", "")
        };
        assert!(matches!(other.store.writer().turn(forged).await.unwrap(), Turned::New { n: 1, .. }));
        let own = bench.store.writer().turn(bench.asked_in("CA1", "after:1", "hola")).await.unwrap();
        assert!(matches!(own, Turned::New { n: 2, .. }), "{own:?}");
        assert_eq!(other.store.call_page(other.tenant, &all()).await.unwrap().len(), 1);
        assert_eq!(bench.store.call_page(bench.tenant, &all()).await.unwrap().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn the_end_of_a_call_makes_its_events_once() {
    on_both(|bench| async move {
        bench.called("CA1", "hola").await;
        for status in [CallStatus::Ringing, CallStatus::Completed, CallStatus::Busy] {
            let report = bench.store.writer().call(bench.call_report("CA1", status, false)).await.unwrap();
            assert_eq!(report, Reported::Stale, "{status}");
        }
        assert!(bench.store.untold_calls(bench.now().plus(super::Duration::from_secs(9)), 9).await.unwrap().is_empty());
        bench.store.writer().turn(bench.asked_in("CA2", "answer", "")).await.unwrap();
        bench.store.writer().call(bench.call_report("CA2", CallStatus::Completed, true)).await.unwrap();
        let untold = bench.store.untold_calls(bench.now().plus(super::Duration::from_secs(9)), 9).await.unwrap();
        let [(tenant, call)] = untold[..] else { panic!("one waits: {untold:?}") };
        let result = || CallResult { sentiment: Some(0.5), summary: Some("a\nb".into()) };
        assert!(bench.store.tell_call(tenant, call, vec![], result(), false, bench.now()).await.unwrap());
        assert!(!bench.store.tell_call(tenant, call, vec![], result(), false, bench.now()).await.unwrap());
        let listed = bench.store.listed_call(tenant, "CA2").await.unwrap().expect("it is there");
        assert_eq!(listed.result.summary.as_deref(), Some("a\nb"));
        let ended: Vec<_> = bench
            .store
            .pending_events(bench.tenant, 20)
            .await
            .unwrap()
            .into_iter()
            .filter(|pending| pending.event.kind == EventKind::CALL_COMPLETED)
            .collect();
        assert_eq!(ended.len(), 2);
    })
    .await;
}

/// A caller who hangs up during a recording makes one more turn, with the final status.
#[tokio::test]
async fn the_status_callback_ends_a_call_not_a_final_turn() {
    on_both(|bench| async move {
        let mut last = bench.asked_in("CA1", "after:1", "");
        bench.store.writer().turn(bench.asked_in("CA1", "answer", "")).await.unwrap();
        last.caller.status = CallStatus::Completed;
        last.data.outcome = Some("recorded".to_owned());
        bench.store.writer().turn(last).await.unwrap();
        let mut end = bench.call_report("CA1", CallStatus::Completed, false);
        end.silence_is_missed = true;
        assert_eq!(bench.store.writer().call(end.clone()).await.unwrap(), Reported::Ended);
        assert_eq!(bench.store.writer().call(end).await.unwrap(), Reported::Stale);
        let events = bench.store.pending_events(bench.tenant, 20).await.unwrap();
        let count = |kind| events.iter().filter(|pending| pending.event.kind == kind).count();
        // A caller who left a message was not missed.
        assert_eq!((count(EventKind::CALL_COMPLETED), count(EventKind::CALL_MISSED)), (1, 0));
        let listed = bench.store.listed_call(bench.tenant, "CA1").await.unwrap().expect("it is there");
        assert_eq!(listed.duration_s, Some(7));
    })
    .await;
}

/// The provider's turn and its report of the answer come at the same moment.
#[tokio::test]
async fn an_answered_call_makes_one_event_in_any_order_of_reports() {
    on_both(|bench| async move {
        for (sid, turn_first) in [("CA1", true), ("CA2", false)] {
            let mut turn = bench.asked_in(sid, "answer", "");
            turn.kind = EventKind::CALL_OPENED;
            turn.caller.direction = CallDirection::Out;
            let mut report = bench.call_report(sid, CallStatus::InProgress, false);
            report.caller.direction = CallDirection::Out;
            if turn_first {
                let turned = bench.store.writer().turn(turn).await.unwrap();
                assert!(matches!(turned, Turned::New { call_answered: true, .. }), "{turned:?}");
                assert_eq!(bench.store.writer().call(report).await.unwrap(), Reported::Stale);
            } else {
                assert_eq!(bench.store.writer().call(report).await.unwrap(), Reported::Advanced);
                let turned = bench.store.writer().turn(turn).await.unwrap();
                assert!(matches!(turned, Turned::New { call_answered: false, .. }), "{turned:?}");
            }
        }
        let events = bench.store.pending_events(bench.tenant, 20).await.unwrap();
        assert_eq!(events.iter().filter(|pending| pending.event.kind == EventKind::CALL_ANSWERED).count(), 2);
    })
    .await;
}

#[tokio::test]
async fn a_streams_token_is_good_once_and_for_the_turn_that_is_answered() {
    on_both(|bench| async move {
        let Turned::New { call, .. } = bench.store.writer().turn(bench.asked_in("CA1", "answer", "")).await.unwrap()
        else {
            panic!("it is new");
        };
        assert!(bench.store.begin_stream(call.id, 2).await.unwrap().is_none(), "no such turn yet");
        assert!(bench.store.begin_stream(call.id, 1).await.unwrap().is_some());
        assert!(bench.store.begin_stream(call.id, 1).await.unwrap().is_none(), "used");
        bench.store.writer().turn(bench.asked_in("CA1", "after:1", "x")).await.unwrap();
        bench.store.writer().call(bench.call_report("CA1", CallStatus::Completed, false)).await.unwrap();
        assert!(bench.store.begin_stream(call.id, 2).await.unwrap().is_none(), "the call is over");
    })
    .await;
}

#[tokio::test]
async fn old_calls_are_removed_with_their_turns() {
    on_both(|bench| async move {
        bench.called("CA1", "hola").await;
        let call = bench.store.listed_call(bench.tenant, "CA1").await.unwrap().expect("it is there").id;
        assert_eq!(bench.store.call_legs(bench.tenant, call).await.unwrap().len(), 1);
        let day = super::Duration::from_secs(24 * 3_600);
        assert_eq!(bench.store.remove_old_calls(bench.tenant, bench.now().minus(day), false).await.unwrap(), 0);
        assert_eq!(bench.store.remove_old_calls(bench.tenant, bench.now().plus(day), false).await.unwrap(), 1);
        assert!(bench.store.call_page(bench.tenant, &all()).await.unwrap().is_empty());
        assert!(bench.store.call_legs(bench.tenant, call).await.unwrap().is_empty(), "nor its legs");
        assert!(bench.store.call_turns(bench.tenant, call).await.unwrap().is_empty());
    })
    .await;
}

/// The leg's callbacks and the next turn report the same leg, in any order.
#[tokio::test]
async fn a_leg_is_stored_once_and_only_moves_forward() {
    on_both(|bench| async move {
        let ends = |sid: &str, outcome: &str, seconds, leg: Option<&str>| {
            let mut turn = bench.asked_in(sid, "after:1", "");
            (turn.data.outcome, turn.data.leg_s) = (Some(outcome.to_owned()), seconds);
            turn.data.leg_sid = leg.map(str::to_owned);
            turn
        };
        // Its callbacks come out of order, before the turn.
        let call = bench.dialled("CA1").await;
        let began = bench.now();
        bench.pass(5);
        for status in [CallStatus::InProgress, CallStatus::Ringing, CallStatus::Initiated] {
            let report = bench.store.report_leg(&bench.leg_report("CA1", Some("CAleg"), status)).await.unwrap();
            assert_eq!(report, Reported::Advanced);
        }
        let legs = async |call| bench.store.call_legs(bench.tenant, call).await.unwrap();
        let [leg] = &legs(call).await[..] else { panic!("there is one") };
        assert_eq!((leg.status, leg.ended_at, leg.began_at, leg.n), (CallStatus::InProgress, None, began, 1));
        bench.store.writer().turn(ends("CA1", "completed", Some(42), Some("CAleg"))).await.unwrap();
        let ended = bench.now();
        bench.pass(5);
        bench.store.report_leg(&bench.leg_report("CA1", Some("CAleg"), CallStatus::Busy)).await.unwrap();
        let [leg] = &legs(call).await[..] else { panic!("there is one still") };
        assert_eq!((leg.status, leg.duration_s, leg.ended_at), (CallStatus::Completed, Some(42), Some(ended)));
        assert_eq!((leg.to.as_str(), leg.sid.as_deref()), (STAFF, Some("CAleg")));

        // The turn comes first, without the id of the leg.
        let call = bench.dialled("CA2").await;
        bench.store.writer().turn(ends("CA2", "busy", None, None)).await.unwrap();
        bench.store.report_leg(&bench.leg_report("CA2", Some("CAleg2"), CallStatus::Busy)).await.unwrap();
        let [leg] = &legs(call).await[..] else { panic!("there is one") };
        assert_eq!((leg.status, leg.sid.as_deref()), (CallStatus::Busy, Some("CAleg2")));

        // A queue or a recording makes no leg, nor does a turn without a dial.
        let call = bench.dialled("CA3").await;
        bench.store.writer().turn(ends("CA3", "recorded", None, None)).await.unwrap();
        assert!(legs(call).await.is_empty());
        let unknown =
            bench.store.report_leg(&bench.leg_report("CA9", Some("CAleg"), CallStatus::Ringing)).await.unwrap();
        assert_eq!(unknown, Reported::Stale);
        // A report of another tenant.
        let other = bench.other().await;
        let foreign =
            other.store.report_leg(&other.leg_report("CA3", Some("CAleg"), CallStatus::Ringing)).await.unwrap();
        assert_eq!(foreign, Reported::Stale, "the tenant has no such call");
        assert!(other.store.call_legs(other.tenant, call).await.unwrap().is_empty() && legs(call).await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn erasing_either_end_erases_the_number_of_a_leg() {
    on_both(|bench| async move {
        let tos = async || {
            let mut tos = Vec::new();
            for call in bench.store.call_page(bench.tenant, &all()).await.unwrap() {
                tos.extend(bench.store.call_legs(bench.tenant, call.id).await.unwrap().into_iter().map(|leg| leg.to));
            }
            tos
        };
        let erase = async |number: &str| {
            bench.store.erase_contact(bench.tenant, &Phone::parse(number).unwrap().key()).await.unwrap()
        };
        bench.called("CA1", "hola").await;
        let mut theirs = bench.asked_in("CA2", "answer", "");
        (theirs.caller.peer, theirs.caller.phone) = (LUIS.to_owned(), Phone::parse(LUIS).ok());
        bench.store.writer().turn(theirs).await.unwrap();
        assert_eq!(tos().await, [STAFF]);
        erase(LUIS).await;
        assert_eq!(tos().await, [STAFF], "somebody else's");
        erase(STAFF).await;
        assert_eq!(tos().await, [""]);
        bench.called("CA3", "hola").await;
        erase(ANA).await;
        assert_eq!(tos().await, ["", ""]);
    })
    .await;
}

#[tokio::test]
async fn filtered_calls_are_listed_in_pages_the_newest_first() {
    on_both(|bench| async move {
        for n in 0..5 {
            bench.called(&format!("CA{n}"), "hola").await;
            bench.pass(60);
        }
        let half = bench.now();
        // Two calls began at the same instant.
        for (sid, from) in [("CA5", LUIS), ("CA6", LUIS)] {
            let mut ours = bench.asked_in(sid, "answer", "");
            (ours.caller.peer, ours.caller.phone) = (from.to_owned(), Phone::parse(from).ok());
            ours.caller.direction = CallDirection::Out;
            bench.store.writer().turn(ours).await.unwrap();
        }
        let sids = async |filter: CallFilter| -> Vec<String> {
            let page = bench.store.call_page(bench.tenant, &filter).await.unwrap();
            page.into_iter().map(|call| call.sid).collect()
        };
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = bench.store.call_page(bench.tenant, &CallFilter { after, limit: 2, ..all() }).await.unwrap();
            let Some(last) = page.last() else { break };
            after = Some(last.id);
            seen.extend(page.into_iter().map(|call| call.sid));
        }
        assert_eq!(seen, ["CA6", "CA5", "CA4", "CA3", "CA2", "CA1", "CA0"], "each once");
        let luis = Phone::parse(LUIS).unwrap().key();
        let (new, old) = (["CA6", "CA5"], ["CA4", "CA3", "CA2", "CA1", "CA0"]);
        assert_eq!(sids(CallFilter { peer_key: Some(luis.clone()), ..all() }).await, new);
        let contact = bench.store.contact_by_key(bench.tenant, &luis).await.unwrap();
        assert!(contact.is_some());
        assert_eq!(sids(CallFilter { contact, ..all() }).await, new);
        assert_eq!(sids(CallFilter { direction: Some(CallDirection::In), ..all() }).await, old);
        assert_eq!(sids(CallFilter { status: Some(CallStatus::Completed), ..all() }).await, old);
        assert_eq!(sids(CallFilter { since: Some(half), ..all() }).await, new);
        assert_eq!(sids(CallFilter { until: Some(half), ..all() }).await, old);
        let other = bench.other().await;
        assert!(other.store.call_page(other.tenant, &all()).await.unwrap().is_empty());
        let foreign = CallFilter { after, ..all() };
        assert!(other.store.call_page(other.tenant, &foreign).await.unwrap().is_empty());
        assert!(other.store.listed_call(other.tenant, "CA1").await.unwrap().is_none());
        // The events of each turn, and of the end.
        let call = bench.store.listed_call(bench.tenant, "CA1").await.unwrap().expect("it is there");
        let fired = bench.store.events_of_call(bench.tenant, &call).await.unwrap();
        let kinds: Vec<_> = fired.iter().map(|event| event.kind.as_str()).collect();
        assert_eq!(kinds, ["call_received", "call_input", "call_completed"]);
    })
    .await;
}

/// The provider's answer to the create was a refusal, but it makes the call all the same. Its reports count.
#[tokio::test]
async fn a_report_makes_a_call_sent_whose_create_was_refused() {
    on_both(|bench| async move {
        let (event, contact) = bench.received("SM1", ANA, "call me").await;
        let body = SendBody::Call(CallBody { say: Some("Hello".to_owned()), ..CallBody::default() });
        let to = Phone::parse(ANA).unwrap().into();
        let action = Action::Send(Send { channel: Channel::Voice, to, reply: false, fallback: None, body });
        let call = bench.action(event, contact, 0, action);
        let id = call.id;
        bench.decide(event, contact, vec![call]).await;
        let claimed = bench.claim().await;
        bench.end(&claimed[0], recado::store::AttemptResult::Failed, Some(21211)).await;
        assert_eq!(bench.state(id).await, "failed");
        let mut report = bench.call_report("CA1", CallStatus::Ringing, false);
        (report.caller.direction, report.caller.action) = (CallDirection::Out, Some(id));
        assert_eq!(bench.store.writer().call(report).await.unwrap(), Reported::Advanced);
        assert_eq!(bench.state(id).await, "sent");
        let call = bench.store.listed_call(bench.tenant, &id.to_string()).await.unwrap().expect("by its send's id");
        assert_eq!((call.sid.as_str(), call.action), ("CA1", Some(id)));
    })
    .await;
}

#[tokio::test]
async fn open_calls_of_both_directions_are_listed_in_pages() {
    on_both(|bench| async move {
        let other = bench.other().await;
        for (n, bench) in [&bench, &other, &bench].into_iter().enumerate() {
            let sid = format!("CAin{n}");
            bench.store.writer().turn(bench.asked_in(&sid, "answer", "")).await.unwrap();
            bench.pass(1);
        }
        // One call of ours without a report, and one that a person has settled.
        let claimed = bench.ringing("SM1", ANA).await;
        bench
            .end(&claimed, AttemptResult::Sent { sid: "CAout".to_owned(), status: DeliveryStatus::Queued }, None)
            .await;
        bench.pass(1);
        let unknown = bench.ringing("SM2", super::LUIS).await;
        bench.end(&unknown, AttemptResult::Unknown { look_at: bench.now() }, None).await;
        let word = OperatorDecision::Sent { sid: Some("CAhand".to_owned()) };
        bench.store.resolve(bench.tenant, unknown.send.id, &word).await.unwrap();
        let report = bench.call_report("CAin2", CallStatus::Completed, false);
        assert_eq!(bench.store.writer().call(report).await.unwrap(), Reported::Ended);
        let now = bench.now();
        for size in 1..=5 {
            let (mut seen, mut behind) = (Vec::new(), None);
            // There are more pages than there can be.
            for _ in 0..20 {
                let page = bench.store.open_calls(now, behind.as_ref(), size).await.unwrap();
                let Some(last) = page.last() else { break };
                behind = Some(last.clone());
                seen.extend(page);
            }
            let sids: Vec<&str> = seen.iter().map(|call| call.sid.as_str()).collect();
            assert_eq!(sids, ["CAin0", "CAin1", "CAout"], "by {size}");
            assert_eq!(seen[1].tenant, other.tenant);
            let ours = &seen[2];
            assert_eq!((ours.direction, ours.peer.as_str()), (CallDirection::Out, ANA));
            assert_eq!(ours.action, Some(claimed.send.id));
            assert_eq!(ours.account_sid.as_deref(), Some(super::ACCOUNT));
        }
        let later = now.plus(Duration::from_micros(1));
        let sids: Vec<String> =
            bench.store.open_calls(later, None, 9).await.unwrap().into_iter().map(|call| call.sid).collect();
        assert_eq!(sids, ["CAin0", "CAin1", "CAout", "CAhand"], "begun just now");
        // The call's own callback finds the row.
        let mut busy = bench.call_report("CAout", CallStatus::Busy, false);
        busy.caller.action = Some(claimed.send.id);
        assert_eq!(bench.store.writer().call(busy).await.unwrap(), Reported::Ended);
        assert_eq!(bench.store.call_page(bench.tenant, &all()).await.unwrap().len(), 4);
    })
    .await;
}
