//! Calls: turns are stored once, statuses go forward only, what has ended is told once.

use recado::domain::call::CallState;
use recado::domain::event::CallData;
use recado::domain::{
    Action, CallBody, CallDirection, CallStatus, Channel, DeliveryStatus, EventKind, Phone, Send, SendBody, Step,
    TenantId,
};
use recado::store::{CallReport, CallResult, Caller, Claimed, End, NewTurn, Reported, TurnAnswer, Turned, Word};

use super::{ANA, Bench, Duration, on_both};

pub fn caller(tenant: TenantId, sid: &str, from: &str, status: CallStatus) -> Caller {
    Caller {
        tenant,
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

    fn told(&self, sid: &str, status: CallStatus, tell_later: bool) -> CallReport {
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

    /// A customer rings and says something, is answered with it, and hangs up.
    pub async fn called(&self, sid: &str, said: &str) {
        for (key, said) in [("answer", ""), ("after:1", said)] {
            let turned = self.store.writer().turn(self.asked_in(sid, key, said)).await.expect("it can be stored");
            let Turned::New { event, call, n, .. } = turned else { panic!("it is new: {turned:?}") };
            let answer = TurnAnswer {
                call: call.id,
                n,
                steps: vec![Step::say(said)],
                how: "rules",
                took_ms: 3,
                state: CallState { vars: [("said".to_owned(), said.into())].into(), ..CallState::default() },
            };
            let decided = self.decided(event.id, event.contact.expect("the number is one"), vec![]);
            let decided = recado::store::Decided { answer: Some(answer), ..decided };
            self.store.writer().decided(vec![decided]).await.expect("it can be written");
        }
        let told = self.store.writer().call(self.told(sid, CallStatus::Completed, false)).await;
        assert_eq!(told.expect("it can be stored"), Reported::Ended);
    }
}

impl Bench {
    /// A call of ours that is claimed, after a customer's message.
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
async fn a_turn_is_stored_once_and_a_repeat_is_told_what_was_answered() {
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
        // Another tenant's webhook for it is refused, whatever it says.
        let other = bench.other().await;
        let foreign = other.store.writer().turn(other.asked_in("CA1", "after:1", "x")).await.unwrap();
        assert!(matches!(foreign, Turned::Foreign), "{foreign:?}");
        let foreign = other.store.writer().call(other.told("CA1", CallStatus::Completed, false)).await.unwrap();
        assert_eq!(foreign, Reported::Foreign);
        assert_eq!(bench.store.list_calls(bench.tenant, 10).await.unwrap().len(), 1);
        assert!(other.store.list_calls(other.tenant, 10).await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn an_end_is_told_once_now_or_with_its_summary() {
    on_both(|bench| async move {
        bench.called("CA1", "hola").await;
        for status in [CallStatus::Ringing, CallStatus::Completed, CallStatus::Busy] {
            let told = bench.store.writer().call(bench.told("CA1", status, false)).await.unwrap();
            assert_eq!(told, Reported::Stale, "{status}");
        }
        assert!(bench.store.untold_calls(bench.now().plus(super::Duration::from_secs(9)), 9).await.unwrap().is_empty());
        bench.store.writer().turn(bench.asked_in("CA2", "answer", "")).await.unwrap();
        bench.store.writer().call(bench.told("CA2", CallStatus::Completed, true)).await.unwrap();
        let untold = bench.store.untold_calls(bench.now().plus(super::Duration::from_secs(9)), 9).await.unwrap();
        let [(tenant, call)] = untold[..] else { panic!("one waits: {untold:?}") };
        let result = || CallResult { sentiment: Some(0.5), summary: Some("a\nb".into()) };
        assert!(bench.store.tell_call(tenant, call, vec![], result(), bench.now()).await.unwrap());
        assert!(!bench.store.tell_call(tenant, call, vec![], result(), bench.now()).await.unwrap());
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

/// Whoever hung up while they were recorded is asked about once more, with the final status in the form.
#[tokio::test]
async fn the_end_is_told_by_its_report_though_a_turn_says_that_the_call_is_over() {
    on_both(|bench| async move {
        let mut last = bench.asked_in("CA1", "after:1", "");
        bench.store.writer().turn(bench.asked_in("CA1", "answer", "")).await.unwrap();
        last.caller.status = CallStatus::Completed;
        last.data.outcome = Some("recorded".to_owned());
        bench.store.writer().turn(last).await.unwrap();
        let mut end = bench.told("CA1", CallStatus::Completed, false);
        end.silence_is_missed = true;
        assert_eq!(bench.store.writer().call(end.clone()).await.unwrap(), Reported::Ended);
        assert_eq!(bench.store.writer().call(end).await.unwrap(), Reported::Stale);
        let events = bench.store.pending_events(bench.tenant, 20).await.unwrap();
        let count = |kind| events.iter().filter(|pending| pending.event.kind == kind).count();
        // Who left a message has not been missed.
        assert_eq!((count(EventKind::CALL_COMPLETED), count(EventKind::CALL_MISSED)), (1, 0));
        let listed = bench.store.listed_call(bench.tenant, "CA1").await.unwrap().expect("it is there");
        assert_eq!(listed.duration_s, Some(7));
    })
    .await;
}

/// The provider asks what to say and tells that somebody has answered at the same moment.
#[tokio::test]
async fn that_our_call_was_answered_is_told_once_whichever_comes_first() {
    on_both(|bench| async move {
        for (sid, turn_first) in [("CA1", true), ("CA2", false)] {
            let mut turn = bench.asked_in(sid, "answer", "");
            turn.kind = EventKind::CALL_OPENED;
            turn.caller.direction = CallDirection::Out;
            let mut told = bench.told(sid, CallStatus::InProgress, false);
            told.caller.direction = CallDirection::Out;
            if turn_first {
                let turned = bench.store.writer().turn(turn).await.unwrap();
                assert!(matches!(turned, Turned::New { answered: true, .. }), "{turned:?}");
                assert_eq!(bench.store.writer().call(told).await.unwrap(), Reported::Stale);
            } else {
                assert_eq!(bench.store.writer().call(told).await.unwrap(), Reported::Advanced);
                let turned = bench.store.writer().turn(turn).await.unwrap();
                assert!(matches!(turned, Turned::New { answered: false, .. }), "{turned:?}");
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
        bench.store.writer().call(bench.told("CA1", CallStatus::Completed, false)).await.unwrap();
        assert!(bench.store.begin_stream(call.id, 2).await.unwrap().is_none(), "the call is over");
    })
    .await;
}

#[tokio::test]
async fn old_calls_are_removed_with_what_was_said() {
    on_both(|bench| async move {
        bench.called("CA1", "hola").await;
        let day = super::Duration::from_secs(24 * 3_600);
        assert_eq!(bench.store.remove_old_calls(bench.tenant, bench.now().minus(day), false).await.unwrap(), 0);
        assert_eq!(bench.store.remove_old_calls(bench.tenant, bench.now().plus(day), false).await.unwrap(), 1);
        assert!(bench.store.list_calls(bench.tenant, 10).await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn calls_without_an_end_are_found_page_by_page_whoever_rang() {
    on_both(|bench| async move {
        let other = bench.other().await;
        for (n, bench) in [&bench, &other, &bench].into_iter().enumerate() {
            let sid = format!("CAin{n}");
            bench.store.writer().turn(bench.asked_in(&sid, "answer", "")).await.unwrap();
            bench.pass(1);
        }
        // One of ours, of which nobody has told anything; one that a person has settled.
        let claimed = bench.ringing("SM1", ANA).await;
        bench.end(&claimed, End::Sent { sid: "CAout".to_owned(), status: DeliveryStatus::Queued }, None).await;
        bench.pass(1);
        let unknown = bench.ringing("SM2", super::LUIS).await;
        bench.end(&unknown, End::Unknown { look_at: bench.now() }, None).await;
        let word = Word::Sent { sid: Some("CAhand".to_owned()) };
        bench.store.heed(bench.tenant, unknown.candidate.action(), &word).await.unwrap();
        let told = bench.told("CAin2", CallStatus::Completed, false);
        assert_eq!(bench.store.writer().call(told).await.unwrap(), Reported::Ended);
        let now = bench.now();
        for size in 1..=5 {
            let (mut seen, mut behind) = (Vec::new(), None);
            // More pages than there can be.
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
            assert_eq!(ours.action, Some(claimed.candidate.action()));
            assert_eq!(ours.account_sid.as_deref(), Some(super::ACCOUNT));
        }
        let later = now.plus(Duration::from_micros(1));
        let sids: Vec<String> =
            bench.store.open_calls(later, None, 9).await.unwrap().into_iter().map(|call| call.sid).collect();
        assert_eq!(sids, ["CAin0", "CAin1", "CAout", "CAhand"], "begun just now");
        // What its own callback tells meets the row that is there.
        let mut busy = bench.told("CAout", CallStatus::Busy, false);
        busy.caller.action = Some(claimed.candidate.action());
        assert_eq!(bench.store.writer().call(busy).await.unwrap(), Reported::Ended);
        assert_eq!(bench.store.list_calls(bench.tenant, 9).await.unwrap().len(), 4);
    })
    .await;
}
