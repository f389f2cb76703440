//! Tenants that share an account, a rate and a refused token, and a server that stops in between.
//!
//! The clock stands still, so that no sweep hides a lost wake-up.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{Request, StatusCode};
use axum::{Json, Router};
use recado::app;
use recado::config::secret::SecretKey;
use recado::domain::{Channel, Clock, Route, SendBody, SendQueue, Timestamp};
use recado::emulators::twilio::CarrierConfig;
use recado::store::Listed;
use recado::tenants::{new_tenant, sealed_as};
use secrecy::ExposeSecret;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use super::inside::Inside;
use super::rig::{self, A, ACCOUNT, ECHO, Own, Provider, SECRET_KEY, TOKEN, customer};
use crate::support::replace_tenant;
use crate::support::server::Server;
use crate::support::wait::eventually;

const WITHIN: Duration = Duration::from_secs(60);

fn clock() -> Clock {
    Clock::simulated(Timestamp::parse("2026-11-21T08:00:00Z").expect("it is a time"))
}

/// Plans a send to each customer, and tells the senders.
async fn plan(inside: &Inside, slug: &str, customers: std::ops::Range<usize>) {
    for number in customers {
        let text = SendBody::Text(format!("to {number}"));
        let planned = inside.installation.outbox().plan(slug, Channel::Sms, &customer(number), text).await;
        planned.expect("it can be sent");
    }
    let snapshot = inside.installation.directory.now();
    inside.pipeline.wake_perform(SendQueue::new(snapshot.by_slug(slug).expect("it is there").id, Route::Twilio));
}

/// A provider that answers only as often as the test allows.
#[derive(Clone)]
struct Slow {
    asked: Arc<Mutex<Vec<String>>>,
    answers: Arc<Semaphore>,
}

impl Slow {
    async fn start() -> (Self, String) {
        let slow = Self { asked: Arc::default(), answers: Arc::new(Semaphore::new(0)) };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port can be bound");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let router = Router::new().fallback(Self::answer).with_state(slow.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (slow, url)
    }

    async fn answer(State(slow): State<Self>, form: String) -> (StatusCode, Json<serde_json::Value>) {
        let to = form.split('&').find_map(|pair| pair.strip_prefix("To=")).expect("it has a recipient");
        let to = to.replace("%2B", "+");
        let n = {
            let mut asked = slow.asked.lock().expect("nobody panics with it");
            asked.push(to);
            asked.len()
        };
        slow.answers.acquire().await.expect("it is never closed").forget();
        let sid = crate::support::webhook::message_sid(n as u128);
        (StatusCode::CREATED, Json(serde_json::json!({"sid": sid, "status": "queued"})))
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("nobody panics with it").clone()
    }

    async fn wait_asked(&self, count: usize) {
        eventually(WITHIN, || {
            let asked = self.asked().len();
            async move { if asked >= count { Ok(()) } else { Err(asked) } }
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_leaves_room_for_another_tenant_of_the_account() {
    const BACKLOG: usize = 200;
    const ROOM: usize = 128;
    let (slow, url) = Slow::start().await;
    let inside = Inside::at(&url, clock(), ECHO).await;
    let store = &inside.installation.store;
    for slug in ["many", "few"] {
        store.add_tenant(new_tenant(store, slug, slug)).await.expect("the slug is free");
    }
    inside.installation.directory.refresh().await.expect("it can be read");
    let performing = inside.pipeline.clone();
    tokio::spawn(async move { performing.perform().await });
    plan(&inside, "many", 0..BACKLOG).await;
    slow.wait_asked(ROOM).await;
    plan(&inside, "few", BACKLOG..BACKLOG + 1).await;
    // Some sends end, fewer than wait ahead of the newcomer.
    slow.answers.add_permits(40);
    let few = customer(BACKLOG);
    eventually(WITHIN, || {
        let asked = slow.asked();
        let found = asked.contains(&few);
        async move { if found { Ok(()) } else { Err(asked.len()) } }
    })
    .await;
    assert!(slow.asked().len() < BACKLOG, "the backlog has not ended");
    // All sends leave in the end, each once.
    slow.answers.add_permits(2 * BACKLOG);
    slow.wait_asked(BACKLOG + 1).await;
    assert_eq!(slow.asked().into_iter().collect::<HashSet<_>>().len(), BACKLOG + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_senders_rate_is_kept_and_used() {
    let clock = clock();
    let provider = Provider::with(CarrierConfig::new(ACCOUNT, TOKEN, clock.clone())).await;
    let mut inside = Inside::at(&provider.url, clock.clone(), ECHO).await;
    inside.installation.config.limits.sender_rate_per_s = std::num::NonZeroU32::new(20);
    inside.pipeline = app::engine(&inside.installation, &provider.url).expect("an engine can be built").pipeline;
    let performing = inside.pipeline.clone();
    plan(&inside, "demo", 0..10).await;
    tokio::spawn(async move { performing.perform().await });
    provider.wait_taken(1).await;
    for taken in 1..10 {
        assert_eq!(provider.carrier.taken(), taken, "one every 50 ms");
        clock.advance(Duration::from_millis(50));
        provider.wait_taken(taken + 1).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_put_right_is_tried_at_once() {
    let clock = clock();
    let mut config = CarrierConfig::new(ACCOUNT, TOKEN, clock.clone());
    config.accounts = [(A.account.to_owned(), A.token.into())].into();
    let provider = Provider::with(config).await;
    let inside = Inside::at(&provider.url, clock, ECHO).await;
    let store = &inside.installation.store;
    Own { token: "wr0ng0ne777777777777777777777777", ..A }.store(store).await;
    inside.pipeline.sweep_once().await.expect("the database is there");
    let performing = inside.pipeline.clone();
    tokio::spawn(async move { performing.perform().await });
    plan(&inside, A.slug, 0..1).await;
    eventually(WITHIN, || async {
        let token = inside.directory.key().operator_token();
        let asked = Request::get("/ready").header("authorization", format!("Bearer {}", token.expose_secret()));
        let (_, body) = inside.answer(asked.body(Body::empty()).expect("a path of ours")).await;
        let ready: serde_json::Value = serde_json::from_slice(&body).expect("it is JSON");
        if ready["paused_accounts"] == 1 { Ok(()) } else { Err(ready) }
    })
    .await;
    assert_eq!(provider.carrier.taken(), 0);

    let (_, tenants, _) = store.directory().await.expect("they can be read");
    let mut row = tenants.into_iter().find(|row| row.slug == A.slug).expect("it is stored");
    let key = SecretKey::parse(SECRET_KEY).expect("it is a key");
    row.auth_token = Some(key.seal(&A.token.into(), &sealed_as(row.id, "auth_token")).expect("it can be sealed"));
    replace_tenant(store, row).await.expect("it is there");
    inside.pipeline.sweep_once().await.expect("the database is there");
    provider.wait_taken(1).await;
    eventually(WITHIN, || async { if inside.circuits.paused() == 0 { Ok(()) } else { Err("paused") } }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_claimed_when_it_stops_is_sent() {
    const SENDS: usize = 100;
    let (slow, url) = Slow::start().await;
    let inside = Inside::at(&url, clock(), ECHO).await;
    let mut loops = app::start_loops(&inside.engine);
    plan(&inside, "demo", 0..SENDS).await;
    slow.wait_asked(1).await;
    inside.pipeline.stop_claiming();
    slow.answers.add_permits(2 * SENDS);
    assert!(inside.pipeline.drained(WITHIN).await, "what is under way ends");
    let asked = slow.asked().len();
    plan(&inside, "demo", SENDS..SENDS + 1).await;
    loops.shutdown().await;
    let tenant = inside.installation.directory.now().by_slug("demo").expect("it is made").id;
    let listed = inside.installation.store.messages(tenant, None, 2 * SENDS).await.expect("they can be listed");
    let open: Vec<_> = listed
        .iter()
        .filter_map(|one| match one {
            Listed::Send(send) => Some(send.state.as_str()),
            Listed::Message(_) => None,
        })
        .collect();
    assert!(open.iter().all(|state| *state == "planned"), "{open:?}");
    assert_eq!(open.len() + asked, SENDS + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_request_does_not_hold_up_a_stop() {
    let provider = Provider::start(14).await;
    let mut server = Server::start(rig::options(&provider.url)).await;
    let address = server.url().replace("http://", "");
    let mut socket = std::net::TcpStream::connect(address).expect("it listens");
    std::io::Write::write_all(&mut socket, b"POST /api/twilio/demo/sms HTTP/1.1\r\nHost: ha").expect("it reads");
    // A second request, so that the first has surely been read.
    let twilio = rig::twilio(&server);
    let form = twilio.inbound(&crate::support::webhook::message_sid(1), &customer(1), rig::OURS, "hola");
    assert_eq!(rig::post(&twilio, &form).await, Some(200));
    assert!(server.stop().await.success());
}
