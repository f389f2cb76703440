//! Calls whose end was not reported: the provider is asked, for inbound and outbound calls, in and outside campaigns.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use recado::app;
use recado::domain::event::CallData;
use recado::domain::{
    CallBody, CallDirection, CallStatus, Channel, Clock, DeliveryStatus, EventKind, Phone, Route, SendBody, SendQueue,
    TenantId, Timestamp,
};
use recado::emulators::twilio::{Fault, FaultKind, On, Party};
use recado::features::voice::Voice;
use recado::features::voice::lost_calls;
use recado::features::voice::lost_calls::{ASK_AFTER, LASTS_MAX, LOOK_MAX};
use recado::store::{
    AttemptOutcome, AttemptResult, CallReport, Caller, ClaimRequest, Gate, ListedCall, NewTurn, OpenCall, Reported,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::faults::inside::Inside;
use crate::faults::rig::{self, ACCOUNT, Look, OURS, customer};
use crate::features::campaigns::{options, provider};
use crate::support::server::Server;
use crate::support::wait::eventually;
use crate::support::webhook::message_sid;

const WITHIN: Duration = Duration::from_secs(30);
const SECOND: Duration = Duration::from_secs(1);
const ANA: &str = "+34600111222";

/// The state of calls at the provider, and which were requested.
#[derive(Clone, Default)]
struct Calls {
    stand: Arc<Mutex<BTreeMap<String, &'static str>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Calls {
    fn set(&self, sid: &str, status: &'static str) {
        self.stand.lock().unwrap().insert(sid.to_owned(), status);
    }

    fn asked(&self) -> Vec<String> {
        let mut asked = std::mem::take(&mut *self.asked.lock().unwrap());
        asked.sort();
        asked
    }
}

async fn fetched(State(calls): State<Calls>, Path((_, file)): Path<(String, String)>) -> (StatusCode, Json<Value>) {
    let sid = file.trim_end_matches(".json").to_owned();
    calls.asked.lock().unwrap().push(sid.clone());
    match calls.stand.lock().unwrap().get(&sid) {
        Some(status) => (StatusCode::OK, Json(json!({"sid": sid, "status": status, "duration": "17"}))),
        None => (StatusCode::NOT_FOUND, Json(json!({"code": 20404, "message": "not found", "status": 404}))),
    }
}

/// A server's parts, and a provider that answers requests for calls.
struct Scene {
    inside: Inside,
    voice: Arc<Voice>,
    clock: Clock,
    calls: Calls,
}

impl Scene {
    async fn start() -> Self {
        let calls = Calls::default();
        let router = axum::Router::new()
            .route("/2010-04-01/Accounts/{account}/Calls/{file}", get(fetched))
            .with_state(calls.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port can be bound");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        tokio::spawn(async move { axum::serve(listener, router).await.expect("it serves until the test ends") });
        let clock = Clock::simulated(Timestamp::parse("2026-11-23T11:00:00Z").expect("a time"));
        let inside = Inside::at(&url, clock.clone(), "").await;
        let voice = app::voice(&inside.installation, &inside.engine).expect("it can be set up");
        Self { inside, voice, clock, calls }
    }

    fn tenant(&self) -> TenantId {
        self.inside.directory.now().by_slug("demo").expect("it is there").id
    }

    /// Ana calls, and hears something.
    async fn rings(&self, sid: &str) {
        let caller = Caller {
            tenant: self.tenant(),
            account: None,
            sid: sid.to_owned(),
            direction: CallDirection::In,
            peer: ANA.to_owned(),
            phone: Phone::parse(ANA).ok(),
            number: OURS.to_owned(),
            action: None,
            status: CallStatus::InProgress,
            answered_by: None,
        };
        let (kind, at) = (EventKind::CALL_RECEIVED, self.clock.now());
        let turn = NewTurn { caller, kind, key: "answer".to_owned(), data: CallData::default(), at };
        self.inside.store.writer().turn(turn).await.expect("it can be stored");
    }

    /// A call is placed; the provider accepts it and never reports anything.
    async fn we_ring(&self, sid: &str, to: &str) {
        let body = SendBody::Call(CallBody { say: Some("hola".to_owned()), ..CallBody::default() });
        let outbox = self.inside.installation.outbox();
        outbox.plan("demo", Channel::Voice, to, body).await.expect("it is good");
        let request = ClaimRequest {
            queue: SendQueue::new(self.tenant(), Route::Twilio),
            account_sid: ACCOUNT.to_owned(),
            limit: 10,
            judge: Arc::new(|_, _| Gate::Pass),
            recent_within: SECOND,
            stop_ends_calls: false,
            has_budget: false,
        };
        let store = &self.inside.store;
        let claimed = store.writer().claim(request).await.expect("it can be claimed").sends.remove(0);
        let verdict = AttemptOutcome {
            send: claimed.send,
            attempt: claimed.attempt,
            result: AttemptResult::Sent { sid: sid.to_owned(), status: DeliveryStatus::Queued },
            http_status: Some(201),
            error_code: None,
            detail: String::new(),
        };
        assert!(store.writer().outcome(verdict).await.expect("it can be written"));
    }

    async fn look(&self, behind: Option<&OpenCall>) -> Option<OpenCall> {
        lost_calls::check_open_calls(&self.voice, ASK_AFTER, behind).await.expect("it can be read")
    }

    async fn call(&self, sid: &str) -> ListedCall {
        let found = self.inside.store.listed_call(self.tenant(), sid).await;
        found.expect("it can be read").expect("it is there")
    }

    /// The reported ends of calls, with their SIDs, sorted.
    async fn reported_ends(&self) -> Vec<(String, String, String)> {
        let events = self.inside.store.events(self.tenant(), 1_000).await.expect("they can be read");
        let ends = [EventKind::CALL_COMPLETED, EventKind::CALL_MISSED, EventKind::CALL_FAILED];
        let ends = events.into_iter().filter(|event| ends.iter().any(|kind| kind.as_str() == event.kind));
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut reported_ends: Vec<_> = ends
            .map(|event| {
                let data: Value = serde_json::from_str(&event.data).expect("it is JSON");
                (text(&data["sid"]), event.kind, text(&data["reason"]))
            })
            .collect();
        reported_ends.sort();
        reported_ends
    }
}

fn reported_end(sid: &str, kind: EventKind, reason: &str) -> (String, String, String) {
    (sid.to_owned(), kind.as_str().to_owned(), reason.to_owned())
}

#[tokio::test]
async fn the_lost_end_of_any_call_is_requested_and_reported_as_by_its_callback() {
    let scene = Scene::start().await;
    scene.rings("CAin").await;
    scene.rings("CAlive").await;
    scene.we_ring("CAout", &customer(1)).await;
    scene.we_ring("CAbusy", &customer(2)).await;
    scene.we_ring("CAnobodys", &customer(3)).await;
    for (sid, status) in [("CAin", "completed"), ("CAlive", "in-progress"), ("CAout", "completed"), ("CAbusy", "busy")]
    {
        scene.calls.set(sid, status);
    }
    scene.clock.advance(ASK_AFTER);
    assert!(scene.look(None).await.is_none());
    assert!(scene.calls.asked().is_empty(), "they may be under way");
    scene.clock.advance(SECOND);
    assert!(scene.look(None).await.is_none());
    assert_eq!(scene.calls.asked(), ["CAbusy", "CAin", "CAlive", "CAnobodys", "CAout"]);
    let ends = [
        reported_end("CAbusy", EventKind::CALL_FAILED, "busy"),
        reported_end("CAin", EventKind::CALL_COMPLETED, ""),
        reported_end("CAnobodys", EventKind::CALL_FAILED, "the provider knows no such call"),
        reported_end("CAout", EventKind::CALL_COMPLETED, ""),
    ];
    assert_eq!(scene.reported_ends().await, ends);
    for (sid, status, seconds) in [("CAin", CallStatus::Completed, Some(17)), ("CAnobodys", CallStatus::Failed, None)] {
        let call = scene.call(sid).await;
        assert_eq!((call.status, call.duration_s, call.ended_at.is_some()), (status, seconds, true));
    }
    let live = scene.call("CAlive").await;
    assert_eq!((live.status, live.ended_at), (CallStatus::InProgress, None), "it goes on");

    // The end is requested and reported once; a late callback changes nothing.
    assert!(scene.look(None).await.is_none());
    assert_eq!(scene.calls.asked(), ["CAlive"]);
    let open = scene.inside.store.open_calls(scene.clock.now(), None, 9).await.unwrap();
    assert_eq!(open.len(), 1);
    let busy = scene.call("CAbusy").await;
    let caller = Caller {
        tenant: scene.tenant(),
        account: None,
        sid: busy.sid,
        direction: CallDirection::Out,
        phone: None,
        peer: busy.to,
        number: busy.from,
        action: None,
        status: CallStatus::Completed,
        answered_by: None,
    };
    let late = CallReport {
        caller,
        duration_s: Some(1),
        recording: None,
        error_code: None,
        detail: None,
        silence_is_missed: false,
        tell_later: false,
        at: scene.clock.now(),
    };
    assert_eq!(scene.inside.store.writer().call(late).await.unwrap(), Reported::Stale);
    assert_eq!(scene.reported_ends().await, ends);
}

#[tokio::test]
async fn a_call_that_goes_on_is_left_alone_for_a_day_and_then_has_failed() {
    let scene = Scene::start().await;
    scene.rings("CAlong").await;
    scene.calls.set("CAlong", "in-progress");
    for passed in [ASK_AFTER + SECOND, LASTS_MAX - ASK_AFTER - SECOND * 2] {
        scene.clock.advance(passed);
        scene.look(None).await;
        assert_eq!(scene.calls.asked(), ["CAlong"]);
        assert_eq!(scene.call("CAlong").await.ended_at, None);
    }
    scene.clock.advance(SECOND);
    scene.look(None).await;
    let why = "no end within 24 hours: the provider says it is in-progress";
    assert_eq!(scene.reported_ends().await, [reported_end("CAlong", EventKind::CALL_FAILED, why)]);
    assert_eq!(scene.call("CAlong").await.detail.as_deref(), Some(why));
}

#[tokio::test]
async fn the_oldest_calls_do_not_starve_the_others() {
    let scene = Scene::start().await;
    for n in 0..LOOK_MAX {
        let sid = format!("CA{n:032}");
        scene.rings(&sid).await;
        scene.calls.set(&sid, "in-progress");
    }
    scene.clock.advance(SECOND);
    scene.rings("CAyoung").await;
    scene.calls.set("CAyoung", "completed");
    scene.clock.advance(ASK_AFTER + SECOND);
    let behind = scene.look(None).await.expect("there may be more");
    assert_eq!((scene.calls.asked().len(), scene.reported_ends().await.len()), (LOOK_MAX, 0));
    assert!(scene.look(Some(&behind)).await.is_none(), "all have been asked for");
    assert_eq!(scene.calls.asked(), ["CAyoung"]);
    assert_eq!(scene.reported_ends().await, [reported_end("CAyoung", EventKind::CALL_COMPLETED, "")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn ends_of_calls_during_a_downtime_are_requested_at_the_next_start() {
    let provider = provider(31).await;
    provider.order(Fault { on: On::Any, ..Fault::always(FaultKind::CallbacksLost) });
    provider.carrier.set_party(&customer(1), Party::default()).expect("a good party");
    let rule = "rule(\"ring\").on(\"inbound_sms\").then(|e| call(e.contact, \"hello\", #{}))\
        .on_call(\"hello\", |e| { say(\"Hello\"); hangup() });\
        rule(\"over\").on(\"call_completed\").then(|e| note(\"over\"));";
    let mut server = Server::start(options(&provider).file("rules/echo.rhai", rule)).await;
    let form = rig::twilio(&server).inbound(&message_sid(1), &customer(1), OURS, "ring me");
    assert_eq!(rig::post(&rig::twilio(&server), &form).await, Some(200));
    eventually(WITHIN, || async {
        let calls = provider.carrier.calls();
        let ended = calls.first().is_some_and(|call| call.ended_at.is_some());
        if ended { Ok(()) } else { Err(calls) }
    })
    .await;
    let look = Look::into(server.folder()).await;
    assert_eq!(look.count("calls WHERE ended_us IS NULL").await, 1, "nobody has told of its end");
    server.kill();
    server.start_again().await;
    eventually(WITHIN, || async {
        let notes = look.count("contact_history WHERE kind = 'note' AND new = '\"over\"'").await;
        if notes == 1 { Ok(()) } else { Err(notes) }
    })
    .await;
    assert_eq!(look.count("calls WHERE ended_us IS NOT NULL AND status = 'completed'").await, 1);
}
