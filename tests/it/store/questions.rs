//! The time of a question: it runs from the moment at which its text is sent, and a question that is never sent tells so.

use std::sync::Arc;
use std::time::Duration;

use recado::domain::{
    ActionId, Channel, ContactId, DeliveryStatus, EventId, Purpose, Question, QuestionChange, Timestamp,
};
use recado::store::{
    AttemptResult, Decided, Gate, NewAction, OperatorDecision, PendingTimer, Resolution, StatusReport,
};
use serde_json::Value;

use super::{ANA, Bench, on_both};

const HOUR: Duration = Duration::from_secs(3_600);
const TWO_HOURS_S: u64 = 2 * 3_600;

impl Bench {
    /// A question whose text is the action.
    fn asked_by(&self, action: &NewAction) -> Question {
        Question {
            id: action.id,
            channel: Channel::Sms,
            rule: "rule".to_owned(),
            name: "well".to_owned(),
            state: Value::Null,
            asked_at: self.now(),
            expires_at: self.now().plus(Duration::from_secs(TWO_HOURS_S)),
        }
    }

    /// Decides a new event so that a question is asked, and changes its send before.
    async fn ask(&self, sid: &str, edit: impl FnOnce(&mut NewAction)) -> (ActionId, EventId, ContactId) {
        let (event, contact) = self.received(sid, ANA, "hola").await;
        let mut send = self.send(event, contact, 0, ANA, "Is all well?");
        edit(&mut send);
        let question = self.asked_by(&send);
        let id = send.id;
        let decided =
            Decided { questions: vec![QuestionChange::Open(question)], ..self.decided(event, contact, vec![send]) };
        self.store.writer().decided(vec![decided]).await.expect("it can be written");
        (id, event, contact)
    }

    async fn silences(&self) -> Vec<PendingTimer> {
        let timers = self.store.timers(Some(self.tenant), 100).await.unwrap();
        timers.into_iter().filter(|timer| timer.purpose == Purpose::Silence.as_str()).collect()
    }

    /// The one timer of a question that was never sent: when it is due, and the reason.
    async fn unsent(&self) -> (Timestamp, String) {
        let timers = self.silences().await;
        let [timer] = timers.as_slice() else { panic!("{timers:?}") };
        let payload: Value = serde_json::from_str(&timer.payload).unwrap();
        assert_eq!(payload["question"]["name"], "well");
        (timer.due, payload["unsent"].as_str().expect("a reason").to_owned())
    }

    async fn unasked(&self, contact: ContactId) -> usize {
        self.store.unasked_questions(self.tenant, &[contact]).await.unwrap().len()
    }
}

#[tokio::test]
async fn the_time_of_a_question_starts_when_its_text_is_sent() {
    on_both(|bench| async move {
        let (id, _, contact) = bench.ask("SM1", |_| {}).await;
        assert!(bench.silences().await.is_empty(), "nothing has been sent");
        assert_eq!(bench.unasked(contact).await, 0, "it is due, so it may reach the customer at any moment");
        let night = bench.now().plus(HOUR * 12);
        assert!(bench.claim_if(Arc::new(move |_, _| Gate::Postpone(night, "quiet hours".to_owned()))).await.is_empty());
        assert_eq!(bench.unasked(contact).await, 1, "the customer has not been asked yet");
        bench.pass(13 * 3_600);
        let claimed = bench.claim().await.remove(0);
        assert_eq!(claimed.send.id, id);
        assert_eq!(bench.unasked(contact).await, 0);
        let began = claimed.send.tried_at.expect("it is under way");
        bench.pass(5);
        let sent = AttemptResult::Sent { sid: "SM9".to_owned(), status: DeliveryStatus::Queued };
        assert!(bench.end(&claimed, sent, None).await);
        let timers = bench.silences().await;
        assert_eq!(timers.iter().map(|timer| timer.due).collect::<Vec<_>>(), [began.plus(HOUR * 2)]);
        let open = bench.store.open_questions(bench.tenant, &[contact]).await.unwrap();
        assert_eq!(open[&contact][&Channel::Sms].expires_at, began.plus(HOUR * 2));
        // An answer ends the timer, too.
        let (event, _) = bench.received("SM2", ANA, "yes").await;
        let close = QuestionChange::Close(open[&contact][&Channel::Sms].clone());
        let decided = Decided { questions: vec![close], ..bench.decided(event, contact, vec![]) };
        bench.store.writer().decided(vec![decided]).await.unwrap();
        assert!(bench.silences().await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_question_that_the_gate_stops_is_told_at_once() {
    on_both(|bench| async move {
        let (id, _, contact) = bench.ask("SM1", |_| {}).await;
        assert!(bench.claim_if(Arc::new(|_, _| Gate::Block("opted out".to_owned()))).await.is_empty());
        assert_eq!(bench.state(id).await, "blocked");
        assert_eq!(bench.unsent().await, (bench.now(), "opted out".to_owned()));
        assert_eq!(bench.unasked(contact).await, 1, "no message answers it");
    })
    .await;
}

#[tokio::test]
async fn a_question_without_a_sender_is_told_at_once() {
    on_both(|bench| async move {
        let blocked = |send: &mut NewAction| {
            send.state = recado::domain::ActionState::Blocked;
            send.reason = Some("there is no sender".to_owned());
            (send.route, send.sender) = (None, None);
        };
        bench.ask("SM1", blocked).await;
        assert_eq!(bench.unsent().await.1, "there is no sender");
    })
    .await;
}

#[tokio::test]
async fn a_question_that_the_provider_refuses_is_told_and_a_retry_is_not() {
    on_both(|bench| async move {
        bench.ask("SM1", |_| {}).await;
        let claimed = bench.claim().await.remove(0);
        let at = bench.now();
        assert!(bench.end(&claimed, AttemptResult::Retry { at }, None).await);
        assert!(bench.silences().await.is_empty());
        let claimed = bench.claim().await.remove(0);
        assert!(bench.end(&claimed, AttemptResult::Failed, Some(21_614)).await);
        assert!(bench.unsent().await.1.contains("as the test says"));
    })
    .await;
}

#[tokio::test]
async fn an_unknown_send_leaves_its_question_open_until_it_is_known() {
    for (decision, silent) in [(OperatorDecision::Sent { sid: None }, true), (OperatorDecision::GiveUp, false)] {
        let decision = &decision;
        on_both(|bench| async move {
            let (id, ..) = bench.ask("SM1", |_| {}).await;
            let claimed = bench.claim().await.remove(0);
            let look_at = bench.now().plus(HOUR);
            assert!(bench.end(&claimed, AttemptResult::Unknown { look_at }, None).await);
            assert!(bench.silences().await.is_empty());
            let resolved = bench.store.resolve(bench.tenant, id, decision).await.unwrap();
            assert!(matches!(resolved, Resolution::Now(_)), "{resolved:?}");
            let timers = bench.silences().await;
            assert_eq!(timers.len(), 1);
            assert_eq!(timers[0].payload.contains("unsent"), !silent, "{}", timers[0].payload);
        })
        .await;
    }
}

#[tokio::test]
async fn a_report_of_the_provider_starts_the_time_as_well() {
    on_both(|bench| async move {
        let (id, ..) = bench.ask("SM1", |_| {}).await;
        let claimed = bench.claim().await.remove(0);
        let report = StatusReport {
            tenant: bench.tenant,
            action: id,
            sid: "SM9".to_owned(),
            status: DeliveryStatus::Delivered,
            error_code: None,
            unmatched: false,
            at: bench.now(),
        };
        bench.store.writer().settle(report).await.unwrap();
        let began = claimed.send.tried_at.expect("it is under way");
        assert_eq!(bench.silences().await[0].due, began.plus(HOUR * 2));
        // The answer to the create comes later, and starts nothing anew.
        let sent = AttemptResult::Sent { sid: "SM9".to_owned(), status: DeliveryStatus::Queued };
        bench.end(&claimed, sent, None).await;
        assert_eq!(bench.silences().await.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_question_that_was_replaced_starts_no_time() {
    on_both(|bench| async move {
        bench.ask("SM1", |_| {}).await;
        let first = bench.claim().await.remove(0);
        let (second, ..) = bench.ask("SM2", |_| {}).await;
        let sent = |sid: &str| AttemptResult::Sent { sid: sid.to_owned(), status: DeliveryStatus::Queued };
        assert!(bench.end(&first, sent("SM8"), None).await);
        assert!(bench.silences().await.is_empty());
        let claimed = bench.claim().await.remove(0);
        assert_eq!(claimed.send.id, second);
        assert!(bench.end(&claimed, sent("SM9"), None).await);
        assert_eq!(bench.silences().await.len(), 1);
    })
    .await;
}
